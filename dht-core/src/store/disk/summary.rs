//! What a slot holds in sum, and what a record adds to it.

use super::format::{Head, Summary};
use crate::data::fingerprint::Fingerprint;
use crate::data::record::{KeyDigest, Record, Version};

/// What a record adds to its slot.
pub(super) fn summary_of(digest: KeyDigest, version: Version, tombstone: bool, expires: bool, bytes: u64) -> Summary {
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

pub(super) fn summary_of_record(digest: KeyDigest, record: &Record) -> Summary {
    let tombstone = record.value.is_none();
    summary_of(digest, record.version, tombstone, record.expires_at_ms != 0, record.payload_len() as u64)
}

pub(super) fn summary_of_head(digest: KeyDigest, key_len: usize, head: &Head) -> Summary {
    let bytes = key_len as u64 + u64::from(head.value_len);
    summary_of(digest, head.version, head.is_tombstone(), head.expires_at_ms != 0, bytes)
}

impl Summary {
    pub(super) fn change(&mut self, before: &Self, after: &Self) {
        self.fingerprint = self.fingerprint.wrapping_sub(before.fingerprint).wrapping_add(after.fingerprint);
        // A damaged file may count less than it has; that shows in its checksums.
        self.live = self.live.wrapping_sub(before.live).wrapping_add(after.live);
        self.tombstones = self.tombstones.wrapping_sub(before.tombstones).wrapping_add(after.tombstones);
        self.bytes = self.bytes.wrapping_sub(before.bytes).wrapping_add(after.bytes);
        self.sweepable = self.sweepable.wrapping_sub(before.sweepable).wrapping_add(after.sweepable);
    }
}
