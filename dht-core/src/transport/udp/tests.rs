//! The contract over loopback sockets, and what only a datagram transport can get wrong.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use futures_util::future::join_all;

use super::super::contract::{self, Bounds, Pair};
use super::super::security::testing::{secured, with_key};
use super::super::{Answer, Hello};
use super::packet::{ASKING_LEN_MIN, Format, HEADER_LEN, Header, PAYLOAD_MAX, PacketKind, SessionId};
use super::seal::Link;
use super::*;
use crate::ring::record::NodeId;
use crate::wire::limits::DEADLINE_MS_MAX;
use crate::wire::message::{Head, Request, Response, Topic};
use crate::wire::{decode_reply, encode_call, encode_reply};

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

pub(super) async fn transport(options: TcpOptions) -> UdpTransport {
    UdpTransport::bind(options, Env::system()).await.expect("a free port")
}

/// An address that refuses: its port was free a moment ago.
async fn nobody() -> Address {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
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

/// The same pair, its connections secured and its datagrams sealed.
async fn sealed_pair(Bounds { buffer_size, frame_max }: Bounds) -> Pair {
    let security = secured(&with_key("a secret of the cluster"));
    let sealed = |name| TcpOptions { buffer_size, frame_max, security: security.clone(), ..options(name) };
    Pair {
        caller: Arc::new(transport(sealed("caller")).await),
        callee: Arc::new(transport(sealed("callee")).await),
        nobody: nobody().await,
        env: Env::system(),
    }
}

/// One end speaks only TCP.
async fn mixed_pair(bounds: Bounds) -> Pair {
    let Bounds { buffer_size, frame_max } = bounds;
    let bounded = TcpOptions { buffer_size, frame_max, ..options("callee") };
    let callee = TcpTransport::bind(bounded, Env::system()).await.expect("a free port");
    Pair { callee: Arc::new(callee), ..pair(bounds).await }
}

macro_rules! contract {
    ($($check:ident)+) => {
        mod contract_over_udp {
            $(#[tokio::test]
            async fn $check() {
                super::contract::$check(&super::pair).await;
            })+
        }

        mod contract_over_sealed_udp {
            $(#[tokio::test]
            async fn $check() {
                super::contract::$check(&super::sealed_pair).await;
            })+
        }

        mod contract_towards_tcp {
            $(#[tokio::test]
            async fn $check() {
                super::contract::$check(&super::mixed_pair).await;
            })+
        }
    };
}

contract::each_check!(contract);

#[tokio::test]
async fn what_was_begun_gets_through_between_full_nodes() {
    contract::what_was_begun_gets_through_between_full_nodes(&pair).await;
    contract::what_was_begun_gets_through_between_full_nodes(&mixed_pair).await;
}

/// Answers with the words of the request, repeated as often as they say, and counts.
#[derive(Default)]
pub(super) struct Echo(pub(super) AtomicUsize);

impl Service for Echo {
    fn serve(&self, call: Call) -> Answer {
        self.0.fetch_add(1, SeqCst);
        let Request::Describe { key, .. } = &call.body else { return Answer::Nothing };
        let word = String::from_utf8_lossy(key).into_owned();
        if word == "panic" {
            panic!("as the test wants it");
        }
        if word == "later panic" {
            return Answer::Later(Box::pin(async { panic!("as the test wants it") }));
        }
        let json = word.parse().map_or(word, |len| "x".repeat(len));
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

pub(super) async fn asked(from: &impl Transport, to: &impl Transport, text: &str) -> Result<String, TransportError> {
    let reply = from.call(&to.local_address(), ask(text), soon()).await?;
    match reply.body {
        Response::Described { json } => Ok(json),
        Response::Failure(error) => Err(TransportError::Rejected(error.to_string())),
        other => panic!("{other:?}"),
    }
}

/// A socket that speaks datagrams by itself, and a transport that it speaks to.
struct Raw {
    socket: UdpSocket,
    node: UdpTransport,
    served: Arc<Echo>,
}

const FORMAT_NAME: &str = "test";

impl Raw {
    async fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let node = transport(options("node")).await;
        socket.connect(node.local_address().as_str()).await.expect("an address");
        let served = Arc::new(Echo::default());
        node.accept(served.clone());
        Self { socket, node, served }
    }

    /// Sends, and says how many bytes that was.
    async fn send(&self, header: Header, payload: &[u8]) -> usize {
        let datagram = Format::new(FORMAT_NAME).encode(&header, payload).expect("short");
        self.socket.send(datagram.as_bytes()).await.expect("sent")
    }

    /// The next answer, its payload and the length of all.
    async fn receive(&self) -> (Header, Vec<u8>, usize) {
        let mut buffer = [0; 2_000];
        let received = tokio::time::timeout(Duration::from_secs(30), self.socket.recv(&mut buffer));
        let len = received.await.expect("an answer within 30 s").expect("no error");
        let (header, payload) = Format::new(FORMAT_NAME).decode(&buffer[..len]).expect("well formed");
        (header, payload.to_vec(), len)
    }

    async fn introduced(&self) -> SessionId {
        self.send(Header::introduction(5, 0), &[]).await;
        let (header, payload, _) = self.receive().await;
        assert_eq!((header.kind, header.session.cookie), (PacketKind::Offer, 5));
        SessionId::decode(&payload).expect("an offer")
    }
}

fn request(session: SessionId, slot: u16, sequence: u64, attempt: u16) -> Header {
    Header { kind: PacketKind::Request, slot, session, sequence, attempt, left_ms: 30_000 }
}

#[tokio::test]
async fn an_unproven_source_gets_no_more_than_it_sends_and_nothing_is_carried_out() {
    let raw = Raw::new().await;
    let sent = raw.send(Header::introduction(5, 0), &[]).await;
    let (_, offer, got) = raw.receive().await;
    assert!(got <= sent && sent == ASKING_LEN_MIN, "{got} bytes for {sent}");
    let proven = SessionId::decode(&offer).expect("an offer");
    let forged = [
        SessionId::default(),
        SessionId { cookie: proven.cookie ^ 1, ..proven },
        SessionId { number: proven.number + 1, ..proven },
    ];
    for session in forged {
        for payload in [&b""[..], &encode_call(&ask("1000"))] {
            let sent = raw.send(request(session, 0, 1, 0), payload).await;
            let (header, _, got) = raw.receive().await;
            assert_eq!((header.kind, header.session), (PacketKind::Offer, session));
            assert!(got <= sent, "{got} bytes for {sent}");
        }
    }
    assert_eq!(raw.served.0.load(SeqCst), 0);
    // The cookie is another's to whoever sends from elsewhere.
    let other = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let datagram = Format::new(FORMAT_NAME).encode(&request(proven, 0, 1, 0), &encode_call(&ask("1000")));
    other.send_to(datagram.expect("short").as_bytes(), raw.node.local_address().as_str()).await.expect("sent");
    let mut buffer = [0; 2_000];
    let len = other.recv(&mut buffer).await.expect("an answer");
    let (header, _) = Format::new(FORMAT_NAME).decode(&buffer[..len]).expect("well formed");
    assert_eq!(header.kind, PacketKind::Offer);
    assert_eq!(raw.served.0.load(SeqCst), 0);
    raw.send(request(proven, 0, 1, 0), &encode_call(&ask("hello"))).await;
    assert_eq!(raw.receive().await.0.kind, PacketKind::Reply);
    assert_eq!(raw.served.0.load(SeqCst), 1);
}

#[tokio::test]
async fn a_repeated_request_gets_its_answer_again_and_is_carried_out_once() {
    let raw = Raw::new().await;
    let session = raw.introduced().await;
    let call = encode_call(&ask("hello"));
    let mut answers = Vec::new();
    for attempt in [0, 1, 1, 7] {
        raw.send(request(session, 3, 1, attempt), &call).await;
        let (header, payload, _) = raw.receive().await;
        assert_eq!((header.kind, header.attempt), (PacketKind::Reply, attempt));
        answers.push(payload);
    }
    answers.dedup();
    assert_eq!((answers.len(), raw.served.0.load(SeqCst)), (1, 1));
    // What comes after a later one of its slot is late: nobody answers it.
    raw.send(request(session, 3, 5, 0), &call).await;
    assert_eq!(raw.receive().await.0.sequence, 5);
    raw.send(request(session, 3, 4, 0), &call).await;
    raw.send(request(session, 3, 1, 2), &call).await;
    raw.send(request(session, 3, 6, 0), &call).await;
    assert_eq!(raw.receive().await.0.sequence, 6);
    assert_eq!(raw.served.0.load(SeqCst), 3);
}

#[tokio::test]
async fn a_session_that_has_ended_does_not_begin_again() {
    let raw = Raw::new().await;
    let (call, first) = (encode_call(&ask("hello")), raw.introduced().await);
    raw.send(request(first, 0, 1, 0), &call).await;
    assert_eq!(raw.receive().await.0.kind, PacketKind::Reply);
    // The same source introduces itself anew, as after a restart: the duplicate of the first is not carried out again.
    let second = raw.introduced().await;
    raw.send(request(second, 0, 1, 0), &call).await;
    assert_eq!(raw.receive().await.0.kind, PacketKind::Reply);
    raw.send(request(first, 0, 1, 1), &call).await;
    assert_eq!(raw.receive().await.0.kind, PacketKind::Offer);
    assert_eq!(raw.served.0.load(SeqCst), 2);
}

#[tokio::test]
async fn one_way_messages_are_carried_out_once() {
    let raw = Raw::new().await;
    let session = raw.introduced().await;
    let call = encode_call(&ask("hello"));
    let one_way = |sequence| Header { kind: PacketKind::OneWay, ..request(session, 0, sequence, 0) };
    for sequence in [1, 1, 3, 2, 3, 1] {
        raw.send(one_way(sequence), &call).await;
    }
    // What was sent before it has been taken in when this is answered.
    raw.send(request(session, 0, 1, 0), &call).await;
    assert_eq!(raw.receive().await.0.kind, PacketKind::Reply);
    assert_eq!(raw.served.0.load(SeqCst), 4);
}

/// Says how long it may take.
struct Deadline;

impl Service for Deadline {
    fn serve(&self, call: Call) -> Answer {
        Answer::Now(Reply::new(call.head, Response::Described { json: call.head.deadline_ms.to_string() }))
    }
}

#[tokio::test]
async fn what_a_datagram_says_is_left_is_bounded_as_deadlines_are() {
    let raw = Raw::new().await;
    raw.node.accept(Arc::new(Deadline));
    let session = raw.introduced().await;
    // Without a deadline of its own, and with the longest.
    for (sequence, deadline_ms) in [(1, 0), (2, u32::MAX)] {
        let mut call = ask("deadline");
        call.head.deadline_ms = deadline_ms;
        let header = Header { left_ms: u32::MAX, ..request(session, 0, sequence, 0) };
        raw.send(header, &encode_call(&call)).await;
        let (_, payload, _) = raw.receive().await;
        let Response::Described { json } = decode_reply(payload.into()).expect("a reply").body else { panic!() };
        assert_eq!(json, DEADLINE_MS_MAX.to_string());
    }
}

#[tokio::test]
async fn what_is_malformed_is_counted_and_dropped() {
    let raw = Raw::new().await;
    let session = raw.introduced().await;
    let good = Format::new(FORMAT_NAME).encode(&request(session, 0, 1, 0), &encode_call(&ask("hello"))).expect("short");
    let mut changed = good.as_bytes().to_vec();
    changed[HEADER_LEN] ^= 1;
    let elsewhere = Format::new("other").encode(&request(session, 0, 1, 0), b"").expect("short");
    let long = [0; 1_300];
    let wrong: [&[u8]; 6] = [b"", b"GET / HTTP/1.1", &changed, elsewhere.as_bytes(), &long, &good.as_bytes()[..60]];
    for bytes in wrong {
        raw.socket.send(bytes).await.expect("sent");
    }
    // A request that is no message is never carried out, and whoever sent it is told.
    raw.send(request(session, 1, 1, 0), b"\xff\xff\xff\xff").await;
    assert_eq!(raw.receive().await.0.kind, PacketKind::Lost);
    assert_eq!(raw.node.traffic().network_errors, wrong.len() as u64 + 1);
    assert_eq!(raw.served.0.load(SeqCst), 0);
    raw.socket.send(good.as_bytes()).await.expect("sent");
    assert_eq!(raw.receive().await.0.kind, PacketKind::Reply);
}

#[tokio::test]
async fn answers_that_are_forged_change_nothing() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    b.accept(Arc::new(Echo::default()));
    assert_eq!(asked(&a, &b, "hello").await.as_deref(), Ok("hello"));
    let silent = Arc::new(Silent::default());
    b.accept(silent.clone());
    let to = b.local_address();
    let call = tokio::spawn(a.call(&to, ask("hello"), soon()));
    silent.asked.notified().await;
    // From somebody else's address, and from the right one with a guessed session: as only b itself could.
    let forger = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let reply = encode_reply(&Reply::new(ask("").head, Response::Described { json: "forged".to_owned() }));
    let guessed = SessionId { number: 1, cookie: 0 };
    for kind in [PacketKind::Reply, PacketKind::Offer, PacketKind::Lost, PacketKind::TooLarge] {
        let header = Header { kind, ..request(guessed, 0, 2, 0) };
        let payload = if kind == PacketKind::Offer { &[0; 16][..] } else { &reply };
        let datagram = Format::new("test").encode(&header, payload).expect("short");
        forger.send_to(datagram.as_bytes(), a.local_address().as_str()).await.expect("sent");
        let link = Link { address: a.local_address().as_str().parse().expect("an address"), seal: None };
        b.shared.transmit(&link, &header, payload, false);
    }
    b.accept(Arc::new(Echo::default()));
    // This one's answer comes after all that was forged.
    assert_eq!(asked(&a, &b, "hello").await.as_deref(), Ok("hello"));
    assert!(!call.is_finished(), "a forged answer was believed");
    a.close().await;
    assert_eq!(call.await.expect("no panic").err(), Some(TransportError::Closed));
}

/// Answers nothing, and says that it was asked.
#[derive(Default)]
struct Silent {
    asked: tokio::sync::Notify,
}

impl Service for Silent {
    fn serve(&self, _: Call) -> Answer {
        self.asked.notify_one();
        Answer::Nothing
    }
}

#[tokio::test]
async fn small_messages_take_datagrams_and_large_ones_connections() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    let served = Arc::new(Echo::default());
    b.accept(served.clone());
    assert_eq!(asked(&a, &b, "hello").await.as_deref(), Ok("hello"));
    let empty = encode_call(&ask("")).len();
    let longest = "w".repeat(PAYLOAD_MAX - empty - 10);
    assert!(asked(&a, &b, &longest).await.is_ok());
    assert_eq!(a.shared.tcp.traffic().connections, 0, "a datagram is enough");
    let longer = "w".repeat(PAYLOAD_MAX);
    assert_eq!(asked(&a, &b, &longer).await, Ok(longer));
    assert_eq!(a.shared.tcp.traffic().connections, 1);
    assert_eq!(served.0.load(SeqCst), 3);
}

