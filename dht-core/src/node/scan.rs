//! Scans: the keys of a prefix, slot after slot, page after page.
//!
//! A page is read from one replica; as many others as the level asks for say the fingerprints of the same slots. Where
//! all are equal, what the one has is what a quorum has. Where they differ, the keys that any of a quorum knows are
//! read one by one as every read is. So a key that was acknowledged at quorum before is in some page, and as slots
//! never change, it is in one only. What a page costs is bounded in records, bytes and records looked at.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::peers::Peer;
use super::quorum::{Tally, wanted};
use super::{Node, shown};
use crate::config::Consistency;
use crate::data::record::{KeyDigest, Record, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::node::repair::BATCH_BYTES;
use crate::ring::list::{ListId, Standing};
use crate::ring::record::Verdict;
use crate::ring::slot::Slot;
use crate::ring::view::Members;
use crate::wire::limits::{ITEMS_MAX, SLOTS_MAX};
use crate::wire::message::{CompareResult, Request, Response, ScanFrom, ScanWant, Scanning, Topic};

/// Records looked at for one page, whether they match or not.
const LOOKED_AT_MAX: usize = 16 * ITEMS_MAX;
/// Of a disputed slot one key is read first, then so many times as many: what is read beyond a page is read in vain.
const READ_GROWTH: usize = 8;
/// Bytes of them: a tenth of a second of a slow disk's reading.
const READ_MAX: usize = 32 << 20;
/// Slots of which an estimate looks who holds them.
const SLOTS_LOOKED_AT: u32 = 16_384;
/// Nodes that a client asks for what they hold.
const ASKED_FOR_LEN: usize = 8;
/// Slots of the first page; later ones have as many as fit.
pub(crate) const WIDTH_MIN: usize = 64;

/// What a scan looks for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) map: u32,
    pub(crate) prefix: Bytes,
    pub(crate) want: ScanWant,
    pub(crate) level: Consistency,
}

impl Wanted {
    /// What a replica is asked for.
    fn of(&self, items: Vec<(Slot, ListId)>, after: Option<KeyDigest>, want: ScanWant) -> Scanning {
        Scanning { items, map: self.map, prefix: self.prefix.clone(), after, want, relay: false }
    }
}

/// A part of what a scan finds.
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    /// `None`: that was the last.
    pub(crate) next: Option<ScanFrom>,
    /// Slots that the next page should ask for.
    pub(crate) width: usize,
}

/// What one replica answered.
struct Part {
    boot: u64,
    slots: Vec<CompareResult>,
    records: Vec<(Slot, Record)>,
    next: Option<ScanFrom>,
}

/// Slots that follow each other and have the same replicas.
struct Run {
    items: Vec<(Slot, ListId)>,
    /// Whom to ask, first those that are the best to ask; this node has no peer.
    members: Vec<(u64, Option<Peer>)>,
}

impl Node {
    /// The next part of a scan from `from` on: as many of `width` slots as fit.
    ///
    /// # Errors
    /// If too few caught-up replicas agreed by `deadline`: `Timeout` if all that was missing was silent, else `Quorum`.
    /// `NotJoined`, `Stopped`. The same page may be asked for again.
    pub(crate) async fn scan_page(
        self: &Arc<Self>,
        what: &Wanted,
        from: ScanFrom,
        width: usize,
        deadline: Instant,
    ) -> Result<Page> {
        // Turns to the next replica, or, once all had their turn, waits before it asks again.
        let mut asked_in_vain = 0;
        // Some did not give what was asked for, and were not silent.
        let mut answered = false;
        loop {
            let seen = self.progress.seen();
            self.joined_by(deadline).await?;
            let run = self.run_of(from.slot, width, asked_in_vain);
            let count = wanted(what.level, run.members.len()).max(1);
            let answers = self.ask_parts(&run, what, from.after, count, deadline).await;
            let mut failures = answers.iter().filter_map(|answer| answer.as_ref().err());
            // What a replica said before tells more than that the time was over when it was asked for the last time.
            answered |= failures.any(|kind| *kind != ErrorKind::Timeout);
            let parts: SmallVec<[Option<Part>; 4]> = answers.into_iter().map(Result::ok).collect();
            answered |= parts.iter().flatten().count() >= count || run.members.is_empty();
            let agreed = agreed_slots(&parts, count);
            let source = parts.first().and_then(Option::as_ref).map(|part| part.slots[0].standing);
            if source != Some(Standing::CaughtUp) && asked_in_vain < run.members.len() {
                asked_in_vain += 1;
                continue;
            }
            if agreed > 0
                && let Some(source) = parts.into_iter().next().flatten()
            {
                return Ok(self.page_of(source, &run, agreed, width));
            }
            if let Some(page) = self.disputed_page(&run, what, from, count, width, deadline).await? {
                return Ok(page);
            }
            let now = self.env.now();
            if now >= deadline {
                let context = format!(
                    "slot {} cannot be scanned: fewer than {count} caught-up replicas answered of one list",
                    from.slot.0
                );
                let kind = if answered { ErrorKind::Quorum } else { ErrorKind::Timeout };
                return Err(Error::new(kind, context));
            }
            asked_in_vain += 1;
            self.progress.since(seen, (now + self.env.jittered(super::read::PAUSE)).min(deadline)).await;
        }
    }

