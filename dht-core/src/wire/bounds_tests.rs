//! Every bound, with the text of its error; and frames that must never change.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use prost::Message;

use super::*;
use crate::data::fingerprint::Fingerprint;
use crate::data::record::{Format, OpId, Record, Value, Version};
use crate::error::{Error, ErrorKind};
use crate::ring::record::{RingId, test_record};
use crate::ring::slot::Slot;
use crate::transport::{Call, Reply};
use message::{Action, CompareItem, FetchItem, FetchResult, Head, ListId, Operation, Request, Response, StoreItem};

fn refused(body: proto::Request) -> String {
    let call = proto::Call { body: Some(body), ..proto::Call::default() };
    decode_call(call.encode_to_vec().into()).unwrap_err().to_string()
}

fn reply_refused(body: proto::Response) -> String {
    let reply = proto::Reply { body: Some(body), ..proto::Reply::default() };
    decode_reply(reply.encode_to_vec().into()).unwrap_err().to_string()
}

fn bytes(len: usize) -> Bytes {
    vec![b'x'; len].into()
}

#[test]
fn node_records() {
    let change = |change: fn(&mut proto::NodeRecord)| {
        let mut record = proto::NodeRecord::from(&test_record("a"));
        // Long enough to get past the first look, whatever is taken away.
        record.zone = bytes(20);
        change(&mut record);
        refused(proto::Request::Ping(proto::Ping { boot: 0, records: vec![record] }))
    };
    assert_eq!(change(|r| r.node_id = Bytes::new()), "node_id: 0 bytes, at least 1 are needed");
    assert_eq!(change(|r| r.node_id = bytes(256)), "node_id: 256 bytes, at most 255 are allowed");
    assert_eq!(change(|r| r.node_id = Bytes::from_static(b"\xff")), "node_id: not UTF-8");
    assert_eq!(change(|r| r.boot = 0), "boot: missing");
    assert_eq!(change(|r| r.address = Bytes::new()), "address: 0 bytes, at least 1 are needed");
    assert_eq!(change(|r| r.address = bytes(264)), "address: 264 bytes, at most 263 are allowed");
    assert_eq!(change(|r| r.incarnation = 1 << 63), "incarnation = 9223372036854775808: must be below 2^63");
    assert_eq!(change(|r| r.placed_at = 1 << 63), "placed_at = 9223372036854775808: must be below 2^63");
    assert_eq!(change(|r| r.state = 0), "state = 0: must be 1 to 4");
    assert_eq!(change(|r| r.verdict = 4), "verdict = 4: must be 1 to 3");
    assert_eq!(change(|r| r.vnodes = 201), "vnodes = 201: must be at most 200");
    assert_eq!(change(|r| r.choices = bytes(201)), "choices: 201 bytes, at most 200 are allowed");
    assert_eq!(change(|r| r.zone = bytes(256)), "zone: 256 bytes, at most 255 are allowed");
}

