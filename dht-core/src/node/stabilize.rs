//! Chord's maintenance of every vnode: stabilize → notify → rectify, check_predecessor (Zave, arXiv 1502.06461).
//!
//! One vnode is stabilized a period, in turn, and besides it those whose pointers differ from the view, at once when the
//! view changes: 200 vnodes do not cost 200 times the messages. A successor that still answers what led to the pointers
//! as they are says so in a byte, and a predecessor that it names is not notified again.

use std::sync::Arc;

use tokio::time::Instant;

use super::Node;
use super::peers::Peer;
use crate::ring::id::{Id, Span};
use crate::ring::vnode::Pointer;
use crate::wire::message::{Neighbours, Request, Response};

/// A successor that names a nearer one is followed this often in one round; the rest is left for the next.
const FOLLOW_MAX: usize = 8;

/// Stabilizes for life.
pub(crate) async fn stabilize(node: Arc<Node>) {
    let mut turn = 0;
    loop {
        let until = node.env.now() + node.env.jittered(node.config.stabilize_interval);
        let in_turn = tokio::time::timeout_at(until, node.stabilize_wanted.notified()).await.is_err();
        let count = node.state().vnodes.len();
        if count == 0 {
            continue;
        }
        turn = (turn + usize::from(in_turn)) % count;
        for index in 0..count {
            if in_turn && index == turn || node.differs_from_view(index) {
                node.stabilize_vnode(index).await;
            }
        }
        // A notify may have been lost, or come before this node knew its sender: the view says who should have sent one.
        let missing = node.missing_predecessors();
        if !missing.is_empty() {
            node.serve_notify(missing).await;
        }
    }
}

/// Checks the predecessors for life, one vnode's a period in turn: one that does not answer is forgotten, so that the
/// next notify may replace it. A node that died is forgotten by all vnodes at once when the detector says so.
pub(crate) async fn check_predecessor(node: Arc<Node>) {
    let mut turn = 0usize;
    loop {
        tokio::time::sleep(node.env.jittered(node.config.check_predecessor)).await;
        let pointer = {
            let state = node.state();
            turn = (turn + 1) % state.vnodes.len().max(1);
            state.vnodes.get(turn).and_then(|v| v.predecessor.clone())
        };
        let Some(pointer) = pointer else { continue };
        if !node.answers(&pointer).await {
            for vnode in &mut node.state().vnodes {
                vnode.predecessor.take_if(|p| p.node_id == pointer.node_id);
            }
        }
    }
}

impl Node {
    fn differs_from_view(&self, index: usize) -> bool {
        let view = self.view();
        let state = self.state();
        let Some(vnode) = state.vnodes.get(index) else { return false };
        let me = view.member_index(&self.node_id);
        let next = view.distinct_after(vnode.id, me, self.config.successor_list_size);
        !next.iter().map(|p| p.id).eq(vnode.successors.iter().map(|p| p.id))
    }

    /// Nodes that the view has before our vnodes, where Chord's pointers name others: candidates like any that notify.
    fn missing_predecessors(&self) -> Vec<(Pointer, Id)> {
        let view = self.view();
        let Some(me) = view.member_index(&self.node_id) else { return Vec::new() };
        let state = self.state();
        let missing = |vnode: &crate::ring::vnode::VNode| {
            let before = view.distinct_before(vnode.id, me)?;
            let node_id = view.member(before.member).node_id.clone();
            let candidate = Pointer { id: before.id, node_id, index: before.index };
            (vnode.predecessor.as_ref() != Some(&candidate)).then_some((candidate, vnode.id))
        };
        state.vnodes.iter().filter_map(missing).collect()
    }

    /// One round of one vnode.
    async fn stabilize_vnode(self: &Arc<Self>, index: usize) {
        self.stats.stabilize_operations.add(1);
        let Some((id, mut successor)) = self.next_to_ask(index) else { return };
        let mut named = None;
        for _ in 0..FOLLOW_MAX {
            let known = self.state().vnodes.get(index).map_or(0, |v| v.known_answer(successor.id));
            let neighbours = match self.neighbours_of(&successor, known).await {
                Some(Some(neighbours)) => neighbours,
                // As before, when it named us: neither list nor notify has anything new to say.
                Some(None) => return,
                None => {
                    // It does not answer: the next of the list is asked right away, if there is one.
                    let left = {
                        let mut state = self.state();
                        let Some(vnode) = state.vnodes.get_mut(index) else { return };
                        vnode.forget(&successor.node_id);
                        vnode.successors.first().cloned()
                    };
                    match left {
                        Some(next) => successor = next,
                        None => return,
                    }
                    continue;
                }
            };
            let nearer = {
                let mut state = self.state();
                let Some(vnode) = state.vnodes.get_mut(index).filter(|v| v.id == id) else { return };
                let nearer = vnode.stabilized(
                    &self.node_id,
                    &successor,
                    neighbours.predecessor.as_ref(),
                    &neighbours.successors,
                    self.config.successor_list_size,
                );
                // Another vnode of ours may lie between this one and the successor: that one is nearer.
                let between = Span::half_open(id, successor.id);
                named = neighbours.predecessor.clone().filter(|p| {
                    p.node_id == self.node_id && (p.id == id || p.id != successor.id && between.contains(p.id))
                });
                if nearer.is_none() && named.is_some() {
                    vnode.settle(successor.id, neighbours.hash());
                }
                nearer
            };
            match nearer {
                Some(between) => successor = between,
                None => break,
            }
        }
        if named.is_some() {
            return;
        }
        let me = Pointer { id, node_id: self.node_id.clone(), index: index as u32 };
        if let Some(peer) = self.peer_of(&successor) {
            self.tell(&peer.address, Request::Notify { pointers: vec![(me, successor.id)] });
        }
    }

