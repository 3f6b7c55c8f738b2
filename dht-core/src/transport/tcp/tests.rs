//! The contract over loopback sockets, and what only a TCP transport can get wrong.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::contract::{self, Bounds, Pair};
use super::super::security::testing::{Authority, secured, with_key, with_tls};
use super::super::{Answer, Fault, Service};
use super::outbound::Outbound;
use super::*;
use crate::config::Config;
use crate::data::record::{Format, OpId, Value};
use crate::ring::record::NodeId;
use crate::wire::frame::{HEADER_LEN, Header};
use crate::wire::hello::{Acceptance, HELLO_LEN_MAX};
use crate::wire::message::{Action, Head, Operation, Request, Response, Topic};

pub(super) fn options(name: &str) -> TcpOptions {
    TcpOptions {
        bind: Some("127.0.0.1:0".to_owned()),
        hello: Hello::new("test", NodeId::new(name), 7, false),
        buffer_size: 64,
        max_connections: 64,
        frame_max: 1 << 20,
        connect_timeout: Duration::from_secs(5),
        security: None,
    }
}

pub(super) async fn transport(options: TcpOptions) -> TcpTransport {
    TcpTransport::bind(options, Env::system()).await.expect("a free port")
}

/// An address that refuses: its port was free a moment ago.
pub(super) async fn nobody() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    Address::new(&listener.local_addr().expect("bound").to_string())
}

async fn pair(Bounds { buffer_size, frame_max }: Bounds) -> Pair {
    let bounded = |name| TcpOptions { buffer_size, frame_max, ..options(name) };
    Pair {
        caller: Arc::new(transport(bounded("caller")).await),
        callee: Arc::new(transport(bounded("callee")).await),
        nobody: nobody().await,
        env: Env::system(),
    }
}

/// The same pair, each end with what `security` gives for its name.
async fn secured_pair(Bounds { buffer_size, frame_max }: Bounds, security: impl Fn(&str) -> Config) -> Pair {
    let made = async |name| {
        let security = secured(&security(name));
        transport(TcpOptions { buffer_size, frame_max, security, ..options(name) }).await
    };
    Pair {
        caller: Arc::new(made("caller").await),
        callee: Arc::new(made("callee").await),
        nobody: nobody().await,
        env: Env::system(),
    }
}

async fn key_pair(bounds: Bounds) -> Pair {
    secured_pair(bounds, |_| with_key("a secret of the cluster")).await
}

async fn tls_pair(bounds: Bounds) -> Pair {
    let authority = Authority::new();
    secured_pair(bounds, |name| with_tls(name, &authority.node(name))).await
}

macro_rules! contract {
    ($($check:ident)+) => {
        mod contract_over_tcp {
            $(#[tokio::test]
            async fn $check() {
                super::contract::$check(&super::pair).await;
            })+
        }
        mod contract_over_tcp_with_a_key {
            $(#[tokio::test]
            async fn $check() {
                super::contract::$check(&super::key_pair).await;
            })+
        }
        mod contract_over_tcp_with_tls {
            $(#[tokio::test]
            async fn $check() {
                super::contract::$check(&super::tls_pair).await;
            })+
        }
    };
}

contract::each_check!(contract);

#[tokio::test]
async fn what_was_begun_gets_through_between_full_nodes() {
    contract::what_was_begun_gets_through_between_full_nodes(&pair).await;
}

pub(super) struct Echo;

impl Service for Echo {
    fn serve(&self, call: Call) -> Answer {
        let json = match &call.body {
            Request::Describe { key, .. } => String::from_utf8_lossy(key).into_owned(),
            _ => String::new(),
        };
        Answer::Now(Reply::new(call.head, Response::Described { json }))
    }
}

pub(super) fn ask(text: &str) -> Call {
    let head = Head { ring_id: None, sender: 1, deadline_ms: 0, trace_id: 0, attempt: 0, view: 0, clock: 0 };
    Call { head, body: Request::Describe { topic: Topic::Node, key: Bytes::copy_from_slice(text.as_bytes()) } }
}

pub(super) fn soon() -> Instant {
    Env::system().now() + Duration::from_secs(30)
}

pub(super) async fn asked(from: &TcpTransport, to: &TcpTransport, text: &str) -> Result<(), TransportError> {
    let reply = from.call(&to.local_address(), ask(text), soon()).await?;
    match reply.body {
        Response::Described { json } => assert_eq!(json, text),
        other => panic!("{other:?}"),
    }
    Ok(())
}

