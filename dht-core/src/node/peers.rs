//! The only caller of the transport: envelopes, deadlines, measured round trips, and what a failure says of the peer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Node;
use super::follow::{What, trace_id};
use crate::data::FixedMap;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::{Address, NodeId, NodeRecord, Verdict};
use crate::transport::{Call, Fault, Reply, Responses, TransportError, call_error};
use crate::wire::message::{Head, Request, Response};

/// Whom to call.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Peer {
    pub(crate) node_id: NodeId,
    pub(crate) boot: u64,
    pub(crate) address: Address,
}

impl From<&NodeRecord> for Peer {
    fn from(record: &NodeRecord) -> Self {
        Self { node_id: record.node_id.clone(), boot: record.boot, address: record.address.clone() }
    }
}

impl Node {
    /// This node, as others call it.
    pub(crate) fn as_peer(&self) -> Peer {
        Peer { node_id: self.node_id.clone(), boot: self.boot, address: self.address.clone() }
    }

    /// Asks `peer`; a `Response::Failure` becomes the error it carries.
    ///
    /// # Errors
    /// `Unreachable` and `Timeout` (with `maybe_applied` unless the request certainly did not arrive), `Overloaded`,
    /// `TooLarge`, `Stopped`, or whatever the peer answered.
    pub(crate) async fn call(&self, peer: &Peer, body: Request, deadline: Instant, attempt: u32) -> Result<Response> {
        let what = What { kind: body.kind(), attempt, hedged: false };
        self.call_as(peer, body, deadline, attempt, what).await
    }

    /// The same, which a trace shows as `what`.
    ///
    /// # Errors
    /// As [`Node::call`].
    pub(crate) async fn call_as(
        &self,
        peer: &Peer,
        body: Request,
        deadline: Instant,
        attempt: u32,
        what: What,
    ) -> Result<Response> {
        let begun = self.env.now();
        let step = self.begin_step(peer, what, begun);
        // Whoever waits for its turn does not measure the way.
        let measures = !matches!(body, Request::Admit { wait: true, .. });
        let call = self.calling(body, deadline, attempt);
        let mut result = self.transport.call(&peer.address, call, deadline).await;
        if let Some(step) = step {
            step.answered(self.env.now(), &mut result);
        }
        match result {
            Ok(reply) => {
                if measures {
                    self.round_trips.record(peer.boot, self.env.now() - begun);
                }
                self.accept_reply(peer, reply)
            }
            Err(error) => {
                self.blame(peer, &error);
                Err(call_error(error))
            }
        }
    }

    /// Asks an address of which only the address is known.
    pub(crate) async fn call_address(&self, to: &Address, body: Request, deadline: Instant) -> Result<Reply> {
        let call = self.calling(body, deadline, 0);
        let reply = self.transport.call(to, call, deadline).await.map_err(call_error)?;
        match reply.body {
            Response::Failure(error) => Err(error),
            _ => Ok(reply),
        }
    }

    /// Asks `peer` for a stream; each item must come within `idle_max`.
    pub(crate) async fn open(&self, peer: &Peer, body: Request, idle_max: Duration) -> Result<Box<dyn Responses>> {
        let call = self.calling(body, self.env.now() + idle_max, 0);
        self.transport.open(&peer.address, call, idle_max).await.map_err(|error| {
            self.blame(peer, &error);
            call_error(error)
        })
    }

    /// Tells `to` without waiting.
    pub(crate) fn tell(&self, to: &Address, body: Request) {
        let deadline = self.env.now() + self.config.request_timeout;
        self.transport.send(to, self.calling(body, deadline, 0));
    }

    pub(crate) fn head(&self, deadline: Instant, attempt: u32) -> Head {
        let left = deadline.saturating_duration_since(self.env.now());
        Head {
            ring_id: self.ring().id,
            sender: if self.is_client() { 0 } else { self.boot },
            deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
            trace_id: trace_id(),
            attempt,
            view: self.view.load().fingerprint(),
            clock: 0,
        }
    }

    /// A call with this body. What keeps the ring together tells our clock, and so do comparisons, after which nobody who has
    /// adopted our list stamps under another any more.
    pub(super) fn calling(&self, body: Request, deadline: Instant, attempt: u32) -> Call {
        let tells = matches!(body, Request::Ping { .. } | Request::Exchange { .. } | Request::Compare { .. });
        let clock = if tells { self.clock() } else { 0 };
        Call { head: Head { clock, ..self.head(deadline, attempt) }, body }
    }

    /// What our clock says, for others; those of clients stamp nothing.
    pub(super) fn clock(&self) -> u64 {
        if self.is_client() { 0 } else { self.hlc.reading(self.env.wall_ms()) }
    }

    /// How long one attempt at `peer` may take: what its round trips say, but a fair part of what is left at most.
    pub(crate) fn attempt_deadline(&self, peer: &Peer, deadline: Instant) -> Instant {
        let now = self.env.now();
        let left = deadline.saturating_duration_since(now);
        let share = left / (self.config.max_retries + 1);
        let patient = self.round_trips.timeout(peer.boot).map_or(share, |timeout| timeout.max(ATTEMPT_MIN).min(share));
        now + patient.max(ATTEMPT_MIN).min(left)
    }

