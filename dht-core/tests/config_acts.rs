//! Every key of the configuration acts: another value of it changes what a caller or a peer sees. Keys whose feature
//! comes in a later release are refused. Where time has to pass, the test is in `dht-sim/tests/config.rs`, on the paused
//! clock; `worker_threads`, which only programs use, is tested in `dht-cli/tests/worker_threads.rs`.

use crate::common;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Mutex;
use std::time::Duration;

use common::{PATIENCE, check_table, join, keys_of, ring, source, start, stop, until};
use dht_core::{
    Config, Consistency, Dht, Env, ErrorKind, Eviction, GetOptions, HashFunction, NetworkProtocol, PutOptions, Remote,
    Value,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as SpanRecord};
use tracing::{Event, Metadata, Subscriber};

/// Which test shows that a key acts, in the order of the documentation.
const TESTS: &[(&str, &str)] = &[
    ("node_id", "node_id_names_the_node_and_decides_its_positions"),
    ("address", "address_is_what_is_bound"),
    ("port", "port_is_what_is_bound_and_advertise_what_others_dial"),
    ("advertise", "port_is_what_is_bound_and_advertise_what_others_dial"),
    ("seeds", "seeds_are_joined"),
    ("cluster_name", "cluster_name_keeps_rings_apart"),
    ("hash_function", "hash_function_makes_the_ids"),
    ("hash_bits", "hash_bits_is_the_width_of_ids"),
    ("slot_bits", "slot_bits_is_the_grain_of_placement"),
    ("replication_factor", "replication_factor_is_the_number_of_copies"),
    ("consistency", "consistency_is_the_level_of_calls_that_name_none"),
    ("successor_list_size", "successor_list_size_bounds_the_list"),
    ("virtual_nodes", "virtual_nodes_is_the_number_of_positions"),
    ("consistent_hashing", "consistent_hashing_false_is_one_position_and_raw_digests"),
    ("backup_replicas", "backup_replicas_mends_in_the_background"),
    ("repair_rate", "repair_rate_bounds_what_a_node_takes_in"),
    ("stabilize_interval", "stabilize_interval_is_the_period_of_stabilize"),
    ("fix_finger_interval", "fix_finger_interval_is_the_period_of_fix_fingers"),
    ("check_predecessor", "check_predecessor_notices_that_it_is_gone"),
    ("heartbeat_interval", "heartbeat_interval_is_the_period_of_heartbeats"),
    ("request_timeout", "request_timeout_bounds_a_call"),
    ("max_retries", "max_retries_is_how_often_a_call_tries_again"),
    ("buffer_size", "buffer_size_bounds_what_waits_for_a_peer"),
    ("max_connections", "max_connections_closes_the_idlest"),
    ("enable_metrics", "enable_metrics_false_drops_histograms_but_no_counter"),
    ("max_key_size", "max_key_size_and_max_value_size_refuse_more"),
    ("max_value_size", "max_key_size_and_max_value_size_refuse_more"),
    ("tombstone_grace", "tombstone_grace_is_how_long_a_deletion_is_remembered"),
    ("max_clock_offset", "max_clock_offset_refuses_a_wrong_clock"),
    ("allow_insecure", "allow_insecure_permits_to_bind_every_interface"),
    ("worker_threads", "worker_threads_is_the_number_of_threads"),
    ("trace_sample", "trace_sample_makes_spans_of_one_in_so_many"),
    ("enable_logging", "enable_logging_makes_a_node_tell_of_itself"),
    ("min_replicas", "min_replicas_makes_the_small_side_refuse"),
    ("zone", "zone_keeps_the_copies_of_a_key_apart"),
    ("max_table_nodes", "max_table_nodes_refuses_whoever_would_exceed_it"),
    ("max_memory", "max_memory_refuses_or_evicts"),
    ("eviction", "max_memory_refuses_or_evicts"),
    ("routing", "routing_decides_whether_an_operation_walks"),
    ("data_dir", "a_ring_of_one_goes_on_where_it_was"),
    ("durability", "an_acknowledged_write_is_in_the_file"),
    ("network_protocol", "network_protocol_udp_takes_datagrams_at_the_same_port"),
    ("cluster_key", "a_ring_with_a_key_lets_in_who_knows_it"),
    ("tls", "a_ring_with_certificates_lets_in_who_has_one"),
];

