//! Writes, on the caller's side: each operation goes to its slot's owner, and is tried again as long as that may help.
//!
//! Invariant: an operation has one id for life, whatever nodes it passes; whoever finds the id in the key's record
//! knows that it was applied and does not apply it again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::calls::Calls;
use super::follow::{What, outcome_of_all};
use super::owners::To;
use super::parts::parts;
use super::peers::{LARGE_LEN, Peer};
use super::prepare::applied_before;
use super::{Node, no_result};
use crate::config::Consistency;
use crate::error::{Error, ErrorKind};
use crate::wire::message::{OpResult, Operation, Request, Response};

/// First pause before a failed operation is tried again; doubles up to `PAUSE_MAX`.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How often operations were tried.
#[derive(Clone, Copy)]
struct Tries {
    /// From 0 on.
    attempt: u32,
    /// The same for their owner, but 0 while certainly none of them was carried out.
    told: u32,
}

/// For whom operations are carried out.
#[derive(Clone, Copy, Default)]
pub(super) struct Origin {
    /// How often somebody else tried, without knowing what became of it.
    pub(super) tried: u32,
    /// Another node passed them on: they are not passed on once more, which might go on for ever.
    pub(super) passed_on: bool,
}

/// What came of one operation in one attempt.
struct Tried {
    index: usize,
    /// The boot of whom it was sent to.
    asked: u64,
    /// And of who may have carried it out, if that is known.
    by: Option<u64>,
    result: OpResult,
}

impl Node {
    /// Carries out `operations`, each at the owner of its key; results in their order, by `deadline`.
    pub(crate) async fn write(
        self: &Arc<Self>,
        operations: &[Operation],
        level: Consistency,
        deadline: Instant,
    ) -> Vec<OpResult> {
        self.write_for(Origin::default(), operations, level, deadline).await
    }

