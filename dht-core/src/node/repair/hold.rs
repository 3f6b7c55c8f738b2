//! Re-replication is held after the loss of many nodes at once: which newcomer slots are not copied yet, and what is
//! written of it in the log. The decision is `node/mass_loss.rs`.

use tokio::time::Instant;

use crate::node::mass_loss::{self, Change, Fate, HOLD_MAX, Turnover};
use crate::node::{Node, State, probe};
use crate::ring::list::{Incarnate, SlotState};
use crate::ring::record::{NodeId, NodeState, Verdict};
use crate::ring::slot::Slot;
use crate::ring::view::RingView;

impl Node {
    /// Tallies who was lost and who came between two views, and who is suspected.
    pub(in crate::node) fn note_turnover(&self, state: &mut State, before: &RingView, after: &RingView) {
        let only_in = |here: &RingView, there: &RingView| -> Vec<NodeId> {
            if before.same_placement(after) {
                return Vec::new();
            }
            let ids = here.members().iter().map(|m| &m.record.node_id);
            ids.filter(|id| there.member_index(id).is_none()).cloned().collect()
        };
        let mut lost = only_in(before, after);
        lost.retain(|id| state.members.get(id).is_some_and(|k| k.record().verdict == Verdict::Dead));
        let turnover = Turnover {
            lost: &lost,
            came: &only_in(after, before),
            of: before.members().len(),
            suspects: after.members().iter().filter(|m| m.record.verdict == Verdict::Suspect).count(),
        };
        let silent_max = probe::silent_max(self.config.heartbeat_interval, turnover.of);
        let window = mass_loss::window(silent_max);
        match state.mass_loss.observe(&turnover, self.replicas(), window, self.env.now()) {
            Some(Change::Began { lost, of }) => {
                log!(self, warn, lost, of, held_for = ?HOLD_MAX, "lost many nodes at once: copies are replaced later");
            }
            Some(Change::Ended { missing }) => {
                log!(self, info, missing, "nodes came back: lost copies are replaced now");
            }
            None => {}
        }
    }

    /// Newcomer slots that may be copied now.
    pub(in crate::node) fn to_catch_up(&self, state: &State) -> Vec<Slot> {
        let waits = self.waits(state);
        state.table.slots_where(|s| s.catch_up.is_some() && !waits(s))
    }

    /// What waits begins to wait for its sources only when it may be copied.
    pub(super) fn postpone_waiting(&self, state: &mut State) {
        let now = self.env.now();
        if state.mass_loss.expire(now) {
            log!(self, info, "nodes did not come back: lost copies are replaced now");
        }
        let waits = self.waits(state);
        let waiting = state.table.slots_where(waits);
        state.table.postpone(&waiting, now);
    }

    /// Until when this node waits with what it may wait with. A node on its way in waits with nothing: it replaces one that
    /// was lost, or is one.
    pub(super) fn held_until(&self, state: &State) -> Option<Instant> {
        state.mass_loss.held_until(self.env.now()).filter(|_| !state.admitted)
    }

    /// Whether a slot is not copied yet since too many nodes were lost.
    fn waits<'a>(&self, state: &'a State) -> impl Fn(&SlotState) -> bool + use<'a> {
        let held = self.held_until(state).is_some();
        let boot = self.boot;
        let fate = move |(node_id, boot): &Incarnate| match state.members.get(node_id).map(|k| k.record()) {
            Some(r) if r.boot == *boot && r.verdict == Verdict::Dead && r.state != NodeState::Left => Fate::Dead,
            Some(r) if r.boot == *boot && r.verdict == Verdict::Alive && r.present() => Fate::Alive,
            _ => Fate::Doubtful,
        };
        move |slot| held && slot.catch_up.as_ref().is_some_and(|c| mass_loss::waits(c, boot, fate))
    }
}
