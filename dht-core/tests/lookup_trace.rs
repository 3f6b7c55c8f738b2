//! `lookup_trace`: the hops of a lookup, held against the ring that `ring()` shows.

use crate::cluster;

use std::collections::BTreeMap;
use std::time::Duration;

use cluster::*;
use dht_core::{Config, Dht, ErrorKind, HopOutcome, LookupTrace, NodeInfo};

/// Ids of 64 bits, so that the test can compute with them; short periods, so that pointers are right soon.
fn model() -> Config {
    let period = Duration::from_millis(50);
    Config { hash_bits: 64, stabilize_interval: period, fix_finger_interval: period, ..Config::default() }
}

/// Each node knows only the next one and its fingers: lookups have to go round.
fn narrow() -> Config {
    Config { virtual_nodes: Some(1), successor_list_size: 1, ..model() }
}

fn keys() -> impl Iterator<Item = String> {
    (0..100).map(|i| format!("key-{i}"))
}

fn id(hex: &str) -> u64 {
    assert_eq!(hex.len(), 16, "64 bits are 16 digits: {hex:?}");
    u64::from_str_radix(hex, 16).expect("an id is hexadecimal")
}

/// node_ids of the hops.
fn asked(trace: &LookupTrace) -> Vec<&str> {
    trace.hops.iter().map(|hop| hop.node.id.as_str()).collect()
}

async fn traces(node: &Dht) -> Seen<Vec<(String, LookupTrace)>> {
    let mut all = Vec::new();
    for key in keys() {
        let trace = node.lookup_trace(&key).await.map_err(text)?;
        all.push((key, trace));
    }
    Ok(all)
}

/// All traces of `node`, once they end where the keys are and nobody was silent: pointers follow the view in a moment.
async fn right_traces(node: &Dht) -> Vec<(String, LookupTrace)> {
    eventually(SOON * 3, &format!("{node:?} finds the owners"), async || {
        let all = traces(node).await?;
        for (key, trace) in &all {
            let owner = node.locate(key).map_err(text)?.swap_remove(0).id;
            seen(trace.owner.id == owner, || format!("{key}: {trace:?}, not at {owner}"))?;
            seen(is_direct(trace), || format!("{key}: {trace:?} goes astray"))?;
        }
        Ok(all)
    })
    .await
}

/// Each node asked is nearer before the target than the one before; all but the last led nearer, the last knew.
fn is_direct(trace: &LookupTrace) -> bool {
    let distance = |position: &str| id(&trace.target).wrapping_sub(id(position));
    let nearer = trace.hops.windows(2).all(|pair| distance(&pair[1].position) < distance(&pair[0].position));
    let last = trace.hops.len().saturating_sub(1);
    let expected = |i: usize| if i == last { HopOutcome::Owner } else { HopOutcome::Closer };
    nearer && trace.hops.iter().enumerate().all(|(i, hop)| hop.outcome == expected(i))
}

