//! Peers that this node cannot reach, and others say live: what is between may be broken for long, and is found out once, not
//! by each call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So long others are asked instead, before the direct way is tried again.
const KEPT: Duration = Duration::from_secs(10);
/// Peers remembered; beyond, the oldest are forgotten.
const PEERS_MAX: usize = 256;

/// By their boots, the oldest first.
#[derive(Default)]
pub(crate) struct CutOff {
    /// Read without a lock on the way of each call.
    any: AtomicBool,
    peers: Mutex<Vec<(u64, Instant)>>,
}

impl CutOff {
    pub(crate) fn note(&self, boot: u64, now: Instant) {
        let mut peers = self.peers();
        peers.retain(|(other, at)| *other != boot && now < *at + KEPT);
        if peers.len() == PEERS_MAX {
            peers.remove(0);
        }
        peers.push((boot, now));
        self.any.store(true, Ordering::Release);
    }

    /// It answered this node.
    pub(crate) fn heard(&self, boot: u64, now: Instant) {
        if self.any.load(Ordering::Acquire) {
            let mut peers = self.peers();
            // Those who died are never heard again.
            peers.retain(|(other, at)| *other != boot && now < *at + KEPT);
            self.any.store(!peers.is_empty(), Ordering::Release);
        }
    }

    /// The clock is only looked at where there is somebody.
    pub(crate) fn has(&self, boot: u64, now: impl FnOnce() -> Instant) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let now = now();
        self.peers().iter().any(|(other, at)| *other == boot && now < *at + KEPT)
    }

    fn peers(&self) -> MutexGuard<'_, Vec<(u64, Instant)>> {
        // Each change is one step: a panic leaves nothing half done.
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_cut_off_is_so_for_a_while_or_until_it_answers() {
        let start = crate::env::Env::simulated(1, 0).now();
        let cut_off = CutOff::default();
        assert!(!cut_off.has(1, || start));
        cut_off.note(1, start);
        cut_off.note(2, start);
        assert!(cut_off.has(1, || start + KEPT / 2) && !cut_off.has(3, || start));
        cut_off.heard(2, start);
        assert!(cut_off.has(1, || start) && !cut_off.has(2, || start));
        assert!(!cut_off.has(1, || start + KEPT));
        for boot in 10..10 + 2 * PEERS_MAX as u64 {
            cut_off.note(boot, start);
        }
        assert!(cut_off.peers().len() == PEERS_MAX && cut_off.has(9 + 2 * PEERS_MAX as u64, || start));
    }
}
