//! What must hold at every step.

use std::collections::BTreeSet;

use dht_core::{Id, NodeId, Pointer, Pointers};

/// One list: clockwise from its position, of distinct nodes, not its own, not too long (Zave, §4, *OrderedSuccessorLists*
/// and *NoDuplicates*).
pub(super) fn ordered(own: &Pointers, me: &NodeId, len_max: usize) -> Result<(), String> {
    let list = &own.successors;
    let text = || {
        let list: Vec<String> = list.iter().map(|p| format!("{}@{:?}", p.node_id, p.id)).collect();
        format!("the successor list of {me} at {:?} is {}", own.id, list.join(", "))
    };
    if list.len() > len_max {
        return Err(format!("{}: longer than {len_max}", text()));
    }
    // Lists are short, and this runs after every message: no set.
    let repeats = |(at, p): (usize, &Pointer)| p.node_id == *me || list[..at].iter().any(|q| q.node_id == p.node_id);
    if list.iter().enumerate().any(repeats) {
        return Err(format!("{}: not of distinct other nodes", text()));
    }
    let mut last = own.id;
    for next in list {
        if !between(last, next.id, own.id) {
            return Err(format!("{}: not clockwise", text()));
        }
        last = next.id;
    }
    match &own.predecessor {
        Some(p) if p.node_id == *me => Err(format!("{me} is its own predecessor")),
        _ => Ok(()),
    }
}

/// Every position has a live entry in its list (Zave, §4, *OneLiveSuccessor*), but of a node that is founding its ring.
pub(super) fn live_successors(
    active: &[(NodeId, Vec<Pointers>)],
    starting: &BTreeSet<NodeId>,
    founding: impl Fn(&NodeId) -> bool,
) -> Result<(), String> {
    if active.len() < 2 {
        return Ok(());
    }
    let live = |node: &NodeId| starting.contains(node) || active.iter().any(|(other, _)| other == node);
    for (me, pointers) in active.iter().filter(|(me, _)| !founding(me)) {
        for own in pointers {
            if !own.successors.iter().any(|p| live(&p.node_id)) {
                let list = super::names(own.successors.iter().map(|p| &p.node_id));
                let others = super::names(active.iter().map(|(node, _)| node));
                return Err(format!(
                    "{me} at {:?} has no live successor: its list is [{list}], alive are {others}",
                    own.id
                ));
            }
        }
    }
    Ok(())
}

/// Strictly clockwise between `a` and `c`; the whole ring but `a` if they are equal.
pub(super) fn between(a: Id, b: Id, c: Id) -> bool {
    if a < c { a < b && b < c } else { b > a || b < c }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn id(n: u8) -> Id {
        let mut bytes = [0; 32];
        bytes[31] = n;
        Id::from_be_bytes(bytes)
    }

    fn pointer(n: u8, node: &str) -> Pointer {
        Pointer { id: id(n), node_id: NodeId::new(node), index: 0 }
    }

    pub(in crate::checker) fn list(own: u8, successors: &[(u8, &str)]) -> Pointers {
        let successors = successors.iter().map(|(n, node)| pointer(*n, node)).collect();
        Pointers { id: id(own), predecessor: None, successors }
    }

    #[test]
    fn lists_out_of_order_or_with_repeats_are_seen() {
        let me = NodeId::new("me");
        let check = |successors: &[(u8, &str)]| ordered(&list(100, successors), &me, 3);
        assert_eq!(check(&[(120, "a"), (250, "b"), (5, "c")]), Ok(()));
        assert_eq!(check(&[]), Ok(()));
        for (wrong, why) in [
            (&[(120, "a"), (110, "b")][..], "not clockwise"),
            (&[(120, "a"), (99, "b"), (101, "c")], "not clockwise"),
            (&[(120, "a"), (130, "a")], "distinct"),
            (&[(120, "a"), (130, "me")], "distinct"),
            (&[(1, "a"), (2, "b"), (3, "c"), (4, "d")], "longer"),
        ] {
            let error = check(wrong).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
        let selfish = Pointers { predecessor: Some(pointer(1, "me")), ..list(100, &[]) };
        assert!(ordered(&selfish, &me, 3).is_err());
    }

    #[test]
    fn a_list_of_dead_nodes_is_seen() {
        let ring = |of_a: &[(u8, &str)]| {
            let ring = [
                (NodeId::new("a"), vec![list(1, of_a)]),
                (NodeId::new("b"), vec![list(2, &[(3, "c")])]),
                (NodeId::new("c"), vec![list(3, &[(1, "a")])]),
                (NodeId::new("founder"), vec![list(4, &[])]),
            ];
            live_successors(&ring, &BTreeSet::new(), |node| node.as_str() == "founder")
        };
        assert_eq!(ring(&[(9, "dead"), (3, "c")]), Ok(()));
        assert!(ring(&[(9, "dead")]).is_err() && ring(&[]).is_err());
    }
}