    /// The slots from `first` on that have the same replicas, at most `width`.
    fn run_of(&self, first: Slot, width: usize, asked_in_vain: usize) -> Run {
        let view = self.view();
        let replicas = self.replicas();
        let sorted = |list: &Members| {
            let mut list = list.clone();
            list.sort_unstable();
            list
        };
        let members = sorted(&view.replica_list(first, replicas));
        let last = self.slots.count().min(first.0.saturating_add(width.clamp(1, SLOTS_MAX) as u32));
        let lists = (first.0..last).map(Slot).map(|slot| (slot, view.replica_list(slot, replicas)));
        let same = lists.take_while(|(_, list)| sorted(list) == members);
        // A reader knows who is in a list, not how often it changed.
        let for_reading = |list: &Members| ListId { counter: 0, members: view.list_fingerprint(list), epoch: 0 };
        let items = same.map(|(slot, list)| (slot, for_reading(&list))).collect();
        let mut order: Vec<_> = members.iter().map(|m| view.member(*m)).collect();
        // Whoever did not answer the last time is not asked first again.
        let turn = asked_in_vain % order.len().max(1);
        order.sort_by_key(|r| (r.boot != self.boot, r.verdict != Verdict::Alive));
        order.rotate_left(turn);
        let peer = |boot, record| (boot != self.boot).then(|| Peer::from(record));
        Run { items, members: order.into_iter().map(|r| (r.boot, peer(r.boot, r))).collect() }
    }

    /// The first member answers with records, the others with fingerprints; those that fail are replaced by others while
    /// there are any.
    async fn ask_parts(
        self: &Arc<Self>,
        run: &Run,
        what: &Wanted,
        after: Option<KeyDigest>,
        count: usize,
        deadline: Instant,
    ) -> SmallVec<[Result<Part, ErrorKind>; 4]> {
        let ask = |index: usize, want: ScanWant| {
            let after = after.filter(|_| want != ScanWant::Fingerprints);
            self.ask_part(&run.members[index], what.of(run.items.clone(), after, want), deadline)
        };
        let mut parts: SmallVec<[Result<Part, ErrorKind>; 4]> = SmallVec::new();
        let first = (0..run.members.len()).take(count);
        let want = |index: usize| if index == 0 { what.want } else { ScanWant::Fingerprints };
        parts.extend(join_all(first.map(|index| ask(index, want(index)))).await);
        for index in count..run.members.len() {
            if parts.iter().flatten().count() >= count || parts.first().is_none_or(Result::is_err) {
                break;
            }
            parts.push(ask(index, ScanWant::Fingerprints).await);
        }
        parts
    }

    async fn ask_part(
        self: &Arc<Self>,
        (boot, peer): &(u64, Option<Peer>),
        scanning: Scanning,
        deadline: Instant,
    ) -> Result<Part, ErrorKind> {
        let asked = scanning.items.len();
        let answer = match peer {
            None => {
                let scanned = self.serve_own_scan(&scanning);
                let ticket = self.settled(scanning.items.iter().map(|(slot, _)| *slot));
                ticket.wait_until(deadline).await.map(|()| scanned)
            }
            Some(peer) => {
                let until = self.attempt_deadline(peer, deadline);
                self.call(peer, Request::Scan(scanning), until, 0).await
            }
        };
        match answer {
            // A silent or failing replica is one that did not answer; the caller counts.
            Ok(Response::Scanned { slots, records, next }) if slots.len() <= asked && !slots.is_empty() => {
                Ok(Part { boot: *boot, slots, records, next })
            }
            Ok(Response::Failure(error)) | Err(error) => Err(error.kind()),
            Ok(_) => Err(ErrorKind::Internal),
        }
    }

