//! Every statistic moves as documented. Those that move only with time, or while something is held up, are tested in
//! `dht-sim/tests/statistics.rs`, on the paused clock.

use crate::common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::{PATIENCE, check_table, join, keys_of, ring, source, start, stop, until};
use dht_core::{Config, Consistency, Dht, Env, ErrorKind, Eviction, GetOptions, PutOptions, Statistics, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Which test shows that a field of `Statistics` moves.
const STATISTICS: &[(&str, &str)] = &[
    ("start_time", "start_time_stands_and_uptime_runs"),
    ("uptime", "start_time_stands_and_uptime_runs"),
    ("messages_sent", "messages_and_bytes_are_those_of_both_sides"),
    ("messages_received", "messages_and_bytes_are_those_of_both_sides"),
    ("bytes_sent", "messages_and_bytes_are_those_of_both_sides"),
    ("bytes_received", "messages_and_bytes_are_those_of_both_sides"),
    ("stores_successful", "stores_and_lookups_are_counted_per_key"),
    ("stores_failed", "failures_are_counted_by_their_name"),
    ("lookups_successful", "stores_and_lookups_are_counted_per_key"),
    ("lookups_failed", "failures_are_counted_by_their_name"),
    ("lookups_not_found", "stores_and_lookups_are_counted_per_key"),
    ("average_store_time", "times_are_seconds_per_key"),
    ("average_lookup_time", "times_are_seconds_per_key"),
    ("store_time_p50", "times_are_seconds_per_key"),
    ("store_time_p99", "times_are_seconds_per_key"),
    ("lookup_time_p50", "times_are_seconds_per_key"),
    ("lookup_time_p99", "times_are_seconds_per_key"),
    ("data_items_stored", "data_stored_is_what_lives_here"),
    ("data_bytes_stored", "data_stored_is_what_lives_here"),
    ("nodes_joined", "nodes_joined_and_left_are_others"),
    ("nodes_left", "nodes_joined_and_left_are_others"),
    ("network_errors", "network_errors_are_dials_that_failed"),
    ("stabilize_operations", "maintenance_is_counted"),
    ("finger_table_updates", "maintenance_is_counted"),
    ("heartbeats_sent", "maintenance_is_counted"),
    ("replications_sent", "replications_sent_are_records_for_others"),
    ("lookup_success_rate", "failures_are_counted_by_their_name"),
    ("store_success_rate", "failures_are_counted_by_their_name"),
    ("node_availability", "node_availability_is_the_share_of_answered_heartbeats"),
    ("finger_table_accuracy", "finger_table_accuracy_falls_with_newcomers_and_recovers"),
    ("conflicts_resolved", "conflicts_resolved_are_writes_that_knew_nothing_of_each_other"),
    ("under_replicated_slots", "under_replicated_slots_are_those_not_known_to_be_equal"),
    ("hits", "hits_and_misses_are_lookups_with_and_without_a_value"),
    ("misses", "hits_and_misses_are_lookups_with_and_without_a_value"),
    ("evictions", "evictions_are_counted_where_the_record_was"),
    ("expirations", "expirations_are_counted_where_the_record_was"),
    ("misbehaviours", "what_no_node_does_is_counted_by_kind_and_by_peer"),
    ("misbehaviour_kinds", "what_no_node_does_is_counted_by_kind_and_by_peer"),
    ("misbehaving_peers", "what_no_node_does_is_counted_by_kind_and_by_peer"),
    ("errors", "failures_are_counted_by_their_name"),
];

/// The same for `Health`.
const HEALTH: &[(&str, &str)] = &[
    ("joined", "joined_is_whether_it_is_in_a_ring"),
    ("handed_over", "bytes_to_go_are_what_others_should_hold"),
    ("fully_replicated", "under_replicated_slots_are_those_not_known_to_be_equal"),
    ("under_replicated_slots", "under_replicated_slots_are_those_not_known_to_be_equal"),
    ("bytes_to_go", "bytes_to_go_are_what_others_should_hold"),
    ("storage_ok", "storage_ok_is_true_of_memory"),
];

#[tokio::test]
async fn every_field_has_a_test() {
    let node = start(Config::default()).await;
    let sources = [source("tests/statistics.rs"), source("../dht-sim/tests/statistics.rs")];
    let fields = |json: serde_json::Value| json.as_object().expect("flat").keys().cloned().collect::<BTreeSet<_>>();
    let statistics = fields(serde_json::to_value(node.statistics().unwrap()).unwrap());
    check_table(&statistics, STATISTICS, &sources);
    let health = fields(serde_json::to_value(node.health().unwrap()).unwrap());
    check_table(&health, HEALTH, &sources);
    node.stop().await;
    assert_eq!(node.statistics().expect_err("stopped").kind(), ErrorKind::Stopped);
}

fn stats(node: &Dht) -> Statistics {
    node.statistics().expect("it runs")
}

fn value(i: i32) -> Value {
    Value::from_serialize(&i).expect("JSON")
}

#[tokio::test]
async fn start_time_stands_and_uptime_runs() {
    let wall = || Env::system().wall_ms() as f64 / 1000.0;
    let before = wall();
    let node = start(Config::default()).await;
    let first = stats(&node);
    // The wall clock counts whole milliseconds.
    assert!((before - 0.01..=wall() + 0.01).contains(&first.start_time), "{} after {before}", first.start_time);
    until("time passes", || stats(&node).uptime >= first.uptime + 0.05).await;
    let second = stats(&node);
    assert!((second.start_time - first.start_time).abs() < 0.02, "{} {}", second.start_time, first.start_time);
    assert!((second.start_time + second.uptime - wall()).abs() < 0.5);
    node.stop().await;
}

#[tokio::test]
async fn messages_and_bytes_are_those_of_both_sides() {
    let alone = start(Config::default()).await;
    let s = stats(&alone);
    assert_eq!((s.messages_sent, s.messages_received, s.bytes_sent, s.bytes_received), (0, 0, 0, 0));
    let other = join(&alone, Config::default()).await;
    let (a, b) = (stats(&alone), stats(&other));
    for s in [&a, &b] {
        assert!(s.messages_sent > 0 && s.messages_received > 0, "{s:?}");
        assert!(s.bytes_sent > s.messages_sent && s.bytes_received > s.messages_received, "{s:?}");
    }
    // A value of a megabyte that goes to a replica.
    let options = PutOptions { consistency: Some(Consistency::All), ..PutOptions::default() };
    let key = &keys_of(&alone, &alone, 1)[0];
    alone.put_bytes(key, vec![7; 1 << 20], options).await.unwrap();
    let after = stats(&alone);
    assert!(after.bytes_sent - a.bytes_sent >= 1 << 20, "{} {}", after.bytes_sent, a.bytes_sent);
    assert!(after.messages_sent > a.messages_sent && after.messages_received > a.messages_received);
    assert!(stats(&other).bytes_received - b.bytes_received >= 1 << 20);
    stop(vec![alone, other]).await;
}

#[tokio::test]
async fn stores_and_lookups_are_counted_per_key() {
    let nodes = ring(2, &Config::default()).await;
    let node = &nodes[1];
    node.put("a", &1).await.unwrap();
    node.delete("a").await.unwrap();
    node.delete("never there").await.unwrap();
    let s = stats(node);
    assert_eq!((s.stores_successful, s.stores_failed), (3, 0), "a delete is a store, also of nothing");
    node.get::<i32>("a").await.unwrap();
    node.contains("a").await.unwrap();
    node.ttl("a").await.unwrap();
    let s = stats(node);
    assert_eq!((s.lookups_successful, s.lookups_not_found, s.lookups_failed), (3, 3, 0), "a miss is an answer");
    let entries = (0..100).map(|i| (format!("k{i}"), value(i)));
    node.put_many(entries, PutOptions::default()).await.unwrap();
    node.get_many((50..150).map(|i| format!("k{i}")), GetOptions::default()).await.unwrap();
    node.delete_many((0..10).map(|i| format!("k{i}")), GetOptions::default()).await.unwrap();
    let s = stats(node);
    assert_eq!(s.stores_successful, 3 + 110);
    assert_eq!((s.lookups_successful, s.lookups_not_found), (3 + 100, 3 + 50));
    assert_eq!((s.store_success_rate, s.lookup_success_rate), (1.0, 1.0));
    let other = stats(&nodes[0]);
    assert_eq!((other.stores_successful, other.lookups_successful), (0, 0), "counted at the node called");
    stop(nodes).await;
}

#[tokio::test]
async fn failures_are_counted_by_their_name() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let seeds = vec![silent.local_addr().unwrap().to_string()];
    let node = start(Config { seeds, request_timeout: Duration::from_millis(50), ..Config::default() }).await;
    let s = stats(&node);
    assert_eq!((s.stores_failed, s.lookups_failed), (0, 0));
    assert_eq!((s.store_success_rate, s.lookup_success_rate), (1.0, 1.0), "nothing was tried");
    assert_eq!(s.errors.get("NOT_JOINED"), None);
    for _ in 0..3 {
        assert_eq!(node.put("k", &1).await.expect_err("in no ring").kind(), ErrorKind::NotJoined);
    }
    let results = node.put_many((0..5).map(|i| (format!("k{i}"), value(i))), PutOptions::default()).await.unwrap();
    assert!(results.iter().all(Result::is_err));
    for _ in 0..2 {
        assert_eq!(node.get::<i32>("k").await.expect_err("in no ring").kind(), ErrorKind::NotJoined);
    }
    let s = stats(&node);
    assert_eq!((s.stores_failed, s.stores_successful, s.store_success_rate), (8, 0, 0.0));
    assert_eq!((s.lookups_failed, s.lookups_successful, s.lookup_success_rate), (2, 0, 0.0));
    assert_eq!(s.errors["NOT_JOINED"], 10, "{:?}", s.errors);
    assert_eq!((s.average_store_time, s.average_lookup_time), (0.0, 0.0), "of successes");

    let long = vec![7; 4_097];
    node.put(&long, &1).await.expect_err("too long");
    node.put_many([(long.clone(), value(1))], PutOptions::default()).await.unwrap()[0].as_ref().expect_err("too long");
    node.get::<i32>(&long).await.expect_err("too long");
    node.get_many([long], GetOptions::default()).await.unwrap()[0].as_ref().expect_err("too long");
    let s = stats(&node);
    assert_eq!((s.stores_failed, s.lookups_failed, s.errors["TOO_LARGE"]), (10, 4, 4), "{:?}", s.errors);

    let ring = start(Config::default()).await;
    // On a busy machine the short timeout may pass while it is still joining; it goes on.
    drop(node.join(&[ring.address()]).await);
    node.wait_ready(PATIENCE).await.unwrap();
    let patient = PutOptions { timeout: Some(PATIENCE), ..PutOptions::default() };
    for i in 0..10 {
        node.put_with(format!("k{i}"), &i, patient).await.unwrap();
    }
    assert_eq!(stats(&node).store_success_rate, 0.5);
    stop(vec![node, ring]).await;
}

