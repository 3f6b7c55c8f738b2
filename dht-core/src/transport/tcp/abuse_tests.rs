//! What hostile or broken peers do to a TCP transport, and what they do not keep it from.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::gate::WAITING_MAX;
use super::outbound::Outbound;
use super::pool::Pool;
use super::shared::ORPHANS_MAX;
use super::tests::{Echo, ask, asked, bare_connection, connections, greeted, nobody, options, transport};
use super::*;
use crate::transport::Answer;
use crate::wire::frame::Header;
use crate::wire::hello::Acceptance;
use crate::wire::message::{Head, Request, Response};

/// Waits until it is so; a hang is a failure.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let reached = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reached).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn silent_connections_never_keep_an_honest_peer_out() {
    let b = transport(options("b")).await;
    b.accept(Arc::new(Echo));
    let mut silent = Vec::new();
    for round in 0..10 {
        // More than there are places, each time, and those of before are still there.
        for _ in 0..=WAITING_MAX {
            silent.push(TcpStream::connect(b.local_address().as_str()).await.expect("listening"));
        }
        let a = transport(options("a")).await;
        asked(&a, &b, "hello").await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        a.close().await;
        // The oldest have been closed by then.
        silent.drain(..silent.len().saturating_sub(WAITING_MAX));
    }
    let counts = b.misdeeds();
    assert!(counts.by_kind["bad_handshake"] >= 9 * WAITING_MAX as u64, "{counts:?}");
    assert!(counts.by_peer["127.0.0.1"] >= 9 * WAITING_MAX as u64, "{counts:?}");
}

#[tokio::test]
async fn misbehaviour_is_counted_by_kind_and_by_source() {
    let a = transport(options("a")).await;
    a.accept(Arc::new(Echo));
    assert_eq!(a.misdeeds(), MisdeedCounts::default());
    let frame = |kind, payload: &[u8]| {
        let header = Header::of(kind, 1, payload, usize::MAX).expect("short");
        [&header.encode()[..], payload].concat()
    };
    let too_long = Header { payload_len: (1 << 20) + 1, ..Header::of(FrameKind::Request, 1, b"", 0).expect("empty") };
    let wrong = [
        ("malformed", frame(FrameKind::Request, b"\xff\xff\xff\xff")),
        ("protocol_violation", frame(FrameKind::Hello, b"")),
        ("oversize", too_long.encode().to_vec()),
    ];
    for (i, (kind, bytes)) in wrong.iter().enumerate() {
        let mut socket = greeted(&a).await;
        socket.write_all(bytes).await.expect("sent");
        drop(socket.read_to_end(&mut Vec::new()).await);
        let counts = a.misdeeds();
        assert_eq!((counts.by_kind.len(), counts.by_kind.get(*kind)), (i + 1, Some(&1)), "{kind}: {counts:?}");
        assert_eq!(counts.by_peer["127.0.0.1"], i as u64 + 1);
    }
    // A peer that was dialled is named by its address.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = Address::new(&listener.local_addr().expect("bound").to_string());
    let lying = async {
        let (mut socket, _) = listener.accept().await.expect("dialled");
        let hello = Hello { acceptance: Acceptance::Accepted, ..options("c").hello };
        socket.write_all(&hello.encode().expect("short")).await.expect("sent");
        let mut buffer = vec![0; 1_024];
        for what in ["a hello", "a request"] {
            assert!(socket.read(&mut buffer).await.expect(what) > 0, "{what}");
        }
        socket.write_all(&frame(FrameKind::Hello, b"")).await.expect("sent");
        socket
    };
    let deadline = a.shared.env.now() + Duration::from_secs(20);
    let (outcome, _socket) = tokio::join!(a.call(&address, ask("hello"), deadline), lying);
    assert_eq!(outcome.expect_err("broken"), TransportError::Broken(address.clone()));
    assert_eq!(a.misdeeds().by_peer[address.as_str()], 1);
}

