//! `Dht`: the public handle of one node. Checks what callers pass in, takes the fast paths, counts; all else is below.

mod atomic;
mod backup;
mod scan;
mod trace;

pub use scan::Scan;
pub(crate) use trace::operation_trace;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::config::{Config, Consistency, NetworkProtocol};
use crate::data::record::Value;
use crate::env::{Env, after};
use crate::error::{Error, ErrorKind, Result};
use crate::node::remember;
use crate::node::{FormedRing, Inspection, Named, Node, Parts, Phase, Pointers, no_result, stopped};
use crate::ops::{GetOptions, PutOptions, Versioned, ttl_ms, versioned};
use crate::ring::id::Id;
use crate::ring::record::{Address, NodeId};
use crate::ring::shared::SharedRing;
use crate::shapes::{Finger, Health, LookupTrace, NodeInfo, RingInfo, Statistics};
use crate::store::{DiskStore, MemoryStore, Store};
use crate::transport::{Hello, Security, TcpOptions, TcpTransport, Transport, UdpTransport};
use crate::wire::message::{Action, OpResult, Operation, PutOutcome};

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
    /// `Config`, `Insecure` as [`Config::validate`], and `Config` for certificates that cannot be used; `Address` if the
    /// address cannot be bound or no seed resolves; `Storage` if `data_dir` cannot be used (another node has it, the disk
    /// fails, it is damaged or of a newer release); `IncompatibleRing`, `Auth`, `NodeIdInUse`, `RingFull`, `ClockSkew` if
    /// the ring refuses. Nothing is left running then.
    pub async fn start(config: Config) -> Result<Self> {
        config.validate()?;
        let env = Env::system();
        let boot = env.random_u64().max(1);
        let store = store(&config).await?;
        let config = named_by_certificate(config)?;
        let node_id = remember::name(&config, &env, &*store)?;
        let config = Config { node_id: node_id.clone(), ..config };
        let security = Security::of(&config, &env)?;
        let options = TcpOptions {
            bind: Some(crate::transport::resolve_bind(&config).await?.to_string()),
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
        let address = crate::transport::advertised(&config, &transport.local_address()).await?;
        let foundation = Foundation { transport, store, env, address, boot, shared: None };
        Self::start_with(config, foundation).await
    }

    /// Starts a node on a given transport, store and environment.
    ///
    /// # Errors
    /// As [`Dht::start`], without those of the machine.
    #[doc(hidden)]
    pub async fn start_with(config: Config, foundation: Foundation) -> Result<Self> {
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
        if let Err(error) = node.enter(node.config.request_timeout).await {
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
    /// by version. Joining the ring one is in is a no-op. Bounded by `request_timeout` × (`max_retries` + 1).
    ///
    /// # Errors
    /// `InvalidArgument` if a seed is no "host:port" or all are this node itself; `Address` if none resolves;
    /// `Unreachable` if none answers; `IncompatibleRing`, `Auth`, `ClockSkew`, `NodeIdInUse`, `RingFull` if the ring refuses:
    /// the node stays where it was. `Timeout` if it was let in and is still copying.
    pub async fn join<S: AsRef<str>>(&self, seeds: &[S]) -> Result<()> {
        let node = self.node()?;
        let seeds: Vec<String> = seeds.iter().map(|s| s.as_ref().trim().to_owned()).collect();
        if seeds.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "no address to join was given"));
        }
        if let Some(bad) = seeds.iter().find(|s| !crate::config::is_endpoint(s)) {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("{bad:?} is no \"host:port\"")));
        }
        let bound = node.config.request_timeout * (node.config.max_retries + 1);
        node.join(&seeds, node.env.now() + bound).await
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
    /// # Errors
    /// `Timeout` if not everything was handed over within `timeout`; the node has left nevertheless.
    pub async fn leave(&self, timeout: Duration) -> Result<()> {
        self.0.node.leave(timeout).await
    }

    /// Ends at once, without hand-over or goodbye: to the ring, a crash. Idempotent.
    pub async fn stop(&self) {
        self.0.node.shut_down(Phase::Stopped).await;
    }

    /// What the checker of a simulator looks at.
    #[doc(hidden)]
    pub fn inspect(&self) -> Inspection {
        self.0.node.inspect()
    }

    /// Chord's pointers of each position, for the checker of a simulator; `None` while this node is no member.
    #[doc(hidden)]
    pub fn pointers(&self) -> Option<Vec<Pointers>> {
        self.0.node.pointers()
    }

    /// Whether that life of that node is in this node's view.
    #[doc(hidden)]
    pub fn sees(&self, node_id: &NodeId, boot: u64) -> bool {
        self.0.node.sees(node_id, boot)
    }

    /// Fingerprint and number of the members of this node's view.
    #[doc(hidden)]
    pub fn view(&self) -> (u64, usize) {
        let view = self.0.node.view();
        (view.fingerprint(), view.members().len())
    }

    /// Through what this node tries to find a ring: the configured seeds and those of explicit joins.
    #[doc(hidden)]
    pub fn seeds(&self) -> Vec<String> {
        self.0.node.seeds()
    }

    /// How many others this node would find again if it were started anew; `None` if it was not written yet.
    #[doc(hidden)]
    pub fn remembers(&self) -> Option<usize> {
        self.0.node.remembers()
    }

    /// Whether what this node found in its `data_dir` was older than its last life.
    #[doc(hidden)]
    pub fn is_outdated(&self) -> bool {
        self.0.node.is_outdated()
    }

    /// For tests that show what it is good for: from now on this node replaces lost copies at once, however many were lost.
    #[doc(hidden)]
    pub fn switch_off_mass_loss_guard(&self) {
        self.0.node.switch_off_mass_loss_guard();
    }

    /// What others dial: "host:port".
    pub fn address(&self) -> String {
        self.0.node.address.as_str().to_owned()
    }

    /// This node's name on the ring.
    pub fn node_id(&self) -> String {
        self.0.node.node_id.as_str().to_owned()
    }

    /// Stores the JSON of `value` under `key`, for ever.
    ///
    /// # Errors
    /// See [`Dht::put_with`].
    pub async fn put<T: Serialize + ?Sized>(&self, key: impl AsRef<[u8]>, value: &T) -> Result<PutOutcome> {
        self.put_with(key, value, PutOptions::default()).await
    }

    /// Stores the JSON of `value` under `key` for `ttl`.
    ///
    /// # Errors
    /// See [`Dht::put_with`].
    pub async fn put_with_ttl<T: Serialize + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        value: &T,
        ttl: Duration,
    ) -> Result<PutOutcome> {
        self.put_with(key, value, PutOptions { ttl: Some(ttl), ..PutOptions::default() }).await
    }

    /// Stores the JSON of `value` under `key`.
    ///
    /// # Errors
    /// `InvalidValue` if `value` has no JSON form; otherwise as [`Dht::put_value`].
    pub async fn put_with<T: Serialize + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        value: &T,
        options: PutOptions,
    ) -> Result<PutOutcome> {
        self.put_value(key, Value::from_serialize(value)?, options).await
    }

    /// Stores opaque bytes under `key`.
    ///
    /// # Errors
    /// As [`Dht::put_value`].
    pub async fn put_bytes(
        &self,
        key: impl AsRef<[u8]>,
        value: impl Into<Bytes>,
        options: PutOptions,
    ) -> Result<PutOutcome> {
        self.put_value(key, Value::from_bytes(value), options).await
    }

    /// Stores a value of either format under `key`.
    ///
    /// # Errors
    /// `TooLarge`, `InvalidArgument` (ttl 0), `Stopped`: nothing was done. `NotJoined`, `Overloaded`, `Unreachable`,
    /// `Quorum`, `Timeout`: see `Error::maybe_applied`; where it is true the write may be there, now or later.
    pub async fn put_value(&self, key: impl AsRef<[u8]>, value: Value, options: PutOptions) -> Result<PutOutcome> {
        let action = Action::Put { value, ttl_ms: ttl_ms(options.ttl)? };
        written(self.act(key.as_ref(), action, options.consistency, options.timeout).await?).map(|(outcome, _)| outcome)
    }

    /// The value of `key`, from its JSON; `None` if there is none.
    ///
    /// # Errors
    /// `WrongFormat` if the value is bytes or its JSON no `T`; otherwise as [`Dht::get_versioned`].
    pub async fn get<T: DeserializeOwned>(&self, key: impl AsRef<[u8]>) -> Result<Option<T>> {
        self.get_with(key, GetOptions::default()).await
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Dht::get`].
    pub async fn get_with<T: DeserializeOwned>(&self, key: impl AsRef<[u8]>, options: GetOptions) -> Result<Option<T>> {
        match self.get_versioned(key, options).await? {
            Some(found) => found.value.deserialize().map(Some),
            None => Ok(None),
        }
    }

    /// The bytes of the value of `key`: as they were put, or the JSON's text.
    ///
    /// # Errors
    /// As [`Dht::get_versioned`].
    pub async fn get_bytes(&self, key: impl AsRef<[u8]>, options: GetOptions) -> Result<Option<Bytes>> {
        Ok(self.get_versioned(key, options).await?.map(|found| found.value.bytes))
    }

    /// The value of `key` with its version and expiry; `None` if there is none.
    ///
    /// # Errors
    /// `TooLarge` (the key), `Stopped`, `NotJoined`, `Quorum` or `Timeout` if too few caught-up replicas answered.
    pub async fn get_versioned(&self, key: impl AsRef<[u8]>, options: GetOptions) -> Result<Option<Versioned<Value>>> {
        let key = key.as_ref();
        if let Some(found) = self.get_from_memory(key, options) {
            return found;
        }
        let node = self.node()?;
        let begun = node.env.now();
        let level = options.consistency.unwrap_or(node.config.consistency);
        let deadline = after(begun, options.timeout.unwrap_or(node.config.request_timeout));
        let named = Named { name: "get", key, level };
        let key = (0, Bytes::copy_from_slice(key));
        let mut results = node.sampled(named, node.read(std::slice::from_ref(&key), level, deadline)).await;
        let result = results.pop().unwrap_or_else(|| Err(no_result()));
        node.count_lookup(&result, begun);
        Ok(result?.and_then(|record| versioned(record, &node.env)))
    }

    /// What [`Dht::get_versioned`] answers at once, on any thread, because this node has it in memory or refuses;
    /// `None` if others have to be asked, and then nothing was done or counted.
    #[doc(hidden)]
    #[inline]
    pub fn get_from_memory(&self, key: &[u8], options: GetOptions) -> Option<Result<Option<Versioned<Value>>>> {
        let node = match self.node() {
            Ok(node) => node,
            Err(error) => return Some(Err(error)),
        };
        if let Err(error) = node.check_key(key) {
            node.stats.lookup_failed(error.kind());
            return Some(Err(error));
        }
        let count = node.stats.stands_for();
        let begun = (count > 0).then(|| node.env.now());
        let found = match node.read_here(key, options.consistency.unwrap_or(node.config.consistency))? {
            Ok(record) => record.and_then(|record| versioned(record, &node.env)),
            Err(error) => {
                node.stats.lookup_failed(error.kind());
                return Some(Err(error));
            }
        };
        node.stats.found_in_memory(found.is_some(), begun.map(|begun| (node.env.now() - begun, count)));
        Some(Ok(found))
    }

    /// Deletes `key`; true if there was a value.
    ///
    /// # Errors
    /// As [`Dht::put_value`].
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.delete_with(key, GetOptions::default()).await
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Dht::put_value`].
    pub async fn delete_with(&self, key: impl AsRef<[u8]>, options: GetOptions) -> Result<bool> {
        let result = self.act(key.as_ref(), Action::Delete, options.consistency, options.timeout).await?;
        written(result).map(|(_, existed)| existed)
    }

    /// Whether `key` has a value.
    ///
    /// # Errors
    /// As [`Dht::get_versioned`].
    pub async fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.get_versioned(key, GetOptions::default()).await?.is_some())
    }

    /// How long `key` still lives; `None` if it has no value or never expires.
    ///
    /// # Errors
    /// As [`Dht::get_versioned`].
    pub async fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Option<Duration>> {
        let Some(found) = self.get_versioned(key, GetOptions::default()).await? else { return Ok(None) };
        let now_ms = self.0.node.env.wall_ms();
        // Back to the whole milliseconds that it was made of: never more than was given.
        let left = |at: f64| Duration::from_millis(((at * 1000.0).round() as u64).saturating_sub(now_ms));
        Ok(found.expires_at.map(left))
    }

    /// Stores many values, grouped per owner; the results stand in the order of the entries. Of a key that is there
    /// twice the later entry wins.
    ///
    /// # Errors
    /// `InvalidArgument` (ttl 0), `Stopped`: nothing was done. Everything else is told per key.
    pub async fn put_many(
        &self,
        entries: impl IntoIterator<Item = (impl Into<Bytes>, Value)>,
        options: PutOptions,
    ) -> Result<Vec<Result<PutOutcome>>> {
        let ttl_ms = ttl_ms(options.ttl)?;
        let operations =
            entries.into_iter().map(|(key, value)| (key.into(), Action::Put { value, ttl_ms })).collect::<Vec<_>>();
        let results = self.write_many(operations, options.consistency, options.timeout).await?;
        Ok(results.into_iter().map(|result| written(result).map(|(outcome, _)| outcome)).collect())
    }

    /// The values of many keys, in the order asked.
    ///
    /// # Errors
    /// `Stopped`. Everything else is told per key.
    pub async fn get_many(
        &self,
        keys: impl IntoIterator<Item = impl Into<Bytes>>,
        options: GetOptions,
    ) -> Result<Vec<Result<Option<Versioned<Value>>>>> {
        let node = self.node()?;
        let begun = node.env.now();
        let level = options.consistency.unwrap_or(node.config.consistency);
        let deadline = after(begun, options.timeout.unwrap_or(node.config.request_timeout));
        let keys: Vec<(u32, Bytes)> = keys.into_iter().map(|key| (0, key.into())).collect();
        let fits = |(_, key): &&(u32, Bytes)| node.check_key(key).is_ok();
        let checked: Vec<(u32, Bytes)> = keys.iter().filter(fits).cloned().collect();
        let named = Named { name: "get_many", key: checked.first().map_or(&[], |(_, key)| key), level };
        let mut found = node.sampled(named, node.read(&checked, level, deadline)).await.into_iter();
        let result = |(_, key): &(u32, Bytes)| {
            let read = |()| found.next().unwrap_or_else(|| Err(no_result()));
            let result = node.check_key(key).and_then(read);
            node.count_lookup(&result, begun);
            Ok(result?.and_then(|record| versioned(record, &node.env)))
        };
        Ok(keys.iter().map(result).collect())
    }

    /// Deletes many keys; true for each that had a value, in the order given.
    ///
    /// # Errors
    /// `Stopped`: nothing was done. Everything else is told per key.
    pub async fn delete_many(
        &self,
        keys: impl IntoIterator<Item = impl Into<Bytes>>,
        options: GetOptions,
    ) -> Result<Vec<Result<bool>>> {
        let operations = keys.into_iter().map(|key| (key.into(), Action::Delete)).collect::<Vec<_>>();
        let results = self.write_many(operations, options.consistency, options.timeout).await?;
        Ok(results.into_iter().map(|result| written(result).map(|(_, existed)| existed)).collect())
    }

    /// The id of a key on the ring.
    pub fn hash_key(&self, key: impl AsRef<[u8]>) -> Id {
        self.0.node.key_id(key.as_ref())
    }

    /// The id of a key on the ring as lower-case hexadecimal of ceil(hash_bits / 4) digits.
    pub fn hash_key_hex(&self, key: impl AsRef<[u8]>) -> String {
        self.0.node.ids.hex(self.hash_key(key))
    }

    /// The nodes that keep `key`, owner first, as this node sees the ring.
    ///
    /// # Errors
    /// `TooLarge`, `Stopped`.
    pub fn locate(&self, key: impl AsRef<[u8]>) -> Result<Vec<NodeInfo>> {
        let node = self.node()?;
        node.check_key(key.as_ref())?;
        Ok(node.locate(key.as_ref()))
    }

    /// The way to the owner of `key`: walks the ring as a Chord lookup does, whatever this node's view says, and tells
    /// whom it asked. Counts in no statistics; takes `request_timeout` at most.
    ///
    /// # Errors
    /// `TooLarge` (the key), `Stopped`; `NotJoined` if this node is in no ring by then, `Timeout`, `Unreachable` if all
    /// ways ended at silent nodes.
    pub async fn lookup_trace(&self, key: impl AsRef<[u8]>) -> Result<LookupTrace> {
        let node = self.node()?;
        node.check_key(key.as_ref())?;
        node.lookup_trace(key.as_ref(), node.env.now() + node.config.request_timeout).await
    }

    /// This node.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn node_info(&self) -> Result<NodeInfo> {
        Ok(self.node()?.node_info())
    }

    /// The first other node before this node's position 0; `None` alone.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn predecessor(&self) -> Result<Option<NodeInfo>> {
        Ok(self.node()?.predecessor())
    }

    /// The next distinct others clockwise, at most `successor_list_size`; none alone.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn successor_list(&self) -> Result<Vec<NodeInfo>> {
        Ok(self.node()?.successor_list())
    }

    /// The fingers of position 0 that are known, ascending.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn finger_table(&self) -> Result<Vec<Finger>> {
        Ok(self.node()?.finger_table())
    }

    /// The ring as this node sees it.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn ring(&self) -> Result<RingInfo> {
        Ok(self.node()?.ring_info())
    }

    /// All nodes that this node remembers, those that are gone included.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn members(&self) -> Result<Vec<NodeInfo>> {
        Ok(self.node()?.members())
    }

    /// What was counted and measured.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn statistics(&self) -> Result<Statistics> {
        Ok(self.node()?.statistics())
    }

    /// Whether this node and its part of the ring are well.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn health(&self) -> Result<Health> {
        Ok(self.node()?.health())
    }

    /// Statistics, health and the number of members by state as text in Prometheus' exposition format, version 0.0.4: what
    /// a page that is scraped answers, as `text/plain; version=0.0.4`. Every metric is called `dht_` and the name of the
    /// statistic, with `_seconds` behind times and `_total` behind what is counted since the start. What calls took is in
    /// the summaries `dht_store_duration_seconds` and `dht_lookup_duration_seconds`, without quantiles if
    /// `enable_metrics` is false.
    ///
    /// `dht_misbehaving_peers_total` has a label for each peer. Where untrusted ones can reach the node, drop it when
    /// scraping: who they say they are is for them to choose.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let node = dht_core::Dht::start(dht_core::Config::default()).await?;
    /// node.put("k", &1).await?;
    /// assert!(node.metrics()?.contains("\ndht_stores_successful_total 1\n"));
    /// # node.stop().await;
    /// # Ok::<(), dht_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `Stopped`.
    pub fn metrics(&self) -> Result<String> {
        Ok(self.node()?.metrics())
    }

    fn node(&self) -> Result<&Arc<Node>> {
        if self.0.node.ended() { Err(stopped()) } else { Ok(&self.0.node) }
    }

    fn operation(&self, key: &[u8], action: Action) -> Result<Operation> {
        let node = &self.0.node;
        node.check_key(key)?;
        action.values().try_for_each(|value| node.check_value(value.bytes.len()))?;
        Ok(Operation { id: node.operation_id(), map: 0, key: Bytes::copy_from_slice(key), action })
    }

    /// Carries out one operation on one key; what failed is an error.
    async fn act(
        &self,
        key: &[u8],
        action: Action,
        consistency: Option<Consistency>,
        timeout: Option<Duration>,
    ) -> Result<OpResult> {
        let node = self.node()?;
        let begun = node.env.now();
        let patience = timeout.unwrap_or_else(|| node.config.call_timeout(action.values_len()));
        let deadline = after(begun, patience);
        let result = match self.operation(key, action) {
            Err(error) => OpResult::Failed(error),
            Ok(operation) => self.carry_out(&operation, consistency, deadline).await,
        };
        node.count_store(&result, begun);
        match result {
            OpResult::Failed(error) => Err(error),
            result => Ok(result),
        }
    }

    async fn carry_out(&self, operation: &Operation, consistency: Option<Consistency>, deadline: Instant) -> OpResult {
        let node = &self.0.node;
        match node.put_alone(operation) {
            Some(result) => node.settle_alone(&operation.key, result).await,
            None => {
                let level = consistency.unwrap_or(node.config.consistency);
                let named = Named { name: operation.action.name(), key: &operation.key, level };
                let written = node.write(std::slice::from_ref(operation), level, deadline);
                let mut results = node.sampled(named, written).await;
                results.pop().unwrap_or_else(|| OpResult::Failed(no_result()))
            }
        }
    }

    async fn write_many(
        &self,
        actions: Vec<(Bytes, Action)>,
        consistency: Option<Consistency>,
        timeout: Option<Duration>,
    ) -> Result<Vec<OpResult>> {
        let node = self.node()?;
        let begun = node.env.now();
        let mut results: Vec<Option<OpResult>> = Vec::with_capacity(actions.len());
        let mut operations = Vec::with_capacity(actions.len());
        let mut bytes = 0;
        for (key, action) in actions {
            let operation = Operation { id: node.operation_id(), map: 0, key, action };
            match node.check_operation(&operation) {
                Ok(()) => {
                    bytes += operation.action.values_len();
                    operations.push(operation);
                    results.push(None);
                }
                Err(error) => results.push(Some(OpResult::Failed(error))),
            }
        }
        let deadline = after(begun, timeout.unwrap_or_else(|| node.config.call_timeout(bytes)));
        let level = consistency.unwrap_or(node.config.consistency);
        let named = Named { name: "write_many", key: operations.first().map_or(&[], |o| &o.key), level };
        let mut written = node.sampled(named, node.write(&operations, level, deadline)).await.into_iter();
        let result = |refused: Option<OpResult>| {
            let missing = || OpResult::Failed(no_result());
            let result = refused.unwrap_or_else(|| written.next().unwrap_or_else(missing));
            node.count_store(&result, begun);
            result
        };
        Ok(results.into_iter().map(result).collect())
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

fn written(result: OpResult) -> Result<(PutOutcome, bool)> {
    match result {
        OpResult::Written { outcome, existed, .. } => Ok((outcome, existed)),
        OpResult::Failed(error) => Err(error),
        OpResult::Misrouted | OpResult::Read { .. } => Err(no_result()),
    }
}
