//! What writes send to replicas, gathered per replica: the records of all operations that become ready in one turn of
//! the scheduler go in one message. Under load that is one frame, one look-up of who waits and one answer for many
//! operations; a single operation waits for nobody but the tasks that are ready to run.
//!
//! Each message goes out in a task of the node's own, so that no operation whose caller gives up takes the records of
//! others with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use hashbrown::hash_map::Entry;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::Node;
use super::answers::{Answered, Parcel};
use super::follow::{in_this_trace, trace_id};
use super::peers::Peer;
use crate::data::FixedMap;
use crate::wire::limits::ITEMS_MAX;
use crate::wire::message::{Request, Response, StoreItem, StoreResult};

/// Bytes of the records of several operations in one message: a longer one would make the first wait for the last.
const GATHERED_BYTES: usize = 64 << 10;

/// How much sooner than it would by itself an operation may be given up by the message that takes it along.
const HASTE: Duration = Duration::from_millis(50);

/// The messages that are being gathered, by the boot of whom they go to.
#[derive(Default)]
pub(crate) struct Outbox(Mutex<FixedMap<u64, Message>>);

/// One message, and who waits for its answer.
struct Message {
    peer: Arc<Peer>,
    until: Instant,
    bytes: usize,
    items: Vec<StoreItem>,
    parcels: Vec<Parcel>,
}

impl Message {
    fn has_room_for(&self, other: &Self) -> bool {
        self.items.len() + other.items.len() <= ITEMS_MAX
            && self.bytes + other.bytes <= GATHERED_BYTES
            && self.until <= other.until
            && other.until - self.until <= HASTE
    }

    fn take(&mut self, mut other: Self) {
        self.bytes += other.bytes;
        self.items.append(&mut other.items);
        self.parcels.append(&mut other.parcels);
    }
}

impl Outbox {
    fn open(&self) -> MutexGuard<'_, FixedMap<u64, Message>> {
        // Messages are whole at every point.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message is being gathered, and sent when that ends; if the task that was to do it is gone, those who wait are told.
struct Gathering {
    /// `None`: it has ended.
    node: Option<Arc<Node>>,
    boot: u64,
}

impl Gathering {
    fn end(mut self) -> Option<(Arc<Node>, Message)> {
        self.take()
    }

    fn take(&mut self) -> Option<(Arc<Node>, Message)> {
        let node = self.node.take()?;
        let message = node.outbox.open().remove(&self.boot)?;
        Some((node, message))
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        // Its parcels tell.
        drop(self.take());
    }
}

impl Node {
    /// Sends `items` to `peer`, whose answer comes to the `parcel` by `until`.
    pub(crate) fn post(self: &Arc<Self>, peer: Arc<Peer>, items: Vec<StoreItem>, parcel: Parcel, until: Instant) {
        let bytes = items.iter().map(|item| item.record.payload_len()).sum();
        let message = Message { peer, until, bytes, items, parcels: vec![parcel] };
        if trace_id() != 0 {
            // It shows what is done for this operation, and nothing else.
            return self.begin(self.clone().dispatch(message));
        }
        let boot = message.peer.boot;
        let full = match self.outbox.open().entry(boot) {
            Entry::Occupied(mut open) if open.get().has_room_for(&message) => return open.get_mut().take(message),
            Entry::Occupied(mut open) => Some(open.insert(message)),
            Entry::Vacant(none) => {
                none.insert(message);
                None
            }
        };
        let node = self.clone();
        match full {
            // The task that was to send it sends what is gathered now.
            Some(full) => self.tasks.spawn(node.dispatch(full)),
            None => {
                let gathering = Gathering { node: Some(node), boot };
                self.tasks.spawn(async move {
                    // Whoever is ready now may come along.
                    yield_now().await;
                    if let Some((node, gathered)) = gathering.end() {
                        node.dispatch(gathered).await;
                    }
                });
            }
        }
    }

    /// Works for the operation of this task in a task of its own; the first step is done at once.
    pub(crate) fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut work = Box::pin(in_this_trace(work));
        if work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.tasks.spawn(work);
        }
    }

    async fn dispatch(self: Arc<Self>, message: Message) {
        let Message { peer, until, items, parcels, .. } = message;
        self.stats.replications_sent.add(items.len() as u64);
        let expected = items.len();
        let answer = self.call(&peer, Request::Store { items, repair: false }, until, 0).await;
        let mut results = match answer {
            Ok(Response::Stored { results }) if results.len() == expected => Some(results.into_iter()),
            // Whoever waits is told by what is missing.
            Ok(_) | Err(_) => None,
        };
        for parcel in parcels {
            let len = parcel.len();
            let own = results.as_mut().map(|results| results.by_ref().take(len).collect());
            if let Some(unread) = parcel.answer(own) {
                self.mark_missed(&unread);
            }
        }
    }

    /// Of answers that nobody waits for any more: which slots the repair has to look at.
    pub(crate) fn mark_missed(&self, answered: &Answered) {
        for (at, (_, slot, ..)) in answered.sent.iter().enumerate() {
            let result = answered.results.as_ref().and_then(|results| results.get(at));
            if !matches!(result, Some(StoreResult::Stored { .. })) {
                self.mark_dirty(*slot);
            }
        }
    }
}
