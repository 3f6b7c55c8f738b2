use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;
use crate::ring::slot::Slot;
use crate::wire::limits::{DEADLINE_MS_MAX, ITEMS_MAX, POINTERS_MAX, RECORDS_MAX, SLOTS_MAX, VALUE_LEN_MAX};
use crate::wire::message::{CompareItem, CompareResult, ListId, Request, Response, Standing};
use crate::wire::strategies;

const LEN_MAX: usize = 32 << 20;

/// Decodes as both; the only demand is that it returns.
fn survive(bytes: &[u8]) {
    let _ = decode_call(Bytes::copy_from_slice(bytes));
    let _ = decode_reply(Bytes::copy_from_slice(bytes));
}

fn empty_head() -> Head {
    Head { ring_id: None, sender: 0, deadline_ms: 0, trace_id: 0, attempt: 0, view: 0, clock: 0 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn calls_round_trip(call in strategies::call()) {
        let bytes = encode_call(&call);
        let decoded = decode_call(bytes.clone());
        prop_assert_eq!(decoded.as_ref(), Ok(&call));
        let frame = encode_call_framed(&call, FrameKind::Request, 9, LEN_MAX).unwrap();
        let (header, payload) = frame.split_first_chunk::<HEADER_LEN>().unwrap();
        let header = Header::decode(header, LEN_MAX).unwrap();
        prop_assert_eq!((header.kind, header.request_id), (FrameKind::Request, 9));
        prop_assert_eq!(header.payload_len as usize, payload.len());
        prop_assert_eq!(header.check_payload(payload), Ok(()));
        prop_assert_eq!(payload, &bytes[..]);
    }

    #[test]
    fn replies_round_trip(reply in strategies::reply()) {
        let bytes = encode_reply(&reply);
        let decoded = decode_reply(bytes.clone()).unwrap();
        // Errors have no equality; their debug form has kind, text and outcome.
        prop_assert_eq!(format!("{decoded:?}"), format!("{reply:?}"));
        let frame = encode_reply_framed(&reply, FrameKind::Response, 9, LEN_MAX).unwrap();
        prop_assert_eq!(&frame[HEADER_LEN..], &bytes[..]);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survive(&bytes);
    }

    #[test]
    fn damage_is_survived(call in strategies::call(), reply in strategies::reply(), at: usize, byte: u8) {
        for message in [encode_call(&call), encode_reply(&reply)] {
            for end in 0..message.len() {
                survive(&message[..end]);
            }
            let mut damaged = message.to_vec();
            let at = at % damaged.len();
            damaged[at] = byte;
            survive(&damaged);
        }
    }

    #[test]
    fn unknown_fields_are_skipped(call in strategies::call(), number in 10_u32..16, wire in 0_u8..3) {
        let mut bytes = encode_call(&call).to_vec();
        bytes.push((number << 3) as u8 | wire);
        bytes.extend_from_slice(match wire { 0 => &[0x85, 1][..], 1 => &[1; 8], _ => &[3, 7, 7, 7] });
        let decoded = decode_call(bytes.into());
        prop_assert_eq!(decoded.as_ref(), Ok(&call));
    }
}

#[test]
fn every_bit_flip_of_a_full_message_is_survived() {
    let item = |n: u32| CompareItem {
        slot: crate::ring::slot::Slot(n),
        list: ListId { counter: u64::from(n), members: 7, epoch: 0 },
        fingerprint: crate::data::fingerprint::Fingerprint(u128::from(n)),
    };
    let call = Call {
        head: empty_head(),
        body: Request::Compare { items: (0..20).map(item).collect(), catching_up: false, durable: false },
    };
    let bytes = encode_call(&call);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        survive(&damaged);
    }
}

#[test]
fn values_are_slices_of_the_frame() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let call = loop {
        let call = strategies::call().new_tree(&mut runner).unwrap().current();
        if matches!(&call.body, Request::Store { items, .. } if items.iter().any(|i| i.record.payload_len() > 0)) {
            break call;
        }
    };
    let bytes = encode_call(&call);
    let frame = bytes.as_ptr_range();
    let Request::Store { items, .. } = decode_call(bytes.clone()).unwrap().body else { panic!("another kind") };
    for item in items {
        let value = item.record.value.iter().map(|value| &value.bytes);
        for part in value.chain([&item.record.key]).filter(|part| !part.is_empty()) {
            assert!(frame.contains(&part.as_ptr()), "copied");
        }
    }
}

#[test]
fn nobody_waits_for_weeks() {
    let told = |deadline_ms| {
        let head = Head { deadline_ms, ..empty_head() };
        decode_call(encode_call(&Call { head, body: Request::Versions { slot: Slot(0), parts: Vec::new() } }))
            .unwrap()
            .head
            .deadline_ms
    };
    assert_eq!(told(DEADLINE_MS_MAX), DEADLINE_MS_MAX);
    assert_eq!(told(DEADLINE_MS_MAX + 1), DEADLINE_MS_MAX);
    assert_eq!(told(u32::MAX), DEADLINE_MS_MAX);
    // What the configuration allows for its longest value (see `Config::deadline`) is within it.
    assert!(u64::from(DEADLINE_MS_MAX) >= (3_600 + (VALUE_LEN_MAX as u64 >> 20)) * 1_000);
}

