//! Port: carries messages.
//!
//! The contract, which `contract` checks on every transport:
//! - `call` sends one request and gives its response, or a [`TransportError`] at the latest at `deadline`. Dropping
//!   the future abandons the response, not the request: once polled, the request may still be carried out.
//! - `open` sends one request and gives a stream of responses, which ends with `None` after the last, or with an
//!   error. The receiver is credited: a sender that runs ahead waits, it does not buffer without bound.
//! - `send` is one way and may be lost; it never waits.
//! - Calls to one peer do not wait for each other, and a bulk stream does not hold up calls.
//! - Every queue is bounded: a full one gives `Overloaded` at once.
//! - `accept` sets the service that answers; requests that arrive before it or after `close` are refused.
//! - After `close` every pending call ends with `Closed`, nothing listens any more, and no task is left.

mod bind;
mod buckets;
pub mod contract;
mod load;
pub(crate) mod misbehaviour;
mod names;
mod security;
mod tcp;
mod turn;
mod udp;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

pub(crate) use bind::{advertised, frame_max, frame_max_of, resolve_bind};
pub use misbehaviour::MisdeedCounts;
pub use security::Security;
pub use tcp::{TcpOptions, TcpTransport};
#[cfg(feature = "fuzzing")]
pub use tcp::{cut_frames, said_inside};
pub use udp::UdpTransport;
#[cfg(feature = "fuzzing")]
pub use udp::{datagram_again, offered_session, seal_datagram};

use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::Address;
pub use crate::wire::hello::Hello;
use crate::wire::message::{Head, Request, Response};
pub use crate::wire::trace::Spans;

/// A boxed future, as ports need one.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A request and its envelope.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// Sender, deadline, view.
    pub head: Head,
    /// What is asked.
    pub body: Request,
}

/// A response and its envelope.
#[derive(Clone)]
pub struct Reply {
    /// Sender, view.
    pub head: Head,
    /// How it was made, of an answer to a traced call.
    pub trace: Option<Box<Spans>>,
    /// The answer.
    pub body: Response,
}

impl Reply {
    /// An answer that tells nothing of how it was made.
    pub fn new(head: Head, body: Response) -> Self {
        Self { head, trace: None, body }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Reply");
        debug.field("head", &self.head);
        // Few answers have one.
        if let Some(trace) = &self.trace {
            debug.field("trace", trace);
        }
        debug.field("body", &self.body).finish()
    }
}

/// What a connection that did not come about tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The peer was silent, or hung up.
    Peer,
    /// No way there, or no such name: the peer may be gone, or something between is amiss.
    Between,
    /// This process could not even try: it has no descriptor left, or its name service is silent. It says nothing of the peer.
    Here,
}

/// Why a message did not get through. None of them says whether the request was carried out, except as noted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TransportError {
    /// Nobody serves at the address, as its machine says: not carried out.
    #[error("nobody answers at {0}")]
    Refused(Address),
    /// No connection came about, which may be the fault of either side or of what is between them: not carried out.
    #[error("no connection to {to}: {why}")]
    Unreached {
        /// Whom it was for.
        to: Address,
        /// What the operating system says, such as that this process has too many files open.
        why: String,
        /// Of whom it tells something.
        fault: Fault,
    },
    /// The peer's handshake was no match (cluster name, protocol): not carried out.
    #[error("the peer refused the connection: {0}")]
    Rejected(String),
    /// The peer does not show that it belongs to the ring, or we do not to it; what to check: not carried out.
    #[error("not authenticated: {0}")]
    Unauthenticated(String),
    /// This process has all the connections in use that it may have, and none to the peer: not carried out, and nothing is known of it.
    #[error("all connections of this process are in use, none of them to {0}")]
    NoRoom(Address),
    /// A queue towards the peer is full: not carried out.
    #[error("the queue towards {0} is full")]
    Overloaded(Address),
    /// The node of that boot lives, and has no room for another connection: not carried out.
    #[error("{to} has no room for another connection")]
    Busy {
        /// Whom it was for.
        to: Address,
        /// Who said so.
        boot: u64,
    },
    /// The message exceeds what one frame may carry: not carried out.
    #[error("a message of {len} bytes exceeds the bound of {bound}")]
    TooLarge {
        /// Bytes of the encoded message.
        len: usize,
        /// Bytes allowed.
        bound: usize,
    },
    /// No connection came about by the deadline: not carried out.
    #[error("no connection to {0} by the deadline")]
    Undialled(Address),
    /// The connection broke while waiting.
    #[error("the connection to {0} broke")]
    Broken(Address),
    /// No response by the deadline.
    #[error("no answer from {0} by the deadline")]
    Deadline(Address),
    /// No response by the deadline, but something else came from the node of that boot meanwhile, such as a long answer to
    /// somebody else: it lives.
    #[error("no answer from {to} by the deadline, behind others")]
    Late {
        /// Whom it was for.
        to: Address,
        /// From whom something came.
        boot: u64,
    },
    /// This transport was closed.
    #[error("the transport is closed")]
    Closed,
}

