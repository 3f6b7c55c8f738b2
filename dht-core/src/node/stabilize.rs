//! Chord's *stabilize* of every vnode (Zave, *How to Make Chord Correct*, arXiv 1502.06461).
//!
//! One vnode is stabilized a period, in turn, and besides it those whose pointers differ from the view, at once when the
//! view changes, all those with one successor in one message: 200 vnodes do not cost 200 times the messages. A successor
//! that still answers what led to the pointers as they are says so in a byte, and a predecessor that it names is not
//! notified again.
//!
//! A successor that does not answer keeps its place until the failure detector has judged it: one lost message forgets
//! nobody. The next one is asked for what follows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::peers::Peer;
use super::{Node, State};
use crate::ring::id::{Id, Span};
use crate::ring::record::{NodeId, Verdict};
use crate::ring::view::RingView;
use crate::ring::vnode::{Pointer, VNode};
use crate::wire::limits::{POINTERS_MAX, POSITIONS_MAX};
use crate::wire::message::{Neighbours, Request, Response};

/// A successor that names a nearer one is followed this often in one round; the rest is left for the next.
const FOLLOW_MAX: usize = 8;
/// Nodes asked at a time.
const PEERS_MAX: usize = 16;

/// One vnode in one round.
struct Turn {
    index: usize,
    id: Id,
    /// The successor named this one as nearer: it is asked next.
    nearer: Option<Pointer>,
    /// These did not answer in this round.
    silent: BTreeSet<NodeId>,
}

/// What a successor's answer did to a vnode.
enum Applied {
    /// The successor names this node as its predecessor: nothing to tell.
    Named,
    /// The successor does not know of this vnode yet.
    Notify,
    /// A nearer node may be the successor: ask that one.
    Nearer(Pointer),
}

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
        let mut wanted = node.differing_from_view();
        if in_turn && !wanted.contains(&turn) {
            wanted.push(turn);
        }
        node.stabilize_vnodes(&wanted).await;
        // A notify may have been lost, or come before this node knew its sender: the view says who should have sent one.
        let missing = node.missing_predecessors();
        if !missing.is_empty() && !planted!("no_notify") {
            node.serve_notify(missing).await;
        }
    }
}

impl Node {
    /// Vnodes whose successor list is not the one that follows from the view, by index.
    pub(crate) fn differing_from_view(&self) -> Vec<usize> {
        let view = self.view();
        let me = view.member_index(&self.node_id);
        let state = self.state();
        let differs = |vnode: &VNode| {
            let next = view.distinct_after(vnode.id, me, self.config.successor_list_size);
            !next.iter().map(|p| p.id).eq(vnode.successors.iter().map(|p| p.id))
        };
        state.vnodes.iter().enumerate().filter(|(_, v)| differs(v)).map(|(index, _)| index).collect()
    }

    /// One round of these vnodes.
    pub(crate) async fn stabilize_vnodes(self: &Arc<Self>, indices: &[usize]) {
        let turns: Vec<Turn> = {
            let state = self.state();
            let turn = |&index: &usize| {
                let id = state.vnodes.get(index)?.id;
                Some(Turn { index, id, nearer: None, silent: BTreeSet::new() })
            };
            indices.iter().filter_map(turn).collect()
        };
        self.stabilize_turns(turns).await;
    }

    /// A round of the vnode at `id`, of which somebody says that `nearer` is its successor: it is asked first.
    pub(super) async fn stabilize_with(self: &Arc<Self>, index: usize, id: Id, nearer: Pointer) {
        self.stabilize_turns(vec![Turn { index, id, nearer: Some(nearer), silent: BTreeSet::new() }]).await;
    }

    async fn stabilize_turns(self: &Arc<Self>, mut turns: Vec<Turn>) {
        self.stats.stabilize_operations.add(turns.len() as u64);
        let mut notices: BTreeMap<Peer, Vec<(Pointer, Id)>> = BTreeMap::new();
        for _ in 0..FOLLOW_MAX {
            let asks = self.group_by_successor(turns);
            if asks.is_empty() {
                break;
            }
            let asked = futures_util::stream::iter(asks).map(|(peer, turns)| self.ask_successor(peer, turns));
            let answered: Vec<_> = asked.buffered(PEERS_MAX).collect().await;
            turns = Vec::new();
            for (peer, unfinished, unknown_there) in answered {
                turns.extend(unfinished);
                if !unknown_there.is_empty() {
                    notices.entry(peer).or_default().extend(unknown_there);
                }
            }
        }
        // Nobody is told of a node that is not in the ring yet, or on its way out (Zave, §3: only members notify).
        if self.state().members.own().placed() && !planted!("no_notify") {
            for (peer, pointers) in notices {
                self.tell(&peer.address, Request::Notify { pointers });
            }
        }
    }

    /// Whom to ask about which vnode; those whose every successor is silent are left as they are.
    fn group_by_successor(&self, turns: Vec<Turn>) -> Vec<(Peer, Vec<(Turn, Pointer)>)> {
        let view = self.view();
        let mut groups: BTreeMap<Peer, Vec<(Turn, Pointer)>> = BTreeMap::new();
        {
            let state = self.state();
            for mut turn in turns {
                let Some(successor) = self.next_to_ask(&state, &view, &mut turn) else { continue };
                let Some(known) = state.members.get(&successor.node_id) else { continue };
                groups.entry(Peer::from(known.record())).or_default().push((turn, successor));
            }
        }
        let positions_max = (POINTERS_MAX / (self.config.successor_list_size + 1)).clamp(1, POSITIONS_MAX);
        let mut parts = Vec::new();
        for (peer, mut turns) in groups {
            while !turns.is_empty() {
                let rest = turns.split_off(turns.len().min(positions_max));
                parts.push((peer.clone(), std::mem::replace(&mut turns, rest)));
            }
        }
        parts
    }

