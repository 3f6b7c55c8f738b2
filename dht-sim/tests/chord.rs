//! `routing = "chord"`: operations find owners by walking, and data outlives what it outlives in one_hop routing.

use crate::common;
use crate::held;

use std::time::Duration;

use common::calm;
use dht_core::{Config, Consistency, Dht, GetOptions, HopOutcome, Routing};
use dht_sim::{Crash, scenarios};
use held::{Start, key_of, pass, ring};

fn config() -> Config {
    Config { routing: Routing::Chord, ..Config::default() }
}

const KEYS: usize = 60;

/// Every node reads every key at every level.
async fn all_there(nodes: &[Dht]) {
    for (n, node) in nodes.iter().enumerate() {
        for key in (0..KEYS).filter(|key| key % nodes.len() == n) {
            for level in [Consistency::One, Consistency::Quorum, Consistency::All] {
                let options = GetOptions { consistency: Some(level), timeout: None };
                let found = node.get_with::<usize>(&format!("key-{key}"), options).await;
                assert_eq!(found.unwrap_or_else(|error| panic!("key {key} by node {n}: {error}")), Some(key));
            }
        }
    }
}

#[test]
fn data_outlives_a_kill_a_join_and_a_leave() {
    calm(|world| async move {
        let mut nodes = ring(&world, &config(), 6).await;
        for key in 0..KEYS {
            nodes[key % 6].put(&format!("key-{key}"), &key).await.expect("it is kept");
        }
        all_there(&nodes).await;
        let victim = nodes.remove(2);
        world.network().crash(&world.address(2), Crash::Machine);
        victim.stop().await;
        // Nobody knows yet: calls walk around it.
        let options = GetOptions { consistency: None, timeout: Some(Duration::from_secs(10)) };
        for key in 0..KEYS {
            let found = nodes[key % 5].get_with::<usize>(&format!("key-{key}"), options).await;
            assert_eq!(found.unwrap_or_else(|error| panic!("key {key}: {error}")), Some(key));
        }
        pass(Duration::from_secs(30)).await;
        let joined = Start::new(&world, &config(), &[0]).node(9).await.expect("it joins");
        joined.wait_ready(Duration::from_secs(60)).await.expect("it gets ready");
        nodes.push(joined);
        all_there(&nodes).await;
        nodes.remove(0).leave(Duration::from_secs(30)).await.expect("it hands over");
        all_there(&nodes).await;
        for key in 0..KEYS {
            assert!(nodes[key % 5].delete(&format!("key-{key}")).await.expect("it is deleted"));
        }
    });
}

/// A client has no pointers of its own, and no list.
#[test]
fn a_client_walks_too() {
    calm(|world| async move {
        let nodes = ring(&world, &config(), 4).await;
        let client = Config { virtual_nodes: Some(0), ..config() };
        let client = Start::new(&world, &client, &[1]).node(7).await.expect("it starts");
        for key in 0..KEYS {
            client.put(&format!("key-{key}"), &key).await.expect("it is kept");
        }
        all_there(&nodes).await;
        for key in 0..KEYS {
            assert_eq!(client.get(&format!("key-{key}")).await.expect("it is found"), Some(key));
        }
    });
}

#[test]
fn a_trace_ends_at_the_owner_itself() {
    calm(|world| async move {
        let nodes = ring(&world, &config(), 5).await;
        for owner in &nodes[1..] {
            let trace = nodes[0].lookup_trace(&key_of(owner, &nodes[0])).await.expect("a way");
            let last = trace.hops.last().expect("the owner was asked");
            assert_eq!((&last.node.id, last.outcome), (&trace.owner.id, HopOutcome::Owner));
            assert_eq!(trace.owner.id, owner.node_id());
        }
    });
}

#[test]
fn one_seed_gives_one_trace() {
    let scenario = scenarios::find("chord_rings").expect("it is in the registry");
    let trace = |seed| scenario.run(seed).unwrap_or_else(|failure| panic!("{failure}")).trace;
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4));
}
