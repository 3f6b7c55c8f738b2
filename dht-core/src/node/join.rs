//! Entering a ring: ask a member, learn the ring, copy what we are going to hold, be admitted, become active.
//!
//! Until it is active a node is in no replica list and counts for nothing. It copies its slots first, so that the one
//! switch of the lists leaves only a delta to catch up (DESIGN.md §4, "A join").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::fingers::Fingers;
use super::peers::Peer;
use super::repair::forgot;
use super::{Node, Phase, Ring};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::params::{RingConfig, RingParams};
use crate::ring::record::{Address, NodeRecord, NodeState, RingId, Verdict};
use crate::ring::slot::Slot;
use crate::ring::view::RingView;
use crate::transport::Reply;
use crate::transport::misbehaviour::Misbehaviour;
use crate::wire::message::{Request, Response};

/// Between two tries to join.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// Tries to find successors before this node is a member; each lasts as long as a call that nobody answers, at most.
const JOIN_ROUNDS: usize = 4;
/// Members that a joining node copies from at a time.
const SOURCES_MAX: usize = 8;
/// Members that a joining node tells of itself directly; the others hear of it from them.
const ANNOUNCE_MAX: usize = 64;
/// Tries to reach a node that wants in at its address; messages get lost.
const DIAL_BACKS: usize = 2;
/// With more bits than these, positions do not coincide: 2^20 random ones of 2^64 ids do so once in 30 million rings.
const CROWDED_BITS_MAX: u16 = 64;

/// What a member said to a node that wants in.
pub(super) struct Welcome {
    pub(super) ring_id: RingId,
    config: RingConfig,
    records: Vec<NodeRecord>,
    /// The ring comes back as a whole, and is not all there yet.
    pub(super) reunites: bool,
    /// It may have forgotten deletions of what this node holds.
    forgotten: bool,
}

