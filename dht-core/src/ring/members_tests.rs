use proptest::prelude::*;

use super::*;
use crate::env::Env;
use crate::ring::record::test_record;

const REFUSED_MAX: Duration = Duration::from_secs(1);
const SILENT_MAX: Duration = Duration::from_secs(5);

impl Members {
    /// A copy, for tests that try several ways on from one state.
    pub(crate) fn copy(&self) -> Self {
        Self {
            cluster: self.cluster.clone(),
            me: self.me.clone(),
            all: self.all.clone(),
            buried: self.buried.clone(),
            gone: self.gone.clone(),
            suspects: self.suspects.clone(),
            boots: self.boots.clone(),
            missed: self.missed.clone(),
            shared: self.shared.clone(),
            ..*self
        }
    }
}

fn now() -> Instant {
    Env::simulated(1, 1).now()
}

fn spaces() -> (IdSpace, SlotSpace) {
    let ids = IdSpace::new(64).expect("64 bits are in range");
    (ids, SlotSpace::new(ids, 4))
}

fn of(me: NodeRecord) -> Members {
    let (ids, slots) = spaces();
    Members::new("test", ids, slots, me, now())
}

/// The members as "me" knows them, an active node of incarnation 1 and boot 1.
fn me() -> Members {
    of(test_record("me"))
}

fn record(node_id: &str, change: impl FnOnce(&mut NodeRecord)) -> NodeRecord {
    let mut record = test_record(node_id);
    change(&mut record);
    record
}

fn known(members: &Members, node_id: &str) -> Option<NodeRecord> {
    members.get(&NodeId::new(node_id)).map(|k| k.record().clone())
}

fn counts(members: &Members) -> (u64, u64) {
    (members.joined, members.left)
}

fn missed(members: &mut Members) -> Vec<String> {
    members.take_missed().iter().map(|m| m.record.node_id.to_string()).collect()
}

/// Records as others may tell them: of the same rank means the same, as only the node itself raises its incarnation.
fn told() -> impl Strategy<Value = Vec<NodeRecord>> {
    let one = (0..4_u8, 1..4_u64, 1..3_u64, 0..3_u8).prop_map(|(name, incarnation, boot, verdict)| {
        let state = match (u64::from(name) + incarnation + boot) % 4 {
            0 => NodeState::Joining,
            1 | 2 => NodeState::Active,
            _ => NodeState::Left,
        };
        let verdict = [Verdict::Alive, Verdict::Suspect, Verdict::Dead][usize::from(verdict)];
        record(&format!("n{name}"), |r| {
            (r.incarnation, r.boot, r.state, r.verdict, r.placed_at) = (incarnation, boot, state, verdict, incarnation);
            r.vnodes = 1 + boot as u32;
        })
    });
    prop::collection::vec(one, 0..24)
}

fn table(members: &Members) -> Vec<(NodeRecord, Arc<[Id]>)> {
    members.iter().map(|k| (k.record().clone(), k.member.positions.clone())).collect()
}

