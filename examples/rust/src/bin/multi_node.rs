//! Three nodes of one ring. Here they share a process; they may as well run on three machines.
//!
//! `cargo run -p dht-examples --bin multi_node [ADDRESS [PORT]]`: of the first; the others take free ports.

use std::time::Duration;

use dht_core::{Config, Dht, Result};
use dht_examples::config_of_arguments;

#[tokio::main]
async fn main() -> Result<()> {
    let config = config_of_arguments();
    let one = Dht::start(Config { node_id: "one".to_owned(), ..config.clone() }).await?;
    println!("node one at {}", one.address());

    // Any member's address is enough to join.
    let joining = Config { seeds: vec![one.address()], port: 0, ..config };
    let two = Dht::start(Config { node_id: "two".to_owned(), ..joining.clone() }).await?;
    println!("node two at {}", two.address());
    let three = Dht::start(Config { node_id: "three".to_owned(), ..joining }).await?;
    println!("node three at {}", three.address());
    for node in [&one, &two, &three] {
        node.wait_ready(Duration::from_secs(30)).await?;
    }
    println!("{} members", one.members()?.len());

    let outcome = two.put("user:1", "Ada").await?;
    println!("two wrote user:1 on {} replicas at least", outcome.wanted);
    let user: Option<String> = one.get("user:1").await?;
    println!("one reads user:1: {}", user.as_deref().unwrap_or("nothing"));
    assert_eq!(user.as_deref(), Some("Ada"));
    println!("user:1 is kept by {} nodes", three.locate("user:1")?.len());

    // A node that leaves hands over first, so nothing is lost.
    two.leave(Duration::from_secs(10)).await?;
    println!("two left");
    let user: Option<String> = three.get("user:1").await?;
    println!("three reads user:1: {}", user.as_deref().unwrap_or("nothing"));
    assert_eq!(user.as_deref(), Some("Ada"));

    three.leave(Duration::from_secs(10)).await?;
    one.leave(Duration::from_secs(10)).await?;
    println!("all left");
    Ok(())
}
