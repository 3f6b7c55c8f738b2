//! What all nodes of a ring must agree on, and what they may change together.

use std::time::Duration;

use crate::config::{Config, HashFunction};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::hash::KeyHasher;
use crate::ring::id::IdSpace;
use crate::ring::slot::SlotSpace;

/// Version of the placement rules: positions, slots, lists. Nodes of different formats cannot share a ring.
pub(crate) const RING_FORMAT: u32 = 1;

/// Immutable parameters of a ring, compared at join.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RingParams {
    pub(crate) format: u32,
    pub(crate) hash_function: HashFunction,
    pub(crate) hash_bits: u16,
    pub(crate) slot_bits: u8,
    pub(crate) consistent_hashing: bool,
}

impl RingParams {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            format: RING_FORMAT,
            hash_function: config.hash_function,
            hash_bits: config.hash_bits,
            slot_bits: config.slot_bits,
            consistent_hashing: config.consistent_hashing,
        }
    }

    /// `None` if bits are out of range, which a checked configuration and the codec exclude.
    pub(crate) fn spaces(&self) -> Option<(IdSpace, SlotSpace)> {
        let ids = IdSpace::new(self.hash_bits)?;
        Some((ids, SlotSpace::new(ids, self.slot_bits)))
    }

    pub(crate) fn hasher(&self, space: IdSpace) -> KeyHasher {
        KeyHasher::new(self.hash_function, self.consistent_hashing, space)
    }

    /// The first parameter in which `theirs` differs: its name, our value, their value.
    pub(crate) fn difference(&self, theirs: &Self) -> Option<(&'static str, String, String)> {
        let differ = |name, ours: String, theirs: String| (ours != theirs).then_some((name, ours, theirs));
        differ("ring format", self.format.to_string(), theirs.format.to_string())
            .or_else(|| differ("hash_function", self.hash_function.to_string(), theirs.hash_function.to_string()))
            .or_else(|| differ("hash_bits", self.hash_bits.to_string(), theirs.hash_bits.to_string()))
            .or_else(|| differ("slot_bits", self.slot_bits.to_string(), theirs.slot_bits.to_string()))
            .or_else(|| {
                let (ours, theirs) = (self.consistent_hashing, theirs.consistent_hashing);
                differ("consistent_hashing", ours.to_string(), theirs.to_string())
            })
    }
}

/// What the nodes of a ring share but may change: a joining node takes the ring's, whatever its own configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RingConfig {
    /// The higher one wins.
    pub(crate) version: u64,
    pub(crate) replication_factor: u16,
    pub(crate) tombstone_grace: Duration,
    pub(crate) max_key_size: usize,
    pub(crate) max_value_size: usize,
}

/// Slots of the ring that `config` describes.
///
/// # Errors
/// `Config` if its bits are out of range.
pub(crate) fn slot_count(config: &Config) -> Result<u32> {
    let spaces = RingParams::of(config).spaces();
    let (_, slots) = spaces.ok_or_else(|| Error::new(ErrorKind::Config, "hash_bits: must be between 1 and 256"))?;
    Ok(slots.count())
}
