use proptest::prelude::*;

use super::super::packet::PacketKind;
use super::*;
use crate::env::Env;
use crate::wire::message::{Head, Response};

const LIMITS: Limits = Limits { answers_max: 4, bytes_max: 100, slots_max: 8 };

fn source(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn now() -> Instant {
    Env::system().now()
}

fn header(session: SessionId, slot: u16, sequence: u64) -> Header {
    Header { kind: PacketKind::Request, slot, session, sequence, attempt: 0, left_ms: 1_000 }
}

fn small(len: usize) -> Answered {
    Answered::Small(vec![1; len].into())
}

fn large(len: usize) -> Answered {
    let head = Head { ring_id: None, sender: 0, deadline_ms: 0, trace_id: 0, attempt: 0, view: 0, clock: 0 };
    Answered::Large(Box::new(Reply::new(head, Response::Described { json: String::new() })), len)
}

fn fresh(sessions: &mut Sessions, header: &Header, at: Instant) {
    let arrival = sessions.arrived(source(1), header, at);
    assert!(matches!(arrival, Arrival::Fresh { .. }), "{arrival:?}");
}

#[test]
fn answers_are_bounded_in_number_bytes_and_age_and_never_carried_out_again() {
    let (mut sessions, start) = (Sessions::new([7; 32], LIMITS), now());
    let session = sessions.offer(source(1)).expect("room");
    for slot in 0..8 {
        fresh(&mut sessions, &header(session, slot, 1), start);
        sessions.answered(&header(session, slot, 1), small(10), start);
    }
    assert_eq!(sessions.sizes(), (1, 4, 40));
    for slot in 0..8 {
        let again = sessions.arrived(source(1), &header(session, slot, 1), start);
        let kept = matches!(again, Arrival::Answered(Answered::Small(_)));
        assert!(if slot < 4 { matches!(again, Arrival::Forgotten) } else { kept }, "{slot}: {again:?}");
    }
    // Bytes: 90 more push out all but itself; one beyond the bound stays alone.
    fresh(&mut sessions, &header(session, 0, 2), start);
    sessions.answered(&header(session, 0, 2), small(95), start);
    assert_eq!(sessions.sizes(), (1, 1, 95));
    fresh(&mut sessions, &header(session, 1, 2), start);
    sessions.answered(&header(session, 1, 2), large(1_000), start);
    assert_eq!(sessions.sizes(), (1, 1, 1_000));
    sessions.sweep(start + ANSWER_AGE_MAX - Duration::from_millis(1));
    assert_eq!(sessions.sizes(), (1, 1, 1_000));
    sessions.sweep(start + ANSWER_AGE_MAX);
    assert_eq!(sessions.sizes(), (1, 0, 0));
    let again = sessions.arrived(source(1), &header(session, 1, 2), start);
    assert!(matches!(again, Arrival::Forgotten), "{again:?}");
}

#[test]
fn a_slot_used_again_lets_go_of_its_answer() {
    let (mut sessions, at) = (Sessions::new([7; 32], LIMITS), now());
    let session = sessions.offer(source(1)).expect("room");
    for sequence in 1..100 {
        fresh(&mut sessions, &header(session, 0, sequence), at);
        sessions.answered(&header(session, 0, sequence), small(20), at);
        assert_eq!(sessions.sizes(), (1, 1, 20));
    }
}

#[test]
fn a_large_answer_is_collected_once_and_only_by_whom_it_is_for() {
    let (mut sessions, at) = (Sessions::new([7; 32], LIMITS), now());
    let session = sessions.offer(source(1)).expect("room");
    fresh(&mut sessions, &header(session, 2, 1), at);
    assert!(sessions.collect(session, 2, 1).is_none(), "it is not answered yet");
    sessions.answered(&header(session, 2, 1), large(2_000), at);
    let guessed = SessionId { cookie: session.cookie ^ 1, ..session };
    for (id, slot, sequence) in [(guessed, 2, 1), (session, 1, 1), (session, 2, 2), (session, 9, 1)] {
        assert!(sessions.collect(id, slot, sequence).is_none());
    }
    assert!(sessions.collect(session, 2, 1).is_some());
    assert!(sessions.collect(session, 2, 1).is_none(), "collected twice");
    assert_eq!(sessions.sizes(), (1, 0, 0));
}

#[test]
fn unused_sessions_end_for_good_unless_something_is_under_way() {
    let (mut sessions, start) = (Sessions::new([7; 32], LIMITS), now());
    let (first, second) = (sessions.offer(source(1)).expect("room"), sessions.offer(source(2)).expect("room"));
    fresh(&mut sessions, &header(first, 0, 1), start);
    assert!(matches!(sessions.arrived(source(2), &header(second, 0, 1), start), Arrival::Fresh { .. }));
    sessions.answered(&header(second, 0, 1), small(10), start);
    sessions.sweep(start + UNUSED_MAX);
    assert_eq!(sessions.sizes().0, 1, "the one that is busy is left");
    let again = sessions.arrived(source(2), &header(second, 0, 1), start);
    assert!(matches!(again, Arrival::Unknown), "{again:?}");
    sessions.answered(&header(first, 0, 1), small(10), start);
    sessions.sweep(start + UNUSED_MAX);
    assert_eq!(sessions.sizes(), (0, 0, 0));
    let again = sessions.arrived(source(1), &header(first, 0, 2), start);
    assert!(matches!(again, Arrival::Unknown), "{again:?}");
}

/// Whoever is near gets through a session in less time than an offer takes to who is far away.
#[test]
fn who_begins_sessions_again_and_again_keeps_nobody_else_from_it() {
    let (mut sessions, start) = (Sessions::new([7; 32], LIMITS), now());
    let begin = |sessions: &mut Sessions, at| {
        let id = sessions.offer(source(1)).expect("room");
        fresh(sessions, &header(id, 0, 1), at);
        sessions.answered(&header(id, 0, 1), small(1), at);
        id
    };
    let far = sessions.offer(source(2)).expect("room");
    let near: Vec<SessionId> = (0..1_000).map(|_| begin(&mut sessions, start)).collect();
    let arrival = sessions.arrived(source(2), &header(far, 0, 1), start + Duration::from_secs(1));
    assert!(matches!(arrival, Arrival::Fresh { .. }), "{arrival:?}");
    for id in &near[..999] {
        let arrival = sessions.arrived(source(1), &header(*id, 0, 2), start);
        assert!(matches!(arrival, Arrival::Unknown), "it has ended: {arrival:?}");
    }
    // What was ended is remembered no longer than offers as old hold.
    let old = sessions.offer(source(3)).expect("room");
    for seconds in [0, 3] {
        sessions.sweep(start + Duration::from_secs(seconds));
    }
    for _ in 0..2 {
        begin(&mut sessions, start + Duration::from_secs(3));
    }
    assert_eq!(sessions.ended.len(), 1);
    let arrival = sessions.arrived(source(3), &header(old, 0, 1), start + Duration::from_secs(3));
    assert!(matches!(arrival, Arrival::Unknown), "{arrival:?}");
    for _ in 0..SESSIONS_MAX + 10 {
        begin(&mut sessions, start + Duration::from_secs(3));
    }
    assert_eq!(sessions.ended.len(), SESSIONS_MAX);
}

#[test]
fn while_there_is_no_room_nothing_is_offered_and_one_source_takes_half_of_it() {
    let (mut sessions, at) = (Sessions::new([7; 32], LIMITS), now());
    let from = |ip: [u8; 4], port: usize| SocketAddr::from((ip, port as u16 + 1));
    let begin = |sessions: &mut Sessions, source| {
        let Some(id) = sessions.offer(source) else { return false };
        assert!(matches!(sessions.arrived(source, &header(id, 0, 1), at), Arrival::Fresh { .. }));
        sessions.answered(&header(id, 0, 1), small(1), at);
        true
    };
    let (greedy, honest, here) = ([10, 0, 0, 1], [10, 0, 0, 2], [127, 0, 0, 1]);
    let early = sessions.offer(from(greedy, SHARE_MAX)).expect("room");
    assert!((0..SHARE_MAX).all(|port| begin(&mut sessions, from(greedy, port))));
    assert!(!begin(&mut sessions, from(greedy, SHARE_MAX)), "it has its share");
    let late = sessions.arrived(from(greedy, SHARE_MAX), &header(early, 0, 1), at);
    assert!(matches!(late, Arrival::Unknown), "{late:?}");
    assert!(begin(&mut sessions, from(greedy, 0)), "anew, instead of the one it had");
    // Those of this machine have no share of their own.
    assert!(begin(&mut sessions, from(honest, 0)));
    assert!((1..SESSIONS_MAX - SHARE_MAX).all(|port| begin(&mut sessions, from(here, port))));
    assert_eq!(sessions.sizes().0, SESSIONS_MAX);
    assert!(!begin(&mut sessions, from(honest, 1)) && !begin(&mut sessions, from(here, 0)), "it is full");
    sessions.sweep(at + UNUSED_MAX);
    assert!(begin(&mut sessions, from(greedy, SHARE_MAX)), "all have ended");
}

#[test]
fn all_that_goes_on_counts_until_it_ends() {
    let (mut sessions, at) = (Sessions::new([7; 32], LIMITS), now());
    let session = sessions.offer(source(1)).expect("room");
    // One slot, given up by its caller and used again and again, while all the work goes on.
    for sequence in 1..=8 {
        fresh(&mut sessions, &header(session, 0, sequence), at);
    }
    for sequence in [9, 10] {
        let more = header(session, 0, sequence);
        let arrival = sessions.arrived(source(1), &more, at);
        assert!(matches!(arrival, Arrival::Fresh { under_way: 8 }), "{arrival:?}");
        sessions.answered(&more, small(5), at);
    }
    // Late, but it makes room.
    sessions.answered(&header(session, 0, 1), small(5), at);
    let arrival = sessions.arrived(source(1), &header(session, 0, 11), at);
    assert!(matches!(arrival, Arrival::Fresh { under_way: 7 }), "{arrival:?}");
    assert!(matches!(sessions.arrived(source(1), &header(session, 8, 1), at), Arrival::Late), "no such slot");
}

#[test]
fn a_datagram_to_the_last_slot_costs_one_slot() {
    let limits = Limits { slots_max: u16::MAX, ..LIMITS };
    let (mut sessions, at) = (Sessions::new([7; 32], limits), now());
    let session = sessions.offer(source(1)).expect("room");
    fresh(&mut sessions, &header(session, u16::MAX - 1, 1), at);
    fresh(&mut sessions, &header(session, 0, 1), at);
    let slots = &sessions.table[&session.number].slots;
    assert!(slots.len() == 2 && slots.capacity() < 8, "{} of {}", slots.len(), slots.capacity());
    let again = sessions.arrived(source(1), &header(session, u16::MAX - 1, 1), at);
    assert!(matches!(again, Arrival::Working), "{again:?}");
    assert!(matches!(sessions.arrived(source(1), &header(session, u16::MAX, 1), at), Arrival::Late), "no such slot");
}

#[derive(Clone, Debug)]
enum Step {
    Arrives { slot: u16, sequence: u64 },
    Answer { len: usize },
    Introduce,
    Pass { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u16..4, 1_u64..6).prop_map(|(slot, sequence)| Step::Arrives { slot, sequence }),
        4 => (0_usize..60).prop_map(|len| Step::Answer { len }),
        1 => Just(Step::Introduce),
        1 => (0_u64..100).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

proptest! {
    /// Whatever comes in which order, of whichever session: nothing is fresh twice, and the bounds hold.
    #[test]
    fn nothing_is_carried_out_twice(steps in prop::collection::vec((step(), any::<prop::sample::Index>()), 0..200)) {
        let mut sessions = Sessions::new([7; 32], LIMITS);
        let mut at = now();
        let mut ids = vec![sessions.offer(source(1)).expect("room")];
        let (mut done, mut working) = (std::collections::BTreeSet::new(), Vec::new());
        for (step, index) in steps {
            match step {
                Step::Introduce => ids.push(sessions.offer(source(1)).expect("room")),
                Step::Arrives { slot, sequence } => {
                    let header = header(*index.get(&ids), slot, sequence);
                    if let Arrival::Fresh { .. } = sessions.arrived(source(1), &header, at) {
                        prop_assert!(done.insert((header.session.number, slot, sequence)), "twice: {header:?}");
                        working.push(header);
                    }
                }
                Step::Answer { len } if !working.is_empty() => {
                    let header = working.swap_remove(index.index(working.len()));
                    sessions.answered(&header, small(len), at);
                }
                Step::Answer { .. } => {}
                Step::Pass { seconds } => {
                    at += Duration::from_secs(seconds);
                    sessions.sweep(at);
                }
            }
            let (live, answers, bytes) = sessions.sizes();
            prop_assert!(live <= 1 && answers <= LIMITS.answers_max && bytes <= LIMITS.bytes_max);
            prop_assert_eq!(bytes, sessions.order.values().map(|kept| kept.bytes).sum::<usize>());
        }
    }
}
