//! Every data operation on rings of 1, 2, 3 and 5 nodes, through every node and at every level.

use crate::cluster;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cluster::*;
use dht_core::{Config, Consistency, Dht, ErrorKind, GetOptions, PutOptions, Value};

/// Instants are told in whole milliseconds.
const MS: f64 = 0.001;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Replicas that a level asks for of `len`.
fn wanted(level: Consistency, len: usize) -> usize {
    match level {
        Consistency::One => 1,
        Consistency::Quorum => len / 2 + 1,
        Consistency::All => len,
    }
}

macro_rules! on_rings {
    ($($name:ident = $n:literal)+) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let nodes = ring($n).await;
            put_get_and_delete_at_every_level(&nodes).await;
            versions_rise(&nodes).await;
            batches(&nodes).await;
            keys_of_every_length(&nodes).await;
            formats(&nodes).await;
            // Before anything expires, since what has expired counts until it is swept.
            every_key_is_on_its_replicas_and_nowhere_else(&nodes).await;
            time_to_live(&nodes).await;
            stop_all(&nodes).await;
        }
    )+ };
}

on_rings! {
    every_operation_on_one_node = 1
    every_operation_on_two_nodes = 2
    every_operation_on_three_nodes = 3
    every_operation_on_five_nodes = 5
}

async fn put_get_and_delete_at_every_level(nodes: &[Dht]) {
    let set = nodes.len().min(3);
    for (i, writer) in nodes.iter().enumerate() {
        for level in LEVELS {
            let key = format!("level-{level:?}-{i}");
            assert_eq!(read(writer, &key, level).await, None);
            let outcome = writer.put_with(&key, &i, put_at(level)).await.unwrap();
            assert_eq!((outcome.set_size as usize, outcome.wanted as usize), (set, wanted(level, set)));
            assert!(outcome.acks >= outcome.wanted && outcome.acks <= outcome.set_size, "{outcome:?}");
            assert_eq!(outcome.degraded, nodes.len() < 3, "{outcome:?}");
            reads_as(nodes, &key, level, Some(i)).await;

            let deleted = writer.delete_with(&key, get_at(level)).await.unwrap();
            assert!(deleted, "{key} was there");
            reads_as(nodes, &key, level, None).await;
            // A delete decides on a quorum, whatever its level.
            assert!(!writer.delete_with(&key, get_at(Consistency::All)).await.unwrap(), "{key} is deleted already");
            let again = writer.put_with(&key, &"again", put_at(level)).await.unwrap();
            assert!(again.version > outcome.version, "a put after a delete is newer than the put before it");
        }
    }
    assert!(!nodes[0].delete("never-there").await.unwrap());
    assert!(!nodes[0].contains("never-there").await.unwrap());
    assert_eq!(nodes[0].get_versioned("never-there", GetOptions::default()).await.unwrap(), None);
}

/// What was written at `written` is seen at once by every level that overlaps with it, and soon by the others.
async fn reads_as(nodes: &[Dht], key: &str, written: Consistency, expected: Option<usize>) {
    let set = nodes.len().min(3);
    for node in nodes {
        for level in LEVELS {
            let get = async || node.get_with::<usize>(key, get_at(level)).await.map_err(text);
            let overlap = wanted(written, set) + wanted(level, set) > set;
            let what = format!("{node:?} reads {key} at {level:?} as {expected:?}, written at {written:?}");
            if overlap {
                assert_eq!(get().await, Ok(expected), "{what}");
            } else {
                eventually(SOON, &what, async || seen(get().await? == expected, || "another value".to_owned())).await;
            }
        }
    }
}

async fn versions_rise(nodes: &[Dht]) {
    let mut last = None;
    for turn in 0..3 * nodes.len() {
        let outcome = nodes[turn % nodes.len()].put("version", &turn).await.unwrap();
        let shown = outcome.version.to_string();
        if let Some((version, text)) = last {
            assert!(outcome.version > version, "{shown} after {version}");
            assert!(shown > text, "the order of the texts is that of the versions");
        }
        assert_eq!(shown.parse(), Ok(outcome.version));
        let reader = &nodes[(turn + 1) % nodes.len()];
        let found = reader.get_versioned("version", GetOptions::default()).await.unwrap().unwrap();
        assert_eq!((found.version, found.expires_at), (outcome.version, None));
        assert_eq!(found.value.deserialize::<usize>().unwrap(), turn);
        last = Some((outcome.version, shown));
    }
}