/// The envelope of an answer: how it was made.
#[test]
fn spans() {
    let told = |spans: proto::Spans| {
        let pong = proto::Response::Probed(proto::Probed { alive: true });
        let trace = Some(spans.encode_to_vec().into());
        decode_reply(proto::Reply { trace, body: Some(pong), ..proto::Reply::default() }.encode_to_vec().into())
    };
    let span =
        || proto::Span { node_id: bytes(1), address: bytes(1), what: bytes(1), outcome: 1, ..proto::Span::default() };
    let all = |spans| proto::Spans { spans, ..proto::Spans::default() };
    let change = |change: fn(&mut proto::Span)| {
        let mut span = proto::Span { took_us: 1 << 40, ..span() };
        change(&mut span);
        told(all(vec![span])).unwrap_err().to_string()
    };
    assert_eq!(change(|s| s.depth = 65), "depth = 65: must be at most 64");
    assert_eq!(change(|s| s.node_id = Bytes::new()), "node_id: 0 bytes, at least 1 are needed");
    assert_eq!(change(|s| s.node_id = bytes(256)), "node_id: 256 bytes, at most 255 are allowed");
    assert_eq!(change(|s| s.address = bytes(264)), "address: 264 bytes, at most 263 are allowed");
    assert_eq!(change(|s| s.what = bytes(33)), "what: 33 bytes, at most 32 are allowed");
    assert_eq!(change(|s| s.outcome = 0), "outcome = 0: must be 1 to 7");
    assert_eq!(change(|s| s.outcome = 8), "outcome = 8: must be 1 to 7");
    let too_long = "a time in microseconds = 9007199254740992: must be below 2^53";
    assert_eq!(change(|s| s.begun_us = 1 << 53), too_long);
    assert_eq!(change(|s| s.took_us = 1 << 53), too_long);
    assert_eq!(change(|s| s.served_us = Some(1 << 53)), too_long);

    let smallest = told(all(vec![span(); 64])).unwrap().trace.unwrap();
    assert_eq!((smallest.all().len(), smallest.left_out), (64, 0));
    let error = told(all(vec![span(); 65])).unwrap_err();
    assert_eq!(error.to_string(), "span: 65 of them, at most 64 are allowed");
    let error = told(all(vec![proto::Span::default()])).unwrap_err();
    assert_eq!(error.to_string(), "span: 0 bytes, at least 11 are needed");
    let long = proto::Span { node_id: bytes(255), address: bytes(250), ..span() };
    let error = told(all(vec![long; 40])).unwrap_err().to_string();
    assert!(error.starts_with("spans: ") && error.ends_with("at most 16384 are allowed"), "{error}");
    let error = told(proto::Spans { served_us: 1 << 53, ..proto::Spans::default() }).unwrap_err();
    assert_eq!(error.to_string(), too_long);
    // An error that this release does not know is one that it does not support.
    let later = told(all(vec![proto::Span { outcome: 7, error: 9_999, ..span() }])).unwrap().trace.unwrap();
    assert_eq!(later.all()[0].outcome, trace::SpanOutcome::Failed(ErrorKind::Unsupported));
}

/// What a node gathers fits into what it may tell, however much it gathers; the rest is counted.
#[test]
fn gathered_spans_fit_into_an_answer() {
    let span = |len: usize| trace::Span {
        depth: 0,
        node_id: crate::ring::record::NodeId::new(&"x".repeat(len)),
        address: crate::ring::record::Address::new(&"y".repeat(len)),
        what: "apply".into(),
        attempt: u32::MAX,
        hedged: true,
        begun_us: u64::MAX,
        took_us: u64::MAX,
        served_us: Some(u64::MAX),
        outcome: trace::SpanOutcome::Failed(ErrorKind::Internal),
    };
    for (len, fit) in [(1, 64), (20, 64), (255, 28)] {
        let mut below = trace::Spans::new(0, 0);
        (0..100).for_each(|_| below.push(span(len)));
        assert_eq!((below.all().len(), below.left_out), (fit, 100 - fit as u32));
        let mut above = trace::Spans::new(0, 3);
        above.push(span(len));
        above.nest(below);
        assert_eq!((above.all().len(), above.left_out), (fit, 3 + 101 - fit as u32));
        let head = samples::response_head();
        let reply =
            Reply { trace: Some(Box::new(above.clone())), ..Reply::new(head, Response::Probed { alive: true }) };
        let read = decode_reply(encode_reply(&reply)).unwrap().trace.unwrap();
        assert_eq!((read.all().len(), read.left_out), (fit, above.left_out));
        assert!(read.all().iter().skip(1).all(|span| span.depth == 1));
    }
}

