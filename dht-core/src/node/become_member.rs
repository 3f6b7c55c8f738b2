//! From a welcome to a member: learn the ring, copy what we are going to hold, be admitted, become active.
//!
//! Until it is active a node is in no replica list and counts for nothing. It copies its slots first, so that the one
//! switch of the lists leaves only a delta to catch up (docs/architecture.md, "A list changes").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::fingers::Fingers;
use super::peers::Peer;
use super::welcome::Welcome;
use super::{Node, Phase, Ring};
use crate::data::hlc;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::list::quorum;
use crate::ring::params::RingConfig;
use crate::ring::record::{NodeRecord, NodeState, Verdict};
use crate::ring::slot::Slot;
use crate::ring::view::RingView;
use crate::store::Ticket;
use crate::transport::frame_max_of;
use crate::wire::message::{Request, Response};

/// Tries to find successors before this node is a member; each lasts as long as a call that nobody answers, at most.
const JOIN_ROUNDS: usize = 4;
/// Members that a joining node copies from at a time.
const SOURCES_MAX: usize = 8;
/// Members that a joining node tells of itself directly; the others hear of it from them.
const ANNOUNCE_MAX: usize = 64;
/// With more bits than these, positions do not coincide: 2^20 random ones of 2^64 ids do so once in 30 million rings.
const CROWDED_BITS_MAX: u16 = 64;

impl Node {
    /// Takes this node out of whatever ring it is in and makes it an active member of the one that welcomed it.
    ///
    /// # Errors
    /// `RingFull` if others took the last position meanwhile. The node then is where it was: in no ring, or in one of
    /// its own. `Stopped` if it was told to leave meanwhile.
    pub(super) async fn become_member(self: &Arc<Self>, welcome: Welcome) -> Result<()> {
        let before = self.ring();
        self.look_for_later_life(&welcome.records);
        let ours = self.former.as_ref().and_then(|f| f.ring).is_some_and(|(id, _)| id == welcome.ring_id);
        let forgotten = ours && !welcome.reunites && welcome.forgotten.is_some_and(|ago| !self.wrote_within(ago));
        let outdated = ours && !welcome.reunites && self.is_outdated() && self.is_superseded(&welcome);
        if forgotten || outdated {
            let why =
                if outdated { "data_dir is an older backup" } else { "was away for longer than deletions are kept" };
            log!(self, warn, "{why}: returns empty");
            self.drop_records().await?;
        }
        let reunion = if ours && !forgotten && !outdated { self.reunion() } else { None };
        // Where the ring may still refuse this node, what it copies of that ring must be told apart from what it had before.
        let crowded = self.ids.bits() <= CROWDED_BITS_MAX && !ours;
        let blank = self.store.occupied()?.is_empty();
        let copies_ahead = blank || !crowded;
        // What it kept of this ring is compared, when it is in the lists, and not sent as a whole.
        let brings = !blank && !ours && !crowded && !welcome.reunites && !self.is_client();
        if !self.life.enter(Phase::Joining) {
            return Err(leaves());
        }
        self.admit_frames_of(&welcome.config);
        {
            let mut state = self.state();
            self.readable.clear();
            state.forget_others();
            state.table.clear();
            // A client keeps nothing, and waits for nobody.
            state.table.reunite(reunion, welcome.reunites && !self.is_client());
            state.members.declare(|me| me.state = NodeState::Joining, self.env.now());
            self.view.store(Arc::new(state.members.view()));
            self.ring.store(Arc::new(Ring { id: Some(welcome.ring_id), config: welcome.config }));
        }
        self.learn(&welcome.records);
        // What is news among these is passed on by those who were there.
        self.state().news.leave_to_others(&welcome.records);
        if !self.is_client()
            && let Err(error) = self.become_active_unless_told_to_leave(copies_ahead, brings).await
        {
            if self.life.phase() == Phase::Joining {
                self.withdraw(before, crowded && blank).await;
            } else if !self.state().admitted {
                // The goodbye is said by who leaves. If it is in the lists by now, it holds up the next as any other.
                self.release_admissions();
            }
            return Err(error);
        }
        if !self.enter_active() {
            return Err(leaves());
        }
        log!(self, info, "joined");
        self.stabilize_wanted.notify_one();
        self.repair_wanted.notify_one();
        Ok(())
    }

    /// The ring may allow larger values than this node's own configuration does; connections must carry them.
    pub(super) fn admit_frames_of(&self, ring: &RingConfig) {
        self.transport.admit_frames(frame_max_of(ring.max_key_size, ring.max_value_size));
    }

