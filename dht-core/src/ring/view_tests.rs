use proptest::prelude::*;

use super::*;
use crate::ring::record::{NodeState, Verdict, test_record};

/// A ring for tests: what the view is derived from, and the view.
struct Ring {
    slots: SlotSpace,
    members: Vec<Arc<Member>>,
    view: RingView,
}

fn space(bits: u16) -> IdSpace {
    IdSpace::new(bits).expect("1..=256")
}

fn slots(bits: u16, slot_bits: u8) -> SlotSpace {
    SlotSpace::new(space(bits), slot_bits)
}

fn member(ids: IdSpace, record: NodeRecord) -> Arc<Member> {
    Arc::new(Member { positions: positions_of("test", ids, &record), record })
}

/// A member at chosen positions of a ring of 8 bits.
fn at(node_id: &str, positions: &[u8]) -> Arc<Member> {
    let record = NodeRecord { vnodes: positions.len() as u32, ..test_record(node_id) };
    Arc::new(Member { record, positions: positions.iter().map(|p| id(*p)).collect() })
}

fn changed(member: &Member, change: impl FnOnce(&mut NodeRecord)) -> Arc<Member> {
    let mut record = member.record.clone();
    change(&mut record);
    Arc::new(Member { record, positions: member.positions.clone() })
}

fn id(n: u8) -> Id {
    space(8).from_digest(&[n])
}

fn ring(slots: SlotSpace, members: Vec<Arc<Member>>) -> Ring {
    let view = RingView::derive(slots.ids(), slots, members.iter());
    Ring { slots, members, view }
}

/// Three nodes on a ring of 8 bits and 16 slots.
fn three() -> Ring {
    ring(slots(8, 4), vec![at("a", &[10, 200]), at("b", &[50, 60]), at("c", &[100])])
}

fn names(view: &RingView, list: &[MemberIndex]) -> Vec<String> {
    list.iter().map(|&m| view.member(m).node_id.to_string()).collect()
}

fn owners(view: &RingView, found: &[Position]) -> Vec<(String, Id)> {
    found.iter().map(|p| (view.member(p.member).node_id.to_string(), p.id)).collect()
}

#[test]
fn distinct_preceding_goes_back_over_zero() {
    let Ring { view, .. } = three();
    let named = |list: &[(&str, u8)]| list.iter().map(|(n, p)| ((*n).to_owned(), id(*p))).collect::<Vec<_>>();
    let from = |n, count| owners(&view, &view.distinct_preceding(id(n), count));
    assert_eq!(from(55, 3), named(&[("b", 50), ("a", 10), ("c", 100)]));
    assert_eq!(from(60, 2), named(&[("b", 50), ("a", 10)]), "strictly before");
    assert_eq!(from(5, 9), named(&[("a", 200), ("c", 100), ("b", 60)]));
    let empty = ring(slots(8, 4), Vec::new());
    assert!(empty.view.distinct_preceding(id(5), 1).is_empty());
}

/// Who holds which position, by the definition: sorted by id, of equal ones the smallest node_id.
fn held(members: &[Arc<Member>]) -> Vec<(Id, NodeId)> {
    let mut all: Vec<(Id, NodeId)> = members
        .iter()
        .filter(|m| m.record.state == NodeState::Active && m.record.verdict != Verdict::Dead)
        .flat_map(|m| m.positions.iter().map(|p| (*p, m.record.node_id.clone())))
        .collect();
    all.sort();
    let mut held: Vec<(Id, NodeId)> = Vec::new();
    for (id, node_id) in all {
        if held.last().is_none_or(|(last, _)| *last != id) {
            held.push((id, node_id));
        }
    }
    held
}

/// The positions from `from` on (inclusive), once round.
fn walk(held: &[(Id, NodeId)], from: Id) -> impl Iterator<Item = &(Id, NodeId)> {
    let (late, early) = (held.iter().filter(move |(p, _)| *p >= from), held.iter().filter(move |(p, _)| *p < from));
    late.chain(early)
}

/// A replica list by its definition.
fn naive_list(held: &[(Id, NodeId)], last_id: Id, count: usize) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for (_, node_id) in walk(held, last_id) {
        if list.len() < count && !list.contains(&node_id.to_string()) {
            list.push(node_id.to_string());
        }
    }
    list
}

/// Slots to look at: all of a small space, else the ends and those that hold a position.
fn sample(ring: &Ring) -> Vec<Slot> {
    if ring.slots.count() <= 64 {
        return ring.slots.iter().collect();
    }
    let last = ring.slots.count() - 1;
    let near = |p: &Position| {
        let Slot(n) = ring.slots.of(p.id);
        [n.saturating_sub(1), n, (n + 1).min(last)]
    };
    let mut numbers: Vec<u32> = ring.view.positions().iter().flat_map(near).chain([0, last]).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter().map(Slot).collect()
}

