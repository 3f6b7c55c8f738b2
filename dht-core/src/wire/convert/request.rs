//! Requests.

use bytes::Bytes;

use super::data::{digest, digest_bytes, fingerprints, fingerprints_bytes, key, level, level_number, wall_ms};
use super::pack::{pack, unpack, unpack_exact};
use super::ring::{
    address, address_bytes, boot, id, id_bytes, lists, lists_message, node_id, node_id_bytes, slot, slot_lists, slots,
    slots_bytes,
};
use super::runs::{more, more_bytes, runs};
use super::{Result, all, at_most, each, parts, required, ring_id, ring_id_halves};
use crate::data::parts::PARTS_MAX;
use crate::ring::id::Id;
use crate::wire::error::WireError;
use crate::wire::limits::{POSITIONS_MAX, RECORDS_MAX, SLOTS_MAX, SUMS_MAX};
use crate::wire::message::{CompareItem, Pointer, Request, ScanWant, Scanning, Topic};
use crate::wire::proto;

impl From<&Request> for proto::Request {
    fn from(request: &Request) -> Self {
        match request {
            Request::Ping { boot, records } => Self::Ping(proto::Ping { boot: *boot, records: all(records) }),
            Request::PingFor { address, boot } => {
                Self::PingFor(proto::PingFor { address: address_bytes(address), boot: *boot })
            }
            Request::Sync { sums, gone, lists } => Self::Sync(proto::Sync {
                slots: slots_bytes(lists.iter().map(|(slot, _)| *slot)),
                lists: lists_message(lists.iter().map(|(_, list)| list)),
                sums: pack(sums.iter().map(|sum| sum.to_le_bytes())),
                gone: *gone,
            }),
            Request::Exchange { records, wanted, lists } => Self::Exchange(proto::Exchange {
                records: all(records),
                slots: slots_bytes(lists.iter().map(|(slot, _)| *slot)),
                lists: lists_message(lists.iter().map(|(_, list)| list)),
                wanted: pack(wanted.iter().map(|node| node.to_le_bytes())),
            }),
            Request::Join { record, params, wall_ms, client } => Self::Join(proto::Join {
                record: Some(record.into()),
                params: Some(params.into()),
                wall_ms: *wall_ms,
                client: *client,
            }),
            Request::Admit { node_id, boot, release, wait } => {
                let node_id = node_id_bytes(node_id);
                Self::Admit(proto::Admit { node_id, boot: *boot, release: *release, wait: *wait })
            }
            Request::Merge { ring_id, records } => {
                let (ring_high, ring_low) = ring_id_halves(Some(*ring_id));
                Self::Merge(proto::Merge { ring_high, ring_low, records: all(records) })
            }
            Request::Stabilize { positions, known } => Self::Stabilize(proto::Stabilize {
                positions: pack(positions.iter().map(|id| id.to_be_bytes())),
                known: pack(known.iter().map(|hash| hash.to_le_bytes())),
            }),
            Request::Notify { pointers } => {
                Self::Notify(proto::Notify { notices: pointers.iter().map(notice_message).collect() })
            }
            Request::Lookup { target, past, claimed } => {
                Self::Lookup(proto::Lookup { target: id_bytes(*target), past: *past, claimed: *claimed })
            }
            Request::Apply { operations, level, relay, rings } => Self::Apply(proto::Apply {
                operations: all(operations),
                level: level_number(*level),
                relay: *relay,
                rings: *rings,
            }),
            Request::Store { items, repair } => Self::Store(proto::Store { items: all(items), repair: *repair }),
            Request::Fetch { items } => Self::Fetch(proto::Fetch { items: all(items) }),
            Request::LastLife { records } => Self::LastLife(proto::LastLife { records: all(records) }),
            Request::Compare { items, catching_up, durable } => {
                let alike = |a: &CompareItem, b: &CompareItem| {
                    b.slot.0 == a.slot.0.wrapping_add(1) && a.list == b.list && a.fingerprint == b.fingerprint
                };
                let runs = runs(items, alike);
                Self::Compare(proto::Compare {
                    slots: slots_bytes(runs.iter().map(|(item, _)| item.slot)),
                    lists: lists_message(runs.iter().map(|(item, _)| &item.list)),
                    fingerprints: fingerprints_bytes(runs.iter().map(|(item, _)| item.fingerprint)),
                    catching_up: *catching_up,
                    durable: *durable,
                    more: more_bytes(&runs),
                })
            }
            Request::CompareSums { part_len, parts, sums } => Self::CompareSums(proto::CompareSums {
                part_len: *part_len,
                parts: pack(parts.iter().map(|part| part.to_le_bytes())),
                sums: fingerprints_bytes(sums.iter().copied()),
            }),
            Request::Versions { slot, parts } => {
                Self::Versions(proto::Versions { slot: slot.0, parts: pack(parts.iter().map(|sum| sum.to_le_bytes())) })
            }
            Request::Pull { items, urgent } => Self::Pull(proto::Pull { items: all(items), urgent: *urgent }),
            Request::Scan(scan) => Self::Scan(proto::Scan {
                slots: slots_bytes(scan.items.iter().map(|(slot, _)| *slot)),
                lists: lists_message(scan.items.iter().map(|(_, list)| list)),
                map: scan.map,
                prefix: scan.prefix.clone(),
                after: digest_bytes(scan.after),
                want: want_number(scan.want),
                relay: scan.relay,
            }),
            Request::Describe { topic, key } => {
                Self::Describe(proto::Describe { topic: topic_number(*topic), key: key.clone() })
            }
            Request::SealKey { known } => Self::SealKey(proto::SealKey { known: *known }),
            Request::Collect { session, cookie, slot, sequence } => Self::Collect(proto::Collect {
                session: *session,
                cookie: *cookie,
                slot: (*slot).into(),
                sequence: *sequence,
            }),
        }
    }
}

