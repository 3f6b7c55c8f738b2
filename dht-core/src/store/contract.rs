//! The contract of [`Store`] as a suite that every engine must pass.
//!
//! Fixed cases first, then random walks against a model, then threads. All of it follows from seeds; a failure
//! panics with what was done, what was found and what was expected, and [`check_seed`] repeats one walk.

#![doc(hidden)]

mod bounded;
mod model;
mod threads;

pub use bounded::check_bounded;

use bytes::Bytes;
use smallvec::SmallVec;

use self::model::{Model, SAMPLE_SLOTS, WALL_MS, done, fingerprint, keys, random_version, record, same, shuffle};
use super::{Merged, Store, Usage};
use crate::data::fingerprint::Fingerprint;
use crate::data::record::{Content, Format, KeyDigest, Record, Value, Version};
use crate::env::Env;
use crate::error::ErrorKind;
use crate::ring::slot::Slot;

/// How many slots the stores under test must have.
pub const SLOTS: u32 = 128;

const SEEDS: u64 = 32;
const STEPS: usize = 400;

/// Panics unless the engine keeps the contract. `make` returns a new, empty store of [`SLOTS`] slots with each call.
pub fn check(make: &dyn Fn() -> Box<dyn Store>) {
    empty(&*make());
    merge_laws(&*make());
    maps_and_keys_are_apart(&*make());
    large_values(&*make());
    records_in_pages(&*make());
    remove_slot(&*make());
    sweep(&*make());
    no_such_slot(&*make());
    for seed in 0..SEEDS {
        check_seed(make, seed);
        any_order_gives_the_same(make, seed);
    }
    for seed in 0..4 {
        threads::merge_the_same_keys(&*make(), seed);
        threads::remove_while_written(&*make(), seed);
    }
}

/// So many records of different keys, all with values that do not expire, for further tests of an engine.
pub fn some_records(count: usize) -> Vec<Record> {
    let version = |hlc| Version { hlc, ..Version::default() };
    let all = keys(count).into_iter().zip(1..).map(|(key, hlc)| record(0, &key, version(hlc)));
    let value = Some(Value { format: Format::Bytes, bytes: Bytes::from_static(b"value") });
    all.map(|record| Record { value: value.clone(), expires_at_ms: 0, ..record }).collect()
}

/// One random walk through every method, compared with a model after each step.
pub fn check_seed(make: &dyn Fn() -> Box<dyn Store>, seed: u64) {
    let (store, mut model, env) = (make(), Model::default(), Env::simulated(seed, 0));
    let (store, keys) = (&*store, keys(8));
    for step in 0..STEPS {
        let slot = SAMPLE_SLOTS[env.random_below(SAMPLE_SLOTS.len())];
        let (map, key) = (env.random_below(2) as u32, &keys[env.random_below(keys.len())]);
        let mut context = format!("seed {seed}, step {step}: ");
        match env.random_below(40) {
            0 => {
                let right = model.fingerprint(slot);
                let wrong = Fingerprint(right.0.wrapping_add(1));
                context += &format!("remove {slot:?}");
                same(&done(store.remove_slot(slot, wrong), &context), &false, || format!("{context} as it is not"));
                model.assert_is(store, &context);
                same(&done(store.remove_slot(slot, right), &context), &true, || format!("{context} as it is"));
                model.remove_slot(slot);
            }
            1 => {
                let (now_ms, forget_before_ms) =
                    (env.random_below(WALL_MS as usize) as u64, env.random_below(24) as u64);
                context += &format!("sweep {slot:?} at {now_ms}, forget before {forget_before_ms}");
                let dropped = done(store.sweep(slot, now_ms, forget_before_ms), &context);
                same(&dropped, &model.sweep(slot, now_ms, forget_before_ms), || format!("{context}: values dropped"));
            }
            2..10 => {
                context += &format!("get {slot:?}, map {map}, {key:?}");
                let found = done(store.get(slot, map, key), &context);
                same(&found.as_ref(), &model.get(slot, map, key), || context.clone());
                let content = done(store.content(slot, map, key), &context);
                same(&content, &found.map(Content::from), || format!("{context}: content"));
            }
            _ => {
                let version = random_version(&env);
                context += &format!("merge {slot:?}, map {map}, {key:?}, {version:?}");
                let record = record(map, key, version);
                let expected = model.merge(slot, record.clone());
                same(&done(store.merge(slot, record), &context), &expected, || context.clone());
            }
        }
        same(&done(store.fingerprint(slot), &context), &model.fingerprint(slot), || format!("{context}: fingerprint"));
        same(&store.usage(), &model.usage(), || format!("{context}: usage"));
        if step % 16 == 0 || step + 1 == STEPS {
            model.assert_is(store, &context);
        }
    }
}

