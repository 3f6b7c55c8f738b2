//! Writes, from the caller's side to the owner's: route each operation to its slot's owner, who stamps it, holds the
//! key's place in line and replicates it (Dynamo 2007, §4.5, with a fixed coordinator per slot).
//!
//! Invariant: an operation has one id for life, whatever nodes it passes; whoever finds the id in the key's record
//! knows that it was applied and does not apply it again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::atomic::{Decision, Effect, decide};
use super::follow::{What, outcome_of_all};
use super::lines::{Entry, Place};
use super::parts::parts;
use super::peers::Peer;
use super::replicate::Write;
use super::{Node, Phase, no_result, shown, stopped};
use crate::config::Consistency;
use crate::data::record::{KeyDigest, OPERATIONS_MAX, OpId, Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::list::Agreement;
use crate::ring::record::{NodeId, Verdict};
use crate::ring::slot::Slot;
use crate::ring::view::RingView;
use crate::store::{Merged, Ticket};
use crate::wire::message::{Action, OpResult, Operation, PutOutcome, Request, Response};

/// First pause before a failed operation is tried again; doubles up to `PAUSE_MAX`.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Few calls last longer: a retry whose first try was so long ago is looked for among what the present replicas remember.
const CALL_USUAL_MAX: Duration = Duration::from_secs(60);

/// How often operations were tried.
#[derive(Clone, Copy)]
struct Tries {
    /// From 0 on.
    attempt: u32,
    /// The same for their owner, but 0 while certainly none of them was carried out.
    told: u32,
}

/// Where an operation goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum To {
    Here,
    Peer(Peer),
}

