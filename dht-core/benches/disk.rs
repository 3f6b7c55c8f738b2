//! What a disk costs: puts on a ring of one with each `durability`, beside what fsync costs on the same disk in the same run,
//! and how long a node with a million keys takes to open.
//!
//! `cargo bench -p dht-core --bench disk`; a plain program, which prints a table. `DHT_BENCH_DIR`: where to write.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use dht_core::{Config, Dht, Durability, Env, GetOptions, PutOptions};
use futures_util::FutureExt;

const VALUE_LEN: usize = 100;
const WRITERS: usize = 64;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // `cargo test --benches` only wants to know that it runs.
    let whole = std::env::args().any(|arg| arg == "--bench");
    let (keys, seconds) = if whole { (1_000_000, 3) } else { (1_000, 0) };
    let root = std::env::var_os("DHT_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = root.join(format!("dht-bench-{:x}", Env::system().random_u64()));
    std::fs::create_dir(&dir).expect("a directory");
    runtime.block_on(async {
        let fsyncs = fsyncs(&dir, Duration::from_secs(seconds));
        println!("plain write and fsync of 4 KiB          {fsyncs:>12.0} /s");
        let always = concurrent_puts(&dir, Duration::from_secs(seconds)).await;
        println!(
            "puts, always, {WRITERS} writers                {always:>12.0} /s, {:.1} times fsync",
            always / fsyncs
        );
        for durability in [Durability::None, Durability::Interval] {
            let rate = puts(&dir.join(durability.to_string()), durability, keys).await;
            println!("puts, {durability:<8}, one writer              {rate:>12.0} /s");
        }
        reopen(&dir.join("interval"), keys).await;
    });
    std::fs::remove_dir_all(&dir).expect("it is ours");
}

fn on(dir: &Path, durability: Durability) -> Config {
    Config { data_dir: Some(dir.to_owned()), durability, ..Config::default() }
}

/// Writes of one page, each flushed, at different places.
fn fsyncs(dir: &Path, duration: Duration) -> f64 {
    let env = Env::system();
    let mut file = std::fs::File::create(dir.join("plain")).expect("a file");
    let begun = env.now();
    let mut count = 0;
    while count < 10 || env.now() - begun < duration {
        file.write_all(&[7; 4096]).expect("room");
        file.sync_data().expect("a disk");
        count += 1;
    }
    f64::from(count) / (env.now() - begun).as_secs_f64()
}

async fn concurrent_puts(dir: &Path, duration: Duration) -> f64 {
    let env = Env::system();
    let node = Dht::start(on(&dir.join("always"), Durability::Always)).await.expect("it starts");
    let begun = env.now();
    let work = |writer: usize| {
        let (node, env) = (node.clone(), env.clone());
        async move {
            let mut count = 0_u64;
            while count < 2 || env.now() - begun < duration {
                let key = format!("{writer}/{count}");
                node.put_bytes(key, vec![1; VALUE_LEN], PutOptions::default()).await.expect("a put");
                count += 1;
            }
            count
        }
    };
    let counts = futures_util::future::join_all((0..WRITERS).map(work)).await;
    let took = env.now() - begun;
    node.stop().await;
    counts.into_iter().sum::<u64>() as f64 / took.as_secs_f64()
}

async fn puts(dir: &Path, durability: Durability, keys: usize) -> f64 {
    let env = Env::system();
    let node = Dht::start(on(dir, durability)).await.expect("it starts");
    let value = Bytes::from(vec![1; VALUE_LEN]);
    let begun = env.now();
    for n in 0..keys {
        node.put_bytes(format!("key {n:012}"), value.clone(), PutOptions::default()).await.expect("a put");
    }
    let took = env.now() - begun;
    node.stop().await;
    keys as f64 / took.as_secs_f64()
}

/// After an orderly end, and after none: the file as it was while it was open.
async fn reopen(dir: &Path, keys: usize) {
    let env = Env::system();
    let begun = env.now();
    let node = Dht::start(on(dir, Durability::Interval)).await.expect("it starts");
    let took = env.now() - begun;
    assert_eq!(node.statistics().expect("it runs").data_items_stored, keys as u64);
    println!("opening {keys} keys                     {:>12.3} s", took.as_secs_f64());
    let begun = env.now();
    for n in 0..keys / 10 {
        let key = format!("key {:012}", n * 7919 % keys);
        let found = node.get_bytes(key, GetOptions::default()).now_or_never().expect("here").expect("a get");
        assert_eq!(found.map(|bytes| bytes.len()), Some(VALUE_LEN));
    }
    println!(
        "gets                                    {:>12.0} /s",
        (keys / 10) as f64 / (env.now() - begun).as_secs_f64()
    );
    let crashed = dir.with_extension("crashed");
    std::fs::create_dir(&crashed).expect("a directory");
    std::fs::copy(dir.join("records.redb"), crashed.join("records.redb")).expect("a copy");
    node.stop().await;
    let begun = env.now();
    let node = Dht::start(on(&crashed, Durability::Interval)).await.expect("it starts");
    println!("the same after a crash                  {:>12.3} s", (env.now() - begun).as_secs_f64());
    assert_eq!(node.statistics().expect("it runs").data_items_stored, keys as u64);
    node.stop().await;
}
