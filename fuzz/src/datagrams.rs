//! Datagrams: one by one through their format, and many to a running node over a real socket, into what answers them.
//! Whatever came, the node then answers a peer that keeps to the protocol, and has said no more than it was told to a
//! source that proved nothing.

use std::cell::RefCell;

use dht_core::transport::{Call, Transport, UdpTransport, datagram_again, offered_session, seal_datagram};
use dht_core::wire::{HEADER_LEN, decode_call};
use dht_core::{Dht, Env};
use tokio::net::UdpSocket;

use crate::bytes_of::first;
use crate::place::{self, CLUSTER, INPUTS_MAX, PATIENCE, Place};

/// A datagram at most.
const LEN_MAX: usize = 1_200;

/// Datagrams of one input: less than the system keeps for a node that is busy.
const DATAGRAMS_MAX: usize = 64;

/// Bytes of a datagram's header.
const FRONT: usize = 48;

/// The first byte says whether what chance never gets right is made right.
pub(crate) fn datagram(data: &[u8]) {
    let (how, bytes) = first(data);
    let mut bytes = bytes.to_vec();
    if how % 2 == 1 {
        seal_datagram(CLUSTER, &mut bytes);
    }
    let Some(again) = datagram_again(CLUSTER, &bytes) else { return };
    assert!(again.len() <= bytes.len(), "{} bytes of {}", again.len(), bytes.len());
    assert_eq!(datagram_again(CLUSTER, &again).as_ref(), Some(&again), "said in two ways");
    assert_eq!(datagram_again("another", &again), None, "read by another cluster");
}

thread_local! {
    static PLACE: RefCell<Place<Serving>> = RefCell::new(Place::new());
}

/// A node, two sources of datagrams, and the peer that it must not stop to answer.
struct Serving {
    node: Dht,
    good: UdpTransport,
    env: Env,
    /// Has a session, and uses it if a step says so.
    proven: UdpSocket,
    session: [u8; 16],
    /// Never got what it was sent, as if its address were forged.
    unproven: UdpSocket,
    inputs: u32,
}

/// Steps: a byte that says how, two of length, and so many bytes, which are a datagram. How: 1: made right (see
/// `seal_datagram`), 2: in the session of the proven source, 4: from the unproven one.
pub(crate) fn datagrams(data: &[u8]) {
    PLACE.with_borrow_mut(|place| place.feed(async |serving| feed(serving, data).await));
}

async fn feed(place: &mut Option<Serving>, mut steps: &[u8]) {
    let mut serving = match place.take() {
        Some(serving) => serving,
        None => Serving::start().await,
    };
    let (mut said, mut count) = (0, 0);
    while let [how, low, high, rest @ ..] = steps
        && count < DATAGRAMS_MAX
    {
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        let (bytes, after) = rest.split_at(len.min(rest.len()).min(LEN_MAX + 1));
        said += serving.send(*how, bytes.to_vec()).await;
        (steps, count) = (after, count + 1);
    }
    serving.check(said).await;
    serving.inputs += 1;
    // Who tells a node of nodes that are not there is believed until they are probed, so that one is done with.
    if serving.inputs < INPUTS_MAX && serving.node.view().1 == 1 {
        *place = Some(serving);
    } else {
        serving.good.close().await;
        serving.node.stop().await;
    }
}

impl Serving {
    async fn start() -> Self {
        let env = Env::system();
        let config = place::config();
        let transport = bound(&config.node_id, &env).await;
        let node = place::started(config, transport, env.clone()).await;
        let source = async || {
            let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
            socket.connect(node.address()).await.expect("an address");
            socket
        };
        let (proven, unproven) = (source().await, source().await);
        proven.send(&asking(1, &[])).await.expect("sent");
        let mut buffer = [0; LEN_MAX];
        let len = proven.recv(&mut buffer).await.expect("an offer");
        let session = offered_session(CLUSTER, &buffer[..len]).expect("an offer");
        let good = bound("good", &env).await;
        Self { node, good, env, proven, session, unproven, inputs: 0 }
    }

