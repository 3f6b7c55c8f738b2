//! Iterative Chord lookup (Stoica et al. 2003, §IV.B): drives a `Frontier` through peers, and answers one step.
//!
//! With `routing = "chord"` every operation begins with a verified walk to its slot's owner, whose answer brings the
//! slot's replica list along; the view is not asked who owns what.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::peers::Peer;
use super::{Known, Node};
use crate::config::Routing;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::frontier::{Frontier, Next, WIDE};
use crate::ring::id::Id;
use crate::ring::record::{NodeId, NodeRecord, Verdict};
use crate::ring::route::{Question, Route, route};
use crate::ring::slot::Slot;
use crate::ring::view::RingView;
use crate::ring::vnode::{Pointer, VNode};
use crate::shapes::HopOutcome;
use crate::wire::message::{Request, Response};

/// Walks of one call at a time.
const WALKS_MAX: usize = 16;
/// News is that long on its way, at most: a caller may lack it.
const RECENT_MAX: Duration = Duration::from_secs(30);

/// Hears of each step of a walk; `()` does not listen.
pub(crate) trait Watch: Send {
    /// `peer` was asked because of `pointer`.
    fn asked(&mut self, pointer: &Pointer, peer: &Peer, took: Duration, outcome: HopOutcome);
}

impl Watch for () {
    fn asked(&mut self, _: &Pointer, _: &Peer, _: Duration, _: HopOutcome) {}
}

/// Where a verified walk ended.
pub(crate) struct Owner {
    pub(crate) pointer: Pointer,
    /// The replica list of the target's slot as the owner sees it, owner first; empty if it is in no list of it.
    pub(crate) replicas: Vec<NodeRecord>,
}

impl Owner {
    /// Who coordinates writes: the first of the list that is not suspected and takes writes, as everywhere. Where the walk went around a
    /// suspect, that may be another than the one it ended at.
    pub(super) fn coordinator(&self) -> &NodeId {
        let live = self.replicas.iter().find(|record| record.takes_writes());
        live.map_or(&self.pointer.node_id, |record| &record.node_id)
    }
}

impl Node {
    /// Operations find their owners by walking, not by the view.
    pub(crate) fn walks(&self) -> bool {
        self.config.routing == Routing::Chord
    }

    /// Who owns `target`, found by walking fingers and successor lists; the view only says where to begin for a node
    /// that has none of them yet. Whoever names an owner is believed. `watch` hears of every node asked, in that order.
    ///
    /// # Errors
    /// `Unreachable` if every way ended at silent nodes, `Timeout` if the deadline passed before.
    pub(crate) async fn find_successor(
        self: &Arc<Self>,
        target: Id,
        deadline: Instant,
        watch: &mut impl Watch,
    ) -> Result<Pointer> {
        let begin = self.route(&Question::of(target, WIDE, false));
        let frontier = Frontier::new(self.ids, target, self.node_id.clone(), false, begin);
        Ok(self.walk(frontier, target, deadline, watch).await?.pointer)
    }

    /// The same, verified: the walk ends at a node that has just answered, and brings its replica list along.
    ///
    /// # Errors
    /// As [`Node::find_successor`].
    pub(crate) async fn find_owner(
        self: &Arc<Self>,
        target: Id,
        deadline: Instant,
        watch: &mut impl Watch,
    ) -> Result<Owner> {
        let begin = self.route(&Question::of(target, WIDE, false));
        let frontier = Frontier::new(self.ids, target, self.node_id.clone(), true, begin);
        self.walk(frontier, target, deadline, watch).await
    }

    /// The owner of each slot, by verified walks side by side.
    pub(super) async fn find_owners(
        self: &Arc<Self>,
        slots: impl Iterator<Item = Slot>,
        deadline: Instant,
    ) -> BTreeMap<Slot, Result<Owner>> {
        let distinct: BTreeSet<Slot> = slots.collect();
        let find =
            |slot: Slot| async move { (slot, self.find_owner(self.slots.last_id(slot), deadline, &mut ()).await) };
        futures_util::stream::iter(distinct).map(find).buffered(WALKS_MAX).collect().await
    }

