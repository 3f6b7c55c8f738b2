use bytes::Bytes;
use smallvec::SmallVec;

use super::*;
use crate::data::record::{Format, OPERATIONS_MAX, OpId, Value};
use crate::env::Env;
use crate::store::contract;

const MIB: u64 = 1 << 20;
/// Far above what the suite stores.
const AMPLE: u64 = 1 << 30;
/// Nothing but the bound is wanted here.
const SMALL: u64 = 4 * MIB;

#[test]
fn bounded_stores_keep_the_contract() {
    for eviction in [Eviction::Reject, Eviction::Lru] {
        contract::check(&|| Box::new(MemoryStore::bounded(contract::SLOTS, AMPLE, eviction)));
        contract::check_bounded(&|max_memory| Box::new(MemoryStore::bounded(contract::SLOTS, max_memory, eviction)));
    }
}

fn record(n: u64, len: usize) -> (Slot, Record) {
    let value = Some(Value { format: Format::Bytes, bytes: Bytes::from(vec![n as u8; len]) });
    let version = Version { hlc: (n + 1) << 16, node: 1, boot: 1 };
    let operations = SmallVec::from_elem(OpId { origin: 1, sequence: n }, 1);
    let key = Bytes::from(format!("key-{n:012}"));
    (slot(n), Record { map: 0, key, value, version, expires_at_ms: 0, operations })
}

fn slot(n: u64) -> Slot {
    Slot((n % 64) as u32)
}

fn key(n: u64) -> String {
    format!("key-{n:012}")
}

fn has(store: &MemoryStore, n: u64) -> bool {
    store.get(slot(n), 0, key(n).as_bytes()).expect("in range").is_some()
}

fn merge(store: &MemoryStore, (slot, record): (Slot, Record)) -> Result<Merged> {
    store.merge(slot, record)
}

fn deletion(n: u64, of: u64) -> (Slot, Record) {
    let (slot, record) = record(of, 0);
    let version = Version { hlc: (n + 1) << 16, ..record.version };
    (slot, Record { value: None, version, ..record })
}

/// Fills with records of 1 KiB until one is refused; how many were taken.
fn fill(store: &MemoryStore) -> u64 {
    let full = (0..u64::MAX).find(|n| merge(store, record(*n, 1000)).is_err());
    full.expect("a bounded store gets full")
}

#[test]
fn a_full_store_refuses_what_makes_it_larger_and_nothing_else() {
    let store = MemoryStore::bounded(64, SMALL, Eviction::Reject);
    let taken = fill(&store);
    let (memory, usage) = (store.memory(), store.usage());
    assert!((SMALL * 9 / 10..=SMALL).contains(&memory), "{memory} of {SMALL}");
    let fingerprint = |n| store.fingerprint(slot(n)).expect("in range");
    let before = fingerprint(taken);

    let error = merge(&store, record(taken, 1000)).expect_err("full");
    assert_eq!(error.kind(), ErrorKind::MemoryFull);
    for part in [memory.to_string(), format!("max_memory is {SMALL}")] {
        assert!(error.context().contains(&part), "{error}");
    }
    let larger = |n: u64, of, len| {
        let (slot, mut record) = record(of, len);
        record.version.hlc = (n + 1) << 16;
        (slot, record)
    };
    assert_eq!(merge(&store, larger(taken, 0, 9000)).expect_err("larger").kind(), ErrorKind::MemoryFull);
    assert_eq!((store.memory(), store.usage(), fingerprint(taken)), (memory, usage, before), "nothing was changed");

    // An old version is no use, full or not.
    let kept = merge(&store, record(1, 9000)).expect("not refused");
    assert!(matches!(kept, Merged::Kept(_)));
    assert_eq!(merge(&store, larger(taken, 0, 1000)).expect("of equal size"), Merged::Stored);
    assert_eq!(merge(&store, larger(taken + 1, 0, 10)).expect("smaller"), Merged::Stored);
    assert!(store.memory() < memory);
    for n in 1..taken {
        assert_eq!(merge(&store, deletion(taken + n, n)).expect("a deletion"), Merged::Stored);
    }
    for n in 2 * taken..2 * taken + 100 {
        assert_eq!(merge(&store, record(n, 1000)).expect("there is room again"), Merged::Stored);
    }
    assert_eq!(store.evictions(), 0);
    // Deletions of what is not here, as a repair may bring them, are taken beyond the bound.
    let mut n = 10 * taken;
    while store.memory() <= SMALL {
        assert_eq!(merge(&store, deletion(n, n)).expect("a deletion"), Merged::Stored);
        n += 1;
    }
    assert_eq!(merge(&store, record(n, 0)).expect_err("above the bound").kind(), ErrorKind::MemoryFull);
    assert!(store.merge_beyond_bound(slot(n), record(n, 100).1).is_ok());
}

