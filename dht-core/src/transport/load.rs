//! How much one node takes on: requests under way and their bytes, of all peers together, how long a request may have
//! waited for its turn, and how much may wait for peers to take it.
//!
//! A node that is asked for more than it can do has a queue that grows until every caller has given up by the time of
//! its turn, and then does nothing but what nobody waits for any more. So a request that waited for too long is refused
//! when its turn comes, which costs next to nothing, and what is carried out is fresh. Short bursts are waited for:
//! only when a crowd has waited for `PATIENCE` the bound is `WAIT_MAX`, until nothing was refused for `CALM`. (The
//! idea is that of CoDel, Nichols and Jacobson 2012; for servers, Maurer, "Fail at Scale", 2015.) Counters only, no
//! lock; the caller brings the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::wire::class::Class;

/// Requests under way, of all peers together, for each that one peer may have under way.
const PEERS: usize = 16;

/// Bytes under way for each request that may be: small ones are some hundred bytes.
const REQUEST_LEN: usize = 16 << 10;

/// What a coordinator has begun may be this many times as much as what callers ask: two nodes whose callers' writes for each
/// other take all the room they may would refuse each other what those wait for, until all of them time out.
pub(super) const BEGUN_FACTOR: usize = 2;

/// And what keeps the ring together this many times, so that what was begun leaves it room.
const UPKEEP_FACTOR: usize = 3;

/// Bytes that wait for peers to take them, of all connections together, beyond which those that have many of them get
/// nothing new to wait for: as much as a single connection may have, and what a small machine can spare.
const QUEUED_MAX: usize = 256 << 20;

/// How long a node serves at one go what it has read, before others get their turn.
pub(super) const SLICE: Duration = Duration::from_millis(1);

/// How long a request waits for its turn when there is no overload: a burst of a thousand takes less, and so do a hundred
/// callers with batches of a thousand keys. (Maurer's figure.)
const PATIENCE: Duration = Duration::from_millis(100);

/// How long it waits in an overload. What was read has waited about as long to be read, and the caller shall know
/// within 5 ms.
const WAIT_MAX: Duration = Duration::from_millis(2);

/// An overload has ended when nothing was refused for so long.
const CALM: Duration = Duration::from_millis(100);

/// With fewer under way there is no overload, whatever they waited for: a slow store, or a machine that stood still.
const CROWD: usize = 32;

/// What one node has under way.
#[derive(Debug)]
pub(super) struct Load {
    requests_max: usize,
    bytes_max: usize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    /// Bytes that wait for peers to take them.
    queued: AtomicUsize,
    /// Milliseconds of uptime until which there is an overload.
    overloaded_until_ms: AtomicU64,
    /// Callers' requests that wait for their turn, and how many may in an overload.
    waiting: AtomicUsize,
    waiting_max: AtomicUsize,
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    load: Arc<Load>,
    len: usize,
    waits: bool,
}

impl Load {
    /// For a node whose peers may have `buffer_size` requests under way each.
    pub(super) fn new(buffer_size: usize) -> Arc<Self> {
        let requests_max = buffer_size.saturating_mul(PEERS);
        Arc::new(Self {
            requests_max,
            bytes_max: requests_max.saturating_mul(REQUEST_LEN),
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            overloaded_until_ms: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            waiting_max: AtomicUsize::new(CROWD),
        })
    }

    /// Requests that may be under way.
    pub(super) fn requests_max(&self) -> usize {
        self.requests_max
    }

    /// Takes on a request of `len` bytes, if there is room; one that is longer than all the room finds it while what is under
    /// way beside it leaves any.
    pub(super) fn take(self: &Arc<Self>, class: Class, len: usize) -> Option<Taken> {
        let others = self.requests.fetch_add(1, Relaxed);
        let bytes = self.bytes.fetch_add(len, Relaxed).saturating_add(len);
        // Gives it back where there is no room.
        let waits = class == Class::Foreground;
        self.waiting.fetch_add(usize::from(waits), Relaxed);
        let taken = Taken { load: self.clone(), len, waits };
        let (requests_max, bytes_max) = (room(class, self.requests_max), room(class, self.bytes_max));
        let fits = bytes <= bytes_max || len > bytes_max && bytes.saturating_sub(len) < bytes_max;
        (others < requests_max && fits).then_some(taken)
    }

    /// So many bytes more wait for a peer to take them; each goes with `unqueue`.
    pub(super) fn queue(&self, len: usize) {
        self.queued.fetch_add(len, Relaxed);
    }

