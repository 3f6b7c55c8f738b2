//! Looking for lost company: the graveyard and the seeds are probed for life. That is how splits heal, how an isolated
//! node comes back, and how rings founded at the same time from the same seeds become one.
//!
//! A node of the graveyard merges only with the same ring_id; another ring only if it answers at a seed, that is, by
//! configuration or an explicit join, or if a node in it was a member here: then that node, or this one, missed that the
//! two rings became one. The smaller ring_id wins.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;

use super::gossip::PUSH_MAX;
use super::let_in::told;
use super::peers::Peer;
use super::{Node, Phase, Ring};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::{Address, NodeRecord, NodeState, RingId, Verdict};
use crate::transport::Reply;
use crate::wire::limits::RECORDS_MAX;
use crate::wire::message::{Request, Response};

/// Heartbeat intervals between two looks; an isolated node looks at every one.
const PERIODS: u32 = 5;
/// How often another ring is told that it is one with this one, within the time of the call.
const MERGE_TRIES: u32 = 3;

/// Probes one dead node and one seed at a time, for life.
pub(crate) async fn search(node: Arc<Node>) {
    loop {
        let isolated = node.state().members.others().next().is_none();
        let period = node.config.heartbeat_interval * if isolated { 1 } else { PERIODS };
        tokio::time::sleep(node.env.jittered(period)).await;
        if node.life.phase() != Phase::Active {
            continue;
        }
        if let Some(peer) = node.any_dead() {
            node.look_for_dead(&peer).await;
        }
        if let Some(seed) = node.any_missing_seed().await {
            node.look_at_seed(&seed).await;
        }
    }
}

impl Node {
    fn any_dead(&self) -> Option<Peer> {
        let state = self.state();
        let dead: Vec<Peer> = state
            .members
            .gone()
            .filter(|k| k.record().verdict == Verdict::Dead)
            .map(|k| Peer::from(k.record()))
            .collect();
        let at = self.env.random_below(dead.len());
        dead.into_iter().nth(at)
    }

    async fn any_missing_seed(&self) -> Option<Address> {
        let seeds = self.state().seeds.clone();
        let seed = seeds.get(self.env.random_below(seeds.len()))?;
        let deadline = self.env.now() + self.config.request_timeout;
        // A name that does not resolve now may do so later; that it does not is no news worth an error.
        let addresses = self.resolve(seed, deadline).await.ok()?;
        let at = self.env.random_below(addresses.len());
        let address = addresses.into_iter().nth(at)?;
        let missing = self.state().members.by_address(&address).is_none();
        (missing && !self.own_addresses(deadline).await.contains(&address)).then_some(address)
    }

    async fn greet(&self, address: &Address) -> Option<Reply> {
        let deadline = self.env.now() + self.config.request_timeout;
        let ping = Request::Ping { boot: 0, records: Vec::new() };
        self.transport.call(address, self.calling(ping, deadline, 0), deadline).await.ok()
    }

    async fn look_for_dead(&self, peer: &Peer) {
        if planted!("forget_graveyard") {
            return;
        }
        let Some(reply) = self.greet(&peer.address).await else { return };
        self.hear_pong(&reply);
        match reply.head.ring_id {
            // Whoever it is: a node that was restarted there may know a whole side of a split that nobody here has met.
            Some(theirs) if Some(theirs) == self.ring().id && reply.head.sender != 0 => {
                log!(self, info, peer = %peer.node_id, "there is life again where a node was given up");
                let there = Peer { boot: reply.head.sender, ..peer.clone() };
                if let Err(error) = self.sync(&there, &[]).await {
                    log!(self, debug, peer = %peer.node_id, %error, "no exchange with it yet");
                }
            }
            // The node that was given up went with its ring into another one, or we did.
            Some(_) if reply.head.sender == peer.boot => self.unite_with_ring_at(&peer.address).await,
            _ => {}
        }
    }

    async fn look_at_seed(&self, seed: &Address) {
        // This node answers itself where it has more addresses than it tells others.
        let Some(reply) = self.greet(seed).await.filter(|reply| reply.head.sender != self.boot) else { return };
        let Some(theirs) = reply.head.ring_id else { return };
        if Some(theirs) == self.ring().id {
            self.hear_pong(&reply);
            self.compare_view(reply.head.sender, reply.head.view);
            return;
        }
        // Nor does a client go from one to the other and back where its seeds are in two rings.
        if self.is_client() && self.state().members.others().next().is_some() {
            return;
        }
        self.unite_with_ring_at(seed).await;
    }

    /// A member of ours speaks for another ring: either missed that the two became one. Called when a message shows it.
    pub(crate) fn meet_in_another_ring(&self, boot: u64) {
        let Some(node) = self.myself() else { return };
        // One that said goodbye went where it wanted.
        let stayed = |known: &&super::Known| known.record().state != NodeState::Left;
        let peer = self.state().members.by_boot(boot).filter(stayed).map(|known| Peer::from(known.record()));
        let Some(peer) = peer else { return };
        if self.life.phase() != Phase::Active || self.uniting.swap(true, Relaxed) {
            return;
        }
        self.tasks.spawn(async move {
            node.unite_with_ring_at(&peer.address).await;
            node.uniting.store(false, Relaxed);
        });
    }

