//! Rolling upgrades: what a node of wire version 1 says (`tests/vectors/frames/v1`), said to a node of this release; and
//! what a node of a later one may say.

use crate::common;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use common::{start, stop};
use dht_core::wire::message::{Request, Response};
use dht_core::wire::{FrameKind, HEADER_LEN, Header, decode_reply};
use dht_core::{Config, Dht, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LEN_MAX: usize = 1 << 20;

/// The stored frames by name, without what they mean.
fn stored() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/frames/v1");
    let frame = |text: &str| -> Vec<u8> {
        let digits: String = text.lines().take_while(|line| !line.is_empty()).collect();
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex");
        (0..digits.len()).step_by(2).map(byte).collect()
    };
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let named = files.map(|file| {
        let path = file.expect("a readable folder").path();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), frame(&text))
    });
    named.collect()
}

/// A peer of wire version 1, as a socket and the frames that it says.
struct Peer(TcpStream);

impl Peer {
    async fn of(node: &Dht, hello: &[u8]) -> Self {
        let mut peer = Self(TcpStream::connect(node.address()).await.expect("it listens"));
        peer.0.write_all(hello).await.expect("sent");
        let (header, _) = peer.hear().await;
        assert_eq!(header.kind, FrameKind::Hello);
        peer
    }

    async fn hear(&mut self) -> (Header, Bytes) {
        let mut front = [0; HEADER_LEN];
        self.0.read_exact(&mut front).await.expect("an answer");
        let header = Header::decode(&front, LEN_MAX).expect("a header");
        let mut payload = vec![0; header.payload_len as usize];
        self.0.read_exact(&mut payload).await.expect("a whole answer");
        header.check_payload(&payload).expect("its checksum");
        (header, payload.into())
    }

    /// Says a stored frame as a frame of `kind`; what came back, up to the end of the stream if it is one.
    async fn ask(&mut self, frame: &[u8], kind: FrameKind) -> Vec<Response> {
        let (front, payload) = frame.split_first_chunk::<HEADER_LEN>().expect("a header");
        let header = Header { kind, ..Header::decode(front, LEN_MAX).expect("a header") };
        self.0.write_all(&[&header.encode()[..], payload].concat()).await.expect("sent");
        let mut heard = Vec::new();
        loop {
            let (answer, payload) = self.hear().await;
            assert_eq!(answer.request_id, header.request_id);
            if answer.kind == FrameKind::StreamEnd {
                return heard;
            }
            heard.push(decode_reply(payload).expect("a reply").body);
            if answer.kind == FrameKind::Response {
                return heard;
            }
        }
    }
}

/// What a node of a ring of one answers to the stored request of that name.
fn wanted(name: &str) -> &'static str {
    match name {
        "ping" | "ping.clock" | "merge" => "pong",
        // It is meant for another one: the node has another boot.
        "ping.boot" => "Unreachable",
        "ping_for" => "probed",
        "last_life" => "last_life",
        "sync" => "synced",
        "exchange" => "exchanged",
        // Nobody answers at the address that it says, and a node that is no client must.
        "join" => "Unreachable",
        "join.client" => "welcome",
        "admit" | "admit.wait" => "admitted",
        "stabilize" => "neighbours",
        "notify" => "pong",
        "lookup" | "lookup.past" => "route",
        "apply" | "apply.owner" | "apply.atomic" | "apply.rings" => "applied",
        "store" | "store.repair" => "stored",
        "fetch" | "fetch.retry" => "fetched",
        "compare" | "compare.catching_up" | "compare.durable" => "compared",
        "compare_sums" => "compared_sums",
        "scan" | "scan.relay" => "scanned",
        "describe" | "describe.locate" => "described",
        // Answered by a stream, which nobody opened.
        "versions" | "versions.parts" | "pull" | "pull.urgent" | "collect" => "Unsupported",
        // A node whose datagrams are not sealed.
        "seal_key" | "seal_key.known" => "Unsupported",
        other => panic!("{other}: say here what a node answers to it"),
    }
}

fn named(response: &Response) -> String {
    match response {
        Response::Failure(error) => format!("{:?}", error.kind()),
        other => other.kind().to_owned(),
    }
}

