//! One message or more of every kind, with all their fields in use: the source of the stored frames (`golden_tests.rs`).
//!
//! A new kind, a new action or outcome, and a new field get a sample here, under a name of its own; the samples that are
//! there stay as they are, since their frames are stored. Then `make golden`.

use std::time::Duration;

use bytes::Bytes;

use super::message::{
    Action, CompareItem, CompareResult, FetchItem, FetchResult, Head, ListId, Neighbours, NodeDigest, OpResult,
    Operation, Pointer, PullItem, PutOutcome, Request, Response, ScanFrom, ScanWant, Scanning, SealingKey, Standing,
    StoreItem, StoreResult, Topic,
};
use crate::config::{Consistency, HashFunction};
use crate::data::fingerprint::Fingerprint;
use crate::data::number::Number;
use crate::data::record::{Expected, Format, KeyDigest, OpId, Record, Value, Version};
use crate::error::{Error, ErrorKind};
use crate::ring::id::Id;
use crate::ring::params::{RING_FORMAT, RingConfig, RingParams};
use crate::ring::record::{Address, NodeId, NodeRecord, NodeState, RingId, Verdict};
use crate::ring::slot::Slot;
use crate::wire::hello::{Acceptance, Hello};
use crate::wire::trace::{Span, SpanOutcome, Spans};

const RING: RingId = RingId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
/// That of the key "key", in a ring of default parameters.
const SLOT: Slot = Slot(2_844);
const LIST: ListId = ListId { counter: 5, members: 0x4444, epoch: 0 };

/// The envelope of every request here: of a node in no ring, so that a node of any ring answers.
pub(super) fn request_head() -> Head {
    Head { ring_id: None, sender: 0x1111, deadline_ms: 1_500, trace_id: 0x2222, attempt: 1, view: 0x3333, clock: 0 }
}

/// The envelope of every response here.
pub(super) fn response_head() -> Head {
    Head { ring_id: Some(RING), deadline_ms: 0, attempt: 0, ..request_head() }
}

/// What the sender of the message of that name tells of its clock.
pub(super) fn clock_of(message: &str) -> u64 {
    if message.ends_with(".clock") { 0x019b_76da_0000_0007 } else { 0 }
}

/// What the response of that name tells of how it was made.
pub(super) fn trace_of(response: &str) -> Option<Box<Spans>> {
    if response != "applied.traced" {
        return None;
    }
    let step = |depth, node: NodeRecord, what: &'static str, outcome| Span {
        depth,
        node_id: node.node_id,
        address: node.address,
        what: what.into(),
        attempt: depth,
        hedged: depth > 0,
        begun_us: 3,
        took_us: 70_000,
        served_us: (outcome == SpanOutcome::Done).then_some(0),
        outcome,
    };
    let mut spans = Spans::new(80_000, 1);
    spans.push(step(0, node("a"), "store", SpanOutcome::Done));
    spans.push(step(1, left("b"), "sync", SpanOutcome::Failed(ErrorKind::Timeout)));
    spans.push(step(0, node("c"), "store", SpanOutcome::Pending));
    Some(Box::new(spans))
}

