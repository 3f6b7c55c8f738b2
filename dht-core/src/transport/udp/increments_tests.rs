//! Both ends' rules without sockets: a network that loses, repeats, delays and reorders, in virtual time; callers that
//! give up; a callee that forgets answers. What is asked for is never done twice.

use std::collections::BTreeMap;

use futures_util::FutureExt;

use super::packet::{Header, PacketKind, SessionId};
use super::peer::{Attempt, Peer, Place, Told, Way};
use super::seal::Link;
use super::sessions::{Answered, Arrival, Limits, Sessions};
use super::*;

/// Under way at once.
const CALLERS: usize = 32;

enum Event {
    /// A datagram for the callee; what is asked rides along, as the payload does.
    Asks(Header, usize),
    /// The callee has the answer to a request that it began to carry out.
    Done(Header),
    /// A datagram for the caller.
    Answers(Header),
    /// A caller's time-out.
    Again(usize),
}

struct World {
    now: Instant,
    env: Env,
    events: BTreeMap<(Instant, u64), Event>,
    count: u64,
    applied: Vec<u8>,
    answered: Vec<bool>,
    gave_up: usize,
    broken: usize,
}

impl World {
    fn at(&mut self, after: Duration, event: Event) {
        self.count += 1;
        self.events.insert((self.now + after, self.count), event);
    }

    fn chance(&self, per_mille: usize) -> bool {
        self.env.random_below(1_000) < per_mille
    }

    /// 5 % are lost, 10 % arrive twice, all at random between 0.1 and 4 ms, one in a hundred after up to 3 s.
    fn pass(&mut self, event: impl Fn() -> Event) {
        if self.chance(50) {
            return;
        }
        for _ in 0..1 + usize::from(self.chance(100)) {
            let most_us = if self.chance(10) { 3_000_000 } else { 3_900 };
            let delay = Duration::from_micros(100 + self.env.random_below(most_us) as u64);
            self.at(delay, event());
        }
    }
}

