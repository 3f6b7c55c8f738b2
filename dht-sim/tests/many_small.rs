//! One slot of more records than one message may carry: they are copied, compared and handed over all the same.

use std::time::Duration;

use bytes::Bytes;
use dht_core::{Config, Consistency, GetOptions};
use dht_sim::Nodes;

use crate::common;

const MINUTE: Duration = Duration::from_secs(60);
const KEYS: usize = 5_000;

#[test]
fn thousands_of_small_records_of_a_slot_are_copied() {
    common::calm(|world| async move {
        let mut nodes = Nodes::new(world.clone(), Config { slot_bits: 0, replication_factor: 2, ..Config::default() });
        nodes.start(0, &[]).await.expect("it founds");
        let key = |n: usize| Bytes::from(n.to_string());
        for n in 0..KEYS {
            nodes.node(0).put_bytes(key(n), "v", Default::default()).await.expect("it serves");
        }
        // The first joiner copies all; the second one is not in the list, until the leave makes it a newcomer.
        for number in [1, 2] {
            nodes.start(number, &[0]).await.expect("it joins");
            nodes.settled(MINUTE).await.expect("all copies are there");
        }
        nodes.take(0).leave(MINUTE).await.expect("it hands over");
        nodes.settled(MINUTE).await.expect("all copies are there again");
        let all = GetOptions { consistency: Some(Consistency::All), ..GetOptions::default() };
        for n in 0..KEYS {
            let found = nodes.node(1).get_bytes(key(n), all).await.expect("it serves");
            assert_eq!(found.as_deref(), Some(&b"v"[..]), "{n}");
        }
        nodes.stop().await;
    });
}
