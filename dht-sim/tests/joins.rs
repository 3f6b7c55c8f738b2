//! Many join at once, and many leave: how long it takes, and what the calls of others notice of it.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{LATENCY, calm};
use dht_core::{Config, Dht, GetOptions, PutOptions};
use dht_sim::{Nodes, World};

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
