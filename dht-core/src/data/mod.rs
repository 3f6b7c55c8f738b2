//! Pure: what is kept. Records, versions, their clock and their fingerprints; no I/O, no time of its own.

pub(crate) mod bucket;
pub(crate) mod fingerprint;
pub(crate) mod finite;
pub(crate) mod hex;
pub(crate) mod hlc;
pub(crate) mod json;
pub(crate) mod number;
pub(crate) mod parts;
pub(crate) mod record;

/// A hash map whose iteration order is the same in every process: a seeded simulation must not depend on the
/// allocator or on the operating system's randomness.
pub(crate) type FixedMap<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;
