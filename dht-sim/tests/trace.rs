//! Operations followed through the nodes: what a trace shows, and what the messages carry. On the paused clock every time
//! is exact: a message takes 5 ms each way and serving takes none.

use crate::common;
use crate::held;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::calm;
use dht_core::store::MemoryStore;
use dht_core::transport::{Answer, BoxFuture, Call, Reply, Responses, Service, Traffic, Transport, TransportError};
use dht_core::wire::message::Request;
use dht_core::{
    Address, Config, Consistency, Dht, Error, Foundation, GetOptions, OperationTrace, PutOptions, Routing, Value,
};
use dht_sim::{Crash, SimTransport, World};
use held::{key_of, keys_of, pass};
use tokio::time::Instant;

/// What all nodes asked, and how the answers were.
#[derive(Default)]
struct Seen {
    /// Kind and trace of every message.
    sent: Mutex<Vec<(&'static str, u64)>>,
    /// Kind of the request of every answer that told how it was made.
    told: Mutex<Vec<&'static str>>,
    /// Writes, and comparisons, do not get to this one.
    cut_off: Mutex<Option<Address>>,
}

impl Seen {
    fn sent_of(&self, kinds: &[&str]) -> Vec<(&'static str, u64)> {
        self.sent.lock().unwrap().iter().filter(|(kind, _)| kinds.contains(kind)).copied().collect()
    }

    fn traced(&self) -> Vec<(&'static str, u64)> {
        self.sent.lock().unwrap().iter().filter(|(_, id)| *id != 0).copied().collect()
    }

    fn forget(&self) {
        self.sent.lock().unwrap().clear();
        self.told.lock().unwrap().clear();
    }

    fn lets(&self, to: &Address, body: &Request) -> bool {
        let writes = matches!(
            body,
            Request::Store { repair: false, .. } | Request::Compare { .. } | Request::CompareSums { .. }
        );
        !writes || self.cut_off.lock().unwrap().as_ref() != Some(to)
    }
}

/// A node's transport, with an eye on it.
struct Watched {
    inner: Arc<SimTransport>,
    seen: Arc<Seen>,
    /// Of an older release: its answers tell nothing.
    old: Arc<AtomicBool>,
}

impl Transport for Watched {
    fn call(&self, to: &Address, call: Call, by: Instant) -> BoxFuture<'static, Result<Reply, TransportError>> {
        if !self.seen.lets(to, &call.body) {
            return Box::pin(std::future::ready(Err(TransportError::Overloaded(to.clone()))));
        }
        let (kind, seen) = (call.body.kind(), self.seen.clone());
        seen.sent.lock().unwrap().push((kind, call.head.trace_id()));
        let answer = self.inner.call(to, call, by);
        Box::pin(async move {
            let answer = answer.await;
            if answer.as_ref().is_ok_and(|reply| reply.trace.is_some()) {
                seen.told.lock().unwrap().push(kind);
            }
            answer
        })
    }

    fn open(
        &self,
        to: &Address,
        call: Call,
        idle_max: Duration,
    ) -> BoxFuture<'static, Result<Box<dyn Responses>, TransportError>> {
        self.seen.sent.lock().unwrap().push((call.body.kind(), call.head.trace_id()));
        self.inner.open(to, call, idle_max)
    }

    fn send(&self, to: &Address, call: Call) {
        self.seen.sent.lock().unwrap().push((call.body.kind(), call.head.trace_id()));
        self.inner.send(to, call);
    }

    fn resolve(&self, endpoint: &str) -> BoxFuture<'static, Result<Vec<Address>, Error>> {
        self.inner.resolve(endpoint)
    }

    fn accept(&self, service: Arc<dyn Service>) {
        self.inner.accept(Arc::new(Old { service, old: self.old.clone() }));
    }

    fn local_address(&self) -> Address {
        self.inner.local_address()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.inner.close()
    }
}

/// Answers as a release without traces, while it is told to.
struct Old {
    service: Arc<dyn Service>,
    old: Arc<AtomicBool>,
}

impl Service for Old {
    fn serve(&self, call: Call) -> Answer {
        if !self.old.load(Relaxed) {
            return self.service.serve(call);
        }
        let silent = |reply: Reply| Reply { trace: None, ..reply };
        match self.service.serve(call) {
            Answer::Now(reply) => Answer::Now(silent(reply)),
            Answer::Later(reply) => Answer::Later(Box::pin(async move { silent(reply.await) })),
            other => other,
        }
    }
}

