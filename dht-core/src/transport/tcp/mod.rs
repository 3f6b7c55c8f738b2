//! Transport over TCP: one multiplexed connection per peer for calls, a second one for bulk.
//!
//! ```text
//!   caller -- frame --> outbound queue -- one write --> socket ... socket -- one read --> frames --> service
//!   caller <-- payload -- waiting table <-- frames <-- reader ... <-- one write -- outbound queue <-- answer
//! ```
//!
//! On a quiet connection the caller itself writes, and the reader that found a request writes its answer: a call then
//! costs two system calls and one task switch on each side. Requests go on the connection that their caller's side
//! dialled, answers come back on the same one; either side of a connection could serve requests, so that one
//! connection for both directions needs only a rule for which of two to keep.

pub(super) mod by_source;
mod channel;
mod connection;
pub(super) mod counters;
mod dialling;
mod files;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod gate;
mod handshake;
mod inbound;
mod listener;
mod outbound;
mod pool;
mod reader;
mod serve;
mod shared;
mod stream;
pub(super) mod tasks;

#[cfg(feature = "fuzzing")]
pub use fuzzing::said_inside;
#[cfg(feature = "fuzzing")]
pub use inbound::cut_frames;

#[cfg(test)]
mod abuse_tests;
#[cfg(test)]
mod load_tests;
#[cfg(test)]
mod secured_tests;
#[cfg(test)]
mod slow_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod untaken_tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, lookup_host};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use self::connection::{Called, Connection};
use self::outbound::Weight;
use self::pool::{DialWaiter, Lane, REDIAL_PAUSE, Way};
use self::shared::Shared;
use self::stream::{TcpResponses, stream_channel};
use super::load::Load;
use super::misbehaviour::Misbehaviour;
use super::names::Names;
use super::{BoxFuture, Call, MisdeedCounts, Reply, Responses, Security, Service, Traffic, Transport, TransportError};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::Address;
use crate::wire::codec::{decode_reply, encode_call_framed};
use crate::wire::error::WireError;
use crate::wire::frame::FrameKind;
use crate::wire::hello::Hello;

/// Larger requests take the bulk connection: on a slow link of 100 Mbit/s they hold others up for 20 ms.
const BULK_LEN_MIN: usize = 256 << 10;

/// A connection can end between choosing it and using it; the request was not sent then, so another one is tried.
const TRIES: usize = 3;

/// What a [`TcpTransport`] is made of.
#[derive(Clone, Debug)]
pub struct TcpOptions {
    /// "host:port" to listen at, a name stands for its addresses of which the first free one is taken, port 0 is
    /// chosen by the system; `None`: listens nowhere.
    pub bind: Option<String>,
    /// Who we say we are to every peer.
    pub hello: Hello,
    /// Requests under way towards a peer, frames queued towards it, and requests of a peer being carried out, each; of
    /// all peers together 16 times as many are. At least 1.
    pub buffer_size: usize,
    /// Open connections, both directions; beyond it the idlest is closed. At least 1. Fewer where the process may open few
    /// files: three quarters of them (on Linux, where that can be read).
    pub max_connections: usize,
    /// Longest message in bytes, the frame's header apart; raised to what the ring that is joined allows.
    pub frame_max: usize,
    /// How long a peer may take to accept a connection, the name service included, which gets half of it.
    pub connect_timeout: Duration,
    /// What is proven to peers, and wanted of them; `None`: nothing, and all can be read on the way.
    pub security: Option<Arc<Security>>,
}

/// [`Transport`] over TCP. Dropping it without [`Transport::close`] ends everything without waiting for it.
pub struct TcpTransport {
    shared: Arc<Shared>,
    address: Address,
}

