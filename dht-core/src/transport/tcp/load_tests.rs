//! What a TCP transport takes on, and what it says to those for whom there is no room.

use std::sync::Mutex;

use futures_util::future::{join_all, poll_immediate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::tests::{Echo, ask, asked, connections, greeted, options, read_hello, soon, transport};
use super::*;
use crate::data::record::{Format, OpId, Value};
use crate::transport::{Answer, Service};
use crate::wire::frame::{HEADER_LEN, Header};
use crate::wire::message::{Action, Operation, Request, Response};

/// A test that takes so long hangs.
const HANGS: Duration = Duration::from_secs(20);

/// Answers when it is told to, but pings at once; says of each call that it has it.
struct Holds {
    has: mpsc::UnboundedSender<()>,
    release: watch::Receiver<bool>,
}

impl Service for Holds {
    fn serve(&self, call: Call) -> Answer {
        if matches!(call.body, Request::Ping { .. }) {
            return pong(&call);
        }
        self.has.send(()).ok();
        let mut release = self.release.clone();
        Answer::Later(Box::pin(async move {
            drop(release.wait_for(|release| *release).await);
            Reply::new(call.head, Response::Described { json: String::new() })
        }))
    }
}

fn pong(call: &Call) -> Answer {
    Answer::Now(Reply::new(call.head, Response::Pong { records: Vec::new() }))
}

fn ping() -> Call {
    Call { body: Request::Ping { boot: 0, records: Vec::new() }, ..ask("") }
}

/// A put of 300,000 bytes.
fn large() -> Call {
    let bytes = Bytes::from(vec![1; 300_000]);
    let action = Action::Put { value: Value { format: Format::Bytes, bytes }, ttl_ms: 0 };
    let operation = Operation { id: OpId { origin: 1, sequence: 1 }, map: 0, key: Bytes::new(), action };
    let body = Request::Apply { operations: vec![operation], level: crate::Consistency::One, relay: false, rings: 0 };
    Call { body, ..ask("") }
}

fn overloaded(outcome: &Result<Reply, TransportError>) -> bool {
    matches!(outcome, Ok(Reply { body: Response::Failure(error), .. }) if error.kind() == ErrorKind::Overloaded)
}

#[tokio::test]
async fn all_peers_together_have_a_bound_that_leaves_room_for_pings() {
    let (has, _has) = mpsc::unbounded_channel();
    let (release, released) = watch::channel(false);
    let bounded = |name| TcpOptions { buffer_size: 2, ..options(name) };
    let b = transport(bounded("b")).await;
    b.accept(Arc::new(Holds { has, release: released }));
    let mut callers = Vec::new();
    for _ in 0..20 {
        callers.push(transport(bounded("caller")).await);
    }
    let to = b.local_address();
    let (refuse, mut refusals) = mpsc::unbounded_channel();
    let calls = callers.iter().flat_map(|caller| [caller, caller]).map(async |caller| {
        let outcome = caller.call(&to, ask("hold"), soon()).await;
        if overloaded(&outcome) {
            refuse.send(()).ok();
        }
        outcome
    });
    let meanwhile = async {
        // The others wait for the release, and nobody waits for them.
        for _ in 0..8 {
            refusals.recv().await.expect("eight are refused");
        }
        assert_eq!(b.shared.load.under_way().0, 32, "sixteen times two");
        for caller in &callers {
            let reply = caller.call(&to, ping(), soon()).await.expect("answered");
            assert!(matches!(reply.body, Response::Pong { .. }), "{reply:?}");
        }
        release.send_replace(true);
    };
    let both = async { tokio::join!(join_all(calls), meanwhile) };
    let (outcomes, ()) = tokio::time::timeout(HANGS, both).await.expect("eight are refused while the others wait");
    assert_eq!(outcomes.iter().filter(|outcome| overloaded(outcome)).count(), 8);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    while b.shared.load.under_way() != (0, 0) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_bytes_of_what_is_under_way_have_a_bound() {
    let (has, mut have) = mpsc::unbounded_channel();
    let (release, released) = watch::channel(false);
    // 32 requests of 16 KiB.
    let bounded = |name| TcpOptions { buffer_size: 2, ..options(name) };
    let (a, b, c) = (transport(bounded("a")).await, transport(bounded("b")).await, transport(bounded("c")).await);
    b.accept(Arc::new(Holds { has, release: released }));
    let to = b.local_address();
    let mut first = a.call(&to, large(), soon());
    assert!(poll_immediate(&mut first).await.is_none());
    tokio::select! {
        biased;
        outcome = &mut first => panic!("{outcome:?}"),
        held = have.recv() => held.expect("it has it"),
    }
    let refused = tokio::time::timeout(HANGS, c.call(&to, large(), soon())).await.expect("it does not wait");
    assert!(overloaded(&refused), "{refused:?}");
    release.send_replace(true);
    assert!(!overloaded(&first.await));
    let later = c.call(&to, large(), soon()).await;
    assert!(later.is_ok() && !overloaded(&later), "{later:?}");
}

#[tokio::test]
async fn a_full_queue_refuses_callers_at_once_and_lets_pings_through() {
    let (has, _has) = mpsc::unbounded_channel();
    let (_release, released) = watch::channel(false);
    let (a, b) = (transport(TcpOptions { buffer_size: 2, ..options("a") }).await, transport(options("b")).await);
    b.accept(Arc::new(Holds { has, release: released }));
    let to = b.local_address();
    a.call(&to, ping(), soon()).await.expect("answered");
    let mut held: Vec<_> = (0..2).map(|_| a.call(&to, ask("hold"), soon())).collect();
    for call in &mut held {
        assert!(poll_immediate(call).await.is_none());
    }
    let refused = poll_immediate(a.call(&to, ask("hold"), soon())).await;
    assert!(matches!(refused, Some(Err(TransportError::Overloaded(_)))), "without a wait: {refused:?}");
    a.call(&to, ping(), soon()).await.expect("answered");
}

/// A listener that takes nothing from its sockets stands for a process that is stopped.
#[tokio::test]
async fn a_peer_that_stands_still_holds_up_no_calls_to_others() {
    let (a, b) = (transport(TcpOptions { buffer_size: 8, ..options("a") }).await, transport(options("b")).await);
    b.accept(Arc::new(Echo));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let still = Address::new(&listener.local_addr().expect("bound").to_string());
    // More than the sockets take, so that frames are left in the queue.
    let large = "x".repeat(200_000);
    let mut first = a.call(&still, ask(&large), soon());
    let _socket = tokio::select! {
        biased;
        outcome = &mut first => panic!("{outcome:?}"),
        socket = greets(&listener) => socket,
    };
    let mut held = vec![first];
    held.extend((1..8).map(|_| a.call(&still, ask(&large), soon())));
    for _ in 0..3 {
        for call in &mut held {
            assert!(poll_immediate(call).await.is_none());
        }
        asked(&a, &b, "hello").await.expect("answered");
    }
    let refused = poll_immediate(a.call(&still, ask("one more"), soon())).await;
    assert!(matches!(refused, Some(Err(TransportError::Overloaded(_)))), "{refused:?}");
    join_all((0..8).map(|_| asked(&a, &b, "hello"))).await.into_iter().for_each(|answer| answer.expect("answered"));
}

#[tokio::test]
async fn while_a_dial_is_waited_for_pings_have_room_of_their_own() {
    let a = transport(TcpOptions { buffer_size: 2, ..options("a") }).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let to = Address::new(&listener.local_addr().expect("bound").to_string());
    let mut waiting: Vec<_> = (0..2).map(|_| a.call(&to, ask("hello"), soon())).collect();
    for call in &mut waiting {
        assert!(poll_immediate(call).await.is_none());
    }
    let refused = poll_immediate(a.call(&to, ask("hello"), soon())).await;
    assert!(matches!(refused, Some(Err(TransportError::Overloaded(_)))), "{refused:?}");
    assert!(poll_immediate(a.call(&to, ping(), soon())).await.is_none(), "it waits");
}

#[tokio::test]
async fn one_way_pings_find_room_in_a_full_queue() {
    let a = transport(TcpOptions { buffer_size: 2, ..options("a") }).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let to = Address::new(&listener.local_addr().expect("bound").to_string());
    a.send(&to, ask("the first dials"));
    let mut socket = greets(&listener).await;
    connections(&a, 1).await;
    let Way::Open(connection) = a.shared.way(&to, Lane::Calls, Weight::Ordinary, || unreachable!("it is open")) else {
        panic!("it is not open");
    };
    // More than the sockets take, so that frames are left in the queue.
    let frame = |call: &Call, kind| encode_call_framed(call, kind, 0, 1 << 20).expect("short");
    let mut sent = 1;
    while connection.send(frame(&ask(&"x".repeat(100_000)), FrameKind::OneWay), Weight::Ordinary).is_ok() {
        sent += 1;
    }
    a.send(&to, ask("lost"));
    a.send(&to, ping());
    let hello = frame(&ask("the first dials"), FrameKind::OneWay);
    let mut received = Vec::new();
    let read = async {
        read_hello(&mut socket).await;
        for _ in 0..=sent {
            let mut front = [0; HEADER_LEN];
            socket.read_exact(&mut front).await.expect("a frame");
            let mut payload = vec![0; Header::decode(&front, 1 << 20).expect("a header").payload_len as usize];
            socket.read_exact(&mut payload).await.expect("the rest of it");
            received.push([&front[..], &payload].concat());
        }
    };
    tokio::time::timeout(HANGS, read).await.expect("the ping comes last");
    assert_eq!(received.first(), Some(&hello.to_vec()));
    assert_eq!(received.last(), Some(&frame(&ping(), FrameKind::OneWay).to_vec()));
}

#[tokio::test]
async fn who_comes_to_a_connection_that_is_closed_for_being_idle_has_sent_nothing() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    b.accept(Arc::new(Echo));
    let to = b.local_address();
    asked(&a, &b, "hello").await.expect("answered");
    let Way::Open(connection) = a.shared.way(&to, Lane::Calls, Weight::Ordinary, || unreachable!("it is open")) else {
        panic!("it is not open");
    };
    let hours_later_ms = a.shared.env.uptime_ms() + 10_000_000;
    // In use it stays.
    let busy = connection.serve();
    assert!(a.shared.pool.sweep(a.shared.env.now(), hours_later_ms).is_empty());
    assert!(a.shared.pool.end_idlest().is_none());
    drop(busy);
    let idle = a.shared.pool.sweep(a.shared.env.now(), hours_later_ms);
    assert_eq!(idle.len(), 1);
    let frame = encode_call_framed(&ask("hello"), FrameKind::Request, 9, 1 << 20).expect("short");
    let mut late = Box::pin(connection.call(9, frame, Weight::Ordinary, soon()));
    let called = poll_immediate(&mut late).await;
    idle[0].shut();
    assert!(matches!(called, Some(Called::Unsent(_))), "nothing was sent");
    asked(&a, &b, "hello").await.expect("dialled anew");
}

/// Says its part of the handshake to the next dialler, and then nothing.
async fn greets(listener: &TcpListener) -> TcpStream {
    let (mut socket, _) = listener.accept().await.expect("dialled");
    let hello = Hello { acceptance: crate::wire::hello::Acceptance::Accepted, ..options("still").hello };
    socket.write_all(&hello.encode().expect("short")).await.expect("sent");
    socket
}

/// What happens to a connection whose other machine was cut off without a word.
#[tokio::test(start_paused = true)]
async fn a_connection_that_swallows_short_calls_is_given_up_and_dialled_anew() {
    // The dial's time-outs would fire while the paused clock jumps over the sockets' work, so it runs meanwhile.
    tokio::time::resume();
    let a = transport(options("a")).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let to = Address::new(&listener.local_addr().expect("bound").to_string());
    let mut first = a.call(&to, ask("hello"), soon());
    let _swallows = tokio::select! {
        biased;
        outcome = &mut first => panic!("{outcome:?}"),
        socket = greets(&listener) => socket,
    };
    connections(&a, 1).await;
    drop(first);
    tokio::time::pause();
    let mut calls = 0;
    while a.traffic().network_errors == 0 {
        let within = a.shared.env.now() + Duration::from_millis(500);
        let outcome = a.call(&to, ask("hello"), within).await;
        assert_eq!(outcome.expect_err("swallowed"), TransportError::Deadline(to.clone()));
        calls += 1;
        assert!(calls < 20, "the connection stays in use");
    }
    assert!(calls > 1, "one short call is not enough to tell");
    tokio::time::resume();
    let mut next = a.call(&to, ask("hello"), soon());
    tokio::select! {
        biased;
        outcome = &mut next => panic!("{outcome:?}"),
        _anew = greets(&listener) => {}
    }
}

/// Keeps the processor for so long when it is told to; notes what it gets, but for pings.
struct Slow {
    env: Env,
    took: Duration,
    seen: Mutex<Vec<String>>,
}

impl Slow {
    fn new(took: Duration) -> Arc<Self> {
        Arc::new(Self { env: Env::system(), took, seen: Mutex::default() })
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no test panics while it holds this").clone()
    }
}

impl Service for Slow {
    fn serve(&self, call: Call) -> Answer {
        let Request::Describe { key, .. } = &call.body else { return pong(&call) };
        let json = String::from_utf8_lossy(key).into_owned();
        self.seen.lock().expect("no test panics while it holds this").push(json.clone());
        let end = self.env.now() + self.took;
        while json == "slow" && self.env.now() < end {
            std::hint::spin_loop();
        }
        Answer::Now(Reply::new(call.head, Response::Described { json }))
    }
}

/// All at once, so that they are read together; their ids are their numbers.
async fn write_together(socket: &mut TcpStream, calls: &[Call]) {
    let frame = |(id, call): (usize, &Call)| {
        encode_call_framed(call, FrameKind::Request, id as u64, 1 << 20).expect("short").to_vec()
    };
    let bytes: Vec<u8> = calls.iter().enumerate().flat_map(frame).collect();
    assert!(bytes.len() < 4_096, "one read takes all: {}", bytes.len());
    socket.write_all(&bytes).await.expect("sent");
}

/// The id of the next answer, and the kind of its failure.
async fn read_answer(socket: &mut TcpStream) -> (u64, Option<ErrorKind>) {
    let mut front = [0; HEADER_LEN];
    socket.read_exact(&mut front).await.expect("an answer");
    let header = Header::decode(&front, 1 << 20).expect("a header");
    let mut payload = vec![0; header.payload_len as usize];
    socket.read_exact(&mut payload).await.expect("the rest of it");
    let kind = match decode_reply(payload.into()).expect("well formed").body {
        Response::Failure(error) => Some(error.kind()),
        _ => None,
    };
    (header.request_id, kind)
}

fn ask_within(text: &str, deadline_ms: u32) -> Call {
    let mut call = ask(text);
    call.head.deadline_ms = deadline_ms;
    call
}

#[tokio::test]
async fn what_expired_before_its_turn_is_not_carried_out() {
    let (a, slow) = (transport(options("a")).await, Slow::new(Duration::from_millis(20)));
    a.accept(slow.clone());
    let mut socket = greeted(&a).await;
    let calls = [ask("slow"), ask_within("expired", 5), ask_within("in time", 60_000), ask("whenever")];
    write_together(&mut socket, &calls).await;
    for id in [0, 2, 3] {
        assert_eq!(read_answer(&mut socket).await, (id, None), "the one in between has no answer");
    }
    assert_eq!(slow.seen(), ["slow", "in time", "whenever"]);
}

#[tokio::test]
async fn a_crowd_that_waited_for_too_long_is_refused_unseen_and_a_ping_is_not() {
    let (a, slow) = (transport(options("a")).await, Slow::new(Duration::from_millis(150)));
    a.accept(slow.clone());
    let mut socket = greeted(&a).await;
    let mut calls = vec![ask("slow")];
    calls.extend((0..40).map(|_| ask("late")));
    calls.push(ping());
    write_together(&mut socket, &calls).await;
    let mut answers = Vec::new();
    for _ in 0..calls.len() {
        answers.push(read_answer(&mut socket).await);
    }
    answers.sort_unstable_by_key(|(id, _)| *id);
    let refused = (1..41).map(|id| (id, Some(ErrorKind::Overloaded)));
    let wanted: Vec<_> = [(0, None)].into_iter().chain(refused).chain([(41, None)]).collect();
    assert_eq!(answers, wanted);
    assert_eq!(slow.seen(), ["slow"], "none of the others was carried out");
}

#[tokio::test]
async fn a_few_are_waited_for() {
    let (a, slow) = (transport(options("a")).await, Slow::new(Duration::from_millis(150)));
    a.accept(slow.clone());
    let mut socket = greeted(&a).await;
    let mut calls = vec![ask("slow")];
    calls.extend((0..10).map(|_| ask("later")));
    write_together(&mut socket, &calls).await;
    for id in 0..calls.len() as u64 {
        assert_eq!(read_answer(&mut socket).await, (id, None));
    }
}
