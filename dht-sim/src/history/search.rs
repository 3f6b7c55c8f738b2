//! Is there an order of a key's operations, each at some instant between its begin and its end, in which a sequential key
//! would have told the same? Found by search (Wing and Gong, "Testing and verifying concurrent objects", 1993) that does not
//! visit the same set of operations with the same state twice (Lowe, "Testing for linearizability", 2017).
//!
//! Shares no rule with the other checkers. Versions are not looked at, but for the value that a compare-and-swap by version
//! had seen. What has no known outcome may take effect at any later time, or never.

use super::{Action, Expected, Operation, Outcome, Sight};
use crate::FixedSet;

/// What the search found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// There is such an order.
    Linearizable,
    /// There is none. At the furthest, the first that had no place yet was this one.
    Not {
        /// Its begin.
        stuck_at: u64,
    },
    /// The search was given up after that many steps.
    Undecided,
}

/// Sets of operations: one bit each.
type Set = Box<[u64]>;

struct Search<'a> {
    operations: &'a [Operation],
    /// Those that must have a place.
    required: usize,
    done: Set,
    seen: FixedSet<(Set, Option<i64>)>,
    steps_left: u64,
    /// The most required operations that had a place, and the first that had none then.
    furthest: (usize, usize),
}

/// Searches with at most `steps_max` steps. `operations` are those of one key without expiry, in the order of the begins.
pub fn linearizable(operations: &[Operation], steps_max: u64) -> Verdict {
    let useful: Vec<Operation> =
        operations.iter().filter(|o| o.outcome != Outcome::Rejected && !o.peeks()).copied().collect();
    let useful = without_the_unseen(useful);
    let mut search = Search {
        operations: &useful,
        required: useful.iter().filter(|o| o.told().is_some()).count(),
        done: vec![0; useful.len().div_ceil(64)].into(),
        seen: FixedSet::default(),
        steps_left: steps_max,
        furthest: (0, 0),
    };
    search.run()
}

/// Of writes of unknown outcome, only those that somebody saw need a place, where every trace of a value is told.
fn without_the_unseen(operations: Vec<Operation>) -> Vec<Operation> {
    let sights = || operations.iter().filter_map(|o| Some(o.told()?.sight));
    if sights().any(|sight| sight == Sight::Live) {
        return operations;
    }
    let seen: FixedSet<i64> = sights()
        .filter_map(|sight| match sight {
            Sight::Value(value) => Some(value),
            _ => None,
        })
        .collect();
    let unseen = |o: &Operation| {
        let value = o.value().filter(|_| o.outcome == Outcome::Unknown);
        value.is_some_and(|value| !seen.contains(&value)) || o.outcome == Outcome::Unknown && o.action == Action::Get
    };
    operations.into_iter().filter(|o| !unseen(o)).collect()
}

/// A place that was given to an operation, to be taken back.
struct Placed {
    at: usize,
    before: Option<i64>,
    required: bool,
}

impl Search<'_> {
    fn run(&mut self) -> Verdict {
        let (mut state, mut placed, mut stack) = (None, 0, Vec::<Placed>::new());
        let mut from = 0;
        loop {
            if placed == self.required {
                return Verdict::Linearizable;
            }
            if self.steps_left == 0 {
                return Verdict::Undecided;
            }
            self.steps_left -= 1;
            match self.next(from, state) {
                Some((at, after)) => {
                    self.done[at / 64] |= 1 << (at % 64);
                    if self.seen.insert((self.done.clone(), after)) {
                        let required = self.operations[at].told().is_some();
                        stack.push(Placed { at, before: state, required });
                        placed += usize::from(required);
                        if placed > self.furthest.0 {
                            self.furthest = (placed, self.first_open());
                        }
                        (state, from) = (after, 0);
                    } else {
                        self.done[at / 64] &= !(1 << (at % 64));
                        from = at + 1;
                    }
                }
                None => {
                    let Some(last) = stack.pop() else {
                        let stuck = self.operations.get(self.furthest.1);
                        return Verdict::Not { stuck_at: stuck.map_or(0, |operation| operation.begin) };
                    };
                    self.done[last.at / 64] &= !(1 << (last.at % 64));
                    placed -= usize::from(last.required);
                    (state, from) = (last.before, last.at + 1);
                }
            }
        }
    }

    fn is_done(&self, at: usize) -> bool {
        self.done[at / 64] & 1 << (at % 64) != 0
    }

    fn first_open(&self) -> usize {
        let open = |at: &usize| !self.is_done(*at) && self.operations[*at].told().is_some();
        (0..self.operations.len()).find(open).unwrap_or(self.operations.len())
    }

    /// The first operation from `from` on that can be next, and the state after it.
    fn next(&self, from: usize, state: Option<i64>) -> Option<(usize, Option<i64>)> {
        // Nothing can be next that began after another without a place had ended.
        let mut ended = u64::MAX;
        for at in 0..self.operations.len() {
            let operation = &self.operations[at];
            if operation.begin > ended {
                return None;
            }
            if self.is_done(at) {
                continue;
            }
            ended = ended.min(operation.end);
            if at >= from
                && let Some(after) = apply(operation, state)
                && (operation.told().is_some() || after != state)
            {
                return Some((at, after));
            }
        }
        None
    }
}

/// The state after an operation; `None` if it would have told something else.
fn apply(operation: &Operation, state: Option<i64>) -> Option<Option<i64>> {
    let known = operation.told();
    let agrees = known.is_none_or(|told| match told.sight {
        Sight::Unknown => true,
        Sight::Absent => state.is_none(),
        Sight::Live => state.is_some(),
        Sight::Value(value) => state == Some(value),
    });
    if !agrees {
        return None;
    }
    let changes = known.is_none_or(|told| told.changed);
    let after = match operation.action {
        Action::Get | Action::Peek | Action::Expire { .. } => state,
        Action::Put { value, .. } | Action::GetAndPut { value } => Some(value),
        Action::Delete | Action::GetAndDelete => None,
        Action::Increment { by } => Some(state.unwrap_or(0) + by),
        Action::Swap { expected, value } => {
            let as_expected = match expected {
                Expected::Absent => state.is_none(),
                Expected::Version(_, seen) | Expected::Value(seen) => state == Some(seen),
                Expected::Nothing => false,
            };
            // Of another version although the value is the same: not this checker's to judge.
            let by_version = matches!(expected, Expected::Version(..));
            if known.is_some() && changes != as_expected && (changes || !by_version) {
                return None;
            }
            if as_expected { Some(value) } else { state }
        }
    };
    Some(if changes { after } else { state })
}