/// Waits until `count` connections are open at `at`; a hang is a failure.
pub(super) async fn connections(at: &TcpTransport, count: u64) {
    let reached = async {
        while at.traffic().connections != count {
            tokio::task::yield_now().await;
        }
    };
    let now = || at.traffic().connections;
    tokio::time::timeout(Duration::from_secs(20), reached).await.unwrap_or_else(|_| panic!("{} are open", now()));
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_reason() {
    let bind = |address: &str| {
        TcpTransport::bind(TcpOptions { bind: Some(address.to_owned()), ..options("b") }, Env::system())
    };
    // Somebody else may take a port that was just let go.
    for _ in 0..20 {
        let first = transport(options("a")).await;
        let taken = first.local_address().as_str().to_owned();
        let error = bind(&taken).await.err().expect("the port is taken");
        assert_eq!(error.kind(), ErrorKind::Address);
        assert!(error.to_string().contains(&taken) && error.to_string().contains("in use"), "{error}");
        first.close().await;
        if let Ok(again) = bind(&taken).await {
            return again.close().await;
        }
    }
    panic!("a port that was let go cannot be used");
}

#[tokio::test]
async fn names_resolve_and_nonsense_does_not() {
    let a = transport(options("a")).await;
    let found = a.resolve("127.0.0.1:80").await.expect("a literal");
    assert_eq!(found, [Address::new("127.0.0.1:80")]);
    for wrong in ["", "no port", "127.0.0.1:99999"] {
        let error = a.resolve(wrong).await.expect_err("nonsense");
        assert_eq!(error.kind(), ErrorKind::Address, "{error}");
    }
}

#[tokio::test]
async fn other_clusters_are_rejected_with_both_names() {
    let a = transport(options("a")).await;
    let hello = Hello::new("other", NodeId::new("b"), 7, false);
    let b = transport(TcpOptions { hello, ..options("b") }).await;
    b.accept(Arc::new(Echo));
    let error = asked(&a, &b, "hello").await.expect_err("another cluster");
    let TransportError::Rejected(reason) = &error else { panic!("{error}") };
    assert!(reason.contains("\"test\" here and \"other\" there"), "{reason}");
    assert!(error.not_sent());
    assert_eq!((b.traffic().connections, b.traffic().network_errors), (0, 1));
}

/// A connection without its tasks, as if it came from or led to `peer`, and its other end.
pub(super) async fn bare_connection(serial: u64, peer: &Address, dialled: bool) -> (Arc<Connection>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let socket = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("listening");
    let (other, _) = listener.accept().await.expect("dialled");
    let (_, sink) = super::channel::ends(socket, None);
    let (outbound, env) = (Outbound::new(64, Load::new(64)), Env::system());
    let connection = Connection::new(serial, peer.clone(), dialled, sink, outbound, Arc::default(), env);
    (Arc::new(connection.to(7)), other)
}

/// A socket that has done its part of the handshake.
pub(super) async fn greeted(to: &TcpTransport) -> TcpStream {
    let mut socket = TcpStream::connect(to.local_address().as_str()).await.expect("listening");
    let hello = Hello::new("test", NodeId::new("raw"), 1, false).encode().expect("short");
    socket.write_all(&hello).await.expect("sent");
    assert_eq!(read_hello(&mut socket).await.acceptance, Acceptance::Accepted);
    socket
}

pub(super) async fn read_hello(socket: &mut TcpStream) -> Hello {
    let mut front = [0; HEADER_LEN];
    socket.read_exact(&mut front).await.expect("an answer");
    let header = Header::decode(&front, HELLO_LEN_MAX).expect("a header");
    let mut payload = vec![0; header.payload_len as usize];
    socket.read_exact(&mut payload).await.expect("an answer");
    Hello::decode(&payload).expect("a hello")
}

#[tokio::test]
async fn foreign_bytes_close_the_connection_and_are_counted() {
    let a = transport(options("a")).await;
    a.accept(Arc::new(Echo));
    let mut socket = TcpStream::connect(a.local_address().as_str()).await.expect("listening");
    socket.write_all(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n").await.expect("sent");
    let mut rest = Vec::new();
    drop(socket.read_to_end(&mut rest).await);
    assert!(rest.is_empty());
    assert_eq!(a.traffic().network_errors, 1);

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = Address::new(&listener.local_addr().expect("bound").to_string());
    let foreign = async {
        let (mut socket, _) = listener.accept().await.expect("dialled");
        socket.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n").await.expect("sent");
        socket
    };
    let (outcome, _socket) = tokio::join!(a.call(&address, ask("hello"), soon()), foreign);
    let error = outcome.expect_err("no node of ours");
    assert!(matches!(&error, TransportError::Rejected(why) if why.contains("another protocol")), "{error}");
}

#[tokio::test]
async fn what_breaks_the_protocol_closes_the_connection_and_is_counted() {
    let a = transport(options("a")).await;
    a.accept(Arc::new(Echo));
    let frame = |kind, payload: &[u8]| {
        let header = Header::of(kind, 1, payload, usize::MAX).expect("short");
        [&header.encode()[..], payload].concat()
    };
    let mut changed = frame(FrameKind::Request, b"payload");
    changed[HEADER_LEN] ^= 1;
    let too_long = Header { payload_len: (1 << 20) + 1, ..Header::of(FrameKind::Request, 1, b"", 0).expect("empty") };
    let wrong = [
        changed,
        frame(FrameKind::Request, b"\xff\xff\xff\xff"),
        frame(FrameKind::Hello, b""),
        too_long.encode().to_vec(),
        vec![0; HEADER_LEN],
    ];
    for (i, bytes) in wrong.iter().enumerate() {
        let mut socket = greeted(&a).await;
        socket.write_all(bytes).await.expect("sent");
        let mut rest = Vec::new();
        drop(socket.read_to_end(&mut rest).await);
        assert!(rest.is_empty(), "answered {i}: {rest:?}");
        assert_eq!(a.traffic().network_errors, i as u64 + 1);
    }
    connections(&a, 0).await;
}

/// The hello of a release that speaks these versions, in frames of its newest.
fn hello_of(version_min: u8, version_max: u8) -> Vec<u8> {
    let hello = Hello { version_min, version_max, ..Hello::new("test", NodeId::new("raw"), 1, false) };
    let frame = hello.encode().expect("short");
    let (front, payload) = frame.split_first_chunk::<HEADER_LEN>().expect("a header");
    let header = Header { version: version_max, ..Header::decode(front, HELLO_LEN_MAX).expect("a header") };
    [&header.encode()[..], payload].concat()
}

#[tokio::test]
async fn a_dialler_of_other_versions_is_answered_once_and_closed() {
    let a = transport(options("a")).await;
    a.accept(Arc::new(Echo));
    for (min, max) in [(2, 2), (2, 255), (200, 255)] {
        let mut socket = TcpStream::connect(a.local_address().as_str()).await.expect("listening");
        socket.write_all(&hello_of(min, max)).await.expect("sent");
        let answer = read_hello(&mut socket).await;
        let reason = format!("protocol versions 1 to 1 here and {min} to {max} there");
        assert_eq!(answer.acceptance, Acceptance::Rejected(reason));
        assert_eq!((answer.version_min, answer.version_max), (1, 1), "it says what it speaks");
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.expect("closed in order");
        assert!(rest.is_empty(), "{rest:?}");
    }
    assert_eq!((a.traffic().connections, a.traffic().network_errors), (0, 3));
}

#[tokio::test]
async fn a_dialler_that_speaks_more_is_served_in_the_common_version() {
    let a = transport(options("a")).await;
    a.accept(Arc::new(Echo));
    let mut socket = TcpStream::connect(a.local_address().as_str()).await.expect("listening");
    socket.write_all(&hello_of(1, 9)).await.expect("sent");
    assert_eq!(read_hello(&mut socket).await.acceptance, Acceptance::Accepted);
    let frame = encode_call_framed(&ask("hello"), FrameKind::Request, 5, 1 << 20).expect("short");
    socket.write_all(&frame).await.expect("sent");
    let mut front = [0; HEADER_LEN];
    socket.read_exact(&mut front).await.expect("an answer");
    let header = Header::decode(&front, 1 << 20).expect("a header");
    assert_eq!((header.version, header.kind, header.request_id), (1, FrameKind::Response, 5));
    // A frame of the version that was not agreed upon is none.
    let newer = Header { version: 9, ..Header::of(FrameKind::Cancel, 5, b"", 0).expect("empty") };
    let mut rest = vec![0; header.payload_len as usize];
    socket.read_exact(&mut rest).await.expect("the rest of the answer");
    socket.write_all(&newer.encode()).await.expect("sent");
    rest.clear();
    drop(socket.read_to_end(&mut rest).await);
    assert!(rest.is_empty(), "{rest:?}");
    connections(&a, 0).await;
}

#[tokio::test]
async fn a_listener_of_other_versions_is_given_up_with_both_ranges() {
    let a = transport(options("a")).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = Address::new(&listener.local_addr().expect("bound").to_string());
    let newer = async {
        let (mut socket, _) = listener.accept().await.expect("dialled");
        assert_eq!(read_hello(&mut socket).await.version_max, 1);
        socket.write_all(&hello_of(2, 3)).await.expect("sent");
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.expect("closed in order");
        rest
    };
    let (outcome, rest) = tokio::join!(a.call(&address, ask("hello"), soon()), newer);
    let error = outcome.expect_err("another version");
    let wanted = TransportError::Rejected("protocol versions 1 to 1 here and 2 to 3 there".to_owned());
    assert_eq!(error, wanted);
    assert!(rest.is_empty(), "not a word more: {rest:?}");
}

#[tokio::test]
async fn calls_made_together_share_one_dial() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    b.accept(Arc::new(Echo));
    let outcomes = futures_util::future::join_all((0..50).map(|_| asked(&a, &b, "hello"))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(a.traffic().connections, 1);
    assert_eq!(b.traffic().connections, 1);
}

#[tokio::test]
async fn large_requests_take_the_other_connection() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    b.accept(Arc::new(Echo));
    let bytes = Bytes::from(vec![1; BULK_LEN_MIN]);
    let action = Action::Put { value: Value { format: Format::Bytes, bytes }, ttl_ms: 0 };
    let operation = Operation { id: OpId { origin: 1, sequence: 1 }, map: 0, key: Bytes::new(), action };
    let body = Request::Apply { operations: vec![operation], level: crate::Consistency::One, relay: false, rings: 0 };
    a.call(&b.local_address(), Call { body, ..ask("") }, soon()).await.expect("answered");
    assert_eq!(a.traffic().connections, 1);
    asked(&a, &b, "hello").await.expect("answered");
    assert_eq!(a.traffic().connections, 2);
}

#[tokio::test]
async fn beyond_the_bound_the_idlest_connection_is_closed() {
    let a = transport(TcpOptions { max_connections: 2, ..options("a") }).await;
    let others = [transport(options("b")).await, transport(options("c")).await, transport(options("d")).await];
    for other in &others {
        other.accept(Arc::new(Echo));
        asked(&a, other, "hello").await.expect("answered");
    }
    assert_eq!(a.traffic().connections, 2);
    connections(&others[0], 0).await;
    connections(&others[1], 1).await;
    asked(&a, &others[0], "hello").await.expect("dialled again");
    connections(&others[1], 0).await;
    connections(&others[2], 1).await;
}

#[tokio::test]
async fn without_file_descriptors_the_idlest_connection_gives_its_own() {
    let a = transport(options("a")).await;
    let others = [transport(options("b")).await, transport(options("c")).await];
    for other in &others {
        other.accept(Arc::new(Echo));
        asked(&a, other, "hello").await.expect("answered");
    }
    // Only those: others are no reason.
    a.shared.relieve(&std::io::ErrorKind::ConnectionAborted.into());
    assert_eq!(a.traffic().connections, 2);
    let too_many_files = std::io::Error::from_raw_os_error(if cfg!(unix) { 24 } else { 10_024 });
    a.shared.relieve(&too_many_files);
    assert_eq!(a.traffic().connections, 1);
    connections(&others[0], 0).await;
    connections(&others[1], 1).await;
    a.shared.relieve(&too_many_files);
    connections(&others[1], 0).await;
    a.shared.relieve(&too_many_files);
    asked(&a, &others[0], "hello").await.expect("dialled again");
}

#[tokio::test]
async fn a_connection_that_ended_before_its_dial_was_settled_leaves_no_route() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    b.accept(Arc::new(Echo));
    asked(&a, &b, "hello").await.expect("answered");
    let to = b.local_address();
    let Way::Open(connection) = a.shared.way(&to, Lane::Calls, Weight::Ordinary, || unreachable!("it is open")) else {
        panic!("it is not open");
    };
    b.close().await;
    connections(&a, 0).await;
    a.shared.pool.settle(&to, Lane::Calls, Ok(&connection));
    assert_eq!(a.shared.pool.routes(), 1);
    assert!(a.shared.pool.sweep(a.shared.env.now(), a.shared.env.uptime_ms()).is_empty());
    assert_eq!(a.shared.pool.routes(), 0);
}

