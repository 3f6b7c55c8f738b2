//! Threads on the same slots: nothing is lost, torn or taken back.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::model::{Model, SAMPLE_SLOTS, done, fingerprint, keys, random_version, record, same, shuffle, usage};
use super::plain;
use crate::data::record::{KeyDigest, Record, Version};
use crate::env::Env;
use crate::ring::slot::Slot;
use crate::store::{Merged, Store};

const WRITERS: usize = 4;

/// All writers merge the same records, each in its own order, while readers look on: versions only rise, records
/// are whole, and in the end it is as if one had written.
pub(super) fn merge_the_same_keys(store: &dyn Store, seed: u64) {
    let (env, keys) = (Env::simulated(seed, 0), keys(12));
    let writes: Vec<(Slot, Record)> = (0..2000)
        .map(|n| {
            let key = &keys[env.random_below(keys.len())];
            (SAMPLE_SLOTS[n % 3], record(env.random_below(2) as u32, key, random_version(&env)))
        })
        .collect();
    let mut model = Model::default();
    for (slot, record) in &writes {
        model.merge(*slot, record.clone());
    }
    let writing = AtomicUsize::new(WRITERS);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS as u64 {
            let (mut writes, writing) = (writes.clone(), &writing);
            scope.spawn(move || {
                let _end = Countdown(writing);
                shuffle(&mut writes, &Env::simulated(seed << 8 | writer, 0));
                for (slot, record) in writes {
                    let (context, version) = (format!("threads, seed {seed}: merge"), record.version);
                    if let Merged::Kept(present) = done(store.merge(slot, record), &context) {
                        assert!(present >= version, "{context}: kept {present:?}, which is below {version:?}");
                    }
                }
            });
        }
        for slot in &SAMPLE_SLOTS[..2] {
            let (writing, keys, key_count) = (&writing, &keys, model.0.len() as u64);
            scope.spawn(move || {
                let mut last = vec![Version::default(); keys.len()];
                while writing.load(Ordering::Acquire) > 0 {
                    for (key, last) in keys.iter().zip(&mut last) {
                        read_while_written(store, *slot, key, last, seed);
                    }
                    let usage = store.usage();
                    let possible = usage.live <= key_count && usage.tombstones <= key_count;
                    assert!(possible, "threads, seed {seed}: {usage:?} with {key_count} keys");
                }
            });
        }
    });
    model.assert_is(store, &format!("threads, seed {seed}: after all merged the same"));
}

fn read_while_written(store: &dyn Store, slot: Slot, key: &Bytes, last: &mut Version, seed: u64) {
    let context = format!("threads, seed {seed}: get of {key:?} in {slot:?}");
    let Some(found) = done(store.get(slot, 0, key), &context) else {
        assert!(*last == Version::default(), "{context}: gone after {last:?}");
        return;
    };
    assert!(found.version >= *last, "{context}: {:?} after {last:?}", found.version);
    *last = found.version;
    same(&found, &record(0, key, found.version), || format!("{context}: the record of that version"));
}

/// Slots are removed exactly as they were listed while others write to them: what is not in a removed list is still
/// there, whatever was swept meanwhile.
pub(super) fn remove_while_written(store: &dyn Store, seed: u64) {
    const EACH: u64 = 1500;
    let slots = [Slot(0), Slot(1)];
    let key = |writer: u64, n: u64| Bytes::from(format!("{writer} {n}"));
    let context = format!("threads, seed {seed}: remove while written");
    let context = context.as_str();
    let writing = AtomicUsize::new(WRITERS);
    let removed: BTreeSet<KeyDigest> = std::thread::scope(|scope| {
        for writer in 0..WRITERS as u64 {
            let writing = &writing;
            scope.spawn(move || {
                let _end = Countdown(writing);
                for n in 0..EACH {
                    let version = Version { hlc: n, node: writer, boot: seed };
                    let record = plain(0, &key(writer, n), b"value", version);
                    let merged =
                        done(store.merge(slots[n as usize % 2], Record { expires_at_ms: n % 2, ..record }), context);
                    same(&merged, &Merged::Stored, || format!("{context}: a new key"));
                }
            });
        }
        let writing = &writing;
        scope.spawn(move || {
            while writing.load(Ordering::Acquire) > 0 {
                for slot in slots {
                    done(store.sweep(slot, 1, 0), context);
                }
                let usage = store.usage();
                let possible = usage.live.max(usage.tombstones) <= WRITERS as u64 * EACH;
                assert!(possible, "{context}: {usage:?} of {EACH} keys of {WRITERS} writers");
            }
        });
        let remover = scope.spawn(move || {
            let mut removed = BTreeSet::new();
            while writing.load(Ordering::Acquire) > 0 {
                for slot in slots {
                    let listed = done(store.versions(slot), context);
                    if done(store.remove_slot(slot, fingerprint(listed.iter().copied())), context) {
                        removed.extend(listed.into_iter().map(|(digest, _)| digest));
                    }
                }
            }
            removed
        });
        remover.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let mut left = Vec::new();
    for slot in slots {
        let versions = done(store.versions(slot), context);
        let sum = fingerprint(versions.iter().copied());
        same(&done(store.fingerprint(slot), context), &sum, || {
            format!("{context}: fingerprint of {slot:?} in the end")
        });
        let digests: Vec<_> = versions.into_iter().map(|(digest, _)| digest).collect();
        left.extend(done(store.records(slot, &digests, usize::MAX), context).0);
    }
    same(&store.usage(), &usage(&left), || format!("{context}: usage in the end"));
    let left: BTreeSet<_> = left.iter().map(Record::digest).collect();
    for writer in 0..WRITERS as u64 {
        for n in 0..EACH {
            let digest = KeyDigest::of(0, &key(writer, n));
            let found = (left.contains(&digest), removed.contains(&digest));
            assert!(found.0 != found.1, "{context}: key {writer} {n}: (kept, removed) is {found:?}");
        }
    }
}

/// Counts down also when its thread panics: the others must not wait for ever.
struct Countdown<'a>(&'a AtomicUsize);

impl Drop for Countdown<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
