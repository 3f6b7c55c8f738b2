//! Bytes on a connection to a running node: over a real socket into the reader of a connection, and from there into all
//! that answers requests. Whatever came, the node then answers a peer that keeps to the protocol.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use dht_core::transport::{Hello, TcpTransport, cut_frames};
use dht_core::wire::{FrameKind, HEADER_LEN, Header, decode_reply};
use dht_core::{Config, Consistency, Dht, Env, GetOptions, NodeId, PutOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bytes_of::first;
use crate::place::{self, INPUTS_MAX, Place};

const LEN_MAX: usize = 1 << 20;

/// Buffers of both ends and of the answers, and, now and then, a node.
pub(crate) fn heap_max(len: usize) -> usize {
    (8 << 20) + 64 * len
}

thread_local! {
    static PLACE: RefCell<Place<Serving>> = RefCell::new(Place::new());
}

/// A node and the peer that it must not stop to answer.
struct Serving {
    node: Dht,
    good: TcpStream,
    inputs: u32,
}

/// The first byte says how the rest is read: as the bytes of a connection from its start, or, behind a hello, as steps: a
/// byte of frame kind (lower half, 0 and 11 to 15: bytes as they are) and request id (upper half), two of length, and so
/// many bytes, which get a header and checksums that are right.
pub(crate) fn node(data: &[u8]) {
    let (how, rest) = first(data);
    let stream = if how % 2 == 0 { framed(rest) } else { rest.to_vec() };
    PLACE.with_borrow_mut(|place| place.feed(async |serving| feed(serving, &stream).await));
}

async fn feed(place: &mut Option<Serving>, stream: &[u8]) {
    let mut serving = match place.take() {
        Some(serving) => serving,
        None => Serving::start().await,
    };
    let answers = exchange(&serving.node, stream).await;
    readable(&answers).await;
    serving.check().await;
    serving.inputs += 1;
    // Who tells a node of nodes that are not there is believed until they are probed, so that one is done with.
    if serving.inputs < INPUTS_MAX && serving.alone() {
        *place = Some(serving);
    } else {
        serving.node.stop().await;
    }
}

/// Says `stream`, and that it is all; what came back.
pub(crate) async fn exchange(node: &Dht, stream: &[u8]) -> Vec<u8> {
    let (mut source, mut sink) = dialled(node).await.into_split();
    let mut answers = Vec::new();
    let say = async move {
        // The node may have had enough before the end.
        if sink.write_all(stream).await.is_ok() {
            drop(sink.shutdown().await);
        }
        sink
    };
    // An error is a connection that the node has reset, with bytes of ours unread.
    let (sink, _heard) = tokio::join!(say, source.read_to_end(&mut answers));
    drop((source, sink));
    answers
}

pub(crate) async fn dialled(node: &Dht) -> TcpStream {
    let socket = TcpStream::connect(node.address()).await.expect("it listens");
    // A million connections in a row would use up the ports.
    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("an option that every system has");
    socket
}

/// What a node says is always a frame of its version with a reply in it; only the end may be cut off.
async fn readable(answers: &[u8]) {
    let (frames, error) = cut_frames(answers, usize::MAX, LEN_MAX).await;
    assert_eq!(error, None, "the node said something else");
    for (header, payload) in frames {
        if matches!(header.kind, FrameKind::Response | FrameKind::StreamItem) {
            let told = decode_reply(payload);
            assert!(told.is_ok(), "the node said {told:?}");
        }
    }
}

impl Serving {
    async fn start() -> Self {
        let env = Env::system();
        let options = place::options("fuzzed", LEN_MAX);
        let config = Config { max_connections: options.max_connections, ..place::config() };
        let transport = TcpTransport::bind(options, env.clone()).await.expect("a free port");
        let node = place::started(config, transport, env).await;
        let mut good = TcpStream::connect(node.address()).await.expect("it listens");
        good.write_all(&hello()).await.expect("sent");
        hear(&mut good).await;
        Self { node, good, inputs: 0 }
    }

    fn alone(&self) -> bool {
        self.node.view().1 == 1
    }

    /// The good peer is answered, and a node that knows of no other keeps what it is told.
    async fn check(&mut self) {
        // Kind 31 (describe), topic 1.
        let payload = [0xfa, 1, 2, 8, 1];
        self.good.write_all(&message(FrameKind::Request, 9, &payload)).await.expect("the good peer is not cut off");
        let (header, payload) = hear(&mut self.good).await;
        let reply = decode_reply(payload.into()).expect("a reply");
        assert_eq!((header.request_id, reply.body.kind()), (9, "described"), "{reply:?}");
        if self.alone() {
            let (key, value) = ("a key of the good peer's", Bytes::copy_from_slice(&self.inputs.to_le_bytes()));
            let put = self.node.put_bytes(key, value.clone(), PutOptions::default()).await;
            put.unwrap_or_else(|error| panic!("a put is not served: {error}"));
            let one = GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() };
            let got = self.node.get_bytes(key, one).await;
            assert_eq!(got.unwrap_or_else(|error| panic!("a get is not served: {error}")), Some(value));
        }
    }
}

