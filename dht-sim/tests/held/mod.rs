//! Nodes one by one: each with its own configuration, a wrong clock if wanted, and a gate that holds requests back.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use dht_core::store::MemoryStore;
use dht_core::transport::{BoxFuture, Call, Reply, Responses, Service, Traffic, Transport, TransportError};
use dht_core::wire::message::Request;
use dht_core::{Address, Config, Dht, Error, Foundation};
use dht_sim::{Clock, SimTransport, World};
use tokio::time::Instant;

/// Holds back a node's comparisons and copies of slots, on which all repair and hand-over rests, while it is closed.
#[derive(Default)]
pub(crate) struct Gate {
    closed: AtomicBool,
}

impl Gate {
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    pub(crate) fn open(&self) {
        self.closed.store(false, Relaxed);
    }

    fn holds(&self, call: &Call) -> bool {
        let compares = matches!(call.body, Request::Compare { .. } | Request::CompareSums { .. });
        let copies = matches!(call.body, Request::Pull { .. } | Request::Versions { .. });
        (compares || copies) && self.closed.load(Relaxed)
    }
}

struct Gated {
    inner: Arc<SimTransport>,
    gate: Arc<Gate>,
}

impl Transport for Gated {
    fn call(&self, to: &Address, call: Call, by: Instant) -> BoxFuture<'static, Result<Reply, TransportError>> {
        if self.gate.holds(&call) {
            // An error that blames nobody: the peer stays in good standing.
            return Box::pin(ready(Err(TransportError::Overloaded(to.clone()))));
        }
        self.inner.call(to, call, by)
    }

    fn open(
        &self,
        to: &Address,
        call: Call,
        idle_max: Duration,
    ) -> BoxFuture<'static, Result<Box<dyn Responses>, TransportError>> {
        if self.gate.holds(&call) {
            return Box::pin(ready(Err(TransportError::Overloaded(to.clone()))));
        }
        self.inner.open(to, call, idle_max)
    }

    fn send(&self, to: &Address, call: Call) {
        self.inner.send(to, call);
    }

    fn resolve(&self, endpoint: &str) -> BoxFuture<'static, Result<Vec<Address>, Error>> {
        self.inner.resolve(endpoint)
    }

    fn accept(&self, service: Arc<dyn Service>) {
        self.inner.accept(service);
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

/// How a node of a test is started.
pub(crate) struct Start<'a> {
    pub(crate) world: &'a World,
    pub(crate) config: Config,
    /// The numbers of the nodes to join through.
    pub(crate) seeds: &'a [usize],
    /// Seeds by name, before those.
    pub(crate) named: &'a [&'a str],
    /// How far the wall clock is ahead.
    pub(crate) clock_ms: i64,
    pub(crate) gate: Arc<Gate>,
    pub(crate) store: Arc<MemoryStore>,
}

impl<'a> Start<'a> {
    pub(crate) fn new(world: &'a World, config: &Config, seeds: &'a [usize]) -> Self {
        let store = Arc::new(MemoryStore::of(config).expect("in range"));
        Self { world, config: config.clone(), seeds, named: &[], clock_ms: 0, gate: Arc::default(), store }
    }

    /// Starts node `number`.
    pub(crate) async fn node(self, number: usize) -> Result<Dht, Error> {
        let Self { world, config, seeds, named, clock_ms, gate, store } = self;
        let env = world.node_env_with_clock(&format!("node {number}"), Clock { offset_ms: clock_ms, drift_ppm: 0 });
        let address = world.address(number);
        let numbered = seeds.iter().map(|&seed| world.address(seed).as_str().to_owned());
        let seeds = named.iter().map(|&name| name.to_owned()).chain(numbered).collect();
        let foundation = Foundation {
            transport: Arc::new(Gated { inner: world.network().endpoint(address.clone()), gate }),
            store,
            boot: env.random_u64().max(1),
            env,
            address,
            shared: None,
        };
        Dht::start_with(Config { node_id: format!("node-{number}"), seeds, ..config }, foundation).await
    }
}

/// Starts so many nodes, all ready.
pub(crate) async fn ring(world: &World, config: &Config, count: usize) -> Vec<Dht> {
    let mut nodes = Vec::new();
    for number in 0..count {
        let seeds: &[usize] = if number == 0 { &[] } else { &[0] };
        let node = Start::new(world, config, seeds).node(number).await.expect("it starts");
        node.wait_ready(Duration::from_secs(60)).await.expect("it gets ready");
        nodes.push(node);
    }
    nodes
}

/// Lets so much virtual time pass.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// A key of which `owner` is the first replica, as `seen_by` sees it.
pub(crate) fn key_of(owner: &Dht, seen_by: &Dht) -> String {
    keys_of(owner, seen_by, 1).remove(0)
}

/// So many of them.
pub(crate) fn keys_of(owner: &Dht, seen_by: &Dht, count: usize) -> Vec<String> {
    let id = owner.node_id();
    let owned = |key: &String| seen_by.locate(key).expect("it runs")[0].id == id;
    let keys: Vec<_> = (0..10_000).map(|i| format!("key-{i}")).filter(owned).take(count).collect();
    assert_eq!(keys.len(), count, "a node owns many of many keys");
    keys
}
