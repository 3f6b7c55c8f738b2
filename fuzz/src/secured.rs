//! Bytes from somebody who has neither the key nor a certificate, into the listener of a running node that wants them.
//! Whatever came, the node has said nothing but why not and carried nothing out; and it answers a peer that belongs
//! there, on the connection that this one has had all the time.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dht_core::transport::{Hello, Security, TcpOptions, TcpTransport, Transport, cut_frames, said_inside};
use dht_core::wire::hello::Acceptance;
use dht_core::wire::{FrameKind, HEADER_LEN, MAGIC, decode_call};
use dht_core::{Address, Config, Dht, Env, Secret, TlsConfig};

use crate::bytes_of::first;
use crate::node::{dialled, exchange, framed, hello, step};
use crate::place::{self, INPUTS_MAX, PATIENCE, Place};

const LEN_MAX: usize = 1 << 20;

const KEY: &str = "what the members know, and nobody else";

/// Bytes of all that is said to who proves nothing: its part of a TLS handshake, with a certificate, or a refusal.
const SAID_MAX: usize = 4 << 10;

/// Inputs from one newcomer to the next.
const NEWCOMER_INTERVAL: u64 = 16;

/// A call of kind 31 (describe), topic 1.
const DESCRIBE: [u8; 5] = [0xfa, 1, 2, 8, 1];

/// Content types of TLS records.
const RECORDS: std::ops::RangeInclusive<u8> = 20..=23;

/// In the first byte: certificates are wanted, and no key.
const CERTIFIED: u8 = 4;

thread_local! {
    static PLACE: RefCell<Place<[Serving; 2]>> = RefCell::new(Place::new());
}

/// A node, the peer that it must not stop to answer, and what a stranger has.
struct Serving {
    node: Dht,
    /// Messages that the node was given to act upon, and how many of them members have sent.
    asked: Arc<AtomicU64>,
    sent: u64,
    good: TcpTransport,
    /// Hello and proof of a member.
    first_words: u64,
    checks: u64,
    env: Env,
    member: Arc<Security>,
    stranger: Arc<Security>,
}

/// The first byte says how the rest reaches the node. 0: as the bytes of a connection from its start; 1: inside of TLS,
/// behind a hello, as the steps of target `node`; 2: inside of TLS, as it is; 3: on the socket beneath TLS, behind a hello
/// inside. And 4: certificates are wanted and no key; to the stranger's only the right authority is missing.
pub(crate) fn secured(data: &[u8]) {
    let (how, rest) = first(data);
    PLACE.with_borrow_mut(|place| place.feed(async |serving| feed(serving, how, rest).await));
}

async fn feed(place: &mut Option<[Serving; 2]>, how: u8, bytes: &[u8]) {
    let mut both = match place.take() {
        Some(both) => both,
        None => [Serving::start(false).await, Serving::start(true).await],
    };
    let [by_key, certified] = &both;
    let attacked = if how & CERTIFIED == 0 { by_key } else { certified };
    attacked.attack(how, bytes).await;
    // Also of the other: a connection that is not used for a minute is closed.
    for serving in &mut both {
        serving.check().await;
    }
    if both[0].checks < u64::from(INPUTS_MAX) {
        *place = Some(both);
        return;
    }
    for serving in both {
        serving.good.close().await;
        serving.node.stop().await;
    }
}

impl Serving {
    async fn start(certified: bool) -> Self {
        let env = Env::system();
        let secured = |node_id: &str, key: &str, files: &str| {
            let (cluster_key, tls) = if certified { (None, Some(tls(files))) } else { (Some(Secret::new(key)), None) };
            let config = Config { node_id: node_id.to_owned(), cluster_key, tls, ..place::config() };
            let security = Security::of(&config, &env).expect("files that fit");
            (config, security)
        };
        let (config, security) = secured("fuzzed", KEY, "member");
        let options = TcpOptions { security, ..place::options("fuzzed", LEN_MAX) };
        let config = Config { max_connections: options.max_connections, ..config };
        let transport = TcpTransport::bind(options, env.clone()).await.expect("a free port");
        let (node, asked) = place::counted(config, transport, env.clone()).await;
        let [member, stranger] = [(KEY, "member"), ("a guess", "stranger")]
            .map(|(key, files)| secured("good", key, files).1.expect("it is secured"));
        let good = newcomer(&member, &env).await;
        let first_words = if certified { 1 } else { 2 };
        let mut serving = Self { node, asked, sent: 0, good, first_words, checks: 0, env, member, stranger };
        serving.check().await;
        serving
    }

    async fn attack(&self, how: u8, bytes: &[u8]) {
        let (inside, beneath) = match how % 4 {
            0 => return self.in_the_open(bytes).await,
            1 => (framed(bytes), Vec::new()),
            2 => (bytes.to_vec(), Vec::new()),
            _ => (hello(), bytes.to_vec()),
        };
        // A certificate is shown last, so that whoever dials has a session of its own before that is looked at.
        let said = said_inside(dialled(&self.node).await, &self.stranger, inside, beneath).await;
        refusal(&said.expect("TLS with whoever comes")).await;
    }

