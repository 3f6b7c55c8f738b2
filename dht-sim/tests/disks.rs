//! Rings whose nodes keep what they have on disks: what comes back when all of them die, and when.

use std::time::Duration;

use dht_core::{Config, Durability, ErrorKind};
use dht_sim::{Crash, Nodes, World};

mod common;

const SECOND: Duration = Duration::from_secs(1);

/// A ring of three that has kept a few values, all of whose nodes have died since.
async fn died(world: &World) -> Nodes {
    let mut nodes = Nodes::new(world.clone(), Config { slot_bits: 6, ..Config::default() });
    nodes.keep_on_disk(Durability::Always);
    nodes.start(0, &[]).await.expect("it founds");
    nodes.start_together(1..3, &[0]).await.expect("they join");
    nodes.settled(60 * SECOND).await.expect("it comes to rest");
    for _ in 0..3 {
        nodes.node(0).increment("count", 1).await.expect("it serves");
    }
    nodes.node(0).put("value", &"there").await.expect("it serves");
    // What they remember of each other is written by then.
    tokio::time::sleep(3 * SECOND).await;
    for number in 0..3 {
        nodes.crash(number, Crash::Machine).await;
    }
    nodes
}

#[test]
fn the_first_to_come_back_decides_nothing_alone() {
    common::calm(|world| async move {
        let mut nodes = died(&world).await;
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
