//! Bodies about records.

use bytes::Bytes;

use super::ring::{ListId, Lists, NodeRecord};

#[derive(prost::Message)]
pub(crate) struct Apply {
    #[prost(message, repeated, tag = "1")]
    pub(crate) operations: Vec<Operation>,
    #[prost(uint32, tag = "2")]
    pub(crate) level: u32,
    #[prost(bool, tag = "3")]
    pub(crate) relay: bool,
    #[prost(fixed64, tag = "4")]
    pub(crate) rings: u64,
}

#[derive(prost::Message)]
pub(crate) struct Operation {
    #[prost(fixed64, tag = "1")]
    pub(crate) origin: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) sequence: u64,
    #[prost(uint32, tag = "3")]
    pub(crate) map: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) key: Bytes,
    #[prost(uint32, tag = "5")]
    pub(crate) action: u32,
    #[prost(uint32, tag = "6")]
    pub(crate) format: u32,
    #[prost(bytes = "bytes", tag = "7")]
    pub(crate) value: Bytes,
    #[prost(uint64, tag = "8")]
    pub(crate) ttl_ms: u64,
    /// Of a compare-and-swap: 1 absent, 2 that version, 3 that value.
    #[prost(uint32, tag = "9")]
    pub(crate) expected: u32,
    #[prost(message, optional, tag = "10")]
    pub(crate) expected_version: Option<Version>,
    #[prost(uint32, tag = "11")]
    pub(crate) expected_format: u32,
    #[prost(bytes = "bytes", tag = "12")]
    pub(crate) expected_value: Bytes,
    /// Of an increment: one of both.
    #[prost(sint64, optional, tag = "13")]
    pub(crate) by_integer: Option<i64>,
    #[prost(double, optional, tag = "14")]
    pub(crate) by_float: Option<f64>,
}

#[derive(prost::Message)]
pub(crate) struct Applied {
    #[prost(message, repeated, tag = "1")]
    pub(crate) results: Vec<OpResult>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) records: Vec<NodeRecord>,
}

#[derive(prost::Message)]
pub(crate) struct OpResult {
    #[prost(oneof = "OpOutcome", tags = "1, 2, 3, 4")]
    pub(crate) outcome: Option<OpOutcome>,
}

#[derive(prost::Oneof)]
pub(crate) enum OpOutcome {
    #[prost(message, tag = "1")]
    Written(Written),
    #[prost(message, tag = "2")]
    Read(Read),
    /// Always true.
    #[prost(bool, tag = "3")]
    Misrouted(bool),
    #[prost(message, tag = "4")]
    Failed(Error),
}

#[derive(prost::Message)]
pub(crate) struct Written {
    #[prost(message, optional, tag = "1")]
    pub(crate) version: Option<Version>,
    #[prost(uint32, tag = "2")]
    pub(crate) acks: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) wanted: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) set_size: u32,
    #[prost(bool, tag = "5")]
    pub(crate) degraded: bool,
    #[prost(bool, tag = "6")]
    pub(crate) existed: bool,
    /// 0: no value.
    #[prost(uint32, tag = "7")]
    pub(crate) format: u32,
    #[prost(bytes = "bytes", tag = "8")]
    pub(crate) value: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct Read {
    #[prost(message, optional, tag = "1")]
    pub(crate) record: Option<Record>,
}

#[derive(prost::Message)]
pub(crate) struct Store {
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<StoreItem>,
    #[prost(bool, tag = "2")]
    pub(crate) repair: bool,
}

#[derive(prost::Message)]
pub(crate) struct StoreItem {
    #[prost(uint32, tag = "1")]
    pub(crate) slot: u32,
    #[prost(message, optional, tag = "2")]
    pub(crate) list: Option<ListId>,
    #[prost(message, optional, tag = "3")]
    pub(crate) record: Option<Record>,
}

#[derive(prost::Message)]
pub(crate) struct Stored {
    #[prost(message, repeated, tag = "1")]
    pub(crate) results: Vec<StoreResult>,
}

#[derive(prost::Message)]
pub(crate) struct StoreResult {
    #[prost(oneof = "StoreOutcome", tags = "1, 2, 3, 4")]
    pub(crate) outcome: Option<StoreOutcome>,
}

#[derive(prost::Oneof)]
pub(crate) enum StoreOutcome {
    /// Whether it counts.
    #[prost(bool, tag = "1")]
    Stored(bool),
    #[prost(message, tag = "2")]
    Refused(Version),
    #[prost(message, tag = "3")]
    Stale(ListId),
    #[prost(message, tag = "4")]
    Failed(Error),
}

#[derive(prost::Message)]
pub(crate) struct Fetch {
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<FetchItem>,
}

#[derive(prost::Message)]
pub(crate) struct FetchItem {
    #[prost(uint32, tag = "1")]
    pub(crate) slot: u32,
    #[prost(message, optional, tag = "2")]
    pub(crate) list: Option<ListId>,
    #[prost(uint32, tag = "3")]
    pub(crate) map: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) key: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) operation: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct Fetched {
    #[prost(message, repeated, tag = "1")]
    pub(crate) results: Vec<FetchResult>,
}

#[derive(prost::Message)]
pub(crate) struct FetchResult {
    #[prost(oneof = "FetchOutcome", tags = "1, 2, 3, 4")]
    pub(crate) outcome: Option<FetchOutcome>,
}