#[tokio::test]
async fn a_connection_that_trickles_is_the_first_to_go() {
    let b = transport(TcpOptions { max_connections: 2, ..options("b") }).await;
    b.accept(Arc::new(Echo));
    let mut trickling = greeted(&b).await;
    let request = encode_call_framed(&ask("hello"), FrameKind::Request, 1, 1 << 20).expect("short");
    trickling.write_all(&request).await.expect("sent");
    assert!(trickling.read(&mut [0; 1_024]).await.expect("answered") > 0);
    let (a, c) = (transport(options("a")).await, transport(options("c")).await);
    connections(&b, 1).await;
    // What is used last is a matter of milliseconds.
    let passed = || b.shared.env.uptime();
    let next = async |after: Duration| until("time passes", || passed() > after + Duration::from_millis(2)).await;
    next(passed()).await;
    asked(&a, &b, "hello").await.expect("answered");
    let received = b.traffic().bytes_received;
    next(passed()).await;
    trickling.write_all(&[0xd4]).await.expect("sent");
    until("the byte came in", || b.traffic().bytes_received > received).await;
    asked(&c, &b, "hello").await.expect("answered");
    assert_eq!(trickling.read(&mut [0; 1]).await.expect("closed in order"), 0);
    assert_eq!(a.traffic().connections, 1, "the honest one stays");
    assert_eq!(b.traffic().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_not_pushed_out_before_its_first_request_can_be_there() {
    let (pool, peer) = (Pool::new(1, 1), nobody().await);
    let (first, _other) = bare_connection(1, &peer, false).await;
    let (second, _other) = bare_connection(2, &peer, false).await;
    let (third, _other) = bare_connection(3, &peer, false).await;
    let pushed_out = |by| match pool.insert(by) {
        Ok(gone) => gone.map(|connection| connection.serial),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(pushed_out(&first), None);
    assert!(
        matches!(pool.insert(&second), Err(TransportError::NoRoom(_))),
        "its dialler is told that there is no room"
    );
    tokio::time::advance(Duration::from_millis(999)).await;
    assert!(pool.end_idlest().is_none());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(pushed_out(&second), Some(1), "it has said nothing for a second");
    second.told();
    assert_eq!(pushed_out(&third), Some(2), "it has been heard");
}

#[tokio::test]
async fn one_source_gets_half_of_the_connections() {
    let b = transport(options("b")).await;
    let pool = Pool::new(8, 1);
    let mut serials = 0;
    let mut from = async |source: &str| {
        let socket = TcpStream::connect(b.local_address().as_str()).await.expect("listening");
        serials += 1;
        let peer = Address::new(&format!("{source}:{serials}"));
        let (_, sink) = super::channel::ends(socket, None);
        let (counters, env) = (Arc::default(), Env::system());
        let connection = Connection::new(serials, peer, false, sink, Outbound::new(1, Load::new(1)), counters, env);
        connection.told();
        Arc::new(connection)
    };
    let mut greedy = Vec::new();
    for _ in 0..4 {
        greedy.push(from("10.0.0.1").await);
        assert!(pool.insert(&greedy[greedy.len() - 1]).expect("its share").is_none());
    }
    let fifth = from("10.0.0.1").await;
    let pushed_out = pool.insert(&fifth).expect("instead of another").expect("one goes");
    assert_eq!(pushed_out.serial, greedy[0].serial, "the idlest of its own");
    for source in ["10.0.0.2", "10.0.0.3", "127.0.0.1", "127.0.0.1"] {
        assert!(pool.insert(&from(source).await).expect("room").is_none(), "{source}");
    }
    let busy: Vec<_> = greedy[1..].iter().chain([&fifth]).map(|connection| connection.serve()).collect();
    let sixth = from("10.0.0.1").await;
    assert!(matches!(pool.insert(&sixth), Err(TransportError::NoRoom(_))), "all of its share is in use");
    drop(busy);
    pool.remove(&fifth);
    assert_eq!(pool.count(), 7);
    assert!(pool.insert(&sixth).expect("its share has room again").is_none());
}

/// Never answers, and counts what it has under way.
#[derive(Clone, Default)]
struct Stuck(Arc<AtomicUsize>);

struct One(Arc<AtomicUsize>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Service for Stuck {
    fn serve(&self, _: Call) -> Answer {
        self.0.fetch_add(1, Relaxed);
        let one = One(self.0.clone());
        Answer::Later(Box::pin(async move {
            let _one = one;
            std::future::pending().await
        }))
    }
}

#[tokio::test]
async fn requests_of_connections_that_ended_do_not_pile_up() {
    let b = transport(TcpOptions { buffer_size: 256, ..options("b") }).await;
    let stuck = Stuck::default();
    b.accept(Arc::new(stuck.clone()));
    let under_way = || stuck.0.load(Relaxed);
    let each = 64;
    let request = |id| encode_call_framed(&ask("hello"), FrameKind::Request, id, 1 << 20).expect("short");
    for round in 0..ORPHANS_MAX / each + 5 {
        let mut socket = greeted(&b).await;
        for id in 0..each {
            socket.write_all(&request(id as u64)).await.expect("sent");
        }
        let kept = (round * each).min(ORPHANS_MAX);
        until("all are under way", || under_way() == kept + each).await;
        drop(socket);
        until("the connection ends", || b.traffic().connections == 0).await;
        until("what is too much is given up", || under_way() <= ORPHANS_MAX).await;
    }
    assert_eq!(under_way(), ORPHANS_MAX, "the others go on");
    b.close().await;
    assert_eq!(under_way(), 0);
}

#[tokio::test]
async fn requests_that_outlive_their_connection_do_not_keep_its_descriptor() {
    let b = transport(options("b")).await;
    let stuck = Stuck::default();
    b.accept(Arc::new(stuck.clone()));
    let mut socket = greeted(&b).await;
    let request = encode_call_framed(&ask("hello"), FrameKind::Request, 1, 1 << 20).expect("short");
    socket.write_all(&request).await.expect("sent");
    until("it is under way", || stuck.0.load(Relaxed) == 1).await;
    let connection = Arc::downgrade(&b.shared.pool.open()[0]);
    drop(socket);
    until("the connection is gone", || connection.strong_count() == 0).await;
    assert_eq!(stuck.0.load(Relaxed), 1, "the request goes on");
    b.close().await;
}

/// Streams large items for ever.
struct Endless;

struct Items(Head);

impl Service for Endless {
    fn serve(&self, call: Call) -> Answer {
        Answer::Stream(Box::new(Items(call.head)))
    }
}

impl Responses for Items {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Reply, TransportError>>> {
        let item = Response::Described { json: "x".repeat(8 << 20) };
        Box::pin(std::future::ready(Some(Ok(Reply::new(self.0, item)))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_to_a_socket_that_takes_nothing_does_not_wait_for_ever() {
    // Sockets and the paused clock: see the idle connections in `tests.rs`.
    tokio::time::resume();
    let b = transport(TcpOptions { frame_max: 16 << 20, ..options("b") }).await;
    b.accept(Arc::new(Endless));
    let mut socket = greeted(&b).await;
    let open = encode_call_framed(&ask("everything"), FrameKind::Open, 1, 1 << 20).expect("short");
    socket.write_all(&open).await.expect("sent");
    // The credit is more than the two sockets hold.
    until("the first item is on its way", || b.traffic().bytes_sent > 64 << 10).await;
    tokio::time::pause();
    for _ in 0..14 {
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    tokio::time::resume();
    connections(&b, 0).await;
    assert_eq!(b.misdeeds().by_kind["reads_no_answers"], 1);
}

/// What is asked has a large answer, an empty question none.
struct Selective;

impl Service for Selective {
    fn serve(&self, call: Call) -> Answer {
        match &call.body {
            Request::Describe { key, .. } if key.is_empty() => Answer::Later(Box::pin(std::future::pending())),
            _ => Answer::Now(Reply::new(call.head, Response::Described { json: "x".repeat(8 << 20) })),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_none_of_its_answers_loses_its_connection() {
    // Sockets and the paused clock: see the idle connections in `tests.rs`.
    tokio::time::resume();
    let b = transport(TcpOptions { frame_max: 16 << 20, ..options("b") }).await;
    b.accept(Arc::new(Selective));
    let mut socket = greeted(&b).await;
    // More than the two sockets hold; what has no answer keeps the connection from being idle.
    for (id, text) in ["", "a", "b", "c", "d"].into_iter().enumerate() {
        let request = encode_call_framed(&ask(text), FrameKind::Request, id as u64 + 1, 1 << 20).expect("short");
        socket.write_all(&request).await.expect("sent");
    }
    until("the first answer is on its way", || b.traffic().bytes_sent > 64 << 10).await;
    tokio::time::pause();
    for _ in 0..50 {
        tokio::time::advance(Duration::from_secs(5)).await;
    }
    tokio::time::resume();
    connections(&b, 0).await;
    assert_eq!(b.misdeeds().by_kind["reads_no_answers"], 1);
    assert_eq!(b.shared.load.queued(), 0, "what waited is gone");
}
