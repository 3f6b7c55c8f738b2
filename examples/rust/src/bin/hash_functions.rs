//! Hash functions: where each of the seven puts a key on the ring, and how fast it is.
//!
//! `cargo run -p dht-examples --bin hash_functions -- [ADDRESS [PORT]]`

use std::time::{Duration, Instant};

use dht_core::{Config, Dht, HashFunction};

const FUNCTIONS: [HashFunction; 7] = [
    HashFunction::Fnv1,
    HashFunction::Fnv1a,
    HashFunction::Crc32,
    HashFunction::Md5,
    HashFunction::Sha1,
    HashFunction::Sha256,     // the default: nobody can choose keys that all fall on one node
    HashFunction::Consistent, // XXH3: the fast one, where nobody hostile chooses keys
];
const HASHES: usize = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;

    let keys: Vec<String> = (0..HASHES).map(|i| format!("user:{i}")).collect();
    for hash_function in FUNCTIONS {
        // All nodes of a ring have the same function; it is fixed when the ring is founded.
        let config = Config { address: address.clone(), port, hash_function, hash_bits: 64, ..Config::default() };
        let node = Dht::start(config).await?;
        println!(
            "{hash_function}: user:0 is {}, user:1 is {}",
            node.hash_key_hex("user:0"),
            node.hash_key_hex("user:1")
        );

        let begun = Instant::now();
        let mut ids: Vec<_> = keys.iter().map(|key| node.hash_key(key)).collect();
        let rate = HASHES as f64 / begun.elapsed().as_secs_f64();
        ids.sort_unstable();
        ids.dedup();
        println!("{hash_function}: {HASHES} hashes, {} different, {rate:.0} per second", ids.len());
        node.leave(Duration::from_secs(10)).await?;
    }
    Ok(())
}
