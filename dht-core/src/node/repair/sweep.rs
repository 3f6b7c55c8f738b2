//! Expired records and old tombstones give their memory back.

use std::sync::Arc;
use std::time::Duration;

use crate::node::{Node, State};

/// Between two looks for expired records and old tombstones: soon after they expired they take no memory and count no more.
pub(super) const SWEEP_PERIOD: Duration = Duration::from_secs(1);
/// A look takes a twentieth of the time at most, however much there is to look at.
const SWEEP_PART: u32 = 20;

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
            let State { members, graves, .. } = &mut *state;
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
