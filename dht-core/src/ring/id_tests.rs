use proptest::prelude::*;

use super::{Id, IdSpace, Span};

const WIDTHS: [u16; 14] = [1, 2, 3, 8, 63, 64, 65, 127, 128, 129, 160, 161, 255, 256];

fn space(bits: u16) -> IdSpace {
    IdSpace::new(bits).expect("1..=256")
}

fn small(number: u128) -> Id {
    Id { hi: 0, lo: number }
}

/// Any space, and three ids in it: often near its ends, near each other and near the seam of the two halves.
fn space_and_ids() -> impl Strategy<Value = (IdSpace, Id, Id, Id)> {
    let bytes = || {
        prop_oneof![
            any::<[u8; 32]>(),
            Just([0; 32]),
            Just([0xff; 32]),
            (0..=255_u8).prop_map(|low| std::array::from_fn(|i| if i == 31 { low } else { 0 })),
            (0..16_usize).prop_map(|zeros| std::array::from_fn(|i| if i < 16 + zeros { 0 } else { 0xff })),
        ]
    };
    let width = prop_oneof![prop::sample::select(WIDTHS.to_vec()), 1..=256_u16];
    (width, bytes(), bytes(), bytes()).prop_map(|(bits, a, b, c)| {
        let space = space(bits);
        let id = |bytes| space.wrapping_add(Id::ZERO, Id::from_be_bytes(bytes));
        (space, id(a), id(b), id(c))
    })
}

/// The `bits` low bits of `id`, least significant first.
fn to_bits(id: Id, bits: u16) -> Vec<bool> {
    let bytes = id.to_be_bytes();
    (0..usize::from(bits)).map(|i| bytes[31 - i / 8] >> (i % 8) & 1 == 1).collect()
}

/// Addition as learnt at school, digit by digit, the last carry dropped.
fn add_bits(a: &[bool], b: &[bool]) -> Vec<bool> {
    let mut carry = false;
    let add = |(&a, &b): (&bool, &bool)| {
        let sum = u8::from(a) + u8::from(b) + u8::from(carry);
        carry = sum > 1;
        sum % 2 == 1
    };
    a.iter().zip(b).map(add).collect()
}

#[test]
fn a_space_has_1_to_256_bits() {
    assert_eq!(IdSpace::new(0), None);
    assert_eq!(IdSpace::new(257), None);
    assert_eq!(IdSpace::new(u16::MAX), None);
    for bits in 1..=256 {
        let space = space(bits);
        assert_eq!(space.bits(), bits);
        assert_eq!(to_bits(space.max(), 256), (0..256).map(|i| i < bits).collect::<Vec<_>>(), "m = {bits}");
        assert!(space.contains(space.max()));
        assert_eq!(space.successor_of(space.max()), Id::ZERO, "m = {bits}");
        assert_eq!(space.wrapping_sub(Id::ZERO, small(1)), space.max(), "m = {bits}");
        if bits < 256 {
            assert!(!space.contains(Id::ZERO.add(space.max()).add(Id::ONE)), "2^{bits}");
        }
    }
}

#[test]
fn order_is_numeric_across_the_halves() {
    let (below, above) = (Id { hi: 0, lo: u128::MAX }, Id { hi: 1, lo: 0 });
    assert!(below < above && small(2) < small(10));
    assert_eq!(space(256).successor_of(below), above);
    assert_eq!(space(256).wrapping_sub(above, small(1)), below);
}

#[test]
fn digests_are_left_aligned() {
    let digest: Vec<u8> = (0..40_u8).map(|i| 0x81 ^ i.wrapping_mul(7)).collect();
    for len in 0..=digest.len() {
        for bits in 1..=256 {
            let id = space(bits).from_digest(&digest[..len]);
            let wanted = (0..usize::from(bits)).map(|i| i < len * 8 && digest[i / 8] >> (7 - i % 8) & 1 == 1);
            let mut found = to_bits(id, bits);
            found.reverse();
            assert_eq!(found, wanted.collect::<Vec<_>>(), "m = {bits}, {len} bytes");
            assert!(space(bits).contains(id));
        }
    }
    assert_eq!(space(8).from_digest(&[0xab, 0xcd]), small(0xab));
    assert_eq!(space(1).from_digest(&[0x80]), small(1));
    assert_eq!(space(12).from_digest(&[0xab]), small(0xab0));
}

#[test]
fn finger_starts() {
    assert_eq!(space(8).add_power_of_two(small(250), 3), small(2));
    assert_eq!(space(256).add_power_of_two(small(5), 128), Id { hi: 1, lo: 5 });
    for bits in WIDTHS {
        let space = space(bits);
        assert_eq!(space.add_power_of_two(Id::ZERO, 0), small(1));
        let far = space.add_power_of_two(Id::ZERO, bits - 1);
        assert_eq!(space.wrapping_add(far, far), Id::ZERO, "half the ring, twice, m = {bits}");
        assert_ne!(far, Id::ZERO);
        for beyond in [bits, 256, u16::MAX] {
            assert_eq!(space.add_power_of_two(small(1), beyond), small(1));
        }
    }
}

#[test]
fn hex_has_the_width_of_the_space() {
    assert_eq!(space(1).hex(Id::ZERO), "0");
    assert_eq!(space(9).hex(small(0x1f)), "01f");
    assert_eq!(space(129).hex(Id { hi: 1, lo: 0xab }), format!("1{:032x}", 0xab));
    assert_eq!(space(256).hex(space(256).max()), "f".repeat(64));
    assert_eq!(format!("{:?} {:?}", small(0x2f), Id { hi: 3, lo: 4 }), format!("Id(2f) Id(3{:032x})", 4));
}

