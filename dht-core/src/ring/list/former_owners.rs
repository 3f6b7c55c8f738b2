//! Owners before this node that it waits for: until they go by the present list, or have been silent for too long, they may stamp writes
//! of their own, and this node stamps none.

use std::time::Duration;

use tokio::time::Instant;

use super::catch_up::SOURCES_MAX;
use super::{CatchUp, Incarnate, SlotTable};
use crate::ring::slot::Slot;

/// An owner before that has not answered for so long is silent, and may be dead.
const OWNER_MAX: Duration = Duration::from_secs(1);

impl CatchUp {
    /// This node owns the slot now, and `owner` did before, if anybody. Who does not live stamps nothing.
    pub(super) fn succeeds(&mut self, owner: Option<&Incarnate>, lives: impl Fn(&Incarnate) -> bool, now: Instant) {
        self.owners.retain(|owner| lives(owner));
        let Some(owner) = owner.filter(|owner| lives(owner) && !planted!("owner_not_heard")) else { return };
        self.owners.retain(|before| before != owner);
        if self.owners.len() == SOURCES_MAX {
            self.owners.remove(0);
        }
        self.owners.push(owner.clone());
        self.owners_until = Some(now + OWNER_MAX);
    }

    /// Another node owns the slot now.
    pub(super) fn follows(&mut self) {
        self.owners.clear();
    }

    /// Until when this node leaves the stamping to the owners before it; `None`: it need not.
    fn stamps_at(&self) -> Option<Instant> {
        self.owners_until.filter(|_| !self.owners.is_empty())
    }
}

impl SlotTable {
    /// Notes that a node goes by the present list of the slot, or has no part in it any more, and has told its clock since. True
    /// if that was waited for.
    pub(crate) fn adopted_by(&mut self, slot: Slot, node: &Incarnate) -> bool {
        let catch_up = self.states.get_mut(&slot).and_then(|s| s.catch_up.as_mut());
        catch_up.is_some_and(|catch_up| {
            let waiting = catch_up.owners.len();
            catch_up.owners.retain(|owner| owner != node);
            catch_up.owners.len() < waiting
        })
    }

    /// Former owners that were waited for long enough may be dead, and hold up nothing any more.
    pub(crate) fn stop_waiting_for_owners(&mut self, now: Instant) {
        for catch_up in self.states.values_mut().filter_map(|state| state.catch_up.as_mut()) {
            if catch_up.stamps_at().is_some_and(|until| now >= until) {
                catch_up.owners.clear();
            }
        }
    }

    /// Until when this node leaves it to the former owner to stamp what is written in the slot; `None`: it need not.
    pub(crate) fn stamps_at(&self, slot: Slot) -> Option<Instant> {
        self.states.get(&slot)?.catch_up.as_ref()?.stamps_at()
    }
}
