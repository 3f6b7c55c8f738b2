//! `snapshot` and `restore` of whole nodes and rings. The file itself is tested in `dht-core/src/node/snapshot/tests.rs`.

use crate::cluster;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cluster::*;
use dht_core::{Config, Consistency, Dht, ErrorKind, GetOptions, HashFunction, PutOptions, Routing};
use futures_util::FutureExt;

struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("dht-backup-{}-{number}", std::process::id()));
        std::fs::create_dir(&dir).expect("a new directory");
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("it can be removed");
    }
}

const KEYS: usize = 2_000;

async fn fill(node: &Dht) {
    let entries = (0..KEYS).map(|i| (format!("key-{i}"), dht_core::Value::from_serialize(&i).unwrap()));
    for result in node.put_many(entries, put_at(Consistency::All)).await.unwrap() {
        result.unwrap();
    }
}

async fn all_there(node: &Dht) {
    let keys = (0..KEYS).map(|i| format!("key-{i}"));
    let found = node.get_many(keys, GetOptions::default()).await.unwrap();
    for (i, found) in found.into_iter().enumerate() {
        let found = found.unwrap().unwrap_or_else(|| panic!("key-{i} is not there"));
        assert_eq!(found.value.deserialize::<usize>().unwrap(), i);
    }
}

/// With versions, expiries and deletions, into rings of other sizes, positions, engines and hashes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_comes_back_in_another_one() {
    let dir = Dir::new();
    let nodes = ring(3).await;
    fill(&nodes[0]).await;
    let hour = Duration::from_secs(3_600);
    nodes[0].put_with("hour", &1, PutOptions { ttl: Some(hour), ..put_at(Consistency::All) }).await.unwrap();
    nodes[0].put_with("gone", &1, put_at(Consistency::All)).await.unwrap();
    nodes[0].delete_with("gone", get_at(Consistency::All)).await.unwrap();
    let short = PutOptions { ttl: Some(Duration::from_millis(1)), ..put_at(Consistency::All) };
    nodes[0].put_with("short", &1, short).await.unwrap();
    let version = nodes[0].get_versioned("key-7", GetOptions::default()).await.unwrap().unwrap().version;
    let path = dir.0.join("s");
    // Three replicas on three nodes: each has everything.
    let info = nodes[1].snapshot(&path).await.unwrap();
    assert_eq!((info.records, info.bytes), (KEYS as u64 + 3, std::fs::metadata(&path).unwrap().len()));
    stop_all(&nodes).await;

    let model = Config::default();
    let chord = Config { routing: Routing::Chord, ..model.clone() };
    let hash = Config { hash_function: HashFunction::Consistent, hash_bits: 64, slot_bits: 8, ..model.clone() };
    for (i, (count, config)) in [(1, model.clone()), (5, model), (4, chord), (2, hash)].into_iter().enumerate() {
        let mut config = config;
        if i == 0 {
            config.data_dir = Some(dir.0.join("data"));
        }
        let nodes = ring_of(count, &format!("other{i}-"), &config).await;
        let last = &nodes[count - 1];
        let restored = last.restore(&path).await.unwrap();
        assert_eq!((restored.records, restored.superseded, restored.bytes), (info.records, 0, info.bytes), "{i}");
        for node in &nodes {
            all_there(node).await;
            let found = node.get_versioned("key-7", GetOptions::default()).await.unwrap().unwrap();
            assert_eq!(found.version, version, "as it was");
            let left = node.ttl("hour").await.unwrap().expect("it expires");
            assert!(left <= hour && left > hour / 2, "{left:?}");
            assert_eq!(read(node, "gone", Consistency::Quorum).await, None);
            assert_eq!(read(node, "short", Consistency::Quorum).await, None);
        }
        // And on all replicas, after a repair at the latest.
        settled(&nodes).await;
        assert!(items(&nodes) >= (KEYS * count.min(3)) as u64, "{i}: {} records", items(&nodes));
        // Once more does nothing, and the ring goes on from there.
        assert_eq!(last.restore(&path).await.unwrap().superseded, 0);
        let outcome = last.put("key-7", &0).await.unwrap();
        assert!(outcome.version > version);
        assert_eq!(last.restore(&path).await.unwrap().superseded, 1, "what is newer stays");
        assert_eq!(nodes[0].get::<usize>("key-7").await.unwrap(), Some(0));
        stop_all(&nodes).await;
    }
}

/// What was written, or deleted, after the snapshot is newer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_after_the_snapshot_stays() {
    let dir = Dir::new();
    let nodes = ring(3).await;
    for key in ["same", "newer", "deleted"] {
        nodes[0].put_with(key, &"old", put_at(Consistency::All)).await.unwrap();
    }
    let path = dir.0.join("s");
    nodes[2].snapshot(&path).await.unwrap();
    nodes[0].put_with("newer", &"new", put_at(Consistency::All)).await.unwrap();
    nodes[0].delete_with("deleted", get_at(Consistency::All)).await.unwrap();
    let restored = nodes[1].restore(&path).await.unwrap();
    assert_eq!((restored.records, restored.superseded), (3, 2));
    for node in &nodes {
        assert_eq!(node.get::<String>("same").await.unwrap().as_deref(), Some("old"));
        assert_eq!(node.get::<String>("newer").await.unwrap().as_deref(), Some("new"));
        assert_eq!(node.get::<String>("deleted").await.unwrap(), None, "it stays deleted");
    }
    stop_all(&nodes).await;
}

