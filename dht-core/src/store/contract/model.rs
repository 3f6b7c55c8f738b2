//! What a store must hold, kept in the plainest way, and the records that the suite feeds to both.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use smallvec::SmallVec;

use super::SLOTS;
use crate::data::fingerprint::Fingerprint;
use crate::data::hlc;
use crate::data::record::{Format, KeyDigest, OpId, Record, Value, Version};
use crate::env::Env;
use crate::error::Result;
use crate::ring::slot::Slot;
use crate::store::{Merged, Store, Usage};

/// The slots that tests use: the ends, and both sides of what may be a block inside an engine.
pub(super) const SAMPLE_SLOTS: [Slot; 5] = [Slot(0), Slot(1), Slot(63), Slot(64), Slot(SLOTS - 1)];

/// The milliseconds in which versions and expiries of [`record`] lie.
pub(super) const WALL_MS: u64 = 64;

type Key = (Slot, u32, Bytes);

/// A store as one sorted map.
#[derive(Default)]
pub(super) struct Model(pub(super) BTreeMap<Key, Record>);

impl Model {
    pub(super) fn merge(&mut self, slot: Slot, record: Record) -> Merged {
        let key = (slot, record.map, record.key.clone());
        match self.0.get(&key).map(|present| present.version) {
            Some(present) if record.version <= present => Merged::Kept(present),
            _ => {
                self.0.insert(key, record);
                Merged::Stored
            }
        }
    }

    pub(super) fn get(&self, slot: Slot, map: u32, key: &Bytes) -> Option<&Record> {
        self.0.get(&(slot, map, key.clone()))
    }

    pub(super) fn of(&self, slot: Slot) -> impl Iterator<Item = &Record> {
        self.0.iter().filter(move |(key, _)| key.0 == slot).map(|(_, record)| record)
    }

    pub(super) fn fingerprint(&self, slot: Slot) -> Fingerprint {
        fingerprint(self.of(slot).map(|r| (r.digest(), r.version)))
    }

    pub(super) fn versions(&self, slot: Slot) -> Vec<(KeyDigest, Version)> {
        let mut versions: Vec<_> = self.of(slot).map(|r| (r.digest(), r.version)).collect();
        versions.sort();
        versions
    }

    pub(super) fn remove_slot(&mut self, slot: Slot) {
        self.0.retain(|key, _| key.0 != slot);
    }

    pub(super) fn sweep(&mut self, slot: Slot, now_ms: u64, forget_before_ms: u64) -> u64 {
        let mut dropped = 0;
        self.0.retain(|key, record| {
            if key.0 != slot {
                return true;
            }
            if record.expired(now_ms) && record.value.take().is_some() {
                dropped += 1;
            }
            let (written_ms, expires_at_ms) = (hlc::wall_ms(record.version.hlc), record.expires_at_ms);
            record.value.is_some() || written_ms >= forget_before_ms || expires_at_ms >= forget_before_ms
        });
        dropped
    }

    pub(super) fn usage(&self) -> Usage {
        usage(self.0.values())
    }

    /// Panics unless `store` holds exactly what the model does, by every method that reads.
    pub(super) fn assert_is(&self, store: &dyn Store, context: &str) {
        let mut occupied: Vec<_> = self.0.keys().map(|key| key.0).collect();
        occupied.dedup();
        same(&done(store.occupied(), context), &occupied, || format!("{context}: occupied"));
        for slot in SAMPLE_SLOTS {
            let here = || format!("{context}: {slot:?}");
            same(&done(store.fingerprint(slot), context), &self.fingerprint(slot), || {
                format!("{}: fingerprint", here())
            });
            let bytes = self.of(slot).map(|r| r.payload_len() as u64).sum();
            same(&store.bytes_in(slot), &bytes, || format!("{}: bytes", here()));
            let versions = self.versions(slot);
            same(&done(store.versions(slot), context), &versions, || format!("{}: versions", here()));
            for record in self.of(slot) {
                let found = done(store.get(slot, record.map, &record.key), context);
                same(&found.as_ref(), &Some(record), || format!("{}: get of {:?}", here(), record.key));
            }
            let digests: Vec<_> = versions.iter().map(|v| v.0).collect();
            let (records, dealt_with) = done(store.records(slot, &digests, usize::MAX), context);
            same(&dealt_with, &digests.len(), || format!("{}: digests dealt with", here()));
            let found: Vec<_> = records.iter().map(|r| (r.digest(), r.version)).collect();
            same(&found, &versions, || format!("{}: records", here()));
        }
        same(&store.usage(), &self.usage(), || format!("{context}: usage"));
    }
}

pub(super) fn fingerprint(versions: impl IntoIterator<Item = (KeyDigest, Version)>) -> Fingerprint {
    let mut sum = Fingerprint::EMPTY;
    versions.into_iter().for_each(|(digest, version)| sum.add(digest, version));
    sum
}

pub(super) fn usage<'a>(records: impl IntoIterator<Item = &'a Record>) -> Usage {
    let mut usage = Usage::default();
    for record in records {
        *(if record.value.is_some() { &mut usage.live } else { &mut usage.tombstones }) += 1;
        usage.bytes += record.payload_len() as u64;
    }
    usage
}

/// The record that the writer of `version` wrote there: the same for the same arguments, of every kind, size and
/// expiry.
pub(super) fn record(map: u32, key: &Bytes, version: Version) -> Record {
    let env = Env::simulated(version.hlc ^ version.node << 20 ^ version.boot << 40, 0);
    let len = [0, 1, 100, 700, 5000][env.random_below(5)];
    let format = if env.random_below(2) == 0 { Format::Json } else { Format::Bytes };
    let bytes = Bytes::from(vec![env.random_u64() as u8; len]);
    let value = (env.random_below(4) > 0).then_some(Value { format, bytes });
    let expires_at_ms = if env.random_below(2) == 0 { 0 } else { env.random_below(WALL_MS as usize) as u64 };
    let operation = |sequence| OpId { origin: env.random_u64(), sequence };
    let operations: SmallVec<_> = (0..env.random_below(5) as u64).map(operation).collect();
    Record { map, key: key.clone(), value, version, expires_at_ms, operations }
}

/// Few enough to meet again, and such that every part of a version decides sometimes.
pub(super) fn random_version(env: &Env) -> Version {
    let small = |bound| env.random_below(bound) as u64;
    Version { hlc: small(WALL_MS as usize) << 16 | small(2), node: small(2), boot: small(2) }
}

/// `count` keys and the empty one, prefixes of each other among them.
pub(super) fn keys(count: usize) -> Vec<Bytes> {
    (0..count).map(|n| Bytes::from("k".repeat(n % 3) + &n.to_string())).chain([Bytes::new()]).collect()
}

pub(super) fn shuffle<T>(items: &mut [T], env: &Env) {
    for i in (1..items.len()).rev() {
        items.swap(i, env.random_below(i + 1));
    }
}

/// What a call that may not fail returned.
pub(super) fn done<T>(result: Result<T>, context: &str) -> T {
    result.unwrap_or_else(|error| panic!("{context}: failed: {error:#}"))
}

pub(super) fn same<T: PartialEq + Debug>(found: &T, expected: &T, context: impl FnOnce() -> String) {
    assert!(found == expected, "{}\n   found {found:?}\nexpected {expected:?}", context());
}