/// Named after their kind, and, of several of a kind, after what is special.
pub(super) fn requests() -> Vec<(&'static str, Request)> {
    let compare = |n: u32| CompareItem { slot: Slot(n), list: LIST, fingerprint: Fingerprint(u128::from(n)) };
    let level = Consistency::Quorum;
    vec![
        ("ping", Request::Ping { boot: 0, records: vec![node("a"), left("b")] }),
        ("ping.boot", Request::Ping { boot: 9, records: Vec::new() }),
        ("ping.clock", Request::Ping { boot: 0, records: Vec::new() }),
        ("ping_for", Request::PingFor { address: Address::new("127.0.0.1:1"), boot: 9 }),
        ("sync", Request::Sync { sums: vec![1, 2, 3, u64::MAX], gone: true, lists: vec![(SLOT, LIST)] }),
        (
            "exchange",
            Request::Exchange { records: vec![node("a")], wanted: vec![1, 2], lists: vec![(SLOT, epoch(LIST))] },
        ),
        ("join", Request::Join { record: node("a"), params: params(), wall_ms: 1_800_000_000_000, client: false }),
        ("join.client", Request::Join { record: node("a"), params: params(), wall_ms: 1, client: true }),
        ("admit", Request::Admit { node_id: NodeId::new("a"), boot: 9, release: true, wait: false }),
        ("admit.wait", Request::Admit { node_id: NodeId::new("a"), boot: 9, release: false, wait: true }),
        ("last_life", Request::LastLife { records: vec![node("a")] }),
        ("merge", Request::Merge { ring_id: RingId(7), records: vec![node("a")] }),
        ("stabilize", Request::Stabilize { positions: vec![id(1), id(300)], known: vec![5, 0] }),
        ("notify", Request::Notify { pointers: vec![(pointer(2), id(0))] }),
        ("lookup", Request::Lookup { target: id(0xabcd), past: 0, claimed: false }),
        ("lookup.past", Request::Lookup { target: id(0xabcd), past: 4, claimed: true }),
        ("apply", Request::Apply { operations: operations(), level, relay: true, rings: 0 }),
        ("apply.owner", Request::Apply { operations: operations(), level: Consistency::All, relay: false, rings: 0 }),
        ("apply.rings", Request::Apply { operations: operations(), level, relay: false, rings: 0x7777 }),
        ("apply.atomic", Request::Apply { operations: atomic_operations(), level, relay: true, rings: 0 }),
        ("store", Request::Store { items: vec![item(record()), item(tombstone())], repair: false }),
        ("store.repair", Request::Store { items: vec![item(record())], repair: true }),
        (
            "fetch",
            Request::Fetch {
                items: vec![FetchItem { slot: SLOT, list: LIST, map: 0, key: record().key, operation: None }],
            },
        ),
        (
            "fetch.retry",
            Request::Fetch {
                items: vec![FetchItem {
                    slot: SLOT,
                    list: LIST,
                    map: 0,
                    key: record().key,
                    operation: Some(OpId { origin: 6, sequence: 7 }),
                }],
            },
        ),
        ("compare", Request::Compare { items: vec![compare(1), compare(300)], catching_up: false, durable: false }),
        ("compare.catching_up", Request::Compare { items: vec![compare(1)], catching_up: true, durable: false }),
        ("compare.durable", Request::Compare { items: vec![compare(1)], catching_up: false, durable: true }),
        (
            "compare_sums",
            Request::CompareSums {
                part_len: 64,
                parts: vec![0, 3],
                sums: vec![Fingerprint(1), Fingerprint(u128::MAX)],
            },
        ),
        ("versions", Request::Versions { slot: SLOT, parts: Vec::new() }),
        ("versions.parts", Request::Versions { slot: SLOT, parts: vec![1, 0, u64::MAX] }),
        (
            "pull",
            Request::Pull {
                items: vec![
                    PullItem { slot: SLOT, digests: vec![KeyDigest(1), KeyDigest(u128::MAX)] },
                    PullItem { slot: Slot(8), digests: Vec::new() },
                ],
                urgent: false,
            },
        ),
        (
            "pull.urgent",
            Request::Pull { items: vec![PullItem { slot: SLOT, digests: vec![KeyDigest(1)] }], urgent: true },
        ),
        ("scan", Request::Scan(scanning(ScanWant::Values, None, false))),
        ("scan.relay", Request::Scan(scanning(ScanWant::Keys, Some(KeyDigest(u128::MAX)), true))),
        ("describe", Request::Describe { topic: Topic::Health, key: Bytes::new() }),
        ("collect", Request::Collect { session: 5, cookie: 6, slot: 7, sequence: 8 }),
        ("seal_key", Request::SealKey { known: 0 }),
        ("seal_key.known", Request::SealKey { known: 9 }),
        ("describe.locate", Request::Describe { topic: Topic::Locate, key: Bytes::from_static(b"key") }),
    ]
}