fn run(increments: usize, seed: u64) -> World {
    let env = Env::simulated(seed, 0);
    let (source, to) = (SocketAddr::from(([127, 0, 0, 1], 1)), Address::new("127.0.0.1:2"));
    let mut world = World {
        now: env.now(),
        env,
        events: BTreeMap::new(),
        count: 0,
        applied: vec![0; increments],
        answered: vec![false; increments],
        gave_up: 0,
        broken: 0,
    };
    let limits = Limits { answers_max: 24, bytes_max: 1 << 20, slots_max: 64 };
    let mut sessions = Sessions::new([7; 32], limits);
    let peer = Arc::new(Peer::new(64, world.now));
    let mut places: BTreeMap<usize, Place> = BTreeMap::new();
    let mut next = 0;
    loop {
        while next < increments && places.len() < CALLERS {
            match peer.way(&to, world.now, true, || 5) {
                Way::Datagram(place) => {
                    places.insert(next, place);
                    world.at(Duration::ZERO, Event::Again(next));
                    next += 1;
                }
                Way::Introduce(nonce) => {
                    let offer = Header { slot: 64, ..Header::introduction(nonce, 0).answered(PacketKind::Offer) };
                    let session = sessions.offer(source).expect("room");
                    assert!(peer.offered(Link { address: source, seal: None }, &offer, session, world.now));
                }
                Way::Wait(_) | Way::Tcp | Way::Blocked(_) => panic!("the callee always answers in time"),
            }
        }
        let Some(((now, _), event)) = world.events.pop_first() else { break };
        world.now = now;
        match event {
            Event::Again(increment) => {
                let Some(place) = places.get(&increment) else { continue };
                // A caller in two hundred gives up; what it asked may be carried out all the same, once.
                if world.chance(5) {
                    places.remove(&increment);
                    world.gave_up += 1;
                    continue;
                }
                let Some(Attempt { number: attempt, wait, .. }) = place.attempt(now) else { continue };
                let (slot, session, sequence) = (place.slot, place.session, place.sequence);
                let header = Header { kind: PacketKind::Request, slot, session, sequence, attempt, left_ms: 1_000 };
                world.pass(|| Event::Asks(header, increment));
                world.at(wait, Event::Again(increment));
            }
            Event::Asks(header, increment) => match sessions.arrived(source, &header, now) {
                Arrival::Fresh { .. } => {
                    world.applied[increment] += 1;
                    let takes = if world.chance(20) { 200_000 } else { 500 };
                    let takes = Duration::from_micros(world.env.random_below(takes) as u64);
                    world.at(takes, Event::Done(header));
                }
                Arrival::Working => world.pass(|| Event::Answers(header.answered(PacketKind::Working))),
                Arrival::Answered(_) => world.pass(|| Event::Answers(header.answered(PacketKind::Reply))),
                Arrival::Forgotten => world.pass(|| Event::Answers(header.answered(PacketKind::Lost))),
                Arrival::Late => {}
                // The session was ended: the callee is to the caller as one that started again.
                Arrival::Unknown => {
                    let offer = Header { slot: 64, ..header.answered(PacketKind::Offer) };
                    world.pass(|| Event::Answers(offer));
                }
            },
            Event::Done(header) => {
                sessions.answered(&header, Answered::Small(vec![1; 20].into()), now);
                world.pass(|| Event::Answers(header.answered(PacketKind::Reply)));
                // Once in ten thousand the callee forgets its caller, if it can.
                if world.env.random_below(10_000) == 0 {
                    sessions.sweep(now + Duration::from_secs(3_600));
                }
            }
            Event::Answers(header) if header.kind == PacketKind::Offer => {
                let session = sessions.offer(source).expect("room");
                peer.offered(Link { address: source, seal: None }, &header, session, now);
            }
            Event::Answers(header) => drop(peer.answered(&header, b"", now)),
        }
        places.retain(|increment, place| match (&mut place.told).now_or_never() {
            None => true,
            Some(Ok(Told::Reply(_))) => {
                world.answered[*increment] = true;
                false
            }
            Some(Ok(Told::TooLarge | Told::Broken)) => {
                world.broken += 1;
                false
            }
            Some(Err(_)) => panic!("a slot was dropped without a word"),
        });
    }
    assert_eq!((next, places.len()), (increments, 0), "every call ends");
    world
}

fn exactly_once(increments: usize, seed: u64) {
    let world = run(increments, seed);
    let twice = world.applied.iter().filter(|times| **times > 1).count();
    let answered = world.answered.iter().filter(|answered| **answered).count();
    // Of two attempts both may be lost until the caller gives up: so an increment may never happen.
    let missing = world.applied.iter().zip(&world.answered).filter(|(times, answered)| **answered && **times == 0);
    assert_eq!((twice, missing.count()), (0, 0), "of {increments} with seed {seed}");
    assert!(world.gave_up > increments / 1_000 && world.broken > 0, "{} {}", world.gave_up, world.broken);
    assert!(answered > increments * 9 / 10, "{answered}");
}

#[test]
fn increments_are_applied_once() {
    for seed in 1..=4 {
        exactly_once(50_000, seed);
    }
}

#[test]
#[ignore = "takes minutes: cargo test -p dht-core --lib ten_million -- --ignored"]
fn ten_million_increments_are_applied_once() {
    exactly_once(10_000_000, 5);
}

/// A peer with a session, and the place of a request that was sent once.
fn opened(now: Instant) -> (Arc<Peer>, Place) {
    let (peer, to) = (Arc::new(Peer::new(4, now)), Address::new("127.0.0.1:2"));
    let Way::Introduce(nonce) = peer.way(&to, now, true, || 5) else { panic!("nothing is known") };
    let offer = Header { slot: 4, ..Header::introduction(nonce, 0).answered(PacketKind::Offer) };
    assert!(peer.offered(Link { address: source(), seal: None }, &offer, SessionId { number: 9, cookie: 9 }, now));
    let Way::Datagram(place) = peer.way(&to, now, true, || 6) else { panic!("it is open") };
    assert_eq!(place.attempt(now).map(|attempt| attempt.number), Some(0));
    (peer, place)
}