struct Ring {
    nodes: Vec<Dht>,
    seen: Arc<Seen>,
    old: Arc<AtomicBool>,
}

impl Ring {
    async fn new(world: &World, config: &Config, count: usize) -> Self {
        let mut ring = Self { nodes: Vec::new(), seen: Arc::default(), old: Arc::default() };
        for _ in 0..count {
            ring.add(world, config).await;
        }
        ring
    }

    async fn add(&mut self, world: &World, config: &Config) {
        let number = self.nodes.len();
        let env = world.node_env(&format!("node {number}"));
        let (address, seeds) = (world.address(number), self.nodes.iter().take(1).map(Dht::address).collect());
        let inner = world.network().endpoint(address.clone());
        let foundation = Foundation {
            transport: Arc::new(Watched { inner, seen: self.seen.clone(), old: self.old.clone() }),
            store: Arc::new(MemoryStore::of(config).expect("in range")),
            shared: None,
            boot: env.random_u64().max(1),
            env,
            address,
        };
        let config = Config { node_id: format!("node-{number}"), seeds, ..config.clone() };
        let node = Dht::start_with(config, foundation).await.expect("it starts");
        node.wait_ready(Duration::from_secs(60)).await.expect("it gets ready");
        self.nodes.push(node);
    }

    /// Lets the ring come to rest, so that no list changes any more.
    async fn rest(&self) {
        pass(Duration::from_secs(30)).await;
        self.seen.forget();
    }
}

/// Depth, node, what, outcome and, in ms, how long it took, was served, and was on the way.
type Row<'a> = (u32, &'a str, &'a str, &'a str, u64, Option<u64>, Option<u64>);

fn rows(trace: &OperationTrace) -> Vec<Row<'_>> {
    let ms = |seconds: f64| (seconds * 1000.0).round() as u64;
    trace
        .spans
        .iter()
        .map(|s| {
            let (served, way) = (s.served.map(ms), s.on_the_way.map(ms));
            (s.depth, s.node.id.as_str(), s.what.as_str(), s.outcome.as_str(), ms(s.took), served, way)
        })
        .collect()
}

/// The numbers of the nodes that keep `key`, owner first.
fn holders(node: &Dht, key: &str) -> Vec<String> {
    node.locate(key).expect("it runs").into_iter().map(|info| info.id).collect()
}

fn value() -> Value {
    Value::from_serialize(&"v").expect("JSON")
}

fn put_all() -> PutOptions {
    PutOptions { consistency: Some(Consistency::All), ..PutOptions::default() }
}

fn id(trace: &OperationTrace) -> u64 {
    u64::from_str_radix(&trace.trace_id, 16).expect("hexadecimal")
}

#[test]
fn a_put_shows_the_owner_and_both_stores_and_all_messages_carry_its_id() {
    calm(|world| async move {
        let ring = Ring::new(&world, &Config::default(), 4).await;
        ring.rest().await;
        let caller = &ring.nodes[3];
        // Neither the owner nor a replica.
        let keys = keys_of(&ring.nodes[0], caller, 40);
        let key = keys.iter().find(|key| !holders(caller, key).contains(&caller.node_id())).expect("one of many");
        let list = holders(caller, key);
        let trace = caller.trace_put(key, value(), put_all()).await.expect("it runs");
        assert_eq!((trace.error.clone(), trace.found, trace.operation.as_str()), (None, true, "put"), "{trace:?}");
        assert_eq!((trace.key_id.clone(), trace.level.as_str()), (caller.hash_key_hex(key), "all"));
        let mut told = rows(&trace);
        told[1..].sort_by_key(|row| row.1 != list[1]);
        let wanted: [Row<'_>; 3] = [
            (0, &list[0], "apply", "done", 20, Some(10), Some(10)),
            (1, &list[1], "store", "done", 10, Some(0), Some(10)),
            (1, &list[2], "store", "done", 10, Some(0), Some(10)),
        ];
        assert_eq!(told, wanted, "{trace:?}");
        assert_eq!(trace.took, 0.020);
        let mut sent = ring.seen.traced();
        sent.sort_unstable();
        assert_eq!(sent, [("apply", id(&trace)), ("store", id(&trace)), ("store", id(&trace))]);

        // A read at a quorum asks two, at the same time.
        ring.seen.forget();
        let trace = caller.trace_get(key, GetOptions::default()).await.expect("it runs");
        let told = rows(&trace);
        let fetched = |node| (0, node, "fetch", "done", 10, Some(0), Some(10));
        assert_eq!(told, [fetched(list[0].as_str()), fetched(&list[1])], "{trace:?}");
        assert!(trace.found && trace.version.is_some());
        assert_eq!(ring.seen.traced(), [("fetch", id(&trace)); 2]);

        // The owner as caller: what it does itself is a step too, and takes no way.
        let owner = &ring.nodes[0];
        let trace = owner.trace_put(key, value(), PutOptions::default()).await.expect("it runs");
        let told = rows(&trace);
        assert_eq!(told[0], (0, list[0].as_str(), "apply", "done", 10, Some(10), Some(0)), "{trace:?}");
        let stores: Vec<_> = told[1..].iter().map(|row| (row.0, row.2)).collect();
        assert_eq!(stores, [(1, "store"), (1, "store")], "{trace:?}");
        // Two of three were enough: nobody waited for the third.
        assert!(told[1..].iter().any(|row| row.3 == "pending" || row.3 == "done"), "{trace:?}");
    });
}

