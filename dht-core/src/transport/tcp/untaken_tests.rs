//! Answers that peers have not taken yet, and what goes on behind them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::pool::Pool;
use super::tests::{ask, bare_connection, greeted, nobody, options, transport};
use super::*;
use crate::transport::{Answer, Service};
use crate::wire::frame::{HEADER_LEN, Header};
use crate::wire::message::{Request, Response};

/// More than may wait of answers, in all.
const MUCH: usize = 300 << 20;

/// A test that takes so long hangs.
const HANGS: Duration = Duration::from_secs(60);

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let reached = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANGS, reached).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// The next frame, and what it fails with.
async fn read_frame(socket: &mut TcpStream) -> (Header, Option<Error>) {
    let mut front = [0; HEADER_LEN];
    socket.read_exact(&mut front).await.expect("an answer");
    let header = Header::decode(&front, 1 << 30).expect("a header");
    let mut payload = vec![0; header.payload_len as usize];
    socket.read_exact(&mut payload).await.expect("the rest of it");
    match decode_reply(payload.into()).expect("well formed").body {
        Response::Failure(error) => (header, Some(error)),
        _ => (header, None),
    }
}

async fn skip(socket: &mut TcpStream, bytes: usize) {
    let skipped = tokio::io::copy(&mut socket.take(bytes as u64), &mut tokio::io::sink()).await.expect("read");
    assert_eq!(skipped, bytes as u64);
}

async fn write(socket: &mut TcpStream, calls: &[(u64, Call)]) {
    let frame = |(id, call): &(u64, Call)| encode_call_framed(call, FrameKind::Request, *id, 1 << 20).expect("short");
    let bytes: Vec<u8> = calls.iter().flat_map(frame).collect();
    assert!(bytes.len() < 4_096, "one read takes all: {}", bytes.len());
    socket.write_all(&bytes).await.expect("sent");
}

/// Answers "n" with n bytes: "later n" when it is told to, and "slow n" after it kept the processor for 20 ms.
struct Sized(watch::Receiver<bool>);

impl Service for Sized {
    fn serve(&self, call: Call) -> Answer {
        let Request::Describe { key, .. } = &call.body else {
            return Answer::Now(Reply::new(call.head, Response::Pong { records: Vec::new() }));
        };
        let text = String::from_utf8_lossy(key).into_owned();
        let (how, len) = text.split_once(' ').unwrap_or(("", &text));
        let json = "x".repeat(len.parse().expect("a number"));
        let reply = Reply::new(call.head, Response::Described { json });
        let end = Env::system().now() + Duration::from_millis(20);
        while how == "slow" && Env::system().now() < end {
            std::hint::spin_loop();
        }
        let mut release = self.0.clone();
        match how {
            "later" => Answer::Later(Box::pin(async move {
                drop(release.wait_for(|release| *release).await);
                reply
            })),
            _ => Answer::Now(reply),
        }
    }
}

#[tokio::test]
async fn behind_a_long_answer_others_are_refused_and_the_connection_stays() {
    let (release, released) = watch::channel(false);
    let b = transport(options("b")).await;
    b.accept(Arc::new(Sized(released)));
    let mut socket = greeted(&b).await;
    write(&mut socket, &[(1, ask("later 100000")), (2, ask("later 10"))]).await;
    until("both are under way", || b.shared.load.under_way().0 == 2).await;
    let open = b.shared.pool.open();
    assert!(open[0].answer(vec![0; MUCH].into()), "a long answer");
    open[0].flush(true);
    let ping = Call { body: Request::Ping { boot: 0, records: Vec::new() }, ..ask("") };
    let read = b.traffic().messages_received;
    write(&mut socket, &[(3, ask("10")), (4, ping)]).await;
    until("they were read", || b.traffic().messages_received == read + 2).await;
    release.send_replace(true);
    until("all are answered", || b.shared.load.under_way().0 == 0).await;
    assert_eq!((b.traffic().connections, b.misdeeds()), (1, MisdeedCounts::default()));
    skip(&mut socket, MUCH).await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        let (header, error) = read_frame(&mut socket).await;
        let error = error.map(|error| (error.kind(), error.maybe_applied()));
        answers.push((header.request_id, error));
    }
    answers.sort_unstable_by_key(|(id, _)| *id);
    let refused = Some((ErrorKind::Overloaded, false));
    let carried_out = Some((ErrorKind::Overloaded, true));
    assert_eq!(answers, [(1, carried_out), (2, None), (3, refused), (4, refused)]);
    b.close().await;
}

