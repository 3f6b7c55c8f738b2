//! Owners before this node that it waits for. Until they go by the present list, they may stamp writes of their own, and this node stamps
//! none; until the slot was merged from them after that, what they stamped last may be with them alone, and this node decides nothing that
//! depends on what is there. Those that are silent for too long are waited for no more.

use std::time::Duration;

use tokio::time::Instant;

use super::catch_up::SOURCES_MAX;
use super::{CatchUp, Incarnate, SlotTable};
use crate::ring::slot::Slot;

/// An owner before that has not answered for so long, or from which the slot could not be merged for so long after it did, may be dead.
const OWNER_MAX: Duration = Duration::from_secs(1);

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct FormerOwner {
    node: Incarnate,
    /// It goes by the present list.
    adopted: bool,
    /// Until when it is waited for.
    until: Instant,
}

impl CatchUp {
    /// This node owns the slot now, and `owner` did before, if anybody. Who does not live stamps nothing.
    pub(super) fn succeeds(&mut self, owner: Option<&Incarnate>, lives: impl Fn(&Incarnate) -> bool, now: Instant) {
        self.owners.retain(|owner| lives(&owner.node));
        let Some(owner) = owner.filter(|owner| lives(owner) && !planted!("owner_not_heard")) else { return };
        self.owners.retain(|before| before.node != *owner);
        if self.owners.len() == SOURCES_MAX {
            self.owners.remove(0);
        }
        self.owners.push(FormerOwner { node: owner.clone(), adopted: false, until: now + OWNER_MAX });
    }

    /// Another node owns the slot now.
    pub(super) fn follows(&mut self) {
        self.owners.clear();
    }

    /// The slot was merged from that one.
    pub(super) fn hears_out(&mut self, node: &Incarnate) {
        self.owners.retain(|owner| !owner.adopted || owner.node != *node);
    }

    /// Those of them, by their boots, that the slot was not merged from yet.
    pub(crate) fn owners_waited_for(&self) -> impl Iterator<Item = u64> {
        self.owners.iter().map(|owner| owner.node.1)
    }

    /// Until when this node leaves the stamping to the owners before it, or what depends on what they stamped; `None`: it need not.
    fn waits_until(&self, what: Waits) -> Option<Instant> {
        let waited_for = |owner: &&FormerOwner| what == Waits::ToDecide || !owner.adopted;
        self.owners.iter().filter(waited_for).map(|owner| owner.until).max()
    }
}

/// What a new owner waits with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waits {
    /// Writes of any kind.
    ToStamp,
    /// Those that depend on what is there.
    ToDecide,
}

impl SlotTable {
    /// Notes that a node goes by the present list of the slot, or has no part in it any more, and has told its clock since; whether it
    /// `keeps` something of the slot. True if that was waited for.
    pub(crate) fn adopted_by(&mut self, slot: Slot, node: &Incarnate, keeps: bool, now: Instant) -> bool {
        let Some(catch_up) = self.states.get_mut(&slot).and_then(|s| s.catch_up.as_mut()) else { return false };
        let Some(owner) = catch_up.owners.iter_mut().find(|owner| owner.node == *node && !owner.adopted) else {
            return false;
        };
        (owner.adopted, owner.until) = (true, now + OWNER_MAX);
        if !keeps {
            catch_up.hears_out(node);
        }
        true
    }

    /// Former owners that were waited for long enough may be dead, and hold up nothing any more.
    pub(crate) fn stop_waiting_for_owners(&mut self, now: Instant) {
        if self.owners_until.is_none_or(|until| now < until) {
            return;
        }
        self.owners_until = None;
        for slot in self.outstanding.behind() {
            let Some(catch_up) = self.states.get_mut(slot).and_then(|state| state.catch_up.as_mut()) else { continue };
            catch_up.owners.retain(|owner| now < owner.until);
            let until = catch_up.owners.iter().map(|owner| owner.until).min();
            self.owners_until = self.owners_until.into_iter().chain(until).min();
        }
    }

    /// Until when this node waits for the owners before it with what is written in the slot; `None`: it need not.
    pub(crate) fn waits_until(&self, slot: Slot, what: Waits) -> Option<Instant> {
        self.states.get(&slot)?.catch_up.as_ref()?.waits_until(what)
    }
}
