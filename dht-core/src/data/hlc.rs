//! Hybrid logical clock (Kulkarni et al. 2014): 48 bits of wall milliseconds and a 16-bit counter in one word.
//!
//! Invariant: two stamps of one clock are never equal and rise, also when the wall clock stands still or steps back, and
//! whatever others claim: a clock that ran to the end of its numbers would stamp all writes alike.

use std::sync::atomic::{AtomicU64, Ordering};

const COUNTER_BITS: u32 = 16;

/// Stamps from here on, the year 6429, are lies: believed, a few would use up the numbers.
const OBSERVED_END: u64 = 1 << 63;

/// The clock that stamps versions; shared by all tasks of a node.
#[derive(Debug, Default)]
pub(crate) struct Hlc(AtomicU64);

impl Hlc {
    /// A clock whose stamps are all above `stamp`, unless that is beyond all reason.
    pub(crate) const fn above(stamp: u64) -> Self {
        Self(AtomicU64::new(if is_reasonable(stamp) { stamp } else { 0 }))
    }

    /// The next stamp: at least `wall_ms`, above every stamp given or observed before.
    pub(crate) fn stamp(&self, wall_ms: u64) -> u64 {
        let wall = wall_ms << COUNTER_BITS;
        let next = |last: u64| Some(wall.max(last.saturating_add(1)));
        let last = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).unwrap_or_else(|last| last);
        wall.max(last.saturating_add(1))
    }

    /// The next stamp is above `stamp`, unless that is beyond all reason.
    pub(crate) fn observe(&self, stamp: u64) {
        if is_reasonable(stamp) && !planted!("clock_of_its_own") {
            self.0.fetch_max(stamp, Ordering::AcqRel);
        }
    }
}

/// Not a lie, as far as a stamp itself shows.
pub(crate) const fn is_reasonable(stamp: u64) -> bool {
    stamp < OBSERVED_END
}

/// The wall clock part of a stamp, in Unix milliseconds.
pub(crate) fn wall_ms(stamp: u64) -> u64 {
    stamp >> COUNTER_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_from_no_lie() {
        assert_eq!(Hlc::above(u64::MAX).stamp(5), 5 << COUNTER_BITS);
        assert_eq!(Hlc::above(7 << COUNTER_BITS).stamp(5), (7 << COUNTER_BITS) + 1);
    }

    #[test]
    fn rises_when_the_wall_clock_stands_or_steps_back() {
        let clock = Hlc::default();
        let mut last = 0;
        for wall in [5, 5, 5, 3, 0, 6, 6] {
            let stamp = clock.stamp(wall);
            assert!(stamp > last, "{stamp:#x} after {last:#x} at wall {wall}");
            assert!(wall_ms(stamp) >= wall);
            last = stamp;
        }
    }

    #[test]
    fn stamps_above_what_it_observed() {
        let clock = Hlc::default();
        clock.observe(77 << COUNTER_BITS);
        assert!(clock.stamp(1) > 77 << COUNTER_BITS);
        clock.observe(3);
        assert!(clock.stamp(1) > 77 << COUNTER_BITS);
    }

    #[test]
    fn a_stamp_from_the_end_of_time_does_not_stop_the_clock() {
        let clock = Hlc::default();
        for lie in [u64::MAX, u64::MAX - 1, OBSERVED_END] {
            clock.observe(lie);
        }
        assert_eq!(wall_ms(clock.stamp(9)), 9);
        clock.observe(OBSERVED_END - 1);
        let first = clock.stamp(9);
        assert!(clock.stamp(9) > first && first >= OBSERVED_END);
    }

    #[test]
    fn counter_overflow_runs_into_the_milliseconds() {
        let clock = Hlc::default();
        clock.observe((9 << COUNTER_BITS) | 0xffff);
        assert_eq!(wall_ms(clock.stamp(9)), 10);
    }
}