#[tokio::test]
async fn times_are_seconds_per_key() {
    let node = start(Config::default()).await;
    let s = stats(&node);
    assert_eq!((s.store_time_p50, s.store_time_p99, s.lookup_time_p50, s.lookup_time_p99), (0.0, 0.0, 0.0, 0.0));
    assert_eq!((s.average_store_time, s.average_lookup_time), (0.0, 0.0));
    for i in 0..1000 {
        node.put(format!("k{i}"), &i).await.unwrap();
        node.get::<i32>(format!("k{i}")).await.unwrap();
    }
    let s = stats(&node);
    for (p50, p99, average) in [
        (s.store_time_p50, s.store_time_p99, s.average_store_time),
        (s.lookup_time_p50, s.lookup_time_p99, s.average_lookup_time),
    ] {
        assert!(0.0 < p50 && p50 <= p99, "{s:?}");
        assert!(average > 0.0 && p99 < s.uptime && average < s.uptime, "seconds: {s:?}");
    }
    node.stop().await;
}

#[tokio::test]
async fn data_stored_is_what_lives_here() {
    let nodes = ring(2, &Config { consistency: Consistency::All, ..Config::default() }).await;
    let stored = || nodes.iter().map(|n| (stats(n).data_items_stored, stats(n).data_bytes_stored)).collect::<Vec<_>>();
    assert_eq!(stored(), [(0, 0), (0, 0)]);
    for i in 0..10 {
        nodes[0].put_bytes(format!("k{i}"), vec![0; 100], PutOptions::default()).await.unwrap();
    }
    assert_eq!(stored(), [(10, 1020), (10, 1020)], "keys and values, replicas included");
    nodes[1].delete("k0").await.unwrap();
    nodes[1].put_bytes("k1", vec![0; 200], PutOptions::default()).await.unwrap();
    until("the deletion is everywhere", || stored() == [(9, 1020), (9, 1020)]).await;
    stop(nodes).await;
}

