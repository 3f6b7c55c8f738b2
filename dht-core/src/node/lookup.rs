//! Iterative Chord lookup (Stoica et al. 2003, §IV.B): drives a `Frontier` through peers, and answers one step.

use std::sync::Arc;

use tokio::time::Instant;

use super::Node;
use super::peers::Peer;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::frontier::Frontier;
use crate::ring::id::{Id, Span};
use crate::ring::record::NodeRecord;
use crate::ring::vnode::Pointer;
use crate::wire::message::{Request, Response};

/// Pointers in one answer: enough alternatives for a few dead nodes.
const POINTERS_MAX: usize = 4;

/// What this node can say of a target.
enum Step {
    Owner(Pointer),
    Closer(Vec<Pointer>),
}

impl Node {
    /// Who owns `target`, found by walking fingers and successor lists, never by the view.
    ///
    /// # Errors
    /// `Unreachable` if every way ended at silent nodes.
    pub(crate) async fn find_successor(self: &Arc<Self>, target: Id, deadline: Instant) -> Result<Pointer> {
        let known = match self.step(target) {
            Step::Owner(owner) => return Ok(owner),
            Step::Closer(pointers) => pointers,
        };
        let mut frontier = Frontier::new(self.ids, target, known);
        while let Some(next) = frontier.next() {
            let peer = self.state().members.get(&next.node_id).map(|k| Peer::from(k.record()));
            let Some(peer) = peer else { continue };
            let until = self.attempt_deadline(&peer, deadline);
            match self.call(&peer, Request::Lookup { target }, until, 0).await {
                Ok(Response::Route { done, pointers, records }) => {
                    self.learn(&records);
                    let pointers: Vec<Pointer> = pointers.into_iter().filter(|p| self.ids.contains(p.id)).collect();
                    if done && let Some(owner) = pointers.first() {
                        return Ok(owner.clone());
                    }
                    frontier.learn(pointers);
                }
                Ok(_) => return Err(super::serve::unexpected(&peer)),
                // The frontier has others.
                Err(_) => continue,
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
        let state = self.state();
        let own = |vnode: &crate::ring::vnode::VNode, index: usize| Pointer {
            id: vnode.id,
            node_id: self.node_id.clone(),
            index: index as u32,
        };
        // A node that is not in yet, or whose lists are empty for the moment, is not alone.
        let alone = self.view.load().members().len() <= 1 && state.members.own().placed();
        // Of our own positions, the first at or after the target.
        let nearest = state.vnodes.iter().enumerate().min_by_key(|(_, v)| self.ids.distance(target, v.id));
        for (index, vnode) in state.vnodes.iter().enumerate() {
            let owns = vnode.predecessor.as_ref().is_some_and(|p| Span::half_open(p.id, vnode.id).contains(target));
            if owns || alone {
                // Between the predecessor and this vnode other vnodes of ours may lie.
                return Step::Owner(nearest.map_or_else(|| own(vnode, index), |(i, v)| own(v, i)));
            }
        }
        if let Some(owner) = state.vnodes.iter().find_map(|v| v.successor_owns(target)) {
            // Successor lists name other nodes only: a vnode of ours may lie between the target and that one. It has no
            // predecessor of its own to tell, since the node before it notifies the first of ours.
            let between =
                |v: &crate::ring::vnode::VNode| self.ids.distance(target, v.id) < self.ids.distance(target, owner.id);
            return Step::Owner(match nearest.filter(|(_, v)| between(v)) {
                Some((index, vnode)) => own(vnode, index),
                None => owner.clone(),
            });
        }
        let mut pointers: Vec<Pointer> = state.vnodes.iter().flat_map(|v| v.successors.iter().cloned()).collect();
        pointers.extend(state.fingers.pointers().cloned());
        if pointers.is_empty() {
            let view = self.view.load();
            let known = |p: &crate::ring::view::Position| Pointer {
                id: p.id,
                node_id: view.member(p.member).node_id.clone(),
                index: p.index,
            };
            pointers
                .extend(view.distinct_after(target, view.member_index(&self.node_id), POINTERS_MAX).iter().map(known));
        }
        pointers.sort_by_key(|p| self.ids.distance(p.id, target));
        pointers.dedup();
        pointers.truncate(POINTERS_MAX);
        Step::Closer(pointers)
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