/// As [`requests`].
pub(super) fn responses() -> Vec<(&'static str, Response)> {
    let compared = |standing| CompareResult { list: LIST, standing, fingerprint: Fingerprint(7), evicted_before_s: 0 };
    let neighbours = |predecessor| Neighbours { predecessor, successors: vec![pointer(2), pointer(3)] };
    let digest = NodeDigest { node: 3, boot: 9, incarnation: 2, verdict: Verdict::Suspect };
    vec![
        ("pong", Response::Pong { records: vec![node("a")] }),
        ("pong.placed_in", Response::Pong { records: vec![NodeRecord { placed_in: RING.digest(), ..node("a") }] }),
        ("pong.clock", Response::Pong { records: Vec::new() }),
        ("last_life", Response::LastLife { records: vec![left("b")] }),
        ("probed", Response::Probed { alive: true }),
        ("synced", Response::Synced { differing: vec![0, 5], digests: vec![digest], lists: vec![(SLOT, LIST)] }),
        ("exchanged", Response::Exchanged { records: vec![node("a"), left("b")] }),
        (
            "welcome",
            Response::Welcome {
                ring_id: RING,
                config: config(),
                records: vec![node("a")],
                wall_ms: 1_800_000_000_000,
                reunites: false,
                forgotten: false,
                given_up_ms: 0,
            },
        ),
        (
            "welcome.reunites",
            Response::Welcome {
                ring_id: RING,
                config: config(),
                records: Vec::new(),
                wall_ms: 1,
                reunites: true,
                forgotten: false,
                given_up_ms: 0,
            },
        ),
        (
            "welcome.forgotten",
            Response::Welcome {
                ring_id: RING,
                config: config(),
                records: Vec::new(),
                wall_ms: 1,
                reunites: false,
                forgotten: true,
                given_up_ms: 0,
            },
        ),
        (
            "welcome.given_up",
            Response::Welcome {
                ring_id: RING,
                config: config(),
                records: Vec::new(),
                wall_ms: 1,
                reunites: false,
                forgotten: true,
                given_up_ms: 86_400_000,
            },
        ),
        ("compared.returned", Response::Compared { results: vec![compared(Standing::Returned)] }),
        ("admitted", Response::Admitted { granted: true }),
        (
            "neighbours",
            Response::Neighbours {
                items: vec![Some(neighbours(Some(pointer(1)))), None, Some(neighbours(None))],
                records: vec![node("a")],
            },
        ),
        ("route", route(Vec::new(), Vec::new())),
        ("route.past", route(vec![pointer(2)], vec![pointer(1), pointer(3)])),
        ("applied", Response::Applied { results: op_results(), records: vec![node("a")] }),
        ("applied.traced", Response::Applied { results: taken(), records: Vec::new() }),
        ("applied.value", Response::Applied { results: taken(), records: Vec::new() }),
        ("stored", Response::Stored { results: store_results() }),
        ("fetched", Response::Fetched { results: fetch_results() }),
        (
            "fetched.retry",
            Response::Fetched {
                results: vec![FetchResult::Found { list: LIST, record: Some(record()), stored_as: Some(version(1)) }],
            },
        ),
        (
            "compared",
            Response::Compared {
                results: [Standing::Outsider, Standing::Newcomer, Standing::CaughtUp].map(compared).to_vec(),
            },
        ),
        (
            "compared.evicted",
            Response::Compared {
                results: vec![CompareResult { evicted_before_s: 1_800_000_000, ..compared(Standing::CaughtUp) }],
            },
        ),
        ("compared_sums", Response::ComparedSums { differing: vec![0, 3] }),
        (
            "versions",
            Response::Versions { entries: vec![(KeyDigest(1), version(2)), (KeyDigest(3), version(4))], listed: None },
        ),
        ("versions.parts", Response::Versions { entries: vec![(KeyDigest(1), version(2))], listed: Some(vec![0, 2]) }),
        ("versions.equal", Response::Versions { entries: Vec::new(), listed: Some(Vec::new()) }),
        ("records", Response::Records { items: vec![(SLOT, record()), (Slot(8), tombstone())] }),
        (
            "scanned",
            Response::Scanned {
                slots: vec![compared(Standing::CaughtUp), compared(Standing::Newcomer)],
                records: vec![(SLOT, record()), (SLOT, tombstone())],
                next: Some(ScanFrom { slot: SLOT, after: Some(KeyDigest(5)) }),
            },
        ),
        ("scanned.last", Response::Scanned { slots: Vec::new(), records: Vec::new(), next: None }),
        ("described", Response::Described { json: r#"{"ready":true}"#.to_owned() }),
        ("seal_key", Response::SealKey { id: 9, key: Some(SealingKey::new([7; 32])) }),
        ("seal_key.known", Response::SealKey { id: 9, key: None }),
        ("failure", Response::Failure(failed())),
    ]
}

fn route(past: Vec<Pointer>, replicas: Vec<Pointer>) -> Response {
    Response::Route { done: true, pointers: vec![pointer(1)], past, replicas, records: vec![node("a")] }
}

/// What a dialler says, and all that a listener may answer.
pub(super) fn hellos() -> Vec<(&'static str, Hello)> {
    let hello = Hello { version_min: 1, version_max: 1, ..Hello::new("default", NodeId::new("node-1"), 9, false) };
    let answer = |acceptance| Hello { acceptance, ..hello.clone() };
    vec![
        ("hello", hello.clone()),
        ("hello.client", Hello { client: true, ..hello.clone() }),
        ("hello.newer", Hello { version_max: 255, ..hello.clone() }),
        ("hello.not_serving", answer(Acceptance::NotServing)),
        ("hello.crowded", answer(Acceptance::Crowded)),
        ("hello.unauthenticated", Hello::refusal("cluster_key differs")),
        ("hello.rejected", answer(Acceptance::Rejected("cluster_name is \"a\" here and \"b\" there".to_owned()))),
    ]
}

fn operations() -> Vec<Operation> {
    let put = |ttl_ms| Action::Put { value: value(), ttl_ms };
    numbered([Action::Get, put(60_000), put(0), Action::Delete])
}

fn atomic_operations() -> Vec<Operation> {
    let swap = |expected| Action::CompareAndSwap { expected, value: value(), ttl_ms: 60_000 };
    numbered([
        swap(Expected::Absent),
        swap(Expected::Version(version(2))),
        swap(Expected::Value(value())),
        Action::Increment { by: Number::Integer(-7) },
        Action::Increment { by: Number::Float(0.5) },
        Action::GetAndPut { value: value(), ttl_ms: 0 },
        Action::GetAndDelete,
        Action::Expire { ttl_ms: 60_000 },
        Action::Expire { ttl_ms: 0 },
    ])
}

fn numbered(actions: impl IntoIterator<Item = Action>) -> Vec<Operation> {
    let operation = |(sequence, action)| Operation {
        id: OpId { origin: 6, sequence },
        map: 0,
        key: Bytes::from_static(b"key"),
        action,
    };
    (1..).zip(actions).map(operation).collect()
}

fn scanning(want: ScanWant, after: Option<KeyDigest>, relay: bool) -> Scanning {
    let prefix = Bytes::from_static(b"ke");
    Scanning { items: vec![(SLOT, LIST), (Slot(SLOT.0 + 1), LIST)], map: 0, prefix, after, want, relay }
}

fn taken() -> Vec<OpResult> {
    let outcome = PutOutcome { version: version(2), acks: 2, wanted: 2, set_size: 3, degraded: false };
    vec![OpResult::Written { outcome, existed: true, value: Some(value()) }]
}

fn op_results() -> Vec<OpResult> {
    let outcome = PutOutcome { version: version(2), acks: 2, wanted: 2, set_size: 3, degraded: true };
    vec![
        OpResult::Written { outcome, existed: true, value: None },
        OpResult::Read { record: Some(record()) },
        OpResult::Read { record: None },
        OpResult::Misrouted,
        OpResult::Failed(failed()),
    ]
}

fn store_results() -> Vec<StoreResult> {
    vec![
        StoreResult::Stored { counts: true },
        StoreResult::Stored { counts: false },
        StoreResult::Refused { present: version(2) },
        StoreResult::Stale { list: LIST },
        StoreResult::Failed(failed()),
    ]
}

fn fetch_results() -> Vec<FetchResult> {
    vec![
        FetchResult::Found { list: LIST, record: Some(record()), stored_as: None },
        FetchResult::Found { list: LIST, record: None, stored_as: None },
        FetchResult::NotReady { list: LIST },
        FetchResult::Stale { list: epoch(LIST) },
        FetchResult::Failed(failed()),
    ]
}

fn item(record: Record) -> StoreItem {
    StoreItem { slot: SLOT, list: LIST, record }
}

fn value() -> Value {
    Value { format: Format::Json, bytes: Bytes::from_static(b"{\"a\":1}") }
}

fn record() -> Record {
    Record {
        map: 0,
        key: Bytes::from_static(b"key"),
        value: Some(value()),
        version: version(2),
        expires_at_ms: 1_800_000_000_000,
        operations: [OpId { origin: 6, sequence: 7 }, OpId { origin: 8, sequence: 9 }].into_iter().collect(),
    }
}

fn tombstone() -> Record {
    Record { value: None, expires_at_ms: 0, operations: Default::default(), ..record() }
}

fn version(node: u64) -> Version {
    Version { hlc: 0x0193_5c7e_0000_0001, node, boot: 3 }
}

fn failed() -> Error {
    Error::new(ErrorKind::Overloaded, "queue full").unknown_outcome()
}

fn epoch(list: ListId) -> ListId {
    ListId { epoch: 6, ..list }
}

fn id(number: u16) -> Id {
    let mut bytes = [0; 32];
    bytes[30..].copy_from_slice(&number.to_be_bytes());
    Id::from_be_bytes(bytes)
}

fn pointer(index: u32) -> Pointer {
    Pointer { id: id(300), node_id: NodeId::new("a"), index }
}

/// An address at which nobody answers: the frames are also fed to a running node.
fn node(node_id: &str) -> NodeRecord {
    NodeRecord {
        node_id: NodeId::new(node_id),
        boot: 9,
        address: Address::new("127.0.0.1:1"),
        incarnation: 4,
        placed_at: 3,
        placed_in: 0,
        state: NodeState::Active,
        verdict: Verdict::Alive,
        vnodes: 3,
        choices: vec![0, 15, 255],
        zone: "eu-1".to_owned(),
        read_only: false,
    }
}

fn left(node_id: &str) -> NodeRecord {
    let (choices, zone) = (Vec::new(), String::new());
    NodeRecord { state: NodeState::Left, verdict: Verdict::Dead, vnodes: 0, choices, zone, ..node(node_id) }
}

fn params() -> RingParams {
    RingParams {
        format: RING_FORMAT,
        hash_function: HashFunction::Sha256,
        hash_bits: 160,
        slot_bits: 14,
        consistent_hashing: true,
    }
}

fn config() -> RingConfig {
    RingConfig {
        version: 1,
        replication_factor: 3,
        tombstone_grace: Duration::from_secs(86_400),
        max_key_size: 4_096,
        max_value_size: 1 << 20,
    }
}
