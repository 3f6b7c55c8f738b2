//! Where targets of a running node run: a runtime of the thread, and a node that takes many inputs.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dht_core::store::MemoryStore;
use dht_core::transport::{Hello, TcpOptions, Transport};
use dht_core::{Config, Dht, Env, Foundation, NodeId};
use tokio::runtime::{Builder, Runtime};

use crate::deaf::Deaf;

/// A node that nobody hears of within this time hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Inputs that one node takes.
pub(crate) const INPUTS_MAX: u32 = 500;

/// The ring that every node here is of.
pub(crate) const CLUSTER: &str = "default";

/// A runtime, and what is kept from one input to the next.
pub(crate) struct Place<S> {
    runtime: Runtime,
    kept: Option<S>,
}

impl<S> Place<S> {
    pub(crate) fn new() -> Self {
        Self { runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"), kept: None }
    }

    /// Runs what feeds one input, which takes what was kept and leaves what is to be kept.
    pub(crate) fn feed(&mut self, feed: impl AsyncFnOnce(&mut Option<S>)) {
        let Self { runtime, kept } = self;
        runtime.block_on(async {
            let within = tokio::time::timeout(PATIENCE, feed(kept));
            within.await.expect("the node hangs");
        });
    }
}

/// The configuration of a node under test.
pub(crate) fn config() -> Config {
    Config {
        node_id: "fuzzed".to_owned(),
        virtual_nodes: Some(2),
        max_value_size: 4_096,
        request_timeout: Duration::from_secs(1),
        ..Config::default()
    }
}

/// How a node or a peer of that name talks, in frames of at most `frame_max` bytes.
pub(crate) fn options(node_id: &str, frame_max: usize) -> TcpOptions {
    TcpOptions {
        bind: Some("127.0.0.1:0".to_owned()),
        hello: Hello::new(CLUSTER, NodeId::new(node_id), 7, false),
        buffer_size: 64,
        max_connections: 16,
        frame_max,
        connect_timeout: Duration::from_secs(1),
        security: None,
    }
}

/// A node on `transport` that answers, but dials nobody.
pub(crate) async fn started(config: Config, transport: impl Transport, env: Env) -> Dht {
    counted(config, transport, env).await.0
}

/// The same, and how many messages it was given to act upon.
pub(crate) async fn counted(config: Config, transport: impl Transport, env: Env) -> (Dht, Arc<AtomicU64>) {
    let address = transport.local_address();
    let store = Arc::new(MemoryStore::new(1 << config.slot_bits));
    let asked = Arc::<AtomicU64>::default();
    let transport = Arc::new(Deaf { transport, asked: asked.clone() });
    let foundation = Foundation { transport, store, env, address, boot: 7, shared: None };
    (Dht::start_with(config, foundation).await.expect("it starts"), asked)
}