fn empty(store: &dyn Store) {
    let context = "a new store";
    Model::default().assert_is(store, context);
    same(&done(store.get(Slot(1), 0, b""), context), &None, || format!("{context}: get"));
    let asked = [KeyDigest::of(0, b"a"), KeyDigest::of(0, b"b")];
    same(&done(store.records(Slot(1), &asked, 10), context), &(vec![], 2), || format!("{context}: absent records"));
    same(&done(store.records(Slot(1), &[], 10), context), &(vec![], 0), || format!("{context}: no digests"));
    same(&done(store.remove_slot(Slot(1), Fingerprint(1)), context), &false, || format!("{context}: remove wrongly"));
    same(&done(store.remove_slot(Slot(1), Fingerprint::EMPTY), context), &true, || format!("{context}: remove"));
    done(store.sweep(Slot(1), u64::MAX, u64::MAX), context);
    Model::default().assert_is(store, context);
}

fn merge_laws(store: &dyn Store) {
    let slot = Slot(7);
    let version = |hlc, node, boot| Version { hlc, node, boot };
    let steps = [
        ("first", version(5, 5, 5), true),
        ("equal version, another value", version(5, 5, 5), false),
        ("lower clock", version(4, 9, 9), false),
        ("lower node", version(5, 4, 9), false),
        ("lower boot", version(5, 5, 4), false),
        ("higher boot", version(5, 5, 6), true),
        ("higher node", version(5, 6, 0), true),
        ("higher clock", version(6, 0, 0), true),
        ("the first again", version(5, 5, 5), false),
    ];
    let mut present: Option<Record> = None;
    for (what, version, wins) in steps {
        let context = format!("merge laws: {what}");
        let record = plain(0, b"k", what.as_bytes(), version);
        let expected = match &present {
            Some(present) if !wins => Merged::Kept(present.version),
            _ => Merged::Stored,
        };
        same(&done(store.merge(slot, record.clone()), &context), &expected, || context.clone());
        present = if wins { Some(record) } else { present };
        same(&done(store.get(slot, 0, b"k"), &context), &present, || format!("{context}: get"));
        let kept = present.iter().map(|r| (r.digest(), r.version));
        same(&done(store.fingerprint(slot), &context), &fingerprint(kept), || format!("{context}: fingerprint"));
    }
}

fn maps_and_keys_are_apart(store: &dyn Store) {
    let context = "the same key in two maps and slots, the empty key, keys that begin alike";
    let mut model = Model::default();
    let spots =
        [(0, 0, &b""[..]), (0, 1, b""), (0, u32::MAX, b""), (1, 0, b""), (0, 0, b"a"), (0, 0, b"a\0"), (0, 0, b"ab")];
    for (n, (slot, map, key)) in spots.into_iter().enumerate() {
        let version = Version { hlc: 100 - n as u64, node: 1, boot: 1 };
        let record = plain(map, key, &[n as u8], version);
        model.merge(Slot(slot), record.clone());
        same(&done(store.merge(Slot(slot), record), context), &Merged::Stored, || format!("{context}: {n}"));
    }
    model.assert_is(store, context);
    same(&done(store.get(Slot(0), 2, b""), context), &None, || format!("{context}: an unused map"));
    same(&done(store.get(Slot(0), 0, b"abc"), context), &None, || format!("{context}: an unused key"));
}

