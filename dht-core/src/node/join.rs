//! Ways into a ring: found one, or ask a member to be let in; what becomes of that is in `become_member.rs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::come_back::GIVE_WAY_MAX;
use super::names::Named;
use super::{Node, Phase, Ring};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::params::RingConfig;
use crate::ring::record::{Address, NodeRecord, NodeState, RingId};
use crate::transport::{Reply, TransportError, call_error};
use crate::wire::message::{Request, Response};

/// Between two tries to join.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

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

/// One at a time changes the ring that a node is in.
pub(super) struct WayIn(Arc<Node>);

impl Drop for WayIn {
    fn drop(&mut self) {
        self.0.entering.store(false, Ordering::Release);
        self.0.progress.step();
    }
}

/// Seeds of a join that has not come to its end. A ring that this node was not let into, or whose join was given up, is not
/// looked for behind the caller's back.
struct AddedSeeds<'a> {
    node: &'a Node,
    seeds: Vec<String>,
}

impl AddedSeeds<'_> {
    /// They stay if the node is in, or may be.
    fn end_with(mut self, joined: &Result<()>) {
        if joined.as_ref().map_or_else(Error::maybe_applied, |()| true) {
            self.seeds.clear();
        }
    }
}

impl Drop for AddedSeeds<'_> {
    fn drop(&mut self) {
        if !self.seeds.is_empty() {
            self.node.state().seeds.retain(|seed| !self.seeds.contains(seed));
        }
    }
}

impl Node {
    /// Founds a ring of one, which serves at once.
    pub(crate) fn found(&self) {
        let fresh = || Ring { id: Some(RingId(self.env.random_u128())), config: self.ring().config };
        let solitude = self.former_solitude();
        let ring = solitude.unwrap_or_else(fresh);
        {
            let mut state = self.state();
            if solitude.is_some() {
                // Whoever was given up then may come back, with what was deleted meanwhile.
                self.remember_the_gone(&mut state);
            }
            self.ring.store(Arc::new(ring));
            if !self.keeps_positions() {
                self.choose_positions(&mut state);
            }
            state.members.declare(|me| me.state = NodeState::Active, self.env.now());
            let view = Arc::new(state.members.view());
            state.table.found(self.slots, &view, self.replicas());
            for slot in self.slots.iter() {
                self.readable.set(slot, true);
            }
            self.view.store(view);
        }
        log!(self, info, "founded a ring");
        self.life.enter(Phase::Active);
    }

    /// Joins through the configured seeds, or founds a ring if this node is the one to do it. Returns after that, or
    /// at `deadline`; then goes on trying for life.
    pub(crate) async fn enter(self: &Arc<Self>, deadline: Instant) -> Result<()> {
        let seeds = self.config.seeds.clone();
        let (tell, told) = oneshot::channel();
        let node = self.clone();
        self.tasks.spawn(async move {
            let mut tell = Some(tell);
            let mut pause = RETRY_MIN;
            let mut first = true;
            loop {
                // An explicit join was quicker.
                if node.life.phase() != Phase::Joining {
                    tell.take().map(|tell| tell.send(Ok(())));
                    return;
                }
                let tried = Box::pin(node.enter_once(&seeds)).await;
                match tried {
                    Ok(()) => {
                        tell.take().map(|tell| tell.send(Ok(())));
                        return;
                    }
                    Err(error) => {
                        log!(node, debug, %error, "not joined yet");
                        // A name that was known once may be again.
                        if final_for_join(error.kind()) || first && error.kind() == ErrorKind::Address {
                            tell.take().map(|tell| tell.send(Err(error)));
                        }
                    }
                }
                first = false;
                tokio::time::sleep(node.env.jittered(pause)).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
        });
        match tokio::time::timeout_at(deadline, told).await {
            Ok(Ok(result)) => result,
            _ => Ok(()),
        }
    }

    /// One try with the seeds; founds if all are silent and this node's address is the smallest of them.
    async fn enter_once(self: &Arc<Self>, seeds: &[String]) -> Result<()> {
        let (named, mut own) = {
            let deadline = self.env.now() + self.config.request_timeout;
            join(self.resolve_all(seeds, deadline), self.own_addresses(deadline)).await
        };
        // Whoever is asked has the whole time, however long that took.
        let deadline = self.env.now() + self.config.request_timeout;
        if let Some(former) = self.former_company() {
            // Those that were there are as good to ask as the seeds.
            let known = named.unwrap_or_else(|error| Named { addresses: Vec::new(), late: Some(error) });
            return self.come_back_once(former, &known, &own, deadline).await;
        }
        let mut named = named?;
        match self.welcome(&named.addresses, &own, deadline).await {
            Ok(welcome) => {
                let _way_in = self.first_way_in()?;
                self.become_member(welcome).await
            }
            Err(Refusal { error, ring, own: answered_at, .. }) => {
                own.splice(..0, answered_at);
                // Of one whose name is not known yet nobody can say that it is silent.
                // A ring that does not take this node is there nevertheless.
                let alone = self.former_solitude().is_some();
                // Who was alone before does not wait for it for ever.
                let known = named.late.is_none() || alone && self.env.uptime() >= GIVE_WAY_MAX;
                let silent = known && matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::InvalidArgument);
                let goes_on = alone || !self.is_client() && self.is_first_of(seeds, &named.addresses, &own);
                if silent && ring.is_none() && goes_on {
                    let _way_in = self.first_way_in()?;
                    self.found();
                    return Ok(());
                }
                Err(named.why_not(error))
            }
        }
    }

