//! The first frame of each side, and what is made of it.
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

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::counters::Counters;
use super::inbound::FrameReader;
use crate::wire::error::WireError;
use crate::wire::frame::FrameKind;
use crate::wire::hello::{Acceptance, HELLO_LEN_MAX, Hello};

/// A side that has not said hello by then is no node, or too slow to be one.
pub(super) const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// Why two ends do not talk.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// The peer is no node of ours: another cluster, protocol, or version. The text says both values.
    #[error("{0}")]
    Rejected(String),
    /// The peer listens but takes nothing.
    #[error("the peer takes no connections now")]
    NotServing,
    /// The peer has as many connections as it may.
    #[error("the peer has no room for another connection")]
    Crowded,
    /// The peer is silent, or gone.
    #[error("no hello: {0}")]
    Io(#[from] io::Error),
    /// Our own hello cannot be sent.
    #[error("hello: {0}")]
    Own(WireError),
}

impl HandshakeError {
    /// True if a node of ours, whatever its settings, would not have brought it about on a working network.
    pub(super) fn is_the_peers(&self) -> bool {
        matches!(self, Self::Rejected(_) | Self::Io(_))
    }
}

/// The dialler's part.
pub(super) async fn greet(
    socket: &mut TcpStream,
    frames: &mut FrameReader,
    own: &Hello,
    counters: &Counters,
) -> Result<Hello, HandshakeError> {
    limited(async {
        say(socket, own, counters).await?;
        let other = hear(socket, frames, counters).await?;
        match &other.acceptance {
            Acceptance::NotServing => return Err(HandshakeError::NotServing),
            Acceptance::Crowded => return Err(HandshakeError::Crowded),
            // Our own words, if we find the same fault: "here" is this node then.
            Acceptance::Rejected(reason) => {
                return Err(HandshakeError::Rejected(own.agree(&other).err().unwrap_or_else(|| reason.clone())));
            }
            Acceptance::Accepted => {}
        }
        own.agree(&other).map_err(HandshakeError::Rejected)?;
        Ok(other)
    })
    .await
}

/// The listener's part: hears, answers with what `judge` says, and fails if that is no.
pub(super) async fn receive(
    socket: &mut TcpStream,
    frames: &mut FrameReader,
    own: &Hello,
    counters: &Counters,
    judge: impl FnOnce() -> Acceptance,
) -> Result<Hello, HandshakeError> {
    limited(async {
        let other = hear(socket, frames, counters).await?;
        let acceptance = match own.agree(&other) {
            Ok(_) => judge(),
            Err(reason) => Acceptance::Rejected(reason),
        };
        say(socket, &Hello { acceptance: acceptance.clone(), ..own.clone() }, counters).await?;
        match acceptance {
            Acceptance::Accepted => Ok(other),
            Acceptance::NotServing => Err(HandshakeError::NotServing),
            Acceptance::Crowded => Err(HandshakeError::Crowded),
            Acceptance::Rejected(reason) => Err(HandshakeError::Rejected(reason)),
        }
    })
    .await
}

async fn say(socket: &mut TcpStream, hello: &Hello, counters: &Counters) -> Result<(), HandshakeError> {
    let frame = hello.encode().map_err(HandshakeError::Own)?;
    socket.write_all(&frame).await?;
    counters.sent(1, frame.len());
    Ok(())
}

async fn hear(socket: &mut TcpStream, frames: &mut FrameReader, counters: &Counters) -> Result<Hello, HandshakeError> {
    loop {
        if let Some((header, payload)) = frames.next().map_err(foreign)? {
            counters.message_received();
            if header.kind != FrameKind::Hello {
                return Err(HandshakeError::Rejected("the peer did not begin with a hello".to_owned()));
            }
            return Hello::decode(&payload).map_err(foreign);
        }
        match frames.fill(socket).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            read => counters.bytes_received(read),
        }
    }
}

fn foreign(error: WireError) -> HandshakeError {
    HandshakeError::Rejected(format!("the peer speaks another protocol: {error}"))
}

async fn limited<T>(part: impl Future<Output = Result<T, HandshakeError>>) -> Result<T, HandshakeError> {
    match timeout(HANDSHAKE_MAX, part).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

/// Bound of the first frame.
pub(super) fn hello_reader() -> FrameReader {
    FrameReader::new(HELLO_LEN_MAX)
}
