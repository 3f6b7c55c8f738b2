//! Advanced configuration: every key, each with a reason to change it. The defaults are good; change what you measured.
//!
//! `cargo run -p dht-examples --bin advanced_configuration -- [ADDRESS [PORT]]`

use std::time::Duration;

use dht_core::{Config, Consistency, Dht, Durability, Eviction, HashFunction, NetworkProtocol, Routing};

fn configured(node_id: &str, address: &str, port: u16, seeds: Vec<String>) -> Config {
    Config {
        // Who it is, and where. A fixed name keeps a node's positions over a restart, so less data moves.
        node_id: node_id.to_owned(),
        address: address.to_owned(),
        port,
        advertise: String::new(), // what others dial, if it is not the bound address: behind NAT, in containers
        seeds,
        cluster_name: "example".to_owned(), // rings of other names are refused
        zone: String::new(),                // a rack, room or cloud zone: copies of a key go to distinct ones

        // The ring: alike on all its nodes. 4,096 slots are plenty for 8 × 2 nodes × 32 positions.
        hash_function: HashFunction::Sha256,
        hash_bits: 256,
        slot_bits: 12,
        consistent_hashing: true,
        virtual_nodes: Some(32), // twice the default: the load is spread more evenly
        successor_list_size: 8,
        routing: Routing::OneHop, // Chord: operations walk finger tables
        max_table_nodes: 100_000,

        // Replicas.
        replication_factor: 2,
        min_replicas: 1,
        consistency: Consistency::All,
        backup_replicas: true,
        repair_rate: 16 << 20,                           // bytes per second
        tombstone_grace: Duration::from_secs(2 * 3_600), // longer than a node is usually away
        max_clock_offset: Duration::from_secs(1),

        // Upkeep, jittered by 20 %: twice as often as by default finds failures sooner and sends more messages.
        stabilize_interval: Duration::from_millis(500),
        fix_finger_interval: Duration::from_secs(1),
        check_predecessor: Duration::from_secs(1),
        heartbeat_interval: Duration::from_millis(500),

        // Calls and the network.
        request_timeout: Duration::from_secs(5), // bounds a whole call with its retries
        max_retries: 5,
        buffer_size: 512,
        max_connections: 256,
        network_protocol: NetworkProtocol::Tcp, // or Udp
        max_key_size: 1 << 10,
        max_value_size: 1 << 20,

        // Storage: in memory without a bound; with a data_dir on disk.
        data_dir: None,
        durability: Durability::Interval,
        max_memory: None,
        eviction: Eviction::Reject,

        // Security: without key or TLS only loopback is bound, unless the network is trusted.
        cluster_key: None,
        tls: None,
        allow_insecure: false,

        // Telling what happens, through `tracing`; histograms for statistics; threads (C and Python only).
        enable_logging: true,
        enable_metrics: true,
        worker_threads: 0,
        trace_sample: 0, // one in so many operations is traced
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;

    // A wrong value is refused before anything starts, with key, value and bound.
    let wrong = Config { hash_bits: 257, ..Config::default() };
    println!("refused: {}", wrong.validate().err().ok_or("257 bits are too many")?.context());

    let first = Dht::start(configured("first", &address, port, Vec::new())).await?;
    let second = Dht::start(configured("second", &address, 0, vec![first.address()])).await?;
    second.wait_ready(Duration::from_secs(30)).await?;

    let ring = second.ring()?;
    println!("ids of {} bits, {} slots, {} replicas", ring.hash_bits, 1 << ring.slot_bits, ring.replication_factor);
    for node in &ring.nodes {
        println!("{} has {} positions", node.node.id, node.positions.len());
    }
    let outcome = first.put("key", "value").await?;
    println!("level all: {} of {} replicas acknowledged", outcome.acks, outcome.wanted);
    println!("an id has {} digits", second.hash_key_hex("key").len());

    second.leave(Duration::from_secs(10)).await?;
    first.leave(Duration::from_secs(10)).await?;
    Ok(())
}
