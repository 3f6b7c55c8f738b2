//! What two replicas say to each other to find out in what they differ, and to mend it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dht_core::store::Store;
use dht_core::{Config, Dht, Error, PutOptions, Value};

use super::{Table, simulated};
use crate::nodes::Nodes;
use crate::world::{Failure, World};

const KEYS: usize = 1_000_000;
const DIFFERENCES: [usize; 4] = [0, 1, 10, 100];
/// Keys written at a time.
const BATCH: usize = 4_096;
/// Within this each of the two has compared all that it is first for, at least once.
const WATCHED: Duration = Duration::from_secs(38);
/// The messages of repair; those that end a stream or ask for more of it have no bytes to speak of.
const KINDS: [&str; 8] =
    ["compare_sums", "compared_sums", "compare", "compared", "versions", "pull", "records", "store"];

pub(super) const TABLE: Table = Table {
    name: "repair",
    about: "messages and bytes by which two replicas of 1,000,000 keys (NODES: so many) find and mend differences",
    print,
};

type Stores = Vec<Arc<dyn Store>>;

fn print(keys: Option<usize>) -> Result<(), Box<Failure>> {
    let keys = keys.unwrap_or(KEYS);
    simulated("repair", 1, async move |world| repair(&world, keys).await)
}

fn text(error: Error) -> String {
    error.to_string()
}

async fn repair(world: &World, keys: usize) -> Result<(), String> {
    let config = Config { replication_factor: 2, ..Config::default() };
    let mut pair = Nodes::new(world.clone(), config.clone());
    pair.form(2).map_err(text)?;
    // What another node has written is put under the two behind their backs.
    let mut writer = Nodes::new(world.clone(), Config { cluster_name: "writer".to_owned(), ..config });
    let source = writer.start(2, &[]).await.map_err(text)?;
    let (_, written) = writer.registry().stores().remove(0);
    let stores: Stores = pair.registry().stores().into_iter().map(|(_, store)| store).collect();
    let all: Vec<usize> = (0..keys).collect();
    for some in all.chunks(BATCH) {
        put(&source, some, "sixteen bytes ..").await.map_err(text)?;
    }
    spread(&*written, &stores, |_, _| true).map_err(text)?;
    println!("{keys} keys of 11 bytes, values of 16, 2 replicas, 16,384 slots; bytes without framing");
    let mut next = 0;
    for differences in DIFFERENCES {
        let changed: Vec<usize> = (next..next + differences).map(|n| n * 7_919 % keys).collect();
        next += differences;
        put(&source, &changed, "another sixteen.").await.map_err(text)?;
        // Each of the two lacks every other one.
        spread(&*written, &stores, |record, store| record % 2 == store).map_err(text)?;
        let before = world.traffic();
        tokio::time::sleep(WATCHED).await;
        report(differences, &before, &world.traffic());
        if !equal(&stores).map_err(text)? {
            return Err("the replicas still differ".to_owned());
        }
    }
    pair.stop().await;
    writer.stop().await;
    Ok(())
}

async fn put(source: &Dht, numbers: &[usize], value: &'static str) -> Result<(), Error> {
    let entries: Vec<_> = numbers.iter().map(|n| (format!("key-{n:07}"), Value::from_bytes(value))).collect();
    source.put_many(entries, PutOptions::default()).await?.into_iter().try_for_each(|one| one.map(drop))
}

/// Copies what `from` has more than the first of `stores` to those of them that `goes` says, by the number of the record.
fn spread(from: &dyn Store, stores: &Stores, goes: impl Fn(usize, usize) -> bool) -> Result<(), Error> {
    let mut number = 0;
    for slot in from.occupied()? {
        let known: BTreeSet<_> = stores[0].versions(slot)?.into_iter().collect();
        let newer: Vec<_> = from.versions(slot)?.into_iter().filter(|entry| !known.contains(entry)).collect();
        let digests: Vec<_> = newer.into_iter().map(|(digest, _)| digest).collect();
        for record in from.records(slot, &digests, usize::MAX)?.0 {
            for (index, store) in stores.iter().enumerate().filter(|(index, _)| goes(number, *index)) {
                store.merge(slot, record.clone()).inspect_err(|error| println!("store {index}: {error}"))?;
            }
            number += 1;
        }
    }
    Ok(())
}

fn equal(stores: &Stores) -> Result<bool, Error> {
    for slot in stores[0].occupied()? {
        if stores[0].fingerprint(slot)? != stores[1].fingerprint(slot)? {
            return Ok(false);
        }
    }
    Ok(true)
}

type Traffic = BTreeMap<&'static str, (u64, u64)>;

fn report(differences: usize, before: &Traffic, after: &Traffic) {
    let (mut messages, mut bytes, mut parts) = (0, 0, Vec::new());
    for kind in KINDS {
        let at = |traffic: &Traffic| traffic.get(kind).copied().unwrap_or_default();
        let (m, b) = (at(after).0 - at(before).0, at(after).1 - at(before).1);
        (messages, bytes) = (messages + m, bytes + b);
        if m > 0 {
            parts.push(format!("{kind} {m} ({b} B)"));
        }
    }
    println!("{differences:>5} differences: {messages} messages, {bytes} bytes: {}", parts.join(", "));
}
