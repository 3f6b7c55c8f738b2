//! Store engine: everything in memory, nothing survives the process.
//!
//! Slots are reached by index, without hashing, through blocks of 64 that are made when first written to; each slot
//! is a small hash table behind its own short lock, one cache line in all, and costs no heap while it is empty. A
//! get is one key hash, one lock, one probe and no allocation. Nothing slow happens under a lock: records are packed
//! and freed, fingerprint terms hashed and lists sorted outside it, as far as they do not depend on what is there.

mod buffer;
mod entry;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use hashbrown::HashTable;

use self::entry::Entry;
use super::{Merged, Store, Usage};
use crate::data::fingerprint::Fingerprint;
use crate::data::record::{KeyDigest, Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::slot::Slot;

/// 64 slots of one cache line are 4 KiB: little for a first key, few pointers for a million slots.
const BLOCK_SLOTS: usize = 64;

type Block = [SlotCell; BLOCK_SLOTS];

/// Keeps records in memory. See the module.
pub struct MemoryStore {
    slot_count: u32,
    /// Never shrinks: at most 64 bytes for each slot that was ever written to.
    blocks: Box<[OnceLock<Box<Block>>]>,
    totals: Totals,
}

impl MemoryStore {
    /// An empty store of slots `0..slot_count`. Any other slot is `INTERNAL` from every method: the caller works
    /// with another slot space.
    pub fn new(slot_count: u32) -> Self {
        let block_count = (slot_count as usize).div_ceil(BLOCK_SLOTS);
        let blocks = (0..block_count).map(|_| OnceLock::new()).collect();
        Self { slot_count, blocks, totals: Totals::default() }
    }

    /// The slot's table, or `None` if nothing was ever written near it.
    #[inline]
    fn table(&self, slot: Slot) -> Result<Option<MutexGuard<'_, Table>>> {
        let block = self.block(slot)?.get();
        Ok(block.map(|block| block[slot.0 as usize % BLOCK_SLOTS].lock()))
    }

    fn table_or_new(&self, slot: Slot) -> Result<MutexGuard<'_, Table>> {
        let block = self.block(slot)?.get_or_init(|| Box::new(std::array::from_fn(|_| SlotCell::default())));
        Ok(block[slot.0 as usize % BLOCK_SLOTS].lock())
    }

    #[inline]
    fn block(&self, slot: Slot) -> Result<&OnceLock<Box<Block>>> {
        if slot.0 < self.slot_count { Ok(&self.blocks[slot.0 as usize / BLOCK_SLOTS]) } else { Err(self.no_slot(slot)) }
    }

    #[cold]
    fn no_slot(&self, slot: Slot) -> Error {
        Error::new(ErrorKind::Internal, format!("slot {} of a store of {} slots", slot.0, self.slot_count))
    }

    /// The slots that have a table, ascending.
    fn written(&self) -> impl Iterator<Item = (Slot, &SlotCell)> {
        let blocks = (0..).step_by(BLOCK_SLOTS).zip(&self.blocks);
        let written = blocks.filter_map(|(first, block)| Some((first, block.get()?)));
        written.flat_map(|(first, block)| (first..).map(Slot).zip(block.iter()))
    }
}

impl Store for MemoryStore {
    #[inline]
    fn get(&self, slot: Slot, map: u32, key: &[u8]) -> Result<Option<Record>> {
        let hash = table_hash(KeyDigest::of(map, key));
        match self.table(slot)? {
            Some(table) => Ok(table.entries.find(hash, |e| e.is_of(map, key)).map(Entry::to_record)),
            None => Ok(None),
        }
    }

