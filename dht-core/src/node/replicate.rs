//! Sends what the owner stamped to the replica lists and counts acknowledgements until each write is decided.
//!
//! Only caught-up members of one and the same list count. A replica that refuses a version because it has a higher one
//! makes the owner look at that one and decide again; a replica that knows another list is brought to the same records first.
//! When a list changes on the way, the write is offered to the new one under the same version.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::Node;
use super::answers::{Answered, Answers, Parcel, Sent};
use super::coordinator::too_few;
use super::follow::{What, outcome_of};
use super::ownership::lost_slot;
use super::parts::parts;
use super::peers::Peer;
use super::quorum::{Tally, wanted};
use crate::config::Consistency;
use crate::data::record::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::list::ListId;
use crate::ring::record::Verdict;
use crate::ring::slot::Slot;
use crate::store::Ticket;
use crate::wire::message::{PutOutcome, Response, StoreItem, StoreResult};

/// Pause before replicas that failed are asked again.
const PAUSE: Duration = Duration::from_millis(10);
/// The same for those that took a write and have not caught up; doubled up to this, since they are sent it each time.
const PAUSE_MAX: Duration = Duration::from_millis(160);

/// One write on its way to its replicas.
pub(crate) struct Write {
    slot: Slot,
    record: Record,
    list: Option<ListId>,
    /// Length of the list, replicas wanted by the level, ring's replication factor.
    set_size: usize,
    wanted: usize,
    degraded: bool,
    tally: Tally,
    /// A replica neither answered nor refused.
    silent: bool,
    /// One took it in this round that has not caught up.
    uncounted: bool,
    /// Those of the list that have no room for it, and what the first of them said.
    full: SmallVec<[u64; 2]>,
    refusal: Option<Error>,
    decided: Option<Result<()>>,
    /// It depends on the present value, and is only for the owner to write.
    depends: bool,
    /// It was sent while this node had not caught up with the slot, or before: a higher version may have come here since.
    unread: bool,
    /// Who has a higher version, which it was not decided upon.
    superseded: Option<Superseded>,
}

/// A replica refused a write for a higher version. Whether that builds on what was refused, its record tells.
pub(crate) struct Superseded {
    pub(crate) by: Arc<Peer>,
    pub(crate) slot: Slot,
    /// What was refused.
    pub(crate) wrote: Record,
}

impl Write {
    /// `depends`: what was written depends on what was there.
    pub(crate) fn new(slot: Slot, record: Record, depends: bool) -> Self {
        Self {
            slot,
            record,
            list: None,
            set_size: 0,
            wanted: 0,
            degraded: false,
            tally: Tally::default(),
            silent: false,
            uncounted: false,
            full: SmallVec::new(),
            refusal: None,
            decided: None,
            depends,
            unread: false,
            superseded: None,
        }
    }

    /// That one has a higher version, under which nobody is told that this one is kept.
    fn supersede(&mut self, by: Arc<Peer>) {
        // Who wrote that may have seen this one, and have built on it or told of it: to stamp it anew without a look would
        // carry it out twice.
        let context = "another owner wrote at the same time, and the time did not suffice to decide again";
        self.decided = Some(Err(Error::new(ErrorKind::Quorum, context).unknown_outcome()));
        self.superseded = Some(Superseded { by, slot: self.slot, wrote: self.record.clone() });
    }

    /// Nobody decides on it any more: some replica may have it.
    fn end_with(&mut self, error: Error) {
        self.decided.get_or_insert(Err(error.unknown_outcome()));
    }

    /// It ended because a replica has a higher version.
    pub(crate) fn superseded(&mut self) -> Option<Superseded> {
        self.superseded.take()
    }

    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    pub(crate) fn into_outcome(self) -> Result<PutOutcome> {
        let acks = self.acks();
        match self.decided {
            Some(Ok(())) => Ok(PutOutcome {
                version: self.record.version,
                acks: acks as u32,
                wanted: self.wanted as u32,
                set_size: self.set_size as u32,
                degraded: self.degraded,
            }),
            Some(Err(error)) => Err(error),
            None => Err(self.too_few().out_of_time()),
        }
    }

    fn acks(&self) -> usize {
        self.list.map_or(0, |list| self.tally.count(list))
    }

    /// What the caller is told if it has to be told now; a replica without room is a better reason than a silent one.
    fn too_few(&self) -> Error {
        let error = too_few(&self.record, self.acks(), self.wanted, self.set_size, self.silent);
        match &self.refusal {
            Some(refusal) => {
                let context = format!("{}: {}", error.context(), refusal.context());
                Error::new(refusal.kind(), context).unknown_outcome()
            }
            None => error,
        }
    }

    /// The replica has no room. When too many have none, no other answer can help.
    fn refused(&mut self, boot: u64, error: Error) {
        if !self.full.contains(&boot) {
            self.full.push(boot);
        }
        self.refusal.get_or_insert(error);
        if self.decided.is_none() && self.set_size - self.full.len().min(self.set_size) < self.wanted {
            self.decided = Some(Err(self.too_few()));
        }
    }

