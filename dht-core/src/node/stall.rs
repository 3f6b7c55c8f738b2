//! Notices that this process stood still: was stopped, swapped out, or its machine suspended.
//!
//! What lay in its sockets meanwhile was given up by those who sent it: others may have carried it out since, and this node, which still
//! takes itself for the owner, would do so once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Node;
use super::probe::ANSWER_MAX;

/// A look at the clock for each of so many parts of the time after which silence looks like death.
const LOOKS: u32 = 2;

/// When this node last ran, and until when it doubts what comes in, both in milliseconds of uptime.
pub(crate) struct Stall {
    ran_ms: AtomicU64,
    doubtful_until_ms: AtomicU64,
}

impl Default for Stall {
    fn default() -> Self {
        // Before it runs there is nothing to miss.
        Self { ran_ms: AtomicU64::new(u64::MAX), doubtful_until_ms: AtomicU64::new(0) }
    }
}

impl Stall {
    /// Whether the node stood still for `silence` or longer, less than `doubt` ago.
    fn is_doubtful(&self, now_ms: u64, silence: Duration, doubt: Duration) -> bool {
        if Duration::from_millis(now_ms.saturating_sub(self.ran_ms.load(Relaxed))) >= silence {
            self.doubtful_until_ms.fetch_max(now_ms.saturating_add(doubt.as_millis() as u64), Relaxed);
        }
        now_ms < self.doubtful_until_ms.load(Relaxed)
    }

    fn ran(&self, now_ms: u64) {
        self.ran_ms.store(now_ms, Relaxed);
    }
}

impl Node {
    /// A first try that comes in now may be one that others have carried out: this node stood still for so long that they took it for
    /// dead, as long ago as callers wait at most.
    pub(super) fn stood_still(&self) -> bool {
        self.stall.is_doubtful(self.env.uptime_ms(), self.silence(), self.config.request_timeout)
    }

    /// After so long without an answer others take over.
    fn silence(&self) -> Duration {
        ANSWER_MAX.min(self.config.heartbeat_interval)
    }
}

/// Looks at the clock for life.
pub(crate) async fn watch(node: Arc<Node>) {
    loop {
        node.stood_still();
        node.stall.ran(node.env.uptime_ms());
        tokio::time::sleep(node.silence() / LOOKS).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_after_a_stall_is_doubted_for_a_while() {
        let (stall, silence, doubt) = (Stall::default(), Duration::from_millis(500), Duration::from_secs(2));
        let doubtful = |now_ms| stall.is_doubtful(now_ms, silence, doubt);
        assert!(!doubtful(9_000), "it has not begun to run");
        stall.ran(9_000);
        assert!(!doubtful(9_499));
        assert!(doubtful(9_500));
        stall.ran(11_400);
        assert!(doubtful(11_499) && !doubtful(11_500));
    }
}