async fn batches(nodes: &[Dht]) {
    let (writer, reader) = (&nodes[0], &nodes[nodes.len() - 1]);
    let key = |i: usize| format!("batch-{i}");
    let value = |i: usize| Value::from_serialize(&i).unwrap();
    let outcomes = writer.put_many((0..300).map(|i| (key(i), value(i))), PutOptions::default()).await.unwrap();
    assert_eq!(outcomes.len(), 300);
    let versions: Vec<_> = outcomes.into_iter().map(|o| o.unwrap().version).collect();

    // In the order asked, a stranger after every key, some keys twice.
    let asked = (0..300).rev().chain(0..3).flat_map(|i| [key(i), format!("no-{i}")]);
    let found = reader.get_many(asked, GetOptions::default()).await.unwrap();
    for (at, i) in (0..300).rev().chain(0..3).enumerate() {
        let here = found[2 * at].as_ref().unwrap().as_ref().unwrap();
        assert_eq!((here.value.deserialize::<usize>().unwrap(), here.version), (i, versions[i]));
        assert_eq!(*found[2 * at + 1].as_ref().unwrap(), None);
    }

    let deleted = reader.delete_many([key(0), "no-0".into(), key(1), key(0)], GetOptions::default()).await.unwrap();
    let deleted: Vec<bool> = deleted.into_iter().map(Result::unwrap).collect();
    assert_eq!(deleted[..3], [true, false, true]);
    assert_eq!(writer.get::<usize>(key(0)).await.unwrap(), None);

    // Of a key that is there twice, the later entry wins.
    let twice = [("twice", value(1)), ("other", value(2)), ("twice", value(3))];
    let outcomes = writer.put_many(twice, PutOptions::default()).await.unwrap();
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(reader.get::<usize>("twice").await.unwrap(), Some(3));

    per_key_errors(writer, reader).await;

    assert!(writer.put_many(Vec::<(Bytes, Value)>::new(), PutOptions::default()).await.unwrap().is_empty());
    assert!(writer.get_many(Vec::<Bytes>::new(), GetOptions::default()).await.unwrap().is_empty());
    assert!(writer.delete_many(Vec::<Bytes>::new(), GetOptions::default()).await.unwrap().is_empty());
    let no_ttl = PutOptions { ttl: Some(Duration::ZERO), ..PutOptions::default() };
    refused(writer.put_many([("zero", value(0))], no_ttl).await, ErrorKind::InvalidArgument, &["ttl = 0"]);
    assert_eq!(reader.get::<usize>("zero").await.unwrap(), None);
}

/// What is wrong with one key is told at its place, and the others are done.
async fn per_key_errors(writer: &Dht, reader: &Dht) {
    let long = vec![b'k'; 4 * KIB + 1];
    let large = Value::from_bytes(vec![0; 16 * MIB + 1]);
    let small = || Value::from_bytes("small");
    let entries =
        [(Bytes::from("e0"), small()), (long.clone().into(), small()), ("e2".into(), large), ("e3".into(), small())];
    let mut outcomes = writer.put_many(entries, PutOptions::default()).await.unwrap();
    outcomes.remove(3).unwrap();
    refused(outcomes.remove(2), ErrorKind::TooLarge, &["16777217", "max_value_size"]);
    refused(outcomes.remove(1), ErrorKind::TooLarge, &["4097", "max_key_size"]);
    outcomes.remove(0).unwrap();

    let keys = [Bytes::from("e0"), long.into(), "e2".into(), "e3".into()];
    let found = reader.get_many(keys.clone(), GetOptions::default()).await.unwrap();
    let live: Vec<Option<bool>> = found.iter().map(|f| f.as_ref().ok().map(Option::is_some)).collect();
    assert_eq!(live, [Some(true), None, Some(false), Some(true)]);
    let deleted = reader.delete_many(keys, GetOptions::default()).await.unwrap();
    let deleted: Vec<Option<bool>> = deleted.into_iter().map(Result::ok).collect();
    assert_eq!(deleted, [Some(true), None, Some(false), Some(true)]);
}

