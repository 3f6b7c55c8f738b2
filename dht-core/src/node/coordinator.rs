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

use super::lines::{Entry, Place};
use super::parts::parts;
use super::peers::Peer;
use super::replicate::Write;
use super::{Node, Phase, no_result, shown, stopped};
use crate::config::Consistency;
use crate::data::record::{KeyDigest, OPERATIONS_MAX, Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::list::Agreement;
use crate::ring::record::Verdict;
use crate::ring::slot::Slot;
use crate::ring::view::RingView;
use crate::store::{Merged, Ticket};
use crate::wire::message::{Action, OpResult, Operation, PutOutcome, Request, Response};

/// First pause before a failed operation is tried again; doubles up to `PAUSE_MAX`.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Where an operation goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Route {
    Here,
    To(Peer),
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
        let (mut attempt, mut pause) = (0, PAUSE_MIN);
        while !pending.is_empty() {
            let seen = self.progress.seen();
            if let Err(error) = self.joined_by(deadline).await {
                settle(&mut results, &pending, &error);
                break;
            }
            let mut failed = false;
            for (index, result) in self.attempt(operations, &pending, level, deadline, attempt).await {
                let earlier = results[index].take();
                let doubt = matches!(&earlier, Some(OpResult::Failed(error)) if error.maybe_applied());
                failed |= matches!(&result, OpResult::Failed(error) if error.kind() != ErrorKind::NotJoined);
                results[index] = Some(match result {
                    // What an earlier attempt may have done, a later refusal does not undo.
                    OpResult::Failed(error) if doubt => OpResult::Failed(error.unknown_outcome()),
                    OpResult::Misrouted if doubt => earlier.unwrap_or(OpResult::Misrouted),
                    result => result,
                });
            }
            pending.retain(|i| results[*i].as_ref().is_none_or(worth_retrying));
            attempt += u32::from(failed);
            let now = self.env.now();
            if pending.is_empty() || attempt > self.config.max_retries || now + pause >= deadline {
                break;
            }
            self.progress.since(seen, now + self.env.jittered(pause)).await;
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

    /// One attempt at all pending operations, grouped by owner.
    async fn attempt(
        self: &Arc<Self>,
        operations: &[Operation],
        pending: &[usize],
        level: Consistency,
        deadline: Instant,
        attempt: u32,
    ) -> Vec<(usize, OpResult)> {
        let view = self.view();
        let mut groups: BTreeMap<Route, Vec<usize>> = BTreeMap::new();
        let mut results = Vec::with_capacity(pending.len());
        for &index in pending {
            match self.route(&view, &operations[index]) {
                Some(route) => groups.entry(route).or_default().push(index),
                None => {
                    let error = Error::new(ErrorKind::NotJoined, "no active node is known");
                    results.push((index, OpResult::Failed(error)));
                }
            }
        }
        let mut running = FuturesUnordered::new();
        let bytes_of = |&i: &usize| operations[i].key.len() + value_len(&operations[i]);
        let cut = |(route, all): (Route, Vec<usize>)| {
            parts(all, bytes_of).into_iter().map(move |indices| (route.clone(), indices))
        };
        for (route, indices) in groups.into_iter().flat_map(cut) {
            running.push(async move {
                let batch: Vec<Operation> = indices.iter().map(|&i| operations[i].clone()).collect();
                let answers = match route {
                    Route::Here => self.coordinate(batch, level, deadline, attempt).await,
                    Route::To(peer) => self.ask_owner(&peer, batch, level, deadline, attempt).await,
                };
                indices.into_iter().zip(answers).collect::<Vec<_>>()
            });
        }
        while let Some(answers) = running.next().await {
            results.extend(answers);
        }
        results
    }

    /// The owner: the slot's first replica that is not suspected; the first of all if all are.
    fn route(&self, view: &RingView, operation: &Operation) -> Option<Route> {
        let list = view.replica_list(self.slot_of(&operation.key), self.replicas());
        let owner = first_live(view, &list)?;
        let record = view.member(owner);
        Some(if record.node_id == self.node_id { Route::Here } else { Route::To(Peer::from(record)) })
    }

    async fn ask_owner(
        &self,
        peer: &Peer,
        operations: Vec<Operation>,
        level: Consistency,
        deadline: Instant,
        attempt: u32,
    ) -> Vec<OpResult> {
        let count = operations.len();
        let bytes: usize = operations.iter().map(|o| o.key.len() + value_len(o)).sum();
        let request = Request::Apply { operations, level, relay: false };
        // The owner waits for its replicas, so round trips say nothing here: a fair part of what is left, and all of it
        // for the last try. A large batch takes its time on the way; only small ones are worth an early second try.
        let now = self.env.now();
        let tries_left = self.config.max_retries.saturating_sub(attempt) + 1;
        let share = deadline.saturating_duration_since(now) / tries_left;
        let until = if bytes > 64 << 10 { deadline } else { now + share };
        match self.call(peer, request, until, attempt).await {
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
            if self.route(&view, operation) != Some(Route::Here) {
                *result = Some(OpResult::Misrouted);
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
        let looks = |i: &usize| attempt > 0 || matches!(operations[*i].action, Action::Delete);
        let looked: Vec<usize> = mine.iter().copied().filter(looks).collect();
        for (index, error) in self.look_first(&operations, &looked, deadline).await {
            results[index] = Some(OpResult::Failed(error));
        }
        let mut writes = Vec::with_capacity(mine.len());
        for index in mine {
            if results[index].is_none() {
                match self.prepare(&operations[index]) {
                    Ok(Prepared::Write { record, existed, replayed }) => {
                        self.recent.applied(operations[index].id, replayed.unwrap_or(record.version));
                        writes.push((index, (existed, replayed), Write::new(self, record)));
                    }
                    Ok(Prepared::Done(result)) => results[index] = Some(result),
                    Err(error) => results[index] = Some(OpResult::Failed(error)),
                }
            }
        }
        let (indices, mut batch): (Vec<_>, Vec<_>) = writes.into_iter().map(|(i, e, w)| ((i, e), w)).unzip();
        let mut unfinished = Unfinished { node: self, slots: batch.iter().map(Write::slot).collect() };
        self.replicate(&mut batch, level, deadline).await;
        unfinished.slots.clear();
        for ((index, (existed, replayed)), write) in indices.into_iter().zip(batch) {
            results[index] = Some(match write.into_outcome() {
                Ok(outcome) => {
                    let version = replayed.unwrap_or(outcome.version);
                    self.recent.applied(operations[index].id, version);
                    OpResult::Written { outcome: PutOutcome { version, ..outcome }, existed }
                }
                Err(error) => OpResult::Failed(error),
            });
        }
        finish(results)
    }

    /// Takes the place of every key, in one order for all, so that two batches cannot wait for each other.
    async fn stand_in_line(&self, operations: &[Operation], mine: &[usize], deadline: Instant) -> Result<Vec<Place>> {
        let mut keys: Vec<KeyDigest> =
            mine.iter().map(|&i| KeyDigest::of(operations[i].map, &operations[i].key)).collect();
        keys.sort_unstable();
        keys.dedup();
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

    /// Brings the newest version of the keys here, from a quorum: for what depends on the present value, and for
    /// retries, which another owner may have applied already.
    async fn look_first(
        self: &Arc<Self>,
        operations: &[Operation],
        which: &[usize],
        deadline: Instant,
    ) -> Vec<(usize, Error)> {
        if which.is_empty() || self.alone() {
            return Vec::new();
        }
        let keys: Vec<_> = which.iter().map(|&i| (operations[i].map, operations[i].key.clone())).collect();
        let found = self.read(&keys, Consistency::Quorum, deadline).await;
        let mut failed = Vec::new();
        for (&index, result) in which.iter().zip(found) {
            let kept = result.and_then(|record| match record {
                Some(record) => self.store.merge(self.slot_of(&record.key), record).map(|_| ()),
                None => Ok(()),
            });
            if let Err(error) = kept {
                failed.push((index, error));
            }
        }
        failed
    }

    /// Stamps one operation and keeps its record here.
    fn prepare(&self, operation: &Operation) -> Result<Prepared> {
        let slot = self.slot_of(&operation.key);
        let present = self.store.get(slot, operation.map, &operation.key)?;
        let now_ms = self.env.wall_ms();
        if let Some(replay) = self.replay(operation, present.as_ref()) {
            return replay;
        }
        let existed = present.as_ref().is_some_and(|r| r.live_value(now_ms).is_some());
        let (value, expires_at_ms) = match &operation.action {
            Action::Put { value, ttl_ms: 0 } => (Some(value.clone()), 0),
            Action::Put { value, ttl_ms } => (Some(value.clone()), now_ms.saturating_add(*ttl_ms)),
            Action::Delete if existed => (None, 0),
            Action::Delete => {
                let version = present.map(|r| r.version).unwrap_or_default();
                let outcome = PutOutcome { version, acks: 0, wanted: 0, set_size: 0, degraded: false };
                return Ok(Prepared::Done(OpResult::Written { outcome, existed: false }));
            }
            Action::Get => return Err(Error::new(ErrorKind::Unsupported, "a read is not the owner's to coordinate")),
        };
        let mut operations = present.map(|r| r.operations).unwrap_or_default();
        if operations.len() >= OPERATIONS_MAX {
            operations.drain(..=operations.len() - OPERATIONS_MAX);
        }
        operations.push(operation.id);
        let version = self.stamp();
        let mut record =
            Record { map: operation.map, key: operation.key.clone(), value, version, expires_at_ms, operations };
        self.keep_above(&mut record)?;
        Ok(Prepared::Write { record, existed, replayed: None })
    }

    /// An operation that was applied before, by this owner or another: only its replicas are left to do. A delete writes
    /// only where something was, so it had existed.
    fn replay(&self, operation: &Operation, present: Option<&Record>) -> Option<Result<Prepared>> {
        let record = present?;
        let known = self.recent.version_of(operation.id);
        let newest = record.operations.last() == Some(&operation.id);
        if let Some(version) = known.filter(|version| newest || *version < record.version) {
            // Overwritten since, or not: the present record on the replicas is as good as this operation on them.
            let version = if newest { record.version } else { version };
            return Some(Ok(Prepared::Write { record: record.clone(), existed: true, replayed: Some(version) }));
        }
        if newest {
            return Some(Ok(Prepared::Write { record: record.clone(), existed: true, replayed: None }));
        }
        record.operations.contains(&operation.id).then(|| {
            // Another owner applied it. The record keeps the version of its newest operation only, and no two writes
            // may claim one version.
            let context = "the write was applied, and overwritten before its retry: its version is not known";
            Err(Error::new(ErrorKind::Quorum, context).unknown_outcome())
        })
    }

    /// Keeps `record` here, stamped above whatever is here already.
    pub(crate) fn keep_above(&self, record: &mut Record) -> Result<()> {
        let slot = self.slot_of(&record.key);
        while let Merged::Kept(present) = self.store.merge(slot, record.clone())? {
            if present == record.version {
                return Ok(());
            }
            self.hlc.observe(present.hlc);
            record.version = self.stamp();
        }
        Ok(())
    }

    /// This node is the whole ring.
    pub(crate) fn alone(&self) -> bool {
        let view = self.view.load();
        view.members().len() == 1 && view.members()[0].record.node_id == self.node_id
    }

    /// The fast path of one put in a ring of one: no message, no wait, no task switch. `None`: take the long way.
    pub(crate) fn put_alone(&self, operation: &Operation) -> Option<OpResult> {
        if self.life.phase() != Phase::Active || !self.alone() {
            return None;
        }
        let Entry::Free(_place) = self.lines.enter(KeyDigest::of(operation.map, &operation.key)) else { return None };
        if !self.readable.get(self.slot_of(&operation.key)) {
            return None;
        }
        Some(match self.prepare(operation) {
            Ok(Prepared::Write { record, existed, .. }) => {
                let degraded = self.replicas() > 1;
                let outcome = PutOutcome { version: record.version, acks: 1, wanted: 1, set_size: 1, degraded };
                OpResult::Written { outcome, existed }
            }
            Ok(Prepared::Done(result)) => result,
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

/// What one operation comes to at the owner.
enum Prepared {
    /// `replayed`: the version to report for an operation that was applied before, where that is known.
    Write {
        record: Record,
        existed: bool,
        replayed: Option<Version>,
    },
    Done(OpResult),
}

/// The first of the list that is not suspected; the first of all if all are; `None` for an empty list.
pub(crate) fn first_live(view: &RingView, list: &[u32]) -> Option<u32> {
    list.iter().copied().find(|m| view.member(*m).verdict == Verdict::Alive).or(list.first().copied())
}

fn value_len(operation: &Operation) -> usize {
    match &operation.action {
        Action::Put { value, .. } => value.bytes.len(),
        _ => 0,
    }
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

fn settle(results: &mut [Option<OpResult>], which: &[usize], error: &Error) {
    for &index in which {
        let doubt = matches!(&results[index], Some(OpResult::Failed(before)) if before.maybe_applied());
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
    Error::new(kind, context).unknown_outcome()
}
