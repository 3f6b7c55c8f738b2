//! Ways into a ring: found one, or ask a member to be let in; what becomes of that is in `become_member.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Node, Phase, Ring};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::params::RingConfig;
use crate::ring::record::{Address, NodeRecord, NodeState, RingId};
use crate::transport::Reply;
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
    /// It may have forgotten deletions of what this node holds.
    pub(super) forgotten: bool,
}

/// One at a time changes the ring that a node is in.
pub(super) struct WayIn(Arc<Node>);

impl Drop for WayIn {
    fn drop(&mut self) {
        self.0.entering.store(false, Ordering::Release);
        self.0.progress.step();
    }
}

impl Node {
    /// Founds a ring of one, which serves at once.
    pub(crate) fn found(&self) {
        let fresh = || Ring { id: Some(RingId(self.env.random_u128())), config: self.ring().config };
        let ring = self.former_solitude().unwrap_or_else(fresh);
        {
            let mut state = self.state();
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
    /// when `patience` is over; then goes on trying for life.
    pub(crate) async fn enter(self: &Arc<Self>, patience: Duration) -> Result<()> {
        let deadline = self.env.now() + patience;
        let seeds = self.config.seeds.clone();
        if self.former_company().is_none() {
            self.resolve_all(&seeds).await?;
        }
        let (tell, told) = oneshot::channel();
        let node = self.clone();
        self.tasks.spawn(async move {
            let mut tell = Some(tell);
            let mut pause = RETRY_MIN;
            loop {
                // An explicit join was quicker.
                if node.life.phase() != Phase::Joining {
                    tell.take().map(|tell| tell.send(Ok(())));
                    return;
                }
                let tried = node.enter_once(&seeds, node.env.now() + node.config.request_timeout).await;
                match tried {
                    Ok(()) => {
                        tell.take().map(|tell| tell.send(Ok(())));
                        return;
                    }
                    Err(error) => {
                        log!(node, debug, %error, "not joined yet");
                        node.stats.error(error.kind());
                        if final_for_join(error.kind()) {
                            tell.take().map(|tell| tell.send(Err(error)));
                        }
                    }
                }
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
    async fn enter_once(self: &Arc<Self>, seeds: &[String], deadline: Instant) -> Result<()> {
        if let Some(former) = self.former_company() {
            // Those that were there are as good to ask as the seeds.
            let seeds = self.resolve_all(seeds).await.unwrap_or_default();
            return Box::pin(self.come_back_once(former, &seeds, deadline)).await;
        }
        let addresses = self.resolve_all(seeds).await?;
        match self.welcome(&addresses, deadline).await {
            Ok(welcome) => {
                let _way_in = self.first_way_in()?;
                self.become_member(welcome).await
            }
            Err(error) => {
                let smallest = addresses.iter().min() == Some(&self.address);
                let silent = matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::InvalidArgument);
                if smallest && silent && !self.is_client() {
                    let _way_in = self.first_way_in()?;
                    self.found();
                    return Ok(());
                }
                Err(error)
            }
        }
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
    /// `InvalidArgument` if they name only this node; `Address` if none resolves; `Unreachable` if none answers by
    /// the deadline; `IncompatibleRing`, `Auth`, `ClockSkew`, `NodeIdInUse`, `RingFull` if the ring refuses. The node then is
    /// where it was.
    pub(crate) async fn join(self: &Arc<Self>, endpoints: &[String], deadline: Instant) -> Result<()> {
        let addresses = self.resolve_all(endpoints).await?;
        let added: Vec<String> = {
            let mut state = self.state();
            let added: Vec<String> = endpoints.iter().filter(|e| !state.seeds.contains(e)).cloned().collect();
            state.seeds.extend(added.iter().cloned());
            added
        };
        let joined = self.join_at(&addresses, deadline).await;
        if joined.as_ref().is_err_and(|error| final_for_join(error.kind())) {
            // Whoever refused is not looked for behind the caller's back.
            self.state().seeds.retain(|seed| !added.contains(seed));
        }
        joined
    }

    async fn join_at(self: &Arc<Self>, addresses: &[Address], deadline: Instant) -> Result<()> {
        let mut pause = RETRY_MIN;
        loop {
            let error = match self.welcome(addresses, deadline).await {
                // Where this node is when another join has ended decides what this one does.
                Ok(_) if self.entering.load(Ordering::Acquire) => {
                    self.others_have_entered(deadline).await?;
                    continue;
                }
                Ok(welcome) if self.ring().id == Some(welcome.ring_id) => {
                    self.learn(&welcome.records);
                    return Ok(());
                }
                Ok(welcome) if self.state().members.others().next().is_some() => {
                    if welcome.config != self.ring().config {
                        let (ours, theirs) = (self.ring().config, welcome.config);
                        let context = format!("the two rings have different settings: here {ours:?}, there {theirs:?}");
                        return Err(Error::new(ErrorKind::IncompatibleRing, context));
                    }
                    self.unite(welcome.ring_id, &welcome.records, addresses, deadline).await;
                    return Ok(());
                }
                Ok(welcome) => {
                    let Some(way_in) = self.way_in() else { continue };
                    let node = self.clone();
                    let (tell, told) = oneshot::channel();
                    // A task of the node's own: a caller who gives up leaves no half-joined node.
                    self.tasks.spawn(async move {
                        let joined = node.become_member(welcome).await;
                        drop(way_in);
                        let _ = tell.send(joined);
                    });
                    return match tokio::time::timeout_at(deadline, told).await {
                        Ok(Ok(joined)) => joined,
                        Ok(Err(_)) => Err(super::stopped()),
                        Err(_) => Err(Error::new(ErrorKind::Timeout, "still joining: the copy of our slots goes on")),
                    };
                }
                Err(error) => error,
            };
            let retry = error.kind() == ErrorKind::Unreachable && self.env.now() + pause < deadline;
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

    async fn resolve_all(&self, endpoints: &[String]) -> Result<Vec<Address>> {
        let mut addresses = Vec::new();
        let mut unresolved = None;
        for endpoint in endpoints {
            match self.transport.resolve(endpoint).await {
                Ok(found) => addresses.extend(found),
                Err(error) => unresolved = Some(error),
            }
        }
        match unresolved {
            Some(error) if addresses.is_empty() => Err(error),
            _ => Ok(addresses),
        }
    }

    /// Asks the addresses one after the other to be let in.
    pub(super) async fn welcome(&self, addresses: &[Address], deadline: Instant) -> Result<Welcome> {
        let mut others: Vec<&Address> = addresses.iter().filter(|a| **a != self.address).collect();
        if others.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a node cannot join itself: name another node's address",
            ));
        }
        others.dedup();
        let mut refusal: Option<Error> = None;
        for (i, address) in others.iter().enumerate() {
            let record = self.state().members.own().clone();
            let asked_ms = self.env.wall_ms();
            let request = Request::Join { record, params: self.params, wall_ms: asked_ms, client: self.is_client() };
            let left = deadline.saturating_duration_since(self.env.now());
            let share = self.env.now() + left / (others.len() - i) as u32;
            let error = match self.call_address(address, request, share).await {
                Ok(Reply {
                    body: Response::Welcome { ring_id, config, records, wall_ms, reunites, forgotten },
                    ..
                }) => {
                    self.check_clock(address, asked_ms, wall_ms)?;
                    return Ok(Welcome { ring_id, config, records, reunites, forgotten });
                }
                Ok(_) => Error::new(ErrorKind::Internal, format!("{address} gave an answer to another question")),
                Err(error) => error,
            };
            // A definite refusal says more than silence.
            if refusal.as_ref().is_none_or(|before| !final_for_join(before.kind())) {
                refusal = Some(error);
            }
        }
        Err(match refusal {
            Some(error) if final_for_join(error.kind()) => error,
            // It is there, and on its way itself: that matters to one who comes back.
            Some(error) if error.kind() == ErrorKind::NotJoined && self.former_company().is_some() => error,
            Some(error) => {
                let names: Vec<&str> = others.iter().map(|a| a.as_str()).collect();
                Error::new(ErrorKind::Unreachable, format!("no ring answers at {}: {error}", names.join(", ")))
            }
            None => Error::new(ErrorKind::Unreachable, "no address to ask"),
        })
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
