//! Every message, at random, inside the bounds: for tests.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use smallvec::SmallVec;

use super::limits::{COUNTER_MAX, DEADLINE_MS_MAX, DEPTH_MAX, EXPIRY_MS_MAX, TIMING_US_MAX, WALL_MS_MAX};
use super::message::{
    Action, CompareItem, CompareResult, FetchItem, FetchResult, Head, ListId, Neighbours, NodeDigest, OpResult,
    Operation, Pointer, PullItem, PutOutcome, Request, Response, ScanFrom, ScanWant, Scanning, SealingKey, Standing,
    StoreItem, StoreResult, Topic,
};
use super::trace::{Span, SpanOutcome, Spans, kind_named};
use crate::config::{Consistency, HashFunction};
use crate::data::fingerprint::Fingerprint;
use crate::data::number::Number;
use crate::data::record::{Expected, Format, KeyDigest, OPERATIONS_MAX, OpId, Record, Value, Version};
use crate::error::{Error, ErrorKind};
use crate::ring::id::Id;
use crate::ring::params::{RingConfig, RingParams};
use crate::ring::record::{Address, NodeId, NodeRecord, NodeState, RingId, Verdict};
use crate::ring::slot::Slot;
use crate::transport::{Call, Reply};

pub(super) fn call() -> impl Strategy<Value = Call> {
    (head(), request()).prop_map(|(head, body)| Call { head, body })
}

pub(super) fn reply() -> impl Strategy<Value = Reply> {
    (head(), option::of(spans()), response()).prop_map(|(head, trace, body)| Reply {
        head,
        trace: trace.map(Box::new),
        body,
    })
}

fn spans() -> impl Strategy<Value = Spans> {
    (0..=TIMING_US_MAX, any::<u32>(), vec(span(), 0..4)).prop_map(|(served_us, left_out, all)| {
        let mut spans = Spans::new(served_us, left_out);
        all.into_iter().for_each(|span| spans.push(span));
        spans
    })
}

fn span() -> impl Strategy<Value = Span> {
    let who = (record_of_node(), prop_oneof![Just("apply"), Just("of a later release")]);
    let numbers = (0..=DEPTH_MAX, any::<u32>(), any::<bool>());
    let times = (0..=TIMING_US_MAX, 0..=TIMING_US_MAX, option::of(0..=TIMING_US_MAX));
    let outcome = prop_oneof![
        Just(SpanOutcome::Done),
        Just(SpanOutcome::Pending),
        Just(SpanOutcome::Misrouted),
        Just(SpanOutcome::Stale),
        Just(SpanOutcome::NotReady),
        Just(SpanOutcome::Refused),
        prop::sample::select(ErrorKind::ALL).prop_map(SpanOutcome::Failed),
    ];
    (who, numbers, times, outcome).prop_map(
        |((node, what), (depth, attempt, hedged), (begun_us, took_us, served_us), outcome)| Span {
            depth,
            node_id: node.node_id,
            address: node.address,
            what: kind_named(what),
            attempt,
            hedged,
            begun_us,
            took_us,
            served_us,
            outcome,
        },
    )
}

fn head() -> impl Strategy<Value = Head> {
    let numbers = (any::<u64>(), 0..=DEADLINE_MS_MAX, any::<u64>(), any::<u32>(), any::<u64>(), any::<u64>());
    (option::of(ring_id()), numbers).prop_map(|(ring_id, (sender, deadline_ms, trace_id, attempt, view, clock))| Head {
        ring_id,
        sender,
        deadline_ms,
        trace_id,
        attempt,
        view,
        clock,
    })
}