impl TcpTransport {
    /// Listens, and carries messages from now on. `ErrorKind::Address` if the address cannot be resolved or bound;
    /// nothing is left behind then.
    pub async fn bind(options: TcpOptions, env: Env) -> Result<Self> {
        let shared = Arc::new(Shared::new(&options, env));
        let mut address = Address::new("");
        if let Some(endpoint) = &options.bind {
            let failed = |error: std::io::Error| {
                Error::new(ErrorKind::Address, format!("cannot listen at {endpoint}: {error}")).with_source(error)
            };
            let listener = TcpListener::bind(endpoint.as_str()).await.map_err(failed)?;
            address = Address::new(&listener.local_addr().map_err(failed)?.to_string());
            shared.tasks.spawn_helper(listener::listen(shared.clone(), listener));
        }
        shared.tasks.spawn_helper(listener::sweep(shared.clone()));
        Ok(Self { shared, address })
    }

    /// Whether somebody accepts connections at `to`: an open one counts, else one is opened.
    pub(super) fn reachable(&self, to: &Address, deadline: Instant) -> BoxFuture<'static, Result<(), TransportError>> {
        let (shared, to) = (self.shared.clone(), to.clone());
        Box::pin(async move { shared.reach(&to, Lane::Calls, Weight::Priority, deadline).await.map(drop) })
    }

    /// What the names of peers stood for last.
    pub(super) fn names(&self) -> &Names {
        &self.shared.names
    }

    /// What this node has under way for its peers.
    pub(super) fn load(&self) -> &Arc<Load> {
        &self.shared.load
    }

    /// Ends everything without waiting for it.
    pub(super) fn end(&self) {
        self.shared.close();
        self.shared.tasks.abandon();
    }
}

impl Transport for TcpTransport {
    fn call(&self, to: &Address, call: Call, deadline: Instant) -> BoxFuture<'static, Result<Reply, TransportError>> {
        let (shared, to) = (self.shared.clone(), to.clone());
        Box::pin(async move {
            let id = shared.request_id();
            let (mut frame, lane) = shared.frame(&call, FrameKind::Request, id)?;
            let weight = Weight::of(&call.body);
            drop(call);
            for attempt in 1..=TRIES {
                let connection = match shared.reach(&to, lane, weight, deadline).await {
                    // Nothing was sent, and somebody's call there is over soon; whether it lives a ping has learnt by this.
                    Err(busy @ TransportError::Busy { .. }) if weight != Weight::Priority && attempt < TRIES => {
                        let again = shared.env.now() + shared.env.jittered(REDIAL_PAUSE);
                        if again >= deadline {
                            return Err(busy);
                        }
                        tokio::time::sleep_until(again).await;
                        continue;
                    }
                    reached => reached?,
                };
                match connection.call(id, frame, weight, deadline).await {
                    Called::Done(answer) => return shared.reply(&connection, answer?),
                    Called::Unsent(unsent) => frame = unsent,
                }
            }
            Err(TransportError::Broken(to))
        })
    }

    fn open(
        &self,
        to: &Address,
        call: Call,
        idle_max: Duration,
    ) -> BoxFuture<'static, Result<Box<dyn Responses>, TransportError>> {
        let (shared, to) = (self.shared.clone(), to.clone());
        Box::pin(async move {
            let deadline = shared.env.now() + idle_max;
            let id = shared.request_id();
            let (mut frame, _) = shared.frame(&call, FrameKind::Open, id)?;
            let weight = Weight::of(&call.body);
            drop(call);
            for _ in 0..TRIES {
                let connection = shared.reach(&to, Lane::Bulk, weight, deadline).await?;
                let (tell, events) = stream_channel();
                match connection.open(id, &mut frame, weight, tell) {
                    Ok(()) => {
                        let responses = TcpResponses::new(connection, id, events, idle_max);
                        return Ok(Box::new(responses) as Box<dyn Responses>);
                    }
                    Err(Some(error)) => return Err(error),
                    Err(None) => {}
                }
            }
            Err(TransportError::Broken(to))
        })
    }

    fn send(&self, to: &Address, call: Call) {
        let weight = Weight::of(&call.body);
        let sent = self.shared.frame(&call, FrameKind::OneWay, 0).and_then(|(frame, lane)| {
            // Cheap: the bytes are shared.
            let waiter = frame.clone();
            match self.shared.way(to, lane, weight, || DialWaiter::Frame(waiter, weight)) {
                Way::Open(connection) => connection.send(frame, weight),
                Way::Wait | Way::Dial => Ok(()),
                Way::Blocked(error) => Err(error),
            }
        });
        if let Err(error) = sent {
            event!(trace, %to, %error, "a one-way message is lost");
        }
    }

    fn resolve(&self, endpoint: &str) -> BoxFuture<'static, Result<Vec<Address>>> {
        let endpoint = endpoint.to_owned();
        Box::pin(async move {
            let failed = |reason: &dyn std::fmt::Display| {
                Error::new(ErrorKind::Address, format!("cannot resolve {endpoint}: {reason}"))
            };
            let found = lookup_host(endpoint.as_str()).await.map_err(|error| failed(&error).with_source(error))?;
            let mut addresses: Vec<_> = found.map(|address| Address::new(&address.to_string())).collect();
            addresses.sort_unstable();
            addresses.dedup();
            if addresses.is_empty() { Err(failed(&"the name has no address")) } else { Ok(addresses) }
        })
    }

    fn accept(&self, service: Arc<dyn Service>) {
        self.shared.set_service(service);
    }

    fn local_address(&self) -> Address {
        self.address.clone()
    }

    fn admit_frames(&self, len_max: usize) {
        self.shared.admit_frames(len_max);
    }

    fn traffic(&self) -> Traffic {
        self.shared.counters.snapshot(self.shared.pool.count())
    }

    fn misdeeds(&self) -> MisdeedCounts {
        self.shared.counters.misdeeds.snapshot()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let shared = self.shared.clone();
        Box::pin(async move {
            shared.close();
            shared.tasks.finished().await;
        })
    }
}

