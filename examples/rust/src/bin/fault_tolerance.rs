//! Fault tolerance: of five nodes one stops without a word; nothing is lost, and a new one takes its place.
//!
//! `cargo run -p dht-examples --bin fault_tolerance -- [ADDRESS [PORT OF THE FIRST NODE]]`

use std::time::Duration;

use dht_core::{Config, Dht};

const VALUES: usize = 200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;

    let mut nodes: Vec<Dht> = Vec::new();
    for number in 1..=5 {
        let port = if number == 1 { port } else { 0 };
        nodes.push(start(number, &address, port, nodes.first()).await?);
    }
    for node in &nodes {
        node.wait_ready(Duration::from_secs(30)).await?;
    }
    println!("ring of {} nodes", nodes[0].ring()?.nodes.len());

    for i in 0..VALUES {
        nodes[i % 5].put(format!("key:{i}"), &i).await?;
    }
    println!("stored {VALUES} values, each on three nodes");

    // To the others this is a crash: no hand-over, no goodbye.
    nodes.remove(2).stop().await;
    println!("node-3 stopped");
    println!("read {} of {VALUES} values at once", right(&nodes[3]).await?);

    // The survivors notice, and copy what is now on two nodes only to a third.
    for node in &nodes {
        while node.ring()?.nodes.len() > 4 || !node.health()?.fully_replicated {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    println!("{} nodes have three replicas of everything again", nodes.len());

    nodes.push(start(6, &address, 0, nodes.first()).await?);
    nodes[4].wait_ready(Duration::from_secs(30)).await?;
    println!("node-6 joined: ring of {} nodes", nodes[4].ring()?.nodes.len());
    println!("read {} of {VALUES} values through it", right(&nodes[4]).await?);

    for node in nodes {
        node.stop().await;
    }
    Ok(())
}

async fn start(number: usize, address: &str, port: u16, seed: Option<&Dht>) -> dht_core::Result<Dht> {
    let seeds = seed.map(Dht::address).into_iter().collect();
    let node_id = format!("node-{number}");
    // Failures are noticed after a few heartbeats.
    let heartbeat_interval = Duration::from_millis(200);
    let config = Config { node_id, address: address.to_owned(), port, seeds, heartbeat_interval, ..Config::default() };
    Dht::start(config).await
}

/// How many values are as they were stored.
async fn right(node: &Dht) -> dht_core::Result<usize> {
    let mut right = 0;
    for i in 0..VALUES {
        right += usize::from(node.get::<usize>(format!("key:{i}")).await? == Some(i));
    }
    Ok(right)
}
