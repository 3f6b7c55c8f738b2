//! The side that asks: introductions, attempts, and what is looked up over TCP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::{Call, Reply, Transport, TransportError};
use super::packet::{Header, PacketKind};
use super::peer::{Peer, Place, Told, Way};
use super::rtt::{RTO_INITIAL, RoundTrip};
use super::seal::{Direction, Link, Seal};
use super::shared::Shared;
use crate::error::ErrorKind;
use crate::ring::record::Address;
use crate::wire::class::Class;
use crate::wire::codec::{decode_reply, encode_call_within};
use crate::wire::error::WireError;
use crate::wire::message::{Head, Request, Response, SealingKey};

/// Attempts of an introduction: 2.4 s together.
const INTRODUCTIONS: u16 = 4;

/// How long a peer is not introduced to again that did not answer datagrams; jittered.
const MUTE_PAUSE: Duration = Duration::from_secs(30);

/// The same if its address refused: it may be started again.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Between two tries to collect an answer; jittered.
const COLLECT_PAUSE: Duration = Duration::from_millis(50);

impl Shared {
    /// One call, by datagram if that is possible.
    pub(super) async fn call(
        self: Arc<Self>,
        to: Address,
        call: Call,
        deadline: Instant,
    ) -> Result<Reply, TransportError> {
        let payload = match encode_call_within(&call, self.payload_max()) {
            Ok(payload) => payload,
            Err(WireError::TooLong { .. }) => return self.tcp.call(&to, call, deadline).await,
            Err(error) => return Err(TransportError::Rejected(error.to_string())),
        };
        let place = match self.place(&to, deadline).await {
            // What keeps the ring together, and what was begun, has room of its own there.
            Err(TransportError::Overloaded(_)) if matches!(call.body.class(), Class::Upkeep | Class::Begun) => None,
            place => place?,
        };
        match place {
            Some(place) => self.exchange(place, &to, call.head, payload, deadline).await,
            None => self.tcp.call(&to, call, deadline).await,
        }
    }

    /// A message that nobody waits for.
    pub(super) fn tell(&self, to: &Address, call: Call) {
        let way = self.peers.known(to).and_then(|peer| peer.one_way(self.env.now()));
        match (way, encode_call_within(&call, self.payload_max())) {
            (Some((session, link, sequence)), Ok(payload)) => {
                let left_ms = call.head.deadline_ms;
                let header = Header { kind: PacketKind::OneWay, slot: 0, session, sequence, attempt: 0, left_ms };
                self.transmit(&link, &header, &payload, true);
            }
            _ => self.tcp.send(to, call),
        }
    }

    /// A slot at the peer; `None`: over TCP.
    async fn place(self: &Arc<Self>, to: &Address, deadline: Instant) -> Result<Option<Place>, TransportError> {
        let mut patient = true;
        loop {
            let now = self.env.now();
            let Some(peer) = self.peers.at(to, now) else { return Ok(None) };
            match peer.way(to, now, patient, || self.env.random_u64()) {
                Way::Datagram(place) => return Ok(Some(place)),
                Way::Tcp => return Ok(None),
                Way::Blocked(error) => return Err(error),
                Way::Introduce(nonce) => {
                    if !self.tasks.spawn_helper(self.clone().introduce(peer, to.clone(), nonce)) {
                        return Err(TransportError::Closed);
                    }
                }
                Way::Wait(waiting) => {
                    let until = deadline.min(now + RTO_INITIAL);
                    // Settled or not, the next look at the peer says how to go on.
                    patient = timeout_at(until, waiting.settled()).await.is_ok();
                }
            }
        }
    }

    /// Sends until there is an answer.
    async fn exchange(
        self: &Arc<Self>,
        mut place: Place,
        to: &Address,
        head: Head,
        payload: Bytes,
        deadline: Instant,
    ) -> Result<Reply, TransportError> {
        loop {
            let now = self.env.now();
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() {
                return Err(TransportError::Deadline(to.clone()));
            }
            let mut until = deadline;
            if let Some(attempt) = place.attempt(now) {
                self.ask(&place, attempt.number, left, &payload);
                if attempt.silent {
                    self.check(place.peer(), to);
                }
                until = deadline.min(now + attempt.wait);
            }
            match timeout_at(until, &mut place.told).await {
                Ok(Ok(Told::Reply(payload))) => return self.reply(to, payload),
                Ok(Ok(Told::TooLarge)) => return self.collect(&place, to, head, deadline).await,
                Ok(Ok(Told::Broken)) => return Err(TransportError::Broken(to.clone())),
                // The slot was dropped without a word only because the transport closes.
                Ok(Err(_)) => return Err(TransportError::Closed),
                Err(_) => {}
            }
        }
    }

