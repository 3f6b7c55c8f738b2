use super::catch_up::SOURCES_MAX;
use super::*;
use crate::env::Env;
use crate::ring::id::{Id, IdSpace};
use crate::ring::record::{NodeRecord, NodeState, Verdict, test_record};
use std::time::Duration;

#[path = "list_model_tests.rs"]
mod model;

#[path = "list/lineage_tests.rs"]
mod lineage;

const SLOT: Slot = Slot(0);

/// A ring of one slot as one of its nodes, "me", sees it; the others are named by letters.
struct Seat {
    table: SlotTable,
    view: RingView,
    replicas: usize,
}

fn space() -> SlotSpace {
    SlotSpace::new(IdSpace::new(8).expect("8 bits are in range"), 0)
}

fn at(n: u8) -> Id {
    space().ids().from_digest(&[n])
}

/// A node at one position, clockwise from the slot's last id.
fn node(name: &str, position: u8) -> Arc<Member> {
    Arc::new(Member { record: NodeRecord { vnodes: 1, ..test_record(name) }, positions: Arc::from([at(position)]) })
}

fn with(member: &Arc<Member>, change: impl FnOnce(&mut NodeRecord)) -> Arc<Member> {
    let mut record = member.record.clone();
    change(&mut record);
    Arc::new(Member { record, positions: member.positions.clone() })
}

fn view(members: &[&Arc<Member>]) -> RingView {
    RingView::derive(space().ids(), space(), members.iter().copied())
}

fn source(name: &str) -> Incarnate {
    (NodeId::new(name), 1)
}

fn now() -> Instant {
    Env::simulated(1, 1).now()
}

impl Seat {
    /// In the ring from its beginning.
    fn founded(members: &[&Arc<Member>], replicas: usize) -> Self {
        let view = view(members);
        let mut table = SlotTable::default();
        table.found(space(), &view, replicas);
        Self { table, view, replicas }
    }

    /// Not yet in the ring, or not in the slot's list.
    fn outside(members: &[&Arc<Member>], replicas: usize) -> Self {
        Self { table: SlotTable::default(), view: view(members), replicas }
    }

    fn see(&mut self, members: &[&Arc<Member>]) -> Option<Standing> {
        self.see_with(members, &[])
    }

    /// Switches to the ring of `members`; what "me" is told, if its part in the slot changed.
    fn see_with(&mut self, members: &[&Arc<Member>], missed: &[Arc<Member>]) -> Option<Standing> {
        let after = view(members);
        let switch = Switch {
            slots: space(),
            me: &NodeId::new("me"),
            ring: 0,
            before: &self.view,
            after: &after,
            replicas_before: self.replicas,
            replicas: self.replicas,
            missed,
            now: now(),
        };
        let mut told = None;
        self.table.switch(&switch, |slot, state| {
            assert_eq!(slot, SLOT);
            told = Some(state.standing);
        });
        self.table.assert_outstanding();
        self.view = after;
        told
    }

    fn state(&self) -> &SlotState {
        self.table.get(SLOT).expect("this node has a part in the slot")
    }

    fn list(&self) -> ListId {
        self.state().list
    }

    /// It goes by the present list, of course.
    fn merged_from(&mut self, name: &str) -> bool {
        let list = self.list();
        self.table.adopted_by(SLOT, &source(name), true, now());
        self.table.merged_from(SLOT, list, &source(name))
    }
}

fn sources(state: &SlotState) -> Vec<Vec<String>> {
    let names = |list: &Arc<[Incarnate]>| list.iter().map(|(node_id, _)| node_id.to_string()).collect();
    state.catch_up.iter().flat_map(|c| c.sources.iter().map(names)).collect()
}

