//! Throughput beside what users might take instead, all on this machine in one run: three nodes with three copies each, 64
//! callers in one client process. Servers that are not installed are named and left out (Debian: redis-server, redis-tools,
//! etcd-server, python3-opendht).
//!
//! `cargo bench -p dht-cli --bench peers`; a plain program, which prints tables. With `-- ours` it measures no other, for a
//! look at where our time goes. What a key costs in memory is told last; with `-- footprint` only that. Linux.

mod etcd;
mod footprint;
mod load;
mod opendht;
mod ours;
mod processes;
mod redis;

use std::time::Duration;

use load::{Rates, spread};

/// In one client process.
const CALLERS: usize = 64;
const VALUE_LEN: usize = 100;
/// Keys that are written, and read.
const KEYS: usize = 100_000;
/// Keys of a server whose memory is looked at.
const MANY_KEYS: usize = 1_000_000;

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let said = |word: &str| std::env::args().any(|arg| arg == word);
    let bench = said("--bench");
    let (rounds, length) = if bench { (7, Duration::from_secs(3)) } else { (1, Duration::from_millis(50)) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        if !said("footprint") {
            compare(rounds, length, bench && !said("ours")).await;
        }
        if !said("ours") {
            weigh(if bench { MANY_KEYS } else { 1_000 }).await;
        }
    });
}

/// What a key costs, in resident memory of one server each.
async fn weigh(keys: usize) {
    let ours = footprint::of_ours(keys).await;
    println!("{keys} keys of 16 bytes, values of {VALUE_LEN}: resident bytes a key\n\n| server | bytes |\n|---|---|");
    println!("| dht | {ours:.0} |");
    match footprint::of_redis(keys).await {
        Ok(theirs) => println!("| Redis | {theirs:.0} |"),
        Err(why) => println!("| Redis | not measured: {why} |"),
    }
}

async fn compare(rounds: usize, length: Duration, peers: bool) {
    let ours = ours::Ring::start().await;
    let redis =
        if peers { redis::Cluster::start().await } else { Err("only with --bench, and without `ours`".to_owned()) };
    let etcd =
        if peers { etcd::Cluster::start().await } else { Err("only with --bench, and without `ours`".to_owned()) };
    let (mut puts, mut gets) = (Rates::default(), Rates::default());
    for _ in 0..rounds {
        puts.add("dht, quorum of 3", ours.puts(length).await);
        if let Ok(redis) = &redis {
            puts.add("Redis Cluster 3+3, WAIT 1", redis.puts(length).await);
        }
        if let Ok(etcd) = &etcd {
            puts.add("etcd, 3 nodes, no fsync, JSON gateway", etcd.puts(length).await);
        }
    }
    ours.fill().await;
    if let Ok(redis) = &redis {
        redis.fill().await;
    }
    for _ in 0..rounds {
        gets.add("dht, level one, 3 connections", ours.gets(length).await);
        if let Ok(redis) = &redis {
            gets.add("Redis Cluster, GET, 3 connections", redis.gets(length).await);
        }
    }
    ours.stop().await;
    for (name, why) in [("Redis", redis.as_ref().err()), ("etcd", etcd.as_ref().err())] {
        if let Some(why) = why {
            println!("{name} is not measured: {why}");
        }
    }
    drop((redis, etcd));
    match opendht::puts(length * 3, peers).await {
        Ok(rate) => puts.add("OpenDHT, 3 nodes, own Python binding", rate),
        Err(why) => println!("OpenDHT is not measured: {why}"),
    }
    println!(
        "{CALLERS} callers, values of {VALUE_LEN} bytes; calls per second, median of {rounds} rounds (least to most)\n"
    );
    for (title, rates) in [("writes", &puts), ("reads", &gets)] {
        println!("| {title} | per second | ours in relation |\n|---|---|---|");
        for (name, rate) in rates.all() {
            println!("| {name} | {} | {} |", spread(rate), rates.relation(name));
        }
        println!();
    }
}
