//! The bytes of keys and records in the file.
//!
//! ```text
//! key      | slot, 4 | digest, 16 | map, 4 | key …               numbers big-endian: a slot's records lie together,
//!                                                                 ascending by digest
//! record   | crc, 4 | kind | operations | value_crc, 4 | value_len, 4 | version, 24 | expires_at, 8 |
//!            operations, 16 each | value …                        numbers little-endian
//! ```
//! `crc` covers the key and all that follows it up to the value, `value_crc` the value, which is apart (in a table of its
//! own, under the same key) if it is longer than [`INLINE_LEN_MAX`]: whoever lists versions reads no long values. So bytes
//! that rotted, or that a crash left where they do not belong, are an error and never an answer.

use bytes::{Buf, BufMut, Bytes};
use smallvec::SmallVec;

use crate::data::hlc;
use crate::data::record::{Format, KeyDigest, OpId, Record, Value, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::slot::Slot;

/// Longer values lie apart. Half a page: several records share one.
pub(super) const INLINE_LEN_MAX: usize = 2048;

pub(super) const KEY_HEAD_LEN: usize = 24;
const HEAD_LEN: usize = 46;
const OPERATION_LEN: usize = 16;

const TOMBSTONE: u8 = 0;
const JSON: u8 = 1;
const BYTES: u8 = 2;
/// Flag: the value lies apart.
const APART: u8 = 4;

pub(super) fn key(slot: Slot, digest: KeyDigest, map: u32, key: &[u8]) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(KEY_HEAD_LEN + key.len());
    bytes.put_u32(slot.0);
    bytes.put_u128(digest.0);
    bytes.put_u32(map);
    bytes.put_slice(key);
    bytes.into()
}

/// Keys of a slot, or of one digest of it, are those from the first to before the second.
pub(super) fn slot_range(slot: Slot) -> (Vec<u8>, Vec<u8>) {
    (slot.0.to_be_bytes().to_vec(), slot.0.saturating_add(1).to_be_bytes().to_vec())
}

/// See [`slot_range`]. The end is exclusive, and above every key of the digest: maps are 32 bits.
pub(super) fn digest_range(slot: Slot, digest: KeyDigest) -> (Vec<u8>, Vec<u8>) {
    let mut begin = slot.0.to_be_bytes().to_vec();
    begin.put_u128(digest.0);
    let mut end = slot.0.to_be_bytes().to_vec();
    match digest.0.checked_add(1) {
        Some(next) => end.put_u128(next),
        None => end = slot.0.saturating_add(1).to_be_bytes().to_vec(),
    }
    (begin, end)
}

pub(super) fn digest_of(key: &[u8]) -> Result<KeyDigest> {
    let mut bytes = key.get(4..20).ok_or_else(|| damaged("a key is too short"))?;
    Ok(KeyDigest(bytes.get_u128()))
}

/// A record without its value.
pub(super) struct Head {
    kind: u8,
    pub(super) version: Version,
    pub(super) expires_at_ms: u64,
    value_crc: u32,
    pub(super) value_len: u32,
    operations: SmallVec<[OpId; 1]>,
}

