use proptest::prelude::*;

use super::{Slot, SlotSpace};
use crate::ring::id::{Id, IdSpace};

const WIDTHS: [u16; 10] = [1, 2, 8, 64, 127, 128, 129, 160, 255, 256];

fn slots(bits: u16, slot_bits: u8) -> SlotSpace {
    SlotSpace::new(IdSpace::new(bits).expect("1..=256"), slot_bits)
}

fn id(slots: &SlotSpace, hex: &str) -> Id {
    slots.ids().parse_hex(hex).expect("an id of the space")
}

#[test]
fn the_smaller_of_ids_and_slot_bits_counts() {
    for (bits, slot_bits, count) in [
        (1, 0, 1),
        (1, 14, 2),
        (2, 14, 4),
        (8, 14, 256),
        (14, 14, 16_384),
        (160, 14, 16_384),
        (256, 0, 1),
        (256, 20, 1 << 20),
        (256, 255, 1 << 31),
        (31, 255, 1 << 31),
        (30, 255, 1 << 30),
    ] {
        assert_eq!(slots(bits, slot_bits).count(), count, "m = {bits}, slot_bits = {slot_bits}");
    }
}

#[test]
fn known_slots() {
    let eight = slots(8, 2);
    for (hex, slot) in [("00", 0), ("3f", 0), ("40", 1), ("7f", 1), ("80", 2), ("bf", 2), ("c0", 3), ("ff", 3)] {
        assert_eq!(eight.of(id(&eight, hex)), Slot(slot), "{hex}");
    }
    let default = slots(160, 14);
    assert_eq!(default.of(id(&default, "fffc000000000000000000000000000000000000")), Slot(16_383));
    assert_eq!(default.of(id(&default, "fffbffffffffffffffffffffffffffffffffffff")), Slot(16_382));
    assert_eq!(default.ids().hex(default.first_id(Slot(1))), "0004000000000000000000000000000000000000");
    assert_eq!(default.ids().hex(default.last_id(Slot(1))), "0007ffffffffffffffffffffffffffffffffffff");
}

#[test]
fn slots_partition_the_ring() {
    for bits in WIDTHS {
        for slot_bits in [0, 1, 2, 7, 14] {
            let slots = slots(bits, slot_bits);
            assert_eq!(slots.iter().len(), slots.count() as usize);
            // Each begins where the one before ended, from id 0 on; the last ends at the last id.
            let mut next = Id::ZERO;
            for (index, slot) in slots.iter().enumerate() {
                assert_eq!(slot.0 as usize, index);
                let (first, last) = (slots.first_id(slot), slots.last_id(slot));
                assert!(first == next && first <= last, "m = {bits}, {slot:?} of {}", slots.count());
                assert_eq!((slots.of(first), slots.of(last)), (slot, slot), "m = {bits}");
                next = slots.ids().successor_of(last);
            }
            assert_eq!(next, Id::ZERO, "m = {bits}, slot_bits = {slot_bits}");
            assert_eq!(slots.last_id(Slot(slots.count() - 1)), slots.ids().max());
        }
    }
}

#[test]
fn as_many_slots_as_ids() {
    let slots = slots(8, 14);
    for slot in slots.iter() {
        assert_eq!(slots.first_id(slot), slots.last_id(slot));
    }
}

#[test]
fn numbers_beyond_the_last_slot_are_refused() {
    for slots in [slots(1, 0), slots(160, 14), slots(256, 31)] {
        assert_eq!(slots.get(0), Some(Slot(0)));
        assert_eq!(slots.get(slots.count() - 1), Some(Slot(slots.count() - 1)));
        assert_eq!(slots.get(slots.count()), None);
        assert_eq!(slots.get(u32::MAX), None);
    }
}

proptest! {
    #[test]
    fn an_id_lies_within_its_slot(
        bits in prop_oneof![prop::sample::select(WIDTHS.to_vec()), 1..=256_u16],
        slot_bits in 0..=31_u8,
        bytes: [u8; 32],
    ) {
        let slots = slots(bits, slot_bits);
        let id = slots.ids().from_digest(&bytes);
        let slot = slots.of(id);
        prop_assert_eq!(slots.get(slot.0), Some(slot));
        prop_assert!(slots.first_id(slot) <= id && id <= slots.last_id(slot));
        prop_assert_eq!(slots.of(slots.first_id(slot)), slot);
        prop_assert_eq!(slots.of(slots.last_id(slot)), slot);
        // The number is the top bits of the digest itself, whatever m is.
        let top = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        prop_assert_eq!(u64::from(slot.0), (u64::from(top) * u64::from(slots.count())) >> 32);
    }
}