#[tokio::test]
async fn what_waited_for_its_turn_is_refused_when_too_much_is_untaken_by_then() {
    let (_release, released) = watch::channel(false);
    let b = transport(TcpOptions { frame_max: 64 << 20, ..options("b") }).await;
    b.accept(Arc::new(Sized(released)));
    let mut socket = greeted(&b).await;
    let len = 16 << 20;
    let mut calls = vec![(0, ask("slow 10"))];
    calls.extend((1..13).map(|id| (id, ask(&len.to_string()))));
    let read = b.traffic().messages_received;
    write(&mut socket, &calls).await;
    let all_read = || b.traffic().messages_received == read + calls.len() as u64;
    until("all had their turn", || all_read() && b.shared.load.under_way().0 == 0).await;
    let mut refused = 0;
    for _ in 0..calls.len() {
        if let (_, Some(error)) = read_frame(&mut socket).await {
            assert!(error.kind() == ErrorKind::Overloaded && !error.maybe_applied(), "{error}");
            refused += 1;
        }
    }
    // The sockets take some, of the sixty-four megabytes that may wait.
    assert!((1..=8).contains(&refused), "{refused}");
    b.close().await;
}

#[tokio::test]
async fn an_answer_that_no_frame_can_carry_leaves_its_asker_in_doubt() {
    let (_release, released) = watch::channel(false);
    let b = transport(options("b")).await;
    b.accept(Arc::new(Sized(released)));
    let mut socket = greeted(&b).await;
    write(&mut socket, &[(1, ask("2000000"))]).await;
    let (header, error) = read_frame(&mut socket).await;
    let error = error.expect("more than a frame");
    assert_eq!((header.request_id, error.kind(), error.maybe_applied()), (1, ErrorKind::TooLarge, true), "{error}");
    b.close().await;
}

#[tokio::test]
async fn credit_goes_out_behind_a_long_request() {
    let (connection, _other) = bare_connection(1, &nobody().await, true).await;
    connection.send(vec![0; MUCH].into(), Weight::Ordinary).expect("alone it has room");
    connection.control(FrameKind::Credit, 1, &2_u32.to_be_bytes());
    assert_eq!(connection.ended(), None);
}

#[tokio::test]
async fn an_answer_on_its_way_is_use_and_one_that_nobody_takes_is_not() {
    let (pool, peer) = (Pool::new(2, 1), nobody().await);
    let (busy, mut other) = bare_connection(1, &peer, false).await;
    let (idle, _other) = bare_connection(2, &peer, false).await;
    for connection in [&busy, &idle] {
        assert!(pool.insert(connection).expect("room").is_none());
    }
    let writes = busy.clone();
    let writer = tokio::spawn(async move { writes.write().await });
    assert!(busy.answer(vec![0; 64 << 20].into()), "there is room");
    busy.flush(true);
    let begun_ms = busy.used_ms() + 1_000;
    assert!(pool.stuck(begun_ms).is_empty());
    let sent = || busy.counters.snapshot(0).bytes_sent;
    let (before, mut buffer) = (sent(), vec![0; 64 << 10]);
    let taken = async {
        while sent() < before + (1 << 20) {
            assert!(other.read(&mut buffer).await.expect("an answer") > 0);
        }
    };
    tokio::time::timeout(HANGS, taken).await.expect("the socket takes what has room");
    let later_ms = begun_ms + 10_000;
    assert!(pool.stuck(later_ms).is_empty());
    assert_eq!((busy.used_ms(), idle.used_ms() < begun_ms), (later_ms, true));
    // Much later, and nothing more was taken: it holds its place no longer than others.
    assert!(pool.stuck(later_ms + 50_000).is_empty());
    assert_eq!(busy.used_ms(), later_ms);
    let now = Env::system().now();
    let gone: Vec<u64> = pool.sweep(now, later_ms + 85_000).iter().map(|connection| connection.serial).collect();
    assert_eq!(gone, [2]);
    let gone: Vec<u64> = pool.sweep(now, later_ms + 300_000).iter().map(|connection| connection.serial).collect();
    assert_eq!(gone, [1]);
    writer.abort();
}