#[test]
fn ring_messages() {
    let half = proto::Call { ring_high: Some(1), ..proto::Call::default() };
    let mut half = half.encode_to_vec();
    half.extend_from_slice(&[0x82, 0x01, 0]);
    assert_eq!(decode_call(half.into()).unwrap_err().to_string(), "one half of the ring_id: missing");

    let join = |change: fn(&mut proto::RingParams)| {
        let mut params = proto::RingParams { hash_function: 6, hash_bits: 256, slot_bits: 14, ..Default::default() };
        change(&mut params);
        let record = Some((&test_record("a")).into());
        refused(proto::Request::Join(proto::Join { record, params: Some(params), wall_ms: 1 << 48, client: false }))
    };
    assert_eq!(join(|p| p.hash_function = 8), "hash_function = 8: must be 1 to 7");
    assert_eq!(join(|p| p.hash_bits = 0), "hash_bits = 0: must be 1 to 256");
    assert_eq!(join(|p| p.hash_bits = 65_792), "hash_bits = 65792: must be 1 to 256");
    assert_eq!(join(|p| p.slot_bits = 32), "slot_bits = 32: must be at most 31");
    assert_eq!(join(|_| ()), "wall_ms = 281474976710656: must be below 2^48");
    assert_eq!(refused(proto::Request::Join(proto::Join::default())), "record of the joining node: missing");
    assert_eq!(refused(proto::Request::Merge(proto::Merge::default())), "ring_id: missing");

    let lookup = proto::Lookup { target: bytes(33), past: 0, claimed: false };
    assert_eq!(refused(proto::Request::Lookup(lookup)), "target: 33 bytes, at most 32 are allowed");
    let stabilize =
        |len| refused(proto::Request::Stabilize(proto::Stabilize { positions: bytes(len), known: Bytes::new() }));
    assert_eq!(stabilize(33), "positions: 33 bytes or elements, must be a multiple of 32");
    assert_eq!(stabilize(257 * 32), "positions: 257 of them, at most 256 are allowed");
    let describe = |topic, len| refused(proto::Request::Describe(proto::Describe { topic, key: bytes(len) }));
    assert_eq!(describe(6, 0), "topic = 6: must be 1 to 5");
    assert_eq!(describe(1, 65_537), "key: 65537 bytes, at most 65536 are allowed");

    let welcome = |change: fn(&mut proto::RingConfig)| {
        let mut config = proto::RingConfig {
            version: 1,
            replication_factor: 3,
            tombstone_grace_ms: 1,
            max_key_size: 1,
            max_value_size: 1,
        };
        change(&mut config);
        let (ring_high, ring_low, records) = (Some(1), Some(1), Vec::new());
        reply_refused(proto::Response::Welcome(proto::Welcome {
            ring_high,
            ring_low,
            config: Some(config),
            records,
            wall_ms: u64::MAX,
            reunites: false,
            forgotten: false,
            given_up_ms: 0,
        }))
    };
    assert_eq!(welcome(|c| c.replication_factor = 65), "replication_factor = 65: must be 1 to 64");
    assert_eq!(welcome(|c| c.replication_factor = 0), "replication_factor = 0: must be 1 to 64");
    assert_eq!(
        welcome(|c| c.tombstone_grace_ms = 2_592_000_001),
        "tombstone_grace_ms = 2592000001: must be at most 30 days"
    );
    assert_eq!(welcome(|c| c.max_key_size = 65_537), "max_key_size = 65537: must be 1 byte to 64 KiB");
    assert_eq!(welcome(|c| c.max_value_size = 0), "max_value_size = 0: must be 1 byte to 1 GiB");
    assert_eq!(welcome(|_| ()), "wall_ms = 18446744073709551615: must be below 2^48");
}

#[test]
fn sums_and_what_is_known_of_positions() {
    let sync = |len: usize| {
        let sums = Bytes::from(vec![0; len * 8]);
        refused(proto::Request::Sync(proto::Sync { sums, ..Default::default() }))
    };
    assert_eq!(sync(0), "number of sums = 0: must be a power of two");
    assert_eq!(sync(3), "number of sums = 3: must be a power of two");
    assert_eq!(sync(2048), "parts: 2048 of them, at most 1024 are allowed".replace("parts", "sums"));
    let stabilize = proto::Stabilize { positions: Bytes::from(vec![0; 64]), known: Bytes::from(vec![0; 8]) };
    let text = refused(proto::Request::Stabilize(stabilize));
    assert_eq!(text, "known neighbours: 1 bytes or elements, must be 2");
    let compare = proto::CompareSums { part_len: (1 << 31) + 1, ..Default::default() };
    assert_eq!(refused(proto::Request::CompareSums(compare)), "part_len = 2147483649: must be at most 2^31");
    let answer = proto::SealKeyAnswer { id: 1, key: vec![0; 31].into() };
    assert_eq!(reply_refused(proto::Response::SealKey(answer)), "bytes of a key = 31: must be 32, or none");
    let collect = proto::Collect { slot: 1 << 16, ..proto::Collect::default() };
    assert_eq!(refused(proto::Request::Collect(collect)), "slot = 65536: must be at most 65535");
}

