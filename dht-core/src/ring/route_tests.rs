use std::collections::BTreeMap;

use super::super::frontier::{Frontier, Next};
use super::*;

fn space() -> IdSpace {
    IdSpace::new(8).expect("8 bits are in range")
}

fn at(n: u8) -> Id {
    space().from_digest(&[n])
}

fn node(n: u8) -> NodeId {
    NodeId::new(&format!("n{n:03}"))
}

fn pointer(n: u8) -> Pointer {
    Pointer { id: at(n), node_id: node(n), index: 0 }
}

fn pointers(all: &[u8]) -> Vec<Pointer> {
    all.iter().map(|n| pointer(*n)).collect()
}

fn vnode(n: u8, predecessor: Option<u8>, successors: &[u8]) -> VNode {
    let mut vnode = VNode::new(at(n));
    vnode.predecessor = predecessor.map(pointer);
    vnode.successors = pointers(successors);
    vnode
}

fn ask(vnodes: &[VNode], fingers: &[u8], target: u8, past: usize, claimed: bool) -> Route {
    let question = Question { target: at(target), closer: 4, past, claimed };
    route(space(), &node(50), vnodes, pointers(fingers).iter(), &question)
}

#[test]
fn a_node_names_itself_or_its_successor_and_who_follows() {
    let vnodes = [vnode(50, Some(40), &[60, 70, 80])];
    assert_eq!(ask(&vnodes, &[], 45, 2, false), Route { done: true, pointers: pointers(&[50, 60, 70]), past: vec![] });
    assert_eq!(ask(&vnodes, &[], 55, 2, false), Route { done: true, pointers: pointers(&[60, 70, 80]), past: vec![] });
    assert_eq!(ask(&vnodes, &[], 55, 0, false).pointers, pointers(&[60]));
}

#[test]
fn else_it_names_the_nearest_before_the_target_and_who_is_listed_past_it() {
    let vnodes = [vnode(50, Some(40), &[60, 70, 80, 90])];
    let found = ask(&vnodes, &[100, 200, 20], 75, 3, false);
    assert_eq!(found.pointers, pointers(&[70, 60, 20, 200]), "fingers and successors, nearest first");
    assert_eq!(found.past, pointers(&[80, 90]), "of the successor list alone, in order: no node between is missed");
    assert_eq!(ask(&vnodes, &[], 95, 3, false).past, [], "the list does not reach there");
}

#[test]
fn asked_as_the_owner_it_names_its_predecessor() {
    let vnodes = [vnode(50, Some(40), &[60, 70])];
    assert_eq!(ask(&vnodes, &[], 30, 3, true).past, pointers(&[40]));
    assert_eq!(ask(&vnodes, &[], 30, 3, false).past, []);
}

/// A node that is listed before the target may have another position after it, which the list does not name.
#[test]
fn before_a_position_of_its_own_it_names_its_predecessor() {
    let vnodes = [vnode(50, Some(40), &[60, 70, 100]), vnode(90, Some(85), &[100, 110])];
    let own = Pointer { node_id: node(50), index: 1, ..pointer(90) };
    assert_eq!(ask(&vnodes, &[], 80, 3, false).past, [pointer(85), own, pointer(100)]);
}

/// Nodes with nothing but successor lists and predecessors, and what became of those that are dead.
struct Ring {
    nodes: BTreeMap<u8, VNode>,
    dead: Vec<u8>,
    /// Length of successor lists.
    len: usize,
}

impl Ring {
    /// The nodes follow each other in this order, the first after the last.
    fn in_order(order: &[u8], len: usize) -> Self {
        let count = order.len();
        let node = |i: usize| {
            let next: Vec<u8> = (1..=len).map(|j| order[(i + j) % count]).collect();
            (order[i], vnode(order[i], Some(order[(i + count - 1) % count]), &next))
        };
        Self { nodes: (0..count).map(node).collect(), dead: Vec::new(), len }
    }

    /// The walk of node `from`, begun with `begin`.
    fn walk(&self, from: u8, target: u8, verified: bool, begin: Route) -> Option<u8> {
        let mut frontier = Frontier::new(space(), at(target), node(from), verified, begin);
        loop {
            match frontier.next() {
                Next::Found(found) => return Some(found.id.to_be_bytes()[31]),
                Next::Lost => return None,
                Next::Ask(ask) => {
                    let number = ask.pointer.id.to_be_bytes()[31];
                    if self.dead.contains(&number) {
                        frontier.silent(&ask);
                        continue;
                    }
                    let answer = self.says(number, target, ask.past, ask.claimed);
                    frontier.answered(&ask, answer);
                }
            }
        }
    }

