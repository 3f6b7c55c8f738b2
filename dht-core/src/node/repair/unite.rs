//! Where two rings become one (`ring/list/lineage.rs`): who is in the other one is asked before anything is taken over from it, and
//! when nobody lacks anything of it any more, its members are of this ring.

use std::sync::Arc;
use std::time::Duration;

use crate::node::Node;
use crate::node::peers::Peer;
use crate::ring::record::{NodeRecord, NodeState, Verdict};

/// Members of the other ring that are asked at once.
const ASKED: usize = 3;
/// So long after this node lacks nothing of it any more, everybody has heard who was in the other ring.
const APART_FOR: Duration = Duration::from_secs(60);

impl Node {
    /// Hears of all that are in rings that have become one with this one. One that is known to be of it may have been heard of alone.
    pub(super) async fn meet_rings(self: &Arc<Self>) {
        let mut asked = Vec::new();
        loop {
            let to_meet = self.state().table.rings_to_meet().find(|ring| !asked.contains(ring));
            let Some(ring) = to_meet else { return };
            asked.push(ring);
            let view = self.view();
            let of_it =
                || view.members().iter().map(|m| &m.record).filter(|r| r.placed_in == ring && r.boot != self.boot);
            let lives = |r: &&NodeRecord| r.verdict == Verdict::Alive;
            let mut peers: Vec<Peer> = of_it().filter(lives).map(Peer::from).collect();
            while peers.len() > ASKED {
                peers.swap_remove(self.env.random_below(peers.len()));
            }
            let by = |peer: &Peer| self.attempt_deadline(peer, self.env.now() + self.config.request_timeout);
            let ask = peers.iter().map(|peer| async move { self.sync_by(peer, &[], by(peer)).await.is_ok() });
            // Whoever is suspected may have to say something yet.
            let told = futures_util::future::join_all(ask).await.contains(&true) || of_it().next().is_none();
            if told {
                self.state().table.has_met(ring);
            }
        }
    }

    /// Enters the lists once more, so to say, as a member of the ring that this one has become: else the death of the last one that
    /// came from another ring would be a change of every list.
    pub(super) fn become_one(&self) {
        let record = {
            let mut state = self.state();
            let now = self.env.now();
            let Some(ring) = self.ring().id else { return };
            let own = state.members.own();
            let apart = own.state == NodeState::Active && own.placed_in != 0 && own.placed_in != ring.digest();
            if !apart || state.table.lacks_foreign() {
                state.apart_since = None;
                return;
            }
            let since = state.apart_since.filter(|(other, _)| *other == ring).map_or(now, |(_, since)| since);
            state.apart_since = Some((ring, since));
            if now < since + APART_FOR {
                return;
            }
            let record = state.members.declare(|me| me.placed_in = ring.digest(), now);
            self.refresh(&mut state);
            record
        };
        self.spread(record);
    }
}