proptest! {
    #[test]
    fn the_order_of_merges_does_not_matter(
        (records, shuffled) in told().prop_flat_map(|r| { let s = Just(r.clone()).prop_shuffle(); (Just(r), s) }),
    ) {
        let (mut here, mut there) = (me(), me());
        for record in &records {
            here.merge(record, now());
        }
        // Twice: what was heard before changes nothing.
        for record in shuffled.iter().chain(&records) {
            there.merge(record, now());
        }
        prop_assert_eq!(table(&here), table(&there));
        prop_assert_eq!(here.view().fingerprint(), there.view().fingerprint());
        prop_assert!(here.view().same_placement(&there.view()));
        for record in &records {
            prop_assert_eq!(here.merge(record, now()), Learnt::Nothing);
            // The highest stays.
            let highest = records.iter().filter(|r| r.node_id == record.node_id).map(NodeRecord::rank).max();
            prop_assert_eq!(here.get(&record.node_id).map(|k| k.record().rank()), highest);
        }
        // Positions are those of the record that is kept.
        for known in here.iter() {
            prop_assert_eq!(&known.member.positions, &positions_of("test", spaces().0, known.record()));
        }
    }

    #[test]
    fn joined_less_left_is_who_is_here(records in told()) {
        let mut members = me();
        for record in &records {
            members.merge(record, now());
            let present = members.others().count() as u64;
            prop_assert_eq!(members.joined - members.left, present);
            prop_assert_eq!(members.iter().count() as u64, 1 + present + members.gone().count() as u64);
        }
    }

    #[test]
    fn whatever_is_said_of_me_my_own_record_outranks_it(
        said in prop::collection::vec((1..6_u64, 0..3_u64, 0..3_u8), 1..16),
    ) {
        let mut members = me();
        for (incarnation, boot, verdict) in said {
            let verdict = [Verdict::Alive, Verdict::Suspect, Verdict::Dead][usize::from(verdict)];
            let heard = record("me", |r| (r.incarnation, r.boot, r.verdict) = (incarnation, boot, verdict));
            let before = members.own().clone();
            let learnt = members.merge(&heard, now());
            let own = members.own();
            prop_assert_eq!((own.boot, own.verdict, own.state), (1, Verdict::Alive, NodeState::Active));
            prop_assert!(own.incarnation >= before.incarnation && own.placed_at >= before.placed_at);
            match learnt {
                Learnt::Refuted => prop_assert!(own.supersedes(&heard) && own.supersedes(&before)),
                Learnt::Nothing => prop_assert!(*own == before && !heard.supersedes(own)),
                Learnt::Duplicate => prop_assert!(*own == before && heard.boot != 1),
                Learnt::News | Learnt::Leap => prop_assert!(false, "nothing about me is news to me, or a leap"),
            }
        }
    }
}

#[test]
fn an_incarnation_that_leaps_is_not_believed() {
    let mut members = me();
    members.merge(&record("a", |_| ()), now());
    for who in ["a", "me"] {
        let leap = record(who, |r| (r.incarnation, r.verdict) = (2 + LEAP_MAX, Verdict::Dead));
        assert_eq!(members.merge(&leap, now()), Learnt::Leap, "{who}");
    }
    assert_eq!(members.get(&NodeId::new("a")).unwrap().record().incarnation, 1);
    assert_eq!(members.own().incarnation, 1);
    let far = record("a", |r| r.incarnation = 1 + LEAP_MAX);
    assert_eq!(members.merge(&far, now()), Learnt::News);
}

#[test]
fn deaths_are_refuted_at_once_but_not_as_often_as_they_are_told() {
    let mut members = me();
    let start = now();
    let refuted = |members: &mut Members, at| {
        let dead = NodeRecord { verdict: Verdict::Dead, ..members.own().clone() };
        members.merge(&dead, at) == Learnt::Refuted
    };
    let told_each_second = (0..600).filter(|s| refuted(&mut members, start + Duration::from_secs(*s))).count();
    assert_eq!(told_each_second, REFUTALS_MAX as usize + 600 / REFUTAL_INTERVAL.as_secs() as usize - 1);
    let later = start + Duration::from_secs(3_600);
    assert!((0..REFUTALS_MAX).all(|_| refuted(&mut members, later)), "they gather again");
    assert!(!refuted(&mut members, later));
}

#[test]
fn a_suspicion_of_me_is_refuted_and_moves_no_list() {
    let mut members = me();
    let suspect = record("me", |r| r.verdict = Verdict::Suspect);
    assert_eq!(members.merge(&suspect, now()), Learnt::Refuted);
    assert_eq!((members.own().incarnation, members.own().placed_at), (2, 1));
    assert_eq!(members.merge(&suspect, now()), Learnt::Nothing, "it is refuted already");
    assert_eq!(counts(&members), (0, 0));
}

#[test]
fn my_death_is_refuted_and_renames_the_lists_with_me() {
    let mut members = me();
    let before = members.view();
    let dead = record("me", |r| (r.incarnation, r.verdict) = (4, Verdict::Dead));
    assert_eq!(members.merge(&dead, now()), Learnt::Refuted);
    assert_eq!((members.own().incarnation, members.own().placed_at), (5, 5));
    assert!(!before.same_placement(&members.view()));
}

#[test]
fn a_death_before_i_am_active_places_me_nowhere() {
    let mut members = of(record("me", |r| (r.state, r.placed_at) = (NodeState::Joining, 0)));
    let dead = record("me", |r| (r.state, r.placed_at, r.verdict) = (NodeState::Joining, 0, Verdict::Dead));
    assert_eq!(members.merge(&dead, now()), Learnt::Refuted);
    assert_eq!((members.own().incarnation, members.own().placed_at), (2, 0));
    assert!(members.view().members().is_empty());
}