    /// Whom to stabilize with: the nearest that the view or the vnode itself knows.
    fn next_to_ask(&self, index: usize) -> Option<(Id, Pointer)> {
        let view = self.view();
        let state = self.state();
        let vnode = state.vnodes.get(index)?;
        let me = view.member_index(&self.node_id);
        let by_view = view.distinct_after(vnode.id, me, 1).first().map(|p| Pointer {
            id: p.id,
            node_id: view.member(p.member).node_id.clone(),
            index: p.index,
        });
        let known = vnode.successors.first().cloned();
        let nearer = |p: &Pointer| self.ids.distance(vnode.id, p.id);
        let next = match (by_view, known) {
            (Some(a), Some(b)) => Some(if nearer(&b) < nearer(&a) { b } else { a }),
            (a, b) => a.or(b),
        };
        next.map(|pointer| (vnode.id, pointer))
    }

    /// What the node pointed at knows of its neighbours; `Some(None)`: what hashes to `known`. `None`: no answer.
    async fn neighbours_of(&self, pointer: &Pointer, known: u64) -> Option<Option<Neighbours>> {
        let peer = self.peer_of(pointer)?;
        let deadline = self.deadline_for_maintenance();
        let ask = Request::Stabilize { positions: vec![pointer.id], known: vec![known] };
        match self.call(&peer, ask, deadline, 0).await {
            Ok(Response::Neighbours { items, records }) => {
                self.learn(&records);
                let within =
                    |n: &Neighbours| n.predecessor.iter().chain(&n.successors).all(|p| self.ids.contains(p.id));
                items.into_iter().next().filter(|item| item.as_ref().is_none_or(within))
            }
            _ => None,
        }
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
        let records = if same_view { Vec::new() } else { self.records_of(pointers) };
        Response::Neighbours { items, records }
    }

    /// Answers `Notify`: each candidate is asked whether it lives before it is adopted, and so is the one it replaces.
    pub(crate) async fn serve_notify(self: &Arc<Self>, pointers: Vec<(Pointer, Id)>) -> Response {
        for (candidate, at) in pointers.into_iter().filter(|(candidate, _)| self.ids.contains(candidate.id)) {
            let present = {
                let state = self.state();
                let Some(vnode) = state.vnodes.iter().find(|v| v.id == at) else { continue };
                if vnode.predecessor.as_ref() == Some(&candidate) || candidate.node_id == self.node_id {
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
        let Some(peer) = self.peer_of(pointer) else { return false };
        let ping = Request::Ping { boot: peer.boot, records: Vec::new() };
        self.call(&peer, ping, self.deadline_for_maintenance(), 0).await.is_ok()
    }

    /// The next and the previous node on the ring know the same nodes as this one.
    pub(crate) async fn agrees_with_neighbours(&self, deadline: Instant) -> bool {
        let view = self.view();
        let neighbours: Vec<Peer> = {
            let state = self.state();
            let Some(id) = state.vnodes.first().map(|v| v.id) else { return true };
            let Some(me) = view.member_index(&self.node_id) else { return false };
            let next = view.distinct_after(id, Some(me), 1).first().copied();
            let previous = view.distinct_before(id, me).copied();
            next.into_iter().chain(previous).map(|p| Peer::from(view.member(p.member))).collect()
        };
        for peer in neighbours {
            let until = deadline.min(self.deadline_for_maintenance());
            let call = crate::transport::Call {
                head: self.head(until, 0),
                body: Request::Ping { boot: peer.boot, records: Vec::new() },
            };
            match self.transport.call(&peer.address, call, until).await {
                Ok(reply) if reply.head.view == self.view().fingerprint() => {}
                Ok(reply) => {
                    self.disagrees(&peer.node_id, reply.head.view);
                    return false;
                }
                Err(_) => return false,
            }
        }
        true
    }

    fn peer_of(&self, pointer: &Pointer) -> Option<Peer> {
        let state = self.state();
        let known = state.members.get(&pointer.node_id).filter(|k| k.record().present())?;
        Some(Peer::from(known.record()))
    }

    fn deadline_for_maintenance(&self) -> Instant {
        self.env.now() + self.config.request_timeout / 2
    }
}