#[tokio::test]
async fn nodes_joined_and_left_are_others() {
    let quick = Config { heartbeat_interval: Duration::from_millis(50), ..Config::default() };
    let first = start(quick.clone()).await;
    assert_eq!((stats(&first).nodes_joined, stats(&first).nodes_left), (0, 0));
    let leaver = join(&first, quick.clone()).await;
    let client = join(&first, Config { virtual_nodes: Some(0), ..quick.clone() }).await;
    assert_eq!(stats(&first).nodes_joined, 1, "a client is none");
    let victim = join(&first, quick).await;
    until("all joined", || stats(&first).nodes_joined == 2 && stats(&leaver).nodes_joined == 2).await;
    client.stop().await;
    leaver.leave(PATIENCE).await.unwrap();
    until("one left", || stats(&first).nodes_left == 1).await;
    victim.stop().await;
    until("one was given up", || stats(&first).nodes_left == 2).await;
    assert_eq!(stats(&first).nodes_joined, 2);
    first.stop().await;
}

#[tokio::test]
async fn network_errors_are_dials_that_failed() {
    let nodes = ring(2, &Config { heartbeat_interval: Duration::from_millis(50), ..Config::default() }).await;
    let before = stats(&nodes[0]).network_errors;
    nodes[1].stop().await;
    until("it is missed", || stats(&nodes[0]).network_errors > before).await;
    stop(nodes).await;
}

