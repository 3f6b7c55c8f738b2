//! The conversations of the ring: one variant each of [`Request`] and [`Response`].
//!
//! Data messages are plural: a single put is a batch of one, and the results stand in the order of the items.

use serde::Serialize;

use crate::config::Consistency;
use crate::data::fingerprint::Fingerprint;
use crate::data::number::Number;
use crate::data::record::{Expected, KeyDigest, OpId, Record, Value, Version};
use crate::error::Error;
pub(crate) use crate::ring::difference::NodeDigest;
use crate::ring::id::Id;
pub(crate) use crate::ring::list::{ListId, Standing};
use crate::ring::params::{RingConfig, RingParams};
use crate::ring::record::{Address, NodeId, NodeRecord, RingId};
use crate::ring::slot::Slot;
pub(crate) use crate::ring::vnode::Pointer;

/// What every message carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// The sender's ring; `None` while it is in none.
    pub(crate) ring_id: Option<RingId>,
    /// The sender's boot.
    pub(crate) sender: u64,
    /// Milliseconds the sender still waits for the answer; 0 in responses.
    pub(crate) deadline_ms: u32,
    /// Follows one operation through all nodes; 0 if it is not traced.
    pub(crate) trace_id: u64,
    /// 0 at the first try.
    pub(crate) attempt: u32,
    /// The sender's view fingerprint; 0 for none.
    pub(crate) view: u64,
    /// What the sender's hybrid logical clock says, in messages that keep the ring together; 0: not told.
    pub(crate) clock: u64,
}

impl Head {
    /// Follows one operation through all nodes; 0 if it is not traced.
    pub fn trace_id(&self) -> u64 {
        self.trace_id
    }
}

/// What a caller wants done with one key.
#[derive(Clone, PartialEq, Debug)]
pub struct Operation {
    pub(crate) id: OpId,
    pub(crate) map: u32,
    pub(crate) key: bytes::Bytes,
    pub(crate) action: Action,
}

/// What to do with a key.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    Get,
    /// `ttl_ms` 0: never expires.
    Put {
        value: Value,
        ttl_ms: u64,
    },
    Delete,
    /// Puts if the present value is as expected; else answers with the present record.
    CompareAndSwap {
        expected: Expected,
        value: Value,
        ttl_ms: u64,
    },
    /// Adds to the number that is the value; a key without one counts as 0. The expiry stays.
    Increment {
        by: Number,
    },
    /// Puts, and answers with what was there.
    GetAndPut {
        value: Value,
        ttl_ms: u64,
    },
    /// Deletes, and answers with what was there.
    GetAndDelete,
    /// Lets the present value live for that long from now; `ttl_ms` 0: for ever.
    Expire {
        ttl_ms: u64,
    },
}

impl Action {
    /// Whether what it does depends on the present value.
    pub(crate) fn depends(&self) -> bool {
        !matches!(self, Self::Get | Self::Put { .. })
    }

    /// As logs call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put { .. } => "put",
            Self::Delete => "delete",
            Self::CompareAndSwap { .. } => "compare_and_swap",
            Self::Increment { .. } => "increment",
            Self::GetAndPut { .. } => "get_and_put",
            Self::GetAndDelete => "get_and_delete",
            Self::Expire { .. } => "expire",
        }
    }

    /// Values it carries.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Value> {
        let (first, second) = match self {
            Self::Put { value, .. } | Self::GetAndPut { value, .. } => (Some(value), None),
            Self::CompareAndSwap { expected: Expected::Value(expected), value, .. } => (Some(value), Some(expected)),
            Self::CompareAndSwap { value, .. } => (Some(value), None),
            Self::Get | Self::Delete | Self::Increment { .. } | Self::GetAndDelete | Self::Expire { .. } => {
                (None, None)
            }
        };
        first.into_iter().chain(second)
    }

    /// Bytes of the values it carries.
    pub(crate) fn values_len(&self) -> usize {
        self.values().map(|value| value.bytes.len()).sum()
    }
}

/// How far a write got.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct PutOutcome {
    /// The version that the write has.
    pub version: Version,
    /// Replicas that had acknowledged it when the call returned.
    pub acks: u32,
    /// Replicas that the level asked for.
    pub wanted: u32,
    /// Length of the slot's replica list.
    pub set_size: u32,
    /// The list is shorter than the replication factor.
    pub degraded: bool,
}

