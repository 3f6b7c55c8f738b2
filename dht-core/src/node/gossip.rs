//! Spreading node records: news rides on probes (SWIM, Das et al. 2002, §4.1), urgent news is pushed at once, and two
//! nodes whose view fingerprints differ exchange what the other lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Node;
use super::peers::Peer;
use crate::error::Result;
use crate::ring::list::ListId;
use crate::ring::members::Learnt;
use crate::ring::record::{NodeId, NodeRecord};
use crate::ring::slot::Slot;
use crate::wire::limits::SLOTS_MAX;
use crate::wire::message::{NodeDigest, Request, Response};

/// Records on one message.
const NEWS_MAX: usize = 16;
/// Nodes that urgent news is pushed to at once; the rest hears it from them.
const PUSH_MAX: usize = 8;
/// Rounds of one exchange: the second sends what the first found the peer to lack, the third confirms.
const ROUNDS_MAX: usize = 3;

/// What others have not heard yet, and who seems to know something else.
#[derive(Default)]
pub(crate) struct News {
    /// The newest record of a node, and how often it is still passed on.
    records: BTreeMap<NodeId, (NodeRecord, u32)>,
    disagreeing: BTreeSet<NodeId>,
}

impl News {
    pub(crate) fn push(&mut self, record: NodeRecord, nodes: usize) {
        // Each piece is passed on O(log n) times: then everybody has it with high probability.
        let times = 3 * (usize::BITS - nodes.leading_zeros()).max(1);
        self.records.insert(record.node_id.clone(), (record, times));
    }

    /// The least spread first.
    pub(crate) fn take(&mut self) -> Vec<NodeRecord> {
        let mut fresh: Vec<(u32, NodeId)> = self.records.iter().map(|(id, (_, left))| (*left, id.clone())).collect();
        fresh.sort_by(|a, b| b.cmp(a));
        fresh.truncate(NEWS_MAX);
        let mut taken = Vec::with_capacity(fresh.len());
        for (_, node_id) in fresh {
            if let Some((record, left)) = self.records.get_mut(&node_id) {
                taken.push(record.clone());
                *left -= 1;
                if *left == 0 {
                    self.records.remove(&node_id);
                }
            }
        }
        taken
    }
}

