//! Basic setup: one node, which is a ring by itself; put, get, delete.
//!
//! `cargo run -p dht-examples --bin basic_setup -- [ADDRESS [PORT]]`

use std::time::Duration;

use dht_core::{Config, Dht};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?; // 0: the system chooses one

    // Without seeds a node founds a ring of one, which serves at once.
    let node = Dht::start(Config { node_id: "alice".to_owned(), address, port, ..Config::default() }).await?;
    println!("alice listens on {}", node.address());

    // A value is anything that serde can write as JSON.
    let outcome = node.put("greeting", "hello").await?;
    println!("stored greeting on {} of {} replicas", outcome.acks, outcome.set_size);

    let greeting: Option<String> = node.get("greeting").await?;
    println!("greeting is {:?}", greeting.ok_or("it was just stored")?);

    // A missing key is no error.
    let missing: Option<String> = node.get("missing").await?;
    println!("missing is {}", if missing.is_some() { "there" } else { "not there" });

    println!("greeting existed when it was deleted: {}", yes(node.delete("greeting").await?));
    println!("greeting is still there: {}", yes(node.contains("greeting").await?));

    // Leaving hands over what only this node holds; with nobody to hand over to, it is done at once.
    node.leave(Duration::from_secs(10)).await?;
    println!("alice left");
    Ok(())
}

fn yes(true_or_false: bool) -> &'static str {
    if true_or_false { "yes" } else { "no" }
}