    /// So many less.
    pub(super) fn unqueue(&self, len: usize) {
        self.queued.fetch_sub(len, Relaxed);
    }

    /// Whether peers leave too much untaken.
    pub(super) fn backlogged(&self) -> bool {
        self.queued.load(Relaxed) > QUEUED_MAX
    }

    /// Whether a request that has waited for its turn for so long is still to be carried out.
    pub(super) fn worthwhile(&self, class: Class, waited: Duration, now_ms: u64) -> bool {
        let overloaded = self.overloaded(now_ms);
        let bound = match class {
            Class::Upkeep | Class::Begun => return true,
            Class::Foreground if overloaded => WAIT_MAX,
            Class::Foreground => PATIENCE,
            Class::Background if overloaded => return false,
            Class::Background => WAIT_MAX,
        };
        let crowded = self.requests.load(Relaxed) >= CROWD;
        let worthwhile = waited <= bound || !crowded && !overloaded;
        if class == Class::Foreground && overloaded {
            self.learn(worthwhile, waited);
        }
        if !worthwhile && crowded && class == Class::Foreground {
            self.prolong(now_ms);
        }
        worthwhile
    }

    /// Whether a request that was just read would only wait in order to be refused.
    pub(super) fn hopeless(&self, class: Class, now_ms: u64) -> bool {
        match class {
            Class::Upkeep | Class::Begun => false,
            Class::Background => self.overloaded(now_ms),
            Class::Foreground => {
                let waiting = self.waiting.load(Relaxed);
                let hopeless = waiting >= self.waiting_max.load(Relaxed) && self.overloaded(now_ms);
                if hopeless {
                    self.prolong(now_ms);
                }
                hopeless
            }
        }
    }

    /// As many may wait as get their turn in time: one less for each that did not, one more for each that had half of
    /// the time left.
    fn learn(&self, in_time: bool, waited: Duration) {
        let waiting_max = self.waiting_max.load(Relaxed);
        let next = match in_time {
            false => waiting_max.saturating_sub(1).max(1),
            true if waited < WAIT_MAX / 2 => waiting_max.saturating_add(1).min(self.requests_max),
            true => waiting_max,
        };
        // Two at the same moment may count as one.
        self.waiting_max.store(next, Relaxed);
    }

    fn prolong(&self, now_ms: u64) {
        self.overloaded_until_ms.store(now_ms.saturating_add(CALM.as_millis() as u64), Relaxed);
    }

    /// Callers are being refused, or were a moment ago.
    pub(super) fn overloaded(&self, now_ms: u64) -> bool {
        now_ms < self.overloaded_until_ms.load(Relaxed)
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.queued.load(Relaxed)
    }

    #[cfg(test)]
    pub(super) fn under_way(&self) -> (usize, usize) {
        (self.requests.load(Relaxed), self.bytes.load(Relaxed))
    }
}

/// How much there may be of that class and all others together, where of what callers ask there may be `ordinary`.
pub(super) fn room(class: Class, ordinary: usize) -> usize {
    let factor = match class {
        Class::Upkeep => UPKEEP_FACTOR,
        Class::Begun => BEGUN_FACTOR,
        Class::Foreground | Class::Background => 1,
    };
    ordinary.saturating_mul(factor)
}

