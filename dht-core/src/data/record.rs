//! What is kept under a key: a value or a tombstone, its version, its expiry, the operations that made it.
//!
//! Invariant: `merge` keeps the higher version, so it is commutative, associative and idempotent; replicas that saw
//! the same records in any order hold the same one (last writer wins on a hybrid logical clock).

use bytes::Bytes;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The mark that orders all writes of one key: hybrid clock first, then the writer.
///
/// Its text form is opaque; the byte order of texts is the order of versions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Version {
    /// 48 bits of Unix milliseconds and a 16-bit counter.
    pub(crate) hlc: u64,
    /// Digest of the stamping node's id.
    pub(crate) node: u64,
    /// The stamping node's boot: a restarted node is another writer.
    pub(crate) boot: u64,
}

impl Version {
    /// What the hybrid logical clock said when it was stamped: 48 bits of Unix milliseconds, then a 16-bit counter.
    pub const fn stamp(self) -> u64 {
        self.hlc
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{:016x}{:016x}", self.hlc, self.node, self.boot)
    }
}

impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The text is no version: one has 48 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a version has 48 lower-case hexadecimal digits")]
pub struct ParseVersionError;

impl std::str::FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 48 || !text.bytes().all(lower_hex) {
            return Err(ParseVersionError);
        }
        let part = |i: usize| u64::from_str_radix(&text[i * 16..][..16], 16).map_err(|_| ParseVersionError);
        Ok(Self { hlc: part(0)?, node: part(1)?, boot: part(2)? })
    }
}

/// What the bytes of a value are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// JSON text, validated where it entered and never re-encoded.
    Json,
    /// Opaque bytes.
    Bytes,
}

/// A value as it is stored: opaque bytes and what they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    /// What `bytes` holds.
    pub format: Format,
    /// The value as it was given, never re-encoded.
    pub bytes: Bytes,
}

impl Value {
    /// Whether both say the same: equal bytes, or the same JSON, however it is written.
    pub(crate) fn says(&self, other: &Self) -> bool {
        self.format == other.format
            && (self.bytes == other.bytes
                || self.format == Format::Json && super::json::same(&self.bytes, &other.bytes))
    }
}

/// What a compare-and-swap wants to find.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expected {
    /// No value: never put, deleted, or expired.
    Absent,
    /// A live value of exactly this version.
    Version(Version),
    /// A live value that is the same: the same bytes, or the same JSON, whatever its white space, the order of its
    /// members and its escapes. Numbers are the same only if they are written alike.
    Value(Value),
}

impl From<Version> for Expected {
    fn from(version: Version) -> Self {
        Self::Version(version)
    }
}

impl From<Value> for Expected {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// Names one write of one caller, so that its retry through another owner is recognised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct OpId {
    /// The calling node's boot.
    pub(crate) origin: u64,
    /// Counts the caller's operations.
    pub(crate) sequence: u64,
}

/// Recent operations kept in a record. Four: a key written by more than four callers within one call's deadline
/// could see a retry applied again, as an ordinary later write.
pub(crate) const OPERATIONS_MAX: usize = 4;

/// A value or tombstone with its version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Name space of the key; 0 is the default map.
    pub(crate) map: u32,
    pub(crate) key: Bytes,
    /// `None` is a tombstone: a remembered deletion.
    pub(crate) value: Option<Value>,
    pub(crate) version: Version,
    /// Unix milliseconds; 0 never. Absolute: replication and repair never extend it.
    pub(crate) expires_at_ms: u64,
    /// The newest last.
    pub(crate) operations: SmallVec<[OpId; 1]>,
}

impl Record {
    /// The mark that orders it among all records of its key.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The value, unless deleted or expired at `now_ms`.
    pub(crate) fn live_value(&self, now_ms: u64) -> Option<&Value> {
        self.value.as_ref().filter(|_| !self.expired(now_ms))
    }

    /// Whether there is a live value; `now_ms` is only asked for where it matters, since a look at the clock costs as much
    /// as the rest of a read.
    #[inline]
    pub(crate) fn lives(&self, now_ms: impl FnOnce() -> u64) -> bool {
        self.value.is_some() && !expired(self.expires_at_ms, now_ms)
    }

    /// An expired record is a tombstone from that instant.
    pub(crate) fn expired(&self, now_ms: u64) -> bool {
        expired(self.expires_at_ms, || now_ms)
    }

    /// Bytes of key and value.
    pub(crate) fn payload_len(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, |v| v.bytes.len())
    }

    pub(crate) fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.map, &self.key)
    }
}

/// What a reader wants of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    /// `None` is a tombstone.
    pub(crate) value: Option<Value>,
    pub(crate) version: Version,
    /// Unix milliseconds; 0 never.
    pub(crate) expires_at_ms: u64,
}

impl Content {
    /// As [`Record::lives`].
    #[inline]
    pub(crate) fn lives(&self, now_ms: impl FnOnce() -> u64) -> bool {
        self.value.is_some() && !expired(self.expires_at_ms, now_ms)
    }
}

impl From<Record> for Content {
    fn from(Record { value, version, expires_at_ms, .. }: Record) -> Self {
        Self { value, version, expires_at_ms }
    }
}

#[inline]
fn expired(expires_at_ms: u64, now_ms: impl FnOnce() -> u64) -> bool {
    expires_at_ms != 0 && expires_at_ms <= now_ms() && !planted!("expired_lives")
}

/// 128-bit digest of a key inside its slot: what replicas exchange instead of the key when they compare.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyDigest(pub(crate) u128);

impl KeyDigest {
    #[inline]
    pub(crate) fn of(map: u32, key: &[u8]) -> Self {
        Self(xxh3_128_with_seed(key, u64::from(map)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_text_round_trips_and_keeps_the_order() {
        let mut versions = vec![
            Version { hlc: 0, node: 0, boot: 0 },
            Version { hlc: 1, node: u64::MAX, boot: 3 },
            Version { hlc: 1, node: 2, boot: u64::MAX },
            Version { hlc: u64::MAX, node: 0, boot: 0 },
        ];
        for v in &versions {
            assert_eq!(v.to_string().parse::<Version>(), Ok(*v));
        }
        let mut texts: Vec<String> = versions.iter().map(ToString::to_string).collect();
        versions.sort();
        texts.sort();
        assert_eq!(texts, versions.iter().map(ToString::to_string).collect::<Vec<_>>());
    }

    #[test]
    fn malformed_versions_are_refused() {
        for text in ["", "0", &"0".repeat(47), &"0".repeat(49), &"A".repeat(48), &"+".repeat(48), &"é".repeat(24)] {
            assert_eq!(text.parse::<Version>(), Err(ParseVersionError), "{text}");
        }
    }

    #[test]
    fn a_record_expires_at_its_instant() {
        let value = Some(Value { format: Format::Bytes, bytes: Bytes::from_static(b"v") });
        let version = Version::default();
        let operations = SmallVec::new();
        let mut record = Record { map: 0, key: Bytes::new(), value, version, expires_at_ms: 10, operations };
        assert!(record.live_value(9).is_some());
        assert!(record.live_value(10).is_none());
        record.expires_at_ms = 0;
        assert!(record.live_value(u64::MAX).is_some());
    }
}