/// What became of one operation.
#[derive(Clone, Debug)]
pub enum OpResult {
    /// `existed`: there was a live value before (only what depends on it looks). `value`: what an increment made, or
    /// what was there before a get-and-put or get-and-delete.
    Written { outcome: PutOutcome, existed: bool, value: Option<Value> },
    /// The record as it is; `None` if the key is unknown. Tombstones and expired records are shown as such. The answer
    /// to a read, and to a compare-and-swap that found another value.
    Read { record: Option<Record> },
    /// The receiver is not the slot's owner as it sees the ring: not carried out.
    Misrouted,
    /// Not done, or unknown; see `Error::maybe_applied`.
    Failed(Error),
}

/// One record for one replica.
#[derive(Clone, PartialEq, Debug)]
pub struct StoreItem {
    pub(crate) slot: Slot,
    pub(crate) list: ListId,
    pub(crate) record: Record,
}

/// What a replica did with one record.
#[derive(Clone, Debug)]
pub enum StoreResult {
    /// Kept, or already there. `counts` is false on a newcomer that is not caught up.
    Stored {
        counts: bool,
    },
    /// A higher version is there, so the record was refused.
    Refused {
        present: Version,
    },
    /// The receiver knows another list for the slot.
    Stale {
        list: ListId,
    },
    Failed(Error),
}

/// One key of one slot.
#[derive(Clone, PartialEq, Debug)]
pub struct FetchItem {
    pub(crate) slot: Slot,
    pub(crate) list: ListId,
    pub(crate) map: u32,
    pub(crate) key: bytes::Bytes,
    /// Whether this operation was stored at the receiver is asked, too.
    pub(crate) operation: Option<OpId>,
}

/// What a replica knows of one key.
#[derive(Clone, Debug)]
pub enum FetchResult {
    /// `None`: this caught-up member has never seen the key.
    Found {
        list: ListId,
        record: Option<Record>,
        /// The version under which the operation asked for was stored here, lately.
        stored_as: Option<Version>,
    },
    /// The receiver is a newcomer that is not caught up.
    NotReady {
        list: ListId,
    },
    /// The receiver knows another list for the slot.
    Stale {
        list: ListId,
    },
    Failed(Error),
}

/// One slot in a comparison.
#[derive(Clone, PartialEq, Debug)]
pub struct CompareItem {
    pub(crate) slot: Slot,
    pub(crate) list: ListId,
    pub(crate) fingerprint: Fingerprint,
}

/// The receiver's side of one slot.
#[derive(Clone, PartialEq, Debug)]
pub struct CompareResult {
    pub(crate) list: ListId,
    pub(crate) standing: Standing,
    pub(crate) fingerprint: Fingerprint,
    /// What was written before this Unix second may have been evicted there; 0: nothing was.
    pub(crate) evicted_before_s: u32,
}

/// What to stream of one slot.
#[derive(Clone, PartialEq, Debug)]
pub struct PullItem {
    pub(crate) slot: Slot,
    /// Empty: everything.
    pub(crate) digests: Vec<KeyDigest>,
}

/// Where a scan goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScanFrom {
    pub(crate) slot: Slot,
    /// In that slot, behind this one; `None`: from its beginning. Digests ascend.
    pub(crate) after: Option<KeyDigest>,
}

/// What of each key a scan wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScanWant {
    /// Only the fingerprints of the slots.
    Fingerprints,
    /// Live keys, without their values.
    Keys,
    /// Live keys with their values.
    Values,
    /// All keys, also of tombstones and expired records, without their values.
    AllKeys,
}

/// Which keys of which slots, in the order of the slots.
#[derive(Clone, PartialEq, Debug)]
pub struct Scanning {
    pub(crate) items: Vec<(Slot, ListId)>,
    pub(crate) map: u32,
    pub(crate) prefix: bytes::Bytes,
    /// In the first of the slots, behind this one.
    pub(crate) after: Option<KeyDigest>,
    pub(crate) want: ScanWant,
    /// The receiver asks the replicas at level quorum, from the first slot on; else it answers from its own store.
    pub(crate) relay: bool,
}

