use std::sync::Arc;

use proptest::prelude::*;

use super::super::id::IdSpace;
use super::super::record::{Member, test_record};
use super::super::view::positions_of;
use super::*;

fn slots(bits: u16, slot_bits: u8) -> SlotSpace {
    SlotSpace::new(IdSpace::new(bits).expect("1..=256"), slot_bits)
}

fn view(slots: SlotSpace, records: &[NodeRecord]) -> RingView {
    let member = |record: &NodeRecord| {
        Arc::new(Member { positions: positions_of("test", slots.ids(), record), record: record.clone() })
    };
    RingView::derive(slots.ids(), slots, records.iter().map(member).collect::<Vec<_>>().iter())
}

fn record(node_id: &str, vnodes: u32) -> NodeRecord {
    NodeRecord { vnodes, ..test_record(node_id) }
}

/// Nodes that join one after the other.
fn grown(slots: SlotSpace, nodes: usize, vnodes: u32) -> Vec<NodeRecord> {
    let mut records = Vec::new();
    for n in 0..nodes {
        let mut next = record(&format!("n{n}"), vnodes);
        next.choices = choose("test", slots, &view(slots, &records), &next);
        records.push(next);
    }
    records
}

fn most_over_mean(slots: SlotSpace, records: &[NodeRecord]) -> f64 {
    let shares = view(slots, records).shares();
    shares.iter().copied().fold(0.0, f64::max) * shares.len() as f64
}

/// The targets are medians over seeds (`sim-tables balance`); these rings are well within them.
#[test]
fn shares_are_even() {
    for (nodes, vnodes, at_most) in [(10, 16, 1.25), (100, 16, 1.35), (10, 200, 1.15), (100, 200, 1.2)] {
        let slots = slots(160, 14);
        let chosen = grown(slots, nodes, vnodes);
        let plain: Vec<NodeRecord> = chosen.iter().map(|r| NodeRecord { choices: Vec::new(), ..r.clone() }).collect();
        let (with, without) = (most_over_mean(slots, &chosen), most_over_mean(slots, &plain));
        assert!(with <= at_most, "{nodes} nodes, {vnodes} vnodes: {with}");
        assert!(without > with, "{nodes} nodes, {vnodes} vnodes: {without} without a choice, {with} with it");
    }
}

#[test]
fn a_founder_spreads_its_positions() {
    let slots = slots(160, 14);
    let squares = |record: &NodeRecord| {
        let view = view(slots, std::slice::from_ref(record));
        let ends: Vec<i64> = view.positions().iter().map(|p| slots_until(slots, p.id)).collect();
        let before = ends.last().map(|last| last - i64::from(slots.count()));
        let arcs = ends.iter().zip(before.iter().chain(&ends)).map(|(end, before)| end - before);
        arcs.map(|arc| arc * arc).sum::<i64>()
    };
    let founder = &grown(slots, 1, 16)[0];
    let even = i64::from(slots.count()).pow(2) / 16;
    // Random positions have twice the squares of even ones.
    let (with, without) = (squares(founder), squares(&record("n0", 16)));
    assert!(with < even * 5 / 4 && without > even * 3 / 2, "{with} with, {without} without, {even} if even");
}

#[test]
fn known_choices() {
    // Computed in Python from the definition: all shares and arcs counted anew for every candidate.
    let records = grown(slots(160, 14), 3, 6);
    let choices: Vec<&[u8]> = records.iter().map(|r| r.choices.as_slice()).collect();
    assert_eq!(choices, [[0, 8, 6, 15, 0, 15], [3, 11, 15, 2, 9, 13], [13, 11, 8, 1, 6, 12]]);
}

/// Every candidate of a node, by its definition.
fn candidates(slots: SlotSpace, node_id: &str, index: u32) -> Vec<Id> {
    (0..CANDIDATES).map(|c| position(slots.ids(), "test", node_id, index, c)).collect()
}

