//! Chord's *notify* → *rectify* and *check_predecessor*, and the answers to *stabilize* (Zave, arXiv 1502.06461).

use std::sync::Arc;

use super::Node;
use super::peers::Peer;
use crate::ring::id::Id;
use crate::ring::vnode::{Pointer, VNode};
use crate::wire::message::{Neighbours, Request, Response};

/// Looks after the predecessors for life, one vnode's a period in turn. One that does not answer is probed, and forgotten
/// by all vnodes at once when the detector gives it up; a notify of another replaces it before.
pub(crate) async fn check_predecessor(node: Arc<Node>) {
    let mut turn = 0usize;
    loop {
        tokio::time::sleep(node.env.jittered(node.config.check_predecessor)).await;
        let pointer = {
            let state = node.state();
            turn = (turn + 1) % state.vnodes.len().max(1);
            state.vnodes.get(turn).and_then(|v| v.predecessor.clone())
        };
        if let Some(pointer) = pointer {
            node.answers(&pointer).await;
        }
    }
}

impl Node {
    /// Nodes that the view has before our vnodes, where Chord's pointers name others: candidates like any that notify.
    pub(super) fn missing_predecessors(&self) -> Vec<(Pointer, Id)> {
        let view = self.view();
        let Some(me) = view.member_index(&self.node_id) else { return Vec::new() };
        let state = self.state();
        let missing = |vnode: &VNode| {
            let candidate = view.pointer(view.distinct_before(vnode.id, Some(me))?);
            (vnode.predecessor.as_ref() != Some(&candidate)).then_some((candidate, vnode.id))
        };
        state.vnodes.iter().filter_map(missing).collect()
    }

    /// Answers `Stabilize`: what each of our positions knows of its neighbours, and the records of those for a caller
    /// of another view.
    pub(crate) fn serve_stabilize(&self, positions: &[Id], known: &[u64], same_view: bool) -> Response {
        let known = known.iter().copied().chain(std::iter::repeat(0));
        let items: Vec<Option<Neighbours>> = {
            let state = self.state();
            let of = |(id, known): (&Id, u64)| {
                let vnode = state.vnodes.iter().find(|v| v.id == *id);
                let neighbours = vnode.map_or(Neighbours { predecessor: None, successors: Vec::new() }, |vnode| {
                    Neighbours { predecessor: vnode.predecessor.clone(), successors: vnode.successors.clone() }
                });
                (neighbours.hash() != known).then_some(neighbours)
            };
            positions.iter().zip(known).map(of).collect()
        };
        let pointers = items.iter().flatten().flat_map(|n| n.predecessor.iter().chain(&n.successors));
        let records = if same_view { Vec::new() } else { self.recent_records_of(pointers) };
        Response::Neighbours { items, records }
    }

    /// Answers `Notify`: each candidate is asked whether it lives before it is adopted, and so is the one it replaces.
    pub(crate) async fn serve_notify(self: &Arc<Self>, pointers: Vec<(Pointer, Id)>) -> Response {
        for (candidate, at) in pointers {
            let present = {
                let state = self.state();
                let Some(vnode) = state.vnodes.iter().find(|v| v.id == at) else { continue };
                let known = vnode.predecessor.as_ref() == Some(&candidate);
                if known || candidate.node_id == self.node_id || !state.members.has_position(&candidate) {
                    continue;
                }
                vnode.predecessor.clone()
            };
            if !self.answers(&candidate).await {
                continue;
            }
            let predecessor_answers = match &present {
                Some(pointer) => self.answers(pointer).await,
                None => false,
            };
            let mut state = self.state();
            if !state.members.has_position(&candidate) {
                continue;
            }
            if let Some(vnode) = state.vnodes.iter_mut().find(|v| v.id == at) {
                // Another notify may have been quicker; whom it brought has just answered.
                let answers = predecessor_answers || vnode.predecessor != present;
                vnode.rectify(candidate, answers);
            }
        }
        Response::Pong { records: Vec::new() }
    }

    /// Whether the node pointed at lives, as the boot that is known.
    async fn answers(&self, pointer: &Pointer) -> bool {
        let peer = {
            let state = self.state();
            state.members.get(&pointer.node_id).filter(|k| k.record().present()).map(|k| Peer::from(k.record()))
        };
        let Some(peer) = peer else { return false };
        let ping = Request::Ping { boot: peer.boot, records: Vec::new() };
        match self.call(&peer, ping, self.deadline_for_maintenance(), 0).await {
            Ok(Response::Pong { records }) => {
                // It will not tell these again.
                self.learn_from(peer.boot, &records);
                true
            }
            answer => answer.is_ok(),
        }
    }
}