#[test]
fn what_is_not_traced_carries_nothing() {
    calm(|world| async move {
        let ring = Ring::new(&world, &Config::default(), 4).await;
        ring.rest().await;
        for (i, node) in ring.nodes.iter().enumerate() {
            node.put(format!("k{i}"), &i).await.expect("it runs");
            assert_eq!(ring.nodes[0].get::<usize>(format!("k{i}")).await.expect("it runs"), Some(i));
        }
        let sent = ring.seen.sent_of(&["apply", "store", "fetch"]);
        assert!(sent.len() > 8, "{sent:?}");
        assert_eq!(ring.seen.traced(), []);
        assert!(ring.seen.told.lock().unwrap().is_empty());
        // Nor what goes on besides an operation that is.
        ring.nodes[0].trace_put("k0", value(), put_all()).await.expect("it runs");
        pass(Duration::from_secs(10)).await;
        let kinds: BTreeSet<&str> = ring.seen.traced().into_iter().map(|(kind, _)| kind).collect();
        assert!(kinds.iter().all(|kind| ["apply", "store"].contains(kind)), "{kinds:?}");
    });
}

#[test]
fn a_retry_after_the_owner_died_shows_both_tries() {
    calm(|world| async move {
        let ring = Ring::new(&world, &Config::default(), 4).await;
        ring.rest().await;
        let (dead, caller) = (&ring.nodes[0], &ring.nodes[3]);
        let key = key_of(dead, caller);
        let list = holders(caller, &key);
        world.network().crash(&world.address(0), Crash::Process);
        let trace = caller.trace_put(&key, value(), PutOptions::default()).await.expect("it runs");
        assert_eq!(trace.error, None, "{trace:?}");
        let applies: Vec<_> = trace.spans.iter().filter(|span| span.what == "apply").collect();
        assert!(applies.len() >= 2, "{trace:?}");
        let (first, last) = (applies[0], applies[applies.len() - 1]);
        assert_eq!((first.node.id.as_str(), first.attempt, first.outcome.as_str()), ("node-0", 0, "UNREACHABLE"));
        assert_eq!((first.served, first.on_the_way), (None, None), "it said nothing");
        assert_eq!((last.node.id.as_str(), last.attempt > 0, last.outcome.as_str()), (list[1].as_str(), true, "done"));
        assert!(first.took + first.begun <= last.begun, "one after the other: {trace:?}");
        let ids: BTreeSet<u64> = ring.seen.traced().into_iter().map(|(_, id)| id).collect();
        assert_eq!(ids, BTreeSet::from([id(&trace)]));
    });
}

#[test]
fn a_client_is_no_exception() {
    calm(|world| async move {
        let mut ring = Ring::new(&world, &Config::default(), 3).await;
        ring.add(&world, &Config { virtual_nodes: Some(0), ..Config::default() }).await;
        ring.rest().await;
        let client = &ring.nodes[3];
        let trace = client.trace_put("k", value(), put_all()).await.expect("it runs");
        let told: Vec<_> = rows(&trace).into_iter().map(|row| (row.0, row.2, row.3, row.6)).collect();
        let stored = (1, "store", "done", Some(10));
        assert_eq!(told, [(0, "apply", "done", Some(10)), stored, stored], "{trace:?}");
        assert_eq!(ring.seen.traced().len(), 3);
    });
}