#[test]
fn a_founder_has_every_slot() {
    let me = node("me", 20);
    let slots = SlotSpace::new(space().ids(), 3);
    let view = RingView::derive(slots.ids(), slots, [&me].into_iter());
    let mut table = SlotTable::default();
    table.found(slots, &view, 3);
    assert_eq!(table.slots_where(SlotState::readable), slots.iter().collect::<Vec<_>>());
    assert!(table.slots_where(|s| s.list.counter != 1 || !s.in_sync).is_empty());
    table.clear();
    assert!(table.slots_where(|_| true).is_empty());
    assert_eq!(table.list(SLOT), None);
}

#[test]
fn a_member_of_both_lists_stays_caught_up() {
    let (me, a, b, c) = (node("me", 20), node("a", 10), node("b", 30), node("c", 25));
    let mut seat = Seat::founded(&[&me, &a, &b], 3);
    let first = seat.list();
    assert_eq!(seat.see(&[&me, &a, &b, &c]), Some(Standing::CaughtUp));
    assert_eq!(seat.list().counter, 2);
    assert!(seat.list().members != first.members && seat.state().readable() && !seat.state().in_sync);
    assert_eq!(seat.see(&[&me, &c, &b]), Some(Standing::CaughtUp), "a death");
    assert_eq!(seat.list().counter, 3);
    assert_eq!(seat.see(&[&me, &c, &b]), None, "nothing changed");
    assert_eq!(seat.see(&[&me, &c, &b, &node("far", 200)]), None, "not in this slot's list");
    assert_eq!(seat.list().counter, 3);
}

#[test]
fn who_was_not_in_the_list_before_is_a_newcomer() {
    let (me, a, b, c) = (node("me", 20), node("a", 10), node("b", 30), node("c", 40));
    // By its own join.
    let mut seat = Seat::outside(&[&a, &b, &c], 3);
    assert_eq!(seat.see(&[&me, &a, &b, &c]), Some(Standing::Newcomer));
    assert_eq!(seat.list().counter, 0, "it is learnt from those who know");
    assert_eq!(sources(seat.state()), [["a", "b", "c"]]);
    assert!(!seat.state().readable() && seat.state().listed);
    // By the death of another.
    let mut seat = Seat::outside(&[&a, &node("d", 12), &node("e", 14), &me], 3);
    assert_eq!(seat.see(&[&a, &node("d", 12), &me]), Some(Standing::Newcomer));
    assert_eq!(sources(seat.state()), [["a", "d", "e"]]);
    // Who is in neither list hears nothing.
    let mut seat = Seat::outside(&[&a, &b, &c, &node("me", 200)], 3);
    assert_eq!(seat.see(&[&a, &node("d", 12), &b, &c, &node("me", 200)]), None);
    assert_eq!(seat.table.list(SLOT), None);
}

#[test]
fn pushed_out_and_brought_back_in_one_batch_is_a_newcomer() {
    let (a, b, me, joiner) = (node("a", 10), node("b", 20), node("me", 30), node("j", 15));
    // j joins: a, j, b. Then b dies: a, j, me.
    let mut seat = Seat::founded(&[&a, &b, &me], 3);
    assert_eq!(seat.see(&[&a, &joiner, &me]), Some(Standing::Newcomer));
    assert_eq!(sources(seat.state()), [["a", "b", "me"]]);
    // The same in two steps.
    let mut seat = Seat::founded(&[&a, &b, &me], 3);
    assert_eq!(seat.see(&[&a, &joiner, &b, &me]), Some(Standing::CaughtUp));
    assert!(!seat.state().listed);
    assert_eq!(seat.see(&[&a, &joiner, &me]), Some(Standing::Newcomer));
    assert_eq!(sources(seat.state()), [["a", "j", "b"]]);
    assert_eq!(seat.list().counter, 3);
    // In the other order it was in every list between, but which order it was is not known: who comes behind it
    // changes nothing, though.
    let mut seat = Seat::founded(&[&a, &b, &me], 3);
    assert_eq!(seat.see(&[&a, &me, &node("late", 40)]), Some(Standing::CaughtUp));
}