/// Answers nobody.
struct Silent;

impl Service for Silent {
    fn serve(&self, _: Call) -> Answer {
        Answer::Later(Box::pin(std::future::pending()))
    }
}

#[tokio::test]
async fn a_node_whose_connections_are_all_in_use_says_so_and_who_it_is() {
    let b = transport(TcpOptions {
        max_connections: 1,
        hello: Hello::new("test", NodeId::new("b"), 9, false),
        ..options("b")
    });
    let (b, a, c) = (b.await, transport(options("a")).await, transport(options("c")).await);
    b.accept(Arc::new(Silent));
    let to = b.local_address();
    let under_way = tokio::spawn(a.call(&to, ask("hello"), soon()));
    connections(&b, 1).await;
    let in_use = async {
        while !b.shared.pool.all_in_use() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), in_use).await.expect("it has the call");
    let error = c.call(&to, ask("hello"), soon()).await.expect_err("no room");
    assert_eq!(error, TransportError::Busy { to: to.clone(), boot: 9 });
    assert!(error.not_sent());
    let again = c.call(&to, ask("hello"), soon()).await.expect_err("no room");
    assert_eq!(again, error, "be it asked again, or not for a moment");
    assert_eq!((a.traffic().connections, b.traffic().connections, c.traffic().connections), (1, 1, 0));
    a.close().await;
    assert_eq!(under_way.await.expect("no panic").err(), Some(TransportError::Closed));
    connections(&b, 0).await;
}

