//! One link between two nodes is broken for long, and each of them is well for all others.

use std::time::Duration;

use dht_core::{Config, Dht};
use dht_sim::{Nodes, World};

use crate::common;

const SECOND: Duration = Duration::from_secs(1);
const NODES: usize = 6;
const KEYS: usize = 60;

async fn ring(world: &World) -> Nodes {
    let mut nodes = Nodes::new(world.clone(), Config { slot_bits: 8, ..Config::default() });
    nodes.start(0, &[]).await.expect("it founds");
    nodes.start_together(1..NODES, &[0]).await.expect("they join");
    nodes.settled(60 * SECOND).await.expect("it comes to rest");
    nodes
}

/// Keys that a node owns.
fn owned(by: &Dht) -> Vec<String> {
    let id = by.node_id();
    let keys = (0..).map(|n| format!("key-{n}"));
    keys.filter(|key| by.locate(key).expect("it runs")[0].id == id).take(KEYS).collect()
}

fn incarnation(seen_by: &Dht, of: &Dht) -> u64 {
    let nodes = seen_by.ring().expect("it runs").nodes;
    nodes.into_iter().find(|node| node.node.id == of.node_id()).expect("it is there").node.incarnation
}

/// Where messages vanish the owner is asked through another replica.
#[test]
fn keys_are_written_whose_owner_is_out_of_reach() {
    common::calm(|world| async move {
        let mut nodes = ring(&world).await;
        let (cut, owner) = (nodes.node(0), nodes.node(3));
        let keys = owned(&owner);
        world.network().cut(&world.address(0), &world.address(3));
        world.network().cut(&world.address(3), &world.address(0));
        for key in &keys {
            cut.put(key, &1).await.unwrap_or_else(|error| panic!("{key}: {error}"));
            assert_eq!(cut.increment(key, 1).await.expect("through another too"), 2);
        }
        for key in &keys {
            assert_eq!(nodes.node(5).get::<u64>(key).await.expect("it serves"), Some(2), "{key}");
        }
        nodes.stop().await;
    });
}

/// Replicas that cannot reach the owner either do not pass a write on to each other.
#[test]
fn a_write_is_passed_on_once() {
    common::calm(|world| async move {
        let mut nodes = ring(&world).await;
        let owner = nodes.node(3);
        let hubs = [4, 5].map(|number| nodes.node(number).node_id());
        let far = |key: &String| owner.locate(key).expect("it runs").iter().all(|node| !hubs.contains(&node.id));
        let keys: Vec<String> = owned(&owner).into_iter().filter(far).collect();
        assert!(keys.len() >= 5, "{}", keys.len());
        // Two reach it, and tell the others so.
        for number in [0, 1, 2] {
            world.network().cut(&world.address(number), &world.address(3));
            world.network().cut(&world.address(3), &world.address(number));
        }
        // Until all have found that out.
        tokio::time::sleep(8 * SECOND).await;
        let applies = || world.traffic().get("apply").map_or(0, |(messages, _)| *messages);
        let before = applies();
        for key in keys.iter().take(5) {
            // Nobody who keeps it reaches its owner, so it does not come about.
            drop(nodes.node(0).put(key, &1).await);
        }
        let sent = applies() - before;
        assert!(sent <= 5 * 12, "{sent} messages for five writes");
        nodes.stop().await;
    });
}

/// Where a node is refused the others are asked, who say that it lives: nobody routes around it.
#[test]
fn who_refuses_one_and_serves_the_others_is_not_suspected() {
    common::calm(|world| async move {
        let mut nodes = ring(&world).await;
        let (refused, owner) = (nodes.node(0), nodes.node(3));
        let keys = owned(&owner);
        let before = incarnation(&owner, &owner);
        world.network().reject(&world.address(0), &world.address(3));
        for key in &keys {
            refused.put(key, &1).await.unwrap_or_else(|error| panic!("{key}: {error}"));
        }
        tokio::time::sleep(30 * SECOND).await;
        assert_eq!(incarnation(&owner, &owner), before, "it had no suspicion to refute");
        for node in nodes.running() {
            assert_eq!(node.1.ring().expect("it runs").nodes.len(), NODES, "nobody was given up");
        }
        nodes.stop().await;
    });
}

/// What a client cannot reach is no matter for the ring.
#[test]
fn a_client_spreads_no_suspicions() {
    common::calm(|world| async move {
        let mut nodes = ring(&world).await;
        let (client, _) = nodes.client(NODES, &[0]).await.expect("it is let in");
        let before: Vec<u64> = (1..NODES).map(|n| incarnation(&nodes.node(n), &nodes.node(n))).collect();
        for number in [2, 4] {
            world.network().reject(&world.address(NODES), &world.address(number));
        }
        for n in 0..KEYS {
            client.put(format!("key-{n}"), &n).await.unwrap_or_else(|error| panic!("key-{n}: {error}"));
        }
        tokio::time::sleep(30 * SECOND).await;
        let after: Vec<u64> = (1..NODES).map(|n| incarnation(&nodes.node(n), &nodes.node(n))).collect();
        assert_eq!(after, before, "they had no suspicions to refute");
        client.stop().await;
        nodes.stop().await;
    });
}
