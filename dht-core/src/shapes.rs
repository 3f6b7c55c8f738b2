//! What a node tells about itself and the ring: the shapes that every language shows. Times are seconds, instants Unix
//! seconds, ids lower-case hexadecimal of ceil(hash_bits / 4) digits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One node as this node sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeInfo {
    /// The node_id.
    pub id: String,
    /// "host:port": what `join` takes.
    pub address: String,
    /// joining, active, suspect, leaving, left or dead.
    pub state: String,
    /// When it last answered this node, Unix seconds; until it first has, when this node heard that it is there; of this node itself: now. 0 of
    /// one that never answered and is suspected or gone.
    pub last_seen: f64,
    /// Raised by the node itself whenever it has something new to say.
    pub incarnation: u64,
    /// Positions on the ring.
    pub vnodes: u32,
    /// Failure domain; empty: none.
    pub zone: String,
}

/// One member of the ring with its part of the key space.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RingNode {
    /// The node.
    #[serde(flatten)]
    pub node: NodeInfo,
    /// Its ids on the ring, by index.
    pub positions: Vec<String>,
    /// Fraction of the key space it owns, 0 to 1; 0 while it is not active.
    pub share: f64,
}

/// The ring as this node sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RingInfo {
    /// Width of an id.
    pub hash_bits: u16,
    /// The key space has 2^min(hash_bits, slot_bits) slots.
    pub slot_bits: u8,
    /// Copies of each record, on distinct nodes.
    pub replication_factor: u16,
    /// Fingerprint of the set of nodes: equal on nodes that know the same.
    pub view: String,
    /// All present nodes, ascending by id.
    pub nodes: Vec<RingNode>,
}

/// One entry of the finger table of this node's position 0.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Finger {
    /// k, from 0: the finger of 2^k.
    pub index: u16,
    /// position 0 + 2^k.
    pub start: String,
    /// The node that owns `start`.
    pub node: NodeInfo,
}

/// The way of one lookup to the owner of a key, as one node walked it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LookupTrace {
    /// The id of the key.
    pub key_id: String,
    /// The slot that the key falls in, from 0.
    pub slot: u32,
    /// The last id of the slot: its owner is the owner of the slot, so this is what lookups look for.
    pub target: String,
    /// The node that the walk found.
    pub owner: NodeInfo,
    /// The nodes asked, in that order; none if the node itself knew the owner.
    pub hops: Vec<Hop>,
    /// The view of the node that walked named the same owner, so that operations reach it without a walk.
    pub one_hop: bool,
    /// From the call to its end, seconds.
    pub took: f64,
}

/// One node asked in a lookup.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Hop {
    /// Who was asked.
    pub node: HopNode,
    /// The position of that node which led there.
    pub position: String,
    /// Until it answered or was given up, seconds.
    pub took: f64,
    /// What came of it.
    pub outcome: HopOutcome,
}

/// Who was asked, by the name and address that the asking node had for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HopNode {
    /// The node_id.
    pub id: String,
    /// "host:port".
    pub address: String,
}

/// What came of asking one node in a lookup.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HopOutcome {
    /// It named nodes nearer to the target.
    Closer,
    /// It named the owner, which ends the lookup.
    Owner,
    /// It gave no answer, or an error; the next nearest known was asked instead.
    Silent,
}

/// One operation, followed through all nodes that worked for it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OperationTrace {
    /// What the messages of this operation carried and the logs of the nodes name: 16 hexadecimal digits.
    pub trace_id: String,
    /// get or put.
    pub operation: String,
    /// The id of the key; "" if the asking side does not know the ring's hash (the `dht` program).
    pub key_id: String,
    /// The level: one, quorum or all.
    pub level: String,
    /// From the call to its end, seconds.
    pub took: f64,
    /// Whether there is a value; of a put: there is one now.
    pub found: bool,
    /// The version that was read or written, if any.
    pub version: Option<String>,
    /// Of an operation that failed the name of the error, as TIMEOUT; `None` if it did not.
    pub error: Option<String>,
    /// The error in words, without its name; "" if there is none.
    pub message: String,
    /// A put failed and may be there nevertheless.
    pub maybe_applied: bool,
    /// What was done where, in the order in which it began: each step right before those that it needed.
    pub spans: Vec<TraceSpan>,
    /// Steps that are not in `spans`, of which a trace has 64 at most.
    pub left_out: u32,
}

/// One step of a traced operation. All times are durations on one node's clock: no clock is compared with another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TraceSpan {
    /// 0: asked for, or done, by the node that was called; one more for every node between.
    pub depth: u32,
    /// Who did it.
    pub node: HopNode,
    /// The kind of the request: apply (coordinate this), store, fetch, lookup, sync …, see `docs/wire.md`.
    pub what: String,
    /// 0 at the first try.
    pub attempt: u32,
    /// Asked because others, asked before, had not answered yet.
    pub hedged: bool,
    /// Since the step above it began (depth 0: since the call), seconds.
    pub begun: f64,
    /// Until it ended for who asked, seconds; of a pending one: until the step above it ended.
    pub took: f64,
    /// Of that, at the node that did it, seconds; `None` if it gave no answer or is of an older release.
    pub served: Option<f64>,
    /// The rest: on the way there and back, seconds.
    pub on_the_way: Option<f64>,
    /// done; pending (not needed any more when the step above it ended); misrouted (it does not own the key: the caller is
    /// sent on); stale (it knows another replica list); not_ready (it has not caught up); refused (it has a higher
    /// version); or the name of an error, as TIMEOUT.
    pub outcome: String,
}

