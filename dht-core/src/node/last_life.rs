//! What a node's last life is worth: its `data_dir` may be an older backup, and the ring may have gone on without it before it
//! was stopped. Others know that, from their own disks; in a ring that comes back as a whole all ask each other (`last_life`).

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;

use super::peers::Peer;
use super::{Known, Node, State};
use crate::error::ErrorKind;
use crate::ring::record::{NodeId, NodeRecord, Verdict};
use crate::wire::message::{Request, Response};

/// Members that are asked at a time what they found on their disks.
const LIVES_MAX: usize = 64;

impl Node {
    /// In a ring that comes back nobody judges what is left before all that are there have told each other what they have on
    /// their disks of each other: older backups show by it, and nodes without which the ring went on. Returns those (by boot)
    /// that did not answer.
    pub(super) async fn compare_last_lives(&self) -> BTreeSet<u64> {
        let others: Vec<NodeRecord> = {
            let state = self.state();
            let there = |r: &&NodeRecord| r.present() && r.verdict == Verdict::Alive;
            let fresh = |r: &&NodeRecord| there(r) && !state.lives_compared.contains(&r.boot);
            state.members.others().map(Known::record).filter(fresh).take(LIVES_MAX).cloned().collect()
        };
        let own = self.former.as_ref().and_then(|former| former.own.as_ref());
        let deadline = self.env.now() + self.config.request_timeout / 4;
        let tell = |record: NodeRecord| async move {
            let known = self.former_record(&record.node_id).into_iter().chain(own).cloned().collect();
            let tell = Request::LastLife { records: known };
            let answer = self.call(&Peer::from(&record), tell, deadline, 0).await;
            (record, answer)
        };
        let mut silent = BTreeSet::new();
        for (NodeRecord { boot, node_id, address, .. }, answer) in
            futures_util::future::join_all(others.into_iter().map(tell)).await
        {
            match answer {
                Ok(Response::LastLife { records }) => {
                    self.judge_last_life(&records);
                    self.state().lives_compared.insert(boot);
                }
                // A release that does not know the question has nothing to say; it hears what would show an older backup.
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    let records = self.former_record(&node_id).cloned().into_iter().collect();
                    self.tell(&address, Request::Ping { boot: 0, records });
                    self.state().lives_compared.insert(boot);
                }
                _ => {
                    silent.insert(boot);
                }
            }
        }
        silent
    }

    /// Answers `LastLife`.
    pub(crate) fn serve_last_life(&self, records: &[NodeRecord]) -> Response {
        self.judge_last_life(records);
        let known = records.iter().filter_map(|r| self.former_record(&r.node_id));
        Response::LastLife { records: known.cloned().collect() }
    }

    /// Others have found `records` on their disks: what they tell of this node's last life. If the ring has gone on without it,
    /// or with a later life of it, what it kept is not all that there is.
    pub(crate) fn judge_last_life(&self, records: &[NodeRecord]) {
        self.look_for_later_life(records);
        let Some(own) = self.former.as_ref().and_then(|former| former.own.as_ref()) else { return };
        // What somebody remembers of an earlier life says nothing; a suspicion may have been refuted where nobody heard it, a
        // death may not.
        let went_on = |r: &NodeRecord| match r.boot == own.boot {
            true => !r.present() && r.incarnation >= own.placed_at,
            false => r.incarnation > own.incarnation,
        };
        let told = records.iter().any(|r| r.node_id == self.node_id && went_on(r)) && !planted!("last_life_trusted");
        if told && !self.outlived.swap(true, Relaxed) {
            log!(self, info, "the ring has gone on without this node before it was stopped: it catches up");
            self.state().table.forget_last_life();
        }
    }

    /// Looks for signs that this node lived later than its `data_dir` knows: then that is an older backup, and nothing in
    /// it counts as kept.
    pub(crate) fn look_for_later_life(&self, records: &[NodeRecord]) {
        let Some(former) = &self.former else { return };
        let later =
            |r: &&NodeRecord| r.node_id == self.node_id && r.boot != self.boot && !former.boots.contains(&r.boot);
        if records.iter().any(|r| later(&r)) && !self.outdated.swap(true, Relaxed) {
            log!(self, warn, "data_dir is older than this node's last life: it is treated as new and catches up");
            self.state().table.forget_last_life();
        }
    }

    /// All that were there when this node's last life ended have come back and told what they have of it. Else what this node
    /// alone has kept is not known to be all.
    pub(super) fn company_has_told(&self, state: &State) -> bool {
        let told = |record: &NodeRecord| {
            let now = state.members.get(&record.node_id).map(|known| known.record().boot);
            now.is_some_and(|boot| state.lives_compared.contains(&boot))
        };
        self.former.iter().flat_map(|former| &former.others).filter(|r| r.present()).all(told)
    }

    /// What this node kept counts for nothing when the ring comes back.
    pub(super) fn is_outlived(&self) -> bool {
        self.outlived.load(Relaxed)
    }

    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated.load(Relaxed)
    }

    /// What this node found on its disk of that one, also if it was looked for no more.
    pub(crate) fn former_record(&self, node_id: &NodeId) -> Option<&NodeRecord> {
        let former = self.former.as_ref()?;
        former.others.iter().chain(&former.buried).find(|record| record.node_id == *node_id)
    }
}