impl Drop for TcpTransport {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn frame(&self, call: &Call, kind: FrameKind, id: u64) -> Result<(Bytes, Lane), TransportError> {
        match encode_call_framed(call, kind, id, self.frame_max()) {
            Ok(frame) if frame.len() >= BULK_LEN_MIN => Ok((frame, Lane::Bulk)),
            Ok(frame) => Ok((frame, Lane::Calls)),
            Err(WireError::TooLong { len, max, .. }) => Err(TransportError::TooLarge { len, bound: max }),
            Err(error) => Err(TransportError::Rejected(error.to_string())),
        }
    }

    /// The way to `to`, with a dial under way if it takes one.
    fn way(self: &Arc<Self>, to: &Address, lane: Lane, weight: Weight, waiter: impl FnOnce() -> DialWaiter) -> Way {
        let way = self.pool.way(to, lane, weight, self.env.now(), waiter);
        if matches!(way, Way::Dial) && !self.tasks.spawn_helper(self.clone().dial(to.clone(), lane)) {
            return Way::Blocked(TransportError::Closed);
        }
        way
    }

    async fn reach(
        self: &Arc<Self>,
        to: &Address,
        lane: Lane,
        weight: Weight,
        deadline: Instant,
    ) -> Result<Arc<Connection>, TransportError> {
        let mut told = None;
        let way = self.way(to, lane, weight, || {
            let (tell, outcome) = oneshot::channel();
            told = Some(outcome);
            DialWaiter::Caller(tell)
        });
        match (way, told) {
            (Way::Open(connection), _) => Ok(connection),
            (Way::Blocked(error), _) => Err(error),
            (_, Some(outcome)) => match timeout_at(deadline, outcome).await {
                Ok(Ok(outcome)) => outcome,
                // The dial task is cut off only when the transport closes.
                Ok(Err(_)) => Err(TransportError::Closed),
                Err(_) => Err(TransportError::Undialled(to.clone())),
            },
            (_, None) => Err(TransportError::Closed),
        }
    }

    fn reply(&self, connection: &Connection, payload: Bytes) -> Result<Reply, TransportError> {
        decode_reply(payload).map_err(|error| {
            event!(debug, peer = %connection.peer, %error, "malformed reply");
            self.counters.network_error();
            self.counters.misdeeds.note(Misbehaviour::Malformed, &connection.culprit());
            TransportError::Broken(connection.peer.clone())
        })
    }
}
