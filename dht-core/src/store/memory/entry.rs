//! A record as the memory engine keeps it: one buffer that fits, behind one 16-byte handle.
//!
//! ```text
//! 0         24      25        26
//! | version | flags | key_len | map? | expires_at? | key_len? | key | operations, 16 each | value … |
//! ```
//! Numbers are little-endian; what has a question mark is there if it is not what most records have: the map 0 (4 bytes),
//! no expiry (8), a key shorter than 255 bytes (4; `key_len` is 255 then). The table then holds 16 bytes per record
//! instead of `Record`'s 144, which matters because some of its places are always free, and a read touches one
//! buffer for key, version and value. No counter stands in front of it: a read copies the value, which costs as much as
//! counting handles up and down, and each record is shorter by the counter and by what a handle to it would take.
//!
//! Invariant: an entry never keeps a buffer alive that holds anything else. A record off the network is made of
//! slices of its frame, and keeping one slice would keep the whole frame, so everything is copied out, with one
//! exception: see [`buffer::own`].

use bytes::{Buf, BufMut, Bytes};
use smallvec::SmallVec;

use super::bound::heap;
use super::buffer;
use super::entries::PLACE_MEMORY;
use super::totals::Held;
use crate::data::hlc;
use crate::data::record::{Content, Format, KeyDigest, OPERATIONS_MAX, OpId, Record, Value, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::store::Usage;

const FLAGS_AT: usize = 24;
const KEY_LEN_AT: usize = 25;
const HEADER_LEN: usize = 26;
const MAP_LEN: usize = 4;
const EXPIRY_LEN: usize = 8;
const KEY_LEN_LEN: usize = 4;
const OPERATION_LEN: usize = 16;

/// Flags: what the value is, what the header has, and from the fourth bit on how many operations follow the key.
const KIND: u8 = 0b11;
const TOMBSTONE: u8 = 0;
const JSON: u8 = 1;
const BYTES: u8 = 2;
const HAS_MAP: u8 = 1 << 2;
const HAS_EXPIRY: u8 = 1 << 3;
const OPERATIONS_SHIFT: u32 = 4;
const OPERATIONS_FIT: usize = (u8::MAX >> OPERATIONS_SHIFT) as usize;

/// The length is in the header's last four bytes.
const LONG_KEY: u8 = u8::MAX;

/// Longer values keep a buffer of their own: from here on its handles (about 100 bytes) weigh less than 3 %.
pub(super) const PACKED_VALUE_LEN_MAX: usize = 4096;

/// One record.
pub(super) enum Entry {
    /// All in one buffer.
    Packed(Box<[u8]>),
    /// A long value apart from what precedes it.
    Split(Box<Split>),
}

/// None: what is in a free place. It has no buffer, and no method may be called of it.
impl Default for Entry {
    fn default() -> Self {
        Self::Packed(Box::default())
    }
}

pub(super) struct Split {
    head: Box<[u8]>,
    value: Bytes,
}

// What a table pays for a place, used or not, beside the hash.
const _: () = assert!(size_of::<Entry>() == 16);
const _: () = assert!(OPERATIONS_MAX <= OPERATIONS_FIT);

impl Entry {
    /// Takes over `record`, copying what does not own its buffer alone.
    ///
    /// `INTERNAL` for a key of 4 GiB or more than 15 operations, both far above what a node lets in.
    pub(super) fn new(record: Record) -> Result<Self> {
        let Record { map, key, value, version, expires_at_ms, operations } = record;
        let (Ok(key_len), true) = (u32::try_from(key.len()), operations.len() <= OPERATIONS_FIT) else {
            let context = format!("a record with a key of {} bytes and {} operations", key.len(), operations.len());
            return Err(Error::new(ErrorKind::Internal, context));
        };
        let (kind, value) = match value {
            None => (TOMBSTONE, Bytes::new()),
            Some(Value { format: Format::Json, bytes }) => (JSON, bytes),
            Some(Value { format: Format::Bytes, bytes }) => (BYTES, bytes),
        };
        let operation_count = operations.len();
        let packed = value.len() <= PACKED_VALUE_LEN_MAX;
        let value_len = if packed { value.len() } else { 0 };
        let mut flags = kind | (operation_count as u8) << OPERATIONS_SHIFT;
        let mut header_len = HEADER_LEN;
        if map != 0 {
            flags |= HAS_MAP;
            header_len += MAP_LEN;
        }
        if expires_at_ms != 0 {
            flags |= HAS_EXPIRY;
            header_len += EXPIRY_LEN;
        }
        if key_len >= u32::from(LONG_KEY) {
            header_len += KEY_LEN_LEN;
        }
        // Exactly: a box of what has room is allocated a second time.
        let mut head = Vec::with_capacity(header_len + key.len() + OPERATION_LEN * operation_count + value_len);
        head.put_u64_le(version.hlc);
        head.put_u64_le(version.node);
        head.put_u64_le(version.boot);
        head.put_u8(flags);
        head.put_u8(u8::try_from(key_len).unwrap_or(LONG_KEY));
        if map != 0 {
            head.put_u32_le(map);
        }
        if expires_at_ms != 0 {
            head.put_u64_le(expires_at_ms);
        }
        if key_len >= u32::from(LONG_KEY) {
            head.put_u32_le(key_len);
        }
        head.put_slice(&key);
        for operation in &operations {
            head.put_u64_le(operation.origin);
            head.put_u64_le(operation.sequence);
        }
        if packed {
            head.put_slice(&value);
            return Ok(Self::Packed(head.into()));
        }
        let head = head.into();
        // The key is a slice of the same frame: while it lives, the value does not own the frame alone.
        drop(key);
        Ok(Self::Split(Box::new(Split { head, value: buffer::own(value) })))
    }

    /// The same deletion or write without its value; version, expiry and operations stay.
    pub(super) fn to_tombstone(&self) -> Self {
        let mut head: Box<[u8]> = self.head()[..self.value_at()].into();
        head[FLAGS_AT] = head[FLAGS_AT] & !KIND | TOMBSTONE;
        Self::Packed(head)
    }

    /// The record; a short value is copied together with the key, a long one is shared.
    pub(super) fn to_record(&self) -> Record {
        let head = self.head();
        let (key_at, key_end, value_at) = (key_at(head), key_end(head), value_at(head));
        let mut operations = SmallVec::new();
        for mut bytes in head[key_end..value_at].chunks_exact(OPERATION_LEN) {
            operations.push(OpId { origin: bytes.get_u64_le(), sequence: bytes.get_u64_le() });
        }
        let (map, version, expires_at_ms) = (self.map(), version(head), expires_at_ms(head));
        let (key, value) = match self {
            Self::Packed(_) => {
                let mut both = buffer::concat([&head[key_at..key_end], &head[value_at..]]);
                (both.split_to(key_end - key_at), both)
            }
            Self::Split(split) => (buffer::concat([&head[key_at..key_end], &[]]), split.value.clone()),
        };
        let value = format(head).map(|format| Value { format, bytes: value });
        Record { map, key, value, version, expires_at_ms, operations }
    }

    /// What a read wants of it: a short value is copied, a long one is shared.
    #[inline]
    pub(super) fn to_content(&self) -> Content {
        let head = self.head();
        let bytes = || match self {
            Self::Packed(_) => Bytes::copy_from_slice(&head[value_at(head)..]),
            Self::Split(split) => split.value.clone(),
        };
        let value = format(head).map(|format| Value { format, bytes: bytes() });
        Content { value, version: version(head), expires_at_ms: expires_at_ms(head) }
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
            Self::Packed(head) => heap(head.len()),
            Self::Split(split) => heap(split.head.len()) + buffer::memory(split.value.len()) + heap(size_of::<Split>()),
        };
        let pinned = if self.is_evictable() { 0 } else { memory + PLACE_MEMORY };
        Held { usage: self.usage(), memory, pinned }
    }

    /// A deletion is kept, whatever the bound; what expired needs nobody to remember it: each copy of it expires by itself.
    pub(super) fn is_evictable(&self) -> bool {
        !self.is_tombstone() || expires_at_ms(self.head()) != 0
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Packed(head) if head.is_empty())
    }

    #[cfg(test)]
    pub(super) fn buffer_len(&self) -> usize {
        match self {
            Self::Packed(head) => head.len(),
            Self::Split(split) => split.head.len() + split.value.len(),
        }
    }

    pub(super) fn is_tombstone(&self) -> bool {
        self.head()[FLAGS_AT] & KIND == TOMBSTONE
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
        let head = self.head();
        if head[FLAGS_AT] & HAS_MAP == 0 { 0 } else { (&head[HEADER_LEN..]).get_u32_le() }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        let head = self.head();
        &head[key_at(head)..key_end(head)]
    }

    fn value_at(&self) -> usize {
        value_at(self.head())
    }
}

