//! Two rings become one. What either had acknowledged, only those know who were in its lists; a member that keeps its place in a
//! list, and had everything of its own ring, lacks what the other one had. So it is a newcomer again: it counts when it has taken what
//! every living member of the other ring's list of the slot has, caught up or not.
//!
//! A node knows who comes from another ring by `placed_in` of node records, wherever it hears of them. It need not hear of all of
//! that ring at once: whoever comes of it while this node still takes something over is one of those before. And nobody who has not
//! heard of it goes by the same list, since a list's fingerprint covers the rings that have become one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::identity;
use super::{Incarnate, Switch};
use crate::ring::record::Member;
use crate::ring::slot::Slot;
use crate::ring::view::RingView;

/// Whose acknowledged writes are in this node's slots, ring by ring.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    /// Rings of which everybody who comes is a newcomer like any other.
    settled: BTreeSet<u32>,
    /// Rings that have become one with this node's, of which some slot may lack something yet.
    uniting: BTreeSet<u32>,
}

impl Lineage {
    /// This node enters, and catches up with whoever is there.
    pub(super) fn begin(&mut self, view: &RingView) {
        self.uniting.clear();
        self.settled = view.rings().iter().copied().collect();
    }

    /// The lists of the other rings that members come from with this change, if any do; `waits`: some slot lacks what those had that
    /// came before.
    pub(super) fn meet(&mut self, switch: &Switch<'_>, waits: impl FnOnce() -> bool) -> Option<Foreign> {
        if switch.after.rings().iter().all(|ring| self.settled.contains(ring)) {
            return None;
        }
        if !waits() {
            self.settled.append(&mut self.uniting);
        }
        let is_new = |m: &&Arc<Member>| {
            let known = switch.before.member_index(&m.record.node_id).map(|index| switch.before.member(index).boot);
            known != Some(m.record.boot)
        };
        let come = switch.after.members().iter().filter(is_new).map(|member| member.record.placed_in);
        // Older nodes do not say.
        let mut come: BTreeSet<u32> = come.filter(|ring| *ring != 0 && !self.settled.contains(ring)).collect();
        if come.is_empty() {
            return None;
        }
        self.uniting.append(&mut come);
        let of_ring = |ring: &u32| {
            let members = switch.after.members().iter().filter(|m| m.record.placed_in == *ring);
            RingView::derive(switch.slots.ids(), switch.slots, members)
        };
        let rings: Vec<RingView> = self.uniting.iter().map(of_ring).collect();
        Some(Foreign { rings, arcs: Vec::new(), list: Arc::default() })
    }
}

/// Rings that were others, as they were when they became one with this node's.
pub(super) struct Foreign {
    rings: Vec<RingView>,
    /// The last list, and the slot's arcs in those rings: slots next to each other mostly share them.
    arcs: Vec<Option<usize>>,
    list: Arc<[Incarnate]>,
}

impl Foreign {
    /// Those who had the slot in any of them.
    pub(super) fn list(&mut self, slot: Slot, switch: &Switch<'_>) -> Arc<[Incarnate]> {
        let arcs: Vec<Option<usize>> = self.rings.iter().map(|view| view.arc(slot)).collect();
        if arcs == self.arcs {
            return self.list.clone();
        }
        let replicas = switch.replicas.max(switch.replicas_before);
        let of_ring = |view: &RingView| {
            let list = view.replica_list(slot, replicas);
            list.iter().map(|&m| identity(view.member(m))).collect::<Vec<_>>()
        };
        (self.list, self.arcs) = (self.rings.iter().flat_map(of_ring).collect(), arcs);
        self.list.clone()
    }
}
