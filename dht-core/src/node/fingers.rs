//! Finger tables: finger k of a position owns position + 2^k (Stoica et al. 2003, §IV.D). Nodes that find owners by walking
//! (`routing = "chord"`) keep one for each of their positions, and a lookup uses them all; others keep that of position 0.
//!
//! Fingers that fall on the successor need no message. Of the others those that differ from the view are looked up, a few
//! every period; while none does, one in turn is verified now and then.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Node, State};
use crate::ring::id::{Id, IdSpace, Span};
use crate::ring::view::RingView;
use crate::ring::vnode::Pointer;

/// Fingers looked up in one period, of those that the view contradicts.
const LOOKUPS: usize = 8;
/// Periods between two lookups while the view contradicts none.
const CALM_PERIODS: u32 = 4;

/// The tables.
pub(crate) struct Fingers {
    /// Of position 0, by k.
    entries: Vec<Option<Pointer>>,
    /// Of the other positions, by position and k, without those that fall on the position's successor.
    further: BTreeMap<(usize, u16), Pointer>,
    next: usize,
    calm: u32,
}

impl Fingers {
    pub(crate) fn new(ids: IdSpace) -> Self {
        Self { entries: vec![None; usize::from(ids.bits())], further: BTreeMap::new(), next: 0, calm: 0 }
    }

    /// Has these for that position, by k.
    pub(super) fn assume(&mut self, index: usize, entries: impl Iterator<Item = Option<Pointer>>) {
        for (k, entry) in entries.enumerate() {
            self.set(index, k, entry);
        }
    }

    /// Forgets every pointer that `keeps` does not keep.
    pub(crate) fn retain(&mut self, keeps: impl Fn(&Pointer) -> bool) {
        for entry in &mut self.entries {
            entry.take_if(|p| !keeps(p));
        }
        self.further.retain(|_, p| keeps(p));
    }

    /// Of all positions.
    pub(crate) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.entries.iter().flatten().chain(self.further.values())
    }

    /// Of the positions but 0: (position, k, pointer), ascending.
    pub(super) fn further(&self) -> impl Iterator<Item = (usize, u16, &Pointer)> {
        self.further.iter().map(|(&(index, k), pointer)| (index, k, pointer))
    }

    /// Of position 0: (k, pointer), ascending.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u16, &Pointer)> {
        self.entries.iter().enumerate().filter_map(|(k, p)| Some((k as u16, p.as_ref()?)))
    }

    /// Of position 0.
    pub(crate) fn found(&self, k: u16) -> Option<&Pointer> {
        self.get(0, usize::from(k))
    }

    fn get(&self, index: usize, k: usize) -> Option<&Pointer> {
        match index {
            0 => self.entries.get(k)?.as_ref(),
            _ => self.further.get(&(index, k as u16)),
        }
    }

    /// Returns whether the entry changed.
    fn set(&mut self, index: usize, k: usize, pointer: Option<Pointer>) -> bool {
        if self.get(index, k) == pointer.as_ref() {
            return false;
        }
        match (index, pointer) {
            (0, pointer) => match self.entries.get_mut(k) {
                Some(entry) => *entry = pointer,
                None => return false,
            },
            (_, Some(pointer)) => drop(self.further.insert((index, k as u16), pointer)),
            (_, None) => drop(self.further.remove(&(index, k as u16))),
        }
        true
    }
}

/// Fixes fingers for life.
pub(crate) async fn fix_fingers(node: Arc<Node>) {
    loop {
        tokio::time::sleep(node.env.jittered(node.config.fix_finger_interval)).await;
        let starts = node.fix_near_fingers();
        for (index, k, start) in starts {
            let deadline = node.env.now() + node.config.request_timeout;
            // A finger that cannot be found now is left as it is; it is only a short cut.
            if let Ok(owner) = node.find_successor(start, deadline, &mut ()).await {
                let mut state = node.state();
                // It may have gone while the walk went on.
                let owner = Some(owner).filter(|p| p.node_id != node.node_id && state.members.has_position(p));
                if state.fingers.set(index, k, owner) {
                    node.stats.finger_table_updates.add(1);
                }
            }
        }
    }
}

/// A finger that needs a lookup: position, k, start.
type Start = (usize, usize, Id);

impl Node {
    /// Sets the fingers that fall on the successor; returns which of the others to look up now.
    fn fix_near_fingers(&self) -> Vec<Start> {
        let view = self.view();
        let mut state = self.state();
        let tables = if self.walks() && !planted!("fingers_of_one") { state.vnodes.len() } else { 1 };
        let (mut far, mut wrong) = (Vec::new(), Vec::new());
        for index in 0..tables {
            let Some(vnode) = state.vnodes.get(index).cloned() else { return Vec::new() };
            let Some(successor) = vnode.successors.first().cloned() else { continue };
            let before = Span::open(vnode.id, successor.id);
            let own: Vec<Id> = state.vnodes.iter().map(|v| v.id).filter(|id| before.contains(*id)).collect();
            for k in 0..usize::from(self.ids.bits()) {
                let start = self.ids.add_power_of_two(vnode.id, k as u16);
                if Span::half_open(vnode.id, successor.id).contains(start) {
                    // The successor is the next *other* node: up to the last of our own positions before it we own the
                    // start ourselves. Lookups know the successors of all positions anyway.
                    let ours = index > 0 || own.iter().any(|id| Span::half_open(vnode.id, *id).contains(start));
                    if state.fingers.set(index, k, Some(successor.clone()).filter(|_| !ours)) {
                        self.stats.finger_table_updates.add(1);
                    }
                } else if self.contradicted(&state, &view, index, k, start) {
                    wrong.push((index, k, start));
                } else {
                    far.push((index, k, start));
                }
            }
        }
        state.fingers.next = state.fingers.next.wrapping_add(1);
        if planted!("fingers_stay") {
            return Vec::new();
        }
        if !wrong.is_empty() {
            // Begun somewhere else each time: one that cannot be found now must not hold up the others.
            let from = state.fingers.next % wrong.len();
            return wrong[from..].iter().chain(&wrong[..from]).take(LOOKUPS.max(tables)).copied().collect();
        }
        state.fingers.calm += 1;
        if state.fingers.calm < CALM_PERIODS || far.is_empty() {
            return Vec::new();
        }
        state.fingers.calm = 0;
        vec![far[state.fingers.next / CALM_PERIODS as usize % far.len()]]
    }

    /// Whether the view names another position than the table does.
    fn contradicted(&self, state: &State, view: &RingView, index: usize, k: usize, start: Id) -> bool {
        let owner = view.successor(start).filter(|p| view.member(p.member).node_id != self.node_id);
        let named = state.fingers.get(index, k);
        named.map(|p| (p.id, &p.node_id)) != owner.map(|p| (p.id, &view.member(p.member).node_id))
    }

    /// Starts of fingers beyond a position's successor that have no entry; of nodes that walk.
    pub(super) fn unset_fingers(&self, state: &State) -> Vec<Id> {
        let tables = if self.walks() { state.vnodes.len() } else { 0 };
        let starts = |index: usize| {
            let vnode = &state.vnodes[index];
            let near = vnode.successors.first().map(|next| Span::half_open(vnode.id, next.id));
            let start = |k: u16| (k, self.ids.add_power_of_two(vnode.id, k));
            let starts =
                (0..self.ids.bits()).map(start).filter(move |(_, id)| near.is_some_and(|near| !near.contains(*id)));
            starts.filter(move |(k, _)| state.fingers.get(index, usize::from(*k)).is_none()).map(|(_, id)| id)
        };
        (0..tables).flat_map(starts).collect()
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