#[test]
fn my_former_self_is_outbid_however_often_it_is_said_to_be_dead() {
    let mut members = me();
    for incarnation in 2..40 {
        let gone = record("me", |r| (r.boot, r.incarnation, r.verdict) = (7, 2 * incarnation, Verdict::Dead));
        assert_eq!(members.merge(&gone, now()), Learnt::Refuted);
        assert_eq!((members.own().boot, members.own().incarnation), (1, 2 * incarnation + 1));
        let left = record("me", |r| (r.boot, r.incarnation, r.state) = (7, 2 * incarnation + 1, NodeState::Left));
        assert_eq!(members.merge(&left, now()), Learnt::Refuted, "the higher boot wins at the same incarnation");
    }
}

#[test]
fn a_living_namesake_is_outbid_a_few_times_and_then_believed() {
    let mut members = me();
    for n in 0..u64::from(OUTBID_MAX) {
        let namesake = record("me", |r| (r.boot, r.incarnation) = (7, 10 + 2 * n));
        assert_eq!(members.merge(&namesake, now()), Learnt::Refuted, "{n}");
        assert_eq!(members.own().incarnation, 11 + 2 * n);
    }
    let before = members.own().clone();
    let namesake = record("me", |r| (r.boot, r.incarnation) = (7, 100));
    assert_eq!(members.merge(&namesake, now()), Learnt::Duplicate);
    assert_eq!(*members.own(), before);
    // A record of mine that somebody else still carries is no namesake.
    let mut members = me();
    for n in 0..40 {
        let echo = record("me", |r| r.incarnation = 10 + 2 * n);
        assert_eq!(members.merge(&echo, now()), Learnt::Refuted);
    }
}

#[test]
fn a_verdict_is_added_once_and_only_to_who_is_present() {
    let mut members = me();
    members.merge(&record("a", |_| {}), now());
    let a = NodeId::new("a");
    let suspect = members.judge(&a, 1, Verdict::Suspect, now()).expect("it is news");
    assert_eq!((suspect.verdict, suspect.incarnation, suspect.boot), (Verdict::Suspect, 1, 1));
    assert_eq!(known(&members, "a"), Some(suspect));
    assert_eq!(members.judge(&a, 1, Verdict::Suspect, now()), None, "known already");
    assert_eq!(members.judge(&a, 1, Verdict::Alive, now()), None, "a lower verdict is the node's to give");
    assert_eq!(members.judge(&a, 2, Verdict::Dead, now()), None, "another boot");
    assert_eq!(members.judge(&NodeId::new("b"), 1, Verdict::Dead, now()), None, "unknown");
    assert_eq!(members.judge(&NodeId::new("me"), 1, Verdict::Suspect, now()), None, "oneself");
    assert_eq!(members.own().verdict, Verdict::Alive);
    assert!(members.judge(&a, 1, Verdict::Dead, now()).is_some());
    assert_eq!(counts(&members), (1, 1));
    assert_eq!(members.judge(&a, 1, Verdict::Dead, now()), None);
    members.merge(&record("c", |r| r.state = NodeState::Left), now());
    assert_eq!(members.judge(&NodeId::new("c"), 1, Verdict::Dead, now()), None, "it said goodbye");
}

