//! Counts what calls in trouble wait for: a new view, a newcomer caught up, a list agreed upon.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Those who wait are told in the order in which they came, which a `tokio::sync::watch` does not promise: a simulation
/// must not depend on it.
#[derive(Default)]
pub(crate) struct Progress {
    count: AtomicU64,
    moved: Notify,
}

impl Progress {
    /// What to compare with later.
    pub(crate) fn seen(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Something happened.
    pub(crate) fn step(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.moved.notify_waiters();
    }

    /// Waits until something happened since `seen`, but not longer than until `until`.
    pub(crate) async fn since(&self, seen: u64, until: Instant) {
        // Made before the look, so that a step in between is not missed. Either way the caller looks again.
        let moved = self.moved.notified();
        if self.seen() == seen {
            let _ = timeout_at(until, moved).await;
        }
    }
}
