//! Anti-entropy: the first member of a list compares the slot with the others until all are caught up and equal, after
//! every change and once in a while; whoever coordinated a write that missed a replica compares that slot at once.
//!
//! Where records were evicted, replicas differ for good. Such a slot is looked at after a change and when a write
//! missed a replica, and then gets what is newer than all that may have been evicted; after that it counts as equal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smallvec::SmallVec;

use super::pace::SLICE;
use super::reconcile::{Compared, Direction};
use super::round::Left;
use crate::node::peers::Peer;
use crate::node::{Node, State};
use crate::ring::list::{ListId, SlotState, Standing};
use crate::ring::record::Verdict;
use crate::ring::slot::Slot;
use crate::ring::view::RingView;

/// A slot being compared: its list, who else is in it, and who of them, by boot, is known to be equal.
struct Check {
    list: ListId,
    others: Arc<[Peer]>,
    equal: SmallVec<[u64; 2]>,
    /// It was found equal since its list last changed, and no write is known to have missed a replica since.
    settled: bool,
}

/// The list of one slot after the other: slots next to each other mostly share it.
struct ListOf<'a> {
    view: &'a RingView,
    replicas: usize,
    boot: u64,
    arc: Option<Option<usize>>,
    last: Listed,
}

/// Whether this node is first in a list, and who else is in it.
struct Listed {
    first: bool,
    others: Arc<[Peer]>,
}

impl<'a> ListOf<'a> {
    fn new(node: &Node, view: &'a RingView) -> Self {
        let last = Listed { first: false, others: Arc::default() };
        Self { view, replicas: node.replicas(), boot: node.boot, arc: None, last }
    }

    fn of(&mut self, slot: Slot) -> &Listed {
        let arc = self.view.arc(slot);
        if self.arc != Some(arc) {
            self.arc = Some(arc);
            let members = self.view.replica_list(slot, self.replicas);
            let first = members.first().is_some_and(|m| self.view.member(*m).boot == self.boot);
            let peers = members.iter().map(|m| Peer::from(self.view.member(*m)));
            self.last = Listed { first, others: peers.filter(|peer| peer.boot != self.boot).collect() };
        }
        &self.last
    }
}

