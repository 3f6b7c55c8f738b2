//! What a node counts. Counters are relaxed atomics; times go to log-linear histograms (HDR style, 1/16 resolution),
//! which `enable_metrics = false` drops.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::ErrorKind;
use crate::prometheus::Total;
use crate::transport::misbehaviour::Misdeeds;

/// A counter that any task may raise.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One read from memory in so many is timed, and stands for as many: two looks at a clock would be a sixth of what such a read costs.
const TIMED_ONE_IN: u64 = 16;

/// Everything counted at the node called, per key.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) stores_successful: Counter,
    pub(crate) stores_failed: Counter,
    pub(crate) lookups_successful: Counter,
    pub(crate) lookups_failed: Counter,
    pub(crate) lookups_not_found: Counter,
    /// Of the successful ones those that were answered from memory.
    lookups_from_memory: Counter,
    pub(crate) stabilize_operations: Counter,
    pub(crate) finger_table_updates: Counter,
    pub(crate) heartbeats_sent: Counter,
    pub(crate) heartbeats_answered: Counter,
    pub(crate) replications_sent: Counter,
    pub(crate) conflicts_resolved: Counter,
    /// At the node that keeps the record.
    pub(crate) expirations: Counter,
    pub(crate) store_times: Times,
    pub(crate) lookup_times: Times,
    /// What other nodes did, beside what the transport saw.
    pub(crate) misdeeds: Misdeeds,
    errors: Mutex<BTreeMap<&'static str, u64>>,
}

impl Stats {
    pub(crate) fn new(histograms: bool) -> Self {
        let histogram = || histograms.then(Histogram::new);
        let times = || Times { sum_ns: Counter::default(), count: Counter::default(), histogram: histogram() };
        Self {
            stores_successful: Counter::default(),
            stores_failed: Counter::default(),
            lookups_successful: Counter::default(),
            lookups_failed: Counter::default(),
            lookups_not_found: Counter::default(),
            lookups_from_memory: Counter::default(),
            stabilize_operations: Counter::default(),
            finger_table_updates: Counter::default(),
            heartbeats_sent: Counter::default(),
            heartbeats_answered: Counter::default(),
            replications_sent: Counter::default(),
            conflicts_resolved: Counter::default(),
            expirations: Counter::default(),
            store_times: times(),
            lookup_times: times(),
            misdeeds: Misdeeds::default(),
            errors: Mutex::default(),
        }
    }

    /// How many reads from memory the next one stands for in `lookup_times`; 0: it is not timed.
    #[inline]
    pub(crate) fn stands_for(&self) -> u64 {
        match self.lookups_from_memory.get() {
            0 => 1,
            before if before.is_multiple_of(TIMED_ONE_IN) => TIMED_ONE_IN,
            _ => 0,
        }
    }

    /// A read was answered from memory; `took`: by what `stands_for` said, how long.
    #[inline]
    pub(crate) fn found_in_memory(&self, live: bool, took: Option<(Duration, u64)>) {
        self.lookups_from_memory.add(1);
        self.found(live);
        if let Some((each, count)) = took {
            self.lookup_times.record(each, count);
        }
    }

    /// A read was answered.
    #[inline]
    pub(crate) fn found(&self, live: bool) {
        self.lookups_successful.add(1);
        if !live {
            self.lookups_not_found.add(1);
        }
    }

    pub(crate) fn lookup_failed(&self, kind: ErrorKind) {
        self.lookups_failed.add(1);
        self.error(kind);
    }

    pub(crate) fn error(&self, kind: ErrorKind) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(kind.name()).or_default() += 1;
    }

    pub(crate) fn errors(&self) -> BTreeMap<String, u64> {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
    }
}

/// Durations of one kind of call.
#[derive(Debug)]
pub(crate) struct Times {
    sum_ns: Counter,
    count: Counter,
    histogram: Option<Histogram>,
}

