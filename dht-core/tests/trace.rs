//! Traced operations over real sockets, and by a caller that is no node. Exact times and what messages carry are in
//! `dht-sim/tests/trace.rs`, on the paused clock.

use crate::cluster;

use cluster::*;
use dht_core::{
    Config, Consistency, Dht, ErrorKind, GetOptions, NetworkProtocol, OperationTrace, PutOptions, Remote, Value,
};

fn value(len: usize) -> Value {
    Value::from_bytes(vec![7; len])
}

/// A key that `owner` owns.
fn key_at(owner: &Dht) -> String {
    let owned = |key: &String| owner.locate(key).unwrap()[0].id == owner.node_id();
    (0..10_000).map(|i| format!("key-{i}")).find(owned).expect("a node owns many of many keys")
}

/// Depth, node, what and outcome of each step.
fn steps(trace: &OperationTrace) -> Vec<(u32, &str, &str, &str)> {
    trace.spans.iter().map(|s| (s.depth, s.node.id.as_str(), s.what.as_str(), s.outcome.as_str())).collect()
}

fn adds_up(trace: &OperationTrace) {
    for span in &trace.spans {
        let (served, way) = (span.served.expect("it answered"), span.on_the_way.expect("it answered"));
        assert!((served + way - span.took).abs() < 1e-6 && served >= 0.0 && way >= 0.0, "{trace:?}");
    }
    let first = &trace.spans[0];
    assert!(first.begun + first.took <= trace.took + 1e-6, "{trace:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_through_tcp_and_udp() {
    for network_protocol in [NetworkProtocol::Tcp, NetworkProtocol::Udp] {
        let nodes = ring_of(3, "n", &Config { network_protocol, ..Config::default() }).await;
        // Small enough for a datagram, and too large for one.
        for len in [10, 50_000] {
            let key = key_at(&nodes[0]);
            let trace = nodes[1].trace_put(&key, value(len), put_at(Consistency::All)).await.unwrap();
            assert_eq!(trace.error, None, "{trace:?}");
            let mut told = steps(&trace);
            told.sort_unstable();
            let stored = |node| (1, node, "store", "done");
            assert_eq!(told, [(0, "n0", "apply", "done"), stored("n1"), stored("n2")], "{network_protocol:?}, {len}");
            adds_up(&trace);
            let trace = nodes[1].trace_get(&key, get_at(Consistency::All)).await.unwrap();
            let mut told = steps(&trace);
            told.sort_unstable();
            let fetched = |node| (0, node, "fetch", "done");
            assert_eq!(told, [fetched("n0"), fetched("n1"), fetched("n2")], "{network_protocol:?}, {len}");
            assert!(trace.found);
            adds_up(&trace);
        }
        stop_all(&nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_is_no_node_sees_the_whole_way() {
    let nodes = ring(3).await;
    let remote = Remote::connect(&nodes[1].address(), "default", SOON).await.unwrap();
    let key = key_at(&nodes[0]);
    let trace = remote.trace_put(key.as_bytes(), value(10), &put_at(Consistency::All)).await.unwrap();
    let mut told = steps(&trace);
    told.sort_unstable();
    let stored = |node| (2, node, "store", "done");
    let address = nodes[1].address();
    assert_eq!(
        told,
        [(0, address.as_str(), "apply", "done"), (1, "n0", "apply", "done"), stored("n1"), stored("n2")],
        "{trace:?}"
    );
    adds_up(&trace);
    let trace = remote.trace_get(b"no such key", &GetOptions::default()).await.unwrap();
    assert_eq!((trace.found, trace.error.clone(), trace.version.clone()), (false, None, None), "{trace:?}");
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_told_with_its_way_and_wrong_arguments_are_errors() {
    let nodes = ring_of(3, "n", &Config { min_replicas: 3, max_value_size: 100, ..Config::default() }).await;
    let too_large = nodes[0].trace_put("k", value(101), PutOptions::default()).await;
    refused(too_large, ErrorKind::TooLarge, &["max_value_size is 100"]);
    refused(nodes[0].trace_get("k".repeat(5_000), GetOptions::default()).await, ErrorKind::TooLarge, &["max_key_size"]);
    let ttl = Some(std::time::Duration::ZERO);
    let no_ttl = nodes[0].trace_put("k", value(1), PutOptions { ttl, ..PutOptions::default() }).await;
    refused(no_ttl, ErrorKind::InvalidArgument, &["ttl = 0"]);

    nodes[2].stop().await;
    settled(&nodes[..2]).await;
    let trace = nodes[0].trace_put(key_at(&nodes[1]), value(1), PutOptions::default()).await.unwrap();
    assert_eq!((trace.error.as_deref(), trace.maybe_applied, trace.found), (Some("QUORUM"), false, false), "{trace:?}");
    assert!(trace.message.contains("min_replicas") && !trace.message.starts_with("QUORUM"), "{trace:?}");
    assert_eq!(steps(&trace), [(0, "n1", "apply", "QUORUM")], "{trace:?}");
    let counted = nodes[0].statistics().unwrap();
    assert_eq!((counted.stores_failed, counted.errors.get("QUORUM")), (1, Some(&1)), "it counts as a put does");
    stop_all(&nodes).await;
    refused(nodes[0].trace_get("k", GetOptions::default()).await, ErrorKind::Stopped, &[]);
}