#[test]
fn suspects_fall_due_sooner_if_their_address_refuses() {
    let start = now();
    let mut members = me();
    for name in ["refuses", "silent", "fine"] {
        members.merge(&record(name, |_| {}), start);
    }
    let (refuses, silent) = (NodeId::new("refuses"), NodeId::new("silent"));
    for node_id in [&refuses, &silent] {
        members.judge(node_id, 1, Verdict::Suspect, start);
    }
    members.refused(&refuses);
    members.refused(&NodeId::new("fine"));
    let due = |members: &Members, after: Duration| {
        let due = members.overdue(start + after, REFUSED_MAX, SILENT_MAX);
        due.into_iter().map(|(node_id, boot)| format!("{node_id}/{boot}")).collect::<Vec<_>>()
    };
    let tick = Duration::from_millis(1);
    assert!(due(&members, REFUSED_MAX - tick).is_empty());
    assert_eq!(due(&members, REFUSED_MAX), ["refuses/1"], "a refusal alone is no suspicion");
    assert_eq!(due(&members, SILENT_MAX - tick), ["refuses/1"]);
    assert_eq!(due(&members, SILENT_MAX), ["refuses/1", "silent/1"]);
    // An answer takes the refusal back, not the suspicion: that is the node's own to refute.
    members.heard(&refuses, start);
    assert!(due(&members, SILENT_MAX - tick).is_empty());
    assert_eq!(members.get(&refuses).and_then(|k| k.heard), Some(start));
    // Refuted, then suspected again: the time starts anew. A gone one is due no more.
    members.merge(&record("silent", |r| r.incarnation = 2), start);
    assert_eq!(due(&members, SILENT_MAX), ["refuses/1"]);
    members.judge(&silent, 1, Verdict::Suspect, start + SILENT_MAX);
    members.judge(&refuses, 1, Verdict::Dead, start + SILENT_MAX);
    assert!(due(&members, SILENT_MAX * 2 - tick).is_empty());
    assert_eq!(due(&members, SILENT_MAX * 2), ["silent/1"]);
}

#[test]
fn a_suspect_that_answers_has_the_whole_time_again() {
    let start = now();
    let mut members = me();
    members.merge(&record("a", |_| {}), start);
    members.merge(&record("b", |_| {}), start);
    members.heard(&NodeId::new("b"), start);
    let later = start + SILENT_MAX;
    for name in ["a", "b"] {
        members.judge(&NodeId::new(name), 1, Verdict::Suspect, start + Duration::from_millis(1));
    }
    let unheard =
        |members: &Members| members.unheard_suspects().map(|k| k.record().node_id.to_string()).collect::<Vec<_>>();
    assert_eq!(unheard(&members), ["a", "b"], "what b answered before says nothing");
    members.heard(&NodeId::new("a"), later);
    assert_eq!(unheard(&members), ["b"]);
    let due =
        |at| members.overdue(at, REFUSED_MAX, SILENT_MAX).into_iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>();
    assert_eq!(due(later + Duration::from_millis(1)), ["b"]);
    assert_eq!(due(later + SILENT_MAX), ["a", "b"]);
}

#[test]
fn what_was_heard_of_a_boot_does_not_hold_for_the_next_nor_a_refusal_after_a_refutation() {
    let mut members = me();
    let a = NodeId::new("a");
    members.merge(&record("a", |_| {}), now());
    members.heard(&a, now());
    members.refused(&a);
    members.merge(&record("a", |r| r.verdict = Verdict::Suspect), now());
    assert!(members.get(&a).is_some_and(|k| k.heard.is_some() && k.refused));
    members.merge(&record("a", |r| r.incarnation = 2), now());
    assert!(members.get(&a).is_some_and(|k| k.heard.is_some() && !k.refused));
    members.merge(&record("a", |r| (r.incarnation, r.boot) = (3, 2)), now());
    assert!(members.get(&a).is_some_and(|k| k.heard.is_none() && !k.refused));
}

