//! Every key of the configuration that this release supports, set away from its default where that makes sense. Units,
//! bounds and how to choose: the documentation of `Config`.
//!
//! `cargo run -p dht-examples --bin advanced_configuration [ADDRESS [PORT]]`

use std::time::Duration;

use dht_core::{Config, Consistency, Dht, HashFunction, NetworkProtocol, Result, Routing};
use dht_examples::config_of_arguments;

#[tokio::main]
async fn main() -> Result<()> {
    let config = Config {
        // Who we are and which ring this is.
        node_id: "advanced".to_owned(),
        cluster_name: "example".to_owned(),
        // The ring: the same on all nodes, compared when one joins.
        hash_function: HashFunction::Sha1,
        hash_bits: 64,
        slot_bits: 10,
        consistent_hashing: true,
        // Copies, and how many of them answer before a call returns.
        replication_factor: 2,
        consistency: Consistency::All,
        backup_replicas: true,
        tombstone_grace: Duration::from_secs(600),
        // Positions on the ring, and how far this node looks along it.
        virtual_nodes: Some(8),
        successor_list_size: 4,
        routing: Routing::OneHop,
        // How often the ring is looked after; jittered by a fifth.
        stabilize_interval: Duration::from_millis(500),
        fix_finger_interval: Duration::from_secs(1),
        check_predecessor: Duration::from_secs(1),
        heartbeat_interval: Duration::from_millis(500),
        // Calls: a bound for each, its retries included, and for what may wait.
        request_timeout: Duration::from_secs(1),
        max_retries: 2,
        buffer_size: 256,
        max_connections: 64,
        network_protocol: NetworkProtocol::Tcp,
        max_clock_offset: Duration::from_secs(2),
        // Sizes.
        max_key_size: 256,
        max_value_size: 1 << 20,
        // What the node tells.
        enable_logging: false,
        enable_metrics: true,
        ..config_of_arguments()
    };
    // Checked as a whole: a wrong value is named here, with its bound, before anything is started.
    config.validate()?;
    let wrong = Config { replication_factor: 0, ..config.clone() };
    println!("replication_factor 0: {}", if wrong.validate().is_err() { "refused" } else { "accepted" });

    let node = Dht::start(config).await?;
    let info = node.node_info()?;
    println!("node {} of {} virtual nodes", info.id, info.vnodes);
    let ring = node.ring()?;
    println!("ids of {} bits in 2^{} slots, {} copies", ring.hash_bits, ring.slot_bits, ring.replication_factor);
    node.put("key", "value").await?;
    let value: Option<String> = node.get("key").await?;
    println!("read key: {}", value.as_deref().unwrap_or("nothing"));
    assert_eq!(value.as_deref(), Some("value"));
    node.leave(Duration::from_secs(10)).await?;
    println!("left");
    Ok(())
}
