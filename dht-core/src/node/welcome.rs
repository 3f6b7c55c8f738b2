//! Asking a member to be let in, and what it says to that.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::Node;
use super::probe::never_left;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::params::RingConfig;
use crate::ring::record::{Address, NodeRecord, RingId};
use crate::transport::{Reply, TransportError, call_error};
use crate::wire::message::{Request, Response};

/// So many are asked at a time, at least, to let a node in.
const ASKED_AT_ONCE: usize = 64;

/// What a member said to a node that wants in.
pub(super) struct Welcome {
    pub(super) ring_id: RingId,
    pub(super) config: RingConfig,
    pub(super) records: Vec<NodeRecord>,
    /// The ring comes back as a whole, and is not all there yet.
    pub(super) reunites: bool,
    /// Who said it.
    pub(super) at: Address,
    /// It may have forgotten deletions of what this node holds; how long ago it gave this node up.
    pub(super) forgotten: Option<Duration>,
}

/// Why nobody let this node in.
pub(super) struct Refusal {
    pub(super) error: Error,
    /// The ring of one who answered, and its boot: it is there, whatever the reason.
    pub(super) ring: Option<RingId>,
    pub(super) sender: u64,
    /// Where this node itself answered: other addresses of its own.
    pub(super) own: Vec<Address>,
}

impl Refusal {
    fn new(error: Error, ring: Option<RingId>, sender: u64) -> Self {
        Self { error, ring, sender, own: Vec::new() }
    }
}

impl Node {
    /// Asks the addresses, but for its `own`, to be let in: the next one as soon as one refuses, or has not answered for a while. Those
    /// that were asked before may still answer; the first that lets this node in is the one.
    pub(super) async fn welcome(
        &self,
        addresses: &[Address],
        own: &[Address],
        deadline: Instant,
    ) -> Result<Welcome, Refusal> {
        let mut others: Vec<&Address> = addresses.iter().filter(|a| !own.contains(a)).collect();
        if others.is_empty() {
            return Err(Refusal::new(only_itself(), None, 0));
        }
        others.dedup();
        let mut refusal: Option<Error> = None;
        let mut answered_at = Vec::new();
        let (mut ring, mut sender) = (None, 0);
        let left = deadline.saturating_duration_since(self.env.now());
        // All are asked in half of the time, and of many not too many at once.
        let (many, at_once) = (others.len() as u32, others.len().min(ASKED_AT_ONCE) as u32);
        let (part, patience) = (left / 2 / many, left / many * at_once);
        let mut to_ask = others.iter();
        let mut asked = FuturesUnordered::new();
        loop {
            if let Some(address) = to_ask.next() {
                let until = deadline.min(self.env.now() + patience);
                asked.push(async move { (*address, self.ask_for_welcome(address, until).await) });
            }
            let waits = if to_ask.len() == 0 { deadline } else { self.env.now() + part };
            let (address, answer) = match tokio::time::timeout_at(waits, asked.next()).await {
                Ok(Some(answered)) => answered,
                Ok(None) if to_ask.len() == 0 => break,
                // A call ends by its own deadline, which may be this one.
                Err(_) if to_ask.len() == 0 => match asked.next().await {
                    Some(answered) => answered,
                    None => break,
                },
                Ok(None) | Err(_) => continue,
            };
            let error = match answer {
                Ok(welcome) => return Ok(welcome),
                // Asked at an address that it does not know for its own, this node says nothing of a ring.
                Err(refused) if refused.sender == self.boot => {
                    answered_at.push(address.clone());
                    continue;
                }
                Err(refused) => {
                    if ring.is_none() {
                        (ring, sender) = (refused.ring, refused.sender);
                    }
                    refused.error
                }
            };
            if error.kind() == ErrorKind::ClockSkew {
                return Err(Refusal { error, ring, sender, own: answered_at });
            }
            // A definite refusal says more than that somebody is busy, and that more than silence.
            let weight = |error: &Error| match error.kind() {
                kind if final_for_join(kind) => 2,
                kind => u8::from(kind == ErrorKind::Overloaded),
            };
            if refusal.as_ref().is_none_or(|before| weight(before) <= weight(&error)) {
                refusal = Some(error);
            }
        }
        let error = match refusal {
            // Whoever is too busy to answer lives, and may be in a ring.
            Some(error) if final_for_join(error.kind()) || error.kind() == ErrorKind::Overloaded => error,
            // It is there, and on its way itself: that matters to one who comes back.
            Some(error) if error.kind() == ErrorKind::NotJoined && self.former_company().is_some() => error,
            Some(error) => {
                let names: Vec<&str> = others.iter().map(|a| a.as_str()).collect();
                let names = names.join(", ");
                let said = match ring {
                    Some(_) => format!("the ring at {names} does not let this node in: {error}"),
                    None => format!("no ring at {names} answers: {error}"),
                };
                Error::new(ErrorKind::Unreachable, said)
            }
            None => only_itself(),
        };
        Err(Refusal { error, ring, sender, own: answered_at })
    }