#[tokio::test]
async fn a_place_that_was_reserved_counts_until_it_is_given_back() {
    let (b, peer) = (transport(TcpOptions { max_connections: 2, ..options("b") }).await, Address::new("10.0.0.1:1"));
    let source = Some(std::net::IpAddr::from([10, 0, 0, 1]));
    let full = |outcome: Result<_, TransportError>| matches!(outcome, Err(TransportError::NoRoom(_)));
    let (one, _) = b.shared.pool.reserve(source, &peer).expect("room");
    assert!(full(b.shared.pool.reserve(source, &peer).map(drop)), "half of two is its share");
    let (_two, _) = b.shared.pool.reserve(None, &peer).expect("room");
    assert!(full(b.shared.pool.reserve(None, &peer).map(drop)));
    drop(one);
    let (_again, _) = b.shared.pool.reserve(source, &peer).expect("it was given back");
}

#[tokio::test]
async fn a_restarted_peer_is_dialled_again() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    b.accept(Arc::new(Echo));
    asked(&a, &b, "hello").await.expect("answered");
    let address = b.local_address().as_str().to_owned();
    b.close().await;
    connections(&a, 0).await;
    let b = transport(TcpOptions { bind: Some(address), ..options("b") }).await;
    b.accept(Arc::new(Echo));
    asked(&a, &b, "hello").await.expect("answered");
}

