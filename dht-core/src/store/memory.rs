//! Store engine: everything in memory, nothing survives the process.
//!
//! Slots are reached by index, without hashing, through blocks of 64 that are made when first written to; each slot
//! is a small hash table behind its own short lock, one cache line in all, and costs no heap while it is empty. A
//! get is one key hash, one lock, one probe and, for a short value, one allocation and copy, under the lock (long ones
//! are shared). Else nothing slow happens under a lock: records are packed
//! and freed, fingerprint terms hashed and lists sorted outside it, as far as they do not depend on what is there.
//!
//! All memory that records take is counted as it changes: their buffers, the tables, the blocks (see `bound.rs`).

mod bound;
#[cfg(test)]
mod bound_tests;
mod buffer;
mod entries;
mod entry;
mod table;
#[cfg(test)]
mod tests;
mod totals;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use self::bound::{Limit, SAMPLES, SAMPLES_PER_SLOT, Uses, heap};
use self::entry::Entry;
use self::table::{Table, table_hash};
use self::totals::{Held, Totals};
use super::{Merged, Store, Usage};
use crate::config::{Config, Eviction};
use crate::data::fingerprint::Fingerprint;
use crate::data::record::{Content, KeyDigest, Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::slot::Slot;

/// 64 slots of one cache line are 4 KiB: little for a first key, few pointers for a million slots.
const BLOCK_SLOTS: usize = 64;

type Block = [SlotCell; BLOCK_SLOTS];

const BLOCK_MEMORY: u64 = heap(size_of::<Block>());

/// Keeps records in memory. See the module.
pub struct MemoryStore {
    slot_count: u32,
    /// Never shrinks: at most 64 bytes for each slot that was ever written to.
    blocks: Box<[OnceLock<Box<Block>>]>,
    totals: Totals,
    limit: Option<Limit>,
}

impl MemoryStore {
    /// An empty store of slots `0..slot_count`. Any other slot is `INTERNAL` from every method: the caller works
    /// with another slot space.
    pub fn new(slot_count: u32) -> Self {
        let block_count = (slot_count as usize).div_ceil(BLOCK_SLOTS);
        let blocks = (0..block_count).map(|_| OnceLock::new()).collect();
        Self { slot_count, blocks, totals: Totals::default(), limit: None }
    }

    /// The same, which keeps within `max_memory` bytes: what would exceed them is refused with `MemoryFull`, which
    /// changes nothing, or with `lru` evicts other records. Deletions are kept whatever the bound.
    pub fn bounded(slot_count: u32, max_memory: u64, eviction: Eviction) -> Self {
        let store = Self { limit: Some(Limit::new(max_memory, eviction)), ..Self::new(slot_count) };
        let fixed = store.uses().map_or(0, Uses::memory);
        store.totals.add_fixed(fixed);
        store
    }

    /// An empty store as `config` wants it, which has been validated.
    ///
    /// # Errors
    /// `Config` if its bits are out of range.
    pub fn of(config: &Config) -> Result<Self> {
        let slot_count = crate::ring::params::slot_count(config)?;
        Ok(match config.max_memory {
            Some(max_memory) => Self::bounded(slot_count, max_memory, config.eviction),
            None => Self::new(slot_count),
        })
    }

    /// Bytes of memory in use, as the allocator hands them out.
    pub fn memory(&self) -> u64 {
        self.totals.memory()
    }

    /// The slot's table, or `None` if nothing was ever written near it.
    #[inline]
    fn table(&self, slot: Slot) -> Result<Option<MutexGuard<'_, Table>>> {
        let block = self.block(slot)?.get();
        Ok(block.map(|block| block[slot.0 as usize % BLOCK_SLOTS].lock()))
    }

    fn table_or_new(&self, slot: Slot) -> Result<MutexGuard<'_, Table>> {
        let block = self.block(slot)?.get_or_init(|| {
            self.totals.add_fixed(BLOCK_MEMORY);
            Box::new(std::array::from_fn(|_| SlotCell::default()))
        });
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

    #[inline]
    fn uses(&self) -> Option<&Uses> {
        self.limit.as_ref().and_then(|limit| limit.uses.as_ref())
    }

    fn merge_within(&self, slot: Slot, record: Record, limit: Option<&Limit>) -> Result<Merged> {
        let (digest, version) = (record.digest(), record.version);
        let mut term = Fingerprint::EMPTY;
        term.add(digest, version);
        self.block(slot)?;
        let entry = Entry::new(record)?;

        // A deletion makes room sooner or later, and is never refused.
        let (mut table, reserved) = match limit.filter(|_| !entry.is_tombstone()) {
            None => (self.table_or_new(slot)?, 0),
            Some(limit) => match self.make_room(slot, &entry, limit)? {
                Room::Reserved(table, reserved) => (table, reserved),
                Room::Needless(present) => return Ok(Merged::Kept(present)),
            },
        };
        let after = entry.held();
        let table_before = table.entries.memory();
        let replaced = match table.merge(digest, version, term, entry) {
            Ok(replaced) => replaced,
            Err(present) => return Ok(Merged::Kept(present)),
        };
        let before = replaced.as_ref().map_or(Held::default(), Entry::held);
        // Still under the lock: else a removal could be subtracted before this is added, and pass below zero.
        self.totals.change(before.plus_memory(table_before + reserved), after.plus_memory(table.entries.memory()));
        drop(table);
        drop(replaced);
        if let Some(uses) = self.uses() {
            uses.touch(table_hash(digest));
            uses.wrote(after.memory);
        }
        Ok(Merged::Stored)
    }

    /// What `take` makes, under the lock, of the entry of a key, which is used by that.
    #[inline]
    fn find<T>(&self, slot: Slot, map: u32, key: &[u8], take: impl FnOnce(&Entry) -> T) -> Result<Option<T>> {
        let hash = table_hash(KeyDigest::of(map, key));
        let Some(table) = self.table(slot)? else { return Ok(None) };
        let Some(entry) = table.entries.find(hash, |entry| entry.is_of(map, key)) else { return Ok(None) };
        if let Some(uses) = self.uses() {
            uses.touch(hash);
        }
        Ok(Some(take(entry)))
    }

    /// The slot's table, locked, and the bytes that were set aside in `totals` for what it will grow by.
    ///
    /// # Errors
    /// `MemoryFull`.
    fn make_room(&self, slot: Slot, entry: &Entry, limit: &Limit) -> Result<Room<'_>> {
        loop {
            let table = self.table_or_new(slot)?;
            let growth = match table.growth(entry) {
                Ok(growth) => growth,
                Err(present) => return Ok(Room::Needless(present)),
            };
            if self.totals.reserve(growth, limit.bytes) {
                return Ok(Room::Reserved(table, growth));
            }
            drop(table);
            let full = || limit.full(self.memory(), growth);
            let Some(uses) = &limit.uses else { return Err(full()) };
            if self.totals.kept() + growth > limit.bytes {
                // Not for all records that can be evicted.
                return Err(full());
            }
            while self.memory() + growth > limit.bytes {
                if !self.evict(uses) {
                    return Err(full());
                }
            }
        }
    }

    /// Evicts the longest unused of some records; false if there is none to evict.
    fn evict(&self, uses: &Uses) -> bool {
        // Where nearly all are deletions, a second look goes through all.
        let found = [bound::BUCKETS_MAX, usize::MAX].into_iter().find_map(|max| self.longest_unused_of_some(uses, max));
        let Some(Candidate { slot, digest, version, .. }) = found else { return false };
        let Ok(Some(mut table)) = self.table(slot) else { return true };
        let table_before = table.entries.memory();
        // Gone or written anew since it was chosen: then there may be room now.
        let Some(evicted) = table.evict(digest, version) else { return true };
        self.totals
            .change(evicted.held().plus_memory(table_before), Held::default().plus_memory(table.entries.memory()));
        drop(table);
        drop(evicted);
        uses.evicted();
        true
    }

    /// Some: those in the first slots with any from one on that is drawn, and in them from a bucket on that is drawn.
    fn longest_unused_of_some(&self, uses: &Uses, buckets_max: usize) -> Option<Candidate> {
        let mut longest: Option<Candidate> = None;
        let (mut seen, mut passed) = (0, 0);
        let start = (uses.draw() % u64::from(self.slot_count.max(1))) as u32;
        while passed < self.slot_count && seen < SAMPLES {
            let at = (start as usize + passed as usize) % self.slot_count as usize;
            let Some(block) = self.blocks[at / BLOCK_SLOTS].get() else {
                // On to the next block, or round.
                let end = ((at / BLOCK_SLOTS + 1) * BLOCK_SLOTS).min(self.slot_count as usize);
                passed += (end - at) as u32;
                continue;
            };
            let slot = Slot(at as u32);
            let table = block[at % BLOCK_SLOTS].lock();
            for entry in table.some(uses.draw(), buckets_max).take(SAMPLES_PER_SLOT) {
                let digest = entry.digest();
                let age = uses.age(table_hash(digest));
                seen += 1;
                if longest.as_ref().is_none_or(|longest| age > longest.age) {
                    longest = Some(Candidate { slot, digest, version: entry.version(), age });
                }
            }
            passed += 1;
        }
        longest
    }

    /// The slots that have a table, ascending.
    fn written(&self) -> impl Iterator<Item = (Slot, &SlotCell)> {
        let blocks = (0..).step_by(BLOCK_SLOTS).zip(&self.blocks);
        let written = blocks.filter_map(|(first, block)| Some((first, block.get()?)));
        written.flat_map(|(first, block)| (first..).map(Slot).zip(block.iter()))
    }
}