#[test]
fn deaths_alone_push_nobody_out() {
    let (a, b, c, me) = (node("a", 10), node("b", 20), node("c", 25), node("me", 15));
    let mut seat = Seat::founded(&[&a, &b, &c, &me], 3);
    assert_eq!(seat.see(&[&me, &c]), Some(Standing::CaughtUp));
    // So do joins alone, if it is in the list after them.
    let mut seat = Seat::founded(&[&me, &b, &c], 3);
    assert_eq!(seat.see(&[&a, &me, &node("x", 17), &b, &c]), Some(Standing::CaughtUp));
}

/// A node that came and went unseen had pushed this one out: the list looks as before, but was another meanwhile.
#[test]
fn pushed_out_by_a_node_that_came_and_went_unseen_is_a_newcomer() {
    let (a, b, me) = (node("a", 10), node("b", 20), node("me", 30));
    let gone = with(&node("j", 15), |r| r.verdict = Verdict::Dead);
    let mut seat = Seat::founded(&[&a, &b, &me], 3);
    assert_eq!(seat.see_with(&[&a, &b, &me], std::slice::from_ref(&gone)), Some(Standing::Newcomer));
    assert_eq!(sources(seat.state()), [["a", "b", "me"]]);
    // Its place was behind this node: no list without this node.
    let mut seat = Seat::founded(&[&a, &me, &b], 3);
    let behind = with(&node("j", 35), |r| r.state = NodeState::Left);
    assert_eq!(seat.see_with(&[&a, &me, &b], std::slice::from_ref(&behind)), None);
    assert!(seat.state().readable());
}

#[test]
fn a_restarted_node_is_a_newcomer() {
    let (me, a, b) = (node("me", 20), node("a", 10), node("b", 30));
    let mut seat = Seat::founded(&[&me, &a, &b], 3);
    assert_eq!(seat.see(&[&with(&me, |r| r.boot = 2), &a, &b]), Some(Standing::Newcomer));
    // The others do not lose anything by it, but their list has another name.
    let mut seat = Seat::founded(&[&me, &a, &b], 3);
    let first = seat.list();
    assert_eq!(seat.see(&[&me, &with(&a, |r| r.boot = 2), &b]), Some(Standing::CaughtUp));
    assert_ne!(seat.list().members, first.members);
}

/// Others went on without a node that they had given up: it missed what they wrote until it refuted its death.
#[test]
fn a_node_that_refuted_its_death_is_a_newcomer() {
    let (me, a, b) = (node("me", 20), node("a", 10), node("b", 30));
    let back = |m: &Arc<Member>| with(m, |r| (r.incarnation, r.placed_at) = (2, 2));
    let mut seat = Seat::founded(&[&me, &a, &b], 3);
    assert_eq!(seat.see(&[&back(&me), &a, &b]), Some(Standing::Newcomer));
    let mut seat = Seat::founded(&[&me, &a, &b], 3);
    assert_eq!(seat.see(&[&me, &back(&a), &b]), Some(Standing::CaughtUp), "another's death and return");
    let refuted = with(&me, |r| r.incarnation = 2);
    assert_eq!(seat.see(&[&refuted, &back(&a), &b]), None, "a refuted suspicion changes nothing");
}

#[test]
fn a_loser_keeps_its_standing_for_the_list_that_it_lost_and_returns_as_a_newcomer() {
    let (a, b, c, me) = (node("a", 10), node("b", 20), node("c", 30), node("me", 40));
    let mut seat = Seat::founded(&[&a, &b, &me], 3);
    assert_eq!(seat.see(&[&a, &b, &c, &me]), Some(Standing::CaughtUp));
    assert!(!seat.state().listed && !seat.state().readable(), "a source, but answers no read");
    assert_eq!(seat.list().counter, 2);
    assert_eq!(seat.see(&[&a, &b, &me]), Some(Standing::Newcomer));
    assert_eq!(sources(seat.state()), [["a", "b", "c"]]);
    // A newcomer that loses the list was never caught up.
    assert_eq!(seat.see(&[&a, &b, &c, &me]), Some(Standing::Outsider));
    assert_eq!(seat.see(&[&a, &b, &me]), Some(Standing::Newcomer));
}

