//! Port: keeps records.
//!
//! The contract, which `contract` checks on every engine:
//! - Methods are synchronous and may be called from any thread; each is atomic on its own.
//! - `merge` keeps the record of the higher version. Equal versions are the same write: the present one stays.
//! - `fingerprint` is at all times the additive fingerprint of exactly the (key digest, version) pairs in the slot,
//!   tombstones and expired records included.
//! - A call that fails has changed nothing.
//! - An engine with a bound refuses what would exceed it (`MemoryFull`), or evicts: then records with a value vanish,
//!   and out of the fingerprint, by themselves; tombstones never do, and are never refused.
//! - What was merged is seen by every later call at once; whether it outlives the process is for its ticket to say.
//! - Nothing here knows of replica lists, levels or nodes; the node alone decides what may be stored or read.

pub mod contract;
mod disk;
mod memory;
mod ticket;

pub use disk::DiskStore;
pub use memory::MemoryStore;
pub use ticket::{Commits, Ticket};

use bytes::Bytes;

pub use crate::data::fingerprint::Fingerprint;
pub use crate::data::record::{Content, KeyDigest, Record, Version};
use crate::error::Result;
pub use crate::ring::slot::Slot;

/// What a merge did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Merged {
    /// The record is now the one kept.
    Stored,
    /// A record of this version, equal or higher, was there and stays.
    Kept(Version),
}

/// What a store holds now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Records that are no tombstones. Expired ones count until a sweep met them.
    pub live: u64,
    /// Remembered deletions.
    pub tombstones: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// Keeps records by slot, map and key. See the module for the contract.
pub trait Store: Send + Sync + 'static {
    /// The record of a key, tombstones and expired ones included.
    fn get(&self, slot: Slot, map: u32, key: &[u8]) -> Result<Option<Record>>;

    /// What a reader wants of it.
    fn content(&self, slot: Slot, map: u32, key: &[u8]) -> Result<Option<Content>> {
        Ok(self.get(slot, map, key)?.map(Content::from))
    }

    /// Keeps `record` if its version is above the present one's.
    fn merge(&self, slot: Slot, record: Record) -> Result<Merged>;

    /// The same, whatever the engine's bound: for a record that is about to be replaced by its deletion.
    fn merge_beyond_bound(&self, slot: Slot, record: Record) -> Result<Merged> {
        self.merge(slot, record)
    }

    /// The fingerprint of everything in the slot.
    fn fingerprint(&self, slot: Slot) -> Result<Fingerprint>;

    /// Every key digest in the slot with its version, in ascending order of the digest.
    fn versions(&self, slot: Slot) -> Result<Vec<(KeyDigest, Version)>>;

    /// The records of those `digests` that are present, in the order asked, up to and including the one with which
    /// `bytes_max` bytes of payload are reached, and how many of the digests were dealt with (at least one, if any).
    fn records(&self, slot: Slot, digests: &[KeyDigest], bytes_max: usize) -> Result<(Vec<Record>, usize)>;

    /// Forgets everything in the slot if its fingerprint still is `expected`; returns whether it did.
    fn remove_slot(&self, slot: Slot, expected: Fingerprint) -> Result<bool>;

    /// The slots in which something is kept, ascending.
    fn occupied(&self) -> Result<Vec<Slot>>;

    /// Gives back memory of one slot: drops the values of records that expired by `now_ms` (they become tombstones of the same
    /// version, so the fingerprint stays) and forgets tombstones whose version's wall time and expiry both lie before
    /// `forget_before_ms`. Returns how many values it dropped.
    fn sweep(&self, slot: Slot, now_ms: u64, forget_before_ms: u64) -> Result<u64>;

    /// Records of the slot that were written before this second (Unix, by their versions) may be missing because they
    /// were evicted; 0: none was since the slot was last removed. Of an engine that never evicts: 0.
    fn evicted_before_s(&self, _slot: Slot) -> u32 {
        0
    }

    /// Records evicted since the start; 0 for an engine that never evicts.
    fn evictions(&self) -> u64 {
        0
    }

    /// Bytes of keys and values in the slot.
    fn bytes_in(&self, slot: Slot) -> u64;

    /// What is held now.
    fn usage(&self) -> Usage;

    /// To be waited for before anybody is told that what was merged into `slot` until now is kept. Good at once where
    /// nothing outlives the process, or where less was promised.
    #[inline]
    fn ticket(&self, slot: Slot) -> Ticket {
        let _ = slot;
        Ticket::ready()
    }

    /// To be waited for before anybody is told what `slot` holds: where acknowledgements wait for the disk, what a crash may
    /// still take back is no answer.
    #[inline]
    fn settled(&self, slot: Slot) -> Ticket {
        let _ = slot;
        Ticket::ready()
    }

    /// To be waited for before another copy of what was merged into `slot` until now is given up: good when it outlives the
    /// process, whatever was promised. Good at once where nothing does.
    fn durable(&self, slot: Slot) -> Ticket {
        let _ = slot;
        Ticket::ready()
    }

    /// It still takes what is merged.
    fn healthy(&self) -> bool {
        true
    }

    /// Records and facts outlive the process.
    fn persistent(&self) -> bool {
        false
    }

    /// At least the highest stamp of any record ever kept durably.
    fn highest_stamp(&self) -> u64 {
        0
    }

    /// What [`Store::remember`] was given last, before this store was opened.
    fn remembered(&self) -> Option<Bytes> {
        None
    }

    /// Keeps what the node wants to find again when it starts the next time, instead of what it gave before.
    fn remember(&self, facts: Bytes) -> Ticket {
        drop(facts);
        Ticket::ready()
    }

    /// Writes what is still to be written and lets go of files; the ticket is good when that is done. Later calls fail.
    fn close(&self) -> Ticket {
        Ticket::ready()
    }
}
