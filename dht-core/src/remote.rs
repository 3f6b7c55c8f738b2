//! Talking to a running node without being one: the node coordinates the calls. For command lines, scripts, and
//! programs that can reach only some of the nodes; everybody else embeds a node.

mod atomic;
mod trace;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::config::{Config, Consistency};
use crate::data::record::{OpId, Value};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::logging::Listening;
use crate::ops::{GetOptions, PutOptions, Versioned, ttl_ms, versioned};
use crate::prometheus;
use crate::ring::record::{Address, NodeId};
use crate::ring::slot::Slot;
use crate::shapes::{Health, RingInfo, Statistics};
use crate::transport::{Call, Hello, Reply, Security, TcpOptions, TcpTransport, Transport, TransportError, call_error};
use crate::wire::message::{
    Action, Head, ListId, OpResult, Operation, PutOutcome, Request, Response, ScanFrom, ScanWant, Scanning, Topic,
};

/// A connection to one running node. Clones share it; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

struct Inner {
    transport: TcpTransport,
    node: Address,
    env: Env,
    boot: u64,
    sequence: AtomicU64,
    timeout: Duration,
    _listening: Listening,
}

impl Remote {
    /// Connects to the node at `address` ("host:port") of the cluster `cluster_name`. `timeout` bounds this and, unless
    /// options say otherwise, every later call; values over 1 MiB get 1 s more per MiB. Of a name with several addresses
    /// the first whose node answers is taken, and kept; each has an equal part of the time that is left.
    ///
    /// # Errors
    /// `Address` if it does not resolve, `Unreachable` or `Timeout` if no node answers, `IncompatibleRing` if the node
    /// is of another cluster.
    pub async fn connect(address: &str, cluster_name: &str, timeout: Duration) -> Result<Self> {
        let config = Config { cluster_name: cluster_name.to_owned(), ..Config::default() };
        Self::connect_with(address, &config, timeout).await
    }

    /// As [`Remote::connect`], to a ring that is secured: of `config`, `cluster_name`, `cluster_key`, `tls` and `node_id`
    /// count. With `tls` the certificate says whose connection it is; a `node_id` chooses among several.
    ///
    /// # Errors
    /// Those of [`Remote::connect`]; `Config` if the certificate cannot be used; `Auth` if the node does not take it, or
    /// the key, or we do not take the node's.
    pub async fn connect_with(address: &str, config: &Config, timeout: Duration) -> Result<Self> {
        let listening = Listening::new(config.enable_logging);
        let env = Env::system();
        let deadline = env.after(timeout);
        let boot = env.random_u64().max(1);
        let defaults = Config::default();
        let node_id = if !config.node_id.is_empty() {
            config.node_id.clone()
        } else if let Some(certified) = Security::certified_name(config)? {
            certified
        } else {
            format!("remote-{boot:016x}")
        };
        let config = Config { node_id, ..config.clone() };
        let hello = Hello::new(&config.cluster_name, NodeId::new(&config.node_id), boot, true);
        let options = TcpOptions {
            bind: None,
            hello,
            buffer_size: defaults.buffer_size,
            max_connections: defaults.max_connections,
            frame_max: crate::transport::frame_max(&Config { max_value_size: 1 << 30, ..defaults }),
            connect_timeout: timeout,
            security: Security::of(&config, &env)?,
        };
        let transport = TcpTransport::bind(options, env.clone()).await?;
        let resolved = tokio::time::timeout_at(deadline, transport.resolve(address)).await.map_err(|_| {
            let context = format!("the name service has not said within {timeout:?} what {address} stands for");
            Error::new(ErrorKind::Unreachable, context)
        })??;
        let node = Address::new(address);
        let sequence = AtomicU64::new(1);
        let mut inner = Inner { transport, node, env, boot, sequence, timeout, _listening: listening };
        inner.settle(resolved, deadline).await?;
        Ok(Self(Arc::new(inner)))
    }

    /// Stores `value` under `key`.
    ///
    /// # Errors
    /// As `Dht::put_value`; without a level in `options` it is `quorum`.
    pub async fn put(&self, key: &[u8], value: Value, options: &PutOptions) -> Result<PutOutcome> {
        let timeout = options.timeout.unwrap_or_else(|| self.timeout(value.bytes.len()));
        let action = Action::Put { value, ttl_ms: ttl_ms(options.ttl)? };
        match self.operate(key, action, options.consistency, timeout).await? {
            OpResult::Written { outcome, .. } => Ok(outcome),
            other => Err(not_that(other)),
        }
    }

    /// The value of `key`; `None` if there is none.
    ///
    /// # Errors
    /// As `Dht::get_versioned`; without a level in `options` it is `quorum`.
    pub async fn get(&self, key: &[u8], options: &GetOptions) -> Result<Option<Versioned<Value>>> {
        let timeout = options.timeout.unwrap_or(self.0.timeout);
        match self.operate(key, Action::Get, options.consistency, timeout).await? {
            OpResult::Read { record } => Ok(record.and_then(|record| versioned(record, &self.0.env))),
            other => Err(not_that(other)),
        }
    }