    fn decide(&mut self) {
        if self.decided.is_none() && self.wanted > 0 && self.acks() >= self.wanted {
            self.decided = Some(Ok(()));
        }
    }
}

impl Node {
    /// Returns when every write is decided or the deadline is near; see `Write::into_outcome`.
    pub(crate) async fn replicate(self: &Arc<Self>, writes: &mut [Write], level: Consistency, deadline: Instant) {
        let mut pause = PAUSE;
        loop {
            let seen = self.progress.seen();
            writes.iter_mut().for_each(|write| write.uncounted = false);
            let answers = self.send_round(writes, level, deadline);
            let mut stale = Vec::new();
            while writes.iter().any(|w| w.decided.is_none()) {
                let Some(answered) = answers.next().await else { break };
                self.count(writes, answered, &mut stale);
            }
            self.leave_the_rest(writes, &answers).await;
            if self.ended() {
                writes.iter_mut().for_each(|write| write.end_with(self.ended_error()));
            }
            if writes.iter().all(|w| w.decided.is_some()) {
                return;
            }
            for (peer, slots) in group(stale) {
                // Whether or not they agree now: the next round finds out.
                let _ = self.sync_by(&peer, &slots, deadline).await;
            }
            let now = self.env.now();
            if now >= deadline {
                return;
            }
            self.progress.since(seen, (now + self.env.jittered(pause)).min(deadline)).await;
            // A higher version may have come here meanwhile, and what this node has of it must not be acknowledged for the lower one.
            writes.iter_mut().for_each(|write| write.unread = true);
            let waits = writes.iter().filter(|w| w.decided.is_none()).all(|write| write.uncounted);
            pause = if waits { (pause * 2).min(PAUSE_MAX) } else { PAUSE };
        }
    }

    /// Sends every undecided write to those of its present list that have not acknowledged it.
    fn send_round(self: &Arc<Self>, writes: &mut [Write], level: Consistency, deadline: Instant) -> Arc<Answers> {
        let view = self.view();
        let replicas = self.replicas();
        let mut batches: BTreeMap<u32, Vec<(StoreItem, usize)>> = BTreeMap::new();
        let mut missed = Vec::new();
        let (mut own, mut kept) = (Ticket::ready(), Sent::new());
        for (index, write) in writes.iter_mut().enumerate().filter(|(_, w)| w.decided.is_none()) {
            let members = view.replica_list(write.slot, replicas);
            let Some((list, counts)) = self.own_agreement(write.slot) else {
                write.decided = Some(Err(lost_slot()));
                continue;
            };
            if list.members != view.list_fingerprint(&members) {
                // The view moved between the two reads: the next round sees both as one.
                continue;
            }
            // The next owner may have decided already without this write: it decides what becomes of it.
            if write.depends && !self.owns(&view, write.slot) {
                write.decided = Some(Err(lost_slot()));
                continue;
            }
            if write.list != Some(list) {
                write.full.clear();
            }
            write.list = Some(list);
            write.set_size = members.len();
            write.wanted = if planted!("ack_early") { 1 } else { wanted(level, members.len()) };
            write.degraded = members.len() < replicas;
            write.unread |= !counts;
            if counts && write.unread {
                match self.has_newer(&write.record, write.slot) {
                    Ok(false) => {}
                    Ok(true) => {
                        write.supersede(Arc::new(self.as_peer()));
                        continue;
                    }
                    // What cannot be read cannot be acknowledged.
                    Err(error) => {
                        write.end_with(error);
                        continue;
                    }
                }
            }
            if counts {
                let ticket = self.store.ticket(write.slot);
                if ticket.is_ready() {
                    write.tally.ack(self.boot, list);
                } else if !write.tally.has(self.boot, list) {
                    own = own.and(ticket);
                    kept.push((index, write.slot, write.record.version, list));
                }
            }
            write.decide();
            // A newcomer that does not know how often the list changed has to learn it before it coordinates.
            if list.counter == 0 {
                continue;
            }
            for member in members {
                let record = view.member(member);
                let absent = record.verdict == Verdict::Suspect && write.decided.is_some();
                if absent {
                    missed.push(write.slot);
                }
                if record.boot == self.boot || write.tally.has(record.boot, list) || absent {
                    continue;
                }
                let item = StoreItem { slot: write.slot, list, record: write.record.clone() };
                batches.entry(member).or_default().push((item, index));
            }
        }
        for slot in missed {
            self.mark_dirty(slot);
        }
        let answers = Arc::<Answers>::default();
        if !kept.is_empty() {
            self.acknowledge_own(own, answers.expect(Arc::new(self.as_peer()), kept), deadline);
        }
        for (member, items) in batches {
            let peer = Arc::new(Peer::from(view.member(member)));
            for message in parts(items, |(item, _)| item.record.payload_len()) {
                let bytes = message.iter().map(|(item, _)| item.record.payload_len()).sum();
                let soon = deadline.min(self.env.now() + PAUSE);
                let until = self.attempt_deadline_of(bytes, &peer, deadline).max(soon);
                let sent = message.iter().map(|(item, index)| (*index, item.slot, item.record.version, item.list));
                let parcel = answers.expect(peer.clone(), sent.collect());
                let items = message.into_iter().map(|(item, _)| item).collect();
                self.post(peer.clone(), items, parcel, until);
            }
        }
        answers
    }

