//! One slot's records, and what is kept about all of them.

use super::entries::Entries;
use super::entry::Entry;
use super::totals::Held;
use crate::data::fingerprint::Fingerprint;
use crate::data::hlc;
use crate::data::record::{KeyDigest, Version};

#[derive(Default)]
pub(super) struct Table {
    pub(super) entries: Entries,
    /// In two halves: a `u128` would be aligned to 16 and push the cell over its cache line.
    fingerprint: [u64; 2],
    /// How many entries a sweep may ever change: a sweep passes by where there are none.
    sweepable: u32,
    /// See [`Store::evicted_before_s`].
    pub(super) evicted_before_s: u32,
}

impl Table {
    /// Keeps `entry` if `version`, its version, is above the present one's, which is returned otherwise. The one
    /// replaced is returned to be freed outside the lock.
    pub(super) fn merge(
        &mut self,
        digest: KeyDigest,
        version: Version,
        term: Fingerprint,
        entry: Entry,
    ) -> Result<Option<Entry>, Version> {
        let hash = table_hash(digest);
        let mut fingerprint = self.fingerprint().plus(term);
        let sweepable = u32::from(entry.is_sweepable());
        let replaced = match self.entries.find_mut(hash, |present| present.is_same_key(&entry)) {
            Some(present) => {
                let present_version = present.version();
                if version == present_version || version < present_version && !planted!("lower_version_taken") {
                    return Err(present_version);
                }
                fingerprint.remove(digest, present_version);
                self.sweepable -= u32::from(present.is_sweepable());
                Some(std::mem::replace(present, entry))
            }
            None => {
                self.entries.insert(hash, entry);
                None
            }
        };
        self.sweepable += sweepable;
        self.set_fingerprint(fingerprint);
        Ok(replaced)
    }

    /// What merging `entry` will take at most; the version of the one that is present and stays.
    pub(super) fn growth(&self, entry: &Entry) -> Result<u64, Version> {
        match self.entries.find(table_hash(entry.digest()), |present| present.is_same_key(entry)) {
            Some(present) if entry.version() <= present.version() => Err(present.version()),
            Some(present) => Ok(entry.held().memory.saturating_sub(present.held().memory)),
            None => {
                let more = self.entries.memory_with_another() - self.entries.memory();
                Ok(entry.held().memory + more)
            }
        }
    }

    /// Entries that may be evicted, from some bucket on that `drawn` chooses, in at most so many buckets.
    pub(super) fn some(&self, drawn: u64, buckets_max: usize) -> impl Iterator<Item = &Entry> {
        let start = drawn % self.entries.bucket_count().max(1) as u64;
        self.entries.iter_from(start as usize, buckets_max).filter(|entry| entry.is_evictable())
    }

    /// Removes the record of that version, and remembers that such old ones may have been evicted.
    pub(super) fn evict(&mut self, digest: KeyDigest, version: Version) -> Option<Entry> {
        let is_it = |entry: &Entry| entry.version() == version && entry.digest() == digest && entry.is_evictable();
        let entry = self.entries.remove(table_hash(digest), is_it)?;
        let mut fingerprint = self.fingerprint();
        fingerprint.remove(digest, version);
        self.set_fingerprint(fingerprint);
        self.sweepable -= u32::from(entry.is_sweepable());
        let second = u32::try_from(hlc::wall_ms(version.hlc) / 1_000).unwrap_or(u32::MAX);
        self.evicted_before_s = self.evicted_before_s.max(second.saturating_add(1));
        self.entries.shrink();
        Some(entry)
    }

    /// See [`Store::sweep`]; returns what the entries that were looked at held, before and after.
    pub(super) fn sweep(&mut self, now_ms: u64, forget_before_ms: u64) -> (Held, Held) {
        let (mut before, mut after) = (Held::default(), Held::default());
        if self.sweepable == 0 {
            return (before, after);
        }
        let mut fingerprint = self.fingerprint();
        let mut sweepable = 0;
        self.entries.retain(|entry| {
            if !entry.is_sweepable() {
                return true;
            }
            before = before.plus(entry.held());
            if entry.value_expired(now_ms) {
                *entry = entry.to_tombstone();
            }
            if entry.forgettable(forget_before_ms) {
                fingerprint.remove(entry.digest(), entry.version());
                return false;
            }
            sweepable += 1;
            after = after.plus(entry.held());
            true
        });
        self.set_fingerprint(fingerprint);
        self.sweepable = sweepable;
        self.entries.shrink();
        (before, after)
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let [low, high] = self.fingerprint.map(u128::from);
        Fingerprint(low | high << 64)
    }

    fn set_fingerprint(&mut self, Fingerprint(sum): Fingerprint) {
        self.fingerprint = [sum as u64, (sum >> 64) as u64];
    }
}

/// The low half: whatever a ring hash shares with the digest, it took its slot from the high bits.
#[inline]
pub(super) fn table_hash(digest: KeyDigest) -> u64 {
    digest.0 as u64
}