#[test]
fn gone_nodes_are_forgotten_after_their_time_and_the_oldest_of_too_many() {
    let start = now();
    let mut members = me();
    members.merge(&record("here", |_| {}), start);
    members.merge(&record("dead", |r| r.verdict = Verdict::Dead), start);
    members.merge(&record("left", |r| r.state = NodeState::Left), start + Duration::from_secs(1));
    members.bury(start + GRAVEYARD_AGE_MAX - Duration::from_secs(1));
    assert_eq!(members.gone().count(), 2);
    members.bury(start + GRAVEYARD_AGE_MAX);
    assert_eq!((known(&members, "dead"), members.gone().count()), (None, 1), "present ones stay whatever their age");
    members.bury(start + GRAVEYARD_AGE_MAX * 2);
    assert!(members.gone().count() == 0 && known(&members, "here").is_some() && known(&members, "me").is_some());

    // Others may bury it later: what they say of it is nothing new. A life of it that nobody knew is.
    let dead = record("dead", |r| r.verdict = Verdict::Dead);
    members.take_missed();
    assert_eq!(members.merge(&dead, start + GRAVEYARD_AGE_MAX * 2), Learnt::Nothing);
    assert!(members.take_missed().is_empty() && members.buried(&dead.node_id).is_some());
    assert_eq!(members.merge(&record("dead", |r| r.boot = 7), start + GRAVEYARD_AGE_MAX * 2), Learnt::News);
    assert!(members.buried(&dead.node_id).is_none());

    let mut members = me();
    for n in 0..GRAVEYARD_LEN_MAX as u64 {
        // The later their name, the longer they are gone.
        let at = start + Duration::from_millis(GRAVEYARD_LEN_MAX as u64 - n);
        members.merge(&record(&format!("n{n:04}"), |r| (r.vnodes, r.verdict) = (1, Verdict::Dead)), at);
    }
    let stranger = record("stranger", |r| (r.vnodes, r.verdict) = (1, Verdict::Dead));
    assert_eq!(members.merge(&stranger, start), Learnt::Nothing, "no room for a stranger that is gone");
    assert_eq!(members.gone().count(), GRAVEYARD_LEN_MAX);
    // Those known before may still die; then the oldest make room.
    members.merge(&record("here", |r| r.vnodes = 1), start);
    members.merge(&record("here", |r| (r.vnodes, r.verdict) = (1, Verdict::Dead)), start + Duration::from_secs(9));
    members.bury(start + Duration::from_secs(9));
    assert_eq!(members.gone().count(), GRAVEYARD_LEN_MAX);
    assert!(
        known(&members, "n4095").is_none() && known(&members, "n4094").is_some() && known(&members, "here").is_some()
    );
}

#[test]
fn who_came_and_went_unseen_is_told_once() {
    let mut members = me();
    members.merge(&record("seen", |_| {}), now());
    members.merge(&record("seen", |r| r.verdict = Verdict::Dead), now());
    members.merge(&record("dead", |r| r.verdict = Verdict::Dead), now());
    members.merge(&record("left", |r| r.state = NodeState::Left), now());
    members.merge(&record("came", |_| {}), now());
    assert_eq!(missed(&mut members), ["dead", "left"]);
    assert!(missed(&mut members).is_empty());
    members.merge(&record("dead", |r| (r.incarnation, r.verdict) = (2, Verdict::Dead)), now());
    assert!(missed(&mut members).is_empty(), "it was not in the lists again");
    members.merge(&record("other", |r| r.verdict = Verdict::Dead), now());
    members.forget_others();
    assert!(missed(&mut members).is_empty());
    assert_eq!(members.iter().count(), 1);
}

/// A node known as joining is in no list: if the next that is heard is its death, it was in the lists all the same.
#[test]
fn who_became_active_and_went_unseen_is_told_too() {
    let joining = |r: &mut NodeRecord| (r.state, r.placed_at) = (NodeState::Joining, 0);
    let placed = |incarnation, verdict| {
        move |r: &mut NodeRecord| (r.incarnation, r.placed_at, r.verdict) = (incarnation, incarnation, verdict)
    };
    let mut members = me();
    members.merge(&record("a", joining), now());
    members.merge(&record("a", placed(2, Verdict::Dead)), now());
    assert_eq!(missed(&mut members), ["a"], "joining, then dead");
    members.merge(&record("b", joining), now());
    members.merge(&record("b", |r| (r.incarnation, r.placed_at, r.state) = (3, 2, NodeState::Leaving)), now());
    assert_eq!(missed(&mut members), ["b"], "joining, then leaving");
    members.merge(&record("c", joining), now());
    members.merge(&record("c", |r| (r.placed_at, r.state, r.verdict) = (0, NodeState::Joining, Verdict::Dead)), now());
    assert!(missed(&mut members).is_empty(), "it never was active");
    members.merge(&record("a", placed(4, Verdict::Dead)), now());
    assert_eq!(missed(&mut members), ["a"], "dead, back, and dead again");
    members.merge(&record("a", |r| (r.boot, r.verdict) = (9, Verdict::Dead)), now());
    assert!(missed(&mut members).is_empty(), "a lower record is nothing");
    members.merge(&record("a", |r| (r.boot, r.incarnation, r.placed_at, r.verdict) = (9, 5, 5, Verdict::Dead)), now());
    assert_eq!(missed(&mut members), ["a"], "another boot");
}

