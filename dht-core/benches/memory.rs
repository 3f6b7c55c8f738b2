//! What `max_memory` counts beside what the process takes: each line is a process of its own that fills a node several
//! times over, so that records come and go, and then compares its resident set with the bound.
//!
//! `cargo bench -p dht-core --bench memory`; a plain program for Linux, which prints a table.

use std::process::Command;

use dht_core::{Config, Dht, Eviction, PutOptions};

/// Tells this program, run by itself, what to fill a node with: shortest and longest value, bound.
const WORK: &str = "DHT_BENCH_WORK";
const MIB: u64 = 1 << 20;
/// How often the bound is written.
const TURNS: u64 = 3;
/// Of (shortest, longest) value in bytes.
const VALUES: [(usize, usize); 6] =
    [(100, 100), (10, 500), (500, 1_500), (100, 8_000), (5_000, 20_000), (100_000, 1_000_000)];

fn main() {
    if let Ok(work) = std::env::var(WORK) {
        return fill(&work.split(' ').map(|n| n.parse().expect("a number")).collect::<Vec<u64>>());
    }
    // `cargo test --benches` only wants to know that it runs.
    let bounds: &[u64] = if std::env::args().any(|arg| arg == "--bench") { &[256, 512] } else { &[16] };
    println!("{:>10} {:>20} {:>14} {:>12} {:>7}", "max_memory", "value bytes", "records", "resident", "ratio");
    for bound in bounds {
        for (shortest, longest) in VALUES {
            let program = std::env::current_exe().expect("this program");
            let work = format!("{shortest} {longest} {}", bound * MIB);
            let status = Command::new(program).env(WORK, work).status().expect("it runs");
            assert!(status.success(), "{status}");
        }
    }
}

fn fill(work: &[u64]) {
    let [shortest, longest, bound] = *work else { panic!("{work:?}") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let config = Config { max_memory: Some(bound), eviction: Eviction::Lru, ..Config::default() };
        let node = Dht::start(config).await.expect("it starts");
        let (mut written, mut n) = (0, 0_u64);
        while written < TURNS * bound {
            // A fixed sequence of lengths, spread evenly.
            let len = shortest + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (longest - shortest + 1);
            let key = format!("key-{n:012}");
            node.put_bytes(key, vec![n as u8; len as usize], PutOptions::default()).await.expect("room is made");
            // Every write takes some 150 bytes more.
            written += len + 150;
            n += 1;
        }
        let statistics = node.statistics().expect("it runs");
        let resident = resident();
        println!(
            "{:>6} MiB {:>20} {:>14} {:>8} MiB {:>7.3}",
            bound / MIB,
            format!("{shortest} to {longest}"),
            statistics.data_items_stored,
            resident / MIB,
            resident as f64 / bound as f64
        );
        node.stop().await;
    });
}

/// Bytes of this process in memory; 0 where that is not told.
fn resident() -> u64 {
    let pages = |text: String| text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    std::fs::read_to_string("/proc/self/statm").ok().and_then(pages).unwrap_or(0) * 4096
}