#[test]
fn an_unknown_kind_gives_its_envelope() {
    let head = Head { sender: 7, deadline_ms: 300, ..empty_head() };
    let call = Call { head, body: Request::Versions { slot: crate::ring::slot::Slot(0), parts: Vec::new() } };
    let mut bytes = encode_call(&call).to_vec();
    // The body is the last field: two bytes of key (29 << 3 | 2) and a length of zero.
    let at = bytes.len() - 3;
    assert_eq!(bytes[at..], [0xea, 0x01, 0x00]);
    // 1000 << 3 | 2
    bytes[at..at + 2].copy_from_slice(&[0xc2, 0x3e]);
    let unknown = WireError::UnknownKind { tag: 1000, head };
    assert_eq!(decode_call(bytes.clone().into()), Err(unknown.clone()));
    assert_eq!(unknown.to_string(), "unknown kind 1000");
    assert!(matches!(decode_reply(bytes.into()), Err(WireError::UnknownKind { tag: 1000, .. })));
}

#[test]
fn one_body_and_no_more() {
    let text = |bytes: &'static [u8]| decode_call(Bytes::from_static(bytes)).unwrap_err().to_string();
    assert_eq!(text(&[]), "body: missing");
    assert_eq!(text(&[0x82, 0x01, 0, 0xea, 0x01, 0]), "bodies 16 and 29 in one message, must be one");
    assert_eq!(text(&[0x82, 0x01, 0, 0x82, 0x01, 0]), "bodies 16 and 16 in one message, must be one");
    assert_eq!(text(&[0x83, 0x01]), "malformed: a wire type other than 0, 1, 2, 5");
    assert_eq!(text(&[0x82, 0x01, 5, 1]), "malformed: a field runs past the end");
}

/// A body of `count` elements of no bytes in field `field`: two bytes each.
fn empty_elements(tag: u8, field: u8, count: usize) -> Bytes {
    let mut body = BytesMut::new();
    for _ in 0..count {
        body.extend_from_slice(&[field << 3 | 2, 0]);
    }
    let mut message = BytesMut::new();
    let key = u32::from(tag) << 3 | 2;
    message.extend_from_slice(&[(key & 0x7f) as u8 | 0x80, (key >> 7) as u8]);
    prost::encode_length_delimiter(body.len(), &mut message).unwrap();
    message.extend_from_slice(&body);
    message.freeze()
}

#[test]
fn few_bytes_do_not_become_much_memory() {
    // What an element costs once decoded, in both shapes at once; what it refers to is in the frame or was paid for
    // by its own bytes.
    let item = size_of::<proto::FetchResult>() + size_of::<crate::wire::message::FetchResult>();
    let node = size_of::<proto::NodeRecord>() + size_of::<crate::ring::record::NodeRecord>();
    let pointer = size_of::<proto::Pointer>() + size_of::<crate::wire::message::Pointer>();
    assert!(item * ITEMS_MAX <= 512 << 10, "{item} bytes for each of {ITEMS_MAX}");
    assert!(pointer * POINTERS_MAX <= 640 << 10, "{pointer} bytes for each of {POINTERS_MAX}");
    assert!(node <= 32 * crate::wire::limits::RECORD_LEN_MIN, "{node} bytes from 12");

    // Every repeated field of every kind is counted: eight million empty elements are refused, unallocated.
    let requests = [(16, 2), (21, 3), (33, 1), (23, 1), (25, 1), (26, 1), (27, 1), (30, 1)];
    for (tag, field) in requests {
        let error = decode_call(empty_elements(tag, field, 8 << 20)).unwrap_err();
        assert!(matches!(error, WireError::TooMany { .. } | WireError::TooShort { .. }), "{tag}: {error}");
    }
    let responses = [(16, 2), (18, 1), (33, 1), (19, 4), (22, 1), (22, 4), (24, 2), (24, 3), (25, 1), (25, 2)];
    for (tag, field) in responses.into_iter().chain([(26, 1), (27, 1), (30, 1)]) {
        let error = decode_reply(empty_elements(tag, field, 8 << 20)).unwrap_err();
        assert!(matches!(error, WireError::TooMany { .. } | WireError::TooShort { .. }), "{tag}: {error}");
    }
    let text = decode_call(empty_elements(26, 1, ITEMS_MAX + 1)).unwrap_err().to_string();
    assert_eq!(text, "item: 1025 of them, at most 1024 are allowed");
    let text = decode_call(empty_elements(16, 2, RECORDS_MAX + 1)).unwrap_err().to_string();
    assert_eq!(text, "node record: 0 bytes, at least 12 are needed");
}

