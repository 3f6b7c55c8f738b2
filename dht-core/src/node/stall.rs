//! Notices that this process stood still: was stopped, swapped out, or its machine suspended.
//!
//! What lay in its sockets meanwhile was given up by those who sent it: others may have carried it out since, and this node, which still
//! takes itself for the owner, would do so once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Node;
use super::probe::ANSWER_MAX;
use crate::ring::record::Verdict;

/// Shorter stalls are those of a busy machine, however short the heartbeats are.
const SILENCE_MIN: Duration = Duration::from_millis(200);
/// So long after it what comes in may have lain in a socket; or for as long as it stood still, up to [`DOUBT_MAX`]: the kernel of whoever
/// sent something to a machine that was suspended, or cut off, sends it again at times that double (RFC 6298 §5.5), and this transport's
/// peers end a connection that is mute after two seconds, with what lay there.
const DOUBT: Duration = Duration::from_secs(1);
const DOUBT_MAX: Duration = Duration::from_secs(5);
/// Verdicts on others are put off once in so long: a machine that stalls all the time goes on without those that died.
const PUTS_OFF_AGAIN: Duration = Duration::from_secs(10);

/// When this node last ran, and until when it doubts what comes in, in milliseconds of uptime; and when that was by the time of day, since
/// the other clock may stand still in a suspended machine.
pub(crate) struct Stall {
    ran_ms: AtomicU64,
    ran_wall_ms: AtomicU64,
    doubtful_until_ms: AtomicU64,
    /// Since when verdicts were put off last.
    put_off_ms: AtomicU64,
}

impl Default for Stall {
    fn default() -> Self {
        // Before it runs there is nothing to miss.
        let never = || AtomicU64::new(u64::MAX);
        Self { ran_ms: never(), ran_wall_ms: never(), doubtful_until_ms: AtomicU64::new(0), put_off_ms: never() }
    }
}

impl Stall {
    /// Whether the node stood still lately.
    fn is_doubtful(&self, now_ms: u64, wall_ms: u64, silence: Duration) -> bool {
        // Who sees that it ran again sees what was noted before.
        let gap = now_ms.saturating_sub(self.ran_ms.load(Ordering::Acquire));
        let gap = gap.max(wall_ms.saturating_sub(self.ran_wall_ms.load(Ordering::Acquire)));
        if u128::from(gap) >= silence.as_millis() {
            let doubt = Duration::from_millis(gap).clamp(DOUBT, DOUBT_MAX);
            self.doubt(now_ms, doubt);
        }
        now_ms < self.doubtful_until_ms.load(Ordering::Relaxed)
    }

    /// What comes in is doubted for so long, at least.
    fn doubt(&self, now_ms: u64, doubt: Duration) {
        self.doubtful_until_ms.fetch_max(now_ms.saturating_add(doubt.as_millis() as u64), Ordering::Relaxed);
    }

    /// Whether a node that stood still puts off what it says of others.
    pub(super) fn puts_off_verdicts(&self, now_ms: u64) -> bool {
        let since = self.put_off_ms.load(Ordering::Relaxed);
        let passed = now_ms.checked_sub(since).map(Duration::from_millis);
        if passed.is_none_or(|passed| passed >= PUTS_OFF_AGAIN) {
            self.put_off_ms.store(now_ms, Ordering::Relaxed);
            return true;
        }
        passed.is_some_and(|passed| passed < DOUBT)
    }

    fn ran(&self, now_ms: u64, wall_ms: u64) {
        self.ran_ms.store(now_ms, Ordering::Release);
        self.ran_wall_ms.store(wall_ms, Ordering::Release);
    }
}

impl Node {
    /// A first try that comes in now may be one that others have carried out: this node stood still for so long that they took it for
    /// dead. A time of day that was set forward looks like that too, and costs a round trip.
    pub(super) fn stood_still(&self) -> bool {
        self.stall.is_doubtful(self.env.uptime_ms(), self.env.wall_ms(), self.silence())
    }

    /// Others took this node for dead, or nearly, and over what it owned: what was sent to it before may still come.
    pub(super) fn was_doubted(&self, verdict: Verdict) {
        self.stall.doubt(self.env.uptime_ms(), if verdict == Verdict::Dead { DOUBT_MAX } else { DOUBT });
    }

    /// After so long without an answer others take over.
    fn silence(&self) -> Duration {
        ANSWER_MAX.min(self.config.heartbeat_interval).max(SILENCE_MIN)
    }
}

/// Looks at the clocks for life.
pub(crate) async fn watch(node: Arc<Node>) {
    loop {
        let (now_ms, wall_ms) = (node.env.uptime_ms(), node.env.wall_ms());
        // Noted before it seems to run again.
        node.stall.is_doubtful(now_ms, wall_ms, node.silence());
        node.stall.ran(now_ms, wall_ms);
        tokio::time::sleep(node.silence() / 2).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stalls_all_the_time_puts_off_verdicts_now_and_then_only() {
        let stall = Stall::default();
        let put_off: Vec<u64> = (500..30_000).step_by(250).filter(|now_ms| stall.puts_off_verdicts(*now_ms)).collect();
        assert_eq!(put_off, [500, 750, 1_000, 1_250, 10_500, 10_750, 11_000, 11_250, 20_500, 20_750, 21_000, 21_250]);
    }

    #[test]
    fn what_comes_in_after_a_stall_is_doubted_for_a_while() {
        let stall = Stall::default();
        let doubtful = |now_ms, wall_ms| stall.is_doubtful(now_ms, wall_ms, Duration::from_millis(500));
        assert!(!doubtful(9_000, 77_000), "it has not begun to run");
        stall.ran(9_000, 77_000);
        assert!(!doubtful(9_499, 77_499));
        assert!(doubtful(9_500, 77_500));
        stall.ran(10_400, 78_400);
        assert!(doubtful(10_499, 78_499) && !doubtful(10_500, 78_500));
        // The machine was suspended, and one clock with it.
        assert!(doubtful(10_500, 79_000));
        stall.ran(11_400, 70_000);
        assert!(!doubtful(11_500, 70_100), "set back");
        // For longer: what was sent meanwhile is on its way for as long again, if not for ever.
        for (at, gap, doubt) in [(20_000, 3_000, 3_000), (100_000, 60_000, 5_000)] {
            stall.ran(at - gap, 78_000);
            assert!(doubtful(at, 78_000));
            stall.ran(at + doubt - 1, 78_000);
            assert!(doubtful(at + doubt - 1, 78_000) && !doubtful(at + doubt, 78_000));
        }
    }
}
