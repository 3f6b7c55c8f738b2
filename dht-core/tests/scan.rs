//! Scans: each key once, whatever happens meanwhile.

use crate::cluster;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use cluster::*;
use dht_core::{Config, Consistency, Dht, ErrorKind, GetOptions, PutOptions, Remote, Result, Value};
use futures_util::TryStreamExt;
use futures_util::future::poll_immediate;

async fn put_all(node: &Dht, prefix: &str, count: usize) -> BTreeMap<Bytes, usize> {
    let keys: BTreeMap<Bytes, usize> = (0..count).map(|i| (Bytes::from(format!("{prefix}{i}")), i)).collect();
    let entries = keys.iter().map(|(key, i)| (key.clone(), Value::from_serialize(i).unwrap()));
    for result in node.put_many(entries, PutOptions::default()).await.unwrap() {
        result.unwrap();
    }
    keys
}

/// What a scan finds; fails if it finds a key twice.
async fn scanned(node: &Dht, prefix: &str, options: GetOptions) -> Result<BTreeMap<Bytes, usize>> {
    let mut found = BTreeMap::new();
    let mut scan = node.scan_with(prefix, options);
    while let Some((key, value)) = scan.next().await? {
        let twice = found.insert(key.clone(), value.value.deserialize::<usize>()?);
        assert_eq!(twice, None, "{key:?} was found twice");
    }
    Ok(found)
}

fn at(level: Consistency) -> GetOptions {
    GetOptions { consistency: Some(level), ..GetOptions::default() }
}

macro_rules! on_rings {
    ($($name:ident = $n:literal)+) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let nodes = ring($n).await;
            let client = start(Config { virtual_nodes: Some(0), seeds: vec![nodes[0].address()], ..named("client") }).await;
            let (a, b) = (put_all(&nodes[0], "a/", 3000).await, put_all(&nodes[0], "b/", 50).await);
            let gone = put_all(&nodes[0], "a/gone/", 20).await;
            for result in nodes[0].delete_many(gone.into_keys(), GetOptions::default()).await.unwrap() {
                assert!(result.unwrap());
            }
            let short = Duration::from_millis(1);
            nodes[0].put_with_ttl("a/short", &1, short).await.unwrap();
            eventually(SOON, "it expires", async || seen(!nodes[0].contains("a/short").await.unwrap(), || "there".into())).await;
            for node in nodes.iter().chain([&client]) {
                for level in LEVELS {
                    if level != Consistency::One {
                        assert_eq!(scanned(node, "a/", at(level)).await.unwrap(), a);
                    }
                    assert_eq!(scanned(node, "b/", at(level)).await.unwrap().len(), b.len());
                }
                assert_eq!(scanned(node, "", at(Consistency::Quorum)).await.unwrap().len(), a.len() + b.len());
                assert_eq!(scanned(node, "c", at(Consistency::Quorum)).await.unwrap(), BTreeMap::new());
                assert_eq!(node.count("a/").await.unwrap(), 3000);
                let len = node.len().await.unwrap();
                assert!((2000..4500).contains(&len), "about 3050: {len}");
            }
            let remote = Remote::connect(&nodes[0].address(), "default", SOON).await.unwrap();
            let mut told = BTreeSet::new();
            let tell = |key, _| {
                assert!(told.insert(key));
                ControlFlow::Continue(())
            };
            let count = remote.scan(b"a/", true, tell).await.unwrap();
            assert_eq!((count, told), (3000, a.keys().cloned().collect()));
            let all: Vec<_> = client.scan("b/").into_stream().try_collect().await.unwrap();
            assert_eq!(all.iter().map(|(key, _)| key.clone()).collect::<BTreeSet<_>>(), b.keys().cloned().collect());
            assert!(all.iter().all(|(_, found)| found.expires_at.is_none()));
            assert_eq!(client.clear("b/").await.unwrap(), 50);
            assert_eq!(nodes[0].count("").await.unwrap(), 3000);
            assert_eq!(nodes[0].clear("").await.unwrap(), 3000);
            assert_eq!(client.count("").await.unwrap(), 0);
            client.stop().await;
            stop_all(&nodes).await;
        }
    )+ };
}

