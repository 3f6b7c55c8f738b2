//! Rings of which nodes have more to do than they can: callers are told at once, nobody is asked much more often for it,
//! and nobody is taken for dead.

use crate::common;
use crate::held;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use common::{LATENCY, calm};
use dht_core::store::MemoryStore;
use dht_core::transport::{Answer, BoxFuture, Call, Reply, Responses, Service, Traffic, Transport, TransportError};
use dht_core::wire::message::{Request, Response};
use dht_core::{Address, Config, Consistency, Dht, Error, ErrorKind, Foundation, GetOptions, PutOptions};
use dht_sim::{SimTransport, World};
use held::{keys_of, pass};
use tokio::task::JoinSet;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Refuses all that callers want while it is busy, and counts it.
#[derive(Default)]
struct Busy {
    busy: AtomicBool,
    refused: AtomicU64,
}

struct Refusing {
    inner: Arc<dyn Service>,
    busy: Arc<Busy>,
}

impl Service for Refusing {
    fn serve(&self, call: Call) -> Answer {
        let data = matches!(call.body, Request::Apply { .. } | Request::Fetch { .. } | Request::Scan(_));
        let wanted = data || matches!(call.body, Request::Join { .. });
        if !wanted || !self.busy.busy.load(Relaxed) {
            return self.inner.serve(call);
        }
        self.busy.refused.fetch_add(1, Relaxed);
        let error = Error::new(ErrorKind::Overloaded, "more to do than it can");
        // As a transport refuses: the answer names no ring but that of the question.
        Answer::Now(Reply::new(call.head, Response::Failure(error)))
    }
}

struct BusyTransport {
    inner: Arc<SimTransport>,
    busy: Arc<Busy>,
}

impl Transport for BusyTransport {
    fn call(&self, to: &Address, call: Call, by: Instant) -> BoxFuture<'static, Result<Reply, TransportError>> {
        self.inner.call(to, call, by)
    }

    fn open(
        &self,
        to: &Address,
        call: Call,
        idle_max: Duration,
    ) -> BoxFuture<'static, Result<Box<dyn Responses>, TransportError>> {
        self.inner.open(to, call, idle_max)
    }

    fn send(&self, to: &Address, call: Call) {
        self.inner.send(to, call);
    }

    fn resolve(&self, endpoint: &str) -> BoxFuture<'static, Result<Vec<Address>, Error>> {
        self.inner.resolve(endpoint)
    }

    fn accept(&self, service: Arc<dyn Service>) {
        self.inner.accept(Arc::new(Refusing { inner: service, busy: self.busy.clone() }));
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

/// Three members, and a client as the last; all share one switch.
async fn ring(world: &World, replication_factor: usize) -> (Vec<Dht>, Arc<Busy>) {
    let busy = Arc::new(Busy::default());
    let mut nodes = Vec::new();
    for number in 0..4 {
        let seeds: &[usize] = if number == 0 { &[] } else { &[0] };
        let config = Config { replication_factor, virtual_nodes: (number == 3).then_some(0), ..Config::default() };
        let node = start(world, number, seeds, config, busy.clone()).await;
        node.wait_ready(60 * SECOND).await.expect("it gets ready");
        nodes.push(node);
    }
    (nodes, busy)
}

async fn start(world: &World, number: usize, seeds: &[usize], config: Config, busy: Arc<Busy>) -> Dht {
    let env = world.node_env(&format!("node {number}"));
    let address = world.address(number);
    let seeds = seeds.iter().map(|&seed| world.address(seed).as_str().to_owned()).collect();
    let config = Config { node_id: format!("node-{number}"), slot_bits: 8, seeds, ..config };
    let foundation = Foundation {
        transport: Arc::new(BusyTransport { inner: world.network().endpoint(address.clone()), busy }),
        store: Arc::new(MemoryStore::of(&config).expect("in range")),
        boot: env.random_u64().max(1),
        env,
        address,
        shared: None,
    };
    Dht::start_with(config, foundation).await.expect("it starts")
}

/// The first of its seeds is started anew while another of them, which has the ring, is too busy to say so: it founds none.
#[test]
fn a_busy_seed_is_not_taken_for_a_silent_one() {
    calm(|world| async move {
        let busy = Arc::new(Busy::default());
        let there = start(&world, 1, &[], Config::default(), busy.clone()).await;
        there.put("key", &7).await.expect("it serves");
        busy.busy.store(true, Relaxed);
        let first = start(&world, 0, &[0, 1], Config::default(), Arc::default()).await;
        pass(30 * SECOND).await;
        assert_eq!(first.node_info().expect("it runs").state, "joining");
        busy.busy.store(false, Relaxed);
        first.wait_ready(60 * SECOND).await.expect("it is let in");
        assert_eq!(first.get("key").await.expect("it serves"), Some(7));
    });
}

fn at(consistency: Consistency) -> GetOptions {
    GetOptions { consistency: Some(consistency), ..GetOptions::default() }
}

#[test]
fn a_caller_is_told_after_one_round_trip_that_all_who_could_answer_are_busy() {
    calm(|world| async move {
        let (nodes, busy) = ring(&world, 1).await;
        let client = &nodes[3];
        let key = &keys_of(&nodes[1], client, 1)[0];
        client.put_bytes(key, "v", PutOptions::default()).await.expect("it serves");
        busy.busy.store(true, Relaxed);
        // The first have retries left, the last have none: no difference to what they are told.
        for _ in 0..500 {
            let begun = world.now();
            let error = client.get_bytes(key, at(Consistency::One)).await.expect_err("busy");
            assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Overloaded, false), "{error}");
            let error = client.put_bytes(key, "w", PutOptions::default()).await.expect_err("busy");
            assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Overloaded, false), "{error}");
            let took = world.now() - begun;
            assert!(took <= LATENCY * 4, "one round trip each, and no wait: {took:?}");
        }
        busy.busy.store(false, Relaxed);
        let found = client.get_bytes(key, at(Consistency::Quorum)).await.expect("it serves again");
        assert_eq!(found.as_deref(), Some(&b"v"[..]), "what was refused was not carried out");
    });
}

