//! Concurrent operations: ten workers share three nodes; each stores a hundred values and reads them back elsewhere.
//!
//! `cargo run -p dht-examples --bin concurrent_operations -- [ADDRESS [PORT OF THE FIRST NODE]]`

use std::time::{Duration, Instant};

use dht_core::{Config, Dht};

const WORKERS: usize = 10;
const VALUES: usize = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1".to_owned());
    let port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;

    let mut nodes = vec![Dht::start(Config { address: address.clone(), port, ..Config::default() }).await?];
    while nodes.len() < 3 {
        let seeds = vec![nodes[0].address()];
        nodes.push(Dht::start(Config { address: address.clone(), seeds, ..Config::default() }).await?);
    }
    for node in &nodes {
        node.wait_ready(Duration::from_secs(30)).await?;
    }

    let begun = Instant::now();
    // A handle is cheap to clone: all clones are the same node.
    let workers: Vec<_> = (0..WORKERS).map(|worker| tokio::spawn(work(worker, nodes.clone()))).collect();
    let mut right = 0;
    for worker in workers {
        right += worker.await??;
    }
    let operations = 2 * WORKERS * VALUES;
    println!("{WORKERS} workers x {VALUES} values: {right} of {} are right", WORKERS * VALUES);
    println!("{:.0} operations per second", operations as f64 / begun.elapsed().as_secs_f64());

    for node in nodes {
        node.leave(Duration::from_secs(10)).await?;
    }
    Ok(())
}

/// Answers how many values were read back as they were written.
async fn work(worker: usize, nodes: Vec<Dht>) -> dht_core::Result<usize> {
    let (writer, reader) = (&nodes[worker % 3], &nodes[(worker + 1) % 3]);
    let mut right = 0;
    for i in 0..VALUES {
        writer.put(format!("{worker}/{i}"), &(worker * VALUES + i)).await?;
    }
    for i in 0..VALUES {
        let value: Option<usize> = reader.get(format!("{worker}/{i}")).await?;
        right += usize::from(value == Some(worker * VALUES + i));
    }
    Ok(right)
}
