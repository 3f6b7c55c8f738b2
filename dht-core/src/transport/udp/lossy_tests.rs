//! Calls through a relay on loopback that loses, repeats and reorders datagrams as its seed has it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use futures_util::StreamExt;
use futures_util::stream;

use super::super::security::testing::{secured, with_key};
use super::packet::{DATAGRAM_MAX, Format, PacketKind};
use super::tests::{ask, options, transport};
use super::*;
use crate::wire::message::{Request, Response};

/// Of a thousand datagrams, each way.
#[derive(Clone, Copy, Default)]
struct Faults {
    lost: usize,
    repeated: usize,
    /// Overtaken by up to eight that come later.
    held: usize,
}

/// What the relay saw.
#[derive(Default)]
struct Seen {
    /// The highest attempt of each request.
    attempts: BTreeMap<(u64, u16, u64), u16>,
    /// Datagrams of the caller, where nothing more can be seen.
    sealed: usize,
    lost: usize,
    repeated: usize,
    held: usize,
}

/// Passes what comes to `front` on to `to` and back, and connections to the same port untouched.
async fn relay(front: UdpSocket, to: SocketAddr, faults: Faults, seed: u64, sealed: bool, seen: Arc<Mutex<Seen>>) {
    let (env, format) = (Env::simulated(seed, 0), Format::new("test"));
    let mut caller = None;
    let mut held: VecDeque<(usize, Vec<u8>, SocketAddr)> = VecDeque::new();
    let mut buffer = [0; DATAGRAM_MAX];
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    loop {
        tokio::select! {
            biased;
            received = front.recv_from(&mut buffer) => {
                let (len, from) = received.expect("no error");
                let bytes = buffer[..len].to_vec();
                let target = if from == to { caller } else { Some(to) };
                if from != to {
                    caller = Some(from);
                }
                let Some(target) = target else { continue };
                let mut seen = seen.lock().expect("no panic");
                if sealed {
                    assert!(format.decode(&bytes).is_err(), "a datagram that is not sealed");
                    seen.sealed += usize::from(target == to);
                } else if let (header, _) = format.decode(&bytes).expect("well formed")
                    && header.kind == PacketKind::Request
                {
                    let id = (header.session.number, header.slot, header.sequence);
                    let highest = seen.attempts.entry(id).or_default();
                    *highest = header.attempt.max(*highest);
                }
                let chance = |per_mille| env.random_below(1_000) < per_mille;
                if chance(faults.lost) {
                    seen.lost += 1;
                    continue;
                }
                for copy in 0..1 + usize::from(chance(faults.repeated)) {
                    seen.repeated += copy;
                    if chance(faults.held) {
                        seen.held += 1;
                        held.push_back((1 + env.random_below(8), bytes.clone(), target));
                    } else {
                        front.try_send_to(&bytes, target).ok();
                    }
                }
            }
            // What is held longest is let go if nothing overtakes it.
            _ = ticks.tick() => {}
        }
        for (left, ..) in &mut held {
            *left = left.saturating_sub(1);
        }
        while held.front().is_some_and(|(left, ..)| *left == 0) {
            let (_, bytes, target) = held.pop_front().expect("looked at");
            front.try_send_to(&bytes, target).ok();
        }
    }
}

/// Counts how often it was asked each thing; a third of the answers come later.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<String, usize>>);

impl Service for Tally {
    fn serve(&self, call: Call) -> super::super::Answer {
        let Request::Describe { key, .. } = &call.body else { panic!("{call:?}") };
        let word = String::from_utf8_lossy(key).into_owned();
        *self.0.lock().expect("no panic").entry(word.clone()).or_default() += 1;
        let later = word.ends_with('0') || word.ends_with('3') || word.ends_with('7');
        let reply = Reply::new(call.head, Response::Described { json: word });
        if !later {
            return super::super::Answer::Now(reply);
        }
        super::super::Answer::Later(Box::pin(async move {
            tokio::task::yield_now().await;
            reply
        }))
    }
}

/// `calls` calls, 32 at a time; how many of them had no answer within five attempts.
async fn late(calls: usize, faults: Faults, seed: u64) -> usize {
    through(calls, faults, seed, None).await
}

async fn through(calls: usize, faults: Faults, seed: u64, key: Option<&str>) -> usize {
    let security = key.and_then(|key| secured(&with_key(key)));
    let made = |name| transport(TcpOptions { security: security.clone(), ..options(name) });
    let (a, b) = (made("a").await, made("b").await);
    let tally = Arc::new(Tally::default());
    b.accept(tally.clone());
    let target: SocketAddr = b.local_address().as_str().parse().expect("an address");
    // Connections pass by the relay's own listener: it is there, which is all that is looked for.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let front = UdpSocket::bind(address).await.expect("the port is free for datagrams, too");
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(relay(front, target, faults, seed, key.is_some(), seen.clone()));
    tasks.spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.expect("no error");
            let mut far = tokio::net::TcpStream::connect(target).await.expect("listening");
            tokio::spawn(async move { drop(tokio::io::copy_bidirectional(&mut near, &mut far).await) });
        }
    });
    let to = Address::new(&address.to_string());
    let deadline = Env::system().now() + Duration::from_secs(120);
    let answers = stream::iter(0..calls)
        .map(|i| {
            let call = a.call(&to, ask(&format!("call {i}")), deadline);
            async move {
                let reply = call.await.unwrap_or_else(|error| panic!("call {i}: {error}"));
                assert!(matches!(&reply.body, Response::Described { json } if *json == format!("call {i}")));
            }
        })
        .buffer_unordered(32)
        .count();
    assert_eq!(answers.await, calls);
    let tally = tally.0.lock().expect("no panic");
    assert_eq!(tally.len(), calls);
    assert!(tally.values().all(|times| *times == 1), "carried out more than once");
    let seen = seen.lock().expect("no panic");
    let busy = |wanted: usize, happened: usize| wanted == 0 || happened > calls * wanted / 1_000;
    assert!(busy(faults.lost, seen.lost) && busy(faults.repeated, seen.repeated) && busy(faults.held, seen.held));
    assert!(seen.attempts.len().max(seen.sealed) > calls * 9 / 10, "most calls must have been datagrams");
    seen.attempts.values().filter(|attempt| **attempt >= 5).count()
}

#[tokio::test]
async fn of_calls_with_one_percent_loss_each_way_9999_in_10000_need_five_attempts_at_most() {
    let late = late(10_000, Faults { lost: 10, ..Faults::default() }, 1).await;
    assert!(late <= 1, "{late}");
}

#[tokio::test]
async fn of_calls_with_five_percent_loss_each_way_999_in_1000_need_five_attempts_at_most() {
    let late = late(10_000, Faults { lost: 50, ..Faults::default() }, 2).await;
    assert!(late <= 10, "{late}");
}

#[tokio::test]
async fn of_calls_with_twenty_percent_loss_each_way_99_in_100_need_five_attempts_at_most() {
    let late = late(10_000, Faults { lost: 200, ..Faults::default() }, 3).await;
    assert!(late <= 100, "{late}");
}

#[tokio::test]
async fn nothing_is_carried_out_twice_through_loss_repetition_and_disorder() {
    late(10_000, Faults { lost: 100, repeated: 200, held: 200 }, 4).await;
}

#[tokio::test]
async fn sealed_nothing_is_carried_out_twice_through_loss_repetition_and_disorder() {
    let faults = Faults { lost: 100, repeated: 200, held: 200 };
    through(10_000, faults, 5, Some("a secret of the cluster")).await;
}