#[test]
fn a_full_comparison_passes_and_one_more_slot_does_not() {
    let items = |count: usize| {
        let item = CompareItem {
            slot: crate::ring::slot::Slot(3),
            list: ListId { counter: 1, members: u64::MAX, epoch: 0 },
            fingerprint: crate::data::fingerprint::Fingerprint(u128::MAX),
        };
        Call {
            head: empty_head(),
            body: Request::Compare { items: vec![item; count], catching_up: false, durable: false },
        }
    };
    let full = encode_call(&items(SLOTS_MAX));
    assert!(full.len() < 36 * SLOTS_MAX + 64, "{} bytes", full.len());
    assert!(decode_call(full).is_ok());
    let text = decode_call(encode_call(&items(SLOTS_MAX + 1))).unwrap_err().to_string();
    assert_eq!(text, "slots: 4097 of them, at most 4096 are allowed");
}

#[test]
fn slots_that_are_alike_are_compared_in_few_bytes() {
    let list = |n: u64| ListId { counter: 1, members: n, epoch: 0 };
    let item = |n: u32| CompareItem {
        slot: crate::ring::slot::Slot(n),
        // Two lists, and one slot of the second holds something.
        list: list(u64::from(n >= 300)),
        fingerprint: crate::data::fingerprint::Fingerprint(u128::from(n == 400)),
    };
    let call = |last: u32| {
        let items = (1..=last).filter(|n| *n != 200).map(item).collect();
        Call { head: empty_head(), body: Request::Compare { items, catching_up: true, durable: false } }
    };
    let bytes = encode_call(&call(600));
    assert!(bytes.len() < 5 * 38 + 64, "five runs take {} bytes", bytes.len());
    assert_eq!(decode_call(bytes), Ok(call(600)));
    let text = decode_call(encode_call(&call(5_000))).unwrap_err().to_string();
    assert_eq!(text, "slots: 4999 of them, at most 4096 are allowed");

    let result = |n: u32| CompareResult {
        list: list(u64::from(n >= 300)),
        standing: Standing::CaughtUp,
        fingerprint: crate::data::fingerprint::Fingerprint(u128::from(n == 400)),
        evicted_before_s: 0,
    };
    let results: Vec<CompareResult> = (1..=600).map(result).collect();
    let bytes = encode_reply(&Reply::new(empty_head(), Response::Compared { results: results.clone() }));
    assert!(bytes.len() < 4 * 35 + 64, "four runs take {} bytes", bytes.len());
    let Response::Compared { results: decoded } = decode_reply(bytes).unwrap().body else { panic!("another kind") };
    assert_eq!(decoded, results);
}

#[test]
fn a_long_error_text_is_cut_at_a_character() {
    let context = format!("{}{}", "x".repeat(1_023), "é".repeat(10));
    let error = crate::error::Error::new(crate::error::ErrorKind::Timeout, context).unknown_outcome();
    let reply = Reply::new(empty_head(), Response::Failure(error));
    let Response::Failure(error) = decode_reply(encode_reply(&reply)).unwrap().body else { panic!("another kind") };
    assert_eq!(error.context(), "x".repeat(1_023));
    assert_eq!((error.code(), error.maybe_applied()), (7, true));
}

#[test]
fn a_message_over_the_bound_is_not_framed() {
    let reply = Reply::new(empty_head(), Response::Described { json: "x".repeat(100) });
    let len = encode_reply(&reply).len();
    assert!(encode_reply_framed(&reply, FrameKind::Response, 1, len).is_ok());
    let error = encode_reply_framed(&reply, FrameKind::Response, 1, len - 1).unwrap_err();
    assert_eq!(error, WireError::TooLong { what: "frame payload", len, max: len - 1 });
}

/// Prints what one reply of 100 bytes costs; `cargo test --release -- --ignored --nocapture cost`.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
fn cost_of_a_small_fetch_reply() {
    use crate::data::record::{Format, OpId, Record, Value, Version};
    let record = Record {
        map: 0,
        key: Bytes::from_static(b"user:1234567"),
        value: Some(Value { format: Format::Bytes, bytes: Bytes::from(vec![7; 100]) }),
        version: Version { hlc: 1 << 60, node: 2 << 60, boot: 3 << 60 },
        expires_at_ms: 0,
        operations: [OpId { origin: 1 << 50, sequence: 77 }].into_iter().collect(),
    };
    let list = ListId { counter: 5, members: 1 << 60, epoch: 0 };
    let results = vec![crate::wire::message::FetchResult::Found { list, record: Some(record), stored_as: None }];
    let reply = Reply::new(Head { sender: 1 << 60, view: 1 << 61, ..empty_head() }, Response::Fetched { results });
    let rounds = 1_000_000;
    let started = std::time::Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(encode_reply_framed(std::hint::black_box(&reply), FrameKind::Response, 1, LEN_MAX))
            .unwrap();
    }
    let encode = started.elapsed() / rounds;
    let bytes = encode_reply(&reply);
    let started = std::time::Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(decode_reply(std::hint::black_box(bytes.clone()))).unwrap();
    }
    println!("{} bytes: encode {encode:?}, decode {:?}", bytes.len(), started.elapsed() / rounds);
}