impl TryFrom<proto::Request> for Request {
    type Error = WireError;

    fn try_from(request: proto::Request) -> Result<Self> {
        Ok(match request {
            proto::Request::Ping(ping) => Self::Ping { boot: ping.boot, records: each(ping.records)? },
            proto::Request::PingFor(ping) => Self::PingFor { address: address(&ping.address)?, boot: ping.boot },
            proto::Request::Sync(sync) => Self::Sync {
                sums: sums(&sync.sums)?,
                gone: sync.gone,
                lists: slot_lists(&sync.slots, sync.lists.as_ref())?,
            },
            proto::Request::Exchange(exchange) => {
                let wanted = unpack("wanted nodes", &exchange.wanted, RECORDS_MAX)?;
                Self::Exchange {
                    records: each(exchange.records)?,
                    wanted: wanted.iter().map(|node| u64::from_le_bytes(*node)).collect(),
                    lists: slot_lists(&exchange.slots, exchange.lists.as_ref())?,
                }
            }
            proto::Request::Join(join) => Self::Join {
                record: required("record of the joining node", join.record)?.try_into()?,
                params: required("ring parameters", join.params)?.try_into()?,
                wall_ms: wall_ms(join.wall_ms)?,
                client: join.client,
            },
            proto::Request::Admit(admit) => {
                let proto::Admit { release, wait, .. } = admit;
                Self::Admit { node_id: node_id(&admit.node_id)?, boot: boot(admit.boot)?, release, wait }
            }
            proto::Request::LastLife(life) => Self::LastLife { records: each(life.records)? },
            proto::Request::Merge(merge) => Self::Merge {
                ring_id: required("ring_id", ring_id(merge.ring_high, merge.ring_low)?)?,
                records: each(merge.records)?,
            },
            proto::Request::Stabilize(stabilize) => {
                let positions = unpack("positions", &stabilize.positions, POSITIONS_MAX)?;
                let known = match stabilize.known.is_empty() {
                    true => &[],
                    false => unpack_exact("known neighbours", &stabilize.known, positions.len())?,
                };
                Self::Stabilize {
                    positions: positions.iter().map(|id| Id::from_be_bytes(*id)).collect(),
                    known: known.iter().map(|hash| u64::from_le_bytes(*hash)).collect(),
                }
            }
            proto::Request::Notify(notify) => {
                Self::Notify { pointers: notify.notices.into_iter().map(notice).collect::<Result<_>>()? }
            }
            proto::Request::Lookup(lookup) => {
                Self::Lookup { target: id("target", &lookup.target)?, past: lookup.past, claimed: lookup.claimed }
            }
            proto::Request::Apply(apply) => {
                let (level, relay, rings) = (level(apply.level)?, apply.relay, apply.rings);
                Self::Apply { operations: each(apply.operations)?, level, relay, rings }
            }
            proto::Request::Store(store) => Self::Store { items: each(store.items)?, repair: store.repair },
            proto::Request::Fetch(fetch) => Self::Fetch { items: each(fetch.items)? },
            proto::Request::Compare(compare) => {
                let (catching_up, durable) = (compare.catching_up, compare.durable);
                Self::Compare { items: compare_items(&compare)?, catching_up, durable }
            }
            proto::Request::CompareSums(compare) => {
                at_most("part_len", compare.part_len.into(), 1 << 31, "at most 2^31")?;
                let parts = parts(&compare.parts)?;
                let sums = fingerprints(&compare.sums, parts.len())?.collect();
                Self::CompareSums { part_len: compare.part_len, parts, sums }
            }
            proto::Request::Versions(versions) => Self::Versions {
                slot: slot(versions.slot)?,
                parts: unpack("sums of parts", &versions.parts, PARTS_MAX)?
                    .iter()
                    .map(|sum| u64::from_le_bytes(*sum))
                    .collect(),
            },
            proto::Request::Pull(pull) => Self::Pull { items: each(pull.items)?, urgent: pull.urgent },
            proto::Request::Scan(scan) => Self::Scan(Scanning {
                items: slot_lists(&scan.slots, scan.lists.as_ref())?,
                map: scan.map,
                prefix: key(scan.prefix)?,
                after: digest("digest to go on behind", &scan.after)?,
                want: want(scan.want)?,
                relay: scan.relay,
            }),
            proto::Request::Describe(describe) => {
                Self::Describe { topic: topic(describe.topic)?, key: key(describe.key)? }
            }
            proto::Request::SealKey(proto::SealKey { known }) => Self::SealKey { known },
            proto::Request::Collect(proto::Collect { session, cookie, slot, sequence }) => {
                let wide = WireError::OutOfRange { what: "slot", value: slot.into(), wanted: "at most 65535" };
                Self::Collect { session, cookie, slot: u16::try_from(slot).map_err(|_| wide)?, sequence }
            }
        })
    }
}

