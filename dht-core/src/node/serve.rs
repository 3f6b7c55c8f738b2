//! Inbound request → response: one match. What needs no other node is answered at once, without a task.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::Node;
use super::atomic::Effect;
use super::attempts::Origin;
use super::parts::BYTES_MAX;
use super::peers::Peer;
use crate::data::parts::{differing, keep_listed};
use crate::data::record::{KeyDigest, Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::node::repair::{BATCH_BYTES, carried_len};
use crate::ring::list::{Agreement, ListId, Standing};
use crate::ring::slot::Slot;
use crate::store::{Merged, Ticket};
use crate::transport::{Answer, BoxFuture, Call, Reply, Responses, TransportError};
use crate::wire::limits::ITEMS_MAX;
use crate::wire::message::{
    CompareItem, CompareResult, FetchItem, FetchResult, Head, PullItem, Request, Response, StoreItem, StoreResult,
};

/// The slots of one message, most often one.
pub(super) type Slots = SmallVec<[Slot; 4]>;

/// Entries in one message of versions: 40 bytes each.
const VERSIONS_MAX: usize = 4096;

/// The peer answered a question that was not asked.
pub(crate) fn unexpected(peer: &Peer) -> Error {
    Error::new(ErrorKind::Internal, format!("{} gave an answer to another question", peer.node_id))
}

impl Node {
    /// Answers one request.
    pub(crate) fn serve(self: &Arc<Self>, call: Call) -> Answer {
        match call.head.trace_id {
            0 => self.answer(call),
            _ => self.serve_traced(call, |call| self.answer(call)),
        }
    }

    fn answer(self: &Arc<Self>, call: Call) -> Answer {
        let head = call.head;
        if self.life.phase().ended() {
            return self.now(Response::Failure(super::stopped()));
        }
        let deadline = self.env.now() + Duration::from_millis(u64::from(head.deadline_ms));
        let ours = self.ring().id;
        if head.ring_id.is_some() && ours.is_some() && head.ring_id != ours {
            return self.serve_stranger(call, deadline);
        }
        if head.ring_id.is_some() {
            self.hear_clock(&head);
        }
        if head.sender != 0 && head.view != 0 {
            self.compare_view(head.sender, head.view);
        }
        let same_view = head.view == self.view.load().fingerprint();
        // What a ring knows is nothing to a node in none: it may take this one for another, who was at its address.
        let deaf = head.ring_id.is_some() && ours.is_none();
        match call.body {
            Request::Ping { boot, .. } if deaf => self.now(self.serve_ping(head.sender, boot, &[])),
            Request::Exchange { .. } | Request::Merge { .. } if deaf => {
                let context = format!("{} is in no ring yet", self.node_id);
                self.now(Response::Failure(Error::new(ErrorKind::NotJoined, context)))
            }
            Request::Ping { boot, records } => self.now(self.serve_ping(head.sender, boot, &records)),
            Request::PingFor { address, boot } => {
                self.later(move |node| async move { Ok(node.serve_ping_for(address, boot).await) })
            }
            Request::Sync { sums, gone, lists } => self.now(self.serve_sync(&sums, gone, &lists)),
            Request::Exchange { records, wanted, lists } => {
                self.now(self.serve_exchange(head.sender, &records, &wanted, &lists))
            }
            Request::Join { record, params, wall_ms: _, client } => {
                self.later(move |node| async move { node.serve_join(record, params, client, deadline).await })
            }
            Request::Admit { boot, release: true, .. } => self.now(self.serve_release(boot)),
            Request::Admit { node_id, boot, wait: false, .. } => self.now(self.serve_admit(&node_id, boot)),
            Request::Admit { node_id, boot, .. } => {
                self.later(move |node| async move { Ok(node.serve_admit_in_turn(&node_id, boot, deadline).await) })
            }
            Request::Merge { ring_id, records } => self.now(self.serve_merge(ring_id, &records)),
            Request::Lookup { target, .. } if !self.ids.contains(target) => {
                let context = format!("the target is no id of {} bits", self.ids.bits());
                self.now(Response::Failure(Error::new(ErrorKind::InvalidArgument, context)))
            }
            Request::Stabilize { positions, known } => self.now(self.serve_stabilize(&positions, &known, same_view)),
            Request::Notify { pointers } => {
                self.later(move |node| async move { Ok(node.serve_notify(pointers).await) })
            }
            Request::Lookup { target, past, claimed } => self.now(self.serve_lookup(target, past, claimed, same_view)),
            // Who owns the key, and what is in it, the two do not agree upon.
            Request::Apply { operations, rings, .. } if self.is_behind(rings) => {
                let results = operations.iter().map(|operation| self.misrouted(operation)).collect();
                self.now(Response::Applied { results, records: Vec::new() })
            }
            Request::Apply { operations, level, relay: true, .. } => {
                // Clients and programs give no boot.
                let origin = Origin { tried: head.attempt, passed_on: head.sender != 0 };
                self.later(move |node| async move { Ok(node.relay(operations, level, deadline, origin).await) })
            }
            Request::Apply { operations, level, relay: false, .. } => self.later(move |node| async move {
                let results = node.coordinate(operations, level, deadline, head.attempt).await;
                Ok(Response::Applied { results, records: Vec::new() })
            }),
            Request::Store { items, repair } => {
                let slots = self.to_keep(items.iter().map(|item| item.slot));
                let stored = self.serve_store(items, repair);
                self.once(self.kept(&slots), stored)
            }
            Request::Fetch { items } => {
                let found = self.serve_fetch(&items);
                self.once(self.settled(items.iter().map(|item| item.slot)), found)
            }
            Request::LastLife { records } => self.now(self.serve_last_life(&records)),
            Request::Compare { items, catching_up, durable } => {
                if catching_up {
                    self.state().graves.somebody_catches_up(self.env.now());
                }
                let compared = self.serve_compare(&items);
                let slots = items.iter().map(|item| item.slot);
                let ticket = if durable { self.durable(slots) } else { self.settled(slots) };
                self.once(ticket, compared)
            }
            Request::CompareSums { part_len, parts, sums } => {
                self.now(self.serve_compare_sums(head.sender, part_len, &parts, &sums))
            }
            Request::Scan(scanning) if scanning.relay => {
                self.later(move |node| async move { node.relay_scan(scanning, deadline).await })
            }
            Request::Scan(scanning) => {
                let scanned = self.serve_own_scan(&scanning);
                self.once(self.settled(scanning.items.iter().map(|(slot, _)| *slot)), scanned)
            }
            Request::Versions { slot, parts } => self.stream_versions(slot, &parts),
            Request::Pull { items, urgent: _ } => {
                Answer::Stream(Box::new(Pulling { node: self.clone(), items, at: 0, from: 0 }))
            }
            Request::Describe { topic, key } => {
                let described = self.describe(topic, &key).map(|json| Response::Described { json });
                self.now(described.unwrap_or_else(Response::Failure))
            }
            // A transport that carries datagrams keeps these to itself.
            Request::Collect { .. } | Request::SealKey { .. } => {
                let context = format!("{} takes no such datagrams", self.node_id);
                self.now(Response::Failure(Error::new(ErrorKind::Unsupported, context)))
            }
        }
    }

    /// Another ring speaks: only what may make one ring of two is heard.
    fn serve_stranger(self: &Arc<Self>, call: Call, deadline: Instant) -> Answer {
        if !matches!(call.body, Request::Merge { .. }) {
            self.meet_in_another_ring(call.head.sender);
        }
        match call.body {
            // The envelope of the answer names our ring; what they know of nodes is theirs.
            Request::Ping { .. } => self.now(Response::Pong { records: Vec::new() }),
            Request::Merge { ring_id, records } => self.now(self.serve_merge(ring_id, &records)),
            Request::Join { record, params, wall_ms: _, client } => {
                self.later(move |node| async move { node.serve_join(record, params, client, deadline).await })
            }
            _ => {
                let context = format!("{} is in another ring", self.node_id);
                self.now(Response::Failure(Error::new(ErrorKind::IncompatibleRing, context)))
            }
        }
    }

    fn now(&self, body: Response) -> Answer {
        Answer::Now(self.reply(body))
    }

    /// Says `body` once `ticket` is good, and else that it is not.
    fn once(self: &Arc<Self>, ticket: Ticket, body: Response) -> Answer {
        if ticket.is_ready() {
            return self.now(body);
        }
        self.later(move |_| async move { ticket.wait().await.map(|()| body) })
    }

    /// The slots whose durability has to be waited for; none where nothing outlives the process.
    fn to_keep(&self, slots: impl Iterator<Item = Slot>) -> Slots {
        if self.store.persistent() { slots.collect() } else { Slots::new() }
    }

    /// Good when what was merged into `slots` may be acknowledged.
    fn kept(&self, slots: &Slots) -> Ticket {
        slots.iter().fold(Ticket::ready(), |ticket, slot| ticket.and(self.store.ticket(*slot)))
    }

    /// Good when what `slots` hold outlives a crash.
    fn durable(&self, slots: impl Iterator<Item = Slot>) -> Ticket {
        slots.fold(Ticket::ready(), |ticket, slot| ticket.and(self.store.durable(slot)))
    }

    /// Good when what `slots` hold may be told.
    pub(super) fn settled(&self, slots: impl Iterator<Item = Slot>) -> Ticket {
        if !self.store.persistent() {
            return Ticket::ready();
        }
        slots.fold(Ticket::ready(), |ticket, slot| ticket.and(self.store.settled(slot)))
    }

    /// That slot, if the ring has it.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub(super) fn known_slot(&self, slot: Slot) -> Result<Slot> {
        let out_of_range = || Error::new(ErrorKind::InvalidArgument, format!("slot {} is out of range", slot.0));
        self.slots.get(slot.0).ok_or_else(out_of_range)
    }

    /// Our list of the slot and our standing in it, for a reader who goes by `theirs`; an outsider if that is another.
    pub(super) fn standing_for(&self, slot: Slot, theirs: ListId) -> (ListId, Standing) {
        let mut state = self.state();
        match state.table.agree(slot, theirs, false) {
            Agreement::Stale(list) => {
                // Somebody of this list has seen it change once more: the repair finds out who, and why.
                if list.members == theirs.members && list.counter < theirs.counter && state.dirty.insert(slot) {
                    self.repair_wanted.notify_one();
                }
                (list, Standing::Outsider)
            }
            Agreement::Same { counts } => {
                let unknown = ListId { counter: 0, members: theirs.members, epoch: 0 };
                let standing = if counts { Standing::CaughtUp } else { Standing::Newcomer };
                (state.table.list(slot).unwrap_or(unknown), standing)
            }
        }
    }

    fn reply(&self, body: Response) -> Reply {
        let tells = matches!(body, Response::Pong { .. } | Response::Welcome { .. } | Response::Compared { .. });
        let clock = if tells { self.clock() } else { 0 };
        let head = self.head(self.env.now(), 0);
        // A node on its way back is in no ring, but one is: whoever asks is not to found another.
        let not_joined = matches!(&body, Response::Failure(error) if error.kind() == ErrorKind::NotJoined);
        let former = || self.former_company().filter(|_| not_joined).and_then(|former| former.ring);
        let ring_id = head.ring_id.or_else(|| former().map(|(id, _)| id));
        Reply::new(Head { clock, ring_id, ..head }, body)
    }

    fn later<F>(self: &Arc<Self>, work: impl FnOnce(Arc<Self>) -> F + Send + 'static) -> Answer
    where
        F: Future<Output = Result<Response>> + Send + 'static,
    {
        let node = self.clone();
        Answer::Later(Box::pin(self.env.clone().gated(async move {
            let body = work(node.clone()).await.unwrap_or_else(Response::Failure);
            node.reply(body)
        })))
    }

    fn serve_ping(&self, from: u64, boot: u64, records: &[crate::ring::record::NodeRecord]) -> Response {
        if boot != 0 && boot != self.boot {
            let context = "the node you mean is not at this address any more";
            return Response::Failure(Error::new(ErrorKind::Unreachable, context));
        }
        self.hear_from(from, records);
        let mut state = self.state();
        let nodes = self.view.load().members().len();
        // Whoever tells many at once wants no answer from any, or would get the same news from all.
        let told = boot == 0 && !records.is_empty();
        let mut answer = match from {
            _ if told => Vec::new(),
            0 => state.news.for_bystanders(),
            from => state.news.take(nodes, from),
        };
        // Whoever doubts this node hears of its refutation, however long ago that was.
        let own = state.members.own();
        if records.iter().any(|told| told.node_id == self.node_id && own.supersedes(told)) && !answer.contains(own) {
            answer.push(own.clone());
        }
        Response::Pong { records: answer }
    }

    fn serve_store(&self, items: Vec<StoreItem>, repair: bool) -> Response {
        if repair {
            self.pace.brought(carried_len(items.iter().map(|item| &item.record)), self.env.now());
        }
        let keep = |item: StoreItem| {
            if self.slots.get(item.slot.0).is_none() || self.slot_of(&item.record.key) != item.slot {
                let context = format!("slot {} is not the slot of its key", item.slot.0);
                return StoreResult::Failed(Error::new(ErrorKind::InvalidArgument, context));
            }
            let (slot, list) = (item.slot, item.list);
            // A repair merges whatever the lists are, but for that of a read, which counts for one list.
            let anywhere = repair && list == ListId::UNKNOWN;
            let seen = self.progress.seen();
            let mut counts = false;
            if !anywhere {
                match self.state().table.agree(slot, list, true) {
                    Agreement::Same { counts: caught_up } => counts = caught_up && !repair,
                    Agreement::Stale(list) => return StoreResult::Stale { list },
                }
            }
            let made_by = item.record.operations.last().copied().map(|id| (id, item.record.version));
            let taken = match repair {
                true => self.take_in_repaired(item.slot, item.record),
                false => self.take_in(item.slot, item.record),
            };
            if let (Ok(None), Some((id, version)), false) = (&taken, made_by, repair) {
                // For its retry through another owner, when so many have written since that the record forgot it.
                self.stored.applied(id, version, &Effect::default());
            }
            // Whoever took the slot over from here may have done so between the look at the list and the merge.
            if !anywhere
                && self.progress.seen() != seen
                && let Agreement::Stale(list) = self.state().table.agree(slot, list, true)
            {
                return StoreResult::Stale { list };
            }
            match taken {
                Ok(None) => StoreResult::Stored { counts },
                Ok(Some(present)) => StoreResult::Refused { present },
                Err(error) => StoreResult::Failed(error),
            }
        };
        Response::Stored { results: items.into_iter().map(keep).collect() }
    }

    /// Keeps a record that came from elsewhere; `Some`: a higher version was here and stays.
    pub(crate) fn take_in(&self, slot: Slot, record: Record) -> Result<Option<Version>> {
        self.hlc.observe(record.version.hlc);
        let version = record.version;
        let merged = self.store.merge(slot, record).inspect_err(|error| self.note_missed(error));
        Ok(match merged? {
            Merged::Stored => None,
            Merged::Kept(present) if present == version => None,
            Merged::Kept(present) => Some(present),
        })
    }

    /// The same for a record that a repair brought: two versions may meet that knew nothing of each other, as after a
    /// split. The higher one wins, and that is counted.
    pub(crate) fn take_in_repaired(&self, slot: Slot, record: Record) -> Result<Option<Version>> {
        let renewed = if planted!("ttl_renewed") && record.expires_at_ms > 0 { 60_000 } else { 0 };
        let record = Record { expires_at_ms: record.expires_at_ms + renewed, ..record };
        let present = self.store.get(slot, record.map, &record.key)?;
        let conflict = present.is_some_and(|present| in_conflict(&present, &record));
        let taken = self.take_in(slot, record)?;
        self.stats.conflicts_resolved.add(u64::from(conflict));
        Ok(taken)
    }

    pub(crate) fn serve_fetch(&self, items: &[FetchItem]) -> Response {
        let find = |item: &FetchItem| {
            if let Err(error) = self.known_slot(item.slot) {
                return FetchResult::Failed(error);
            }
            let list = match self.standing_for(item.slot, item.list) {
                (list, Standing::CaughtUp) => list,
                (list, Standing::Newcomer) if planted!("newcomer_reads") => list,
                (list, Standing::Newcomer) => return FetchResult::NotReady { list },
                (list, Standing::Outsider | Standing::Returned) => return FetchResult::Stale { list },
            };
            match self.store.get(item.slot, item.map, &item.key) {
                Ok(record) => {
                    let known = |id| self.recent.applied_as(id).or_else(|| self.stored.applied_as(id));
                    let asked = item.operation.filter(|_| !planted!("retry_forgotten"));
                    let stored_as = asked.and_then(known).map(|(version, _)| version);
                    FetchResult::Found { list, record, stored_as }
                }
                Err(error) => FetchResult::Failed(error),
            }
        };
        let mut bytes = 0;
        let bounded = |item: &FetchItem| {
            if bytes > BYTES_MAX {
                // The caller asks for the rest in its next round.
                return FetchResult::Failed(Error::new(ErrorKind::Overloaded, "the answer is full; ask again"));
            }
            let result = find(item);
            if let FetchResult::Found { record: Some(record), .. } = &result {
                bytes += record.payload_len();
            }
            result
        };
        Response::Fetched { results: items.iter().map(bounded).collect() }
    }

    fn serve_compare(&self, items: &[CompareItem]) -> Response {
        let side = |item: &CompareItem| {
            let (list, standing) = self.state().table.told(item.slot);
            let fingerprint = self.store.fingerprint(item.slot).unwrap_or_default();
            let evicted_before_s = self.store.evicted_before_s(item.slot);
            CompareResult { list, standing, fingerprint, evicted_before_s }
        };
        Response::Compared { results: items.iter().map(side).collect() }
    }

    fn stream_versions(self: &Arc<Self>, slot: Slot, parts: &[u64]) -> Answer {
        let mut entries = match self.store.versions(slot) {
            Ok(entries) => entries,
            Err(error) => return self.now(Response::Failure(error)),
        };
        let listed = (!parts.is_empty()).then(|| differing(&entries, parts));
        if let Some(listed) = &listed {
            keep_listed(&mut entries, listed, parts.len());
        }
        Answer::Stream(Box::new(Listing { node: self.clone(), entries, listed, at: 0 }))
    }
}

/// Two coordinators stamped these, and the newer write did not build upon the older one. A record remembers only its
/// last operations: a replica that missed more than those looks like a conflict if the owner changed meanwhile.
fn in_conflict(a: &Record, b: &Record) -> bool {
    let (older, newer) = if a.version < b.version { (a, b) } else { (b, a) };
    let writer = |record: &Record| (record.version.node, record.version.boot);
    writer(older) != writer(newer) && older.operations.last().is_some_and(|last| !newer.operations.contains(last))
}

/// The versions of one slot, in parts.
struct Listing {
    node: Arc<Node>,
    entries: Vec<(KeyDigest, Version)>,
    /// Told with the first.
    listed: Option<Vec<u32>>,
    at: usize,
}

impl Responses for Listing {
    fn next(&mut self) -> BoxFuture<'_, Option<std::result::Result<Reply, TransportError>>> {
        let rest = &self.entries[self.at..];
        let entries = rest[..rest.len().min(VERSIONS_MAX)].to_vec();
        self.at += entries.len();
        let listed = self.listed.take();
        let some = !entries.is_empty() || listed.is_some();
        let item = some.then(|| Ok(self.node.reply(Response::Versions { entries, listed })));
        Box::pin(std::future::ready(item))
    }
}

