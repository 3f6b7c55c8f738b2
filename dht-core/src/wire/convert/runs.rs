//! Slots that are alike, one after the other, said once: most slots of a young ring are empty, and those of one arc go by one
//! list.

use bytes::Bytes;

use super::Result;
use super::pack::{pack, unpack_exact};
use crate::wire::error::WireError;

/// The first of each run of `items` of which each `follows` on the one before, and how many more there are in it.
pub(super) fn runs<T>(items: &[T], follows: impl Fn(&T, &T) -> bool) -> Vec<(&T, u16)> {
    let mut runs: Vec<(&T, u16)> = Vec::new();
    let mut before = None;
    for item in items {
        match (runs.last_mut(), before) {
            (Some((_, more)), Some(before)) if *more < u16::MAX && follows(before, item) => {
                *more = more.saturating_add(1);
            }
            _ => runs.push((item, 0)),
        }
        before = Some(item);
    }
    runs
}

/// The lengths of runs beyond their first.
pub(super) fn more_bytes<T>(runs: &[(&T, u16)]) -> Bytes {
    match runs.iter().any(|(_, more)| *more > 0) {
        true => pack(runs.iter().map(|(_, more)| more.to_le_bytes())),
        false => Bytes::new(),
    }
}

/// The same for `count` runs, in which there are at most `max` items together.
pub(super) fn more(bytes: &Bytes, count: usize, max: usize) -> Result<Vec<u16>> {
    if bytes.is_empty() {
        return Ok(vec![0; count]);
    }
    let more: Vec<u16> =
        unpack_exact("lengths of runs", bytes, count)?.iter().map(|more| u16::from_le_bytes(*more)).collect();
    let all = more.iter().fold(0, |all: usize, more| all.saturating_add(usize::from(*more).saturating_add(1)));
    if all > max {
        return Err(WireError::TooMany { what: "slots", count: all, max });
    }
    Ok(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_what_they_were() {
        let follows = |a: &u32, b: &u32| a + 1 == *b;
        let items = [1, 2, 3, 5, 7, 8];
        let found = runs(&items, follows);
        assert_eq!(found, [(&1, 2), (&5, 0), (&7, 1)]);
        let bytes = more_bytes(&found);
        assert_eq!(more(&bytes, 3, 6).expect("as they were"), [2, 0, 1]);
        assert!(more(&bytes, 3, 5).is_err(), "more than there may be");
        assert!(more(&bytes, 2, 9).is_err(), "of another number of runs");
        assert!(more_bytes(&runs(&[1, 3], follows)).is_empty());
        assert_eq!(more(&Bytes::new(), 2, 2).expect("none is longer than one"), [0, 0]);
        let long: Vec<u32> = (0..70_000).collect();
        assert_eq!(runs(&long, follows).iter().map(|(_, more)| usize::from(*more) + 1).sum::<usize>(), long.len());
    }
}