async fn keys_of_every_length(nodes: &[Dht]) {
    let keys = [Vec::new(), vec![0], vec![0xff, 0, 0xfe], vec![b'k'; 4 * KIB]];
    for (i, key) in keys.iter().enumerate() {
        let (writer, reader) = (&nodes[i % nodes.len()], &nodes[(i + 1) % nodes.len()]);
        let value = format!("under {} bytes", key.len());
        writer.put(key, &value).await.unwrap();
        assert_eq!(reader.get::<String>(key).await.unwrap(), Some(value));
        assert!(reader.contains(key).await.unwrap());
        // An empty value is a value.
        writer.put_bytes(key, Bytes::new(), put_at(Consistency::All)).await.unwrap();
        assert_eq!(reader.get_bytes(key, GetOptions::default()).await.unwrap(), Some(Bytes::new()));
        assert!(reader.delete(key).await.unwrap());
        assert!(!writer.contains(key).await.unwrap());
    }
}

async fn formats(nodes: &[Dht]) {
    let (writer, reader) = (&nodes[0], &nodes[nodes.len() - 1]);
    writer.put_bytes("bytes", &b"\xff\x00{}"[..], PutOptions::default()).await.unwrap();
    refused(reader.get::<String>("bytes").await, ErrorKind::WrongFormat, &["get_bytes"]);
    assert_eq!(read(reader, "bytes", Consistency::Quorum).await, Some(b"\xff\x00{}".to_vec()));

    // JSON text comes back as it went in, blanks and order included.
    let json = r#"{ "b" : [1, 2.50 ], "a":null}"#;
    writer.put_value("json", Value::from_json_text(json).unwrap(), PutOptions::default()).await.unwrap();
    assert_eq!(read(reader, "json", Consistency::Quorum).await, Some(json.as_bytes().to_vec()));
    refused(reader.get::<u32>("json").await, ErrorKind::WrongFormat, &["type"]);
    let typed: BTreeMap<String, Option<Vec<f64>>> = reader.get("json").await.unwrap().unwrap();
    assert_eq!(typed, BTreeMap::from([("a".to_owned(), None), ("b".to_owned(), Some(vec![1.0, 2.5]))]));
    assert_eq!(read(reader, "json", Consistency::Quorum).await, Some(json.as_bytes().to_vec()), "reads change nothing");
    writer.put("null", &()).await.unwrap();
    assert_eq!(reader.get::<Option<u8>>("null").await.unwrap(), Some(None), "a stored null is no missing key");
}

async fn time_to_live(nodes: &[Dht]) {
    let ttl = Duration::from_millis(400);
    let before = wall();
    nodes[0].put_with("mortal", &1, PutOptions { ttl: Some(ttl), ..put_at(Consistency::All) }).await.unwrap();
    let after = wall();
    let versioned = |node: &Dht| {
        let node = node.clone();
        async move { node.get_versioned("mortal", GetOptions::default()).await.unwrap() }
    };
    let mut expiry = None;
    for node in nodes {
        let Some(found) = versioned(node).await else { panic!("{node:?}: expired after {} s", wall() - after) };
        let at = found.expires_at.expect("it has a ttl");
        assert!(at >= before + 0.4 - MS && at <= after + 0.4 + MS, "{at} after a put between {before} and {after}");
        assert_eq!(*expiry.get_or_insert(at), at, "one instant everywhere");
        let left = node.ttl("mortal").await.unwrap().expect("still alive");
        assert!(left.as_secs_f64() <= ttl.as_secs_f64() + MS, "{left:?} left of {ttl:?}");
    }
    expires_at(nodes, "mortal", expiry.expect("there is a node")).await;
    for node in nodes {
        assert_eq!(versioned(node).await, None);
        assert_eq!(node.ttl("mortal").await.unwrap(), None);
    }
    assert!(!nodes[0].delete("mortal").await.unwrap(), "an expired key is no key");

    nodes[0].put_with_ttl("reprieved", &1, Duration::from_millis(150)).await.unwrap();
    nodes[0].put("reprieved", &2).await.unwrap();
    nodes[0]
        .put_with("witness", &1, PutOptions { ttl: Some(Duration::from_millis(160)), ..put_at(Consistency::All) })
        .await
        .unwrap();
    eventually(SOON, "the witness expires", async || {
        seen(!nodes[0].contains("witness").await.map_err(text)?, || "it lives".to_owned())
    })
    .await;
    assert_eq!(nodes[0].get::<i32>("reprieved").await.unwrap(), Some(2), "a put without ttl lifts the old one");
    assert_eq!(nodes[0].ttl("reprieved").await.unwrap(), None);
    assert_eq!(nodes[0].ttl("never-there").await.unwrap(), None);
}