#[test]
fn an_older_node_shows_only_how_long_it_was_waited_for() {
    calm(|world| async move {
        let ring = Ring::new(&world, &Config::default(), 4).await;
        ring.rest().await;
        ring.old.store(true, Relaxed);
        let caller = &ring.nodes[3];
        let key = key_of(&ring.nodes[0], caller);
        let trace = caller.trace_put(&key, value(), put_all()).await.expect("it runs");
        assert_eq!(rows(&trace), [(0, "node-0", "apply", "done", 20, None, None)], "{trace:?}");
        assert!(ring.seen.told.lock().unwrap().is_empty());
    });
}

/// A walk, with chord routing, belongs to its operation.
#[test]
fn the_lookups_of_a_walk_are_steps() {
    calm(|world| async move {
        let config = Config { routing: Routing::Chord, ..Config::default() };
        let ring = Ring::new(&world, &config, 6).await;
        ring.rest().await;
        let caller = &ring.nodes[5];
        let key = key_of(&ring.nodes[0], caller);
        let trace = caller.trace_get(&key, GetOptions::default()).await.expect("it runs");
        let kinds: Vec<&str> = trace.spans.iter().map(|span| span.what.as_str()).collect();
        assert_eq!((kinds.first(), kinds.last()), (Some(&"lookup"), Some(&"fetch")), "{trace:?}");
        assert_eq!((trace.error.clone(), trace.found), (None, false), "{trace:?}");
        let ids: BTreeSet<u64> = ring.seen.traced().into_iter().map(|(_, id)| id).collect();
        assert_eq!(ids, BTreeSet::from([id(&trace)]));
    });
}

/// A replica that missed a write is mended before a read answers: that is a step of the read.
#[test]
fn a_repair_before_the_answer_is_a_step() {
    calm(|world| async move {
        let ring = Ring::new(&world, &Config { backup_replicas: false, ..Config::default() }, 4).await;
        ring.rest().await;
        let caller = &ring.nodes[3];
        let keys = keys_of(&ring.nodes[0], caller, 40);
        let key = keys.iter().find(|key| !holders(caller, key).contains(&caller.node_id())).expect("one of many");
        let list = holders(caller, key);
        let behind: usize = list[1].strip_prefix("node-").expect("a number").parse().expect("a number");
        *ring.seen.cut_off.lock().unwrap() = Some(world.address(behind));
        caller.put(key, &1).await.expect("two of three");
        let trace = caller.trace_get(key, GetOptions::default()).await.expect("it runs");
        let told: Vec<_> = rows(&trace).into_iter().map(|row| (row.0, row.1, row.2, row.3)).collect();
        let fetched = |node| (0, node, "fetch", "done");
        assert_eq!(
            told,
            [fetched(list[0].as_str()), fetched(&list[1]), (0, list[1].as_str(), "store", "done")],
            "{trace:?}"
        );
        assert!(ring.seen.traced().contains(&("store", id(&trace))));
    });
}

/// A silent replica: another is asked in addition, and the silent one is still being waited for at the end.
#[test]
fn a_hedge_shows_as_such() {
    calm(|world| async move {
        let ring = Ring::new(&world, &Config::default(), 4).await;
        ring.rest().await;
        let caller = &ring.nodes[3];
        let keys = keys_of(&ring.nodes[0], caller, 40);
        let key = keys.iter().find(|key| !holders(caller, key).contains(&caller.node_id())).expect("one of many");
        let list = holders(caller, key);
        world.network().crash(&world.address(0), Crash::Machine);
        let trace = caller.trace_get(key, GetOptions::default()).await.expect("it runs");
        let told: Vec<_> = trace
            .spans
            .iter()
            .map(|span| (span.node.id.as_str(), span.hedged, span.outcome.as_str(), span.begun))
            .collect();
        assert_eq!(told[0], ("node-0", false, "pending", 0.0), "{trace:?}");
        assert_eq!(told[1], (list[1].as_str(), false, "done", 0.0), "{trace:?}");
        assert_eq!((told[2].0, told[2].1, told[2].2), (list[2].as_str(), true, "done"), "{trace:?}");
        assert!(told[2].3 >= 0.040, "not before 40 ms: {trace:?}");
    });
}