async fn hear(socket: &mut TcpStream) -> (Header, Vec<u8>) {
    let mut front = [0; HEADER_LEN];
    socket.read_exact(&mut front).await.expect("the good peer is answered");
    let header = Header::decode(&front, LEN_MAX).expect("a header");
    let mut payload = vec![0; header.payload_len as usize];
    socket.read_exact(&mut payload).await.expect("the good peer is answered");
    (header, payload)
}

pub(crate) fn hello() -> Vec<u8> {
    Hello::new("default", NodeId::new("peer"), 3, true).encode().expect("short")
}

fn message(kind: FrameKind, id: u64, payload: &[u8]) -> Vec<u8> {
    let header = Header::of(kind, id, payload, usize::MAX).expect("below 4 GiB");
    [&header.encode()[..], payload].concat()
}

/// What steps say, behind a hello.
pub(crate) fn framed(mut steps: &[u8]) -> Vec<u8> {
    let mut stream = hello();
    while let [step, low, high, rest @ ..] = steps {
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        let (bytes, after) = rest.split_at(len.min(rest.len()));
        match FrameKind::from_number(step & 15) {
            Some(kind) => stream.extend_from_slice(&message(kind, u64::from(step >> 4), bytes)),
            None => stream.extend_from_slice(bytes),
        }
        steps = after;
    }
    stream
}

/// A step: of how a message of that kind is written in an input.
pub(crate) fn step(kind: FrameKind, id: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).expect("a short frame").to_le_bytes();
    [&[kind as u8 | id << 4, len[0], len[1]], payload].concat()
}

/// Every stored request as a request and as an open stream, all of them in a row, and the same as bare bytes.
pub(crate) fn seeds(frames: &[(String, Vec<u8>)]) -> Vec<Vec<u8>> {
    let requests = || frames.iter().filter(|(name, _)| name.starts_with("request."));
    let mut seeds = Vec::new();
    for (_, frame) in requests() {
        let payload = &frame[HEADER_LEN..];
        for kind in [FrameKind::Request, FrameKind::Open, FrameKind::OneWay] {
            seeds.push([&[0], &step(kind, 1, payload)[..]].concat());
        }
    }
    let mut all = vec![0];
    for ((_, frame), id) in requests().zip((0..16).cycle()) {
        all.extend(step(FrameKind::Request, id, &frame[HEADER_LEN..]));
    }
    for (kind, payload) in [(FrameKind::Credit, &[0, 0, 0, 1][..]), (FrameKind::Cancel, &[]), (FrameKind::GoAway, &[])]
    {
        all.extend(step(kind, 1, payload));
    }
    seeds.push(all);
    let bare = requests().flat_map(|(_, frame)| frame.iter().copied());
    seeds.push([1].into_iter().chain(hello()).chain(bare).collect());
    seeds
}
