//! Which numbers of a growing sequence were seen, looking back over a bounded window (as IPsec's, RFC 4303 §3.4.3; kept in
//! words that are used in turn, RFC 6479).

/// The highest number and those below it, as far as `WORDS` words of 64 reach: all but one of them count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window<const WORDS: usize> {
    highest: u64,
    /// Bit `number % 64` of word `number / 64 % WORDS`: it was seen.
    words: [u64; WORDS],
}

impl<const WORDS: usize> Default for Window<WORDS> {
    fn default() -> Self {
        Self { highest: 0, words: [0; WORDS] }
    }
}

impl<const WORDS: usize> Window<WORDS> {
    /// How far back.
    const LEN: u64 = (WORDS as u64 - 1) * 64;

    /// Marks `number` as seen. False if it was seen before, or is too old to tell.
    pub(super) fn first(&mut self, number: u64) -> bool {
        let place = |word: u64| (word % WORDS as u64) as usize;
        if number > self.highest {
            let (from, to) = (self.highest / 64, number / 64);
            for word in (from + 1..=to).take(WORDS) {
                if let Some(word) = self.words.get_mut(place(word)) {
                    *word = 0;
                }
            }
            self.highest = number;
        } else if self.highest - number >= Self::LEN {
            return false;
        }
        let bit = 1 << (number % 64);
        let Some(word) = self.words.get_mut(place(number / 64)) else { return false };
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nothing_is_first_twice<const WORDS: usize>(numbers: Vec<u64>) -> Result<(), TestCaseError> {
        let (mut window, mut seen) = (Window::<WORDS>::default(), std::collections::BTreeSet::new());
        for number in numbers {
            let newest = seen.last().copied().unwrap_or(0);
            let first = window.first(number);
            prop_assert!(!(first && seen.contains(&number)), "{number} twice");
            let old = number + Window::<WORDS>::LEN <= newest;
            prop_assert!(first || seen.contains(&number) || old, "{number} was never seen");
            seen.insert(number);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn nothing_is_first_twice_in_few_words(numbers in prop::collection::vec(1_u64..600, 0..300)) {
            nothing_is_first_twice::<3>(numbers)?;
        }

        #[test]
        fn nothing_is_first_twice_in_many_words(numbers in prop::collection::vec(1_u64..9_000, 0..2_000)) {
            nothing_is_first_twice::<33>(numbers)?;
        }
    }
}
