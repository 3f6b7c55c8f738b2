//! Many join at once, and many leave: how long it takes, and what the calls of others notice of it.

mod common;
mod held;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{LATENCY, calm};
use dht_core::{Config, Dht, GetOptions, PutOptions};
use dht_sim::{Nodes, World};
use held::{Start, pass};

const SECOND: Duration = Duration::from_secs(1);

fn config() -> Config {
    Config { slot_bits: 12, ..Config::default() }
}

/// One after the other they would take a third of a second each.
#[test]
fn eighty_that_start_at_once_are_a_ring_within_seconds() {
    calm(|world| async move {
        let mut nodes = Nodes::new(world.clone(), config());
        nodes.start(0, &[]).await.expect("it founds a ring");
        let begun = world.now();
        nodes.start_together(1..80, &[0]).await.expect("they join");
        nodes.settled(60 * SECOND).await.expect("the ring comes to rest");
        let took = world.now() - begun;
        assert!(took < 16 * SECOND, "{took:?}");
        nodes.stop().await;
    });
}

/// What a caller of quorum operations on keys of its own has seen.
#[derive(Default)]
struct Seen {
    calls: usize,
    stale: usize,
    slowest: Duration,
    errors: Vec<String>,
}

/// Writes and reads, each in turn, until told to stop.
async fn work(world: World, dht: Dht, caller: usize, over: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    let mut n: u64 = 0;
    while !over.load(Ordering::Relaxed) {
        let key = format!("caller-{caller}-{}", n % 64);
        let begun = world.now();
        if let Err(error) = dht.put_bytes(key.clone(), n.to_be_bytes().to_vec(), PutOptions::default()).await {
            seen.errors.push(format!("put of {key}: {error}"));
        }
        match dht.get_bytes(key.clone(), GetOptions::default()).await {
            Ok(found) => seen.stale += usize::from(found.as_deref() != Some(&n.to_be_bytes()[..])),
            Err(error) => seen.errors.push(format!("get of {key}: {error}")),
        }
        seen.slowest = seen.slowest.max(world.now() - begun);
        seen.calls += 2;
        n += 1;
    }
    seen
}

/// In a ring of 48 three enter at a time, so that some slots get two newcomers at once.
#[test]
fn quorum_calls_go_on_while_many_join_and_leave() {
    calm(|world| async move {
        let mut nodes = Nodes::new(world.clone(), config());
        nodes.form(48).expect("in range");
        let over = Arc::new(AtomicBool::new(false));
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..16 {
            callers.spawn(work(world.clone(), nodes.node(caller), caller, over.clone()));
        }
        nodes.start_together(48..78, &[0, 1, 2]).await.expect("they join");
        nodes.settled(60 * SECOND).await.expect("the ring comes to rest");
        let mut leaving = tokio::task::JoinSet::new();
        for number in 48..78 {
            let dht = nodes.take(number);
            leaving.spawn(async move { dht.leave(60 * SECOND).await });
            tokio::time::sleep(SECOND / 2).await;
        }
        for left in leaving.join_all().await {
            left.expect("it hands over");
        }
        over.store(true, Ordering::Relaxed);
        let seen = callers.join_all().await;
        let errors: Vec<&String> = seen.iter().flat_map(|seen| &seen.errors).collect();
        assert_eq!((errors.len(), seen.iter().map(|s| s.stale).sum::<usize>()), (0, 0), "{:?}", errors.first());
        assert!(seen.iter().map(|s| s.calls).sum::<usize>() > 10_000, "they did not go on");
        // A put and a get of a ring at rest take four times the latency each at most.
        let slowest = seen.iter().map(|s| s.slowest).max().unwrap_or_default();
        assert!(slowest < 8 * LATENCY + SECOND, "{slowest:?}");
        nodes.stop().await;
    });
}

/// A node whose seeds are silent is told to join elsewhere. When a seed comes up, in the same ring or in another, the node
/// is where it was, and its calls never stop to work.
#[test]
fn an_explicit_join_ends_the_search_for_silent_seeds() {
    for same_ring in [true, false] {
        calm(move |world| async move {
            let first = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
            first.put("key", &7).await.expect("it serves");
            let searching = Start::new(&world, &config(), &[9]).node(1).await.expect("it starts, in no ring");
            assert_eq!(searching.members().expect("it runs").len(), 1);
            searching.join(&[first.address()]).await.expect("the other is there");
            let seeds: &[usize] = if same_ring { &[0] } else { &[] };
            let late = Start::new(&world, &config(), seeds).node(9).await.expect("it starts");
            // Longer than a search waits between two tries; every look is between two messages.
            for _ in 0..20_000 {
                pass(Duration::from_millis(1)).await;
                let state = searching.node_info().expect("it runs").state;
                assert_eq!(state, "active", "after {:?}, same ring: {same_ring}", world.now());
            }
            for node in [&searching, &late] {
                let found: Option<i32> = node.get("key").await.expect("it is in a ring");
                assert_eq!(found, Some(7), "rings that are each other's seeds are one: {same_ring}");
            }
        });
    }
}

/// Two joins of one node at the same time: it is in one ring, whole, and both are told.
#[test]
fn two_joins_at_once_are_one_after_the_other() {
    calm(|world| async move {
        let first = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        let second = Start::new(&world, &config(), &[]).node(1).await.expect("it founds another");
        let joining = Start::new(&world, &config(), &[]).node(2).await.expect("it founds a third");
        joining.put("key", &7).await.expect("it serves");
        let (one, other) = ([first.address()], [second.address()]);
        let (here, there) = tokio::join!(joining.join(&one), joining.join(&other));
        here.expect("joined");
        there.expect("joined");
        for node in [&first, &second, &joining] {
            while node.view().1 < 3 {
                assert!(world.now() < 60 * SECOND, "{node:?} knows {} nodes", node.view().1);
                pass(SECOND).await;
            }
            node.wait_ready(60 * SECOND).await.expect("one ring");
            assert_eq!(node.get("key").await.expect("it serves"), Some(7));
        }
    });
}