#[test]
fn neighbours_are_dealt_out_exactly() {
    let pointer = |index| proto::Pointer { id: Bytes::new(), node_id: Bytes::from_static(b"a"), index };
    let neighbours = |pointers: usize, predecessors: &'static [u8], counts: &[u32]| {
        let successor_counts = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        reply_refused(proto::Response::Neighbours(proto::Neighbours {
            pointers: (0..pointers).map(|_| pointer(0)).collect(),
            predecessors: Bytes::from_static(predecessors),
            successor_counts,
            records: Vec::new(),
        }))
    };
    let uneven = |len| format!("pointers: {len} bytes or elements, must be what the counts say");
    assert_eq!(neighbours(3, &[1], &[1]), uneven(3));
    assert_eq!(neighbours(1, &[1], &[1]), uneven(1));
    assert_eq!(neighbours(0, &[1], &[0]), uneven(0));
    assert_eq!(neighbours(1, &[0], &[u32::MAX]), uneven(1));
    let flag = |value| format!("predecessor flag = {value}: must be 0 or 1, or 2 without successors");
    assert_eq!(neighbours(1, &[3], &[0]), flag(3));
    assert_eq!(neighbours(1, &[2], &[1]), flag(2));
    assert_eq!(neighbours(1, &[2], &[0]), uneven(1), "what is as it is known has no pointers");
    assert_eq!(neighbours(1, &[1, 1], &[0]), "successor counts: 1 bytes or elements, must be 2");
    let route = proto::Route { pointers: vec![pointer(201)], ..proto::Route::default() };
    assert_eq!(reply_refused(proto::Response::Route(route)), "position index = 201: must be at most 200");
}

#[test]
fn records_and_operations() {
    let store = |change: fn(&mut proto::StoreItem, &mut proto::Record)| {
        let mut record = proto::Record { version: Some(proto::Version::default()), ..Default::default() };
        let mut item = proto::StoreItem { slot: 1, list: Some(proto::ListId::default()), record: None };
        change(&mut item, &mut record);
        item.record = Some(record);
        refused(proto::Request::Store(proto::Store { items: vec![item], repair: false }))
    };
    assert_eq!(store(|i, _| i.slot = 1 << 31), "slot = 2147483648: must be below 2^31");
    assert_eq!(store(|i, _| i.list = None), "list: missing");
    assert_eq!(
        store(|i, _| i.list = Some(proto::ListId { counter: u64::MAX, ..Default::default() })),
        "list counter = 18446744073709551615: must be below 2^63"
    );
    assert_eq!(store(|_, r| r.key = bytes(65_537)), "key: 65537 bytes, at most 65536 are allowed");
    assert_eq!(store(|_, r| r.format = 3), "format = 3: must be 0 to 2");
    assert_eq!(store(|_, r| r.value = bytes(1)), "value of format 0 (none): 1 bytes, at most 0 are allowed");
    assert_eq!(store(|_, r| r.version = None), "version: missing");
    assert_eq!(store(|_, r| r.expires_at_ms = 1 << 49), "expires_at_ms = 562949953421312: must be below 2^49 - 1");
    assert_eq!(
        store(|_, r| r.operations = bytes(17)),
        "operations of a record: 17 bytes or elements, must be a multiple of 16"
    );
    assert_eq!(store(|_, r| r.operations = bytes(80)), "operations of a record: 5 of them, at most 4 are allowed");

    let apply = |level, operation: proto::Operation| {
        refused(proto::Request::Apply(proto::Apply { operations: vec![operation], level, relay: false, rings: 0 }))
    };
    let operation = |action| proto::Operation { action, ..Default::default() };
    assert_eq!(apply(0, operation(1)), "level = 0: must be 1 to 3");
    assert_eq!(apply(1, operation(9)), "action = 9: must be 1 to 8");
    for put in [2, 6] {
        assert_eq!(apply(1, operation(put)), "value of a put: missing");
    }
    let long = proto::Operation { ttl_ms: 1 << 48, format: 1, ..operation(2) };
    assert_eq!(apply(1, long), "ttl_ms = 281474976710656: must be below 2^48");
    let swap = |expected| proto::Operation { format: 1, expected, ..operation(4) };
    assert_eq!(apply(1, swap(0)), "expected = 0: must be 1 to 3");
    assert_eq!(apply(1, swap(2)), "expected version: missing");
    assert_eq!(apply(1, swap(3)), "expected value: missing");
    assert_eq!(apply(1, proto::Operation { expected: 1, ..operation(4) }), "value of a put: missing");
    assert_eq!(apply(1, operation(5)), "one finite number to add: missing");
    let both = proto::Operation { by_integer: Some(1), by_float: Some(1.0), ..operation(5) };
    assert_eq!(apply(1, both), "one finite number to add: missing");
    let infinite = proto::Operation { by_float: Some(f64::INFINITY), ..operation(5) };
    assert_eq!(apply(1, infinite), "one finite number to add: missing");
}