impl Node {
    /// One pass over what may differ (`full`: over everything this node is first for).
    pub(super) async fn compare_replicas(self: &Arc<Self>, full: bool) -> Left {
        let (mut checks, others) = self.checks(full);
        let mut by_peer: BTreeMap<Peer, Vec<Slot>> = BTreeMap::new();
        for (slot, check) in &checks {
            for peer in &*check.others {
                match by_peer.get_mut(peer) {
                    Some(slots) => slots.push(*slot),
                    None => drop(by_peer.insert(peer.clone(), vec![*slot])),
                }
            }
        }
        let settled: BTreeSet<Slot> = checks.iter().filter(|(_, check)| check.settled).map(|(slot, _)| *slot).collect();
        let settled = &settled;
        let work = by_peer.into_iter().map(|(peer, slots)| async move {
            let (equal, differed) = self.compare_with(&peer, &slots, settled, full).await;
            (peer, equal, differed)
        });
        let (mut left, mut differed, mut progress) = (false, false, false);
        for (peer, equal, differed_there) in futures_util::future::join_all(work).await {
            differed |= differed_there;
            for slot in equal {
                if let Some(check) = checks.get_mut(&slot) {
                    check.equal.push(peer.boot);
                }
            }
        }
        let mut state = self.state();
        for (slot, check) in checks {
            let mut lacking = check.others.iter().filter(|peer| !check.equal.contains(&peer.boot)).peekable();
            let in_sync = lacking.peek().is_none();
            progress |= in_sync;
            state.table.set_in_sync(slot, check.list, in_sync);
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
        match others.max(Left::some(left)) {
            Left::Nothing => Left::Nothing,
            // Where others have to do something first, other slots would be looked at in vain too.
            _ if !progress && !differed => Left::InVain,
            Left::Turns if !progress => Left::Some,
            left => left,
        }
    }

    /// What this pass looks at, and which slots are left.
    fn checks(&self, full: bool) -> (BTreeMap<Slot, Check>, Left) {
        let view = self.view();
        let mut list = ListOf::new(self, &view);
        let mut state = self.state();
        let State { table, dirty, comparing, checking, no_room_for, .. } = &mut *state;
        no_room_for.clear();
        // What this node does not hold is for others.
        dirty.retain(|slot| table.get(*slot).is_some_and(|s| s.listed));
        let readable = |slot: &Slot| table.get(*slot).is_some_and(SlotState::readable);
        let (slots, others) = if full {
            let mut slots: BTreeSet<Slot> = table.slots_where(SlotState::readable).into_iter().collect();
            slots.retain(|slot| list.of(*slot).first);
            slots.extend(dirty.iter().copied().filter(readable));
            (slots.into_iter().collect(), Left::Nothing)
        } else {
            // What this node has not caught up with is looked at when it has.
            comparing.turn(|first, most| {
                let differing = table.differing_from(first).filter(|slot| list.of(*slot).first && readable(slot));
                let mut slots: Vec<Slot> = differing.take(most).collect();
                slots.extend(dirty.range(first..).copied().filter(readable).take(most));
                slots.sort_unstable();
                slots.dedup();
                slots.truncate(most);
                slots
            })
        };
        *checking = slots.iter().copied().filter(|slot| dirty.remove(slot)).collect();
        let check = |slot: &Slot| {
            let (id, in_sync) = table.get(*slot).map(|s| (s.list, s.in_sync))?;
            let settled = in_sync && !checking.contains(slot);
            let others = list.of(*slot).others.clone();
            Some((*slot, Check { list: id, others, equal: SmallVec::new(), settled }))
        };
        (slots.iter().filter_map(check).collect(), others)
    }

    /// Makes the slots equal here and at `peer`; returns those that are, and whether it had something to do for that.
    async fn compare_with(
        self: &Arc<Self>,
        peer: &Peer,
        slots: &[Slot],
        settled: &BTreeSet<Slot>,
        full: bool,
    ) -> (Vec<Slot>, bool) {
        let suspect = self.state().members.get(&peer.node_id).is_none_or(|k| k.record().verdict != Verdict::Alive);
        if suspect {
            return (Vec::new(), false);
        }
        // Sums say nothing of slots in which records were evicted here.
        let unsettled = |slot: &Slot| !settled.contains(slot) && self.store.evicted_before_s(*slot) > 0;
        let (unsettled, slots): (Vec<Slot>, Vec<Slot>) = slots.iter().partition(|slot| unsettled(slot));
        let Ok((mut equal, mut rest)) = self.sift(peer, &slots, full).await else { return (Vec::new(), false) };
        rest.extend(unsettled);
        let Ok(compared) = self.compare(peer, &rest).await else { return (equal, false) };
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
        let differed = !(differing.is_empty() && evicting.is_empty());
        let until = Some(self.env.now() + SLICE);
        self.reconcile(peer, &differing, Direction::Both, until).await;
        equal.extend(self.reconcile(peer, &evicting, Direction::Both, until).await.0);
        (equal, differed)
    }

    /// Slots of which this node knows that a replica lacks something that the others have.
    pub(super) fn lacking(&self) -> BTreeSet<Slot> {
        let (differing, missed, only_room) = {
            let state = self.state();
            let differing: Vec<Slot> = state.table.differing_from(Slot(0)).collect();
            let missed: Vec<Slot> = state.dirty.iter().chain(&state.checking).copied().collect();
            (differing, missed, state.only_room.clone())
        };
        let view = self.view();
        let mut list = ListOf::new(self, &view);
        let differing = differing.into_iter().filter(|slot| list.of(*slot).first);
        differing.chain(missed).filter(|slot| !only_room.contains(slot)).collect()
    }

    /// The others of the lists of those.
    pub(super) fn company_in(&self, slots: impl Iterator<Item = Slot>) -> BTreeSet<Peer> {
        let view = self.view();
        let members: BTreeSet<u32> = slots.flat_map(|slot| view.replica_list(slot, self.replicas())).collect();
        members.into_iter().map(|m| Peer::from(view.member(m))).filter(|p| p.boot != self.boot).collect()
    }

    /// Slots that this node is first for and that do not have all their replicas, caught up and equal.
    pub(crate) fn under_replicated_slots(&self) -> u64 {
        let view = self.view();
        let lacks = |s: &SlotState| s.listed && !(s.in_sync && s.standing == Standing::CaughtUp);
        let lacking = self.state().table.slots_where(lacks);
        if view.members().len() < 2 {
            return 0;
        }
        let mut list = ListOf::new(self, &view);
        lacking.iter().filter(|slot| list.of(**slot).first).count() as u64
    }
}
