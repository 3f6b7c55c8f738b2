//! Batches: every owner is asked once, all at the same time.

use crate::common;

use std::time::Duration;

use common::{LATENCY, calm};
use dht_core::{Config, GetOptions, PutOptions, Value};
use dht_sim::{Latency, NetworkConfig, Nodes, Setup, World};

#[test]
fn a_batch_asks_every_owner_once() {
    calm(|world| async move {
        let mut nodes = Nodes::new(world.clone(), Config { slot_bits: 8, ..Config::default() });
        nodes.form(4).expect("in range");
        let asked = || world.traffic().get("apply").map_or(0, |(messages, _)| *messages);
        // One key goes to one owner, many to the three others and to this node itself.
        for (keys, others) in [(1, 0..=1), (200, 3..=3)] {
            let (before, begun) = (asked(), world.now());
            let entries = (0..keys).map(|n| (format!("key-{n}"), Value::from_bytes("v")));
            let results = nodes.node(0).put_many(entries, PutOptions::default()).await.expect("it serves");
            assert!(results.len() == keys && results.iter().all(Result::is_ok), "{results:?}");
            let asked = asked() - before;
            assert!(others.contains(&asked), "{keys} keys: {asked} owners were asked");
            // To the owner, from there to the replicas, and back.
            assert!(world.now() - begun <= 4 * LATENCY, "{keys} keys: {:?}", world.now() - begun);
        }
        nodes.settled(Duration::from_secs(60)).await.expect("the ring is at rest");
        nodes.stop().await;
    });
}

/// Messages overtake each other.
fn unordered<F: Future<Output = ()>>(seed: u64, test: impl FnOnce(World) -> F) {
    let latency = Latency::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(300) };
    let setup = Setup::new("unordered", seed, NetworkConfig { latency, reordering: true, ..NetworkConfig::default() });
    let ended = dht_sim::run(setup, |world| async move {
        test(world).await;
        Ok(())
    });
    ended.unwrap_or_else(|failure| panic!("{failure}"));
}

/// A batch of several messages to one owner, which travel side by side.
#[test]
fn the_later_entry_of_a_key_wins_in_any_message() {
    for seed in 0..20 {
        unordered(seed, |world| async move {
            let mut nodes = Nodes::new(world.clone(), Config { slot_bits: 8, ..Config::default() });
            nodes.form(3).expect("in range");
            let value = |n: u8| Value::from_bytes(vec![n; 700_000]);
            let entries = (0..4).flat_map(|n| ["a", "b"].map(|key| (key, value(n))));
            let options = PutOptions { timeout: Some(Duration::from_secs(60)), ..PutOptions::default() };
            let results = nodes.node(0).put_many(entries, options).await.expect("it serves");
            assert!(results.iter().all(Result::is_ok), "{results:?}");
            for key in ["a", "b"] {
                let found = nodes.node(1).get_bytes(key, GetOptions::default()).await.expect("it serves");
                assert_eq!(found.expect("it is there")[0], 3, "{key}, seed {seed}");
            }
            nodes.stop().await;
        });
    }
}