    /// To the end of a walk.
    ///
    /// # Errors
    /// As [`Node::find_successor`].
    pub(super) async fn walk(
        self: &Arc<Self>,
        mut frontier: Frontier,
        target: Id,
        deadline: Instant,
        watch: &mut impl Watch,
    ) -> Result<Owner> {
        let mut told: Vec<(NodeId, Vec<Pointer>)> = Vec::new();
        loop {
            let ask = match frontier.next() {
                Next::Ask(ask) => ask,
                Next::Found(pointer) => return Ok(self.owner(pointer, target, &told)),
                Next::Lost => {
                    let context = format!("no way to {} after {} nodes", self.ids.hex(target), frontier.hops());
                    return Err(Error::new(ErrorKind::Unreachable, context));
                }
            };
            if ask.pointer.node_id == self.node_id {
                let answer = self.route(&Question::of(target, ask.past, ask.claimed));
                frontier.answered(&ask, answer);
                continue;
            }
            let known = {
                let state = self.state();
                let known = state.members.get(&ask.pointer.node_id).map(super::Known::record);
                known.map(|record| (Peer::from(record), record.verdict != Verdict::Alive || !record.present()))
            };
            let Some((peer, suspected)) = known else {
                frontier.silent(&ask);
                continue;
            };
            if suspected && !ask.insists {
                frontier.postpone(ask);
                continue;
            }
            let until = self.attempt_deadline(&peer, deadline);
            let begun = self.env.now();
            let request = Request::Lookup { target, past: ask.past as u32, claimed: ask.claimed };
            let answer = self.call(&peer, request, until, 0).await;
            let now = self.env.now();
            let mut tell = |outcome| watch.asked(&ask.pointer, &peer, now - begun, outcome);
            match answer {
                Ok(Response::Route { done, pointers, past, replicas, records }) => {
                    self.learn_from(peer.boot, &records);
                    let ours = |p: &Pointer| self.ids.contains(p.id);
                    let route = Route {
                        done: done && pointers.first().is_some_and(ours),
                        pointers: pointers.into_iter().filter(ours).collect(),
                        past: past.into_iter().filter(ours).collect(),
                    };
                    if !replicas.is_empty() {
                        told.push((peer.node_id.clone(), replicas));
                    }
                    frontier.answered(&ask, route);
                    tell(if frontier.is_found() { HopOutcome::Owner } else { HopOutcome::Closer });
                }
                Ok(_) => return Err(super::serve::unexpected(&peer)),
                Err(error) => {
                    tell(HopOutcome::Silent);
                    if now >= deadline {
                        let context = format!("lookup of {}: {} nodes asked", self.ids.hex(target), frontier.hops());
                        return Err(Error::new(ErrorKind::Timeout, context).with_source(error));
                    }
                    frontier.silent(&ask);
                }
            }
        }
    }

    fn owner(&self, pointer: Pointer, target: Id, told: &[(NodeId, Vec<Pointer>)]) -> Owner {
        let replicas = match pointer.node_id == self.node_id {
            true => self.replicas_of(target),
            false => {
                told.iter().rev().find(|(from, _)| *from == pointer.node_id).map_or(Vec::new(), |(_, r)| r.clone())
            }
        };
        let records = self.records_of(replicas.iter());
        // A member of whom nothing is known makes a list of which nothing is known.
        let whole = records.len() == replicas.len();
        Owner { pointer, replicas: if whole { records } else { Vec::new() } }
    }

    /// The replica list of the slot that ends at `target`, if this node is in it.
    fn replicas_of(&self, target: Id) -> Vec<Pointer> {
        let slot = self.slots.of(target);
        let view = self.view();
        let list = view.replica_list(slot, self.replicas());
        let ours = |m: &u32| view.member(*m).node_id == self.node_id;
        if self.slots.last_id(slot) != target || !list.iter().any(ours) {
            return Vec::new();
        }
        let told = if planted!("list_without_owner") { &list[1..] } else { &list[..] };
        view.replica_pointers(slot, told)
    }

    /// Answers `Lookup`; a caller of the same view needs no records. Whoever wants to know who follows the target wants
    /// its replicas, too.
    pub(crate) fn serve_lookup(&self, target: Id, past: u32, claimed: bool, same_view: bool) -> Response {
        let Route { done, pointers, past: after } = self.route(&Question::of(target, past as usize, claimed));
        let replicas = if past > 0 { self.replicas_of(target) } else { Vec::new() };
        let all = pointers.iter().chain(&after).chain(&replicas);
        let records = if same_view { Vec::new() } else { self.records_of(all) };
        Response::Route { done, pointers, past: after, replicas, records }
    }

    fn route(&self, question: &Question) -> Route {
        let view = self.view();
        let state = self.state();
        let vnodes = self.with_successors(&view, &state.vnodes);
        // A client has no pointers of its own.
        let begin =
            if vnodes.is_empty() { view.distinct_preceding(question.target, question.closer) } else { Vec::new() };
        let begin: Vec<Pointer> = begin.iter().map(|p| view.pointer(p)).collect();
        route(self.ids, &self.node_id, &vnodes, begin.iter().chain(state.fingers.pointers()), question)
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
        self.records_where(pointers, |_| true)
    }

    /// The same of those of which something new was heard a short time ago; the others are known to all, or exchanged.
    pub(super) fn recent_records_of<'a>(&self, pointers: impl Iterator<Item = &'a Pointer>) -> Vec<NodeRecord> {
        let now = self.env.now();
        self.records_where(pointers, |known| now.saturating_duration_since(known.since) < RECENT_MAX)
    }

    fn records_where<'a>(
        &self,
        pointers: impl Iterator<Item = &'a Pointer>,
        fits: impl Fn(&Known) -> bool,
    ) -> Vec<NodeRecord> {
        let state = self.state();
        let mut records: Vec<NodeRecord> = Vec::new();
        for pointer in pointers {
            if let Some(known) = state.members.get(&pointer.node_id).filter(|known| fits(known))
                && !records.iter().any(|r| r.node_id == pointer.node_id)
            {
                records.push(known.record().clone());
            }
        }
        records
    }
}