#[test]
fn comings_and_goings_are_counted() {
    let mut members = me();
    members.merge(&record("a", |r| r.state = NodeState::Joining), now());
    assert_eq!(counts(&members), (1, 0));
    members.merge(&record("a", |r| r.incarnation = 2), now());
    members.merge(&record("a", |r| (r.incarnation, r.verdict) = (2, Verdict::Suspect)), now());
    assert_eq!(counts(&members), (1, 0), "neither activation nor suspicion");
    members.merge(&record("a", |r| (r.incarnation, r.verdict) = (2, Verdict::Dead)), now());
    assert_eq!(counts(&members), (1, 1));
    members.merge(&record("a", |r| r.incarnation = 3), now());
    assert_eq!(counts(&members), (2, 1), "its death was refuted");
    members.merge(&record("a", |r| (r.incarnation, r.state) = (4, NodeState::Left)), now());
    members.merge(&record("b", |r| r.state = NodeState::Left), now());
    assert_eq!(counts(&members), (2, 2), "who was gone already has not left");
}

#[test]
fn a_declaration_raises_the_incarnation_and_entering_the_lists_is_dated() {
    let mut members = of(record("me", |r| (r.state, r.placed_at) = (NodeState::Joining, 0)));
    let state = |next| move |me: &mut NodeRecord| me.state = next;
    let declared = members.declare(|me| me.address = Address::new("elsewhere:2"), now());
    assert_eq!((declared.incarnation, declared.placed_at), (2, 0));
    let active = members.declare(state(NodeState::Active), now());
    assert_eq!((active.incarnation, active.placed_at), (3, 3));
    let again = members.declare(state(NodeState::Active), now());
    assert_eq!((again.incarnation, again.placed_at), (4, 3), "it was in the lists already");
    let leaving = members.declare(state(NodeState::Leaving), now());
    assert_eq!((leaving.incarnation, leaving.placed_at), (5, 3));
    assert_eq!(members.own(), &leaving);
    assert_eq!(members.declare(state(NodeState::Active), now()).placed_at, 6, "it returned");
}

#[test]
fn nodes_are_found_by_boot_and_by_address() {
    let mut members = me();
    members.merge(&record("a", |r| r.boot = 5), now());
    members.merge(&record("b", |r| (r.boot, r.verdict) = (6, Verdict::Dead)), now());
    let name = |known: Option<&Known>| known.map(|k| k.record().node_id.to_string());
    assert_eq!(name(members.by_boot(5)), Some("a".to_owned()));
    assert_eq!(name(members.by_boot(6)), Some("b".to_owned()), "also of the gone");
    assert_eq!(name(members.by_boot(7)), None);
    assert_eq!(name(members.by_address(&Address::new("a:1"))), Some("a".to_owned()));
    assert_eq!(name(members.by_address(&Address::new("b:1"))), None, "somebody else may be there now");
    members.merge(&record("c", |r| r.address = Address::new("b:1")), now());
    assert_eq!(name(members.by_address(&Address::new("b:1"))), Some("c".to_owned()));
}

#[test]
fn views_of_what_would_be() {
    let mut members = of(record("me", |r| r.state = NodeState::Joining));
    members.merge(&record("a", |_| {}), now());
    members.merge(&record("b", |r| r.verdict = Verdict::Dead), now());
    let names = |view: RingView| view.members().iter().map(|m| m.record.node_id.to_string()).collect::<Vec<_>>();
    assert_eq!(names(members.view()), ["a"]);
    assert_eq!(names(members.prospective_view()), ["a", "me"]);
    assert_eq!(names(members.view_with(&record("b", |r| r.boot = 9))), ["a", "b"], "its new boot, not the dead one");
    assert_eq!(names(members.view_with(&record("c", |r| r.state = NodeState::Leaving))), ["a", "c"]);
    assert_eq!(names(members.view()), ["a"], "nothing changed");
    let mine = positions_of("test", spaces().0, members.own());
    assert_eq!(*members.own_positions(), mine);
    assert_eq!(members.prospective_view().positions_of(1).count(), mine.len());
}

