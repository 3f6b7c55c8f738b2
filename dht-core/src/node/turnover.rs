//! Tells in the log who has come into the ring and who is not in it any more.

use std::sync::Arc;

use super::{Node, State};
use crate::ring::record::{Address, Member, NodeId, NodeRecord, NodeState};
use crate::ring::view::RingView;

/// Named one by one, of one change of the view; of more, as where this node itself comes, only their number is told.
const NAMED_MAX: usize = 8;

/// A line of the log.
enum Line {
    Came(NodeId, Address),
    ManyCame(usize),
    Left(NodeId),
    Restarted(NodeId),
    GivenUp(NodeId, Address),
    ManyGone(usize),
}

impl Node {
    /// Between two views.
    pub(super) fn tell_of_turnover(&self, state: &State, before: &RingView, after: &RingView) {
        if !self.config.enable_logging {
            return;
        }
        let others = |members: &mut dyn Iterator<Item = &Arc<Member>>| -> Vec<NodeRecord> {
            members.filter(|member| member.record.node_id != self.node_id).map(|m| m.record.clone()).collect()
        };
        let come = others(&mut after.lacking_in(before));
        let gone = others(&mut before.lacking_in(after));
        let mut lines = Vec::new();
        if come.len() > NAMED_MAX {
            lines.push(Line::ManyCame(come.len()));
        } else {
            lines.extend(come.into_iter().map(|record| Line::Came(record.node_id, record.address)));
        }
        if gone.len() > NAMED_MAX {
            lines.push(Line::ManyGone(gone.len()));
        } else {
            lines.extend(gone.into_iter().map(|record| how_it_went(state, record)));
        }
        let nodes = after.members().len();
        self.log_later(move |node| lines.into_iter().for_each(|line| node.log_line(line, nodes)));
    }

    /// For what is to be logged while the state is held: it is told by a task. Whoever takes it in may ask this node something, or be slow.
    pub(super) fn log_later(&self, tell: impl FnOnce(&Self) + Send + 'static) {
        if let Some(node) = self.myself().filter(|_| self.config.enable_logging) {
            self.tasks.spawn(async move { tell(&node) });
        }
    }

    fn log_line(&self, line: Line, nodes: usize) {
        match line {
            Line::Came(peer, address) => log!(self, info, %peer, %address, "is in the ring"),
            Line::ManyCame(come) => log!(self, info, come, nodes, "many are in the ring now"),
            Line::Left(peer) => log!(self, info, %peer, "leaves the ring"),
            Line::Restarted(peer) => log!(self, info, %peer, "was started anew, and joins again"),
            Line::GivenUp(peer, address) => {
                log!(self, warn, %peer, %address, "is given up: it is not in the ring any more");
            }
            Line::ManyGone(gone) => log!(self, warn, gone, nodes, "many are not in the ring any more"),
        }
    }
}

fn how_it_went(state: &State, before: NodeRecord) -> Line {
    let peer = before.node_id;
    match state.members.get(&peer).map(|known| known.record()) {
        Some(now) if matches!(now.state, NodeState::Leaving | NodeState::Left) => Line::Left(peer),
        Some(now) if now.boot != before.boot && now.present() => Line::Restarted(peer),
        _ => Line::GivenUp(peer, before.address),
    }
}
