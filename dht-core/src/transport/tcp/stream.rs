//! Streams of responses, both ends.
//!
//! ```text
//!   opener                                   server
//!     | -- Open ----------------------------> |   the opener takes STREAM_CREDIT items to begin with
//!     | <- StreamItem, at most the credit --- |
//!     | -- Credit n ------------------------> |   n items were consumed
//!     | <- StreamEnd ------------------------ |   or -- Cancel -->, nobody wants the rest
//! ```
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::panic,
        clippy::unreachable
    )
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

use super::super::{BoxFuture, Reply, Responses, TransportError};
use super::connection::Connection;
use super::serve::Replies;
use crate::error::ErrorKind;
use crate::wire::codec::decode_reply;
use crate::wire::frame::FrameKind;

/// Items that may be under way; part of the protocol. Four hide a round trip, and hold four frames at most.
pub(super) const STREAM_CREDIT: usize = 4;

/// Credit is returned in portions of this many items.
const CREDIT_PORTION: usize = STREAM_CREDIT / 2;

/// A server gives a stream up whose receiver takes nothing for so long; it has certainly forgotten it. If that is because
/// its socket takes nothing, the connection is given up.
const CREDIT_WAIT_MAX: Duration = Duration::from_secs(120);

/// What arrives for a stream.
pub(super) enum StreamEvent {
    Item(Bytes),
    End,
}

/// What comes in a second while a large item does at least, else its stream is broken.
pub(super) const ITEM_BYTES_PER_S: u64 = 32 << 10;

/// So often a stream waits for the large items of others on its connection.
const BEHIND_OTHERS_MAX: u32 = 12;

/// Room for the items that the credit allows, for the failure that may follow without credit, and for the end.
pub(super) fn stream_channel() -> (mpsc::Sender<StreamEvent>, mpsc::Receiver<StreamEvent>) {
    mpsc::channel(STREAM_CREDIT + 2)
}

/// The receiving end.
pub(super) struct TcpResponses {
    connection: Arc<Connection>,
    id: u64,
    events: mpsc::Receiver<StreamEvent>,
    idle_max: Duration,
    /// Items consumed and not yet credited.
    owed: usize,
    ended: bool,
}

impl TcpResponses {
    pub(super) fn new(
        connection: Arc<Connection>,
        id: u64,
        events: mpsc::Receiver<StreamEvent>,
        idle_max: Duration,
    ) -> Self {
        Self { connection, id, events, idle_max, owed: 0, ended: false }
    }

    async fn receive(&mut self) -> Option<Result<Reply, TransportError>> {
        if self.ended {
            return None;
        }
        let event = self.next_event().await;
        let peer = || self.connection.peer.clone();
        let error = match event {
            Ok(Some(StreamEvent::Item(payload))) => match decode_reply(payload) {
                Ok(reply) => {
                    self.credit();
                    return Some(Ok(reply));
                }
                Err(error) => {
                    event!(debug, peer = %peer(), %error, "malformed stream item");
                    self.connection.counters.network_error();
                    TransportError::Broken(peer())
                }
            },
            Ok(Some(StreamEvent::End)) => {
                self.ended = true;
                return None;
            }
            Ok(None) => {
                self.ended = true;
                let why = self.connection.ended().unwrap_or_else(|| TransportError::Broken(peer()));
                return Some(Err(why));
            }
            Err(until) => {
                let waited_ms = self.idle_max.as_millis() as u64;
                let started_ms = self.connection.env.uptime_ms_at(until).saturating_sub(waited_ms);
                self.connection.missed(started_ms, until);
                TransportError::Deadline(peer())
            }
        };
        self.cancel();
        Some(Err(error))
    }

    /// The next event, or until when there was none. A large item on a slow way is no silence: it is waited for while it
    /// comes, or another before it.
    async fn next_event(&mut self) -> Result<Option<StreamEvent>, Instant> {
        let mut waits = 0_u32;
        loop {
            let before = self.connection.received();
            let until = self.connection.env.after(self.idle_max);
            if let Ok(event) = timeout_at(until, self.events.recv()).await {
                return Ok(event);
            }
            let received = self.connection.received().wrapping_sub(before);
            waits = waits.saturating_add(1);
            let least = ITEM_BYTES_PER_S.saturating_mul(self.idle_max.as_millis() as u64) / 1000;
            let comes = match self.connection.reading() {
                0 => false,
                id => id == self.id || waits < BEHIND_OTHERS_MAX,
            };
            if !comes || received < least {
                return Err(until);
            }
        }
    }

    fn credit(&mut self) {
        self.owed = self.owed.saturating_add(1);
        if self.owed >= CREDIT_PORTION {
            let items = std::mem::take(&mut self.owed) as u32;
            self.connection.control(FrameKind::Credit, self.id, &items.to_be_bytes());
        }
    }

    fn cancel(&mut self) {
        self.ended = true;
        // Its place is empty once the end has arrived: then there is nothing to cancel.
        if self.connection.leave(self.id).is_some() {
            self.connection.control(FrameKind::Cancel, self.id, &[]);
        }
    }
}

impl Responses for TcpResponses {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Reply, TransportError>>> {
        Box::pin(self.receive())
    }
}

impl Drop for TcpResponses {
    fn drop(&mut self) {
        if !self.ended {
            self.cancel();
        }
    }
}

/// The sending end: passes on what `responses` gives, one item ahead of the credit. A stream that is not complete ends
/// with an item `Failure`.
pub(super) async fn send_stream(replies: Replies, mut responses: Box<dyn Responses>, credit: Arc<Semaphore>) {
    while let Some(response) = responses.next().await {
        let reply = match response {
            Ok(reply) => reply,
            Err(error) => {
                replies.fail(ErrorKind::Unreachable, &format!("the stream broke off: {error}"));
                break;
            }
        };
        match timeout(CREDIT_WAIT_MAX, credit.acquire()).await {
            Ok(Ok(permit)) => permit.forget(),
            Ok(Err(_)) | Err(_) => {
                replies.fail(ErrorKind::Timeout, "the stream broke off: its receiver took nothing any more");
                break;
            }
        }
        if !replies.item(&reply).await {
            return;
        }
    }
    replies.end();
}
