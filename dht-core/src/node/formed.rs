//! A ring that is there at once, for simulations of rings too large to form node by node: everybody knows everybody, all
//! pointers are right, no slot has ever changed hands. Not for programs that use the table.

use std::sync::Arc;

use super::{Node, Phase, Ring};
use crate::config::Config;
use crate::error::Result;
use crate::placement::{self, Placement};
use crate::ring::id::{Id, Span};
use crate::ring::list::SlotState;
use crate::ring::record::{Address, Member, NodeId, NodeRecord, RingId};
use crate::ring::view::{Position, RingView};

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
        let mut ring = Placement::new(config)?;
        // Only the names: nobody forms such a ring twice in one simulation.
        let ring_id = RingId(u128::from(NodeId::new(&config.cluster_name).digest()));
        for (node_id, address, boot) in nodes {
            let record = NodeRecord {
                address: address.clone(),
                // Joining and active, as in a ring that was formed.
                incarnation: 2,
                placed_at: 2,
                placed_in: ring_id.digest(),
                zone: config.zone.clone(),
                ..placement::record(node_id, *boot, u32::from(config.vnode_count()))
            };
            ring.place(record, config.consistent_hashing);
        }
        let members = ring.members().others().map(|known| known.member.clone()).collect();
        Ok(Self { ring_id, members, view: Arc::new(ring.members().view()) })
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
            let len_max = self.config.successor_list_size;
            for vnode in &mut state.vnodes {
                vnode.successors = view.distinct_after(vnode.id, me, len_max).iter().map(|p| view.pointer(p)).collect();
                vnode.predecessor = me.and_then(|me| view.distinct_before(vnode.id, Some(me))).map(|p| view.pointer(p));
            }
            let tables = if self.walks() { state.vnodes.len() } else { 1 };
            for index in 0..tables.min(state.vnodes.len()) {
                let base = &state.vnodes[index];
                let near = base.successors.first().map(|next| Span::half_open(base.id, next.id));
                let base = base.id;
                let start = |k: u16| self.ids.add_power_of_two(base, k);
                let kept = |p: &Position| Some(p.member) != me;
                // As `fix_fingers` has them: but of position 0 only those beyond the successor.
                let beyond = |id: Id| index == 0 || near.is_none_or(|near| !near.contains(id));
                let owner = |k: u16| view.successor(start(k)).filter(|p| kept(p) && beyond(start(k)));
                let owners: Vec<_> = (0..self.ids.bits()).map(|k| owner(k).map(|p| view.pointer(p))).collect();
                state.fingers.assume(index, owners.into_iter());
            }
            if let Some(me) = me {
                state.table.assume(self.slots, &view, self.replicas(), me);
            }
            for slot in state.table.slots_where(SlotState::readable) {
                self.readable.set(slot, true);
            }
            self.ring.store(Arc::new(Ring { id: Some(formed.ring_id), ..self.ring() }));
            self.view.store(view);
        }
        self.life.enter(Phase::Active);
    }
}