    /// What `source` found in the first `agreed` slots.
    fn page_of(&self, source: Part, run: &Run, agreed: usize, width: usize) -> Page {
        let last = run.items[agreed - 1].0;
        let records = source.records.into_iter().filter(|(slot, _)| *slot <= last).map(|(_, record)| record).collect();
        let whole = agreed == source.slots.len();
        let inside = source.next.filter(|from| whole && from.slot == last);
        let next = inside.or_else(|| self.behind(last));
        let width = match agreed == run.items.len() {
            true => (width * 2).min(SLOTS_MAX),
            false => agreed.max(1),
        };
        Page { records, next, width }
    }

    fn behind(&self, slot: Slot) -> Option<ScanFrom> {
        (slot.0 + 1 < self.slots.count()).then_some(ScanFrom { slot: Slot(slot.0 + 1), after: None })
    }

    /// The first slot of the run, whose replicas differ: all keys that a quorum of them knows, each read for itself.
    /// `None` if too few answered.
    async fn disputed_page(
        self: &Arc<Self>,
        run: &Run,
        what: &Wanted,
        from: ScanFrom,
        count: usize,
        width: usize,
        deadline: Instant,
    ) -> Result<Option<Page>> {
        let ask =
            |member| self.ask_part(member, what.of(run.items[..1].to_vec(), from.after, ScanWant::AllKeys), deadline);
        let parts: Vec<Part> = join_all(run.members.iter().map(ask)).await.into_iter().flatten().collect();
        let mut tally = Tally::default();
        for part in parts.iter().filter(|p| p.slots[0].standing == Standing::CaughtUp) {
            tally.ack(part.boot, part.slots[0].list);
        }
        let Some((list, _)) = tally.best().filter(|(_, n)| *n >= count) else {
            self.sync_with_stale(run, &parts, deadline).await;
            return Ok(None);
        };
        let counted: Vec<Part> = parts.into_iter().filter(|p| tally.has(p.boot, list)).collect();
        // Whoever had more to tell knows the keys up to there only.
        let until = counted.iter().filter_map(|p| p.next.and_then(|next| next.after)).min();
        let keys = keys_until(until, counted.into_iter().flat_map(|p| p.records).map(|(_, record)| record));
        let (mut records, mut bytes) = (Vec::new(), 0);
        let mut rest: VecDeque<(KeyDigest, SmallVec<[Bytes; 1]>)> = keys.into_iter().collect();
        let (mut done, mut count) = (from.after, 1);
        let half = self.env.halfway(deadline);
        // As many as make a page, however large their values are and however far the replicas.
        'page: while !rest.is_empty() && (done == from.after || self.env.now() < half) {
            let some: Vec<(u32, Bytes)> =
                rest.iter().take(count).flat_map(|(_, keys)| keys.iter().map(|key| (what.map, key.clone()))).collect();
            let mut found = self.read(&some, what.level, deadline).await.into_iter();
            for _ in 0..count.min(rest.len()) {
                let Some((digest, keys)) = rest.pop_front() else { break };
                for (key, result) in keys.iter().zip(found.by_ref()) {
                    let record = result.map_err(|error| {
                        let context = format!("{} cannot be read in a scan: {error}", shown(key));
                        Error::new(error.kind(), context).with_source(error)
                    })?;
                    let lives = |record: &Record| record.lives(|| self.env.wall_ms());
                    let Some(mut record) = record.filter(lives) else { continue };
                    if what.want != ScanWant::Values {
                        record.value = record.value.map(without_bytes);
                    }
                    bytes += record.payload_len();
                    records.push(record);
                }
                done = Some(digest);
                if bytes >= BATCH_BYTES || records.len() >= ITEMS_MAX - 1 {
                    break 'page;
                }
            }
            count = (count * READ_GROWTH).min(ITEMS_MAX);
        }
        let next = match until {
            _ if !rest.is_empty() => Some(ScanFrom { slot: from.slot, after: done }),
            Some(after) => Some(ScanFrom { slot: from.slot, after: Some(after) }),
            None => self.behind(from.slot),
        };
        // Where one slot is written to, its neighbours may be as well: fewer are asked for in vain.
        Ok(Some(Page { records, next, width: (width / 4).max(1) }))
    }

    /// About how many keys have a value: what a node holds, divided by the part of all copies that it should hold.
    pub(crate) async fn estimated_len(&self, deadline: Instant) -> Result<u64> {
        self.joined_by(deadline).await?;
        let view = self.view();
        let mut copies: BTreeMap<u32, u64> = BTreeMap::new();
        // Of many slots some say as much as all.
        let step = (self.slots.count() / SLOTS_LOOKED_AT).max(1);
        for slot in (0..self.slots.count()).step_by(step as usize).map(Slot) {
            for member in view.replica_list(slot, self.replicas()) {
                *copies.entry(member).or_default() += 1;
            }
        }
        let scaled = |live: u64, slots: u64| {
            (live as f64 * f64::from(self.slots.count() / step) / slots.max(1) as f64).round() as u64
        };
        if let Some(slots) = view.member_index(&self.node_id).and_then(|me| copies.get(&me)) {
            return Ok(scaled(self.store.usage().live, *slots));
        }
        let (mut live, mut slots) = (0, 0);
        for (member, held) in copies.into_iter().take(ASKED_FOR_LEN) {
            let request = Request::Describe { topic: Topic::Statistics, key: Bytes::new() };
            let peer = Peer::from(view.member(member));
            let answer = self.call(&peer, request, self.attempt_deadline(&peer, deadline), 0).await;
            if let Ok(Response::Described { json }) = answer
                && let Ok(statistics) = serde_json::from_str::<serde_json::Value>(&json)
                && let Some(items) = statistics["data_items_stored"].as_u64()
            {
                (live, slots) = (live + items, slots + held);
            }
        }
        if slots == 0 {
            return Err(Error::new(ErrorKind::Unreachable, "no node answered how much it holds"));
        }
        Ok(scaled(live, slots))
    }

    /// Brings whoever knows another list to the same node records.
    async fn sync_with_stale(&self, run: &Run, parts: &[Part], deadline: Instant) {
        let slot = [run.items[0].0];
        for part in parts.iter().filter(|p| p.slots[0].standing == Standing::Outsider) {
            if let Some((_, Some(peer))) = run.members.iter().find(|(boot, _)| *boot == part.boot) {
                // Whether or not that helped: the next round finds out.
                let _ = self.sync_by(peer, &slot, deadline).await;
            }
        }
    }

    /// Answers `Scan` from this node's own store.
    pub(crate) fn serve_own_scan(&self, scanning: &Scanning) -> Response {
        self.scan_here(scanning).unwrap_or_else(Response::Failure)
    }

    fn scan_here(&self, scanning: &Scanning) -> Result<Response> {
        let mut slots = Vec::with_capacity(scanning.items.len());
        let now_ms = self.env.wall_ms();
        let mut found = Found { records: Vec::new(), bytes: 0, looked_at: 0, read: 0, now_ms };
        let mut after = scanning.after;
        for &(slot, theirs) in &scanning.items {
            let from = ScanFrom { slot: self.known_slot(slot)?, after: after.take() };
            if found.full() {
                return Ok(Response::Scanned { slots, records: found.records, next: Some(from) });
            }
            let (list, standing) = self.standing_for(slot, theirs);
            // Before the records: these are then as new as what is compared, or newer.
            let fingerprint = self.store.fingerprint(slot)?;
            slots.push(CompareResult { list, standing, fingerprint, evicted_before_s: 0 });
            if scanning.want == ScanWant::Fingerprints || standing != Standing::CaughtUp {
                continue;
            }
            if let Some(after) = self.scan_slot(scanning, from, &mut found)? {
                let next = Some(ScanFrom { slot, after: Some(after) });
                return Ok(Response::Scanned { slots, records: found.records, next });
            }
        }
        Ok(Response::Scanned { slots, records: found.records, next: None })
    }

    /// Adds what is in one slot; where it stopped, if not everything fitted.
    fn scan_slot(&self, scanning: &Scanning, from: ScanFrom, found: &mut Found) -> Result<Option<KeyDigest>> {
        let mut digests: Vec<KeyDigest> =
            self.store.versions(from.slot)?.into_iter().map(|(digest, _)| digest).collect();
        // Two keys may have one digest; they are looked up together.
        digests.dedup();
        let begin = from.after.map_or(0, |after| digests.partition_point(|digest| *digest <= after));
        let mut rest = &digests[begin..];
        while !rest.is_empty() {
            if found.full() {
                return Ok(digests[..digests.len() - rest.len()].last().copied().or(from.after));
            }
            let room = (LOOKED_AT_MAX - found.looked_at).min(ITEMS_MAX - found.records.len()).min(rest.len());
            let (records, done) = self.store.records(from.slot, &rest[..room.max(1)], BATCH_BYTES)?;
            found.looked_at += done.max(1);
            records.into_iter().for_each(|record| found.take(scanning, from.slot, record));
            rest = rest.get(done.max(1)..).unwrap_or_default();
        }
        Ok(None)
    }
}

