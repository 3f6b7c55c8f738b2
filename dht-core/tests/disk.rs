//! Nodes with a `data_dir`: what is there again after a restart, alone and in rings, and what is refused.

use crate::common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{PATIENCE, join, start, until};
use dht_core::{Config, Consistency, Dht, Durability, Env, ErrorKind, GetOptions, PutOptions};

/// A temporary directory, removed when dropped.
struct Dir(PathBuf);

impl Dir {
    fn within(&self, name: &str) -> Self {
        std::fs::create_dir(self.of(name)).expect("a directory");
        Self(self.of(name))
    }

    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("dht-core-{:x}", Env::system().random_u64()));
        std::fs::create_dir(&dir).expect("a temporary directory");
        Self(dir)
    }

    fn of(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // What is left of it is in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn on(dir: PathBuf) -> Config {
    Config { data_dir: Some(dir), durability: Durability::Always, ..Config::default() }
}

/// The same node once more, at its old address.
fn again(dir: PathBuf, address: &str) -> Config {
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    Config { port, ..on(dir) }
}

async fn fill(node: &Dht, keys: std::ops::Range<u32>, value: u32) {
    for key in keys {
        node.put(format!("key {key}"), &value).await.expect("a put");
    }
}

async fn check(node: &Dht, keys: std::ops::Range<u32>, value: u32) {
    for key in keys {
        let found = node.get::<u32>(format!("key {key}")).await;
        assert_eq!(found.expect("a get"), Some(value), "key {key} at {node:?}");
    }
}

#[tokio::test]
async fn a_ring_of_one_goes_on_where_it_was() {
    let dir = Dir::new();
    let node = start(on(dir.of("a"))).await;
    let (node_id, ring) = (node.node_id(), node.ring().expect("it runs"));
    fill(&node, 0..100, 1).await;
    node.delete("key 7").await.expect("a delete");
    let newest = node.put("key 8", &2).await.expect("a put").version;
    node.stop().await;

    let node = start(on(dir.of("a"))).await;
    assert_eq!(node.node_id(), node_id, "its name was drawn once");
    #[cfg(unix)]
    for path in [dir.of("a"), dir.of("a").join("records.redb")] {
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).expect("it is there").permissions());
        assert_eq!(mode & 0o077, 0, "others may not look: {mode:o}");
    }
    assert_eq!(node.ring().expect("it runs").nodes[0].positions, ring.nodes[0].positions);
    check(&node, 0..7, 1).await;
    check(&node, 9..100, 1).await;
    assert_eq!(node.get::<u32>("key 7").await.expect("a get"), None);
    assert_eq!(node.get::<u32>("key 8").await.expect("a get"), Some(2));
    assert!(node.put("key 8", &3).await.expect("a put").version > newest, "its clock goes on");
    node.stop().await;
}

#[tokio::test]
async fn an_acknowledged_write_is_in_the_file() {
    let dir = Dir::new();
    let node = start(on(dir.of("a"))).await;
    for n in 0..50 {
        let value = format!("{:032x}", Env::system().random_u128());
        node.put(format!("key {n}"), &value).await.expect("a put");
        let file = std::fs::read(dir.of("a").join("records.redb")).expect("it is there");
        assert!(file.windows(value.len()).any(|bytes| bytes == value.as_bytes()), "put {n} was acknowledged too early");
    }
    node.stop().await;
}

#[tokio::test]
async fn what_is_buffered_is_kept_by_a_stop() {
    let dir = Dir::new();
    for durability in [Durability::None, Durability::Interval] {
        let config = Config { durability, ..on(dir.of(&durability.to_string())) };
        let node = start(config.clone()).await;
        fill(&node, 0..20, 1).await;
        node.stop().await;
        let node = start(config).await;
        check(&node, 0..20, 1).await;
        node.stop().await;
    }
}