/// What was written to the next list but one is not its to know, so nobody may catch up from it any more.
#[test]
fn a_loser_is_no_source_for_the_next_list_but_one() {
    let (a, b, c, me) = (node("a", 10), node("b", 20), node("c", 30), node("me", 40));
    let mut seat = Seat::founded(&[&a, &b, &me], 3);
    assert_eq!(seat.see(&[&a, &b, &c, &me]), Some(Standing::CaughtUp));
    assert_eq!(seat.see(&[&a, &node("d", 15), &b, &c, &me]), Some(Standing::Outsider));
}

#[test]
fn a_list_change_restarts_a_catch_up_and_the_sources_add_up() {
    let (me, a, b, c) = (node("me", 20), node("a", 10), node("b", 30), node("c", 40));
    let mut seat = Seat::outside(&[&a, &b, &c], 3);
    seat.see(&[&me, &a, &b, &c]);
    assert!(!seat.merged_from("a"));
    // Another joins: what was merged was merged from members of a list that is refused now.
    let d = node("d", 15);
    assert_eq!(seat.see(&[&me, &a, &b, &c, &d]), Some(Standing::Newcomer));
    assert_eq!(sources(seat.state()), [["a", "b", "c"], ["a", "me", "b"]]);
    assert!(!seat.merged_from("b"));
    assert!(seat.merged_from("a"));
    // At most so many former lists are remembered.
    let mut seat = Seat::outside(&[&a, &b, &c], 3);
    seat.see(&[&me, &a, &b, &c]);
    for n in 0..10 {
        seat.see(&[&me, &with(&a, |r| r.placed_at = n), &with(&b, |r| r.boot = 10 + n), &c]);
        assert!(sources(seat.state()).len() <= SOURCES_MAX);
    }
    assert_eq!(sources(seat.state()).len(), SOURCES_MAX);
}

/// The owner before may stamp writes until it goes by the present list: nobody else's word makes up for its clock.
#[test]
fn a_new_owner_hears_the_owner_before() {
    let (a, b, c) = (node("a", 10), node("b", 12), node("c", 13));
    let list = |seat: &Seat| seat.list();
    let mut seat = Seat::outside(&[&a, &b, &c], 3);
    // It comes in front of all others: a owned the slot, and is in its list still.
    assert_eq!(seat.see(&[&node("me", 5), &a, &b, &c]), Some(Standing::Newcomer));
    let waits =
        |seat: &Seat| [Waits::ToStamp, Waits::ToDecide].map(|what| seat.table.waits_until(SLOT, what).is_some());
    assert_eq!(waits(&seat), [true, true]);
    let members = list(&seat);
    for name in ["b", "c"] {
        assert!(!seat.table.merged_from(SLOT, members, &source(name)), "a may stamp still");
    }
    let now = now();
    assert!(!seat.table.adopted_by(SLOT, &(NodeId::new("a"), 2), true, now), "another life of it");
    assert!(seat.table.adopted_by(SLOT, &source("a"), true, now));
    assert_eq!(waits(&seat), [false, true], "what it stamped last may be with it alone");
    assert!(!seat.table.merged_from(SLOT, members, &source("b")), "two of three, and not of a");
    assert!(seat.table.merged_from(SLOT, members, &source("a")));
    assert_eq!(waits(&seat), [false, false]);
    // An owner that holds nothing has nothing to be merged from; one that is silent then is waited for no longer than before.
    for keeps in [false, true] {
        let mut seat = Seat::outside(&[&a, &b, &c], 3);
        seat.see(&[&node("me", 5), &a, &b, &c]);
        seat.table.adopted_by(SLOT, &source("a"), keeps, now);
        assert_eq!(waits(&seat), [false, keeps]);
        seat.table.stop_waiting_for_owners(now + Duration::from_secs(1));
        assert_eq!(waits(&seat), [false, false]);
        let members = list(&seat);
        assert!(
            !seat.table.merged_from(SLOT, members, &source("b")) && seat.table.merged_from(SLOT, members, &source("c"))
        );
    }
    // An owner that was suspected is passed over, so whoever stamped in its place is waited for, and it is not.
    let mut seat = Seat::outside(&[&with(&a, |r| r.verdict = Verdict::Suspect), &b, &c], 3);
    seat.see(&[&node("me", 5), &with(&a, |r| r.verdict = Verdict::Suspect), &b, &c]);
    assert!(!seat.table.adopted_by(SLOT, &source("a"), true, now) && waits(&seat) == [true, true]);
    assert!(seat.table.adopted_by(SLOT, &source("b"), true, now));
    assert_eq!(waits(&seat), [false, true]);
    // Who comes in behind the owner has nothing to stamp.
    let mut seat = Seat::outside(&[&a, &b, &c], 3);
    assert_eq!(seat.see(&[&a, &node("me", 11), &b, &c]), Some(Standing::Newcomer));
    assert_eq!(waits(&seat), [false, false]);
}

