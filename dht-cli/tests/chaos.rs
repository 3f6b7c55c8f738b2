//! kill -9 of every node of five in turn, the seed included, under a continuous load of writes and reads: nothing
//! acknowledged is lost, no call outlasts its deadline, errors end within three seconds.
//!
//! `CHAOS_SECONDS=n` goes on round after round for that long; without it there is one round.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{PATIENCE, Served, until};
use dht_core::{Config, Consistency, Dht, Env, GetOptions, PutOptions, Remote, Topic};
use tokio::time::Instant;

const NODES: usize = 5;
const WORKERS: usize = 8;
const KEYS: usize = 40;
/// What a call may take beyond its deadline on a busy machine before it counts as outlasting it.
const SLACK: Duration = Duration::from_secs(1);
/// Errors end this long after a kill.
const CALM_AFTER: Duration = Duration::from_secs(3);

/// What one worker knows of its keys: the last acknowledged number, and the last that was tried.
#[derive(Default)]
struct Written {
    acknowledged: u64,
    tried: u64,
}

/// What the load has seen.
#[derive(Default)]
struct Seen {
    keys: BTreeMap<String, Written>,
    calls: u64,
    slowest: Duration,
    /// When a call that failed had begun, and what it said.
    errors: Vec<(Instant, String)>,
    wrong: Vec<String>,
}

/// One worker: puts rising numbers under its keys and reads them back.
async fn work(env: Env, node: Dht, worker: usize, seen: Arc<Mutex<Seen>>, stop: Arc<AtomicBool>) {
    for round in 1u64.. {
        for key in 0..KEYS {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let key = format!("{worker}/{key}");
            let begun = env.now();
            seen.lock().expect("whole").keys.entry(key.clone()).or_default().tried = round;
            let put = node.put(&key, &round).await;
            let put_took = env.now() - begun;
            let read_begun = env.now();
            let got = node.get::<u64>(&key).await;
            let mut seen = seen.lock().expect("whole");
            seen.calls += 2;
            seen.slowest = seen.slowest.max(put_took).max(env.now() - read_begun);
            match put {
                Ok(_) => seen.keys.entry(key.clone()).or_default().acknowledged = round,
                Err(error) => seen.errors.push((begun, format!("put {key}: {error}"))),
            }
            let acknowledged = seen.keys.entry(key.clone()).or_default().acknowledged;
            match got {
                Ok(value) if value.unwrap_or(0) >= acknowledged && value.unwrap_or(0) <= round => {}
                Ok(value) => seen.wrong.push(format!("{key} is {value:?}, acknowledged {acknowledged}, tried {round}")),
                Err(error) => seen.errors.push((read_begun, format!("get {key}: {error}"))),
            }
        }
    }
}

async fn remote(address: &str, cluster: &str) -> Remote {
    Remote::connect(address, cluster, PATIENCE).await.expect("the node answers")
}

/// All nodes are whole: nothing to hand over, no slot short of a replica.
async fn whole(nodes: &[Served]) -> bool {
    for node in nodes {
        let Ok(remote) = Remote::connect(&node.address, &node.cluster, Duration::from_secs(2)).await else {
            return false;
        };
        let Ok(health) = remote.describe(Topic::Health, b"").await else { return false };
        let Ok(ring) = remote.describe(Topic::Ring, b"").await else { return false };
        let active = ring["nodes"].as_array().map_or(0, |all| all.iter().filter(|n| n["state"] == "active").count());
        if health["handed_over"] != true || health["fully_replicated"] != true || active != nodes.len() {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let env = Env::system();
    let seconds = std::env::var("CHAOS_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let end = env.now() + Duration::from_secs(seconds);
    let cluster = format!("chaos-{:x}", env.random_u64());
    let serve = async |id: usize, seeds: &[Served]| {
        let seeds: Vec<&str> = seeds.iter().map(|s| s.address.as_str()).collect();
        let id = format!("chaos-{id}");
        Served::start(cluster.clone(), |command| command.args(["--node-id", &id, "--seeds", &seeds.join(",")])).await
    };
    let mut nodes = Vec::new();
    for id in 0..NODES {
        let node = serve(id, &nodes).await;
        nodes.push(node);
    }
    until("five nodes are whole", async || whole(&nodes).await).await;

    let seeds = nodes.iter().map(|n| n.address.clone()).collect();
    let config = Config { virtual_nodes: Some(0), cluster_name: cluster.clone(), seeds, ..Config::default() };
    let timeout = config.request_timeout;
    let client = Dht::start(config).await.expect("a client starts");
    let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| tokio::spawn(work(env.clone(), client.clone(), worker, seen.clone(), stop.clone())))
        .collect();

    let mut kills = Vec::new();
    loop {
        for victim in 0..NODES {
            // The load has the ring to itself before each kill, so that what it meets is this kill's.
            let before = seen.lock().expect("whole").calls;
            until("the load runs", async || seen.lock().expect("whole").calls > before + 200).await;
            let mut killed = nodes.remove(0);
            kills.push(env.now());
            killed.child.start_kill().expect("it runs");
            killed.status().await;
            until("the survivors are whole", async || whole(&nodes).await).await;
            nodes.push(serve(victim, &nodes).await);
            until("the replacement has its share", async || whole(&nodes).await).await;
        }
        if env.now() >= end {
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("a worker ends");
    }

    let seen = std::mem::take(&mut *seen.lock().expect("whole"));
    let late = |(at, _): &&(Instant, String)| {
        !kills.iter().any(|kill| (*kill..*kill + CALM_AFTER + timeout).contains(at)) || {
            let kill = kills.iter().rfind(|kill| **kill <= *at);
            kill.is_none_or(|kill| *at > *kill + CALM_AFTER)
        }
    };
    let late: Vec<_> = seen.errors.iter().filter(late).collect();
    println!(
        "chaos: {} kills, {} calls, {} errors ({} late), slowest {:?}",
        kills.len(),
        seen.calls,
        seen.errors.len(),
        late.len(),
        seen.slowest
    );
    assert_eq!(seen.wrong, [""; 0], "acknowledged values are read");
    assert!(late.is_empty(), "errors begun more than {CALM_AFTER:?} after a kill: {late:?}");
    assert!(seen.slowest <= timeout + SLACK, "a call took {:?} with a deadline of {timeout:?}", seen.slowest);

    let reader = remote(&nodes[0].address, &cluster).await;
    let all = GetOptions { consistency: Some(Consistency::All), timeout: None };
    for (key, written) in &seen.keys {
        let found = reader.get(key.as_bytes(), &all).await.expect("every key is readable at level all");
        let value = found.map_or(0, |found| found.value.deserialize::<u64>().expect("a number"));
        assert!((written.acknowledged..=written.tried).contains(&value), "{key} is {value}: {}", written.acknowledged);
    }
    let _ = reader.put(b"after", dht_core::Value::from_bytes("all"), &PutOptions::default()).await.expect("it goes on");
    client.stop().await;
}
