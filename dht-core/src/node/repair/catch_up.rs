//! A newcomer catches up: it merges its slot from enough caught-up members of the list before, each of which must have
//! adopted the new list, so that none of them acknowledges under the old one any more (DESIGN.md §4, list change).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::reconcile::{Compared, Direction};
use crate::data::fingerprint::Fingerprint;
use crate::node::Node;
use crate::node::peers::Peer;
use crate::ring::list::{SlotState, Standing, quorum};
use crate::ring::record::Verdict;
use crate::ring::slot::Slot;

/// A newcomer whose sources are dead goes on without them after this, marked degraded.
const HOPELESS_MAX: Duration = Duration::from_secs(1);
/// The same if they live but do not get anywhere either.
const STUCK_MAX: Duration = Duration::from_secs(15);

impl Node {
    /// One pass over all newcomer slots; true if some are left.
    pub(super) async fn catch_up(self: &Arc<Self>) -> bool {
        let plan = self.catch_up_plan();
        let work = plan.into_iter().map(|(peer, slots)| self.catch_up_from(peer, slots));
        futures_util::future::join_all(work).await;
        self.give_up_on_the_dead();
        let left = !self.state().table.slots_where(|s| s.catch_up.is_some()).is_empty();
        if !left && self.was_joining() {
            self.release_admissions();
        }
        left
    }

    /// Whom to ask about which slots: members of the lists before and of the present one.
    fn catch_up_plan(&self) -> BTreeMap<Peer, Vec<Slot>> {
        let mut plan: BTreeMap<Peer, Vec<Slot>> = BTreeMap::new();
        let view = self.view();
        let replicas = self.replicas();
        let state = self.state();
        for slot in state.table.slots_where(|s| s.catch_up.is_some()) {
            let Some(catch_up) = state.table.get(slot).and_then(|s| s.catch_up.as_ref()) else { continue };
            let present = view.replica_list(slot, replicas);
            let current = present.iter().map(|m| (view.member(*m).node_id.clone(), view.member(*m).boot));
            let mut sources: Vec<_> = catch_up.sources.iter().flat_map(|l| l.iter().cloned()).chain(current).collect();
            sources.sort();
            sources.dedup();
            for source in sources {
                let known = state.members.get(&source.0).map(|k| k.record());
                let reachable = known.filter(|r| r.boot == source.1 && r.present() && r.verdict == Verdict::Alive);
                if let Some(record) = reachable
                    && record.boot != self.boot
                    && !catch_up.merged.contains(&source)
                {
                    plan.entry(Peer::from(record)).or_default().push(slot);
                }
            }
        }
        plan
    }

    async fn catch_up_from(self: &Arc<Self>, peer: Peer, slots: Vec<Slot>) {
        let compared = match self.compare(&peer, &slots).await {
            Ok(compared) => compared,
            Err(error) => {
                log!(self, debug, peer = %peer.node_id, %error, "cannot catch up from it yet");
                return;
            }
        };
        let (mut equal, mut empty, mut differing, mut strangers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for Compared { slot, ours, theirs } in compared {
            let mut state = self.state();
            let Some(list) = state.table.list(slot) else { continue };
            if list.members != theirs.list.members {
                strangers.push(slot);
                continue;
            }
            // A newcomer counts for nothing yet, so it may learn the counter from anybody.
            state.table.raise_counter(slot, theirs.list);
            match theirs.standing {
                Standing::CaughtUp if ours == theirs.fingerprint => equal.push(slot),
                Standing::CaughtUp if ours == Fingerprint::EMPTY => empty.push(slot),
                Standing::CaughtUp => differing.push(slot),
                Standing::Newcomer | Standing::Outsider => {}
            }
        }
        if !strangers.is_empty() {
            let _ = self.sync(&peer, &strangers).await;
        }
        self.merged(&peer, &equal);
        match self.pull_slots(&peer, &empty).await {
            Ok(()) => self.merged(&peer, &empty),
            Err(error) => log!(self, debug, peer = %peer.node_id, %error, "catch-up broke off"),
        }
        let reconciled = self.reconcile(&peer, &differing, Direction::Here).await;
        self.merged(&peer, &reconciled);
    }

    /// Notes what was merged from `peer`; slots that are caught up thereby answer reads from now on.
    fn merged(&self, peer: &Peer, slots: &[Slot]) {
        let mut state = self.state();
        let source = (peer.node_id.clone(), peer.boot);
        for &slot in slots {
            let Some(list) = state.table.list(slot) else { continue };
            if state.table.merged_from(slot, list, &source) {
                self.readable.set(slot, state.table.get(slot).is_some_and(SlotState::readable));
            }
        }
        drop(state);
        self.progress.send_modify(|n| *n += 1);
    }

    fn give_up_on_the_dead(&self) {
        let now = self.env.now();
        let mut state = self.state();
        let super::super::State { table, members, .. } = &mut *state;
        let lives = |source: &(crate::ring::record::NodeId, u64)| {
            let known = members.get(&source.0).map(|k| k.record());
            source.1 != self.boot && known.is_some_and(|r| r.boot == source.1 && r.present())
        };
        let hopeless = |s: &SlotState| {
            s.catch_up.as_ref().is_some_and(|c| {
                let lost = |list: &std::sync::Arc<[_]>| {
                    list.iter().filter(|m| lives(m)).count() < list.len() - quorum(list.len()) + 1
                };
                now >= c.since + if c.sources.iter().all(lost) { HOPELESS_MAX } else { STUCK_MAX }
            })
        };
        let given_up = table.give_up_waiting(hopeless);
        for &slot in &given_up {
            self.readable.set(slot, table.get(slot).is_some_and(SlotState::readable));
        }
        if !given_up.is_empty() {
            log!(
                self,
                warn,
                slots = given_up.len(),
                "lost too many replicas at once: these slots go on with what is left"
            );
            drop(state);
            self.progress.send_modify(|n| *n += 1);
        }
    }

    /// True once after each join, when it is time to let the next one in.
    fn was_joining(&self) -> bool {
        std::mem::take(&mut self.state().admitted)
    }
}