#[tokio::test]
async fn a_dropped_transport_ends_its_calls_and_frees_its_port() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    b.accept(Arc::new(Echo));
    asked(&a, &b, "hello").await.expect("answered");
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = Address::new(&silent.local_addr().expect("bound").to_string());
    let mut call = a.call(&address, ask("hello"), soon());
    assert!(futures_util::future::poll_immediate(&mut call).await.is_none());
    drop(a);
    assert_eq!(call.await.err(), Some(TransportError::Closed));
    connections(&b, 0).await;
}

struct Panics;

impl Service for Panics {
    fn serve(&self, call: Call) -> Answer {
        assert!(call.head.attempt > 0, "at once, as the test wants it");
        Answer::Later(Box::pin(async { panic!("later, as the test wants it") }))
    }
}

#[tokio::test]
async fn a_service_that_panics_is_reported_to_the_caller() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    b.accept(Arc::new(Panics));
    for attempt in [1, 0, 1, 0] {
        let mut call = ask("panic");
        call.head.attempt = attempt;
        let reply = a.call(&b.local_address(), call, soon()).await.expect("an answer");
        let Response::Failure(error) = &reply.body else { panic!("{reply:?}") };
        assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Internal, true), "{error}");
        if attempt == 0 {
            // The reader that panicked took its connection along.
            connections(&a, 0).await;
        }
    }
}

