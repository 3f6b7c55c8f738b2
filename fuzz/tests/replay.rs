//! Every target over its seeds, all that was ever found among them, and over some mutations, the same each time.

use std::collections::BTreeSet;

use dht_fuzz::mutate::{Chance, mutated};
use dht_fuzz::{TARGETS, seeds};

fn replay(name: &str) {
    let target = dht_fuzz::target(name).expect("a target");
    let seeds = seeds::of(&target);
    assert!(seeds.len() >= 3, "{name} has only {} seeds", seeds.len());
    for seed in &seeds {
        target.run(seed);
    }
    let mut chance = Chance::new(1);
    for _ in 0..target.tried {
        let (seed, other) = (&seeds[chance.below(seeds.len())], &seeds[chance.below(seeds.len())]);
        let data = mutated(&mut chance, seed, other, seeds::LEN_MAX);
        if let Err(found) = std::panic::catch_unwind(|| target.run(&data)) {
            eprintln!("{name}: the input is {data:02x?}");
            std::panic::resume_unwind(found);
        }
    }
}

macro_rules! replayed {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })+

        #[test]
        fn no_target_is_left_out() {
            let here = BTreeSet::from([$(stringify!($name)),+]);
            assert_eq!(here, TARGETS.iter().map(|target| target.name).collect());
        }
    };
}

replayed! { frame hello call reply config input node secured datagram datagrams }

/// A message of `count` elements in `field` of the body of that kind, each of these bytes.
fn repeated(kind: u32, field: u8, count: usize, element: &[u8]) -> Vec<u8> {
    let varint = |mut number: usize| {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    let body: Vec<u8> =
        (0..count).flat_map(|_| [&[field << 3 | 2][..], &varint(element.len()), element].concat()).collect();
    [varint((kind << 3 | 2) as usize), varint(body.len()), body].concat()
}

/// What costs its receiver most for its bytes: the smallest valid elements, as many as a message may have.
#[test]
fn the_dearest_messages_are_within_their_bound() {
    let node = [&[0x0a, 1, b'a', 0x11][..], &[1; 8], &[0x1a, 1, b'a', 0x30, 2, 0x38, 1]].concat();
    let pointer = [0x12, 1, b'a'];
    let notice = [&[0x0a, 3][..], &pointer].concat();
    let call = dht_fuzz::target("call").expect("a target");
    for (name, data) in [
        ("ping", repeated(16, 2, 16_384, &node)),
        ("notify", repeated(23, 1, 4_096, &notice)),
        // An operation: action get. An item to store: an empty list, a record with an empty version.
        ("apply", [repeated(25, 1, 1_024, &[0x28, 1])].concat()),
        ("store", repeated(26, 1, 1_024, &[0x12, 0, 0x1a, 2, 0x2a, 0])),
        ("fetch", repeated(27, 1, 1_024, &[0x12, 0])),
        ("pull", repeated(30, 1, 1_024, &[])),
    ] {
        let before = dht_fuzz::heap::start();
        call.run(&data);
        println!("call {name}: {} bytes, {} at once", data.len(), dht_fuzz::heap::most() - before);
    }
    let reply = dht_fuzz::target("reply").expect("a target");
    let error = [0x22, 2, 8, 1];
    for (name, data) in [
        ("pong", repeated(16, 2, 16_384, &node)),
        ("route", repeated(24, 2, 4_096, &pointer)),
        ("applied", repeated(25, 1, 1_024, &[0x12, 4, 0x0a, 2, 0x2a, 0])),
        ("applied, failed", repeated(25, 1, 1_024, &error)),
        ("stored, failed", repeated(26, 1, 1_024, &error)),
        ("fetched, failed", repeated(27, 1, 1_024, &error)),
        ("fetched", repeated(27, 1, 1_024, &[0x0a, 6, 0x0a, 0, 0x12, 2, 0x2a, 0])),
        ("records", repeated(30, 1, 1_024, &[0x12, 2, 0x2a, 0])),
    ] {
        let before = dht_fuzz::heap::start();
        reply.run(&data);
        println!("reply {name}: {} bytes, {} at once", data.len(), dht_fuzz::heap::most() - before);
    }
}
