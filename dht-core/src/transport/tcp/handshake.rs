//! The first words of each side, and what is made of them.
//!
//! ```text
//!   dialler                                          listener
//!      | == TLS, where the connection is secured ==== |
//!      | -- hello, proof where there is a key ------> |   gives nothing but a refusal unless that proves something
//!      | <- hello, proof where there is a key ------- |
//! ```
//!
//! Whether the peer knows the key, and whom its certificate is for, is found out before anything that its hello says is
//! acted upon.
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
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::{AlertDescription, Error as TlsError};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::security::{Opening, PROOFS_LEN_MAX, Role, Security, Session, shake_hands};
use super::channel::{Sink, Source, ends};
use super::counters::Counters;
use super::inbound::FrameReader;
use crate::wire::error::WireError;
use crate::wire::frame::{FrameKind, HEADER_LEN, Header, MAGIC};
use crate::wire::hello::{Acceptance, HELLO_LEN_MAX, Hello};

/// A side that has not said hello by then is no node, or too slow to be one.
pub(super) const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// How long one that is turned away may take to read why, and how much it may still be saying meanwhile.
const REFUSED_MAX: Duration = Duration::from_secs(1);
const REFUSED_LEN_MAX: u64 = 64 << 10;

/// The first byte of a connection that is not secured, and of one that is.
const PLAIN: u8 = MAGIC.to_be_bytes()[0];
const TLS: u8 = 0x16;

const KEY_DIFFERS: &str = "cluster_key differs: check that both nodes have the same cluster_key and cluster_name";

/// Why two ends do not talk.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// The peer is no node of ours: another cluster, protocol, or version. The text says both values.
    #[error("{0}")]
    Rejected(String),
    /// The peer does not show that it belongs here, or we do not to it. The text says what to check.
    #[error("{0}")]
    Unauthenticated(String),
    /// The peer listens but takes nothing.
    #[error("the peer takes no connections now")]
    NotServing,
    /// The listener, which is that boot, has as many connections as it may.
    #[error("there is no room for another connection")]
    Crowded { boot: u64 },
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
        matches!(self, Self::Rejected(_) | Self::Unauthenticated(_) | Self::Io(_))
    }
}

/// Who this side is.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) hello: &'a Hello,
    pub(super) security: Option<&'a Security>,
    pub(super) counters: &'a Counters,
}

/// A connection on which both ends are known.
pub(super) struct Greeted {
    pub(super) source: Source,
    pub(super) sink: Sink,
    pub(super) frames: FrameReader,
    /// Of the other side.
    pub(super) boot: u64,
}

/// The dialler's part.
pub(super) async fn greet(socket: TcpStream, side: Side<'_>) -> Result<Greeted, HandshakeError> {
    let part = async {
        let mut talk = match side.security {
            Some(security) => Talk::dial(socket, security, side).await?,
            None => Talk::plain(socket, side),
        };
        let own = side.hello.encode().map_err(HandshakeError::Own)?;
        let said = payload(&own);
        let proofs = talk.proving().map(|(security, session)| security.proofs(session, Role::Dialler, &[said]));
        talk.say(&own, proofs).await?;
        let (other, heard) = talk.hear().await?;
        if let Acceptance::Unauthenticated(reason) = other.acceptance {
            return Err(HandshakeError::Unauthenticated(reason));
        }
        talk.hear_proof(Role::Listener, &[said, &heard]).await?;
        talk.may_claim(&other)?;
        match &other.acceptance {
            Acceptance::NotServing => Err(HandshakeError::NotServing),
            Acceptance::Crowded => Err(HandshakeError::Crowded { boot: other.boot }),
            // Our own words, if we find the same fault: "here" is this node then.
            Acceptance::Rejected(reason) => {
                Err(HandshakeError::Rejected(side.hello.agree(&other).err().unwrap_or_else(|| reason.clone())))
            }
            Acceptance::Accepted | Acceptance::Unauthenticated(_) => {
                side.hello.agree(&other).map_err(HandshakeError::Rejected)?;
                Ok(talk.over(other.boot))
            }
        }
    };
    // What TLS has against us arrives only after our own part of it is over.
    limited(part).await.map_err(|error| explained(error, side.security))
}

