//! What these tests share: starting rings, waiting for what no call tells of, and the check that a table of tests is
//! complete.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, reason = "a module of each test file")]

use std::collections::BTreeSet;
use std::time::Duration;

use dht_core::{Config, Dht};

/// Nothing that is waited for here takes so long, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `done`, and fails when patience is at its end: for what other tasks do in their own time.
pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let looking = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while !done() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("still not: {what}"));
}

/// Starts a node.
pub async fn start(config: Config) -> Dht {
    Dht::start(config).await.expect("it starts")
}

/// Starts a node that joins the ring of `first`, and waits until it is ready.
pub async fn join(first: &Dht, config: Config) -> Dht {
    let node = start(Config { seeds: vec![first.address()], ..config }).await;
    node.wait_ready(PATIENCE).await.expect("it gets ready");
    node
}

/// Starts a ring of `count` nodes, n0 first.
pub async fn ring(count: usize, config: &Config) -> Vec<Dht> {
    let named = |i: usize| Config { node_id: format!("n{i}"), ..config.clone() };
    let mut nodes = vec![start(named(0)).await];
    while nodes.len() < count {
        let next = named(nodes.len());
        nodes.push(join(&nodes[0], next).await);
    }
    nodes
}

/// Stops all.
pub async fn stop(nodes: Vec<Dht>) {
    for node in nodes {
        node.stop().await;
    }
}

/// Keys of which `owner` is the first replica, as `seen_by` sees it.
pub fn keys_of(owner: &Dht, seen_by: &Dht, count: usize) -> Vec<String> {
    let id = owner.node_id();
    let owned = |key: &String| seen_by.locate(key).expect("it runs")[0].id == id;
    let keys: Vec<_> = (0..100_000).map(|i| format!("key-{i}")).filter(owned).take(count).collect();
    assert_eq!(keys.len(), count, "a node owns many of many keys");
    keys
}

/// Fails unless `table` names exactly `wanted`, and each of its tests is a function in one of `sources`.
pub fn check_table(wanted: &BTreeSet<String>, table: &[(&str, &str)], sources: &[String]) {
    let named: BTreeSet<String> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(named.len(), table.len(), "something stands twice in the table");
    let untested: Vec<_> = wanted.difference(&named).collect();
    let unknown: Vec<_> = named.difference(wanted).collect();
    assert!(untested.is_empty() && unknown.is_empty(), "without a test: {untested:?}; not there: {unknown:?}");
    for (name, test) in table {
        let function = format!("fn {test}()");
        assert!(sources.iter().any(|source| source.contains(&function)), "{name}: there is no test {test}");
    }
}

/// The text of a source file, by its path from this crate.
pub fn source(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
