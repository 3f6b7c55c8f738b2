//! How much one message may hold. Senders split what is more; receivers refuse it before they keep any of it.
//!
//! Every element of a repeated field costs its structure in memory however few bytes it has on the wire, so these
//! bounds are also the bound of what a message can make its receiver allocate (see `scan.rs`).

/// Operations, items or results in one data message. With the structures at their largest (about 320 bytes) an
/// empty-handed message of that many costs 320 KiB.
pub(crate) const ITEMS_MAX: usize = 1_024;

/// Node records, digests or node ids in one message: a ring of this many nodes is told in one piece.
pub(crate) const RECORDS_MAX: usize = 16_384;

/// Bytes that the smallest valid node record or digest has: a node_id of one (3), a boot (9). What is shorter is
/// refused before it costs a structure.
pub(super) const RECORD_LEN_MIN: usize = 12;

/// Sums over buckets of nodes in one sync: with 16 nodes a bucket, the largest ring that is told in one piece.
pub(crate) const SUMS_MAX: usize = crate::ring::difference::BUCKETS_MAX;

/// Bytes that the smallest valid digest of a node has: a boot (9) and a verdict (2). What stands for the node may be 0.
pub(super) const DIGEST_LEN_MIN: usize = 11;

/// Chord pointers in one message: 200 positions with the default of 16 successors and a predecessor are 3,400.
pub(crate) const POINTERS_MAX: usize = 4_096;

/// Nodes past the target in the answer to one lookup, and replicas of its slot: the longest successor list has 128.
pub(crate) const PAST_MAX: usize = 128;

/// Positions asked for in one stabilize: a node has at most [`VNODES_MAX`].
pub(crate) const POSITIONS_MAX: usize = 256;

/// Slots in one comparison or sync: a quarter of the default ring's, 144 KiB.
pub(crate) const SLOTS_MAX: usize = 4_096;

/// Key digests in one pull item, or entries in one part of a versions stream: 1 MiB of digests.
pub(crate) const DIGESTS_MAX: usize = 65_536;

/// Virtual nodes, and choice bytes, of one node: the configuration's bound.
pub(super) const VNODES_MAX: u64 = 200;

/// Bytes of a node_id: the configuration's bound.
pub(super) const NODE_ID_LEN_MAX: usize = 255;

/// Bytes of "host:port": a name of 255, brackets, colon, five digits.
pub(super) const ADDRESS_LEN_MAX: usize = 263;

/// Bytes of a zone: the configuration's bound.
pub(super) const ZONE_LEN_MAX: usize = 255;

/// Bytes of a key: the largest `max_key_size`.
pub(super) const KEY_LEN_MAX: usize = 64 << 10;

/// Bytes of a value: the largest `max_value_size`. The frame's own bound is lower in practice.
pub(super) const VALUE_LEN_MAX: usize = 1 << 30;

/// Bytes of an error's text; longer ones are cut where they are sent.
pub(super) const ERROR_LEN_MAX: usize = 1_024;

/// Bytes of an id, most significant first: 256 bits.
pub(super) const ID_LEN: usize = 32;

/// Slots are numbered with at most 31 bits, whatever the ring.
pub(super) const SLOT_MAX: u64 = (1 << 31) - 1;

/// Counters that a receiver may add one to (incarnations, list counters) stay below 2^63, so that adding never
/// overflows.
pub(super) const COUNTER_MAX: u64 = (1 << 63) - 1;

/// Wall times and times to live: what 48 bits of the hybrid clock hold, until the year 10889.
pub(crate) const WALL_MS_MAX: u64 = (1 << 48) - 1;

/// A wall time plus a time to live.
pub(super) const EXPIRY_MS_MAX: u64 = 2 * WALL_MS_MAX;

/// How long a request may say that its sender waits: the longest `request_timeout`, an hour, and a second for each MiB
/// of the longest value. More counts as that, so that nobody makes a node work for somebody for weeks.
pub(crate) const DEADLINE_MS_MAX: u32 = (3_600 + 1_024) * 1_000;

/// The highest replication factor: the configuration's bound.
pub(super) const REPLICATION_MAX: u64 = 64;

/// The longest tombstone grace: the configuration's bound, 30 days.
pub(super) const GRACE_MS_MAX: u64 = 30 * 86_400 * 1_000;

/// Steps that one answer tells of a traced operation: a quorum write of a batch in a ring where everything goes wrong
/// fits; what does not fit is counted.
pub(crate) const SPANS_MAX: usize = 64;

/// Bytes that the smallest valid step has: a node_id, an address and a kind of one (3 each) and an outcome (2).
pub(super) const SPAN_LEN_MIN: usize = 11;

/// Bytes of all of them: with names of a usual length 64 have 8 KiB. Together with the largest value they fit into a
/// frame, whose bound leaves 64 KiB for all but the value.
pub(crate) const SPANS_LEN_MAX: usize = 16 << 10;

/// Nodes between the one that answers and one that took a step; far above what a call can go through.
pub(super) const DEPTH_MAX: u32 = 64;

/// Bytes of the name of a kind of request.
pub(super) const KIND_LEN_MAX: usize = 32;

/// Durations in traces: what a JSON number holds exactly, 285 years.
pub(super) const TIMING_US_MAX: u64 = (1 << 53) - 1;
