//! The ring as it should be, worked out from nothing but who runs and where its positions lie; by plain search, so that
//! it shares no mistake with the code that it judges.

use std::collections::{BTreeMap, BTreeSet};

use dht_core::{Id, Inspection, NodeId};

/// Positions of all active nodes, ascending, and the zones of nodes that are in one.
pub struct Ideal(BTreeMap<Id, NodeId>, BTreeMap<NodeId, String>);

impl Ideal {
    /// Of those that are active. Equal positions: the smaller node_id holds it.
    pub fn of(nodes: &[Inspection]) -> Self {
        let mut positions: BTreeMap<Id, NodeId> = BTreeMap::new();
        for node in nodes.iter().filter(|node| node.active) {
            for own in &node.pointers {
                let holder = positions.entry(own.id).or_insert_with(|| node.node_id.clone());
                if node.node_id < *holder {
                    *holder = node.node_id.clone();
                }
            }
        }
        let zoned = nodes.iter().filter(|node| !node.zone.is_empty());
        Self(positions, zoned.map(|node| (node.node_id.clone(), node.zone.clone())).collect())
    }

    /// All positions, ascending.
    pub fn positions(&self) -> Vec<(Id, NodeId)> {
        self.0.iter().map(|(id, node)| (*id, node.clone())).collect()
    }

    /// The first position at or after `id`.
    pub fn successor(&self, id: Id) -> Option<(Id, &NodeId)> {
        self.0.range(id..).chain(&self.0).next().map(|(id, node)| (*id, node))
    }

    /// The first position of each of the next distinct nodes after `id`, without `me`.
    pub fn successors(&self, id: Id, me: &NodeId, count: usize) -> Vec<(Id, NodeId)> {
        let mut seen = BTreeSet::from([me]);
        let after = self.0.range(id..).skip_while(|(at, _)| **at == id);
        let found = after.chain(self.0.range(..id)).filter(|(_, node)| seen.insert(node)).take(count);
        found.map(|(id, node)| (*id, node.clone())).collect()
    }

    /// Who is to keep what ends at `last`: the first node clockwise of each zone, then the others clockwise. A node without
    /// a zone is one of its own.
    pub fn replicas(&self, last: Id, count: usize) -> BTreeSet<NodeId> {
        let Some((id, owner)) = self.successor(last) else { return BTreeSet::new() };
        let others = self.successors(id, owner, usize::MAX).into_iter().map(|(_, node)| node);
        let mut zones = BTreeSet::new();
        let first = |node: &NodeId| self.1.get(node).is_none_or(|zone| zones.insert(zone));
        let (first, rest): (Vec<NodeId>, Vec<NodeId>) = std::iter::once(owner.clone()).chain(others).partition(first);
        first.into_iter().chain(rest).take(count).collect()
    }

    /// The last position before `id` that is not `me`'s.
    pub fn predecessor(&self, id: Id, me: &NodeId) -> Option<(Id, NodeId)> {
        let before = self.0.range(..id).rev().chain(self.0.range(id..).rev());
        before.filter(|(_, node)| *node != me).map(|(id, node)| (*id, node.clone())).next()
    }
}