#[test]
fn enough_sources_meet_every_write_quorum_of_one_former_list() {
    let names = ["a", "b", "c", "d", "e"];
    for (len, replicas, enough) in
        [(1, 1, 1), (2, 2, 1), (2, 3, 2), (3, 3, 2), (4, 3, 2), (4, 4, 2), (3, 5, 3), (4, 5, 3), (5, 5, 3)]
    {
        let former: Vec<Arc<Member>> = (0..len).map(|n| node(names[n], 10 + n as u8)).collect();
        let before: Vec<&Arc<Member>> = former.iter().collect();
        let me = node("me", 5);
        let mut seat = Seat::outside(&before, replicas);
        let after: Vec<&Arc<Member>> = before.iter().copied().chain([&me]).collect();
        assert_eq!(seat.see(&after), Some(Standing::Newcomer));
        assert!(!seat.merged_from("stranger"), "no member of the list before");
        let list = seat.list();
        assert!(!seat.table.merged_from(SLOT, list, &(NodeId::new("a"), 2)), "another boot of a member");
        for (n, name) in names[..enough].iter().enumerate() {
            assert!(!seat.state().readable());
            if n + 1 < enough {
                assert!(!seat.merged_from(name) && !seat.merged_from(name), "the same one twice is one");
            } else {
                assert!(seat.merged_from(name), "{enough} of {len} with {replicas} replicas");
            }
        }
        assert!(seat.state().readable() && seat.state().catch_up.is_none() && seat.list().counter >= 1);
        assert!(!seat.merged_from("a"), "once only");
        assert!(enough + quorum(replicas) > replicas, "{enough} and a quorum of {replicas} always meet");
    }
}

#[test]
fn members_of_two_former_lists_do_not_add_up() {
    let (me, a, b, c) = (node("me", 5), node("a", 10), node("b", 30), node("c", 40));
    let mut seat = Seat::outside(&[&a, &b, &c], 3);
    seat.see(&[&me, &a, &b, &c]);
    let (x, y) = (node("x", 6), node("y", 7));
    seat.see(&[&me, &x, &y, &a, &b, &c]);
    let z = node("z", 8);
    seat.see(&[&me, &x, &z]);
    assert_eq!(sources(seat.state()), [["a", "b", "c"], ["me", "a", "b"], ["me", "x", "y"]]);
    assert!(!seat.merged_from("c") && !seat.merged_from("x"), "one of each is not enough of any");
    assert!(seat.merged_from("y"));
}