/// All variants, with equal chance.
fn request() -> BoxedStrategy<Request> {
    let sums = (0_u32..4).prop_flat_map(|bits| vec(any::<u64>(), 1_usize << bits));
    let sync = (sums, any::<bool>(), vec((slot(), list()), 0..4));
    let exchange = (nodes(), vec(any::<u64>(), 0..4), vec((slot(), list()), 0..4));
    let join = (record_of_node(), params(), 0..=WALL_MS_MAX, any::<bool>());
    let compare =
        (slot(), list(), fingerprint()).prop_map(|(slot, list, fingerprint)| CompareItem { slot, list, fingerprint });
    let levels = Consistency::ALL;
    let topics = vec![Topic::Node, Topic::Ring, Topic::Statistics, Topic::Health, Topic::Locate];
    prop_oneof![
        (any::<u64>(), nodes()).prop_map(|(boot, records)| Request::Ping { boot, records }),
        (address(), any::<u64>()).prop_map(|(address, boot)| Request::PingFor { address, boot }),
        sync.prop_map(|(sums, gone, lists)| Request::Sync { sums, gone, lists }),
        exchange.prop_map(|(records, wanted, lists)| Request::Exchange { records, wanted, lists }),
        join.prop_map(|(record, params, wall_ms, client)| Request::Join { record, params, wall_ms, client }),
        (node_id(), 1..=u64::MAX, any::<bool>(), any::<bool>())
            .prop_map(|(node_id, boot, release, wait)| { Request::Admit { node_id, boot, release, wait } }),
        (ring_id(), nodes()).prop_map(|(ring_id, records)| Request::Merge { ring_id, records }),
        nodes().prop_map(|records| Request::LastLife { records }),
        (vec((id(), any::<u64>()), 0..4), any::<bool>()).prop_map(|(asked, knows)| {
            let (positions, known): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
            Request::Stabilize { positions, known: if knows { known } else { Vec::new() } }
        }),
        vec((pointer(), id()), 0..4).prop_map(|pointers| Request::Notify { pointers }),
        (id(), any::<u32>(), any::<bool>()).prop_map(|(target, past, claimed)| Request::Lookup {
            target,
            past,
            claimed
        }),
        (vec(operation(), 0..4), prop::sample::select(levels), any::<bool>(), any::<u64>())
            .prop_map(|(operations, level, relay, rings)| Request::Apply { operations, level, relay, rings }),
        (vec(store_item(), 0..4), any::<bool>()).prop_map(|(items, repair)| Request::Store { items, repair }),
        vec(fetch_item(), 0..4).prop_map(|items| Request::Fetch { items }),
        (vec(compare, 0..4), any::<bool>()).prop_map(|(items, flag)| Request::Compare {
            items,
            catching_up: flag,
            durable: !flag
        }),
        (0_u32..=1 << 31, vec((any::<u32>(), fingerprint()), 0..4)).prop_map(|(part_len, asked)| {
            let (parts, sums) = asked.into_iter().unzip();
            Request::CompareSums { part_len, parts, sums }
        }),
        (slot(), vec(any::<u64>(), 0..4)).prop_map(|(slot, parts)| Request::Versions { slot, parts }),
        (vec((slot(), vec(key_digest(), 0..4)), 0..4), any::<bool>()).prop_map(|(items, urgent)| Request::Pull {
            items: items.into_iter().map(|(slot, digests)| PullItem { slot, digests }).collect(),
            urgent,
        }),
        scanning().prop_map(Request::Scan),
        (prop::sample::select(topics), key()).prop_map(|(topic, key)| Request::Describe { topic, key }),
        any::<u64>().prop_map(|known| Request::SealKey { known }),
        any::<(u64, u64, u16, u64)>().prop_map(|(session, cookie, slot, sequence)| Request::Collect {
            session,
            cookie,
            slot,
            sequence
        }),
    ]
    .boxed()
}

