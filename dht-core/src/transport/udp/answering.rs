//! The side that answers: takes datagrams in, carries each request out once, and keeps its answer for when it is asked
//! again.

use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, WouldBlock};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::super::load::{SLICE, room};
use super::super::misbehaviour::{Misbehaviour, source_of};
use super::super::turn::{Due, FULL, PANICKED, STREAMED, TOO_LATE, Turn, Work};
use super::super::{Answer, Call, Reply, Service};
use super::packet::{DATAGRAM_MAX, Header, PacketError, PacketKind, SessionId};
use super::seal::{Direction, Front, Link, Seal};
use super::sessions::{Answered, Arrival};
use super::shared::Shared;
use crate::error::{Error, ErrorKind};
use crate::wire::codec::{decode_call, encode_reply_within};
use crate::wire::error::WireError;
use crate::wire::limits::DEADLINE_MS_MAX;
use crate::wire::message::{Head, Request, Response};

/// After an error that may last: trying again at once would only burn a processor.
const RECEIVE_PAUSE: Duration = Duration::from_millis(50);

/// How often what is old is forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Takes datagrams in for as long as the transport lives.
pub(super) async fn read(shared: Arc<Shared>, socket: Arc<UdpSocket>) {
    // One byte more shows what is too long.
    let mut buffer = [0; DATAGRAM_MAX + 1];
    // Since when datagrams are taken in without there being none, and without others having had their turn; the clock is looked
    // at once for each.
    let mut now = shared.env.now();
    let (mut since, mut alone_since) = (now, now);
    loop {
        match socket.try_recv_from(&mut buffer) {
            Ok((len, from)) => {
                shared.take(from, buffer.get_mut(..len).unwrap_or_default(), Came { since, now });
                now = shared.env.now();
                // Others get their turn.
                if now.saturating_duration_since(alone_since) > SLICE {
                    tokio::task::yield_now().await;
                    now = shared.env.now();
                    alone_since = now;
                }
            }
            Err(error) if error.kind() == WouldBlock => {
                if let Err(error) = socket.readable().await {
                    event!(warn, %error, "cannot wait for datagrams");
                    tokio::time::sleep(shared.env.jittered(RECEIVE_PAUSE)).await;
                }
                now = shared.env.now();
                (since, alone_since) = (now, now);
            }
            // Some systems say so of what was sent before. Whoever sent it finds out by itself.
            Err(error) if matches!(error.kind(), ConnectionRefused | ConnectionReset) => {}
            Err(error) => {
                event!(warn, %error, "cannot receive datagrams");
                shared.counters.network_error();
                tokio::time::sleep(shared.env.jittered(RECEIVE_PAUSE)).await;
                now = shared.env.now();
            }
        }
    }
}

/// When a datagram came in, and the first of those that were taken in together.
#[derive(Clone, Copy)]
struct Came {
    since: Instant,
    now: Instant,
}

/// Forgets what is old for as long as the transport lives.
pub(super) async fn sweep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(shared.env.jittered(SWEEP_INTERVAL)).await;
        let now = shared.env.now();
        shared.sessions().sweep(now);
        shared.peers.sweep(now);
        if let Some(keys) = &shared.keys {
            keys.sweep(&shared.env);
        }
    }
}

/// What TCP serves: the answers that no datagram could carry, and all that the service answers.
pub(super) struct Collecting {
    pub(super) shared: Weak<Shared>,
    pub(super) service: Arc<dyn Service>,
}

impl Service for Collecting {
    fn serve(&self, call: Call) -> Answer {
        let shared = self.shared.upgrade();
        if let Request::SealKey { known } = call.body {
            return Answer::Now(seal_key(shared.as_deref(), known, &call.head));
        }
        let Request::Collect { session, cookie, slot, sequence } = call.body else { return self.service.serve(call) };
        let id = SessionId { number: session, cookie };
        let kept = shared.as_ref().and_then(|shared| shared.sessions().collect(id, slot, sequence));
        Answer::Now(kept.map(|reply| *reply).unwrap_or_else(|| {
            let gone = Error::new(ErrorKind::Unreachable, "the answer is not kept any more").unknown_outcome();
            failure(&call.head, shared.map_or(0, |shared| shared.boot), gone)
        }))
    }
}

