//! Rings with few ids: as many nodes as find a position get in, the others are refused, and nobody is in without one.

use crate::common;

use std::time::Duration;

use common::calm;
use dht_core::{Config, Dht, Error, ErrorKind};
use dht_sim::{Nodes, World};

/// Nodes 1 to `others` join node 0 together, or one after the other. Returns those that got in, with how they see the
/// ring, and why the others did not.
async fn joined(world: &World, config: Config, others: usize, together: bool) -> (Nodes, Vec<Error>) {
    let mut nodes = Nodes::new(world.clone(), config);
    nodes.start(0, &[]).await.expect("it founds a ring");
    let mut refused = Vec::new();
    if together {
        refused.extend(nodes.start_together(1..others + 1, &[0]).await.err());
    } else {
        for number in 1..=others {
            refused.extend(nodes.start(number, &[0]).await.err());
        }
    }
    nodes.settled(Duration::from_secs(120)).await.expect("the ring comes to rest");
    (nodes, refused)
}

/// Everybody that is in owns something, in everybody's eyes.
fn nobody_is_homeless(nodes: &Nodes) {
    let running: Vec<Dht> = nodes.running().into_iter().map(|(_, dht)| dht).collect();
    for node in &running {
        let ring = node.ring().expect("it runs").nodes;
        let active: Vec<_> = ring.iter().filter(|n| n.node.state == "active").collect();
        assert_eq!(active.len(), running.len(), "{} sees {ring:?}", node.node_id());
        for other in active {
            assert!(other.share > 0.0, "{} sees {other:?}", node.node_id());
        }
    }
}

#[test]
fn as_many_nodes_as_ids_get_in() {
    for together in [false, true] {
        for (bits, ids) in [(1, 2), (2, 4)] {
            calm(move |world| async move {
                let config = Config { hash_bits: bits, virtual_nodes: Some(1), ..Config::default() };
                let (mut nodes, refused) = joined(&world, config, 6, together).await;
                let running = nodes.running().len();
                assert_eq!(running, ids, "2^{bits} ids, together: {together}");
                nobody_is_homeless(&nodes);
                for error in refused {
                    assert_eq!(error.kind(), ErrorKind::RingFull, "{error}");
                }
                nodes.stop().await;
            });
        }
    }
}

#[test]
fn with_256_ids_twelve_nodes_of_16_positions_each_own_some() {
    for together in [false, true] {
        calm(move |world| async move {
            let config = Config { hash_bits: 8, ..Config::default() };
            let (mut nodes, refused) = joined(&world, config, 11, together).await;
            assert!(refused.is_empty(), "{refused:?}");
            assert_eq!(nodes.running().len(), 12);
            nobody_is_homeless(&nodes);
            nodes.stop().await;
        });
    }
}

/// Nor has it anything of the ring that it was copying from, whether or not it had something of its own.
#[test]
fn who_is_refused_at_the_last_moment_keeps_its_own_ring() {
    for filled in [true, false] {
        calm(move |world| refused_at_the_last_moment(world, filled));
    }
}

async fn refused_at_the_last_moment(world: World, filled: bool) {
    let config = Config { hash_bits: 1, virtual_nodes: Some(1), ..Config::default() };
    let mut nodes = Nodes::new(world.clone(), config);
    for number in 0..3 {
        let node = nodes.start(number, &[]).await.expect("it founds a ring");
        if number == 0 || filled {
            node.put(&format!("key-{number}"), &number).await.expect("it serves");
        }
    }
    // Two for one position, at the same moment: both are welcome at first.
    let at = [world.address(0).as_str().to_owned()];
    let (first, second) = (nodes.node(1), nodes.node(2));
    let (one, two) = tokio::join!(first.join(&at), second.join(&at));
    let (inside, outside, error) = match (one, two) {
        (Ok(()), Err(error)) => (1, 2, error),
        (Err(error), Ok(())) => (2, 1, error),
        both => panic!("one gets in: {both:?}"),
    };
    assert_eq!(error.kind(), ErrorKind::RingFull, "{error}");
    nodes.settled(Duration::from_secs(120)).await.expect("both rings come to rest");
    for (node, others, keys) in [(0, 2, vec![0, inside]), (inside, 2, vec![0, inside]), (outside, 1, vec![outside])] {
        let active = nodes.node(node).ring().expect("it runs").nodes.into_iter().filter(|n| n.share > 0.0);
        assert_eq!(active.count(), others, "as node {node} sees it");
        for key in 0..3 {
            let there = keys.contains(&key) && (key == 0 || filled);
            let found = nodes.node(node).get::<usize>(&format!("key-{key}")).await.expect("it serves");
            assert_eq!(found, there.then_some(key), "key-{key} at node {node}");
        }
    }
    nodes.stop().await;
}
