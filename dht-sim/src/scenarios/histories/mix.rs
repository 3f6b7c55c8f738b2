//! What the clients of one run do, and to how many keys: drawn by the seed.

use std::time::Duration;

use dht_core::Env;

/// What a client does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Work {
    /// Puts, reads, deletes of a register; also such that tell what was there.
    Register,
    /// Reads, then compares and swaps, by version or by value.
    Swap,
    /// Adds 1, or reads.
    Count,
    /// Writes that tell what was there.
    Chain,
    /// Values that expire, and changes of their expiry.
    Expiring,
    /// A key of its own, once.
    Add,
    /// A key of its own, put once and later deleted once; and reads of what was deleted.
    Bury,
    /// Several registers at once.
    Batch,
}

/// How often each kind of work is done, with which keys.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    /// Of each kind of work.
    pub(super) weights: Vec<(Work, usize)>,
    /// Of each kind of key.
    pub(super) keys: usize,
    /// At each node.
    pub(super) clients: usize,
    /// Between two operations of a client.
    pub(super) period: Duration,
}

impl Mix {
    /// `busy`: with as many operations as can hit upon each other.
    pub(super) fn draw(env: &Env, busy: bool) -> Self {
        let one_of = |values: &[usize]| values[env.random_below(values.len())];
        let works =
            [Work::Register, Work::Swap, Work::Count, Work::Chain, Work::Expiring, Work::Add, Work::Batch, Work::Bury];
        let mut weights: Vec<(Work, usize)> = works.into_iter().map(|work| (work, one_of(&[0, 1, 1, 4]))).collect();
        if weights.iter().all(|(_, weight)| *weight == 0) {
            weights[0].1 = 1;
        }
        let period = Duration::from_millis(one_of(if busy { &[10, 30, 100] } else { &[100, 200, 400] }) as u64);
        let clients = one_of(if busy { &[1, 2, 3] } else { &[1, 1, 2] });
        Self { weights, keys: one_of(&[1, 2, 6]), clients, period }
    }

    pub(super) fn next(&self, env: &Env) -> Work {
        let mut at = env.random_below(self.weights.iter().map(|(_, weight)| weight).sum());
        for (work, weight) in &self.weights {
            match at.checked_sub(*weight) {
                Some(left) => at = left,
                None => return *work,
            }
        }
        Work::Register
    }
}