    fn says(&self, number: u8, target: u8, past: usize, claimed: bool) -> Route {
        let question = Question::of(at(target), past, claimed);
        route(space(), &node(number), std::slice::from_ref(&self.nodes[&number]), std::iter::empty(), &question)
    }

    /// One round of stabilize and rectify of everybody, as `node/stabilize.rs` does it with messages; then of the check.
    fn round(&mut self, checks: bool) {
        for number in self.nodes.keys().copied().collect::<Vec<_>>() {
            let successor = self.nodes[&number].successors[0].clone();
            self.stabilize(number, successor);
            if checks {
                let successor = self.nodes[&number].successors[0].clone();
                let begin = Route { pointers: vec![successor], ..Route::default() };
                let found = self.walk(number, number, false, begin).map(pointer).expect("all live");
                if self.nodes[&number].unwound_by(&node(number), &found) {
                    self.stabilize(number, found);
                }
            }
        }
    }

    fn stabilize(&mut self, number: u8, first: Pointer) {
        let (me, len) = (node(number), self.len);
        let mut next = Some(first);
        while let Some(successor) = next {
            let there = self.nodes[&successor.id.to_be_bytes()[31]].clone();
            let here = self.nodes.get_mut(&number).expect("a node");
            next = here.stabilized(&me, &successor, there.predecessor.as_ref(), &there.successors, |_| false, len);
            let first = here.successors[0].id.to_be_bytes()[31];
            self.nodes.get_mut(&first).expect("a node").rectify(pointer(number), true);
        }
    }

    /// Everybody's successor is the next node.
    fn is_ordered(&self) -> bool {
        let numbers: Vec<u8> = self.nodes.keys().copied().collect();
        let next = |i: usize| at(numbers[(i + 1) % numbers.len()]);
        numbers.iter().enumerate().all(|(i, n)| self.nodes[n].successors[0].id == next(i))
    }
}

/// Sixteen nodes whose pointers go round twice: every second one, then the others.
fn loopy() -> Ring {
    let twice: Vec<u8> = (0..16).step_by(2).chain((1..16).step_by(2)).map(|n| n * 10).collect();
    Ring::in_order(&twice, 3)
}

#[test]
fn stabilizing_alone_leaves_a_loopy_ring_as_it_is() {
    let mut ring = loopy();
    (0..50).for_each(|_| ring.round(false));
    assert!(!ring.is_ordered());
}

#[test]
fn the_check_unwinds_a_loopy_ring() {
    let mut ring = loopy();
    let rounds = (1..50).find(|_| {
        ring.round(true);
        ring.is_ordered()
    });
    assert!(rounds.is_some(), "{:?}", ring.nodes);
}

#[test]
fn in_an_ordered_ring_the_check_finds_nothing() {
    let ring = Ring::in_order(&[0, 10, 20, 30, 40, 50, 60, 70], 3);
    for (number, own) in &ring.nodes {
        let begin = Route { pointers: vec![own.successors[0].clone()], ..Route::default() };
        assert_eq!(ring.walk(*number, *number, false, begin), Some(*number));
    }
}

/// All but one of a list die at once, before anybody stabilizes: whoever looks for whatever finds the first that lives.
#[test]
fn with_all_but_one_successor_dead_every_lookup_finds_the_first_that_lives() {
    let all: Vec<u8> = (0..24).map(|n| n * 10).collect();
    let mut ring = Ring::in_order(&all, 4);
    ring.dead = all.iter().copied().filter(|n| n % 40 != 0).collect();
    let living: Vec<u8> = all.iter().copied().filter(|n| !ring.dead.contains(n)).collect();
    for &from in &living {
        for target in 0..=239 {
            let owner = living.iter().copied().find(|n| *n >= target).unwrap_or(0);
            let begin = ring.says(from, target, WIDE, false);
            assert_eq!(ring.walk(from, target, true, begin), Some(owner), "{target} from {from}");
        }
    }
}
