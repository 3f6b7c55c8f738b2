//! What a node still has to do with its slots, in their order, so that nobody looks through all of them for it.

use std::collections::BTreeSet;

use super::{SlotState, SlotTable, Standing};
use crate::ring::slot::Slot;

/// Follows the states of the slots: whoever changes one notes it here.
#[derive(Clone, Debug, Default)]
pub(super) struct Outstanding {
    /// Slots with a `catch_up`.
    behind: BTreeSet<Slot>,
    /// Slots that this node is listed for and that are not `in_sync`.
    differing: BTreeSet<Slot>,
}

impl Outstanding {
    pub(super) fn note(&mut self, slot: Slot, state: &SlotState) {
        keep(&mut self.behind, slot, state.catch_up.is_some());
        keep(&mut self.differing, slot, state.listed && !state.in_sync);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) const fn behind(&self) -> &BTreeSet<Slot> {
        &self.behind
    }
}

fn keep(slots: &mut BTreeSet<Slot>, slot: Slot, within: bool) {
    if within {
        slots.insert(slot);
    } else {
        slots.remove(&slot);
    }
}

impl SlotTable {
    /// Slots that this node is a newcomer of, in ascending order.
    pub(crate) fn behind(&self) -> impl Iterator<Item = (Slot, &SlotState)> {
        self.behind_from(Slot(0))
    }

    /// The same from that one on.
    pub(crate) fn behind_from(&self, first: Slot) -> impl Iterator<Item = (Slot, &SlotState)> {
        self.outstanding.behind.range(first..).filter_map(|slot| Some((*slot, self.states.get(slot)?)))
    }

    /// How many slots this node is a newcomer of.
    pub(crate) fn behind_len(&self) -> usize {
        self.outstanding.behind.len()
    }

    /// Slots that this node is listed for and that are not known to be in sync, in ascending order from that one on.
    pub(crate) fn differing_from(&self, first: Slot) -> impl Iterator<Item = Slot> {
        self.outstanding.differing.range(first..).copied()
    }

    /// The slot is caught up.
    pub(super) fn promote(&mut self, slot: Slot) {
        if let Some(state) = self.states.get_mut(&slot) {
            state.standing = Standing::CaughtUp;
            state.catch_up = None;
            state.list.counter = state.list.counter.max(1);
            self.outstanding.note(slot, state);
        }
    }

    pub(crate) fn set_in_sync(&mut self, slot: Slot, list: super::ListId, in_sync: bool) {
        if let Some(state) = self.states.get_mut(&slot).filter(|s| s.list == list) {
            state.in_sync = in_sync;
            self.outstanding.note(slot, state);
        }
    }

    /// What is outstanding is what the states say.
    #[cfg(test)]
    pub(crate) fn assert_outstanding(&self) {
        let all = |slots: &BTreeSet<Slot>| slots.iter().copied().collect::<Vec<Slot>>();
        assert_eq!(all(&self.outstanding.behind), self.slots_where(|s| s.catch_up.is_some()));
        assert_eq!(all(&self.outstanding.differing), self.slots_where(|s| s.listed && !s.in_sync));
    }
}
