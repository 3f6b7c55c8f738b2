//! `VNode`: Chord's pointers of one position, as corrected by Zave (*How to Make Chord Correct*, arXiv 1502.06461).
//!
//! Invariants: a pointer is adopted only from a node that has just answered; the successor list is in clockwise order
//! from this position, of distinct other nodes, at most as long as configured; in a ring of fewer nodes it is all the
//! others. Transitions are synchronous: ask → await → apply, and apply checks again what it relies on.

use super::id::{Id, Span};
use super::record::NodeId;

/// A position on the ring and the node that has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointer {
    /// The position.
    pub id: Id,
    /// Whose it is.
    pub node_id: NodeId,
    /// Which of the node's positions.
    pub index: u32,
}

/// One position of this node and what it knows of its neighbours.
#[derive(Clone, Debug)]
pub(crate) struct VNode {
    pub(crate) id: Id,
    /// The first other node anticlockwise.
    pub(crate) predecessor: Option<Pointer>,
    /// The next distinct other nodes clockwise.
    pub(crate) successors: Vec<Pointer>,
    /// What the successor answered when `successors` came to be as they are: while it still answers that, stabilizing
    /// changes nothing.
    settled: Option<Settled>,
}

/// A successor's answer that led to nothing new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Settled {
    successor: Id,
    /// Hash of what it answered.
    answer: u64,
}

impl VNode {
    pub(crate) fn new(id: Id) -> Self {
        Self { id, predecessor: None, successors: Vec::new(), settled: None }
    }

    /// The hash of what the node at `successor` may answer without changing anything here; 0: none.
    pub(crate) fn known_answer(&self, successor: Id) -> u64 {
        self.settled.filter(|s| s.successor == successor).map_or(0, |s| s.answer)
    }

    /// Stabilizing with that answer came to its end: the next time it is no news.
    pub(crate) fn settle(&mut self, successor: Id, answer: u64) {
        self.settled = Some(Settled { successor, answer });
    }

    /// *Stabilize*, the part after the successor answered: its list becomes ours behind it. Nodes that we know before it
    /// did not answer and stay until they are given up, or until they are `suspected` where the list has no room for them
    /// and it: one lost message must not displace one that lives. Returns the node between us and the successor, if it
    /// knows one: the caller asks that one next and, if it answers, calls this again with it.
    pub(crate) fn stabilized(
        &mut self,
        me: &NodeId,
        successor: &Pointer,
        its_predecessor: Option<&Pointer>,
        its_successors: &[Pointer],
        suspected: impl Fn(&Pointer) -> bool,
        len_max: usize,
    ) -> Option<Pointer> {
        let before = Span::open(self.id, successor.id);
        let kept = self.successors.iter().filter(|p| before.contains(p.id) && p.node_id != successor.node_id);
        let mut list: Vec<Pointer> = kept.take(len_max).cloned().collect();
        if list.len() == len_max {
            let displaced = planted!("lost_message_displaces").then_some(len_max - 1);
            if let Some(at) = displaced.or_else(|| list.iter().rposition(suspected)) {
                list.remove(at);
            }
        }
        if list.len() < len_max {
            list.push(successor.clone());
        }
        for next in its_successors {
            if list.len() == len_max {
                break;
            }
            // Past ourselves the successor's list goes round: what follows is already in front.
            let beyond_last = list.last().is_none_or(|last| Span::open(last.id, self.id).contains(next.id));
            let listed = list.iter().any(|p| p.node_id == next.node_id) && !planted!("count_vnodes");
            if next.node_id != *me && beyond_last && !listed {
                list.push(next.clone());
            }
        }
        // A small ring has fewer others than the list may hold, and a successor does not list itself: nodes we knew
        // behind the new list's end stay until they fail.
        for known in &self.successors {
            if list.len() == len_max {
                break;
            }
            let behind = list.last().is_none_or(|last| Span::open(last.id, self.id).contains(known.id));
            if behind && known.node_id != *me && !list.iter().any(|p| p.node_id == known.node_id) {
                list.push(known.clone());
            }
        }
        self.successors = list;
        self.settled = None;
        let others = its_predecessor.filter(|p| p.node_id != *me && p.node_id != successor.node_id);
        let nearer = others.filter(|p| Span::open(self.id, successor.id).contains(p.id)).cloned();
        if planted!("adopt_unverified")
            && let Some(nearer) = nearer
        {
            self.successors.retain(|p| p.node_id != nearer.node_id);
            self.successors.insert(0, nearer);
            self.successors.truncate(len_max);
            return None;
        }
        nearer
    }

    /// *Rectify*: `candidate` notified us and has just answered. Adopts it if it is nearer than the predecessor, or if
    /// that one did not answer. Returns whether the pointer changed.
    pub(crate) fn rectify(&mut self, candidate: Pointer, predecessor_answers: bool) -> bool {
        let nearer = match &self.predecessor {
            Some(now) if *now == candidate => false,
            Some(_) if predecessor_answers && planted!("rectify_keeps_first") => false,
            Some(now) => !predecessor_answers || Span::open(now.id, self.id).contains(candidate.id),
            None => true,
        };
        if nearer {
            self.predecessor = Some(candidate);
        }
        nearer
    }

    /// *Fail*: forgets every pointer that `keeps` does not keep: its node was given up, or has other positions now. Returns
    /// whether there was one.
    pub(crate) fn retain(&mut self, keeps: impl Fn(&Pointer) -> bool) -> bool {
        let len = self.successors.len();
        self.successors.retain(&keeps);
        let shorter = self.successors.len() != len;
        if shorter {
            self.settled = None;
        }
        self.predecessor.take_if(|p| !keeps(p)).is_some() || shorter
    }

    /// True if `found`, whom a walk round the ring found to own this position, lies between it and its successor.
    pub(crate) fn unwound_by(&self, me: &NodeId, found: &Pointer) -> bool {
        let nearer = |successor: &Pointer| Span::open(self.id, successor.id).contains(found.id);
        found.node_id != *me && self.successors.first().is_some_and(nearer)
    }

    /// True if the nearest known node after this position owns `id`.
    pub(crate) fn successor_owns(&self, id: Id) -> Option<&Pointer> {
        self.successors.first().filter(|s| Span::half_open(self.id, s.id).contains(id))
    }
}

#[cfg(test)]
#[path = "vnode_tests.rs"]
mod tests;
