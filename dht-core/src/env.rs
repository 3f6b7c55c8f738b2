//! The only clock and the only source of randomness.
//!
//! Everything above the pure folders asks [`Env`] for the time and for chance, so that the same code runs over
//! sockets and in the simulator. Monotonic time is tokio's, which a simulation pauses; wall time is the machine's, or
//! the paused clock's on a given date; randomness is the operating system's, or a seed's.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::ready;
use std::time::Duration;

use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng, TryRng};
use tokio::time::{Instant, Sleep, sleep_until};

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
    Simulated(Simulated),
}

struct Simulated {
    /// Milliseconds since the Unix epoch at `Inner::started`; from there it follows the monotonic clock.
    start_ms: u64,
    /// How much faster than the monotonic clock it runs, in millionths.
    drift_ppm: i32,
    /// Until when the process stands still.
    paused_until: Mutex<Option<Instant>>,
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
        Self::simulated_with_drift(seed, wall_ms, 0)
    }

    /// As `simulated`, with a wall clock that gains `drift_ppm` millionths (loses, if negative).
    pub fn simulated_with_drift(seed: u64, wall_ms: u64, drift_ppm: i32) -> Self {
        let simulated = Simulated { start_ms: wall_ms, drift_ppm, paused_until: Mutex::new(None) };
        Self::new(Wall::Simulated(simulated), StdRng::seed_from_u64(seed))
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

    /// When `patience` is over that begins now.
    pub(crate) fn after(&self, patience: Duration) -> Instant {
        after(self.now(), patience)
    }

    /// When half of the time until `deadline` is over.
    pub(crate) fn halfway(&self, deadline: Instant) -> Instant {
        let now = self.now();
        now + deadline.saturating_duration_since(now) / 2
    }

    /// Time since this environment was made: since the node started.
    pub fn uptime(&self) -> Duration {
        self.now() - self.0.started
    }

    /// The same in milliseconds, as counters keep it.
    pub(crate) fn uptime_ms(&self) -> u64 {
        self.uptime_ms_at(self.now())
    }

    /// What `uptime_ms` was, or will be, at that moment.
    pub(crate) fn uptime_ms_at(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.0.started).as_millis() as u64
    }

    /// Milliseconds since the Unix epoch. May step backwards; the hybrid clock does not.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    #[inline]
    pub fn wall_ms(&self) -> u64 {
        match &self.0.wall {
            Wall::System => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                since.map_or(0, |d| d.as_millis() as u64)
            }
            Wall::Simulated(Simulated { start_ms, drift_ppm, .. }) => {
                let passed_us = (Instant::now() - self.0.started).as_micros() as i64;
                let gained_us = (i128::from(passed_us) * i128::from(*drift_ppm) / 1_000_000) as i64;
                start_ms.saturating_add_signed((passed_us + gained_us) / 1000)
            }
        }
    }

    /// In a simulation: for `duration` from now nothing that runs through `gated` makes a step, as if the process were
    /// stopped. Its clocks go on.
    pub fn pause(&self, duration: Duration) {
        if let Wall::Simulated(simulated) = &self.0.wall {
            let until = self.now() + duration;
            let mut paused_until = simulated.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
            *paused_until = paused_until.max(Some(until));
        }
    }

    fn paused_until(&self) -> Option<Instant> {
        match &self.0.wall {
            Wall::System => None,
            Wall::Simulated(simulated) => {
                let mut paused_until = simulated.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
                paused_until.take_if(|until| *until <= self.now());
                *paused_until
            }
        }
    }

    /// Runs `task`, but not while a simulation has this environment paused.
    pub async fn gated<F: Future>(self, task: F) -> F::Output {
        let mut task = pin!(task);
        let mut pause: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            loop {
                if let Some(sleep) = &mut pause {
                    ready!(sleep.as_mut().poll(context));
                    pause = None;
                }
                match self.paused_until() {
                    Some(until) => pause = Some(Box::pin(sleep_until(until))),
                    None => return task.as_mut().poll(context),
                }
            }
        })
        .await
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

/// Some thirty years: for ever, but not so long that an instant cannot say it.
pub(crate) const PATIENCE_MAX: Duration = Duration::from_secs(1_000_000_000);

/// When `patience` is over that began at `begun`, however long it is.
pub(crate) fn after(begun: Instant, patience: Duration) -> Instant {
    begun + patience.min(PATIENCE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_environment_makes_no_step_and_goes_on_after() {
        let env = Env::simulated(1, 0);
        let begun = env.now();
        let ticks = Arc::new(Mutex::new(Vec::new()));
        let seen = ticks.clone();
        let clock = env.clone();
        let task = tokio::spawn(env.clone().gated(async move {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                seen.lock().unwrap().push((clock.now() - begun).as_secs());
            }
        }));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        env.pause(Duration::from_secs(10));
        task.await.unwrap();
        assert_eq!(*ticks.lock().unwrap(), [1, 11, 12, 13], "stopped from 1.5 to 11.5");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drifting_clock_gains_or_loses() {
        let clocks = [0, 1_000, -1_000].map(|ppm| Env::simulated_with_drift(1, 5_000, ppm));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(clocks.map(|env| env.wall_ms()), [105_000, 105_100, 104_900]);
    }
}
