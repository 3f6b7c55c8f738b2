//! The seven hash functions, and the two ways in which bytes become ids: a key its key id, a node its positions.
//!
//! Everything here is part of the ring format: two nodes that disagree on one bit of it cannot share a ring.
//! Integers of a digest are written big-endian. Sources: FNV draft (Noll), CRC-32/ISO-HDLC, RFC 1321 (MD5),
//! FIPS 180-4 (SHA), the xxHash specification (XXH3), Steele et al. 2014 (SplitMix64).

use std::hash::Hasher;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::id::{Id, IdSpace};
use crate::config::HashFunction;

/// What a hash function made of some bytes: 4 to 32 bytes, by value.
// Zero from `len` on, so that it can become an id of any width without a look at `len`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    padded: [u8; 32],
    len: u8,
}

impl Digest {
    /// Its bytes, in the order in which the function's own test vectors print them.
    #[cfg_attr(not(test), expect(dead_code, reason = "the known-answer tests look at whole digests"))]
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.padded[..usize::from(self.len)]
    }

    #[inline]
    fn new<const LEN: usize>(bytes: [u8; LEN]) -> Self {
        const { assert!(LEN <= 32) };
        let mut padded = [0; 32];
        padded[..LEN].copy_from_slice(&bytes);
        Self { padded, len: LEN as u8 }
    }
}

/// The digest of `bytes`, raw: fnv1 and fnv1a 8 bytes, crc32 4, md5 16, sha1 20, sha256 32, and consistent 16
/// (XXH3-128 with seed 0, in its canonical form).
#[inline]
pub(crate) fn digest(function: HashFunction, bytes: &[u8]) -> Digest {
    match function {
        HashFunction::Fnv1 => Digest::new(fnv1(bytes).to_be_bytes()),
        HashFunction::Fnv1a => Digest::new(fnv1a(bytes).to_be_bytes()),
        HashFunction::Crc32 => Digest::new(crc32fast::hash(bytes).to_be_bytes()),
        HashFunction::Md5 => Digest::new::<16>(Md5::digest(bytes).into()),
        HashFunction::Sha1 => Digest::new::<20>(Sha1::digest(bytes).into()),
        HashFunction::Sha256 => Digest::new::<32>(Sha256::digest(bytes).into()),
        HashFunction::Consistent => Digest::new(xxhash_rust::xxh3::xxh3_128(bytes).to_be_bytes()),
    }
}

/// From keys to key ids, in the way all nodes of one ring agreed upon.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyHasher {
    function: HashFunction,
    consistent: bool,
    space: IdSpace,
}

impl KeyHasher {
    /// With `consistent_hashing`, the digests of fnv1, fnv1a and crc32 are mixed before they become ids: as 64-bit
    /// numbers (crc32 with 32 zero bits in front) through one step of SplitMix64, which gives 8 bytes. As
    /// they come, the digests of similar keys share their top bits, and with those their slot. Without it, and for
    /// the other functions, the id is the digest as it is.
    pub(crate) const fn new(function: HashFunction, consistent_hashing: bool, space: IdSpace) -> Self {
        Self { function, consistent: consistent_hashing, space }
    }

    /// The key id of `key`: the top m bits of its digest, see [`IdSpace::from_digest`].
    #[inline]
    pub(crate) fn id(&self, key: &[u8]) -> Id {
        let digest = match self.function {
            HashFunction::Fnv1 if self.consistent => mixed(fnv1(key)),
            HashFunction::Fnv1a if self.consistent => mixed(fnv1a(key)),
            HashFunction::Crc32 if self.consistent => mixed(crc32fast::hash(key).into()),
            function => digest(function, key),
        };
        self.space.cut_padded_digest(digest.padded)
    }
}

/// Position `index` of a node on the ring, whatever hashes the keys: the top m bits of the SHA-256 of
///
/// ```text
/// len(cluster) u32 BE | cluster | len(node_id) u32 BE | node_id | index u32 BE | choice u8
/// ```
///
/// Texts are UTF-8, their lengths in bytes. The lengths keep ("ab", "c") and ("a", "bc") apart. `choice` is the
/// byte c_i of the node's record.
pub(crate) fn position(space: IdSpace, cluster: &str, node_id: &str, index: u32, choice: u8) -> Id {
    let mut hasher = Sha256::new();
    for text in [cluster, node_id] {
        // Configuration and codec bound both names far below 4 GiB.
        hasher.update((text.len() as u32).to_be_bytes());
        hasher.update(text);
    }
    hasher.update(index.to_be_bytes());
    hasher.update([choice]);
    space.cut_padded_digest(hasher.finalize().into())
}

fn fnv1(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(OFFSET_BASIS, |hash, &byte| hash.wrapping_mul(PRIME) ^ u64::from(byte))
}

fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hasher = fnv::FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

#[inline]
fn mixed(digest: u64) -> Digest {
    Digest::new(splitmix64(digest).to_be_bytes())
}

/// The first output of the SplitMix64 generator seeded with `state`. A bijection: it brings no collision that the
/// digest did not have.
#[inline]
const fn splitmix64(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
#[path = "hash_tests.rs"]
mod tests;