impl Node {
    /// Takes in what others say of nodes; passes on what is new.
    pub(crate) fn learn(&self, records: &[NodeRecord]) {
        if records.is_empty() {
            return;
        }
        let now = self.env.now();
        let mut refuted = None;
        let mut duplicate = false;
        {
            let mut state = self.state();
            let mut changed = false;
            for record in records.iter().filter(|r| r.vnodes > 0) {
                match state.members.merge(record, now) {
                    Learnt::Nothing => {}
                    Learnt::News => {
                        changed = true;
                        let nodes = state.members.iter().count();
                        state.news.push(record.clone(), nodes);
                    }
                    Learnt::Refuted => {
                        changed = true;
                        refuted = Some(state.members.own().clone());
                    }
                    Learnt::Duplicate => duplicate = true,
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
        if duplicate {
            log!(self, error, "another living node has this node_id; stopping");
            self.phase.send_if_modified(|phase| {
                let ends = !phase.ended();
                if ends {
                    *phase = super::Phase::Stopped;
                }
                ends
            });
        }
    }

    /// Tells some others at once, the rest by and by. The one the news is about is told too: it may refute.
    pub(crate) fn spread(&self, record: NodeRecord) {
        let targets = {
            let mut state = self.state();
            let nodes = state.members.iter().count();
            let mut targets: Vec<Peer> = state.members.others().map(|k| Peer::from(k.record())).collect();
            state.news.push(record.clone(), nodes);
            let about = targets.iter().position(|p| p.node_id == record.node_id);
            let mut chosen: Vec<Peer> = about.map(|at| targets.swap_remove(at)).into_iter().collect();
            while chosen.len() < PUSH_MAX && !targets.is_empty() {
                let at = self.env.random_below(targets.len());
                chosen.push(targets.swap_remove(at));
            }
            chosen
        };
        for peer in targets {
            self.tell(&peer.address, Request::Ping { boot: 0, records: vec![record.clone()] });
        }
    }

    /// Remembers that `node_id` seems to know other nodes than this one.
    pub(crate) fn disagrees(&self, node_id: &NodeId) {
        if self.state().news.disagreeing.insert(node_id.clone()) {
            self.gossip_wanted.notify_one();
        }
    }

    /// The same, of a sender that is known by its boot.
    pub(crate) fn sender_disagrees(&self, boot: u64) {
        let mut state = self.state();
        if let Some(node_id) = state.members.by_boot(boot).map(|k| k.record().node_id.clone())
            && state.news.disagreeing.insert(node_id)
        {
            self.gossip_wanted.notify_one();
        }
    }

    /// Both sides know the same afterwards: all node records, and the counters of the lists of `slots`.
    pub(crate) async fn sync(&self, peer: &Peer, slots: &[Slot]) -> Result<()> {
        // More than one message names are brought up in the next round, or by what goes wrong with them.
        let slots = &slots[..slots.len().min(SLOTS_MAX)];
        for _ in 0..ROUNDS_MAX {
            let request = {
                let state = self.state();
                let lists = slots.iter().filter_map(|s| state.table.list(*s).map(|list| (*s, list))).collect();
                Request::Sync { digests: digests(&state), lists }
            };
            let deadline = self.env.now() + self.config.request_timeout;
            let Response::Synced { records, wanted, lists } = self.call(peer, request, deadline, 0).await? else {
                return Err(super::serve::unexpected(peer));
            };
            self.learn(&records);
            let mut raised = false;
            let lacking = {
                let mut state = self.state();
                for (slot, list) in lists {
                    raised |= state.table.raise_counter(slot, list);
                }
                let known = wanted.iter().filter_map(|id| state.members.get(id));
                known.map(|k| k.record().clone()).collect::<Vec<_>>()
            };
            if raised {
                self.progress.send_modify(|n| *n += 1);
            }
            if lacking.is_empty() {
                return Ok(());
            }
            self.call(peer, Request::Ping { boot: 0, records: lacking }, deadline, 0).await?;
        }
        Ok(())
    }

    /// Answers a peer's `Sync`.
    pub(crate) fn serve_sync(&self, theirs: &[NodeDigest], lists: &[(Slot, ListId)]) -> Response {
        let mut state = self.state();
        let mut records = Vec::new();
        let mut named = BTreeSet::new();
        let mut wanted = Vec::new();
        for digest in theirs {
            named.insert(digest.node_id.clone());
            let rank = (digest.incarnation, digest.boot, digest.verdict);
            match state.members.get(&digest.node_id) {
                Some(known) if known.record().rank() > rank => records.push(known.record().clone()),
                Some(known) if known.record().rank() == rank => {}
                _ => wanted.push(digest.node_id.clone()),
            }
        }
        let unnamed = state.members.iter().filter(|k| k.record().vnodes > 0 && !named.contains(&k.record().node_id));
        records.extend(unnamed.map(|k| k.record().clone()));
        if wanted.is_empty() {
            // Nothing that they know is unknown here, so a higher counter of theirs holds here too.
            for (slot, list) in lists {
                state.table.raise_counter(*slot, *list);
            }
        }
        let ours = lists.iter().filter_map(|(slot, _)| state.table.list(*slot).map(|list| (*slot, list)));
        let lists = ours.collect();
        Response::Synced { records, wanted, lists }
    }
}

fn digests(state: &super::State) -> Vec<NodeDigest> {
    let digest = |record: &NodeRecord| NodeDigest {
        node_id: record.node_id.clone(),
        boot: record.boot,
        incarnation: record.incarnation,
        verdict: record.verdict,
    };
    state.members.iter().map(super::Known::record).filter(|r| r.vnodes > 0).map(digest).collect()
}

/// Exchanges records with whoever seems to know others, one at a time.
pub(crate) async fn exchange(node: Arc<Node>) {
    loop {
        node.gossip_wanted.notified().await;
        loop {
            let next = {
                let mut state = node.state();
                let next = state.news.disagreeing.pop_first();
                next.and_then(|id| state.members.get(&id).map(|k| Peer::from(k.record())))
            };
            let Some(peer) = next else {
                if node.state().news.disagreeing.is_empty() {
                    break;
                }
                continue;
            };
            if let Err(error) = node.sync(&peer, &[]).await {
                log!(node, debug, peer = %peer.node_id, %error, "no exchange of node records");
            }
        }
        // News that is still on its way looks like disagreement: one breath, and most of it has arrived.
        tokio::time::sleep(node.env.jittered(BREATH)).await;
    }
}

/// Shortest time between two rounds of exchanges.
const BREATH: Duration = Duration::from_millis(20);