/// The listener's part: hears, answers with what `judge` says, and fails if that is no.
pub(super) async fn receive(
    socket: TcpStream,
    side: Side<'_>,
    judge: impl FnOnce() -> Acceptance,
) -> Result<Greeted, HandshakeError> {
    let part = async {
        let mut talk = Talk::answer(socket, side).await?;
        let (other, heard) = talk.hear().await?;
        let known =
            talk.hear_proof(Role::Dialler, &[&heard]).await.and_then(|key| talk.may_claim(&other).map(|()| key));
        let key = match known {
            Ok(key) => key,
            Err(HandshakeError::Unauthenticated(reason)) => return Err(talk.refuse(reason).await),
            Err(error) => return Err(error),
        };
        let acceptance = match side.hello.agree(&other) {
            Ok(_) => judge(),
            Err(reason) => Acceptance::Rejected(reason),
        };
        let own = Hello { acceptance: acceptance.clone(), ..side.hello.clone() };
        let own = own.encode().map_err(HandshakeError::Own)?;
        let words = [&*heard, payload(&own)];
        let proof = talk
            .proving()
            .zip(key)
            .map(|((security, session), key)| security.proof(session, Role::Listener, &words, key));
        talk.say(&own, proof).await?;
        match acceptance {
            Acceptance::Accepted => Ok(talk.over(other.boot)),
            Acceptance::NotServing => Err(HandshakeError::NotServing),
            Acceptance::Crowded => Err(HandshakeError::Crowded { boot: side.hello.boot }),
            Acceptance::Rejected(reason) => Err(HandshakeError::Rejected(reason)),
            Acceptance::Unauthenticated(reason) => Err(HandshakeError::Unauthenticated(reason)),
        }
    };
    limited(part).await.map_err(|error| explained(error, side.security))
}

/// Two ends that get to know each other.
struct Talk<'a> {
    side: Side<'a>,
    source: Source,
    sink: Sink,
    frames: FrameReader,
    session: Option<Arc<Session>>,
}

impl<'a> Talk<'a> {
    fn plain(socket: TcpStream, side: Side<'a>) -> Self {
        let (source, sink) = ends(socket, None);
        Self { side, source, sink, frames: FrameReader::new(HELLO_LEN_MAX), session: None }
    }

    fn secured(socket: TcpStream, session: Arc<Session>, cipher: BytesMut, side: Side<'a>) -> Self {
        let (source, sink) = ends(socket, Some(Opening::new(session.clone(), cipher)));
        Self { side, source, sink, frames: FrameReader::new(HELLO_LEN_MAX), session: Some(session) }
    }

    async fn dial(socket: TcpStream, security: &Security, side: Side<'a>) -> Result<Self, HandshakeError> {
        let tls = security.dial().map_err(io::Error::other)?;
        let shaken = shake_hands(tls, &socket, count(side.counters), |first| {
            // It may also be a refusal in plain words, which then says the same.
            (first == PLAIN).then(|| format!("the peer is not secured, and this node is, by {}", security.words()))
        });
        let (session, cipher) = match shaken.await? {
            Ok(shaken) => shaken,
            Err(reason) => return Err(HandshakeError::Unauthenticated(reason)),
        };
        if !security.agreed(&session) {
            return Err(HandshakeError::Unauthenticated(differently(security)));
        }
        Ok(Self::secured(socket, session, cipher, side))
    }

    async fn answer(mut socket: TcpStream, side: Side<'a>) -> Result<Self, HandshakeError> {
        let mut first = [0];
        if socket.peek(&mut first).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match (side.security, first) {
            (None, [TLS]) => {
                let reason = "the peer is secured, and this node has neither cluster_key nor tls";
                turn_away(&mut socket, Some("the peer has neither cluster_key nor tls")).await;
                Err(HandshakeError::Unauthenticated(reason.to_owned()))
            }
            (None, _) => Ok(Self::plain(socket, side)),
            (Some(security), [PLAIN]) => {
                let words = security.words();
                turn_away(&mut socket, Some(&format!("the peer wants {words}, which this node does not have"))).await;
                Err(HandshakeError::Unauthenticated(format!("the peer is not secured, and this node is, by {words}")))
            }
            (Some(security), _) => {
                let tls = security.answer().map_err(io::Error::other)?;
                match shake_hands(tls, &socket, count(side.counters), |_| None::<String>).await {
                    Ok(Ok((session, cipher))) if security.agreed(&session) => {
                        Ok(Self::secured(socket, session, cipher, side))
                    }
                    Ok(_) => Err(HandshakeError::Unauthenticated(differently(security))),
                    Err(error) => {
                        // The alert is on its way: what the peer has sent meanwhile must not make it go lost.
                        turn_away(&mut socket, None).await;
                        Err(error.into())
                    }
                }
            }
        }
    }

    /// Security and session, if each side has to prove that it knows the key.
    fn proving(&self) -> Option<(&'a Security, &Arc<Session>)> {
        self.side.security.filter(|security| security.proves()).zip(self.session.as_ref())
    }

    async fn say(&mut self, hello: &[u8], proof: Option<Vec<u8>>) -> Result<(), HandshakeError> {
        let mut frames = hello.to_vec();
        let messages = if proof.is_some() { 2 } else { 1 };
        if let Some(proof) = proof {
            let header = Header::of(FrameKind::Proof, 0, &proof, PROOFS_LEN_MAX).map_err(HandshakeError::Own)?;
            frames.extend_from_slice(&header.encode());
            frames.extend_from_slice(&proof);
        }
        let sent = self.sink.write_all(frames.into()).await?;
        self.side.counters.sent(messages, sent);
        Ok(())
    }

