//! The hash table of a slot's entries.
//!
//! Made for many small tables whose growing must cost little memory. A bucket is as large as a cache line and holds three
//! entries with 32 bits of each one's hash, so that no entry is looked at when the table grows. It grows by a segment, or an
//! eighth, rather than double, and segments stay where they are: tables that are moved leave holes of every size behind, which weighed as much as two thirds of the tables. What finds its bucket full goes into one of the next ones, and
//! each bucket counts what passed it by: a search ends where that is none, and a removal moves nothing (the overflow
//! counts of F14, Facebook 2019). At most seven of eight places are taken.

use super::bound::heap;
use super::entry::Entry;

const CELLS: usize = 3;

/// Of a segment.
const BUCKETS: usize = 2;

/// Growths from one power of two of segments to the next; by one segment at least.
const STEPS_PER_DOUBLING: usize = 8;

/// Places of which the last is left free.
const PLACES_PER_FREE: usize = 8;

/// As large as a cache line. Not aligned as one: an allocator that takes more for that takes it from each small table.
#[derive(Default)]
struct Bucket {
    /// 0: the place is free, and its entry an empty one, which has no buffer.
    hashes: [u32; CELLS],
    /// Entries of this or an earlier bucket that are in a later one because this was full.
    passed: u32,
    entries: [Entry; CELLS],
}

const _: () = assert!(size_of::<Bucket>() == 64);

/// What a table pays for an entry at the least, with its share of places that are left free.
pub(super) const PLACE_MEMORY: u64 =
    heap(size_of::<Segment>()) * PLACES_PER_FREE as u64 / (BUCKETS * CELLS * (PLACES_PER_FREE - 1)) as u64;

type Segment = [Bucket; BUCKETS];

/// See the module.
#[derive(Default)]
pub(super) struct Entries {
    #[expect(clippy::vec_box, reason = "segments stay where they are when there are more")]
    segments: Vec<Box<Segment>>,
    len: usize,
}

impl Entries {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn bucket_count(&self) -> usize {
        self.segments.len() * BUCKETS
    }

    /// Bytes of heap, without the entries' own.
    pub(super) fn memory(&self) -> u64 {
        memory(self.segments.len())
    }

    /// What one more entry makes of that.
    pub(super) fn memory_with_another(&self) -> u64 {
        memory(if self.has_room() { self.segments.len() } else { larger(self.segments.len()) })
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        let (bucket, cell) = self.position(tag(hash), is_it)?;
        Some(&self.bucket(bucket).entries[cell])
    }

    pub(super) fn find_mut(&mut self, hash: u64, is_it: impl Fn(&Entry) -> bool) -> Option<&mut Entry> {
        let (bucket, cell) = self.position(tag(hash), is_it)?;
        Some(&mut self.bucket_mut(bucket).entries[cell])
    }

    /// For a key that is not there.
    pub(super) fn insert(&mut self, hash: u64, entry: Entry) {
        if !self.has_room() {
            self.resize(larger(self.segments.len()));
        }
        self.place(tag(hash), entry);
    }

    pub(super) fn remove(&mut self, hash: u64, is_it: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let (bucket, cell) = self.position(tag(hash), is_it)?;
        Some(self.remove_at(bucket, cell))
    }