fn response() -> BoxedStrategy<Response> {
    let synced = (vec(0_u32..1024, 0..4), vec(digest(), 0..4), vec((slot(), list()), 0..4));
    let standings = vec![Standing::Outsider, Standing::Newcomer, Standing::CaughtUp, Standing::Returned];
    let evicted_before_s = prop_oneof![2 => Just(0), 1 => any::<u32>()];
    let compared = (list(), prop::sample::select(standings), fingerprint(), evicted_before_s).prop_map(
        |(list, standing, fingerprint, evicted_before_s)| CompareResult {
            list,
            standing,
            fingerprint,
            evicted_before_s,
        },
    );
    let compared = compared.boxed();
    let scanned = compared.clone().prop_map(|slot| CompareResult { evicted_before_s: 0, ..slot });
    let neighbours = (option::of(pointer()), vec(pointer(), 0..4))
        .prop_map(|(predecessor, successors)| Neighbours { predecessor, successors });
    prop_oneof![
        nodes().prop_map(|records| Response::Pong { records }),
        nodes().prop_map(|records| Response::LastLife { records }),
        any::<bool>().prop_map(|alive| Response::Probed { alive }),
        synced.prop_map(|(differing, digests, lists)| Response::Synced { differing, digests, lists }),
        nodes().prop_map(|records| Response::Exchanged { records }),
        (ring_id(), config(), nodes(), 0..=WALL_MS_MAX, any::<bool>(), any::<bool>(), any::<u64>()).prop_map(
            |(ring_id, config, records, wall_ms, reunites, forgotten, given_up_ms)| Response::Welcome {
                ring_id,
                config,
                records,
                wall_ms,
                reunites,
                forgotten,
                given_up_ms
            }
        ),
        any::<bool>().prop_map(|granted| Response::Admitted { granted }),
        (vec(option::of(neighbours), 0..4), nodes())
            .prop_map(|(items, records)| Response::Neighbours { items, records }),
        (any::<bool>(), [vec(pointer(), 0..4), vec(pointer(), 0..4), vec(pointer(), 0..4)], nodes()).prop_map(
            |(done, [pointers, past, replicas], records)| Response::Route { done, pointers, past, replicas, records }
        ),
        (vec(op_result(), 0..4), nodes()).prop_map(|(results, records)| Response::Applied { results, records }),
        vec(store_result(), 0..4).prop_map(|results| Response::Stored { results }),
        vec(fetch_result(), 0..4).prop_map(|results| Response::Fetched { results }),
        vec(compared, 0..4).prop_map(|results| Response::Compared { results }),
        vec(any::<u32>(), 0..4).prop_map(|differing| Response::ComparedSums { differing }),
        (vec((key_digest(), version()), 0..4), option::of(vec(any::<u32>(), 0..4)))
            .prop_map(|(entries, listed)| Response::Versions { entries, listed }),
        vec((slot(), record()), 0..4).prop_map(|items| Response::Records { items }),
        (vec(scanned, 0..4), vec((slot(), record()), 0..4), option::of((slot(), option::of(key_digest())))).prop_map(
            |(slots, records, next)| {
                let next = next.map(|(slot, after)| ScanFrom { slot, after });
                Response::Scanned { slots, records, next }
            }
        ),
        any::<String>().prop_map(|json| Response::Described { json }),
        any::<(u64, Option<[u8; 32]>)>().prop_map(|(id, key)| Response::SealKey { id, key: key.map(SealingKey::new) }),
        error().prop_map(Response::Failure),
    ]
    .boxed()
}

fn scanning() -> BoxedStrategy<Scanning> {
    let wants = vec![ScanWant::Fingerprints, ScanWant::Keys, ScanWant::Values, ScanWant::AllKeys];
    let which = (any::<u32>(), key(), option::of(key_digest()), prop::sample::select(wants), any::<bool>());
    (vec((slot(), list()), 0..4), which)
        .prop_map(|(items, (map, prefix, after, want, relay))| Scanning { items, map, prefix, after, want, relay })
        .boxed()
}

fn ring_id() -> impl Strategy<Value = RingId> {
    any::<u128>().prop_map(RingId)
}

fn node_id() -> impl Strategy<Value = NodeId> {
    "\\PC{1,60}".prop_map(|text| NodeId::new(&text))
}

fn address() -> impl Strategy<Value = Address> {
    "[a-z0-9.]{1,20}:[0-9]{1,5}".prop_map(|text| Address::new(&text))
}