#[tokio::test]
async fn an_answer_too_large_for_a_datagram_is_collected_and_carried_out_once() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    let served = Arc::new(Echo::default());
    b.accept(served.clone());
    let answers = join_all([5_000, 100_000, 900_000].map(|len: usize| {
        let (a, b) = (&a, &b);
        async move { asked(a, b, &len.to_string()).await.map(|json| json.len()) }
    }));
    assert_eq!(answers.await, [Ok(5_000), Ok(100_000), Ok(900_000)]);
    assert_eq!(served.0.load(SeqCst), 3);
    // Once collected it is not kept.
    assert_eq!(b.shared.sessions().sizes().2, 0);
}

/// Refuses to hand out answers, as a peer does that has too much to do.
struct Crowded {
    times: AtomicUsize,
    why: ErrorKind,
    then: Collecting,
}

impl Service for Crowded {
    fn serve(&self, call: Call) -> Answer {
        let refuses = |left: usize| left.checked_sub(1);
        if matches!(call.body, Request::Collect { .. }) && self.times.fetch_update(SeqCst, SeqCst, refuses).is_ok() {
            let body = Response::Failure(Error::new(self.why, "not now"));
            return Answer::Now(Reply::new(Head { sender: 7, ..call.head }, body));
        }
        self.then.serve(call)
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_collected_at_once_is_asked_for_again_and_never_taken_for_a_refusal() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    let served = Arc::new(Echo::default());
    b.accept(served.clone());
    let refusing = |times: usize, why| {
        let then = Collecting { shared: Arc::downgrade(&b.shared), service: served.clone() };
        b.shared.tcp.accept(Arc::new(Crowded { times: times.into(), why, then }));
    };
    refusing(3, ErrorKind::Overloaded);
    assert_eq!(asked(&a, &b, "5000").await.map(|json| json.len()), Ok(5_000));
    assert_eq!(served.0.load(SeqCst), 1);
    // It was carried out, so nobody may be told that nothing was.
    refusing(1, ErrorKind::Internal);
    let told = a.call(&b.local_address(), ask("5000"), soon()).await.expect("it answers").body;
    assert!(matches!(&told, Response::Failure(error) if error.maybe_applied()), "{told:?}");
    assert_eq!(served.0.load(SeqCst), 2);
}

#[tokio::test]
async fn a_window_that_is_full_is_told_at_once() {
    let (a, b) = (transport(TcpOptions { buffer_size: 4, ..options("a") }).await, transport(options("b")).await);
    b.accept(Arc::new(Echo::default()));
    assert_eq!(asked(&a, &b, "hello").await.as_deref(), Ok("hello"));
    b.accept(Arc::new(Silent::default()));
    let to = b.local_address();
    let mut calls: Vec<_> = (0..4).map(|_| a.call(&to, ask("?"), soon())).collect();
    for call in &mut calls {
        assert!(futures_util::future::poll_immediate(call).await.is_none());
    }
    let surplus = futures_util::future::poll_immediate(a.call(&to, ask("?"), soon())).await;
    assert_eq!(surplus.expect("at once").err(), Some(TransportError::Overloaded(to.clone())));
    drop(calls);
    b.accept(Arc::new(Echo::default()));
    assert_eq!(asked(&a, &b, "hello").await.as_deref(), Ok("hello"));
}

#[tokio::test]
async fn a_restarted_peer_breaks_what_it_was_asked_and_is_used_again() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    b.accept(Arc::new(Silent::default()));
    let to = b.local_address();
    b.accept(Arc::new(Echo::default()));
    assert_eq!(asked(&a, &b, "hello").await.as_deref(), Ok("hello"));
    let silent = Arc::new(Silent::default());
    b.accept(silent.clone());
    let call = tokio::spawn(a.call(&to, ask("?"), soon()));
    silent.asked.notified().await;
    b.close().await;
    let b = transport(TcpOptions { bind: Some(to.as_str().to_owned()), ..options("b") }).await;
    let served = Arc::new(Echo::default());
    b.accept(served.clone());
    // Its repetition reaches a node that cannot know whether it was carried out.
    assert_eq!(call.await.expect("no panic").err(), Some(TransportError::Broken(to)));
    assert_eq!(served.0.load(SeqCst), 0);
    assert_eq!(asked(&a, &b, "hello").await.as_deref(), Ok("hello"));
}

