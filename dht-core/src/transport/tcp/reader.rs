//! The reader task of one connection: takes frames in and hands them to whom they concern.
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

use super::super::TransportError;
use super::super::misbehaviour::Misbehaviour;
use super::channel::Source;
use super::connection::{Connection, Waiter};
use super::inbound::FrameReader;
use super::serve::Requests;
use super::shared::Shared;
use super::stream::StreamEvent;
use crate::wire::error::WireError;
use crate::wire::frame::{FrameKind, Header};

/// After such a pause the next one is likely to be as long.
const QUIET_AGE: Duration = Duration::from_millis(250);

/// The peer does not keep to the protocol: the connection is closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Violation {
    /// Bytes that are no message.
    #[error(transparent)]
    Wire(WireError),
    /// A message that has no place here.
    #[error("{0}")]
    Protocol(&'static str),
}

impl Violation {
    fn kind(&self) -> Misbehaviour {
        match self {
            Self::Wire(WireError::TooLong { what: "frame payload", .. }) => Misbehaviour::Oversize,
            Self::Wire(_) => Misbehaviour::Malformed,
            Self::Protocol(_) => Misbehaviour::Protocol,
        }
    }
}

/// Reads until the connection ends, then ends what belongs to it.
pub(super) async fn read(
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    mut source: Source,
    mut frames: FrameReader,
) {
    let end = End(&shared, &connection);
    let mut requests = Requests::new(shared.clone(), connection.clone());
    let (mut heard, mut quiet) = (shared.env.now(), true);
    loop {
        // The ring that this node has joined may allow more.
        frames.set_len_max(shared.frame_max());
        if let Err(violation) = take_in(&connection, &mut requests, &mut frames) {
            shared.counters.misdeeds.note(violation.kind(), &connection.culprit());
            connection.broke(&violation);
        }
        // All answers to what one system call brought leave in one system call.
        if requests.take_answered() {
            connection.flush(true);
        }
        if connection.ended().is_some() {
            break;
        }
        let waits = quiet && source.holds_nothing() && frames.rest();
        let read = async {
            if waits {
                source.readable().await?;
            }
            frames.fill(&mut source).await
        };
        match read.await {
            Ok(0) if connection.end_if_quiet() => connection.shut(),
            Ok(0) => connection.broke(&"closed by the peer"),
            Ok(read) => {
                shared.counters.bytes_received(source.received(read));
                let now = connection.took_in(read);
                connection.note_reading(frames.large_id());
                quiet = now.saturating_duration_since(heard) >= QUIET_AGE;
                heard = now;
                requests.arrived(now);
            }
            Err(error) => connection.broke(&error),
        }
    }
    drop(end);
    drop((connection, source));
    requests.finish().await;
}

/// However the reader ends, be it by a service that panics, its connection does not outlive it.
struct End<'a>(&'a Shared, &'a Arc<Connection>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.1.end(TransportError::Broken(self.1.peer.clone()));
        self.0.pool.remove(self.1);
    }
}

fn take_in(connection: &Connection, requests: &mut Requests, frames: &mut FrameReader) -> Result<(), Violation> {
    let mut whole = false;
    while let Some((header, payload)) = frames.next()? {
        connection.counters.message_received();
        whole = true;
        take(connection, requests, header, payload)?;
    }
    if whole {
        connection.told();
    }
    Ok(())
}

fn take(
    connection: &Connection,
    requests: &mut Requests,
    Header { kind, request_id: id, .. }: Header,
    payload: Bytes,
) -> Result<(), Violation> {
    match kind {
        FrameKind::Request | FrameKind::Open | FrameKind::OneWay => return requests.request(kind, id, payload),
        FrameKind::Credit => return requests.credit(id, &payload),
        FrameKind::Cancel => requests.cancel(id),
        FrameKind::GoAway => connection.retire(),
        FrameKind::Hello => return Err(Violation::Protocol("a second hello")),
        FrameKind::Proof => return Err(Violation::Protocol("a proof that nobody asked for")),
        FrameKind::Response => match connection.leave(id) {
            // The caller may have given up this instant.
            Some(Waiter::Call(tell)) => drop(tell.send(Ok(payload))),
            Some(Waiter::Stream(_)) => return Err(Violation::Protocol("a single response to an open")),
            None => {}
        },
        FrameKind::StreamItem => {
            let taken = connection.waiter(id, |waiter| match waiter {
                Waiter::Stream(events) => !matches!(
                    events.try_send(StreamEvent::Item(payload)),
                    Err(tokio::sync::mpsc::error::TrySendError::Full(_))
                ),
                Waiter::Call(_) => false,
            });
            if taken == Some(false) {
                return Err(Violation::Protocol("a stream item beyond the credit, or to a call"));
            }
        }
        FrameKind::StreamEnd => match connection.leave(id) {
            Some(Waiter::Stream(events)) => {
                if let Err(tokio::sync::mpsc::error::TrySendError::Full(_)) = events.try_send(StreamEvent::End) {
                    return Err(Violation::Protocol("stream items beyond the credit"));
                }
            }
            Some(Waiter::Call(_)) => return Err(Violation::Protocol("a stream's end to a call")),
            None => {}
        },
    }
    Ok(())
}
