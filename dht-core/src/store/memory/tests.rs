use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::entry::PACKED_VALUE_LEN_MAX;
use super::*;
use crate::data::record::{Format, OpId, Value};
use crate::store::contract;

#[test]
fn keeps_the_contract() {
    contract::check(&|| Box::new(MemoryStore::new(contract::SLOTS)));
}

fn record(key: Bytes, value: Bytes, hlc: u64) -> Record {
    let (value, version) = (Some(Value { format: Format::Bytes, bytes: value }), Version { hlc, node: 1, boot: 1 });
    let operations = SmallVec::from_elem(OpId { origin: 1, sequence: 2 }, 1);
    Record { map: 0, key, value, version, expires_at_ms: 0, operations }
}

fn stored_value(store: &MemoryStore) -> Bytes {
    store.get(Slot(0), 0, b"k").unwrap().unwrap().value.unwrap().bytes
}

/// A frame as the codec leaves it: one buffer, sliced. Says whether the value kept afterwards lies in it.
fn kept_in_frame(before: usize, value_len: usize, behind: usize, other_handle: bool) -> bool {
    let frame = Bytes::from([&vec![b'x'; before][..], &vec![b'v'; value_len], &vec![b'y'; behind]].concat());
    let range = frame.as_ptr_range();
    let store = MemoryStore::new(1);
    let (key, value) = (Bytes::from_static(b"k"), frame.slice(before..before + value_len));
    let other = other_handle.then(|| frame.slice(..1));
    drop(frame);
    store.merge(Slot(0), record(key, value, 1)).unwrap();
    drop(other);
    let kept = stored_value(&store);
    assert_eq!(kept, vec![b'v'; value_len]);
    range.contains(&kept.as_ptr())
}

#[test]
fn a_frame_is_kept_only_for_a_value_that_fills_it() {
    const MIB: usize = 1 << 20;
    assert!(kept_in_frame(60, MIB, 0, false), "alone behind its header");
    assert!(kept_in_frame(60, MIB, 100, false), "with a short tail");
    assert!(!kept_in_frame(60, MIB, 0, true), "somebody else has a part of the frame");
    assert!(!kept_in_frame(60, MIB, MIB, false), "the room behind is as large");
    assert!(!kept_in_frame(MIB, MIB, 0, false), "the room before is as large");
    assert!(!kept_in_frame(60, PACKED_VALUE_LEN_MAX, 0, false), "short");
}

#[test]
fn a_key_in_the_frame_of_its_value_is_no_other_owner() {
    let frame = Bytes::from(vec![b'k'; 1 << 20]);
    let range = frame.as_ptr_range();
    let (key, value) = (frame.slice(..1), frame.slice(60..));
    drop(frame);
    let store = MemoryStore::new(1);
    store.merge(Slot(0), record(key, value, 1)).unwrap();
    assert!(range.contains(&stored_value(&store).as_ptr()));
}

/// Bytes whose release can be seen.
struct Watched(#[expect(dead_code, reason = "counted by its drops")] Arc<()>, Vec<u8>);

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.1
    }
}

#[test]
fn what_was_merged_is_given_back() {
    let alive = Arc::new(());
    let store = MemoryStore::new(64);
    for len in [10, 100_000] {
        let frame = Bytes::from_owner(Watched(alive.clone(), vec![1; len]));
        store.merge(Slot(0), record(frame.slice(..4), frame.slice(4..), 1)).unwrap();
        assert_eq!(Arc::strong_count(&alive), 2, "only we hold the frame of {len} bytes");
        drop(frame);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}

#[test]
fn memory_is_given_back() {
    let store = MemoryStore::new(64);
    let heap = |slot| store.table(Slot(slot)).unwrap().map_or(0, |t| t.entries.memory());
    assert!(store.blocks[0].get().is_none(), "a new store has no slots yet");
    store.get(Slot(0), 0, b"k").unwrap();
    store.fingerprint(Slot(0)).unwrap();
    assert!(store.remove_slot(Slot(0), Fingerprint::EMPTY).unwrap());
    assert!(store.blocks[0].get().is_none(), "reading made a block");

    let fill = |slot: u32, expires_at_ms| {
        for n in 0..1000 {
            let key = Bytes::from(format!("{n}"));
            let record = Record { expires_at_ms, ..record(key, Bytes::from_static(&[1; 100]), 1) };
            store.merge(Slot(slot), record).unwrap();
        }
    };
    fill(0, 0);
    let full = heap(0);
    assert!(full >= 27_000 && heap(1) == 0, "a slot beside it costs nothing: {full}, {}", heap(1));
    assert!(store.remove_slot(Slot(0), store.fingerprint(Slot(0)).unwrap()).unwrap());
    assert_eq!((heap(0), store.usage()), (0, Usage::default()), "after remove_slot");

    fill(1, 50);
    store.sweep(Slot(1), 49, 49).unwrap();
    assert_eq!((heap(1), store.usage().live), (full, 1000), "nothing was due");
    let before: Vec<_> = store.table(Slot(1)).unwrap().unwrap().entries.iter().map(Entry::buffer_len).collect();
    store.sweep(Slot(1), 50, 0).unwrap();
    let after: Vec<_> = store.table(Slot(1)).unwrap().unwrap().entries.iter().map(Entry::buffer_len).collect();
    assert_eq!(before.iter().sum::<usize>() - after.iter().sum::<usize>(), 100 * 1000, "the values' bytes");
    store.sweep(Slot(1), 50, 51).unwrap();
    assert_eq!((heap(1), store.usage()), (0, Usage::default()), "after the tombstones were forgotten");
}

#[test]
fn a_get_shares_the_buffer_of_a_long_value() {
    let store = MemoryStore::new(1);
    for len in [PACKED_VALUE_LEN_MAX, PACKED_VALUE_LEN_MAX + 1] {
        store.merge(Slot(0), record(Bytes::from_static(b"k"), Bytes::from(vec![1; len]), len as u64)).unwrap();
        let (one, other) = (stored_value(&store), stored_value(&store));
        assert_eq!(one.as_ptr() == other.as_ptr(), len > PACKED_VALUE_LEN_MAX, "{len} bytes");
        let content = store.content(Slot(0), 0, b"k").unwrap().unwrap().value.unwrap().bytes;
        assert_eq!((content.as_ptr() == one.as_ptr(), &content), (len > PACKED_VALUE_LEN_MAX, &one));
    }
}

#[test]
fn a_poisoned_slot_goes_on() {
    let store = MemoryStore::new(1);
    store.merge(Slot(0), record(Bytes::from_static(b"k"), Bytes::from_static(b"v"), 1)).unwrap();
    let panicked = std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            let _table = store.table(Slot(0));
            panic!("on purpose, with the lock held");
        });
        holder.join().is_err()
    });
    assert!(panicked);
    assert_eq!(stored_value(&store), "v");
    let newer = record(Bytes::from_static(b"k"), Bytes::from_static(b"w"), 2);
    assert_eq!(store.merge(Slot(0), newer).unwrap(), Merged::Stored);
    assert_eq!(stored_value(&store), "w");
}

#[test]
fn too_many_operations_are_refused_and_change_nothing() {
    let store = MemoryStore::new(1);
    let mut odd = record(Bytes::from_static(b"k"), Bytes::new(), 1);
    odd.operations = SmallVec::from_elem(OpId { origin: 1, sequence: 2 }, 256);
    assert_eq!(store.merge(Slot(0), odd).unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!((store.usage(), store.occupied().unwrap()), (Usage::default(), vec![]));
}