    /// There is something here that was written since then: this node served without the ring, and may have the only copy. A clock
    /// that is ahead may only seem so: a deletion that comes back is the lesser loss.
    fn wrote_within(&self, ago: Duration) -> bool {
        let since_ms = self.env.wall_ms().saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX));
        hlc::wall_ms(self.store.highest_stamp()) >= since_ms
    }

    /// What an older backup holds is of no use to the ring, and some of it may have been deleted so long ago that nobody remembers.
    /// Not so with what was written within a grace: its deletion is remembered. Nor where so many are missing, this node's later
    /// life among them, that the backup may have the last copy of something. Who is suspected may be gone, and who joins may have
    /// come back empty as well.
    fn is_superseded(&self, welcome: &Welcome) -> bool {
        let missing = |r: &&NodeRecord| {
            let gone = r.verdict != Verdict::Alive || r.state == NodeState::Joining;
            r.node_id != self.node_id && gone && r.state != NodeState::Left && r.vnodes > 0
        };
        let missing = 1 + welcome.records.iter().filter(missing).count();
        missing < quorum(usize::from(welcome.config.replication_factor))
            && !self.wrote_within(welcome.config.tombstone_grace)
    }

    /// What is kept here is not to come back, also after a crash: others have what lives of it, or it is theirs.
    ///
    /// # Errors
    /// `Storage`: some may be dropped.
    async fn drop_records(&self) -> Result<()> {
        let mut gone = Ticket::ready();
        for slot in self.store.occupied()? {
            let held = self.store.fingerprint(slot)?;
            self.store.remove_slot(slot, held)?;
            gone = gone.and(self.store.durable(slot));
        }
        gone.wait().await
    }

    async fn become_active_unless_told_to_leave(self: &Arc<Self>, copies_ahead: bool, brings: bool) -> Result<()> {
        tokio::select! {
            biased;
            result = self.become_active(copies_ahead, brings) => result,
            _ = self.life.wait_for(|phase| phase != Phase::Joining) => Err(leaves()),
        }
    }

    /// From knowing the ring to being in its lists. If it does not copy ahead, it catches up with everything after that; if it `brings`
    /// what it has, the ring has it by then.
    async fn become_active(self: &Arc<Self>, copies_ahead: bool, brings: bool) -> Result<()> {
        if !self.keeps_positions() {
            self.choose_positions(&mut self.state());
        }
        loop {
            let joining = self.state().members.own().clone();
            self.announce(&joining, &self.announced_to(&BTreeSet::new())).await;
            if brings {
                self.bring_own().await;
            }
            // In a ring that comes back nobody has more than this node, and all wait for each other.
            let reunites = self.state().table.reunites();
            let affected = if reunites { BTreeSet::new() } else { self.copy_ahead(copies_ahead).await };
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
    ///
    /// # Errors
    /// `RingFull`; `Stopped` if this node leaves, which was decided on while it was in no list.
    fn activate(&self) -> Result<Option<NodeRecord>> {
        let mut state = self.state();
        if self.life.phase() != Phase::Joining {
            return Err(leaves());
        }
        if !state.members.has_room_for(state.members.own()) {
            let moved = self.choose_positions(&mut state);
            let own = state.members.own();
            return if moved && state.members.has_room_for(own) { Ok(None) } else { Err(self.ring_full(own)) };
        }
        let active = state.members.declare(self.enters_lists(), self.env.now());
        state.admitted = true;
        self.refresh(&mut state);
        Ok(Some(active))
    }

    /// What becomes of the own record when this node enters the lists of its ring.
    pub(super) fn enters_lists(&self) -> impl FnOnce(&mut NodeRecord) + use<> {
        let placed_in = self.ring().digest();
        move |me| (me.state, me.placed_in) = (NodeState::Active, placed_in)
    }

    /// Gives up a join that has been announced; `blank`: with all that was copied for it.
    async fn withdraw(&self, before: Ring, blank: bool) {
        log!(self, warn, "withdraws from a ring that filled up while it joined");
        self.release_admissions();
        let left = self.state().members.declare(|me| me.state = NodeState::Left, self.env.now());
        self.announce(&left, &self.announced_to(&BTreeSet::new())).await;
        // Before this node serves again in a ring of its own.
        if blank && let Err(error) = self.drop_records().await {
            log!(self, warn, %error, "keeps some of what it copied from the ring that it is not in");
        }
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

    /// Copies the slots that this node is going to hold from their owners, if `wanted`. Returns all whose lists will change.
    async fn copy_ahead(self: &Arc<Self>, wanted: bool) -> BTreeSet<Peer> {
        let (now, then) = {
            let state = self.state();
            (self.view(), state.members.prospective_view())
        };
        let (affected, sources) = self.plan_copy(&now, &then);
        let sources = if wanted { sources } else { BTreeMap::new() };
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

fn leaves() -> Error {
    Error::new(ErrorKind::Stopped, "this node was told to leave, or stopped, before it had joined")
}