    /// Those that `keep` allows to stay; it may change them, but for the key.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Entry) -> bool) {
        for bucket in 0..self.bucket_count() {
            for cell in 0..CELLS {
                let place = self.bucket_mut(bucket);
                if place.hashes[cell] != 0 && !keep(&mut place.entries[cell]) {
                    self.remove_at(bucket, cell);
                }
            }
        }
    }

    /// In no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.buckets_from(0).flat_map(Bucket::iter)
    }

    /// All in so many buckets from one on, or all in all.
    pub(super) fn iter_from(&self, bucket: usize, buckets_max: usize) -> impl Iterator<Item = &Entry> {
        self.buckets_from(bucket).take(buckets_max).flat_map(Bucket::iter)
    }

    /// Those of that hash, and maybe others.
    pub(super) fn iter_hash(&self, hash: u64) -> impl Iterator<Item = &Entry> {
        let hash = tag(hash);
        let mut past_last = false;
        let searched = move |bucket: &&Bucket| !std::mem::replace(&mut past_last, bucket.passed == 0);
        let first = home(hash, self.bucket_count());
        self.buckets_from(first).take_while(searched).flat_map(move |bucket| bucket.of_hash(hash))
    }

    /// Not at once when a few went: the next writes would grow it again.
    pub(super) fn shrink(&mut self) {
        if self.len <= capacity(self.segments.len()) / 4 {
            let mut fitting = 0;
            while capacity(fitting) < self.len {
                fitting = larger(fitting);
            }
            if fitting < self.segments.len() {
                self.resize(fitting);
            }
        }
    }

    #[inline]
    fn position(&self, hash: u32, is_it: impl Fn(&Entry) -> bool) -> Option<(usize, usize)> {
        let count = self.bucket_count();
        if count == 0 {
            return None;
        }
        let mut at = home(hash, count);
        for _ in 0..count {
            let bucket = self.bucket(at);
            for cell in 0..CELLS {
                if bucket.hashes[cell] == hash && is_it(&bucket.entries[cell]) {
                    return Some((at, cell));
                }
            }
            if bucket.passed == 0 {
                return None;
            }
            at = next(at, count);
        }
        None
    }

    /// There is room.
    fn place(&mut self, hash: u32, entry: Entry) {
        let count = self.bucket_count();
        let mut at = home(hash, count);
        loop {
            let bucket = self.bucket_mut(at);
            if let Some(cell) = bucket.hashes.iter().position(|taken| *taken == 0) {
                bucket.hashes[cell] = hash;
                bucket.entries[cell] = entry;
                self.len += 1;
                return;
            }
            bucket.passed += 1;
            at = next(at, count);
        }
    }

    fn remove_at(&mut self, bucket: usize, cell: usize) -> Entry {
        let count = self.bucket_count();
        let hash = std::mem::take(&mut self.bucket_mut(bucket).hashes[cell]);
        let mut at = home(hash, count);
        while at != bucket {
            self.bucket_mut(at).passed -= 1;
            at = next(at, count);
        }
        self.len -= 1;
        std::mem::take(&mut self.bucket_mut(bucket).entries[cell])
    }

    /// To so many segments, in which all have room.
    fn resize(&mut self, count: usize) {
        let mut entries = Vec::with_capacity(self.len);
        for bucket in self.segments.iter_mut().flat_map(|segment| segment.iter_mut()) {
            let Bucket { hashes, entries: kept, .. } = std::mem::take(bucket);
            entries.extend(hashes.into_iter().zip(kept).filter(|(hash, _)| *hash != 0));
        }
        self.len = 0;
        self.segments.truncate(count);
        if pointers(count) < self.segments.capacity() {
            self.segments.shrink_to(pointers(count));
        }
        self.segments.reserve_exact(pointers(count) - self.segments.len());
        self.segments.resize_with(count, Box::default);
        for (hash, entry) in entries {
            self.place(hash, entry);
        }
    }

    fn has_room(&self) -> bool {
        self.len < capacity(self.segments.len())
    }

    /// All, from that one on.
    fn buckets_from(&self, first: usize) -> impl Iterator<Item = &Bucket> {
        (first..self.bucket_count()).chain(0..first).map(|at| self.bucket(at))
    }

    #[inline]
    fn bucket(&self, at: usize) -> &Bucket {
        &self.segments[at / BUCKETS][at % BUCKETS]
    }

    #[inline]
    fn bucket_mut(&mut self, at: usize) -> &mut Bucket {
        &mut self.segments[at / BUCKETS][at % BUCKETS]
    }
}

impl Bucket {
    fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.hashes.iter().zip(&self.entries).filter(|(hash, _)| **hash != 0).map(|(_, entry)| entry)
    }

    fn of_hash(&self, hash: u32) -> impl Iterator<Item = &Entry> {
        self.hashes.iter().zip(&self.entries).filter(move |(kept, _)| **kept == hash).map(|(_, entry)| entry)
    }
}

