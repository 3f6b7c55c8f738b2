//! What a node tells about itself: counters, times, health, the ring.
//!
//! `cargo run -p dht-examples --bin monitoring [ADDRESS [PORT]]`

use std::time::Duration;

use dht_core::{Dht, Result};
use dht_examples::config_of_arguments;

#[tokio::main]
async fn main() -> Result<()> {
    let node = Dht::start(config_of_arguments()).await?;
    for n in 0..10 {
        node.put(format!("key:{n}"), &n).await?;
        node.get::<i32>(format!("key:{n}")).await?;
    }
    node.get::<i32>("no such key").await?;

    let statistics = node.statistics()?;
    println!("stores: {} successful, {} failed", statistics.stores_successful, statistics.stores_failed);
    println!("lookups: {} successful, {} not found", statistics.lookups_successful, statistics.lookups_not_found);
    println!("a store took {:.9} s on average", statistics.average_store_time);
    println!("data: {} items, {} bytes", statistics.data_items_stored, statistics.data_bytes_stored);
    assert_eq!((statistics.stores_successful, statistics.lookups_successful), (10, 11));

    // What a readiness probe asks for.
    let health = node.health()?;
    println!("health: joined {}, fully replicated {}", health.joined, health.fully_replicated);

    let ring = node.ring()?;
    for member in &ring.nodes {
        println!("member {}: {}, share {:.3}", member.node.address, member.node.state, member.share);
    }
    node.leave(Duration::from_secs(10)).await?;
    Ok(())
}
