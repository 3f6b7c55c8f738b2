//! What the network knows of one address, one pair of them, one call.

use std::sync::Arc;

use dht_core::Address;
use dht_core::transport::{Reply, Service, Traffic, TransportError};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use super::queue::Site;

/// One address, whoever listens there.
pub(super) struct Place {
    pub(super) address: Address,
    pub(super) epoch: u32,
    pub(super) up: bool,
    /// Nothing comes back from where a silent endpoint was; else whoever calls is refused.
    pub(super) silent: bool,
    pub(super) service: Option<Arc<dyn Service>>,
    /// Answers being worked on.
    pub(super) tasks: JoinSet<()>,
    pub(super) traffic: Traffic,
    /// Places to which a connection is open.
    pub(super) peers: Vec<u32>,
    /// Bits of the groups of the partition in which the place is.
    pub(super) groups: u64,
    pub(super) paused_until_ns: u64,
}

/// From one place to another.
#[derive(Default)]
pub(super) struct Pair {
    /// When the last parcel is due: the next is not due before it.
    pub(super) floor_ns: u64,
    /// Calls that wait for their answers and one-way requests under way.
    pub(super) requests: usize,
    /// Requests being answered.
    pub(super) serving: usize,
    /// A message went this way since both endpoints are there.
    pub(super) connected: bool,
}

/// A call without its response, or a stream that its reader still reads.
pub(super) struct Pending {
    pub(super) caller: Site,
    pub(super) callee: Site,
    /// The request arrived and is being answered.
    pub(super) arrived: bool,
    pub(super) waiter: Waiter,
}

pub(super) enum Waiter {
    Call(oneshot::Sender<Result<Reply, TransportError>>),
    Stream(mpsc::Sender<Part>),
}

impl Waiter {
    /// Tells whoever waits that nothing more comes.
    pub(super) fn fail(self, error: TransportError) {
        // A waiter that is gone has no use for it.
        match self {
            Self::Call(reply) => drop(reply.send(Err(error))),
            Self::Stream(parts) => drop(parts.try_send(Part::Failed(error))),
        }
    }
}

/// What a stream's reader is told.
pub(super) enum Part {
    /// `index` counts the items, so that a gap is seen.
    Item {
        index: u64,
        reply: Reply,
    },
    End {
        index: u64,
    },
    Failed(TransportError),
}

/// The sender of a stream.
pub(super) struct Feed {
    pub(super) credit: Arc<Semaphore>,
    pub(super) task: AbortHandle,
}

/// What is left of an endpoint that went: dropped outside the lock, because dropping may call the network.
#[derive(Default)]
pub(super) struct Remains {
    pub(super) tasks: JoinSet<()>,
    pub(super) _service: Option<Arc<dyn Service>>,
}