/// Short and long ones: small spaces have many leading zeros.
fn id() -> impl Strategy<Value = Id> {
    (any::<[u8; 32]>(), 0_usize..=32).prop_map(|(mut bytes, zeros)| {
        bytes[..zeros].fill(0);
        Id::from_be_bytes(bytes)
    })
}

fn slot() -> impl Strategy<Value = Slot> {
    (0..1_u32 << 31).prop_map(Slot)
}

fn list() -> impl Strategy<Value = ListId> {
    let epoch = prop_oneof![Just(0), any::<u64>()];
    (0..=COUNTER_MAX, any::<u64>(), epoch).prop_map(|(counter, members, epoch)| ListId { counter, members, epoch })
}

fn pointer() -> BoxedStrategy<Pointer> {
    (id(), node_id(), 0_u32..=200).prop_map(|(id, node_id, index)| Pointer { id, node_id, index }).boxed()
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop::sample::select(vec![Verdict::Alive, Verdict::Suspect, Verdict::Dead])
}

fn digest() -> impl Strategy<Value = NodeDigest> {
    (any::<u64>(), 1..=u64::MAX, 0..=COUNTER_MAX, verdict()).prop_map(|(node, boot, incarnation, verdict)| NodeDigest {
        node,
        boot,
        incarnation,
        verdict,
    })
}

fn record_of_node() -> BoxedStrategy<NodeRecord> {
    let states = vec![NodeState::Joining, NodeState::Active, NodeState::Leaving, NodeState::Left];
    let identity = (node_id(), 1..=u64::MAX, address(), 0..=COUNTER_MAX, 0..=COUNTER_MAX, any::<u32>());
    let rest =
        (prop::sample::select(states), verdict(), 0_u32..=200, vec(any::<u8>(), 0..20), "\\PC{0,20}", any::<bool>());
    (identity, rest)
        .prop_map(|(identity, (state, verdict, vnodes, choices, zone, read_only))| {
            let (node_id, boot, address, incarnation, placed_at, placed_in) = identity;
            NodeRecord {
                node_id,
                boot,
                address,
                incarnation,
                placed_at,
                placed_in,
                state,
                verdict,
                vnodes,
                choices,
                zone,
                read_only,
            }
        })
        .boxed()
}

fn nodes() -> BoxedStrategy<Vec<NodeRecord>> {
    vec(record_of_node(), 0..4).boxed()
}

fn params() -> BoxedStrategy<RingParams> {
    let function = prop::sample::select(HashFunction::ALL);
    (any::<u32>(), function, 1_u16..=256, 0_u8..=20, any::<bool>())
        .prop_map(|(format, hash_function, hash_bits, slot_bits, consistent_hashing)| RingParams {
            format,
            hash_function,
            hash_bits,
            slot_bits,
            consistent_hashing,
        })
        .boxed()
}

fn config() -> BoxedStrategy<RingConfig> {
    (0..=COUNTER_MAX, 1_u16..=64, 0_u64..=2_592_000_000, 1_usize..=65_536, 1_usize..=1 << 30)
        .prop_map(|(version, replication_factor, grace_ms, max_key_size, max_value_size)| RingConfig {
            version,
            replication_factor,
            tombstone_grace: Duration::from_millis(grace_ms),
            max_key_size,
            max_value_size,
        })
        .boxed()
}

fn key() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn value() -> BoxedStrategy<Value> {
    let format = prop::sample::select(vec![Format::Json, Format::Bytes]);
    (format, vec(any::<u8>(), 0..300)).prop_map(|(format, bytes)| Value { format, bytes: bytes.into() }).boxed()
}

fn version() -> impl Strategy<Value = Version> {
    any::<(u64, u64, u64)>().prop_map(|(hlc, node, boot)| Version { hlc, node, boot })
}

fn op_id() -> impl Strategy<Value = OpId> {
    any::<(u64, u64)>().prop_map(|(origin, sequence)| OpId { origin, sequence })
}

fn key_digest() -> impl Strategy<Value = KeyDigest> {
    any::<u128>().prop_map(KeyDigest)
}

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    any::<u128>().prop_map(Fingerprint)
}