    /// Deletes `key`; true if there was a value.
    ///
    /// # Errors
    /// As `Dht::delete`; without a level in `options` it is `quorum`.
    pub async fn delete(&self, key: &[u8], options: &GetOptions) -> Result<bool> {
        let timeout = options.timeout.unwrap_or(self.0.timeout);
        match self.operate(key, Action::Delete, options.consistency, timeout).await? {
            OpResult::Written { existed, .. } => Ok(existed),
            other => Err(not_that(other)),
        }
    }

    /// Calls `found` with every key that begins with `prefix` and its value, in no order, each once; see `Dht::scan`.
    /// Without `values` the values are empty. Ends after the last one, or once `found` breaks, and returns how many were
    /// told. The timeout bounds each page, not the whole.
    ///
    /// # Errors
    /// As `Scan::next`; what was found before was told.
    pub async fn scan(
        &self,
        prefix: &[u8],
        values: bool,
        mut found: impl FnMut(Bytes, Versioned<Value>) -> ControlFlow<()>,
    ) -> Result<u64> {
        let mut from = Some(ScanFrom { slot: Slot(0), after: None });
        let mut count = 0;
        while let Some(ScanFrom { slot, after }) = from {
            let request = Request::Scan(Scanning {
                items: vec![(slot, ListId::UNKNOWN)],
                map: 0,
                prefix: Bytes::copy_from_slice(prefix),
                after,
                want: if values { ScanWant::Values } else { ScanWant::Keys },
                relay: true,
            });
            let answer = self.call(request, self.0.env.after(self.0.timeout)).await?;
            let Response::Scanned { records, next, .. } = answer else { return Err(unexpected()) };
            for (_, record) in records {
                let key = record.key.clone();
                if let Some(value) = versioned(record, &self.0.env) {
                    count += 1;
                    if found(key, value).is_break() {
                        return Ok(count);
                    }
                }
            }
            from = next;
        }
        Ok(count)
    }

    /// What the node tells about `topic`, in the shapes of `NodeInfo`, `RingInfo`, `Statistics`, `Health`, or a list
    /// of `NodeInfo` (`Topic::Locate`, the only one that looks at `key`).
    ///
    /// # Errors
    /// `Unreachable`, `Timeout`, `Stopped`.
    pub async fn describe(&self, topic: Topic, key: &[u8]) -> Result<serde_json::Value> {
        let request = Request::Describe { topic, key: Bytes::copy_from_slice(key) };
        match self.call(request, self.0.env.after(self.0.timeout)).await? {
            Response::Described { json } => serde_json::from_str(&json)
                .map_err(|e| Error::new(ErrorKind::Internal, format!("the node's description is no JSON: {e}"))),
            _ => Err(unexpected()),
        }
    }

    /// The node's statistics and health and the members that it sees, as [`crate::Dht::metrics`] tells them, but for what
    /// nodes do not tell others: sum and count of what calls took, and how many members are gone.
    ///
    /// # Errors
    /// Those of [`Remote::describe`].
    pub async fn metrics(&self) -> Result<String> {
        let statistics: Statistics = self.told(Topic::Statistics).await?;
        let health: Health = self.told(Topic::Health).await?;
        let ring: RingInfo = self.told(Topic::Ring).await?;
        let members = prometheus::by_state(&prometheus::PRESENT, ring.nodes.iter().map(|member| &member.node));
        Ok(prometheus::text(&statistics, &health, &members, None))
    }

    async fn told<T: DeserializeOwned>(&self, topic: Topic) -> Result<T> {
        serde_json::from_value(self.describe(topic, b"").await?)
            .map_err(|e| Error::new(ErrorKind::Internal, format!("the node tells {topic:?} in another form: {e}")))
    }

    fn timeout(&self, value_len: usize) -> Duration {
        Config { request_timeout: self.0.timeout, ..Config::default() }.call_timeout(value_len)
    }

    fn operation_id(&self) -> OpId {
        OpId { origin: self.0.boot, sequence: self.0.sequence.fetch_add(1, Ordering::Relaxed) }
    }

    async fn operate(
        &self,
        key: &[u8],
        action: Action,
        level: Option<Consistency>,
        timeout: Duration,
    ) -> Result<OpResult> {
        let operations = vec![Operation { id: self.operation_id(), map: 0, key: Bytes::copy_from_slice(key), action }];
        let request = Request::Apply { operations, level: level.unwrap_or(Consistency::Quorum), relay: true, rings: 0 };
        match self.call(request, self.0.env.after(timeout)).await? {
            Response::Applied { results, .. } => match results.into_iter().next() {
                Some(OpResult::Failed(error)) => Err(error),
                Some(result) => Ok(result),
                None => Err(unexpected()),
            },
            _ => Err(unexpected()),
        }
    }