fn a_state() -> impl Strategy<Value = (NodeState, Verdict)> {
    prop_oneof![
        6 => Just((NodeState::Active, Verdict::Alive)),
        1 => Just((NodeState::Active, Verdict::Suspect)),
        1 => Just((NodeState::Active, Verdict::Dead)),
        1 => Just((NodeState::Joining, Verdict::Alive)),
        1 => Just((NodeState::Leaving, Verdict::Alive)),
        1 => Just((NodeState::Left, Verdict::Alive)),
    ]
}

fn records() -> impl Strategy<Value = Vec<NodeRecord>> {
    let one = (0..40_u8, 1..12_u32, 0..4_u64, a_state());
    prop::collection::vec(one, 0..14).prop_map(|all| {
        let mut records = std::collections::BTreeMap::new();
        for (name, vnodes, boot, (state, verdict)) in all {
            let record = test_record(&format!("n{name}"));
            records.insert(name, NodeRecord { vnodes, boot, placed_at: boot + 1, state, verdict, ..record });
        }
        records.into_values().collect()
    })
}

/// Wide and narrow spaces alike: in narrow ones positions coincide.
fn bits() -> impl Strategy<Value = u16> {
    prop_oneof![1..=9_u16, 1..=256_u16, Just(256)]
}

fn rings() -> impl Strategy<Value = Ring> {
    (bits(), 0..=14_u8, records()).prop_map(|(bits, slot_bits, records)| {
        let slots = slots(bits, slot_bits);
        ring(slots, records.into_iter().map(|r| member(slots.ids(), r)).collect())
    })
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.slots, self.members)
    }
}