#[test]
fn retries_stay_within_a_tenth_when_everybody_is_busy() {
    calm(|world| async move {
        const CALLS: u64 = 5_000;
        let (nodes, busy) = ring(&world, 3).await;
        busy.busy.store(true, Relaxed);
        let begun = world.now();
        for round in 0..CALLS / 100 {
            let mut calls = JoinSet::new();
            for number in 0..50 {
                let (client, key) = (nodes[3].clone(), format!("key-{round}-{number}"));
                calls.spawn(async move {
                    let read = client.get_bytes(&key, at(Consistency::One)).await.expect_err("busy").kind();
                    let written = client.put_bytes(&key, "v", PutOptions::default()).await.expect_err("busy").kind();
                    assert_eq!((read, written), (ErrorKind::Overloaded, ErrorKind::Overloaded));
                });
            }
            calls.join_all().await;
            pass(SECOND / 10).await;
        }
        let refused = busy.refused.load(Relaxed);
        // Beside a tenth there are 128 to begin with, and ten a second.
        let bound = CALLS + CALLS / 10 + 128 + 10 * (world.now() - begun).as_secs() + 10;
        assert!((CALLS..=bound).contains(&refused), "{refused} messages for {CALLS} calls, at most {bound}");
        pass(30 * SECOND).await;
        for node in &nodes[..3] {
            let members = node.members().expect("it runs");
            assert!(members.iter().all(|info| info.state == "active"), "busy is not dead: {members:?}");
        }
    });
}

#[test]
fn a_node_that_stands_still_delays_no_calls_to_others() {
    calm(|world| async move {
        let (nodes, _) = ring(&world, 1).await;
        let client = nodes[3].clone();
        let (theirs, others) = (keys_of(&nodes[2], &client, 1).remove(0), keys_of(&nodes[1], &client, 1).remove(0));
        client.put_bytes(&others, "v", PutOptions::default()).await.expect("it serves");
        world.network().pause(&world.address(2), 3 * SECOND);
        let mut stuck = JoinSet::new();
        for _ in 0..500 {
            let (client, key) = (client.clone(), theirs.clone());
            stuck.spawn(async move { client.get_bytes(&key, at(Consistency::One)).await.is_err() });
        }
        for _ in 0..100 {
            let begun = world.now();
            client.get_bytes(&others, at(Consistency::One)).await.expect("it serves").expect("it is there");
            assert_eq!(world.now() - begun, LATENCY * 2, "one round trip");
        }
        assert!(stuck.join_all().await.into_iter().all(|failed| failed), "it stood still for longer than they wait");
    });
}

/// A newcomer whose sources have more to do than they can waits for them, however long: they live, and have what it lacks.
#[test]
fn a_newcomer_does_without_no_source_that_is_only_busy() {
    calm(|world| async move {
        let config = Config { slot_bits: 8, ..Config::default() };
        let mut nodes = held::ring(&world, &config, 2).await;
        let all = PutOptions { consistency: Some(Consistency::All), ..PutOptions::default() };
        for n in 0..50 {
            nodes[0].put_with(format!("key-{n}"), &n, all).await.expect("both are there");
        }
        let gate = Arc::<held::Gate>::default();
        gate.close();
        let start = held::Start { gate: gate.clone(), ..held::Start::new(&world, &config, &[0]) };
        let newcomer = start.node(2).await.expect("it starts");
        // Longer than it would wait for sources that say nothing.
        pass(200 * SECOND).await;
        assert_eq!(nodes[0].view().1, 3, "it is in the lists");
        let here = newcomer.statistics().expect("it runs").data_items_stored;
        assert_eq!((here, newcomer.health().expect("it runs").handed_over), (0, false));
        let one = GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() };
        for n in 0..50 {
            let found = newcomer.get_with(format!("key-{n}"), one).await.expect("others have it");
            assert_eq!(found, Some(n));
        }
        gate.open();
        newcomer.wait_ready(60 * SECOND).await.expect("it catches up");
        assert_eq!(newcomer.statistics().expect("it runs").data_items_stored, 50);
        nodes.push(newcomer);
        for node in &nodes {
            node.stop().await;
        }
    });
}
