//! What all tasks of one transport share, and how connections come about.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use arc_swap::ArcSwapOption;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

use super::super::load::Load;
use super::super::misbehaviour::{Misbehaviour, source_of};
use super::super::names::Names;
use super::super::{Fault, Security, Service, TransportError};
use super::by_source::counted;
use super::connection::Connection;
use super::counters::Counters;
use super::dialling::dial_any;
use super::files::{connections_max, out_of_files};
use super::gate::Gate;
use super::handshake::{Greeted, HandshakeError, Side, greet, receive};
use super::outbound::Outbound;
use super::pool::{Lane, Pool, REDIAL_PAUSE, Reserved, tell_all};
use super::reader::read;
use super::tasks::Tasks;
use crate::env::Env;
use crate::ring::record::Address;
use crate::wire::hello::{Acceptance, Hello};

/// Requests that go on after their connection has ended, of all connections together: a network that fails for a moment
/// breaks every connection at once, and what was under way on them is carried out; whoever opens and closes connections
/// does not pile up work.
pub(super) const ORPHANS_MAX: usize = 1_024;

/// The insides of a transport.
pub(super) struct Shared {
    pub(super) hello: Hello,
    security: Option<Arc<Security>>,
    pub(super) buffer_size: usize,
    frame_max: AtomicUsize,
    pub(super) connect_timeout: std::time::Duration,
    pub(super) env: Env,
    pub(in crate::transport) names: Names,
    pub(super) counters: Arc<Counters>,
    pub(super) tasks: Tasks,
    pub(super) pool: Pool,
    pub(super) gate: Gate,
    /// What this node has under way for its peers.
    pub(super) load: Arc<Load>,
    /// Requests that go on after their connection has ended.
    pub(super) orphans: Arc<Semaphore>,
    service: ArcSwapOption<Arc<dyn Service>>,
    closed: watch::Sender<bool>,
    request_ids: AtomicU64,
    serials: AtomicU64,
}

impl Shared {
    pub(super) fn new(options: &super::TcpOptions, env: Env) -> Self {
        let load = Load::new(options.buffer_size);
        // A part of what may be under way, or there would be no room for anybody else.
        let orphans_max = ORPHANS_MAX.min(load.requests_max() / 4);
        Self {
            hello: options.hello.clone(),
            security: options.security.clone(),
            buffer_size: options.buffer_size,
            frame_max: AtomicUsize::new(options.frame_max),
            connect_timeout: options.connect_timeout,
            env,
            names: Names::default(),
            counters: Arc::default(),
            tasks: Tasks::new(),
            pool: Pool::new(connections_max(options.max_connections), options.buffer_size),
            gate: Gate::new(),
            load,
            orphans: Arc::new(Semaphore::new(orphans_max)),
            service: ArcSwapOption::empty(),
            closed: watch::Sender::new(false),
            // One-way frames have 0.
            request_ids: AtomicU64::new(1),
            serials: AtomicU64::new(0),
        }
    }

    /// The longest message, in either direction.
    pub(super) fn frame_max(&self) -> usize {
        self.frame_max.load(Relaxed)
    }

    /// From now on messages may be as long, also on connections that are open.
    pub(super) fn admit_frames(&self, len_max: usize) {
        self.frame_max.fetch_max(len_max, Relaxed);
    }

    /// Unique on this transport, so also on whatever connection the request will take.
    pub(super) fn request_id(&self) -> u64 {
        self.request_ids.fetch_add(1, Relaxed)
    }

    /// Who answers requests.
    pub(super) fn service(&self) -> Option<Arc<dyn Service>> {
        self.service.load().as_deref().cloned()
    }

    pub(super) fn set_service(&self, service: Arc<dyn Service>) {
        if !*self.closed.borrow() {
            self.service.store(Some(Arc::new(service)));
        }
    }

