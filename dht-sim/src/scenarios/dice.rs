//! What plans are drawn with.

use std::time::Duration;

use dht_core::Env;

/// Draws from an environment.
pub(super) struct Dice<'a>(pub(super) &'a Env);

impl Dice<'_> {
    pub(super) fn below(&self, bound: usize) -> usize {
        self.0.random_below(bound)
    }

    /// Both included.
    pub(super) fn between(&self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub(super) fn one_of<T: Copy>(&self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    pub(super) fn percent(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Milliseconds, both included.
    pub(super) fn ms(&self, low: usize, high: usize) -> Duration {
        Duration::from_millis(self.between(low, high) as u64)
    }
}
