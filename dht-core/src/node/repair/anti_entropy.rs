//! Anti-entropy: the first member of a list compares the slot with the others until all are caught up and equal, after
//! every change and once in a while; whoever coordinated a write that missed a replica compares that slot at once.
//!
//! Where records were evicted, replicas differ for good. Such a slot is looked at after a change and when a write
//! missed a replica, and then gets what is newer than all that may have been evicted; after that it counts as equal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::pace::SLICE;
use super::reconcile::{Compared, Direction};
use crate::node::Node;
use crate::node::peers::Peer;
use crate::ring::list::{ListId, SlotState, Standing};
use crate::ring::record::Verdict;
use crate::ring::slot::Slot;
use crate::ring::view::RingView;

/// A slot being compared: its list, who else is in it, and who is known to be equal.
struct Check {
    list: ListId,
    others: BTreeSet<Peer>,
    equal: BTreeSet<Peer>,
    /// It was found equal since its list last changed, and no write is known to have missed a replica since.
    settled: bool,
}

impl Node {
    /// One pass over what may differ (`full`: over everything this node is first for); true if something is left.
    pub(super) async fn compare_replicas(self: &Arc<Self>, full: bool) -> bool {
        let mut checks = self.checks(full);
        let mut by_peer: BTreeMap<Peer, Vec<Slot>> = BTreeMap::new();
        for (slot, check) in &checks {
            for peer in &check.others {
                by_peer.entry(peer.clone()).or_default().push(*slot);
            }
        }
        let settled: BTreeSet<Slot> = checks.iter().filter(|(_, check)| check.settled).map(|(slot, _)| *slot).collect();
        let settled = &settled;
        let work = by_peer.into_iter().map(|(peer, slots)| async move {
            let equal = self.compare_with(&peer, &slots, settled, full).await;
            (peer, equal)
        });
        for (peer, equal) in futures_util::future::join_all(work).await {
            for slot in equal {
                if let Some(check) = checks.get_mut(&slot) {
                    check.equal.insert(peer.clone());
                }
            }
        }
        let mut left = false;
        let mut state = self.state();
        for (slot, check) in checks {
            let in_sync = check.equal == check.others;
            state.table.set_in_sync(slot, check.list, in_sync);
            let mut lacking = check.others.difference(&check.equal);
            // What was missed during the pass may be a deletion.
            let missed = state.dirty.contains(&slot);
            if !in_sync && !missed && lacking.all(|peer| state.no_room_for.contains(&(slot, peer.boot))) {
                state.only_room.insert(slot);
            } else {
                state.only_room.remove(&slot);
            }
            if !in_sync {
                state.dirty.insert(slot);
            }
            left |= !in_sync || missed;
        }
        state.checking.clear();
        left
    }

    fn checks(&self, full: bool) -> BTreeMap<Slot, Check> {
        let view = self.view();
        let replicas = self.replicas();
        let mut state = self.state();
        let dirty = std::mem::take(&mut state.dirty);
        state.checking.clone_from(&dirty);
        state.no_room_for.clear();
        let due = |s: &SlotState| s.readable() && (full || !s.in_sync);
        let mut slots: BTreeSet<Slot> = state.table.slots_where(due).into_iter().collect();
        slots.retain(|slot| self.is_first(&view, *slot));
        let (now, later): (Vec<Slot>, Vec<Slot>) =
            dirty.iter().copied().partition(|slot| state.table.get(*slot).is_some_and(SlotState::readable));
        slots.extend(now);
        // What this node has not caught up with is looked at when it has; what it does not hold is for others.
        let listed = |slot: &Slot| state.table.get(*slot).is_some_and(|s| s.listed);
        let later: Vec<Slot> = later.into_iter().filter(listed).collect();
        state.dirty.extend(later);
        let check = |slot: Slot| {
            let (list, in_sync) = state.table.get(slot).map(|s| (s.list, s.in_sync))?;
            let settled = in_sync && !dirty.contains(&slot);
            let members = view.replica_list(slot, replicas);
            let others = members.iter().map(|m| Peer::from(view.member(*m))).filter(|p| p.boot != self.boot).collect();
            Some((slot, Check { list, others, equal: BTreeSet::new(), settled }))
        };
        slots.into_iter().filter_map(check).collect()
    }