#[test]
fn results_and_arrays() {
    let empty = proto::Stored { results: vec![proto::StoreResult { outcome: None }] };
    assert_eq!(reply_refused(proto::Response::Stored(empty)), "result of a store: missing");
    let empty = proto::Fetched { results: vec![proto::FetchResult { outcome: None }] };
    assert_eq!(reply_refused(proto::Response::Fetched(empty)), "result of a fetch: missing");
    let empty = proto::Applied { results: vec![proto::OpResult { outcome: None }], records: Vec::new() };
    assert_eq!(reply_refused(proto::Response::Applied(empty)), "result of an operation: missing");

    let failure = |code, len| {
        reply_refused(proto::Response::Failure(proto::Error {
            code,
            context: bytes(len),
            maybe_applied: false,
            out_of_time: false,
        }))
    };
    assert_eq!(failure(7, 1_025), "error text: 1025 bytes, at most 1024 are allowed");
    assert_eq!(failure(0, 0), "error code: missing");

    let compare = |slots: usize, lists: usize, fingerprints: usize| {
        let packed =
            Some(proto::Lists { counters: vec![0; lists * 8].into(), members: bytes(lists * 8), ..Default::default() });
        let (slots, fingerprints) = (vec![0; slots * 4].into(), bytes(fingerprints * 16));
        refused(proto::Request::Compare(proto::Compare {
            slots,
            lists: packed,
            fingerprints,
            catching_up: false,
            more: Bytes::new(),
            durable: false,
        }))
    };
    assert_eq!(compare(2, 1, 2), "list counters: 1 bytes or elements, must be 2");
    assert_eq!(compare(2, 2, 3), "fingerprints: 3 bytes or elements, must be 2");
    let bare = proto::Compare { slots: vec![0; 4].into(), ..Default::default() };
    assert_eq!(refused(proto::Request::Compare(bare)), "lists: missing");
    let standing = |evicted_before_s| proto::Compared {
        standings: Bytes::from_static(&[5]),
        lists: Some(proto::Lists { counters: vec![0; 8].into(), members: bytes(8), epochs: Bytes::new() }),
        fingerprints: bytes(16),
        evicted_before_s,
        more: Bytes::new(),
    };
    let text = reply_refused(proto::Response::Compared(standing(bytes(8))));
    assert_eq!(text, "evicted_before_s: 2 bytes or elements, must be 1");
    for evicted_before_s in [Bytes::new(), bytes(4)] {
        let text = reply_refused(proto::Response::Compared(standing(evicted_before_s)));
        assert_eq!(text, "standing = 5: must be 1 to 4");
    }
    let versions =
        proto::VersionsPart { digests: bytes(16), hlcs: bytes(8), nodes: bytes(16), boots: bytes(8), listed: None };
    let text = reply_refused(proto::Response::Versions(versions));
    assert_eq!(text, "version nodes: 2 bytes or elements, must be 1");
    let listed = proto::VersionsPart { listed: Some(bytes(513 * 4)), ..proto::VersionsPart::default() };
    let text = reply_refused(proto::Response::Versions(listed));
    assert_eq!(text, "parts listed: 513 of them, at most 512 are allowed");
    let text = refused(proto::Request::Versions(proto::Versions { slot: 0, parts: bytes(513 * 8) }));
    assert_eq!(text, "sums of parts: 513 of them, at most 512 are allowed");
    let pull = proto::PullItem { slot: 0, digests: bytes((65_536 + 1) * 16) };
    let text = refused(proto::Request::Pull(proto::Pull { items: vec![pull], urgent: false }));
    assert_eq!(text, "key digests: 65537 of them, at most 65536 are allowed");
}

#[test]
fn the_smallest_digest_of_a_node_passes() {
    let digest = message::NodeDigest { node: 0, boot: 1, incarnation: 0, verdict: crate::ring::record::Verdict::Dead };
    let head = Head { ring_id: None, sender: 0, deadline_ms: 0, trace_id: 0, attempt: 0, view: 0, clock: 0 };
    let synced = |digests| Response::Synced { differing: Vec::new(), digests, lists: Vec::new() };
    let reply = decode_reply(encode_reply(&Reply::new(head, synced(vec![digest])))).unwrap();
    assert!(matches!(&reply.body, Response::Synced { digests, .. } if *digests == [digest]), "{reply:?}");
}