#[inline]
fn expiry_at(head: &[u8]) -> usize {
    HEADER_LEN + if head[FLAGS_AT] & HAS_MAP == 0 { 0 } else { MAP_LEN }
}

#[inline]
fn key_at(head: &[u8]) -> usize {
    let expiry_len = if head[FLAGS_AT] & HAS_EXPIRY == 0 { 0 } else { EXPIRY_LEN };
    expiry_at(head) + expiry_len + if head[KEY_LEN_AT] == LONG_KEY { KEY_LEN_LEN } else { 0 }
}

#[inline]
fn key_end(head: &[u8]) -> usize {
    let key_at = key_at(head);
    key_at
        + match head[KEY_LEN_AT] {
            LONG_KEY => (&head[key_at - KEY_LEN_LEN..]).get_u32_le() as usize,
            short => usize::from(short),
        }
}

#[inline]
fn value_at(head: &[u8]) -> usize {
    key_end(head) + OPERATION_LEN * usize::from(head[FLAGS_AT] >> OPERATIONS_SHIFT)
}

/// `None` of a tombstone.
#[inline]
fn format(head: &[u8]) -> Option<Format> {
    match head[FLAGS_AT] & KIND {
        TOMBSTONE => None,
        JSON => Some(Format::Json),
        _ => Some(Format::Bytes),
    }
}