    async fn in_the_open(&self, bytes: &[u8]) {
        let said = exchange(&self.node, bytes).await;
        match said.first() {
            // Who is not secured at all is told in words that it understands.
            Some(byte) if *byte == MAGIC.to_be_bytes()[0] => refusal(&said).await,
            _ => handshake(&said),
        }
    }

    /// The good peer is answered, where it was before, and another one is let in now and then; nobody else is served.
    async fn check(&mut self) {
        self.ask(&self.good).await;
        self.checks += 1;
        self.sent += 1;
        let sent = self.good.traffic().messages_sent;
        assert_eq!(sent, self.first_words + self.checks, "the good peer was cut off");
        if self.checks.is_multiple_of(NEWCOMER_INTERVAL) {
            let newcomer = newcomer(&self.member, &self.env).await;
            self.ask(&newcomer).await;
            self.sent += 1;
            newcomer.close().await;
        }
        assert_eq!(self.asked.load(Relaxed), self.sent, "somebody else was served");
    }

    async fn ask(&self, peer: &TcpTransport) {
        let call = decode_call((&DESCRIBE[..]).into()).expect("a call");
        let to = Address::new(&self.node.address());
        let reply = peer.call(&to, call, self.env.now() + PATIENCE).await.expect("a member is answered");
        assert_eq!(reply.body.kind(), "described", "{reply:?}");
    }
}

/// A member that listens nowhere.
async fn newcomer(security: &Arc<Security>, env: &Env) -> TcpTransport {
    let options = TcpOptions { security: Some(security.clone()), bind: None, ..place::options("good", LEN_MAX) };
    TcpTransport::bind(options, env.clone()).await.expect("nothing is bound")
}

/// Nothing, or the one hello that says why not, and of the node neither name nor key.
async fn refusal(said: &[u8]) {
    let (frames, error) = cut_frames(said, usize::MAX, SAID_MAX).await;
    assert!(error.is_none() && frames.len() <= 1 && said.len() <= SAID_MAX, "the node said {frames:?}, {error:?}");
    for (header, payload) in frames {
        assert_eq!(header.kind, FrameKind::Hello, "the node said {payload:?}");
        let hello = Hello::decode(&payload).expect("a hello");
        let Acceptance::Unauthenticated(reason) = &hello.acceptance else { panic!("the node said {hello:?}") };
        assert_eq!(hello, Hello::refusal(reason), "the node said who it is");
        assert!(!reason.contains(KEY), "{reason}");
    }
}

/// TLS records, few, and only the last may be cut off.
fn handshake(said: &[u8]) {
    assert!(said.len() <= SAID_MAX, "{} bytes to who proved nothing", said.len());
    let mut left = said;
    while let [kind, 3, 1..=3, high, low, rest @ ..] = left
        && RECORDS.contains(kind)
    {
        left = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default();
    }
    assert!(left.len() < 5, "the node said {said:02x?}");
}

fn tls(whose: &str) -> TlsConfig {
    let file = |name: String| Path::new(env!("CARGO_MANIFEST_DIR")).join("certificates").join(name);
    TlsConfig {
        cert: file(format!("{whose}.pem")),
        key: file(format!("{whose}.key")),
        ca: file(format!("{whose}-ca.pem")),
    }
}

/// Proofs of nothing before requests and instead of them, requests without any, and what is no frame; each in both ways.
pub(crate) fn seeds(frames: &[(String, Vec<u8>)]) -> Vec<Vec<u8>> {
    let requests = || frames.iter().filter(|(name, _)| name.starts_with("request."));
    let steps = || requests().flat_map(|(_, frame)| step(FrameKind::Request, 1, &frame[HEADER_LEN..]));
    let proof = |len: usize| step(FrameKind::Proof, 0, &vec![0x5a; len]);
    let bare: Vec<u8> = requests().flat_map(|(_, frame)| frame.iter().copied()).collect();
    let alert = [21, 3, 3, 0, 2, 2, 40];
    let sealed = [&[23, 3, 3, 0, 64][..], &[0x5a; 64]].concat();
    let mut seeds = vec![(0, hello()), (0, sealed.clone()), (0, Vec::new())];
    seeds.extend([0, 31, 32, 64, 65].map(|len| (1, proof(len))));
    seeds.push((1, proof(32).into_iter().chain(steps()).collect()));
    let one_way = step(FrameKind::OneWay, 0, &DESCRIBE);
    seeds.push((1, [proof(32), one_way].concat()));
    seeds.push((1, steps().collect()));
    seeds.push((1, step(FrameKind::Hello, 0, &hello()[HEADER_LEN..])));
    seeds.extend([(2, b"GET / HTTP/1.1\r\n\r\n".to_vec()), (2, bare.clone()), (2, [hello(), bare].concat())]);
    seeds.extend([(3, alert.to_vec()), (3, sealed)]);
    let in_way = |way: u8| seeds.iter().map(move |(how, bytes)| [&[how | way], &bytes[..]].concat());
    in_way(0).chain(in_way(CERTIFIED)).collect()
}
