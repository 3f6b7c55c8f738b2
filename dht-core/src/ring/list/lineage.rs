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

/// Rings remembered that have become one with this node's, and of which nobody may be left: of more, those are forgotten.
const SETTLED_MAX: usize = 1_024;

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
    /// This node has everything of these rings, or of its own is the first.
    pub(super) fn begin(&mut self, rings: &[u32]) {
        self.uniting.clear();
        self.settled = rings.iter().copied().collect();
    }

    /// What members of any ring had is judged by another rule.
    pub(super) fn settle(&mut self, rings: &[u32]) {
        self.uniting.clear();
        self.settled.extend(rings);
    }

    /// The lists of the other rings, if members of one come with this change of which some slot may lack something; `waits`: some does
    /// so of those that came before.
    pub(super) fn meet(&mut self, switch: &Switch<'_>, waits: impl FnOnce() -> bool) -> Option<Foreign> {
        let rings = switch.after.rings();
        if !self.uniting.is_empty() && !waits() {
            self.settled.extend(std::mem::take(&mut self.uniting).into_keys());
            if self.settled.len() > SETTLED_MAX {
                self.settled.retain(|ring| rings.contains(ring));
            }
        }
        let is_new = |m: &&Arc<Member>| {
            let known = switch.before.member_index(&m.record.node_id).map(|index| switch.before.member(index).boot);
            known != Some(m.record.boot)
        };
        let known = self.uniting.len();
        for ring in rings.iter().filter(|ring| !self.settled.contains(ring)) {
            self.uniting.entry(*ring).or_default();
        }
        let first = self.uniting.len() > known;
        let more =
            || switch.after.members().iter().filter(is_new).any(|m| self.uniting.contains_key(&m.record.placed_in));
        if !first && (known == 0 || !more()) {
            return None;
        }
        let of_ring = |ring: &u32| {
            let members = switch.after.members().iter().filter(|m| m.record.placed_in == *ring);
            RingView::derive(switch.slots.ids(), switch.slots, members)
        };
        let rings: Vec<RingView> = self.uniting.keys().map(of_ring).collect();
        Some(Foreign { rings, first, arcs: Vec::new(), list: Arc::default() })
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
        self.states.values().any(|s| s.catch_up.as_ref().is_some_and(|c| !c.foreign.is_empty()))
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
    /// Those who had the slot in any of them: one more than a list has, since who has just come into one may have nothing yet.
    pub(super) fn list(&mut self, slot: Slot, switch: &Switch<'_>) -> Arc<[Incarnate]> {
        let arcs: Vec<Option<usize>> = self.rings.iter().map(|view| view.arc(slot)).collect();
        if arcs == self.arcs {
            return self.list.clone();
        }
        let replicas = switch.replicas.max(switch.replicas_before) + 1;
        let of_ring = |view: &RingView| {
            let list = view.replica_list(slot, replicas);
            list.iter().map(|&m| identity(view.member(m))).collect::<Vec<_>>()
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
