//! One bit per slot: this node may answer reads of it from memory. Read without a lock on the hottest path.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ring::slot::Slot;

/// The slots of which this node is a caught-up member.
pub(crate) struct Readable(Box<[AtomicU64]>);

impl Readable {
    pub(crate) fn new(slot_count: u32) -> Self {
        Self((0..slot_count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn set(&self, slot: Slot, readable: bool) {
        let Some(word) = self.0.get(slot.0 as usize / 64) else { return };
        let bit = 1 << (slot.0 % 64);
        if readable {
            word.fetch_or(bit, Ordering::Release);
        } else {
            word.fetch_and(!bit, Ordering::Release);
        }
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> bool {
        let word = self.0.get(slot.0 as usize / 64);
        word.is_some_and(|word| word.load(Ordering::Acquire) & (1 << (slot.0 % 64)) != 0)
    }

    pub(crate) fn clear(&self) {
        for word in &self.0 {
            word.store(0, Ordering::Release);
        }
    }
}