#[derive(prost::Oneof)]
pub(crate) enum FetchOutcome {
    #[prost(message, tag = "1")]
    Found(Found),
    #[prost(message, tag = "2")]
    NotReady(ListId),
    #[prost(message, tag = "3")]
    Stale(ListId),
    #[prost(message, tag = "4")]
    Failed(Error),
}

#[derive(prost::Message)]
pub(crate) struct Found {
    #[prost(message, optional, tag = "1")]
    pub(crate) list: Option<ListId>,
    #[prost(message, optional, tag = "2")]
    pub(crate) record: Option<Record>,
    #[prost(message, optional, tag = "3")]
    pub(crate) stored_as: Option<Version>,
}

/// Arrays of equal length: one element per slot.
#[derive(prost::Message)]
pub(crate) struct Compare {
    /// Packed fixed32.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) slots: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(crate) lists: Option<Lists>,
    /// 16 bytes each.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) fingerprints: Bytes,
    #[prost(bool, tag = "4")]
    pub(crate) catching_up: bool,
    /// Packed fixed16: how many slots more, each after the one before, each element stands for; left out while all are 0.
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) more: Bytes,
    #[prost(bool, tag = "6")]
    pub(crate) durable: bool,
}

/// Arrays of equal length: one element per slot asked.
#[derive(prost::Message)]
pub(crate) struct Compared {
    /// A byte each.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) standings: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(crate) lists: Option<Lists>,
    /// 16 bytes each.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) fingerprints: Bytes,
    /// Packed fixed32; left out while all are 0.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) evicted_before_s: Bytes,
    /// Packed fixed16: how many slots more each element stands for; left out while all are 0.
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) more: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct Versions {
    #[prost(uint32, tag = "1")]
    pub(crate) slot: u32,
    /// Packed fixed64.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) parts: Bytes,
}

/// Arrays of equal length: one element per key.
#[derive(prost::Message)]
pub(crate) struct VersionsPart {
    /// 16 bytes each.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) digests: Bytes,
    /// Packed fixed64.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) hlcs: Bytes,
    /// Packed fixed64.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) nodes: Bytes,
    /// Packed fixed64.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) boots: Bytes,
    /// Packed fixed32; not one for each key.
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub(crate) listed: Option<Bytes>,
}

#[derive(prost::Message)]
pub(crate) struct Pull {
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<PullItem>,
    #[prost(bool, tag = "2")]
    pub(crate) urgent: bool,
}

#[derive(prost::Message)]
pub(crate) struct PullItem {
    #[prost(uint32, tag = "1")]
    pub(crate) slot: u32,
    /// 16 bytes each.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) digests: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct Records {
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<RecordItem>,
}

#[derive(prost::Message)]
pub(crate) struct RecordItem {
    #[prost(uint32, tag = "1")]
    pub(crate) slot: u32,
    #[prost(message, optional, tag = "2")]
    pub(crate) record: Option<Record>,
}

/// Tag 8 is reserved: epoch.
#[derive(prost::Message)]
pub(crate) struct Record {
    #[prost(uint32, tag = "1")]
    pub(crate) map: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) key: Bytes,
    /// 0 is a tombstone, which has no value.
    #[prost(uint32, tag = "3")]
    pub(crate) format: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) value: Bytes,
    #[prost(message, optional, tag = "5")]
    pub(crate) version: Option<Version>,
    #[prost(uint64, tag = "6")]
    pub(crate) expires_at_ms: u64,
    /// 16 bytes each: origin, sequence.
    #[prost(bytes = "bytes", tag = "7")]
    pub(crate) operations: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct Version {
    #[prost(fixed64, tag = "1")]
    pub(crate) hlc: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) node: u64,
    #[prost(fixed64, tag = "3")]
    pub(crate) boot: u64,
}

#[derive(prost::Message)]
pub(crate) struct Error {
    #[prost(uint32, tag = "1")]
    pub(crate) code: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) context: Bytes,
    #[prost(bool, tag = "3")]
    pub(crate) maybe_applied: bool,
    #[prost(bool, tag = "4")]
    pub(crate) out_of_time: bool,
}

#[derive(prost::Message)]
pub(crate) struct CompareSums {
    #[prost(uint32, tag = "1")]
    pub(crate) part_len: u32,
    /// Packed fixed32.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) parts: Bytes,
    /// 16 bytes each.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) sums: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct ComparedSums {
    /// Packed fixed32.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) differing: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct Scan {
    /// Packed fixed32.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) slots: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(crate) lists: Option<Lists>,
    #[prost(uint32, tag = "3")]
    pub(crate) map: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) prefix: Bytes,
    /// 16 bytes, or none: from the beginning.
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) after: Bytes,
    #[prost(uint32, tag = "6")]
    pub(crate) want: u32,
    #[prost(bool, tag = "7")]
    pub(crate) relay: bool,
}

#[derive(prost::Message)]
pub(crate) struct Scanned {
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<RecordItem>,
    /// A byte each.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) standings: Bytes,
    #[prost(message, optional, tag = "3")]
    pub(crate) lists: Option<Lists>,
    /// 16 bytes each.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) fingerprints: Bytes,
    /// Absent: nothing is left.
    #[prost(uint32, optional, tag = "5")]
    pub(crate) next_slot: Option<u32>,
    /// 16 bytes, or none: from the beginning of that slot.
    #[prost(bytes = "bytes", tag = "6")]
    pub(crate) next_after: Bytes,
}
