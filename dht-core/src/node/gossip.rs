//! Spreading node records: news rides on probes (SWIM, Das et al. 2002, §4.1), urgent news is pushed at once, and two
//! nodes whose view fingerprints differ exchange what the other lacks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::news::WAITED_FOR;
use super::peers::Peer;
use super::probe::ANSWER_MAX;
use super::{Node, State};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::difference::{self, Scope};
use crate::ring::list::ListId;
use crate::ring::members::Learnt;
use crate::ring::record::{NodeId, NodeRecord, Verdict};
use crate::ring::slot::Slot;
use crate::transport::Reply;
use crate::transport::misbehaviour::Misbehaviour;
use crate::wire::limits::{RECORDS_MAX, SLOTS_MAX};
use crate::wire::message::{Request, Response};

/// Nodes that urgent news is pushed to at once; the rest hears it from them.
pub(super) const PUSH_MAX: usize = 8;
/// Throws for each member that is wanted at random, in a ring where most will do.
const TRIES: usize = 8;
/// Bytes on the wire, about: what an exchange of node records is charged for.
const SUM_LEN: usize = 8;
const DIGEST_LEN: usize = 24;
const RECORD_LEN: usize = 96;

impl Node {
    /// Takes in what others say of nodes; passes on what is new.
    pub(crate) fn learn(&self, records: &[NodeRecord]) {
        self.learn_from(0, records);
    }

    /// Takes in what a node of this ring said when it was asked for no more than whether it lives: it will not tell these again.
    pub(super) fn hear_pong(&self, reply: &Reply) {
        let Response::Pong { records } = &reply.body else { return };
        if reply.head.ring_id.is_some() && reply.head.ring_id == self.ring().id {
            self.learn_from(reply.head.sender, records);
        }
    }

    /// The same as [`Self::learn`], told by the node of boot `teller`; 0 if it is not known.
    pub(crate) fn learn_from(&self, teller: u64, records: &[NodeRecord]) {
        if records.is_empty() {
            return;
        }
        self.look_for_later_life(records);
        let now = self.env.now();
        let mut refuted = None;
        let mut duplicate = None;
        let mut doubtful = Vec::new();
        let mut leaps = 0;
        {
            let mut state = self.state();
            let mut changed = false;
            let nodes = self.view.load().members().len();
            for record in records.iter().filter(|r| r.vnodes > 0) {
                let State { claims, members, .. } = &mut *state;
                if claims.takes(record, teller, members) {
                    doubtful.push(Peer::from(record));
                    continue;
                }
                match state.members.merge(record, now) {
                    Learnt::Nothing => state.news.heard_again(record, teller, nodes),
                    Learnt::News => {
                        changed = true;
                        state.news.push(record.clone(), vec![teller]);
                    }
                    Learnt::Refuted => {
                        changed = true;
                        state.local_health.worse();
                        self.was_doubted(record.verdict);
                        refuted = Some(state.members.own().clone());
                    }
                    Learnt::Duplicate => duplicate = Some(Peer::from(record)),
                    Learnt::Leap => leaps += 1,
                }
            }
            if changed {
                self.refresh(&mut state);
            }
        }
        if let Some(record) = refuted {
            log!(self, info, incarnation = record.incarnation, "refutes what was said of it");
            self.spread(record);
        }
        for peer in doubtful {
            self.probe_soon(&peer);
        }
        if leaps > 0 {
            let teller = self.node_of(teller);
            (0..leaps).for_each(|_| self.misbehaved(Misbehaviour::Unbacked, teller.as_ref()));
        }
        if let Some(other) = duplicate
            && let Some(node) = self.myself()
        {
            // Not one of the node's own tasks: those end with it.
            tokio::spawn(async move { node.give_way_to(&other).await });
        }
    }

    /// The same in a request of the node of boot `from`. Clients, who say none, count nowhere: only a doubt of this node is
    /// heard, which it refutes. If they gave it up nobody's lists went on without it, so it is a doubt as well.
    pub(crate) fn hear_from(&self, from: u64, records: &[NodeRecord]) {
        if from != 0 {
            return self.learn_from(from, records);
        }
        let own = records.iter().filter(|r| r.node_id == self.node_id);
        let doubts = own.map(|r| NodeRecord { verdict: r.verdict.min(Verdict::Suspect), ..r.clone() });
        self.learn(&doubts.collect::<Vec<_>>());
    }