    /// Bytes that left from the source that has proven nothing.
    async fn send(&self, how: u8, mut datagram: Vec<u8>) -> usize {
        let unproven = how & 4 != 0;
        if how & 2 != 0
            && !unproven
            && let Some(field) = datagram.get_mut(16..32)
        {
            field.copy_from_slice(&self.session);
        }
        if how & 1 != 0 {
            seal_datagram(CLUSTER, &mut datagram);
        }
        let socket = if unproven { &self.unproven } else { &self.proven };
        socket.send(&datagram).await.expect("sent");
        if unproven { datagram.len() } else { 0 }
    }

    /// The good peer is answered; what the others got is a datagram each, and no more than was `said` without proof.
    async fn check(&mut self, said: usize) {
        // Kind 31 (describe), topic 1.
        let call: Call = decode_call((&[0xfa, 1, 2, 8, 1][..]).into()).expect("a call");
        let to = dht_core::Address::new(&self.node.address());
        let reply = self.good.call(&to, call, self.env.now() + PATIENCE).await.expect("the good peer is answered");
        assert_eq!(reply.body.kind(), "described", "{reply:?}");
        let mut got = 0;
        for (socket, count) in [(&self.proven, &mut 0), (&self.unproven, &mut got)] {
            let mut buffer = [0; 2 * LEN_MAX];
            while let Ok(len) = socket.try_recv(&mut buffer) {
                assert!(datagram_again(CLUSTER, &buffer[..len]).is_some(), "the node said {:02x?}", &buffer[..len]);
                *count += len;
            }
        }
        assert!(got <= said, "{got} bytes to who sent {said}");
    }
}

async fn bound(name: &str, env: &Env) -> UdpTransport {
    UdpTransport::bind(place::options(name, 1 << 20), env.clone()).await.expect("a free port")
}

/// A datagram of that kind with sequence 1, sealed, and as long as one that asks must be.
fn asking(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0; FRONT];
    datagram[3] = kind;
    datagram[12..14].copy_from_slice(&u16::try_from(payload.len()).expect("short").to_be_bytes());
    datagram[39] = 1;
    datagram[46] = 4;
    datagram.extend_from_slice(payload);
    datagram.resize(datagram.len().max(64), 0);
    seal_datagram(CLUSTER, &mut datagram);
    datagram
}

fn requests(frames: &[(String, Vec<u8>)]) -> impl Iterator<Item = &[u8]> {
    let short = |payload: &&[u8]| payload.len() <= LEN_MAX - FRONT;
    frames.iter().filter(|(name, _)| name.starts_with("request.")).map(|(_, frame)| &frame[HEADER_LEN..]).filter(short)
}

/// One of each kind, and each stored request that fits.
pub(crate) fn seeds_of_one(frames: &[(String, Vec<u8>)]) -> Vec<Vec<u8>> {
    let kinds = (0..10).map(|kind| asking(kind, b"payload"));
    let calls = requests(frames).map(|payload| asking(3, payload));
    kinds.chain(calls).map(|datagram| [&[1], &datagram[..]].concat()).collect()
}

/// Each stored request in the session, from elsewhere, twice, and one way; and all in a row, each in its place.
pub(crate) fn seeds(frames: &[(String, Vec<u8>)]) -> Vec<Vec<u8>> {
    let step = |how: u8, datagram: &[u8]| {
        let len = u16::try_from(datagram.len()).expect("short").to_le_bytes();
        [&[how, len[0], len[1]], datagram].concat()
    };
    let mut seeds = vec![step(7, &asking(1, &[])), step(3, &asking(2, &[0; 16])), step(3, &asking(4, b"late"))];
    let mut all = Vec::new();
    for (place, payload) in requests(frames).enumerate() {
        let mut request = asking(3, payload);
        seeds.push([step(3, &request), step(3, &request), step(5, &request), step(3, &asking(5, payload))].concat());
        request[15] = u8::try_from(place % 64).expect("a slot");
        all.push(step(3, &request));
    }
    seeds.extend(all.chunks(DATAGRAMS_MAX).map(<[Vec<u8>]>::concat));
    seeds
}