    /// The same for a message that carries so many bytes: what is long takes its time on the way, which small messages say
    /// nothing of; only what is short is worth an early second try.
    pub(super) fn attempt_deadline_of(&self, bytes: usize, peer: &Peer, deadline: Instant) -> Instant {
        if bytes > LARGE_LEN { deadline } else { self.attempt_deadline(peer, deadline) }
    }

    pub(super) fn accept_reply(&self, peer: &Peer, reply: Reply) -> Result<Response> {
        // What it said it has, and where it was in the lists, is of another life, or node.
        if reply.head.sender != peer.boot {
            self.probe_soon(peer);
            let context =
                format!("at {} there is another node than {}, or it was started anew", peer.address, peer.node_id);
            let error = Error::new(ErrorKind::Unreachable, context);
            return Err(match reply.body {
                // Nothing was done, whoever says so.
                Response::Failure(refusal)
                    if matches!(refusal.kind(), ErrorKind::NotJoined | ErrorKind::Overloaded) =>
                {
                    refusal
                }
                Response::Failure(refusal) if !refusal.maybe_applied() => error,
                _ => error.unknown_outcome(),
            });
        }
        let ours = self.ring().id;
        if reply.head.ring_id.is_some() && ours.is_some() && reply.head.ring_id != ours {
            self.meet_in_another_ring(reply.head.sender);
            let context = format!("{} at {} is in another ring now", peer.node_id, peer.address);
            let error = Error::new(ErrorKind::Unreachable, context);
            // It went over to that ring only when it had carried out what was asked, unless it says otherwise.
            let refused = matches!(&reply.body, Response::Failure(refusal) if !refusal.maybe_applied());
            return Err(if refused { error } else { error.unknown_outcome() });
        }
        if reply.head.ring_id.is_some() {
            self.hear_clock(&reply.head);
        }
        // A refusal that its transport made names none.
        if reply.head.view != 0 {
            self.compare_view(peer.boot, reply.head.view);
        }
        match reply.body {
            Response::Failure(error) => Err(error),
            body => Ok(body),
        }
    }

    fn blame(&self, peer: &Peer, error: &TransportError) {
        match error {
            // Others are asked instead at once; the detector finds out.
            TransportError::Unreached { fault: Fault::Peer, .. } => self.suspect(peer, false),
            // A machine that refuses us may be one that serves all others: they are asked.
            TransportError::Refused(_)
            | TransportError::Unreached { .. }
            | TransportError::Undialled(_)
            | TransportError::Broken(_)
            | TransportError::Deadline(_)
            | TransportError::Late { .. }
                // They were, a moment ago, if it is known to be out of reach; heartbeats go on.
                if !self.cut_off.has(peer.boot, || self.env.now()) =>
            {
                self.probe_soon(peer);
            }
            _ => {}
        }
    }

    /// Routes around `peer` from now on, tells others, and lets the detector decide.
    pub(crate) fn suspect(&self, peer: &Peer, refused: bool) {
        let news = {
            let mut state = self.state();
            if refused && state.members.get(&peer.node_id).is_some_and(|k| k.record().boot == peer.boot) {
                state.members.refused(&peer.node_id);
            }
            let news = state.members.judge(&peer.node_id, peer.boot, Verdict::Suspect, self.env.now());
            if news.is_some() {
                self.refresh(&mut state);
            }
            news
        };
        if let Some(record) = news {
            log!(self, debug, peer = %peer.node_id, refused, "suspects");
            // Where a client is, much may be out of reach that is not for the ring.
            if !self.is_client() {
                self.spread(record);
            }
        }
    }
}

/// From here on a message takes longer than a round trip says.
pub(super) const LARGE_LEN: usize = 64 << 10;
/// An attempt is not given up sooner: a garbage collection or a slow disk takes that long on a healthy machine.
const ATTEMPT_MIN: Duration = Duration::from_millis(250);

/// Smoothed round trips per peer (RFC 6298 §2, without its minimum: the caller has its own).
#[derive(Default)]
pub(crate) struct RoundTrips(Mutex<FixedMap<u64, (f64, f64)>>);

/// Peers remembered; beyond, all are forgotten and measured anew.
const PEERS_MAX: usize = 65_536;

impl RoundTrips {
    fn record(&self, boot: u64, took: Duration) {
        let took = took.as_secs_f64();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PEERS_MAX {
            all.clear();
        }
        let (smoothed, variation) = all.entry(boot).or_insert((took, took / 2.0));
        *variation += ((*smoothed - took).abs() - *variation) / 4.0;
        *smoothed += (took - *smoothed) / 8.0;
    }

    fn timeout(&self, boot: u64) -> Option<Duration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&boot).map(|(smoothed, variation)| Duration::from_secs_f64(smoothed + 4.0 * variation))
    }
}
