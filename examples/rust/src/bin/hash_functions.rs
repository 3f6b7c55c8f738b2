//! The seven hash functions: 10,000 keys each, and how fast that is. `sha256` is the default; `consistent` (XXH3) is the
//! fast one.
//!
//! `cargo run --release -p dht-examples --bin hash_functions [ADDRESS [PORT]]`

use std::time::{Duration, Instant};

use dht_core::{Config, Dht, HashFunction, Result};
use dht_examples::config_of_arguments;

const HASHES: usize = 10_000;

#[tokio::main]
async fn main() -> Result<()> {
    for &hash_function in HashFunction::ALL {
        let node = Dht::start(Config { hash_function, ..config_of_arguments() }).await?;
        #[expect(clippy::disallowed_methods, reason = "an example for programs, which have a clock of their own")]
        let begun = Instant::now();
        for n in 0..HASHES {
            std::hint::black_box(node.hash_key(format!("key_{n}")));
        }
        let rate = HASHES as f64 / begun.elapsed().as_secs_f64();
        let id = node.hash_key_hex("key_0");
        println!("{hash_function}: {HASHES} hashes, {rate:.0} per second; an id has {} digits", id.len());
        node.leave(Duration::from_secs(10)).await?;
    }
    Ok(())
}
