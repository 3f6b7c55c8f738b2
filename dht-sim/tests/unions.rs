//! Two rings, each with what it was told, become one: nothing is told to be missing that is in either, and who adds to a value adds to
//! that one. What is compared and copied between the nodes is held back first, so that it is not only a matter of time.

use std::sync::Arc;
use std::time::Duration;

use dht_core::{Config, Dht, GetOptions};
use dht_sim::World;
use tokio::task::JoinSet;

use crate::common::{LATENCY, calm};
use crate::held::{Gate, Start, pass};

const SECOND: Duration = Duration::from_secs(1);
const KEYS: usize = 60;

/// A ring of nodes from the one of this number on, in which each key of this name is 5.
async fn ring(world: &World, config: &Config, gate: &Arc<Gate>, name: &str, numbers: (usize, usize)) -> Vec<Dht> {
    let mut nodes: Vec<Dht> = Vec::new();
    for number in numbers.0..numbers.1 {
        let seeds: &[usize] = if number == numbers.0 { &[] } else { &[numbers.0] };
        let start = Start { gate: gate.clone(), ..Start::new(world, config, seeds) };
        nodes.push(start.node(number).await.expect("it starts"));
    }
    for node in &nodes {
        node.wait_ready(60 * SECOND).await.expect("it gets ready");
    }
    for n in 0..KEYS {
        nodes[0].put(format!("{name}-{n}"), &5).await.expect("it serves");
    }
    nodes
}

/// Reads all through `node`; how many it could tell.
async fn look(node: &Dht, patience: Duration) -> usize {
    let options = GetOptions { timeout: Some(patience), ..GetOptions::default() };
    let mut reads = JoinSet::new();
    for n in 0..KEYS {
        for name in ["one", "other"] {
            let (key, node) = (format!("{name}-{n}"), node.clone());
            reads.spawn(async move {
                match node.get_with::<i64>(key.clone(), options).await {
                    Ok(found) => {
                        assert_eq!(found, Some(5), "{key} at {node:?}");
                        1
                    }
                    Err(_) => 0,
                }
            });
        }
    }
    reads.join_all().await.into_iter().sum()
}

fn unite(left: usize, right: usize, replicas: usize) {
    calm(move |world| async move {
        let config = Config { slot_bits: 10, replication_factor: replicas, ..Config::default() };
        let gate = Arc::new(Gate::default());
        let one = ring(&world, &config, &gate, "one", (0, left)).await;
        let other = ring(&world, &config, &gate, "other", (left, left + right)).await;
        gate.close();
        other[right - 1].join(&[one[left - 1].address()]).await.expect("the other ring is there");
        // Before anybody else knows.
        look(&other[right - 1], SECOND / 4).await;
        let all: Vec<&Dht> = one.iter().chain(&other).collect();
        for node in &all {
            while node.view().1 < all.len() {
                assert!(world.now() < 60 * SECOND, "{node:?} knows {} nodes", node.view().1);
                pass(LATENCY).await;
            }
        }
        for node in &all {
            look(node, SECOND / 4).await;
        }
        gate.open();
        for node in &all {
            node.wait_ready(60 * SECOND).await.expect("it gets ready");
        }
        for node in &all {
            assert_eq!(look(node, 2 * SECOND).await, 2 * KEYS, "{node:?}");
        }
        for n in 0..KEYS {
            for name in ["one", "other"] {
                let sum = all[n % all.len()].increment(format!("{name}-{n}"), 1).await.expect("it serves");
                assert_eq!(sum, 6, "{name}-{n}");
            }
        }
    });
}

#[test]
fn two_rings_of_two_nodes() {
    unite(2, 2, 3);
}

/// Of many slots the present list is all of one ring.
#[test]
fn two_rings_of_many_nodes() {
    unite(9, 8, 3);
}

#[test]
fn two_rings_without_copies() {
    unite(2, 3, 1);
}