/// What is told of a key and of each hop is what the ring says.
fn told_right(node: &Dht, key: &str, trace: &LookupTrace) {
    let ring: BTreeMap<String, (NodeInfo, Vec<String>)> =
        node.ring().unwrap().nodes.into_iter().map(|n| (n.node.id.clone(), (n.node, n.positions))).collect();
    let key_id = id(&trace.key_id);
    assert_eq!(trace.key_id, node.hash_key_hex(key));
    assert_eq!(u64::from(trace.slot), key_id >> 50, "of 2^14 slots");
    assert_eq!(id(&trace.target), key_id | ((1 << 50) - 1), "the last id of the slot");
    assert_eq!(trace.owner.address, ring[&trace.owner.id].0.address);
    assert!(trace.one_hop, "the view is settled: {trace:?}");
    for hop in &trace.hops {
        let (info, positions) = &ring[&hop.node.id];
        assert_eq!(hop.node.address, info.address);
        assert!(positions.contains(&hop.position), "{hop:?} is not one of {positions:?}");
    }
    assert!(!asked(trace).contains(&node.node_id().as_str()), "it asked itself: {trace:?}");
    let took: f64 = trace.hops.iter().map(|hop| hop.took).sum();
    assert!(trace.hops.iter().all(|hop| hop.took > 0.0) && took <= trace.took + 1e-6, "{trace:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alone_nobody_is_asked() {
    let node = start(Config { node_id: "solo".into(), ..model() }).await;
    for (key, trace) in traces(&node).await.unwrap() {
        assert_eq!((trace.owner.id.as_str(), trace.hops.len()), ("solo", 0));
        told_right(&node, &key, &trace);
    }
    let before = node.statistics().unwrap();
    node.lookup_trace("k").await.unwrap();
    assert_eq!(node.statistics().unwrap().lookups_successful, before.lookups_successful, "it is no read");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_nodes_lead_to_the_owner() {
    let nodes = ring_of(5, "n", &model()).await;
    for node in &nodes {
        let all = right_traces(node).await;
        for (key, trace) in &all {
            assert!(trace.hops.len() <= 4, "there are four others: {trace:?}");
            told_right(node, key, trace);
        }
        assert!(all.iter().any(|(_, t)| t.hops.is_empty()) && all.iter().any(|(_, t)| !t.hops.is_empty()));
    }
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrow_ring_takes_several_hops() {
    let nodes = ring_of(8, "n", &narrow()).await;
    let mut longest = 0;
    for node in &nodes {
        for (key, trace) in right_traces(node).await {
            told_right(node, &key, &trace);
            longest = longest.max(trace.hops.len());
        }
    }
    assert!((2..8).contains(&longest), "{longest} hops among eight nodes");
    stop_all(&nodes).await;
}

/// The detector is slow here, so that the lookups meet the dead node before it was given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_is_silent_and_passed_by() {
    let slow = Duration::from_secs(20);
    let stabilize_interval = Config::default().stabilize_interval;
    let model = Config { heartbeat_interval: slow, check_predecessor: slow, stabilize_interval, ..model() };
    let mut nodes = ring_of(5, "n", &model).await;
    let before = right_traces(&nodes[0]).await;
    let over = |node: &Dht| {
        let name = node.node_id();
        let first = |t: &&(String, LookupTrace)| asked(&t.1).first() == Some(&name.as_str()) && t.1.owner.id != name;
        before.iter().filter(first).collect::<Vec<_>>()
    };
    let at = (1..5).max_by_key(|&i| over(&nodes[i]).len()).expect("four others");
    let killed = nodes.swap_remove(at);
    let (name, through) = (killed.node_id(), over(&killed));
    assert!(!through.is_empty(), "no way leads over {name}");
    killed.stop().await;
    let mut silent = 0;
    for (key, was) in through {
        // Until the next stabilize of its predecessor a dead node hides who lies just before it: the one after it answers.
        let found = async || {
            let trace = nodes[0].lookup_trace(key).await.map_err(text)?;
            for hop in trace.hops.iter().filter(|hop| hop.node.id == name) {
                assert_eq!(hop.outcome, HopOutcome::Silent, "{trace:?}");
                silent += 1;
            }
            assert!(trace.hops.len() <= 5, "there are five others: {trace:?}");
            seen(trace.owner.id == was.owner.id, || format!("{trace:?}"))
        };
        eventually(SOON, &format!("a way to {key} without {name}"), found).await;
    }
    assert!(silent > 0, "no lookup asked {name}");
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_asks_the_ring() {
    let nodes = ring_of(5, "n", &model()).await;
    let seeds = vec![nodes[0].address()];
    let client = start(Config { node_id: "client".into(), virtual_nodes: Some(0), seeds, ..model() }).await;
    for (key, trace) in right_traces(&client).await {
        assert!(!trace.hops.is_empty(), "{key}: a client knows nothing itself");
        told_right(&client, &key, &trace);
    }
    stop_all(&nodes).await;
    // Whether or not the client knows by now that they are gone.
    refused(client.lookup_trace("k").await, ErrorKind::Unreachable, &["no way to"]);
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_a_ring_there_is_no_way() {
    let nobody = Reserved::new();
    let request_timeout = Duration::from_millis(300);
    let node = start(Config { seeds: vec![nobody.endpoint()], request_timeout, ..model() }).await;
    refused(node.lookup_trace("k").await, ErrorKind::NotJoined, &["in no ring"]);
    node.stop().await;
}
