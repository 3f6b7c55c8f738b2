//! The Rust member of the ring of all languages.

use std::time::Duration;

use dht_core::{Config, Consistency, Dht, Expected, Format, GetOptions, Number, PutOptions, Value};
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let node_id = arguments.next().ok_or("the first argument is a node_id")?;
    let node = Dht::start(Config { node_id, seeds: arguments.collect(), ..Config::default() }).await?;
    println!("address {}", node.address());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["ready"] => {
                node.wait_ready(Duration::from_secs(60)).await?;
                println!("ok");
            }
            ["put", key, format, value] => {
                let value = match format {
                    "json" => Value::from_json_text(bytes(value)?)?,
                    _ => Value::from_bytes(bytes(value)?),
                };
                node.put_value(bytes(key)?, value, put_options()).await?;
                println!("ok");
            }
            ["increment", key, by] => {
                let PutOptions { consistency, timeout, .. } = put_options();
                let options = GetOptions { consistency, timeout };
                println!("{}", node.increment_with(bytes(key)?, Number::Integer(by.parse()?), options).await?);
            }
            ["cas", key, expected, value] => {
                let expected = match bytes(expected)? {
                    empty if empty.is_empty() => Expected::Absent,
                    text => Expected::Value(Value::from_json_text(text)?),
                };
                let value = Value::from_json_text(bytes(value)?)?;
                let swap = node.compare_and_swap_value(bytes(key)?, expected, value, put_options()).await?;
                match swap.value {
                    _ if swap.swapped => println!("swapped"),
                    Some(value) => println!("json {}", hex(&value.bytes)),
                    None => println!("none"),
                }
            }
            ["get", key] => match node.get_versioned(bytes(key)?, GetOptions::default()).await? {
                None => println!("none"),
                Some(found) => {
                    let format = if found.value.format == Format::Json { "json" } else { "bytes" };
                    println!("{format} {}", hex(&found.value.bytes));
                }
            },
            ["quit"] => {
                println!("ok");
                break;
            }
            _ => return Err(format!("no such line: {line:.80}").into()),
        }
    }
    node.stop().await;
    Ok(())
}

fn put_options() -> PutOptions {
    let timeout = Some(Duration::from_secs(30));
    PutOptions { consistency: Some(Consistency::All), timeout, ..PutOptions::default() }
}

fn bytes(hex: &str) -> Result<Vec<u8>, std::num::ParseIntError> {
    (0..hex.len() / 2).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