fn record() -> BoxedStrategy<Record> {
    let operations = vec(op_id(), 0..=OPERATIONS_MAX).prop_map(SmallVec::from_vec);
    (any::<u32>(), key(), option::of(value()), version(), 0..=EXPIRY_MS_MAX, operations)
        .prop_map(|(map, key, value, version, expires_at_ms, operations)| Record {
            map,
            key,
            value,
            version,
            expires_at_ms,
            operations,
        })
        .boxed()
}

fn error() -> BoxedStrategy<Error> {
    (prop::sample::select(ErrorKind::ALL), "\\PC{0,60}", any::<bool>())
        .prop_map(|(kind, context, unknown)| {
            let error = Error::new(kind, context);
            if unknown { error.unknown_outcome() } else { error }
        })
        .boxed()
}

fn operation() -> BoxedStrategy<Operation> {
    let put = (value(), 0..=WALL_MS_MAX).prop_map(|(value, ttl_ms)| Action::Put { value, ttl_ms });
    let get_and_put = (value(), 0..=WALL_MS_MAX).prop_map(|(value, ttl_ms)| Action::GetAndPut { value, ttl_ms });
    let expected =
        prop_oneof![Just(Expected::Absent), version().prop_map(Expected::Version), value().prop_map(Expected::Value)];
    let swap = (expected, value(), 0..=WALL_MS_MAX).prop_map(|(expected, value, ttl_ms)| Action::CompareAndSwap {
        expected,
        value,
        ttl_ms,
    });
    let by = prop_oneof![any::<i64>().prop_map(Number::Integer), proptest::num::f64::NORMAL.prop_map(Number::Float)];
    let action = prop_oneof![
        Just(Action::Get),
        put,
        Just(Action::Delete),
        swap,
        by.prop_map(|by| Action::Increment { by }),
        get_and_put,
        Just(Action::GetAndDelete),
        (0..=WALL_MS_MAX).prop_map(|ttl_ms| Action::Expire { ttl_ms }),
    ];
    (op_id(), any::<u32>(), key(), action).prop_map(|(id, map, key, action)| Operation { id, map, key, action }).boxed()
}

fn op_result() -> BoxedStrategy<OpResult> {
    let outcome =
        (version(), any::<(u32, u32, u32, bool)>()).prop_map(|(version, (acks, wanted, set_size, degraded))| {
            PutOutcome { version, acks, wanted, set_size, degraded }
        });
    prop_oneof![
        (outcome, any::<bool>(), option::of(value())).prop_map(|(outcome, existed, value)| OpResult::Written {
            outcome,
            existed,
            value
        }),
        option::of(record()).prop_map(|record| OpResult::Read { record }),
        Just(OpResult::Misrouted),
        error().prop_map(OpResult::Failed),
    ]
    .boxed()
}

fn store_item() -> BoxedStrategy<StoreItem> {
    (slot(), list(), record()).prop_map(|(slot, list, record)| StoreItem { slot, list, record }).boxed()
}

fn store_result() -> BoxedStrategy<StoreResult> {
    prop_oneof![
        any::<bool>().prop_map(|counts| StoreResult::Stored { counts }),
        version().prop_map(|present| StoreResult::Refused { present }),
        list().prop_map(|list| StoreResult::Stale { list }),
        error().prop_map(StoreResult::Failed),
    ]
    .boxed()
}

fn fetch_item() -> BoxedStrategy<FetchItem> {
    (slot(), list(), any::<u32>(), key(), option::of(op_id()))
        .prop_map(|(slot, list, map, key, operation)| FetchItem { slot, list, map, key, operation })
        .boxed()
}

fn fetch_result() -> BoxedStrategy<FetchResult> {
    prop_oneof![
        (list(), option::of(record()), option::of(version()))
            .prop_map(|(list, record, stored_as)| FetchResult::Found { list, record, stored_as }),
        list().prop_map(|list| FetchResult::NotReady { list }),
        list().prop_map(|list| FetchResult::Stale { list }),
        error().prop_map(FetchResult::Failed),
    ]
    .boxed()
}