#[tokio::test]
async fn maintenance_is_counted() {
    let period = Duration::from_millis(20);
    let quick = Config {
        stabilize_interval: period,
        fix_finger_interval: period,
        heartbeat_interval: period,
        // With more, all the starts of the few fingers may be its own.
        virtual_nodes: Some(1),
        ..Config::default()
    };
    let first = start(quick.clone()).await;
    let s = stats(&first);
    assert_eq!((s.heartbeats_sent, s.finger_table_updates), (0, 0), "nobody to send one to");
    let other = join(&first, quick).await;
    let before = stats(&first);
    until("stabilized", || stats(&first).stabilize_operations >= before.stabilize_operations + 10).await;
    until("heartbeats", || stats(&first).heartbeats_sent >= before.heartbeats_sent + 10).await;
    until("fingers", || stats(&first).finger_table_updates > 0).await;
    stop(vec![first, other]).await;
}

#[tokio::test]
async fn replications_sent_are_records_for_others() {
    let nodes = ring(3, &Config { consistency: Consistency::All, ..Config::default() }).await;
    let before = stats(&nodes[0]).replications_sent;
    for key in keys_of(&nodes[0], &nodes[0], 20) {
        nodes[1].put(key, &1).await.unwrap();
    }
    assert_eq!(stats(&nodes[0]).replications_sent - before, 40, "two other replicas each, sent by the owner");
    stop(nodes).await;
}

#[tokio::test]
async fn conflicts_resolved_are_writes_that_knew_nothing_of_each_other() {
    let (a, b) = (start(Config::default()).await, start(Config::default()).await);
    for i in 0..10 {
        a.put(format!("k{i}"), &"a").await.unwrap();
    }
    // Later by the clock, so these win.
    let written_ms = Env::system().wall_ms();
    until("the clock moves on", || Env::system().wall_ms() > written_ms + 1).await;
    for i in 5..15 {
        b.put(format!("k{i}"), &"b").await.unwrap();
    }
    let resolved = || stats(&a).conflicts_resolved + stats(&b).conflicts_resolved;
    assert_eq!(resolved(), 0);
    b.join(&[a.address()]).await.unwrap();
    for node in [&a, &b] {
        node.wait_ready(PATIENCE).await.unwrap();
    }
    until("all is merged", || [&a, &b].iter().all(|n| stats(n).data_items_stored == 15)).await;
    for node in [&a, &b] {
        for i in 0..15 {
            let expected = if i < 5 { "a" } else { "b" };
            assert_eq!(node.get::<String>(format!("k{i}")).await.unwrap().as_deref(), Some(expected), "k{i}");
        }
    }
    assert!((5..=20).contains(&resolved()), "five keys, on two nodes: {}", resolved());
    // One write after the other is no conflict, whoever coordinates them.
    let before = resolved();
    for i in 0..15 {
        b.put(format!("k{i}"), &"c").await.unwrap();
        a.put(format!("k{i}"), &"d").await.unwrap();
    }
    assert_eq!(resolved(), before);
    stop(vec![a, b]).await;
}