    async fn call(&self, body: Request, deadline: Instant) -> Result<Response> {
        self.0.call(body, deadline).await
    }

    async fn ask(&self, body: Request, deadline: Instant, trace_id: u64) -> Result<Reply, TransportError> {
        self.0.ask(body, deadline, trace_id).await
    }
}

impl Inner {
    /// Takes the first of the addresses whose node answers. Each has an equal part of what is left of the time, so that a
    /// silent one leaves some for the others.
    ///
    /// # Errors
    /// What one that answered had against us; else that of the last.
    async fn settle(&mut self, addresses: Vec<Address>, deadline: Instant) -> Result<()> {
        let mut failed = Error::new(ErrorKind::Address, format!("{:?} resolves to nothing", self.node.as_str()));
        let count = addresses.len();
        for (tried, address) in addresses.into_iter().enumerate() {
            let now = self.env.now();
            let part = now + deadline.saturating_duration_since(now) / u32::try_from(count - tried).unwrap_or(u32::MAX);
            self.node = address;
            let Err(error) = self.call(Request::Ping { boot: 0, records: Vec::new() }, part).await else {
                return Ok(());
            };
            // What a node said is more than that another is silent.
            let silent = |error: &Error| {
                matches!(error.kind(), ErrorKind::Address | ErrorKind::Unreachable | ErrorKind::Timeout)
            };
            if silent(&failed) || !silent(&error) {
                failed = error;
            }
        }
        Err(failed)
    }

    async fn call(&self, body: Request, deadline: Instant) -> Result<Response> {
        let writes = writes(&body);
        let reply = self.ask(body, deadline, 0).await.map_err(|error| failure(error, writes))?;
        match reply.body {
            Response::Failure(error) => Err(error),
            body => Ok(body),
        }
    }

    async fn ask(&self, body: Request, deadline: Instant, trace_id: u64) -> Result<Reply, TransportError> {
        let left = deadline.saturating_duration_since(self.env.now());
        // The node answers by the deadline that it is told; its answer needs a moment to get here.
        let told = left.mul_f64(0.95).as_millis();
        let deadline_ms = u32::try_from(told).unwrap_or(u32::MAX);
        let head = Head { ring_id: None, sender: 0, deadline_ms, trace_id, attempt: 0, view: 0, clock: 0 };
        self.transport.call(&self.node, Call { head, body }, deadline).await
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({})", self.0.node)
    }
}

/// Something is another after it.
fn writes(body: &Request) -> bool {
    let writes = |operation: &Operation| !matches!(operation.action, Action::Get);
    matches!(body, Request::Apply { operations, .. } if operations.iter().any(writes))
}

/// Of what only reads the outcome is known: nothing was changed.
fn failure(error: TransportError, writes: bool) -> Error {
    let error = call_error(error);
    if writes { error } else { Error::new(error.kind(), error.context()) }
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Internal, "the node gave an answer to another question")
}

fn not_that(result: OpResult) -> Error {
    match result {
        OpResult::Failed(error) => error,
        _ => unexpected(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::Dht;

    async fn listening() -> (TcpListener, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = Address::new(&listener.local_addr().expect("bound").to_string());
        (listener, address)
    }

    #[tokio::test]
    async fn the_first_address_that_answers_is_taken() {
        let node = Dht::start(Config::default()).await.expect("a ring of one");
        let other = Config { cluster_name: "other".to_owned(), ..Config::default() };
        let foreign = Dht::start(other).await.expect("a ring of one");
        // Connections wait there and are never accepted.
        let (_silent, silent) = listening().await;
        let (gone, refuses) = listening().await;
        drop(gone);
        let lives = Address::new(&node.address());
        let foreign_address = Address::new(&foreign.address());
        let remote = Remote::connect(&node.address(), "default", Duration::from_secs(10)).await.expect("it answers");
        let mut inner = Arc::into_inner(remote.0).expect("nobody shares it");
        let within = |inner: &Inner, ms| inner.env.after(Duration::from_millis(ms));
        for others in [vec![&refuses], vec![&silent], vec![&foreign_address], vec![&silent, &refuses, &foreign_address]]
        {
            let all = others.into_iter().chain([&lives]).cloned().collect();
            let deadline = within(&inner, 4_000);
            inner.settle(all, deadline).await.expect("the last one answers");
            assert_eq!(inner.node, lives);
        }
        for (all, kind) in [
            (vec![], ErrorKind::Address),
            (vec![&refuses, &refuses], ErrorKind::Unreachable),
            (vec![&foreign_address, &refuses], ErrorKind::IncompatibleRing),
            (vec![&refuses, &foreign_address], ErrorKind::IncompatibleRing),
        ] {
            let deadline = within(&inner, 2_000);
            let error = inner.settle(all.into_iter().cloned().collect(), deadline).await.expect_err("nobody");
            assert_eq!(error.kind(), kind, "{error}");
        }
        node.stop().await;
        foreign.stop().await;
    }
}
