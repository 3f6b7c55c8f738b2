//! A token bucket. Pure: the caller brings the time, and the lock if there is one.

use std::time::Duration;

use tokio::time::Instant;

/// How much may be had: `burst` at once, and `per_s` each second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) burst: u64,
    pub(crate) per_s: u64,
}

/// What is left of a [`Rate`], which is brought along each time so that many buckets of one rate keep it once. Less than
/// nothing after more was spent than there was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Waiting is rounded up by this, so that what it is waited for has come whatever the arithmetic loses.
const ROUNDING: Duration = Duration::from_micros(1);

impl Bucket {
    pub(crate) fn full(rate: Rate, now: Instant) -> Self {
        Self { tokens: rate.burst as f64, at: now }
    }

    /// Whether it has all its tokens again.
    pub(crate) fn is_full(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.tokens >= rate.burst as f64
    }

    /// Takes one token, if there is one.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        let enough = self.tokens >= 1.0;
        self.tokens -= if enough { 1.0 } else { 0.0 };
        enough
    }

    /// Spends so many tokens, whether or not they are there.
    pub(crate) fn spend(&mut self, rate: Rate, now: Instant, tokens: u64) {
        self.refill(rate, now);
        self.tokens -= tokens as f64;
    }

    /// When nothing is owed any more; `None`: now.
    pub(crate) fn paid_at(&mut self, rate: Rate, now: Instant) -> Option<Instant> {
        self.refill(rate, now);
        let owed = (self.tokens < 0.0).then(|| Duration::try_from_secs_f64(-self.tokens / rate.per_s as f64));
        // More than a Duration holds is not waited for to the second.
        owed.map(|wait| now + wait.unwrap_or(OWED_MAX).min(OWED_MAX) + ROUNDING)
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * rate.per_s as f64;
        self.tokens = (self.tokens + gained).min(rate.burst as f64);
        self.at = now;
    }
}

/// Who is told to wait longer than this asks again then.
const OWED_MAX: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_owed_is_paid_at_the_rate() {
        let start = crate::env::Env::simulated(1, 0).now();
        let rate = Rate { burst: 100, per_s: 10 };
        let mut bucket = Bucket::full(rate, start);
        assert!(bucket.is_full(rate, start));
        assert_eq!(bucket.paid_at(rate, start), None);
        bucket.spend(rate, start, 350);
        let paid = start + Duration::from_secs(25) + ROUNDING;
        assert_eq!(bucket.paid_at(rate, start), Some(paid));
        assert!(!bucket.take(rate, start + Duration::from_secs(25)), "nothing is owed, and nothing there");
        assert_eq!(bucket.paid_at(rate, paid), None);
        assert!(bucket.take(rate, paid + Duration::from_secs(1)));
        assert!(bucket.is_full(rate, start + Duration::from_secs(60)));
        bucket.spend(rate, start + Duration::from_secs(60), u64::MAX);
        let at = bucket.paid_at(rate, start + Duration::from_secs(60));
        assert_eq!(at, Some(start + Duration::from_secs(60) + OWED_MAX + ROUNDING), "asks again");
    }
}