impl Taken {
    /// Its turn has come.
    pub(super) fn begin(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.load.waiting.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.begin();
        self.load.requests.fetch_sub(1, Relaxed);
        self.load.bytes.fetch_sub(self.len, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_bytes_are_bounded_and_given_back() {
        let load = Load::new(2);
        let taken: Vec<_> = (0..32).map(|_| load.take(Class::Foreground, 10).expect("room")).collect();
        assert!(load.take(Class::Foreground, 10).is_none(), "32 are under way");
        assert_eq!(load.under_way(), (32, 320), "what was refused does not count");
        let own = |class| (0..32).map(|_| load.take(class, 10).expect("room of its own")).collect::<Vec<_>>();
        let begun = own(Class::Begun);
        assert!(load.take(Class::Begun, 10).is_none());
        let upkeep = own(Class::Upkeep);
        assert!(load.take(Class::Upkeep, 10).is_none());
        drop((taken, begun, upkeep));
        assert_eq!(load.under_way(), (0, 0));
        let large = load.take(Class::Begun, usize::MAX / 4).expect("alone it is always taken");
        assert!(load.take(Class::Begun, 1).is_none(), "beyond the bytes");
        drop(large);
        let most = load.take(Class::Foreground, (512 << 10) - 1).expect("room");
        let large = load.take(Class::Foreground, (512 << 10) + 1).expect("a single larger one");
        assert!(load.take(Class::Foreground, (512 << 10) + 1).is_none(), "no second one");
        drop((most, large));
        let full = load.take(Class::Foreground, 512 << 10).expect("room");
        assert!(load.take(Class::Foreground, (512 << 10) + 1).is_none(), "nothing is left");
        drop(full);
        let _half = load.take(Class::Foreground, 256 << 10).expect("room");
        assert!(load.take(Class::Foreground, (256 << 10) + 1).is_none());
        assert!(load.take(Class::Foreground, 256 << 10).is_some());
        assert!(load.take(Class::Begun, 768 << 10).is_some(), "its bytes have room of their own");
        assert!(load.take(Class::Begun, (768 << 10) + 1).is_none());
    }

    /// With so many under way.
    fn crowded() -> (Arc<Load>, Vec<Taken>) {
        let load = Load::new(CROWD);
        let crowd = (0..CROWD).map(|_| load.take(Class::Foreground, 10).expect("room")).collect();
        (load, crowd)
    }

    #[test]
    fn a_burst_is_waited_for_and_an_overload_is_not() {
        let ((load, crowd), ms) = (crowded(), Duration::from_millis);
        assert!(load.worthwhile(Class::Foreground, ms(100), 1_000));
        assert!(!load.overloaded(1_000));
        assert!(!load.worthwhile(Class::Foreground, ms(101), 1_000));
        assert!(load.overloaded(1_099));
        assert!(!load.worthwhile(Class::Foreground, ms(3), 1_099));
        assert!(load.worthwhile(Class::Foreground, ms(2), 1_198), "what is fresh is carried out");
        assert!(!load.overloaded(1_199), "nothing was refused for 100 ms");
        assert!(load.worthwhile(Class::Foreground, ms(100), 1_199));
        drop(crowd);
    }

    #[test]
    fn a_few_who_wait_for_long_are_no_overload_and_do_not_prolong_one() {
        let ((load, mut crowd), s) = (crowded(), Duration::from_secs);
        crowd.pop();
        assert!(load.worthwhile(Class::Foreground, s(9), 1_000));
        let last = load.take(Class::Foreground, 10).expect("room");
        assert!(!load.worthwhile(Class::Foreground, s(9), 1_000));
        drop(last);
        assert!(!load.worthwhile(Class::Foreground, s(9), 1_099), "it lasts");
        assert!(load.worthwhile(Class::Foreground, s(9), 1_100), "and no longer for those few");
    }

    #[test]
    fn in_an_overload_as_many_wait_as_get_their_turn_in_time() {
        let ((load, mut crowd), ms) = (crowded(), Duration::from_millis);
        assert!(!load.hopeless(Class::Foreground, 1_000), "there is no overload");
        assert!(!load.worthwhile(Class::Foreground, ms(101), 1_000));
        assert!(load.hopeless(Class::Foreground, 1_000), "as many wait as may");
        assert!(load.hopeless(Class::Background, 1_000));
        assert!(!load.hopeless(Class::Upkeep, 1_000) && !load.hopeless(Class::Begun, 1_000));
        crowd[0].begin();
        assert!(!load.hopeless(Class::Foreground, 1_000));
        for _ in 0..CROWD {
            assert!(!load.worthwhile(Class::Foreground, ms(3), 1_001));
        }
        assert_eq!(load.waiting_max.load(Relaxed), 1, "one always may");
        for _ in 0..CROWD {
            assert!(
                load.worthwhile(Class::Foreground, ms(0), 1_001) && load.worthwhile(Class::Foreground, ms(1), 1_001)
            );
        }
        assert_eq!(load.waiting_max.load(Relaxed), CROWD + 1);
        drop(crowd);
        assert_eq!(load.waiting.load(Relaxed), 0);
    }

    #[test]
    fn what_was_begun_goes_on_and_the_background_goes_last() {
        let ((load, _crowd), ms) = (crowded(), Duration::from_millis);
        assert!(load.worthwhile(Class::Background, ms(2), 1_000));
        assert!(!load.worthwhile(Class::Background, ms(3), 1_000));
        assert!(!load.overloaded(1_000), "repairs that wait are no overload");
        assert!(!load.worthwhile(Class::Foreground, ms(101), 1_000));
        assert!(!load.worthwhile(Class::Background, ms(0), 1_001));
        for class in [Class::Upkeep, Class::Begun] {
            assert!(load.worthwhile(class, Duration::from_secs(9), 1_001));
        }
    }
}
