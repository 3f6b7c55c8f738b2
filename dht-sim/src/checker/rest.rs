//! What must hold when faults have stopped and the ring has healed.

use std::collections::{BTreeMap, BTreeSet};

use dht_core::{Id, Inspection, NodeId, Pointer};

use super::{Ideal, Rules, names};

/// No table or queue is longer than it may be.
pub(super) fn within_bounds(node: &Inspection) -> Result<(), String> {
    match node.bounds.iter().find(|(_, len, bound)| len > bound) {
        None => Ok(()),
        Some((name, len, bound)) => Err(format!("{}: {len} {name}, at most {bound}", node.node_id)),
    }
}

/// Everybody is active, in one ring, and knows exactly those that run.
pub(super) fn one_ring(nodes: &[Inspection]) -> Result<(), String> {
    let running: BTreeSet<(NodeId, u64)> = nodes.iter().map(|n| (n.node_id.clone(), n.boot)).collect();
    let Some(first) = nodes.first() else { return Ok(()) };
    for node in nodes {
        let me = &node.node_id;
        if !node.active {
            return Err(format!("{me} is not active"));
        }
        if node.ring_id != first.ring_id {
            return Err(format!(
                "{me} and {} are in two rings: {:x?}, {:x?}",
                first.node_id, node.ring_id, first.ring_id
            ));
        }
        let members: BTreeSet<(NodeId, u64)> = node.members.iter().cloned().collect();
        if members != running {
            let missing = names(running.difference(&members).map(|(node, _)| node));
            let gone = names(members.difference(&running).map(|(node, _)| node));
            return Err(format!("the view of {me} lacks [{missing}] and has [{gone}] that do not run"));
        }
        if node.view != first.view {
            return Err(format!("the views of {me} and {} differ", first.node_id));
        }
    }
    Ok(())
}

/// Successor lists and predecessors are those of the ideal ring.
pub(super) fn pointers(node: &Inspection, ideal: &Ideal, len_max: usize) -> Result<(), String> {
    let me = &node.node_id;
    if node.positions != ideal.positions() {
        return Err(format!("{me} sees other positions than there are"));
    }
    for own in &node.pointers {
        if !ideal.successor(own.id).is_some_and(|(id, holder)| id == own.id && holder == me) {
            // The position is another node's; nobody looks for us there.
            continue;
        }
        let list: Vec<(Id, NodeId)> = own.successors.iter().map(plain).collect();
        let wanted = ideal.successors(own.id, me, len_max);
        if list != wanted {
            let text = |list: &[(Id, NodeId)]| list.iter().map(|(_, n)| n.as_str()).collect::<Vec<_>>().join(" ");
            let (list, wanted) = (text(&list), text(&wanted));
            return Err(format!("the successors of {me} at {:?} are [{list}], should be [{wanted}]", own.id));
        }
        let wanted = ideal.predecessor(own.id, me);
        if own.predecessor.as_ref().map(plain) != wanted {
            let now = own.predecessor.as_ref().map(|p| p.node_id.as_str());
            let wanted = wanted.map(|(_, node)| node);
            return Err(format!("the predecessor of {me} at {:?} is {now:?}, should be {wanted:?}", own.id));
        }
    }
    Ok(())
}

/// Each finger is the owner of its start, and where all positions have fingers, none is missing.
pub(super) fn fingers(node: &Inspection, ideal: &Ideal) -> Result<(), String> {
    for start in &node.unset_fingers {
        match ideal.successor(*start) {
            Some((_, owner)) if *owner != node.node_id => {
                return Err(format!("{} has no finger for {start:?}, should be {owner}", node.node_id));
            }
            _ => {}
        }
    }
    for (k, start, finger) in &node.fingers {
        match ideal.successor(*start) {
            Some((id, owner)) if *owner == finger.node_id && id == finger.id => {}
            wanted => {
                let wanted = wanted.map(|(_, node)| node);
                return Err(format!("finger {k} of {} is {}, should be {wanted:?}", node.node_id, finger.node_id));
            }
        }
    }
    Ok(())
}

/// Each slot has the replicas that it should have, all caught up and of one list: no two owners, no missing one.
pub(super) fn owners(nodes: &[Inspection], ideal: &Ideal, rules: &Rules) -> Result<(), String> {
    let mut holders: BTreeMap<u32, (Id, BTreeMap<&NodeId, u64>)> = BTreeMap::new();
    for node in nodes {
        for (slot, last, list, caught_up) in &node.slots {
            if !caught_up {
                return Err(format!("{} has not caught up with slot {slot}", node.node_id));
            }
            holders.entry(*slot).or_insert((*last, BTreeMap::new())).1.insert(&node.node_id, *list);
        }
    }
    for slot in 0..1_u32 << rules.slot_bits {
        let Some((last, now)) = holders.remove(&slot) else { return Err(format!("nobody holds slot {slot}")) };
        let wanted = ideal.replicas(last, rules.replicas);
        if !now.keys().copied().eq(wanted.iter()) {
            let (now, wanted) = (names(now.into_keys()), names(wanted.iter()));
            return Err(format!("slot {slot} is held by [{now}], should be by [{wanted}]"));
        }
        if now.values().collect::<BTreeSet<_>>().len() > 1 {
            return Err(format!("the holders of slot {slot} go by different lists"));
        }
    }
    Ok(())
}

fn plain(pointer: &Pointer) -> (Id, NodeId) {
    (pointer.id, pointer.node_id.clone())
}