impl TransportError {
    /// True if the peer certainly did not see the request.
    pub fn not_sent(&self) -> bool {
        matches!(
            self,
            Self::Refused(_)
                | Self::Unreached { .. }
                | Self::Rejected(_)
                | Self::Unauthenticated(_)
                | Self::NoRoom(_)
                | Self::Overloaded(_)
                | Self::Busy { .. }
                | Self::TooLarge { .. }
                | Self::Undialled(_)
        )
    }
}

/// What a caller is told of it.
pub(crate) fn call_error(error: TransportError) -> Error {
    let text = error.to_string();
    let unknown = !error.not_sent();
    let kind = match error {
        TransportError::Refused(_) | TransportError::Unreached { .. } | TransportError::Broken(_) => {
            ErrorKind::Unreachable
        }
        TransportError::Rejected(_) => ErrorKind::IncompatibleRing,
        TransportError::Unauthenticated(_) => ErrorKind::Auth,
        TransportError::NoRoom(_) | TransportError::Overloaded(_) | TransportError::Busy { .. } => {
            ErrorKind::Overloaded
        }
        TransportError::TooLarge { .. } => ErrorKind::TooLarge,
        TransportError::Undialled(_) | TransportError::Deadline(_) | TransportError::Late { .. } => ErrorKind::Timeout,
        TransportError::Closed => ErrorKind::Stopped,
    };
    let error = Error::new(kind, text);
    if unknown { error.unknown_outcome() } else { error }
}

/// Responses to one `open`, in order.
pub trait Responses: Send {
    /// The next response; `None` after the last. An error ends the stream.
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Reply, TransportError>>>;
}

/// How a service answers.
pub enum Answer {
    /// At once, without a task.
    Now(Reply),
    /// After waiting; the transport drives it.
    Later(BoxFuture<'static, Reply>),
    /// With several responses; only to `open`.
    Stream(Box<dyn Responses>),
    /// Not at all: the request was one way.
    Nothing,
}

/// Answers what arrives.
pub trait Service: Send + Sync + 'static {
    /// Must not block. Called on an executor thread, possibly by many connections at once.
    fn serve(&self, call: Call) -> Answer;
}

/// What a transport has counted since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Messages of any kind that left.
    pub messages_sent: u64,
    /// Messages that arrived whole.
    pub messages_received: u64,
    /// Bytes that left, framing included.
    pub bytes_sent: u64,
    /// Bytes that arrived, framing included.
    pub bytes_received: u64,
    /// Dials that failed, connections that broke, frames that were malformed.
    pub network_errors: u64,
    /// Open connections now, both directions; peers with whom datagrams are exchanged count as one each way.
    pub connections: u64,
}

/// Carries messages between nodes. See the module for the contract.
pub trait Transport: Send + Sync + 'static {
    /// Asks `to` and waits for the response until `deadline`.
    fn call(&self, to: &Address, call: Call, deadline: Instant) -> BoxFuture<'static, Result<Reply, TransportError>>;

    /// Asks `to` for a stream of responses; each of them, the first included, must come within `idle_max`.
    fn open(
        &self,
        to: &Address,
        call: Call,
        idle_max: std::time::Duration,
    ) -> BoxFuture<'static, Result<Box<dyn Responses>, TransportError>>;

    /// Sends without waiting for anything.
    fn send(&self, to: &Address, call: Call);

    /// The addresses that "host:port" stands for: a DNS name means all its addresses. Fails with
    /// `ErrorKind::Address` if it does not resolve.
    fn resolve(&self, endpoint: &str) -> BoxFuture<'static, Result<Vec<Address>>>;

    /// From now on `service` answers.
    fn accept(&self, service: Arc<dyn Service>);

    /// Where this transport listens.
    fn local_address(&self) -> Address;

    /// From now on messages may have as many bytes in either direction, if that is more than before: the ring that was joined
    /// allows it. Nothing to do where messages have no bound.
    fn admit_frames(&self, len_max: usize) {
        let _ = len_max;
    }

    /// What was counted.
    fn traffic(&self) -> Traffic;

    /// What peers did that no node does; nothing, where peers cannot misbehave.
    fn misdeeds(&self) -> MisdeedCounts {
        MisdeedCounts::default()
    }

    /// Ends everything; idempotent. The future is done when no task is left.
    fn close(&self) -> BoxFuture<'static, ()>;
}
