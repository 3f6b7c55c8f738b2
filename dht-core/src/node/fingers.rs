//! The finger table of this node's position 0: finger k owns position 0 + 2^k (Stoica et al. 2003, §IV.D).
//!
//! Fingers that fall on the successor need no message; the others are looked up, a few every period.

use std::sync::Arc;

use super::Node;
use crate::ring::id::{Id, IdSpace, Span};
use crate::ring::record::NodeId;
use crate::ring::vnode::Pointer;

/// Fingers looked up in one period.
const LOOKUPS: usize = 8;

/// The table.
pub(crate) struct Fingers {
    entries: Vec<Option<Pointer>>,
    next: usize,
}

impl Fingers {
    pub(crate) fn new(ids: IdSpace) -> Self {
        Self { entries: vec![None; usize::from(ids.bits())], next: 0 }
    }

    pub(crate) fn forget(&mut self, gone: &NodeId) {
        for entry in &mut self.entries {
            entry.take_if(|p| p.node_id == *gone);
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
            if let Ok(owner) = node.find_successor(start, deadline).await {
                let owner = Some(owner).filter(|p| p.node_id != node.node_id);
                if node.state().fingers.set(k, owner) {
                    node.stats.finger_table_updates.add(1);
                }
            }
        }
    }
}

impl Node {
    /// Sets the fingers that fall on the successor; returns the next few others to look up.
    fn fix_near_fingers(&self) -> Vec<(usize, Id)> {
        let mut state = self.state();
        let Some(vnode) = state.vnodes.first().cloned() else { return Vec::new() };
        let Some(successor) = vnode.successors.first().cloned() else { return Vec::new() };
        let before = Span::open(vnode.id, successor.id);
        let own: Vec<Id> = state.vnodes.iter().map(|v| v.id).filter(|id| before.contains(*id)).collect();
        let bits = usize::from(self.ids.bits());
        let mut far = Vec::new();
        for k in 0..bits {
            let start = self.ids.add_power_of_two(vnode.id, k as u16);
            if Span::half_open(vnode.id, successor.id).contains(start) {
                // The successor is the next *other* node: up to the last of our own positions before it we own the
                // start ourselves.
                let ours = own.iter().any(|id| Span::half_open(vnode.id, *id).contains(start));
                if state.fingers.set(k, Some(successor.clone()).filter(|_| !ours)) {
                    self.stats.finger_table_updates.add(1);
                }
            } else {
                far.push((k, start));
            }
        }
        let from = state.fingers.next.min(far.len());
        let chosen: Vec<_> = far[from..].iter().chain(&far[..from]).take(LOOKUPS).copied().collect();
        state.fingers.next = if far.is_empty() { 0 } else { (from + chosen.len()) % far.len() };
        chosen
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
