//! Batches: every owner is asked once, all at the same time.

mod common;

use std::time::Duration;

use common::{LATENCY, calm};
use dht_core::{Config, PutOptions, Value};
use dht_sim::Nodes;

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