/// A key for whoever asks, or whether the `known` one is known here.
fn seal_key(shared: Option<&Shared>, known: u64, request: &Head) -> Reply {
    let boot = shared.map_or(0, |shared| shared.boot);
    let Some((keys, env)) = shared.and_then(|shared| shared.keys.as_ref().zip(Some(&shared.env))) else {
        return failure(request, boot, Error::new(ErrorKind::Unsupported, "datagrams are not sealed here"));
    };
    let body = match known {
        0 => match keys.issue(env) {
            Some((id, key)) => Response::SealKey { id, key: Some(key) },
            None => Response::Failure(Error::new(ErrorKind::Overloaded, "too many peers have keys for datagrams")),
        },
        known => Response::SealKey { id: keys.get(known).map_or(0, |_| known), key: None },
    };
    answered_by(request, boot, body)
}

/// One request under way.
struct Ticket {
    shared: Arc<Shared>,
    from: Link,
    header: Header,
    /// Of the request.
    head: Head,
    done: bool,
}

impl Shared {
    fn take(self: &Arc<Self>, from: SocketAddr, datagram: &mut [u8], came: Came) {
        self.counters.bytes_received(datagram.len());
        let opened = self.open(from, datagram);
        let read = opened.and_then(|(seal, plain)| self.format.decode(plain).map(|read| (seal, read)));
        let (seal, (header, payload)) = match read {
            Ok(read) => read,
            Err(error) => {
                self.blame(from, error.kind());
                return self.malformed(from, &error);
            }
        };
        let link = Link { address: from, seal };
        match header.kind {
            PacketKind::Introduce => {
                if self.service().is_some() {
                    self.offer(&link, &header, came.now);
                }
            }
            PacketKind::Offer => match (SessionId::decode(payload), self.peers.from(from)) {
                (None, _) => {
                    self.blame(from, Misbehaviour::Malformed);
                    self.malformed(from, &"an offer of another length");
                }
                (Some(session), Some(peer)) => drop(peer.offered(link, &header, session, came.now)),
                (Some(_), None) => {}
            },
            PacketKind::Request => self.request(link, header, payload, came),
            PacketKind::OneWay => self.one_way(&link, &header, payload, came.now),
            PacketKind::Reply | PacketKind::Working | PacketKind::TooLarge | PacketKind::Lost => {
                let expected = self.peers.from(from).is_some_and(|peer| peer.answered(&header, payload, came.now));
                if expected && header.kind != PacketKind::Working {
                    self.counters.message_received();
                }
            }
        }
    }