#[tokio::test]
async fn a_restarted_member_comes_back_by_itself_and_copies_what_changed() {
    const VALUE_LEN: usize = 10_000;
    let dir = Dir::new();
    let slots = |config: Config| Config { slot_bits: 6, ..config };
    let first = start(slots(Config { node_id: "n0".to_owned(), ..Config::default() })).await;
    let second = join(&first, slots(Config { node_id: "n1".to_owned(), ..Config::default() })).await;
    let third = join(&first, slots(on(dir.of("c")))).await;
    let (name, address) = (third.node_id(), third.address());
    let put = async |key: u32, value: u8| {
        first.put_bytes(format!("key {key}"), vec![value; VALUE_LEN], PutOptions::default()).await.expect("a put");
    };
    for key in 0..200 {
        put(key, 1).await;
    }
    third.wait_ready(PATIENCE).await.expect("it gets ready");
    until("the third remembers the others", || remembers(&third, 2)).await;
    third.stop().await;
    // Two of three are a quorum; what was written without it must not be missed.
    for key in 0..20 {
        put(key, 2).await;
    }

    // Without seeds: it knows whom to ask.
    let third = start(slots(again(dir.of("c"), &address))).await;
    assert_eq!(third.node_id(), name);
    third.wait_ready(PATIENCE).await.expect("it gets ready");
    assert_eq!(third.members().expect("it runs").iter().filter(|m| m.state == "active").count(), 3);
    let copied = third.statistics().expect("it runs").bytes_received;
    assert!(copied < 100 * VALUE_LEN as u64, "20 of 200 values had changed, {copied} bytes were copied");
    for key in 0..200 {
        let found = third.get_bytes(format!("key {key}"), GetOptions::default()).await.expect("a get");
        assert_eq!(found.expect("kept")[0], if key < 20 { 2 } else { 1 }, "key {key}");
    }
    common::stop(vec![third, second, first]).await;
}

/// Whether the store of a node has been told of so many others.
fn remembers(node: &Dht, others: usize) -> bool {
    node.remembers() == Some(others)
}

/// A ring of three on disks, all of whose members know each other.
async fn ring_of_three(dir: &Dir) -> (Vec<Dht>, Vec<String>) {
    let named = |n: usize| Config { node_id: format!("n{n}"), ..on(dir.of(&n.to_string())) };
    let first = start(named(0)).await;
    let nodes = vec![first.clone(), join(&first, named(1)).await, join(&first, named(2)).await];
    for node in &nodes {
        node.wait_ready(PATIENCE).await.expect("it gets ready");
        until("everybody remembers the others", || remembers(node, 2)).await;
    }
    let addresses = nodes.iter().map(Dht::address).collect();
    (nodes, addresses)
}

#[tokio::test]
async fn a_whole_ring_comes_back_with_its_data() {
    let dir = Dir::new();
    for round in 0..3 {
        // In another order each time; nobody has seeds.
        let dir = dir.within(&format!("round {round}"));
        let (nodes, addresses) = ring_of_three(&dir).await;
        fill(&nodes[0], 0..100, 1).await;
        common::stop(nodes).await;
        let mut back = Vec::new();
        for n in 0..3 {
            let n = (n + round) % 3;
            back.push(start(again(dir.of(&n.to_string()), &addresses[n])).await);
        }
        for node in &back {
            node.wait_ready(PATIENCE).await.expect("it gets ready");
        }
        for node in &back {
            check(node, 0..100, 1).await;
        }
        fill(&back[1], 100..120, 1).await;
        check(&back[2], 100..120, 1).await;
        common::stop(back).await;
    }
}

/// The one that comes back first lacks what was written at a quorum without it: it must wait, not answer.
#[tokio::test]
async fn the_first_to_come_back_does_not_answer_with_what_it_missed() {
    let dir = Dir::new();
    let (nodes, addresses) = ring_of_three(&dir).await;
    fill(&nodes[1], 0..50, 1).await;
    // n0 misses what follows; the ring is stopped before anybody gives it up.
    nodes[0].stop().await;
    fill(&nodes[1], 0..50, 2).await;
    nodes[1].stop().await;
    nodes[2].stop().await;

    let first = start(again(dir.of("0"), &addresses[0])).await;
    let asked = tokio::spawn({
        let first = first.clone();
        async move { first.get::<u32>("key 3").await }
    });
    let waits = first.wait_ready(Duration::from_millis(50)).await.expect_err("it has not caught up");
    assert!(waits.context().contains("not ready: ") && waits.context().contains("slots have not caught up"), "{waits}");
    let second = start(again(dir.of("1"), &addresses[1])).await;
    let early = asked.await.expect("no panic");
    assert!(!matches!(early, Ok(None | Some(1))), "{early:?}");
    for node in [&first, &second] {
        node.wait_ready(PATIENCE).await.expect("it gets ready");
        check(node, 0..50, 2).await;
    }
    common::stop(vec![first, second]).await;
}

