//! How fast records are moved for repair: one token bucket of `repair_rate` bytes for all that this node brings over, here
//! or there. It waits before it asks for more, so what an answer brings beyond the tokens is owed, not refused.
//!
//! Over any time `t` it moves at most a burst, `repair_rate` × t, and what conversations had asked for when the tokens ran
//! out: some pages of `BATCH_BYTES` each, or one record that is larger. Read repair does not come by here.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::data::bucket::{Bucket, Rate};
use crate::data::record::Record;
use crate::env::Env;

/// What may come at once, as a part of what a second may bring: a quarter.
const BURST_PART: u64 = 4;
/// What a record costs on the way beside key and value.
const RECORD_LEN: usize = 64;
/// What others bring puts off this node's own questions by as much at most.
const BROUGHT_MAX: Duration = Duration::from_secs(1);
/// What is asked for at a time, at most.
const PORTION_MAX: usize = 4 << 20;
/// A pass begins nothing new after this, so that it is seen within that time what has become more urgent.
pub(super) const SLICE: Duration = Duration::from_secs(5);

/// See the module.
pub(in crate::node) struct Pace(Option<(Rate, Mutex<Bucket>)>);

impl Pace {
    /// `per_s`: bytes; 0: no limit.
    pub(in crate::node) fn new(per_s: u64, now: Instant) -> Self {
        let rate = Rate { burst: per_s / BURST_PART, per_s };
        Self((per_s > 0).then(|| (rate, Mutex::new(Bucket::full(rate, now)))))
    }

    /// Waits until more may be asked for.
    pub(super) async fn turn(&self, env: &Env) {
        while let Some(at) = self.turn_at(env.now()) {
            tokio::time::sleep_until(at).await;
        }
    }

    fn turn_at(&self, now: Instant) -> Option<Instant> {
        let (rate, bucket) = self.0.as_ref()?;
        // Every change under the lock is one assignment, so a poisoned one loses nothing.
        bucket.lock().unwrap_or_else(PoisonError::into_inner).paid_at(*rate, now)
    }

    /// Bytes to ask for at a time: a second's worth at most.
    pub(super) fn portion(&self) -> usize {
        let second = self.0.as_ref().map_or(PORTION_MAX, |(rate, _)| usize::try_from(rate.per_s).unwrap_or(usize::MAX));
        second.min(PORTION_MAX)
    }

    /// Others brought so many bytes, at their rate; this node asks for less meanwhile.
    pub(in crate::node) fn brought(&self, bytes: usize, now: Instant) {
        if self.turn_at(now).is_none_or(|at| at < now + BROUGHT_MAX) {
            self.moved(bytes, now);
        }
    }

    /// So many bytes came, or were sent.
    pub(super) fn moved(&self, bytes: usize, now: Instant) {
        if let Some((rate, bucket)) = &self.0 {
            bucket.lock().unwrap_or_else(PoisonError::into_inner).spend(*rate, now, bytes as u64);
        }
    }
}

/// What records take on the way, about.
pub(in crate::node) fn carried_len<'a>(records: impl IntoIterator<Item = &'a Record>) -> usize {
    records.into_iter().map(|record| record.payload_len() + RECORD_LEN).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 1_000_000;
    const PAGE: usize = 250_000;

    /// Seconds that several conversations take which bring so many pages each.
    async fn took(per_s: u64, conversations: usize, pages: usize) -> f64 {
        let env = Env::simulated(1, 0);
        let begun = env.now();
        let pace = Pace::new(per_s, begun);
        let one = || async {
            for _ in 0..pages {
                pace.turn(&env).await;
                pace.moved(PAGE, env.now());
            }
        };
        futures_util::future::join_all((0..conversations).map(|_| one())).await;
        pace.turn(&env).await;
        (env.now() - begun).as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn all_conversations_together_keep_the_rate() {
        for (conversations, pages) in [(1, 40), (8, 5), (40, 1)] {
            let took = took(RATE, conversations, pages).await;
            // 10 MB less a quarter of a second's worth; the timer has milliseconds.
            assert!((9.75..9.76).contains(&took), "{conversations} conversations: {took} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nobody_waits_and_with_the_slowest_it_ends() {
        assert!(took(0, 8, 40).await <= 0.0);
        let took = took(1, 1, 1).await;
        assert!((250_000.0..250_001.0).contains(&took), "{took} s");
    }
}
