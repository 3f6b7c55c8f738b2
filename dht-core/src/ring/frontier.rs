//! `Frontier` of one lookup: whom to ask next, what an answer changes, when it is done. Iterative Chord lookup
//! (Stoica et al. 2003, §IV.B) that survives silent nodes.
//!
//! Invariant: a node is asked at most three times (for the way, for more of it, as the owner), and only nodes nearer
//! before the target than the best that has answered are asked for the way while any is left, so the walk ends.
//!
//! A *verified* walk ends at a node that has just answered: at one that calls itself the owner, or else at the nearest one
//! at or after the target that lives, if all that are known before it are silent. An unverified one believes whoever
//! names an owner, and becomes a verified one when its way is lost.

use super::id::{Id, IdSpace};
use super::record::NodeId;
use super::route::Route;
use super::vnode::Pointer;

/// Questions of one lookup at most, unanswered ones included. The longest of 10,000 lookups took 42 with half
/// of 1,000 nodes dead (`docs/benchmarks/ring.md`).
const STEPS_MAX: usize = 96;
/// Nodes at or after the target that are wanted with each answer: as many as may well be dead at once.
pub(crate) const PAST: usize = 4;
/// Nodes before and after the target that are wanted when the way is lost: a whole successor list.
pub(crate) const WIDE: usize = 128;

/// Whom to ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ask {
    pub(crate) pointer: Pointer,
    /// Nodes at or after the target that are wanted.
    pub(crate) past: usize,
    /// It is believed to own the target.
    pub(crate) claimed: bool,
    /// Nobody better is left: it is asked also if it is suspected.
    pub(crate) insists: bool,
}

/// What comes next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    Ask(Ask),
    Found(Pointer),
    /// Every way ended at silent nodes.
    Lost,
}

/// The state of one lookup.
#[derive(Debug)]
pub(crate) struct Frontier {
    ids: IdSpace,
    target: Id,
    verified: bool,
    /// Before the target, known and not asked, nearest last.
    candidates: Vec<Pointer>,
    /// At or after the target, nearest last.
    past: Vec<Pointer>,
    /// Who was asked for the way, and who as the owner.
    asked: Vec<(NodeId, bool)>,
    silent: Vec<NodeId>,
    /// Suspected: asked when nobody else is left.
    postponed: Vec<Ask>,
    /// Have answered and may know more than they told.
    know_more: Vec<Pointer>,
    /// The nearest at or after the target that lives, though it does not call itself the owner.
    lives: Option<Pointer>,
    found: Option<Pointer>,
    steps: usize,
}

impl Frontier {
    /// A walk of `me` that begins with what it says itself. If others take `me` for the owner it is asked about that, as
    /// any other node.
    pub(crate) fn new(ids: IdSpace, target: Id, me: NodeId, verified: bool, begin: Route) -> Self {
        let mut frontier = Self {
            ids,
            target,
            verified,
            candidates: Vec::new(),
            past: Vec::new(),
            asked: vec![(me.clone(), false)],
            silent: Vec::new(),
            postponed: Vec::new(),
            know_more: Vec::new(),
            lives: None,
            found: None,
            steps: 0,
        };
        let owner = begin.pointers.first().filter(|_| begin.done);
        frontier.found = owner.filter(|owner| !verified || owner.node_id == me).cloned();
        frontier.learn(begin);
        frontier
    }

    /// What to do now.
    pub(crate) fn next(&mut self) -> Next {
        if let Some(found) = &self.found {
            return Next::Found(found.clone());
        }
        if self.steps < STEPS_MAX
            && let Some(ask) = self.next_ask()
        {
            self.steps += 1;
            self.asked.push((ask.pointer.node_id.clone(), ask.claimed));
            return Next::Ask(ask);
        }
        // Nearer ones are all silent, and it has answered.
        self.lives.clone().map_or(Next::Lost, Next::Found)
    }