    /// Of those that are started with these seeds this node is the one to found a ring: its address is the smallest. Where the
    /// seeds name it as others are told to dial it, names are compared, which are the same to all; else what they resolve to,
    /// of the kind that this node has.
    fn is_first_of(&self, seeds: &[String], addresses: &[Address], own: &[Address]) -> bool {
        if seeds.iter().any(|seed| seed == self.address.as_str()) {
            return seeds.iter().min().is_some_and(|first| first == self.address.as_str());
        }
        let parsed = |address: &Address| address.as_str().parse::<SocketAddr>().ok();
        let is_loopback = |address: &Address| parsed(address).is_some_and(|a| a.ip().to_canonical().is_loopback());
        let is_v4 = |address: &Address| parsed(address).is_some_and(|address| address.is_ipv4());
        let kind = own.iter().rev().find(|address| parsed(address).is_some()).is_none_or(is_v4);
        // Where this machine calls itself 127.0.1.1 (Debian), others compare the address that they dial.
        let dialled = own.iter().rev().find(|address| parsed(address).is_some() && !is_loopback(address));
        let as_dialled = |address: &Address| match (dialled.and_then(parsed), parsed(address)) {
            (Some(_), Some(_)) if own.contains(address) && is_loopback(address) => dialled.unwrap_or(address).clone(),
            // Another of this machine's nodes has its own port.
            (Some(dialled), Some(here)) if is_loopback(address) && dialled.is_ipv4() == here.is_ipv4() => {
                Address::new(&SocketAddr::new(dialled.ip(), here.port()).to_string())
            }
            _ => address.clone(),
        };
        let all = addresses.iter().map(as_dialled).filter(|address| is_v4(address) == kind);
        all.min().is_some_and(|first| own.contains(&first))
    }

    /// The way into a ring for a node that is in none.
    ///
    /// # Errors
    /// `NotJoined`: an explicit join is taking it into one, or has.
    pub(super) fn first_way_in(self: &Arc<Self>) -> Result<WayIn> {
        let way_in = self.way_in().filter(|_| self.life.phase() == Phase::Joining);
        way_in.ok_or_else(|| Error::new(ErrorKind::NotJoined, "another join was quicker"))
    }

    /// `None` while somebody else is on the way.
    fn way_in(self: &Arc<Self>) -> Option<WayIn> {
        (!self.entering.swap(true, Ordering::AcqRel)).then(|| WayIn(self.clone()))
    }

    /// `join`: enters the ring of one of `endpoints`, with whatever this node holds.
    ///
    /// # Errors
    /// `InvalidArgument` if they name only this node; `Address` if none resolves; `Unreachable` if none lets it in until
    /// `found_by`, or the name service has not answered until then; `IncompatibleRing`, `Auth`, `ClockSkew`, `NodeIdInUse`,
    /// `RingFull` if the ring refuses. The node then is where it was. `Timeout` with an unknown outcome if it is still on its way in at the deadline.
    pub(crate) async fn join(
        self: &Arc<Self>,
        endpoints: &[String],
        found_by: Instant,
        deadline: Instant,
    ) -> Result<()> {
        let (named, own) = join(self.resolve_all(endpoints, found_by), self.own_addresses(found_by)).await;
        let mut named = named?;
        let mut added = self.add_seeds(endpoints);
        let joined = self.join_at(&named.addresses, &own, &mut added, (found_by, deadline)).await;
        added.end_with(&joined);
        joined.map_err(|error| named.why_not(error))
    }

