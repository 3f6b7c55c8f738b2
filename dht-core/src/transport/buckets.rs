//! Token buckets by source: how often an address may do what costs us something before we know who it is. Pure.
//!
//! Loopback is let through: whoever is on this machine has cheaper ways to keep it busy, and all nodes of a test, or of
//! a program that runs a thousand of them, share that one address.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::data::FixedMap;
use crate::data::bucket::{Bucket, Rate};

/// Sources remembered, about 64 bytes each; the ones beyond share one bucket.
const SOURCES_MAX: usize = 16_384;

/// How often sources that have all their tokens again are looked for, if there are too many.
const TIDY_INTERVAL: Duration = Duration::from_secs(1);

/// Connections that one address may open, and introductions by datagram that it may send. A thousand nodes behind one
/// address translator that start at once open two connections each to one node, or try four introductions; once they
/// have, the connections stay. A handshake costs some 50 us and an offer 5, so that one address can take a
/// hundredth of a processor.
pub(super) const ARRIVALS: Rate = Rate { burst: 4_096, per_s: 256 };

/// One bucket per source.
pub(super) struct Buckets {
    rate: Rate,
    buckets: FixedMap<IpAddr, Bucket>,
    /// Of those that find no place.
    rest: Option<Bucket>,
    tidied: Option<Instant>,
}

impl Buckets {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, buckets: FixedMap::default(), rest: None, tidied: None }
    }

    /// Whether `source` (see `source_of`) may, once more.
    pub(super) fn take(&mut self, source: IpAddr, now: Instant) -> bool {
        if source.is_loopback() {
            return true;
        }
        let rate = self.rate;
        let full = Bucket::full(rate, now);
        if self.buckets.len() >= SOURCES_MAX && !self.buckets.contains_key(&source) {
            self.tidy(now);
        }
        let bucket = match self.buckets.len() >= SOURCES_MAX && !self.buckets.contains_key(&source) {
            true => self.rest.get_or_insert(full),
            false => self.buckets.entry(source).or_insert(full),
        };
        bucket.take(rate, now)
    }

    /// Forgets those who would be given all their tokens anyway.
    fn tidy(&mut self, now: Instant) {
        if self.tidied.is_some_and(|tidied| now < tidied + TIDY_INTERVAL) {
            return;
        }
        self.tidied = Some(now);
        let rate = self.rate;
        self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn buckets() -> (Buckets, Instant) {
        (Buckets::new(Rate { burst: 10, per_s: 2 }), crate::env::Env::simulated(1, 0).now())
    }

    fn source(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits((10 << 24) + number))
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_a_rate_for_each_source() {
        let (mut buckets, start) = buckets();
        let mut taken = |source, now| (0..100).filter(|_| buckets.take(source, now)).count();
        assert_eq!(taken(source(1), start), 10);
        assert_eq!(taken(source(2), start), 10, "one does not use up what another has");
        assert_eq!(taken(source(1), start + Duration::from_secs(3)), 6);
        assert_eq!(taken(source(1), start + Duration::from_secs(3_600)), 10, "no more than a burst gathers");
        assert_eq!(taken(IpAddr::V4(Ipv4Addr::LOCALHOST), start), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn many_sources_cost_a_bounded_table() {
        let (mut buckets, start) = buckets();
        let many = SOURCES_MAX as u32 + 1_000;
        let passed = (0..many).filter(|n| buckets.take(source(*n), start)).count();
        assert_eq!(buckets.buckets.len(), SOURCES_MAX);
        assert_eq!(passed, SOURCES_MAX + 10, "the rest shares one bucket");
        let later = start + Duration::from_secs(10);
        assert!(buckets.take(source(many), later));
        assert_eq!(buckets.buckets.len(), 1, "those that are well again are forgotten");
    }
}
