//! Rings of real nodes over loopback TCP, and the ways to observe them. Ports are always chosen by the system.
//!
//! Nothing here sleeps to synchronise: [`eventually`] looks until what is awaited is there, and fails with what it saw
//! last when its deadline passes. Its pause only keeps it from spinning; no test depends on its length.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod load;

use std::net::SocketAddr;
use std::time::Duration;

use dht_core::{Config, Consistency, Dht, Env, Error, ErrorKind, GetOptions, NodeInfo, PutOptions};
use tokio::net::TcpSocket;
use tokio::time::Instant;

pub(crate) const LEVELS: [Consistency; 3] = [Consistency::One, Consistency::Quorum, Consistency::All];

/// For what takes a ring a moment: far above what it needs, so that a busy machine does not fail a test.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// Between two looks of [`eventually`].
const LOOK: Duration = Duration::from_millis(10);

/// What a look found: what was awaited, or in words what there is instead.
pub(crate) type Seen<T = ()> = Result<T, String>;

/// Monotonic now, from the one place that may read it.
pub(crate) fn now() -> Instant {
    Env::system().now()
}

/// Unix seconds.
pub(crate) fn wall() -> f64 {
    Env::system().wall_ms() as f64 / 1000.0
}

/// Looks until `check` finds what is awaited; fails with `what` and the last finding after `deadline`.
pub(crate) async fn eventually<T>(deadline: Duration, what: &str, mut check: impl AsyncFnMut() -> Seen<T>) -> T {
    let until = now() + deadline;
    loop {
        let seen = match check().await {
            Ok(found) => return found,
            Err(seen) => seen,
        };
        assert!(now() < until, "not within {deadline:?}: {what}; last seen: {seen}");
        tokio::time::sleep(LOOK).await;
    }
}

/// `found` or, in words, that it is not.
pub(crate) fn seen(found: bool, otherwise: impl FnOnce() -> String) -> Seen {
    if found { Ok(()) } else { Err(otherwise()) }
}

pub(crate) fn named(node_id: &str) -> Config {
    Config { node_id: node_id.to_owned(), ..Config::default() }
}

pub(crate) async fn start(config: Config) -> Dht {
    let name = config.node_id.clone();
    Dht::start(config).await.unwrap_or_else(|error| panic!("{name} does not start: {error:#}"))
}

/// A ring of `n` nodes with the default configuration, named n0, n1, …, settled.
pub(crate) async fn ring(n: usize) -> Vec<Dht> {
    ring_of(n, "n", &Config::default()).await
}

/// A settled ring of `n` nodes like `model`, named `prefix`0, `prefix`1, …
pub(crate) async fn ring_of(n: usize, prefix: &str, model: &Config) -> Vec<Dht> {
    let mut nodes: Vec<Dht> = Vec::with_capacity(n);
    for i in 0..n {
        let seeds = nodes.iter().take(1).map(Dht::address).collect();
        nodes.push(start(Config { node_id: format!("{prefix}{i}"), seeds, ..model.clone() }).await);
    }
    settled(&nodes).await;
    nodes
}

/// Waits until exactly `nodes` form one ring in everybody's eyes and every slot has all its replicas.
pub(crate) async fn settled(nodes: &[Dht]) {
    let mut ids: Vec<String> = nodes.iter().map(Dht::node_id).collect();
    ids.sort();
    eventually(SOON, &format!("one settled ring of {ids:?}"), async || {
        for node in nodes {
            let (health, placed) = (node.health().map_err(text)?, placed(node));
            seen(placed == ids, || format!("{node:?} has {placed:?} in its lists"))?;
            seen(health.fully_replicated && health.handed_over, || format!("{node:?}: {health:?}"))?;
        }
        let views: Vec<String> =
            nodes.iter().map(|n| n.ring().map(|r| r.view)).collect::<Result<_, _>>().map_err(text)?;
        seen(views.iter().all(|view| *view == views[0]), || format!("views {views:?}"))
    })
    .await;
}

/// The node_ids that `node` has in its replica lists, ascending: a suspect stays there until the verdict.
pub(crate) fn placed(node: &Dht) -> Vec<String> {
    let ring = node.ring().map(|ring| ring.nodes).unwrap_or_default();
    ring.into_iter().filter(|n| n.share > 0.0).map(|n| n.node.id).collect()
}

/// The node_ids that `node` holds to be active, ascending.
pub(crate) fn active(node: &Dht) -> Vec<String> {
    let members = node.members().unwrap_or_default();
    members.into_iter().filter(|m| m.state == "active").map(|m| m.id).collect()
}

pub(crate) fn ids(infos: &[NodeInfo]) -> Vec<&str> {
    infos.iter().map(|info| info.id.as_str()).collect()
}

/// Live records on all nodes together, replicas included.
pub(crate) fn items(nodes: &[Dht]) -> u64 {
    nodes.iter().map(|node| node.statistics().map_or(0, |s| s.data_items_stored)).sum()
}

pub(crate) fn text(error: Error) -> String {
    format!("{error:#}")
}

pub(crate) fn put_at(level: Consistency) -> PutOptions {
    PutOptions { consistency: Some(level), ..PutOptions::default() }
}

pub(crate) fn get_at(level: Consistency) -> GetOptions {
    GetOptions { consistency: Some(level), ..GetOptions::default() }
}

/// The bytes of `key` at `node`, which must answer.
pub(crate) async fn read(node: &Dht, key: &str, level: Consistency) -> Option<Vec<u8>> {
    let found = node.get_bytes(key, get_at(level)).await;
    found.unwrap_or_else(|error| panic!("{node:?} does not answer for {key:?} at {level:?}: {error:#}")).map(Into::into)
}

/// Fails unless `result` is an error of `kind` whose text holds every one of `names`.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, Error>, kind: ErrorKind, names: &[&str]) -> Error {
    let Err(error) = result else { panic!("this must be refused with {kind}, naming {names:?}") };
    assert_eq!(error.kind(), kind, "{error:#}");
    let text = format!("{error:#}");
    for name in names {
        assert!(text.contains(name), "the text must name {name:?}: {text}");
    }
    error
}

pub(crate) async fn stop_all(nodes: &[Dht]) {
    for node in nodes {
        node.stop().await;
    }
}

/// A port of this machine that nobody else is given, and at which nobody answers, until it is released.
pub(crate) struct Reserved {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Reserved {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option that every system has");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = socket.local_addr().expect("bound");
        Self { socket, address }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Lets go of the port, for a node that is started there at once.
    pub(crate) fn release(self) -> u16 {
        drop(self.socket);
        self.address.port()
    }
}
