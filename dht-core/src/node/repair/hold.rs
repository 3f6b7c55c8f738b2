//! Re-replication is held after the loss of many nodes at once: which newcomer slots are not copied yet, and what is
//! written of it in the log. The decision is `node/mass_loss.rs`.

use std::time::Duration;

use tokio::time::Instant;

use crate::node::mass_loss::{self, Change, Fate, Turnover};
use crate::node::{Node, State, probe};
use crate::ring::list::{Incarnate, SlotState};
use crate::ring::record::{NodeId, NodeState, Verdict};
use crate::ring::slot::Slot;
use crate::ring::view::RingView;

/// Slots that came and could not be kept hold up nobody for so long; by then they came again.
const HELD_UP_FOR: Duration = Duration::from_secs(30);

impl Node {
    /// Tallies who was lost and who came between two views (nobody, unless placement `moved`), and who is suspected.
    pub(in crate::node) fn note_turnover(&self, state: &mut State, before: &RingView, after: &RingView, moved: bool) {
        if self.is_client() {
            return;
        }
        let only_in = |here: &RingView, there: &RingView| -> Vec<NodeId> {
            if !moved {
                return Vec::new();
            }
            here.lacking_in(there).map(|m| m.record.node_id.clone()).collect()
        };
        let mut lost = only_in(before, after);
        lost.retain(|id| state.members.get(id).is_some_and(|k| k.record().verdict == Verdict::Dead));
        let turnover = Turnover {
            lost: &lost,
            came: &only_in(after, before),
            of: before.members().len(),
            suspects: state.members.suspects().filter(|known| known.record().placed()).count(),
        };
        let silent_max = probe::silent_max(self.config.heartbeat_interval, turnover.of);
        let window = mass_loss::window(silent_max);
        let now = self.env.now();
        let held = state.mass_loss.held_until(now).is_some();
        let change = state.mass_loss.observe(&turnover, self.replicas(), window, now);
        if held && state.mass_loss.held_until(now).is_none() {
            self.repair_wanted.notify_one();
        }
        match change {
            Some(Change::Began { lost, of, held_for }) => {
                self.log_later(move |node| {
                    log!(node, warn, lost, of, ?held_for, "lost many nodes at once: copies are replaced later");
                });
            }
            Some(Change::Ended { missing }) => {
                self.log_later(move |node| log!(node, info, missing, "nodes came back: lost copies are replaced now"));
            }
            None => {}
        }
    }

    /// Newcomer slots that may be copied now, in ascending order from that one on.
    pub(in crate::node) fn to_catch_up<'a>(
        &self,
        state: &'a State,
        first: Slot,
    ) -> impl Iterator<Item = (Slot, &'a SlotState)> {
        let waits = self.waits(state, self.held_until(state).is_some());
        state.table.behind_from(first).filter(move |(_, slot)| !waits(slot))
    }

    /// This node is no newcomer, but to slots that it cannot keep now, or whose sources are too busy, and that are copied later:
    /// who joins meanwhile, or brings room, does not wait for these.
    pub(in crate::node) fn is_settled(&self, state: &State) -> bool {
        let now = self.env.now();
        let held_up = |slot: &SlotState| slot.catch_up.as_ref().and_then(|catch_up| catch_up.held_up);
        let kept = |slot: &SlotState| held_up(slot).is_none_or(|at| now >= at + HELD_UP_FOR);
        !self.to_catch_up(state, Slot(0)).any(|(_, slot)| kept(slot))
    }

    /// What waits begins to be impatient with its sources only when it may be copied.
    pub(super) fn postpone_waiting(&self, state: &mut State) {
        let now = self.env.now();
        if state.mass_loss.expire(now) {
            self.log_later(|node| log!(node, info, "nodes did not come back: lost copies are replaced now"));
        }
        let held = state.mass_loss.held_since_last_asked(now) && !state.admitted;
        if !held {
            return;
        }
        let waiting: Vec<Slot> = {
            let waits = self.waits(state, true);
            state.table.behind().filter(|(_, s)| waits(s)).map(|(slot, _)| slot).collect()
        };
        state.table.postpone(&waiting, now);
    }

    /// Until when this node waits with what it may wait with. A node on its way in waits with nothing: it replaces one that
    /// was lost, or is one.
    pub(super) fn held_until(&self, state: &State) -> Option<Instant> {
        state.mass_loss.held_until(self.env.now()).filter(|_| !state.admitted)
    }

    /// Whether a slot is not copied yet, if re-replication is `held`.
    fn waits<'a>(&self, state: &'a State, held: bool) -> impl Fn(&SlotState) -> bool + use<'a> {
        let boot = self.boot;
        let fate = move |(node_id, boot): &Incarnate| match state.members.get(node_id).map(|k| k.record()) {
            Some(r) if r.boot == *boot && r.verdict == Verdict::Dead && r.state != NodeState::Left => Fate::Dead,
            Some(r) if r.boot == *boot && r.present() && r.state == NodeState::Leaving => Fate::Leaving,
            Some(r) if r.boot == *boot && r.verdict == Verdict::Alive && r.present() => Fate::Alive,
            _ => Fate::Doubtful,
        };
        move |slot| held && slot.catch_up.as_ref().is_some_and(|c| mass_loss::waits(c, boot, fate))
    }
}
