//! Lookups in a whole ring that is there at once, without nodes, messages and time: for measurements of rings too large to run.
//! What each node says and whom a lookup asks is the code that nodes run; their pointers are those of a ring at rest. Not for
//! programs that use the table.

use crate::config::Config;
use crate::error::Result;
use crate::placement::Placement;
use crate::ring::frontier::{Frontier, Next, WIDE};
use crate::ring::hash::KeyHasher;
use crate::ring::id::{Id, IdSpace, Span};
use crate::ring::record::NodeId;
use crate::ring::route::{Question, Route, route};
use crate::ring::slot::SlotSpace;
use crate::ring::view::{MemberIndex, Position, RingView};
use crate::ring::vnode::{Pointer, VNode};

/// See the module.
pub struct Walks {
    ids: IdSpace,
    slots: SlotSpace,
    hasher: KeyHasher,
    view: RingView,
    list_len: usize,
    /// By member, ascending by node_id.
    dead: Vec<bool>,
}

/// What came of one lookup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walked {
    /// Nodes that answered, the owner included.
    pub hops: u32,
    /// Dead ones that were asked.
    pub timeouts: u32,
    /// It ended at the first node that lives, at or after the slot's last id.
    pub right: bool,
}

impl Walks {
    /// A ring of nodes with these names, at positions as in the Chord paper: none is chosen. The lengths of ids and
    /// successor lists, the hash, slots and virtual nodes are those of `config`.
    ///
    /// # Errors
    /// `Config` if its bits are out of range.
    pub fn new(config: &Config, names: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut ring = Placement::new(config)?;
        names.into_iter().for_each(|name| ring.join(&name, false));
        let view = ring.members().view();
        let (ids, slots, hasher) = ring.spaces();
        let dead = vec![false; view.members().len()];
        Ok(Self { ids, slots, hasher, view, list_len: config.successor_list_size, dead })
    }

    /// A node is dead from now on, and nobody knows of it: pointers stay as they are.
    pub fn kill(&mut self, member: usize) {
        self.dead[member] = true;
    }

    /// Whether it lives.
    pub fn lives(&self, member: usize) -> bool {
        !self.dead[member]
    }

    /// The lookup of `key` by that node.
    pub fn walk(&self, from: usize, key: &[u8]) -> Walked {
        let target = self.slots.last_id(self.slots.of(self.hasher.id(key)));
        let begin = self.says(from as MemberIndex, &Question::of(target, WIDE, false));
        let mut frontier = Frontier::new(self.ids, target, self.name(from as MemberIndex).clone(), true, begin);
        let (mut hops, mut timeouts) = (0, 0);
        loop {
            let ask = match frontier.next() {
                Next::Ask(ask) => ask,
                Next::Found(found) => return Walked { hops, timeouts, right: Some(found.id) == self.owner(target) },
                Next::Lost => return Walked { hops, timeouts, right: false },
            };
            match self.view.member_index(&ask.pointer.node_id).filter(|m| !self.dead[*m as usize]) {
                Some(member) => {
                    hops += u32::from(member as usize != from);
                    frontier.answered(&ask, self.says(member, &Question::of(target, ask.past, ask.claimed)));
                }
                None => {
                    timeouts += 1;
                    frontier.silent(&ask);
                }
            }
        }
    }

    fn name(&self, member: MemberIndex) -> &NodeId {
        &self.view.member(member).node_id
    }

    /// The first position of a node that lives.
    fn owner(&self, target: Id) -> Option<Id> {
        let positions = self.view.positions();
        let (before, after) = positions.split_at(positions.partition_point(|p| p.id < target));
        after.iter().chain(before).find(|p| !self.dead[p.member as usize]).map(|p| p.id)
    }

    fn says(&self, member: MemberIndex, question: &Question) -> Route {
        let mut fingers = Vec::new();
        let positions = self.view.members()[member as usize].positions.iter();
        let vnodes: Vec<VNode> = positions.map(|id| self.vnode(member, *id, &mut fingers)).collect();
        route(self.ids, self.name(member), &vnodes, fingers.iter(), question)
    }

    /// The pointers of a position, and what its finger table has beyond the successor.
    fn vnode(&self, member: MemberIndex, id: Id, fingers: &mut Vec<Pointer>) -> VNode {
        let pointer = |position: &Position| self.view.pointer(position);
        let mut vnode = VNode::new(id);
        vnode.successors = self.view.distinct_after(id, Some(member), self.list_len).iter().map(pointer).collect();
        vnode.predecessor = self.view.distinct_before(id, Some(member)).map(pointer);
        if let Some(next) = vnode.successors.first() {
            let near = Span::half_open(id, next.id);
            let starts = (0..self.ids.bits()).rev().map(|k| self.ids.add_power_of_two(id, k));
            let far = starts.take_while(|start| !near.contains(*start));
            let others = far.filter_map(|start| self.view.successor(start)).filter(|p| p.member != member);
            fingers.extend(others.map(pointer));
        }
        vnode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(nodes: usize, vnodes: u16) -> Walks {
        let config = Config { virtual_nodes: Some(vnodes), slot_bits: 16, ..Config::default() };
        Walks::new(&config, (0..nodes).map(|n| format!("node-{n}"))).expect("the bits are in range")
    }

    #[test]
    fn every_lookup_ends_at_the_owner_also_with_half_of_the_nodes_dead() {
        for vnodes in [1, 5] {
            let mut ring = ring(200, vnodes);
            for round in 0..2 {
                for (n, from) in (0..200).filter(|from| ring.lives(*from)).enumerate() {
                    let walked = ring.walk(from, format!("key-{n}").as_bytes());
                    assert!(walked.right, "round {round}, node {from}: {walked:?}");
                    assert!(round > 0 || walked.timeouts == 0, "nobody is dead yet: {walked:?}");
                }
                (0..200).filter(|n| n % 2 == 1).for_each(|n| ring.kill(n));
            }
        }
    }

    #[test]
    fn hops_grow_with_the_logarithm_of_the_ring() {
        let mean = |nodes: usize| {
            let ring = ring(nodes, 1);
            let hops = (0..500_usize).map(|n| ring.walk(n % nodes, format!("key-{n}").as_bytes()).hops);
            f64::from(hops.sum::<u32>()) / 500.0
        };
        let (small, large) = (mean(64), mean(1024));
        // With a list of 16: ½·log2 N - ½·log2 16 + 1, and four doublings are two hops.
        assert!((1.0..3.0).contains(&small) && (1.5..2.5).contains(&(large - small)), "{small}, {large}");
    }
}
