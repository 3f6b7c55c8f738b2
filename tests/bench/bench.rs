//! The Rust side of `make bench-bindings`: local get and put at level one on a ring of one, and a bare sharded map.
//! For each line on standard input one round, and one line of JSON: nanoseconds per operation.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::io::BufRead;
use std::sync::Mutex;
use std::time::Instant;

use dht_core::{Config, Consistency, Dht, Value};

const KEYS: usize = 1_000;
const OPERATIONS: usize = 50_000;
const SHARDS: usize = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() -> dht_core::Result<()> {
    let node = Dht::start(Config { consistency: Consistency::One, ..Config::default() }).await?;
    let keys: Vec<String> = (0..KEYS).map(|n| format!("user:{n:08}:profile")).collect();
    let text = format!("\"{}\"", "v".repeat(98));
    let shards: Vec<Mutex<hashbrown::HashMap<Vec<u8>, Vec<u8>>>> = (0..SHARDS).map(|_| Mutex::default()).collect();
    let hasher = hashbrown::DefaultHashBuilder::default();
    let shard = |key: &[u8]| &shards[hasher.hash_one(key) as usize % SHARDS];
    let value = Value::from_json_text(text.clone())?;
    for line in std::io::stdin().lock().lines() {
        if line.is_err() {
            break;
        }
        let mut put = 0.0;
        let begun = now();
        for n in 0..OPERATIONS {
            put += f64::from(node.put_value(&keys[n % KEYS], value.clone(), Default::default()).await?.acks);
        }
        let put_ns = per(begun);
        let begun = now();
        for n in 0..OPERATIONS {
            put += black_box(node.get_bytes(&keys[n % KEYS], Default::default()).await?).map_or(0, |v| v.len()) as f64;
        }
        let get_ns = per(begun);
        let begun = now();
        for n in 0..OPERATIONS {
            let key = keys[n % KEYS].as_bytes();
            shard(key).lock().expect("no panic").insert(key.to_vec(), text.clone().into_bytes());
        }
        let map_put_ns = per(begun);
        let begun = now();
        for n in 0..OPERATIONS {
            let key = keys[n % KEYS].as_bytes();
            put += black_box(shard(key).lock().expect("no panic").get(key).cloned()).map_or(0, |v| v.len()) as f64;
        }
        let map_get_ns = per(begun);
        black_box(put);
        println!(
            "{{\"rust put\": {put_ns}, \"rust get\": {get_ns}, \"bare map put\": {map_put_ns}, \"bare map get\": {map_get_ns}}}"
        );
    }
    node.stop().await;
    Ok(())
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    Instant::now()
}

fn per(begun: Instant) -> f64 {
    begun.elapsed().as_nanos() as f64 / OPERATIONS as f64
}
