//! What a node tells of itself and the ring, held against the definitions: everything is computed a second time from
//! the positions that `ring()` shows.

use crate::cluster;

use std::time::Duration;

use cluster::*;
use dht_core::{Config, Dht, GetOptions, NodeInfo};

/// Ids of 64 bits, so that the test can compute with them; short periods, so that pointers are right soon.
fn model() -> Config {
    let period = Duration::from_millis(50);
    Config { hash_bits: 64, stabilize_interval: period, fix_finger_interval: period, ..Config::default() }
}

/// Positions of everybody, ascending, with their nodes, as `node` sees them.
fn positions(node: &Dht) -> Vec<(u64, String)> {
    let id = |hex: &String| u64::from_str_radix(hex, 16).expect("an id is hexadecimal");
    let ring = node.ring().unwrap();
    let mut all: Vec<(u64, String)> =
        ring.nodes.iter().flat_map(|n| n.positions.iter().map(|p| (id(p), n.node.id.clone()))).collect();
    all.sort();
    all
}

/// This node's position 0.
fn base(node: &Dht) -> u64 {
    let ring = node.ring().unwrap();
    let own = ring.nodes.iter().find(|n| n.node.id == node.node_id()).expect("a node knows itself");
    u64::from_str_radix(&own.positions[0], 16).expect("an id is hexadecimal")
}

