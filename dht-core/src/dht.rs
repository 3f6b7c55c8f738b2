//! `Dht`: the public handle of one node. Checks what callers pass in, takes the fast paths, counts; all else is below.

mod atomic;
mod backup;
mod data;
mod describe;
mod inspect;
mod scan;
mod trace;

pub use scan::Scan;
pub(crate) use trace::operation_trace;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Config, NetworkProtocol};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::logging::Listening;
use crate::node::remember;
use crate::node::{FormedRing, Node, Parts, Phase};
use crate::ring::record::{Address, NodeId};
use crate::ring::shared::SharedRing;
use crate::store::{DiskStore, MemoryStore, Store};
use crate::transport::{Hello, Security, TcpOptions, TcpTransport, Transport, UdpTransport};

/// One node of the ring, inside this process. Clones are handles on the same node; when the last one is dropped the
/// node stops, which to the ring is a crash: call [`Dht::leave`] to hand over first.
///
/// All methods may be called from any task of the tokio runtime on which the node was started.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use dht_core::{Config, Dht};
///
/// let node = Dht::start(Config::default()).await?;
/// node.put("greeting", &"hello").await?;
/// assert_eq!(node.get::<String>("greeting").await?, Some("hello".to_owned()));
/// node.stop().await;
/// # Ok::<(), dht_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Dht(Arc<Handle>);

struct Handle {
    node: Arc<Node>,
    /// Ends the node when dropped on its runtime.
    runtime: tokio::runtime::Handle,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.node.ended() {
            return;
        }
        let node = self.node.clone();
        // Dropping cannot wait; the node's runtime ends it. If that runtime is gone, so are the node's tasks.
        self.runtime.spawn(async move { node.shut_down(Phase::Stopped).await });
    }
}

/// What a node stands on; the simulator brings its own.
#[doc(hidden)]
pub struct Foundation {
    /// Carries its messages.
    pub transport: Arc<dyn Transport>,
    /// Keeps its records.
    pub store: Arc<dyn Store>,
    /// Its clock and randomness.
    pub env: Env,
    /// What others dial.
    pub address: Address,
    /// Drawn anew at every start.
    pub boot: u64,
    /// What this node keeps in common with others of this process.
    pub shared: Option<Arc<SharedRing>>,
}

impl Dht {
    /// Starts a node. Without seeds it founds a ring and serves at once; with seeds it returns after joining, or after
    /// `request_timeout` and goes on trying for life.
    ///
    /// # Errors
    /// `Config`, `Insecure` as [`Config::validate`], and `Config` for certificates that cannot be used or a `data_dir` of another
    /// node, cluster or kind of ring; `Address` if the
    /// address cannot be bound or no seed resolves; `Storage` if `data_dir` cannot be used (another node has it, the disk
    /// fails, it is damaged or of a newer release); `IncompatibleRing`, `Auth`, `NodeIdInUse`, `RingFull`, `ClockSkew` if
    /// the ring refuses. Nothing is left running then.
    pub async fn start(config: Config) -> Result<Self> {
        config.validate()?;
        // What happens before there is a node is told as well.
        let _listening = Listening::new(config.enable_logging);
        let env = Env::system();
        let boot = env.random_u64().max(1);
        let store = store(&config).await?;
        let config = named_by_certificate(config)?;
        let node_id = remember::name(&config, &env, &*store)?;
        let config = Config { node_id: node_id.clone(), ..config };
        let security = Security::of(&config, &env)?;
        let deadline = env.now() + config.request_timeout;
        let options = TcpOptions {
            bind: Some(crate::transport::resolve_bind(&config, deadline).await?.to_string()),
            hello: Hello::new(&config.cluster_name, NodeId::new(&node_id), boot, config.vnode_count() == 0),
            buffer_size: config.buffer_size,
            max_connections: config.max_connections,
            frame_max: crate::transport::frame_max(&config),
            connect_timeout: config.request_timeout,
            security,
        };
        let transport: Arc<dyn Transport> = match config.network_protocol {
            NetworkProtocol::Tcp => Arc::new(TcpTransport::bind(options, env.clone()).await?),
            NetworkProtocol::Udp => Arc::new(UdpTransport::bind(options, env.clone()).await?),
        };
        let address = crate::transport::advertised(&config, &transport.local_address(), deadline).await?;
        let foundation = Foundation { transport, store, env, address, boot, shared: None };
        Self::start_by(config, foundation, deadline).await
    }

    /// Starts a node on a given transport, store and environment.
    ///
    /// # Errors
    /// As [`Dht::start`], without those of the machine.
    #[doc(hidden)]
    pub async fn start_with(config: Config, foundation: Foundation) -> Result<Self> {
        let deadline = foundation.env.now() + config.request_timeout;
        Self::start_by(config, foundation, deadline).await
    }

    /// A node that has found its ring, or goes on looking for it after `deadline`.
    async fn start_by(config: Config, foundation: Foundation, deadline: Instant) -> Result<Self> {
        let started = Self::on(config, foundation)?;
        let node = &started.0.node;
        if let Err(error) = node.remember_start().await {
            node.shut_down(Phase::Stopped).await;
            return Err(error);
        }
        node.run();
        if node.config.seeds.is_empty() && !node.returns() {
            if node.is_client() {
                return Ok(started);
            }
            node.found();
            return Ok(started);
        }
        // What came before may have taken the time: a ring that refuses this node shall still be heard.
        let deadline = deadline.max(node.env.now() + node.config.request_timeout / 4);
        if let Err(error) = node.enter(deadline).await {
            node.shut_down(Phase::Stopped).await;
            return Err(error);
        }
        Ok(started)
    }

