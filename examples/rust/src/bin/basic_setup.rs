//! One node, alone: it serves at once.
//!
//! `cargo run -p dht-examples --bin basic_setup [ADDRESS [PORT]]`

use std::time::Duration;

use dht_core::{Dht, Result};
use dht_examples::config_of_arguments;

#[tokio::main]
async fn main() -> Result<()> {
    let node = Dht::start(config_of_arguments()).await?;
    println!("started a node at {}", node.address());

    let outcome = node.put("greeting", "hello").await?;
    println!("stored greeting on {} of {} replicas", outcome.acks, outcome.set_size);

    let greeting: Option<String> = node.get("greeting").await?;
    println!("read greeting: {}", greeting.as_deref().unwrap_or("nothing"));
    assert_eq!(greeting.as_deref(), Some("hello"));

    // A missing key is no error.
    let missing: Option<String> = node.get("no such key").await?;
    println!("read a missing key: {}", missing.as_deref().unwrap_or("nothing"));
    assert_eq!(missing, None);

    assert!(node.delete("greeting").await?);
    println!("deleted greeting");

    // Hands over what only this node holds, if there are others, and says goodbye.
    node.leave(Duration::from_secs(10)).await?;
    println!("left");
    Ok(())
}