proptest! {
    #[test]
    fn lists_follow_the_definition(ring in rings(), count in 1..=8_usize) {
        let held = held(&ring.members);
        for slot in sample(&ring) {
            let list = ring.view.replica_list(slot, count);
            prop_assert_eq!(
                names(&ring.view, &list),
                naive_list(&held, ring.slots.last_id(slot), count),
                "{:?}", slot
            );
            // The owner is the Chord successor of the slot's last id, and stays it whatever the length.
            let owner = ring.view.successor(ring.slots.last_id(slot)).map(|p| p.member);
            prop_assert_eq!(list.first().copied(), owner);
        }
    }

    #[test]
    fn lists_do_not_depend_on_the_order_of_records(ring in rings(), order: [u64; 14]) {
        let mut shuffled: Vec<(u64, Arc<Member>)> = order.into_iter().zip(ring.members.iter().cloned()).collect();
        shuffled.sort_by_key(|(key, _)| *key);
        let shuffled: Vec<Arc<Member>> = shuffled.into_iter().map(|(_, member)| member).collect();
        let other = RingView::derive(ring.slots.ids(), ring.slots, shuffled.iter());
        prop_assert!(ring.view.same_placement(&other));
        prop_assert_eq!(ring.view.fingerprint(), other.fingerprint());
        for slot in sample(&ring) {
            let (here, there) = (ring.view.replica_list(slot, 3), other.replica_list(slot, 3));
            prop_assert_eq!(names(&ring.view, &here), names(&other, &there));
            prop_assert_eq!(ring.view.list_fingerprint(&here), other.list_fingerprint(&there));
        }
    }

    /// As one view follows another, members with fewer, other or the same positions among them.
    #[test]
    fn a_view_derived_from_another_is_the_same(ring in rings(), others in records()) {
        let ids = ring.slots.ids();
        let before: Vec<Arc<Member>> = others.into_iter().map(|r| member(ids, r)).collect();
        let before = RingView::derive(ids, ring.slots, before.iter());
        let after = RingView::derive_after(Some(&before), ids, ring.slots, ring.members.iter());
        prop_assert_eq!(after.positions(), ring.view.positions());
        prop_assert_eq!(after.fingerprint(), ring.view.fingerprint());
        let names = |view: &RingView| view.members().iter().map(|m| m.record.node_id.clone()).collect::<Vec<_>>();
        prop_assert_eq!(names(&after), names(&ring.view));
        let lacking = |here: &RingView, there: &RingView| {
            let mut lacking = names(here);
            lacking.retain(|id| there.member_index(id).is_none());
            lacking
        };
        let found: Vec<NodeId> = before.lacking_in(&after).map(|m| m.record.node_id.clone()).collect();
        prop_assert_eq!(found, lacking(&before, &after));
    }

    #[test]
    fn slots_of_a_member_are_those_whose_list_it_is_in(ring in rings(), count in 1..=4_usize) {
        for index in 0..ring.view.members().len() as u32 {
            let mut slots = ring.view.slots_of(index, count);
            slots.sort_unstable();
            slots.dedup();
            if ring.slots.count() <= 64 {
                let listed: Vec<Slot> =
                    ring.slots.iter().filter(|s| ring.view.replica_list(*s, count).contains(&index)).collect();
                prop_assert_eq!(&slots, &listed);
            }
            for slot in sample(&ring) {
                let listed = ring.view.replica_list(slot, count).contains(&index);
                prop_assert_eq!(slots.binary_search(&slot).is_ok(), listed, "{:?} of {}", slot, index);
            }
        }
    }

    #[test]
    fn searches_agree_with_a_walk(ring in rings(), bytes: [u8; 32], not in 0..14_u32, count in 0..6_usize) {
        let held = held(&ring.members);
        let ids = ring.slots.ids();
        // Any id, and the positions themselves with their neighbours.
        let around = |p: &(Id, NodeId)| [ids.wrapping_sub(p.0, space(1).max()), p.0, ids.successor_of(p.0)];
        let interesting = held.iter().flat_map(around).chain([ids.from_digest(&bytes), Id::ZERO, ids.max()]);
        let not = (!ring.view.members().is_empty()).then(|| not % ring.view.members().len() as u32);
        let skipped = not.map(|m| ring.view.member(m).node_id.clone());
        for id in interesting {
            let successor = ring.view.successor(id).map(|p| p.id);
            prop_assert_eq!(successor, walk(&held, id).next().map(|(p, _)| *p), "successor of {:?}", id);
            // The radix index finds what a binary search finds.
            let searched = ring.view.positions().partition_point(|p| p.id < id);
            prop_assert_eq!(ring.view.successor_index(id), searched.checked_rem(held.len()), "around the ring");
            let predecessor = ring.view.predecessor(id).map(|p| p.id);
            prop_assert_eq!(predecessor, walk(&held, id).last().map(|(p, _)| *p), "predecessor of {:?}", id);

            let mut distinct: Vec<(String, Id)> = Vec::new();
            for (p, node_id) in walk(&held, ids.successor_of(id)) {
                let met = distinct.iter().any(|(name, _)| *name == node_id.as_str());
                if distinct.len() < count && !met && Some(node_id) != skipped.as_ref() {
                    distinct.push((node_id.to_string(), *p));
                }
            }
            prop_assert_eq!(owners(&ring.view, &ring.view.distinct_after(id, not, count)), distinct);
            if let (Some(not), Some(skipped)) = (not, &skipped) {
                let before = walk(&held, id).filter(|(_, n)| n != skipped).last().map(|(p, _)| *p);
                prop_assert_eq!(ring.view.distinct_before(id, Some(not)).map(|p| p.id), before);
            }
        }
    }

    #[test]
    fn shares_count_the_owned_slots(ring in rings()) {
        let shares = ring.view.shares();
        prop_assert_eq!(shares.len(), ring.view.members().len());
        if shares.is_empty() {
            return Ok(());
        }
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        for (m, share) in shares.iter().enumerate() {
            let owned = ring.slots.iter().filter(|s| ring.view.replica_list(*s, 1)[0] == m as u32).count();
            prop_assert!((share - owned as f64 / f64::from(ring.slots.count())).abs() < 1e-9);
        }
    }

    #[test]
    fn a_node_that_comes_or_goes_changes_only_lists_with_it(ring in rings(), vnodes in 1..12_u32, count in 1..=8_usize) {
        // In the ring with the node, lists that do not name it are those of the ring without it. (Where its position
        // coincides with another's it may also take that one away; node_id "~" is the greatest, so it never does.)
        let node = member(ring.slots.ids(), NodeRecord { vnodes, ..test_record("~") });
        let with = RingView::derive(ring.slots.ids(), ring.slots, ring.members.iter().chain([&node]));
        for slot in sample(&ring) {
            let (before, after) = (ring.view.replica_list(slot, count), with.replica_list(slot, count));
            let (before, mut after) = (names(&ring.view, &before), names(&with, &after));
            if let Some(place) = after.iter().position(|name| name == "~") {
                after.remove(place);
                // It pushes out at most the last, and the order of the others stays.
                prop_assert_eq!(&before[..after.len()], &after[..]);
                prop_assert!(before.len() - after.len() <= 1);
            } else {
                prop_assert_eq!(&before, &after);
            }
        }
    }

    #[test]
    fn equal_arcs_have_equal_lists(ring in rings()) {
        for slot in sample(&ring) {
            for other in sample(&ring).into_iter().take(16) {
                if ring.view.arc(slot) == ring.view.arc(other) {
                    prop_assert_eq!(ring.view.replica_list(slot, 8), ring.view.replica_list(other, 8));
                }
            }
        }
    }
}