impl Times {
    /// `count` keys took `each`.
    pub(crate) fn record(&self, each: Duration, count: u64) {
        let ns = u64::try_from(each.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.add(ns.saturating_mul(count));
        self.count.add(count);
        if let Some(histogram) = &self.histogram {
            histogram.buckets[bucket(ns)].fetch_add(count, Relaxed);
        }
    }

    /// Seconds per key; 0 for none.
    pub(crate) fn average(&self) -> f64 {
        let count = self.count.get();
        if count == 0 { 0.0 } else { self.sum_ns.get() as f64 / count as f64 / 1e9 }
    }

    /// What all keys took together, and how many there were.
    pub(crate) fn total(&self) -> Total {
        Total { took: Duration::from_nanos(self.sum_ns.get()), count: self.count.get() }
    }

    /// Seconds below which the fraction `q` of the recorded times lie, within 1/16; 0 without histogram or times.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        self.histogram.as_ref().map_or(0.0, |h| h.quantile(q))
    }
}

/// Sub-buckets per power of two.
const SUB_BITS: u32 = 4;
/// Times from 0 to 2^41 ns, some 36 minutes; longer ones count as that.
const BUCKETS: usize = (38 << SUB_BITS) as usize;

#[derive(Debug)]
struct Histogram {
    buckets: Box<[AtomicU64]>,
}

impl Histogram {
    fn new() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }

    fn quantile(&self, q: f64) -> f64 {
        let counts: Vec<u64> = self.buckets.iter().map(|b| b.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let rank = (total as f64 * q).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (i, n) in counts.iter().enumerate() {
            seen += n;
            if seen >= rank && total > 0 {
                return upper_bound(i) as f64 / 1e9;
            }
        }
        0.0
    }
}

fn bucket(ns: u64) -> usize {
    let exponent = (u64::BITS - ns.leading_zeros()).saturating_sub(SUB_BITS + 1);
    let index = (u64::from(exponent) << SUB_BITS) + (ns >> exponent);
    (index as usize).min(BUCKETS - 1)
}

fn upper_bound(bucket: usize) -> u64 {
    let exponent = (bucket >> SUB_BITS).saturating_sub(1);
    ((bucket - (exponent << SUB_BITS)) as u64 + 1) << exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_in_its_bucket_within_a_sixteenth() {
        let mut last = 0;
        for ns in (0..200u64).chain((8..41).map(|b| (1 << b) + 12_345 % (1 << b))) {
            let b = bucket(ns);
            assert!(b >= last, "buckets rise");
            last = b;
            assert!(upper_bound(b) > ns, "{ns} in {b} up to {}", upper_bound(b));
            assert!(upper_bound(b) as f64 <= ns as f64 * (1.0 + 1.0 / 16.0) + 1.0, "{ns} up to {}", upper_bound(b));
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_known_times() {
        let times = Stats::new(true).store_times;
        for ms in 1..=100 {
            times.record(Duration::from_millis(ms), 1);
        }
        assert!((times.quantile(0.5) - 0.050).abs() < 0.004, "{}", times.quantile(0.5));
        assert!((times.quantile(0.99) - 0.099).abs() < 0.007, "{}", times.quantile(0.99));
        assert!((times.average() - 0.0505).abs() < 1e-9);
    }

    #[test]
    fn a_timed_read_from_memory_stands_for_those_that_are_not() {
        let stats = Stats::new(true);
        for read in 0..160 {
            let count = stats.stands_for();
            assert_eq!(count > 0, read % 16 == 0, "read {read}");
            stats.found_in_memory(true, (count > 0).then_some((Duration::from_micros(1), count)));
        }
        stats.lookup_times.record(Duration::from_millis(1), 16);
        assert_eq!((stats.lookups_successful.get(), stats.lookups_not_found.get()), (160, 0));
        let mean = (145.0 * 1e-6 + 16.0 * 1e-3) / 161.0;
        assert!((stats.lookup_times.average() - mean).abs() < 1e-9, "{}", stats.lookup_times.average());
    }

    #[test]
    fn without_metrics_there_is_no_histogram_but_the_average_stays() {
        let times = Stats::new(false).lookup_times;
        times.record(Duration::from_millis(10), 4);
        assert_eq!(times.quantile(0.5), 0.0);
        assert!((times.average() - 0.01).abs() < 1e-9);
    }
}
