//! Newcomers that would wait for each other: after a join and a death at once, or when the sides of a split meet, too few of a
//! slot's members may be caught up for the others ever to be. Then a newcomer takes what everybody has who may have any of
//! it, caught up or not; more than all that the living have it cannot wait for (see `ring/list.rs`).
//!
//! It costs a comparison of versions with each of them, so it is done only where every caught-up member was merged and that
//! was not enough.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::catch_up::{Needs, living};
use super::reconcile::{Differing, Direction};
use crate::node::peers::Peer;
use crate::node::{Node, State};
use crate::ring::list::SlotState;
use crate::ring::slot::Slot;

/// What a peer that is not caught up, but goes by the same list or by none, said of a slot.
pub(super) struct Uncounted {
    pub(super) slot: Slot,
    /// Nothing of it is here.
    pub(super) empty: bool,
    /// The contents are equal.
    pub(super) same: bool,
    pub(super) evicted: u32,
}

impl Node {
    /// Takes what is there of the slots that are not caught up by now.
    pub(super) async fn gather(self: &Arc<Self>, from: Vec<(Peer, Vec<Uncounted>)>, needs: &BTreeMap<Slot, Needs>) {
        let stuck = self.stuck(needs);
        if stuck.is_empty() {
            return;
        }
        for (peer, mut offered) in from {
            offered.retain(|u| stuck.contains(&u.slot));
            let of =
                |keep: &dyn Fn(&&Uncounted) -> bool| offered.iter().filter(keep).map(|u| u.slot).collect::<Vec<_>>();
            let empty = of(&|u| !u.same && u.empty);
            let differing: Vec<Differing> =
                offered.iter().filter(|u| !u.same && !u.empty).map(|u| (u.slot, u.evicted)).collect();
            let mut done = of(&|u| u.same);
            match self.pull_slots(&peer, &empty).await {
                Ok(()) => done.extend(empty),
                Err(error) => log!(self, debug, peer = %peer.node_id, %error, "cannot take what it has yet"),
            }
            done.extend(self.reconcile(&peer, &differing, Direction::Here).await);
            let mut state = self.state();
            let source = (peer.node_id.clone(), peer.boot);
            for slot in done {
                if let Some(needs) = needs.get(&slot).filter(|n| !self.switched_since(&state, slot, n)) {
                    state.table.gathered_from(slot, needs.list, &source);
                }
            }
        }
        self.settle_gathered(&stuck, needs);
    }

    /// Slots for which all that are caught up were merged, in vain.
    fn stuck(&self, needs: &BTreeMap<Slot, Needs>) -> BTreeSet<Slot> {
        let state = self.state();
        let stuck = |slot: &Slot, needs: &Needs| {
            let catch_up = state.table.get(*slot).and_then(|s| s.catch_up.as_ref())?;
            let merged = |boot: &u64| catch_up.merged.iter().any(|(_, merged)| merged == boot);
            let waits = !catch_up.returns && needs.pushed_out.is_empty() && needs.caught_up.iter().all(merged);
            (waits && !self.switched_since(&state, *slot, needs)).then_some(*slot)
        };
        needs.iter().filter_map(|(slot, needs)| stuck(slot, needs)).collect()
    }

    fn settle_gathered(&self, slots: &BTreeSet<Slot>, needs: &BTreeMap<Slot, Needs>) {
        let mut state = self.state();
        let (mut settled, mut bereft) = (0, 0);
        for &slot in slots {
            let Some(needs) = needs.get(&slot).filter(|n| !self.switched_since(&state, slot, n)) else { continue };
            let State { table, members, .. } = &mut *state;
            let lives = living(members, self.boot);
            let lost = table.get(slot).and_then(|s| s.catch_up.as_ref()).is_some_and(|c| c.bereft(&lives));
            if table.gathered_all(slot, needs.list, lives) {
                self.readable.set(slot, table.get(slot).is_some_and(SlotState::readable));
                settled += 1;
                bereft += usize::from(lost);
            }
        }
        drop(state);
        if bereft > 0 {
            log!(self, warn, slots = bereft, "lost too many replicas at once: these slots go on with what is left");
        }
        if settled > 0 {
            self.progress.step();
        }
    }
}