#[test]
fn what_was_used_lately_stays() {
    let store = MemoryStore::bounded(64, SMALL, Eviction::Lru);
    let hot = 200;
    for n in 0..hot {
        merge(&store, record(n, 1000)).expect("there is room");
    }
    // Ten times as much as fits passes by; the hot ones are read all the time.
    for n in hot..40_000 {
        merge(&store, record(n, 1000)).expect("room is made");
        assert!(store.memory() <= SMALL, "{} of {SMALL}", store.memory());
        if n % 5 == 0 {
            has(&store, n / 5 % hot);
        }
    }
    assert!(store.memory() > SMALL * 9 / 10, "{} of {SMALL}", store.memory());
    let stayed = (0..hot).filter(|n| has(&store, *n)).count();
    assert!(stayed as u64 >= hot * 95 / 100, "{stayed} of {hot} that are in use");
    let cold = (hot..2 * hot).filter(|n| has(&store, *n)).count();
    assert_eq!(cold, 0, "long unused");
    assert_eq!(store.evictions() + store.usage().live, 40_000);
    assert!((0..64).all(|slot| store.evicted_before_s(Slot(slot)) > 0));
}

#[test]
fn evicted_before_is_above_all_that_were_evicted_until_the_slot_is_removed() {
    let store = MemoryStore::bounded(64, SMALL, Eviction::Lru);
    let second = |n: u64| 1_000 * 1_000 * n;
    for n in 0..8_000 {
        let (slot, mut record) = record(n, 1000);
        record.version.hlc = second(n % 100) << 16;
        store.merge(slot, record).expect("room is made");
    }
    for n in 0..8_000 {
        let before = u64::from(store.evicted_before_s(slot(n)));
        assert!(has(&store, n) || second(n % 100) / 1000 < before, "{n}: {before}");
    }
    assert!(store.evictions() > 1_000);
    let fingerprint = store.fingerprint(Slot(1)).expect("in range");
    assert!(store.remove_slot(Slot(1), fingerprint).expect("in range"));
    assert_eq!(store.evicted_before_s(Slot(1)), 0);
}

#[test]
fn deletions_are_never_evicted_and_leave_room_for_nothing_in_the_end() {
    let store = MemoryStore::bounded(64, SMALL, Eviction::Lru);
    let mut n = 0;
    while store.memory() < SMALL {
        merge(&store, deletion(n, n)).expect("a deletion");
        n += 1;
    }
    let error = merge(&store, record(n, 1000)).expect_err("nothing to evict");
    assert_eq!(error.kind(), ErrorKind::MemoryFull);
    assert!(error.context().contains("nothing is left to evict"), "{error}");
    assert_eq!((store.usage().tombstones, store.evictions()), (n, 0));
    // A few values among them are found.
    let (slot, small) = record(n, 0);
    store.merge_beyond_bound(slot, small).expect("beyond the bound");
    store.sweep(Slot(0), 0, u64::MAX).expect("in range");
    merge(&store, record(n + 64, 20_000)).expect("room was made");
    let larger = MemoryStore::bounded(64, SMALL, Eviction::Lru);
    merge(&larger, record(0, 100)).expect("there is room");
    assert_eq!(merge(&larger, record(1, 5 << 20)).expect_err("larger than all").kind(), ErrorKind::MemoryFull);
    assert_eq!(larger.usage().live, 1, "nothing was evicted for what can never fit");
}