/// The nodes clockwise from `from` on, itself included, starting over at zero.
fn clockwise(all: &[(u64, String)], from: u64) -> impl DoubleEndedIterator<Item = &str> {
    let first = all.partition_point(|(id, _)| *id < from);
    all[first..].iter().chain(&all[..first]).map(|(_, node)| node.as_str())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alone() {
    let node = start(Config { node_id: "solo".into(), ..model() }).await;
    assert_eq!(node.predecessor().unwrap(), None);
    assert_eq!(node.successor_list().unwrap(), []);
    let fingers = node.finger_table().unwrap();
    assert_eq!((fingers.len(), ids(&[fingers[63].node.clone()])), (64, vec!["solo"]), "all is its own");
    assert_eq!(ids(&node.members().unwrap()), ["solo"]);
    assert_eq!(ids(&node.locate("k").unwrap()), ["solo"]);
    let ring = node.ring().unwrap();
    assert_eq!((ring.hash_bits, ring.slot_bits, ring.replication_factor, ring.nodes.len()), (64, 14, 3, 1));
    assert!((ring.nodes[0].share - 1.0).abs() < 1e-9, "all is its own");
    let health = node.health().unwrap();
    assert!(health.joined && health.handed_over && health.fully_replicated && health.storage_ok, "{health:?}");
    assert_eq!((health.under_replicated_slots, health.bytes_to_go), (0, 0));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_nodes_describe_the_ring_alike_and_right() {
    let nodes = ring_of(5, "n", &model()).await;
    let names = ["n0", "n1", "n2", "n3", "n4"];
    for node in &nodes {
        let info = node.node_info().unwrap();
        assert_eq!((info.id, info.address, info.state.as_str()), (node.node_id(), node.address(), "active"));
        assert_eq!((info.vnodes, info.zone.as_str()), (16, ""));
        assert!((info.last_seen - wall()).abs() < 5.0, "Unix seconds: {}", info.last_seen);
        ring_is_right(node, &nodes[0], &names);
        for other in node.members().unwrap() {
            assert!((other.last_seen - wall()).abs() < 60.0, "{} was seen at {}", other.id, other.last_seen);
        }
        neighbours_are_right(node).await;
        owners_are_successors(node);
    }
    stop_all(&nodes).await;
}

fn ring_is_right(node: &Dht, other: &Dht, names: &[&str]) {
    let (ring, theirs) = (node.ring().unwrap(), other.ring().unwrap());
    assert_eq!(ring.view, theirs.view);
    let infos: Vec<NodeInfo> = ring.nodes.iter().map(|n| n.node.clone()).collect();
    assert_eq!(ids(&infos), names, "ascending by id");
    assert_eq!(ids(&node.members().unwrap()), names);
    let shares: f64 = ring.nodes.iter().map(|n| n.share).sum();
    assert!((shares - 1.0).abs() < 1e-9, "the shares make {shares}");
    for (here, there) in ring.nodes.iter().zip(&theirs.nodes) {
        assert_eq!((here.positions.len(), &here.positions), (16, &there.positions));
        assert!(here.positions.iter().all(|p| p.len() == 16 && p.bytes().all(|b| b"0123456789abcdef".contains(&b))));
        assert!(here.share > 0.0 && here.node.state == "active");
    }
}

/// As soon as the ring is one.
async fn neighbours_are_right(node: &Dht) {
    let all = positions(node);
    let (base, me) = (base(node), node.node_id());
    let mut expected: Vec<&str> = Vec::new();
    for other in clockwise(&all, base).filter(|other| *other != me) {
        if !expected.contains(&other) {
            expected.push(other);
        }
    }
    let before = clockwise(&all, base).rev().find(|other| *other != me).expect("there are others");
    assert_eq!(ids(&node.successor_list().unwrap()), expected);
    assert_eq!(node.predecessor().unwrap().map(|p| p.id).as_deref(), Some(before));
    // Fingers are looked up a few every two seconds, and looked up again when a neighbour's pointers were not right yet.
    eventually(SOON * 3, &format!("right fingers of {node:?}"), async || fingers_are_right(node, &all, base)).await;
}

/// Finger k names the node that owns position 0 + 2^k.
fn fingers_are_right(node: &Dht, all: &[(u64, String)], base: u64) -> Seen {
    let fingers = node.finger_table().map_err(text)?;
    let found: Vec<(u16, String, String)> = fingers.into_iter().map(|f| (f.index, f.start, f.node.id)).collect();
    let finger = |k: u16| {
        let start = base.wrapping_add(1 << k);
        let owner = clockwise(all, start).next().expect("the ring is not empty");
        (k, format!("{start:016x}"), owner.to_owned())
    };
    let expected: Vec<(u16, String, String)> = (0..64).map(finger).collect();
    seen(found == expected, || format!("fingers {found:?}, not {expected:?}"))
}

/// The owner of a key is the successor of the last id of its slot; the other replicas are the next distinct nodes.
fn owners_are_successors(node: &Dht) {
    let all = positions(node);
    let slot_bits = u32::from(node.ring().unwrap().slot_bits);
    for i in 0..200 {
        let key = format!("key-{i}");
        let id = u64::from_str_radix(&node.hash_key_hex(&key), 16).expect("an id is hexadecimal");
        let last = id | (u64::MAX >> slot_bits);
        let mut expected: Vec<&str> = Vec::new();
        for replica in clockwise(&all, last) {
            if expected.len() < 3 && !expected.contains(&replica) {
                expected.push(replica);
            }
        }
        assert_eq!(ids(&node.locate(&key).unwrap()), expected, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_are_the_top_bits_of_the_digest() {
    // SHA-256 of nothing and of "abc" (FIPS 180-4), cut to the first bits.
    let known = [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ];
    for (bits, digits) in [(160, 40), (256, 64), (64, 16), (8, 2)] {
        let node = start(Config { hash_bits: bits, virtual_nodes: Some(1), ..named("hash") }).await;
        for (key, digest) in known {
            assert_eq!(node.hash_key_hex(key), digest[..digits], "{bits} bits of {key:?}");
            assert_eq!(node.hash_key(key), node.hash_key(key.as_bytes()));
        }
        node.stop().await;
    }
    let node = start(Config { hash_bits: 13, virtual_nodes: Some(1), ..named("hash") }).await;
    assert_eq!(node.hash_key_hex("").len(), 4, "digits are rounded up");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gone_nodes_are_remembered_but_not_placed() {
    let mut nodes = ring(3).await;
    nodes[0].put("k", &1).await.unwrap();
    let left = nodes.pop().expect("three nodes");
    left.leave(SOON).await.unwrap();
    nodes.pop().expect("two nodes").stop().await;
    let node = &nodes[0];
    eventually(SOON, "one left, one dead, in the eyes of the last", async || {
        let states: Vec<_> = node.members().map_err(text)?.into_iter().map(|m| (m.id, m.state)).collect();
        let expected = [("n0", "active"), ("n1", "dead"), ("n2", "left")].map(|(i, s)| (i.to_owned(), s.to_owned()));
        seen(states == expected, || format!("{states:?}"))
    })
    .await;
    assert_eq!(ids(&node.locate("k").unwrap()), ["n0"]);
    let present: Vec<String> = node.ring().unwrap().nodes.into_iter().map(|n| n.node.id).collect();
    assert_eq!(present, ["n0"]);
    let statistics = node.statistics().unwrap();
    assert_eq!((statistics.nodes_joined, statistics.nodes_left), (2, 2));
    assert_eq!(node.get_with::<i32>("k", GetOptions::default()).await.unwrap(), Some(1));
    node.stop().await;
}
