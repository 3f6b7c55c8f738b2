//! What one can do with data: objects, bytes, times to live, batches, versions.
//!
//! `cargo run -p dht-examples --bin data_operations [ADDRESS [PORT]]`

use std::time::Duration;

use dht_core::{Dht, GetOptions, PutOptions, Result, Value};
use dht_examples::config_of_arguments;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct User {
    name: String,
    age: u32,
}

#[tokio::main]
async fn main() -> Result<()> {
    let node = Dht::start(config_of_arguments()).await?;

    // Anything that serde can write as JSON, so that every language can read it.
    node.put("user:1", &User { name: "Ada".to_owned(), age: 36 }).await?;
    let user: Option<User> = node.get("user:1").await?;
    let user = user.expect("it was put");
    println!("user:1 is {}, {} years old", user.name, user.age);

    // Bytes come back as they are.
    node.put_bytes("image", &b"\x89PNG"[..], PutOptions::default()).await?;
    let image = node.get_bytes("image", GetOptions::default()).await?;
    println!("image has {} bytes", image.map_or(0, |bytes| bytes.len()));

    // A value that ends by itself.
    node.put_with_ttl("session", "token", Duration::from_millis(300)).await?;
    println!("session lives: {}", node.contains("session").await?);
    while node.contains("session").await? {
        let left = node.ttl("session").await?.unwrap_or_default();
        tokio::time::sleep(left + Duration::from_millis(1)).await;
    }
    println!("session lives: {}", node.contains("session").await?);

    // Many keys at once: grouped by node, one message each, a result for each key.
    let entries = ["a", "b", "c"].map(|key| (key, Value::from_bytes(key.to_uppercase())));
    let stored = node.put_many(entries, PutOptions::default()).await?;
    let found = node.get_many(["a", "c", "z"], GetOptions::default()).await?;
    let deleted = node.delete_many(["a", "b", "z"], GetOptions::default()).await?;
    println!(
        "batch: stored {}, found {}, deleted {}",
        stored.iter().filter(|result| result.is_ok()).count(),
        found.iter().filter(|result| matches!(result, Ok(Some(_)))).count(),
        deleted.iter().filter(|result| matches!(result, Ok(true))).count()
    );

    // Versions are totally ordered; their texts too.
    let first = node.put("counter", &1).await?.version.to_string();
    let second = node.put("counter", &2).await?.version.to_string();
    println!("the second write is newer: {}", first < second);

    println!("deleted user:1: {}", node.delete("user:1").await?);
    println!("deleted user:1 again: {}", node.delete("user:1").await?);
    node.leave(Duration::from_secs(10)).await?;
    Ok(())
}