#[test]
fn only_a_source_of_the_present_list_counts() {
    let (me, a, b, c) = (node("me", 20), node("a", 10), node("b", 30), node("c", 40));
    let mut seat = Seat::outside(&[&a, &b, &c], 3);
    seat.see(&[&me, &a, &b, &c]);
    let list = seat.list();
    seat.see(&[&me, &a, &b, &c, &node("d", 15)]);
    for name in ["a", "b", "c"] {
        assert!(!seat.table.merged_from(SLOT, list, &source(name)));
    }
    assert!(seat.state().catch_up.as_ref().is_some_and(|c| c.merged.is_empty()));
    assert!(!seat.table.merged_from(Slot(9), list, &source("a")), "a slot that is not held");
}

#[test]
fn messages_agree_on_the_list_or_are_refused() {
    let (me, a, b, c) = (node("me", 20), node("a", 10), node("b", 30), node("c", 25));
    let mut seat = Seat::founded(&[&me, &a, &b], 3);
    seat.see(&[&me, &a, &c]);
    let ours = seat.list();
    assert_eq!(ours.counter, 2);
    let counter = |counter| ListId { counter, ..ours };
    let other = |counter| ListId { counter, members: ours.members ^ 1, epoch: 0 };
    let (same, stale) = (Agreement::Same { counts: true }, Agreement::Stale(ours));
    for (theirs, write, read) in [
        (counter(2), same, same),
        // Who is no member does not know the counter: good enough to read.
        (counter(0), stale, same),
        (counter(1), stale, stale),
        (counter(3), stale, stale),
        (other(2), stale, stale),
        (other(0), stale, stale),
        (other(3), stale, stale),
    ] {
        assert_eq!(seat.table.agree(SLOT, theirs, true), write, "write under {theirs:?}");
        assert_eq!(seat.table.agree(SLOT, theirs, false), read, "read under {theirs:?}");
        assert_eq!(seat.list(), ours, "a caught-up member learns no counter from a message");
    }
}

#[test]
fn a_newcomer_learns_its_counter_from_a_message_and_counts_for_nothing() {
    let (me, a, b, c) = (node("me", 20), node("a", 10), node("b", 30), node("c", 40));
    let mut seat = Seat::outside(&[&a, &b, &c], 3);
    seat.see(&[&me, &a, &b, &c]);
    let ours = seat.list();
    let nothing = Agreement::Same { counts: false };
    assert_eq!(seat.table.agree(SLOT, ours, false), nothing);
    let other = ListId { counter: 7, members: ours.members ^ 1, epoch: 0 };
    assert_eq!(seat.table.agree(SLOT, other, true), Agreement::Stale(ours), "not of another list");
    assert_eq!(seat.table.agree(SLOT, ListId { counter: 5, ..ours }, true), nothing);
    assert_eq!(seat.list().counter, 5);
    assert_eq!(seat.table.agree(SLOT, ListId { counter: 6, ..ours }, true), Agreement::Stale(seat.list()));
    assert!(!seat.merged_from("a"));
    assert!(seat.merged_from("b"));
    assert_eq!(seat.list().counter, 5);
    assert_eq!(seat.table.agree(SLOT, ListId { counter: 5, ..ours }, true), Agreement::Same { counts: true });
}

#[test]
fn who_is_not_listed_agrees_to_nothing() {
    let (a, b, c, me) = (node("a", 10), node("b", 20), node("c", 30), node("me", 40));
    let mut seat = Seat::founded(&[&a, &b, &me], 3);
    seat.see(&[&a, &b, &c, &me]);
    let ours = seat.list();
    for write in [true, false] {
        assert_eq!(seat.table.agree(SLOT, ours, write), Agreement::Stale(ours), "it knows the list, but is not in it");
        let unknown = ListId::UNKNOWN;
        assert_eq!(seat.table.agree(Slot(5), ours, write), Agreement::Stale(unknown), "a slot it never held");
    }
}

