//! Sums over parts of one slot's keys, so that two replicas that differ in some of them list those parts only (one level
//! of range-based set reconciliation, Meyer 2023; here ranges are classes of digests, which are hashes). Pure.

use super::fingerprint::Fingerprint;
use super::record::{KeyDigest, Version};

/// Parts of one slot: a question with them stays within 4 KiB.
pub(crate) const PARTS_MAX: usize = 512;
/// Keys of a part, about: with fewer the sums are more than the list that they save.
const PART_LEN: usize = 4;

/// Sums over parts of `entries`, of which there are as many as suit their number; none for what is short anyway.
pub(crate) fn sums_of(entries: &[(KeyDigest, Version)]) -> Vec<u64> {
    match (entries.len() / PART_LEN).min(PARTS_MAX) {
        0 | 1 => Vec::new(),
        count => sums(entries, count),
    }
}

/// The parts whose sums are not those that somebody else has, ascending.
pub(crate) fn differing(entries: &[(KeyDigest, Version)], theirs: &[u64]) -> Vec<u32> {
    let ours = sums(entries, theirs.len());
    let pairs = (0..).zip(ours.iter().zip(theirs));
    pairs.filter(|(_, (ours, theirs))| ours != theirs).map(|(part, _)| part).collect()
}

/// Leaves of `entries` those in the `listed` parts of `count`; numbers beyond it name none.
pub(crate) fn keep_listed(entries: &mut Vec<(KeyDigest, Version)>, listed: &[u32], count: usize) {
    let mut keep = vec![false; count.max(1)];
    for part in listed {
        if let Some(keep) = keep.get_mut(*part as usize) {
            *keep = true;
        }
    }
    entries.retain(|(digest, _)| keep.get(part_of(*digest, count) as usize).is_some_and(|keep| *keep));
}

/// The part of `count` that a key is in; the only one if there are none.
fn part_of(digest: KeyDigest, count: usize) -> u32 {
    // Less than `count`, which is at most `PARTS_MAX`.
    (digest.0 % count.max(1) as u128) as u32
}

/// Half of each fingerprint: a difference that it hides with a chance of 2^-64 is found when another key changes.
fn sums(entries: &[(KeyDigest, Version)], count: usize) -> Vec<u64> {
    let mut parts = vec![Fingerprint::EMPTY; count];
    for (digest, version) in entries {
        if let Some(sum) = parts.get_mut(part_of(*digest, count) as usize) {
            sum.add(*digest, *version);
        }
    }
    parts.iter().map(|sum| sum.0 as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(numbers: std::ops::Range<u64>) -> Vec<(KeyDigest, Version)> {
        let version = Version { hlc: 1, node: 2, boot: 3 };
        numbers.map(|n| (KeyDigest::of(0, &n.to_le_bytes()), version)).collect()
    }

    #[test]
    fn what_differs_is_in_the_parts_that_differ() {
        let (here, mut there) = (entries(0..61), entries(0..61));
        let sums = sums_of(&here);
        assert_eq!(sums.len(), 15);
        assert_eq!(differing(&there, &sums), [] as [u32; 0]);
        there[7].1.hlc = 2;
        there.extend(entries(99..100));
        let changed = [there[7].0, there[61].0].map(|digest| part_of(digest, 15));
        let mut wanted = changed.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        assert_eq!(differing(&there, &sums), wanted);
        // What is there and not here, or here and not there, shows alike.
        assert_eq!(differing(&here, &sums_of(&there)), wanted);
        assert_eq!(differing(&[], &sums).len(), sums.iter().filter(|sum| **sum != 0).count());
    }

    #[test]
    fn what_is_listed_is_kept_whatever_else_is_named() {
        let all = entries(0..61);
        let mut some = all.clone();
        keep_listed(&mut some, &[14, 3, u32::MAX, 15], 15);
        let wanted = all.iter().filter(|(digest, _)| [3, 14].contains(&part_of(*digest, 15)));
        assert!(some.len() > 2 && some.len() < 20, "{}", some.len());
        assert_eq!(some, wanted.copied().collect::<Vec<_>>());
        keep_listed(&mut some, &[], 15);
        assert_eq!(some, []);
    }

    #[test]
    fn parts_are_of_some_keys_each_and_bounded() {
        assert_eq!(sums_of(&entries(0..7)).len(), 0);
        assert_eq!(sums_of(&entries(0..8)).len(), 2);
        assert_eq!(sums_of(&entries(0..100_000)).len(), PARTS_MAX);
        assert_eq!((part_of(KeyDigest(u128::MAX), 512), part_of(KeyDigest(9), 0)), (511, 0));
        assert_eq!(differing(&entries(0..9), &[]), [] as [u32; 0]);
    }
}