#[inline]
fn version(head: &[u8]) -> Version {
    let mut bytes = &head[..FLAGS_AT];
    Version { hlc: bytes.get_u64_le(), node: bytes.get_u64_le(), boot: bytes.get_u64_le() }
}

#[inline]
fn expires_at_ms(head: &[u8]) -> u64 {
    if head[FLAGS_AT] & HAS_EXPIRY == 0 { 0 } else { (&head[expiry_at(head)..]).get_u64_le() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form of the header and both of the buffers.
    #[test]
    fn a_record_comes_out_as_it_went_in() {
        let value = |format, len| Some(Value { format, bytes: Bytes::from(vec![7; len]) });
        let values = [
            None,
            value(Format::Json, 0),
            value(Format::Bytes, 1),
            value(Format::Bytes, PACKED_VALUE_LEN_MAX),
            value(Format::Json, PACKED_VALUE_LEN_MAX + 1),
        ];
        let version = Version { hlc: u64::MAX - 1, node: 2, boot: 3 << 60 };
        for key_len in [0, 1, 254, 255, 256, 70_000] {
            for (map, expires_at_ms) in [(0, 0), (u32::MAX, 0), (0, u64::MAX), (1, 1 << 40)] {
                for operation_count in [0, 1, OPERATIONS_FIT] {
                    for value in &values {
                        let operation = |n| OpId { origin: u64::MAX, sequence: n as u64 };
                        let operations = (0..operation_count).map(operation).collect();
                        let (key, value) = (Bytes::from(vec![b'k'; key_len]), value.clone());
                        let record = Record { map, key, value, version, expires_at_ms, operations };
                        let entry = Entry::new(record.clone()).expect("it fits");
                        assert_eq!(entry.to_record(), record);
                        assert_eq!(entry.to_content(), Content::from(record.clone()));
                        assert_eq!((entry.version(), entry.digest()), (version, record.digest()));
                        assert!(entry.is_of(map, &record.key) && !entry.is_of(map ^ 1, &record.key));
                        let tombstone = entry.to_tombstone();
                        assert!(tombstone.is_tombstone());
                        assert_eq!(tombstone.to_record(), Record { value: None, ..record });
                    }
                }
            }
        }
    }
}