impl Store for MemoryStore {
    fn get(&self, slot: Slot, map: u32, key: &[u8]) -> Result<Option<Record>> {
        self.find(slot, map, key, Entry::to_record)
    }

    #[inline]
    fn content(&self, slot: Slot, map: u32, key: &[u8]) -> Result<Option<Content>> {
        self.find(slot, map, key, Entry::to_content)
    }

    fn merge(&self, slot: Slot, record: Record) -> Result<Merged> {
        self.merge_within(slot, record, self.limit.as_ref())
    }

    fn merge_beyond_bound(&self, slot: Slot, record: Record) -> Result<Merged> {
        self.merge_within(slot, record, None)
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
        let before = removed.entries.iter().map(Entry::held).fold(Held::default(), Held::plus);
        self.totals.change(before.plus_memory(removed.entries.memory()), Held::default());
        drop(table);
        drop(removed);
        Ok(true)
    }

    fn occupied(&self) -> Result<Vec<Slot>> {
        Ok(self.written().filter(|(_, cell)| !cell.lock().entries.is_empty()).map(|(slot, _)| slot).collect())
    }

    fn sweep(&self, slot: Slot, now_ms: u64, forget_before_ms: u64) -> Result<u64> {
        let Some(mut table) = self.table(slot)? else { return Ok(0) };
        let table_before = table.entries.memory();
        let (before, after) = table.sweep(now_ms, forget_before_ms);
        self.totals.change(before.plus_memory(table_before), after.plus_memory(table.entries.memory()));
        Ok(before.usage.live - after.usage.live)
    }

    fn evicted_before_s(&self, slot: Slot) -> u32 {
        self.table(slot).ok().flatten().map_or(0, |table| table.evicted_before_s)
    }

    fn evictions(&self) -> u64 {
        self.uses().map_or(0, Uses::evictions)
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

/// What became of the search for room.
enum Room<'a> {
    Reserved(MutexGuard<'a, Table>, u64),
    /// The present record is as new, and stays.
    Needless(Version),
}

/// A record that may be evicted.
struct Candidate {
    slot: Slot,
    digest: KeyDigest,
    version: Version,
    age: u8,
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
