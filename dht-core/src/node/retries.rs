//! How much of what a node sends are repetitions: a tenth, so that a ring that is overloaded, or half gone, is not asked
//! twice as much by those that wait for it. Pure but for a lock: the caller brings the time.
//!
//! A retry takes a token; first attempts earn a tenth of one, and some come with time, so that a node with little
//! traffic may insist. Who finds none waits until one has come, unless its deadline is before that. A hedge (asking one
//! more replica because the first are slow) is given up instead.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Tokens for each first attempt.
const SHARE: f64 = 0.1;

/// Tokens that come by themselves: less than any peer would notice.
const PER_S: f64 = 10.0;

/// Tokens that gather without traffic: as many calls as a program may have under way when a node dies.
const BURST: f64 = 128.0;

/// What first attempts earned is kept for about this long.
const WINDOW: Duration = Duration::from_secs(10);

/// The tokens of one node.
pub(crate) struct Retries {
    firsts: AtomicU64,
    tokens: Mutex<Tokens>,
}

struct Tokens {
    left: f64,
    at: Instant,
    /// First attempts when `at` was, and when the window before this one and this one began.
    counted: u64,
    windows: [u64; 2],
    window_at: Instant,
}

impl Retries {
    pub(crate) fn new(now: Instant) -> Self {
        let tokens = Tokens { left: BURST, at: now, counted: 0, windows: [0; 2], window_at: now };
        Self { firsts: AtomicU64::new(0), tokens: Mutex::new(tokens) }
    }

    /// Something is tried for the first time.
    pub(crate) fn first(&self) {
        self.firsts.fetch_add(1, Relaxed);
    }

    /// When one may be made; `None`: not before `deadline`.
    pub(crate) fn reserve(&self, now: Instant, deadline: Instant) -> Option<Instant> {
        let mut tokens = self.refilled(now);
        let wait = Duration::from_secs_f64((1.0 - tokens.left).max(0.0) / PER_S);
        let at = now.checked_add(wait).filter(|at| *at < deadline)?;
        tokens.left -= 1.0;
        Some(at)
    }

    /// Whether one may be made now.
    pub(crate) fn take(&self, now: Instant) -> bool {
        self.take_above(0.0, now)
    }

    /// The same, but half of the burst is left to those that need it more.
    pub(crate) fn spare(&self, now: Instant) -> bool {
        self.take_above(BURST / 2.0, now)
    }

    fn take_above(&self, kept: f64, now: Instant) -> bool {
        let mut tokens = self.refilled(now);
        let enough = tokens.left >= 1.0 + kept;
        tokens.left -= if enough { 1.0 } else { 0.0 };
        enough
    }

    fn refilled(&self, now: Instant) -> std::sync::MutexGuard<'_, Tokens> {
        let firsts = self.firsts.load(Relaxed);
        // Every change under the lock is complete before anything can panic, so a poisoned lock loses nothing.
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(tokens.at);
        let earned = firsts.saturating_sub(tokens.counted) as f64 * SHARE + passed.as_secs_f64() * PER_S;
        if now.saturating_duration_since(tokens.window_at) >= WINDOW {
            tokens.windows = [tokens.windows[1], tokens.counted];
            tokens.window_at = now;
        }
        let kept = BURST + firsts.saturating_sub(tokens.windows[0]) as f64 * SHARE;
        tokens.left = (tokens.left + earned).min(kept);
        (tokens.at, tokens.counted) = (now, firsts);
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries() -> (Retries, Instant) {
        let now = crate::env::Env::simulated(1, 0).now();
        (Retries::new(now), now)
    }

    fn taken(retries: &Retries, now: Instant) -> usize {
        (0..100_000).take_while(|_| retries.take(now)).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenth_of_what_is_tried_may_be_tried_again() {
        let (retries, start) = retries();
        assert_eq!(taken(&retries, start), BURST as usize);
        // A busy minute in which everything fails.
        let mut again = 0;
        for second in 1..=60 {
            (0..10_000).for_each(|_| retries.first());
            again += taken(&retries, start + Duration::from_secs(second));
        }
        assert!((59_000..=61_000).contains(&again), "{again} of 600,000");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_earned_does_not_gather_for_ever() {
        let (retries, start) = retries();
        for second in 1..=100 {
            (0..1_000).for_each(|_| retries.first());
            assert_eq!(taken(&retries, start), if second == 1 { BURST as usize + 100 } else { 100 });
        }
        let (retries, start) = self::retries();
        for second in 1..=100 {
            (0..1_000).for_each(|_| retries.first());
            assert!(retries.take(start + Duration::from_secs(second)));
        }
        let gathered = taken(&retries, start + Duration::from_secs(101));
        assert!((1_000..2_500).contains(&gathered), "{gathered}: of the last 10 to 20 s");
    }

    #[tokio::test(start_paused = true)]
    async fn who_can_wait_leaves_half_to_others() {
        let (retries, start) = retries();
        let spared = (0..1_000).take_while(|_| retries.spare(start)).count();
        assert_eq!((spared, taken(&retries, start)), (BURST as usize / 2, BURST as usize / 2));
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_none_waits_for_one_within_its_deadline() {
        let (retries, start) = retries();
        assert_eq!(taken(&retries, start), BURST as usize);
        let within = |ms| start + Duration::from_millis(ms);
        assert_eq!(retries.reserve(start, within(100)), None);
        assert_eq!(retries.reserve(start, within(101)), Some(within(100)));
        assert_eq!(retries.reserve(start, within(1_000)), Some(within(200)), "one after the other");
        assert!(!retries.take(within(100)), "it is somebody's");
        assert!(!retries.take(within(200)) && retries.take(within(300)));
    }
}
