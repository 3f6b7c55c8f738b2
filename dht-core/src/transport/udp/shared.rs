//! What all tasks of one transport share, and how datagrams leave.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::net::UdpSocket;

use super::super::bind::for_socket;
use super::super::buckets::{ARRIVALS, Buckets};
use super::super::load::Load;
use super::super::tcp::counters::Counters;
use super::super::tcp::tasks::Tasks;
use super::super::{Service, TcpOptions, TcpTransport};
use super::packet::{Format, Header, PAYLOAD_MAX};
use super::peers::Peers;
use super::seal::{Keys, Link, SEAL_LEN};
use super::sessions::{Limits, Sessions};
use crate::env::Env;
use crate::ring::record::Address;

/// Answers kept, of all peers together.
const ANSWERS_MAX: usize = 65_536;

/// Bytes of kept answers, of all peers together; more only if the longest message is longer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The insides of a transport.
pub(super) struct Shared {
    pub(super) env: Env,
    pub(super) tcp: Arc<TcpTransport>,
    pub(super) counters: Counters,
    pub(super) tasks: Tasks,
    pub(super) peers: Peers,
    /// What this node has under way for its peers, over TCP too.
    pub(super) load: Arc<Load>,
    pub(super) boot: u64,
    /// Who may be offered a session once more.
    pub(super) arrivals: Mutex<Buckets>,
    pub(super) connect_timeout: Duration,
    pub(super) format: Format,
    /// Given to those who ask; `None`: nothing is sealed.
    pub(super) keys: Option<Keys>,
    sessions: Mutex<Sessions>,
    limits: Limits,
    local: SocketAddr,
    /// Gone when the transport is closed, so that the port is free then.
    socket: ArcSwapOption<UdpSocket>,
    service: ArcSwapOption<Arc<dyn Service>>,
}

impl Shared {
    pub(super) fn new(options: &TcpOptions, tcp: TcpTransport, socket: UdpSocket, env: Env) -> io::Result<Self> {
        let limits = Limits {
            answers_max: ANSWERS_MAX,
            bytes_max: ANSWER_BYTES_MAX.max(options.frame_max),
            slots_max: u16::try_from(options.buffer_size).unwrap_or(u16::MAX),
        };
        Ok(Self {
            load: tcp.load().clone(),
            tcp: Arc::new(tcp),
            counters: Counters::default(),
            tasks: Tasks::new(),
            peers: Peers::new(options.buffer_size),
            boot: options.hello.boot,
            arrivals: Mutex::new(Buckets::new(ARRIVALS)),
            connect_timeout: options.connect_timeout,
            format: Format::new(&options.hello.cluster_name),
            keys: options.security.is_some().then(Keys::default),
            sessions: Mutex::new(Sessions::new(key(&env), limits)),
            limits,
            local: socket.local_addr()?,
            socket: ArcSwapOption::from_pointee(socket),
            service: ArcSwapOption::empty(),
            env,
        })
    }

    pub(super) fn socket(&self) -> Option<Arc<UdpSocket>> {
        self.socket.load_full()
    }

    pub(super) fn service(&self) -> Option<Arc<dyn Service>> {
        self.service.load().as_deref().cloned()
    }

    /// Who answers requests, unless the transport is closed.
    pub(super) fn set_service(&self, service: Arc<dyn Service>) {
        if self.socket.load().is_some() {
            self.service.store(Some(Arc::new(service)));
        }
    }

    /// How many slots a session has.
    pub(super) fn slots_max(&self) -> u16 {
        self.limits.slots_max
    }

    pub(super) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // Every change under the lock is complete before anything can panic, so a poisoned lock loses nothing.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a datagram. What the system does not take now is lost, as on the way: whoever asked asks again.
    /// `message`: it counts as one, being no repetition.
    pub(super) fn transmit(&self, link: &Link, header: &Header, payload: &[u8], message: bool) {
        let to = link.address;
        let plain = self.format.encode(header, payload);
        let datagram = match (&link.seal, &self.keys) {
            (Some(seal), _) => plain.and_then(|plain| seal.close(&plain)),
            (None, None) => plain,
            // Nothing leaves here that can be read on the way.
            (None, Some(_)) => None,
        };
        let Some(datagram) = datagram else {
            event!(error, %to, len = payload.len(), "no datagram can be made");
            return;
        };
        let socket = self.socket.load();
        let Some(socket) = socket.as_ref() else { return };
        self.counters.sent(usize::from(message), datagram.as_bytes().len());
        if let Err(error) = socket.try_send_to(datagram.as_bytes(), to) {
            event!(trace, %to, %error, "a datagram is lost");
        }
    }

    /// Bytes of payload that a datagram has room for.
    pub(super) fn payload_max(&self) -> usize {
        if self.keys.is_some() { PAYLOAD_MAX - SEAL_LEN } else { PAYLOAD_MAX }
    }

    /// Where datagrams to that address go, as the socket wants it.
    pub(super) async fn socket_address(&self, to: &Address) -> Option<SocketAddr> {
        let found = self.tcp.names().addresses(to, self.env.after(self.connect_timeout)).await;
        found
            .map(|found| found.addresses)
            .unwrap_or_default()
            .into_iter()
            .find_map(|address| for_socket(address, self.local.is_ipv4()))
    }

    /// Ends everything without waiting for it.
    pub(super) fn close(&self) {
        self.socket.store(None);
        self.tasks.close();
        self.peers.close();
        if let Some(keys) = &self.keys {
            keys.clear();
        }
        *self.sessions() = Sessions::new(key(&self.env), self.limits);
        // The service may own this transport: let go of it.
        self.service.store(None);
    }
}

fn key(env: &Env) -> [u8; 32] {
    let mut key = [0; 32];
    let (left, right) = key.split_at_mut(16);
    left.copy_from_slice(&env.random_u128().to_be_bytes());
    right.copy_from_slice(&env.random_u128().to_be_bytes());
    key
}
