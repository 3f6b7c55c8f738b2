//! Repair: newcomers catch up, losers hand over, members are compared. One task does all of it, woken by every list
//! change and by every write that missed a replica, and looks at everything once in a while.

mod anti_entropy;
mod bring;
mod catch_up;
mod copy;
mod gather;
mod graves;
mod hand_over;
mod hold;
mod lacking;
mod pace;
mod read_repair;
mod reconcile;
mod share;
mod sift;

pub(crate) use copy::BATCH_BYTES;
pub(in crate::node) use graves::{Graves, forgot};
pub(in crate::node) use hand_over::Offer;
pub(in crate::node) use pace::{Pace, carried_len};
pub(in crate::node) use read_repair::Mended;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Node, Phase};
use crate::error::{Error, ErrorKind};
use crate::wire::message::Request;

/// Between two passes while something is left to do.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// The same while many nodes are missing, or a store has no room: what is left has to wait, and each pass compares it all.
const PAUSE_HELD_MAX: Duration = Duration::from_secs(5);
/// Between two comparisons of everything this node owns with its replicas.
const FULL_PERIOD: Duration = Duration::from_secs(30);
/// Between two looks for expired records and old tombstones: soon after they expired they take no memory and count no more.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);
/// Between two signs of a node that catches up: three of them may be lost (`graves.rs`, `RETURN_MAX`).
const SIGN_PERIOD: Duration = Duration::from_secs(15);
/// A look takes a twentieth of the time at most, however much there is to look at.
const SWEEP_PART: u32 = 20;

/// Repairs for life.
pub(crate) async fn repair(node: Arc<Node>) {
    let mut full_at = node.env.now() + node.env.jittered(FULL_PERIOD);
    let mut pause = PAUSE_MIN;
    loop {
        let full = node.env.now() >= full_at;
        if full {
            full_at = node.env.now() + node.env.jittered(FULL_PERIOD);
        }
        let begun = node.env.now();
        let left = node.repair_pass(full).await;
        let held_until = node.held_until(&node.state());
        let no_room = std::mem::take(&mut node.state().no_room);
        if node.env.now() - begun > PAUSE_MAX && held_until.is_none() && !no_room {
            // It had much to do, and did not wait in vain.
            pause = PAUSE_MIN;
        }
        let until = if left { node.env.now() + node.env.jittered(pause) } else { full_at };
        // The moment at which it goes on is not slept through.
        let until = held_until.map_or(until, |end| until.min(end));
        let pause_max = if held_until.is_some() || no_room { PAUSE_HELD_MAX } else { PAUSE_MAX };
        pause = if left { (pause * 2).min(pause_max) } else { PAUSE_MIN };
        if tokio::time::timeout_at(until, node.repair_wanted.notified()).await.is_ok() {
            pause = PAUSE_MIN;
            // News comes in bunches; one breath makes one pass of them.
            tokio::time::sleep(PAUSE_MIN / 4).await;
        }
    }
}

/// While this node catches up its sources hear so often enough, however long one copy takes: they keep deletions meanwhile.
pub(crate) async fn tell_sources(node: Arc<Node>) {
    loop {
        tokio::time::sleep(node.env.jittered(SIGN_PERIOD)).await;
        for peer in node.sources() {
            node.tell(&peer.address, Request::Compare { items: Vec::new(), catching_up: true, durable: false });
        }
    }
}

/// Gives memory back, for life.
pub(crate) async fn sweep(node: Arc<Node>) {
    let mut pause = SWEEP_PERIOD;
    loop {
        tokio::time::sleep(node.env.jittered(pause)).await;
        let mut worked = Duration::ZERO;
        let now_ms = node.env.wall_ms();
        let grace = node.ring().config.tombstone_grace;
        let age_min = {
            let mut state = node.state();
            let super::State { members, graves, .. } = &mut *state;
            graves.age_min(members, grace, node.env.now())
        };
        let age_min_ms = if planted!("tombstone_early") { 0 } else { age_min.as_millis() as u64 };
        // A slot at a time, so that calls get their turn between two of them.
        for slot in node.store.occupied().unwrap_or_default() {
            let begun = node.env.now();
            let swept = node.store.sweep(slot, now_ms, now_ms.saturating_sub(age_min_ms));
            worked += node.env.now() - begun;
            match swept {
                Ok(dropped) => node.stats.expirations.add(dropped),
                Err(error) => {
                    // One damaged record says nothing of the slots behind it.
                    log!(node, warn, ?slot, %error, "a sweep failed");
                    if !node.store.healthy() {
                        break;
                    }
                }
            }
            tokio::task::yield_now().await;
        }
        pause = SWEEP_PERIOD.max(worked * SWEEP_PART);
    }
}

/// Stops the node when others have sent it what its failed disk does not take, half as long ago as deletions are kept. Until
/// then it answers reads with what it has; later the others forget what was deleted meanwhile, of which it has the values.
/// Nodes whose disks have all failed send each other nothing, and go on answering.
pub(crate) async fn stop_without_disk(node: Arc<Node>) {
    let grace = node.ring().config.tombstone_grace;
    loop {
        tokio::time::sleep(node.env.jittered(SWEEP_PERIOD.min(grace / 8))).await;
        let missed_at_ms = node.missed_at_ms.load(Relaxed);
        let lacks = missed_at_ms > 0 && !node.store.healthy();
        if !lacks || node.life.phase() != Phase::Active {
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
    /// What came from elsewhere is not kept, for that reason.
    pub(in crate::node) fn note_missed(&self, error: &Error) {
        if error.kind() == ErrorKind::Storage {
            let now_ms = self.env.uptime_ms().max(1);
            // What was missed first counts.
            let _ = self.missed_at_ms.compare_exchange(0, now_ms, Relaxed, Relaxed);
        }
    }

    /// One look at everything; true if something is left that another pass may finish.
    async fn repair_pass(self: &Arc<Self>, full: bool) -> bool {
        if self.is_client() || self.life.phase().ended() {
            return false;
        }
        let catching_up = !planted!("no_catch_up") && self.catch_up().await;
        let comparing = self.compare_replicas(full && self.config.backup_replicas).await;
        let handing_over = self.hand_over().await;
        catching_up || comparing || handing_over
    }
}