    /// Stops, if there really is another living node with this node_id.
    async fn give_way_to(&self, other: &Peer) {
        let until = self.env.now() + ANSWER_MAX;
        // What cannot be asked now is asked when it is said again.
        let Ok(alive) = self.answers_at(&other.address, other.boot, until).await else { return };
        if alive {
            let why = format!("another living node, at {}, has this node_id", other.address);
            log!(self, error, "{why}; stopping");
            return self.stop_by_itself(Error::new(ErrorKind::NodeIdInUse, why)).await;
        }
        log!(self, info, address = %other.address, "nobody with this node_id is there, as it was said");
        self.state().members.outbid_again();
        self.misbehaved(Misbehaviour::Unbacked, None);
    }

    /// Tells some others at once, the rest by and by. The one the news is about is told too: it may refute.
    pub(crate) fn spread(&self, record: NodeRecord) {
        let mut targets = self.some_members(PUSH_MAX, |other| other.node_id != record.node_id);
        let about = {
            let mut state = self.state();
            state.news.push(record.clone(), targets.iter().map(|peer| peer.boot).collect());
            let known = state.members.get(&record.node_id).map(|k| k.record());
            known.filter(|r| r.present() && r.node_id != self.node_id).map(Peer::from)
        };
        targets.extend(about);
        for peer in targets {
            self.tell(&peer.address, Request::Ping { boot: 0, records: vec![record.clone()] });
        }
    }

    /// At most `count` distinct other members for which `fits` holds, chosen at random; without a walk over all of them
    /// unless the ring is small.
    pub(crate) fn some_members(&self, count: usize, fits: impl Fn(&NodeRecord) -> bool) -> Vec<Peer> {
        let view = self.view();
        let len = view.members().len();
        let fitting = |at: usize| Some(view.member(at as u32)).filter(|r| r.node_id != self.node_id && fits(r));
        let mut chosen: Vec<usize> = Vec::with_capacity(count);
        if len <= count * TRIES {
            let mut left: Vec<usize> = (0..len).filter(|at| fitting(*at).is_some()).collect();
            while chosen.len() < count && !left.is_empty() {
                chosen.push(left.swap_remove(self.env.random_below(left.len())));
            }
        } else {
            for _ in 0..count * TRIES {
                let at = self.env.random_below(len);
                if chosen.len() < count && !chosen.contains(&at) && fitting(at).is_some() {
                    chosen.push(at);
                }
            }
        }
        chosen.into_iter().map(|at| Peer::from(view.member(at as u32))).collect()
    }

    /// Remembers that `node_id` seems to know other nodes than this one, and that somebody waits until both know the same.
    pub(crate) fn disagrees(&self, node_id: &NodeId) {
        let mut state = self.state();
        self.note_disagreement(&mut state, node_id, WAITED_FOR);
        self.exchange_urgent.notify_one();
    }

    fn note_disagreement(&self, state: &mut super::State, node_id: &NodeId, view: u64) {
        if !planted!("no_exchange") && state.news.disagrees(node_id, view) {
            self.gossip_wanted.notify_one();
        }
        self.mirror_disagreement(state);
    }

    /// To be called with every change of who disagrees.
    fn mirror_disagreement(&self, state: &super::State) {
        self.disagreement.store(state.news.has_disagreement(), Relaxed);
    }

    /// Compares the view of a sender, known by its boot, with ours.
    pub(crate) fn compare_view(&self, boot: u64, view: u64) {
        let agrees = view == self.view.load().fingerprint();
        // Nearly every message of a ring at rest ends here, without the lock.
        if agrees && !self.disagreement.load(Relaxed) {
            return;
        }
        let mut state = self.state();
        let Some(node_id) = state.members.by_boot(boot).map(|k| k.record().node_id.clone()) else { return };
        if agrees {
            state.news.agrees(&node_id);
            self.mirror_disagreement(&state);
        } else {
            self.note_disagreement(&mut state, &node_id, view);
        }
    }