fn source() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 2))
}

fn way(peer: &Arc<Peer>, now: Instant) -> Way {
    peer.way(&Address::new("127.0.0.1:2"), now, true, || 7)
}

fn answer(place: &Place, kind: PacketKind, attempt: u16) -> Header {
    Header { kind, slot: place.slot, session: place.session, sequence: place.sequence, attempt, left_ms: 0 }
}

#[test]
fn a_silent_peer_is_reached_over_tcp_until_it_is_heard_again() {
    let start = Env::system().now();
    let (peer, mut place) = opened(start);
    let later = start + Duration::from_secs(2);
    assert!(peer.begin_check(later) && !peer.begin_check(later), "one look is enough");
    peer.there(later, later + Duration::from_secs(30));
    assert!(matches!(way(&peer, later), Way::Tcp));
    // The answer comes after all.
    assert!(peer.answered(&answer(&place, PacketKind::Reply, 0), b"", later));
    assert!(matches!((&mut place.told).now_or_never(), Some(Ok(Told::Reply(_)))));
    assert!(matches!(way(&peer, later), Way::Datagram(_)));
}

#[test]
fn a_peer_that_says_it_works_on_a_request_is_not_looked_for() {
    let start = Env::system().now();
    let (peer, place) = opened(start);
    let mut at = start;
    let mut silent = |answers: bool| {
        at += Duration::from_secs(1);
        let attempt = place.attempt(at).expect("under way");
        if answers {
            assert!(peer.answered(&answer(&place, PacketKind::Working, attempt.number), b"", at));
        }
        attempt.silent
    };
    assert!(!silent(false), "too early");
    assert!(silent(true) && !silent(true) && !silent(false) && silent(false));
}

#[test]
fn a_peer_that_refuses_breaks_what_it_was_asked() {
    let start = Env::system().now();
    let (peer, mut place) = opened(start);
    peer.refused(start + Duration::from_secs(1));
    assert!(matches!((&mut place.told).now_or_never(), Some(Ok(Told::Broken))));
    assert!(place.attempt(start).is_none());
    assert!(!peer.answered(&answer(&place, PacketKind::Reply, 0), b"", start), "the session is over");
    assert!(matches!(way(&peer, start), Way::Tcp));
    // After the pause it is tried again, and nobody waits for that.
    let later = start + Duration::from_secs(2);
    assert!(matches!(way(&peer, later), Way::Introduce(7)));
    assert!(matches!(way(&peer, later), Way::Tcp));
}

#[test]
fn answers_must_fit_an_attempt_that_was_made() {
    let start = Env::system().now();
    let (peer, place) = opened(start);
    let good = answer(&place, PacketKind::Reply, 0);
    let wrong = [
        Header { attempt: 1, ..good },
        Header { slot: 1, ..good },
        Header { slot: 60_000, ..good },
        Header { sequence: 2, ..good },
        Header { session: SessionId { number: 9, cookie: 8 }, ..good },
    ];
    for header in wrong {
        assert!(!peer.answered(&header, b"", start), "{header:?}");
    }
    assert!(peer.answered(&good, b"", start));
    assert!(!peer.answered(&good, b"", start), "it has been told");
}

#[test]
fn a_session_unused_for_long_is_not_used_again() {
    let start = Env::system().now();
    let (peer, place) = opened(start);
    let later = start + peer::UNUSED_MAX;
    assert!(matches!(way(&peer, later), Way::Datagram(_)), "a request is under way in it");
    let later = later + peer::UNUSED_MAX;
    drop(place);
    assert!(matches!(way(&peer, later), Way::Introduce(_)));
}
