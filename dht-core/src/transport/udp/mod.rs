//! Transport over UDP: calls and one-way messages in datagrams, all that is larger over TCP.
//!
//! ```text
//!   asks                                          answers
//!     | -- Introduce {nonce} -----------------------> |   remembers nothing
//!     | <- Offer {nonce; session, cookie} ----------- |   reaches only who is at that address
//!     | -- Request {session, slot, sequence, try 0} > |   is carried out
//!     |          ... lost ...            <- Reply --- |
//!     | -- Request {the same, try 1} ---------------> |   is not: its answer is kept
//!     | <- Reply {try 1} ---------------------------- |
//! ```
//!
//! A peer that answers no introduction is reached over TCP, so nodes that speak only that are no different; and what a
//! datagram cannot carry, or a stream, goes there at once. `peer.rs` decides between the two, `sessions.rs` what is
//! carried out. No connection is kept: a peer costs an entry in a table.

mod answering;
mod asking;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod packet;
mod peer;
mod peers;
mod rtt;
mod seal;
mod sessions;
mod shared;
mod window;

#[cfg(test)]
mod certified_tests;
#[cfg(test)]
mod increments_tests;
#[cfg(test)]
mod lossy_tests;
#[cfg(test)]
mod sealed_tests;
#[cfg(test)]
mod tests;

#[cfg(feature = "fuzzing")]
pub use fuzzing::{datagram_again, offered_session, seal_datagram};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use self::answering::Collecting;
use self::shared::Shared;
use super::{
    BoxFuture, Call, MisdeedCounts, Reply, Responses, Service, TcpOptions, TcpTransport, Traffic, Transport,
    TransportError,
};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::Address;

/// The system chooses a port that is free for TCP; it may not be for UDP.
const PORT_TRIES: usize = 16;

/// What the kernel holds for us while we do something else: a few thousand datagrams.
const RECEIVE_BUFFER_LEN: usize = 4 << 20;

/// [`Transport`] over UDP, with a [`TcpTransport`] for what datagrams cannot carry. Dropping it without
/// [`Transport::close`] ends everything without waiting for it.
pub struct UdpTransport {
    shared: Arc<Shared>,
}

impl UdpTransport {
    /// Listens at the same port for connections and datagrams, and carries messages from now on.
    /// `ErrorKind::Address` if the address cannot be resolved or bound for both; nothing is left behind then.
    pub async fn bind(options: TcpOptions, env: Env) -> Result<Self> {
        let mut tries = PORT_TRIES;
        let (tcp, socket) = loop {
            tries -= 1;
            let tcp = TcpTransport::bind(options.clone(), env.clone()).await?;
            let address = tcp.local_address();
            match listen(&address).await {
                Ok(socket) => break (tcp, socket),
                Err(error) => {
                    tcp.close().await;
                    let chosen = options.bind.as_deref().is_some_and(|bind| bind.ends_with(":0"));
                    if !chosen || tries == 0 || error.kind() != std::io::ErrorKind::AddrInUse {
                        let context = format!("cannot receive datagrams at {address}: {error}");
                        return Err(Error::new(ErrorKind::Address, context).with_source(error));
                    }
                }
            }
        };
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Address, format!("cannot receive datagrams: {error}")).with_source(error)
        };
        let shared = Arc::new(Shared::new(&options, tcp, socket, env).map_err(failed)?);
        if let Some(socket) = shared.socket() {
            shared.tasks.spawn_helper(answering::read(shared.clone(), socket));
        }
        shared.tasks.spawn_helper(answering::sweep(shared.clone()));
        Ok(Self { shared })
    }
}

impl Transport for UdpTransport {
    fn call(&self, to: &Address, call: Call, deadline: Instant) -> BoxFuture<'static, Result<Reply, TransportError>> {
        Box::pin(self.shared.clone().call(to.clone(), call, deadline))
    }

    fn open(
        &self,
        to: &Address,
        call: Call,
        idle_max: Duration,
    ) -> BoxFuture<'static, Result<Box<dyn Responses>, TransportError>> {
        self.shared.tcp.open(to, call, idle_max)
    }

    fn send(&self, to: &Address, call: Call) {
        self.shared.tell(to, call);
    }

    fn resolve(&self, endpoint: &str) -> BoxFuture<'static, Result<Vec<Address>>> {
        self.shared.tcp.resolve(endpoint)
    }

    fn accept(&self, service: Arc<dyn Service>) {
        self.shared.set_service(service.clone());
        self.shared.tcp.accept(Arc::new(Collecting { shared: Arc::downgrade(&self.shared), service }));
    }

    fn local_address(&self) -> Address {
        self.shared.tcp.local_address()
    }

    fn admit_frames(&self, len_max: usize) {
        self.shared.tcp.admit_frames(len_max);
    }

    fn traffic(&self) -> Traffic {
        let tcp = self.shared.tcp.traffic();
        let (sessions, ..) = self.shared.sessions().sizes();
        let udp = self.shared.counters.snapshot(self.shared.peers.open() + sessions);
        Traffic {
            messages_sent: tcp.messages_sent + udp.messages_sent,
            messages_received: tcp.messages_received + udp.messages_received,
            bytes_sent: tcp.bytes_sent + udp.bytes_sent,
            bytes_received: tcp.bytes_received + udp.bytes_received,
            network_errors: tcp.network_errors + udp.network_errors,
            connections: tcp.connections + udp.connections,
        }
    }

    fn misdeeds(&self) -> MisdeedCounts {
        self.shared.tcp.misdeeds().and(self.shared.counters.misdeeds.snapshot())
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let shared = self.shared.clone();
        Box::pin(async move {
            shared.close();
            shared.tcp.close().await;
            shared.tasks.finished().await;
        })
    }
}

impl Drop for UdpTransport {
    fn drop(&mut self) {
        self.shared.close();
        self.shared.tasks.abandon();
        // Calls that nobody dropped hold it, too.
        self.shared.tcp.end();
    }
}

async fn listen(address: &Address) -> std::io::Result<UdpSocket> {
    let address: SocketAddr = address.as_str().parse().map_err(std::io::Error::other)?;
    let socket = UdpSocket::bind(address).await?;
    // The system grants what it allows.
    if let Err(error) = SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_LEN) {
        event!(debug, %error, "the receive buffer keeps its size");
    }
    // From here on sending without waiting works.
    socket.writable().await?;
    Ok(socket)
}