/// The keys of `records` by their digests, up to `until`: what lies beyond is for the next page, and must not count as read.
fn keys_until(
    until: Option<KeyDigest>,
    records: impl Iterator<Item = Record>,
) -> BTreeMap<KeyDigest, SmallVec<[Bytes; 1]>> {
    let mut keys: BTreeMap<KeyDigest, SmallVec<[Bytes; 1]>> = BTreeMap::new();
    for record in records {
        let digest = record.digest();
        if until.is_some_and(|until| digest > until) {
            continue;
        }
        let known = keys.entry(digest).or_default();
        if !known.contains(&record.key) {
            known.push(record.key);
        }
    }
    keys
}

/// Keys are asked for, and that they have a value.
fn without_bytes(value: Value) -> Value {
    Value { bytes: Bytes::new(), ..value }
}

/// What one replica found for one page so far.
struct Found {
    records: Vec<(Slot, Record)>,
    bytes: usize,
    looked_at: usize,
    /// Bytes of what was looked at: from a disk they are read, whether or not they are told.
    read: usize,
    now_ms: u64,
}

impl Found {
    fn full(&self) -> bool {
        self.records.len() >= ITEMS_MAX
            || self.bytes >= BATCH_BYTES
            || self.looked_at >= LOOKED_AT_MAX
            || self.read >= READ_MAX
    }

