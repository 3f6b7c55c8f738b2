//! A record as the memory engine keeps it: one closely fitting buffer behind one 32-byte handle.
//!
//! ```text
//! 0     4         8      9            10       34            42    42 + key_len
//! | map | key_len | kind | operations | version | expires_at | key | operations, 16 each | value … |
//! ```
//! Numbers are little-endian. The table then holds 32 bytes per record instead of `Record`'s 144, which matters
//! because a growing table is a third empty on average; and a read touches one buffer for key, version and value.
//!
//! Invariant: an entry never keeps a buffer alive that holds anything else. A record off the network is made of
//! slices of its frame, and keeping one slice would keep the whole frame, so everything is copied out, with one
//! exception: see [`buffer::own`].

use bytes::{Buf, BufMut, Bytes};
use smallvec::SmallVec;

use super::bound::heap;
use super::{Held, buffer};
use crate::data::hlc;
use crate::data::record::{Format, KeyDigest, OPERATIONS_MAX, OpId, Record, Value, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::store::Usage;

const HEADER_LEN: usize = 42;
const OPERATION_LEN: usize = 16;
const KIND_AT: usize = 8;

const TOMBSTONE: u8 = 0;
const JSON: u8 = 1;
const BYTES: u8 = 2;

/// Longer values keep a buffer of their own: from here on its handles (about 100 bytes) weigh less than 3 %.
pub(super) const PACKED_VALUE_LEN_MAX: usize = 4096;

/// One record.
pub(super) enum Entry {
    /// All in one buffer.
    Packed(Bytes),
    /// A long value apart from what precedes it.
    Split(Box<Split>),
}

pub(super) struct Split {
    head: Bytes,
    value: Bytes,
}

// What a table pays per bucket, used or not.
const _: () = assert!(size_of::<Entry>() == 32);

impl Entry {
    /// Takes over `record`, copying what does not own its buffer alone.
    ///
    /// `INTERNAL` for a key of 4 GiB or more than 255 operations, both far above what a node lets in.
    pub(super) fn new(record: Record) -> Result<Self> {
        let Record { map, key, value, version, expires_at_ms, operations } = record;
        let (Ok(key_len), Ok(operation_count)) = (u32::try_from(key.len()), u8::try_from(operations.len())) else {
            let context = format!("a record with a key of {} bytes and {} operations", key.len(), operations.len());
            return Err(Error::new(ErrorKind::Internal, context));
        };
        let (kind, value) = match value {
            None => (TOMBSTONE, Bytes::new()),
            Some(Value { format: Format::Json, bytes }) => (JSON, bytes),
            Some(Value { format: Format::Bytes, bytes }) => (BYTES, bytes),
        };
        let mut header = [0; HEADER_LEN];
        let mut to = &mut header[..];
        to.put_u32_le(map);
        to.put_u32_le(key_len);
        to.put_u8(kind);
        to.put_u8(operation_count);
        to.put_u64_le(version.hlc);
        to.put_u64_le(version.node);
        to.put_u64_le(version.boot);
        to.put_u64_le(expires_at_ms);
        let mut operation_bytes = SmallVec::<[u8; OPERATION_LEN * OPERATIONS_MAX]>::new();
        for operation in &operations {
            operation_bytes.extend_from_slice(&operation.origin.to_le_bytes());
            operation_bytes.extend_from_slice(&operation.sequence.to_le_bytes());
        }
        if value.len() <= PACKED_VALUE_LEN_MAX {
            return Ok(Self::Packed(buffer::concat([&header, &key, &operation_bytes, &value])));
        }
        let head = buffer::concat([&header, &key, &operation_bytes, &[]]);
        // The key is a slice of the same frame: while it lives, the value does not own the frame alone.
        drop(key);
        Ok(Self::Split(Box::new(Split { head, value: buffer::own(value) })))
    }

    /// The same deletion or write without its value; version, expiry and operations stay.
    pub(super) fn to_tombstone(&self) -> Self {
        let (before, rest) = self.head()[..self.value_at()].split_at(KIND_AT);
        Self::Packed(buffer::concat([before, &[TOMBSTONE], &rest[1..], &[]]))
    }

    /// The record, sharing this entry's buffers: no allocation, unless for a second operation.
    #[inline]
    pub(super) fn to_record(&self) -> Record {
        let (head, long_value) = match self {
            Self::Packed(head) => (head, None),
            Self::Split(split) => (&split.head, Some(&split.value)),
        };
        let (key_end, value_at) = (key_end(head), value_at(head));
        let mut operations = SmallVec::new();
        for mut bytes in head[key_end..value_at].chunks_exact(OPERATION_LEN) {
            operations.push(OpId { origin: bytes.get_u64_le(), sequence: bytes.get_u64_le() });
        }
        let value = match head[KIND_AT] {
            TOMBSTONE => None,
            kind => {
                let format = if kind == JSON { Format::Json } else { Format::Bytes };
                Some(Value { format, bytes: long_value.map_or_else(|| head.slice(value_at..), Bytes::clone) })
            }
        };
        Record {
            map: self.map(),
            key: head.slice(HEADER_LEN..key_end),
            value,
            version: version(head),
            expires_at_ms: expires_at_ms(head),
            operations,
        }
    }

    #[inline]
    pub(super) fn is_of(&self, map: u32, key: &[u8]) -> bool {
        self.map() == map && self.key() == key
    }

    pub(super) fn is_same_key(&self, other: &Self) -> bool {
        self.is_of(other.map(), other.key())
    }

    pub(super) fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.map(), self.key())
    }

    pub(super) fn version(&self) -> Version {
        version(self.head())
    }

    /// Has a value that is expired at `now_ms`.
    pub(super) fn value_expired(&self, now_ms: u64) -> bool {
        let expires_at_ms = expires_at_ms(self.head());
        !self.is_tombstone() && expires_at_ms != 0 && expires_at_ms <= now_ms
    }

    /// Is a tombstone whose version's wall time and expiry both lie before `forget_before_ms`.
    pub(super) fn forgettable(&self, forget_before_ms: u64) -> bool {
        let newest_ms = hlc::wall_ms(self.version().hlc).max(expires_at_ms(self.head()));
        self.is_tombstone() && newest_ms < forget_before_ms
    }

    /// A sweep may change this entry some day.
    pub(super) fn is_sweepable(&self) -> bool {
        self.is_tombstone() || expires_at_ms(self.head()) != 0
    }

    /// What this entry adds to the usage of its store.
    pub(super) fn usage(&self) -> Usage {
        let value_len = match self {
            Self::Packed(head) => head.len() - self.value_at(),
            Self::Split(split) => split.value.len(),
        };
        let tombstones = u64::from(self.is_tombstone());
        Usage { live: 1 - tombstones, tombstones, bytes: (self.key().len() + value_len) as u64 }
    }

    /// That, and the memory its buffers take.
    pub(super) fn held(&self) -> Held {
        let memory = match self {
            Self::Packed(head) => buffer::memory(head.len()),
            Self::Split(split) => {
                buffer::memory(split.head.len()) + buffer::memory(split.value.len()) + heap(size_of::<Split>())
            }
        };
        // With its place in the table, in which one of eight is left free at least.
        let pinned = if self.is_evictable() { 0 } else { memory + (size_of::<Self>() as u64 + 1) * 8 / 7 };
        Held { usage: self.usage(), memory, pinned }
    }

    /// A deletion is kept, whatever the bound; what expired needs nobody to remember it: each copy of it expires by itself.
    pub(super) fn is_evictable(&self) -> bool {
        !self.is_tombstone() || expires_at_ms(self.head()) != 0
    }

    #[cfg(test)]
    pub(super) fn buffer_len(&self) -> usize {
        match self {
            Self::Packed(head) => head.len(),
            Self::Split(split) => split.head.len() + split.value.len(),
        }
    }

    pub(super) fn is_tombstone(&self) -> bool {
        self.head()[KIND_AT] == TOMBSTONE
    }

    #[inline]
    fn head(&self) -> &[u8] {
        match self {
            Self::Packed(head) => head,
            Self::Split(split) => &split.head,
        }
    }

    #[inline]
    fn map(&self) -> u32 {
        (&self.head()[..4]).get_u32_le()
    }

    #[inline]
    fn key(&self) -> &[u8] {
        let head = self.head();
        &head[HEADER_LEN..key_end(head)]
    }

    fn value_at(&self) -> usize {
        value_at(self.head())
    }
}

#[inline]
fn key_end(head: &[u8]) -> usize {
    HEADER_LEN + (&head[4..8]).get_u32_le() as usize
}

#[inline]
fn value_at(head: &[u8]) -> usize {
    key_end(head) + OPERATION_LEN * usize::from(head[9])
}

#[inline]
fn version(head: &[u8]) -> Version {
    let mut bytes = &head[10..34];
    Version { hlc: bytes.get_u64_le(), node: bytes.get_u64_le(), boot: bytes.get_u64_le() }
}

#[inline]
fn expires_at_ms(head: &[u8]) -> u64 {
    (&head[34..HEADER_LEN]).get_u64_le()
}