/// What a node can tell about itself, as JSON of the shapes of the public API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topic {
    /// The node's own record and the ring's parameters.
    Node,
    /// All members with positions and shares.
    Ring,
    /// Counters and times.
    Statistics,
    /// Joined, handed over, fully replicated.
    Health,
    /// Where a key's replicas are.
    Locate,
}

/// What a node asks another.
#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    /// Are you alive? Carries news of nodes. `boot` 0 means anybody at the address.
    Ping { boot: u64, records: Vec<NodeRecord> },
    /// Ask that node whether it is alive, for me (SWIM's indirect probe).
    PingFor { address: Address, boot: u64 },
    /// What I know of all nodes, as sums over buckets of them (`gone`: those that are gone too), and my list ids of
    /// disputed slots; answered with the buckets that differ.
    Sync { sums: Vec<u64>, gone: bool, lists: Vec<(Slot, ListId)> },
    /// Node records that you lack, the nodes whose records I want, and my list ids as before these were found out.
    Exchange { records: Vec<NodeRecord>, wanted: Vec<u64>, lists: Vec<(Slot, ListId)> },
    /// Let me in.
    Join { record: NodeRecord, params: RingParams, wall_ms: u64, client: bool },
    /// May I become active in the slots that we are going to share? Or: I am done (`release`). With `wait` the answer may
    /// take as long as the asker waits.
    Admit { node_id: NodeId, boot: u64, release: bool, wait: bool },
    /// What I found on my disk of you, and of myself; answered with what you found of the nodes that are named.
    LastLife { records: Vec<NodeRecord> },
    /// Your ring is part of another one from now on.
    Merge { ring_id: RingId, records: Vec<NodeRecord> },
    /// Chord stabilize: the neighbours of these positions of yours. `known`, if not empty, has the hash of each one's
    /// neighbours as they were answered before; 0: none.
    Stabilize { positions: Vec<Id>, known: Vec<u64> },
    /// Chord notify: (I am, your position) pairs.
    Notify { pointers: Vec<(Pointer, Id)> },
    /// Who owns this id, or who is closer to it? `past`: nodes at or after it that are wanted too. `claimed`: you are
    /// believed to own it; if you do not, say who may before you.
    Lookup { target: Id, past: u32, claimed: bool },
    /// Coordinate these for me. `relay`: whoever owns them; else only what you own.
    /// `rings`: which rings have become one, as the sender knows ([`RingView::rings_digest`](crate::ring::view::RingView)); who knows
    /// others carries out nothing.
    Apply { operations: Vec<Operation>, level: Consistency, relay: bool, rings: u64 },
    /// Keep these. `repair`: merge whatever lists we know, a higher version present is fine.
    Store { items: Vec<StoreItem>, repair: bool },
    /// What do you know of these keys?
    Fetch { items: Vec<FetchItem> },
    /// Compare the contents of slots.
    ///
    /// `catching_up`: the sender may hold what was deleted while it heard of no deletions. `durable`: answered when what was
    /// merged into these slots by now outlives a crash, whatever durability was promised.
    Compare { items: Vec<CompareItem>, catching_up: bool, durable: bool },
    /// Compare sums over parts of the key space: part n is the `part_len` slots from n × `part_len` on, and of those the
    /// ones that the sender is first for and the receiver holds too.
    CompareSums { part_len: u32, parts: Vec<u32>, sums: Vec<Fingerprint> },
    /// Stream the key digests and versions of a slot, or only those in the parts whose sums differ from these
    /// (`data/parts.rs`).
    Versions { slot: Slot, parts: Vec<u64> },
    /// Stream records. `urgent`: an operation that was begun waits for them.
    Pull { items: Vec<PullItem>, urgent: bool },
    /// Which keys are there?
    Scan(Scanning),
    /// Tell about yourself. `key` only for `Topic::Locate`.
    Describe { topic: Topic, key: bytes::Bytes },
    /// The answer to a request that came by datagram, which no datagram can carry: the reply is that answer. For the
    /// transport alone; no service sees it.
    Collect { session: u64, cookie: u64, slot: u16, sequence: u64 },
    /// A key to seal datagrams to you with; or, of one that is `known` (not 0), whether you know it, too. For the
    /// transport alone; no service sees it.
    SealKey { known: u64 },
}

/// The key that seals datagrams between two nodes. No `Debug` text has it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey([u8; SEALING_KEY_LEN]);