/// Buckets are numbered by the top bits of a digest, so there is a power of two of them.
fn sums(bytes: &Bytes) -> Result<Vec<u64>> {
    let sums = unpack("sums", bytes, SUMS_MAX)?;
    if !sums.len().is_power_of_two() {
        let value = sums.len() as u64;
        return Err(WireError::OutOfRange { what: "number of sums", value, wanted: "a power of two" });
    }
    Ok(sums.iter().map(|sum| u64::from_le_bytes(*sum)).collect())
}

fn notice_message((pointer, position): &(Pointer, Id)) -> proto::Notice {
    proto::Notice { pointer: Some(pointer.into()), position: id_bytes(*position) }
}

fn notice(notice: proto::Notice) -> Result<(Pointer, Id)> {
    Ok((required("pointer", notice.pointer)?.try_into()?, id("position", &notice.position)?))
}

fn compare_items(compare: &proto::Compare) -> Result<Vec<CompareItem>> {
    let slots = slots(&compare.slots)?;
    let lists = lists(compare.lists.as_ref(), slots.len())?;
    let fingerprints = fingerprints(&compare.fingerprints, slots.len())?;
    let more = more(&compare.more, slots.len(), SLOTS_MAX)?;
    let mut items = Vec::with_capacity(slots.len());
    for (((first, list), fingerprint), more) in slots.into_iter().zip(lists).zip(fingerprints).zip(more) {
        for at in 0..=u32::from(more) {
            let slot = slot(first.0.saturating_add(at))?;
            items.push(CompareItem { slot, list, fingerprint });
        }
    }
    Ok(items)
}

fn want_number(want: ScanWant) -> u32 {
    match want {
        ScanWant::Fingerprints => 1,
        ScanWant::Keys => 2,
        ScanWant::Values => 3,
        ScanWant::AllKeys => 4,
    }
}

fn want(number: u32) -> Result<ScanWant> {
    match number {
        1 => Ok(ScanWant::Fingerprints),
        2 => Ok(ScanWant::Keys),
        3 => Ok(ScanWant::Values),
        4 => Ok(ScanWant::AllKeys),
        value => Err(WireError::OutOfRange { what: "want", value: value.into(), wanted: "1 to 4" }),
    }
}

fn topic_number(topic: Topic) -> u32 {
    match topic {
        Topic::Node => 1,
        Topic::Ring => 2,
        Topic::Statistics => 3,
        Topic::Health => 4,
        Topic::Locate => 5,
    }
}

fn topic(number: u32) -> Result<Topic> {
    match number {
        1 => Ok(Topic::Node),
        2 => Ok(Topic::Ring),
        3 => Ok(Topic::Statistics),
        4 => Ok(Topic::Health),
        5 => Ok(Topic::Locate),
        value => Err(WireError::OutOfRange { what: "topic", value: value.into(), wanted: "1 to 5" }),
    }
}
