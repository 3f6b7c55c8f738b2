//! Wrong input: a typed error that names what is wrong, and nothing changed afterwards.

use crate::cluster;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cluster::*;
use dht_core::{
    Config, Consistency, Dht, Durability, ErrorKind, GetOptions, HashFunction, PutOptions, Remote, Secret, TlsConfig,
    Value,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_out_of_bounds_are_refused_before_anything_starts() {
    let base = Config::default;
    let wrong: Vec<(Config, &[&str])> = vec![
        (Config { hash_bits: 0, ..base() }, &["hash_bits = 0", "between 1 and 256"]),
        (Config { hash_bits: 257, ..base() }, &["hash_bits = 257", "between 1 and 256"]),
        (Config { slot_bits: 21, ..base() }, &["slot_bits = 21", "20"]),
        (Config { replication_factor: 0, ..base() }, &["replication_factor = 0", "between 1 and 64"]),
        (Config { replication_factor: 65, ..base() }, &["replication_factor = 65", "between 1 and 64"]),
        (Config { virtual_nodes: Some(201), ..base() }, &["virtual_nodes = 201", "200"]),
        (Config { node_id: "x".repeat(256), ..base() }, &["node_id", "255"]),
        (Config { cluster_name: String::new(), ..base() }, &["cluster_name"]),
        (Config { request_timeout: Duration::ZERO, ..base() }, &["request_timeout", "1ms"]),
        (Config { max_key_size: 0, ..base() }, &["max_key_size"]),
        (Config { seeds: vec!["no-port".into()], ..base() }, &["seeds", "no-port"]),
        (Config { min_replicas: 4, ..base() }, &["min_replicas = 4", "replication_factor", "3"]),
        (Config { max_memory: Some(1 << 10), ..base() }, &["max_memory = 1KiB", "between 64KiB"]),
        (
            Config { consistent_hashing: false, virtual_nodes: Some(16), ..base() },
            &["virtual_nodes = 16", "consistent_hashing"],
        ),
        (Config { durability: Durability::Always, ..base() }, &["durability = always", "data_dir"]),
    ];
    for (config, names) in wrong {
        refused(config.validate(), ErrorKind::Config, names);
        refused(Dht::start(config).await, ErrorKind::Config, names);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_cannot_be_used_are_refused_at_start() {
    let tls = TlsConfig { cert: "/nowhere/c.pem".into(), key: "k".into(), ca: "a".into() };
    for node_id in ["", "a"] {
        let config = Config { tls: Some(tls.clone()), node_id: node_id.into(), ..Config::default() };
        config.validate().unwrap();
        refused(Dht::start(config).await, ErrorKind::Config, &["tls.cert", "/nowhere/c.pem", "cannot be read"]);
    }
    let config = Config { cluster_key: Some(Secret::new("hush,hush,hush")), ..Config::default() };
    let error = refused(Dht::start(config).await, ErrorKind::Config, &["cluster_key = (hidden)"]);
    assert!(!format!("{error:#} {error:?}").contains("hush"), "a secret is shown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_cannot_be_used() {
    let node = start(named("there")).await;
    node.put("k", &1).await.unwrap();
    let port = node.address().parse::<std::net::SocketAddr>().unwrap().port();
    let taken = node.address();
    refused(Dht::start(Config { port, ..named("second") }).await, ErrorKind::Address, &[&taken]);
    assert_eq!(node.get::<i32>("k").await.unwrap(), Some(1), "the node that has the port goes on");

    // A name of the domain that never resolves (RFC 6761).
    let unknown = "seed.invalid:7400".to_owned();
    let config = Config { seeds: vec![unknown.clone()], ..named("lost") };
    refused(Dht::start(config).await, ErrorKind::Address, &["seed.invalid"]);
    refused(node.join(&[&unknown]).await, ErrorKind::Address, &["seed.invalid"]);
    let config = Config { address: "host.invalid".into(), ..named("lost") };
    refused(Dht::start(config).await, ErrorKind::Address, &["host.invalid"]);
    assert_eq!(ids(&node.members().unwrap()), ["there"]);

    // One that resolves is enough.
    let joined = start(Config { seeds: vec![unknown, taken], ..named("found") }).await;
    settled(&[node.clone(), joined.clone()]).await;
    stop_all(&[node, joined]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_binds_need_permission() {
    for address in ["0.0.0.0", "::", "192.0.2.1"] {
        let ways = ["cluster_key", "tls", "allow_insecure", address];
        refused(Dht::start(Config { address: address.into(), ..Config::default() }).await, ErrorKind::Insecure, &ways);
    }
    let open = start(Config { address: "0.0.0.0".into(), allow_insecure: true, ..named("open") }).await;
    open.put("k", &1).await.unwrap();
    let others = start(Config { seeds: vec![open.address()], ..named("other") }).await;
    assert_eq!(others.get::<i32>("k").await.unwrap(), Some(1), "what it advertises can be dialled");
    stop_all(&[open, others]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rings_of_other_parameters_are_not_joined() {
    let ring = start(named("ring")).await;
    ring.put("k", &1).await.unwrap();
    let seeds = || vec![ring.address()];
    let model = || Config { seeds: seeds(), ..named("stranger") };
    let wrong: Vec<(Config, &[&str])> = vec![
        (Config { hash_function: HashFunction::Sha1, ..model() }, &["hash_function", "sha256", "sha1"]),
        (Config { hash_bits: 128, ..model() }, &["hash_bits", "160", "128"]),
        (Config { slot_bits: 10, ..model() }, &["slot_bits", "14", "10"]),
        (Config { consistent_hashing: false, ..model() }, &["consistent_hashing", "true", "false"]),
        (Config { cluster_name: "staging".into(), ..model() }, &["default", "staging"]),
    ];
    for (config, names) in wrong {
        refused(Dht::start(config.clone()).await, ErrorKind::IncompatibleRing, names);
        // An explicit join leaves the node where it was, with what it has.
        let alone = start(Config { seeds: Vec::new(), ..config }).await;
        alone.put("own", &2).await.unwrap();
        let before = alone.ring().unwrap();
        refused(alone.join(&seeds()).await, ErrorKind::IncompatibleRing, names);
        assert_eq!(alone.ring().unwrap().view, before.view);
        assert_eq!(alone.get::<i32>("own").await.unwrap(), Some(2));
        assert_eq!(alone.get::<i32>("k").await.unwrap(), None);
        alone.stop().await;
    }
    assert_eq!(ids(&ring.members().unwrap()), ["ring"], "the ring has let nobody in");
    assert_eq!(items(std::slice::from_ref(&ring)), 1);
    ring.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_that_lead_nowhere() {
    let quick = Config { request_timeout: Duration::from_millis(300), max_retries: 1, ..named("alone") };
    let node = start(quick).await;
    node.put("k", &1).await.unwrap();
    let before = node.ring().unwrap().view;
    let itself = node.address();
    refused(node.join(&[&itself]).await, ErrorKind::InvalidArgument, &["itself"]);
    refused(node.join(&[&itself, &itself]).await, ErrorKind::InvalidArgument, &["itself"]);
    refused(node.join::<&str>(&[]).await, ErrorKind::InvalidArgument, &["no address"]);
    for wrong in ["", "localhost", "host:", ":7400", "host:port", "host:65536", "::1:7400"] {
        refused(node.join(&[wrong]).await, ErrorKind::InvalidArgument, &["host:port"]);
    }
    let silent = Reserved::new();
    let begun = now();
    refused(node.join(&[silent.endpoint()]).await, ErrorKind::Unreachable, &[&silent.endpoint()]);
    assert!(now() - begun < Duration::from_millis(1_100), "bounded by 2 x 300 ms, it took {:?}", now() - begun);
    assert_eq!(node.ring().unwrap().view, before);
    assert_eq!(node.get::<i32>("k").await.unwrap(), Some(1));

    refused(
        Remote::connect(&silent.endpoint(), "default", Duration::from_millis(300)).await,
        ErrorKind::Unreachable,
        &[&silent.endpoint()],
    );
    refused(Remote::connect(&itself, "staging", SOON).await, ErrorKind::IncompatibleRing, &["staging", "default"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_duplicate_of_a_node_id_is_refused() {
    let nodes = ring(3).await;
    nodes[0].put_with("k", &1, put_at(Consistency::All)).await.unwrap();
    // Through the namesake itself and through others.
    for seed in &nodes {
        let config = Config { seeds: vec![seed.address()], ..named("n1") };
        refused(Dht::start(config).await, ErrorKind::NodeIdInUse, &["n1", &nodes[1].address()]);
    }
    let alone = start(named("n1")).await;
    alone.put("own", &2).await.unwrap();
    refused(alone.join(&[nodes[2].address()]).await, ErrorKind::NodeIdInUse, &["n1", &nodes[1].address()]);
    assert_eq!(alone.get::<i32>("own").await.unwrap(), Some(2), "it is where it was");
    alone.stop().await;
    settled(&nodes).await;
    assert_eq!(nodes[1].get::<i32>("k").await.unwrap(), Some(1));
    assert_eq!(nodes[0].get::<i32>("own").await.unwrap(), None);
    // Once the namesake is gone the name is free.
    nodes[1].stop().await;
    let next = start(Config { seeds: vec![nodes[0].address()], ..named("n1") }).await;
    settled(&[nodes[0].clone(), next.clone(), nodes[2].clone()]).await;
    stop_all(&nodes).await;
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_without_a_free_position_is_full() {
    // One bit makes two ids: the second node chooses the free one, and for the third there is none.
    let model = Config { hash_bits: 1, slot_bits: 1, virtual_nodes: Some(1), ..Config::default() };
    let first = start(Config { node_id: "n0".into(), ..model.clone() }).await;
    first.put("k", &1).await.unwrap();
    let mut nodes = vec![first];
    let mut full = 0;
    for i in 1..8 {
        let seeds = vec![nodes[0].address()];
        match Dht::start(Config { node_id: format!("n{i}"), seeds, ..model.clone() }).await {
            Ok(node) => nodes.push(node),
            Err(error) => {
                full += 1;
                refused::<()>(Err(error), ErrorKind::RingFull, &["2^1 ids", "hash_bits"]);
            }
        }
    }
    assert_eq!((nodes.len(), full), (2, 6), "{nodes:?} have two ids");
    settled(&nodes).await;
    for node in &nodes {
        assert_eq!(node.get::<i32>("k").await.unwrap(), Some(1));
    }
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_data_is_refused_and_nothing_is_stored() {
    for nodes in [ring(1).await, ring(3).await] {
        let node = nodes.last().expect("a node");
        let long = vec![b'k'; 4_097];
        let names = ["4097", "max_key_size", "4096"];
        refused(node.put(&long, &1).await, ErrorKind::TooLarge, &names);
        refused(node.get::<i32>(&long).await, ErrorKind::TooLarge, &names);
        refused(node.delete(&long).await, ErrorKind::TooLarge, &names);
        refused(node.contains(&long).await, ErrorKind::TooLarge, &names);
        refused(node.ttl(&long).await, ErrorKind::TooLarge, &names);
        refused(node.locate(&long), ErrorKind::TooLarge, &names);
        refused(node.lookup_trace(&long).await, ErrorKind::TooLarge, &names);
        let large = Bytes::from(vec![0; (16 << 20) + 1]);
        let names = ["16777217", "max_value_size", "16777216"];
        refused(node.put_bytes("k", large.clone(), PutOptions::default()).await, ErrorKind::TooLarge, &names);
        refused(
            node.put_value("k", Value::from_bytes(large), PutOptions::default()).await,
            ErrorKind::TooLarge,
            &names,
        );

        refused(node.put_with_ttl("k", &1, Duration::ZERO).await, ErrorKind::InvalidArgument, &["ttl = 0"]);
        let no_json = BTreeMap::from([((1, 2), 3)]);
        refused(node.put("k", &no_json).await, ErrorKind::InvalidValue, &["JSON", "key must be a string"]);
        refused(Value::from_json_text("{"), ErrorKind::InvalidValue, &["no JSON"]);
        refused(Value::from_json_text("1 2"), ErrorKind::InvalidValue, &["no JSON"]);

        assert_eq!(items(&nodes), 0, "nothing was stored");
        assert_eq!(node.get_bytes("k", GetOptions::default()).await.unwrap(), None);
        stop_all(&nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_without_end_is_a_long_one() {
    let nodes = ring(2).await;
    let node = &nodes[1];
    let ever = Duration::MAX;
    let (get, put) = (
        GetOptions { timeout: Some(ever), ..GetOptions::default() },
        PutOptions { timeout: Some(ever), ttl: Some(ever), ..PutOptions::default() },
    );
    node.wait_ready(ever).await.unwrap();
    node.put_with("k", &1, put).await.unwrap();
    node.put_many([("l", Value::from_bytes("v"))], put).await.unwrap()[0].as_ref().unwrap();
    assert_eq!(node.get_with("k", get).await.unwrap(), Some(1));
    assert_eq!(node.get_many(["k", "l"], get).await.unwrap().len(), 2);
    assert!(node.trace_get("k", get).await.unwrap().found);
    node.trace_put("k", Value::from_bytes("v"), put).await.unwrap();
    assert!(node.scan_with("k", get).next().await.unwrap().is_some());
    assert!(node.delete_with("k", get).await.unwrap());
    node.leave(ever).await.unwrap();
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_refuses_like_a_node() {
    let node = start(named("node")).await;
    let remote = Remote::connect(&node.address(), "default", SOON).await.unwrap();
    let value = || Value::from_bytes("v");
    refused(remote.put(&[0; 4_097], value(), &PutOptions::default()).await, ErrorKind::TooLarge, &["max_key_size"]);
    refused(remote.get(&[0; 4_097], &GetOptions::default()).await, ErrorKind::TooLarge, &["max_key_size"]);
    let large = Value::from_bytes(vec![0; (16 << 20) + 1]);
    refused(remote.put(b"k", large, &PutOptions::default()).await, ErrorKind::TooLarge, &["max_value_size"]);
    let no_ttl = PutOptions { ttl: Some(Duration::ZERO), ..PutOptions::default() };
    refused(remote.put(b"k", value(), &no_ttl).await, ErrorKind::InvalidArgument, &["ttl = 0"]);
    assert_eq!(items(std::slice::from_ref(&node)), 0);
    remote.put(b"k", value(), &PutOptions::default()).await.unwrap();
    node.stop().await;
    let error = remote.get(b"k", &GetOptions::default()).await.unwrap_err();
    assert!([ErrorKind::Unreachable, ErrorKind::Stopped].contains(&error.kind()), "{error:#}");
}
