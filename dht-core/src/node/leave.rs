//! Leaving gracefully: the lists switch to those without us while we still answer as a source; what we hold is on all
//! current replicas before we say goodbye.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::peers::Peer;
use super::{Node, Phase};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::{NodeRecord, NodeState};
use crate::ring::slot::Slot;

/// A goodbye takes that much longer than was allowed: without one, others would have to find out.
const GOODBYE_MIN: Duration = Duration::from_millis(200);

impl Node {
    /// Hands over, says goodbye, ends. Idempotent; the node has ended in any case. A join that is under way is given up.
    ///
    /// # Errors
    /// `Timeout` if not everything was handed over in time: what only this node held is lost to the ring,
    /// unless it is on its disk and comes back with it. `Stopped` if it was
    /// stopped meanwhile.
    pub(crate) async fn leave(self: &Arc<Self>, timeout: Duration) -> Result<()> {
        if self.life.phase().ended() {
            return Ok(());
        }
        let deadline = self.env.after(timeout);
        self.life.enter(Phase::Leaving);
        log!(self, info, "leaves the ring");
        let mut handed_over = true;
        if !self.is_client() && self.state().members.others().next().is_some() {
            // What this node has not caught up with, nobody can take over from it: a leave on top of its own unfinished
            // join, and one dead replica, would leave its successors without enough sources. Bounded, to leave anyway.
            let caught_up = tokio::time::timeout_at(self.env.after(timeout / 2), self.caught_up()).await;
            if caught_up.is_err() {
                log!(self, warn, "leaves before it has caught up");
            }
            let taken_over = tokio::time::timeout_at(deadline, self.somebody_to_take_over()).await;
            if taken_over.is_err() {
                log!(self, warn, "leaves before the one that is to take over has joined");
            }
            let leaving = self.declare(NodeState::Leaving);
            // Whoever does not answer hears of it from others; most of the time is for handing over.
            let told = self.env.now() + deadline.saturating_duration_since(self.env.now()) / 4;
            let _ = tokio::time::timeout_at(told, self.announce(&leaving, &self.everybody())).await;
            self.spread(leaving);
            handed_over = tokio::time::timeout_at(deadline, self.nothing_left()).await.unwrap_or(false);
            // Who keeps on its disk what nobody took over may come back with it: to the others it is one that died, until whose
            // return they remember what is deleted.
            if handed_over || !self.store.persistent() {
                let left = self.declare(NodeState::Left);
                let told = deadline.max(self.env.now() + GOODBYE_MIN);
                let _ = tokio::time::timeout_at(told, self.announce(&left, &self.everybody())).await;
            }
        }
        let phase = self.life.phase();
        if !phase.ended() {
            // Another call that leaves tells its caller the same.
            self.handed_over.store(handed_over, Relaxed);
            log!(self, info, handed_over, "has left the ring");
            self.shut_down(Phase::Left).await;
        }
        if handed_over || phase == Phase::Left && self.handed_over.load(Relaxed) {
            return Ok(());
        }
        if phase == Phase::Stopped {
            return Err(Error::new(ErrorKind::Stopped, "this node was stopped while it handed over"));
        }
        let context = format!("left after {timeout:?} without having handed over everything");
        Err(Error::new(ErrorKind::Timeout, context).unknown_outcome())
    }

    /// Says so from now on, unless another call that leaves has gone further: a goodbye is never taken back.
    fn declare(&self, next: NodeState) -> NodeRecord {
        let mut state = self.state();
        if state.members.own().state >= next {
            return state.members.own().clone();
        }
        let record = state.members.declare(|me| me.state = next, self.env.now());
        self.refresh(&mut state);
        record
    }

    fn everybody(&self) -> BTreeSet<Peer> {
        self.state().members.others().map(|k| Peer::from(k.record())).collect()
    }

    /// Waits until this node is no newcomer to any slot, but to those that are not copied yet since too many were lost.
    async fn caught_up(&self) {
        loop {
            let seen = self.progress.seen();
            if self.to_catch_up(&self.state(), Slot(0)).next().is_none() || self.life.phase().ended() {
                return;
            }
            self.progress.since(seen, self.env.now() + Duration::from_millis(100)).await;
        }
    }

    /// Where nobody but this node is in the lists yet, and another is on its way: waits until that one is. It copies from this
    /// node until then, and would find an empty ring.
    async fn somebody_to_take_over(&self) {
        loop {
            let seen = self.progress.seen();
            let others = self.view().members().iter().any(|member| member.record.node_id != self.node_id);
            if others || !self.somebody_joins() || self.life.phase().ended() {
                return;
            }
            self.progress.since(seen, self.env.now() + Duration::from_millis(100)).await;
        }
    }

    fn somebody_joins(&self) -> bool {
        self.state().members.others().any(|known| known.record().state == NodeState::Joining)
    }

    /// Waits until the repair has handed over every slot; false if this node ended before.
    async fn nothing_left(&self) -> bool {
        loop {
            let seen = self.progress.seen();
            self.repair_wanted.notify_one();
            // An empty slot counts too: those who take it over catch up from us.
            let empty = self.store.occupied().is_ok_and(|slots| slots.is_empty()) && self.state().table.len() == 0;
            let nobody = || self.view().members().is_empty() && !self.somebody_joins();
            if empty || nobody() {
                return true;
            }
            if self.life.phase().ended() {
                return false;
            }
            self.progress.since(seen, self.env.now() + Duration::from_millis(100)).await;
        }
    }
}