#[tokio::test]
async fn a_service_that_panics_is_reported_and_harms_nobody_else() {
    let (a, b) = (transport(options("a")).await, transport(options("b")).await);
    b.accept(Arc::new(Echo::default()));
    for word in ["panic", "later panic", "panic"] {
        let error = asked(&a, &b, word).await.expect_err("a panic");
        assert!(error.to_string().contains("panic (it may have been applied)"), "{error}");
        assert_eq!(asked(&a, &b, "hello").await.as_deref(), Ok("hello"));
    }
    assert_eq!(a.shared.tcp.traffic().connections, 0);
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_reason() {
    let bind = |address: &str| {
        UdpTransport::bind(TcpOptions { bind: Some(address.to_owned()), ..options("b") }, Env::system())
    };
    // Somebody else may take a port that was just let go.
    for _ in 0..20 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let taken = socket.local_addr().expect("bound").to_string();
        let error = bind(&taken).await.err().expect("the port is taken");
        assert_eq!(error.kind(), ErrorKind::Address);
        assert!(error.to_string().contains(&taken) && error.to_string().contains("in use"), "{error}");
        drop(socket);
        if let Ok(transport) = bind(&taken).await {
            return transport.close().await;
        }
    }
    panic!("a port that was let go cannot be used");
}

#[tokio::test]
async fn other_clusters_are_rejected_with_both_names() {
    let (a, b) = (transport(options("a")).await, {
        let hello = Hello::new("other", NodeId::new("b"), 7, false);
        transport(TcpOptions { hello, ..options("b") }).await
    });
    b.accept(Arc::new(Echo::default()));
    let error = asked(&a, &b, "hello").await.expect_err("another cluster");
    assert!(error.to_string().contains("\"test\" here and \"other\" there"), "{error}");
    assert!(error.not_sent());
}