#[test]
fn an_empty_ring_owns_nothing() {
    let ring = ring(slots(8, 4), Vec::new());
    assert_eq!((ring.view.successor(id(1)), ring.view.predecessor(id(1)), ring.view.arc(Slot(0))), (None, None, None));
    assert!(ring.view.replica_list(Slot(3), 3).is_empty());
    assert!(ring.view.distinct_after(id(1), None, 3).is_empty());
    assert_eq!(ring.view.distinct_before(id(1), Some(0)), None);
    assert!(ring.view.shares().is_empty());
}

#[test]
fn searches_go_across_zero() {
    let Ring { view, .. } = three();
    let found = |p: Option<&Position>| p.map(|p| p.id);
    assert_eq!(found(view.successor(id(10))), Some(id(10)), "at the id itself");
    assert_eq!(found(view.successor(id(11))), Some(id(50)));
    assert_eq!(found(view.successor(id(201))), Some(id(10)), "across zero");
    assert_eq!(found(view.predecessor(id(10))), Some(id(200)), "strictly before, across zero");
    assert_eq!(found(view.predecessor(id(11))), Some(id(10)));
    assert_eq!(found(view.predecessor(id(255))), Some(id(200)));
    let (a, c) = (view.member_index(&NodeId::new("a")), view.member_index(&NodeId::new("c")).expect("c is placed"));
    let after = |at, not, count| owners(&view, &view.distinct_after(id(at), not, count));
    assert_eq!(after(200, a, 9), [("b".to_owned(), id(50)), ("c".to_owned(), id(100))], "b once, at its first");
    assert_eq!(after(100, None, 9), [("a".to_owned(), id(200)), ("b".to_owned(), id(50)), ("c".to_owned(), id(100))]);
    assert_eq!(after(100, a, 1), [("b".to_owned(), id(50))]);
    assert_eq!(found(view.distinct_before(id(10), a)), Some(id(100)), "not 200, which is a's");
    assert_eq!(found(view.distinct_before(id(100), Some(c))), Some(id(60)));
    assert_eq!(found(view.distinct_before(id(50), Some(c))), Some(id(10)));
}

#[test]
fn a_node_alone_has_no_distinct_neighbour() {
    let Ring { view, .. } = ring(slots(8, 4), vec![at("a", &[10, 200])]);
    assert_eq!(view.distinct_before(id(10), Some(0)), None);
    assert!(view.distinct_after(id(10), Some(0), 3).is_empty());
    assert_eq!(view.predecessor(id(10)).map(|p| p.id), Some(id(200)));
    assert_eq!(view.shares(), [1.0]);
}

#[test]
fn only_active_nodes_that_are_not_given_up_are_placed() {
    let ring = three();
    let placed = |change: fn(&mut NodeRecord)| {
        let members = [ring.members[0].clone(), changed(&ring.members[1], change), ring.members[2].clone()];
        let view = RingView::derive(ring.slots.ids(), ring.slots, members.iter());
        let placed = names(&view, &view.replica_list(Slot(2), 3)).contains(&"b".to_owned());
        assert_eq!(placed, view.member_index(&NodeId::new("b")).is_some());
        (placed, view.fingerprint() == ring.view.fingerprint())
    };
    assert_eq!(placed(|_| {}), (true, true));
    assert_eq!(placed(|r| r.verdict = Verdict::Suspect), (true, true), "a suspicion changes no list");
    assert_eq!(placed(|r| r.verdict = Verdict::Dead), (false, false));
    assert_eq!(placed(|r| r.state = NodeState::Joining), (false, false));
    assert_eq!(placed(|r| r.state = NodeState::Leaving), (false, false));
    assert_eq!(placed(|r| r.state = NodeState::Left), (false, false));
    assert_eq!(placed(|r| r.vnodes = 0), (false, false), "a client");
    assert_eq!(placed(|r| r.incarnation = 9), (true, false));
}

