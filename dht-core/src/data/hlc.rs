//! Hybrid logical clock (Kulkarni et al. 2014): 48 bits of wall milliseconds and a 16-bit counter in one word.
//!
//! Nodes tell each other what theirs say. One that is behind goes on ahead of its own wall clock by as much as it was at least
//! behind, so that all stamp by the time of the fastest, but for milliseconds: what a node stamps next is above what any other
//! stamped a moment before, also where none of it was heard of, because its only copy is with a node that is silent.
//!
//! By how much it goes ahead is a lower bound of a difference, never rounded up: else two nodes that hear each other would drive
//! each other on for ever. It is forgotten slowly, so that a clock that was wrong and is right again, or gone, is too.
//!
//! Invariant: two stamps of one clock are never equal and rise, also when the wall clock stands still or steps back, and
//! whatever others claim: a clock that ran to the end of its numbers would stamp all writes alike.

use std::sync::atomic::{AtomicU64, Ordering};

const COUNTER_BITS: u32 = 16;
const COUNTER_MASK: u64 = (1 << COUNTER_BITS) - 1;

/// Stamps from here on, the year 6429, are lies: believed, a few would use up the numbers.
const OBSERVED_END: u64 = 1 << 63;

/// The clock that stamps versions; shared by all tasks of a node.
#[derive(Debug, Default)]
pub(crate) struct Hlc {
    last: AtomicU64,
    /// Milliseconds by which the fastest clock that was heard of is ahead of this node's.
    ahead_ms: AtomicU64,
}

impl Hlc {
    /// A clock whose stamps are all above `stamp`, unless that is beyond all reason, and that goes on so far ahead.
    pub(crate) const fn above(stamp: u64, ahead_ms: u64) -> Self {
        let last = if is_reasonable(stamp) { stamp } else { 0 };
        Self { last: AtomicU64::new(last), ahead_ms: AtomicU64::new(ahead_ms) }
    }

    /// The next stamp: at least `wall_ms`, above every stamp given or observed before.
    pub(crate) fn stamp(&self, wall_ms: u64) -> u64 {
        let time = self.time(wall_ms);
        let next = |last: u64| Some(time.max(last.saturating_add(1)));
        let last = self.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).unwrap_or_else(|last| last);
        time.max(last.saturating_add(1))
    }

    /// The next stamp is above `stamp`, unless that is beyond all reason.
    pub(crate) fn observe(&self, stamp: u64) {
        if is_reasonable(stamp) && !planted!("clock_of_its_own") {
            self.last.fetch_max(stamp, Ordering::AcqRel);
        }
    }

    /// What it says now: no stamp that was given is above.
    pub(crate) fn reading(&self, wall_ms: u64) -> u64 {
        self.time(wall_ms).max(self.last.load(Ordering::Acquire))
    }

    /// Another node's says `reading`; it is followed as far as `most_ms` ahead of the wall clock.
    pub(crate) fn hear(&self, reading: u64, our_wall_ms: u64, most_ms: u64) {
        if planted!("clock_of_its_own") {
            return;
        }
        let most = our_wall_ms.saturating_add(most_ms).min(wall_ms(u64::MAX));
        // Both are cut to whole milliseconds: ours may be almost one more.
        let ahead_ms = wall_ms(reading).min(most).saturating_sub(our_wall_ms.saturating_add(1));
        self.ahead_ms.fetch_max(ahead_ms, Ordering::AcqRel);
        self.last.fetch_max(reading.min(most << COUNTER_BITS | COUNTER_MASK), Ordering::AcqRel);
    }

    /// Once in a while: what is not heard again is forgotten.
    pub(crate) fn relax(&self, by_ms: u64) {
        let less = |ahead: u64| Some(ahead.saturating_sub(by_ms));
        // It always gives one.
        let _ = self.ahead_ms.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }

    /// By how much it goes ahead of the wall clock.
    pub(crate) fn ahead_ms(&self) -> u64 {
        self.ahead_ms.load(Ordering::Relaxed)
    }

    fn time(&self, wall_ms: u64) -> u64 {
        wall_ms.saturating_add(self.ahead_ms()) << COUNTER_BITS
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
        assert_eq!(Hlc::above(u64::MAX, 0).stamp(5), 5 << COUNTER_BITS);
        assert_eq!(Hlc::above(7 << COUNTER_BITS, 0).stamp(5), (7 << COUNTER_BITS) + 1);
    }

    #[test]
    fn goes_by_the_fastest_clock_and_by_no_lie() {
        let (fast, slow) = (Hlc::default(), Hlc::default());
        let stamped = fast.stamp(5_000);
        slow.hear(fast.reading(5_000), 3_000, 2_500);
        assert!(slow.stamp(3_000) > stamped, "above what the other has stamped");
        assert_eq!(wall_ms(slow.stamp(3_100)), 5_099, "and goes on beside it");
        assert_eq!(slow.ahead_ms(), 1_999);
        slow.hear(u64::MAX, 3_100, 2_500);
        assert_eq!(slow.ahead_ms(), 2_499, "no further than that");
        assert!(wall_ms(slow.stamp(3_100)) <= 5_601);
        slow.relax(2_000);
        assert_eq!(slow.ahead_ms(), 499, "what is not heard again is forgotten");
        assert_eq!(wall_ms(Hlc::above(0, 2_000).stamp(4_000)), 6_000, "after a restart too");
    }

    /// Clocks half a millisecond apart, messages that take a tenth of one: whoever rounds up is driven on by the other.
    #[test]
    fn nodes_that_hear_each_other_do_not_run_away() {
        let (a, b) = (Hlc::default(), Hlc::default());
        for tenths in 0..100_000_u64 {
            let (sent_a, got_b) = (tenths / 10, (tenths + 1).saturating_sub(5) / 10);
            b.hear(a.reading(sent_a), got_b, 5_000);
            let (sent_b, got_a) = (tenths.saturating_sub(5) / 10, (tenths + 1) / 10);
            a.hear(b.reading(sent_b), got_a, 5_000);
        }
        assert!(a.ahead_ms() + b.ahead_ms() <= 1, "{} {}", a.ahead_ms(), b.ahead_ms());
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