    async fn ask_for_welcome(&self, address: &Address, deadline: Instant) -> Result<Welcome, Refusal> {
        let record = self.state().members.own().clone();
        let asked_ms = self.env.wall_ms();
        let body = Request::Join { record, params: self.params, wall_ms: asked_ms, client: self.is_client() };
        let call = self.calling(body, deadline, 0);
        let reply = self.transport.call(address, call, deadline).await;
        let Reply { head, body, .. } = reply.map_err(|error| Refusal::new(call_error(error), None, 0))?;
        // What a transport refuses for a node that has too much to do names whoever asked.
        let busy = matches!(&body, Response::Failure(error) if error.kind() == ErrorKind::Overloaded);
        let itself = head.sender == self.boot;
        let sender = if busy && itself { 0 } else { head.sender };
        let refused = |error| Refusal::new(error, head.ring_id, sender);
        if itself && !busy {
            return Err(refused(only_itself()));
        }
        match body {
            Response::Welcome { ring_id, config, records, wall_ms, reunites, forgotten, given_up_ms } => {
                self.check_clock(address, asked_ms, wall_ms).map_err(refused)?;
                self.hear_clock(&head);
                self.check_reachable(address, &records, head.sender, deadline).await.map_err(refused)?;
                let at = address.clone();
                // Whoever does not say for how long may mean what this node wrote since.
                let forgotten = (forgotten && given_up_ms > 0).then(|| Duration::from_millis(given_up_ms));
                Ok(Welcome { ring_id, config, records, reunites, at, forgotten })
            }
            Response::Failure(error) => Err(refused(error)),
            _ => {
                let context = format!("{address} gave an answer to another question");
                Err(refused(Error::new(ErrorKind::Internal, context)))
            }
        }
    }

    /// Whoever lets this node in must be where its ring says that it is, seen from here: else nobody of the ring may be, and
    /// this node would take all of them for dead.
    pub(super) async fn check_reachable(
        &self,
        asked: &Address,
        records: &[NodeRecord],
        boot: u64,
        deadline: Instant,
    ) -> Result<()> {
        let Some(record) = records.iter().find(|r| r.boot == boot && r.address != *asked) else { return Ok(()) };
        let ping = Request::Ping { boot: 0, records: Vec::new() };
        let reply = self.transport.call(&record.address, self.calling(ping, deadline, 0), deadline).await;
        let reason = match reply {
            Ok(reply) if reply.head.sender == boot => return Ok(()),
            Err(TransportError::Busy { boot: there, .. }) if there == boot => return Ok(()),
            Err(error) if never_left(&error) => {
                let context = format!("{} cannot be asked at {} now: {error}", record.node_id, record.address);
                return Err(Error::new(ErrorKind::Overloaded, context));
            }
            Ok(_) => "another node is".to_owned(),
            Err(error) => error.to_string(),
        };
        let context = format!(
            "{} lets this node in at {asked}, but tells others to dial {}, where it is not from here ({reason}): is its \
             `advertise` an address that others can dial?",
            record.node_id, record.address
        );
        Err(Error::new(ErrorKind::Unreachable, context))
    }

    fn check_clock(&self, address: &Address, asked_ms: u64, theirs_ms: u64) -> Result<()> {
        let ours_ms = asked_ms + self.env.wall_ms().saturating_sub(asked_ms) / 2;
        let bound_ms = self.config.max_clock_offset.as_millis() as u64;
        if ours_ms.abs_diff(theirs_ms) <= bound_ms {
            return Ok(());
        }
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let (ours, theirs, bound) = (seconds(ours_ms), seconds(theirs_ms), seconds(bound_ms));
        let context = format!(
            "the clock here shows {ours:.3}, the one of {address} {theirs:.3} (Unix seconds): more than \
             max_clock_offset = {bound:.3} s apart"
        );
        Err(Error::new(ErrorKind::ClockSkew, context))
    }
}

fn only_itself() -> Error {
    Error::new(ErrorKind::InvalidArgument, "a node cannot join itself: name another node's address")
}

/// Errors that another try will not mend.
pub(super) fn final_for_join(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::IncompatibleRing
            | ErrorKind::NodeIdInUse
            | ErrorKind::RingFull
            | ErrorKind::ClockSkew
            | ErrorKind::Auth
            | ErrorKind::InvalidArgument
    )
}
