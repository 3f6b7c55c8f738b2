//! Zave's *SufficientPrincipals* (§4): a member is a principal if no member's extended successor list (its position and
//! its list) skips it; a ring with lists of r keeps r + 1 of them. Here, as everywhere, nodes count, not positions.

use dht_core::{Id, NodeId, Pointers};

use super::step::between;

/// At least `successors_max` + 1 principals, once as many nodes are `settled`: who has just joined is known to few.
pub(super) fn enough(
    active: &[(NodeId, Vec<Pointers>)],
    settled: impl Fn(&NodeId) -> bool,
    successors_max: usize,
) -> Result<(), String> {
    if active.iter().filter(|(node, _)| settled(node)).count() <= successors_max {
        return Ok(());
    }
    let skipped: Vec<(&NodeId, String)> =
        active.iter().filter_map(|(node, own)| Some((node, who_skips(node, own, active)?))).collect();
    let principals = active.len() - skipped.len();
    if principals > successors_max {
        return Ok(());
    }
    let skipped: Vec<String> = skipped.iter().map(|(node, by)| format!("{node} by {by}")).collect();
    Err(format!("only {principals} principals, with lists of {successors_max}: skipped are {}", skipped.join(", ")))
}

fn who_skips(node: &NodeId, own: &[Pointers], active: &[(NodeId, Vec<Pointers>)]) -> Option<String> {
    let mut lists =
        active.iter().filter(|(other, _)| other != node).flat_map(|(o, lists)| lists.iter().map(move |l| (o, l)));
    lists.find_map(|(other, list)| {
        let position = own.iter().find(|position| skips(list, node, position.id))?;
        let named: Vec<String> = list.successors.iter().map(|p| format!("{} {:?}", p.node_id, p.id)).collect();
        Some(format!("{other} {:?}: {:?} is not in [{}]", list.id, position.id, named.join(", ")))
    })
}

/// The list goes past that position of `node` without having named the node before.
fn skips(list: &Pointers, node: &NodeId, position: Id) -> bool {
    let mut last = list.id;
    for next in &list.successors {
        if between(last, position, next.id) {
            return true;
        }
        if next.node_id == *node {
            return false;
        }
        last = next.id;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::step::tests::list;
    use super::*;

    fn ring(of_a: &[(u8, &str)]) -> Vec<(NodeId, Vec<Pointers>)> {
        vec![
            (NodeId::new("a"), vec![list(10, of_a), list(60, &[(20, "b"), (30, "c")])]),
            (NodeId::new("b"), vec![list(20, &[(30, "c"), (60, "a")])]),
            (NodeId::new("c"), vec![list(30, &[(60, "a"), (20, "b")])]),
        ]
    }

    #[test]
    fn a_node_that_a_list_skips_is_no_principal() {
        let check = |of_a: &[(u8, &str)]| enough(&ring(of_a), |_| true, 2);
        assert_eq!(check(&[(20, "b"), (30, "c")]), Ok(()));
        // Too short a list skips nobody.
        assert_eq!(check(&[(20, "b")]), Ok(()));
        let error = check(&[(30, "c")]).expect_err("b is skipped");
        assert!(error.contains("only 2 principals") && error.contains("b by a "), "{error}");
        // Nobody asks for more principals than nodes have been there for a while.
        assert_eq!(enough(&ring(&[(30, "c")]), |node| node.as_str() != "b", 2), Ok(()));
        assert_eq!(enough(&ring(&[(30, "c")]), |_| true, 3), Ok(()));
    }
}
