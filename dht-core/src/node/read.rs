//! Reads: straight to the replicas, as many as the level asks for; what differs is repaired before the answer.
//!
//! Only caught-up members of one and the same list count. A newcomer or a node with another list says so and another
//! replica is asked; nothing is ever answered as missing by a node that has not caught up.

mod mend;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

pub(super) use self::mend::Behind;
use self::reading::{Reading, Stage};
use super::Node;
use super::calls::Calls;
use super::follow::{What, outcome_of};
use super::parts::parts;
use super::peers::Peer;
use super::quorum::wanted;
use crate::config::Consistency;
use crate::data::record::{Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::list::ListId;
use crate::ring::record::{NodeRecord, Verdict};
use crate::ring::slot::Slot;
use crate::ring::view::Members;
use crate::wire::message::{FetchItem, FetchResult, Operation, Request, Response};

/// Pause before all replicas are asked again.
pub(super) const PAUSE: Duration = Duration::from_millis(5);
/// The same once retries are used up (see `retries.rs`); doubled each time, up to this: who waits for others to catch up, of
/// which nothing here tells, is not to wait for much longer than that takes.
const SCARCE_MIN: Duration = Duration::from_millis(50);
const SCARCE_MAX: Duration = Duration::from_secs(1);
/// The next replica is asked when the first ones have not answered for this long.
const HEDGE: Duration = Duration::from_millis(40);

type Answered = (Option<Peer>, Vec<usize>, Result<Response>);

impl Node {
    /// The record of each key at `level`, tombstones and expired ones included, in the order of `keys`.
    pub(crate) async fn read(
        self: &Arc<Self>,
        keys: &[(u32, Bytes)],
        level: Consistency,
        deadline: Instant,
    ) -> Vec<Result<Option<Record>>> {
        let readings = keys.iter().map(|(map, key)| Reading::of(self.slot_of(key), *map, key, None)).collect();
        let found = self.read_all(readings, level, deadline).await;
        found.into_iter().map(|found| found.map(|(record, _)| record)).collect()
    }

    /// The record of the key of each operation, from a quorum; if `retries`, also the version under which one of those
    /// stored the operation lately, if it did.
    pub(super) async fn read_for(
        self: &Arc<Self>,
        operations: &[&Operation],
        retries: bool,
        deadline: Instant,
    ) -> Vec<Result<(Option<Record>, Option<Version>)>> {
        let reading = |o: &&Operation| Reading::of(self.slot_of(&o.key), o.map, &o.key, retries.then_some(o.id));
        let readings = operations.iter().map(reading).collect();
        self.read_all(readings, Consistency::Quorum, deadline).await
    }

    async fn read_all(
        self: &Arc<Self>,
        mut readings: Vec<Reading>,
        level: Consistency,
        deadline: Instant,
    ) -> Vec<Result<(Option<Record>, Option<Version>)>> {
        if let Err(error) = self.joined_by(deadline).await {
            return readings.iter().map(|_| Err(error.clone())).collect();
        }
        self.retries.first();
        let repairs = level != Consistency::One && !planted!("no_read_repair");
        let mut scarce = SCARCE_MIN;
        loop {
            let seen = self.progress.seen();
            let mut stale = self.read_round(&mut readings, level, deadline).await;
            self.note_lists_apart(&mut readings, &mut stale);
            let answered = readings.iter().all(Reading::is_done);
            let pauses = repairs && self.repair_read(&mut readings, &mut stale, deadline).await;
            if readings.iter().all(Reading::is_done) {
                break;
            }
            // Others are asked instead of those that could not be mended, at once.
            if answered && !pauses && self.env.now() < deadline {
                continue;
            }
            for (peer, slots) in stale {
                // Whether or not that helped: the next round finds out.
                let _ = self.sync_by(&peer, &slots, deadline).await;
            }
            if self.life.phase().ended() {
                return readings.iter().map(|_| Err(self.ended_error())).collect();
            }
            let now = self.env.now();
            if now >= deadline {
                break;
            }
            // Asking again makes it worse: the caller is told, and knows best what to do without.
            if readings.iter().all(|r| r.is_done() || r.refused || r.is_hopeless()) {
                break;
            }
            if readings.iter().any(Reading::overloaded) {
                let Some(retry_at) = self.retries.reserve(now, deadline) else { break };
                tokio::time::sleep_until(retry_at).await;
                self.progress.since(seen, (now + self.env.jittered(PAUSE)).min(deadline)).await;
                continue;
            }
            // Whoever waits for others to agree, or to catch up, may insist a little, and then more and more slowly.
            let pause = if self.retries.spare(now) { PAUSE } else { scarce };
            let until = (now + self.env.jittered(pause)).min(deadline);
            self.progress.since(seen, until).await;
            // Whoever is woken before has not waited in vain: what it waits for may be about to be there.
            if pause == scarce && self.env.now() >= until {
                scarce = (scarce * 2).min(SCARCE_MAX);
            }
        }
        let late = self.env.now() >= deadline;
        let told = |error: Error| if late { error.out_of_time() } else { error };
        readings.into_iter().map(|reading| reading.into_result().map_err(told)).collect()
    }

    /// Replicas that answered, but not under one list: one of them missed a change that came back to the same members.
    /// The next round asks under the highest counter, which sends those below it to look.
    fn note_lists_apart(&self, readings: &mut [Reading], stale: &mut BTreeMap<Peer, Vec<Slot>>) {
        for reading in readings.iter_mut().filter(|r| !r.is_done() && r.tally.lists().count() > 1) {
            let counters = reading.tally.lists().map(|list| list.counter);
            reading.counter = counters.max().unwrap_or_default().max(reading.counter);
            for (peer, _) in reading.answers.iter().filter(|(peer, _)| peer.boot != self.boot) {
                stale.entry(peer.clone()).or_default().push(reading.slot);
            }
        }
    }

    /// Asks each unfinished key's replicas once around; returns who had another list.
    async fn read_round(
        self: &Arc<Self>,
        readings: &mut [Reading],
        level: Consistency,
        deadline: Instant,
    ) -> BTreeMap<Peer, Vec<Slot>> {
        let mut stale: BTreeMap<Peer, Vec<Slot>> = BTreeMap::new();
        for reading in readings.iter_mut().filter(|r| !r.is_done()) {
            reading.asked.clear();
            reading.waiting = 0;
            reading.refused = false;
            reading.tally.clear();
            reading.answers.clear();
        }
        if self.walks() {
            self.walk_to_lists(readings, deadline).await;
        }
        let mut running = Calls::new();
        self.ask_more(readings, level, deadline, &mut running, false);
        let mut spent = false;
        loop {
            if readings.iter().all(Reading::is_done) {
                return stale;
            }
            let hedge = (self.env.now() + HEDGE).min(deadline);
            match tokio::time::timeout_at(hedge, running.next()).await {
                Ok(Some((peer, indices, answer))) => {
                    let refused = matches!(&answer, Err(error) if error.kind() == ErrorKind::Overloaded);
                    let short = self.take_answers(readings, peer.as_ref(), &indices, answer, &mut stale);
                    // Who is refused by one replica may not load the others as well, or all would be asked for all.
                    spent |= refused && !self.retries.take(self.env.now());
                    if short && !spent {
                        self.ask_more(readings, level, deadline, &mut running, false);
                    }
                }
                Ok(None) => {
                    if spent || !self.ask_more(readings, level, deadline, &mut running, false) {
                        return stale;
                    }
                }
                Err(_) if self.env.now() >= deadline => return stale,
                Err(_) if !self.retries.take(self.env.now()) => {}
                Err(_) => {
                    self.ask_more(readings, level, deadline, &mut running, true);
                }
            }
        }
    }

    /// Finds out who keeps each unfinished key; of those whose owner is not found nobody is asked in this round.
    async fn walk_to_lists(self: &Arc<Self>, readings: &mut [Reading], deadline: Instant) {
        let slots = readings.iter().filter(|r| !r.is_done()).map(|r| r.slot);
        let found = self.find_owners(slots, deadline).await;
        for reading in readings.iter_mut().filter(|r| !r.is_done()) {
            reading.walked.clear();
            match found.get(&reading.slot) {
                Some(Ok(owner)) if owner.replicas.is_empty() => {
                    let context = format!("{} does not take itself for a replica yet", owner.pointer.node_id);
                    reading.failure = Some(Error::new(ErrorKind::Quorum, context));
                }
                Some(Ok(owner)) => reading.walked.clone_from(&owner.replicas),
                Some(Err(error)) => reading.failure = Some(error.clone()),
                None => {}
            }
        }
    }

    /// Asks, for each unfinished key, as many replicas more as are missing (one more if `hedged`); false if nobody is
    /// left to ask.
    fn ask_more(
        self: &Arc<Self>,
        readings: &mut [Reading],
        level: Consistency,
        deadline: Instant,
        running: &mut Calls<'static, Answered>,
        hedged: bool,
    ) -> bool {
        let view = self.view();
        let replicas = self.replicas();
        let mut batches: BTreeMap<Option<Peer>, Vec<(FetchItem, usize)>> = BTreeMap::new();
        for (index, reading) in readings.iter_mut().enumerate().filter(|(_, r)| !r.is_done()) {
            let members = if self.walks() { Members::new() } else { view.replica_list(reading.slot, replicas) };
            let mut order: Vec<&NodeRecord> =
                members.iter().map(|m| view.member(*m)).chain(reading.walked.iter()).collect();
            if order.is_empty() && self.walks() {
                continue;
            }
            reading.wanted = wanted(level, order.len());
            let fingerprint = view.fingerprint_of(order.iter().copied());
            order.retain(|record| !reading.unfit.contains(&record.boot));
            reading.fit = order.len();
            let counted = reading.tally.best().map_or(0, |(_, n)| n);
            let mut more = (reading.wanted.saturating_sub(counted + reading.waiting)).max(usize::from(hedged));
            // This node first, then those that answer, suspects and those out of reach last.
            let doubtful = |r: &NodeRecord| r.verdict != Verdict::Alive || self.cut_off.has(r.boot, || self.env.now());
            order.sort_by_key(|r| (r.boot != self.boot, doubtful(r)));
            for record in order {
                if more == 0 {
                    break;
                }
                if !reading.asked.insert(record.boot) {
                    continue;
                }
                more -= 1;
                reading.waiting += 1;
                let here = record.boot == self.boot;
                let own = || self.state().table.list(reading.slot).map_or(0, |l| l.counter);
                let counter = if here { own() } else { reading.counter };
                let list = ListId { counter, members: fingerprint, epoch: 0 };
                let peer = (!here).then(|| Peer::from(record));
                let (slot, map, key, operation) = (reading.slot, reading.map, reading.key.clone(), reading.operation);
                let item = FetchItem { slot, list, map, key, operation };
                batches.entry(peer).or_default().push((item, index));
            }
        }
        let asked = !batches.is_empty();
        let cut = |(peer, items): (Option<Peer>, Vec<(FetchItem, usize)>)| {
            let messages = parts(items, |(item, _)| item.key.len());
            messages.into_iter().map(move |message| (peer.clone(), message))
        };
        for (peer, message) in batches.into_iter().flat_map(cut) {
            let slow = message.iter().any(|(_, index)| readings[*index].slow);
            let (items, indices): (Vec<FetchItem>, Vec<usize>) = message.into_iter().unzip();
            let node = self.clone();
            let what = What { kind: "fetch", attempt: 0, hedged };
            running.push(async move {
                let answer = match &peer {
                    None => {
                        let fetched = async {
                            let found = node.serve_fetch(&items);
                            let ticket = node.settled(items.iter().map(|item| item.slot));
                            ticket.wait().await.map(|()| found)
                        };
                        node.step_here(what, outcome_of, fetched).await
                    }
                    Some(peer) => {
                        let until = match slow {
                            true => node.env.halfway(deadline),
                            false => node.attempt_deadline(peer, deadline),
                        };
                        node.call_as(peer, Request::Fetch { items }, until, 0, what).await
                    }
                };
                (peer, indices, answer)
            });
        }
        asked
    }

    /// Counts one replica's answers; true if some key needs another replica.
    fn take_answers(
        &self,
        readings: &mut [Reading],
        peer: Option<&Peer>,
        indices: &[usize],
        answer: Result<Response>,
        stale: &mut BTreeMap<Peer, Vec<Slot>>,
    ) -> bool {
        let me = self.as_peer();
        let from = peer.unwrap_or(&me);
        let results = match answer {
            Ok(Response::Fetched { results }) if results.len() == indices.len() => results,
            Ok(_) => {
                let unexpected = super::serve::unexpected(from);
                indices.iter().map(|_| FetchResult::Failed(unexpected.clone())).collect()
            }
            Err(error) => {
                let (refused, slow) = (error.kind() == ErrorKind::Overloaded, error.kind() == ErrorKind::Timeout);
                for &index in indices {
                    readings[index].refused |= refused;
                    readings[index].slow |= slow;
                }
                indices.iter().map(|_| FetchResult::Failed(error.clone())).collect()
            }
        };
        let told_some = results.iter().any(|result| matches!(result, FetchResult::Found { .. }));
        let mut short = false;
        for (&index, result) in indices.iter().zip(results) {
            let reading = &mut readings[index];
            reading.waiting = reading.waiting.saturating_sub(1);
            match result {
                FetchResult::Found { list, record, stored_as } => {
                    reading.stored_as = reading.stored_as.max(stored_as);
                    reading.answers.push((from.clone(), record.as_ref().map(|r| r.version)));
                    reading.tally.ack(from.boot, list);
                    let newest = match planted!("first_answer") {
                        true => reading.answers.len() == 1,
                        false => record.as_ref().map(|r| r.version) > reading.newest.as_ref().map(|r| r.version),
                    };
                    if newest {
                        reading.newest = record;
                    }
                    if reading.tally.best().is_some_and(|(_, n)| n >= reading.wanted) {
                        reading.stage = Stage::Counted;
                    }
                }
                FetchResult::NotReady { .. } => {
                    let context = format!("{} has not caught up with the slot yet", from.node_id);
                    reading.failure = Some(Error::new(ErrorKind::Quorum, context));
                }
                FetchResult::Stale { .. } => {
                    let context = format!("{} knows another replica list", from.node_id);
                    reading.failure = Some(Error::new(ErrorKind::Quorum, context));
                    if peer.is_some() {
                        stale.entry(from.clone()).or_default().push(reading.slot);
                    }
                }
                // Its answer was full: it is asked for the rest at once.
                FetchResult::Failed(error) if told_some && error.kind() == ErrorKind::Overloaded => {
                    reading.asked.remove(&from.boot);
                }
                // What a replica said before tells more than that the time was over when it was asked for the last time.
                FetchResult::Failed(error) if error.kind() == ErrorKind::Timeout => {
                    reading.failure.get_or_insert(error);
                }
                FetchResult::Failed(error) => reading.failure = Some(error),
            }
            short |= !reading.is_done();
        }
        short
    }
}