/// A cache whose values expire: what has expired makes room, and where deletions fill the bound nothing that lives goes in vain.
#[test]
fn what_expired_makes_room_and_deletions_cost_nothing_that_lives() {
    let store = MemoryStore::bounded(64, SMALL, Eviction::Lru);
    let (mut n, expired) = (0, 1_000);
    while store.memory() < SMALL - 100_000 {
        let (slot, value) = record(n, 100);
        store.merge(slot, Record { expires_at_ms: expired, ..value }).expect("there is room");
        n += 1;
    }
    for slot in 0..64 {
        store.sweep(Slot(slot), expired + 1, 0).expect("in range");
    }
    assert_eq!((store.usage().live, store.usage().tombstones), (0, n), "all have expired, none is forgotten");
    for n in n..n + 2_000 {
        merge(&store, record(n, 1000)).expect("what expired makes room");
    }
    assert!(store.usage().live > 1_000 && store.memory() <= SMALL, "{:?}", store.usage());

    let store = MemoryStore::bounded(64, SMALL, Eviction::Lru);
    merge(&store, record(0, 20_000)).expect("there is room");
    let mut n = 1;
    while store.memory() < SMALL - 10_000 {
        merge(&store, deletion(n, n)).expect("a deletion");
        n += 1;
    }
    let error = merge(&store, record(n, 1_500_000)).expect_err("deletions take all");
    assert_eq!(error.kind(), ErrorKind::MemoryFull);
    assert_eq!((store.usage().live, store.evictions()), (1, 0), "nothing was evicted in vain");
}

#[test]
fn threads_keep_within_the_bound() {
    for eviction in [Eviction::Reject, Eviction::Lru] {
        let store = MemoryStore::bounded(64, SMALL, eviction);
        std::thread::scope(|scope| {
            for writer in 0..4_u64 {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..5_000 {
                        let merged = merge(store, record(n * 4 + writer, 1000));
                        assert!(merged.is_ok() || eviction == Eviction::Reject, "{merged:?}");
                        assert!(store.memory() <= SMALL, "{} of {SMALL}", store.memory());
                    }
                });
            }
        });
        let live = store.usage().live;
        assert!((2_000..5_000).contains(&live), "{live} records of 1 KiB in {SMALL}");
    }
}

/// The count of memory is exact but for what the allocator does.
#[test]
fn memory_comes_and_goes_with_the_records() {
    let store = MemoryStore::bounded(64, 64 * MIB, Eviction::Lru);
    let empty = store.memory();
    let env = Env::simulated(1, 0);
    for round in 0..3_u64 {
        for n in 0..2_000 {
            let (slot, mut record) = record(n, [0, 10, 300, 600, 5_000][env.random_below(5)]);
            record.version.hlc += round << 40;
            record.expires_at_ms = [0, 50][env.random_below(2)];
            let operation = |sequence| OpId { origin: 1, sequence };
            record.operations = (0..env.random_below(OPERATIONS_MAX) as u64).map(operation).collect();
            store.merge(slot, record).expect("there is room");
        }
    }
    let full = store.memory();
    for slot in (0..64).map(Slot) {
        assert!(store.sweep(slot, 50, 0).expect("in range") > 0);
    }
    assert!(store.memory() < full, "values expired");
    for slot in (0..64).map(Slot) {
        let fingerprint = store.fingerprint(slot).expect("in range");
        assert!(store.remove_slot(slot, fingerprint).expect("in range"));
    }
    assert_eq!(store.memory() - empty, BLOCK_MEMORY, "only the block of the slots is left");
}
