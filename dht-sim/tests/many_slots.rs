//! More slots than one pass of the repair takes on: joins, a leave and a death are made good window by window.

use std::time::Duration;

use bytes::Bytes;
use dht_core::{Config, Consistency, GetOptions};
use dht_sim::{Crash, Nodes};

use crate::common;

const MINUTE: Duration = Duration::from_secs(60);
const KEYS: usize = 2_000;

#[test]
fn sixty_thousand_slots_are_caught_up_compared_and_handed_over() {
    common::calm(|world| async move {
        let mut nodes = Nodes::new(world.clone(), Config { slot_bits: 16, ..Config::default() });
        nodes.start(0, &[]).await.expect("it founds");
        let key = |n: usize| Bytes::from(n.to_string());
        for n in 0..KEYS {
            nodes.node(0).put_bytes(key(n), "v", Default::default()).await.expect("it serves");
        }
        for number in [1, 2, 3] {
            nodes.start(number, &[0]).await.expect("it joins");
            let took = nodes.settled(MINUTE).await.expect("all copies are there");
            assert!(took < MINUTE / 4, "{number}: {took:?}");
        }
        nodes.take(0).leave(MINUTE).await.expect("it hands over");
        nodes.settled(MINUTE).await.expect("all copies are there again");
        nodes.start(4, &[1]).await.expect("it joins");
        nodes.settled(MINUTE).await.expect("all copies are there");
        nodes.crash(2, Crash::Process).await;
        nodes.settled(2 * MINUTE).await.expect("lost copies are replaced");
        let all = GetOptions { consistency: Some(Consistency::All), ..GetOptions::default() };
        for n in 0..KEYS {
            let found = nodes.node(1).get_bytes(key(n), all).await.expect("it serves");
            assert_eq!(found.as_deref(), Some(&b"v"[..]), "{n}");
        }
        for (number, node) in nodes.running() {
            let health = node.health().expect("it runs");
            assert!(health.fully_replicated && health.handed_over, "{number}: {health:?}");
        }
        nodes.stop().await;
    });
}