/// A node joins a ring in which every node has three positions.
fn free_positions_are_preferred(bits: u16, slot_bits: u8, nodes: usize, vnodes: u32) -> Result<(), TestCaseError> {
    let slots = slots(bits, slot_bits);
    let mut records = grown(slots, nodes, 3);
    let before = view(slots, &records);
    let mut joining = record("joining", vnodes);
    joining.choices = choose("test", slots, &before, &joining);
    prop_assert_eq!(joining.choices.len(), vnodes as usize);
    prop_assert_eq!(&choose("test", slots, &before, &joining), &joining.choices, "the same again");
    let chosen = positions_of("test", slots.ids(), &joining);
    let taken = |id: &Id| before.positions().iter().any(|p| p.id == *id);
    prop_assert!(joining.choices.iter().all(|choice| *choice < CANDIDATES));
    // A candidate that neither the others nor another position of its own has.
    let is_free = |id: &Id| !taken(id) && !chosen.contains(id);
    let left: Vec<bool> = (0..vnodes).map(|index| candidates(slots, "joining", index).iter().any(is_free)).collect();
    for (index, id) in chosen.iter().enumerate().filter(|(index, _)| left[*index]) {
        prop_assert!(!taken(id), "position {} is another's", index);
        // One that found nothing free may coincide with it: choice 0 then stands for none.
        let same = |(other, (i, left)): (usize, (&Id, &bool))| other != index && i == id && *left;
        prop_assert!(!chosen.iter().zip(&left).enumerate().any(same), "position {} is double", index);
    }
    // Nobody loses a position as long as there were free ones, and the joining node has one if there was one.
    let any_free = (0..vnodes).flat_map(|i| candidates(slots, "joining", i)).any(|id| !taken(&id));
    records.push(joining);
    let after = view(slots, &records);
    let me = after.member_index(&crate::ring::record::NodeId::new("joining")).expect("it is a member");
    prop_assert!(!any_free || after.positions_of(me).next().is_some());
    Ok(())
}

#[test]
fn choice_0_stands_for_none_where_nothing_is_free() {
    // Position 5 finds nothing free, and its candidate 0 happens to be where position 4 is.
    free_positions_are_preferred(5, 0, 8, 6).expect("it holds");
}

proptest! {
    #[test]
    fn free_positions_are_chosen_while_there_are_any(
        bits in prop_oneof![1..=9_u16, 1..=256_u16], slot_bits in 0..=14_u8,
        nodes in 0..12_usize, vnodes in 1..9_u32,
    ) {
        free_positions_are_preferred(bits, slot_bits, nodes, vnodes)?;
    }

    #[test]
    fn the_tally_of_shares_is_that_of_the_view(
        bits in prop_oneof![1..=9_u16, 1..=256_u16], slot_bits in 0..=14_u8,
        nodes in 0..6_usize, order in prop::collection::vec((0..8_u32, 0..CANDIDATES, any::<bool>()), 1..24),
    ) {
        let slots = slots(bits, slot_bits);
        let records: Vec<NodeRecord> = (0..nodes).map(|n| record(&format!("n{n}"), 3)).collect();
        let mut ring = Ring::new(slots, &view(slots, &records));
        let mut own: Vec<Option<Candidate>> = vec![None; 8];
        for (index, choice, stays) in order {
            if let Some(before) = own[index as usize].take() {
                ring.take_back(&before);
            }
            let candidate = ring.candidate(position(slots.ids(), "test", "me", index, choice));
            if stays && ring.score(&candidate, 0).is_some() {
                ring.place(&candidate);
                own[index as usize] = Some(candidate);
            }
        }
        let me = record("me", own.iter().flatten().count() as u32);
        let mut members: Vec<Arc<Member>> = records
            .iter()
            .map(|r| Arc::new(Member { positions: positions_of("test", slots.ids(), r), record: r.clone() }))
            .collect();
        members.push(Arc::new(Member { positions: own.iter().flatten().map(|c| c.edge.id).collect(), record: me }));
        let view = RingView::derive(slots.ids(), slots, members.iter());
        let shares: Vec<i64> = view.shares().iter().map(|s| (s * f64::from(slots.count())).round() as i64).collect();
        let mut tally = vec![0; view.members().len()];
        for (n, record) in records.iter().enumerate() {
            let member = view.member_index(&record.node_id).expect("it is a member");
            // In the tally members are numbered as in the view without us, which is in the order of their names.
            tally[member as usize] = ring.shares[n];
        }
        if let Some(me) = view.member_index(&crate::ring::record::NodeId::new("me")) {
            tally[me as usize] = ring.own_share;
        }
        prop_assert_eq!(tally, shares);
    }
}