on_rings! {
    a_scan_finds_every_key_once_on_one_node = 1
    a_scan_finds_every_key_once_on_three_nodes = 3
    a_scan_finds_every_key_once_on_five_nodes = 5
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_of_many_keys_is_scanned_in_parts() {
    let nodes = ring_of(3, "few", &Config { slot_bits: 4, ..Config::default() }).await;
    let keys = put_all(&nodes[0], "k", 20_000).await;
    assert_eq!(scanned(&nodes[1], "k", GetOptions::default()).await.unwrap(), keys);
    assert_eq!(nodes[2].count("k").await.unwrap(), 20_000);
    let large = vec![7; 100 << 10];
    for i in 0..12 {
        nodes[0].put_bytes(format!("large{i}"), large.clone(), PutOptions::default()).await.unwrap();
    }
    let found: Vec<_> = nodes[1].scan("large").into_stream().try_collect().await.unwrap();
    assert_eq!(found.len(), 12);
    assert!(found.iter().all(|(_, value)| value.value.bytes == large));
    stop_all(&nodes).await;
}

/// Replicas differ all the time while others write: what is there throughout is found all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_do_not_disturb_a_scan() {
    let nodes = ring_of(3, "busy", &Config { slot_bits: 6, ..Config::default() }).await;
    let keys = put_all(&nodes[0], "k", 2000).await;
    let writers: Vec<_> = nodes
        .iter()
        .cloned()
        .enumerate()
        .map(|(n, node)| {
            tokio::spawn(async move {
                for i in 0.. {
                    // That too many write is no matter here. A node that has stopped says so without waiting, so that
                    // whoever goes on asking could not even be aborted.
                    let put = node.put(format!("w{}", (i * 3 + n) % 500), &i).await;
                    if put.is_err_and(|error| error.kind() == ErrorKind::Stopped) {
                        return;
                    }
                }
            })
        })
        .collect();
    for node in &nodes {
        assert_eq!(scanned(node, "k", GetOptions::default()).await.unwrap(), keys);
    }
    writers.iter().for_each(|writer| writer.abort());
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_leaves_and_deaths_do_not_disturb_a_scan() {
    let mut nodes = ring(5).await;
    let keys = put_all(&nodes[0], "k", 4000).await;
    let mut scan = nodes[0].scan_with("k", GetOptions { timeout: Some(SOON), ..GetOptions::default() });
    let mut found = BTreeMap::new();
    for part in 0..4 {
        while let Some((key, value)) = scan.next().await.unwrap() {
            assert_eq!(found.insert(key.clone(), value.value.deserialize::<usize>().unwrap()), None, "{key:?} twice");
            if found.len() == 1000 * (part + 1) {
                break;
            }
        }
        match part {
            0 => nodes.push(start(Config { seeds: vec![nodes[0].address()], ..named("late") }).await),
            1 => nodes.remove(1).stop().await,
            2 => nodes.remove(1).leave(SOON).await.unwrap(),
            _ => {}
        }
    }
    while let Some((key, value)) = scan.next().await.unwrap() {
        assert_eq!(found.insert(key.clone(), value.value.deserialize::<usize>().unwrap()), None, "{key:?} twice");
    }
    assert_eq!(found, keys);
    stop_all(&nodes).await;
}

#[tokio::test]
async fn what_cannot_be_scanned_says_so_and_goes_on_where_it_was() {
    let node = start(named("alone")).await;
    let error = node.scan(vec![0; 65 << 10]).next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    put_all(&node, "k", 10).await;
    let mut scan = node.scan("k");
    assert!(scan.next().await.unwrap().is_some());
    node.stop().await;
    assert_eq!(scan.next().await.unwrap_err().kind(), ErrorKind::Stopped, "whatever is left of its page");
    let rest: Vec<_> = scan.into_stream().try_collect::<Vec<_>>().await.map_or_else(|e| vec![e.kind()], |_| Vec::new());
    assert_eq!(rest, [ErrorKind::Stopped]);
    assert_eq!(node.count("").await.unwrap_err().kind(), ErrorKind::Stopped);
}

#[tokio::test]
async fn what_is_given_up_stops_in_a_ring_of_one_too() {
    let node = start(named("alone")).await;
    let keys = put_all(&node, "k", 5_000).await.len() as u64;
    assert!(poll_immediate(pin!(node.count(""))).await.is_none(), "it was never interrupted");
    let mut clear = Box::pin(node.clear(""));
    assert!(poll_immediate(&mut clear).await.is_none(), "it was never interrupted");
    drop(clear);
    let left = node.count("").await.unwrap();
    assert!(left > 0 && left < keys, "{left} of {keys} are left");
    assert_eq!(node.clear("").await.unwrap(), left);
    node.stop().await;
}
