//! Iterative Chord lookup (Stoica et al. 2003, §IV.B): drives a `Frontier` through peers, and answers one step.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Node;
use super::peers::Peer;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::frontier::Frontier;
use crate::ring::id::{Id, Span};
use crate::ring::record::NodeRecord;
use crate::ring::view::RingView;
use crate::ring::vnode::{Pointer, VNode};
use crate::shapes::HopOutcome;
use crate::wire::message::{Request, Response};

/// Pointers in one answer, to as many nodes: enough alternatives for a few dead ones.
const POINTERS_MAX: usize = 4;

/// Hears of each step of a walk; `()` does not listen.
pub(crate) trait Watch: Send {
    /// `peer` was asked because of `pointer`.
    fn asked(&mut self, pointer: &Pointer, peer: &Peer, took: Duration, outcome: HopOutcome);
}

impl Watch for () {
    fn asked(&mut self, _: &Pointer, _: &Peer, _: Duration, _: HopOutcome) {}
}

/// What this node can say of a target.
enum Step {
    Owner(Pointer),
    Closer(Vec<Pointer>),
}

impl Node {
    /// Who owns `target`, found by walking fingers and successor lists; the view only says where to begin for a node
    /// that has none of them yet. `watch` hears of every node asked, in that order.
    ///
    /// # Errors
    /// `Unreachable` if every way ended at silent nodes, `Timeout` if the deadline passed before.
    pub(crate) async fn find_successor(
        self: &Arc<Self>,
        target: Id,
        deadline: Instant,
        watch: &mut impl Watch,
    ) -> Result<Pointer> {
        let known = match self.step(target) {
            Step::Owner(owner) => return Ok(owner),
            Step::Closer(pointers) => pointers,
        };
        let mut frontier = Frontier::new(self.ids, target, known);
        while let Some(next) = frontier.next() {
            let peer = self.state().members.get(&next.node_id).map(|k| Peer::from(k.record()));
            let Some(peer) = peer else { continue };
            let until = self.attempt_deadline(&peer, deadline);
            let begun = self.env.now();
            let answer = self.call(&peer, Request::Lookup { target }, until, 0).await;
            let now = self.env.now();
            let mut tell = |outcome| watch.asked(&next, &peer, now - begun, outcome);
            match answer {
                Ok(Response::Route { done, pointers, records }) => {
                    self.learn(&records);
                    let pointers: Vec<Pointer> = pointers.into_iter().filter(|p| self.ids.contains(p.id)).collect();
                    if done && let Some(owner) = pointers.first() {
                        tell(HopOutcome::Owner);
                        return Ok(owner.clone());
                    }
                    tell(HopOutcome::Closer);
                    // What we know ourselves was the beginning.
                    frontier.learn(pointers.into_iter().filter(|p| p.node_id != self.node_id));
                }
                Ok(_) => return Err(super::serve::unexpected(&peer)),
                Err(error) => {
                    tell(HopOutcome::Silent);
                    if now >= deadline {
                        let context = format!("lookup of {}: {} nodes asked", self.ids.hex(target), frontier.hops());
                        return Err(Error::new(ErrorKind::Timeout, context).with_source(error));
                    }
                    // The frontier has others.
                }
            }
        }
        let context = format!("no way to {} after {} nodes", self.ids.hex(target), frontier.hops());
        Err(Error::new(ErrorKind::Unreachable, context))
    }

    /// Answers `Lookup`; a caller of the same view needs no records.
    pub(crate) fn serve_lookup(&self, target: Id, same_view: bool) -> Response {
        let (done, pointers) = match self.step(target) {
            Step::Owner(owner) => (true, vec![owner]),
            Step::Closer(pointers) => (false, pointers),
        };
        let records = if same_view { Vec::new() } else { self.records_of(pointers.iter()) };
        Response::Route { done, pointers, records }
    }

    fn step(&self, target: Id) -> Step {
        let view = self.view();
        let state = self.state();
        let vnodes = self.with_successors(&view, &state.vnodes);
        let own =
            |vnode: &VNode, index: usize| Pointer { id: vnode.id, node_id: self.node_id.clone(), index: index as u32 };
        let alone = vnodes.iter().all(|v| v.successors.is_empty());
        // Of our own positions, the first at or after the target.
        let nearest = vnodes.iter().enumerate().min_by_key(|(_, v)| self.ids.distance(target, v.id));
        for (index, vnode) in vnodes.iter().enumerate() {
            let before = |p: &Pointer| match planted!("wrong_interval") {
                false => Span::half_open(p.id, vnode.id),
                true => Span::half_open(vnode.id, p.id),
            };
            let owns = vnode.predecessor.as_ref().is_some_and(|p| before(p).contains(target));
            if owns || alone {
                // Between the predecessor and this vnode other vnodes of ours may lie.
                return Step::Owner(nearest.map_or_else(|| own(vnode, index), |(i, v)| own(v, i)));
            }
        }
        if let Some(owner) = vnodes.iter().find_map(|v| v.successor_owns(target)) {
            // Successor lists name other nodes only: a vnode of ours may lie between the target and that one. It has no
            // predecessor of its own to tell, since the node before it notifies the first of ours.
            let between = |v: &VNode| self.ids.distance(target, v.id) < self.ids.distance(target, owner.id);
            return Step::Owner(match nearest.filter(|(_, v)| between(v)) {
                Some((index, vnode)) => own(vnode, index),
                None => owner.clone(),
            });
        }
        let mut pointers: Vec<Pointer> = vnodes.iter().flat_map(|v| v.successors.iter().cloned()).collect();
        if vnodes.is_empty() {
            // A client has no pointers of its own.
            let before = view.distinct_preceding(target, POINTERS_MAX);
            pointers.extend(before.iter().map(|p| view.pointer(p)));
        }
        pointers.extend(state.fingers.pointers().cloned());
        pointers.sort_by_key(|p| self.ids.distance(p.id, target));
        let mut nearest: Vec<Pointer> = Vec::with_capacity(POINTERS_MAX);
        for pointer in pointers {
            if nearest.len() == POINTERS_MAX {
                break;
            }
            if !nearest.iter().any(|p| p.node_id == pointer.node_id) {
                nearest.push(pointer);
            }
        }
        Step::Closer(nearest)
    }

    /// Our vnodes. One that has not been stabilized since others are known has the successor that the view names:
    /// without one it would claim what lies behind it, or the whole ring if no vnode has one.
    fn with_successors<'a>(&self, view: &RingView, vnodes: &'a [VNode]) -> Cow<'a, [VNode]> {
        if vnodes.iter().all(|v| !v.successors.is_empty()) {
            return Cow::Borrowed(vnodes);
        }
        let me = view.member_index(&self.node_id);
        let mut vnodes = vnodes.to_vec();
        for vnode in vnodes.iter_mut().filter(|v| v.successors.is_empty()) {
            let next = view.distinct_after(vnode.id, me, 1);
            vnode.successors.extend(next.iter().map(|p| view.pointer(p)));
        }
        Cow::Owned(vnodes)
    }

    /// The records of the nodes pointed at, for receivers that may not know them.
    pub(crate) fn records_of<'a>(&self, pointers: impl Iterator<Item = &'a Pointer>) -> Vec<NodeRecord> {
        let state = self.state();
        let mut records: Vec<NodeRecord> = Vec::new();
        for pointer in pointers {
            if let Some(known) = state.members.get(&pointer.node_id)
                && !records.iter().any(|r| r.node_id == pointer.node_id)
            {
                records.push(known.record().clone());
            }
        }
        records
    }
}
