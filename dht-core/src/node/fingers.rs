//! The finger table of this node's position 0: finger k owns position 0 + 2^k (Stoica et al. 2003, §IV.D).
//!
//! Fingers that fall on the successor need no message. Of the others those that differ from the view are looked up, a few
//! every period; while none does, one in turn is verified now and then.

use std::sync::Arc;

use super::Node;
use crate::ring::id::{Id, IdSpace, Span};
use crate::ring::vnode::Pointer;

/// Fingers looked up in one period, of those that the view contradicts.
const LOOKUPS: usize = 8;
/// Periods between two lookups while the view contradicts none.
const CALM_PERIODS: u32 = 4;

/// The table.
pub(crate) struct Fingers {
    entries: Vec<Option<Pointer>>,
    next: usize,
    calm: u32,
}

impl Fingers {
    pub(crate) fn new(ids: IdSpace) -> Self {
        Self { entries: vec![None; usize::from(ids.bits())], next: 0, calm: 0 }
    }

    /// Has exactly these, by k.
    pub(super) fn assume(&mut self, entries: impl Iterator<Item = Option<Pointer>>) {
        self.entries = entries.collect();
    }

    /// Forgets every pointer that `keeps` does not keep.
    pub(crate) fn retain(&mut self, keeps: impl Fn(&Pointer) -> bool) {
        for entry in &mut self.entries {
            entry.take_if(|p| !keeps(p));
        }
    }

    /// Distinct neighbouring entries once.
    pub(crate) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.entries.iter().flatten()
    }

    /// (k, pointer), ascending.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u16, &Pointer)> {
        self.entries.iter().enumerate().filter_map(|(k, p)| Some((k as u16, p.as_ref()?)))
    }

    /// Returns whether the entry changed.
    fn set(&mut self, k: usize, pointer: Option<Pointer>) -> bool {
        match self.entries.get_mut(k) {
            Some(entry) if *entry != pointer => {
                *entry = pointer;
                true
            }
            _ => false,
        }
    }
}

/// Fixes fingers for life.
pub(crate) async fn fix_fingers(node: Arc<Node>) {
    loop {
        tokio::time::sleep(node.env.jittered(node.config.fix_finger_interval)).await;
        let starts = node.fix_near_fingers();
        for (k, start) in starts {
            let deadline = node.env.now() + node.config.request_timeout;
            // A finger that cannot be found now is left as it is; it is only a short cut.
            if let Ok(owner) = node.find_successor(start, deadline, &mut ()).await {
                let owner = Some(owner).filter(|p| p.node_id != node.node_id);
                if node.state().fingers.set(k, owner) {
                    node.stats.finger_table_updates.add(1);
                }
            }
        }
    }
}

impl Node {
    /// Sets the fingers that fall on the successor; returns which of the others to look up now.
    fn fix_near_fingers(&self) -> Vec<(usize, Id)> {
        let mut state = self.state();
        let Some(vnode) = state.vnodes.first().cloned() else { return Vec::new() };
        let Some(successor) = vnode.successors.first().cloned() else { return Vec::new() };
        let before = Span::open(vnode.id, successor.id);
        let own: Vec<Id> = state.vnodes.iter().map(|v| v.id).filter(|id| before.contains(*id)).collect();
        let bits = usize::from(self.ids.bits());
        let view = self.view();
        let contradicted = |state: &super::State, k: usize, start: Id| {
            let owner = view.successor(start).map(|p| &view.member(p.member).node_id).filter(|id| **id != self.node_id);
            let entry = state.fingers.entries.get(k).and_then(Option::as_ref).map(|p| &p.node_id);
            entry != owner
        };
        let (mut far, mut wrong) = (Vec::new(), Vec::new());
        for k in 0..bits {
            let start = self.ids.add_power_of_two(vnode.id, k as u16);
            if Span::half_open(vnode.id, successor.id).contains(start) {
                // The successor is the next *other* node: up to the last of our own positions before it we own the
                // start ourselves.
                let ours = own.iter().any(|id| Span::half_open(vnode.id, *id).contains(start));
                if state.fingers.set(k, Some(successor.clone()).filter(|_| !ours)) {
                    self.stats.finger_table_updates.add(1);
                }
            } else if contradicted(&state, k, start) {
                wrong.push((k, start));
            } else {
                far.push((k, start));
            }
        }
        state.fingers.next = state.fingers.next.wrapping_add(1);
        if planted!("fingers_stay") {
            return Vec::new();
        }
        if !wrong.is_empty() {
            // Begun somewhere else each time: one that cannot be found now must not hold up the others.
            let from = state.fingers.next % wrong.len();
            return wrong[from..].iter().chain(&wrong[..from]).take(LOOKUPS).copied().collect();
        }
        state.fingers.calm += 1;
        if state.fingers.calm < CALM_PERIODS || far.is_empty() {
            return Vec::new();
        }
        state.fingers.calm = 0;
        vec![far[state.fingers.next / CALM_PERIODS as usize % far.len()]]
    }

    /// Fraction of the fingers that name the node which the view names; 1 for an empty table.
    pub(crate) fn finger_accuracy(&self) -> f64 {
        let view = self.view();
        let state = self.state();
        let Some(vnode) = state.vnodes.first() else { return 1.0 };
        let (mut right, mut all) = (0u32, 0u32);
        for (k, pointer) in state.fingers.entries() {
            let start = self.ids.add_power_of_two(vnode.id, k);
            all += 1;
            let owner = view.successor(start).map(|p| &view.member(p.member).node_id);
            right += u32::from(owner == Some(&pointer.node_id));
        }
        if all == 0 { 1.0 } else { f64::from(right) / f64::from(all) }
    }
}
