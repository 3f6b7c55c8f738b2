//! Bodies about nodes and the ring.

use bytes::Bytes;

#[derive(prost::Message)]
pub(crate) struct Ping {
    #[prost(fixed64, tag = "1")]
    pub(crate) boot: u64,
    #[prost(message, repeated, tag = "2")]
    pub(crate) records: Vec<NodeRecord>,
}

#[derive(prost::Message)]
pub(crate) struct Pong {
    #[prost(message, repeated, tag = "2")]
    pub(crate) records: Vec<NodeRecord>,
}

#[derive(prost::Message)]
pub(crate) struct PingFor {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) address: Bytes,
    #[prost(fixed64, tag = "2")]
    pub(crate) boot: u64,
}

#[derive(prost::Message)]
pub(crate) struct Probed {
    #[prost(bool, tag = "1")]
    pub(crate) alive: bool,
}

#[derive(prost::Message)]
pub(crate) struct Sync {
    /// Packed fixed32.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) slots: Bytes,
    #[prost(message, optional, tag = "3")]
    pub(crate) lists: Option<Lists>,
    /// Packed fixed64; a power of two of them.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) sums: Bytes,
    #[prost(bool, tag = "5")]
    pub(crate) gone: bool,
}

#[derive(prost::Message)]
pub(crate) struct Synced {
    #[prost(message, repeated, tag = "1")]
    pub(crate) digests: Vec<NodeDigest>,
    /// Packed fixed32.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) slots: Bytes,
    #[prost(message, optional, tag = "3")]
    pub(crate) lists: Option<Lists>,
    /// Packed fixed32.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) differing: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct Exchange {
    #[prost(message, repeated, tag = "1")]
    pub(crate) records: Vec<NodeRecord>,
    /// Packed fixed32.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) slots: Bytes,
    #[prost(message, optional, tag = "3")]
    pub(crate) lists: Option<Lists>,
    /// Packed fixed64.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) wanted: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct Exchanged {
    #[prost(message, repeated, tag = "1")]
    pub(crate) records: Vec<NodeRecord>,
}

#[derive(prost::Message)]
pub(crate) struct Join {
    #[prost(message, optional, tag = "1")]
    pub(crate) record: Option<NodeRecord>,
    #[prost(message, optional, tag = "2")]
    pub(crate) params: Option<RingParams>,
    #[prost(uint64, tag = "3")]
    pub(crate) wall_ms: u64,
    #[prost(bool, tag = "4")]
    pub(crate) client: bool,
}

#[derive(prost::Message)]
pub(crate) struct Welcome {
    #[prost(fixed64, optional, tag = "1")]
    pub(crate) ring_high: Option<u64>,
    #[prost(fixed64, optional, tag = "2")]
    pub(crate) ring_low: Option<u64>,
    #[prost(message, optional, tag = "3")]
    pub(crate) config: Option<RingConfig>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) records: Vec<NodeRecord>,
    #[prost(uint64, tag = "5")]
    pub(crate) wall_ms: u64,
    #[prost(bool, tag = "6")]
    pub(crate) reunites: bool,
    #[prost(bool, tag = "7")]
    pub(crate) forgotten: bool,
    #[prost(uint64, tag = "8")]
    pub(crate) given_up_ms: u64,
}

#[derive(prost::Message)]
pub(crate) struct Admit {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) node_id: Bytes,
    #[prost(fixed64, tag = "2")]
    pub(crate) boot: u64,
    #[prost(bool, tag = "3")]
    pub(crate) release: bool,
    #[prost(bool, tag = "4")]
    pub(crate) wait: bool,
}

#[derive(prost::Message)]
pub(crate) struct Admitted {
    #[prost(bool, tag = "1")]
    pub(crate) granted: bool,
}

/// What somebody remembers of nodes from before it was started.
#[derive(prost::Message)]
pub(crate) struct LastLife {
    #[prost(message, repeated, tag = "1")]
    pub(crate) records: Vec<NodeRecord>,
}

#[derive(prost::Message)]
pub(crate) struct Merge {
    #[prost(fixed64, optional, tag = "1")]
    pub(crate) ring_high: Option<u64>,
    #[prost(fixed64, optional, tag = "2")]
    pub(crate) ring_low: Option<u64>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) records: Vec<NodeRecord>,
}

#[derive(prost::Message)]
pub(crate) struct Stabilize {
    /// 32 bytes each.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) positions: Bytes,
    /// Packed fixed64, per position; absent: nothing is known.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) known: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct Neighbours {
    /// Position by position: its predecessor, if any, then its successors.
    #[prost(message, repeated, tag = "1")]
    pub(crate) pointers: Vec<Pointer>,
    /// A byte per position: 1 with a predecessor, 0 without one, 2 if its neighbours are those that are known.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) predecessors: Bytes,
    /// Packed fixed32, per position.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) successor_counts: Bytes,
    #[prost(message, repeated, tag = "4")]
    pub(crate) records: Vec<NodeRecord>,
}