/// Records of several slots, in parts of bounded size.
struct Pulling {
    node: Arc<Node>,
    items: Vec<PullItem>,
    /// The item being sent, and how many of its digests are.
    at: usize,
    from: usize,
}

impl Pulling {
    fn part(&mut self) -> Result<Vec<(Slot, Record)>> {
        let mut part = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES && part.len() < ITEMS_MAX && self.at < self.items.len() {
            let store = &self.node.store;
            let item = &mut self.items[self.at];
            if item.digests.is_empty() {
                item.digests = store.versions(item.slot)?.into_iter().map(|(digest, _)| digest).collect();
            }
            let rest = item.digests.get(self.from..).unwrap_or_default();
            if rest.is_empty() {
                (self.at, self.from) = (self.at + 1, 0);
                continue;
            }
            let some = &rest[..rest.len().min(ITEMS_MAX - part.len())];
            let (records, dealt_with) = store.records(item.slot, some, BATCH_BYTES - bytes)?;
            self.from += dealt_with.max(1);
            bytes += carried_len(&records);
            part.extend(records.into_iter().map(|record| (item.slot, record)));
        }
        Ok(part)
    }
}

impl Responses for Pulling {
    fn next(&mut self) -> BoxFuture<'_, Option<std::result::Result<Reply, TransportError>>> {
        let item = match self.part() {
            Ok(items) if items.is_empty() => None,
            Ok(items) => Some(Ok(self.node.reply(Response::Records { items }))),
            Err(error) => {
                self.at = self.items.len();
                Some(Ok(self.node.reply(Response::Failure(error))))
            }
        };
        Box::pin(std::future::ready(item))
    }
}
