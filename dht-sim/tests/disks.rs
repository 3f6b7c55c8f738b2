//! Rings whose nodes keep what they have on disks: what comes back when all of them die, and when.

use std::time::Duration;

use dht_core::{Config, Durability, ErrorKind};
use dht_sim::{Crash, Nodes, World};

mod common;

const SECOND: Duration = Duration::from_secs(1);

/// A ring of so many that has kept a few values, all of whose nodes have died since.
async fn died(world: &World, count: usize) -> Nodes {
    let mut nodes = Nodes::new(world.clone(), Config { slot_bits: 6, ..Config::default() });
    nodes.keep_on_disk(Durability::Always);
    nodes.start(0, &[]).await.expect("it founds");
    nodes.start_together(1..count, &[0]).await.expect("they join");
    nodes.settled(60 * SECOND).await.expect("it comes to rest");
    for _ in 0..3 {
        nodes.node(0).increment("count", 1).await.expect("it serves");
    }
    nodes.node(0).put("value", &"there").await.expect("it serves");
    // What they remember of each other is written by then.
    tokio::time::sleep(3 * SECOND).await;
    for number in 0..count {
        nodes.crash(number, Crash::Machine).await;
    }
    nodes
}

#[test]
fn the_first_to_come_back_decides_nothing_alone() {
    common::calm(|world| async move {
        let mut nodes = died(&world, 3).await;
        let first = nodes.start(0, &[]).await.expect("it forms the ring again");
        assert_eq!(first.ring().expect("it runs").nodes.len(), 1);
        let error = first.increment("count", 1).await.expect_err("nobody knows what the others have kept");
        assert!(matches!(error.kind(), ErrorKind::Quorum | ErrorKind::Timeout), "{error}");
        let error = first.get_and_delete::<String>("value").await.expect_err("nor here");
        assert!(matches!(error.kind(), ErrorKind::Quorum | ErrorKind::Timeout), "{error}");
        nodes.start(1, &[0]).await.expect("it comes back");
        nodes.settled(60 * SECOND).await.expect("two of three have all that was acknowledged");
        assert_eq!(first.increment("count", 1).await.expect("it serves"), 4);
        assert_eq!(first.get::<String>("value").await.expect("it serves").as_deref(), Some("there"));
        nodes.stop().await;
    });
}

/// Each is started before the one that is to form the ring, which none of them hears in its first try; that takes as long as
/// it does since one of them stays away.
#[test]
fn the_ring_is_formed_again_once() {
    common::calm(|world| async move {
        let mut nodes = died(&world, 4).await;
        let mut starts = tokio::task::JoinSet::new();
        for number in [2, 1, 0] {
            starts.spawn(nodes.launch(number, &[]));
            tokio::time::sleep(SECOND / 2).await;
        }
        let first = loop {
            tokio::time::sleep(SECOND / 50).await;
            let running = nodes.running();
            if let Some((number, _)) = running.iter().find(|(_, dht)| dht.inspect().active) {
                break *number;
            }
        };
        assert_eq!(first, 0, "the smallest name");
        for started in starts.join_all().await {
            started.expect("it comes back");
        }
        nodes.settled(60 * SECOND).await.expect("one ring");
        assert_eq!(nodes.node(2).increment("count", 1).await.expect("it serves"), 4);
        nodes.stop().await;
    });
}