    /// Makes the slots equal here and at `peer`; returns those that were.
    async fn compare_with(
        self: &Arc<Self>,
        peer: &Peer,
        slots: &[Slot],
        settled: &BTreeSet<Slot>,
        full: bool,
    ) -> Vec<Slot> {
        let suspect = self.state().members.get(&peer.node_id).is_none_or(|k| k.record().verdict != Verdict::Alive);
        if suspect {
            return Vec::new();
        }
        // Sums say nothing of slots in which records were evicted here.
        let unsettled = |slot: &Slot| !settled.contains(slot) && self.store.evicted_before_s(*slot) > 0;
        let (unsettled, slots): (Vec<Slot>, Vec<Slot>) = slots.iter().partition(|slot| unsettled(slot));
        let Ok((mut equal, mut rest)) = self.sift(peer, &slots, full).await else { return Vec::new() };
        rest.extend(unsettled);
        let Ok(compared) = self.compare(peer, &rest).await else { return equal };
        let (mut differing, mut evicting, mut strangers) = (Vec::new(), Vec::new(), Vec::new());
        for Compared { slot, ours, theirs } in compared {
            let list = self.state().table.list(slot);
            if list != Some(theirs.list) {
                strangers.push(slot);
            } else if theirs.standing != Standing::CaughtUp {
                // It catches up by itself; this node is one of its sources.
            } else if ours == theirs.fingerprint {
                equal.push(slot);
            } else if theirs.evicted_before_s.max(self.store.evicted_before_s(slot)) == 0 {
                differing.push((slot, 0));
            } else if settled.contains(&slot) {
                equal.push(slot);
            } else {
                evicting.push((slot, theirs.evicted_before_s));
            }
        }
        if !strangers.is_empty() {
            let _ = self.sync(peer, &strangers).await;
        }
        let until = Some(self.env.now() + SLICE);
        self.reconcile(peer, &differing, Direction::Both, until).await;
        equal.extend(self.reconcile(peer, &evicting, Direction::Both, until).await.0);
        equal
    }

    /// Slots of which this node knows that a replica lacks something that the others have.
    pub(super) fn lacking(&self) -> BTreeSet<Slot> {
        let (differing, missed, only_room) = {
            let state = self.state();
            let differing = state.table.slots_where(|s| s.listed && !s.in_sync);
            let missed: Vec<Slot> = state.dirty.iter().chain(&state.checking).copied().collect();
            (differing, missed, state.only_room.clone())
        };
        let view = self.view();
        let differing = differing.into_iter().filter(|slot| self.is_first(&view, *slot));
        differing.chain(missed).filter(|slot| !only_room.contains(slot)).collect()
    }

    /// The others of the lists of those.
    pub(super) fn company_in(&self, slots: impl Iterator<Item = Slot>) -> BTreeSet<Peer> {
        let view = self.view();
        let members: BTreeSet<u32> = slots.flat_map(|slot| view.replica_list(slot, self.replicas())).collect();
        members.into_iter().map(|m| Peer::from(view.member(m))).filter(|p| p.boot != self.boot).collect()
    }

    fn is_first(&self, view: &RingView, slot: Slot) -> bool {
        view.replica_list(slot, self.replicas()).first().is_some_and(|m| view.member(*m).boot == self.boot)
    }

    /// Slots that this node is first for and that do not have all their replicas, caught up and equal.
    pub(crate) fn under_replicated_slots(&self) -> u64 {
        let view = self.view();
        let lacks = |s: &SlotState| s.listed && !(s.in_sync && s.standing == Standing::CaughtUp);
        let lacking = self.state().table.slots_where(lacks);
        lacking.iter().filter(|slot| self.is_first(&view, **slot) && view.members().len() > 1).count() as u64
    }
}