impl Welcome {
    /// The nodes of that ring.
    pub(super) fn records(&self) -> &[NodeRecord] {
        &self.records
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

    /// Answers `Join`.
    pub(crate) async fn serve_join(&self, record: NodeRecord, params: RingParams, client: bool) -> Result<Response> {
        let Some(ring_id) = self.ring().id.filter(|_| self.life.phase().serves()) else {
            return Err(Error::new(ErrorKind::NotJoined, format!("{} is in no ring itself yet", self.node_id)));
        };
        if let Some((name, ours, theirs)) = self.params.difference(&params) {
            let context = format!("{name} differs: the ring has {ours}, the joining node {theirs}");
            return Err(Error::new(ErrorKind::IncompatibleRing, context));
        }
        // As it is before this one is looked for.
        let forgotten = !client && {
            let (grace, now) = (self.ring().config.tombstone_grace, self.env.now());
            forgot(&self.state().members, &record.node_id, grace, self.replicas(), now)
        };
        if !client {
            self.refuse_unreachable(&record).await?;
            self.refuse_live_duplicate(&record).await?;
            self.refuse_if_full(&record)?;
        }
        let config = self.ring().config;
        let (records, reunites, forgotten) = {
            let state = self.state();
            let records = state.members.iter().map(|k| k.record().clone()).filter(|r| r.vnodes > 0).collect();
            (records, state.table.reunites(), forgotten)
        };
        Ok(Response::Welcome { ring_id, config, records, wall_ms: self.env.wall_ms(), reunites, forgotten })
    }

    /// Whoever wants in must answer where others are going to dial it, or they would take it for dead as soon as it is in.
    async fn refuse_unreachable(&self, record: &NodeRecord) -> Result<()> {
        for _ in 0..DIAL_BACKS {
            let found = self.serve_ping_for(record.address.clone(), record.boot).await;
            if matches!(found, Response::Probed { alive: true }) {
                return Ok(());
            }
        }
        self.misbehaved(Misbehaviour::Unbacked, Some(&record.node_id));
        let context = format!(
            "{} cannot be reached at {}, as {} found: is `advertise` an address that others can dial?",
            record.node_id, record.address, self.node_id
        );
        Err(Error::new(ErrorKind::Unreachable, context))
    }

    /// A node_id is in use as long as its present boot answers at its address; if it does not, that boot is dead.
    async fn refuse_live_duplicate(&self, record: &NodeRecord) -> Result<()> {
        let known = self.state().members.get(&record.node_id).map(|k| k.record().clone());
        let Some(known) = known.filter(|k| k.boot != record.boot && k.present()) else { return Ok(()) };
        let mine = known.boot == self.boot;
        let alive = mine
            || known.address != record.address
                && matches!(
                    self.serve_ping_for(known.address.clone(), known.boot).await,
                    Response::Probed { alive: true }
                );
        if alive {
            let context = format!("node_id {:?} is alive at {}", record.node_id.as_str(), known.address);
            return Err(Error::new(ErrorKind::NodeIdInUse, context));
        }
        let dead = {
            let mut state = self.state();
            let dead = state.members.judge(&known.node_id, known.boot, Verdict::Dead, self.env.now());
            self.refresh(&mut state);
            dead
        };
        if let Some(dead) = dead {
            self.spread(dead);
        }
        Ok(())
    }

    /// Takes this node out of whatever ring it is in and makes it an active member of the one that welcomed it.
    ///
    /// # Errors
    /// `RingFull` if others took the last position meanwhile. The node then is where it was: in no ring, or in one of
    /// its own.
    pub(super) async fn become_member(self: &Arc<Self>, welcome: Welcome) -> Result<()> {
        let before = self.ring();
        self.look_for_later_life(&welcome.records);
        let ours = self.former.as_ref().and_then(|f| f.ring).is_some_and(|(id, _)| id == welcome.ring_id);
        let forgotten = ours && welcome.forgotten && !welcome.reunites;
        if forgotten {
            self.drop_records()?;
        }
        let reunion = if ours && !forgotten { self.reunion() } else { None };
        if reunion.is_some() && welcome.reunites {
            self.tell_of_last_life(&welcome.records).await;
        }
        self.life.enter(Phase::Joining);
        {
            let mut state = self.state();
            self.readable.clear();
            state.forget_others();
            state.table.clear();
            state.table.reunite(reunion, welcome.reunites);
            state.members.declare(|me| me.state = NodeState::Joining, self.env.now());
            self.view.store(Arc::new(state.members.view()));
            self.ring.store(Arc::new(Ring { id: Some(welcome.ring_id), config: welcome.config }));
        }
        self.learn(&welcome.records);
        if !self.is_client()
            && let Err(error) = self.become_active().await
        {
            self.withdraw(before).await;
            return Err(error);
        }
        log!(self, info, "joined");
        self.life.enter(Phase::Active);
        self.stabilize_wanted.notify_one();
        self.repair_wanted.notify_one();
        Ok(())
    }

    /// The ring lives, and was without this node for longer than it keeps deletions: what was deleted meanwhile would come
    /// back with it.
    ///
    /// # Errors
    /// `Storage`: some may be dropped.
    fn drop_records(&self) -> Result<()> {
        let slots = self.store.occupied()?;
        log!(self, warn, slots = slots.len(), "was away for longer than deletions are kept: returns empty");
        for slot in slots {
            let held = self.store.fingerprint(slot)?;
            self.store.remove_slot(slot, held)?;
        }
        Ok(())
    }

    /// From knowing the ring to being in its lists.
    async fn become_active(self: &Arc<Self>) -> Result<()> {
        if !self.keeps_positions() {
            self.choose_positions(&mut self.state());
        }
        loop {
            let joining = self.state().members.own().clone();
            self.announce(&joining, &self.announced_to(&BTreeSet::new())).await;
            // In a ring that comes back nobody has more than this node, and all wait for each other.
            let reunites = self.state().table.reunites();
            let affected = if reunites { BTreeSet::new() } else { self.copy_ahead().await };
            self.wait_for_admission(&affected).await;
            self.hear_of_takers(&affected).await;
            self.find_successors().await;
            let active = self.activate()?;
            if let Some(active) = active {
                self.announce(&active, &self.announced_to(&affected)).await;
                self.spread(active);
                return Ok(());
            }
            self.release_admissions();
        }
    }

    /// Where ids are few, another may have taken one of our positions; whoever let us in knows it, since it let in that
    /// one before us.
    async fn hear_of_takers(&self, affected: &BTreeSet<Peer>) {
        if self.ids.bits() > CROWDED_BITS_MAX {
            return;
        }
        for peer in affected {
            if let Err(error) = self.sync(peer, &[]).await {
                // Silent ones have no say, as in the admission.
                log!(self, debug, peer = %peer.node_id, %error, "not heard before entering");
            }
        }
    }

    /// Enters the lists. `None` if another took our last position since it was chosen, and others were chosen now: each
    /// time this happens there is one free position fewer, so it ends.
    fn activate(&self) -> Result<Option<NodeRecord>> {
        let mut state = self.state();
        if !state.members.has_room_for(state.members.own()) {
            let moved = self.choose_positions(&mut state);
            let own = state.members.own();
            return if moved && state.members.has_room_for(own) { Ok(None) } else { Err(self.ring_full(own)) };
        }
        let active = state.members.declare(|me| me.state = NodeState::Active, self.env.now());
        state.admitted = true;
        self.refresh(&mut state);
        Ok(Some(active))
    }

    /// Gives up a join that has been announced.
    async fn withdraw(&self, before: Ring) {
        log!(self, warn, "withdraws from a ring that filled up while it joined");
        self.release_admissions();
        let left = self.state().members.declare(|me| me.state = NodeState::Left, self.env.now());
        self.announce(&left, &self.announced_to(&BTreeSet::new())).await;
        {
            let mut state = self.state();
            state.forget_others();
            state.fingers = Fingers::new(self.ids);
            self.view.store(Arc::new(state.members.view()));
            self.ring.store(Arc::new(Ring { id: None, ..before }));
        }
        if before.id.is_some() {
            self.found();
        }
    }

    /// Everybody in `first`, and others up to a bound.
    fn announced_to(&self, first: &BTreeSet<Peer>) -> BTreeSet<Peer> {
        let mut to = first.clone();
        let state = self.state();
        for known in state.members.others() {
            if to.len() >= ANNOUNCE_MAX.max(first.len()) {
                break;
            }
            to.insert(Peer::from(known.record()));
        }
        to
    }

    /// Tells all of `to` and waits until they know, or have failed to answer.
    pub(crate) async fn announce(&self, record: &NodeRecord, to: &BTreeSet<Peer>) {
        let deadline = self.env.now() + self.config.request_timeout / 2;
        let tell = |peer: Peer| async move {
            while self.env.now() < deadline {
                let news = Request::Ping { boot: 0, records: vec![record.clone()] };
                match self.call(&peer, news, self.attempt_deadline(&peer, deadline), 0).await {
                    Ok(Response::Pong { records }) => return self.learn(&records),
                    Err(error) if error.kind() == ErrorKind::Timeout => {}
                    _ => return,
                }
            }
        };
        futures_util::future::join_all(to.iter().cloned().map(tell)).await;
    }

    /// Copies the slots that this node is going to hold from their owners. Returns all whose lists will change.
    async fn copy_ahead(self: &Arc<Self>) -> BTreeSet<Peer> {
        let (now, then) = {
            let state = self.state();
            (self.view(), state.members.prospective_view())
        };
        let (affected, sources) = self.plan_copy(&now, &then);
        let copy = |(source, slots): (Peer, Vec<Slot>)| async move {
            if let Err(error) = self.bring_over(&source, &slots, None).await {
                // What is missing is caught up after the switch, from whoever is there then.
                log!(self, debug, peer = %source.node_id, %error, "copied ahead in part");
            }
        };
        futures_util::stream::iter(sources).for_each_concurrent(SOURCES_MAX, copy).await;
        affected
    }

    fn plan_copy(&self, now: &RingView, then: &RingView) -> (BTreeSet<Peer>, BTreeMap<Peer, Vec<Slot>>) {
        let replicas = self.replicas();
        let me = then.member_index(&self.node_id);
        let (mut affected, mut sources) = (BTreeSet::new(), BTreeMap::<Peer, Vec<Slot>>::new());
        let mut arc = None;
        let mut source: Option<Peer> = None;
        for slot in self.slots.iter() {
            if arc != Some((now.arc(slot), then.arc(slot))) {
                arc = Some((now.arc(slot), then.arc(slot)));
                source = None;
                if then.replica_list(slot, replicas).iter().any(|m| Some(*m) == me) {
                    let list = now.replica_list(slot, replicas);
                    affected.extend(list.iter().map(|m| Peer::from(now.member(*m))));
                    let healthy = |m: &&u32| now.member(**m).verdict == Verdict::Alive;
                    source = list.iter().find(healthy).map(|m| Peer::from(now.member(*m)));
                }
            }
            if let Some(source) = &source {
                sources.entry(source.clone()).or_default().push(slot);
            }
        }
        (affected, sources)
    }

    /// Before it is a member, every position has a successor that has just answered (Zave, §3, *join*). A ring whose
    /// members are all silent is entered in the end without: they will be given up.
    async fn find_successors(self: &Arc<Self>) {
        for _ in 0..if planted!("join_without_successor") { 0 } else { JOIN_ROUNDS } {
            let lacking: Vec<usize> = {
                let state = self.state();
                let lacking = state.vnodes.iter().enumerate().filter(|(_, v)| v.successors.is_empty());
                lacking.map(|(index, _)| index).collect()
            };
            if lacking.is_empty() || self.view().members().is_empty() {
                return;
            }
            self.stabilize_vnodes(&lacking).await;
        }
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