#[tokio::test]
async fn an_older_backup_does_not_count() {
    let dir = Dir::new();
    let (nodes, addresses) = ring_of_three(&dir).await;
    fill(&nodes[1], 0..50, 1).await;
    nodes[0].stop().await;
    copy(&dir.of("0"), &dir.of("backup"));
    // Another life of n0, in which everything is written anew.
    let zero = start(again(dir.of("0"), &addresses[0])).await;
    zero.wait_ready(PATIENCE).await.expect("it gets ready");
    fill(&nodes[1], 0..50, 2).await;
    for node in [&nodes[1], &nodes[2], &zero] {
        node.wait_ready(PATIENCE).await.expect("it gets ready");
        until("everybody remembers the others", || remembers(node, 2)).await;
    }
    common::stop(vec![zero, nodes[1].clone(), nodes[2].clone()]).await;

    // n0 from the backup and n1: two of three, but what n0 has is not what it had acknowledged.
    let zero = start(again(dir.of("backup"), &addresses[0])).await;
    let one = start(again(dir.of("1"), &addresses[1])).await;
    let two = start(again(dir.of("2"), &addresses[2])).await;
    for node in [&zero, &one, &two] {
        node.wait_ready(PATIENCE).await.expect("it gets ready");
        check(node, 0..50, 2).await;
    }
    assert!(zero.is_outdated(), "it was not noticed");
    assert!(!one.is_outdated() && !two.is_outdated());
    common::stop(vec![zero, one, two]).await;
}

/// Somebody else has the address of a former member by now.
#[tokio::test]
async fn a_node_that_returns_does_not_go_over_to_who_took_an_address_over() {
    let dir = Dir::new();
    let (nodes, addresses) = ring_of_three(&dir).await;
    fill(&nodes[0], 0..50, 1).await;
    let ring = nodes[0].inspect().ring_id;
    common::stop(nodes).await;
    let port = addresses[0].rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let stranger = start(Config { port, ..Config::default() }).await;

    let (one, two) = (again(dir.of("1"), &addresses[1]), again(dir.of("2"), &addresses[2]));
    let (one, two) = tokio::join!(start(one), start(two));
    for node in [&one, &two] {
        node.wait_ready(PATIENCE).await.expect("they are a ring again");
        assert_eq!(node.inspect().ring_id, ring, "it is the same ring");
        check(node, 0..50, 1).await;
    }
    assert_eq!(stranger.members().expect("it runs").len(), 1, "it is left alone");
    assert_eq!(stranger.statistics().expect("it runs").data_items_stored, 0);
    common::stop(vec![one, two, stranger]).await;
}

/// The same with one who says no, while another of the ring is there.
#[tokio::test]
async fn who_took_an_address_over_keeps_nobody_out_of_a_ring_that_lives() {
    let dir = Dir::new();
    let (nodes, addresses) = ring_of_three(&dir).await;
    fill(&nodes[0], 0..50, 1).await;
    nodes[0].stop().await;
    nodes[1].stop().await;
    let port = addresses[0].rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let stranger = start(Config { port, cluster_name: "another".to_owned(), ..Config::default() }).await;
    let one = start(again(dir.of("1"), &addresses[1])).await;
    one.wait_ready(PATIENCE).await.expect("it is back");
    assert_eq!(one.inspect().ring_id, nodes[2].inspect().ring_id);
    check(&one, 0..50, 1).await;
    common::stop(vec![one, nodes[2].clone(), stranger]).await;
}

