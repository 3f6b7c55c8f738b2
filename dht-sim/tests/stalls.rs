//! Nodes whose process stood still: what lay in their sockets meanwhile may have been carried out by others.

use crate::common;

use std::time::Duration;

use common::calm;
use dht_core::{Config, Consistency, Dht, GetOptions};
use dht_sim::Nodes;
use tokio::task::JoinSet;

const SECOND: Duration = Duration::from_secs(1);

/// The owner stands still with a put in its socket, which another node carries out when it is tried again; then others overwrite it.
/// When the owner goes on, it does not carry it out once more.
#[test]
fn an_owner_that_stood_still_does_not_repeat_what_others_did() {
    calm(|world| async move {
        let mut nodes = Nodes::new(world.clone(), Config::default());
        for number in 0..3 {
            let seeds: &[usize] = if number == 0 { &[] } else { &[0] };
            nodes.start(number, seeds).await.expect("it joins").wait_ready(60 * SECOND).await.expect("it gets ready");
        }
        let (owner, caller, next) = (nodes.node(0), nodes.node(1), nodes.node(2));
        let owned = |n: &u32| {
            let list = caller.locate(n.to_string()).expect("it runs");
            list[0].id == owner.node_id() && list[1].id == next.node_id()
        };
        let keys: Vec<String> = (0..u32::MAX).filter(owned).take(20).map(|n| n.to_string()).collect();
        nodes.pause(0, 4 * SECOND);
        // What the next owner writes meanwhile comes later than what lies in the socket.
        world.network().cut(&world.address(2), &world.address(0));
        // All of them are on their way to it before anybody notices.
        let mut puts = JoinSet::new();
        for key in keys.clone() {
            let caller = caller.clone();
            puts.spawn(async move { caller.put(key, &"first").await.expect("the two others are a quorum") });
        }
        puts.join_all().await;
        for key in &keys {
            caller.put(key, &"second").await.expect("the two others are a quorum");
            caller.increment(format!("{key}n"), 1).await.expect("the two others are a quorum");
        }
        tokio::time::sleep(4 * SECOND).await;
        world.network().mend(&world.address(2), &world.address(0));
        tokio::time::sleep(8 * SECOND).await;
        for key in &keys {
            assert_eq!(read(&caller, key).await.as_deref(), Some("second"));
            let n = caller.get::<i64>(format!("{key}n")).await.expect("all are there");
            assert_eq!(n, Some(1));
        }
        nodes.stop().await;
    });
}

async fn read(node: &Dht, key: &str) -> Option<String> {
    let all = GetOptions { consistency: Some(Consistency::All), ..GetOptions::default() };
    node.get_with(key, all).await.expect("all are there")
}