    /// Starts a node as a member of a ring that is there at once.
    ///
    /// # Errors
    /// `Config` as [`Config::validate`].
    #[doc(hidden)]
    pub fn start_formed(config: Config, foundation: Foundation, formed: &FormedRing) -> Result<Self> {
        let started = Self::on(config, foundation)?;
        started.0.node.assume(formed);
        started.0.node.run();
        Ok(started)
    }

    /// A node in no ring, without tasks.
    fn on(config: Config, foundation: Foundation) -> Result<Self> {
        config.validate()?;
        let Foundation { transport, store, env, address, boot, shared } = foundation;
        let node_id = NodeId::new(&remember::name(&config, &env, &*store)?);
        let node = Node::new(config, Parts { transport, store, env, node_id, boot, address, shared })?;
        Ok(Self(Arc::new(Handle { node, runtime: tokio::runtime::Handle::current() })))
    }

    /// Joins the ring of one of `seeds` ("host:port"). Returns when this node is active there: calls from any member
    /// see its writes then and the reverse, while the hand-over of older data may go on. What this node holds is merged
    /// by version. Joining the ring one is in is a no-op. A ring must have let it in within `request_timeout`; copying may
    /// take `request_timeout` × (`max_retries` + 1) in all.
    ///
    /// # Errors
    /// `InvalidArgument` if a seed is no "host:port" or all are this node itself; `Address` if none resolves;
    /// `Unreachable` if none answers; `IncompatibleRing`, `Auth`, `ClockSkew`, `NodeIdInUse`, `RingFull` if the ring refuses:
    /// the node stays where it was, and the addresses are not tried again; `Overloaded` if those that answer have too much to do.
    /// `Timeout`, with an unknown outcome, if it was let
    /// in and is still copying: that goes on. `Stopped`.
    pub async fn join<S: AsRef<str>>(&self, seeds: &[S]) -> Result<()> {
        let node = self.node()?;
        let seeds: Vec<String> = seeds.iter().map(|s| s.as_ref().trim().to_owned()).collect();
        if seeds.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "no address to join was given"));
        }
        if let Some(bad) = seeds.iter().find(|s| !crate::config::is_endpoint(s)) {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("{bad:?} is no \"host:port\"")));
        }
        let (now, timeout) = (node.env.now(), node.config.request_timeout);
        node.join(&seeds, now + timeout, now + timeout * (node.config.max_retries + 1)).await
    }

    /// Waits until this node is joined, agrees with its neighbours on who is there, and has caught up with all that it
    /// should hold.
    ///
    /// # Errors
    /// `Timeout` after `timeout`; `Stopped`.
    pub async fn wait_ready(&self, timeout: Duration) -> Result<()> {
        let node = self.node()?;
        node.wait_ready(node.env.after(timeout)).await
    }

    /// Hands over what only this node holds, says goodbye and ends. Idempotent: later calls succeed at once.
    ///
    /// A caller who gives up, by dropping the future, leaves the node leaving: it serves, and does not look for lost
    /// nodes any more. Call it again, or stop.
    ///
    /// # Errors
    /// `Timeout` if not everything was handed over within `timeout`; the node has ended nevertheless, and
    /// with a `data_dir`, to the others like one that died, may come back with its data. `Stopped` if it was stopped meanwhile,
    /// before everything was handed over.
    pub async fn leave(&self, timeout: Duration) -> Result<()> {
        self.0.node.leave(timeout).await
    }

    /// Ends at once, without hand-over or goodbye: to the ring, a crash. Idempotent.
    pub async fn stop(&self) {
        self.0.node.shut_down(Phase::Stopped).await;
    }

    /// Waits until the node has ended, and tells why if nobody told it to: `NodeIdInUse` if another living node has its node_id,
    /// `Storage` if its disk failed half a `tombstone_grace` ago and others went on. `None` after `leave`, `stop`.
    pub async fn ended(&self) -> Option<Error> {
        self.0.node.has_ended().await
    }

    /// What others dial: "host:port".
    pub fn address(&self) -> String {
        self.0.node.address.as_str().to_owned()
    }

    /// This node's name on the ring.
    pub fn node_id(&self) -> String {
        self.0.node.node_id.as_str().to_owned()
    }

    pub(crate) fn node(&self) -> Result<&Arc<Node>> {
        if self.0.node.ended() { Err(self.0.node.ended_error()) } else { Ok(&self.0.node) }
    }
}

impl std::fmt::Debug for Dht {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dht({} at {})", self.0.node.node_id, self.0.node.address)
    }
}

/// A node that has a certificate and no name has the name in the certificate.
fn named_by_certificate(config: Config) -> Result<Config> {
    if !config.node_id.is_empty() {
        return Ok(config);
    }
    Ok(Config { node_id: Security::certified_name(&config)?.unwrap_or_default(), ..config })
}

/// Where a node with this configuration keeps its records.
async fn store(config: &Config) -> Result<Arc<dyn Store>> {
    let slot_count = crate::ring::params::slot_count(config)?;
    let Some(dir) = config.data_dir.clone() else { return Ok(Arc::new(MemoryStore::of(config)?)) };
    let (durability, memory_max) = (config.durability, config.max_memory);
    #[expect(
        clippy::disallowed_methods,
        reason = "files are opened, and perhaps repaired, before anything is simulated"
    )]
    let opened = tokio::task::spawn_blocking(move || DiskStore::open(&dir, slot_count, durability, memory_max)).await;
    let failed = |error| Error::new(ErrorKind::Internal, "opening data_dir was broken off").with_source(error);
    Ok(Arc::new(opened.map_err(failed)??))
}
