//! Who owns a slot, and how that node is reached.

use super::Node;
use super::peers::Peer;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::{NodeId, NodeRecord, Verdict};
use crate::ring::slot::Slot;
use crate::ring::view::RingView;

/// So often an owner is asked in vain before it is asked through another node.
const DIRECT_TRIES: usize = 2;

/// Where an operation goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum To {
    Here,
    Peer(Peer),
    /// To the owner through this one.
    Past(Peer),
}

impl Node {
    /// Where an owner that was asked twice in vain, or is known to be out of reach, and lives as others say, is asked through:
    /// another replica that was not asked yet. What is between this node and the owner may be broken for long.
    pub(super) fn around(&self, view: &RingView, slot: Slot, owner: &To, in_vain: &[u64]) -> Option<To> {
        let To::Peer(owner) = owner else { return None };
        let out_of_reach = |boot| self.cut_off.has(boot, || self.env.now());
        let tries = in_vain.iter().filter(|boot| **boot == owner.boot).count();
        if tries < DIRECT_TRIES && !out_of_reach(owner.boot) {
            return None;
        }
        let list = view.replica_list(slot, self.replicas());
        let others = list.iter().map(|m| view.member(*m));
        let fit = |r: &&NodeRecord| {
            r.verdict == Verdict::Alive && r.boot != self.boot && !in_vain.contains(&r.boot) && !out_of_reach(r.boot)
        };
        others.filter(|record| record.boot != owner.boot).find(fit).map(|record| To::Past(Peer::from(record)))
    }

    /// The owner: see [`RingView::first_live`].
    pub(super) fn owner_in(&self, view: &RingView, slot: Slot) -> Option<To> {
        let list = view.replica_list(slot, self.replicas());
        let owner = view.first_live(&list)?;
        let record = view.member(owner);
        Some(if record.node_id == self.node_id { To::Here } else { To::Peer(Peer::from(record)) })
    }

    /// How a node that a walk ended at is reached.
    pub(super) fn known(&self, node_id: &NodeId) -> Result<To> {
        if *node_id == self.node_id {
            return Ok(To::Here);
        }
        let state = self.state();
        let peer = state.members.get(node_id).map(|known| To::Peer(Peer::from(known.record())));
        peer.ok_or_else(|| Error::new(ErrorKind::Unreachable, format!("nothing is known of the owner, {node_id}")))
    }
}
