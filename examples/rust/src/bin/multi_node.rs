//! A ring of three nodes: here in one process, usually one in each of many. Every node reads what the others wrote.
//!
//! `cargo run -p dht-examples --bin multi_node -- [ADDRESS [PORT OF THE FIRST NODE]]`

use std::time::Duration;

use dht_core::{Config, Dht};

const NAMES: [&str; 3] = ["one", "two", "three"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1".to_owned());
    let port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;

    // The first node founds the ring; the others join through it. Any member would do as a seed.
    let mut nodes: Vec<Dht> = Vec::new();
    for name in NAMES {
        let seeds: Vec<String> = nodes.first().map(Dht::address).into_iter().collect();
        let port = if nodes.is_empty() { port } else { 0 };
        let config = Config { node_id: name.to_owned(), address: address.clone(), port, seeds, ..Config::default() };
        let node = Dht::start(config).await?;
        println!("{name} listens on {}", node.address());
        nodes.push(node);
    }
    // Not needed for correct answers, only to see a ring that has come to rest.
    for node in &nodes {
        node.wait_ready(Duration::from_secs(30)).await?;
    }
    println!("one sees a ring of {} nodes", nodes[0].ring()?.nodes.len());

    for (node, name) in nodes.iter().zip(NAMES) {
        let outcome = node.put(format!("from {name}"), &format!("hello from {name}")).await?;
        println!("{name} wrote, and at least {} of {} replicas have it", outcome.wanted, outcome.set_size);
    }
    for (node, reader) in nodes.iter().zip(NAMES) {
        for writer in NAMES {
            let value: Option<String> = node.get(format!("from {writer}")).await?;
            println!("{reader} reads {:?}", value.ok_or("every node reads what any node wrote")?);
        }
    }
    println!("\"from one\" is kept by {} nodes", nodes[1].locate("from one")?.len());

    // A node that leaves hands its data over first.
    nodes.remove(2).leave(Duration::from_secs(10)).await?;
    let value: Option<String> = nodes[0].get("from three").await?;
    println!("three left; one still reads {:?}", value.ok_or("three handed over what it held")?);
    for node in nodes {
        node.leave(Duration::from_secs(10)).await?;
    }
    Ok(())
}