#[test]
fn hex_that_is_no_id_is_refused() {
    for (bits, text) in [
        (8, ""),
        (8, "f"),
        (8, "0ff"),
        (8, "+f"),
        (8, "-1"),
        (8, " f"),
        (8, "0g"),
        (8, "é"),
        (1, "2"),
        (2, "4"),
        (7, "80"),
        (9, "200"),
        (129, "200000000000000000000000000000000"),
    ] {
        assert_eq!(space(bits).parse_hex(text), None, "m = {bits}, {text:?}");
    }
    assert_eq!(space(255).parse_hex(&"f".repeat(64)), None);
    assert_eq!(space(8).parse_hex("aF"), Some(small(0xaf)));
}

#[test]
fn spans() {
    type Kind = fn(Id, Id) -> Span;
    // (kind, after, end, the ids of a ring of eight on it)
    let table: [(Kind, u128, u128, &[u128]); 14] = [
        (Span::open, 2, 5, &[3, 4]),
        (Span::half_open, 2, 5, &[3, 4, 5]),
        (Span::open, 2, 3, &[]),
        (Span::half_open, 2, 3, &[3]),
        (Span::open, 6, 2, &[7, 0, 1]),
        (Span::half_open, 6, 2, &[7, 0, 1, 2]),
        (Span::open, 7, 0, &[]),
        (Span::half_open, 7, 0, &[0]),
        (Span::open, 0, 7, &[1, 2, 3, 4, 5, 6]),
        (Span::half_open, 0, 7, &[1, 2, 3, 4, 5, 6, 7]),
        (Span::open, 4, 4, &[0, 1, 2, 3, 5, 6, 7]),
        (Span::half_open, 4, 4, &[0, 1, 2, 3, 4, 5, 6, 7]),
        (Span::open, 0, 0, &[1, 2, 3, 4, 5, 6, 7]),
        (Span::half_open, 7, 7, &[0, 1, 2, 3, 4, 5, 6, 7]),
    ];
    for (kind, after, end, on_it) in table {
        let span = kind(small(after), small(end));
        for id in 0..8 {
            assert_eq!(span.contains(small(id)), on_it.contains(&id), "{span:?} {id}");
        }
    }
}

proptest! {
    #[test]
    fn arithmetic_is_modulo_the_space((space, a, b, _) in space_and_ids()) {
        let bits = space.bits();
        let sum = space.wrapping_add(a, b);
        prop_assert!(space.contains(a) && space.contains(sum));
        prop_assert_eq!(to_bits(sum, bits), add_bits(&to_bits(a, bits), &to_bits(b, bits)));
        prop_assert_eq!(space.wrapping_sub(sum, b), a);
        prop_assert_eq!(space.successor_of(a), space.wrapping_add(a, small(1)));
    }

    #[test]
    fn shifts_move_bits((_, a, _, _) in space_and_ids(), places in 0..300_usize) {
        let bits = to_bits(a, 256);
        let bit = |i: Option<usize>| i.and_then(|i| bits.get(i).copied()).unwrap_or(false);
        let left: Vec<_> = (0..256_usize).map(|i| bit(i.checked_sub(places))).collect();
        let right: Vec<_> = (0..256).map(|i| bit(Some(i + places))).collect();
        prop_assert_eq!(to_bits(a.shift_left(places as u32), 256), left);
        prop_assert_eq!(to_bits(a.shift_right(places as u32), 256), right);
    }

    #[test]
    fn distance_laws((space, a, b, c) in space_and_ids()) {
        prop_assert_eq!(space.distance(a, a), Id::ZERO);
        prop_assert_eq!(space.wrapping_add(a, space.distance(a, b)), b);
        prop_assert_eq!(space.wrapping_add(space.distance(a, b), space.distance(b, c)), space.distance(a, c));
        prop_assert_eq!(space.wrapping_add(space.distance(a, b), space.distance(b, a)), Id::ZERO);
        prop_assert!(space.contains(space.distance(a, b)));
    }

    #[test]
    fn spans_agree_with_distances((space, a, b, x) in space_and_ids()) {
        let (to_x, to_b) = (space.distance(a, x), space.distance(a, b));
        let open = if a == b { x != a } else { x != a && to_x < to_b };
        prop_assert_eq!(Span::open(a, b).contains(x), open);
        prop_assert_eq!(Span::half_open(a, b).contains(x), open || x == b);
    }

    #[test]
    fn bytes_and_hex_round_trip((space, a, b, _) in space_and_ids()) {
        prop_assert_eq!(Id::from_be_bytes(a.to_be_bytes()), a);
        prop_assert_eq!(a.cmp(&b), a.to_be_bytes().cmp(&b.to_be_bytes()));
        let hex = space.hex(a);
        prop_assert_eq!(hex.len(), usize::from(space.bits()).div_ceil(4));
        prop_assert_eq!(space.parse_hex(&hex), Some(a));
        prop_assert_eq!(space.parse_hex(&hex.to_uppercase()), Some(a));
        prop_assert_eq!(a.cmp(&b), hex.cmp(&space.hex(b)));
    }

    #[test]
    fn any_text_is_an_id_or_refused(bits in 1..=256_u16, text in "\\PC{0,66}") {
        if let Some(id) = space(bits).parse_hex(&text) {
            prop_assert_eq!(space(bits).hex(id), text.to_lowercase());
        }
    }
}
