//! What is not in the file yet: changes by key, on top of what the file holds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::format::{self, Summary};
use crate::data::hlc;
use crate::data::record::Record;
use crate::ring::slot::Slot;

/// What becomes of one key.
#[derive(Clone)]
pub(super) enum Change {
    Put(Record),
    Gone,
}

impl Change {
    pub(super) fn record(&self) -> Option<&Record> {
        match self {
            Self::Put(record) => Some(record),
            Self::Gone => None,
        }
    }
}

/// Changes of some slots: first `cleared` are emptied, then `changes` apply.
#[derive(Default)]
pub(super) struct Layer {
    pub(super) cleared: BTreeSet<Slot>,
    pub(super) changes: BTreeMap<Box<[u8]>, Change>,
    /// Slots that changed in any way.
    pub(super) touched: BTreeSet<Slot>,
    /// What those hold with this layer. Filled in when it is sealed.
    pub(super) summaries: Vec<(Slot, Summary)>,
    /// The highest stamp of any record put.
    pub(super) stamp: u64,
    /// Memory that the changes hold, about.
    pub(super) weight: isize,
}

/// What a key costs besides its bytes, about.
const CHANGE_LEN: usize = 256;

/// Memory that a change holds, about.
pub(super) fn weight(key_len: usize, change: &Change) -> usize {
    key_len + CHANGE_LEN + change.record().map_or(0, Record::payload_len)
}

impl Layer {
    pub(super) fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }

    /// What this layer says of a key: `None` if nothing.
    pub(super) fn get(&self, slot: Slot, key: &[u8]) -> Option<&Change> {
        const GONE: &Change = &Change::Gone;
        self.changes.get(key).or_else(|| self.cleared.contains(&slot).then_some(GONE))
    }

    /// Notes a change; returns how much more memory it takes, which may be negative.
    pub(super) fn put(&mut self, slot: Slot, key: Box<[u8]>, change: Change) -> isize {
        self.touched.insert(slot);
        // A clock that goes on from a lie after a restart could stamp nothing any more.
        if let Some(record) = change.record().filter(|record| hlc::is_reasonable(record.version.hlc)) {
            self.stamp = self.stamp.max(record.version.hlc);
        }
        let key_len = key.len();
        let after = weight(key_len, &change) as isize;
        let before = self.changes.insert(key, change).map_or(0, |change| weight(key_len, &change));
        let grown = after - before as isize;
        self.weight += grown;
        grown
    }

    /// Empties a slot; returns as `put`.
    pub(super) fn clear(&mut self, slot: Slot) -> isize {
        let (begin, end) = format::slot_range(slot);
        let of_slot = self.range(&begin, &end).map(|(key, change)| (key.clone(), weight(key.len(), change)));
        let dropped: Vec<_> = of_slot.collect();
        let mut freed = 0;
        for (key, weight) in dropped {
            self.changes.remove(&key);
            freed += weight;
        }
        self.touched.insert(slot);
        self.cleared.insert(slot);
        self.weight -= freed as isize;
        -(freed as isize)
    }

    pub(super) fn range<'a>(&'a self, begin: &[u8], end: &[u8]) -> impl Iterator<Item = (&'a Box<[u8]>, &'a Change)> {
        self.changes.range::<[u8], _>((Bound::Included(begin), Bound::Excluded(end)))
    }
}
