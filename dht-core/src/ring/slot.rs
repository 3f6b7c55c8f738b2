//! Slots: the key space cut into 2^min(m, slot_bits) equal slices, the unit of placement, storage, hand-over and
//! repair.
//!
//! Invariant: the slots of a space partition its ids, in order, and a slot's number is the top bits of every id in
//! it. A slot's owner is the Chord successor of its *last* id, so a join never splits a slot.

use super::id::{Id, IdSpace};

/// The number of one slot, 0 .. [`SlotSpace::count`]. Bytes of a stranger become one only through
/// [`SlotSpace::get`].
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u32);

/// How an [`IdSpace`] is cut into slots.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlotSpace {
    ids: IdSpace,
    bits: u8,
}

impl SlotSpace {
    /// The most slot bits a space can have; [`SlotSpace::count`] then still fits its type. The configuration stops
    /// at 20.
    pub(crate) const BITS_MAX: u8 = 31;

    /// Cuts `ids` into 2^min(m, `slot_bits`) slots; more than [`SlotSpace::BITS_MAX`] bits count as that many.
    pub(crate) const fn new(ids: IdSpace, slot_bits: u8) -> Self {
        let bits = if slot_bits > Self::BITS_MAX { Self::BITS_MAX } else { slot_bits };
        // m below `bits` is below 32, so it fits.
        let bits = if ids.bits() < bits as u16 { ids.bits() as u8 } else { bits };
        Self { ids, bits }
    }

    /// The ids that are cut.
    #[inline]
    pub(crate) const fn ids(&self) -> IdSpace {
        self.ids
    }

    /// How many slots there are: 2^min(m, slot_bits), at least 1.
    #[inline]
    pub(crate) const fn count(&self) -> u32 {
        1 << self.bits
    }

    /// The slot that `id`, an id of this space, falls in: its top bits.
    #[inline]
    pub(crate) const fn of(&self, id: Id) -> Slot {
        Slot(id.shift_right(self.id_bits_per_slot()).low_u32())
    }

    /// The least id of `slot`, which must be of this space.
    #[inline]
    pub(crate) fn first_id(&self, slot: Slot) -> Id {
        debug_assert!(slot.0 < self.count(), "{slot:?} of {} slots", self.count());
        Id::from_u32(slot.0).shift_left(self.id_bits_per_slot())
    }

    /// The greatest id of `slot`, which must be of this space: the id whose successor owns the slot.
    #[inline]
    pub(crate) fn last_id(&self, slot: Slot) -> Id {
        self.first_id(slot).or(self.ids.max().shift_right(u32::from(self.bits)))
    }

    /// How many slots, from slot 0 on, have their last id at or before `id`.
    #[inline]
    pub(crate) fn ended_by(&self, id: Id) -> u32 {
        let slot = self.of(id);
        slot.0 + u32::from(self.last_id(slot) == id)
    }

    /// The slot of that number; `None` from [`SlotSpace::count`] on.
    #[inline]
    pub(crate) const fn get(&self, index: u32) -> Option<Slot> {
        if index < self.count() { Some(Slot(index)) } else { None }
    }

    /// Every slot, in clockwise order from slot 0.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Slot> + DoubleEndedIterator + use<> {
        (0..self.count()).map(Slot)
    }

    const fn id_bits_per_slot(&self) -> u32 {
        self.ids.bits() as u32 - self.bits as u32
    }
}

#[cfg(test)]
#[path = "slot_tests.rs"]
mod tests;