#[test]
fn a_counter_is_raised_for_the_same_members_only_and_never_lowered() {
    let (me, a) = (node("me", 20), node("a", 10));
    let mut seat = Seat::founded(&[&me, &a], 3);
    let ours = seat.list();
    seat.table.raise_counter(SLOT, ListId { counter: 9, members: ours.members ^ 1, epoch: 0 });
    assert_eq!(seat.list(), ours);
    seat.table.raise_counter(SLOT, ListId { counter: 4, ..ours });
    assert_eq!(seat.list().counter, 4);
    seat.table.raise_counter(SLOT, ListId { counter: 3, ..ours });
    assert_eq!(seat.list().counter, 4);
    seat.table.raise_counter(Slot(5), ListId { counter: 3, ..ours });
    assert_eq!(seat.table.list(Slot(5)), None);
    assert!(seat.state().readable());
}

#[test]
fn a_hopeless_newcomer_goes_on_with_what_is_left() {
    let (me, a, b, c) = (node("me", 20), node("a", 10), node("b", 30), node("c", 40));
    let mut seat = Seat::outside(&[&a, &b, &c], 3);
    seat.see(&[&me, &a, &b, &c]);
    assert!(seat.table.give_up_waiting(&[SLOT], |_| false).is_empty());
    assert!(!seat.state().readable());
    assert_eq!(seat.table.give_up_waiting(&[SLOT], |s| s.catch_up.is_some()), [SLOT]);
    assert!(seat.state().readable() && seat.state().catch_up.is_none());
    assert_eq!(seat.list().counter, 1, "a list that counts has a counter");
    assert!(seat.table.give_up_waiting(&[SLOT], |_| true).is_empty(), "nobody waits any more");
}

#[test]
fn a_slot_is_forgotten_only_by_who_is_not_listed() {
    let (a, b, c, me) = (node("a", 10), node("b", 20), node("c", 30), node("me", 40));
    let mut seat = Seat::founded(&[&a, &b, &me], 3);
    seat.table.drop_slot(SLOT);
    assert!(seat.state().readable());
    seat.see(&[&a, &b, &c, &me]);
    seat.table.drop_slot(SLOT);
    assert_eq!(seat.table.list(SLOT), None);
    assert_eq!(seat.see(&[&a, &b, &me]), Some(Standing::Newcomer), "what it had is gone");
    assert_eq!(seat.list().counter, 0, "and so is the counter");
}

#[test]
fn what_cannot_be_kept_is_waited_for() {
    let (a, b, me) = (node("a", 10), node("b", 20), node("me", 40));
    let mut seat = Seat::outside(&[&a, &b], 3);
    assert_eq!(seat.see(&[&a, &b, &me]), Some(Standing::Newcomer));
    let begun = seat.state().catch_up.as_ref().expect("a newcomer").since;
    let late = begun + std::time::Duration::from_secs(3_600);
    seat.table.hold_up(&[SLOT], late);
    let catch_up = seat.state().catch_up.as_ref().expect("still a newcomer");
    assert_eq!((catch_up.since, catch_up.held_up, catch_up.source_seen), (late, Some(late), None));
    let given_up = seat.table.give_up_waiting(&[SLOT], |s| s.catch_up.as_ref().is_some_and(|c| c.since <= begun));
    assert!(given_up.is_empty() && !seat.state().readable(), "it is as if it had just begun");
}

#[test]
fn in_sync_holds_for_one_list() {
    let (me, a, b) = (node("me", 20), node("a", 10), node("b", 30));
    let mut seat = Seat::founded(&[&me, &a], 3);
    let list = seat.list();
    seat.table.set_in_sync(SLOT, list, false);
    assert!(!seat.state().in_sync);
    seat.table.set_in_sync(SLOT, ListId { counter: 9, ..list }, true);
    assert!(!seat.state().in_sync, "what was seen of another list");
    seat.table.set_in_sync(SLOT, list, true);
    assert!(seat.state().in_sync);
    seat.see(&[&me, &a, &b]);
    assert!(!seat.state().in_sync, "a new list has to be looked at anew");
}

