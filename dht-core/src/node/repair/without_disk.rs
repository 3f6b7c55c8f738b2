//! A node whose disk failed goes on answering, but not for so long that it would bring deleted values back.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::sweep::SWEEP_PERIOD;
use crate::error::{Error, ErrorKind};
use crate::node::{Node, Phase};

/// Between two looks at least.
const LOOK_MIN: Duration = Duration::from_millis(25);

/// Stops the node when others have sent it what its failed disk does not take, half as long ago as deletions are kept. Until
/// then it answers reads with what it has; later the others forget what was deleted meanwhile, of which it has the values.
/// Nodes whose disks have all failed send each other nothing, and go on answering.
pub(crate) async fn stop_without_disk(node: Arc<Node>) {
    loop {
        // That of the ring, which may be another one by now.
        let grace = node.ring().config.tombstone_grace;
        tokio::time::sleep(node.env.jittered((grace / 8).clamp(LOOK_MIN, SWEEP_PERIOD))).await;
        node.leave_writes_to_others();
        let missed_at_ms = node.missed_at_ms.load(Relaxed);
        // Where nobody else has what it has, nobody has anything to forget either.
        let needed = node.replicas() < 2 || node.state().members.others().next().is_none();
        if missed_at_ms == 0 || needed || node.life.phase() != Phase::Active {
            continue;
        }
        let lacking = Duration::from_millis(node.env.uptime_ms().saturating_sub(missed_at_ms));
        if lacking >= grace / 2 {
            let why = "its disk takes nothing, and others are about to forget the deletions that it has missed";
            log!(node, error, "{why}; stopping");
            // Not one of the node's own tasks: those end with it.
            tokio::spawn(async move { node.stop_by_itself(Error::new(ErrorKind::Storage, why)).await });
            return;
        }
    }
}

impl Node {
    /// Others coordinate what this node owns, once they have heard that its disk takes nothing.
    fn leave_writes_to_others(&self) {
        if self.store.healthy() || self.is_client() {
            return;
        }
        let told = {
            let mut state = self.state();
            let told = !state.members.own().read_only;
            let told = told.then(|| state.members.declare(|me| me.read_only = true, self.env.now()));
            if told.is_some() {
                self.refresh(&mut state);
            }
            told
        };
        if let Some(record) = told {
            log!(self, warn, "its disk takes nothing: others coordinate the writes of its slots");
            self.spread(record);
        }
    }

    /// What came from elsewhere is not kept, for that reason; a damaged record is no failed disk.
    pub(in crate::node) fn note_missed(&self, error: &Error) {
        if error.kind() == ErrorKind::Storage && !self.store.healthy() {
            let now_ms = self.env.uptime_ms().max(1);
            // What was missed first counts.
            let _ = self.missed_at_ms.compare_exchange(0, now_ms, Relaxed, Relaxed);
        }
    }
}
