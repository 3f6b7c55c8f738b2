use proptest::prelude::*;

use super::*;
use crate::ring::id::{Id, IdSpace};
use crate::ring::record::{NodeRecord, test_record};
use crate::ring::slot::{Slot, SlotSpace};
use crate::ring::view::RingView;

/// On a ring of 16 bits.
fn at(name: usize, zone: &str, positions: &[u16]) -> Arc<Member> {
    let vnodes = positions.len() as u32;
    let record = NodeRecord { vnodes, zone: zone.to_owned(), ..test_record(&format!("n{name:03}")) };
    Arc::new(Member { record, positions: positions.iter().map(|p| id(*p)).collect() })
}

fn id(n: u16) -> Id {
    space().ids().from_digest(&n.to_be_bytes())
}

fn space() -> SlotSpace {
    SlotSpace::new(IdSpace::new(16).expect("in range"), 6)
}

fn view(members: &[Arc<Member>]) -> RingView {
    RingView::derive(space().ids(), space(), members.iter())
}

/// The list by its definition: the first node of each zone, then the others, both clockwise.
fn by_definition(view: &RingView, slot: Slot, count: usize) -> Vec<MemberIndex> {
    let last = space().last_id(slot);
    let (early, late): (Vec<&Position>, Vec<_>) = view.positions().iter().partition(|p| p.id < last);
    let mut nodes: Vec<MemberIndex> = Vec::new();
    for p in late.into_iter().chain(early) {
        if !nodes.contains(&p.member) {
            nodes.push(p.member);
        }
    }
    let mut zones: Vec<&str> = Vec::new();
    let (first, others): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|m| {
        let zone = view.member(*m).zone.as_str();
        let first = zone.is_empty() || !zones.contains(&zone);
        zones.push(zone);
        first
    });
    first.into_iter().chain(others).take(count).collect()
}

fn names(view: &RingView, list: &[MemberIndex]) -> Vec<String> {
    list.iter().map(|m| view.member(*m).node_id.to_string()).collect()
}

fn rings() -> impl Strategy<Value = Vec<Arc<Member>>> {
    let zone = prop_oneof![1 => Just(""), 3 => Just("a"), 3 => Just("b"), 1 => Just("c"), 1 => Just("d")];
    let node = (zone, prop::collection::vec(any::<u16>(), 1..12));
    prop::collection::vec(node, 1..16)
        .prop_map(|nodes| nodes.iter().enumerate().map(|(n, (zone, positions))| at(n, zone, positions)).collect())
}

proptest! {
    #[test]
    fn lists_are_what_their_definition_says(members in rings()) {
        let view = view(&members);
        for slot in space().iter() {
            for count in [1, 2, 3, 5, 40] {
                let list = view.replica_list(slot, count);
                prop_assert_eq!(list.to_vec(), by_definition(&view, slot, count), "{:?}, {}", slot, count);
                let owner = view.successor(space().last_id(slot)).map(|p| p.member);
                prop_assert_eq!(list.first().copied(), owner, "the owner is the first clockwise");
            }
        }
    }

    /// What the switch of lists and the admission of joins rest on.
    #[test]
    fn a_join_changes_only_lists_that_it_enters_and_each_loses_one(members in rings(), count in 1..6_usize) {
        let (joiner, before) = members.split_last().expect("at least one");
        let (before, after) = (view(before), view(&members));
        for slot in space().iter() {
            let old = names(&before, &before.replica_list(slot, count));
            let new = names(&after, &after.replica_list(slot, count));
            if new.contains(&joiner.record.node_id.to_string()) {
                let lost = old.iter().filter(|name| !new.contains(name)).count();
                prop_assert!(lost == usize::from(old.len() == count), "{:?} became {:?}", old, new);
                // Who was pushed out is among those that the newcomer waits for.
                let near = names(&after, &after.list_and_heirs(slot, count));
                prop_assert!(old.iter().all(|name| near.contains(name)), "{:?} not in {:?}", old, near);
            } else {
                prop_assert_eq!(old, new);
            }
        }
    }

    #[test]
    fn heirs_are_those_who_come_when_one_goes(members in rings(), count in 1..5_usize) {
        let all = view(&members);
        for slot in space().iter() {
            let list = names(&all, &all.replica_list(slot, count));
            let mut expected = list.clone();
            for gone in &list {
                let rest: Vec<_> = members.iter().filter(|m| m.record.node_id.as_str() != gone).cloned().collect();
                let rest = view(&rest);
                let heirs = names(&rest, &rest.replica_list(slot, count));
                expected.extend(heirs.into_iter().filter(|name| !list.contains(name)));
            }
            let mut found = names(&all, &all.list_and_heirs(slot, count));
            prop_assert_eq!(&found[..list.len()], &list[..]);
            // Positions that two nodes share are held by one of them only; when that one goes, the other gets it.
            let shared = members.iter().map(|m| m.positions.len()).sum::<usize>() != all.positions().len();
            expected.sort();
            expected.dedup();
            found.sort();
            if !shared {
                prop_assert_eq!(found, expected);
            }
        }
    }
}

/// Three hundred positions of two zones, and one each of a third zone and of two nodes without.
#[test]
fn a_rare_zone_is_found_wherever_it_is() {
    let spread = |n: usize| (0..10).map(|i| (n * 2_000 + i * 150 + 7) as u16).collect::<Vec<_>>();
    let mut members: Vec<_> = (0..30).map(|n| at(n, if n % 2 == 0 { "a" } else { "b" }, &spread(n))).collect();
    members.extend([at(30, "c", &[40_001]), at(31, "", &[20_001]), at(32, "", &[20_002])]);
    let view = view(&members);
    assert!(view.positions().len() > 4 * WALK_MAX);
    for slot in space().iter() {
        for count in 1..8 {
            assert_eq!(view.replica_list(slot, count).to_vec(), by_definition(&view, slot, count), "{slot:?}, {count}");
        }
    }
    let zones = |slot| view.replica_list(slot, 5).iter().map(|m| view.member(*m).zone.clone()).collect::<Vec<_>>();
    for slot in space().iter() {
        let mut zones = zones(slot);
        zones.sort();
        assert_eq!(zones, ["", "", "a", "b", "c"]);
    }
}

#[test]
fn zones_that_change_nothing_cost_nothing() {
    let derived = |zones: &[&str]| {
        let members: Vec<_> = zones.iter().enumerate().map(|(n, zone)| at(n, zone, &[n as u16 * 100])).collect();
        Zones::of(&members, view(&members).positions()).is_some()
    };
    for same in [&[][..], &["", "", ""], &["a", "a", "a"], &["a", "b", ""], &["a"]] {
        assert!(!derived(same), "{same:?}");
    }
    assert!(derived(&["a", "a", ""]) && derived(&["a", "a", "b"]));
}
