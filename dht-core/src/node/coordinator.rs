//! Writes, on the owner's side: it stamps each operation, holds the key's place in line and replicates it
//! (Dynamo 2007, §4.5, with a fixed coordinator per slot).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::atomic::Effect;
use super::attempts::{finish, settle};
use super::lines::{Entry, Place};
use super::owners::To;
use super::peers::Peer;
use super::prepare::{Prepared, Seen};
use super::replicate::{Superseded, Write};
use super::serve::Slots;
use super::{Node, Phase, shown};
use crate::config::Consistency;
use crate::data::record::{KeyDigest, OpId, Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::list::{Agreement, Waits};
use crate::ring::slot::Slot;
use crate::ring::view::RingView;
use crate::wire::message::{Action, OpResult, Operation, PutOutcome};

impl Node {
    /// The owner's side: carries out what this node owns, in line per key, and says of the rest that it is misrouted.
    pub(crate) async fn coordinate(
        self: &Arc<Self>,
        operations: Vec<Operation>,
        level: Consistency,
        deadline: Instant,
        attempt: u32,
    ) -> Vec<OpResult> {
        // Asked before anything is waited for: others may have carried out a first try that came while this node stood still.
        let stalled = self.stood_still();
        let mut results: Vec<Option<OpResult>> = operations.iter().map(|_| None).collect();
        let view = self.view();
        let slots: Slots = operations.iter().map(|operation| self.slot_of(&operation.key)).collect();
        for ((operation, slot), result) in operations.iter().zip(&slots).zip(&mut results) {
            if self.owner_in(&view, *slot) != Some(To::Here) {
                *result = Some(self.misrouted(operation));
            } else if let Err(error) = self.enough_in_sight(&view, *slot) {
                *result = Some(OpResult::Failed(error));
            }
        }
        let mine: Vec<usize> = (0..operations.len()).filter(|i| results[*i].is_none()).collect();
        let _places = match self.stand_in_line(&operations, &mine, &mut results, deadline).await {
            Ok(places) => places,
            Err(error) => {
                settle(&mut results, &mine, &error);
                return finish(results);
            }
        };
        let mine: Vec<usize> = mine.into_iter().filter(|i| results[*i].is_none()).collect();
        for &index in &mine {
            if self.unchanged.is_over(operations[index].id, attempt) && !planted!("late_attempt") {
                let context = "this attempt came twice, or too late: an earlier or later one found nothing to do";
                results[index] = Some(OpResult::Failed(Error::new(ErrorKind::Quorum, context).unknown_outcome()));
            }
        }
        let mine: Vec<usize> = mine.into_iter().filter(|i| results[*i].is_none()).collect();
        let mut retry = attempt > 0 || stalled || self.stood_still();
        let waits = |i: usize| match retry || operations[i].action.depends() {
            true => Waits::ToDecide,
            false => Waits::ToStamp,
        };
        self.former_owners_have_ended(mine.iter().map(|&i| (slots[i], waits(i))), deadline).await;
        if self.env.now() >= deadline {
            // Who asked has given up, and what is written now would be for nobody.
            let context = "the key has a new owner, and the one before it did not answer in time";
            settle(&mut results, &mine, &Error::new(ErrorKind::Timeout, context).out_of_time());
            return finish(results);
        }
        let (mut pending, mut again) = (mine, false);
        let mut seen: BTreeMap<OpId, Seen> = BTreeMap::new();
        loop {
            let looks = |i: &usize| again || retry || operations[*i].action.depends();
            let looked: Vec<usize> = pending.iter().copied().filter(looks).collect();
            let retries = retry && !again;
            for (index, error) in self.look_first(&operations, &looked, retries, &mut seen, deadline).await {
                let error = if again { error.unknown_outcome() } else { error };
                results[index] = Some(OpResult::Failed(error));
            }
            pending.retain(|i| results[*i].is_none());
            if !retry && self.stood_still() {
                // What was seen is old by now.
                retry = true;
                let slots = pending.iter().map(|&i| (slots[i], Waits::ToDecide));
                self.former_owners_have_ended(slots, deadline).await;
                continue;
            }
            let now = self.view();
            if again || !Arc::ptr_eq(&view, &now) {
                self.hand_back(&now, &operations, &slots, &mut pending, again, &mut results);
            }
            let to_do = ToDo {
                operations: &operations,
                slots: &slots,
                which: &pending,
                again,
                attempt,
                seen: &seen,
                view: &now,
            };
            let superseded = self.carry_out(to_do, level, deadline, &mut results).await;
            if superseded.is_empty() {
                return finish(results);
            }
            let brought = self.bring_refusing(&superseded, deadline).await;
            pending.clear();
            for ((index, superseded), brought) in superseded.into_iter().zip(brought) {
                match brought {
                    Ok(()) => {
                        seen.entry(operations[index].id).or_default().wrote = Some(superseded.wrote);
                        pending.push(index);
                    }
                    Err(error) => {
                        let context =
                            format!("a replica has a higher version, and did not show it: {}", error.context());
                        results[index] = Some(OpResult::Failed(undecided(&context)));
                    }
                }
            }
            again = true;
        }
    }

    /// Stamps, keeps and replicates what the operations come to. Returns those that met a higher version: they are to be
    /// decided once more, on what that one wrote.
    async fn carry_out(
        self: &Arc<Self>,
        ToDo { operations, slots, which, again, attempt, seen, view }: ToDo<'_>,
        level: Consistency,
        deadline: Instant,
        results: &mut [Option<OpResult>],
    ) -> Vec<(usize, Superseded)> {
        let (mut kept, mut batch) = (Vec::with_capacity(which.len()), Vec::with_capacity(which.len()));
        for &index in which {
            let (operation, slot) = (&operations[index], slots[index]);
            // A large batch takes its time, and a slot may be handed over meanwhile.
            if !again && !Arc::ptr_eq(view, &self.view.load()) && !self.owns(&self.view(), slot) {
                results[index] = Some(self.misrouted(operation));
                continue;
            }
            match self.prepare(operation, slot, again, attempt > 0, seen.get(&operation.id)) {
                Ok(Prepared::Write { record, effect, replayed }) => {
                    let noted = replayed.unwrap_or(record.version);
                    self.recent.applied(operation.id, noted, &effect);
                    kept.push((index, Kept::Applied { effect, noted }));
                    batch.push(Write::new(slot, record, operation.action.depends()));
                }
                Ok(Prepared::Confirm { record, result }) => {
                    kept.push((index, Kept::Confirmed(result)));
                    batch.push(Write::new(slot, record, true));
                }
                Ok(Prepared::Done(result)) => {
                    self.unchanged.note(operation.id, attempt);
                    results[index] = Some(result);
                }
                Err(error) if again => results[index] = Some(OpResult::Failed(error.unknown_outcome())),
                Err(error) => results[index] = Some(OpResult::Failed(error)),
            }
        }
        let mut unfinished = Unfinished { node: self, slots: batch.iter().map(Write::slot).collect() };
        self.replicate(&mut batch, level, deadline).await;
        unfinished.slots.clear();
        let mut superseded = Vec::new();
        for ((index, kept), mut write) in kept.into_iter().zip(batch) {
            if let Some(by) = write.superseded().filter(|_| self.env.now() < deadline) {
                // However that ends, until it is written anew.
                if matches!(kept, Kept::Applied { .. }) && !planted!("refused_try_counts") {
                    self.recent.doubt(operations[index].id);
                }
                superseded.push((index, by));
                continue;
            }
            results[index] = Some(match (write.into_outcome(), kept) {
                (Ok(outcome), Kept::Applied { effect, noted }) => {
                    let Effect { existed, value } = effect;
                    OpResult::Written { outcome: PutOutcome { version: noted, ..outcome }, existed, value }
                }
                (Ok(_), Kept::Confirmed(result)) => {
                    self.unchanged.note(operations[index].id, attempt);
                    result
                }
                (Err(error), kept) => {
                    if matches!(kept, Kept::Applied { .. }) {
                        self.recent.doubt(operations[index].id);
                    }
                    OpResult::Failed(error)
                }
            });
        }
        superseded
    }

    /// Takes the place of every key, in one order for all, so that two batches cannot wait for each other. What cannot even
    /// wait, since too much does, is refused at once, for itself.
    async fn stand_in_line(
        &self,
        operations: &[Operation],
        mine: &[usize],
        results: &mut [Option<OpResult>],
        deadline: Instant,
    ) -> Result<Vec<Place>> {
        let digest = |i: usize| KeyDigest::of(operations[i].map, &operations[i].key);
        let mut keys: Vec<KeyDigest> = mine.iter().map(|&i| digest(i)).collect();
        keys.sort_unstable();
        keys.dedup();
        if planted!("no_line") {
            keys.clear();
        }
        let mut places = Vec::with_capacity(keys.len());
        for key in keys {
            match self.lines.enter(key) {
                Entry::Free(place) => places.push(place),
                Entry::Wait(turn) => match tokio::time::timeout_at(deadline, turn).await {
                    Ok(Ok(place)) => places.push(place),
                    Ok(Err(_)) => return Err(self.ended_error()),
                    Err(_) => {
                        let context = "other operations of the same key took all the time";
                        return Err(Error::new(ErrorKind::Timeout, context));
                    }
                },
                Entry::Full => {
                    let context = "too many operations of the same key are waiting already";
                    let error = Error::new(ErrorKind::Overloaded, context);
                    let of_key: Vec<usize> = mine.iter().copied().filter(|i| digest(*i) == key).collect();
                    settle(results, &of_key, &error);
                }
            }
        }
        Ok(places)
    }

    /// Brings the newest version of the keys here, from a quorum, and notes what was `seen`: for what depends on the
    /// present value, and for `retries`, which another owner may have applied already.
    async fn look_first(
        self: &Arc<Self>,
        operations: &[Operation],
        which: &[usize],
        retries: bool,
        seen: &mut BTreeMap<OpId, Seen>,
        deadline: Instant,
    ) -> Vec<(usize, Error)> {
        if which.is_empty() || planted!("no_look_first") {
            return Vec::new();
        }
        let slots = || which.iter().map(|&index| self.slot_of(&operations[index].key));
        // The first of a ring that comes back is alone too, and does not know yet what the others have kept.
        if self.alone() && (slots().all(|slot| self.readable.get(slot)) || planted!("alone_blind")) {
            // What is told of what is here has to be there after a restart too.
            let settled = self.settled(slots());
            let failed = settled.wait_until(deadline).await.err();
            return failed.map_or_else(Vec::new, |error| which.iter().map(|&i| (i, error.clone())).collect());
        }
        let looked: Vec<&Operation> = which.iter().map(|&i| &operations[i]).collect();
        let found = self.read_for(&looked, retries, deadline).await;
        let mut failed = Vec::new();
        for (&index, result) in which.iter().zip(found) {
            // What is deleted next makes no store larger for long.
            let deleted = matches!(operations[index].action, Action::Delete);
            let kept = result.and_then(|(record, stored_as)| {
                let seen = seen.entry(operations[index].id).or_default();
                seen.newest = record.as_ref().map(|r| r.version);
                seen.stored_as = seen.stored_as.max(stored_as);
                match record {
                    Some(record) if deleted => {
                        self.store.merge_beyond_bound(self.slot_of(&record.key), record).map(|_| ())
                    }
                    Some(record) => self.store.merge(self.slot_of(&record.key), record).map(|_| ()),
                    None => Ok(()),
                }
            });
            if let Err(error) = kept {
                failed.push((index, error));
            }
        }
        failed
    }

    /// Brings here what the refusing replicas have: a quorum need not have it yet.
    async fn bring_refusing(&self, superseded: &[(usize, Superseded)], deadline: Instant) -> Vec<Result<()>> {
        let mut by_peer: BTreeMap<Arc<Peer>, Vec<(usize, Slot, KeyDigest)>> = BTreeMap::new();
        // What this node itself has is here.
        let elsewhere = superseded.iter().enumerate().filter(|(_, (_, superseded))| superseded.by.boot != self.boot);
        for (at, (_, Superseded { by, slot, wrote })) in elsewhere {
            by_peer.entry(by.clone()).or_default().push((at, *slot, wrote.digest()));
        }
        let mut brought: Vec<Result<()>> = superseded.iter().map(|_| Ok(())).collect();
        let fetch = |(peer, wanted): (Arc<Peer>, Vec<(usize, Slot, KeyDigest)>)| async move {
            let items = wanted.iter().map(|&(_, slot, digest)| (slot, digest)).collect();
            let fetched = tokio::time::timeout_at(deadline, self.fetch_newer(&peer, items)).await;
            let late = |_| Err(Error::new(ErrorKind::Timeout, format!("{} did not tell what it has", peer.node_id)));
            (wanted, fetched.unwrap_or_else(late))
        };
        for (wanted, fetched) in join_all(by_peer.into_iter().map(fetch)).await {
            if let Err(error) = fetched {
                wanted.into_iter().for_each(|(at, ..)| brought[at] = Err(error.clone()));
            }
        }
        brought
    }

    /// This node is the whole ring.
    pub(crate) fn alone(&self) -> bool {
        let view = self.view.load();
        view.members().len() == 1 && view.members()[0].record.node_id == self.node_id
    }

    /// The fast path of one put in a ring of one: no message, no wait, no task switch. `None`: take the long way, which
    /// knows the operation by its id if it was carried out here.
    pub(crate) fn put_alone(&self, operation: &Operation) -> Option<OpResult> {
        if self.life.phase() != Phase::Active || !self.alone() || self.config.min_replicas > 1 {
            return None;
        }
        let Entry::Free(_place) = self.lines.enter(KeyDigest::of(operation.map, &operation.key)) else { return None };
        let slot = self.slot_of(&operation.key);
        if !self.readable.get(slot) {
            return None;
        }
        let prepared = self.prepare(operation, slot, false, false, None);
        // Somebody may have joined since the first look, and have copied the slot before the record was in it. Whoever
        // copies it after this look finds the record: the store's lock orders the two.
        if !self.alone() {
            if let Ok(Prepared::Write { record, effect, .. }) = &prepared {
                self.recent.applied(operation.id, record.version, effect);
            }
            return None;
        }
        Some(match prepared {
            Ok(Prepared::Write { record, effect: Effect { existed, value }, .. }) => {
                let degraded = self.replicas() > 1;
                let outcome = PutOutcome { version: record.version, acks: 1, wanted: 1, set_size: 1, degraded };
                OpResult::Written { outcome, existed, value }
            }
            Ok(Prepared::Done(result) | Prepared::Confirm { result, .. }) => result,
            Err(error) => OpResult::Failed(error),
        })
    }

    /// Holds back what `put_alone` did with `key`, or found there, until that is as durable as was promised.
    ///
    /// # Errors
    /// `Storage` if the disk failed, `Timeout` if it takes too long: the write may be there after a restart.
    pub(crate) async fn settle_alone(&self, key: &[u8], result: OpResult, deadline: Instant) -> OpResult {
        let slot = self.slot_of(key);
        let written = matches!(&result, OpResult::Written { outcome, .. } if outcome.acks > 0);
        let ticket = if written { self.store.ticket(slot) } else { self.settled(std::iter::once(slot)) };
        if ticket.is_ready() {
            return result;
        }
        match ticket.wait_until(deadline).await {
            Ok(()) => result,
            Err(error) => OpResult::Failed(if written { error.unknown_outcome() } else { error }),
        }
    }

    /// What this node says of a slot's list when it writes to the others.
    pub(crate) fn own_agreement(&self, slot: Slot) -> Option<(crate::ring::list::ListId, bool)> {
        let mut state = self.state();
        let list = state.table.get(slot).filter(|s| s.listed).map(|s| s.list)?;
        match state.table.agree(slot, list, true) {
            Agreement::Same { counts } => Some((list, counts)),
            Agreement::Stale(_) => None,
        }
    }
}

/// Slots of writes that are kept here but not yet replicated: a caller that gives up and drops its call leaves them to
/// the repair.
struct Unfinished<'a> {
    node: &'a Node,
    slots: SmallVec<[Slot; 1]>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        for slot in &self.slots {
            self.node.mark_dirty(*slot);
        }
    }
}