    fn take(&mut self, scanning: &Scanning, slot: Slot, mut record: Record) {
        self.read += record.payload_len();
        let all = scanning.want == ScanWant::AllKeys;
        let matches = record.map == scanning.map && record.key.starts_with(&scanning.prefix);
        if !matches || !all && !record.lives(|| self.now_ms) {
            return;
        }
        record.operations.clear();
        if scanning.want != ScanWant::Values {
            record.value = record.value.map(without_bytes);
        }
        self.bytes += record.payload_len() + 64;
        self.records.push((slot, record));
    }
}

/// How many slots, from the first on, `count` caught-up replicas of one list have alike.
fn agreed_slots(parts: &[Option<Part>], count: usize) -> usize {
    let Some(Some(source)) = parts.first() else { return 0 };
    let alike = |index: usize, slot: &CompareResult| {
        let same = |part: &&Part| part.slots.get(index) == Some(slot);
        slot.standing == Standing::CaughtUp && parts.iter().flatten().filter(same).count() >= count
    };
    source.slots.iter().enumerate().take_while(|(index, slot)| alike(*index, slot)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::record::Version;

    fn tombstone(key: &'static str) -> Record {
        Record {
            map: 0,
            key: Bytes::from_static(key.as_bytes()),
            value: None,
            version: Version { hlc: 1, node: 1, boot: 1 },
            expires_at_ms: 0,
            operations: SmallVec::new(),
        }
    }

    #[test]
    fn what_lies_beyond_what_all_told_is_not_looked_at() {
        let mut records: Vec<Record> = ["a", "b", "c", "d"].into_iter().map(tombstone).collect();
        records.sort_by_key(Record::digest);
        let digests: Vec<KeyDigest> = records.iter().map(Record::digest).collect();
        let told_by_two = || records.iter().chain(&records).cloned();
        let found = keys_until(Some(digests[1]), told_by_two());
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), digests[..2], "not even as a digest without keys");
        assert_eq!(found[&digests[1]][..], [records[1].key.clone()], "once, though two told it");
        assert_eq!(keys_until(None, told_by_two()).len(), 4);
    }
}
