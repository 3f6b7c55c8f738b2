//! What the tests of the network share.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dht_core::transport::{Answer, BoxFuture, Call, Reply, Responses, Service, Transport, TransportError};
use dht_core::wire::message::{Request, Response};
use dht_sim::scenarios::ping_storm::{Pong, ping};
use dht_sim::{Latency, NetworkConfig, Setup, SimTransport, World};

pub(crate) const LATENCY: Duration = Duration::from_millis(5);

/// Runs a test on a network without chance: every message takes `LATENCY`.
pub(crate) fn calm<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    with(NetworkConfig { latency: Latency::Fixed(LATENCY), ..NetworkConfig::default() }, test);
}

pub(crate) fn with<F: Future<Output = ()>>(network: NetworkConfig, test: impl FnOnce(World) -> F) {
    let setup = Setup::new("test", 1, network);
    if let Err(failure) = dht_sim::run(setup, |world| async move {
        test(world).await;
        Ok(())
    }) {
        panic!("{failure}");
    }
}

/// An endpoint that answers pings.
pub(crate) fn pong(world: &World, number: usize) -> Arc<SimTransport> {
    serving(world, number, Arc::new(Pong))
}

pub(crate) fn serving(world: &World, number: usize, service: Arc<dyn Service>) -> Arc<SimTransport> {
    let transport = world.network().endpoint(world.address(number));
    transport.accept(service);
    transport
}

/// Pings a node with a second of patience; returns how long that took.
pub(crate) async fn try_ping(
    world: &World,
    from: &SimTransport,
    to: usize,
) -> (Duration, Result<Reply, TransportError>) {
    let begin = world.now();
    let deadline = world.env().now() + Duration::from_secs(1);
    let result = from.call(&world.address(to), ping(1), deadline).await;
    (world.now() - begin, result)
}

/// Notes the numbers of the pings that it gets, and answers as it is told.
pub(crate) struct Recorder {
    pub(crate) seen: Mutex<Vec<u64>>,
    pub(crate) answer: fn(Call) -> Answer,
}

impl Recorder {
    pub(crate) fn new(answer: fn(Call) -> Answer) -> Arc<Self> {
        Arc::new(Self { seen: Mutex::new(Vec::new()), answer })
    }

    pub(crate) fn seen(&self) -> Vec<u64> {
        self.seen.lock().expect("no test panics while it holds this").clone()
    }
}

impl Service for Recorder {
    fn serve(&self, call: Call) -> Answer {
        if let Request::Ping { boot, .. } = call.body {
            self.seen.lock().expect("no test panics while it holds this").push(boot);
        }
        (self.answer)(call)
    }
}

pub(crate) fn pong_to(call: &Call) -> Reply {
    Reply::new(call.head, Response::Pong { records: Vec::new() })
}

pub(crate) fn never(_: Call) -> Answer {
    Answer::Later(Box::pin(std::future::pending()))
}

/// A stream of so many responses; the text of each is its number.
pub(crate) struct Numbers {
    pub(crate) call: Call,
    pub(crate) next: u64,
    pub(crate) end: u64,
    /// Counts what was asked of the stream.
    pub(crate) asked: Arc<Mutex<u64>>,
}

impl Responses for Numbers {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Reply, TransportError>>> {
        Box::pin(async move {
            if self.next == self.end {
                return None;
            }
            let json = self.next.to_string();
            self.next += 1;
            *self.asked.lock().expect("no test panics while it holds this") = self.next;
            Some(Ok(Reply::new(self.call.head, Response::Described { json })))
        })
    }
}

/// The text of a `Numbers` item.
pub(crate) fn text(item: Option<Result<Reply, TransportError>>) -> Option<Result<String, TransportError>> {
    item.map(|result| {
        result.map(|reply| match reply.body {
            Response::Described { json } => json,
            other => panic!("{other:?}"),
        })
    })
}