#[test]
fn every_key_has_a_test() {
    let keys: BTreeSet<String> = Config::KEYS.iter().map(|key| (*key).to_owned()).collect();
    let sources = [
        source("tests/config_acts.rs"),
        source("tests/disk.rs"),
        source("tests/security.rs"),
        source("tests/trace_events.rs"),
        source("../dht-sim/tests/config.rs"),
        source("../dht-sim/tests/repair_rate.rs"),
        source("../dht-cli/tests/worker_threads.rs"),
    ];
    check_table(&keys, TESTS, &sources);
}

#[tokio::test]
async fn network_protocol_udp_takes_datagrams_at_the_same_port() {
    for network_protocol in [NetworkProtocol::Tcp, NetworkProtocol::Udp] {
        let node = start(Config { network_protocol, ..Config::default() }).await;
        let (connected, bound) =
            (std::net::TcpStream::connect(node.address()), std::net::UdpSocket::bind(node.address()));
        connected.expect("connections are taken in any case");
        assert_eq!(bound.is_err(), network_protocol == NetworkProtocol::Udp, "{bound:?}");
        stop(vec![node]).await;
    }
}

#[tokio::test]
async fn node_id_names_the_node_and_decides_its_positions() {
    let named = |id: &str| Config { node_id: id.to_owned(), ..Config::default() };
    let (a, again, b) = (start(named("a")).await, start(named("a")).await, start(named("b")).await);
    assert_eq!((a.node_id().as_str(), a.node_info().unwrap().id.as_str()), ("a", "a"));
    let positions = |node: &Dht| node.ring().unwrap().nodes[0].positions.clone();
    assert_eq!(positions(&a), positions(&again), "the same name, the same places");
    assert_ne!(positions(&a), positions(&b));
    let error = again.join(&[a.address()]).await.expect_err("two nodes of one name");
    assert_eq!(error.kind(), ErrorKind::NodeIdInUse, "{error}");
    let (c, d) = (start(named("")).await, start(named("")).await);
    assert!(!c.node_id().is_empty() && c.node_id() != d.node_id(), "generated");
    stop(vec![a, again, b, c, d]).await;
}

#[tokio::test]
async fn address_is_what_is_bound() {
    let at = |address: &str| Config { address: address.to_owned(), ..Config::default() };
    let default = start(Config::default()).await;
    assert!(default.address().starts_with("127.0.0.1:") && !default.address().ends_with(":0"), "{default:?}");
    let mut bound = 0;
    for (address, shown) in [("127.0.0.2", "127.0.0.2:"), ("::1", "[::1]:")] {
        // Not every machine has the one, nor every one the other.
        if TcpListener::bind((address, 0)).is_ok() {
            let node = start(at(address)).await;
            assert!(node.address().starts_with(shown), "{node:?}");
            node.stop().await;
            bound += 1;
        }
    }
    assert!(bound > 0, "this machine has neither a second IPv4 loopback address nor IPv6: nothing was shown");
    let error = Dht::start(at("no-such-host.invalid")).await.expect_err("a name that nobody may have");
    assert_eq!(error.kind(), ErrorKind::Address, "{error}");
    default.stop().await;
}

