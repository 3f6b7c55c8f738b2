//! A ring that is there at once, for simulations of rings too large to form node by node: everybody knows everybody, all
//! pointers are right, no slot has ever changed hands. Not for programs that use the table.

use std::sync::Arc;

use super::{Node, Phase, Ring};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::members::Members;
use crate::ring::params::RingParams;
use crate::ring::record::{Address, Member, NodeId, NodeRecord, NodeState, RingId, Verdict};
use crate::ring::view::{Position, RingView};
use crate::ring::vnode::Pointer;

/// What the nodes of such a ring share.
pub struct FormedRing {
    ring_id: RingId,
    members: Vec<Arc<Member>>,
    view: Arc<RingView>,
}

impl FormedRing {
    /// Of nodes with these names, addresses and boots, which have entered one after the other in this order.
    ///
    /// # Errors
    /// `Config` if the bits of `config` are out of range.
    pub fn new(config: &Config, nodes: &[(String, Address, u64)]) -> Result<Self> {
        let params = RingParams::of(config);
        let out_of_range = || Error::new(ErrorKind::Config, format!("hash_bits = {}: out of range", config.hash_bits));
        let (ids, slots) = params.spaces().ok_or_else(out_of_range)?;
        let now = crate::env::Env::simulated(1, 0).now();
        let record = |(node_id, address, boot): &(String, Address, u64)| NodeRecord {
            node_id: NodeId::new(node_id),
            boot: *boot,
            address: address.clone(),
            // Joining and active, as in a ring that was formed.
            incarnation: 2,
            placed_at: 2,
            state: NodeState::Active,
            verdict: Verdict::Alive,
            vnodes: u32::from(config.vnode_count()),
            choices: Vec::new(),
            zone: config.zone.clone(),
        };
        // Whoever keeps the records is a client: it has no place.
        let keeper = NodeRecord { vnodes: 0, ..record(&(String::new(), Address::new("simulated:1"), 0)) };
        let mut members = Members::new(&config.cluster_name, ids, slots, keeper, now);
        for node in nodes {
            let mut record = record(node);
            if config.consistent_hashing {
                record.choices = members.choices_for(&record);
            }
            members.merge(&record, now);
        }
        let all = members.others().map(|known| known.member.clone()).collect();
        // Only the names: nobody forms such a ring twice in one simulation.
        let ring_id = RingId(u128::from(NodeId::new(&config.cluster_name).digest()));
        Ok(Self { ring_id, members: all, view: Arc::new(members.view()) })
    }
}

impl Node {
    /// Becomes the member of `formed` whose name this node has.
    pub(crate) fn assume(&self, formed: &FormedRing) {
        {
            let mut state = self.state();
            let now = self.env.now();
            state.members.assume(&formed.members, now);
            state.reset_vnodes();
            let view = formed.view.clone();
            let me = view.member_index(&self.node_id);
            let pointer =
                |p: &Position| Pointer { id: p.id, node_id: view.member(p.member).node_id.clone(), index: p.index };
            let len_max = self.config.successor_list_size;
            for vnode in &mut state.vnodes {
                vnode.successors = view.distinct_after(vnode.id, me, len_max).iter().map(pointer).collect();
                vnode.predecessor = me.and_then(|me| view.distinct_before(vnode.id, me)).map(pointer);
            }
            if let Some(base) = state.vnodes.first().map(|v| v.id) {
                let start = |k: u16| self.ids.add_power_of_two(base, k);
                let owner = |k: u16| view.successor(start(k)).filter(|p| Some(p.member) != me).map(pointer);
                state.fingers.assume((0..self.ids.bits()).map(owner));
            }
            state.table.assume(self.slots, &view, self.replicas(), me, |slot| self.readable.set(slot, true));
            self.ring.store(Arc::new(Ring { id: Some(formed.ring_id), ..self.ring() }));
            self.view.store(view);
        }
        self.life.enter(Phase::Active);
    }
}