    fn merge(&self, slot: Slot, record: Record) -> Result<Merged> {
        let (digest, version) = (record.digest(), record.version);
        let mut term = Fingerprint::EMPTY;
        term.add(digest, version);
        self.block(slot)?;
        let entry = Entry::new(record)?;

        let mut table = self.table_or_new(slot)?;
        let after = entry.usage();
        let replaced = match table.merge(digest, version, term, entry) {
            Ok(replaced) => replaced,
            Err(present) => return Ok(Merged::Kept(present)),
        };
        let before = replaced.as_ref().map_or(Usage::default(), Entry::usage);
        // Still under the lock: else a removal could be subtracted before this is added, and pass below zero.
        self.totals.change(before, after);
        drop(table);
        drop(replaced);
        Ok(Merged::Stored)
    }

    fn fingerprint(&self, slot: Slot) -> Result<Fingerprint> {
        Ok(self.table(slot)?.map_or(Fingerprint::EMPTY, |table| table.fingerprint()))
    }

    fn versions(&self, slot: Slot) -> Result<Vec<(KeyDigest, Version)>> {
        let list = |table: MutexGuard<'_, Table>| table.entries.iter().map(|e| (e.digest(), e.version())).collect();
        let mut versions: Vec<_> = self.table(slot)?.map_or_else(Vec::new, list);
        versions.sort_unstable();
        Ok(versions)
    }

    fn records(&self, slot: Slot, digests: &[KeyDigest], bytes_max: usize) -> Result<(Vec<Record>, usize)> {
        let Some(table) = self.table(slot)? else { return Ok((Vec::new(), digests.len())) };
        let (mut found, mut bytes, mut done) = (Vec::new(), 0, 0);
        for &digest in digests {
            done += 1;
            // All of them: an adversary may make two keys of one digest, and both must reach the other replicas.
            for entry in table.entries.iter_hash(table_hash(digest)).filter(|e| e.digest() == digest) {
                bytes += entry.usage().bytes;
                found.push(entry.to_record());
            }
            if bytes >= bytes_max as u64 {
                break;
            }
        }
        Ok((found, done))
    }

    fn remove_slot(&self, slot: Slot, expected: Fingerprint) -> Result<bool> {
        let Some(mut table) = self.table(slot)? else { return Ok(expected == Fingerprint::EMPTY) };
        if table.fingerprint() != expected {
            return Ok(false);
        }
        let removed = std::mem::take(&mut *table);
        let before = removed.entries.iter().map(Entry::usage).fold(Usage::default(), plus);
        self.totals.change(before, Usage::default());
        drop(table);
        drop(removed);
        Ok(true)
    }

    fn occupied(&self) -> Result<Vec<Slot>> {
        Ok(self.written().filter(|(_, cell)| !cell.lock().entries.is_empty()).map(|(slot, _)| slot).collect())
    }

    fn sweep(&self, slot: Slot, now_ms: u64, forget_before_ms: u64) -> Result<()> {
        if let Some(mut table) = self.table(slot)? {
            let (before, after) = table.sweep(now_ms, forget_before_ms);
            self.totals.change(before, after);
        }
        Ok(())
    }

    /// Summed up on demand, one look at every record: a count kept per slot would cost each get another cache line.
    /// Zero for a slot that is none.
    fn bytes_in(&self, slot: Slot) -> u64 {
        let sum = |table: MutexGuard<'_, Table>| table.entries.iter().map(|e| e.usage().bytes).sum();
        self.table(slot).ok().flatten().map_or(0, sum)
    }

    /// Each number is exact, but they are read one after the other while writers go on.
    fn usage(&self) -> Usage {
        self.totals.read()
    }
}

/// One slot. A cache line of its own, so that neighbours do not slow each other down.
#[derive(Default)]
#[repr(align(64))]
struct SlotCell(Mutex<Table>);

const _: () = assert!(size_of::<SlotCell>() == 64);

impl SlotCell {
    #[inline]
    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics between two changes that belong together (a failing allocation aborts), so what a
        // panicking thread left behind is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Table {
    entries: HashTable<Entry>,
    /// In two halves: a `u128` would be aligned to 16 and push the cell over its cache line.
    fingerprint: [u64; 2],
    /// How many entries a sweep may ever change: a sweep passes by where there are none.
    sweepable: usize,
}