#[test]
fn there_is_room_where_a_position_is_free_and_nobody_loses_the_last() {
    // Two ids. "me" keeps the records and has no position; "a" has the one where its choice puts it.
    let ids = IdSpace::new(1).expect("1 is in range");
    let single = |node_id: &str| record(node_id, |r| r.vnodes = 1);
    let at = |node_id: &str, id: Id| {
        let with = |c| NodeRecord { choices: vec![c], ..single(node_id) };
        (0..16).map(with).find(|r| positions_of("test", ids, r)[0] == id).expect("of 16 candidates one is there")
    };
    let (low, high) = (Id::ZERO, ids.max());
    let with = |others: &[NodeRecord]| {
        let me = record("me", |r| r.vnodes = 0);
        let mut members = Members::new("test", ids, SlotSpace::new(ids, 4), me, now());
        for other in others {
            members.merge(other, now());
        }
        members
    };
    let joining = |record: NodeRecord| NodeRecord { state: NodeState::Joining, placed_at: 0, ..record };
    let members = with(&[at("b", low)]);
    assert!(members.has_room_for(&at("c", high)));
    assert!(!members.has_room_for(&at("c", low)), "it would have no position");
    assert!(!members.has_room_for(&at("a", low)), "it would take the last one of b");
    for joiner in ["a", "c"] {
        let choices = members.choices_for(&single(joiner));
        assert!(members.has_room_for(&NodeRecord { choices, ..single(joiner) }), "{joiner} chooses the free one");
    }
    // A joining node has announced its position: who chooses later goes elsewhere, and of two with the same the
    // smaller keeps it.
    let members = with(&[at("b", low), joining(at("c", high))]);
    assert!(members.has_room_for(&at("a", high)));
    assert!(!members.has_room_for(&at("d", high)));
    let choices = members.choices_for(&single("d"));
    assert!(!members.has_room_for(&NodeRecord { choices, ..single("d") }), "there is none left");
    // Who is gone or goes holds nothing.
    let gone = NodeRecord { verdict: Verdict::Dead, ..joining(at("c", high)) };
    assert!(with(&[at("b", low), gone]).has_room_for(&at("d", high)));
    let leaving = NodeRecord { state: NodeState::Leaving, ..at("c", high) };
    assert!(with(&[at("b", low), leaving]).has_room_for(&at("d", high)));
    // Its own record does not stand in a node's way.
    assert!(with(&[at("b", low), joining(at("c", high))]).has_room_for(&at("c", high)));
}

/// Each chose in the ring it knew; whoever has the records derives the same positions from them, in whatever order.
#[test]
fn everybody_derives_the_positions_that_were_chosen() {
    let ids = spaces().0;
    let of = |me: NodeRecord| Members::new("test", ids, SlotSpace::new(ids, 14), me, now());
    let mut records = vec![test_record("me")];
    for n in 0..8 {
        let mut joining = record(&format!("n{n}"), |r| r.vnodes = 6);
        let mut known = of(joining.clone());
        for record in &records {
            known.merge(record, now());
        }
        joining.choices = known.choices_for(&joining);
        assert_eq!(joining.choices.len(), 6);
        assert_ne!(joining.choices, [0; 6]);
        records.push(joining);
    }
    let mut first = of(records[0].clone());
    let mut last = of(records[8].clone());
    for record in &records {
        first.merge(record, now());
    }
    for record in records.iter().rev() {
        last.merge(record, now());
    }
    assert!(first.view().same_placement(&last.view()));
    assert_eq!(first.view().fingerprint(), last.view().fingerprint());
    let plain: Vec<NodeRecord> = records.iter().map(|r| NodeRecord { choices: Vec::new(), ..r.clone() }).collect();
    let mut elsewhere = of(plain[0].clone());
    for record in &plain {
        elsewhere.merge(record, now());
    }
    assert!(!first.view().same_placement(&elsewhere.view()), "the choices do matter");
}

/// A node that has left says so for a while yet: in a full table it is not the one to be forgotten.
#[test]
fn a_node_that_has_left_does_not_forget_itself() {
    let mut members = me();
    members.limit(2);
    members.merge(&record("a", |_| {}), now());
    members.declare(|me| me.state = NodeState::Left, now());
    for name in ["b", "c"] {
        members.merge(&record(name, |_| {}), now());
        assert_eq!(members.own().state, NodeState::Left);
    }
    members.bury(now() + GRAVEYARD_AGE_MAX);
    assert_eq!(members.own().state, NodeState::Left);
}