#[test]
fn joining_and_leaving_nodes_move_the_view_fingerprint_dead_and_left_ones_do_not() {
    let members = three().members;
    let fingerprint = |extra: Option<Arc<Member>>| {
        let all: Vec<Arc<Member>> = members.iter().cloned().chain(extra).collect();
        ring(slots(8, 4), all).view.fingerprint()
    };
    let with = |change: fn(&mut NodeRecord)| fingerprint(Some(changed(&at("d", &[77]), change)));
    let without = fingerprint(None);
    assert_ne!(with(|r| r.state = NodeState::Joining), without);
    assert_ne!(with(|r| r.state = NodeState::Leaving), without);
    assert_eq!(with(|r| r.state = NodeState::Left), without);
    assert_eq!(with(|r| r.verdict = Verdict::Dead), without);
    assert_eq!(with(|r| r.vnodes = 0), without);
}

#[test]
fn the_smaller_node_id_holds_an_equal_position() {
    // Ids of one bit: two positions for three nodes.
    let narrow = slots(1, 14);
    let of = |node_id: &str, bit: u8| {
        let positions = Arc::from([narrow.ids().from_digest(&[bit << 7])]);
        Arc::new(Member { record: NodeRecord { vnodes: 1, ..test_record(node_id) }, positions })
    };
    let view = ring(narrow, vec![of("c", 0), of("b", 0), of("a", 1)]).view;
    assert_eq!(view.positions().len(), 2);
    assert_eq!(names(&view, &view.replica_list(Slot(0), 3)), ["b", "a"], "c is in no list");
    assert_eq!(names(&view, &view.replica_list(Slot(1), 3)), ["a", "b"]);
    let c = view.member_index(&NodeId::new("c")).expect("c is still a member");
    assert_eq!(view.positions_of(c).count(), 0);
    assert_eq!(view.shares(), [0.5, 0.5, 0.0]);
    // Once the holder is gone, the position is the other's.
    let view = ring(narrow, vec![of("c", 0), of("a", 1)]).view;
    assert_eq!(names(&view, &view.replica_list(Slot(0), 3)), ["c", "a"]);
}

#[test]
fn list_fingerprints_cover_identity_placing_and_order_only() {
    let ring = three();
    let fingerprint = |change: fn(&mut NodeRecord)| {
        let members = [ring.members[0].clone(), changed(&ring.members[1], change), ring.members[2].clone()];
        let view = RingView::derive(ring.slots.ids(), ring.slots, members.iter());
        view.list_fingerprint(&[0, 1])
    };
    let base = fingerprint(|_| {});
    assert_ne!(fingerprint(|r| r.boot = 9), base);
    assert_ne!(fingerprint(|r| r.placed_at = 9), base);
    assert_eq!(fingerprint(|r| r.incarnation = 9), base, "a refuted suspicion changes no list");
    assert_eq!(fingerprint(|r| r.verdict = Verdict::Suspect), base);
    assert_eq!(fingerprint(|r| r.address = crate::ring::record::Address::new("elsewhere:2")), base);
    assert_ne!(ring.view.list_fingerprint(&[1, 0]), base, "order counts: the first is the owner");
    assert_ne!(ring.view.list_fingerprint(&[0]), base);
    assert_ne!(ring.view.list_fingerprint(&[0, 2]), base);
}

#[test]
fn same_placement_means_the_same_lists() {
    let ring = three();
    let same = |change: fn(&mut NodeRecord)| {
        let members = [ring.members[0].clone(), changed(&ring.members[1], change), ring.members[2].clone()];
        ring.view.same_placement(&RingView::derive(ring.slots.ids(), ring.slots, members.iter()))
    };
    assert!(same(|_| {}) && same(|r| r.incarnation = 9) && same(|r| r.verdict = Verdict::Suspect));
    assert!(!same(|r| r.boot = 9) && !same(|r| r.placed_at = 9) && !same(|r| r.verdict = Verdict::Dead));
    let moved = [ring.members[0].clone(), at("b", &[50, 61]), ring.members[2].clone()];
    assert!(!ring.view.same_placement(&RingView::derive(ring.slots.ids(), ring.slots, moved.iter())));
}

#[test]
fn positions_follow_from_cluster_name_index_and_choice() {
    let ids = space(160);
    let record = NodeRecord { vnodes: 3, ..test_record("a") };
    let base = positions_of("test", ids, &record);
    assert_eq!(base.len(), 3);
    assert!(base.iter().all(|p| ids.contains(*p)) && base[0] != base[1] && base[1] != base[2]);
    assert_eq!(positions_of("test", ids, &NodeRecord { boot: 9, incarnation: 9, ..record.clone() }), base);
    assert_ne!(positions_of("other", ids, &record)[0], base[0]);
    let chosen = positions_of("test", ids, &NodeRecord { choices: vec![0, 7], ..record });
    assert_eq!((chosen[0], chosen[2]), (base[0], base[2]), "a choice not named is 0");
    assert_ne!(chosen[1], base[1]);
}
