//! Tells in the log who has come into the ring and who is not in it any more.

use super::{Node, State};
use crate::ring::record::{NodeRecord, NodeState};
use crate::ring::view::RingView;

/// Named one by one, of one change of the view; of more, as where this node itself comes, only their number is told.
const NAMED_MAX: usize = 8;

impl Node {
    /// Between two views.
    pub(super) fn tell_of_turnover(&self, state: &State, before: &RingView, after: &RingView) {
        if !self.config.enable_logging {
            return;
        }
        let come: Vec<_> = after.lacking_in(before).filter(|member| member.record.node_id != self.node_id).collect();
        for member in come.iter().filter(|_| come.len() <= NAMED_MAX) {
            log!(self, info, peer = %member.record.node_id, address = %member.record.address, "is in the ring");
        }
        if come.len() > NAMED_MAX {
            log!(self, info, come = come.len(), nodes = after.members().len(), "many are in the ring now");
        }
        let gone: Vec<_> = before.lacking_in(after).filter(|member| member.record.node_id != self.node_id).collect();
        for member in gone.iter().filter(|_| gone.len() <= NAMED_MAX) {
            let peer = &member.record.node_id;
            let said_so = |record: &NodeRecord| matches!(record.state, NodeState::Leaving | NodeState::Left);
            if state.members.get(peer).is_some_and(|known| said_so(known.record())) {
                log!(self, info, %peer, "leaves the ring");
            } else {
                log!(self, warn, %peer, address = %member.record.address, "is given up: it is not in the ring any more");
            }
        }
        if gone.len() > NAMED_MAX {
            log!(self, warn, gone = gone.len(), nodes = after.members().len(), "many are not in the ring any more");
        }
    }
}
