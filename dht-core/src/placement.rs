//! Who would own what, without a network: for measurements of the placement rules. Not for programs that use the table.

use crate::config::Config;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::hash::KeyHasher;
use crate::ring::id::IdSpace;
use crate::ring::members::Members;
use crate::ring::params::RingParams;
use crate::ring::record::{Address, NodeId, NodeRecord, NodeState, Verdict};
use crate::ring::slot::SlotSpace;

/// A ring of records: nodes come and go one after the other, each knowing all before it, and place themselves by the
/// rules of production nodes.
pub struct Placement {
    members: Members,
    slots: SlotSpace,
    hasher: KeyHasher,
    vnodes: u32,
    env: Env,
    joins: u64,
}

impl Placement {
    /// An empty ring of that hash function, those bits, cluster name and virtual nodes.
    ///
    /// # Errors
    /// `Config` if its bits are out of range.
    pub fn new(config: &Config) -> Result<Self> {
        let params = RingParams::of(config);
        let out_of_range = || Error::new(ErrorKind::Config, format!("hash_bits = {}: out of range", config.hash_bits));
        let (ids, slots) = params.spaces().ok_or_else(out_of_range)?;
        let env = Env::simulated(1, 0);
        // Whoever keeps the records is a client: it has no place.
        let members = Members::new(&config.cluster_name, ids, slots, record("", 0, 0), env.now());
        let vnodes = u32::from(config.vnode_count());
        Ok(Self { members, slots, hasher: params.hasher(ids), vnodes, env, joins: 0 })
    }

    /// A node joins; `chooses`: as production nodes do, else with choice 0 everywhere.
    pub fn join(&mut self, node_id: &str, chooses: bool) {
        self.joins += 1;
        self.place(record(node_id, self.joins, self.vnodes), chooses);
    }

    /// As `join`, a node with that record.
    pub(crate) fn place(&mut self, mut record: NodeRecord, chooses: bool) {
        if chooses {
            record.choices = self.members.choices_for(&record);
        }
        self.members.merge(&record, self.env.now());
    }

    /// Ids, slots, and where keys fall.
    pub(crate) fn spaces(&self) -> (IdSpace, SlotSpace, KeyHasher) {
        (self.slots.ids(), self.slots, self.hasher)
    }

    /// All that were ever placed, and whoever keeps the records.
    pub(crate) fn members(&self) -> &Members {
        &self.members
    }

    /// A node is gone.
    pub fn leave(&mut self, node_id: &str) {
        if let Some(known) = self.members.get(&NodeId::new(node_id)) {
            let gone = NodeRecord { verdict: Verdict::Dead, ..known.record().clone() };
            self.members.merge(&gone, self.env.now());
        }
    }

    /// Slots of the ring.
    pub fn slot_count(&self) -> u32 {
        self.slots.count()
    }

    /// The slot of a key.
    pub fn slot_of(&self, key: &[u8]) -> u32 {
        self.slots.of(self.hasher.id(key)).0
    }

    /// Fraction of the key space that each node owns, ascending by node_id.
    pub fn shares(&self) -> Vec<f64> {
        self.members.view().shares()
    }

    /// The owner of each slot, as an index into [`Placement::shares`]; empty in an empty ring.
    pub fn owners(&self) -> Vec<u32> {
        let view = self.members.view();
        let owner = |slot| view.successor(self.slots.last_id(slot)).map(|position| position.member);
        self.slots.iter().map_while(owner).collect()
    }
}

/// Of an active node that nobody can dial.
pub(crate) fn record(node_id: &str, boot: u64, vnodes: u32) -> NodeRecord {
    NodeRecord {
        node_id: NodeId::new(node_id),
        boot,
        address: Address::new("simulated:1"),
        incarnation: 1,
        placed_at: 1,
        placed_in: 0,
        state: NodeState::Active,
        verdict: Verdict::Alive,
        vnodes,
        choices: Vec::new(),
        zone: String::new(),
        read_only: false,
    }
}
