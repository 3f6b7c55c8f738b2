//! Data operations: JSON and bytes, a time to live, levels, versions, batches.
//!
//! `cargo run -p dht-examples --bin data_operations -- [ADDRESS [PORT]]`

use std::time::Duration;

use dht_core::{Config, Consistency, Dht, ErrorKind, GetOptions, PutOptions, Value};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let node = Dht::start(Config { address, port, ..Config::default() }).await?;

    // JSON: whatever serde reads and writes.
    node.put("user:1", &json!({"age": 36, "name": "Ada"})).await?;
    let user: serde_json::Value = node.get("user:1").await?.ok_or("it was just stored")?;
    println!("user:1 is {} and {} years old", user["name"], user["age"]);

    // Bytes: of any content, under keys of any content. They stay apart from JSON.
    node.put_bytes("photo", &b"\x00\xff\x00"[..], PutOptions::default()).await?;
    let photo = node.get_bytes("photo", GetOptions::default()).await?.ok_or("it was just stored")?;
    println!("photo has {} bytes", photo.len());
    let error = node.get::<String>("photo").await.err().ok_or("bytes are no JSON")?;
    println!("photo as JSON: {}", if error.kind() == ErrorKind::WrongFormat { "wrong format" } else { "?" });

    // A time to live: the value is gone afterwards, on all replicas at once.
    node.put_with_ttl("session", "abc", Duration::from_secs(3_600)).await?;
    let left = node.ttl("session").await?.ok_or("it has a time to live")?;
    println!("session lives for {} minutes", (left.as_secs_f64() / 60.0).round());
    node.put_with_ttl("blink", "now you see me", Duration::from_millis(100)).await?;
    while node.contains("blink").await? {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("blink is gone");

    // A level and a deadline for one call; the defaults are those of the configuration.
    let options = PutOptions { consistency: Some(Consistency::All), timeout: Some(Duration::from_secs(1)), ttl: None };
    let outcome = node.put_with("important", &true, options).await?;
    println!("important: {} of {} replicas", outcome.acks, outcome.wanted);

    // Batches: one message for each node that is concerned, one result for each key.
    let entries = (1..=3).map(|i| Ok((format!("item:{i}"), Value::from_serialize(&i)?)));
    let entries = entries.collect::<dht_core::Result<Vec<_>>>()?;
    let stored = node.put_many(entries, PutOptions::default()).await?;
    println!("stored {} items", stored.iter().filter(|result| result.is_ok()).count());
    let keys = ["item:1", "item:2", "item:3", "item:4"];
    for (key, found) in keys.iter().zip(node.get_many(keys, GetOptions::default()).await?) {
        match found? {
            Some(found) => println!("{key} is {}", found.value.deserialize::<u32>()?),
            None => println!("{key} is not there"),
        }
    }
    let deleted = node.delete_many(keys, GetOptions::default()).await?;
    println!("deleted {} items", deleted.iter().filter(|result| matches!(result, Ok(true))).count());

    node.leave(Duration::from_secs(10)).await?;
    Ok(())
}
