//! Who may shake hands: connections whose hello is awaited. Pure: the listener brings time and sockets.
//!
//! Whoever opens a connection and says nothing must not keep others out. So there are always places: when all are
//! taken, the newcomer gets that of the connection that has waited longest, among those of the sources that have most of
//! them. An honest handshake takes a round trip; to push it out within that, its own source has to open more
//! connections in a round trip than there are places.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::buckets::{ARRIVALS, Buckets};
use super::by_source::BySource;

/// Connections whose hello is awaited: with a buffer of 4 KiB each 4 MiB, and half of the descriptors that a process
/// usually has.
///
/// (Both ends of them are in one process in tests, which run beside each other: fewer, then.)
pub(super) const WAITING_MAX: usize = if cfg!(test) { 64 } else { 512 };

/// Told when its holder has to go.
pub(super) type Evicted = oneshot::Receiver<std::convert::Infallible>;

/// The handshakes of one listener.
pub(super) struct Gate {
    inner: Mutex<Inner>,
}

struct Inner {
    arrivals: Buckets,
    /// By serial, so oldest first.
    waiting: BTreeMap<u64, Place>,
    by_source: BySource,
    serials: u64,
}

struct Place {
    source: IpAddr,
    /// Dropped to evict.
    _holder: oneshot::Sender<std::convert::Infallible>,
}

impl Gate {
    pub(super) fn new() -> Self {
        let arrivals = Buckets::new(ARRIVALS);
        let inner = Inner { arrivals, waiting: BTreeMap::new(), by_source: BySource::default(), serials: 0 };
        Self { inner: Mutex::new(inner) }
    }

    /// Whether another connection of `source` is looked at; else it opens too many.
    pub(super) fn knock(&self, source: IpAddr, now: Instant) -> bool {
        self.lock().arrivals.take(source, now)
    }

    /// A place for a handshake, and when it is lost again; it must be given back with `leave`. The source of who had to
    /// go for it.
    pub(super) fn enter(&self, source: IpAddr) -> (u64, Evicted, Option<IpAddr>) {
        let mut inner = self.lock();
        let gone = if inner.waiting.len() >= WAITING_MAX { inner.evict() } else { None };
        inner.serials += 1;
        let serial = inner.serials;
        let (holder, evicted) = oneshot::channel();
        inner.waiting.insert(serial, Place { source, _holder: holder });
        inner.by_source.add(source);
        (serial, evicted, gone)
    }

    /// The handshake is over; nothing, if it was evicted before.
    pub(super) fn leave(&self, serial: u64) {
        self.lock().remove(serial);
    }

    /// Descriptors, or the like, have run out: one handshake less. False if there is none.
    pub(super) fn relieve(&self) -> bool {
        self.lock().evict().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A count that is off by one after a panic only moves who is evicted.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn evict(&mut self) -> Option<IpAddr> {
        // Where several have as many, nothing but the time says who is slow: addresses are no reason.
        let most = self.by_source.most();
        let greedy = |place: &Place| self.by_source.count(place.source) == most;
        let oldest = self.waiting.iter().find(|(_, place)| greedy(place)).map(|(serial, _)| *serial)?;
        self.remove(oldest)
    }

    fn remove(&mut self, serial: u64) -> Option<IpAddr> {
        let source = self.waiting.remove(&serial)?.source;
        self.by_source.remove(source);
        Some(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn the_oldest_of_the_greediest_goes() {
        let gate = Gate::new();
        let (_, mut honest, gone) = gate.enter(ip(1));
        assert_eq!(gone, None);
        let mut greedy: Vec<_> = (0..WAITING_MAX - 1).map(|_| gate.enter(ip(2))).collect();
        assert!(greedy.iter().all(|(_, _, gone)| gone.is_none()));
        let (_, mut newcomer, gone) = gate.enter(ip(3));
        assert_eq!(gone, Some(ip(2)));
        assert!(greedy[0].1.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Closed));
        for (_, evicted, _) in &mut greedy[1..] {
            assert!(evicted.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty));
        }
        for waits in [&mut honest, &mut newcomer] {
            assert!(waits.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty));
        }
    }

    #[test]
    fn of_several_that_have_as_many_the_oldest_goes_whatever_its_address() {
        let gate = Gate::new();
        let each = |n: usize| ip(if n == 0 { 100 } else { n as u8 });
        let _places: Vec<_> = (0..WAITING_MAX).map(|n| gate.enter(each(n))).collect();
        for n in 0..3 {
            assert_eq!(gate.enter(ip(200 + n as u8)).2, Some(each(n)));
        }
    }

    #[test]
    fn places_are_given_back_and_never_more_than_there_are() {
        let gate = Gate::new();
        let places: Vec<_> = (0..3 * WAITING_MAX).map(|_| gate.enter(ip(1))).collect();
        assert_eq!(gate.lock().waiting.len(), WAITING_MAX);
        for (serial, ..) in &places {
            gate.leave(*serial);
        }
        let inner = gate.lock();
        assert!(inner.waiting.is_empty() && inner.by_source.is_empty(), "also those that were evicted before");
    }
}
