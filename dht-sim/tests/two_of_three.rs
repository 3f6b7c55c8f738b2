//! Two of a key's three replicas die at once: what is left is copied, and the slot serves again soon, at every level.

use std::time::Duration;

use dht_core::{Config, Consistency, GetOptions, PutOptions};
use dht_sim::{Crash, Nodes, World};

use crate::common;

const NODES: usize = 7;
const KEYS: usize = 200;

async fn ring(world: &World) -> Nodes {
    let mut nodes = Nodes::new(world.clone(), Config { slot_bits: 8, ..Config::default() });
    nodes.start(0, &[]).await.expect("it founds");
    for number in 1..NODES {
        nodes.start(number, &[0]).await.expect("it joins");
    }
    nodes.settled(Duration::from_secs(60)).await.expect("it comes to rest");
    let all = PutOptions { consistency: Some(Consistency::All), ..PutOptions::default() };
    for key in 0..KEYS {
        nodes.node(0).put_with(format!("key-{key}"), &key, all).await.expect("it serves");
    }
    nodes
}

#[test]
fn quorums_work_again_soon_and_nothing_is_lost() {
    common::calm(|world| async move {
        let mut nodes = ring(&world).await;
        let victims: Vec<usize> = (1..NODES).take(2).collect();
        for victim in &victims {
            nodes.crash(*victim, Crash::Process).await;
        }
        let (begun, reader) = (world.now(), nodes.node(0));
        // Everything is there at the level that the slots still have; a key whose slot waits is asked for again.
        for key in 0..KEYS {
            loop {
                match reader.get_with::<usize>(format!("key-{key}"), GetOptions::default()).await {
                    Ok(found) => {
                        assert_eq!(found, Some(key), "after {:?}", world.now() - begun);
                        break;
                    }
                    Err(error) => assert!(world.now() - begun < Duration::from_secs(12), "key-{key}: {error}"),
                }
            }
            reader.put(format!("key-{key}"), &key).await.expect("a slot that can be read can be written");
        }
        nodes.settled(Duration::from_secs(60)).await.expect("all copies are there again");
        nodes.stop().await;
    });
}
