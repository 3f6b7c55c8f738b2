//! What callers and the writer's thread share: changes on their way to the file, in layers above the last snapshot of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use super::file::Snapshot;
use super::format::{self, Head, Summary};
use super::layer::{Change, Layer};
use super::summary::{summary_of_head, summary_of_record};
use super::writer;
use crate::config::Durability;
use crate::data::FixedMap;
use crate::data::record::{Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::slot::Slot;
use crate::store::ticket::{Commits, Ticket};

/// Locks: more than threads will ever merge at once.
pub(super) const SHARDS: usize = 64;
/// Changes in memory from which on acknowledgements wait for the next commit, whatever the durability.
pub(super) const PENDING_HIGH: i64 = 16 << 20;
/// From here on merges are refused with `Overloaded`, but for the first: a value may be larger.
pub(super) const PENDING_MAX: i64 = 64 << 20;
/// What callers and the writer's thread share.
pub(super) struct Shared {
    pub(super) slot_count: u32,
    pub(super) durability: Durability,
    pub(super) shards: [Mutex<Shard>; SHARDS],
    /// `None` once it is closed.
    pub(super) snapshot: ArcSwapOption<Snapshot>,
    pub(super) commits: Arc<Commits>,
    pub(super) work: writer::Work,
    /// Memory that changes hold, about.
    pub(super) pending: AtomicI64,
    /// The highest stamp in the file or about to be.
    pub(super) stamp: AtomicU64,
}

#[derive(Default)]
pub(super) struct Shard {
    pub(super) active: Layer,
    pub(super) sealed: Arc<Layer>,
    pub(super) summaries: FixedMap<Slot, Summary>,
    /// The commit that will have what is active.
    pub(super) group: u64,
    /// The commit that has, or will have, the last change.
    pub(super) last_group: u64,
}

pub(super) fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // redb's panics are caught where it is called, and nothing else panics between two changes that belong together.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    /// What is on its way to the file for a key; `None` if nothing.
    pub(super) fn pending(&self, slot: Slot, key: &[u8]) -> Option<&Change> {
        self.active.get(slot, key).or_else(|| self.sealed.get(slot, key))
    }

    pub(super) fn put(&mut self, slot: Slot, key: Box<[u8]>, change: Change) -> isize {
        self.last_group = self.group;
        self.active.put(slot, key, change)
    }

    pub(super) fn clear(&mut self, slot: Slot) -> isize {
        self.last_group = self.group;
        self.active.clear(slot)
    }

    pub(super) fn summary(&self, slot: Slot) -> Summary {
        self.summaries.get(&slot).copied().unwrap_or_default()
    }

    /// What is on its way for all keys in a range of one slot, and whether the file's part of the slot still counts.
    pub(super) fn overlay(&self, slot: Slot, begin: &[u8], end: &[u8]) -> (BTreeMap<Box<[u8]>, Change>, bool) {
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
    pub(super) fn shard(&self, slot: Slot) -> Result<MutexGuard<'_, Shard>> {
        if slot.0 >= self.slot_count {
            let context = format!("slot {} of a store of {} slots", slot.0, self.slot_count);
            return Err(Error::new(ErrorKind::Internal, context));
        }
        Ok(lock(&self.shards[slot.0 as usize % SHARDS]))
    }

    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>> {
        self.snapshot.load_full().ok_or_else(|| Error::new(ErrorKind::Stopped, "the store was closed"))
    }

    /// Good when everything merged near `slot` so far is in the file.
    pub(super) fn last_ticket(&self, slot: Slot) -> Ticket {
        match self.shard(slot) {
            Ok(shard) => Ticket::of(&self.commits, shard.last_group),
            // Nothing can have been merged there.
            Err(_) => Ticket::ready(),
        }
    }

    /// Refuses what would not become durable.
    pub(super) fn writable(&self) -> Result<()> {
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

    pub(super) fn grew(&self, bytes: isize) {
        let before = self.pending.fetch_add(bytes as i64, Ordering::Relaxed);
        if before < PENDING_HIGH && before + bytes as i64 >= PENDING_HIGH {
            self.work.hurry();
        } else {
            self.work.want();
        }
    }

    /// Takes what was merged since the last time; what is merged from now on belongs to the next group.
    pub(super) fn seal(&self) -> (Vec<Arc<Layer>>, u64) {
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
    pub(super) fn publish(&self, snapshot: Snapshot, layers: &[Arc<Layer>]) {
        self.snapshot.store(Some(Arc::new(snapshot)));
        for shard in &self.shards {
            let sealed = std::mem::take(&mut lock(shard).sealed);
            drop(sealed);
        }
        let weight: isize = layers.iter().map(|layer| layer.weight).sum();
        self.pending.fetch_sub(weight as i64, Ordering::Relaxed);
    }

    /// The record of a key, with what is on its way.
    pub(super) fn record(&self, slot: Slot, key: &[u8]) -> Result<Option<Record>> {
        let shard = self.shard(slot)?;
        if let Some(change) = shard.pending(slot, key) {
            return Ok(change.record().cloned());
        }
        drop(shard);
        // Read after the look at the layers: see the module.
        self.snapshot()?.record(key)
    }

    /// Calls `each` with what a slot holds from `begin` to before `end`, ascending by key.
    pub(super) fn walk(
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

    /// Makes an expired value a tombstone, and forgets an old tombstone, unless the key was written meanwhile.
    pub(super) fn sweep_one(
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

/// A record where it is now.
pub(super) enum Found<'a> {
    Pending(&'a Record),
    Kept(&'a Snapshot, &'a [u8]),
}

impl Found<'_> {
    pub(super) fn version(&self, key: &[u8]) -> Result<Version> {
        match self {
            Self::Pending(record) => Ok(record.version),
            Self::Kept(_, bytes) => Ok(Head::decode(key, bytes)?.0.version),
        }
    }

    pub(super) fn whole(&self, key: &[u8]) -> Result<Record> {
        match self {
            Self::Pending(record) => Ok((*record).clone()),
            Self::Kept(snapshot, bytes) => snapshot.whole(key, bytes),
        }
    }
}
