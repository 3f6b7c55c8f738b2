//! Two rings, each with what it was told, become one: nothing is told to be missing that is in either, and who adds to a value adds to
//! that one. What is compared and copied between the nodes is held back first, so that it is not only a matter of time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dht_core::{Config, Dht, GetOptions, Number};
use dht_sim::{Crash, World};
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
    for n in 0..2 * KEYS {
        nodes[0].put(format!("{name}-{n}"), &5).await.expect("it serves");
    }
    nodes
}

/// Reads all through `node`; how many it could tell.
async fn look(node: &Dht, patience: Duration) -> usize {
    look_for(node, 5, patience).await
}

async fn look_for(node: &Dht, value: i64, patience: Duration) -> usize {
    let options = GetOptions { timeout: Some(patience), ..GetOptions::default() };
    let mut reads = JoinSet::new();
    for n in 0..KEYS {
        for name in ["one", "other"] {
            let (key, node) = (format!("{name}-{n}"), node.clone());
            reads.spawn(async move {
                match node.get_with::<i64>(key.clone(), options).await {
                    Ok(found) => {
                        assert_eq!(found, Some(value), "{key} at {node:?}");
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
        let rings = || all.iter().map(|node| node.inspect().rings).collect::<Vec<_>>();
        assert!(rings().iter().all(|rings| *rings == 2), "{:?}", rings());
        // Two of the looks at everything, half a minute apart, after a minute.
        pass(180 * SECOND).await;
        assert!(
            rings().iter().all(|rings| *rings == 1),
            "the last death of an old ring would be a change of all lists: {:?}",
            rings()
        );
        for node in &all {
            assert_eq!(look_for(node, 6, 2 * SECOND).await, 2 * KEYS, "{node:?}");
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

/// What happens while two rings become one.
#[derive(Clone, Copy, PartialEq)]
enum Meanwhile {
    Nothing,
    OneJoins,
    OneDies,
}

/// What the callers of one node have seen.
#[derive(Default)]
struct Seen {
    /// By key: acknowledged, and maybe carried out.
    added: BTreeMap<String, (i64, i64)>,
    told: usize,
}

/// Reads and adds to the keys of its own ring, and to all as soon as this node has heard of the other ring.
async fn work(node: Dht, own: &'static str, size: usize, over: Arc<AtomicBool>) -> Seen {
    let (mut seen, mut n) = (Seen::default(), 0);
    let options = GetOptions { timeout: Some(SECOND), ..GetOptions::default() };
    while !over.load(Ordering::Relaxed) {
        let heard = node.view().1 > size + 1;
        let name = if heard { ["one", "other"][n % 2] } else { own };
        let (read, added) = (format!("{name}-{}", n % KEYS), format!("{name}-{}", KEYS + n % KEYS));
        if let Ok(found) = node.get_with::<i64>(&read, options).await {
            assert_eq!(found, Some(5), "{read} at {node:?}, which has heard of the other ring: {heard}");
            seen.told += 1;
        }
        let sum = node.increment_with(&added, Number::Integer(1), options).await;
        let (acknowledged, maybe) = seen.added.entry(added.clone()).or_default();
        match sum {
            Ok(Number::Integer(sum)) => {
                assert!(sum > 5, "{added} is {sum} at {node:?}");
                *acknowledged += 1;
            }
            Ok(other) => panic!("{added} is {other:?}"),
            Err(error) => *maybe += i64::from(error.maybe_applied()),
        }
        n += 1;
    }
    seen
}

/// More nodes than one message tells of; nothing is held back.
fn unite_under_load(size: usize, meanwhile: Meanwhile) {
    calm(move |world| async move {
        let config = Config { slot_bits: 10, ..Config::default() };
        let gate = Arc::new(Gate::default());
        let one = ring(&world, &config, &gate, "one", (0, size)).await;
        let mut other = ring(&world, &config, &gate, "other", (size, 2 * size)).await;
        let over = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        let names = one.iter().map(|node| (node, "one")).chain(other.iter().skip(1).map(|node| (node, "other")));
        for (node, name) in names {
            callers.spawn(work(node.clone(), name, size, over.clone()));
        }
        pass(SECOND).await;
        other[2].join(&[one[3].address()]).await.expect("the other ring is there");
        let mut late = Vec::new();
        match meanwhile {
            Meanwhile::Nothing => {}
            Meanwhile::OneJoins => {
                late.push(Start::new(&world, &config, &[1]).node(2 * size).await.expect("it joins"));
            }
            Meanwhile::OneDies => {
                pass(2 * LATENCY).await;
                world.network().crash(&world.address(size), Crash::Machine);
                other.remove(0);
            }
        }
        pass(20 * SECOND).await;
        over.store(true, Ordering::Relaxed);
        let seen = callers.join_all().await;
        let all: Vec<&Dht> = one.iter().chain(&other).chain(&late).collect();
        for node in &all {
            node.wait_ready(60 * SECOND).await.expect("it gets ready");
            assert_eq!(node.view().1, all.len(), "{node:?}");
        }
        for name in ["one", "other"] {
            for n in KEYS..2 * KEYS {
                let key = format!("{name}-{n}");
                let of = |seen: &Seen| seen.added.get(&key).copied().unwrap_or_default();
                let (acknowledged, maybe) = seen.iter().map(of).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
                let sum = one[0].get::<i64>(&key).await.expect("it serves").expect("it is there");
                assert!(
                    (5 + acknowledged..=5 + acknowledged + maybe).contains(&sum),
                    "{key} is {sum}: {acknowledged} were added, {maybe} maybe"
                );
            }
        }
        assert!(seen.iter().map(|seen| seen.told).sum::<usize>() > 100 * size, "they did not go on");
    });
}

#[test]
fn two_rings_of_twenty_under_load() {
    unite_under_load(20, Meanwhile::Nothing);
}

#[test]
fn two_rings_and_one_that_joins_meanwhile() {
    unite_under_load(6, Meanwhile::OneJoins);
}

#[test]
fn two_rings_and_one_that_dies_meanwhile() {
    unite_under_load(6, Meanwhile::OneDies);
}
