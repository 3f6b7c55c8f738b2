//! How long a ring takes until all replicas are there again after one node has died, against what `repair_rate` allows, and
//! what that takes of the network: real nodes of one process on loopback. Every line is a process of its own.
//!
//! `cargo bench -p dht-core --bench recovery [-- MIB_PER_NODE…]`; a plain program for Linux, which prints a table. Two threads.

use std::process::Command;
use std::time::Duration;

use dht_core::{Config, Dht, Env, PutOptions, Value};

/// Tells this program, run by itself, what to measure: MiB per node, MiB per second.
const WORK: &str = "DHT_BENCH_WORK";
const MIB: u64 = 1 << 20;
const NODES: usize = 5;
const REPLICAS: u64 = 3;
const VALUE_LEN: u64 = 16 << 10;
/// Values in one call.
const BATCH: u64 = 64;
/// MiB per second; 0: no limit.
const RATES: [u64; 3] = [16, 64, 0];
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    if let Ok(work) = std::env::var(WORK) {
        let [held, rate] = *work.split(' ').map(|n| n.parse().expect("a number")).collect::<Vec<u64>>() else {
            panic!("{work}")
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        return runtime.block_on(recover(held * MIB, rate * MIB));
    }
    // `cargo test --benches` only wants to know that it runs.
    let timed = std::env::args().any(|arg| arg == "--bench");
    let mut sizes: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    if sizes.is_empty() {
        sizes.push(if timed { 200 } else { 1 });
    }
    println!("{NODES} nodes, {REPLICAS} replicas, values of {} KiB; one node stops as in a crash", VALUE_LEN >> 10);
    for held in sizes {
        for rate in if timed { &RATES[..] } else { &[0] } {
            let program = std::env::current_exe().expect("this program");
            let status = Command::new(program).env(WORK, format!("{held} {rate}")).status().expect("it runs");
            assert!(status.success(), "{status}");
        }
    }
}

async fn recover(held: u64, repair_rate: u64) {
    let env = Env::system();
    let mut nodes: Vec<Dht> = Vec::new();
    for number in 0..NODES {
        let seeds = nodes.iter().take(1).map(Dht::address).collect();
        let config = Config { node_id: format!("node-{number}"), repair_rate, seeds, ..Config::default() };
        let node = Dht::start(config).await.expect("it starts");
        node.wait_ready(PATIENCE).await.expect("it joins");
        nodes.push(node);
    }
    until(&env, &nodes).await;
    let keys = held * NODES as u64 / REPLICAS / VALUE_LEN;
    for first in (0..keys).step_by(BATCH as usize) {
        let entries = (first..keys.min(first + BATCH)).map(|n| {
            let bytes = n.to_le_bytes().repeat(VALUE_LEN as usize / 8);
            (format!("key-{n:09}"), Value::from_bytes(bytes))
        });
        let put = nodes[0].put_many(entries, PutOptions::default()).await.expect("it serves");
        assert!(put.into_iter().all(|one| one.is_ok()), "kept");
    }
    until(&env, &nodes).await;

    let gone = nodes.pop().expect("five");
    let lost = stored(&gone);
    let before: Vec<(u64, u64)> = nodes.iter().map(|node| (stored(node), received(node))).collect();
    let begun = env.now();
    gone.stop().await;
    while nodes.iter().any(|node| node.view().1 == NODES) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let noticed = (env.now() - begun).as_secs_f64();
    until(&env, &nodes).await;
    let whole = (env.now() - begun).as_secs_f64();
    let gained = |(node, before): (&Dht, &(u64, u64))| (stored(node) - before.0, received(node) - before.1);
    let gained: Vec<(u64, u64)> = nodes.iter().zip(&before).map(gained).collect();
    let (taken, traffic) = (gained.iter().map(|g| g.0).sum::<u64>(), gained.iter().map(|g| g.1).sum::<u64>());
    let most = gained.iter().map(|g| g.0).max().unwrap_or(0);
    let allowed = if repair_rate == 0 { 0.0 } else { most as f64 / repair_rate as f64 };
    let rate = if repair_rate == 0 { "no limit".to_owned() } else { format!("{} MiB/s", repair_rate / MIB) };
    println!(
        "{:>5} MiB a node, {rate:>9}: {} MiB lost, {:.1} to {:.1} MiB to each of the others; every view lacks it after \
         {noticed:.1} s, all replicas are there after {whole:.1} s, so {:.1} s of copying (the rate allows {allowed:.1} s); \
         {:.2} bytes received for a byte lost",
        held / MIB,
        lost / MIB,
        gained.iter().map(|g| g.0).min().unwrap_or(0) as f64 / MIB as f64,
        most as f64 / MIB as f64,
        whole - noticed,
        traffic as f64 / taken as f64,
    );
    for node in &nodes {
        node.stop().await;
    }
}

/// Waits until all replicas are there.
async fn until(env: &Env, nodes: &[Dht]) {
    let begun = env.now();
    let well = |node: &Dht| node.health().is_ok_and(|h| h.joined && h.handed_over && h.fully_replicated);
    while !nodes.iter().all(well) {
        assert!(env.now() - begun < PATIENCE, "not whole");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn stored(node: &Dht) -> u64 {
    node.statistics().expect("it runs").data_bytes_stored
}

fn received(node: &Dht) -> u64 {
    node.statistics().expect("it runs").bytes_received
}