    /// Both sides know the same afterwards: the records of all nodes that are there (with `slots`: also of those that are
    /// gone, and the counters of the lists of `slots`).
    ///
    /// ```text
    /// we                                           peer
    ///  | -- Sync: sums over buckets of records, lists -> |
    ///  | <- Synced: what differs, digests of it, lists - |
    ///  | -- Exchange: what they lack, what we want ----> |   unless nothing differs
    ///  | <- Exchanged: what we want, what was old news - |
    /// ```
    ///
    /// # Errors
    /// As [`Node::call`]; what was learnt until then stays.
    pub(crate) async fn sync(&self, peer: &Peer, slots: &[Slot]) -> Result<()> {
        self.sync_by(peer, slots, self.env.now() + self.config.request_timeout).await
    }

    /// The same for a caller that waits: not longer than until `deadline`.
    ///
    /// # Errors
    /// As [`Node::call`]; what was learnt until then stays.
    pub(crate) async fn sync_by(&self, peer: &Peer, slots: &[Slot], deadline: Instant) -> Result<()> {
        let deadline = match planted!("call_outlives_deadline") {
            true => self.env.now() + self.config.request_timeout,
            false => deadline,
        };
        // More than one message names are brought up in the next round, or by what goes wrong with them.
        let slots = &slots[..slots.len().min(SLOTS_MAX)];
        // A counter is taken over only by who knows all that made it, so those who came and went matter then.
        let scope = Scope { gone: !slots.is_empty() };
        let (sums, lists) = {
            let state = self.state();
            let lists: Vec<_> = slots.iter().filter_map(|s| state.table.list(*s).map(|list| (*s, list))).collect();
            (scope.sums(&state.members), lists)
        };
        let buckets = sums.len();
        let ask = Request::Sync { sums, gone: scope.gone, lists: lists.clone() };
        let Response::Synced { differing, digests, lists: theirs } = self.call(peer, ask, deadline, 0).await? else {
            return Err(super::serve::unexpected(peer));
        };
        let mut cost = buckets * SUM_LEN + digests.len() * DIGEST_LEN;
        let mut told_gone = BTreeSet::new();
        if !differing.is_empty() {
            let (mut records, mut wanted) = scope.compare(&self.state().members, buckets, &differing, &digests);
            records.truncate(RECORDS_MAX);
            wanted.truncate(RECORDS_MAX);
            // More than that, here or there, is left for another time, and with it the counters.
            let all = records.len() < RECORDS_MAX && !theirs.is_empty();
            let lists = if all { lists } else { Vec::new() };
            cost += records.len() * RECORD_LEN;
            let tell = Request::Exchange { records, wanted, lists };
            let Response::Exchanged { records } = self.call(peer, tell, deadline, 0).await? else {
                return Err(super::serve::unexpected(peer));
            };
            cost += records.len() * RECORD_LEN;
            self.learn_from(peer.boot, &records);
            told_gone.extend(records.iter().filter(|r| !r.present()).map(|r| r.node_id.clone()));
        }
        let raised = {
            let mut state = self.state();
            state.news.spent(scope, cost);
            // What they did not send, for whatever reason, may be what their counters come from. Not what was sent and is not
            // kept here: whoever has been gone for so long that others still look for it alone.
            let declined = |node_id: &&NodeId| state.members.get(node_id).is_none();
            let declined: BTreeSet<u64> = told_gone.iter().filter(declined).map(NodeId::digest).collect();
            let all_known = difference::lacking(&state.members, &digests).iter().all(|node| declined.contains(node));
            let mut raised = false;
            for (slot, list) in theirs.into_iter().filter(|_| all_known) {
                raised |= state.table.raise_counter(slot, list);
            }
            raised
        };
        if raised {
            self.progress.step();
        }
        Ok(())
    }

