//! Machines' disks, which outlive the processes that use them, and the store that a process opens on one.
//!
//! As with the production engine on disk, what is merged is seen at once, and a commit writes all that was merged before it
//! began, whole or not at all. So the death of a process takes back a tail of what it merged: with `interval` that of its
//! last 100 ms and more, with `always` only what it has acknowledged to nobody.

mod store;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dht_core::store::{MemoryStore, Record, Slot, Store};
use dht_core::{Durability, Env, Error, ErrorKind};

pub use store::DiskStore;

/// What a machine keeps while no process uses it.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<Platter>>);

struct Platter {
    slot_count: u32,
    records: MemoryStore,
    /// The highest stamp that it ever had.
    stamp: u64,
    facts: Option<Bytes>,
    /// Every commit fails.
    failing: bool,
    /// Which opening may write: a process that was cut off may not write any more.
    opening: u64,
}

/// A change that a commit makes.
enum Entry {
    Merge(Slot, Record),
    Remove(Slot),
    Sweep(Slot, u64, u64),
    Facts(Bytes),
}

/// What a process finds when it opens a disk.
struct Opened {
    memory: MemoryStore,
    stamp: u64,
    facts: Option<Bytes>,
    opening: u64,
}

impl Disk {
    /// An empty one, for rings of so many slots.
    pub fn new(slot_count: u32) -> Self {
        let records = MemoryStore::new(slot_count);
        Self(Arc::new(Mutex::new(Platter { slot_count, records, stamp: 0, facts: None, failing: false, opening: 0 })))
    }

    /// From now on every commit fails, or none does any more: as with a disk that is full, and one that was mended.
    pub fn set_failing(&self, failing: bool) {
        self.platter().failing = failing;
    }

    /// Opens what is on it, for a process with that clock. Who had it open before can write nothing any more.
    ///
    /// # Errors
    /// `Storage` if what is on it cannot be read.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(&self, durability: Durability, env: &Env) -> Result<DiskStore, Error> {
        let mut platter = self.platter();
        platter.opening += 1;
        let memory = platter.copy()?;
        let opened = Opened { memory, stamp: platter.stamp, facts: platter.facts.clone(), opening: platter.opening };
        drop(platter);
        Ok(DiskStore::on(self.clone(), opened, durability, env))
    }

    /// Another disk with what is on this one now.
    ///
    /// # Errors
    /// `Storage` if what is on it cannot be read.
    pub fn backup(&self) -> Result<Self, Error> {
        let platter = self.platter();
        let (records, facts) = (platter.copy()?, platter.facts.clone());
        Ok(Self(Arc::new(Mutex::new(Platter { records, facts, failing: false, ..*platter }))))
    }

    /// Writes all of `entries` for that opening, and tells the highest stamp that there is then.
    fn commit(&self, opening: u64, entries: Vec<Entry>) -> Result<u64, Error> {
        let mut platter = self.platter();
        if platter.failing || platter.opening != opening {
            return Err(Error::new(ErrorKind::Storage, "the simulated disk takes nothing"));
        }
        entries.into_iter().try_for_each(|entry| platter.apply(entry))?;
        Ok(platter.stamp)
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Platter {
    fn copy(&self) -> Result<MemoryStore, Error> {
        let copy = MemoryStore::new(self.slot_count);
        for slot in self.records.occupied()? {
            let digests: Vec<_> = self.records.versions(slot)?.into_iter().map(|(digest, _)| digest).collect();
            for record in self.records.records(slot, &digests, usize::MAX)?.0 {
                copy.merge(slot, record)?;
            }
        }
        Ok(copy)
    }

    fn apply(&mut self, entry: Entry) -> Result<(), Error> {
        match entry {
            Entry::Merge(slot, record) => {
                self.stamp = self.stamp.max(record.version().stamp());
                self.records.merge(slot, record).map(drop)
            }
            Entry::Remove(slot) => {
                let all = self.records.fingerprint(slot)?;
                self.records.remove_slot(slot, all).map(drop)
            }
            Entry::Sweep(slot, now_ms, forget_before_ms) => {
                self.records.sweep(slot, now_ms, forget_before_ms).map(drop)
            }
            Entry::Facts(facts) => {
                self.facts = Some(facts);
                Ok(())
            }
        }
    }
}
