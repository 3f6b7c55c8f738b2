//! The life of a node: joining → active → (leaving → left) → stopped; only a node that changes its ring goes back, to joining.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Where in its life a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    /// In no ring, or not yet in any replica list.
    Joining,
    /// In the ring (a client: has a view).
    Active,
    /// Hands over.
    Leaving,
    /// Said goodbye.
    Left,
    /// Ended without a goodbye.
    Stopped,
}

impl Phase {
    /// Data calls work.
    pub(crate) fn serves(self) -> bool {
        matches!(self, Self::Active | Self::Leaving)
    }

    /// Nothing works any more.
    pub(crate) fn ended(self) -> bool {
        matches!(self, Self::Left | Self::Stopped)
    }
}

/// The present phase. Reading it is one load; those who wait for another are told in the order in which they came, which a
/// `tokio::sync::watch` does not promise: a simulation must not depend on it.
pub(crate) struct Life {
    phase: AtomicU8,
    changed: Notify,
}

const PHASES: [Phase; 5] = [Phase::Joining, Phase::Active, Phase::Leaving, Phase::Left, Phase::Stopped];

impl Default for Life {
    fn default() -> Self {
        Self { phase: AtomicU8::new(Phase::Joining as u8), changed: Notify::new() }
    }
}

impl Life {
    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Ordering::Acquire))]
    }

    /// Goes on to `next`; false if that does not follow on the present phase: who leaves joins no more, and nothing follows
    /// on the end.
    pub(crate) fn enter(&self, next: Phase) -> bool {
        let follows = |now: Phase| match next {
            Phase::Joining | Phase::Active => matches!(now, Phase::Joining | Phase::Active),
            Phase::Leaving | Phase::Left | Phase::Stopped => !now.ended(),
        };
        let goes_on = |now: u8| follows(PHASES[usize::from(now)]).then_some(next as u8);
        let entered = self.phase.fetch_update(Ordering::AcqRel, Ordering::Acquire, goes_on);
        if entered.is_ok_and(|before| before != next as u8) {
            self.changed.notify_waiters();
        }
        entered.is_ok()
    }

    /// Waits for a phase of that kind; returns it.
    pub(crate) async fn wait_for(&self, kind: impl Fn(Phase) -> bool) -> Phase {
        loop {
            // Made before the look, so that a change in between is not missed.
            let changed = self.changed.notified();
            let phase = self.phase();
            if kind(phase) {
                return phase;
            }
            changed.await;
        }
    }
}
