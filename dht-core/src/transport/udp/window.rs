//! Which numbers of a growing sequence were seen, looking back over a bounded window (as IPsec's, RFC 4303 §3.4.3).

/// How far back.
const LEN: u64 = 128;

/// The highest number and those just below it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Window {
    highest: u64,
    /// Bit n: `highest - n` was seen.
    seen: u128,
}

impl Window {
    /// Marks `number` as seen. False if it was seen before, or is too old to tell.
    pub(super) fn first(&mut self, number: u64) -> bool {
        if number > self.highest {
            let by = number - self.highest;
            self.seen = if by >= LEN { 0 } else { self.seen << by };
            self.seen |= 1;
            self.highest = number;
            return true;
        }
        let back = self.highest - number;
        let bit = if back < LEN { 1_u128 << back } else { return false };
        let first = self.seen & bit == 0;
        self.seen |= bit;
        first
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_first_twice(numbers in prop::collection::vec(1_u64..600, 0..300)) {
            let (mut window, mut seen) = (Window::default(), std::collections::BTreeSet::new());
            for number in numbers {
                let newest = seen.last().copied().unwrap_or(0);
                let first = window.first(number);
                prop_assert!(!(first && seen.contains(&number)), "{number} twice");
                prop_assert!(first || seen.contains(&number) || number + LEN <= newest, "{number} was never seen");
                seen.insert(number);
            }
        }
    }
}