    /// Answers a peer's `Sync`.
    pub(crate) fn serve_sync(&self, sums: &[u64], gone: bool, lists: &[(Slot, ListId)]) -> Response {
        let mut state = self.state();
        let (differing, digests, all) = Scope { gone }.differing(&state.members, sums, RECORDS_MAX);
        if differing.is_empty() && gone {
            // Nothing that they know is unknown here, so a higher counter of theirs holds here too.
            for (slot, list) in lists {
                state.table.raise_counter(*slot, *list);
            }
        }
        // Counters are taken over by who knows all.
        let ours =
            lists.iter().filter(|_| all).filter_map(|(slot, _)| state.table.list(*slot).map(|list| (*slot, list)));
        Response::Synced { differing, digests, lists: ours.collect() }
    }

    /// Answers a peer's `Exchange`, the second half of its `Sync`.
    pub(crate) fn serve_exchange(
        &self,
        from: u64,
        records: &[NodeRecord],
        wanted: &[u64],
        lists: &[(Slot, ListId)],
    ) -> Response {
        self.hear_from(from, records);
        let counts = from != 0;
        let mut state = self.state();
        // They have told all that was unknown here when they asked, and their lists are from before that.
        for (slot, list) in lists.iter().filter(|_| counts) {
            state.table.raise_counter(*slot, *list);
        }
        let mut answer = difference::answer(&state.members, records, wanted);
        answer.truncate(RECORDS_MAX);
        Response::Exchanged { records: answer }
    }
}

/// Exchanges records with whoever seems to know others, one at a time and within the allowance.
pub(crate) async fn exchange(node: Arc<Node>) {
    loop {
        node.gossip_wanted.notified().await;
        let mut churns = false;
        while !churns {
            let pause = node.state().news.pause(node.view().members().len(), node.env.now());
            if !pause.is_zero() {
                // Whom somebody waits for is asked whatever that costs.
                let _either = tokio::time::timeout(node.env.jittered(pause), node.exchange_urgent.notified()).await;
            }
            let ours = node.view().fingerprint();
            let next = {
                let mut state = node.state();
                let next = state.news.next_disagreeing(ours, |len| node.env.random_below(len));
                node.mirror_disagreement(&state);
                next.map(|id| state.members.get(&id).map(|k| Peer::from(k.record())))
            };
            match next {
                None => break,
                // Forgotten meanwhile.
                Some(None) => {}
                Some(Some(peer)) => {
                    let synced = node.sync(&peer, &[]).await;
                    if let Err(error) = &synced {
                        log!(node, debug, peer = %peer.node_id, %error, "no exchange of node records");
                    }
                    let nodes = node.view().members().len();
                    // Its answers were from before the end: if it still knows something else, its next message tells. Else what
                    // cannot be agreed on yet would be exchanged again and again.
                    let mut state = node.state();
                    state.news.agrees(&peer.node_id);
                    if synced.is_ok() && state.news.is_little(nodes) {
                        state.news.forget_disagreement();
                        // Those stay for whom somebody waits.
                        churns = !state.news.has_disagreement();
                        if churns {
                            // Whoever rang until now has had its exchange.
                            let _rang = node.exchange_urgent.notified().now_or_never();
                        }
                    }
                    node.mirror_disagreement(&state);
                }
            }
        }
        // News that is still on its way looks like disagreement: one breath, and most of it has arrived.
        let nodes = node.view().members().len() as u32;
        tokio::time::sleep(node.env.jittered(BREATH * (nodes / BREATH_NODES + 1))).await;
        if churns {
            let beats = node.config.heartbeat_interval * BEATS * (nodes / BEATS_NODES + 1);
            // Until the time is over, or somebody waits.
            let _either = tokio::time::timeout(node.env.jittered(beats), node.exchange_urgent.notified()).await;
        }
    }
}

/// Shortest time between two rounds of exchanges, for every so many nodes.
const BREATH: Duration = Duration::from_millis(20);
const BREATH_NODES: u32 = 32;
/// The same in heartbeats while this node passes on a little news, which needs no exchange: in a ring that churns all views differ
/// all the time, and the more the larger it is.
const BEATS: u32 = 2;
const BEATS_NODES: u32 = 512;
