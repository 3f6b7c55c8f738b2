use super::*;

/// A node of the ring with that digest.
fn of_ring(ring: u32, name: &str, position: u8) -> Arc<Member> {
    with(&node(name, position), |r| r.placed_in = ring)
}

fn names(list: &[Incarnate]) -> Vec<&str> {
    list.iter().map(|(node_id, _)| node_id.as_str()).collect()
}

fn foreign(seat: &Seat) -> Vec<&str> {
    seat.state().catch_up.as_ref().map_or(Vec::new(), |waiting| names(&waiting.foreign))
}

impl Seat {
    fn gathers(&mut self, name: &str) {
        let list = self.list();
        self.table.gathered_from(SLOT, list, &source(name));
    }

    fn has_all(&mut self, lives: &[&str]) -> bool {
        let list = self.list();
        self.table.gathered_all(SLOT, list, |(node_id, _)| lives.contains(&node_id.as_str()))
    }
}

/// "me" and a are of ring 1; x, y and z of ring 2, z with no place in the list of both.
fn two_rings() -> (Seat, [Arc<Member>; 5]) {
    let all =
        [of_ring(1, "me", 20), of_ring(1, "a", 10), of_ring(2, "x", 30), of_ring(2, "y", 40), of_ring(2, "z", 50)];
    (Seat::founded(&[&all[0], &all[1]], 3), all)
}

#[test]
fn who_keeps_its_place_lacks_what_the_other_ring_had() {
    let (mut seat, all) = two_rings();
    let [me, a, x, y, z] = &all;
    assert_eq!(seat.see(&[me, a, x, y, z]), Some(Standing::Newcomer));
    assert_eq!(foreign(&seat), ["x", "y", "z"]);
    let everybody = ["a", "x", "y", "z"];
    seat.gathers("a");
    seat.gathers("x");
    assert!(!seat.merged_from("y") && !seat.has_all(&everybody), "z may have what those lack");
    assert!(seat.merged_from("z") && seat.state().readable());
}

#[test]
fn who_is_gone_of_the_other_ring_is_not_waited_for() {
    let (mut seat, all) = two_rings();
    let [me, a, x, y, z] = &all;
    seat.see(&[me, a, x, y, z]);
    seat.gathers("x");
    assert!(!seat.has_all(&["a", "x", "y", "z"]));
    assert!(!seat.has_all(&["a", "x"]), "a may have it of them");
    seat.gathers("a");
    assert!(seat.has_all(&["a", "x"]) && seat.state().readable());
}

/// It keeps no place: what its own ring had it needs as well.
#[test]
fn who_is_new_to_the_list_needs_both() {
    let (me, all) = (of_ring(1, "me", 60), two_rings().1);
    let [_, a, x, ..] = &all;
    let (b, c) = (of_ring(1, "b", 12), of_ring(1, "c", 14));
    let mut seat = Seat::outside(&[a, &b, &c, &me], 3);
    seat.table.lineage.settle(&[1]);
    assert_eq!(seat.see(&[&me, x, a]), Some(Standing::Newcomer));
    assert_eq!(foreign(&seat), ["a", "x"]);
    seat.gathers("x");
    assert!(!seat.has_all(&["a", "b", "c", "x"]));
    assert!(!seat.merged_from("a") && seat.merged_from("b"));
}

/// The list is all of this ring, and has another name: who has not heard of the other ring answers nobody who has.
#[test]
fn a_list_of_one_ring_alone_changes_too() {
    let (me, a, b) = (of_ring(1, "me", 10), of_ring(1, "a", 20), of_ring(1, "b", 30));
    let (x, y) = (of_ring(2, "x", 200), of_ring(2, "y", 210));
    let mut seat = Seat::founded(&[&me, &a, &b], 3);
    let before = seat.list();
    assert_eq!(seat.see(&[&me, &a, &b, &of_ring(1, "c", 220)]), None, "a newcomer like any other");
    assert_eq!(seat.see(&[&me, &a, &b, &x, &y]), Some(Standing::Newcomer));
    assert_eq!(foreign(&seat), ["x", "y"]);
    assert_ne!(seat.list().members, before.members);
}

#[test]
fn those_that_are_heard_of_later_are_of_that_ring_until_all_is_here() {
    let (mut seat, all) = two_rings();
    let [me, a, x, y, z] = &all;
    assert_eq!(seat.see(&[me, a, x]), Some(Standing::Newcomer));
    assert_eq!(foreign(&seat), ["x"]);
    let list = seat.list();
    assert_eq!(seat.see(&[me, a, x, z]), Some(Standing::Newcomer));
    assert_eq!((foreign(&seat), seat.list().members), (vec!["x", "z"], list.members), "z is in no list");
    assert!(!seat.merged_from("x") && seat.merged_from("z"));
    // Whoever comes of it now has been in one ring with this one.
    assert_eq!(seat.see(&[me, a, x, y, z]), None);
    assert_eq!(seat.see(&[me, y, x, z]), Some(Standing::CaughtUp));
}

