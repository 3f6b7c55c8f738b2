//! Ten workers on one node at once, each with 100 puts and 100 gets. A handle may be cloned freely.
//!
//! `cargo run -p dht-examples --bin concurrent_operations [ADDRESS [PORT]]`

use std::time::{Duration, Instant};

use dht_core::{Dht, Result};
use dht_examples::config_of_arguments;

const WORKERS: usize = 10;
const KEYS: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let node = Dht::start(config_of_arguments()).await?;
    #[expect(clippy::disallowed_methods, reason = "an example for programs, which have a clock of their own")]
    let begun = Instant::now();
    let workers: Vec<_> = (0..WORKERS).map(|worker| tokio::spawn(work(node.clone(), worker))).collect();
    let mut wrong = 0;
    for worker in workers {
        wrong += worker.await.expect("a worker does not panic")?;
    }
    let operations = WORKERS * KEYS * 2;
    println!("{WORKERS} workers made {operations} operations, {wrong} wrong");
    println!("{:.0} operations per second", operations as f64 / begun.elapsed().as_secs_f64());
    assert_eq!(wrong, 0);
    node.leave(Duration::from_secs(10)).await?;
    Ok(())
}

/// Puts and reads back; how many values were not what was put.
async fn work(node: Dht, worker: usize) -> Result<usize> {
    let mut wrong = 0;
    for n in 0..KEYS {
        let key = format!("worker:{worker}:{n}");
        node.put(&key, &(worker * KEYS + n)).await?;
        wrong += usize::from(node.get::<usize>(&key).await? != Some(worker * KEYS + n));
    }
    Ok(wrong)
}
