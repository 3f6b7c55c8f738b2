//! When to send again (RFC 6298).
//!
//! Every answer names the attempt that it answers, so a sample is exact however often a request was sent: Karn's rule
//! of not measuring what was repeated is not needed. Three constants differ from the RFC's, which were chosen for
//! streams between strangers: the first time-out, its minimum, because a lost datagram of a local network should not
//! cost a second, and its maximum, because calls have deadlines of seconds.

use std::time::Duration;

/// Before anything was measured.
pub(super) const RTO_INITIAL: Duration = Duration::from_millis(200);

/// Also covers that a busy machine runs the other process late, and the clock's granularity.
pub(super) const RTO_MIN: Duration = Duration::from_millis(20);

/// Of every time-out, backed off or not.
pub(super) const RTO_MAX: Duration = Duration::from_secs(1);

/// Round trips to one peer.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct RoundTrip {
    /// SRTT and RTTVAR.
    measured: Option<(Duration, Duration)>,
}

impl RoundTrip {
    /// One more round trip took so long (§2.2, §2.3).
    pub(super) fn sample(&mut self, took: Duration) {
        self.measured = Some(match self.measured {
            None => (took, took / 2),
            Some((smoothed, variation)) => {
                let variation = variation * 3 / 4 + smoothed.abs_diff(took) / 4;
                (smoothed * 7 / 8 + took / 8, variation)
            }
        });
    }

    /// How long to wait for the answer to that attempt (§2.3, and §5.5: doubled with every one before it).
    pub(super) fn timeout(&self, attempt: u16) -> Duration {
        let base = self.measured.map_or(RTO_INITIAL, |(smoothed, variation)| smoothed.saturating_add(variation * 4));
        let factor = 1_u32.checked_shl(attempt.into()).unwrap_or(u32::MAX);
        base.max(RTO_MIN).saturating_mul(factor).min(RTO_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_sample_sets_both_and_later_ones_smooth() {
        let mut trip = RoundTrip::default();
        assert_eq!(trip.timeout(0), RTO_INITIAL);
        trip.sample(ms(80));
        assert_eq!(trip.measured, Some((ms(80), ms(40))));
        assert_eq!(trip.timeout(0), ms(80 + 4 * 40));
        trip.sample(ms(160));
        // RTTVAR = 3/4 · 40 + 1/4 · |80 − 160|, SRTT = 7/8 · 80 + 1/8 · 160.
        assert_eq!(trip.measured, Some((ms(90), ms(50))));
        assert_eq!(trip.timeout(0), ms(90 + 4 * 50));
        for _ in 0..100 {
            trip.sample(ms(100));
        }
        assert!((ms(99)..ms(102)).contains(&trip.timeout(0)), "{:?}", trip.timeout(0));
    }

    #[test]
    fn every_attempt_waits_twice_as_long_within_the_bounds() {
        let mut trip = RoundTrip::default();
        trip.sample(Duration::from_micros(50));
        let waits: Vec<Duration> = (0..8).map(|attempt| trip.timeout(attempt)).collect();
        assert_eq!(waits, [20, 40, 80, 160, 320, 640, 1_000, 1_000].map(ms));
        assert_eq!(trip.timeout(u16::MAX), RTO_MAX);
        trip.sample(Duration::from_secs(100));
        assert_eq!(trip.timeout(0), RTO_MAX);
    }
}