#[tokio::test]
async fn port_is_what_is_bound_and_advertise_what_others_dial() {
    // A port that was free a moment ago; somebody may take it in between, then another one is tried.
    let mut tries = 0;
    let (port, node) = loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        match Dht::start(Config { port, advertise: format!("localhost:{port}"), ..Config::default() }).await {
            Ok(node) => break (port, node),
            Err(error) if error.kind() == ErrorKind::Address && tries < 50 => tries += 1,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(TcpListener::bind(("127.0.0.1", port)).is_err(), "the port is taken");
    let error = Dht::start(Config { port, ..Config::default() }).await.expect_err("a port in use");
    assert_eq!(error.kind(), ErrorKind::Address);
    assert!(error.context().contains(&port.to_string()), "{error}");

    assert_eq!(node.address(), format!("localhost:{port}"), "advertised");
    let other = join(&node, Config::default()).await;
    let members = other.members().unwrap();
    assert!(members.iter().any(|member| member.address == format!("localhost:{port}")), "{members:?}");
    other.put("k", &1).await.unwrap();
    assert_eq!(node.get::<i32>("k").await.unwrap(), Some(1));
    stop(vec![node, other]).await;
}

#[tokio::test]
async fn seeds_are_joined() {
    let first = start(Config::default()).await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = silent.local_addr().unwrap().to_string();
    let seeds = vec![nobody.clone(), first.address()];
    let second = start(Config { seeds, ..Config::default() }).await;
    assert_eq!(second.members().unwrap().len(), 2, "the second seed answered");

    let quick = Config { request_timeout: Duration::from_millis(100), ..Config::default() };
    // A node may found a ring if it is itself the smallest of silent seeds; twice over its own port is impossible.
    let lonely = start(Config { seeds: vec![nobody], ..quick.clone() }).await;
    assert_eq!(lonely.node_info().unwrap().state, "joining");
    assert!(!lonely.health().unwrap().joined);
    let error = Dht::start(Config { seeds: vec!["no-such-host.invalid:1".to_owned()], ..quick }).await;
    assert_eq!(error.expect_err("an unresolvable seed").kind(), ErrorKind::Address);
    stop(vec![first, second, lonely]).await;
}

#[tokio::test]
async fn cluster_name_keeps_rings_apart() {
    let named = |name: &str| Config { cluster_name: name.to_owned(), ..Config::default() };
    let (a, b) = (start(named("a")).await, start(named("b")).await);
    let error = b.join(&[a.address()]).await.expect_err("another cluster");
    assert_eq!(error.kind(), ErrorKind::IncompatibleRing);
    assert!(error.context().contains("\"a\"") && error.context().contains("\"b\""), "names both: {error}");
    assert_eq!((a.members().unwrap().len(), b.members().unwrap().len()), (1, 1));
    let same = join(&a, named("a")).await;
    assert_eq!(same.members().unwrap().len(), 2);
    stop(vec![a, b, same]).await;
}

/// A ring of `theirs` refuses a node of `ours`, naming the key and both values.
async fn differ(key: &str, ours: Config, theirs: Config, values: [&str; 2]) {
    let (a, b) = (start(theirs).await, start(ours).await);
    let error = b.join(&[a.address()]).await.expect_err(key);
    assert_eq!(error.kind(), ErrorKind::IncompatibleRing, "{error}");
    let text = error.context();
    assert!(text.contains(key) && values.iter().all(|value| text.contains(value)), "{error}");
    stop(vec![a, b]).await;
}

#[tokio::test]
async fn hash_function_makes_the_ids() {
    let mut ids = BTreeSet::new();
    for &hash_function in HashFunction::ALL {
        let node = start(Config { hash_function, hash_bits: 256, ..Config::default() }).await;
        ids.insert(node.hash_key_hex("abc"));
        let digest = match hash_function {
            HashFunction::Md5 => "900150983cd24fb0d6963f7d28e17f72",
            HashFunction::Sha1 => "a9993e364706816aba3e25717850c26c9cd0d89d",
            HashFunction::Sha256 => "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            _ => "",
        };
        assert!(node.hash_key_hex("abc").starts_with(digest), "{hash_function}: {}", node.hash_key_hex("abc"));
        node.stop().await;
    }
    assert_eq!(ids.len(), HashFunction::ALL.len(), "{ids:?}");
    let sha1 = Config { hash_function: HashFunction::Sha1, ..Config::default() };
    differ("hash_function", sha1, Config::default(), ["sha1", "sha256"]).await;
}

#[tokio::test]
async fn hash_bits_is_the_width_of_ids() {
    // The top bits of one and the same digest, ba7816bf….
    for (hash_bits, id) in [(1, "1"), (4, "b"), (6, "2e"), (8, "ba"), (32, "ba7816bf")] {
        let node = start(Config { hash_bits, virtual_nodes: Some(1), ..Config::default() }).await;
        assert_eq!(node.hash_key_hex("abc"), id, "{hash_bits} bits");
        let ring = node.ring().unwrap();
        assert_eq!(ring.hash_bits, hash_bits);
        assert_eq!(ring.nodes[0].positions[0].len(), id.len());
        node.stop().await;
    }
    differ("hash_bits", Config { hash_bits: 128, ..Config::default() }, Config::default(), ["128", "160"]).await;
}

#[tokio::test]
async fn slot_bits_is_the_grain_of_placement() {
    let mut owners = Vec::new();
    for slot_bits in [0, 10] {
        let config = Config { slot_bits, replication_factor: 1, ..Config::default() };
        let nodes = ring(2, &config).await;
        assert_eq!(nodes[0].ring().unwrap().slot_bits, slot_bits);
        let owner = |i: u32| nodes[0].locate(format!("key-{i}")).unwrap()[0].id.clone();
        owners.push((0..100).map(owner).collect::<BTreeSet<_>>().len());
        stop(nodes).await;
    }
    assert_eq!(owners, [1, 2], "one slot has one owner, many have both");
    differ("slot_bits", Config { slot_bits: 12, ..Config::default() }, Config::default(), ["12", "14"]).await;
}

#[tokio::test]
async fn replication_factor_is_the_number_of_copies() {
    for (replication_factor, alone_degraded) in [(1, false), (2, true), (3, true)] {
        let config = Config { replication_factor, consistency: Consistency::All, ..Config::default() };
        let first = start(config.clone()).await;
        assert_eq!(first.put("k", &0).await.unwrap().degraded, alone_degraded);
        // What a node brings along does not count: it takes the ring's.
        let others = Config { replication_factor: 3, ..config.clone() };
        let nodes = [join(&first, others.clone()).await, join(&first, others).await];
        let outcome = nodes[1].put("k", &1).await.unwrap();
        assert_eq!((outcome.set_size, outcome.degraded), (replication_factor as u32, false));
        assert_eq!(first.locate("k").unwrap().len(), replication_factor);
        assert_eq!(usize::from(nodes[0].ring().unwrap().replication_factor), replication_factor);
        let [second, third] = nodes;
        let all = [first, second, third];
        // What lost its place in the list goes when everybody has it.
        until("as many copies", || {
            let stored = |node: &Dht| node.statistics().unwrap().data_items_stored;
            all.iter().map(stored).sum::<u64>() == replication_factor as u64
        })
        .await;
        stop(all.into()).await;
    }
}

#[tokio::test]
async fn consistency_is_the_level_of_calls_that_name_none() {
    let mut nodes = ring(3, &Config::default()).await;
    for (consistency, wanted) in [(Consistency::One, 1), (Consistency::Quorum, 2), (Consistency::All, 3)] {
        let client = join(&nodes[0], Config { consistency, virtual_nodes: Some(0), ..Config::default() }).await;
        let outcome = client.put("k", &1).await.unwrap();
        assert_eq!(outcome.wanted, wanted, "{consistency}");
        assert!(outcome.acks >= wanted);
        let options = PutOptions { consistency: Some(Consistency::All), ..PutOptions::default() };
        assert_eq!(client.put_with("k", &1, options).await.unwrap().wanted, 3, "a call may name its own");
        nodes.push(client);
    }
    stop(nodes).await;
}

#[tokio::test]
async fn virtual_nodes_is_the_number_of_positions() {
    let first = start(Config::default()).await;
    assert_eq!(first.ring().unwrap().nodes[0].positions.len(), 16, "the default");
    for vnodes in [1, 40] {
        let node = start(Config { virtual_nodes: Some(vnodes), ..Config::default() }).await;
        assert_eq!(node.ring().unwrap().nodes[0].positions.len(), usize::from(vnodes));
        assert_eq!(node.node_info().unwrap().vnodes, u32::from(vnodes));
        node.stop().await;
    }
    let client = join(&first, Config { virtual_nodes: Some(0), ..Config::default() }).await;
    client.put("k", &1).await.unwrap();
    assert_eq!(client.get::<i32>("k").await.unwrap(), Some(1));
    assert_eq!(client.statistics().unwrap().data_items_stored, 0, "a client stores nothing");
    assert_eq!(first.members().unwrap().len(), 1, "and is no member");
    stop(vec![first, client]).await;
}

#[tokio::test]
async fn consistent_hashing_false_is_one_position_and_raw_digests() {
    let fnv = |consistent_hashing| Config {
        hash_function: HashFunction::Fnv1a,
        hash_bits: 64,
        consistent_hashing,
        ..Config::default()
    };
    let (mixed, raw) = (start(fnv(true)).await, start(fnv(false)).await);
    assert_eq!(raw.hash_key_hex("a"), "af63dc4c8601ec8c", "FNV-1a of \"a\" as published");
    assert_ne!(mixed.hash_key_hex("a"), raw.hash_key_hex("a"));
    let positions = |node: &Dht| node.ring().unwrap().nodes[0].positions.len();
    assert_eq!((positions(&mixed), positions(&raw)), (16, 1));
    let many = Config { virtual_nodes: Some(2), ..fnv(false) };
    assert_eq!(Dht::start(many).await.expect_err("two positions").kind(), ErrorKind::Config);
    stop(vec![mixed, raw]).await;
    differ("consistent_hashing", fnv(false), fnv(true), ["false", "true"]).await;
}

#[tokio::test]
async fn buffer_size_bounds_what_waits_for_a_peer() {
    let mut refused = Vec::new();
    for buffer_size in [2, 1024] {
        let owner = start(Config { replication_factor: 1, ..Config::default() }).await;
        let caller = join(&owner, Config { buffer_size, ..Config::default() }).await;
        let keys = keys_of(&owner, &caller, 64);
        let results = futures_util::future::join_all(keys.iter().map(|key| caller.put(key, &1))).await;
        let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        for error in &errors {
            assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
            assert!(!error.maybe_applied(), "{error}");
        }
        refused.push(errors.len());
        stop(vec![owner, caller]).await;
    }
    assert!(refused[0] > 0, "64 calls at once do not fit into 2 places");
    assert_eq!(refused[1], 0);
}

#[tokio::test]
async fn max_connections_closes_the_idlest() {
    let path = "/proc/self/net/tcp";
    if std::fs::read_to_string(path).is_err() {
        println!("skipped: this machine does not show its connections in {path}");
        return;
    }
    let established = |port: u16| {
        let table = std::fs::read_to_string(path).expect("a table of connections");
        let local = format!(":{port:04X}");
        let is = |line: &&str| {
            let mut words = line.split_whitespace().skip(1);
            words.next().is_some_and(|address| address.ends_with(&local)) && words.nth(1) == Some("01")
        };
        table.lines().filter(is).count()
    };
    for (max_connections, left) in [(2, 2), (1024, 5)] {
        let node = start(Config { max_connections, ..Config::default() }).await;
        let port = node.address().rsplit(':').next().unwrap().parse().unwrap();
        let mut remotes = Vec::new();
        for _ in 0..5 {
            let remote = Remote::connect(&node.address(), "default", Duration::from_secs(10)).await.unwrap();
            remotes.push(remote);
        }
        until("the idlest are closed", || established(port) == left).await;
        // Whose connection was closed gets another one.
        let value = Value::from_serialize(&1).unwrap();
        remotes[0].put(b"k", value, &PutOptions::default()).await.unwrap();
        assert!(established(port) <= left.max(5));
        node.stop().await;
    }
}

#[tokio::test]
async fn enable_metrics_false_drops_histograms_but_no_counter() {
    for enable_metrics in [true, false] {
        let node = start(Config { enable_metrics, ..Config::default() }).await;
        node.put("k", &1).await.unwrap();
        assert_eq!(node.get::<i32>("k").await.unwrap(), Some(1));
        let s = node.statistics().unwrap();
        for quantile in [s.store_time_p50, s.store_time_p99, s.lookup_time_p50, s.lookup_time_p99] {
            assert_eq!(quantile > 0.0, enable_metrics, "{s:?}");
        }
        assert_eq!((s.stores_successful, s.lookups_successful), (1, 1));
        assert!(s.average_store_time > 0.0 && s.average_lookup_time > 0.0, "{s:?}");
        node.stop().await;
    }
}

/// The nodes that told of anything.
static LOGGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut NodeField);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &SpanRecord<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct NodeField;

