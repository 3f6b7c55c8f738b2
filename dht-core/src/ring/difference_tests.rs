use proptest::prelude::*;

use super::super::id::IdSpace;
use super::super::record::{NodeState, test_record};
use super::super::slot::SlotSpace;
use super::*;
use crate::env::Env;

fn members(me: &str, records: &[NodeRecord]) -> Members {
    let ids = IdSpace::new(64).expect("64 bits are in range");
    let now = Env::simulated(1, 1).now();
    let mut members = Members::new("test", ids, SlotSpace::new(ids, 4), test_record(me), now);
    for record in records {
        members.merge(record, now);
    }
    members
}

fn learn(members: &mut Members, records: &[NodeRecord]) {
    for record in records {
        members.merge(record, Env::simulated(1, 1).now());
    }
}

/// What each side knows of everybody.
fn known(members: &Members, gone: bool) -> Vec<(String, NodeRecord)> {
    let mut all: Vec<_> = Scope { gone }.records(members).map(|r| (r.node_id.to_string(), r.clone())).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// One whole exchange; returns how many records and digests it took.
fn exchange(scope: Scope, a: &mut Members, b: &mut Members) -> (usize, usize) {
    exchange_some(scope, a, b, usize::MAX)
}

/// The same with so many digests in a message.
fn exchange_some(scope: Scope, a: &mut Members, b: &mut Members, max: usize) -> (usize, usize) {
    let sums = scope.sums(a);
    let (differing, digests, all) = scope.differing(b, &sums, max);
    assert!(all || digests.len() <= max);
    let (newer, wanted) = scope.compare(a, sums.len(), &differing, &digests);
    learn(b, &newer);
    let answered = answer(b, &newer, &wanted);
    learn(a, &answered);
    assert!(lacking(a, &digests).is_empty());
    (newer.len() + answered.len(), digests.len())
}

fn record() -> impl Strategy<Value = NodeRecord> {
    let verdicts = prop::sample::select(vec![Verdict::Alive, Verdict::Suspect, Verdict::Dead]);
    // Few nodes and ranks, so that the two sides meet; the state follows from the incarnation, as nodes do it.
    (0..40u32, 1..4u64, 1..3u64, verdicts).prop_map(|(n, incarnation, boot, verdict)| {
        let state = [NodeState::Joining, NodeState::Active, NodeState::Left][incarnation as usize - 1];
        NodeRecord { incarnation, boot, verdict, state, ..test_record(&format!("n{n}")) }
    })
}

#[test]
fn what_does_not_fit_into_a_message_is_told_by_the_next_ones() {
    let scope = Scope { gone: false };
    let records: Vec<NodeRecord> = (0..400).map(|n| test_record(&format!("n{n:03}"))).collect();
    // Those that both know, and whatever they know of it; those that one side knows; and where one knows nobody.
    for (ours, theirs) in [(0..400, 0..400), (0..300, 100..400), (0..0, 0..400)] {
        let (mut a, mut b) = (members("a", &records[ours]), members("b", &records[theirs]));
        for record in &records[150..250] {
            a.merge(&NodeRecord { incarnation: record.incarnation + 1, ..record.clone() }, Env::simulated(1, 1).now());
        }
        let mut rounds = 0;
        while known(&a, false) != known(&b, false) {
            exchange_some(scope, &mut a, &mut b, 50);
            rounds += 1;
            assert!(rounds < 40, "no progress");
        }
        assert!(rounds > 1, "it would have fitted");
    }
}

proptest! {
    #[test]
    fn after_an_exchange_both_know_the_same(
        ours in prop::collection::vec(record(), 0..60),
        theirs in prop::collection::vec(record(), 0..60),
        gone in any::<bool>(),
    ) {
        let (mut a, mut b) = (members("a", &ours), members("b", &theirs));
        let scope = Scope { gone };
        exchange(scope, &mut a, &mut b);
        prop_assert_eq!(known(&a, gone), known(&b, gone));
        // And then there is nothing left to say.
        prop_assert_eq!(exchange(scope, &mut a, &mut b), (0, 0));
    }
}

#[test]
fn one_difference_among_many_costs_one_bucket() {
    let all: Vec<NodeRecord> = (0..1_000).map(|n| test_record(&format!("n{n}"))).collect();
    let (mut a, mut b) = (members("a", &all), members("b", &all[1..]));
    learn(&mut b, &[test_record("a")]);
    learn(&mut a, &[test_record("b")]);
    assert_eq!(Scope { gone: false }.sums(&a).len(), 64);
    let (records, digests) = exchange(Scope { gone: false }, &mut a, &mut b);
    assert_eq!(records, 1);
    assert!(digests < 40, "{digests} digests for one difference");
    assert_eq!(known(&a, true), known(&b, true));
}

#[test]
fn who_died_meanwhile_is_learnt_by_whoever_takes_it_for_alive() {
    let dead = NodeRecord { verdict: Verdict::Dead, ..test_record("x") };
    for flipped in [false, true] {
        let (mut a, mut b) = (members("a", &[test_record("x")]), members("b", std::slice::from_ref(&dead)));
        if flipped {
            std::mem::swap(&mut a, &mut b);
        }
        exchange(Scope { gone: false }, &mut a, &mut b);
        for side in [&a, &b] {
            assert_eq!(side.get(&dead.node_id).map(|k| k.record().verdict), Some(Verdict::Dead), "flipped: {flipped}");
        }
    }
}

#[test]
fn nodes_that_came_and_went_are_told_only_when_asked_for() {
    let gone = NodeRecord { verdict: Verdict::Dead, ..test_record("x") };
    let known_after = |scope: Scope| {
        let (mut a, mut b) = (members("a", std::slice::from_ref(&gone)), members("b", &[]));
        exchange(scope, &mut a, &mut b);
        b.get(&gone.node_id).is_some()
    };
    assert!(known_after(Scope { gone: true }));
    // "a" and "b" are in one bucket with x and differ, yet x is no news that matters now.
    assert!(!known_after(Scope { gone: false }));
}
