//! Every knob: unit, default, bound, how to choose it. Plain fields, checked once at start by [`Config::validate`].
//!
//! `bounds.rs` is the one table of keys and bounds; `check.rs` holds values against it and against each other;
//! `parse.rs` reads files, variables and flags; `text.rs` the texts of durations and sizes; `kinds.rs` the enums.
//! `docs/configuration.md` is the table for users, which `documented_tests.rs` holds against this one.

mod bounds;
mod check;
pub(crate) mod endpoint;
pub(crate) use endpoint::is_endpoint;
mod kinds;
mod parse;
pub(crate) mod text;

#[cfg(test)]
mod documented_tests;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use kinds::{Consistency, Durability, Eviction, HashFunction, NetworkProtocol, Routing, Secret, TlsConfig};

const MIB: usize = 1 << 20;

/// How a node is configured.
///
/// Fields have the names of the keys in JSON, TOML and Python. Durations read as seconds or as text ("250ms", "2s",
/// "1m", "1h"), sizes as bytes or as text ("4KiB", "16MiB"). Reading never checks bounds, so that a file, variables
/// and flags can be laid over each other first; [`Config::validate`] does, and `start` calls it. Every node of a ring
/// needs the same `cluster_name`, `hash_function`, `hash_bits`, `slot_bits` and `consistent_hashing`.
///
/// ```
/// use dht_core::Config;
///
/// let mut config = Config { replication_factor: 5, ..Config::default() };
/// config.set("request_timeout", "500ms")?;
/// config.validate()?;
///
/// config.hash_bits = 257;
/// let error = config.validate().unwrap_err();
/// assert_eq!(error.context(), "hash_bits = 257: must be between 1 and 256");
/// # Ok::<(), dht_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of this node, any text up to 255 bytes; empty (default): generated at start. It decides the node's
    /// positions: a fixed name keeps them over a restart, so less data moves. No two live nodes may share one.
    pub node_id: String,
    /// IP address or host name to bind; default 127.0.0.1. Anything but loopback needs `cluster_key`, `tls` or
    /// `allow_insecure`. 0.0.0.0 or :: binds every interface; set `advertise` where the guess may be wrong.
    pub address: String,
    /// Port to bind, 0 to 65535; default 0: chosen by the system. Choose a fixed one where others name it as seed.
    pub port: u16,
    /// "host:port" that others dial; empty (default): the bound address, or for an unspecified bind the source address
    /// towards a seed on another machine, else of the default route; loopback where all seeds that lead to this machine are
    /// written as loopback or `localhost`, or there is no route. Needed behind address translation and in containers.
    pub advertise: String,
    /// Members to join through, "host:port", IPv6 in brackets, at most 1,000; default none: found a ring. A DNS name
    /// means all its addresses. Name two or three that rarely stop at once; the list may hold this node itself.
    pub seeds: Vec<String>,
    /// Rings of other names are refused, 1 to 255 bytes; default "default". Use one per environment, so that a wrong
    /// seed joins nothing.
    pub cluster_name: String,
    /// How a key becomes its id; default sha256. `consistent` is faster where nobody hostile chooses keys. Immutable
    /// for a ring.
    pub hash_function: HashFunction,
    /// Bits of an id, 1 to 256; default 160. Ids cost ceil(bits / 8) bytes; below 64, keys and positions start to
    /// collide (about one in 2^bits / n). Immutable for a ring.
    pub hash_bits: u16,
    /// The key space is cut into 2^min(hash_bits, slot_bits) slots, 0 to 20; default 14, 16,384 slots. Take at least
    /// 8 × nodes × virtual nodes slots; more slots balance better and cost memory per slot. Immutable for a ring.
    pub slot_bits: u8,
    /// Copies on distinct nodes, 1 to 64; default 3: `quorum` outlives the loss of one node at any moment. Each copy
    /// costs its memory and one message per write.
    pub replication_factor: usize,
    /// With fewer replicas of the key in sight of its owner than this, writes fail with `Quorum` and reads go on; 1 to
    /// 64, at most `replication_factor`; default 1: every side of a split serves. A majority makes a side with fewer
    /// nodes than that refuse, once it suspects the others; a ring of too few nodes is read-only. Alike on all nodes: the owner's counts.
    pub min_replicas: usize,
    /// Level of calls that name none; default quorum. `one` is faster and may read old data, `all` waits for the
    /// slowest replica.
    pub consistency: Consistency,
    /// Distinct nodes kept clockwise of each position, 1 to 128; default 16. The ring holds while not all of them
    /// fail within one `stabilize_interval`: about 2 × log2(nodes) is ample.
    pub successor_list_size: usize,
    /// Positions of this node, 0 to 200; 0 = client, which stores nothing; default (`None`) 16, or 1 without
    /// `consistent_hashing`, with which each is chosen among 16 candidates. More even out the load (of 100 nodes the
    /// busiest owns 6 % more than the mean with 16, 1 % with 200) and cost upkeep; see [`Config::vnode_count`].
    pub virtual_nodes: Option<u16>,
    /// True (default): virtual nodes, and weak digests are mixed so that sequential keys spread. False: one position
    /// per node and raw digests, as in the Chord paper; `virtual_nodes` may then only be 0 or 1. Immutable for a ring.
    pub consistent_hashing: bool,
    /// True (default): replicas are compared and mended in the background. False: only reads and membership changes
    /// mend; less traffic, and silent differences of cold keys stay.
    pub backup_replicas: bool,
    /// Bytes of records per second that this node moves for repair, 64 KiB to 1 TiB; default 64 MiB, with which 1 GiB is copied in
    /// 16 s; 0: as fast as it goes. Counted is what it takes in as a replica after a death, as a joiner, or where replicas
    /// differ, and what it brings to others; a quarter of a second's worth may come at once. Reads that find an old
    /// replica mend it without waiting. Lower leaves more of the network to calls, and slots for longer with a copy less.
    #[serde(deserialize_with = "text::size")]
    pub repair_rate: u64,
    /// Period of stabilize, 10 ms to 1 h, ±20 %; default 1 s. Shorter: the ring heals sooner, at more messages.
    #[serde(with = "text::duration")]
    pub stabilize_interval: Duration,
    /// Period of fix_fingers, 10 ms to 1 h, ±20 %; default 2 s. Fingers only shorten paths, so it may be slow.
    #[serde(with = "text::duration")]
    pub fix_finger_interval: Duration,
    /// Period of check_predecessor, 10 ms to 1 h, ±20 %; default 2 s.
    #[serde(with = "text::duration")]
    pub check_predecessor: Duration,
    /// Period of heartbeats, 10 ms to 1 h, ±20 %; default 1 s. A dead node is noticed after a few of them; too short
    /// for the network's jitter, and live nodes are suspected.
    #[serde(with = "text::duration")]
    pub heartbeat_interval: Duration,
    /// Bounds a whole call with its retries, 1 ms to 1 h; default 2 s, +1 s per MiB over 1 MiB of value, see
    /// [`Config::call_timeout`]. It should exceed the time a failure needs to be noticed.
    #[serde(with = "text::duration")]
    pub request_timeout: Duration,
    /// Further attempts inside one call, 0 to 100; default 3. They never exceed `request_timeout`.
    pub max_retries: u32,
    /// Messages queued per peer, 1 to 1,048,576; default 1024; full: `Overloaded` at once. More rides out bursts and
    /// lets a slow peer hold more memory. Of all peers together 16 times as many requests are served at once, with 16 KiB
    /// for each.
    pub buffer_size: usize,
    /// Open connections, 1 to 65,536; default 1024; beyond it the idlest is closed. Take twice the peers this node
    /// talks to (a second one carries bulk), and mind the limit of descriptors.
    pub max_connections: usize,
    /// What carries messages; default tcp. `udp`: calls travel in datagrams of at most 1,200 bytes, at the UDP port of the
    /// same number, and what is larger over TCP: no connections to keep, for rings of thousands. Nodes of both kinds may
    /// be in one ring.
    pub network_protocol: NetworkProtocol,
    /// Whether the node logs; default false. No global subscriber is ever replaced. Connections, files and certificates belong to no
    /// node in particular: what they meet is told while any node of the process logs.
    pub enable_logging: bool,
    /// True (default): histograms are kept. False drops them, never counters.
    pub enable_metrics: bool,
    /// How an operation finds its owner; default one_hop: by the view. `chord`: by walking finger tables, in O(log
    /// nodes) hops, which costs their round trips. No `zone` with it. Nodes of one ring may differ in it. In this release
    /// records of all nodes are spread in either case.
    pub routing: Routing,
    /// Node records kept, 1 to 10,000,000; default 100,000, some 300 bytes each. When there are as many, a node that
    /// wants to join is refused with `RingFull`, and whoever is gone for longest is forgotten. The members themselves
    /// are always kept, so rings that merge and joins at the same moment may exceed it.
    pub max_table_nodes: usize,
    /// Directory that keeps data and identity over restarts, made if its parent is there (on Unix for its owner alone), of one node at a time; default
    /// none: memory only. A node started on it again has its node_id and its data and finds its ring without `seeds`. One that was
    /// away for longer than 21 times `tombstone_grace` (21 hours by default, 7 days at most) returns empty where the others have
    /// everything.
    pub data_dir: Option<PathBuf>,
    /// When a write is on disk; default interval: some 100 ms after it was acknowledged. `always` (needs `data_dir`)
    /// acknowledges after an fsync, one for all writes that wait; `none` leaves it to the system, and a crash of the machine
    /// may cost the whole file.
    pub durability: Durability,
    /// Memory that the records of this node may take, 64 KiB to 1 PiB; default none: no limit. What is larger than all of
    /// it is refused like any other write without room. Counted as the allocator hands it out: keys, values, some 100 bytes a record, 64 bytes per slot written.
    /// Replicas count where they are kept. Deletions are kept beyond it. The process takes some more.
    #[serde(deserialize_with = "text::optional_size")]
    pub max_memory: Option<u64>,
    /// What becomes of a write when `max_memory` is used up; default reject: it fails with `MemoryFull`, while deletions
    /// and what makes a value smaller go on. `lru` is for caches: records that were not used for long vanish (of eight
    /// chosen at random the one unused for longest), each replica its own. Without `max_memory` it has nothing to do.
    pub eviction: Eviction,
    /// Longest key in bytes, 1 B to 64 KiB; default 4 KiB. Keys are held in memory and named in many messages: keep
    /// them short. Alike on all nodes.
    #[serde(deserialize_with = "text::size")]
    pub max_key_size: usize,
    /// Longest value in bytes, 1 B to 1 GiB; default 16 MiB. A value travels and is held whole, on each replica and at
    /// both ends: memory for several at once is needed. Larger things are better cut up. Alike on all nodes.
    #[serde(deserialize_with = "text::size")]
    pub max_value_size: usize,
    /// How long a deletion is remembered at least, 100 ms to 30 d; default 1 h; up to 24 times as long while a node is missing that
    /// may come back with the value. Who comes back on its `data_dir` after 21 times as long (7 days at most) returns empty where
    /// the others have everything. Longer than a node is usually away saves work at its return; each remembered deletion costs
    /// its key.
    #[serde(with = "text::duration")]
    pub tombstone_grace: Duration,
    /// Largest accepted difference between clocks, 1 ms to 1 h; default 5 s. `join` beyond it fails with
    /// `ClockSkew`. An expired record is visible at most this much longer.
    #[serde(with = "text::duration")]
    pub max_clock_offset: Duration,
    /// Secret shared by all nodes and clients, 1 to 1,024 bytes, or two of them separated by a comma while it is changed
    /// (the first is proven first, either is accepted; space around them does not count); default none. With it
    /// connections are encrypted and both ends prove that they know it. Take a random one, `dht keygen` makes it: a word
    /// can be guessed. Never printed and never serialised. SECURITY.md tells what it protects, and how to change it.
    #[serde(skip_serializing)]
    pub cluster_key: Option<Secret>,
    /// Mutual TLS 1.3; default none. Peers must show a certificate that an authority in `ca` stands behind and that is for
    /// their node_id, which it has as a subject alternative name `URI:dht:<node_id>`. Without a `node_id` this node
    /// takes the certificate's. Files are read at start and again when they change. May go with `cluster_key`: then both
    /// are wanted.
    pub tls: Option<TlsConfig>,
    /// Permits a bind to other than loopback without key and TLS; default false. Whoever reaches the port can then
    /// read and write everything: only for networks you trust.
    pub allow_insecure: bool,
    /// Where this node stands: a rack, room or cloud zone, up to 255 bytes; default "", which is a zone of its own.
    /// Replicas go to distinct zones first, so with as many zones as `replication_factor` the loss of a whole one
    /// costs each key one copy. Zones of unequal size load the nodes of the small ones more. Not with `routing = chord`.
    pub zone: String,
    /// Threads of the process-wide runtime of C and Python, 0 to 1,024; default 0 = min(cores, 4). The first node of
    /// the process decides; Rust uses the caller's runtime.
    pub worker_threads: usize,
    /// One in so many operations of this node's callers that other nodes are asked for is traced, 0 to 1,000,000,000;
    /// default 0: none. A traced one is a span of `tracing` with an event for each hop, target "dht::trace"
    /// ([`TRACE_TARGET`](crate::TRACE_TARGET)), level debug, and costs some microseconds and some 100 bytes per hop; without
    /// a subscriber that wants them nothing is traced. `dht serve`, C, C++ and Go write them to stderr, Python gives them to
    /// the logger "dht.trace", all with `enable_logging` or without. The nodes on its way tell of it in an event of their
    /// own, if this is not 0 there.
    pub trace_sample: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node_id: String::new(),
            address: "127.0.0.1".to_owned(),
            port: 0,
            advertise: String::new(),
            seeds: Vec::new(),
            cluster_name: "default".to_owned(),
            hash_function: HashFunction::Sha256,
            hash_bits: 160,
            slot_bits: 14,
            replication_factor: 3,
            min_replicas: 1,
            consistency: Consistency::Quorum,
            successor_list_size: 16,
            virtual_nodes: None,
            consistent_hashing: true,
            backup_replicas: true,
            repair_rate: 64 * MIB as u64,
            stabilize_interval: Duration::from_secs(1),
            fix_finger_interval: Duration::from_secs(2),
            check_predecessor: Duration::from_secs(2),
            heartbeat_interval: Duration::from_secs(1),
            request_timeout: Duration::from_secs(2),
            max_retries: 3,
            buffer_size: 1024,
            max_connections: 1024,
            network_protocol: NetworkProtocol::Tcp,
            enable_logging: false,
            enable_metrics: true,
            routing: Routing::OneHop,
            max_table_nodes: 100_000,
            data_dir: None,
            durability: Durability::Interval,
            max_memory: None,
            eviction: Eviction::Reject,
            max_key_size: 4 << 10,
            max_value_size: 16 * MIB,
            tombstone_grace: Duration::from_secs(3_600),
            max_clock_offset: Duration::from_secs(5),
            cluster_key: None,
            tls: None,
            allow_insecure: false,
            zone: String::new(),
            worker_threads: 0,
            trace_sample: 0,
        }
    }
}

impl Config {
    /// Positions this node takes, 0 to 200: `virtual_nodes`, or else 16, or 1 without `consistent_hashing`.
    /// 0 makes the node a client.
    #[must_use]
    pub fn vnode_count(&self) -> u16 {
        self.virtual_nodes.unwrap_or(if self.consistent_hashing { 16 } else { 1 })
    }

    /// Threads of a runtime for this node: `worker_threads`, or else as many as the machine has cores, at most 4, since nodes
    /// wait more than they compute.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        const WORKERS_MAX: usize = 4;
        match self.worker_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX),
            threads => threads,
        }
    }

    /// Deadline of a call that carries `value_len` bytes of value: `request_timeout`, and one second for each
    /// started MiB over the first.
    #[must_use]
    pub fn call_timeout(&self, value_len: usize) -> Duration {
        let extra = value_len.saturating_sub(MIB).div_ceil(MIB) as u64;
        self.request_timeout.saturating_add(Duration::from_secs(extra))
    }
}