    /// Done when the transport is closed.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + 'static {
        let mut closed = self.closed.subscribe();
        async move {
            // An error is a sender that is gone: closed as well.
            drop(closed.wait_for(|closed| *closed).await);
        }
    }

    /// If `error` is that there are no file descriptors left, the idlest connection gives its own; who wanted one finds it
    /// when it tries again.
    pub(super) fn relieve(&self, error: &io::Error) {
        if out_of_files(error)
            && let Some(idlest) = self.pool.end_idlest()
        {
            event!(debug, peer = %idlest.peer, "a connection is closed for its file descriptor");
            idlest.shut();
        }
    }

    /// Ends everything without waiting for it.
    pub(super) fn close(&self) {
        self.closed.send_replace(true);
        self.tasks.close();
        for connection in self.pool.close() {
            connection.end(TransportError::Closed);
        }
        // The service may own this transport: let go of it.
        self.service.store(None);
    }

    /// The dial task: opens a connection for everybody who waits for this route.
    pub(super) async fn dial(self: Arc<Self>, to: Address, lane: Lane) {
        let connected = self.connect(&to).await.and_then(|greeted| Ok((greeted, self.make_room(None, &to)?)));
        let outcome = connected.and_then(|(greeted, place)| self.establish(greeted, &to, true, place));
        let waiters = match &outcome {
            Ok(connection) => self.pool.settle(&to, lane, Ok(connection)),
            Err(error) => {
                event!(debug, %to, %error, "dial failed");
                self.counters.network_error();
                let until = self.env.now() + self.env.jittered(REDIAL_PAUSE);
                self.pool.settle(&to, lane, Err((error, until)))
            }
        };
        tell_all(waiters, &outcome);
    }

    /// The task of an accepted socket: hears who it is and serves it.
    pub(super) async fn welcome(self: Arc<Self>, socket: TcpStream, from: std::net::SocketAddr) {
        let source = source_of(from.ip());
        let from = Address::new(&from.to_string());
        let mut place = None;
        // Its place is there before it is told that it is accepted: who is turned away knows that this node lives.
        let judge = || {
            if self.service().is_none() {
                return Acceptance::NotServing;
            }
            place = self.make_room(counted(source), &from).ok();
            if place.is_some() { Acceptance::Accepted } else { Acceptance::Crowded }
        };
        let refused = match socket.set_nodelay(true) {
            Ok(()) => match (receive(socket, self.side(), judge).await, place) {
                (Ok(greeted), Some(place)) => {
                    self.establish(greeted, &from, false, place).err().map(|error| error.to_string())
                }
                // Cannot be: nobody is accepted without.
                (Ok(_), None) => None,
                (Err(error), _) => {
                    if error.is_the_peers() {
                        self.counters.misdeeds.note(Misbehaviour::Handshake, &source.to_string());
                    }
                    Some(error.to_string())
                }
            },
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = refused {
            event!(debug, %from, %error, "connection not taken");
            self.counters.network_error();
        }
    }

    async fn connect(&self, to: &Address) -> Result<Greeted, TransportError> {
        let unreached = |why: String, fault| TransportError::Unreached { to: to.clone(), why, fault };
        let within = self.connect_timeout;
        let socket = match dial_any(&self.names, to, within, &self.env).await {
            Ok(socket) => socket,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(TransportError::Refused(to.clone()));
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(unreached(format!("silent for {within:?}"), Fault::Peer));
            }
            Err(error) => {
                self.relieve(&error);
                return Err(unreached(error.to_string(), fault_of(&error)));
            }
        };
        if let Err(error) = socket.set_nodelay(true) {
            return Err(unreached(format!("TCP_NODELAY: {error}"), Fault::Peer));
        }
        match greet(socket, self.side()).await {
            Ok(greeted) => Ok(greeted),
            Err(HandshakeError::Rejected(reason)) => Err(TransportError::Rejected(reason)),
            Err(HandshakeError::Unauthenticated(reason)) => {
                Err(TransportError::Unauthenticated(format!("{reason} (dialled {to})")))
            }
            Err(HandshakeError::Crowded { boot }) => Err(TransportError::Busy { to: to.clone(), boot }),
            Err(HandshakeError::NotServing) => Err(TransportError::Refused(to.clone())),
            Err(error) => Err(unreached(error.to_string(), Fault::Peer)),
        }
    }

    /// A place for a connection of `source`; the idlest may have to go for it.
    fn make_room(&self, source: Option<IpAddr>, peer: &Address) -> Result<Reserved<'_>, TransportError> {
        let (place, pushed_out) = self.pool.reserve(source, peer)?;
        if let Some(idlest) = pushed_out {
            idlest.shut();
        }
        Ok(place)
    }

    fn side(&self) -> Side<'_> {
        Side { hello: &self.hello, security: self.security.as_deref(), counters: &self.counters }
    }

    /// Makes a connection of one whose handshake is done, with its two tasks.
    fn establish(
        self: &Arc<Self>,
        greeted: Greeted,
        peer: &Address,
        dialled: bool,
        place: Reserved<'_>,
    ) -> Result<Arc<Connection>, TransportError> {
        let Greeted { source, sink, frames, boot } = greeted;
        let connection = Connection::new(
            self.serials.fetch_add(1, Relaxed),
            peer.clone(),
            dialled,
            sink,
            Outbound::new(self.buffer_size, self.load.clone()),
            self.counters.clone(),
            self.env.clone(),
        );
        let connection = Arc::new(connection.to(boot));
        self.pool.fill(place, &connection)?;
        let writer = connection.clone();
        let started = self.tasks.spawn_connection(read(self.clone(), connection.clone(), source, frames))
            && self.tasks.spawn_connection(async move { writer.write().await });
        if !started {
            self.pool.remove(&connection);
            connection.end(TransportError::Closed);
            return Err(TransportError::Closed);
        }
        Ok(connection)
    }
}

/// Of whom the failure of a dial tells.
fn fault_of(error: &io::Error) -> Fault {
    use io::ErrorKind::{
        AddrNotAvailable, ConnectionAborted, ConnectionReset, HostUnreachable, NetworkDown, Other, OutOfMemory,
    };
    match error.kind() {
        ConnectionReset | ConnectionAborted | HostUnreachable => Fault::Peer,
        // `Other` is that of a name service that is silent (`dial_any`).
        AddrNotAvailable | NetworkDown | OutOfMemory | Other => Fault::Here,
        _ if out_of_files(error) => Fault::Here,
        _ => Fault::Between,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What speaks neither for nor against a peer keeps nobody from taking it for dead, unless this process could not even ask.
    #[test]
    fn only_what_this_process_lacks_is_its_own_fault() {
        let no_name = io::Error::other("the name service has not answered yet");
        assert_eq!(fault_of(&no_name), Fault::Here);
        // EMFILE, ENETUNREACH, EHOSTUNREACH.
        #[cfg(target_os = "linux")]
        for (number, fault) in [(24, Fault::Here), (101, Fault::Between), (113, Fault::Peer)] {
            assert_eq!(fault_of(&io::Error::from_raw_os_error(number)), fault, "{number}");
        }
    }
}