/// A store in memory cannot fail; the field moves with the store on disk.
#[tokio::test]
async fn storage_ok_is_true_of_memory() {
    let node = start(Config::default()).await;
    assert!(node.health().unwrap().storage_ok);
    node.stop().await;
}

#[tokio::test]
async fn hits_and_misses_are_lookups_with_and_without_a_value() {
    let nodes = ring(3, &Config::default()).await;
    nodes[0].put_many((0..4).map(|i| (format!("k{i}"), value(i))), PutOptions::default()).await.unwrap();
    let counted = |node: &Dht| (stats(node).hits, stats(node).misses);
    let before: Vec<_> = nodes.iter().map(counted).collect();
    assert_eq!(before, [(0, 0); 3], "writes are no lookups");
    nodes[1].get_many((0..7).map(|i| format!("k{i}")), GetOptions::default()).await.unwrap();
    assert!(nodes[1].delete("k0").await.unwrap());
    assert_eq!(nodes[1].get::<i32>("k0").await.unwrap(), None);
    assert!(nodes[1].contains("k1").await.unwrap());
    let s = stats(&nodes[1]);
    assert_eq!((s.hits, s.misses), (5, 4));
    assert_eq!((s.lookups_successful, s.lookups_not_found), (9, 4), "the same, told otherwise");
    assert_eq!((counted(&nodes[0]), counted(&nodes[2])), ((0, 0), (0, 0)), "at the node called");
    stop(nodes).await;
}

#[tokio::test]
async fn evictions_are_counted_where_the_record_was() {
    let config = Config { max_value_size: 1 << 20, ..Config::default() };
    let roomy = start(config.clone()).await;
    let small = Config { max_memory: Some(8 << 20), eviction: Eviction::Lru, ..config };
    let nodes = vec![join(&roomy, small).await, roomy];
    let all = PutOptions { consistency: Some(Consistency::All), ..PutOptions::default() };
    for n in 0..120 {
        nodes[1].put_bytes(format!("k{n}"), vec![1; 100_000], all).await.expect("room is made");
    }
    let (evicting, roomy) = (stats(&nodes[0]), stats(&nodes[1]));
    assert_eq!((roomy.evictions, roomy.data_items_stored), (0, 120));
    assert!(evicting.evictions >= 30, "{}", evicting.evictions);
    assert_eq!(evicting.evictions + evicting.data_items_stored, 120);
    stop(nodes).await;
}

#[tokio::test]
async fn what_no_node_does_is_counted_by_kind_and_by_peer() {
    let node = start(Config::default()).await;
    let other = join(&node, Config::default()).await;
    let counted = |s: &Statistics| (s.misbehaviours, s.misbehaviour_kinds.clone(), s.misbehaving_peers.clone());
    assert_eq!(counted(&stats(&node)), (0, [].into(), [].into()));
    for sent in [&b"GET / HTTP/1.1\r\nHost: example\r\n\r\n"[..], &[0; 64]] {
        let mut socket = tokio::net::TcpStream::connect(node.address()).await.expect("it listens");
        socket.write_all(sent).await.expect("sent");
        drop(socket.read_to_end(&mut Vec::new()).await);
    }
    let of = |name: &str| BTreeMap::from([(name.to_owned(), 2)]);
    assert_eq!(counted(&stats(&node)), (2, of("bad_handshake"), of("127.0.0.1")));
    stop(vec![node, other]).await;
}