#[tokio::test]
async fn a_transport_that_does_not_listen_can_call() {
    let a = transport(TcpOptions { bind: None, ..options("a") }).await;
    let b = transport(options("b")).await;
    b.accept(Arc::new(Echo));
    assert_eq!(a.local_address(), Address::new(""));
    asked(&a, &b, "hello").await.expect("answered");
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_by_who_dialled_them() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    b.accept(Arc::new(Echo));
    // The dial's time-outs would fire while the paused clock jumps over the sockets' work, so it runs meanwhile.
    tokio::time::resume();
    asked(&a, &b, "hello").await.expect("answered");
    connections(&b, 1).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(50)).await;
    assert_eq!(a.traffic().connections, 1);
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(a.traffic().connections, 0);
}

#[tokio::test]
async fn a_call_whose_dial_is_still_under_way_at_its_deadline_was_not_sent() {
    let a = transport(options("a")).await;
    // It greets nobody.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let to = Address::new(&listener.local_addr().expect("bound").to_string());
    let soon = || Env::system().now() + Duration::from_millis(20);
    let error = a.call(&to, ask("hello"), soon()).await.expect_err("no connection");
    assert_eq!(error, TransportError::Undialled(to.clone()));
    assert!(error.not_sent());
    let error = crate::transport::call_error(error);
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Timeout, false), "{error}");
    let opened = a.open(&to, ask("hello"), Duration::from_millis(20)).await;
    assert_eq!(opened.err(), Some(TransportError::Undialled(to)));
}

/// What a call over a connection without a reader comes to that waits for so long.
async fn unanswered(
    connection: &Arc<Connection>,
    within: Duration,
    meanwhile: impl Future<Output = ()>,
) -> TransportError {
    let frame = encode_call_framed(&ask("hello"), FrameKind::Request, 1, 1 << 20).expect("short");
    let mut call = Box::pin(connection.call(1, frame, Weight::Ordinary, Env::system().now() + within));
    assert!(futures_util::future::poll_immediate(&mut call).await.is_none());
    meanwhile.await;
    let Called::Done(outcome) = call.await else { panic!("not sent") };
    outcome.expect_err("nobody answers")
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stood_still_ends_no_connection_for_what_it_has_not_read() {
    let (connection, mut other) = bare_connection(1, &nobody().await, true).await;
    let (second, deadline) = (Duration::from_secs(1), TransportError::Deadline(connection.peer.clone()));
    assert_eq!(unanswered(&connection, second, tokio::time::advance(second * 10)).await, deadline);
    assert_eq!(connection.ended(), None, "nobody knows what came meanwhile");
    let answers = async { other.write_all(b"an answer").await.expect("sent") };
    assert_eq!(unanswered(&connection, second * 10, answers).await, deadline);
    assert_eq!(connection.ended(), None, "it is there to be read");
    let (connection, _other) = bare_connection(2, &nobody().await, true).await;
    unanswered(&connection, second * 10, async {}).await;
    assert_eq!(connection.ended(), Some(TransportError::Broken(connection.peer.clone())));
}

#[tokio::test(start_paused = true)]
async fn whoever_answers_others_meanwhile_is_late_and_lives() {
    let (connection, _other) = bare_connection(1, &nobody().await, true).await;
    let (to, second) = (connection.peer.clone(), Duration::from_secs(1));
    let answers = async {
        connection.took_in(100);
    };
    let error = unanswered(&connection, second, answers).await;
    assert_eq!(error, TransportError::Late { to: to.clone(), boot: 7 });
    assert!(!error.not_sent());
    // What its machine takes is no word of it.
    let takes = async {
        connection.heard();
    };
    assert_eq!(unanswered(&connection, second, takes).await, TransportError::Deadline(to));
}

/// Only the peer's machine can say that nobody listens there; all else may be this machine's fault, and must not speak
/// against the peer.
#[tokio::test]
async fn what_hangs_up_or_cannot_be_dialled_is_not_said_to_refuse() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let hangs_up = Address::new(&listener.local_addr().expect("bound").to_string());
    let hanging_up = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let caller = transport(options("a")).await;
    for (to, fault) in [(hangs_up, Fault::Peer), (Address::new("no.such.name.invalid:1"), Fault::Between)] {
        let error = caller.call(&to, ask("hello"), soon()).await.expect_err("no node is there");
        let TransportError::Unreached { to: named, fault: told, .. } = &error else { panic!("{error}") };
        assert_eq!((named, *told), (&to, fault), "{error}");
        assert!(error.not_sent());
    }
    hanging_up.abort();
    caller.close().await;
}