    /// Where datagrams are sealed, what seals this one, and what it says.
    fn open<'a>(&self, from: SocketAddr, datagram: &'a mut [u8]) -> Result<(Option<Arc<Seal>>, &'a [u8]), PacketError> {
        let Some(keys) = &self.keys else { return Ok((None, datagram)) };
        let front = Front::decode(datagram)?;
        let seal = match front.direction {
            Direction::Asks => keys.get(front.key),
            Direction::Answers => self.peers.from(from).and_then(|peer| peer.seal(front.key)),
        };
        let seal = seal.ok_or(PacketError::Key)?;
        let plain = seal.open(front, datagram, &self.env)?;
        Ok((Some(seal), plain))
    }

    fn malformed(&self, from: SocketAddr, error: &dyn std::fmt::Display) {
        event!(debug, %from, %error, "a datagram is dropped");
        self.counters.network_error();
    }

    fn blame(&self, from: SocketAddr, kind: Misbehaviour) {
        self.counters.misdeeds.note(kind, &source_of(from.ip()).to_string());
    }

    /// Gives whoever is at that address a session, unless it wants too many or there is no room: it goes over to TCP then. Never
    /// longer than what it answers: see `ASKING_LEN_MIN`.
    fn offer(&self, link: &Link, header: &Header, now: Instant) {
        let may = {
            // A bucket is valid in every state, so a poisoned lock loses nothing.
            let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            arrivals.take(source_of(link.address.ip()), now)
        };
        if !may {
            return self.blame(link.address, Misbehaviour::Flood);
        }
        let session = self.sessions().offer(link.address);
        let Some(session) = session else { return };
        let header = Header { slot: self.slots_max(), ..header.answered(PacketKind::Offer) };
        self.transmit(link, &header, &session.encode(), false);
    }

    fn request(self: &Arc<Self>, from: Link, header: Header, payload: &[u8], came: Came) {
        let Some(service) = self.service() else { return };
        let arrival = self.sessions().arrived(from.address, &header, came.now);
        let again = |kind, payload: &[u8]| self.transmit(&from, &header.answered(kind), payload, false);
        match arrival {
            Arrival::Fresh { under_way } => {
                self.carry_out(Ticket::new(self, from, header), payload, service, under_way, came)
            }
            Arrival::Working => again(PacketKind::Working, &[]),
            Arrival::Answered(Answered::Small(payload)) => again(PacketKind::Reply, &payload),
            Arrival::Answered(Answered::Large(..)) => again(PacketKind::TooLarge, &[]),
            Arrival::Forgotten => again(PacketKind::Lost, &[]),
            Arrival::Late => {}
            Arrival::Unknown => self.offer(&from, &header, came.now),
        }
    }

    fn carry_out(
        self: &Arc<Self>,
        mut ticket: Ticket,
        payload: &[u8],
        service: Arc<dyn Service>,
        under_way: usize,
        Came { since, now }: Came,
    ) {
        self.counters.message_received();
        let source = ticket.from.address;
        let mut call = match decode_call(Bytes::copy_from_slice(payload)) {
            Ok(call) => call,
            Err(WireError::UnknownKind { tag, head }) => {
                ticket.head = head;
                let text = format!("request {tag} is unknown to this release");
                return ticket.refuse(ErrorKind::Unsupported, &text);
            }
            Err(error) => {
                self.blame(source, Misbehaviour::Malformed);
                self.malformed(source, &error);
                return ticket.give_up();
            }
        };
        ticket.head = call.head;
        let left_ms = ticket.header.left_ms.min(DEADLINE_MS_MAX);
        // The request may have left long after it was written.
        if call.head.deadline_ms == 0 || left_ms < call.head.deadline_ms {
            call.head.deadline_ms = left_ms;
        }
        let turn = Turn { arrived: now, deadline_ms: left_ms, class: call.body.class(), len: payload.len() };
        if under_way >= room(turn.class, self.slots_max().into()) {
            return ticket.refuse(ErrorKind::Overloaded, "too many requests of this peer are under way");
        }
        if self.load.hopeless(turn.class, self.env.uptime_ms_at(now)) {
            return ticket.refuse(ErrorKind::Overloaded, TOO_LATE);
        }
        if turn.must_wait(&self.load, now.saturating_duration_since(since), self.env.uptime_ms_at(now)) {
            return self.later(ticket, turn, Work::Serve(service, Box::new(call)));
        }
        // This task serves everybody: a service that panics concerns one request.
        match catch_unwind(AssertUnwindSafe(|| service.serve(call))) {
            Ok(Answer::Now(reply)) => ticket.answer(reply),
            Ok(Answer::Later(answer)) => self.later(ticket, turn, Work::Finish(answer)),
            Ok(Answer::Stream(_)) => ticket.refuse(ErrorKind::Unsupported, STREAMED),
            Ok(Answer::Nothing) => ticket.leave(),
            Err(_) => ticket.panicked(),
        }
    }

    /// A request that a task carries out when its turn comes.
    fn later(self: &Arc<Self>, ticket: Ticket, turn: Turn, work: Work) {
        let Some(mut taken) = self.load.take(turn.class, turn.len) else {
            return ticket.refuse(ErrorKind::Overloaded, FULL);
        };
        self.tasks.spawn_helper(async move {
            taken.begin();
            match turn.due(&ticket.shared.load, &ticket.shared.env) {
                Due::Now => match work.done().await {
                    Answer::Now(reply) => ticket.answer(reply),
                    Answer::Nothing => ticket.leave(),
                    Answer::Later(_) | Answer::Stream(_) => ticket.refuse(ErrorKind::Unsupported, STREAMED),
                },
                Due::Refused(why) => ticket.refuse(ErrorKind::Overloaded, why),
                Due::Expired => ticket.give_up(),
            }
            drop(taken);
        });
    }

    fn one_way(self: &Arc<Self>, link: &Link, header: &Header, payload: &[u8], now: Instant) {
        let Some(service) = self.service() else { return };
        let from = link.address;
        let first = self.sessions().one_way(from, header, now);
        match first {
            Some(true) => self.counters.message_received(),
            Some(false) => return,
            None => return self.offer(link, header, now),
        }
        let call = match decode_call(Bytes::copy_from_slice(payload)) {
            Ok(call) => call,
            // A kind that only later releases know.
            Err(WireError::UnknownKind { .. }) => return,
            Err(error) => {
                self.blame(from, Misbehaviour::Malformed);
                return self.malformed(from, &error);
            }
        };
        let class = call.body.class();
        // Whatever a service makes of it, nothing goes back; it is lost if there is no room.
        match catch_unwind(AssertUnwindSafe(|| service.serve(call))) {
            Ok(Answer::Later(answer)) => {
                let Some(mut taken) = self.load.take(class, payload.len()) else { return };
                taken.begin();
                self.tasks.spawn_helper(async move {
                    answer.await;
                    drop(taken);
                });
            }
            Ok(Answer::Now(_) | Answer::Stream(_) | Answer::Nothing) => {}
            Err(_) => event!(error, %from, "a one-way message made the service panic"),
        }
    }
}