/// Holds every read of `key` on every node and level against its expiry, until that has passed on all of them.
async fn expires_at(nodes: &[Dht], key: &str, expiry: f64) {
    eventually(SOON, &format!("{key} expires"), async || {
        let mut gone = true;
        for node in nodes {
            for level in LEVELS {
                let before = wall();
                let found = node.contains_with(key, get_at(level)).await.map_err(text)?;
                let after = wall();
                assert!(found || after + MS >= expiry, "{node:?} at {level:?}: gone {} s too early", expiry - after);
                assert!(!found || before - MS < expiry, "{node:?} at {level:?}: there {} s too long", before - expiry);
                gone &= !found;
            }
        }
        seen(gone, || "it is there".to_owned())
    })
    .await;
}

/// As any read: while a replica is silent it is not known at `all` whether a key is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_a_key_is_there_is_asked_at_the_level_wanted() {
    let model = Config { heartbeat_interval: Duration::from_secs(30), ..Config::default() };
    let nodes = ring_of(2, "n", &model).await;
    nodes[0].put_with("key", &1, put_at(Consistency::All)).await.unwrap();
    for level in LEVELS {
        assert!(nodes[0].contains_with("key", get_at(level)).await.unwrap(), "{level:?}");
    }
    nodes[1].stop().await;
    assert!(nodes[0].contains_with("key", get_at(Consistency::One)).await.unwrap());
    let hasty = GetOptions { timeout: Some(Duration::from_millis(300)), ..get_at(Consistency::All) };
    let begun = now();
    let error = nodes[0].contains_with("key", hasty).await.expect_err("one of two is silent");
    assert!([ErrorKind::Quorum, ErrorKind::Timeout].contains(&error.kind()), "{error}");
    assert!(now() - begun < Duration::from_secs(1), "in the time that it was given");
    nodes[0].stop().await;
}

