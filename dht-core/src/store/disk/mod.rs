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
mod shared;
mod summary;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use redb::StorageBackend;

use self::file::{File, Layout, Opened};
use self::format::Head;
use self::layer::Change;
use self::shared::{Found, PENDING_HIGH, SHARDS, Shard, Shared, lock};
use self::summary::{summary_of_head, summary_of_record};
use super::ticket::{Commits, Ticket};
use super::{Merged, Store, Usage};
use crate::config::Durability;
use crate::data::fingerprint::Fingerprint;
use crate::data::record::{KeyDigest, Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::slot::Slot;

/// The data file inside `data_dir`.
const FILE_NAME: &str = "records.redb";
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

impl DiskStore {
    /// Opens what `dir` keeps, or begins it; `dir` is made if its parent is there, for its owner alone. It is this store's alone until it is
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
        let mut builder = std::fs::DirBuilder::new();
        // What only nodes that know the key of the ring are told is for nobody else on this machine.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        if let Err(error) = builder.create(dir)
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

    fn durable(&self, slot: Slot) -> Ticket {
        let ticket = self.shared.last_ticket(slot);
        if !ticket.is_ready() {
            self.shared.work.hurry();
        }
        ticket
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
