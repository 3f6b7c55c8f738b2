//! How fast a ring of five nodes in one process is scanned: `cargo bench -p dht-core --bench scan`. Prints keys per second
//! of five scans, with values and without.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::time::Instant;

use dht_core::{Config, Dht, PutOptions, Value};

const KEYS: usize = 1_000_000;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut nodes = vec![Dht::start(Config::default()).await.expect("it starts")];
        while nodes.len() < 5 {
            let config = Config { seeds: vec![nodes[0].address()], ..Config::default() };
            nodes.push(Dht::start(config).await.expect("it joins"));
        }
        let value = Value::from_bytes(vec![7; 100]);
        for from in (0..KEYS).step_by(10_000) {
            let entries = (from..from + 10_000).map(|i| (format!("key-{i:010}").into_bytes(), value.clone()));
            for result in nodes[0].put_many(entries, PutOptions::default()).await.expect("it runs") {
                result.expect("it is stored");
            }
        }
        for _ in 0..5 {
            let begun = Instant::now();
            let mut scan = nodes[0].scan("");
            let mut found = 0;
            while scan.next().await.expect("it scans").is_some() {
                found += 1;
            }
            let scanned = begun.elapsed();
            let begun = Instant::now();
            let counted = nodes[0].count("").await.expect("it counts");
            assert_eq!((found, counted), (KEYS, KEYS as u64));
            let rate = |time: std::time::Duration| KEYS as f64 / time.as_secs_f64();
            println!("scan {:>9.0} keys/s   count {:>9.0} keys/s", rate(scanned), rate(begun.elapsed()));
        }
        for node in nodes {
            node.stop().await;
        }
    });
}
