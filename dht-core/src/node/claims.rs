//! Deaths that others tell of. A node that is taken for alive here is not given up because somebody says so: it is asked
//! first, once, directly. Silence or a refusal makes two witnesses, and what was told is believed; an answer contradicts
//! it, and whoever told it is named (it may have passed on in good faith what another made up).
//!
//! ```text
//!   teller                       this node                     the node in question
//!     | -- record of X, dead -----> |                                  |
//!     |                             | -- Ping -----------------------> |
//!     |                             | <- Pong: misbehaviour of teller  |
//!     |                             |    or nothing: X is dead here --- too
//! ```
//!
//! So a single liar, told by nobody else, keeps nobody out of a list. Whoever is suspected anyway is routed around all
//! the same: a suspicion changes no list.

use std::collections::BTreeMap;

use super::Node;
use super::peers::Peer;
use crate::ring::members::{Learnt, Members};
use crate::ring::record::{NodeId, NodeRecord, Verdict};
use crate::transport::misbehaviour::Misbehaviour;

/// Deaths waiting to be looked at; the ones beyond are told again by those who believe in them.
const CLAIMS_MAX: usize = 4_096;

/// What is told and not yet looked at.
#[derive(Default)]
pub(crate) struct Claims(BTreeMap<NodeId, Claim>);

struct Claim {
    record: NodeRecord,
    /// Its boot; 0 if it is not known.
    teller: u64,
}

impl Claims {
    /// Whether somebody says that this node is dead.
    pub(crate) fn doubt(&self, node_id: &NodeId) -> bool {
        self.0.contains_key(node_id)
    }

    /// Whether `record` is to be looked at before it is believed; it is kept until then.
    pub(crate) fn takes(&mut self, record: &NodeRecord, teller: u64, members: &Members) -> bool {
        if record.verdict != Verdict::Dead || planted!("deaths_believed") {
            return false;
        }
        let Some(known) = members.get(&record.node_id) else { return false };
        let alive = known.record().present() && known.record().boot == record.boot;
        if !alive || known.refused || record.node_id == members.own().node_id || !record.supersedes(known.record()) {
            return false;
        }
        if self.0.len() < CLAIMS_MAX || self.0.contains_key(&record.node_id) {
            self.0.insert(record.node_id.clone(), Claim { record: record.clone(), teller });
        }
        true
    }
}

impl Node {
    /// `peer` did not answer: if it is said to be dead, it is, which is passed on as all that one is told. Returns whether that
    /// is so.
    pub(super) fn confirm_death(&self, peer: &Peer) -> bool {
        {
            let mut state = self.state();
            let Some(claim) = state.claims.0.remove(&peer.node_id) else { return false };
            let now = self.env.now();
            if state.members.merge(&claim.record, now) != Learnt::News {
                return false;
            }
            self.refresh(&mut state);
            state.news.push(claim.record, vec![claim.teller]);
        }
        log!(self, info, peer = %peer.node_id, "is given up, as others have done");
        true
    }

    /// `peer` answered: if it is said to be dead, that is not so.
    pub(super) fn contradict_death(&self, peer: &Peer) {
        let Some(claim) = self.state().claims.0.remove(&peer.node_id) else { return };
        let teller = self.node_of(claim.teller);
        log!(self, debug, peer = %peer.node_id, teller = ?teller, "answers, although it is said to be dead");
        self.misbehaved(Misbehaviour::FalseDeath, teller.as_ref());
    }

    /// Counts what another node did, if it is known which.
    pub(super) fn misbehaved(&self, kind: Misbehaviour, who: Option<&NodeId>) {
        self.stats.misdeeds.note(kind, who.map_or("unknown", NodeId::as_str));
    }

    /// The node of that boot, if it is known.
    pub(super) fn node_of(&self, boot: u64) -> Option<NodeId> {
        self.state().members.by_boot(boot).map(|known| known.record().node_id.clone())
    }
}
