//! What one side of a slot has and the other lacks. Pure.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::data::hlc;
use crate::data::record::{KeyDigest, Version};

/// Those of all records of one digest, ascending: an adversary may make two keys of one.
pub(super) type Versions = SmallVec<[Version; 1]>;

pub(super) fn by_digest(all: Vec<(KeyDigest, Version)>) -> BTreeMap<KeyDigest, Versions> {
    let mut found = BTreeMap::<KeyDigest, Versions>::new();
    for (digest, version) in all {
        let versions = found.entry(digest).or_default();
        let at = versions.partition_point(|present| *present < version);
        versions.insert(at, version);
    }
    found
}

/// Whether of a digest something is older or missing there, and not because it was evicted.
pub(super) fn lacks(
    there: &BTreeMap<KeyDigest, Versions>,
    digest: &KeyDigest,
    versions: &Versions,
    evicted_before_s: u32,
) -> bool {
    match there.get(digest).map(|there| (there.as_slice(), versions.as_slice())) {
        Some(([present], [version])) => present < version,
        // Which of them are of one key is not known: what is older comes in vain.
        Some((there, here)) => here.iter().any(|version| !there.contains(version)),
        None => versions.iter().any(|version| hlc::wall_ms(version.hlc) / 1_000 >= u64::from(evicted_before_s)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_found_behind_keys_of_one_digest_too() {
        let digest = KeyDigest::of(0, b"key");
        let version = |n: u64| Version { hlc: n << 32, node: 1, boot: 1 };
        let side = |versions: &[u64]| by_digest(versions.iter().map(|&n| (digest, version(n))).collect());
        let lacks = |there: &[u64], here: &[u64], evicted_before_s| {
            super::lacks(&side(there), &digest, &side(here)[&digest], evicted_before_s)
        };
        assert!(lacks(&[], &[1], 0) && lacks(&[1], &[2], 0));
        assert!(!lacks(&[2], &[2], 0) && !lacks(&[2], &[1], 0), "as new, or newer");
        assert!(lacks(&[2], &[1, 2], 0), "of another key with the same digest");
        assert!(lacks(&[1, 3], &[2, 3], 0) && !lacks(&[1, 2], &[2, 1], 0) && !lacks(&[1, 2, 3], &[2], 0));
        assert!(!lacks(&[], &[1], u32::MAX), "it may have been evicted there");
    }
}