    /// The nearest node after the vnode that is known, by the view or by the vnode itself, and was not silent.
    fn next_to_ask(&self, state: &State, view: &RingView, turn: &mut Turn) -> Option<Pointer> {
        if let Some(nearer) = turn.nearer.take() {
            return Some(nearer);
        }
        let vnode = state.vnodes.get(turn.index).filter(|v| v.id == turn.id)?;
        let me = view.member_index(&self.node_id);
        // As many of the view as were silent, and one more.
        let by_view = view.distinct_after(vnode.id, me, turn.silent.len() + 1);
        let by_view = by_view.iter().map(|p| view.pointer(p));
        let heard = vnode.successors.iter().cloned().chain(by_view).filter(|p| !turn.silent.contains(&p.node_id));
        heard.min_by_key(|p| self.ids.distance(vnode.id, p.id))
    }

    /// Asks one node for the neighbours of several of its positions, and takes in the answer. Returns the vnodes that
    /// have to ask somebody else now, and what the node should be notified of.
    async fn ask_successor(
        self: &Arc<Self>,
        peer: Peer,
        turns: Vec<(Turn, Pointer)>,
    ) -> (Peer, Vec<Turn>, Vec<(Pointer, Id)>) {
        let positions: Vec<Id> = turns.iter().map(|(_, successor)| successor.id).collect();
        let known = {
            let state = self.state();
            let known =
                |(turn, at): &(Turn, Pointer)| state.vnodes.get(turn.index).map_or(0, |v| v.known_answer(at.id));
            turns.iter().map(known).collect()
        };
        let asked = positions.len();
        let answer =
            self.call(&peer, Request::Stabilize { positions, known }, self.deadline_for_maintenance(), 0).await;
        let items = match answer {
            Ok(Response::Neighbours { items, records }) if items.len() == asked => {
                self.learn_from(peer.boot, &records);
                items
            }
            _ => {
                let silent = |(mut turn, successor): (Turn, Pointer)| {
                    if planted!("drop_silent_successor")
                        && let Some(vnode) = self.state().vnodes.get_mut(turn.index)
                    {
                        vnode.retain(|p| p.node_id != successor.node_id);
                    }
                    turn.silent.insert(successor.node_id);
                    turn
                };
                return (peer, turns.into_iter().map(silent).collect(), Vec::new());
            }
        };
        let (mut unfinished, mut unknown_there) = (Vec::new(), Vec::new());
        for ((mut turn, successor), item) in turns.into_iter().zip(items) {
            // As before, when it named us: neither list nor notify has anything new to say.
            let Some(neighbours) = item else { continue };
            match self.apply(&turn, &successor, neighbours) {
                Some(Applied::Nearer(nearer)) if !turn.silent.contains(&nearer.node_id) => {
                    turn.nearer = Some(nearer);
                    unfinished.push(turn);
                }
                Some(Applied::Notify | Applied::Nearer(_)) => {
                    let me = Pointer { id: turn.id, node_id: self.node_id.clone(), index: turn.index as u32 };
                    unknown_there.push((me, successor.id));
                }
                Some(Applied::Named) | None => {}
            }
        }
        (peer, unfinished, unknown_there)
    }

    /// Takes in what a successor answered. `None`: the vnode, or the successor, is not there any more.
    fn apply(&self, turn: &Turn, successor: &Pointer, answer: Neighbours) -> Option<Applied> {
        let hash = answer.hash();
        let mut state = self.state();
        let len = answer.successors.len();
        let names_unknown = answer.predecessor.as_ref().is_some_and(|p| !state.members.has_position(p));
        let predecessor = answer.predecessor.filter(|_| !names_unknown);
        let successors: Vec<Pointer> =
            answer.successors.into_iter().filter(|p| state.members.has_position(p)).collect();
        let whole = successors.len() == len && !names_unknown;
        // It may have left while its answer was on the way.
        if !state.members.has_position(successor) {
            return None;
        }
        let State { vnodes, members, .. } = &mut *state;
        let suspected = |p: &Pointer| members.get(&p.node_id).is_none_or(|k| k.record().verdict != Verdict::Alive);
        let vnode = vnodes.get_mut(turn.index).filter(|v| v.id == turn.id)?;
        let len_max = self.config.successor_list_size;
        let nearer = vnode.stabilized(&self.node_id, successor, predecessor.as_ref(), &successors, suspected, len_max);
        if let Some(nearer) = nearer {
            return Some(Applied::Nearer(nearer));
        }
        // Another vnode of ours may lie between this one and the successor: that one is nearer.
        let between = Span::half_open(turn.id, successor.id);
        let named = predecessor.is_some_and(|p| {
            p.node_id == self.node_id && (p.id == turn.id || p.id != successor.id && between.contains(p.id))
        });
        if !named {
            return Some(Applied::Notify);
        }
        if whole && vnode.successors.first() == Some(successor) {
            vnode.settle(successor.id, hash);
        }
        Some(Applied::Named)
    }

    pub(super) fn deadline_for_maintenance(&self) -> Instant {
        self.env.now() + self.config.request_timeout / 2
    }
}