/// Of a larger ring each node has a part; a client, which keeps nothing, can restore.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_make_a_whole_and_a_client_restores() {
    let dir = Dir::new();
    let nodes = ring_of(4, "n", &Config { replication_factor: 2, ..Config::default() }).await;
    fill(&nodes[0]).await;
    let mut records = 0;
    for (i, node) in nodes.iter().enumerate() {
        let info = node.snapshot(dir.0.join(format!("{i}"))).await.unwrap();
        assert!(info.records < KEYS as u64, "a part: {info:?}");
        records += info.records;
    }
    assert_eq!(records, 2 * KEYS as u64);
    stop_all(&nodes).await;
    let nodes = ring_of(3, "m", &Config::default()).await;
    let client = start(Config { virtual_nodes: Some(0), seeds: vec![nodes[0].address()], ..named("client") }).await;
    client.wait_ready(SOON).await.unwrap();
    refused(client.snapshot(dir.0.join("c")).await, ErrorKind::Unsupported, &["client"]);
    for i in 0..4 {
        client.restore(dir.0.join(format!("{i}"))).await.unwrap();
    }
    all_there(&nodes[0]).await;
    client.stop().await;
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_restored_changes_nothing() {
    let dir = Dir::new();
    let path = dir.0.join("s");
    let node = start(named("a")).await;
    fill(&node).await;
    node.snapshot(&path).await.unwrap();
    refused(node.snapshot(&path).await, ErrorKind::InvalidArgument, &["overwrites nothing"]);
    node.stop().await;
    refused(node.snapshot(dir.0.join("t")).await, ErrorKind::Stopped, &[]);
    assert!(!refused(node.restore(&path).await, ErrorKind::Stopped, &[]).maybe_applied());

    let other = start(Config { cluster_name: "other".into(), ..named("b") }).await;
    refused(other.restore(&path).await, ErrorKind::IncompatibleRing, &["\"default\"", "\"other\""]);
    assert_eq!(other.statistics().unwrap().data_items_stored, 0);
    other.stop().await;
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 40;
    bytes[last] ^= 1;
    std::fs::write(dir.0.join("damaged"), bytes).unwrap();
    let node = start(named("c")).await;
    refused(node.restore(dir.0.join("damaged")).await, ErrorKind::Storage, &["damaged"]);
    refused(node.restore(dir.0.join("none")).await, ErrorKind::Storage, &["none"]);
    assert_eq!(node.statistics().unwrap().data_items_stored, 0, "nothing of it was restored");
    node.stop().await;

    // A store without room takes what fits, and says so.
    let node = start(Config { max_memory: Some(1 << 20), max_value_size: 1 << 20, ..named("d") }).await;
    let big = start(named("e")).await;
    for i in 0..40 {
        big.put_bytes(format!("big-{i}"), vec![1; 100_000], PutOptions::default()).await.unwrap();
    }
    big.snapshot(dir.0.join("big")).await.unwrap();
    let error = refused(node.restore(dir.0.join("big")).await, ErrorKind::MemoryFull, &["restoring again"]);
    assert!(error.maybe_applied());
    big.stop().await;
    node.stop().await;
}

/// What was sent before the end of the node may be there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_a_stop_ends_may_be_applied() {
    let dir = Dir::new();
    let path = dir.0.join("s");
    let source = start(named("source")).await;
    fill(&source).await;
    source.snapshot(&path).await.unwrap();
    source.stop().await;
    // The second of two replicas is silent, and not given up before the test is over: one is too few.
    let model = Config { heartbeat_interval: Duration::from_secs(30), ..Config::default() };
    let nodes = ring_of(2, "n", &model).await;
    nodes[1].stop().await;
    let node = nodes[0].clone();
    let restoring = tokio::spawn(async move { node.restore(path).await });
    eventually(SOON, "something is restored", async || {
        seen(nodes[0].statistics().map_err(text)?.data_items_stored > 0, || "nothing".to_owned())
    })
    .await;
    nodes[0].stop().await;
    let error = refused(restoring.await.expect("no panic"), ErrorKind::Stopped, &[]);
    assert!(error.maybe_applied(), "{error}");
}

/// One at a time; a call that is given up ends its thread, and leaves no file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_up_means_no_file_and_the_next_one_has_its_turn() {
    let dir = Dir::new();
    let node = start(named("a")).await;
    for i in 0..200 {
        node.put_bytes(format!("k{i}"), vec![i as u8; 100_000], PutOptions::default()).await.unwrap();
    }
    let mut writing = Box::pin(node.snapshot(dir.0.join("s")));
    assert!((&mut writing).now_or_never().is_none(), "its thread has only been started");
    refused(node.snapshot(dir.0.join("t")).await, ErrorKind::Overloaded, &["one at a time"]);
    refused(node.restore(dir.0.join("t")).await, ErrorKind::Overloaded, &["one at a time"]);
    drop(writing);
    let info =
        eventually(SOON, "the next one has its turn", async || node.snapshot(dir.0.join("u")).await.map_err(text))
            .await;
    assert_eq!(info.records, 200);
    #[cfg(unix)]
    {
        let permissions = std::fs::metadata(dir.0.join("u")).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o077, 0, "others may not look");
    }
    let names: Vec<_> = std::fs::read_dir(&dir.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    // The first one may have been done before it was told that nobody waits.
    assert!(names.iter().all(|name| name == "u" || name == "s"), "{names:?}");
    node.stop().await;
}