/// Nobody may be there who has everything of both.
#[test]
fn who_enters_rings_that_are_one_needs_what_either_had() {
    let all = two_rings().1;
    let [me, a, x, y, z] = &all;
    let mut seat = Seat::outside(&[a, x, y], 3);
    assert_eq!(seat.see(&[me, a, x, y]), Some(Standing::Newcomer));
    assert_eq!(foreign(&seat), ["a", "x", "y"]);
    assert!(!seat.merged_from("a") && !seat.merged_from("x") && seat.merged_from("y"));
    assert_eq!(seat.see(&[me, a, x, y, z]), None, "of a ring that was there");
    // An older node does not say.
    assert_eq!(seat.see(&[me, a, &of_ring(0, "old", 25), x, y]), Some(Standing::CaughtUp));
}

/// It enters with the id of the ring, as all do that come after.
#[test]
fn who_joins_meanwhile_pushes_nobody_out_of_those_that_are_waited_for() {
    let me = of_ring(2, "me", 20);
    let [x, y, z] = [("x", 30), ("y", 40), ("z", 50)].map(|(name, at)| of_ring(1, name, at));
    let mut seat = Seat::founded(&[&me], 1);
    assert_eq!(seat.see(&[&me, &x, &y, &z]), Some(Standing::Newcomer));
    assert_eq!(foreign(&seat), ["x", "y"], "one more than a list has");
    let joiners = [("j", 26), ("k", 28)].map(|(name, at)| of_ring(1, name, at));
    assert_eq!(seat.see(&[&me, &x, &y, &z, &joiners[0], &joiners[1]]), Some(Standing::Newcomer));
    assert_eq!(foreign(&seat), ["x", "y", "j", "k"]);
    for name in ["x", "j", "k"] {
        assert!(!seat.merged_from(name), "{name}");
    }
    assert!(seat.merged_from("y"));
    assert_eq!(seat.see(&[&me, &x, &y, &z, &of_ring(1, "l", 22)]), None, "nothing is waited for any more");
}

/// Who took it over before may be the only one left with it.
#[test]
fn what_one_had_who_is_gone_is_taken_from_the_others() {
    let (mut seat, all) = two_rings();
    let [me, a, x, ..] = &all;
    seat.see(&[me, a, x]);
    assert_eq!(foreign(&seat), ["x"]);
    assert!(!seat.has_all(&["a"]), "x is gone, and a may have had the time");
    seat.gathers("a");
    assert!(seat.has_all(&["a"]));
}

#[test]
fn another_name_of_the_same_list_takes_nothing_from_a_loser() {
    let (me, n, x) = (of_ring(1, "me", 40), of_ring(1, "n", 10), of_ring(2, "x", 200));
    let mut seat = Seat::founded(&[&me], 1);
    assert_eq!(seat.see(&[&n, &me]), Some(Standing::CaughtUp));
    assert!(!seat.state().listed);
    assert_eq!(seat.see(&[&n, &me, &x]), Some(Standing::CaughtUp), "n copies from it still");
    assert_eq!(seat.see(&[&of_ring(1, "m", 5), &n, &me, &x]), Some(Standing::Outsider));
}

/// The owner of a slot dies while rings unite: those who come into its list find members there who lack what the other ring had.
#[test]
fn who_comes_into_a_list_meanwhile_asks_either_ring() {
    let [me, b, x] = [of_ring(2, "me", 40), of_ring(2, "b", 10), of_ring(1, "x", 20)];
    let mut seat = Seat::founded(&[&b], 1);
    seat.table.clear();
    seat.view = view(&[&me, &b]);
    seat.table.lineage.settle(&[2]);
    assert_eq!(seat.see(&[&me, &b, &x]), None, "b keeps the slot");
    assert_eq!(seat.see(&[&with(&me, |r| r.incarnation = 2), &of_ring(1, "x", 200)]), Some(Standing::Newcomer));
    assert_eq!(foreign(&seat), ["x"]);
}

#[test]
fn another_ring_that_members_say_they_are_of_is_none() {
    let (mut seat, all) = two_rings();
    let [me, a, x, y, z] = &all;
    seat.see(&[me, a, x, y, z]);
    for name in ["a", "x", "y", "z"] {
        seat.gathers(name);
    }
    assert!(seat.has_all(&["a", "x", "y", "z"]));
    // What `become_one` declares: first some, then all.
    let one = |member: &Arc<Member>| with(member, |r| (r.incarnation, r.placed_in) = (2, 3));
    assert_eq!(seat.see(&[me, &one(a), x, y, z]), Some(Standing::CaughtUp));
    assert_eq!(seat.see(&[&one(me), &one(a), &one(x), &one(y), &one(z)]), Some(Standing::CaughtUp));
    // Part of ring 2 was cut off all the time, and has written on.
    assert_eq!(
        seat.see(&[&one(me), &one(a), &one(x), &one(y), &one(z), &of_ring(2, "w", 35)]),
        Some(Standing::Newcomer)
    );
    assert_eq!(foreign(&seat), ["w"]);
}
