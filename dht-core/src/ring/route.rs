//! One step of a lookup: what one node can say of a target from its own pointers (Stoica et al. 2003, §IV.B,
//! *closest_preceding_node* over fingers and successor lists of all its positions). Pure: nodes and measurements of rings
//! without nodes share it.

use super::frontier::{PAST, WIDE};
use super::id::{Id, IdSpace, Span};
use super::record::NodeId;
use super::vnode::{Pointer, VNode};

/// What is asked of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Question {
    /// Whose owner is looked for.
    pub(crate) target: Id,
    /// Nodes before the target that are wanted at most.
    pub(crate) closer: usize,
    /// Nodes at or after the target that are wanted at most.
    pub(crate) past: usize,
    /// The node asked is believed to own the target.
    pub(crate) claimed: bool,
}

/// Nodes before the target in one answer: enough alternatives for a few dead ones.
const CLOSER: usize = 4;

impl Question {
    /// What a walk asks that wants so many nodes past the target: with more than a few of them it wants all it can get.
    pub(crate) fn of(target: Id, past: usize, claimed: bool) -> Self {
        let past = past.min(WIDE);
        Self { target, closer: if past > PAST { WIDE } else { CLOSER }, past, claimed }
    }
}

/// What it answers. All lists are of distinct nodes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Route {
    /// It knows the owner.
    pub(crate) done: bool,
    /// If `done` the owner, then those that follow it; else nodes before the target, closest first.
    pub(crate) pointers: Vec<Pointer>,
    /// Unless `done`: nodes at or after the target, nearest first, who own it if no nearer one lives.
    pub(crate) past: Vec<Pointer>,
}

/// What a node with these positions and fingers answers.
pub(crate) fn route<'a>(
    ids: IdSpace,
    me: &NodeId,
    vnodes: &'a [VNode],
    fingers: impl Iterator<Item = &'a Pointer>,
    question: &Question,
) -> Route {
    let target = question.target;
    let own = |(index, vnode): (usize, &VNode)| Pointer { id: vnode.id, node_id: me.clone(), index: index as u32 };
    let done = |owner: Pointer, next: &[Pointer]| {
        let next = next.iter().filter(|p| p.node_id != owner.node_id).take(question.past);
        Route { done: true, pointers: std::iter::once(owner.clone()).chain(next.cloned()).collect(), past: Vec::new() }
    };
    let alone = vnodes.iter().all(|v| v.successors.is_empty());
    // Of our own positions, the first at or after the target.
    let nearest = vnodes.iter().enumerate().min_by_key(|(_, v)| ids.distance(target, v.id));
    let owns = |vnode: &VNode| {
        let before = |p: &Pointer| match planted!("wrong_interval") {
            false => Span::half_open(p.id, vnode.id),
            true => Span::half_open(vnode.id, p.id),
        };
        vnode.predecessor.as_ref().is_some_and(|p| before(p).contains(target))
    };
    if let Some(nearest) = nearest.filter(|_| alone || vnodes.iter().any(owns)) {
        // Between the predecessor and the vnode that owns the target other vnodes of ours may lie.
        return done(own(nearest), &nearest.1.successors);
    }
    let owned_by_next =
        |v: &'a VNode| v.successor_owns(target).map(|owner| (owner, v.successors.get(1..).unwrap_or(&[])));
    if let Some((owner, next)) = vnodes.iter().find_map(owned_by_next) {
        // Successor lists name other nodes only: a vnode of ours may lie between the target and that one. It has no
        // predecessor of its own to tell, since the node before it notifies the first of ours.
        let between = |v: &VNode| ids.distance(target, v.id) < ids.distance(target, owner.id);
        return match nearest.filter(|(_, v)| between(v)) {
            Some(nearest) => done(own(nearest), &nearest.1.successors),
            None => done(owner.clone(), next),
        };
    }
    let successors = || vnodes.iter().flat_map(|v| &v.successors);
    let closer = nearest_nodes(successors().chain(fingers), question.closer, |p| ids.distance(p.id, target));
    Route { done: false, pointers: closer, past: past(ids, me, vnodes, question) }
}

/// Nodes at or after the target: those of successor lists that reach over it, and ourselves if one of our positions comes
/// before those; before a position of which somebody believes that it owns the target, its predecessor. Lists name each node
/// once, and one that is named before the target may have another position after it: only who is asked can tell.
fn past(ids: IdSpace, me: &NodeId, vnodes: &[VNode], question: &Question) -> Vec<Pointer> {
    let target = question.target;
    let after = |id: Id| ids.distance(target, id);
    let nearest = vnodes.iter().enumerate().min_by_key(|(_, v)| after(v.id));
    let Some((index, vnode)) = nearest.filter(|_| question.past > 0) else { return Vec::new() };
    let reaching = |v: &VNode, p: &Pointer| Span::half_open(v.id, p.id).contains(target);
    let listed = || vnodes.iter().flat_map(|v| v.successors.iter().filter(move |p| reaching(v, p)));
    let first = listed().map(|p| after(p.id)).min().is_some_and(|first| after(vnode.id) < first);
    let own = first.then(|| Pointer { id: vnode.id, node_id: me.clone(), index: index as u32 });
    let before = vnode.predecessor.as_ref().filter(|p| (first || question.claimed) && after(p.id) < after(vnode.id));
    nearest_nodes(listed().chain(&own).chain(before), question.past, |p| after(p.id))
}

/// Of `pointers` at most `count` with the smallest distance, ascending, one for each node.
fn nearest_nodes<'a>(
    pointers: impl Iterator<Item = &'a Pointer>,
    count: usize,
    distance: impl Fn(&Pointer) -> Id,
) -> Vec<Pointer> {
    // A node may know thousands and few are wanted: no sort of all.
    let mut nearest: Vec<(Id, &Pointer)> = Vec::with_capacity(count + 1);
    for pointer in pointers {
        let at = distance(pointer);
        if nearest.len() == count && nearest.last().is_none_or(|(last, _)| at >= *last) {
            continue;
        }
        match nearest.iter().position(|(_, p)| p.node_id == pointer.node_id) {
            Some(same) if nearest[same].0 <= at => continue,
            Some(same) => drop(nearest.remove(same)),
            None => {}
        }
        let place = nearest.partition_point(|(other, _)| *other <= at);
        nearest.insert(place, (at, pointer));
        nearest.truncate(count);
    }
    nearest.into_iter().map(|(_, pointer)| pointer.clone()).collect()
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