/// The part of a hash that is kept beside the entry; 0 is for free places.
#[inline]
fn tag(hash: u64) -> u32 {
    ((hash >> 32) as u32).max(1)
}

/// Where it belongs of so many buckets: its share of the whole range (Lemire 2018, "fastrange").
#[inline]
fn home(hash: u32, buckets: usize) -> usize {
    ((u128::from(hash) * buckets as u128) >> 32) as usize
}

#[inline]
fn next(bucket: usize, buckets: usize) -> usize {
    if bucket + 1 == buckets { 0 } else { bucket + 1 }
}

/// Entries that so many segments take before they grow.
fn capacity(segments: usize) -> usize {
    let places = segments * BUCKETS * CELLS;
    places - places.div_ceil(PLACES_PER_FREE)
}

/// 1, 2, … 16, 18, 20, … 32, 36, …
fn larger(segments: usize) -> usize {
    let doubling = 1 << segments.max(1).ilog2();
    segments + (doubling / STEPS_PER_DOUBLING).max(1)
}

/// Room for pointers to so many segments.
fn pointers(segments: usize) -> usize {
    if segments == 0 { 0 } else { segments.next_power_of_two() }
}

fn memory(segments: usize) -> u64 {
    if segments == 0 {
        return 0;
    }
    heap(pointers(segments) * size_of::<Box<Segment>>()) + heap(size_of::<Segment>()) * segments as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use smallvec::SmallVec;

    use super::*;
    use crate::data::record::{Record, Version};
    use crate::env::Env;

    fn entry(n: u64) -> Entry {
        let version = Version { hlc: n, node: 1, boot: 1 };
        let key = Bytes::copy_from_slice(&n.to_le_bytes());
        let record = Record { map: 0, key, value: None, version, expires_at_ms: 0, operations: SmallVec::new() };
        Entry::new(record).expect("it fits")
    }

    fn number(entry: &Entry) -> u64 {
        entry.version().hlc
    }

    /// What must hold between two calls.
    fn check(entries: &Entries, model: &BTreeMap<u64, u64>) {
        let mut passed = vec![0; entries.bucket_count()];
        let mut found = BTreeMap::new();
        for (at, bucket) in entries.buckets_from(0).enumerate() {
            for (hash, entry) in bucket.hashes.iter().zip(&bucket.entries) {
                assert_eq!(*hash == 0, entry.is_empty());
                if *hash == 0 {
                    continue;
                }
                found.insert(number(entry), *hash);
                let mut from = home(*hash, entries.bucket_count());
                while from != at {
                    passed[from] += 1;
                    from = next(from, entries.bucket_count());
                }
            }
        }
        assert_eq!(passed, entries.buckets_from(0).map(|bucket| bucket.passed).collect::<Vec<_>>());
        assert_eq!(found, model.iter().map(|(n, hash)| (*n, tag(*hash))).collect());
        assert_eq!(entries.len, model.len());
        assert!(entries.len <= capacity(entries.segments.len()));
        assert_eq!(entries.segments.capacity(), pointers(entries.segments.len()));
    }

    /// Many of one hash, of the last bucket, and of hashes that look like free places, against a model.
    #[test]
    fn it_does_what_a_map_does() {
        for seed in 1..=20 {
            let env = Env::simulated(seed, 0);
            let hashes = [0, 1 << 32, u64::MAX, u64::MAX - 1, 7 << 40, env.random_u64(), env.random_u64()];
            let (mut entries, mut model) = (Entries::default(), BTreeMap::new());
            let removing = 1 + env.random_below(8);
            for n in 0..1_500 {
                let drawn = env.random_below(hashes.len() + 3);
                let hash = hashes.get(drawn).copied().unwrap_or_else(|| env.random_u64());
                let other = model.keys().copied().nth(env.random_below(model.len().max(1)));
                match (env.random_below(12), other) {
                    (action, Some(gone)) if action < removing => {
                        let hash: u64 = model.remove(&gone).expect("it was there");
                        let same = |entry: &Entry| number(entry) == gone;
                        assert_eq!(entries.find(hash, same).map(number), Some(gone), "seed {seed}");
                        assert_eq!(entries.find_mut(hash, same).map(|entry| number(entry)), Some(gone));
                        assert_eq!(entries.iter_hash(hash).filter(|entry| same(entry)).count(), 1, "seed {seed}");
                        assert_eq!(entries.remove(hash, same).map(|entry| number(&entry)), Some(gone));
                        assert!(entries.find(hash, same).is_none() && entries.remove(hash, same).is_none());
                        let before = entries.segments.len();
                        entries.shrink();
                        let (after, mut fitting) = (entries.segments.len(), 0);
                        while capacity(fitting) < model.len() {
                            fitting = larger(fitting);
                        }
                        let few = model.len() <= capacity(before) / 4;
                        assert_eq!(after, if few { fitting.min(before) } else { before });
                        if after != before {
                            check(&entries, &model);
                        }
                    }
                    _ => {
                        let memory = entries.memory_with_another();
                        entries.insert(hash, entry(n));
                        model.insert(n, hash);
                        assert_eq!(entries.memory(), memory);
                    }
                }
                if n % 50 == 0 {
                    check(&entries, &model);
                }
            }
            for (n, hash) in &model {
                assert!(entries.find(*hash, |entry| number(entry) == *n).is_some(), "seed {seed}");
            }
            let mut seen: Vec<_> = entries.iter_from(env.random_below(entries.bucket_count()), usize::MAX).collect();
            seen.sort_unstable_by_key(|entry| number(entry));
            assert_eq!(seen.into_iter().map(number).collect::<Vec<_>>(), model.keys().copied().collect::<Vec<_>>());
            entries.retain(|entry| number(entry).is_multiple_of(3));
            model.retain(|n, _| n % 3 == 0);
            check(&entries, &model);
            entries.retain(|_| false);
            entries.shrink();
            assert_eq!((entries.memory(), entries.is_empty(), entries.iter().count()), (0, true, 0));
        }
    }

    #[test]
    fn a_search_ends_where_nothing_passed_by() {
        let mut entries = Entries::default();
        // One in each bucket of eight.
        for n in 0..8_u64 {
            entries.insert(n << 61, entry(n));
        }
        entries.resize(4);
        let looked_at = std::cell::Cell::new(0);
        let counting = |_: &Entry| {
            looked_at.set(looked_at.get() + 1);
            false
        };
        // As if there were another of that hash, further on than a search may come.
        let place = &mut entries.bucket_mut(5).hashes[0];
        let present = std::mem::replace(place, tag(3 << 61));
        assert!(entries.find(3 << 61, counting).is_none());
        assert_eq!(looked_at.get(), 1);
        assert_eq!(entries.iter_hash(3 << 61).map(number).collect::<Vec<_>>(), [3]);
        entries.bucket_mut(5).hashes[0] = present;
        assert_eq!(entries.iter_from(3, 2).map(number).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(entries.iter_from(7, 2).map(number).collect::<Vec<_>>(), [7, 0]);
        // Of one hash there are more than a bucket holds, and then of the next.
        for n in 8..12 {
            entries.insert(3 << 61, entry(n));
        }
        assert_eq!(entries.iter_hash(3 << 61).count(), 5);
        assert_eq!(entries.iter_hash(4 << 61).map(number).collect::<Vec<_>>(), [4]);
    }

    /// A table of any size that was only filled is nearly full: what `PLACE_MEMORY` says, and half of that again at most.
    #[test]
    fn little_is_left_free() {
        let mut entries = Entries::default();
        for n in 1..=5_000_u64 {
            entries.insert(n.wrapping_mul(0x9e37_79b9_7f4a_7c15), entry(n));
            let least = n * PLACE_MEMORY;
            let memory = entries.memory();
            assert!(n < 40 || memory <= least * 3 / 2, "{memory} for {n} entries");
            assert!(memory >= least, "{memory} for {n} entries");
        }
    }
}