/// A snapshot that was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SnapshotInfo {
    /// Records in it, deletions included.
    pub records: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// A snapshot that was restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RestoreInfo {
    /// Records in it, deletions included.
    pub records: u64,
    /// Of those, records that met a higher version, which stayed.
    pub superseded: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Whether this node and its part of the ring are well: what a readiness probe asks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Health {
    /// This node is active in a ring.
    pub joined: bool,
    /// It has all that it should hold and nothing that others should.
    pub handed_over: bool,
    /// It has caught up with all that it holds, and every slot that it owns has all its replicas, as many as the ring has nodes for,
    /// caught up and equal.
    pub fully_replicated: bool,
    /// Slots that it owns that lack a replica, or one that has caught up and is equal.
    pub under_replicated_slots: u64,
    /// Bytes that it still has to hand over.
    pub bytes_to_go: u64,
    /// The store takes writes. A node whose disk takes none stops half a `tombstone_grace` after it first
    /// refused what another sent.
    pub storage_ok: bool,
}

/// What a node has counted and measured since it started, operations per key and at the node called. Times are seconds.
/// `docs/statistics.md` has the same as a table.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Statistics {
    /// When the node started, Unix seconds.
    pub start_time: f64,
    /// For how long the node has run, in seconds.
    pub uptime: f64,
    /// Messages sent to other nodes and to clients.
    pub messages_sent: u64,
    /// Messages received from other nodes and from clients.
    pub messages_received: u64,
    /// Bytes sent to other nodes and to clients.
    pub bytes_sent: u64,
    /// Bytes received from other nodes and from clients.
    pub bytes_received: u64,
    /// Keys that were written or deleted through this node: a batch of 1,000 is 1,000.
    pub stores_successful: u64,
    /// Keys that could not be written or deleted through this node.
    pub stores_failed: u64,
    /// Keys that were read through this node, with a value or without.
    pub lookups_successful: u64,
    /// Keys that could not be read through this node.
    pub lookups_failed: u64,
    /// Keys that were read through this node and had no value; they are successful lookups too.
    pub lookups_not_found: u64,
    /// Mean of what successful writes took, in seconds; 0 before the first.
    pub average_store_time: f64,
    /// Mean of what successful reads took, in seconds, of those from memory one in 16 timed for all; 0 before the
    /// first.
    pub average_lookup_time: f64,
    /// Half of the successful writes took no longer, in seconds, within a sixteenth; 0 before the first and without
    /// `enable_metrics`.
    pub store_time_p50: f64,
    /// The same of 99 in 100 successful writes.
    pub store_time_p99: f64,
    /// The same of half of the successful reads.
    pub lookup_time_p50: f64,
    /// The same of 99 in 100 successful reads.
    pub lookup_time_p99: f64,
    /// Records with a value on this node, replicas included.
    pub data_items_stored: u64,
    /// Bytes of keys and values on this node, replicas included.
    pub data_bytes_stored: u64,
    /// Other nodes that joined or came back, clients not counted.
    pub nodes_joined: u64,
    /// Other nodes that left or were given up, clients not counted.
    pub nodes_left: u64,
    /// Dials that failed, connections that broke, frames that were malformed.
    pub network_errors: u64,
    /// Rounds of stabilize, one for each position.
    pub stabilize_operations: u64,
    /// Fingers that were set to another node.
    pub finger_table_updates: u64,
    /// Probes that were sent to other nodes.
    pub heartbeats_sent: u64,
    /// Records that were sent to replicas.
    pub replications_sent: u64,
    /// Fraction of the reads that succeeded, 0 to 1; 1 before the first.
    pub lookup_success_rate: f64,
    /// Fraction of the writes that succeeded, 0 to 1; 1 before the first.
    pub store_success_rate: f64,
    /// Fraction of the probes that were answered, 0 to 1; 1 before the first.
    pub node_availability: f64,
    /// Fraction of the fingers of position 0 that name the right node, 0 to 1.
    pub finger_table_accuracy: f64,
    /// Records of which two replicas had different versions.
    pub conflicts_resolved: u64,
    /// Slots that the node owns which lack a replica that has caught up and is equal.
    pub under_replicated_slots: u64,
    /// Keys that were read through this node and had a value.
    pub hits: u64,
    /// The same as `lookups_not_found`.
    pub misses: u64,
    /// Records that this node evicted to stay below `max_memory`.
    pub evictions: u64,
    /// Values that this node dropped because their time to live was over, some seconds later.
    pub expirations: u64,
    /// Things that others did to this node which no node does.
    #[serde(default)]
    pub misbehaviours: u64,
    /// Misbehaviours by kind, such as `bad_handshake`.
    #[serde(default)]
    pub misbehaviour_kinds: BTreeMap<String, u64>,
    /// Misbehaviours by who did them, of at most 256 peers those with the most: an IP address, an address dialled or a
    /// node_id. The source of a datagram may be forged.
    #[serde(default)]
    pub misbehaving_peers: BTreeMap<String, u64>,
    /// Errors by name, such as `TIMEOUT`: of operations called here, and of what the node does by itself.
    pub errors: BTreeMap<String, u64>,
}
