//! Passes over many slots take on a bounded number of them, and go on behind them the next time, until each had its turn. So what
//! a pass keeps of its slots stays small, and none waits for long until those after it are looked at.

use crate::ring::slot::Slot;

/// Slots that one pass takes on: all of them, unless `slot_bits` is more than its default.
const SLOTS_A_PASS: usize = 16_384;

/// What is left after a pass.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Left {
    Nothing,
    /// Slots for which others have to do something first: to catch up, to hear of a list, or to answer.
    InVain,
    /// Some of what was looked at: another pass may finish it.
    Some,
    /// Slots that had no turn yet.
    Turns,
}

impl Left {
    pub(super) const fn some(left: bool) -> Self {
        if left { Self::Some } else { Self::Nothing }
    }
}

/// Where the next pass begins.
#[derive(Debug)]
pub(in crate::node) struct Round {
    next: Slot,
}

impl Default for Round {
    fn default() -> Self {
        Self { next: Slot(0) }
    }
}

impl Round {
    /// The slots whose turn it is, and whether others are left: `Turns` if they are next, `Some` if that was the last of a round
    /// that has to begin again, since slots before these may be due by now. `due` tells in ascending order which slots have to
    /// be looked at: from one on, and not more than so many.
    pub(super) fn turn(&mut self, mut due: impl FnMut(Slot, usize) -> Vec<Slot>) -> (Vec<Slot>, Left) {
        let mut mine = due(self.next, SLOTS_A_PASS + 1);
        if mine.is_empty() && self.next > Slot(0) {
            self.next = Slot(0);
            mine = due(self.next, SLOTS_A_PASS + 1);
        }
        let after = mine.get(SLOTS_A_PASS).copied();
        let left = if after.is_some() { Left::Turns } else { Left::some(self.next > Slot(0)) };
        mine.truncate(SLOTS_A_PASS);
        self.next = after.unwrap_or(Slot(0));
        (mine, left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_its_turn() {
        let due = |count: u32| {
            move |first: Slot, most: usize| {
                (0..count).map(|n| Slot(2 * n)).filter(|slot| *slot >= first).take(most).collect::<Vec<Slot>>()
            }
        };
        let all = due(40_000)(Slot(0), usize::MAX);
        let mut round = Round::default();
        let mut seen = Vec::new();
        for others in [Left::Turns, Left::Turns, Left::Some] {
            let (mine, left) = round.turn(due(40_000));
            assert!(mine.len() <= SLOTS_A_PASS && left == others);
            seen.extend(mine);
        }
        assert_eq!(seen, all);
        assert_eq!(round.turn(due(40_000)).0, &all[..SLOTS_A_PASS], "and again");
        assert_eq!(
            round.turn(due(100)),
            (all[..100].to_vec(), Left::Nothing),
            "those that it would go on with are no longer due"
        );
        assert_eq!(round.turn(due(0)), (Vec::new(), Left::Nothing));
        let most = SLOTS_A_PASS as u32;
        for _ in 0..2 {
            assert_eq!(round.turn(due(most)), (all[..SLOTS_A_PASS].to_vec(), Left::Nothing));
        }
    }
}
