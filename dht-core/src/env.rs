//! The only clock and the only source of randomness.
//!
//! Everything above the pure folders asks [`Env`] for the time and for chance, so that the same code runs over
//! sockets and in the simulator. Monotonic time is tokio's, which a simulation pauses; wall time is the machine's, or
//! the paused clock's on a given date; randomness is the operating system's, or a seed's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng, TryRng};
use tokio::time::Instant;

/// A handle on time and chance; clones share one generator.
#[derive(Clone)]
pub struct Env(Arc<Inner>);

struct Inner {
    started: Instant,
    wall: Wall,
    rng: Mutex<StdRng>,
}

enum Wall {
    System,
    /// Milliseconds since the Unix epoch at `started`; from there it follows the monotonic clock.
    Simulated(u64),
}

impl Env {
    /// The machine's clock and the operating system's randomness.
    pub fn system() -> Self {
        let mut seed = [0; 32];
        // A machine without an entropy source cannot draw ids that must never collide: there is no safe fall-back.
        SysRng.try_fill_bytes(&mut seed).expect("the operating system gives no randomness");
        Self::new(Wall::System, StdRng::from_seed(seed))
    }

    /// Everything follows from `seed`; the wall clock shows `wall_ms` (Unix milliseconds) now and then follows
    /// tokio's clock, which the caller has paused.
    pub fn simulated(seed: u64, wall_ms: u64) -> Self {
        Self::new(Wall::Simulated(wall_ms), StdRng::seed_from_u64(seed))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn new(wall: Wall, rng: StdRng) -> Self {
        Self(Arc::new(Inner { started: Instant::now(), wall, rng: Mutex::new(rng) }))
    }

    /// Monotonic now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    #[inline]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Time since this environment was made: since the node started.
    pub fn uptime(&self) -> Duration {
        self.now() - self.0.started
    }

    /// Milliseconds since the Unix epoch. May step backwards; the hybrid clock does not.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    #[inline]
    pub fn wall_ms(&self) -> u64 {
        match self.0.wall {
            Wall::System => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                since.map_or(0, |d| d.as_millis() as u64)
            }
            Wall::Simulated(start) => start + (Instant::now() - self.0.started).as_millis() as u64,
        }
    }

    /// A uniformly random number.
    pub fn random_u64(&self) -> u64 {
        self.with_rng(|rng| rng.random())
    }

    /// A uniformly random number.
    pub fn random_u128(&self) -> u128 {
        self.with_rng(|rng| rng.random())
    }

    /// A uniformly random index below `bound`, or 0 when `bound` is 0.
    pub fn random_below(&self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.with_rng(|rng| rng.random_range(0..bound)) }
    }

    /// `period` ± 20 %, so that nodes started together do not act together.
    pub fn jittered(&self, period: Duration) -> Duration {
        period.mul_f64(self.with_rng(|rng| rng.random_range(0.8..1.2)))
    }

    fn with_rng<T>(&self, f: impl FnOnce(&mut StdRng) -> T) -> T {
        // A generator is valid in every state, so a poisoned lock loses nothing.
        f(&mut self.0.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}
