//! Which node stores, which reads, which is killed: by chance, and again the same for the same seed.

use dht_core::{Env, Error, ErrorKind, Result};

/// The choices of one run: the same for the same seed (SplitMix64, Steele et al. 2014).
pub(crate) struct Chance {
    pub(crate) seed: u64,
    state: u64,
}

impl Chance {
    /// Of `seed`, or of one that is short enough to be typed again.
    pub(crate) fn new(seed: Option<u64>, env: &Env) -> Self {
        let seed = seed.unwrap_or_else(|| env.random_below(1_000_000) as u64);
        Self { seed, state: seed }
    }

    /// One of `things`, all alike; an error if there is none.
    pub(crate) fn one_of<'b, T>(&mut self, things: &'b [T]) -> Result<&'b T> {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The bias of the remainder is beyond notice for a handful of nodes.
        let index = mixed.checked_rem(things.len() as u64).ok_or_else(nothing)?;
        things.get(index as usize).ok_or_else(nothing)
    }
}

/// There is nothing to choose from.
pub(crate) fn nothing() -> Error {
    Error::new(ErrorKind::Internal, "no node is left to choose from")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_choices_and_reaches_everyone() {
        let env = Env::system();
        let choices = |seed| {
            let mut chance = Chance::new(Some(seed), &env);
            (0..64).map(|_| *chance.one_of(&[0, 1, 2, 3, 4]).expect("not empty")).collect::<Vec<_>>()
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
        for wanted in 0..5 {
            assert!(choices(7).contains(&wanted));
        }
        assert!(Chance::new(None, &env).one_of::<u8>(&[]).is_err());
        assert!(Chance::new(None, &env).seed < 1_000_000);
    }
}