impl Visit for NodeField {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "node" {
            LOGGED.lock().unwrap().insert(format!("{value:?}"));
        }
    }
}

#[tokio::test]
async fn enable_logging_makes_a_node_tell_of_itself() {
    // For the whole process: a node's tasks run on whatever thread there is.
    tracing::subscriber::set_global_default(Listener).expect("no library sets one");
    for (node_id, enable_logging) in [("talks", true), ("is silent", false)] {
        let config = Config { node_id: node_id.to_owned(), enable_logging, ..Config::default() };
        let node = start(config.clone()).await;
        let other = join(&node, Config { node_id: format!("{node_id} too"), ..config }).await;
        other.leave(common::PATIENCE).await.unwrap();
        node.stop().await;
    }
    let logged = LOGGED.lock().unwrap().clone();
    assert!(logged.contains("talks") && logged.contains("talks too"), "{logged:?}");
    assert!(!logged.iter().any(|node| node.starts_with("is silent")), "{logged:?}");
}

#[tokio::test]
async fn max_key_size_and_max_value_size_refuse_more() {
    let node = start(Config { max_key_size: 10, max_value_size: 100, ..Config::default() }).await;
    // The ring's bounds hold, whatever a later node brings along.
    let other = join(&node, Config::default()).await;
    for node in [&node, &other] {
        let put = |key: usize, value: usize| node.put_bytes("k".repeat(key), vec![0; value], PutOptions::default());
        put(10, 100).await.unwrap();
        put(0, 0).await.unwrap();
        for (key, value, name) in [(11, 1, "max_key_size is 10"), (1, 101, "max_value_size is 100")] {
            let error = put(key, value).await.expect_err(name);
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            assert!(error.context().contains(name) && !error.maybe_applied(), "{error}");
        }
        let error = node.get_bytes("k".repeat(11), GetOptions::default()).await.expect_err("a long key");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
    stop(vec![node, other]).await;
}

#[tokio::test]
async fn allow_insecure_permits_to_bind_every_interface() {
    for address in ["0.0.0.0", "::"] {
        let config = Config { address: address.to_owned(), ..Config::default() };
        let error = Dht::start(config).await.expect_err("open to anyone");
        assert_eq!(error.kind(), ErrorKind::Insecure);
        assert!(error.context().contains("allow_insecure"), "{error}");
    }
    let node = start(Config { address: "0.0.0.0".to_owned(), allow_insecure: true, ..Config::default() }).await;
    assert!(!node.address().starts_with("0.0.0.0"), "others cannot dial {}", node.address());
    let cluster = Env::system().random_u64();
    let refused = Remote::connect(&node.address(), &format!("{cluster:x}"), Duration::from_secs(10)).await;
    assert_eq!(refused.expect_err("another cluster").kind(), ErrorKind::IncompatibleRing, "it does answer");
    node.stop().await;
}

#[tokio::test]
async fn max_table_nodes_refuses_whoever_would_exceed_it() {
    let config = Config { max_table_nodes: 2, ..Config::default() };
    let mut nodes = ring(2, &config).await;
    let joining = Config { seeds: vec![nodes[1].address()], ..Config::default() };
    let error = Dht::start(joining.clone()).await.expect_err("a third");
    assert_eq!(error.kind(), ErrorKind::RingFull, "{error}");
    assert!(
        error.context().contains("has 2 nodes") && error.context().contains("max_table_nodes of n1 is 2"),
        "{error}"
    );
    // A client is no member, and whoever leaves makes room.
    let client = start(Config { virtual_nodes: Some(0), ..joining.clone() }).await;
    client.put("k", &1).await.expect("it is let in");
    client.stop().await;
    nodes.remove(0).leave(PATIENCE).await.expect("it hands over");
    until("n1 knows", || nodes[0].ring().expect("it runs").nodes.len() == 1).await;
    nodes.push(join(&nodes[0], joining).await);
    until("n0, who is gone, is forgotten", || nodes[0].members().expect("it runs").len() == 2).await;
    stop(nodes).await;
}

#[tokio::test]
async fn max_memory_refuses_or_evicts() {
    const BOUND: u64 = 8 << 20;
    let bounded = |eviction| Config { max_memory: Some(BOUND), max_value_size: 1 << 20, eviction, ..Config::default() };
    let value = |n: u32| vec![n as u8; 100_000];
    let options = PutOptions::default();
    let key = |n: u32| format!("key-{n}");

    let node = start(bounded(Eviction::Reject)).await;
    let mut taken = 0;
    let error = loop {
        match node.put_bytes(key(taken), value(taken), options).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!((60..=80).contains(&taken), "{taken} values of 100,000 bytes in 8 MiB");
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::MemoryFull, false), "{error}");
    assert!(error.context().contains(&format!("max_memory is {BOUND}")), "{error}");
    assert!(!node.contains(key(taken)).await.unwrap(), "nothing was applied");
    let larger = node.put_bytes(key(0), vec![1; 300_000], options).await.expect_err("larger than what is there");
    assert_eq!(larger.kind(), ErrorKind::MemoryFull);
    assert_eq!(node.get_bytes(key(0), GetOptions::default()).await.unwrap().as_deref(), Some(&value(0)[..]));
    node.put_bytes(key(0), vec![1; 10], options).await.expect("smaller than what is there");
    node.put_bytes(key(taken), vec![1; 90_000], options).await.expect("into that room");
    for n in 0..taken {
        assert!(node.delete(key(n)).await.expect("deletions go on"));
    }
    node.put_bytes("again", value(0), options).await.expect("there is room again");
    assert_eq!(node.statistics().unwrap().errors["MEMORY_FULL"], 2);
    node.stop().await;

    let node = start(bounded(Eviction::Lru)).await;
    for n in 0..3 * taken {
        node.put_bytes(key(n), value(n), options).await.expect("room is made");
        node.get_bytes(key(0), GetOptions::default()).await.expect("it is read all the time");
    }
    let statistics = node.statistics().unwrap();
    assert!(statistics.data_bytes_stored < BOUND, "{statistics:?}");
    assert_eq!(statistics.data_items_stored + statistics.evictions, u64::from(3 * taken));
    assert!(node.contains(key(0)).await.unwrap(), "in use");
    assert!(!node.contains(key(1)).await.unwrap(), "unused for long");
    node.stop().await;
}
