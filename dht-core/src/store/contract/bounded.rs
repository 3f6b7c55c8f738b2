//! Engines with a bound: what they refuse has changed nothing, what they evict is gone from every side of them.

use super::model::{Model, SAMPLE_SLOTS, done, fingerprint, keys, random_version, record, same, usage};
use crate::data::record::{KeyDigest, Record};
use crate::env::Env;
use crate::error::ErrorKind;
use crate::store::{Merged, Store};

/// So much that a few of the largest records fit.
const BOUNDS: [u64; 3] = [40 << 10, 60 << 10, 100 << 10];
const STEPS: usize = 1_500;

/// Panics unless a store with a bound keeps the contract when the bound is met. `make` returns a new, empty store of
/// [`super::SLOTS`] slots that keeps within so many bytes.
pub fn check_bounded(make: &dyn Fn(u64) -> Box<dyn Store>) {
    for bound in BOUNDS {
        for seed in 0..8 {
            walk(&*make(bound), bound, seed);
        }
    }
}

/// A random walk beside a model that follows what the store says of itself, and judges whether it may.
fn walk(store: &dyn Store, bound: u64, seed: u64) {
    let (mut model, env, keys) = (Model::default(), Env::simulated(seed, 0), keys(60));
    let (mut refused, mut evicted) = (0, 0);
    for step in 0..STEPS {
        let slot = SAMPLE_SLOTS[env.random_below(2)];
        let (map, key) = (env.random_below(2) as u32, &keys[env.random_below(keys.len())]);
        let written: Record = record(map, key, random_version(&env));
        let context = format!("bound {bound}, seed {seed}, step {step}: merge {slot:?}, {key:?}");
        let before = model.get(slot, map, key).cloned();
        match store.merge(slot, written.clone()) {
            Ok(merged) => {
                same(&merged, &model.merge(slot, written), || context.clone());
            }
            Err(error) => {
                same(&error.kind(), &ErrorKind::MemoryFull, || format!("{context}: {error}"));
                assert!(written.value.is_some(), "{context}: a deletion was refused");
                let shrinks = before.as_ref().is_some_and(|b| b.payload_len() > written.payload_len() + 100);
                assert!(!shrinks, "{context}: refused, although smaller than what is there");
                let useless = before.as_ref().is_some_and(|b| b.version >= written.version);
                assert!(!useless, "{context}: refused, where nothing is to be done");
                refused += 1;
            }
        }
        evicted += follow(store, &mut model, &context);
        if env.random_below(50) == 0 {
            done(store.sweep(slot, 0, u64::MAX), &context);
            model.sweep(slot, 0, u64::MAX);
        }
        same(&store.usage(), &model.usage(), || format!("{context}: usage"));
        if step % 16 == 0 {
            model.assert_is(store, &context);
        }
    }
    // A record that was evicted for its own successor is not seen to go.
    let counted = store.evictions();
    assert!(counted >= evicted && (evicted > 0 || counted == 0), "bound {bound}, seed {seed}: {counted} of {evicted}");
    assert!(refused + evicted > 0, "bound {bound}, seed {seed}: it was never met");
    // What went may come back.
    let gone = keys.iter().find(|key| model.get(SAMPLE_SLOTS[0], 0, key).is_none());
    if let Some(key) = gone {
        let context = format!("bound {bound}, seed {seed}: again");
        let again = Record { value: None, ..record(0, key, random_version(&env)) };
        same(&done(store.merge(SAMPLE_SLOTS[0], again), &context), &Merged::Stored, || context.clone());
    }
}

/// Takes what the store evicted out of the model: only values, what is left of them when they have expired, and only what it
/// owns up to.
fn follow(store: &dyn Store, model: &mut Model, context: &str) -> u64 {
    let mut evicted = 0;
    for slot in &SAMPLE_SLOTS[..2] {
        let there: Vec<_> = done(store.versions(*slot), context);
        let sum = fingerprint(there.iter().copied());
        same(&done(store.fingerprint(*slot), context), &sum, || format!("{context}: fingerprint of what is listed"));
        let gone: Vec<Record> =
            model.of(*slot).filter(|r| !there.contains(&(r.digest(), r.version))).cloned().collect();
        for record in gone {
            let expired = record.value.is_none() && record.expires_at_ms != 0;
            assert!(record.value.is_some() || expired, "{context}: the deletion of {:?} is gone", record.key);
            let second = crate::data::hlc::wall_ms(record.version.hlc) / 1_000;
            let before = store.evicted_before_s(*slot);
            assert!(second < u64::from(before), "{context}: {:?} is gone, before {before} s", record.key);
            let digest: [KeyDigest; 1] = [record.digest()];
            same(&done(store.records(*slot, &digest, 1), context).0, &vec![], || format!("{context}: evicted"));
            model.0.remove(&(*slot, record.map, record.key.clone()));
            evicted += 1;
        }
    }
    same(&store.usage(), &usage(model.0.values()), || format!("{context}: usage"));
    evicted
}