impl Ticket {
    fn new(shared: &Arc<Shared>, from: Link, header: Header) -> Self {
        let head = Head { ring_id: None, sender: 0, deadline_ms: 0, trace_id: 0, attempt: 0, view: 0, clock: 0 };
        Self { shared: shared.clone(), from, header, head, done: false }
    }

    fn answer(mut self, reply: Reply) {
        self.respond(reply);
    }

    fn refuse(mut self, kind: ErrorKind, text: &str) {
        let refusal = failure(&self.head, self.shared.boot, Error::new(kind, text));
        self.respond(refusal);
    }

    /// A service that panics is a defect, which the asker learns at once and not by waiting for its deadline. What it had done
    /// before nobody knows.
    fn panicked(&mut self) {
        let panicked = Error::new(ErrorKind::Internal, PANICKED).unknown_outcome();
        let refusal = failure(&self.head, self.shared.boot, panicked);
        self.respond(refusal);
    }

    /// It has no answer, and will have none.
    fn give_up(mut self) {
        self.done = true;
        self.shared.sessions().given_up(&self.header);
        self.shared.transmit(&self.from, &self.header.answered(PacketKind::Lost), &[], true);
    }

    /// The service will not answer, as it sees fit.
    fn leave(mut self) {
        self.done = true;
        self.shared.sessions().unanswered(&self.header);
    }

    fn respond(&mut self, reply: Reply) {
        self.done = true;
        let (answered, kind, payload) = match encode_reply_within(&reply, self.shared.payload_max()) {
            Ok(payload) => (Answered::Small(payload.clone()), PacketKind::Reply, payload),
            Err(WireError::TooLong { len, .. }) => {
                (Answered::Large(Box::new(reply), len), PacketKind::TooLarge, Bytes::new())
            }
            Err(error) => {
                event!(error, %error, "a reply cannot be encoded");
                self.shared.sessions().given_up(&self.header);
                return;
            }
        };
        self.shared.sessions().answered(&self.header, answered, self.shared.env.now());
        self.shared.transmit(&self.from, &self.header.answered(kind), &payload, true);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.done && std::thread::panicking() {
            self.panicked();
        }
    }
}

/// A reply that the transport makes itself; it carries the trace of its request.
fn failure(request: &Head, boot: u64, error: Error) -> Reply {
    answered_by(request, boot, Response::Failure(error))
}

fn answered_by(request: &Head, boot: u64, body: Response) -> Reply {
    let head = Head {
        ring_id: None,
        sender: boot,
        deadline_ms: 0,
        trace_id: request.trace_id,
        attempt: request.attempt,
        view: 0,
        clock: 0,
    };
    Reply::new(head, body)
}