/// Values around every size at which an engine may change its ways, alone and as slices of one frame.
fn large_values(store: &dyn Store) {
    let mut model = Model::default();
    let frame = Bytes::from((0..3_000_000_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>());
    for (n, len) in [4095, 4096, 4097, 65_535, 65_536, 1 << 20].into_iter().enumerate() {
        for alone in [false, true] {
            let context = format!("a value of {len} bytes, alone: {alone}");
            let bytes = if alone { Bytes::from(frame[n..n + len].to_vec()) } else { frame.slice(n..n + len) };
            let version = Version { hlc: 1, node: 1, boot: 1 };
            let mut record = plain(u32::from(alone), &[n as u8], b"", version);
            model.merge(Slot(0), Record { value: Some(bytes_value(bytes.to_vec())), ..record.clone() });
            record.value = Some(bytes_value(bytes));
            same(&done(store.merge(Slot(0), record), &context), &Merged::Stored, || context.clone());
            model.assert_is(store, &context);
        }
    }
}

fn records_in_pages(store: &dyn Store) {
    const COUNT: u32 = 3000;
    let (slot, mut model) = (Slot(63), Model::default());
    for n in 0..COUNT {
        let version = Version { hlc: u64::from(n), node: 1, boot: 1 };
        let record = plain(0, format!("key {n}").as_bytes(), &vec![7; n as usize % 50], version);
        model.merge(slot, record.clone());
        done(store.merge(slot, record), "filling one slot");
    }
    model.assert_is(store, "3000 keys in one slot");

    // Every third is unknown here, and the order is not the store's.
    let mut asked: Vec<_> = (0..COUNT).map(|n| KeyDigest::of(0, format!("key {}", n * 3 / 2).as_bytes())).collect();
    shuffle(&mut asked, &Env::simulated(1, 0));
    let by_digest: std::collections::BTreeMap<_, _> = model.of(slot).map(|r| (r.digest(), r)).collect();
    for bytes_max in [1, 30, 1000, 40_000, usize::MAX] {
        let mut rest = &asked[..];
        while !rest.is_empty() {
            let context = format!("records, at most {bytes_max} bytes, {} digests to go", rest.len());
            let (mut expected, mut bytes, mut dealt_with) = (vec![], 0, 0);
            while bytes < bytes_max && dealt_with < rest.len() {
                if let Some(&record) = by_digest.get(&rest[dealt_with]) {
                    expected.push(record.clone());
                    bytes += record.payload_len();
                }
                dealt_with += 1;
            }
            same(&done(store.records(slot, rest, bytes_max), &context), &(expected, dealt_with), || context.clone());
            rest = &rest[dealt_with..];
        }
    }
    let (_, dealt_with) = done(store.records(slot, &asked, 0), "records, at most 0 bytes");
    assert!(dealt_with >= 1, "records, at most 0 bytes: none of {} digests was dealt with", asked.len());
}

fn remove_slot(store: &dyn Store) {
    let (slot, other) = (Slot(64), Slot(63));
    let mut model = Model::default();
    for (n, key) in keys(20).iter().enumerate() {
        let record = record(0, key, Version { hlc: n as u64, node: 1, boot: 1 });
        for slot in [slot, other] {
            model.merge(slot, record.clone());
            done(store.merge(slot, record.clone()), "filling two slots");
        }
    }
    let before = model.fingerprint(slot);
    let late = plain(0, b"late", b"v", Version { hlc: 9, node: 1, boot: 1 });
    model.merge(slot, late.clone());
    done(store.merge(slot, late), "a late write");
    for wrong in [before, Fingerprint::EMPTY] {
        let context = "remove_slot with a fingerprint that is no longer right";
        same(&done(store.remove_slot(slot, wrong), context), &false, || context.to_owned());
        model.assert_is(store, context);
    }
    let context = "remove_slot with the right fingerprint";
    same(&done(store.remove_slot(slot, model.fingerprint(slot)), context), &true, || context.to_owned());
    model.remove_slot(slot);
    model.assert_is(store, context);
}

fn sweep(store: &dyn Store) {
    const SWEPT: Slot = Slot(63);
    let mut model = Model::default();
    let at = |ms: u64, key: &[u8], expires_at_ms| {
        let version = Version { hlc: ms << 16, node: 1, boot: 1 };
        Record { expires_at_ms, ..plain(0, key, b"0123456789", version) }
    };
    let deleted = |record: Record| Record { value: None, ..record };
    let records = [
        at(10, b"stays", 0),
        at(10, b"expires at 50", 50),
        at(10, b"expires at 51", 51),
        deleted(at(10, b"deleted at 10", 0)),
        deleted(at(20, b"deleted at 20", 0)),
        deleted(at(10, b"deleted at 10, expires at 30", 30)),
    ];
    for record in records {
        model.merge(SWEPT, record.clone());
        done(store.merge(SWEPT, record), "filling the slot to sweep");
    }
    let full = model.fingerprint(SWEPT);
    let rounds = [
        // now, forget before, usage: live, tombstones
        ("nothing is due", 49, 10, 3, 3),
        ("one expires in this instant", 50, 10, 2, 4),
        ("a bound in the millisecond of a tombstone", 50, 11, 2, 3),
        ("the same again", 50, 11, 2, 3),
        ("a tombstone's expiry counts", 50, 30, 2, 2),
        ("and is over", 50, 31, 2, 1),
        ("expired and forgotten at once", 60, 60, 1, 0),
    ];
    for (what, now_ms, forget_before_ms, live, tombstones) in rounds {
        let context = format!("sweep at {now_ms}, forget before {forget_before_ms}: {what}");
        let dropped = done(store.sweep(SWEPT, now_ms, forget_before_ms), &context);
        same(&dropped, &model.sweep(SWEPT, now_ms, forget_before_ms), || format!("{context}: values dropped"));
        model.assert_is(store, &context);
        let usage = store.usage();
        same(&usage, &Usage { live, tombstones, ..usage }, || context.clone());
        if forget_before_ms == 10 {
            same(&done(store.fingerprint(SWEPT), &context), &full, || format!("{context}: nothing was forgotten yet"));
        }
    }
}

fn no_such_slot(store: &dyn Store) {
    done(store.merge(Slot(SLOTS - 1), plain(0, b"k", b"v", Version::default())), "the last slot");
    let before = store.usage();
    for slot in [Slot(SLOTS), Slot(u32::MAX)] {
        let results = [
            ("get", store.get(slot, 0, b"k").err()),
            ("merge", store.merge(slot, plain(0, b"k", b"v", Version::default())).err()),
            ("fingerprint", store.fingerprint(slot).err()),
            ("versions", store.versions(slot).err()),
            ("records", store.records(slot, &[], 1).err()),
            ("remove_slot", store.remove_slot(slot, Fingerprint::EMPTY).err()),
            ("sweep", store.sweep(slot, 1, 1).err()),
        ];
        for (what, error) in results {
            same(&store.bytes_in(slot), &0, || format!("bytes in {slot:?} of {SLOTS}"));
            same(&error.map(|e| e.kind()), &Some(ErrorKind::Internal), || format!("{what} in {slot:?} of {SLOTS}"));
        }
    }
    same(&store.usage(), &before, || "usage after calls for slots there are not".to_owned());
}

/// Every replica that saw the same records, in any order and any number of times, holds the same.
fn any_order_gives_the_same(make: &dyn Fn() -> Box<dyn Store>, seed: u64) {
    let (env, keys) = (Env::simulated(seed, 0), keys(6));
    let mut writes = Vec::new();
    for n in 0..150 {
        let (slot, key) = (SAMPLE_SLOTS[n % 2], &keys[env.random_below(keys.len())]);
        writes.push((slot, record(env.random_below(2) as u32, key, random_version(&env))));
    }
    writes.extend_from_within(..50);
    let mut model = Model::default();
    for (slot, record) in &writes {
        model.merge(*slot, record.clone());
    }
    for round in 0..3 {
        let context = format!("seed {seed}: the same writes in order {round}");
        shuffle(&mut writes, &env);
        let store = make();
        for (slot, record) in &writes {
            done(store.merge(*slot, record.clone()), &context);
        }
        model.assert_is(&*store, &context);
    }
}

fn plain(map: u32, key: &[u8], value: &[u8], version: Version) -> Record {
    let (key, value) = (Bytes::copy_from_slice(key), Some(bytes_value(value.to_vec())));
    Record { map, key, value, version, expires_at_ms: 0, operations: SmallVec::new() }
}

fn bytes_value(bytes: impl Into<Bytes>) -> Value {
    Value { format: Format::Bytes, bytes: bytes.into() }
}
