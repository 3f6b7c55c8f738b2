//! What the slots of a store hold in all.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::Usage;

/// What some entries are to the usage, and the memory they take.
#[derive(Clone, Copy, Default)]
pub(super) struct Held {
    pub(super) usage: Usage,
    pub(super) memory: u64,
    /// The part of it that is never evicted.
    pub(super) pinned: u64,
}

impl Held {
    pub(super) fn plus(self, other: Self) -> Self {
        let (a, b) = (self.usage, other.usage);
        let usage = Usage { live: a.live + b.live, tombstones: a.tombstones + b.tombstones, bytes: a.bytes + b.bytes };
        Self { usage, memory: self.memory + other.memory, pinned: self.pinned + other.pinned }
    }

    pub(super) fn plus_memory(self, memory: u64) -> Self {
        Self { memory: self.memory + memory, ..self }
    }
}

/// What all slots hold. A cache line of its own: every merge writes here, every get reads beside it.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Totals {
    live: AtomicU64,
    tombstones: AtomicU64,
    bytes: AtomicU64,
    memory: AtomicU64,
    /// The part of `memory` that no record's going gives back, and that of deletions.
    fixed: AtomicU64,
    pinned: AtomicU64,
}

impl Totals {
    /// Called under the lock of the slot that goes from `before` to `after`, so that no slot's part of a sum is ever
    /// negative.
    pub(super) fn change(&self, before: Held, after: Held) {
        let change = |total: &AtomicU64, before: u64, after: u64| {
            if before != after {
                total.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
            }
        };
        change(&self.live, before.usage.live, after.usage.live);
        change(&self.tombstones, before.usage.tombstones, after.usage.tombstones);
        change(&self.bytes, before.usage.bytes, after.usage.bytes);
        change(&self.memory, before.memory, after.memory);
        change(&self.pinned, before.pinned, after.pinned);
    }

    pub(super) fn add_fixed(&self, memory: u64) {
        self.memory.fetch_add(memory, Ordering::Relaxed);
        self.fixed.fetch_add(memory, Ordering::Relaxed);
    }

    /// Counts `growth` as in use if that stays within `max`; what keeps or lowers it always may.
    pub(super) fn reserve(&self, growth: u64, max: u64) -> bool {
        let within = |memory: u64| (memory + growth <= max).then_some(memory + growth);
        growth == 0 || self.memory.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    pub(super) fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// What stays when everything is evicted that can be.
    pub(super) fn kept(&self) -> u64 {
        self.fixed.load(Ordering::Relaxed) + self.pinned.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self) -> Usage {
        Usage {
            live: self.live.load(Ordering::Relaxed),
            tombstones: self.tombstones.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}