    /// What is here by now is above `record`, and not built on it as far as it tells.
    fn has_newer(&self, record: &Record, slot: Slot) -> Result<bool> {
        let present = self.store.get(slot, record.map, &record.key)?;
        let newest = record.operations.last();
        Ok(present.is_some_and(|p| p.version > record.version && newest.is_none_or(|id| !p.operations.contains(id))))
    }

    /// This node's own acknowledgement of what it keeps, once that is durable.
    fn acknowledge_own(self: &Arc<Self>, ticket: Ticket, parcel: Parcel, deadline: Instant) {
        let node = self.clone();
        self.begin(async move {
            let stored = async {
                let settled = ticket.wait_until(deadline).await;
                let result = || match &settled {
                    Ok(()) => StoreResult::Stored { counts: true },
                    Err(error) => StoreResult::Failed(error.clone()),
                };
                Ok(Response::Stored { results: std::iter::repeat_with(result).take(parcel.len()).collect() })
            };
            let what = What { kind: "store", attempt: 0, hedged: false };
            let results = match node.step_here(what, outcome_of, stored).await {
                Ok(Response::Stored { results }) => Some(results.into_iter().collect()),
                _ => None,
            };
            if let Some(unread) = parcel.answer(results) {
                node.mark_missed(&unread);
            }
        });
    }

    /// Counts one replica's answers.
    fn count(&self, writes: &mut [Write], answered: Answered, stale: &mut Vec<(Arc<Peer>, Slot)>) {
        let Answered { peer, sent, results } = answered;
        let Some(results) = results else {
            for (index, slot, ..) in sent {
                writes[index].silent = true;
                self.mark_dirty(slot);
            }
            return;
        };
        for ((index, _, version, list), result) in sent.into_iter().zip(results) {
            let write = &mut writes[index];
            match result {
                StoreResult::Stored { counts: true } if version == write.record.version => {
                    write.tally.ack(peer.boot, list);
                    write.decide();
                }
                StoreResult::Stored { .. } => write.uncounted = true,
                StoreResult::Refused { present } if write.decided.is_none() => {
                    self.hlc.observe(present.hlc);
                    write.supersede(peer.clone());
                }
                StoreResult::Refused { .. } => {}
                StoreResult::Stale { .. } => {
                    stale.push((peer.clone(), write.slot));
                    self.mark_dirty(write.slot);
                }
                // What this node cannot keep, it cannot order either.
                StoreResult::Failed(error) if peer.boot == self.boot && write.decided.is_none() => {
                    write.decided = Some(Err(error.unknown_outcome()));
                }
                StoreResult::Failed(error) => {
                    if error.kind() == ErrorKind::MemoryFull {
                        write.refused(peer.boot, error);
                    }
                    self.mark_dirty(write.slot);
                }
            }
        }
    }

    /// The callers are answered; what is still on its way to slower replicas goes on in the background, and a slot
    /// whose replica missed it is marked for repair.
    async fn leave_the_rest(&self, writes: &[Write], answers: &Answers) {
        let (unread, more) = answers.close();
        for answered in &unread {
            self.mark_missed(answered);
        }
        if !more {
            return;
        }
        match self.tails.enter() {
            Some(tail) => answers.hold(tail),
            None => {
                writes.iter().for_each(|write| self.mark_dirty(write.slot));
                // A caller that waits for nobody does not keep what it left behind from leaving.
                yield_now().await;
            }
        }
    }

    /// A replica of the slot missed a write: the repair looks at it soon.
    pub(crate) fn mark_dirty(&self, slot: Slot) {
        if planted!("missed_not_marked") {
            return;
        }
        let mut state = self.state();
        // That may have been a deletion.
        state.only_room.remove(&slot);
        // A pass that looks at the slot at this moment finds it marked, and is followed by another.
        if state.dirty.insert(slot) && !state.checking.contains(&slot) {
            self.repair_wanted.notify_one();
        }
    }
}

fn group(stale: Vec<(Arc<Peer>, Slot)>) -> BTreeMap<Arc<Peer>, Vec<Slot>> {
    let mut grouped: BTreeMap<Arc<Peer>, Vec<Slot>> = BTreeMap::new();
    for (peer, slot) in stale {
        let slots = grouped.entry(peer).or_default();
        if !slots.contains(&slot) {
            slots.push(slot);
        }
    }
    grouped
}
