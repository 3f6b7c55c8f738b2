//! Whole rings with `network_protocol = udp`, and rings of nodes that differ in it.

use crate::cluster;

use cluster::*;
use dht_core::{Config, Consistency, Dht, NetworkProtocol};

fn udp() -> Config {
    Config { network_protocol: NetworkProtocol::Udp, ..Config::default() }
}

/// Small values and such as no datagram holds, at all levels, from and to all nodes.
async fn serves(nodes: &[Dht], prefix: &str) {
    for (i, node) in nodes.iter().enumerate() {
        for len in [10, 1_000, 50_000] {
            let key = format!("{prefix}-{i}-{len}");
            node.put_bytes(&key, vec![i as u8; len], put_at(Consistency::All)).await.unwrap();
            for other in nodes {
                for level in LEVELS {
                    assert_eq!(read(other, &key, level).await, Some(vec![i as u8; len]), "{other:?}, {key}");
                }
            }
            assert!(nodes[0].delete(&key).await.unwrap());
            for other in nodes {
                assert_eq!(read(other, &key, Consistency::Quorum).await, None, "{other:?}, {key}");
            }
        }
    }
}

async fn fill(node: &Dht, count: usize) {
    for i in 0..count {
        node.put_with(format!("kept-{i}"), &i, put_at(Consistency::All)).await.unwrap();
    }
}

async fn all_there(nodes: &[Dht], count: usize) {
    for node in nodes {
        for i in 0..count {
            let key = format!("kept-{i}");
            assert_eq!(node.get::<usize>(&key).await.unwrap(), Some(i), "{node:?}, {key}");
        }
    }
}

/// One is killed, one leaves, two join, and nothing is lost.
async fn lives(mut nodes: Vec<Dht>, newcomers: [Config; 2]) {
    const KEYS: usize = 200;
    serves(&nodes, "before").await;
    fill(&nodes[0], KEYS).await;
    nodes.pop().expect("a node").stop().await;
    settled(&nodes).await;
    all_there(&nodes, KEYS).await;
    for (i, config) in newcomers.into_iter().enumerate() {
        let seeds = vec![nodes[0].address()];
        nodes.push(start(Config { node_id: format!("new{i}"), seeds, ..config }).await);
    }
    settled(&nodes).await;
    nodes.remove(1).leave(SOON).await.unwrap();
    settled(&nodes).await;
    all_there(&nodes, KEYS).await;
    serves(&nodes, "after").await;
    for node in &nodes {
        let statistics = node.statistics().unwrap();
        assert!(statistics.messages_sent > 0 && statistics.bytes_received > 0, "{statistics:?}");
    }
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_on_datagrams_serves_and_outlives_changes() {
    lives(ring_of(4, "u", &udp()).await, [udp(), udp()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_and_without_datagrams_form_one_ring() {
    let mut nodes = ring_of(2, "t", &Config::default()).await;
    for i in 0..2 {
        let seeds = vec![nodes[0].address()];
        nodes.push(start(Config { node_id: format!("u{i}"), seeds, ..udp() }).await);
    }
    settled(&nodes).await;
    lives(nodes, [udp(), Config::default()]).await;
}
