//! Nodes that end without a word, under load: nothing that was acknowledged is lost, no call is late, errors end soon,
//! and the ring restores its copies. A killed node is one that is `stop()`ped: no hand-over, no goodbye.

use crate::cluster;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cluster::load::{Account, Called, Load};
use cluster::*;
use dht_core::{Config, Consistency, Dht, Error, ErrorKind, GetOptions, PutOptions, Remote, Value, Version};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A deadline is held by a timer and a task that has to get its turn: on a busy machine of two cores that takes a while.
const SLACK: Duration = Duration::from_millis(500);

/// After a kill, calls at the other nodes may fail for this long at default settings.
const ERRORS_END: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_five_nodes_is_killed_under_load() {
    let mut nodes = ring(5).await;
    let called: Called = Arc::new(Mutex::new(nodes.clone()));
    let load = Load::start(&called, 6);
    let mut kills: Vec<Instant> = Vec::new();
    for turn in 0..5 {
        // Callers turn to the other nodes; what is under way at this one may end with `Stopped`.
        let victim = nodes.remove(0);
        called.lock().unwrap().retain(|node| node.node_id() != victim.node_id());
        kills.push(now());
        victim.stop().await;
        healed(&nodes, &format!("after the kill of {victim:?}")).await;

        let seeds = vec![nodes[0].address()];
        let replacement = start(Config { seeds, ..named(&format!("r{turn}")) }).await;
        replacement.wait_ready(SOON).await.unwrap();
        nodes.push(replacement.clone());
        called.lock().unwrap().push(replacement);
        healed(&nodes, &format!("after the replacement of {victim:?}")).await;
        outlasted(&kills).await;
    }
    let account = load.end().await;
    judge(&account, &kills);
    nothing_lost(&nodes, &account).await;
    settled(&nodes).await;
    let kept = account.promises.len() as u64 * 3;
    eventually(SOON, "three copies of each key and no more", async || {
        seen(items(&nodes) == kept, || format!("{} of {kept} items", items(&nodes)))
    })
    .await;
    stop_all(&nodes).await;
}

/// No slot is without one of its copies, in the eyes of all.
async fn healed(nodes: &[Dht], when: &str) {
    let mut names: Vec<String> = nodes.iter().map(Dht::node_id).collect();
    names.sort();
    eventually(SOON, &format!("all copies restored {when}"), async || {
        for node in nodes {
            let (placed, health) = (placed(node), node.health().map_err(text)?);
            seen(placed == names, || format!("{node:?} has {placed:?} in its lists"))?;
            seen(health.under_replicated_slots == 0 && health.fully_replicated, || format!("{node:?}: {health:?}"))?;
        }
        Ok(())
    })
    .await;
}

/// The time after a kill in which errors may happen has passed, and some: what fails from now on is a failure.
async fn outlasted(kills: &[Instant]) {
    let last = *kills.last().expect("a kill");
    eventually(SOON, "the time for errors to pass", async || {
        seen(now() > last + ERRORS_END + Duration::from_millis(200), || "too early".to_owned())
    })
    .await;
}

fn judge(account: &Account, kills: &[Instant]) {
    assert!(account.calls > 1_000, "a load of {} calls shows nothing", account.calls);
    assert!(account.wrong.is_empty(), "{:#?}", account.wrong);
    let limit = Config::default().request_timeout + SLACK;
    assert!(account.longest <= limit, "a call took {:?}", account.longest);
    for failure in &account.failures {
        let since = kills.iter().rev().find(|kill| **kill <= failure.ended).map(|kill| failure.ended - *kill);
        let in_time = since.is_some_and(|since| since <= ERRORS_END);
        assert!(in_time, "{since:?} after the last kill: {}", failure.text);
        let expected = [ErrorKind::Timeout, ErrorKind::Quorum, ErrorKind::Unreachable, ErrorKind::Stopped];
        assert!(expected.contains(&failure.kind), "{}", failure.text);
    }
}

