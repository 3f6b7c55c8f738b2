//! Monitoring: what a node tells about itself, its neighbours, the ring and its work.
//!
//! `cargo run -p dht-examples --bin monitoring -- [ADDRESS [PORT OF THE FIRST NODE]]`

use std::time::Duration;

use dht_core::{Config, Dht};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;

    let first = Config { node_id: "first".to_owned(), address: address.clone(), port, ..Config::default() };
    let first = Dht::start(first).await?;
    let seeds = vec![first.address()];
    let second = Config { node_id: "second".to_owned(), address, seeds, ..Config::default() };
    let second = Dht::start(second).await?;
    first.wait_ready(Duration::from_secs(30)).await?;
    second.wait_ready(Duration::from_secs(30)).await?;

    for i in 0..50 {
        first.put(format!("key:{i}"), &i).await?;
    }
    for i in 0..60 {
        first.get::<u32>(format!("key:{i}")).await?; // ten of them are not there
    }

    let me = first.node_info()?;
    println!("node {} on {} is {}, with {} positions", me.id, me.address, me.state, me.vnodes);
    println!("before it: {}", first.predecessor()?.ok_or("there are two")?.id);
    for successor in first.successor_list()? {
        println!("after it: {}", successor.id);
    }
    println!("fingers: {}", first.finger_table()?.len());

    let ring = first.ring()?;
    let share: f64 = ring.nodes.iter().map(|node| node.share).sum();
    println!(
        "{} nodes own {:.0} % of the ring; {} nodes are remembered",
        ring.nodes.len(),
        100.0 * share,
        first.members()?.len()
    );

    // What a readiness probe asks.
    let health = first.health()?;
    println!("joined: {}, storage works: {}", yes(health.joined), yes(health.storage_ok));

    // Everything is counted per key, at the node that was called; times are seconds.
    let statistics = first.statistics()?;
    println!("stores: {} successful, {} failed", statistics.stores_successful, statistics.stores_failed);
    println!(
        "lookups: {} successful, {} of keys that were not there",
        statistics.lookups_successful, statistics.lookups_not_found
    );
    println!("records held here: {}", statistics.data_items_stored);
    println!(
        "half of the stores took less than {:.6} s, 99 % less than {:.6} s",
        statistics.store_time_p50, statistics.store_time_p99
    );
    println!("messages: {} sent, {} received", statistics.messages_sent, statistics.messages_received);
    println!("up for {:.1} s", statistics.uptime);

    second.leave(Duration::from_secs(10)).await?;
    first.leave(Duration::from_secs(10)).await?;
    Ok(())
}

fn yes(true_or_false: bool) -> &'static str {
    if true_or_false { "yes" } else { "no" }
}
