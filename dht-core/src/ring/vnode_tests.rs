use super::*;
use crate::ring::id::IdSpace;

fn id(n: u8) -> Id {
    IdSpace::new(8).map(|space| space.from_digest(&[n])).expect("8 bits are in range")
}

fn pointer(n: u8) -> Pointer {
    Pointer { id: id(n), node_id: NodeId::new(&format!("n{n}")), index: 0 }
}

fn ids(vnode: &VNode) -> Vec<Id> {
    vnode.successors.iter().map(|p| p.id).collect()
}

#[test]
fn stabilize_takes_the_successors_list_behind_it_without_us() {
    let me = NodeId::new("n10");
    let mut vnode = VNode::new(id(10));
    let list = [pointer(40), pointer(60), pointer(10), pointer(20)];
    assert_eq!(vnode.stabilized(&me, &pointer(30), Some(&pointer(10)), &list, |_| false, 8), None);
    assert_eq!(ids(&vnode), [id(30), id(40), id(60)], "what lies before the successor cannot follow it");
    assert_eq!(vnode.stabilized(&me, &pointer(30), None, &list, |_| false, 2), None);
    assert_eq!(ids(&vnode), [id(30), id(40)], "at most as long as asked");
}

#[test]
fn stabilize_names_a_node_between_and_does_not_adopt_it() {
    let me = NodeId::new("n10");
    let mut vnode = VNode::new(id(10));
    let between = vnode.stabilized(&me, &pointer(30), Some(&pointer(20)), &[], |_| false, 4);
    assert_eq!(between, Some(pointer(20)));
    assert_eq!(ids(&vnode), [id(30)], "not before it answered");
    assert_eq!(vnode.stabilized(&me, &pointer(20), None, &[pointer(30)], |_| false, 4), None);
    assert_eq!(ids(&vnode), [id(20), id(30)]);
    assert_eq!(
        vnode.stabilized(&me, &pointer(20), Some(&pointer(5)), &[], |_| false, 4),
        None,
        "5 is not between 10 and 20"
    );
}

#[test]
fn a_successor_that_was_silent_keeps_its_place_before_the_one_that_answered() {
    let me = NodeId::new("n10");
    let mut vnode = VNode::new(id(10));
    vnode.stabilized(&me, &pointer(20), None, &[pointer(30), pointer(40)], |_| false, 3);
    assert_eq!(
        vnode.stabilized(&me, &pointer(30), Some(&pointer(20)), &[pointer(40), pointer(50)], |_| false, 3),
        Some(pointer(20))
    );
    assert_eq!(ids(&vnode), [id(20), id(30), id(40)], "the silent 20 stays until it is given up");
    vnode.retain(|p| p.id != id(20));
    assert_eq!(ids(&vnode), [id(30), id(40)]);
}

#[test]
fn only_who_is_suspected_makes_room_for_the_one_that_answered() {
    let me = NodeId::new("n10");
    let mut vnode = VNode::new(id(10));
    vnode.stabilized(&me, &pointer(20), None, &[pointer(30)], |_| false, 2);
    vnode.stabilized(&me, &pointer(40), Some(&pointer(30)), &[], |_| false, 2);
    assert_eq!(ids(&vnode), [id(20), id(30)], "both were silent once, nobody is displaced");
    vnode.stabilized(&me, &pointer(40), Some(&pointer(30)), &[], |p| p.id == id(20), 2);
    assert_eq!(ids(&vnode), [id(30), id(40)]);
    vnode.stabilized(&me, &pointer(50), None, &[], |_| true, 1);
    assert_eq!(ids(&vnode), [id(50)], "shorter than it was");
}

#[test]
fn rectify_takes_a_nearer_node_or_replaces_a_dead_one() {
    let mut vnode = VNode::new(id(50));
    assert!(vnode.rectify(pointer(10), true));
    assert!(vnode.rectify(pointer(40), true));
    assert!(!vnode.rectify(pointer(20), true), "farther");
    assert!(!vnode.rectify(pointer(60), true), "on the other side");
    assert!(!vnode.rectify(pointer(40), false), "the same");
    assert!(vnode.rectify(pointer(20), false), "the nearer one is dead");
    assert_eq!(vnode.predecessor, Some(pointer(20)));
}

#[test]
fn retain_drops_every_pointer_at_the_node() {
    let me = NodeId::new("n10");
    let mut vnode = VNode::new(id(10));
    vnode.stabilized(&me, &pointer(20), None, &[pointer(30)], |_| false, 4);
    vnode.rectify(pointer(30), true);
    assert!(vnode.retain(|p| p.node_id != NodeId::new("n30")));
    assert_eq!((ids(&vnode), vnode.predecessor.clone()), (vec![id(20)], None));
    assert!(!vnode.retain(|p| p.node_id != NodeId::new("n30")));
}
