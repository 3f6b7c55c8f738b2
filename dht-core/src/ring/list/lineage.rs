//! Two rings become one. What either had acknowledged, only those know who were in its lists; a member that keeps its place in a
//! list, and had everything of its own ring, lacks what the other one had. So it is a newcomer again: it counts when it has taken what
//! every living member of the other ring's list of the slot has, caught up or not.
//!
//! A node knows who comes from another ring by `placed_in` of node records, wherever it hears of them. As it may hear of some of them
//! first, it asks one who is in that ring before it takes anything over (`node/repair/unite.rs`). And nobody who has not heard of the
//! other ring goes by the same list, since a list's fingerprint covers the rings that have become one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::identity;
use super::{Incarnate, SlotTable, Switch};
use crate::ring::record::Member;
use crate::ring::slot::Slot;
use crate::ring::view::RingView;

/// Whose acknowledged writes are in this node's slots, ring by ring.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    /// Rings of which everybody who comes is a newcomer like any other.
    settled: BTreeSet<u32>,
    /// Rings that have become one with this node's, of which some slot may lack something yet; and whether one of its members has
    /// told this node who is in it.
    uniting: BTreeMap<u32, bool>,
}

impl Lineage {
    /// This node enters where there are these rings. Of several it may not know all members yet.
    pub(super) fn enter(&mut self, rings: &[u32]) {
        self.settle(rings);
        if rings.len() > 1 {
            self.uniting = std::mem::take(&mut self.settled).into_iter().map(|ring| (ring, false)).collect();
        }
    }

    /// What members of any of these rings had is here, or judged by another rule.
    pub(super) fn settle(&mut self, rings: &[u32]) {
        self.uniting.clear();
        self.settled = rings.iter().copied().collect();
    }

    /// The lists of the other rings, if members of one come with this change of which some slot may lack something; `waits`: some does
    /// so of those that came before.
    pub(super) fn meet(&mut self, switch: &Switch<'_>, waits: impl FnOnce() -> bool) -> Option<Foreign> {
        let rings = switch.after.rings();
        if !self.uniting.is_empty() && !waits() {
            self.settled.extend(std::mem::take(&mut self.uniting).into_keys());
        }
        // A part of a ring that split off, and comes when nobody is said to be of that ring any more, has what the others lack. But who
        // joins is of the ring whose id this one has, whether or not another one is.
        self.settled.retain(|ring| rings.contains(ring) || *ring == switch.ring);
        let is_new = |m: &&Arc<Member>| {
            let known = switch.before.member_index(&m.record.node_id).map(|index| switch.before.member(index).boot);
            known != Some(m.record.boot)
        };
        let of = |ring: u32| switch.after.members().iter().filter(move |m| m.record.placed_in == ring);
        let mut first = false;
        for &ring in rings {
            if self.settled.contains(&ring) || self.uniting.contains_key(&ring) {
                continue;
            }
            // Else it is only another name for members that were there.
            if of(ring).any(|member| is_new(&member)) {
                self.uniting.insert(ring, false);
                first = true;
            } else {
                self.settled.insert(ring);
            }
        }
        let more = || self.uniting.keys().any(|ring| of(*ring).any(|member| is_new(&member)));
        (first || more()).then(|| Foreign::new(switch, self.uniting.keys().copied(), first))
    }
}

impl SlotTable {
    /// Rings that have become one with this node's, none of whose members has told yet who is in them.
    pub(crate) fn rings_to_meet(&self) -> impl Iterator<Item = u32> {
        self.lineage.uniting.iter().filter(|(_, met)| !**met).map(|(ring, _)| *ring)
    }

    /// A member of that ring has told who is in it, or nobody is left who could.
    pub(crate) fn has_met(&mut self, ring: u32) {
        if let Some(met) = self.lineage.uniting.get_mut(&ring) {
            *met = true;
        }
    }

    /// Some slot lacks what another ring had.
    pub(crate) fn lacks_foreign(&self) -> bool {
        self.behind().any(|(_, state)| state.lacks_foreign())
    }
}

/// Rings that were others, as they are known now.
pub(super) struct Foreign {
    rings: Vec<RingView>,
    /// One of them was not known before: every slot lacks what it had.
    pub(super) first: bool,
    /// The last list, and the slot's arcs in those rings: slots next to each other mostly share them.
    arcs: Vec<Option<usize>>,
    list: Arc<[Incarnate]>,
}

impl Foreign {
    /// All rings of the view: who comes into a list of rings that have just become one may find nobody there who has what all had.
    pub(super) fn all(switch: &Switch<'_>) -> Self {
        Self::new(switch, switch.after.rings().iter().copied(), false)
    }

    fn new(switch: &Switch<'_>, rings: impl Iterator<Item = u32>, first: bool) -> Self {
        let of_ring = |ring| {
            let members = switch.after.members().iter().filter(|m| m.record.placed_in == ring);
            RingView::derive(switch.slots.ids(), switch.slots, members)
        };
        Self { rings: rings.map(of_ring).collect(), first, arcs: Vec::new(), list: Arc::default() }
    }

    /// Those who had the slot in any of them: one more than a list has, since who has just come into one may have nothing yet.
    pub(super) fn list(&mut self, slot: Slot, switch: &Switch<'_>) -> Arc<[Incarnate]> {
        let arcs: Vec<Option<usize>> = self.rings.iter().map(|view| view.arc(slot)).collect();
        if arcs == self.arcs {
            return self.list.clone();
        }
        let replicas = switch.replicas.max(switch.replicas_before) + 1;
        let of_ring = |view: &RingView| {
            let list = view.replica_list(slot, replicas);
            let others = list.iter().map(|&m| view.member(m)).filter(|record| record.node_id != *switch.me);
            others.map(identity).collect::<Vec<_>>()
        };
        (self.list, self.arcs) = (self.rings.iter().flat_map(of_ring).collect(), arcs);
        self.list.clone()
    }
}

/// Both.
pub(super) fn joined(before: &Arc<[Incarnate]>, more: Arc<[Incarnate]>) -> Arc<[Incarnate]> {
    if before.iter().all(|node| more.contains(node)) {
        return more;
    }
    let fresh = more.iter().filter(|node| !before.contains(node));
    before.iter().chain(fresh).cloned().collect()
}