#[derive(prost::Message)]
pub(crate) struct Notify {
    #[prost(message, repeated, tag = "1")]
    pub(crate) notices: Vec<Notice>,
}

/// A pointer, and the receiver's position that it is meant for.
#[derive(prost::Message)]
pub(crate) struct Notice {
    #[prost(message, optional, tag = "1")]
    pub(crate) pointer: Option<Pointer>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) position: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct Lookup {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) target: Bytes,
    #[prost(uint32, tag = "2")]
    pub(crate) past: u32,
    #[prost(bool, tag = "3")]
    pub(crate) claimed: bool,
}

#[derive(prost::Message)]
pub(crate) struct Route {
    #[prost(bool, tag = "1")]
    pub(crate) done: bool,
    #[prost(message, repeated, tag = "2")]
    pub(crate) pointers: Vec<Pointer>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) records: Vec<NodeRecord>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) past: Vec<Pointer>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) replicas: Vec<Pointer>,
}

#[derive(prost::Message)]
pub(crate) struct Describe {
    #[prost(uint32, tag = "1")]
    pub(crate) topic: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) key: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct Collect {
    #[prost(fixed64, tag = "1")]
    pub(crate) session: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) cookie: u64,
    #[prost(uint32, tag = "3")]
    pub(crate) slot: u32,
    #[prost(uint64, tag = "4")]
    pub(crate) sequence: u64,
}

#[derive(prost::Message)]
pub(crate) struct SealKey {
    #[prost(fixed64, tag = "1")]
    pub(crate) known: u64,
}

/// Has no `Debug` of its own: the key must not be shown.
#[derive(prost::Message)]
#[prost(skip_debug)]
pub(crate) struct SealKeyAnswer {
    #[prost(fixed64, tag = "1")]
    pub(crate) id: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) key: Bytes,
}

impl std::fmt::Debug for SealKeyAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealKeyAnswer").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(prost::Message)]
pub(crate) struct Described {
    #[prost(string, tag = "1")]
    pub(crate) json: String,
}

/// Tags 12 to 16 are reserved: cluster name, public key, signature, weight, further addresses.
#[derive(prost::Message)]
pub(crate) struct NodeRecord {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) node_id: Bytes,
    #[prost(fixed64, tag = "2")]
    pub(crate) boot: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) address: Bytes,
    #[prost(uint64, tag = "4")]
    pub(crate) incarnation: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) placed_at: u64,
    #[prost(uint32, tag = "6")]
    pub(crate) state: u32,
    #[prost(uint32, tag = "7")]
    pub(crate) verdict: u32,
    #[prost(uint32, tag = "8")]
    pub(crate) vnodes: u32,
    #[prost(bytes = "bytes", tag = "9")]
    pub(crate) choices: Bytes,
    #[prost(bytes = "bytes", tag = "10")]
    pub(crate) zone: Bytes,
    #[prost(fixed32, tag = "11")]
    pub(crate) placed_in: u32,
    #[prost(bool, tag = "17")]
    pub(crate) read_only: bool,
}

#[derive(prost::Message)]
pub(crate) struct NodeDigest {
    #[prost(fixed64, tag = "1")]
    pub(crate) node: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) boot: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) incarnation: u64,
    #[prost(uint32, tag = "4")]
    pub(crate) verdict: u32,
}

#[derive(prost::Message)]
pub(crate) struct Pointer {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) node_id: Bytes,
    #[prost(uint32, tag = "3")]
    pub(crate) index: u32,
}

/// `epoch` is reserved for consensus and 0 until then.
#[derive(prost::Message)]
pub(crate) struct ListId {
    #[prost(uint64, tag = "1")]
    pub(crate) counter: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) members: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) epoch: u64,
}

/// List ids as arrays, because there is one per slot.
#[derive(prost::Message)]
pub(crate) struct Lists {
    /// Packed fixed64.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) counters: Bytes,
    /// Packed fixed64.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) members: Bytes,
    /// Packed fixed64; absent while all are 0.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) epochs: Bytes,
}

#[derive(prost::Message)]
pub(crate) struct RingParams {
    #[prost(uint32, tag = "1")]
    pub(crate) format: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) hash_function: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) hash_bits: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) slot_bits: u32,
    #[prost(bool, tag = "5")]
    pub(crate) consistent_hashing: bool,
}

#[derive(prost::Message)]
pub(crate) struct RingConfig {
    #[prost(uint64, tag = "1")]
    pub(crate) version: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) replication_factor: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) tombstone_grace_ms: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) max_key_size: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) max_value_size: u64,
}