/// Operations to carry out.
struct ToDo<'a> {
    operations: &'a [Operation],
    slots: &'a [Slot],
    which: &'a [usize],
    /// What was written for them before met higher versions.
    again: bool,
    /// Of the caller.
    attempt: u32,
    seen: &'a BTreeMap<OpId, Seen>,
    /// In which this node owned all of them.
    view: &'a Arc<RingView>,
}

/// What is told when the record that was sent to the replicas is there.
enum Kept {
    /// That of the operation, or of one that it was before; it is remembered under the version `noted`.
    Applied { effect: Effect, noted: Version },
    /// Another's: the operation found nothing to do.
    Confirmed(OpResult),
}

/// The error of a write that met a higher version and cannot be decided on that. It is not tried again: a retry finds what is
/// left of it below that version, and cannot tell in which order the two came.
pub(super) fn undecided(context: &str) -> Error {
    Error::new(ErrorKind::Quorum, context).unknown_outcome()
}

/// The error of a write that too few replicas acknowledged.
pub(crate) fn too_few(record: &Record, acks: usize, wanted: usize, set_size: usize, silent: bool) -> Error {
    let context =
        format!("{acks} of {set_size} replicas have the write of {}, the level asks for {wanted}", shown(&record.key));
    let kind = if silent { ErrorKind::Timeout } else { ErrorKind::Quorum };
    let error = Error::new(kind, context);
    if planted!("failure_denied") { error } else { error.unknown_outcome() }
}