    /// The same for somebody else.
    pub(super) async fn write_for(
        self: &Arc<Self>,
        Origin { tried, passed_on }: Origin,
        operations: &[Operation],
        level: Consistency,
        deadline: Instant,
    ) -> Vec<OpResult> {
        let mut results: Vec<Option<OpResult>> = operations.iter().map(|_| None).collect();
        let mut pending: Vec<usize> = (0..operations.len()).collect();
        // By whom tries may have been carried out.
        let mut doubted: BTreeMap<usize, SmallVec<[Option<u64>; 2]>> = BTreeMap::new();
        // Whom tries went to in vain.
        let mut unreached: BTreeMap<usize, SmallVec<[u64; 2]>> = BTreeMap::new();
        let (mut attempt, mut pause) = (tried, PAUSE_MIN);
        self.retries.first();
        while !pending.is_empty() {
            let seen = self.progress.seen();
            if let Err(error) = self.joined_by(deadline).await {
                settle(&mut results, &pending, &error);
                break;
            }
            let (mut failed, mut refused) = (false, false);
            let in_doubt = tried > 0 || pending.iter().any(|i| doubted.contains_key(i));
            let tries = Tries { attempt, told: if in_doubt { attempt } else { 0 } };
            let past = (!passed_on).then_some(&unreached);
            for Tried { index, asked, by, result } in
                self.attempt(operations, &pending, level, deadline, tries, past).await
            {
                let earlier = results[index].take();
                if let OpResult::Failed(error) = &result
                    && matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout)
                {
                    refused |= !error.maybe_applied();
                    unreached.entry(index).or_default().push(asked);
                }
                let doubt = doubted.contains_key(&index);
                if doubtful(&result) {
                    doubted.entry(index).or_default().push(by);
                }
                let elsewhere =
                    || doubted.get(&index).is_some_and(|tried| tried.iter().any(|b| b.is_none() || *b != by));
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
            attempt = attempt.saturating_add(u32::from(failed));
            let now = self.env.now();
            // Whether its owner is dead others are asked, which takes a round trip or two, and ends the pause.
            let pause_now = if refused { PAUSE_MAX } else { pause };
            // Of a key that is there several times, the next: nothing went wrong.
            if !pending.is_empty() && now < deadline && pending.iter().all(|i| results[*i].is_none()) {
                continue;
            }
            if pending.is_empty() || attempt > self.config.max_retries || now + pause >= deadline {
                break;
            }
            // Nodes that do not agree on the owner yet are no reason to spare them.
            let retry_at = match failed {
                true => self.retries.reserve(now, deadline),
                false => Some(now),
            };
            let Some(retry_at) = retry_at else { break };
            self.progress.since(seen, (now + self.env.jittered(pause_now)).min(deadline)).await;
            tokio::time::sleep_until(retry_at).await;
            if self.env.now() >= deadline {
                break;
            }
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

    /// One attempt at all pending operations, grouped by owner; past one that is out of reach where it is told what was
    /// `unreached`.
    async fn attempt(
        self: &Arc<Self>,
        operations: &[Operation],
        pending: &[usize],
        level: Consistency,
        deadline: Instant,
        tries: Tries,
        unreached: Option<&BTreeMap<usize, SmallVec<[u64; 2]>>>,
    ) -> Vec<Tried> {
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
            let slot = self.slot_of(&operations[index].key);
            let to = match found.get(&slot) {
                Some(Ok(owner)) => self.known(owner.coordinator()),
                Some(Err(error)) => Err(error.clone()),
                None => {
                    let unknown = || Error::new(ErrorKind::NotJoined, "no active node is known");
                    self.owner_in(&view, slot).ok_or_else(unknown)
                }
            };
            match to {
                Ok(to) => {
                    let past = unreached.and_then(|unreached| {
                        let in_vain = unreached.get(&index).map_or(&[][..], SmallVec::as_slice);
                        self.around(&view, slot, &to, in_vain)
                    });
                    let to = past.unwrap_or(to);
                    groups.entry(to).or_default().push(index);
                }
                Err(error) => {
                    let (asked, by, result) = (self.boot, Some(self.boot), OpResult::Failed(error));
                    results.push(Tried { index, asked, by, result });
                }
            }
        }
        let bytes_of = |&i: &usize| operations[i].key.len() + operations[i].action.values_len();
        let cut =
            |(to, all): (To, Vec<usize>)| parts(all, bytes_of).into_iter().map(move |indices| (to.clone(), indices));
        let mut messages: SmallVec<[_; 1]> = groups.into_iter().flat_map(cut).collect();
        if messages.len() > 1 {
            keep_apart(&mut messages, operations);
            messages.retain(|(_, indices)| !indices.is_empty());
        }
        let ask = |(to, indices): (To, Vec<usize>)| async move {
            let batch: Vec<Operation> = indices.iter().map(|&i| operations[i].clone()).collect();
            let (asked, by) = match &to {
                To::Here => (self.boot, Some(self.boot)),
                To::Peer(peer) => (peer.boot, Some(peer.boot)),
                To::Past(peer) => (peer.boot, None),
            };
            let answers = match to {
                To::Here => {
                    let what = What { kind: "apply", attempt: tries.attempt, hedged: false };
                    // Boxed: it is larger than all the rest, which is moved about more often.
                    let coordinated = Box::pin(self.coordinate(batch, level, deadline, tries.told));
                    self.step_here(what, |results| outcome_of_all(results), coordinated).await
                }
                To::Peer(peer) => self.ask_owner(&peer, batch, level, deadline, tries, false).await,
                To::Past(peer) => self.ask_owner(&peer, batch, level, deadline, tries, true).await,
            };
            let tried = move |(index, result)| Tried { index, asked, by, result };
            indices.into_iter().zip(answers).map(tried)
        };
        if messages.len() == 1
            && let Some(only) = messages.pop()
        {
            results.extend(ask(only).await);
            return results;
        }
        let mut running = Calls::new();
        messages.into_iter().for_each(|message| running.push(ask(message)));
        while let Some(answers) = running.next().await {
            results.extend(answers);
        }
        results
    }

    async fn ask_owner(
        &self,
        peer: &Peer,
        operations: Vec<Operation>,
        level: Consistency,
        deadline: Instant,
        tries: Tries,
        relay: bool,
    ) -> Vec<OpResult> {
        let count = operations.len();
        let bytes: usize = operations.iter().map(|o| o.key.len() + o.action.values_len()).sum();
        let request = Request::Apply { operations, level, relay, rings: self.view.load().rings_digest() };
        // The owner waits for its replicas, so round trips say nothing here: a fair part of what is left, and all of it
        // for the last try. A large batch takes its time on the way; only small ones are worth an early second try.
        let now = self.env.now();
        let tries_left = self.config.max_retries.saturating_sub(tries.attempt) + 1;
        let share = deadline.saturating_duration_since(now) / tries_left;
        let until = if bytes > LARGE_LEN { deadline } else { now + share };
        let what = What { kind: request.kind(), attempt: tries.attempt, hedged: false };
        match self.call_as(peer, request, until, tries.told, what).await {
            Ok(Response::Applied { results, records }) if results.len() == count => {
                self.learn_from(peer.boot, &records);
                if results.iter().any(|r| matches!(r, OpResult::Misrouted)) {
                    self.disagrees(&peer.node_id);
                }
                results
            }
            Ok(_) => (0..count).map(|_| OpResult::Failed(super::serve::unexpected(peer).unknown_outcome())).collect(),
            Err(error) => (0..count).map(|_| OpResult::Failed(error.clone())).collect(),
        }
    }
}

/// Messages travel side by side: of a key that is in several, only the one with its first operation takes its operations along,
/// the rest wait for the next attempt. So they are carried out in their order.
fn keep_apart(messages: &mut [(To, Vec<usize>)], operations: &[Operation]) {
    let key = |index: usize| (operations[index].map, &operations[index].key[..]);
    let mut firsts: BTreeMap<(u32, &[u8]), (usize, usize)> = BTreeMap::new();
    for (at, (_, indices)) in messages.iter().enumerate() {
        for &index in indices {
            let first = firsts.entry(key(index)).or_insert((index, at));
            *first = (*first).min((index, at));
        }
    }
    for (at, (_, indices)) in messages.iter_mut().enumerate() {
        let first = |index: &usize| firsts.get(&key(*index)).is_none_or(|(_, first)| *first == at);
        indices.retain(|index| first(index) || planted!("batch_overtakes"));
    }
}

fn worth_retrying(result: &OpResult) -> bool {
    match result {
        OpResult::Misrouted => true,
        OpResult::Failed(error) => match error.kind() {
            ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::NotJoined | ErrorKind::Stopped => true,
            // An owner without a quorum when its part of the time was over may have one in what is left.
            ErrorKind::Quorum => error.was_out_of_time(),
            _ => false,
        },
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

pub(super) fn settle(results: &mut [Option<OpResult>], which: &[usize], error: &Error) {
    for &index in which {
        let doubt = results[index].as_ref().is_some_and(doubtful);
        let error = if doubt { error.clone().unknown_outcome() } else { error.clone() };
        results[index] = Some(OpResult::Failed(error));
    }
}

pub(super) fn finish(results: Vec<Option<OpResult>>) -> Vec<OpResult> {
    results.into_iter().map(|r| r.unwrap_or_else(|| OpResult::Failed(no_result()))).collect()
}
