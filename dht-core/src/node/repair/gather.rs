//! Newcomers that would wait for each other: after a join and a death at once, or when the sides of a split meet, too few of a
//! slot's members may be caught up for the others ever to be. Then a newcomer takes what everybody has who may have any of
//! it, caught up or not; more than all that the living have it cannot wait for (see `ring/list.rs`).
//!
//! It costs a comparison of versions with each of them, so it is done only where every caught-up member was merged and that
//! was not enough.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::catch_up::Needs;
use super::give_up::living;
use super::pace::SLICE;
use crate::node::peers::Peer;
use crate::node::{Node, State};
use crate::ring::list::SlotState;
use crate::ring::slot::Slot;

impl Node {
    /// Takes what is there of the slots that are not caught up by now, `from` peers that are not caught up either but go by the
    /// same list, or by none.
    pub(super) async fn gather(self: &Arc<Self>, from: Vec<(Peer, Vec<Slot>)>, needs: &BTreeMap<Slot, Needs>) {
        let stuck = self.stuck(needs);
        let mut brought = false;
        for (peer, mut slots) in from {
            let source = (peer.node_id.clone(), peer.boot);
            // What was gathered is asked for again: it may have had it from one who is gone since.
            slots.retain(|slot| stuck.contains(slot));
            let fresh = {
                let state = self.state();
                slots.iter().any(|slot| !state.table.has_of(*slot, &source))
            };
            if slots.is_empty() {
                continue;
            }
            let until = Some(self.env.now() + SLICE);
            let here = match self.bring_over(&peer, &slots, until).await {
                Ok(here) => here,
                Err(error) => {
                    self.note_busy(&error, &slots);
                    log!(self, debug, peer = %peer.node_id, %error, "cannot take what it has yet");
                    continue;
                }
            };
            brought |= fresh && self.is_past(until);
            let mut state = self.state();
            for slot in here {
                if let Some(needs) = needs.get(&slot).filter(|n| !self.switched_since(&state, slot, n)) {
                    brought |= state.table.gathered_from(slot, needs.list, &source);
                }
            }
            drop(state);
            // Somebody may wait for what an owner before had.
            self.progress.step();
        }
        self.settle_gathered(&stuck, needs);
        if brought {
            // The copies take their time: the others have not been waited for in vain.
            let stuck: Vec<Slot> = stuck.into_iter().collect();
            self.state().table.postpone(&stuck, self.env.now());
        }
    }

    /// Slots for which all that are caught up were merged, in vain.
    fn stuck(&self, needs: &BTreeMap<Slot, Needs>) -> BTreeSet<Slot> {
        let state = self.state();
        let stuck = |slot: &Slot, needs: &Needs| {
            let catch_up = state.table.get(*slot).and_then(|s| s.catch_up.as_ref())?;
            let merged = |boot: &u64| catch_up.merged.iter().any(|(_, merged)| merged == boot);
            let waits = !catch_up.returns
                && !needs.returning
                && needs.pushed_out.is_empty()
                && needs.caught_up.iter().all(merged);
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
            self.tell_bereft(bereft);
        }
        if settled > 0 {
            self.progress.step();
        }
    }
}
