//! Additive fingerprints: the sum over a set of (key, version) of a 128-bit hash.
//!
//! Adding and removing one record costs one hash, the order does not matter, and the fingerprint of a range of slots
//! is the sum of its slots', so two nodes find their differing slots by comparing sums (additive multiset hashing,
//! Clarke et al. 2003; not collision-resistant against a chosen-key adversary, which is why ids are exchanged before
//! anything is deleted).

use xxhash_rust::xxh3::xxh3_128;

use super::record::{KeyDigest, Version};

/// Sum of the hashes of a set of records; zero is the empty set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fingerprint(pub(crate) u128);

impl Fingerprint {
    /// The fingerprint of the set without anything in it.
    pub const EMPTY: Self = Self(0);

    pub(crate) fn add(&mut self, key: KeyDigest, version: Version) {
        self.0 = self.0.wrapping_add(term(key, version));
    }

    pub(crate) fn remove(&mut self, key: KeyDigest, version: Version) {
        self.0 = self.0.wrapping_sub(term(key, version));
    }

    /// The fingerprint of the union of two disjoint sets.
    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

fn term(key: KeyDigest, version: Version) -> u128 {
    let mut bytes = [0; 40];
    bytes[..16].copy_from_slice(&key.0.to_le_bytes());
    if planted!("fingerprint_blind") {
        return xxh3_128(&bytes);
    }
    bytes[16..24].copy_from_slice(&version.hlc.to_le_bytes());
    bytes[24..32].copy_from_slice(&version.node.to_le_bytes());
    bytes[32..].copy_from_slice(&version.boot.to_le_bytes());
    xxh3_128(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_removal_undoes() {
        let item = |n: u64| (KeyDigest::of(0, &n.to_le_bytes()), Version { hlc: n, node: 1, boot: 2 });
        let (mut a, mut b) = (Fingerprint::EMPTY, Fingerprint::EMPTY);
        for n in 0..100 {
            a.add(item(n).0, item(n).1);
            b.add(item(99 - n).0, item(99 - n).1);
        }
        assert_eq!(a, b);
        assert_ne!(a, Fingerprint::EMPTY);
        b.remove(item(7).0, item(7).1);
        assert_ne!(a, b);
        b.add(item(7).0, Version { hlc: 8, node: 1, boot: 2 });
        assert_ne!(a, b, "another version is another set");
        for n in 0..100 {
            a.remove(item(n).0, item(n).1);
        }
        assert_eq!(a, Fingerprint::EMPTY);
    }
}
