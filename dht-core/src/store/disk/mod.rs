//! Store engine: records in one redb file, which outlives the process and may be larger than memory.
//!
//! ```text
//! merge ──► active layer ──seal──► sealed layer ──one transaction──► file ──► snapshot
//! read   ◄────────┴──────────────────────┴───────────────────────────────────────┘   newest first
//! ```
//! A merge ends in the active layer of its slot's shard, in memory, where every read sees it at once. The writer's thread
//! seals all shards, commits what they hold in one transaction, publishes the snapshot that has it, and only then drops the
//! sealed layers: so whoever finds nothing in the layers finds it in the snapshot that is read after that. What each slot
//! holds in sum is in memory too, and in the file: neither an opening nor a comparison of replicas reads the records.
//!
//! Calls block for a look into the file where the record is not in a cache: tens of microseconds on a solid-state disk.

mod file;
mod format;
mod layer;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use redb::StorageBackend;

use self::file::{File, Layout, Opened, Snapshot};
use self::format::{Head, Summary};
use self::layer::{Change, Layer};
use super::ticket::{Commits, Ticket};
use super::{Merged, Store, Usage};
use crate::config::Durability;
use crate::data::FixedMap;
use crate::data::fingerprint::Fingerprint;
use crate::data::record::{KeyDigest, Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::slot::Slot;

/// The data file inside `data_dir`.
const FILE_NAME: &str = "records.redb";
/// Locks: more than threads will ever merge at once.
const SHARDS: usize = 64;
/// Changes in memory from which on acknowledgements wait for the next commit, whatever the durability.
const PENDING_HIGH: i64 = 16 << 20;
/// From here on merges are refused with `Overloaded`, but for the first: a value may be larger.
const PENDING_MAX: i64 = 64 << 20;
/// Pages of the file that are kept in memory, where no `max_memory` says less.
const CACHE_BYTES: usize = 64 << 20;
/// Less would be slow, and save little.
const CACHE_BYTES_MIN: usize = 4 << 20;

/// Keeps records on disk. See the module.
pub struct DiskStore {
    shared: Arc<Shared>,
    facts: Option<Bytes>,
    writer: Option<JoinHandle<()>>,
}

/// What callers and the writer's thread share.
struct Shared {
    slot_count: u32,
    durability: Durability,
    shards: [Mutex<Shard>; SHARDS],
    /// `None` once it is closed.
    snapshot: ArcSwapOption<Snapshot>,
    commits: Arc<Commits>,
    work: writer::Work,
    /// Memory that changes hold, about.
    pending: AtomicI64,
    /// The highest stamp in the file or about to be.
    stamp: AtomicU64,
}

#[derive(Default)]
struct Shard {
    active: Layer,
    sealed: Arc<Layer>,
    summaries: FixedMap<Slot, Summary>,
    /// The commit that will have what is active.
    group: u64,
    /// The commit that has, or will have, the last change.
    last_group: u64,
}

impl DiskStore {
    /// Opens what `dir` keeps, or begins it; `dir` is made if its parent is there. It is this store's alone until it is
    /// closed. `memory_max`: bytes that it may use for its caches, about.
    ///
    /// # Errors
    /// `Storage`, naming `dir`: another node has it, the disk fails, the file is damaged or of a newer release. `Config`: it
    /// is of a ring with another number of slots.
    pub fn open(dir: &Path, slot_count: u32, durability: Durability, memory_max: Option<u64>) -> Result<Self> {
        let named = |error: Error| {
            let context = format!("data_dir {}: {}", dir.display(), error.context());
            Error::new(error.kind(), context).with_source(error)
        };
        if let Err(error) = std::fs::create_dir(dir)
            && error.kind() != std::io::ErrorKind::AlreadyExists
        {
            let context = format!("data_dir {} cannot be made: {error}", dir.display());
            return Err(Error::new(ErrorKind::Storage, context).with_source(error));
        }
        let backend = file::locked(&dir.join(FILE_NAME), durability != Durability::None)?;
        // Half for redb; the changes on their way take some, and the sums of the slots.
        let cache = memory_max.map_or(CACHE_BYTES, |bytes| usize::try_from(bytes / 2).unwrap_or(CACHE_BYTES));
        let cache_bytes = cache.clamp(CACHE_BYTES_MIN, CACHE_BYTES);
        let layout = Layout { slot_count, cache_bytes, synced: durability != Durability::None };
        Self::on(backend, &layout, durability).map_err(named)
    }

    fn on(backend: Box<dyn StorageBackend>, layout: &Layout, durability: Durability) -> Result<Self> {
        let Opened { file, summaries, stamp, facts } = File::open(backend, layout)?;
        let mut shards: [Shard; SHARDS] = std::array::from_fn(|_| Shard { group: 1, ..Shard::default() });
        for (slot, summary) in summaries {
            shards[slot.0 as usize % SHARDS].summaries.insert(slot, summary);
        }
        let shared = Arc::new(Shared {
            slot_count: layout.slot_count,
            durability,
            shards: shards.map(Mutex::new),
            snapshot: ArcSwapOption::from_pointee(file.snapshot()?),
            commits: Arc::default(),
            work: writer::Work::default(),
            pending: AtomicI64::new(0),
            stamp: AtomicU64::new(stamp),
        });
        let writes = shared.clone();
        let gathers = durability != Durability::Always;
        // Not a task: it waits for the disk. It ends when the store is closed, at the latest when it is dropped.
        let writer = std::thread::Builder::new()
            .name("dht-store".to_owned())
            .spawn(move || writer::run(&writes, file, gathers))
            .map_err(|error| Error::new(ErrorKind::Storage, "no thread to write with").with_source(error))?;
        Ok(Self { shared, facts, writer: Some(writer) })
    }

    /// Waits, as a thread, until everything merged so far is on the disk, whatever the durability.
    ///
    /// # Errors
    /// `Storage` if the store failed.
    pub fn flush(&self) -> Result<()> {
        let group = self.shared.shards.iter().map(|shard| lock(shard).last_group).max().unwrap_or(0);
        self.shared.work.hurry();
        self.shared.commits.block(group)
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        self.shared.work.close();
        // It catches what it can; a panic in it has been reported by its thread.
        let _ = self.writer.take().map(JoinHandle::join);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // redb's panics are caught where it is called, and nothing else panics between two changes that belong together.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    /// What is on its way to the file for a key; `None` if nothing.
    fn pending(&self, slot: Slot, key: &[u8]) -> Option<&Change> {
        self.active.get(slot, key).or_else(|| self.sealed.get(slot, key))
    }

    fn put(&mut self, slot: Slot, key: Box<[u8]>, change: Change) -> isize {
        self.last_group = self.group;
        self.active.put(slot, key, change)
    }

    fn clear(&mut self, slot: Slot) -> isize {
        self.last_group = self.group;
        self.active.clear(slot)
    }

    fn summary(&self, slot: Slot) -> Summary {
        self.summaries.get(&slot).copied().unwrap_or_default()
    }

    /// What is on its way for all keys in a range of one slot, and whether the file's part of the slot still counts.
    fn overlay(&self, slot: Slot, begin: &[u8], end: &[u8]) -> (BTreeMap<Box<[u8]>, Change>, bool) {
        let mut overlay = BTreeMap::new();
        let cleared = self.active.cleared.contains(&slot);
        if !cleared {
            overlay.extend(self.sealed.range(begin, end).map(|(key, change)| (key.clone(), change.clone())));
        }
        overlay.extend(self.active.range(begin, end).map(|(key, change)| (key.clone(), change.clone())));
        (overlay, !cleared && !self.sealed.cleared.contains(&slot))
    }
}

impl Shared {
    fn shard(&self, slot: Slot) -> Result<MutexGuard<'_, Shard>> {
        if slot.0 >= self.slot_count {
            let context = format!("slot {} of a store of {} slots", slot.0, self.slot_count);
            return Err(Error::new(ErrorKind::Internal, context));
        }
        Ok(lock(&self.shards[slot.0 as usize % SHARDS]))
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>> {
        self.snapshot.load_full().ok_or_else(|| Error::new(ErrorKind::Stopped, "the store was closed"))
    }

    /// Good when everything merged near `slot` so far is in the file.
    fn last_ticket(&self, slot: Slot) -> Ticket {
        match self.shard(slot) {
            Ok(shard) => Ticket::of(&self.commits, shard.last_group),
            // Nothing can have been merged there.
            Err(_) => Ticket::ready(),
        }
    }

    /// Refuses what would not become durable.
    fn writable(&self) -> Result<()> {
        if let Some(failure) = self.commits.failure() {
            return Err(failure.clone());
        }
        let pending = self.pending.load(Ordering::Relaxed);
        if pending >= PENDING_MAX {
            let context = format!("{pending} bytes wait for the disk already");
            return Err(Error::new(ErrorKind::Overloaded, context));
        }
        Ok(())
    }

    fn grew(&self, bytes: isize) {
        let before = self.pending.fetch_add(bytes as i64, Ordering::Relaxed);
        if before < PENDING_HIGH && before + bytes as i64 >= PENDING_HIGH {
            self.work.hurry();
        } else {
            self.work.want();
        }
    }

    /// Takes what was merged since the last time; what is merged from now on belongs to the next group.
    fn seal(&self) -> (Vec<Arc<Layer>>, u64) {
        let (mut layers, mut sealed_group) = (Vec::new(), 0);
        for shard in &self.shards {
            let mut shard = lock(shard);
            let mut layer = std::mem::take(&mut shard.active);
            layer.summaries = layer.touched.iter().map(|slot| (*slot, shard.summary(*slot))).collect();
            let layer = Arc::new(layer);
            if !layer.is_empty() {
                layers.push(layer.clone());
            }
            shard.sealed = layer;
            sealed_group = shard.group;
            shard.group += 1;
        }
        (layers, sealed_group)
    }

    /// What was sealed is in the file.
    fn publish(&self, snapshot: Snapshot, layers: &[Arc<Layer>]) {
        self.snapshot.store(Some(Arc::new(snapshot)));
        for shard in &self.shards {
            let sealed = std::mem::take(&mut lock(shard).sealed);
            drop(sealed);
        }
        let weight: isize = layers.iter().map(|layer| layer.weight).sum();
        self.pending.fetch_sub(weight as i64, Ordering::Relaxed);
    }

    /// The record of a key, with what is on its way.
    fn record(&self, slot: Slot, key: &[u8]) -> Result<Option<Record>> {
        let shard = self.shard(slot)?;
        if let Some(change) = shard.pending(slot, key) {
            return Ok(change.record().cloned());
        }
        drop(shard);
        // Read after the look at the layers: see the module.
        self.snapshot()?.record(key)
    }

    /// Calls `each` with what a slot holds from `begin` to before `end`, ascending by key.
    fn walk(
        &self,
        slot: Slot,
        (begin, end): (&[u8], &[u8]),
        mut each: impl FnMut(&[u8], Found<'_>) -> Result<()>,
    ) -> Result<()> {
        let (overlay, file_counts, snapshot) = {
            let shard = self.shard(slot)?;
            let (overlay, file_counts) = shard.overlay(slot, begin, end);
            (overlay, file_counts, self.snapshot()?)
        };
        let mut changes = overlay.iter().peekable();
        if file_counts {
            snapshot.walk((begin, end), |key, bytes| {
                while let Some((changed, change)) = changes.next_if(|(changed, _)| changed[..] < *key) {
                    if let Some(record) = change.record() {
                        each(changed, Found::Pending(record))?;
                    }
                }
                match changes.next_if(|(changed, _)| changed[..] == *key) {
                    Some((_, Change::Put(record))) => each(key, Found::Pending(record))?,
                    Some((_, Change::Gone)) => {}
                    None => each(key, Found::Kept(&snapshot, bytes))?,
                }
                Ok(true)
            })?;
        }
        for (changed, change) in changes {
            if let Some(record) = change.record() {
                each(changed, Found::Pending(record))?;
            }
        }
        Ok(())
    }
}

/// A record where it is now.
enum Found<'a> {
    Pending(&'a Record),
    Kept(&'a Snapshot, &'a [u8]),
}

impl Found<'_> {
    fn version(&self, key: &[u8]) -> Result<Version> {
        match self {
            Self::Pending(record) => Ok(record.version),
            Self::Kept(_, bytes) => Ok(Head::decode(key, bytes)?.0.version),
        }
    }

    fn whole(&self, key: &[u8]) -> Result<Record> {
        match self {
            Self::Pending(record) => Ok((*record).clone()),
            Self::Kept(snapshot, bytes) => snapshot.whole(key, bytes),
        }
    }
}

/// What a record adds to its slot.
fn summary_of(digest: KeyDigest, version: Version, tombstone: bool, expires: bool, bytes: u64) -> Summary {
    let mut fingerprint = Fingerprint::EMPTY;
    fingerprint.add(digest, version);
    Summary {
        fingerprint: fingerprint.0,
        live: u64::from(!tombstone),
        tombstones: u64::from(tombstone),
        bytes,
        sweepable: u64::from(tombstone || expires),
    }
}

fn summary_of_record(digest: KeyDigest, record: &Record) -> Summary {
    let tombstone = record.value.is_none();
    summary_of(digest, record.version, tombstone, record.expires_at_ms != 0, record.payload_len() as u64)
}

fn summary_of_head(digest: KeyDigest, key_len: usize, head: &Head) -> Summary {
    let bytes = key_len as u64 + u64::from(head.value_len);
    summary_of(digest, head.version, head.is_tombstone(), head.expires_at_ms != 0, bytes)
}

impl Summary {
    fn change(&mut self, before: &Self, after: &Self) {
        self.fingerprint = self.fingerprint.wrapping_sub(before.fingerprint).wrapping_add(after.fingerprint);
        // A damaged file may count less than it has; that shows in its checksums.
        self.live = self.live.wrapping_sub(before.live).wrapping_add(after.live);
        self.tombstones = self.tombstones.wrapping_sub(before.tombstones).wrapping_add(after.tombstones);
        self.bytes = self.bytes.wrapping_sub(before.bytes).wrapping_add(after.bytes);
        self.sweepable = self.sweepable.wrapping_sub(before.sweepable).wrapping_add(after.sweepable);
    }
}

impl Store for DiskStore {
    fn get(&self, slot: Slot, map: u32, key: &[u8]) -> Result<Option<Record>> {
        self.shared.record(slot, &format::key(slot, KeyDigest::of(map, key), map, key))
    }

    fn merge(&self, slot: Slot, record: Record) -> Result<Merged> {
        let shared = &*self.shared;
        let digest = record.digest();
        let key = format::key(slot, digest, record.map, &record.key);
        let mut shard = shared.shard(slot)?;
        shared.writable()?;
        let before = match shard.pending(slot, &key) {
            Some(change) => change.record().map(|r| (r.version, summary_of_record(digest, r))),
            None => {
                let head = shared.snapshot()?.head(&key)?;
                head.map(|head| (head.version, summary_of_head(digest, record.key.len(), &head)))
            }
        };
        if let Some((present, _)) = before.filter(|(present, _)| record.version <= *present) {
            return Ok(Merged::Kept(present));
        }
        let after = summary_of_record(digest, &record);
        let before = before.map(|(_, summary)| summary).unwrap_or_default();
        shard.summaries.entry(slot).or_default().change(&before, &after);
        let grown = shard.put(slot, key, Change::Put(record));
        drop(shard);
        shared.grew(grown);
        Ok(Merged::Stored)
    }

    fn fingerprint(&self, slot: Slot) -> Result<Fingerprint> {
        Ok(Fingerprint(self.shared.shard(slot)?.summary(slot).fingerprint))
    }

    fn versions(&self, slot: Slot) -> Result<Vec<(KeyDigest, Version)>> {
        let (begin, end) = format::slot_range(slot);
        let mut versions = Vec::new();
        self.shared.walk(slot, (&begin, &end), |key, found| {
            versions.push((format::digest_of(key)?, found.version(key)?));
            Ok(())
        })?;
        // Two keys of one digest stand in the order of their keys.
        versions.sort_unstable();
        Ok(versions)
    }

    fn records(&self, slot: Slot, digests: &[KeyDigest], bytes_max: usize) -> Result<(Vec<Record>, usize)> {
        drop(self.shared.shard(slot)?);
        let (mut found, mut bytes, mut done) = (Vec::new(), 0, 0);
        for &digest in digests {
            done += 1;
            let (begin, end) = format::digest_range(slot, digest);
            self.shared.walk(slot, (&begin, &end), |key, record| {
                let record = record.whole(key)?;
                bytes += record.payload_len();
                found.push(record);
                Ok(())
            })?;
            if bytes >= bytes_max {
                break;
            }
        }
        Ok((found, done))
    }

    fn remove_slot(&self, slot: Slot, expected: Fingerprint) -> Result<bool> {
        let shared = &*self.shared;
        let mut shard = shared.shard(slot)?;
        if shard.summary(slot).fingerprint != expected.0 {
            return Ok(false);
        }
        if shard.summary(slot).is_empty() {
            return Ok(true);
        }
        shared.writable()?;
        shard.summaries.remove(&slot);
        let grown = shard.clear(slot);
        drop(shard);
        shared.grew(grown);
        Ok(true)
    }

    fn occupied(&self) -> Result<Vec<Slot>> {
        let mut slots = Vec::new();
        for shard in &self.shared.shards {
            slots.extend(lock(shard).summaries.iter().filter(|(_, s)| !s.is_empty()).map(|(slot, _)| *slot));
        }
        slots.sort_unstable();
        Ok(slots)
    }

    fn sweep(&self, slot: Slot, now_ms: u64, forget_before_ms: u64) -> Result<u64> {
        let shared = &*self.shared;
        if shared.shard(slot)?.summary(slot).sweepable == 0 {
            return Ok(0);
        }
        let (begin, end) = format::slot_range(slot);
        let mut due: Vec<(Box<[u8]>, Version)> = Vec::new();
        shared.walk(slot, (&begin, &end), |key, found| {
            let (version, tombstone, expires_at_ms) = match &found {
                Found::Pending(record) => (record.version, record.value.is_none(), record.expires_at_ms),
                Found::Kept(_, bytes) => {
                    let (head, _) = Head::decode(key, bytes)?;
                    (head.version, head.is_tombstone(), head.expires_at_ms)
                }
            };
            if format::value_expired(tombstone, expires_at_ms, now_ms)
                || format::forgettable(tombstone, version, expires_at_ms, forget_before_ms)
            {
                due.push((key.into(), version));
            }
            Ok(())
        })?;
        let mut dropped = 0;
        for (key, version) in due {
            dropped += u64::from(shared.sweep_one(slot, key, version, now_ms, forget_before_ms)?);
        }
        Ok(dropped)
    }

    fn bytes_in(&self, slot: Slot) -> u64 {
        self.shared.shard(slot).map_or(0, |shard| shard.summary(slot).bytes)
    }

    fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for shard in &self.shared.shards {
            for summary in lock(shard).summaries.values() {
                usage.live += summary.live;
                usage.tombstones += summary.tombstones;
                usage.bytes += summary.bytes;
            }
        }
        usage
    }

    fn ticket(&self, slot: Slot) -> Ticket {
        let shared = &*self.shared;
        let waits = shared.durability == Durability::Always
            || shared.pending.load(Ordering::Relaxed) >= PENDING_HIGH
            || shared.commits.failure().is_some();
        if !waits {
            return Ticket::ready();
        }
        shared.last_ticket(slot)
    }

    fn settled(&self, slot: Slot) -> Ticket {
        match self.shared.durability {
            Durability::Always => self.shared.last_ticket(slot),
            Durability::None | Durability::Interval => Ticket::ready(),
        }
    }

    fn healthy(&self) -> bool {
        self.shared.commits.failure().is_none()
    }

    fn persistent(&self) -> bool {
        true
    }

    fn highest_stamp(&self) -> u64 {
        self.shared.stamp.load(Ordering::Acquire)
    }

    fn remembered(&self) -> Option<Bytes> {
        self.facts.clone()
    }

    fn remember(&self, facts: Bytes) -> Ticket {
        let group = self.shared.work.remember(facts, || lock(&self.shared.shards[0]).group);
        Ticket::of(&self.shared.commits, group)
    }

    fn close(&self) -> Ticket {
        self.shared.work.close();
        Ticket::of(&self.shared.commits, Commits::CLOSED)
    }
}

impl Shared {
    /// Makes an expired value a tombstone, and forgets an old tombstone, unless the key was written meanwhile.
    fn sweep_one(
        &self,
        slot: Slot,
        key: Box<[u8]>,
        version: Version,
        now_ms: u64,
        forget_before_ms: u64,
    ) -> Result<bool> {
        let mut shard = self.shard(slot)?;
        self.writable()?;
        let digest = format::digest_of(&key)?;
        let tombstone = |record: Record| Record { value: None, ..record };
        let (before, deleted) = match shard.pending(slot, &key) {
            Some(Change::Put(record)) => (summary_of_record(digest, record), tombstone(record.clone())),
            Some(Change::Gone) => return Ok(false),
            None => {
                let Some(head) = self.snapshot()?.head(&key)? else { return Ok(false) };
                (summary_of_head(digest, key.len() - format::KEY_HEAD_LEN, &head), head.into_tombstone(&key)?)
            }
        };
        if deleted.version != version {
            return Ok(false);
        }
        let was_tombstone = before.tombstones == 1;
        let dead = was_tombstone || format::value_expired(false, deleted.expires_at_ms, now_ms);
        let (after, change) =
            if dead && format::forgettable(true, deleted.version, deleted.expires_at_ms, forget_before_ms) {
                (Summary::default(), Change::Gone)
            } else {
                (summary_of_record(digest, &deleted), Change::Put(deleted))
            };
        let summary = shard.summaries.entry(slot).or_default();
        summary.change(&before, &after);
        if summary.is_empty() {
            shard.summaries.remove(&slot);
        }
        let grown = shard.put(slot, key, change);
        drop(shard);
        self.grew(grown);
        Ok(!was_tombstone)
    }
}