/// Every key holds what was promised, at every node.
async fn nothing_lost(nodes: &[Dht], account: &Account) {
    for node in nodes {
        for level in [Consistency::Quorum, Consistency::All, Consistency::One] {
            for promise in &account.promises {
                let found = node.get_with::<u64>(&promise.key, get_at(level)).await;
                let found = found.unwrap_or_else(|error| panic!("{node:?} at {level:?}, {}: {error:#}", promise.key));
                assert!(promise.holds(found), "{node:?} at {level:?} reads {found:?} against {promise:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ring_restores_its_copies() {
    let mut nodes = ring(5).await;
    for i in 0..200 {
        nodes[i % 5].put_with(format!("k{i}"), &i, put_at(Consistency::All)).await.unwrap();
    }
    assert_eq!(items(&nodes), 600);
    // Down to one node: from three nodes on, there are as many copies as nodes.
    while nodes.len() > 1 {
        nodes.swap_remove(0).stop().await;
        settled(&nodes).await;
        let kept = 200 * nodes.len().min(3) as u64;
        assert_eq!(items(&nodes), kept, "{} nodes", nodes.len());
        assert!(nodes.iter().all(|n| n.statistics().unwrap().under_replicated_slots == 0));
        for i in 0..200 {
            let at = get_at(Consistency::All);
            assert_eq!(nodes[i % nodes.len()].get_with::<usize>(format!("k{i}"), at).await.unwrap(), Some(i));
        }
    }
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_never_misses_a_key_that_lives() {
    let nodes = ring(4).await;
    let keys: Vec<String> = (0..200).map(|i| format!("k{i}")).collect();
    for key in &keys {
        nodes[0].put_with(key, key, put_at(Consistency::All)).await.unwrap();
    }
    for _ in 0..3 {
        let victim = &nodes[3];
        let reserved = Reserved::new();
        let endpoint = reserved.endpoint();
        victim.stop().await;
        // Asked from before its first moment on, through its socket, and through the other nodes meanwhile.
        let mut readers = JoinSet::new();
        let over = Arc::new(AtomicBool::new(false));
        let early = Arc::new(AtomicUsize::new(0));
        for reader in 0..2 {
            readers.spawn(hammer(endpoint.clone(), keys.clone(), reader, over.clone(), early.clone()));
        }
        for node in &nodes[..3] {
            readers.spawn(hammer_node(node.clone(), keys.clone(), over.clone()));
        }
        let config = Config { port: reserved.release(), seeds: vec![nodes[0].address()], ..named("n3") };
        let node = start(config).await;
        node.wait_ready(SOON).await.unwrap();
        let mut ring = nodes[..3].to_vec();
        ring.push(node.clone());
        settled(&ring).await;
        // It answers from its own memory now, and has everything.
        for key in &keys {
            assert_eq!(node.get_with::<String>(key, get_at(Consistency::One)).await.unwrap().as_ref(), Some(key));
        }
        over.store(true, Ordering::Relaxed);
        while let Some(reads) = readers.join_next().await {
            assert!(reads.expect("no reader found a key missing") > 0, "a reader that never read");
        }
        assert!(early.load(Ordering::Relaxed) > 0, "nobody asked before it had caught up");
        node.stop().await;
        healed(&nodes[..3], "without the restarted node").await;
    }
    stop_all(&nodes).await;
}

/// Reads at level one at the node at `endpoint`, as soon as something listens there; returns how often it was answered.
async fn hammer(
    endpoint: String,
    keys: Vec<String>,
    reader: usize,
    over: Arc<AtomicBool>,
    early: Arc<AtomicUsize>,
) -> usize {
    let connected = async {
        // An observation loop like `eventually`, and a tighter one: the first moments are what it is after.
        loop {
            match Remote::connect(&endpoint, "default", Duration::from_secs(2)).await {
                Ok(remote) => return remote,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    let remote = tokio::time::timeout(SOON, connected).await.expect("a node at the port");
    let mut answered = 0;
    for turn in reader.. {
        let health = remote.describe(dht_core::Topic::Health, b"").await.unwrap();
        if health["handed_over"] != serde_json::Value::Bool(true) {
            early.fetch_add(1, Ordering::Relaxed);
        }
        let key = &keys[turn % keys.len()];
        answered += judge_read(remote.get(key.as_bytes(), &get_at(Consistency::One)).await.map(|v| v.is_some()), key);
        if over.load(Ordering::Relaxed) {
            break;
        }
    }
    answered
}

async fn hammer_node(node: Dht, keys: Vec<String>, over: Arc<AtomicBool>) -> usize {
    let mut answered = 0;
    for key in keys.iter().cycle() {
        answered += judge_read(node.get_bytes(key, get_at(Consistency::One)).await.map(|v| v.is_some()), key);
        if over.load(Ordering::Relaxed) {
            break;
        }
        // A read from memory never lets go of its thread.
        tokio::task::yield_now().await;
    }
    answered
}

/// 1 for an answer, 0 for an error that owns up to not knowing; never «missing».
fn judge_read(found: Result<bool, Error>, key: &str) -> usize {
    match found {
        Ok(found) => {
            assert!(found, "{key} lives, but is said to be missing");
            1
        }
        Err(error) => {
            let honest = [ErrorKind::NotJoined, ErrorKind::Quorum, ErrorKind::Timeout, ErrorKind::Unreachable];
            assert!(honest.contains(&error.kind()), "{error:#}");
            0
        }
    }
}

/// One acknowledged write.
#[derive(Debug)]
struct Written {
    begun: Instant,
    ended: Instant,
    version: Version,
    value: String,
}

/// Each node writes `count` values under one key, one after the other; unknown outcomes are left out.
async fn write_one_key(nodes: &[Dht], key: &str, count: usize) -> (Vec<Written>, Vec<Error>) {
    let mut writers = JoinSet::new();
    for node in nodes {
        let (node, key) = (node.clone(), key.to_owned());
        writers.spawn(async move {
            let (mut written, mut failed) = (Vec::new(), Vec::new());
            for i in 0..count {
                let value = format!("{} {i}", node.node_id());
                let begun = now();
                match node.put_with(&key, &value, PutOptions { timeout: Some(SOON), ..PutOptions::default() }).await {
                    Ok(outcome) => written.push(Written { begun, ended: now(), version: outcome.version, value }),
                    Err(error) => failed.push(error),
                }
            }
            (written, failed)
        });
    }
    let mut all = (Vec::new(), Vec::new());
    while let Some(result) = writers.join_next().await {
        let (written, failed) = result.expect("a writer does not panic");
        all.0.extend(written);
        all.1.extend(failed);
    }
    all
}

/// No version twice, and whatever ended before another began is ordered below it.
fn one_order(written: &[Written]) {
    let mut by_version: BTreeMap<Version, &Written> = BTreeMap::new();
    for write in written {
        if let Some(other) = by_version.insert(write.version, write) {
            panic!("one version for two writes: {other:?} and {write:?}");
        }
    }
    let mut latest_begin: Option<&Written> = None;
    for write in by_version.values() {
        if let Some(lower) = latest_begin {
            assert!(write.ended >= lower.begun, "{write:?} ended before {lower:?} began, yet is ordered above it");
        }
        if latest_begin.is_none_or(|lower| lower.begun < write.begun) {
            latest_begin = Some(write);
        }
    }
}

/// All replicas of `key` hold the same version and value; returns them.
async fn replicas_agree(nodes: &[Dht], key: &str) -> (Version, String) {
    let located = nodes[0].locate(key).unwrap();
    assert_eq!(located.len(), nodes.len().min(3));
    let replicas: Vec<&Dht> = nodes.iter().filter(|n| located.iter().any(|l| l.id == n.node_id())).collect();
    eventually(SOON, &format!("one {key} on all replicas"), async || {
        let mut held: Vec<(Version, Value)> = Vec::new();
        for node in &replicas {
            // A replica that has caught up answers level one from its own memory.
            let found = node.get_versioned(key, get_at(Consistency::One)).await.map_err(text)?;
            let found = found.ok_or_else(|| format!("{node:?} has none"))?;
            held.push((found.version, found.value));
        }
        let same = held.iter().all(|h| *h == held[0]);
        seen(same, || format!("{held:?}"))?;
        let (version, value) = held.swap_remove(0);
        Ok((version, value.deserialize().map_err(text)?))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_nodes_writing_one_key_make_one_order() {
    let nodes = ring(5).await;
    let (written, failed) = write_one_key(&nodes, "one", 60).await;
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(written.len(), 300);
    one_order(&written);
    let last = written.iter().max_by_key(|w| w.version).expect("300 writes");
    assert_eq!(replicas_agree(&nodes, "one").await, (last.version, last.value.clone()));
    for node in &nodes {
        let found = node.get_versioned("one", GetOptions::default()).await.unwrap().unwrap();
        assert_eq!(found.version, last.version);
    }
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_while_the_owner_changes() {
    let mut nodes = ring(5).await;
    let owner = nodes[0].locate("moving").unwrap()[0].id.clone();
    let at = nodes.iter().position(|n| n.node_id() == owner).expect("the owner is one of them");
    let killed = nodes.swap_remove(at);
    let writers = nodes.clone();
    let writing = tokio::spawn(async move { write_one_key(&writers, "moving", 400).await });
    eventually(SOON, "writes under way", async || {
        let done: u64 = nodes.iter().map(|n| n.statistics().map_or(0, |s| s.stores_successful)).sum();
        seen(done > 40, || format!("{done} writes"))
    })
    .await;
    // The owner dies, its successors take over, then nodes come that may take the key from them, and one leaves.
    killed.stop().await;
    let mut all = nodes.clone();
    for i in 0..3 {
        all.push(start(Config { seeds: vec![nodes[0].address()], ..named(&format!("late{i}")) }).await);
    }
    let leaving = all.pop().expect("three came");
    if let Err(error) = leaving.leave(SOON).await {
        let healths: Vec<_> = all.iter().map(|n| (n.node_id(), n.health(), placed(n))).collect();
        panic!("{error:#}; {healths:#?}");
    }
    let (written, failed) = writing.await.expect("it does not panic");
    one_order(&written);
    assert!(failed.iter().all(Error::maybe_applied), "with 15 s to retry no write is refused: {failed:?}");
    assert!(written.len() > 1_000, "only {} of 1,600 writes were acknowledged: {failed:?}", written.len());
    settled(&all).await;
    let (version, value) = replicas_agree(&all, "moving").await;
    let last = written.iter().max_by_key(|w| w.version).expect("there were writes");
    assert!(version >= last.version, "{value:?} is older than {last:?}");
    if failed.is_empty() {
        assert_eq!(value, last.value);
    }
    stop_all(&all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_say_what_they_need_when_a_replica_is_silent() {
    // Verdicts take a minute here, so that a dead replica stays in the lists.
    let model = Config {
        heartbeat_interval: Duration::from_secs(60),
        request_timeout: Duration::from_millis(800),
        ..Config::default()
    };
    let nodes = ring_of(3, "n", &model).await;
    nodes[0].put_with("k", &1, put_at(Consistency::All)).await.unwrap();
    nodes[2].stop().await;
    for node in &nodes[..2] {
        for level in [Consistency::One, Consistency::Quorum] {
            assert_eq!(node.get_with::<i32>("k", get_at(level)).await.unwrap(), Some(1));
            node.put_with("k", &1, put_at(level)).await.unwrap();
        }
        let begun = now();
        let error = node.put_with("k", &2, put_at(Consistency::All)).await.unwrap_err();
        assert!(now() - begun <= model.request_timeout + SLACK, "it took {:?}", now() - begun);
        assert!([ErrorKind::Quorum, ErrorKind::Timeout, ErrorKind::Unreachable].contains(&error.kind()), "{error:#}");
        assert!(error.maybe_applied(), "two replicas may have it: {error:#}");
        let begun = now();
        let error = node.get_with::<i32>("k", get_at(Consistency::All)).await.unwrap_err();
        assert!(now() - begun <= model.request_timeout + SLACK, "it took {:?}", now() - begun);
        assert!([ErrorKind::Quorum, ErrorKind::Timeout].contains(&error.kind()), "{error:#}");
        assert!(!error.maybe_applied(), "a read changes nothing: {error:#}");
        node.put_with("k", &1, put_at(Consistency::Quorum)).await.unwrap();
    }
    stop_all(&nodes).await;
}
