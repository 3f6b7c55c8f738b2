//! The life of a node: start, join, wait_ready, leave, stop; founding, merging and keeping rings apart; clients.

use crate::cluster;
use crate::common;

use std::time::Duration;

use cluster::*;
use common::until;
use dht_core::{Config, Consistency, Dht, ErrorKind, GetOptions, NetworkProtocol, PutOptions};
use tokio::task::JoinSet;

/// A node that gives up on silent addresses soon.
fn impatient(node_id: &str) -> Config {
    Config { request_timeout: Duration::from_millis(400), ..named(node_id) }
}

/// Writes `count` keys at level all.
async fn fill(node: &Dht, prefix: &str, count: usize) {
    for i in 0..count {
        node.put_with(format!("{prefix}{i}"), &i, put_at(Consistency::All)).await.unwrap();
    }
}

/// Every node reads every key of `fill`, at every level.
async fn all_there(nodes: &[Dht], prefix: &str, count: usize) {
    for node in nodes {
        for level in LEVELS {
            let keys = (0..count).map(|i| format!("{prefix}{i}"));
            let found = node.get_many(keys, get_at(level)).await.unwrap();
            for (i, found) in found.into_iter().enumerate() {
                let found = found.unwrap_or_else(|error| panic!("{node:?} at {level:?}, {prefix}{i}: {error:#}"));
                let value = found.map(|v| v.value.deserialize::<usize>().unwrap());
                assert_eq!(value, Some(i), "{node:?} at {level:?} reads {prefix}{i}");
            }
        }
    }
}

