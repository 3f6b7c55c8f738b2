//! Who owns a slot by now: an operation that waited may find another owner than when it came, and what a new owner stamps must be
//! above what the owner before it stamped.

use tokio::time::Instant;

use super::Node;
use super::coordinator::undecided;
use crate::error::{Error, ErrorKind};
use crate::ring::list::Waits;
use crate::ring::slot::Slot;
use crate::ring::view::RingView;
use crate::wire::message::{OpResult, Operation};

impl Node {
    /// This node is the one that decides on the keys of the slot.
    pub(crate) fn owns(&self, view: &RingView, slot: Slot) -> bool {
        let owner = view.first_live(&view.replica_list(slot, self.replicas()));
        planted!("former_owner_decides") || owner.is_some_and(|m| view.member(m).node_id == self.node_id)
    }

    /// Who has just become the owner of a slot leaves it to the owner before to stamp what is written, until that one goes by the
    /// present list and has told its clock: so everything stamped here is above what was stamped there. With what depends on what is
    /// there it waits until it has what was stamped there last, which a quorum need not have yet.
    pub(super) async fn former_owners_have_ended(
        &self,
        slots: impl Iterator<Item = (Slot, Waits)> + Clone,
        deadline: Instant,
    ) {
        // Who has caught up has heard of them.
        while !slots.clone().all(|(slot, _)| self.readable.get(slot)) {
            let seen = self.progress.seen();
            let until = {
                let state = self.state();
                slots.clone().filter_map(|(slot, what)| state.table.waits_until(slot, what)).max()
            };
            let Some(until) = until.map(|until| until.min(deadline)).filter(|until| self.env.now() < *until) else {
                return;
            };
            self.progress.since(seen, until).await;
        }
    }

    /// Who sent an operation knows of rings that have become one, and this node does not know of all of them, or of more: what it has in
    /// its slots is less than the sender may know of.
    pub(super) fn is_behind(&self, rings: u64) -> bool {
        rings != 0 && rings != self.view.load().rings_digest()
    }

    /// Another node owns the key. What came before as another copy of the same message may have been carried out here: that one's
    /// answer may be lost, and this one must not say that nothing was done.
    pub(super) fn misrouted(&self, operation: &Operation) -> OpResult {
        match self.recent.applied_as(operation.id).filter(|_| !planted!("misrouted_denies")) {
            None => OpResult::Misrouted,
            Some(_) => {
                let context = "another node owns the key by now, and this one has begun to write it";
                OpResult::Failed(Error::new(ErrorKind::Timeout, context).unknown_outcome())
            }
        }
    }

    /// While an operation waited, another node may have become its key's owner: then it is that one's to carry out. Else both
    /// would build on the same, or stamp as if the other did not.
    pub(super) fn hand_back(
        &self,
        view: &RingView,
        operations: &[Operation],
        slots: &[Slot],
        pending: &mut Vec<usize>,
        again: bool,
        results: &mut [Option<OpResult>],
    ) {
        pending.retain(|&index| {
            let decides = operations[index].action.depends() || !planted!("former_owner_restamps");
            // What the new owner has built on is done.
            let done = || {
                let present = self.store.get(slots[index], operations[index].map, &operations[index].key);
                present.is_ok_and(|record| record.is_some_and(|r| r.operations.contains(&operations[index].id)))
            };
            let mine = !decides || self.owns(view, slots[index]) || again && done();
            if !mine {
                // What was written before and met a higher version is somewhere still: the new owner would take it for one
                // that came before that version.
                let lost =
                    || OpResult::Failed(undecided("another node owns the key by now, and wrote it at the same time"));
                results[index] = Some(if again { lost() } else { self.misrouted(&operations[index]) });
            }
            mine
        });
    }
}

/// The error of a write under way when another node became the owner.
pub(crate) fn lost_slot() -> Error {
    let context = "this node lost the slot while it wrote; another owner goes on with it";
    Error::new(ErrorKind::Unreachable, context).unknown_outcome()
}