impl Table {
    /// Keeps `entry` if `version`, its version, is above the present one's, which is returned otherwise. The one
    /// replaced is returned to be freed outside the lock.
    fn merge(
        &mut self,
        digest: KeyDigest,
        version: Version,
        term: Fingerprint,
        entry: Entry,
    ) -> Result<Option<Entry>, Version> {
        let hash = table_hash(digest);
        let mut fingerprint = self.fingerprint().plus(term);
        let sweepable = usize::from(entry.is_sweepable());
        let replaced = match self.entries.find_mut(hash, |present| present.is_same_key(&entry)) {
            Some(present) => {
                let present_version = present.version();
                if version == present_version || version < present_version && !planted!("lower_version_taken") {
                    return Err(present_version);
                }
                fingerprint.remove(digest, present_version);
                self.sweepable -= usize::from(present.is_sweepable());
                Some(std::mem::replace(present, entry))
            }
            None => {
                self.entries.insert_unique(hash, entry, entry_hash);
                None
            }
        };
        self.sweepable += sweepable;
        self.set_fingerprint(fingerprint);
        Ok(replaced)
    }

    /// See [`Store::sweep`]; returns the usage of the entries that were looked at, before and after.
    fn sweep(&mut self, now_ms: u64, forget_before_ms: u64) -> (Usage, Usage) {
        let (mut before, mut after) = (Usage::default(), Usage::default());
        if self.sweepable == 0 {
            return (before, after);
        }
        let mut fingerprint = self.fingerprint();
        let mut sweepable = 0;
        self.entries.retain(|entry| {
            if !entry.is_sweepable() {
                return true;
            }
            before = plus(before, entry.usage());
            if entry.value_expired(now_ms) {
                *entry = entry.to_tombstone();
            }
            if entry.forgettable(forget_before_ms) {
                fingerprint.remove(entry.digest(), entry.version());
                return false;
            }
            sweepable += 1;
            after = plus(after, entry.usage());
            true
        });
        self.set_fingerprint(fingerprint);
        self.sweepable = sweepable;
        // Not at once when a few went: the next writes would grow it again.
        if self.entries.len() <= self.entries.capacity() / 4 {
            self.entries.shrink_to_fit(entry_hash);
        }
        (before, after)
    }

    fn fingerprint(&self) -> Fingerprint {
        let [low, high] = self.fingerprint.map(u128::from);
        Fingerprint(low | high << 64)
    }

    fn set_fingerprint(&mut self, Fingerprint(sum): Fingerprint) {
        self.fingerprint = [sum as u64, (sum >> 64) as u64];
    }
}

fn entry_hash(entry: &Entry) -> u64 {
    table_hash(entry.digest())
}

/// The low half: whatever a ring hash shares with the digest, it took its slot from the high bits.
#[inline]
fn table_hash(digest: KeyDigest) -> u64 {
    digest.0 as u64
}

fn plus(a: Usage, b: Usage) -> Usage {
    Usage { live: a.live + b.live, tombstones: a.tombstones + b.tombstones, bytes: a.bytes + b.bytes }
}

/// The usage of all slots. A cache line of its own: every merge writes here, every get reads beside it.
#[derive(Default)]
#[repr(align(64))]
struct Totals {
    live: AtomicU64,
    tombstones: AtomicU64,
    bytes: AtomicU64,
}

impl Totals {
    /// Called under the lock of the slot whose usage goes from `before` to `after`, so that no slot's part of a sum
    /// is ever negative.
    fn change(&self, before: Usage, after: Usage) {
        let change = |total: &AtomicU64, before: u64, after: u64| {
            if before != after {
                total.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
            }
        };
        change(&self.live, before.live, after.live);
        change(&self.tombstones, before.tombstones, after.tombstones);
        change(&self.bytes, before.bytes, after.bytes);
    }

    fn read(&self) -> Usage {
        Usage {
            live: self.live.load(Ordering::Relaxed),
            tombstones: self.tombstones.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}