impl Node {
    /// Carries out `operations`, each at the owner of its key; results in their order, by `deadline`.
    pub(crate) async fn write(
        self: &Arc<Self>,
        operations: &[Operation],
        level: Consistency,
        deadline: Instant,
    ) -> Vec<OpResult> {
        let mut results: Vec<Option<OpResult>> = operations.iter().map(|_| None).collect();
        let mut pending: Vec<usize> = (0..operations.len()).collect();
        // Where tries went that may have been carried out.
        let mut doubted: BTreeMap<usize, SmallVec<[u64; 2]>> = BTreeMap::new();
        let (mut attempt, mut pause) = (0, PAUSE_MIN);
        self.retries.first();
        while !pending.is_empty() {
            let seen = self.progress.seen();
            if let Err(error) = self.joined_by(deadline).await {
                settle(&mut results, &pending, &error);
                break;
            }
            let mut failed = false;
            let in_doubt = pending.iter().any(|i| doubted.contains_key(i));
            let tries = Tries { attempt, told: if in_doubt { attempt } else { 0 } };
            for (index, boot, result) in self.attempt(operations, &pending, level, deadline, tries).await {
                let earlier = results[index].take();
                let doubt = doubted.contains_key(&index);
                if doubtful(&result) {
                    doubted.entry(index).or_default().push(boot);
                }
                let elsewhere = || doubted.get(&index).is_some_and(|tried| tried.iter().any(|b| *b != boot));
                failed |= matches!(&result, OpResult::Failed(error) if error.kind() != ErrorKind::NotJoined);
                results[index] = Some(match result {
                    // What an earlier attempt may have done, a later refusal does not undo.
                    OpResult::Failed(error) if doubt => OpResult::Failed(error.unknown_outcome()),
                    OpResult::Misrouted if doubt => earlier.unwrap_or(OpResult::Misrouted),
                    // What another node may have written for it can still come to light.
                    result if found_nothing(&result) && elsewhere() && !planted!("denied_elsewhere") => {
                        OpResult::Failed(applied_before("whether the node that was asked then carried it out"))
                    }
                    result => result,
                });
            }
            pending.retain(|i| results[*i].as_ref().is_none_or(worth_retrying));
            attempt += u32::from(failed);
            let now = self.env.now();
            if pending.is_empty() || attempt > self.config.max_retries || now + pause >= deadline {
                break;
            }
            // Nodes that do not agree on the owner yet are no reason to spare them.
            let retry_at = match failed {
                true => self.retries.reserve(now, deadline),
                false => Some(now),
            };
            let Some(retry_at) = retry_at else { break };
            self.progress.since(seen, (now + self.env.jittered(pause)).min(deadline)).await;
            tokio::time::sleep_until(retry_at).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let shape = |result: Option<OpResult>| match result {
            None | Some(OpResult::Misrouted) => {
                let context = "the nodes asked do not agree on who owns the key yet";
                OpResult::Failed(Error::new(ErrorKind::Timeout, context))
            }
            Some(result) => result,
        };
        results.into_iter().map(shape).collect()
    }

    /// One attempt at all pending operations, grouped by owner; the boot of whom each was sent to, and what came of it.
    async fn attempt(
        self: &Arc<Self>,
        operations: &[Operation],
        pending: &[usize],
        level: Consistency,
        deadline: Instant,
        tries: Tries,
    ) -> Vec<(usize, u64, OpResult)> {
        let mut groups: BTreeMap<To, Vec<usize>> = BTreeMap::new();
        let mut results = Vec::with_capacity(pending.len());
        let found = if self.walks() {
            let slots = pending.iter().map(|&index| self.slot_of(&operations[index].key));
            self.find_owners(slots, deadline).await
        } else {
            BTreeMap::new()
        };
        let view = self.view();
        for &index in pending {
            let to = match found.get(&self.slot_of(&operations[index].key)) {
                Some(Ok(owner)) => self.known(owner.coordinator()),
                Some(Err(error)) => Err(error.clone()),
                None => {
                    let unknown = || Error::new(ErrorKind::NotJoined, "no active node is known");
                    self.owner_in(&view, &operations[index]).ok_or_else(unknown)
                }
            };
            match to {
                Ok(to) => groups.entry(to).or_default().push(index),
                Err(error) => results.push((index, self.boot, OpResult::Failed(error))),
            }
        }
        let mut running = FuturesUnordered::new();
        let bytes_of = |&i: &usize| operations[i].key.len() + operations[i].action.values_len();
        let cut =
            |(to, all): (To, Vec<usize>)| parts(all, bytes_of).into_iter().map(move |indices| (to.clone(), indices));
        for (to, indices) in groups.into_iter().flat_map(cut) {
            running.push(async move {
                let batch: Vec<Operation> = indices.iter().map(|&i| operations[i].clone()).collect();
                let boot = match &to {
                    To::Here => self.boot,
                    To::Peer(peer) => peer.boot,
                };
                let answers = match to {
                    To::Here => {
                        let what = What { kind: "apply", attempt: tries.attempt, hedged: false };
                        let coordinated = self.coordinate(batch, level, deadline, tries.told);
                        self.step_here(what, |results| outcome_of_all(results), coordinated).await
                    }
                    To::Peer(peer) => self.ask_owner(&peer, batch, level, deadline, tries).await,
                };
                indices.into_iter().zip(answers).map(|(index, answer)| (index, boot, answer)).collect::<Vec<_>>()
            });
        }
        while let Some(answers) = running.next().await {
            results.extend(answers);
        }
        results
    }

    /// The owner: the slot's first replica that is not suspected; the first of all if all are.
    fn owner_in(&self, view: &RingView, operation: &Operation) -> Option<To> {
        let list = view.replica_list(self.slot_of(&operation.key), self.replicas());
        let owner = first_live(view, &list)?;
        let record = view.member(owner);
        Some(if record.node_id == self.node_id { To::Here } else { To::Peer(Peer::from(record)) })
    }

    /// How a node that a walk ended at is reached.
    fn known(&self, node_id: &NodeId) -> Result<To> {
        if *node_id == self.node_id {
            return Ok(To::Here);
        }
        let state = self.state();
        let peer = state.members.get(node_id).map(|known| To::Peer(Peer::from(known.record())));
        peer.ok_or_else(|| Error::new(ErrorKind::Unreachable, format!("nothing is known of the owner, {node_id}")))
    }

    async fn ask_owner(
        &self,
        peer: &Peer,
        operations: Vec<Operation>,
        level: Consistency,
        deadline: Instant,
        tries: Tries,
    ) -> Vec<OpResult> {
        let count = operations.len();
        let bytes: usize = operations.iter().map(|o| o.key.len() + o.action.values_len()).sum();
        let request = Request::Apply { operations, level, relay: false };
        // The owner waits for its replicas, so round trips say nothing here: a fair part of what is left, and all of it
        // for the last try. A large batch takes its time on the way; only small ones are worth an early second try.
        let now = self.env.now();
        let tries_left = self.config.max_retries.saturating_sub(tries.attempt) + 1;
        let share = deadline.saturating_duration_since(now) / tries_left;
        let until = if bytes > 64 << 10 { deadline } else { now + share };
        let what = What { kind: request.kind(), attempt: tries.attempt, hedged: false };
        match self.call_as(peer, request, until, tries.told, what).await {
            Ok(Response::Applied { results, records }) if results.len() == count => {
                self.learn(&records);
                if results.iter().any(|r| matches!(r, OpResult::Misrouted)) {
                    self.disagrees(&peer.node_id, 0);
                }
                results
            }
            Ok(_) => (0..count).map(|_| OpResult::Failed(super::serve::unexpected(peer).unknown_outcome())).collect(),
            Err(error) => (0..count).map(|_| OpResult::Failed(error.clone())).collect(),
        }
    }

    /// The owner's side: carries out what this node owns, in line per key, and says of the rest that it is misrouted.
    pub(crate) async fn coordinate(
        self: &Arc<Self>,
        operations: Vec<Operation>,
        level: Consistency,
        deadline: Instant,
        attempt: u32,
    ) -> Vec<OpResult> {
        let mut results: Vec<Option<OpResult>> = operations.iter().map(|_| None).collect();
        let view = self.view();
        for (operation, result) in operations.iter().zip(&mut results) {
            if self.owner_in(&view, operation) != Some(To::Here) {
                *result = Some(OpResult::Misrouted);
            } else if let Err(error) = self.enough_in_sight(&view, self.slot_of(&operation.key)) {
                *result = Some(OpResult::Failed(error));
            }
        }
        let mine: Vec<usize> = (0..operations.len()).filter(|i| results[*i].is_none()).collect();
        let _places = match self.stand_in_line(&operations, &mine, deadline).await {
            Ok(places) => places,
            Err(error) => {
                settle(&mut results, &mine, &error);
                return finish(results);
            }
        };
        for &index in &mine {
            if self.unchanged.is_over(operations[index].id, attempt) && !planted!("late_attempt") {
                let context = "this attempt came twice, or too late: an earlier or later one found nothing to do";
                results[index] = Some(OpResult::Failed(Error::new(ErrorKind::Quorum, context).unknown_outcome()));
            }
        }
        let mine: Vec<usize> = mine.into_iter().filter(|i| results[*i].is_none()).collect();
        let (mut pending, mut again) = (mine, false);
        let mut seen: BTreeMap<OpId, Seen> = BTreeMap::new();
        loop {
            let looks = |i: &usize| again || attempt > 0 || operations[*i].action.depends();
            let looked: Vec<usize> = pending.iter().copied().filter(looks).collect();
            let retries = attempt > 0 && !again;
            for (index, error) in self.look_first(&operations, &looked, retries, &mut seen, deadline).await {
                let error = if again { error.unknown_outcome() } else { error };
                results[index] = Some(OpResult::Failed(error));
            }
            pending.retain(|i| results[*i].is_none());
            self.hand_back(&operations, &mut pending, again, &mut results);
            let to_do = ToDo { operations: &operations, which: &pending, again, attempt, seen: &seen };
            let superseded = self.carry_out(to_do, level, deadline, &mut results).await;
            if superseded.is_empty() {
                return finish(results);
            }
            (pending, again) = (superseded, true);
        }
    }

    /// While an operation waited, another node may have become its key's owner: what depends on the present value is
    /// that one's to decide, else both would build on the same.
    fn hand_back(
        &self,
        operations: &[Operation],
        pending: &mut Vec<usize>,
        again: bool,
        results: &mut [Option<OpResult>],
    ) {
        let view = self.view();
        pending.retain(|&index| {
            let operation = &operations[index];
            let mine = !operation.action.depends() || self.owns(&view, self.slot_of(&operation.key));
            if !mine {
                // What was written before and met a higher version may be somewhere still.
                results[index] = Some(if again { OpResult::Failed(lost_slot()) } else { OpResult::Misrouted });
            }
            mine
        });
    }

    /// This node is the one that decides on the keys of the slot.
    pub(crate) fn owns(&self, view: &RingView, slot: Slot) -> bool {
        let owner = first_live(view, &view.replica_list(slot, self.replicas()));
        planted!("former_owner_decides") || owner.is_some_and(|m| view.member(m).node_id == self.node_id)
    }

    /// Stamps, keeps and replicates what the operations come to. Returns those that met a higher version and depend on
    /// what that one wrote: they are to be decided once more.
    async fn carry_out(
        self: &Arc<Self>,
        ToDo { operations, which, again, attempt, seen }: ToDo<'_>,
        level: Consistency,
        deadline: Instant,
        results: &mut [Option<OpResult>],
    ) -> Vec<usize> {
        let (mut kept, mut batch) = (Vec::with_capacity(which.len()), Vec::with_capacity(which.len()));
        for &index in which {
            let operation = &operations[index];
            match self.prepare(operation, again, attempt > 0, seen.get(&operation.id)) {
                Ok(Prepared::Write { record, effect, replayed }) => {
                    self.recent.applied(operation.id, replayed.unwrap_or(record.version), &effect);
                    kept.push((index, Kept::Applied { effect, replayed }));
                    batch.push(Write::new(self, record, operation.action.depends()));
                }
                Ok(Prepared::Confirm { record, result }) => {
                    kept.push((index, Kept::Confirmed(result)));
                    batch.push(Write::new(self, record, true));
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
        for ((index, kept), write) in kept.into_iter().zip(batch) {
            if write.superseded() && self.env.now() < deadline {
                superseded.push(index);
                continue;
            }
            results[index] = Some(match (write.into_outcome(), kept) {
                (Ok(outcome), Kept::Applied { effect, replayed }) => {
                    let version = replayed.unwrap_or(outcome.version);
                    self.recent.applied(operations[index].id, version, &effect);
                    let Effect { existed, value } = effect;
                    OpResult::Written { outcome: PutOutcome { version, ..outcome }, existed, value }
                }
                (Ok(_), Kept::Confirmed(result)) => {
                    self.unchanged.note(operations[index].id, attempt);
                    result
                }
                (Err(error), _) => OpResult::Failed(error),
            });
        }
        superseded
    }

    /// Takes the place of every key, in one order for all, so that two batches cannot wait for each other.
    async fn stand_in_line(&self, operations: &[Operation], mine: &[usize], deadline: Instant) -> Result<Vec<Place>> {
        let mut keys: Vec<KeyDigest> =
            mine.iter().map(|&i| KeyDigest::of(operations[i].map, &operations[i].key)).collect();
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
                    Ok(Err(_)) => return Err(stopped()),
                    Err(_) => {
                        let context = "other operations of the same key took all the time";
                        return Err(Error::new(ErrorKind::Timeout, context));
                    }
                },
                Entry::Full => {
                    let context = "too many operations of the same key are waiting already";
                    return Err(Error::new(ErrorKind::Overloaded, context));
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
        if which.is_empty() || self.alone() || planted!("no_look_first") {
            return Vec::new();
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

    /// Stamps what one operation comes to and keeps its record here. `again`: what was prepared before met a higher
    /// version. `retry`: an earlier try may have been carried out. `seen`: at a quorum, if it was asked.
    fn prepare(&self, operation: &Operation, again: bool, retry: bool, seen: Option<&Seen>) -> Result<Prepared> {
        let slot = self.slot_of(&operation.key);
        loop {
            let present = self.store.get(slot, operation.map, &operation.key)?;
            let now_ms = self.env.wall_ms();
            let in_record = present.as_ref().is_some_and(|record| record.operations.contains(&operation.id));
            if again && !in_record {
                // The higher version does not build on what was written before, which is lost.
                self.recent.forget(operation.id);
            } else if planted!("retry_blind") {
            } else if let Some(replay) = self.replay(operation, present.as_ref(), again) {
                return replay;
            } else if let (Some(version), Some(record)) = (seen.and_then(|s| s.stored_as), &present)
                && version < record.version
            {
                return overwritten(operation, version, record);
            } else if retry && !again && self.may_have_missed(slot, present.as_ref()) {
                return Err(applied_before("whether it was"));
            }
            // What an earlier write left here and nowhere else may not be told yet: others would not see it.
            let unseen =
                present.as_ref().filter(|record| seen.is_some_and(|s| s.newest < Some(record.version))).cloned();
            let told = |result: OpResult| match unseen {
                // What was written before and is lost may have been read where the higher version was not known.
                _ if again && !in_record => Err(applied_before("whether anybody saw it")),
                Some(record) if !planted!("dirty_told") => Ok(Prepared::Confirm { record, result }),
                _ => Ok(Prepared::Done(result)),
            };
            let (value, expires_at_ms, effect) = match decide(&operation.action, present.as_ref(), now_ms)? {
                Decision::Write { value, expires_at_ms, effect } => (value, expires_at_ms, effect),
                Decision::Nothing => return told(nothing_done(present)),
                Decision::Differs => return told(OpResult::Read { record: as_seen(present, now_ms) }),
            };
            let mut operations = present.map(|r| r.operations).unwrap_or_default();
            if operations.len() >= OPERATIONS_MAX {
                operations.drain(..=operations.len() - OPERATIONS_MAX);
            }
            operations.push(operation.id);
            let (map, key, version) = (operation.map, operation.key.clone(), self.stamp());
            let record = Record { map, key, value, version, expires_at_ms, operations };
            match self.store.merge(slot, record.clone())? {
                Merged::Stored => return Ok(Prepared::Write { record, effect, replayed: None }),
                // Another owner's write came in between: decide on what it left.
                Merged::Kept(present) => self.stamp_above(present).map(|_| ())?,
            }
        }
    }

    /// A retry of an operation on this record may have been carried out without any of the present replicas knowing: the
    /// list has changed since, so that those who remember it may be gone, and the record only tells of its newest ones.
    fn may_have_missed(&self, slot: Slot, present: Option<&Record>) -> bool {
        let full = present.is_some_and(|record| record.operations.len() >= OPERATIONS_MAX);
        full && !planted!("list_change_forgotten") && {
            let changed_at = self.state().table.get(slot).and_then(|s| s.changed_at);
            changed_at.is_some_and(|at| self.env.now() < at + CALL_USUAL_MAX)
        }
    }

    /// An operation that was applied before, by this owner or another: only its replicas are left to do. What depends
    /// on the present value writes only where it found what it wanted.
    fn replay(&self, operation: &Operation, present: Option<&Record>, again: bool) -> Option<Result<Prepared>> {
        let record = present?;
        let known = self.recent.applied_as(operation.id);
        let newest = record.operations.last() == Some(&operation.id);
        let effect = match &known {
            Some((_, effect)) => Some(effect.clone()),
            None => effect_seen_in(&operation.action, record, newest),
        };
        let unknown = |what: &str| Some(Err(applied_before(what)));
        let Some(effect) = effect else {
            return if newest || record.operations.contains(&operation.id) { unknown("what was there") } else { None };
        };
        if newest && again {
            // Nobody built on it, and a higher version that did not is somewhere: the same above that one.
            let mut record = record.clone();
            record.version = self.stamp();
            let kept = self.keep_above(&mut record);
            return Some(kept.map(|()| Prepared::Write { record, effect, replayed: None }));
        }
        if newest {
            return Some(Ok(Prepared::Write { record: record.clone(), effect, replayed: None }));
        }
        if let Some((version, _)) = known.filter(|(version, _)| *version < record.version) {
            // Overwritten since: the present record on the replicas is as good as this operation on them.
            return Some(Ok(Prepared::Write { record: record.clone(), effect, replayed: Some(version) }));
        }
        // Another owner applied it. The record keeps the version of its newest operation only, and no two writes may
        // claim one version.
        if record.operations.contains(&operation.id) { unknown("its version, since it was overwritten,") } else { None }
    }

    /// Keeps `record` here, stamped above whatever is here already.
    pub(crate) fn keep_above(&self, record: &mut Record) -> Result<()> {
        let slot = self.slot_of(&record.key);
        while let Merged::Kept(present) = self.store.merge(slot, record.clone())? {
            if present == record.version {
                return Ok(());
            }
            record.version = self.stamp_above(present)?;
        }
        Ok(())
    }

    /// A stamp above `present`; `ClockSkew` if a peer made that one of a clock that nobody has.
    pub(crate) fn stamp_above(&self, present: Version) -> Result<Version> {
        self.hlc.observe(present.hlc);
        let version = self.stamp();
        if version > present {
            return Ok(version);
        }
        let (ours, theirs) = (crate::data::hlc::wall_ms(version.hlc), crate::data::hlc::wall_ms(present.hlc));
        let context = format!("the key has a version of {theirs} ms, which is no time of day: it is {ours} ms here");
        Err(Error::new(ErrorKind::ClockSkew, context))
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
        if !self.readable.get(self.slot_of(&operation.key)) {
            return None;
        }
        let prepared = self.prepare(operation, false, false, None);
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

    /// Holds back what `put_alone` did with `key` until it is as durable as was promised.
    ///
    /// # Errors
    /// `Storage` if the disk failed: the write may be there after a restart.
    pub(crate) async fn settle_alone(&self, key: &[u8], result: OpResult) -> OpResult {
        let written = matches!(&result, OpResult::Written { outcome, .. } if outcome.acks > 0);
        let ticket = if written { self.store.ticket(self.slot_of(key)) } else { Ticket::ready() };
        if ticket.is_ready() {
            return result;
        }
        match ticket.wait().await {
            Ok(()) => result,
            Err(error) => OpResult::Failed(error.unknown_outcome()),
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
    which: &'a [usize],
    /// What was written for them before met higher versions.
    again: bool,
    /// Of the caller.
    attempt: u32,
    seen: &'a BTreeMap<OpId, Seen>,
}

/// What a quorum said of one operation's key.
#[derive(Default)]
struct Seen {
    /// The newest version of the key.
    newest: Option<Version>,
    /// Under which version a replica stored this operation for another owner.
    stored_as: Option<Version>,
}

/// What is told when the record that was sent to the replicas is there.
enum Kept {
    /// That of the operation, or of one that it was before.
    Applied { effect: Effect, replayed: Option<Version> },
    /// Another's: the operation found nothing to do.
    Confirmed(OpResult),
}

/// A retry of what another owner applied as `version`, and others overwrote.
fn overwritten(operation: &Operation, version: Version, present: &Record) -> Result<Prepared> {
    if operation.action.depends() {
        return Err(applied_before("what was there"));
    }
    // The present record on the replicas is as good as this operation on them.
    Ok(Prepared::Write { record: present.clone(), effect: Effect::default(), replayed: Some(version) })
}

fn applied_before(what: &str) -> Error {
    let context = format!("the write was tried before: {what} is not known");
    Error::new(ErrorKind::Quorum, context).unknown_outcome()
}

/// What one operation comes to at the owner.
enum Prepared {
    /// `replayed`: the version to report for an operation that was applied before, where that is known.
    Write {
        record: Record,
        effect: Effect,
        replayed: Option<Version>,
    },
    /// Nothing is to be done, because of a record that is here and was not at a quorum: it is to be there first.
    Confirm {
        record: Record,
        result: OpResult,
    },
    Done(OpResult),
}

/// Nothing was to be done to `present`.
fn nothing_done(present: Option<Record>) -> OpResult {
    let version = present.map(|record| record.version).unwrap_or_default();
    let outcome = PutOutcome { version, acks: 0, wanted: 0, set_size: 0, degraded: false };
    OpResult::Written { outcome, existed: false, value: None }
}

/// What expired is gone for the caller too, whatever the caller's clock says.
fn as_seen(record: Option<Record>, now_ms: u64) -> Option<Record> {
    let gone = |record: &Record| record.expired(now_ms);
    record.map(|record| if gone(&record) { Record { value: None, ..record } } else { record })
}

/// What an operation that another owner applied told its caller, as far as the record still shows it.
fn effect_seen_in(action: &Action, record: &Record, newest: bool) -> Option<Effect> {
    match action {
        Action::GetAndPut { .. } | Action::GetAndDelete => None,
        Action::Increment { .. } if newest => Some(Effect { existed: true, value: record.value.clone() }),
        Action::Increment { .. } => None,
        _ => Some(Effect { existed: true, value: None }),
    }
}

/// The first of the list that is not suspected; the first of all if all are; `None` for an empty list.
pub(crate) fn first_live(view: &RingView, list: &[u32]) -> Option<u32> {
    list.iter().copied().find(|m| view.member(*m).verdict == Verdict::Alive).or(list.first().copied())
}

/// The error of a write under way when another node became the owner.
pub(crate) fn lost_slot() -> Error {
    let context = "this node lost the slot while it wrote; another owner goes on with it";
    Error::new(ErrorKind::Unreachable, context).unknown_outcome()
}

fn worth_retrying(result: &OpResult) -> bool {
    match result {
        OpResult::Misrouted => true,
        OpResult::Failed(error) => {
            matches!(
                error.kind(),
                ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::NotJoined | ErrorKind::Stopped
            )
        }
        OpResult::Written { .. } | OpResult::Read { .. } => false,
    }
}

/// It failed, and may have been applied.
fn doubtful(result: &OpResult) -> bool {
    matches!(result, OpResult::Failed(error) if error.maybe_applied())
}

/// It was decided that nothing was to be done.
fn found_nothing(result: &OpResult) -> bool {
    match result {
        OpResult::Read { .. } => true,
        OpResult::Written { outcome, .. } => outcome.wanted == 0,
        OpResult::Failed(_) | OpResult::Misrouted => false,
    }
}

fn settle(results: &mut [Option<OpResult>], which: &[usize], error: &Error) {
    for &index in which {
        let doubt = results[index].as_ref().is_some_and(doubtful);
        let error = if doubt { error.clone().unknown_outcome() } else { error.clone() };
        results[index] = Some(OpResult::Failed(error));
    }
}

pub(super) fn finish(results: Vec<Option<OpResult>>) -> Vec<OpResult> {
    results.into_iter().map(|r| r.unwrap_or_else(|| OpResult::Failed(no_result()))).collect()
}

/// The error of a write that too few replicas acknowledged.
pub(crate) fn too_few(record: &Record, acks: usize, wanted: usize, set_size: usize, silent: bool) -> Error {
    let context =
        format!("{acks} of {set_size} replicas have the write of {}, the level asks for {wanted}", shown(&record.key));
    let kind = if silent { ErrorKind::Timeout } else { ErrorKind::Quorum };
    let error = Error::new(kind, context);
    if planted!("failure_denied") { error } else { error.unknown_outcome() }
}