#[test]
fn slots_change_with_their_own_lists_only() {
    let slots = SlotSpace::new(space().ids(), 4);
    let at = |name: &str, positions: &[u8]| {
        let record = NodeRecord { vnodes: positions.len() as u32, ..test_record(name) };
        Arc::new(Member { record, positions: positions.iter().map(|p| at(*p)).collect() })
    };
    let (me, a, b) = (at("me", &[40, 140]), at("a", &[90, 190]), at("b", &[20]));
    let before = RingView::derive(slots.ids(), slots, [&me, &a].into_iter());
    let after = RingView::derive(slots.ids(), slots, [&me, &b].into_iter());
    let mut table = SlotTable::default();
    table.found(slots, &before, 1);
    // Founding is of one node: make the table that of the first of two.
    for slot in slots.iter().filter(|s| before.member(before.replica_list(*s, 1)[0]).node_id.as_str() == "a") {
        table.states.remove(&slot);
    }
    let switch = Switch {
        slots,
        me: &NodeId::new("me"),
        ring: 0,
        before: &before,
        after: &after,
        replicas_before: 1,
        replicas: 1,
        missed: &[],
        now: now(),
    };
    let mut told = Vec::new();
    table.switch(&switch, |slot, state| told.push((slot, state.standing, state.listed)));
    // By the definition: whose it was before, and whose it is now.
    let mine = |view: &RingView, slot| view.member(view.replica_list(slot, 1)[0]).node_id.as_str() == "me";
    let expected: Vec<_> = slots
        .iter()
        .filter(|s| mine(&before, *s) != mine(&after, *s))
        .map(|s| if mine(&before, s) { (s, Standing::CaughtUp, false) } else { (s, Standing::Newcomer, true) })
        .collect();
    assert_eq!(told, expected);
    assert!(told.iter().any(|t| t.1 == Standing::Newcomer) && told.iter().any(|t| !t.2));
    let untouched = table.slots_where(|s| s.list.counter == 1);
    assert!(!untouched.is_empty() && untouched.iter().all(|s| mine(&before, *s) && mine(&after, *s)));
}

#[test]
fn one_of_many_is_given_up_after_some_turns_only() {
    let (me, a, b, c) = (node("me", 20), node("a", 10), node("b", 30), node("c", 40));
    let mut seat = Seat::outside(&[&a, &b, &c], 3);
    seat.see(&[&me, &a, &b, &c]);
    let catch_up = |seat: &Seat| seat.state().catch_up.clone().expect("still a newcomer");
    let impatient = |seat: &Seat| (catch_up(seat).had_its_turns(), catch_up(seat).asked_in_vain());
    let begun = catch_up(&seat).since;
    let later = |minutes: u64| begun + Duration::from_secs(60 * minutes);
    seat.table.take_turn(&[SLOT], false, later(1));
    assert_eq!((catch_up(&seat).since, impatient(&seat)), (begun, (true, true)), "of few, only time counts");
    seat.table.postpone(&[SLOT], later(2));
    seat.table.take_turn(&[SLOT], true, later(3));
    assert_eq!((catch_up(&seat).since, impatient(&seat)), (later(3), (false, false)), "it had no turn before");
    seat.table.take_turn(&[SLOT], true, later(4));
    seat.table.saw_source(SLOT, later(4));
    seat.table.take_turn(&[SLOT], true, later(5));
    assert_eq!((catch_up(&seat).since, impatient(&seat)), (later(3), (true, false)), "one has just answered");
    seat.table.take_turn(&[SLOT], true, later(6));
    seat.table.take_turn(&[SLOT], false, later(7));
    assert_eq!(impatient(&seat), (true, true));
    seat.table.postpone(&[SLOT], later(7));
    assert_eq!(impatient(&seat), (false, false), "as if it had just begun, but still of many");
}
