//! The ring of the benchmark, and the store that takes its time.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dht_core::store::{Fingerprint, KeyDigest, MemoryStore, Merged, Record, Slot, Store, Usage, Version};
use dht_core::transport::{
    BoxFuture, Call, Hello, Reply, Responses, Service, TcpOptions, TcpTransport, Traffic, Transport, TransportError,
};
use dht_core::wire::message::Request;
use dht_core::{Address, Config, Dht, Env, Error, Foundation, NodeId};
use tokio::time::Instant;

type Stored<T> = dht_core::Result<T>;

/// What one get takes in the store.
pub(crate) const SERVICE: Duration = Duration::from_micros(200);

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// One copy of everything, so that every key has one node to ask.
pub(crate) fn ring_config(node_id: &str, seeds: &[&Dht]) -> Config {
    let seeds = seeds.iter().map(|node| node.address()).collect();
    Config { node_id: node_id.to_owned(), replication_factor: 1, slot_bits: 8, seeds, ..Config::default() }
}

/// A node whose store is slow while the flag is up, and its transport, which remembers what it was last asked to fetch.
pub(crate) async fn node(node_id: &str, seeds: &[&Dht]) -> (Dht, Arc<Recording>, Arc<AtomicBool>) {
    let config = ring_config(node_id, seeds);
    let env = Env::system();
    let boot = env.random_u64().max(1);
    let options = TcpOptions {
        bind: Some("127.0.0.1:0".to_owned()),
        hello: Hello::new(&config.cluster_name, NodeId::new(node_id), boot, false),
        buffer_size: config.buffer_size,
        max_connections: config.max_connections,
        frame_max: config.max_value_size + (64 << 10),
        connect_timeout: config.request_timeout,
        security: None,
    };
    let inner = TcpTransport::bind(options, env.clone()).await.expect("a free port");
    let transport = Arc::new(Recording { inner, fetch: Mutex::default() });
    let slow = Arc::new(AtomicBool::new(false));
    let inner = MemoryStore::of(&config).expect("in range");
    let store = Arc::new(Slow { inner, env: env.clone(), slow: slow.clone() });
    let address = transport.local_address();
    let foundation = Foundation { transport: transport.clone(), store, env, address, boot, shared: None };
    (Dht::start_with(config, foundation).await.expect("it starts"), transport, slow)
}

/// The transport of a node, with the last fetch that left it: an open loop sends that again and again, which costs its
/// processor a third of a whole get.
pub(crate) struct Recording {
    inner: TcpTransport,
    fetch: Mutex<Option<(Address, Call)>>,
}

impl Recording {
    pub(crate) fn fetch(&self) -> (Address, Call) {
        self.fetch.lock().expect("no panic").clone().expect("a key of another node was read")
    }
}

impl Transport for Recording {
    fn call(&self, to: &Address, call: Call, by: Instant) -> BoxFuture<'static, Result<Reply, TransportError>> {
        if matches!(call.body, Request::Fetch { .. }) {
            *self.fetch.lock().expect("no panic") = Some((to.clone(), call.clone()));
        }
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

/// Keeps the processor busy for [`SERVICE`] before it gets anything, as a store that computes would.
struct Slow {
    inner: MemoryStore,
    env: Env,
    slow: Arc<AtomicBool>,
}

impl Store for Slow {
    fn get(&self, slot: Slot, map: u32, key: &[u8]) -> Stored<Option<Record>> {
        if self.slow.load(Relaxed) {
            let end = self.env.now() + SERVICE;
            while self.env.now() < end {
                std::hint::spin_loop();
            }
        }
        self.inner.get(slot, map, key)
    }

    fn merge(&self, slot: Slot, record: Record) -> Stored<Merged> {
        self.inner.merge(slot, record)
    }

    fn fingerprint(&self, slot: Slot) -> Stored<Fingerprint> {
        self.inner.fingerprint(slot)
    }

    fn versions(&self, slot: Slot) -> Stored<Vec<(KeyDigest, Version)>> {
        self.inner.versions(slot)
    }

    fn records(&self, slot: Slot, digests: &[KeyDigest], bytes_max: usize) -> Stored<(Vec<Record>, usize)> {
        self.inner.records(slot, digests, bytes_max)
    }

    fn remove_slot(&self, slot: Slot, expected: Fingerprint) -> Stored<bool> {
        self.inner.remove_slot(slot, expected)
    }

    fn occupied(&self) -> Stored<Vec<Slot>> {
        self.inner.occupied()
    }

    fn sweep(&self, slot: Slot, now_ms: u64, forget_before_ms: u64) -> Stored<u64> {
        self.inner.sweep(slot, now_ms, forget_before_ms)
    }

    fn bytes_in(&self, slot: Slot) -> u64 {
        self.inner.bytes_in(slot)
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}

pub(crate) fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