/// Every call that needs a running node says `Stopped`.
async fn everything_says_stopped(node: &Dht) {
    let names = ["stopped or has left"];
    refused(node.put("k", &1).await, ErrorKind::Stopped, &names);
    refused(node.get::<i32>("k").await, ErrorKind::Stopped, &names);
    refused(node.get_with::<i32>("k", get_at(Consistency::One)).await, ErrorKind::Stopped, &names);
    refused(node.delete("k").await, ErrorKind::Stopped, &names);
    refused(node.contains("k").await, ErrorKind::Stopped, &names);
    refused(node.ttl("k").await, ErrorKind::Stopped, &names);
    refused(node.get_many(["k"], GetOptions::default()).await, ErrorKind::Stopped, &names);
    refused(node.delete_many(["k"], GetOptions::default()).await, ErrorKind::Stopped, &names);
    let value = dht_core::Value::from_bytes("v");
    refused(node.put_many([("k", value)], PutOptions::default()).await, ErrorKind::Stopped, &names);
    refused(node.join(&["127.0.0.1:1"]).await, ErrorKind::Stopped, &names);
    refused(node.wait_ready(SOON).await, ErrorKind::Stopped, &names);
    refused(node.locate("k"), ErrorKind::Stopped, &names);
    refused(node.lookup_trace("k").await, ErrorKind::Stopped, &names);
    refused(node.predecessor(), ErrorKind::Stopped, &names);
    refused(node.successor_list(), ErrorKind::Stopped, &names);
    refused(node.finger_table(), ErrorKind::Stopped, &names);
    refused(node.ring(), ErrorKind::Stopped, &names);
    refused(node.members(), ErrorKind::Stopped, &names);
    refused(node.statistics(), ErrorKind::Stopped, &names);
    refused(node.health(), ErrorKind::Stopped, &names);
    refused(node.metrics(), ErrorKind::Stopped, &names);
    assert!(!node.hash_key_hex("k").is_empty(), "what needs no ring still works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_and_leave_are_final_and_idempotent() {
    let stopped = start(named("stopped")).await;
    stopped.put("k", &1).await.unwrap();
    let begun = now();
    stopped.stop().await;
    assert!(now() - begun < Duration::from_secs(1), "stop took {:?}", now() - begun);
    everything_says_stopped(&stopped).await;
    refused(stopped.node_info(), ErrorKind::Stopped, &["stopped or has left"]);
    stopped.stop().await;
    stopped.leave(SOON).await.unwrap();
    assert!(stopped.ended().await.is_none(), "it was told to");

    let left = start(named("left")).await;
    left.put("k", &1).await.unwrap();
    let begun = now();
    left.leave(SOON).await.unwrap();
    assert!(now() - begun < Duration::from_secs(1), "nobody to hand over to, yet it took {:?}", now() - begun);
    everything_says_stopped(&left).await;
    assert_eq!(left.node_info().unwrap().state, "left");
    left.leave(SOON).await.unwrap();
    left.stop().await;

    // The address is free again at once.
    let port = stopped.address().parse::<std::net::SocketAddr>().unwrap().port();
    start(Config { port, ..named("next") }).await.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_under_way_end_when_the_node_stops() {
    let nodes = ring(3).await;
    let mut calls = JoinSet::new();
    for i in 0..64 {
        let node = nodes[0].clone();
        calls.spawn(async move {
            for turn in 0u64.. {
                if let Err(error) = node.put(format!("k{i}-{}", turn % 8), &turn).await {
                    return error;
                }
            }
            unreachable!("the node is stopped before")
        });
    }
    eventually(SOON, "writes under way", async || {
        let done = nodes[0].statistics().map_err(text)?.stores_successful;
        seen(done > 500, || format!("{done} writes"))
    })
    .await;
    let begun = now();
    nodes[0].stop().await;
    assert!(now() - begun < Duration::from_secs(1), "stop took {:?}", now() - begun);
    while let Some(error) = calls.join_next().await {
        let error = error.expect("a caller does not panic");
        assert!(now() - begun < Duration::from_millis(2_500), "a call outlived its deadline: {error:#}");
        let expected = [ErrorKind::Stopped, ErrorKind::Unreachable, ErrorKind::Timeout, ErrorKind::Quorum];
        assert!(expected.contains(&error.kind()), "{error:#}");
    }
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_last_handle_stops_the_node() {
    let mut nodes = ring(2).await;
    let dropped = nodes.pop().expect("two nodes");
    let clone = dropped.clone();
    drop(dropped);
    clone.put("k", &1).await.unwrap();
    let address = clone.address();
    drop(clone);
    eventually(SOON, "the other is alone", async || {
        let placed = placed(&nodes[0]);
        seen(placed == ["n0"], || format!("{placed:?}"))
    })
    .await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens there any more");
    assert_eq!(nodes[0].get::<i32>("k").await.unwrap(), Some(1));
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_takes_the_addresses_it_can_use() {
    let nodes = [start(named("a")).await, start(named("b")).await];
    fill(&nodes[0], "k", 20).await;
    let silent = Reserved::new();
    nodes[1].join(&[nodes[1].address(), silent.endpoint(), nodes[0].address()]).await.unwrap();
    settled(&nodes).await;
    all_there(&nodes, "k", 20).await;

    // Joining the ring that one is in changes nothing.
    let view = nodes[0].ring().unwrap().view;
    let incarnation = nodes[1].node_info().unwrap().incarnation;
    nodes[1].join(&[nodes[0].address()]).await.unwrap();
    nodes[0].join(&[nodes[0].address(), nodes[1].address()]).await.unwrap();
    assert_eq!(nodes[1].node_info().unwrap().incarnation, incarnation);
    assert_eq!((nodes[0].ring().unwrap().view, nodes[1].ring().unwrap().view), (view.clone(), view));
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_written_before_a_join_is_merged_by_version() {
    let nodes = [start(named("a")).await, start(named("b")).await];
    fill(&nodes[0], "a", 50).await;
    fill(&nodes[1], "b", 50).await;
    nodes[0].put("both", &"older").await.unwrap();
    // Strangers order their writes by the clock, and within one millisecond by chance.
    let written = wall();
    eventually(SOON, "the next millisecond", async || seen(wall() > written, || "not yet".to_owned())).await;
    let newer = nodes[1].put("both", &"newer").await.unwrap();
    nodes[0].put("deleted", &1).await.unwrap();
    nodes[1].put("deleted", &1).await.unwrap();
    let written = wall();
    let before = nodes[0].get_versioned("deleted", GetOptions::default()).await.unwrap().unwrap().version;
    eventually(SOON, "the next millisecond", async || seen(wall() > written, || "not yet".to_owned())).await;
    nodes[1].delete("deleted").await.unwrap();
    let ttl = PutOptions { ttl: Some(Duration::from_secs(600)), ..PutOptions::default() };
    nodes[1].put_with("mortal", &1, ttl).await.unwrap();
    let expires_at = nodes[1].get_versioned("mortal", GetOptions::default()).await.unwrap().unwrap().expires_at;

    nodes[1].join(&[nodes[0].address()]).await.unwrap();
    settled(&nodes).await;
    all_there(&nodes, "a", 50).await;
    all_there(&nodes, "b", 50).await;
    for node in &nodes {
        let both = node.get_versioned("both", GetOptions::default()).await.unwrap().unwrap();
        assert_eq!((both.value.deserialize::<String>().unwrap(), both.version), ("newer".to_owned(), newer.version));
        assert_eq!(node.get::<i32>("deleted").await.unwrap(), None, "the deletion is newer than {before}");
        let mortal = node.get_versioned("mortal", GetOptions::default()).await.unwrap().unwrap();
        assert_eq!(mortal.expires_at, expires_at);
    }
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_rings_become_one_by_a_join() {
    let (left, right) = (ring_of(3, "l", &Config::default()).await, ring_of(2, "r", &Config::default()).await);
    fill(&left[0], "l", 50).await;
    fill(&right[0], "r", 50).await;
    right[1].join(&[left[2].address()]).await.unwrap();
    let nodes: Vec<Dht> = left.into_iter().chain(right).collect();
    settled(&nodes).await;
    all_there(&nodes, "l", 50).await;
    all_there(&nodes, "r", 50).await;
    eventually(SOON, "three copies of each key", async || {
        seen(items(&nodes) == 300, || format!("{} items", items(&nodes)))
    })
    .await;
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joined_node_and_the_ring_see_each_others_writes_at_once() {
    let mut nodes = ring(2).await;
    fill(&nodes[0], "old", 200).await;
    let joined = start(named("late")).await;
    joined.join(&[nodes[1].address()]).await.unwrap();
    joined.put("from the new", &1).await.unwrap();
    assert_eq!(nodes[0].get::<i32>("from the new").await.unwrap(), Some(1));
    nodes[1].put("from the old", &2).await.unwrap();
    assert_eq!(joined.get::<i32>("from the old").await.unwrap(), Some(2));
    for i in 0..200 {
        assert_eq!(joined.get::<usize>(format!("old{i}")).await.unwrap(), Some(i), "old data is there from the start");
    }
    joined.wait_ready(SOON).await.unwrap();
    nodes.push(joined);
    settled(&nodes).await;
    assert_eq!(items(&nodes), 202 * 3);
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leave_hands_over_the_only_copy() {
    handed_over(Config { replication_factor: 1, ..Config::default() }, 300).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leave_hands_over_one_of_three_copies() {
    handed_over(Config::default(), 300).await;
}

/// Four nodes, of which three leave one after the other: after each `leave` nothing is missing, with no wait.
async fn handed_over(model: Config, count: usize) {
    let mut nodes = ring_of(4, "n", &model).await;
    fill(&nodes[0], "k", count).await;
    while nodes.len() > 1 {
        let leaving = nodes.remove(0);
        leaving.leave(SOON).await.unwrap();
        for node in &nodes {
            let keys = (0..count).map(|i| format!("k{i}"));
            for (i, found) in node.get_many(keys, GetOptions::default()).await.unwrap().into_iter().enumerate() {
                let found = found.unwrap_or_else(|error| panic!("{node:?}, k{i}, after {leaving:?} left: {error:#}"));
                assert!(found.is_some(), "{node:?} misses k{i} after {leaving:?} left");
            }
        }
        settled(&nodes).await;
        assert_eq!(items(&nodes), (count * model.replication_factor.min(nodes.len())) as u64);
    }
    all_there(&nodes, "k", count).await;
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_seeds_are_down_keeps_trying() {
    let seed = Reserved::new();
    let begun = now();
    // Were its own address among the seeds and the smallest, it would found a ring: it is neither.
    let early = start(Config { seeds: vec![seed.endpoint()], ..impatient("early") }).await;
    assert!(now() - begun >= Duration::from_millis(400), "it tries for request_timeout before start returns");
    assert_eq!(early.node_info().unwrap().state, "joining");
    assert!(!early.health().unwrap().joined);
    // With the reason why it is in none.
    let last_try = format!("in no ring yet; the last try to join {}: UNREACHABLE: ", seed.endpoint());
    refused(early.put("k", &1).await, ErrorKind::NotJoined, &[&last_try]);
    refused(early.get::<i32>("k").await, ErrorKind::NotJoined, &[&last_try]);
    refused(early.wait_ready(Duration::from_millis(50)).await, ErrorKind::Timeout, &["not ready: ", &last_try]);

    // A data call waits for the ring within its deadline.
    let (node, patient) = (early.clone(), PutOptions { timeout: Some(SOON), ..PutOptions::default() });
    let waiting = tokio::spawn(async move { node.put_with("waited", &1, patient).await });
    let late = start(Config { port: seed.release(), ..named("late") }).await;
    waiting.await.expect("it does not panic").unwrap();
    assert_eq!(late.get::<i32>("waited").await.unwrap(), Some(1));
    early.wait_ready(SOON).await.unwrap();
    let nodes = [early, late];
    settled(&nodes).await;
    stop_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_nodes_started_at_once_with_the_same_seeds_form_one_ring() {
    // A port may be taken between its release and its use: then all start anew.
    let nodes = loop {
        match started_together(8, "").await {
            Ok(nodes) => break nodes,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Address, "{error:#}"),
        }
    };
    settled(&nodes).await;
    fill(&nodes[3], "k", 100).await;
    for node in &nodes {
        assert_eq!(node.get::<usize>("k42").await.unwrap(), Some(42));
    }
    assert_eq!(items(&nodes), 300);
    stop_all(&nodes).await;
}

/// `name`: what they tell others instead of their address; empty: that.
async fn started_together(n: usize, name: &str) -> Result<Vec<Dht>, dht_core::Error> {
    let reserved: Vec<Reserved> = (0..n).map(|_| Reserved::new()).collect();
    let told = |at: &Reserved| if name.is_empty() { at.endpoint() } else { format!("{name}:{}", at.port()) };
    let seeds: Vec<String> = reserved.iter().map(told).collect();
    let mut starting = JoinSet::new();
    for (i, at) in reserved.into_iter().enumerate() {
        let advertise = if name.is_empty() { String::new() } else { told(&at) };
        let config = Config { port: at.release(), advertise, seeds: seeds.clone(), ..named(&format!("n{i}")) };
        starting.spawn(Dht::start(config));
    }
    let started = starting.join_all().await;
    started.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unrelated_rings_stay_apart_when_an_address_is_reused() {
    // Ring a remembers a2 and looks for it, soon and often; then a node of ring b lives there.
    let model = Config { heartbeat_interval: Duration::from_millis(100), ..Config::default() };
    let mut a = ring_of(3, "a", &model).await;
    fill(&a[0], "k", 20).await;
    let dead = a.pop().expect("three nodes");
    let port = dead.address().parse::<std::net::SocketAddr>().unwrap().port();
    dead.stop().await;
    let b0 = start(Config { port, ..named("b0") }).await;
    assert_eq!(b0.address(), dead.address());
    b0.put("k0", &"of b").await.unwrap();
    let b1 = start(Config { seeds: vec![b0.address()], ..named("b1") }).await;
    let b = [b0, b1];
    settled(&a).await;
    settled(&b).await;

    // Ring a has looked at the address again and again by now: each look is a message to b0, which counts it.
    let probed = b[0].statistics().unwrap().messages_received;
    eventually(SOON, "looks of ring a at the address", async || {
        let received = b[0].statistics().map_err(text)?.messages_received;
        seen(received > probed + 20, || format!("{received} messages after {probed}"))
    })
    .await;
    settled(&a).await;
    settled(&b).await;
    assert_eq!(a[0].get::<usize>("k0").await.unwrap(), Some(0));
    assert_eq!(b[1].get::<String>("k0").await.unwrap(), Some("of b".to_owned()));
    assert_eq!(ids(&b[0].members().unwrap()), ["b0", "b1"], "ring b has never heard of ring a");
    stop_all(&a).await;
    stop_all(&b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_read_and_write_but_are_no_members() {
    let nodes = ring(3).await;
    let client = start(Config { virtual_nodes: Some(0), seeds: vec![nodes[0].address()], ..named("client") }).await;
    client.wait_ready(SOON).await.unwrap();
    for level in LEVELS {
        let key = format!("k-{level:?}");
        client.put_with(&key, &1, put_at(level)).await.unwrap();
        assert_eq!(client.get_with::<i32>(&key, get_at(Consistency::All)).await.unwrap(), Some(1));
        assert_eq!(nodes[1].get_with::<i32>(&key, get_at(Consistency::All)).await.unwrap(), Some(1));
        assert_eq!(client.get_with::<i32>(&key, get_at(Consistency::Quorum)).await.unwrap(), Some(1));
    }
    assert!(client.delete("k-One").await.unwrap());
    let names = ["n0", "n1", "n2"];
    for node in nodes.iter().chain([&client]) {
        assert_eq!(ids(&node.members().unwrap()), names, "in the eyes of {node:?}");
        assert_eq!(node.ring().unwrap().nodes.len(), 3);
        assert!(!ids(&node.locate("k-All").unwrap()).contains(&"client"));
    }
    assert_eq!(client.statistics().unwrap().data_items_stored, 0);
    assert!(nodes.iter().all(|n| n.statistics().unwrap().nodes_joined <= 2), "a client counts nowhere");

    // It follows the ring: a node goes, another comes, and the client's calls go on.
    nodes[0].stop().await;
    let late = start(Config { seeds: vec![nodes[1].address()], ..named("n3") }).await;
    for i in 0..50 {
        client.put(format!("after-{i}"), &i).await.unwrap();
        assert_eq!(client.get::<i32>(format!("after-{i}")).await.unwrap(), Some(i));
    }
    eventually(SOON, "the client's view of the changed ring", async || {
        let active = active(&client);
        seen(active == ["n1", "n2", "n3"], || format!("{active:?}"))
    })
    .await;
    client.leave(SOON).await.unwrap();
    refused(client.get::<i32>("k-All").await, ErrorKind::Stopped, &[]);
    assert_eq!(late.get::<i32>("k-All").await.unwrap(), Some(1));
    stop_all(&nodes).await;
    late.stop().await;
}

/// It knows nodes of both, and makes no one ring of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_goes_from_one_ring_to_another_and_leaves_them_apart() {
    let model = Config { heartbeat_interval: Duration::from_millis(100), ..Config::default() };
    let (a, b) = (ring_of(2, "a", &model).await, ring_of(2, "b", &model).await);
    fill(&a[0], "k", 20).await;
    fill(&b[0], "l", 20).await;
    let seeds = vec![a[0].address()];
    let client = start(Config { virtual_nodes: Some(0), seeds, node_id: "client".to_owned(), ..model }).await;
    client.wait_ready(SOON).await.unwrap();
    assert_eq!(client.get::<usize>("k7").await.unwrap(), Some(7));
    client.join(&[b[0].address()]).await.unwrap();
    assert_eq!(ids(&client.members().unwrap()), ["b0", "b1"], "it has forgotten ring a");
    all_there(std::slice::from_ref(&client), "l", 20).await;

    // It looks at its first seed again and again by now, every look is a message, and it stays where it is.
    let probed = a[0].statistics().unwrap().messages_received;
    eventually(SOON, "looks at the first seed", async || {
        let received = a[0].statistics().map_err(text)?.messages_received;
        seen(received > probed + 50, || format!("{received} messages after {probed}"))
    })
    .await;
    all_there(std::slice::from_ref(&client), "l", 20).await;
    assert_eq!(client.get::<usize>("k7").await.unwrap(), None);
    settled(&a).await;
    settled(&b).await;
    client.stop().await;
    stop_all(&a).await;
    stop_all(&b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_seeds_starts_unjoined() {
    let node = start(named("node")).await;
    let client = start(Config { virtual_nodes: Some(0), ..impatient("client") }).await;
    refused(client.put("k", &1).await, ErrorKind::NotJoined, &["no ring"]);
    client.join(&[node.address()]).await.unwrap();
    client.put("k", &1).await.unwrap();
    assert_eq!(node.get::<i32>("k").await.unwrap(), Some(1));
    assert_eq!(ids(&node.members().unwrap()), ["node"]);
    client.stop().await;
    node.stop().await;
}

/// Nodes that tell others a name instead of an address, and have each other's names as seeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_names_started_at_once_form_one_ring() {
    // A port may be taken between its release and its use: then all start anew.
    let nodes = loop {
        match started_together(3, "localhost").await {
            Ok(nodes) => break nodes,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Address, "{error:#}"),
        }
    };
    settled(&nodes).await;
    let own = [nodes[0].address()];
    assert!(own[0].starts_with("localhost:"), "{own:?}");
    refused(nodes[0].join(&own).await, ErrorKind::InvalidArgument, &["cannot join itself"]);
    stop_all(&nodes).await;
}

/// The only seed is this node, at another address than the one it tells others, as where the own name leads to 127.0.1.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_only_seed_is_itself_at_another_address_founds() {
    for network_protocol in [NetworkProtocol::Tcp, NetworkProtocol::Udp] {
        let nowhere = Reserved::new();
        let (node, seeds) = loop {
            let seed = Reserved::new();
            let (seeds, advertise) = (vec![seed.endpoint()], nowhere.endpoint());
            let port = seed.release();
            let config = Config { port, seeds: seeds.clone(), advertise, network_protocol, ..named("node") };
            match Dht::start(config).await {
                Ok(node) => break (node, seeds),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Address, "{error:#}"),
            }
        };
        node.wait_ready(SOON).await.expect("it founds");
        refused(node.join(&seeds).await, ErrorKind::InvalidArgument, &["cannot join itself"]);
        node.stop().await;
    }
}

/// A node that answers at `at`, and tells others that it is at `nowhere`.
async fn somewhere_else(at: Reserved, nowhere: &Reserved) -> Result<Dht, dht_core::Error> {
    Dht::start(Config { port: at.release(), advertise: nowhere.endpoint(), ..named("founder") }).await
}

/// A founder that tells others an address at which it is not: whoever joins would take it for dead, and have an empty ring. Nor is it
/// looked for while the caller waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_that_says_it_is_somewhere_else_is_not_joined() {
    let nowhere = Reserved::new();
    let (founder, there) = loop {
        let at = Reserved::new();
        let there = at.endpoint();
        match somewhere_else(at, &nowhere).await {
            Ok(founder) => break (founder, there),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Address, "{error:#}"),
        }
    };
    founder.put("key", &1).await.unwrap();
    // It looks at its seeds many times before it gives up.
    let heartbeat_interval = Duration::from_millis(100);
    let node = start(Config { heartbeat_interval, ..named("joiner") }).await;
    let joined = node.join(std::slice::from_ref(&there)).await;
    refused(joined, ErrorKind::Unreachable, &["founder", "advertise", &nowhere.endpoint()]);
    assert_eq!((node.view().1, founder.view().1), (1, 1));
    assert!(node.seeds().is_empty());
    stop_all(&[node, founder]).await;
}

/// The same where it is a seed, and came later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_that_says_it_is_somewhere_else_stays_apart() {
    let nowhere = Reserved::new();
    let (node, founder) = loop {
        let (a, b) = (Reserved::new(), Reserved::new());
        // The smaller one founds.
        let (own, later) = if a.endpoint() < b.endpoint() { (a, b) } else { (b, a) };
        let heartbeat_interval = Duration::from_millis(50);
        let seeds = vec![own.endpoint(), later.endpoint()];
        let node = Dht::start(Config { port: own.release(), seeds, heartbeat_interval, ..impatient("node") }).await;
        let founder = somewhere_else(later, &nowhere).await;
        match (node, founder) {
            (Ok(node), Ok(founder)) => break (node, founder),
            (Err(error), _) | (_, Err(error)) => assert_eq!(error.kind(), ErrorKind::Address, "{error:#}"),
        }
    };
    node.wait_ready(SOON).await.expect("it founded");
    let asked = || founder.statistics().unwrap().messages_received;
    let before = asked();
    until("the founder is asked again and again", || asked() >= before + 12).await;
    assert_eq!((node.view().1, founder.view().1), (1, 1));
    stop_all(&[node, founder]).await;
}