#[test]
fn an_error_of_a_newer_release_keeps_its_outcome() {
    let error =
        proto::Error { code: 99, context: Bytes::from_static(b"too new"), maybe_applied: true, out_of_time: true };
    let reply = proto::Reply { body: Some(proto::Response::Failure(error)), ..Default::default() };
    let Response::Failure(error) = decode_reply(reply.encode_to_vec().into()).unwrap().body else { panic!("kind") };
    assert_eq!((error.kind(), error.context()), (ErrorKind::Unsupported, "error 99: too new"));
    assert!(error.maybe_applied() && error.was_out_of_time());
}

/// A few messages whose bytes are the contract with other releases and implementations.
fn golden() -> Vec<(&'static str, Bytes)> {
    let head = Head {
        ring_id: Some(RingId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)),
        sender: 0x1111,
        deadline_ms: 1_500,
        trace_id: 0x2222,
        attempt: 1,
        view: 0x3333,
        clock: 0,
    };
    let answer = Head { deadline_ms: 0, attempt: 0, ..head };
    let list = ListId { counter: 5, members: 0x4444, epoch: 0 };
    let record = Record {
        map: 0,
        key: Bytes::from_static(b"key"),
        value: Some(Value { format: Format::Json, bytes: Bytes::from_static(b"{\"a\":1}") }),
        version: Version { hlc: 0x0193_5c7e_0000_0001, node: 2, boot: 3 },
        expires_at_ms: 1_800_000_000_000,
        operations: [OpId { origin: 6, sequence: 7 }].into_iter().collect(),
    };
    let tombstone = Record { value: None, expires_at_ms: 0, operations: Default::default(), ..record.clone() };
    let call = |body| encode_call_framed(&Call { head, body }, FrameKind::Request, 42, 1 << 20).unwrap();
    let reply = |body| encode_reply_framed(&Reply::new(answer, body), FrameKind::Response, 42, 1 << 20).unwrap();
    let put = Operation {
        id: OpId { origin: 6, sequence: 7 },
        map: 0,
        key: record.key.clone(),
        action: Action::Put { value: record.value.clone().unwrap(), ttl_ms: 60_000 },
    };
    let item = |n: u32| CompareItem { slot: Slot(n), list, fingerprint: Fingerprint(u128::from(n)) };
    vec![
        ("ping", call(Request::Ping { boot: 9, records: vec![test_record("a")] })),
        (
            "apply",
            call(Request::Apply { operations: vec![put], level: crate::Consistency::Quorum, relay: true, rings: 0 }),
        ),
        (
            "store",
            call(Request::Store { items: vec![StoreItem { slot: Slot(7), list, record: tombstone }], repair: false }),
        ),
        (
            "fetch",
            call(Request::Fetch {
                items: vec![FetchItem { slot: Slot(7), list, map: 0, key: record.key.clone(), operation: None }],
            }),
        ),
        ("compare", call(Request::Compare { items: vec![item(1), item(300)], catching_up: false, durable: false })),
        (
            "fetched",
            reply(Response::Fetched {
                results: vec![FetchResult::Found { list, record: Some(record), stored_as: None }],
            }),
        ),
        ("failure", reply(Response::Failure(Error::new(ErrorKind::Overloaded, "queue full").unknown_outcome()))),
    ]
}

#[test]
fn golden_frames_do_not_change() {
    let hex = |bytes: &Bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let made: Vec<String> = golden().iter().map(|(name, frame)| format!("{name} {}", hex(frame))).collect();
    let kept: Vec<&str> = include_str!("golden.txt").lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(made, kept, "a changed frame needs a new protocol version");
}

#[test]
fn every_kind_is_drawn_and_has_a_name_of_its_own() {
    let mut runner = TestRunner::deterministic();
    let (mut requests, mut responses) = (BTreeMap::new(), BTreeMap::new());
    for _ in 0..2_000 {
        let request = strategies::call().new_tree(&mut runner).unwrap().current().body;
        let response = strategies::reply().new_tree(&mut runner).unwrap().current().body;
        requests.insert(request.kind(), std::mem::discriminant(&request));
        responses.insert(response.kind(), std::mem::discriminant(&response));
    }
    assert_eq!((requests.len(), responses.len()), (Request::KINDS.len(), Response::KINDS.len()));
    for tag in requests.keys().chain(responses.keys()) {
        assert!(include_str!("../../../docs/wire.md").contains(&format!("`{tag}`")), "{tag} is not in docs/wire.md");
    }
}