    async fn unite_with_ring_at(&self, seed: &Address) {
        let record = self.state().members.own().clone();
        let ask = Request::Join { record, params: self.params, wall_ms: self.env.wall_ms(), client: true };
        let deadline = self.env.now() + self.config.request_timeout;
        match self.call_address(seed, ask, deadline).await {
            Ok(Reply { body: Response::Welcome { config, .. }, .. }) if config != self.ring().config => {
                log!(self, warn, %seed, "another ring at a seed has other settings and stays apart");
            }
            Ok(Reply { head, body: Response::Welcome { ring_id, records, .. }, .. }) => {
                if let Err(error) = self.check_reachable(seed, &records, head.sender, deadline).await {
                    log!(self, warn, %seed, %error, "another ring at a seed stays apart");
                } else if let Err(error) = self.unite(ring_id, &records, seed, deadline).await {
                    log!(self, debug, %seed, %error, "not united yet");
                }
            }
            Ok(_) => {}
            Err(error) => log!(self, debug, %seed, %error, "another ring at a seed stays apart"),
        }
    }

    /// Makes one ring of this one and the one that `their_records` describe.
    ///
    /// # Errors
    /// `Unreachable` if the other one did not say that it took it up; with an unknown outcome if it may have, or will hear of it.
    pub(crate) async fn unite(
        &self,
        theirs: RingId,
        their_records: &[NodeRecord],
        at: &Address,
        deadline: Instant,
    ) -> Result<()> {
        let Some(ours) = self.ring().id else { return Ok(()) };
        if self.is_client() {
            self.go_over(theirs);
            self.learn(their_records);
            return Ok(());
        }
        let records = told(&self.node_id, self.state().members.iter(), RECORDS_MAX);
        if theirs < ours {
            self.serve_merge(theirs, their_records);
        }
        // Whichever id it has: they hear of us now, and not only by what we send them next.
        let merge = Request::Merge { ring_id: ours.min(theirs), records };
        self.tell_to_merge(at, merge, deadline).await.map_err(|error| {
            let context = format!("the ring at {at} did not become one with this one: {error}");
            // Where ours went over, they hear of it from whoever speaks to them next.
            let maybe = theirs < ours || error.maybe_applied();
            let failed = Error::new(ErrorKind::Unreachable, context).with_source(error);
            if maybe { failed.unknown_outcome() } else { failed }
        })?;
        self.learn(their_records);
        Ok(())
    }

    /// Said again where no answer comes: to be told twice changes nothing.
    async fn tell_to_merge(&self, at: &Address, merge: Request, deadline: Instant) -> Result<()> {
        let (mut tries_left, mut doubt) = (MERGE_TRIES, false);
        loop {
            let now = self.env.now();
            let by = now + deadline.saturating_duration_since(now) / tries_left;
            tries_left -= 1;
            match self.call_address(at, merge.clone(), by).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Timeout && tries_left > 0 => doubt |= error.maybe_applied(),
                Err(error) => return Err(if doubt { error.unknown_outcome() } else { error }),
            }
        }
    }

    /// A client is no part of any ring, and makes one of none: what it knew of the other it must not tell in this one.
    fn go_over(&self, theirs: RingId) {
        let mut state = self.state();
        state.forget_others();
        self.ring.store(Arc::new(Ring { id: Some(theirs), ..self.ring() }));
        self.view.store(Arc::new(state.members.view()));
    }

    /// Answers `Merge`: from now on this ring has the smaller ring_id. Some of those here are told, and tell others in turn;
    /// whoever is missed hears of it with the next message between it and one who was not (`meet_in_another_ring`).
    pub(crate) fn serve_merge(&self, ring_id: RingId, records: &[NodeRecord]) -> Response {
        let taken = {
            let _state = self.state();
            let ring = self.ring();
            let taken = ring.id.is_some_and(|ours| ring_id < ours);
            if taken {
                self.ring.store(Arc::new(Ring { id: Some(ring_id), ..ring }));
            }
            taken
        };
        if taken {
            log!(self, info, "this ring merges into another");
            let (ours, mut others) = {
                let state = self.state();
                let ours = told(&self.node_id, state.members.iter(), RECORDS_MAX);
                // Those that are joining too, whom no view has yet.
                (ours, state.members.others().map(|k| k.record().address.clone()).collect::<Vec<_>>())
            };
            while others.len() > PUSH_MAX {
                others.swap_remove(self.env.random_below(others.len()));
            }
            let mut all: Vec<NodeRecord> = ours.into_iter().chain(records.iter().cloned()).collect();
            // Those that are gone are looked for in vain; they are heard of when records are exchanged.
            all.sort_by_key(|record| !record.present());
            all.truncate(RECORDS_MAX);
            for address in others {
                self.tell(&address, Request::Merge { ring_id, records: all.clone() });
            }
        }
        self.learn(records);
        Response::Pong { records: Vec::new() }
    }
}