#[tokio::test]
async fn a_node_answers_every_request_of_wire_version_1() {
    let stored = stored();
    let requests: Vec<_> =
        stored.iter().filter_map(|(name, frame)| Some((name.strip_prefix("request.")?, frame))).collect();
    assert!(requests.len() >= Request::KINDS.len(), "{requests:?}");
    for (name, frame) in requests {
        // A node of its own for each: some of them speak of nodes that are not there.
        let node = start(Config::default()).await;
        let mut peer = Peer::of(&node, &stored["hello"]).await;
        let heard = peer.ask(frame, FrameKind::Request).await;
        assert_eq!(heard.iter().map(named).collect::<Vec<_>>(), [wanted(name)], "{name}: {heard:?}");
        if matches!(name, "versions" | "pull" | "pull.urgent") {
            assert!(peer.ask(frame, FrameKind::Open).await.is_empty(), "{name}: an empty node has nothing to stream");
        }
        if name == "versions.parts" {
            let heard = peer.ask(frame, FrameKind::Open).await;
            let [Response::Versions { entries, listed: Some(listed) }] = &heard[..] else { panic!("{heard:?}") };
            // Nothing is in the second part there either.
            assert_eq!((entries.len(), &listed[..]), (0, &[0, 2][..]));
        }
        let heard = peer.ask(&stored["request.describe"], FrameKind::Request).await;
        assert!(matches!(&heard[..], [Response::Described { .. }]), "after {name}: {heard:?}");
        stop(vec![node]).await;
    }
}

#[tokio::test]
async fn a_request_of_a_later_release_is_unsupported_and_the_connection_goes_on() {
    let stored = stored();
    let node = start(Config::default()).await;
    let mut peer = Peer::of(&node, &stored["hello"]).await;
    // Kind 1000, with a field, in an envelope with a field 15; 1000 << 3 | 2, 15 << 3.
    let payload = [0x78, 1, 0xc2, 0x3e, 2, 8, 1];
    let header = Header::of(FrameKind::Request, 7, &payload, LEN_MAX).expect("short");
    let frame = [&header.encode()[..], &payload].concat();
    for kind in [FrameKind::Request, FrameKind::Open] {
        let heard = peer.ask(&frame, kind).await;
        let [Response::Failure(error)] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!(
            (error.kind(), error.context()),
            (ErrorKind::Unsupported, "request 1000 is unknown to this release")
        );
    }
    let heard = peer.ask(&stored["request.describe"], FrameKind::Request).await;
    assert!(matches!(&heard[..], [Response::Described { .. }]), "{heard:?}");
    stop(vec![node]).await;
}

/// A member that lies about its clock, or has lost it, spoils the key of its record at most: the others' clocks do not
/// follow it to the end of their numbers, and a write that cannot be above the record says so.
#[tokio::test]
async fn a_version_from_the_end_of_time_spoils_its_key_and_nothing_else() {
    let stored = stored();
    let node = start(Config::default()).await;
    let mut peer = Peer::of(&node, &stored["hello"]).await;
    let (front, payload) = stored["request.store.repair"].split_first_chunk::<HEADER_LEN>().expect("a header");
    // Version: 1 hlc fixed64, 2 node fixed64.
    let hlc = payload.windows(10).position(|at| at[0] == 9 && at[9] == 17).expect("a version");
    let mut payload = payload.to_vec();
    payload[hlc + 1..hlc + 9].fill(0xff);
    payload[hlc + 10..hlc + 18].fill(0xff);
    // List: 1 counter varint, 2 members fixed64; both 0: whatever the list is.
    let list = payload.windows(5).position(|at| at == [0x12, 11, 8, 5, 17]).expect("a list");
    payload[list + 3] = 0;
    payload[list + 5..list + 13].fill(0);
    let id = Header::decode(front, LEN_MAX).expect("a header").request_id;
    let header = Header::of(FrameKind::Request, id, &payload, LEN_MAX).expect("short");
    let heard = peer.ask(&[&header.encode()[..], &payload].concat(), FrameKind::Request).await;
    assert!(format!("{heard:?}").contains("Stored { counts: false }"), "{heard:?}");

    let error = node.put("key", &1).await.expect_err("nothing is above that version");
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::ClockSkew, false), "{error}");
    for round in 0..3 {
        let outcome = node.put("another", &round).await.expect("its clock goes on");
        assert!(outcome.version.to_string().as_str() < "8", "{outcome:?}");
        assert_eq!(node.get::<i32>("another").await.expect("served"), Some(round));
    }
    stop(vec![node]).await;
}
