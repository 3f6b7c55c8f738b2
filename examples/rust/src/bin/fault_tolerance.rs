//! Five nodes, one of which dies: everything is still there, and the ring restores its copies.
//!
//! `cargo run -p dht-examples --bin fault_tolerance [ADDRESS [PORT]]`: of the first; the others take free ports.

use std::time::Duration;

use dht_core::{Config, Dht, Result};
use dht_examples::config_of_arguments;

const KEYS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<()> {
    let config = config_of_arguments();
    let mut nodes = vec![Dht::start(config.clone()).await?];
    let joining = Config { seeds: vec![nodes[0].address()], port: 0, ..config };
    for _ in 1..5 {
        nodes.push(Dht::start(joining.clone()).await?);
    }
    for node in &nodes {
        node.wait_ready(PATIENCE).await?;
    }
    for n in 0..KEYS {
        nodes[0].put(format!("key:{n}"), &n).await?;
    }
    println!("{} nodes, {KEYS} keys", nodes.len());

    // No goodbye, no hand-over: to the others, a crash.
    nodes.pop().expect("there are five").stop().await;
    println!("one stopped without a goodbye");
    println!("read back {} keys of {KEYS}", readable(&nodes[1]).await?);

    // The nodes that are left copy what they now have too few copies of.
    for node in &nodes {
        let alive =
            |node: &Dht| -> Result<usize> { Ok(node.members()?.iter().filter(|m| m.state == "active").count()) };
        while alive(node)? > nodes.len() || !node.health()?.fully_replicated {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    println!("the ring has healed");

    let fresh = Dht::start(joining).await?;
    fresh.wait_ready(PATIENCE).await?;
    println!("a new node joined");
    println!("read back {} keys of {KEYS} through it", readable(&fresh).await?);
    nodes.push(fresh);
    while let Some(node) = nodes.pop() {
        node.leave(PATIENCE).await?;
    }
    println!("all left");
    Ok(())
}

async fn readable(node: &Dht) -> Result<usize> {
    let mut found = 0;
    for n in 0..KEYS {
        found += usize::from(node.get::<usize>(format!("key:{n}")).await? == Some(n));
    }
    assert_eq!(found, KEYS);
    Ok(found)
}