impl SealingKey {
    /// One that nobody else has.
    pub(crate) fn random(env: &crate::env::Env) -> Self {
        let mut key = [0; SEALING_KEY_LEN];
        for part in key.chunks_mut(8) {
            part.copy_from_slice(&env.random_u64().to_be_bytes());
        }
        Self(key)
    }

    /// That key.
    #[must_use]
    pub(crate) fn new(bytes: [u8; SEALING_KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The key itself: not to be printed.
    #[must_use]
    pub(crate) fn expose(&self) -> &[u8; SEALING_KEY_LEN] {
        &self.0
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(hidden)")
    }
}

/// Bytes of a [`SealingKey`].
pub(crate) const SEALING_KEY_LEN: usize = 32;

/// What a node answers.
#[derive(Clone, Debug)]
pub enum Response {
    /// I am here, with news of nodes.
    Pong { records: Vec<NodeRecord> },
    /// What came of an indirect probe.
    Probed { alive: bool },
    /// The buckets that differ, how new each record in them is here, and my list ids.
    Synced { differing: Vec<u32>, digests: Vec<NodeDigest>, lists: Vec<(Slot, ListId)> },
    /// The records that were wanted, and those that are newer here than what was told.
    Exchanged { records: Vec<NodeRecord> },
    /// What I found on my disk of the nodes that were named.
    LastLife { records: Vec<NodeRecord> },
    /// You are known to this ring now. `forgotten`: it may have forgotten deletions of what you still hold.
    Welcome {
        ring_id: RingId,
        config: RingConfig,
        records: Vec<NodeRecord>,
        wall_ms: u64,
        reunites: bool,
        forgotten: bool,
        /// Then: how long this ring has been without you, in milliseconds.
        given_up_ms: u64,
    },
    /// Whether you may.
    Admitted { granted: bool },
    /// For each position asked, in order; `None`: as they are known.
    Neighbours { items: Vec<Option<Neighbours>>, records: Vec<NodeRecord> },
    /// `done`: the first pointer owns the target, the others follow it; else the pointers are closer to the target, closest
    /// first, and `past` are at or after it, nearest first. `replicas`: the list of the slot that ends at the target, if
    /// nodes after it were wanted and the sender is in the list.
    Route { done: bool, pointers: Vec<Pointer>, past: Vec<Pointer>, replicas: Vec<Pointer>, records: Vec<NodeRecord> },
    /// In the order of the operations; `records` of the owners of misrouted ones.
    Applied { results: Vec<OpResult>, records: Vec<NodeRecord> },
    /// In the order of the items.
    Stored { results: Vec<StoreResult> },
    /// In the order of the items.
    Fetched { results: Vec<FetchResult> },
    /// In the order of the items.
    Compared { results: Vec<CompareResult> },
    /// The parts whose sums differ.
    ComparedSums { differing: Vec<u32> },
    /// Some of a slot's contents; in the first of them the parts that are `listed`, if not all are.
    Versions { entries: Vec<(KeyDigest, Version)>, listed: Option<Vec<u32>> },
    /// A part of what was pulled.
    Records { items: Vec<(Slot, Record)> },
    /// The first of the slots that were asked for, and what was found in them; `next`: where to go on, `None` if that
    /// was everything. The operations of the records are left out.
    Scanned { slots: Vec<CompareResult>, records: Vec<(Slot, Record)>, next: Option<ScanFrom> },
    /// JSON text.
    Described { json: String },
    /// A key and its number; without the key: whether the known one is known, or 0.
    SealKey { id: u64, key: Option<SealingKey> },
    /// The request as a whole was not done.
    Failure(Error),
}

/// Chord's pointers of one position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Neighbours {
    pub(crate) predecessor: Option<Pointer>,
    pub(crate) successors: Vec<Pointer>,
}

impl Neighbours {
    /// What stands for them; never 0.
    pub(crate) fn hash(&self) -> u64 {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        hasher.update(&[u8::from(self.predecessor.is_some())]);
        for pointer in self.predecessor.iter().chain(&self.successors) {
            hasher.update(&pointer.id.to_be_bytes());
            hasher.update(&pointer.node_id.digest().to_le_bytes());
            hasher.update(&pointer.index.to_le_bytes());
        }
        hasher.digest().max(1)
    }
}