async fn every_key_is_on_its_replicas_and_nowhere_else(nodes: &[Dht]) {
    let before = items(nodes);
    let options = put_at(Consistency::All);
    for i in 0..60 {
        nodes[i % nodes.len()].put_with(format!("placed-{i}"), &i, options).await.unwrap();
    }
    let replicas = nodes.len().min(3) as u64;
    assert_eq!(items(nodes) - before, 60 * replicas);
    for i in 0..60 {
        let located = nodes[0].locate(format!("placed-{i}")).unwrap();
        assert_eq!(located.len() as u64, replicas);
        for node in nodes {
            assert_eq!(ids(&node.locate(format!("placed-{i}")).unwrap()), ids(&located), "all nodes locate alike");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_put_after_start_works_at_once() {
    let node = start(named("alone")).await;
    let outcome = node.put("first", &1).await.unwrap();
    assert_eq!((outcome.acks, outcome.wanted, outcome.set_size, outcome.degraded), (1, 1, 1, true));
    for level in LEVELS {
        assert_eq!(read(&node, "first", level).await, Some(b"1".to_vec()));
    }
    node.stop().await;
    let single = start(Config { replication_factor: 1, ..named("single") }).await;
    assert!(!single.put("first", &1).await.unwrap().degraded, "one copy is all that was asked for");
    single.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_up_to_their_bound_and_not_beyond() {
    let nodes = ring(3).await;
    let largest: Bytes = (0..16 * MIB).map(|i| (i * 31 % 251) as u8).collect::<Vec<u8>>().into();
    nodes[0].put_bytes("largest", largest.clone(), put_at(Consistency::All)).await.unwrap();
    for node in &nodes {
        for level in LEVELS {
            let options = GetOptions { timeout: Some(SOON), ..get_at(level) };
            let found = node.get_bytes("largest", options).await.unwrap().expect("it was put");
            assert!(found == largest, "{node:?} at {level:?} gives other bytes");
        }
    }
    let beyond = vec![0; 16 * MIB + 1];
    refused(
        nodes[1].put_bytes("largest", beyond, PutOptions::default()).await,
        ErrorKind::TooLarge,
        &["16777217", "max_value_size", "16777216"],
    );
    let found =
        nodes[2].get_bytes("largest", GetOptions { timeout: Some(SOON), ..GetOptions::default() }).await.unwrap();
    assert!(found == Some(largest), "a refused put changes nothing");
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replication_never_extends_a_ttl() {
    let mut nodes = ring_of(2, "n", &Config::default()).await;
    let ttl = Duration::from_millis(1_500);
    let options = PutOptions { ttl: Some(ttl), ..put_at(Consistency::All) };
    for i in 0..40 {
        nodes[0].put_with(format!("mortal-{i}"), &i, options).await.unwrap();
    }
    let first = nodes[0].get_versioned("mortal-0", GetOptions::default()).await.unwrap().expect("alive");
    let expiry = first.expires_at.expect("it has a ttl");
    // The newcomer is sent copies, then a node goes without a word and the rest is copied again.
    nodes.push(start(Config { seeds: vec![nodes[0].address()], ..named("n2") }).await);
    nodes[2].wait_ready(SOON).await.unwrap();
    nodes.swap_remove(1).stop().await;
    assert!(wall() < expiry, "the copies must have been made before the end");
    for node in &nodes {
        let found = node.get_versioned("mortal-0", GetOptions::default()).await.unwrap().expect("alive");
        assert_eq!(found.expires_at, Some(expiry));
    }
    expires_at(&nodes, "mortal-0", expiry).await;
    settled(&nodes).await;
    eventually(SOON, "no copy counts as live data any more", async || {
        seen(items(&nodes) == 0, || format!("{} items", items(&nodes)))
    })
    .await;
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_counted_per_key_at_the_node_called() {
    let nodes = ring(3).await;
    let (called, other) = (&nodes[0], &nodes[1]);
    let before = (called.statistics().unwrap(), other.statistics().unwrap());
    called.put("a", &1).await.unwrap();
    let values = (0..10).map(|i| (format!("m{i}"), Value::from_serialize(&i).unwrap()));
    called.put_many(values, PutOptions::default()).await.unwrap();
    called.delete("a").await.unwrap();
    refused(called.put(vec![0; 5 * KIB], &1).await, ErrorKind::TooLarge, &["5120"]);
    called.get::<i32>("m0").await.unwrap();
    called.get::<i32>("a").await.unwrap();
    called.get_many((0..10).map(|i| format!("m{i}")), GetOptions::default()).await.unwrap();
    let after = (called.statistics().unwrap(), other.statistics().unwrap());
    assert_eq!(after.0.stores_successful - before.0.stores_successful, 12);
    assert_eq!(after.0.lookups_successful - before.0.lookups_successful, 12);
    assert_eq!(after.0.lookups_not_found - before.0.lookups_not_found, 1, "a definite miss is a success, too");
    assert_eq!(after.0.lookups_failed, before.0.lookups_failed);
    assert!(after.0.average_store_time > 0.0 && after.0.store_time_p99 >= after.0.store_time_p50);
    assert!(after.0.average_lookup_time > 0.0 && after.0.lookup_time_p99 >= after.0.lookup_time_p50);
    assert!(after.0.messages_sent > before.0.messages_sent && after.0.bytes_received > before.0.bytes_received);
    assert!(after.0.replications_sent + after.1.replications_sent > before.0.replications_sent);
    assert_eq!(after.1.stores_successful, before.1.stores_successful, "coordinating for another is not counted");
    assert_eq!(after.1.lookups_successful, before.1.lookups_successful);
    assert_eq!(after.0.nodes_joined, 2);
    stop_all(&nodes).await;
}