/// A ring that lives does not take a member back that cannot be dialled where it says. That one does not form the ring a second
/// time, to serve what it held when it went.
#[tokio::test]
async fn a_member_that_its_ring_refuses_does_not_form_it_again() {
    let dir = Dir::new();
    let (nodes, addresses) = ring_of_three(&dir).await;
    fill(&nodes[0], 0..50, 1).await;
    nodes[2].stop().await;
    let refusals = || nodes[..2].iter().map(|node| node.statistics().expect("it runs").misbehaviours).sum::<u64>();
    let before = refusals();
    let astray = start(Config { advertise: "127.0.0.1:1".to_owned(), ..again(dir.of("2"), &addresses[2]) }).await;
    // More tries than it takes to take all others for gone.
    until("it was refused again and again", || refusals() >= before + 6).await;
    assert_eq!(astray.node_info().expect("it runs").state, "joining");
    astray.stop().await;
    let back = start(again(dir.of("2"), &addresses[2])).await;
    back.wait_ready(PATIENCE).await.expect("it is back");
    check(&back, 0..50, 1).await;
    common::stop(vec![back, nodes[0].clone(), nodes[1].clone()]).await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it is there");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

#[tokio::test]
async fn a_data_dir_has_one_node() {
    let dir = Dir::new();
    let node = start(on(dir.of("a"))).await;
    let error = Dht::start(on(dir.of("a"))).await.expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.context().contains(dir.of("a").to_str().expect("text")), "{error}");
    node.stop().await;
    start(on(dir.of("a"))).await.stop().await;
}

#[tokio::test]
async fn a_data_dir_is_one_nodes_for_life() {
    let dir = Dir::new();
    start(Config { node_id: "one".to_owned(), ..on(dir.of("a")) }).await.stop().await;
    for (config, names) in [
        (Config { node_id: "two".to_owned(), ..on(dir.of("a")) }, ["\"two\"", "\"one\""]),
        (Config { cluster_name: "other".to_owned(), ..on(dir.of("a")) }, ["\"other\"", "\"default\""]),
        (Config { hash_bits: 128, ..on(dir.of("a")) }, ["128", "160"]),
        (Config { slot_bits: 10, ..on(dir.of("a")) }, ["1024", "16384"]),
    ] {
        let error = Dht::start(config).await.expect_err("another node's");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(names.iter().all(|name| error.context().contains(name)), "{error}");
    }
    start(Config { node_id: "one".to_owned(), ..on(dir.of("a")) }).await.stop().await;
}

#[tokio::test]
async fn a_data_dir_that_cannot_be_is_named() {
    let dir = Dir::new();
    std::fs::write(dir.of("file"), "in the way").expect("a file");
    for path in [dir.of("file"), dir.of("nowhere").join("deeper")] {
        let error = Dht::start(on(path.clone())).await.expect_err("no directory");
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.context().contains(path.to_str().expect("text")), "{error}");
    }
}

/// Deletions are kept for 24 graces at most, here 24 s, for the sake of one that is missing. Whoever comes back later than that
/// would bring back what was deleted: the ring tells it so, and it returns empty, for what lives to be copied to it.
#[tokio::test]
async fn a_node_that_was_away_for_longer_than_deletions_are_kept_returns_empty() {
    let dir = Dir::new();
    let short = |name: &str| Config { tombstone_grace: Duration::from_secs(1), ..on(dir.of(name)) };
    let a = start(short("a")).await;
    let b = join(&a, short("b")).await;
    until("both know both", || a.view().1 == 2 && b.view().1 == 2).await;
    let all = PutOptions { consistency: Some(Consistency::All), ..PutOptions::default() };
    for key in ["deleted", "lives"] {
        a.put_bytes(key, "value", all).await.expect("both have it");
    }
    // Each was answered before the next: a has heard this life of b itself.
    until("it has been heard", || a.statistics().expect("it runs").heartbeats_sent >= 3).await;
    let address = b.address();
    b.stop().await;
    until("it is given up", || a.view().1 == 1).await;
    assert!(a.delete("deleted").await.expect("it serves"));
    // The deletion is forgotten within 24 s and a sweep.
    tokio::time::sleep(Duration::from_secs(33)).await;
    let b = start(Config {
        seeds: vec![a.address()],
        ..Config { tombstone_grace: Duration::from_secs(1), ..again(dir.of("b"), &address) }
    })
    .await;
    until("both know both", || a.view().1 == 2 && b.view().1 == 2).await;
    until("it has caught up", || [&a, &b].iter().all(|node| node.health().expect("it runs").fully_replicated)).await;
    for node in [&a, &b] {
        assert_eq!(node.get_bytes("deleted", GetOptions::default()).await.expect("it serves"), None, "{node:?}");
        let lives = node.get_bytes("lives", GetOptions::default()).await.expect("it serves");
        assert_eq!(lives.as_deref(), Some(&b"value"[..]), "{node:?}");
    }
    a.stop().await;
    b.stop().await;
}