    fn ask(&self, place: &Place, attempt: u16, left: Duration, payload: &[u8]) {
        let header = Header {
            kind: PacketKind::Request,
            slot: place.slot,
            session: place.session,
            sequence: place.sequence,
            attempt,
            left_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1),
        };
        self.transmit(&place.to, &header, payload, attempt == 0);
    }

    /// Gets over TCP the answer that no datagram can carry. The slot is kept meanwhile, and with it the answer.
    async fn collect(
        &self,
        place: &Place,
        to: &Address,
        head: Head,
        deadline: Instant,
    ) -> Result<Reply, TransportError> {
        let body = Request::Collect {
            session: place.session.number,
            cookie: place.session.cookie,
            slot: place.slot,
            sequence: place.sequence,
        };
        loop {
            let left = deadline.saturating_duration_since(self.env.now());
            let deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
            let call = Call { head: Head { deadline_ms, ..head }, body: body.clone() };
            // Whatever goes wrong now, the request itself was carried out.
            match self.tcp.call(to, call, deadline).await {
                Err(error) if error.not_sent() => return Err(TransportError::Broken(to.clone())),
                // A failure is of the collecting: one of the operation fits into a datagram. A peer that has too much to do keeps the answer on.
                Ok(Reply { body: Response::Failure(error), .. }) if error.kind() == ErrorKind::Overloaded => {
                    event!(debug, %to, %error, "an answer cannot be collected yet");
                    let again = self.env.now() + self.env.jittered(COLLECT_PAUSE);
                    if again >= deadline {
                        return Err(TransportError::Broken(to.clone()));
                    }
                    tokio::time::sleep_until(again).await;
                }
                Ok(Reply { head, body: Response::Failure(error), .. }) => {
                    return Ok(Reply::new(head, Response::Failure(error.unknown_outcome())));
                }
                outcome => return outcome,
            }
        }
    }

    fn reply(&self, to: &Address, payload: Bytes) -> Result<Reply, TransportError> {
        decode_reply(payload).map_err(|error| {
            event!(debug, %to, %error, "malformed reply");
            self.counters.network_error();
            TransportError::Broken(to.clone())
        })
    }

    /// The task of an introduction: asks for a session until there is one, or the peer is taken to be mute.
    async fn introduce(self: Arc<Self>, peer: Arc<Peer>, to: Address, nonce: u64) {
        let seal = match self.sealed_towards(&to, &peer, nonce).await {
            Ok(seal) => seal,
            Err(error) => {
                event!(debug, %to, %error, "no key for datagrams");
                let dialled = !matches!(error, TransportError::Refused(_) | TransportError::Unreached { .. });
                let pause = if dialled { MUTE_PAUSE } else { REFUSED_PAUSE };
                return peer.mute(nonce, self.env.now() + self.env.jittered(pause));
            }
        };
        if let Some(address) = self.socket_address(&to).await
            && self.peers.attach(address, &peer)
        {
            let link = Link { address, seal };
            for attempt in 0..INTRODUCTIONS {
                if !peer.introducing(self.env.now(), nonce, attempt) {
                    return;
                }
                self.transmit(&link, &Header::introduction(nonce, attempt), &[], false);
                if timeout(RoundTrip::default().timeout(attempt), peer.settled()).await.is_ok() {
                    return;
                }
            }
        }
        event!(debug, %to, "takes no datagrams");
        peer.mute(nonce, self.env.now() + self.env.jittered(MUTE_PAUSE));
    }

    /// Gets a key for datagrams to `to`, where they are sealed.
    async fn sealed_towards(&self, to: &Address, peer: &Peer, nonce: u64) -> Result<Option<Arc<Seal>>, TransportError> {
        if self.keys.is_none() {
            return Ok(None);
        }
        let (id, key) = self.seal_key(to, 0).await?;
        let seal = key.and_then(|key| Seal::new(id, &key, Direction::Asks, &self.env));
        let seal = seal.ok_or_else(|| TransportError::Broken(to.clone()))?;
        peer.seal_with(nonce, &seal);
        Ok(Some(seal))
    }

    /// Asks over TCP for a key, or whether the `known` one is known there: its number then, or 0.
    async fn seal_key(&self, to: &Address, known: u64) -> Result<(u64, Option<SealingKey>), TransportError> {
        let deadline = self.env.now() + self.connect_timeout;
        let deadline_ms = u32::try_from(self.connect_timeout.as_millis()).unwrap_or(u32::MAX);
        let head = Head { ring_id: None, sender: self.boot, deadline_ms, trace_id: 0, attempt: 0, view: 0, clock: 0 };
        let reply = self.tcp.call(to, Call { head, body: Request::SealKey { known } }, deadline).await?;
        match reply.body {
            Response::SealKey { id, key } => Ok((id, key)),
            // It speaks TCP only, or has given away as many as it may.
            _ => Err(TransportError::Broken(to.clone())),
        }
    }

    /// Whether a silent peer is there; where datagrams are sealed, also whether it still has the key: not if it was
    /// started anew.
    async fn there(&self, to: &Address, peer: &Peer, deadline: Instant) -> Result<bool, TransportError> {
        match peer.sealed().filter(|_| self.keys.is_some()) {
            Some(known) => Ok(self.seal_key(to, known).await?.0 == known),
            None => self.tcp.reachable(to, deadline).await.map(|()| true),
        }
    }

    /// Looks over TCP whether a silent peer is there. Only that is evidence: anybody can send a datagram, or a message
    /// of the network layer, in somebody else's name.
    fn check(self: &Arc<Self>, peer: &Arc<Peer>, to: &Address) {
        let now = self.env.now();
        if !peer.begin_check(now) {
            return;
        }
        let (shared, peer, to) = (self.clone(), peer.clone(), to.clone());
        self.tasks.spawn_helper(async move {
            let outcome = shared.there(&to, &peer, now + shared.connect_timeout).await;
            let now = shared.env.now();
            match outcome {
                Ok(false) => peer.forgotten(),
                Ok(true) => peer.there(now, now + shared.env.jittered(MUTE_PAUSE)),
                Err(TransportError::Refused(_)) => peer.refused(now + shared.env.jittered(REFUSED_PAUSE)),
                Err(error) => event!(trace, %to, %error, "nothing was learned of a silent peer"),
            }
        });
    }
}