    /// The peer's hello, and its bytes.
    async fn hear(&mut self) -> Result<(Hello, Bytes), HandshakeError> {
        let heard = self.frame(FrameKind::Hello, "the peer did not begin with a hello").await?;
        Ok((Hello::decode(&heard).map_err(foreign)?, heard))
    }

    /// Hears the peer's proof, where there is one to be heard; with which key of ours it was made.
    async fn hear_proof(&mut self, role: Role, words: &[&[u8]]) -> Result<Option<usize>, HandshakeError> {
        if self.proving().is_none() {
            return Ok(None);
        }
        let proofs = self.frame(FrameKind::Proof, "the peer proves nothing").await?;
        let known = self.proving().and_then(|(security, session)| security.proven(session, role, words, &proofs));
        known.map(Some).ok_or_else(|| HandshakeError::Unauthenticated(KEY_DIFFERS.to_owned()))
    }

    /// Whether the peer's certificate, if it needed one, is for the node that it says it is.
    fn may_claim(&self, other: &Hello) -> Result<(), HandshakeError> {
        let Some((security, session)) = self.side.security.zip(self.session.as_ref()) else { return Ok(()) };
        security.may_claim(session, &other.node_id).map_err(HandshakeError::Unauthenticated)
    }

    async fn frame(&mut self, wanted: FrameKind, otherwise: &str) -> Result<Bytes, HandshakeError> {
        loop {
            if let Some((header, payload)) = self.frames.next().map_err(foreign)? {
                self.side.counters.message_received();
                if header.kind != wanted {
                    return Err(HandshakeError::Rejected(otherwise.to_owned()));
                }
                return Ok(payload);
            }
            let read = self.frames.fill(&mut self.source).await?;
            self.side.counters.bytes_received(self.source.received(read));
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Tells the peer why not; nothing else.
    async fn refuse(&mut self, reason: String) -> HandshakeError {
        let told = Hello::refusal(&reason).encode().map_err(HandshakeError::Own);
        match told {
            Ok(hello) => match self.say(&hello, None).await {
                Ok(()) => HandshakeError::Unauthenticated(reason),
                Err(error) => error,
            },
            Err(error) => error,
        }
    }

    fn over(self, boot: u64) -> Greeted {
        Greeted { source: self.source, sink: self.sink, frames: self.frames, boot }
    }
}

/// Says in plain words why, if that is to be said, and waits until the peer has had a chance to read what was sent: a
/// socket that is closed with unread bytes takes back what it sent.
async fn turn_away(socket: &mut TcpStream, reason: Option<&str>) {
    let told = async {
        if let Some(Ok(hello)) = reason.map(|reason| Hello::refusal(reason).encode()) {
            tokio::io::AsyncWriteExt::write_all(socket, &hello).await?;
        }
        tokio::io::AsyncWriteExt::shutdown(socket).await?;
        tokio::io::copy(&mut socket.take(REFUSED_LEN_MAX), &mut tokio::io::sink()).await
    };
    match timeout(REFUSED_MAX, told).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => event!(trace, %error, "went away before it was told"),
        Err(_) => event!(trace, "does not go away"),
    }
}

fn count(counters: &Counters) -> impl FnMut(usize, usize) {
    |sent, received| {
        counters.sent(0, sent);
        counters.bytes_received(received);
    }
}

fn payload(frame: &[u8]) -> &[u8] {
    frame.get(HEADER_LEN..).unwrap_or_default()
}

fn foreign(error: WireError) -> HandshakeError {
    HandshakeError::Rejected(format!("the peer speaks another protocol: {error}"))
}

fn differently(security: &Security) -> String {
    format!("the peer is secured in another way: this node by {}, which all nodes need alike", security.words())
}

/// Says what an error of TLS means to whoever has to mend it.
fn explained(error: HandshakeError, security: Option<&Security>) -> HandshakeError {
    let HandshakeError::Io(io) = &error else { return error };
    let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) else { return error };
    let Some(security) = security else { return error };
    match tls {
        TlsError::NoApplicationProtocol | TlsError::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            HandshakeError::Unauthenticated(differently(security))
        }
        TlsError::InvalidCertificate(_) | TlsError::NoCertificatesPresented => HandshakeError::Unauthenticated(
            format!("the peer's certificate is not accepted ({tls}): check tls.ca here and tls.cert there"),
        ),
        TlsError::AlertReceived(alert) => HandshakeError::Unauthenticated(format!(
            "the peer does not accept this node ({alert:?}): check tls.cert here and tls.ca there"
        )),
        TlsError::PeerIncompatible(_) => HandshakeError::Unauthenticated(format!("{} ({tls})", differently(security))),
        _ => HandshakeError::Rejected(format!("the peer speaks another protocol: {tls}")),
    }
}

async fn limited<T>(part: impl Future<Output = Result<T, HandshakeError>>) -> Result<T, HandshakeError> {
    match timeout(HANDSHAKE_MAX, part).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}