    fn next_ask(&mut self) -> Option<Ask> {
        let past = if self.verified { PAST } else { 0 };
        if self.verified {
            if let Some(pointer) = self.nearest_past() {
                return Some(Ask { pointer, past: PAST, claimed: true, insists: false });
            }
            if self.lives.is_some() {
                return None;
            }
        }
        let target = self.target;
        let before = |p: &Pointer| self.ids.distance(p.id, target);
        let best = self.know_more.iter().map(before).min();
        let nearer = self.candidates.last().map(before).filter(|at| best.is_none_or(|best| *at < best));
        if nearer.is_some() {
            let pointer = self.candidates.pop()?;
            return Some(Ask { pointer, past, claimed: false, insists: false });
        }
        self.verified = true;
        if !self.past.is_empty() {
            return self.next_ask();
        }
        let widest = (0..self.know_more.len()).min_by_key(|at| before(&self.know_more[*at]));
        if let Some(at) = widest {
            let pointer = self.know_more.swap_remove(at);
            return Some(Ask { pointer, past: WIDE, claimed: false, insists: false });
        }
        if let Some(pointer) = self.candidates.pop() {
            return Some(Ask { pointer, past: WIDE, claimed: false, insists: false });
        }
        // Of the suspected ones those first that may be owners, as they were found.
        let at = self.postponed.iter().position(|ask| ask.claimed).unwrap_or(0);
        (!self.postponed.is_empty()).then(|| Ask { insists: true, ..self.postponed.remove(at) })
    }

    /// The nearest candidate for the owner that is nearer than one that lives.
    fn nearest_past(&mut self) -> Option<Pointer> {
        let pointer = self.past.pop()?;
        let after = |p: &Pointer| self.ids.distance(self.target, p.id);
        let nearer = self.lives.as_ref().is_none_or(|lives| after(&pointer) < after(lives));
        nearer.then_some(pointer)
    }

    /// The node asked said this.
    pub(crate) fn answered(&mut self, ask: &Ask, route: Route) {
        let asked = &ask.pointer;
        let owner = route.pointers.first().filter(|_| route.done).cloned();
        if let Some(owner) = &owner
            && (owner.node_id == asked.node_id || !self.verified)
        {
            self.found = Some(owner.clone());
            return;
        }
        if ask.claimed {
            let after = |p: &Pointer| self.ids.distance(self.target, p.id);
            // Whoever names one behind itself is no member of the ring at that position.
            if owner.is_none_or(|owner| after(&owner) < after(asked)) {
                self.lives(asked.clone());
            }
        } else if ask.past < WIDE {
            self.know_more.push(asked.clone());
        }
        self.learn(route);
    }

    /// The node asked did not answer.
    pub(crate) fn silent(&mut self, ask: &Ask) {
        self.silent.push(ask.pointer.node_id.clone());
        let silent = |p: &Pointer| p.node_id == ask.pointer.node_id;
        self.candidates.retain(|p| !silent(p));
        self.past.retain(|p| !silent(p));
        self.know_more.retain(|p| !silent(p));
    }

    /// The node is suspected: others are asked before it.
    pub(crate) fn postpone(&mut self, ask: Ask) {
        self.steps -= 1;
        self.postponed.push(ask);
    }

    /// Whoever was asked last knows the owner.
    pub(crate) fn is_found(&self) -> bool {
        self.found.is_some()
    }

    /// Questions so far, the unanswered ones included.
    pub(crate) fn hops(&self) -> usize {
        self.steps
    }

    fn lives(&mut self, pointer: Pointer) {
        let after = |p: &Pointer| self.ids.distance(self.target, p.id);
        if self.lives.as_ref().is_none_or(|now| after(&pointer) < after(now)) {
            self.lives = Some(pointer);
        }
    }

    fn learn(&mut self, route: Route) {
        let (closer, past) = match route.done {
            true => (Vec::new(), route.pointers),
            false => (route.pointers, route.past),
        };
        for pointer in closer {
            if self.may_ask(&pointer, false) && !self.candidates.contains(&pointer) {
                self.candidates.push(pointer);
            }
        }
        for pointer in past {
            if self.may_ask(&pointer, true) && !self.past.contains(&pointer) {
                self.past.push(pointer);
            }
        }
        let (ids, target) = (self.ids, self.target);
        let asked = |p: &Pointer, claimed| self.asked.iter().any(|(id, c)| *id == p.node_id && *c == claimed);
        self.candidates.retain(|p| !asked(p, false));
        self.past.retain(|p| !asked(p, true));
        self.candidates.sort_by_key(|p| std::cmp::Reverse(ids.distance(p.id, target)));
        self.past.sort_by_key(|p| std::cmp::Reverse(ids.distance(target, p.id)));
    }

    fn may_ask(&self, pointer: &Pointer, claimed: bool) -> bool {
        let asked = self.asked.iter().any(|(id, c)| *id == pointer.node_id && *c == claimed);
        !asked && !self.silent.contains(&pointer.node_id)
    }
}

#[cfg(test)]
#[path = "frontier_tests.rs"]
mod tests;