/// `record` as bytes, and its value if that lies apart.
pub(super) fn encode<'a>(key: &[u8], record: &'a Record) -> Result<(Vec<u8>, Option<&'a Bytes>)> {
    let too_much = || Error::new(ErrorKind::Internal, "a record with more operations or bytes than a node lets in");
    let operations = u8::try_from(record.operations.len()).map_err(|_| too_much())?;
    let (kind, value): (u8, Option<&Bytes>) = match &record.value {
        None => (TOMBSTONE, None),
        Some(Value { format: Format::Json, bytes }) => (JSON, Some(bytes)),
        Some(Value { format: Format::Bytes, bytes }) => (BYTES, Some(bytes)),
    };
    let value_bytes: &[u8] = value.map_or(&[], |bytes| bytes);
    let value_len = u32::try_from(value_bytes.len()).map_err(|_| too_much())?;
    let apart = value.filter(|bytes| bytes.len() > INLINE_LEN_MAX);
    let inline: &[u8] = if apart.is_some() { &[] } else { value_bytes };
    let mut bytes = Vec::with_capacity(HEAD_LEN + record.operations.len() * OPERATION_LEN + inline.len());
    bytes.put_u32_le(0);
    bytes.put_u8(kind | if apart.is_some() { APART } else { 0 });
    bytes.put_u8(operations);
    bytes.put_u32_le(crc32fast::hash(value_bytes));
    bytes.put_u32_le(value_len);
    bytes.put_u64_le(record.version.hlc);
    bytes.put_u64_le(record.version.node);
    bytes.put_u64_le(record.version.boot);
    bytes.put_u64_le(record.expires_at_ms);
    for operation in &record.operations {
        bytes.put_u64_le(operation.origin);
        bytes.put_u64_le(operation.sequence);
    }
    let crc = checksum(key, &bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(inline);
    Ok((bytes, apart))
}

/// Whether the value of these bytes lies apart.
pub(super) fn is_apart(bytes: &[u8]) -> bool {
    bytes.get(4).is_some_and(|kind| kind & APART != 0)
}

impl Head {
    /// `Storage` if the bytes are not what was written.
    pub(super) fn decode(key: &[u8], bytes: &[u8]) -> Result<(Self, usize)> {
        let len = bytes.get(5).map_or(usize::MAX, |count| HEAD_LEN + usize::from(*count) * OPERATION_LEN);
        let Some(mut head) = bytes.get(..len) else { return Err(damaged("a record is too short")) };
        let crc = head.get_u32_le();
        if crc != checksum(key, head) {
            return Err(damaged("a record's checksum is wrong"));
        }
        let (kind, _) = (head.get_u8(), head.get_u8());
        let (value_crc, value_len) = (head.get_u32_le(), head.get_u32_le());
        let version = Version { hlc: head.get_u64_le(), node: head.get_u64_le(), boot: head.get_u64_le() };
        let expires_at_ms = head.get_u64_le();
        let mut operations = SmallVec::new();
        while head.has_remaining() {
            operations.push(OpId { origin: head.get_u64_le(), sequence: head.get_u64_le() });
        }
        Ok((Self { kind, version, expires_at_ms, value_crc, value_len, operations }, len))
    }

    pub(super) fn is_tombstone(&self) -> bool {
        self.kind & !APART == TOMBSTONE
    }

    /// The record of `key` with the value that `bytes` are; `Storage` if they are not what was written.
    pub(super) fn into_record(self, key: &[u8], bytes: Bytes) -> Result<Record> {
        if bytes.len() as u64 != u64::from(self.value_len) || crc32fast::hash(&bytes) != self.value_crc {
            return Err(damaged("a value's checksum is wrong"));
        }
        let value = match self.kind & !APART {
            TOMBSTONE => None,
            JSON => Some(Value { format: Format::Json, bytes }),
            BYTES => Some(Value { format: Format::Bytes, bytes }),
            _ => return Err(damaged("a record of an unknown kind")),
        };
        self.with_value(key, value)
    }

    /// The same without its value: a tombstone.
    pub(super) fn into_tombstone(self, key: &[u8]) -> Result<Record> {
        self.with_value(key, None)
    }

    fn with_value(self, key: &[u8], value: Option<Value>) -> Result<Record> {
        let mut map = key.get(20..KEY_HEAD_LEN).ok_or_else(|| damaged("a key is too short"))?;
        let key = Bytes::copy_from_slice(&key[KEY_HEAD_LEN..]);
        let Self { version, expires_at_ms, operations, .. } = self;
        Ok(Record { map: map.get_u32(), key, value, version, expires_at_ms, operations })
    }
}

/// Has a value that is expired at `now_ms`.
pub(super) fn value_expired(tombstone: bool, expires_at_ms: u64, now_ms: u64) -> bool {
    !tombstone && expires_at_ms != 0 && expires_at_ms <= now_ms
}

/// Is a tombstone whose version's wall time and expiry both lie before `forget_before_ms`.
pub(super) fn forgettable(tombstone: bool, version: Version, expires_at_ms: u64, forget_before_ms: u64) -> bool {
    tombstone && hlc::wall_ms(version.hlc).max(expires_at_ms) < forget_before_ms
}

fn checksum(key: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(rest);
    hasher.finalize()
}

pub(super) fn damaged(what: &str) -> Error {
    let context = format!(
        "the data file is damaged ({what}): stop the node, move its data_dir away and start it again, so that it gets \
         its data from the replicas"
    );
    Error::new(ErrorKind::Storage, context)
}

/// What a slot holds: kept in memory for every slot with anything in it, and in the file beside the records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Summary {
    pub(super) fingerprint: u128,
    pub(super) live: u64,
    pub(super) tombstones: u64,
    pub(super) bytes: u64,
    /// How many records a sweep may ever change.
    pub(super) sweepable: u64,
}

impl Summary {
    pub(super) const LEN: usize = 48;

    pub(super) fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let mut to = &mut bytes[..];
        to.put_u128_le(self.fingerprint);
        to.put_u64_le(self.live);
        to.put_u64_le(self.tombstones);
        to.put_u64_le(self.bytes);
        to.put_u64_le(self.sweepable);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let mut from = &bytes[..];
        let fingerprint = from.get_u128_le();
        let (live, tombstones) = (from.get_u64_le(), from.get_u64_le());
        let (bytes, sweepable) = (from.get_u64_le(), from.get_u64_le());
        Self { fingerprint, live, tombstones, bytes, sweepable }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live == 0 && self.tombstones == 0
    }
}