    fn add_seeds(&self, endpoints: &[String]) -> AddedSeeds<'_> {
        let mut state = self.state();
        let seeds: Vec<String> = endpoints.iter().filter(|e| !state.seeds.contains(e)).cloned().collect();
        state.seeds.extend(seeds.iter().cloned());
        drop(state);
        AddedSeeds { node: self, seeds }
    }

    async fn join_at(
        self: &Arc<Self>,
        addresses: &[Address],
        own: &[Address],
        added: &mut AddedSeeds<'_>,
        (mut found_by, deadline): (Instant, Instant),
    ) -> Result<()> {
        let mut pause = RETRY_MIN;
        loop {
            let error = match self.welcome(addresses, own, found_by).await {
                // Where this node is when another join has ended decides what this one does.
                Ok(_) if self.entering.load(Ordering::Acquire) => {
                    self.others_have_entered(deadline).await?;
                    found_by = (self.env.now() + self.config.request_timeout).min(deadline);
                    continue;
                }
                Ok(welcome) if self.ring().id == Some(welcome.ring_id) => {
                    self.learn(&welcome.records);
                    return Ok(());
                }
                Ok(welcome) if self.ring().id.is_some() && self.state().members.others().next().is_some() => {
                    if welcome.config != self.ring().config {
                        let (ours, theirs) = (self.ring().config, welcome.config);
                        let context = format!("the two rings have different settings: here {ours:?}, there {theirs:?}");
                        return Err(Error::new(ErrorKind::IncompatibleRing, context));
                    }
                    match self.unite(welcome.ring_id, &welcome.records, &welcome.at, deadline).await {
                        Ok(()) => return Ok(()),
                        Err(error) => error,
                    }
                }
                Ok(welcome) => {
                    let Some(way_in) = self.way_in() else { continue };
                    let node = self.clone();
                    let (tell, told) = oneshot::channel();
                    // A task of the node's own: a caller who gives up leaves no half-joined node.
                    let seeds = std::mem::take(&mut added.seeds);
                    self.tasks.spawn(async move {
                        let added = AddedSeeds { node: &node, seeds };
                        let joined = node.become_member(welcome).await;
                        added.end_with(&joined);
                        drop(way_in);
                        let _ = tell.send(joined);
                    });
                    return match tokio::time::timeout_at(deadline, told).await {
                        Ok(Ok(joined)) => joined,
                        Ok(Err(_)) => Err(self.ended_error()),
                        Err(_) => {
                            let context = "still joining: the copy of our slots goes on";
                            Err(Error::new(ErrorKind::Timeout, context).unknown_outcome())
                        }
                    };
                }
                Err(Refusal { error, .. }) => error,
            };
            if self.life.phase().ended() {
                return Err(self.ended_error());
            }
            let passing = matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Overloaded);
            let retry = passing && self.env.now() + pause < found_by;
            if !retry {
                return Err(error);
            }
            tokio::time::sleep(self.env.jittered(pause)).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    /// Waits for a join that is under way.
    async fn others_have_entered(&self, deadline: Instant) -> Result<()> {
        loop {
            let seen = self.progress.seen();
            if !self.entering.load(Ordering::Acquire) {
                return Ok(());
            }
            if self.env.now() >= deadline {
                return Err(Error::new(ErrorKind::Timeout, "another join of this node is still under way"));
            }
            self.progress.since(seen, deadline).await;
        }
    }

    /// Asks the addresses, but for its `own`, one after the other to be let in.
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
        for (i, address) in others.iter().enumerate() {
            let left = deadline.saturating_duration_since(self.env.now());
            let share = self.env.now() + left / (others.len() - i) as u32;
            let error = match self.ask_for_welcome(address, share).await {
                Ok(welcome) => return Ok(welcome),
                // Asked at an address that it does not know for its own, this node says nothing of a ring.
                Err(refused) if refused.sender == self.boot => {
                    answered_at.push((*address).clone());
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
    async fn check_reachable(
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
