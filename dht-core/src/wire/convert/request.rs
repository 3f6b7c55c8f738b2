//! Requests.

use super::data::{fingerprints, fingerprints_bytes, key, level, level_number, wall_ms};
use super::pack::{pack, unpack};
use super::ring::{
    address, address_bytes, boot, id, id_bytes, lists, lists_message, node_id, node_id_bytes, slot, slot_lists, slots,
    slots_bytes,
};
use super::{Result, all, each, required, ring_id, ring_id_halves};
use crate::ring::id::Id;
use crate::wire::error::WireError;
use crate::wire::limits::POSITIONS_MAX;
use crate::wire::message::{CompareItem, Pointer, Request, Topic};
use crate::wire::proto;

impl From<&Request> for proto::Request {
    fn from(request: &Request) -> Self {
        match request {
            Request::Ping { boot, records } => Self::Ping(proto::Ping { boot: *boot, records: all(records) }),
            Request::PingFor { address, boot } => {
                Self::PingFor(proto::PingFor { address: address_bytes(address), boot: *boot })
            }
            Request::Sync { digests, lists } => Self::Sync(proto::Sync {
                digests: all(digests),
                slots: slots_bytes(lists.iter().map(|(slot, _)| *slot)),
                lists: lists_message(lists.iter().map(|(_, list)| list)),
            }),
            Request::Join { record, params, wall_ms, client } => Self::Join(proto::Join {
                record: Some(record.into()),
                params: Some(params.into()),
                wall_ms: *wall_ms,
                client: *client,
            }),
            Request::Admit { node_id, boot, release } => {
                Self::Admit(proto::Admit { node_id: node_id_bytes(node_id), boot: *boot, release: *release })
            }
            Request::Merge { ring_id, records } => {
                let (ring_high, ring_low) = ring_id_halves(Some(*ring_id));
                Self::Merge(proto::Merge { ring_high, ring_low, records: all(records) })
            }
            Request::Stabilize { positions } => {
                Self::Stabilize(proto::Stabilize { positions: pack(positions.iter().map(|id| id.to_be_bytes())) })
            }
            Request::Notify { pointers } => {
                Self::Notify(proto::Notify { notices: pointers.iter().map(notice_message).collect() })
            }
            Request::Lookup { target } => Self::Lookup(proto::Lookup { target: id_bytes(*target) }),
            Request::Apply { operations, level, relay } => {
                Self::Apply(proto::Apply { operations: all(operations), level: level_number(*level), relay: *relay })
            }
            Request::Store { items, repair } => Self::Store(proto::Store { items: all(items), repair: *repair }),
            Request::Fetch { items } => Self::Fetch(proto::Fetch { items: all(items) }),
            Request::Compare { items } => Self::Compare(proto::Compare {
                slots: slots_bytes(items.iter().map(|item| item.slot)),
                lists: lists_message(items.iter().map(|item| &item.list)),
                fingerprints: fingerprints_bytes(items.iter().map(|item| item.fingerprint)),
            }),
            Request::Versions { slot } => Self::Versions(proto::Versions { slot: slot.0 }),
            Request::Pull { items } => Self::Pull(proto::Pull { items: all(items) }),
            Request::Describe { topic, key } => {
                Self::Describe(proto::Describe { topic: topic_number(*topic), key: key.clone() })
            }
        }
    }
}

impl TryFrom<proto::Request> for Request {
    type Error = WireError;

    fn try_from(request: proto::Request) -> Result<Self> {
        Ok(match request {
            proto::Request::Ping(ping) => Self::Ping { boot: ping.boot, records: each(ping.records)? },
            proto::Request::PingFor(ping) => Self::PingFor { address: address(&ping.address)?, boot: ping.boot },
            proto::Request::Sync(sync) => {
                Self::Sync { digests: each(sync.digests)?, lists: slot_lists(&sync.slots, sync.lists.as_ref())? }
            }
            proto::Request::Join(join) => Self::Join {
                record: required("record of the joining node", join.record)?.try_into()?,
                params: required("ring parameters", join.params)?.try_into()?,
                wall_ms: wall_ms(join.wall_ms)?,
                client: join.client,
            },
            proto::Request::Admit(admit) => {
                Self::Admit { node_id: node_id(&admit.node_id)?, boot: boot(admit.boot)?, release: admit.release }
            }
            proto::Request::Merge(merge) => Self::Merge {
                ring_id: required("ring_id", ring_id(merge.ring_high, merge.ring_low)?)?,
                records: each(merge.records)?,
            },
            proto::Request::Stabilize(stabilize) => {
                let positions = unpack("positions", &stabilize.positions, POSITIONS_MAX)?;
                Self::Stabilize { positions: positions.iter().map(|id| Id::from_be_bytes(*id)).collect() }
            }
            proto::Request::Notify(notify) => {
                Self::Notify { pointers: notify.notices.into_iter().map(notice).collect::<Result<_>>()? }
            }
            proto::Request::Lookup(lookup) => Self::Lookup { target: id("target", &lookup.target)? },
            proto::Request::Apply(apply) => {
                Self::Apply { operations: each(apply.operations)?, level: level(apply.level)?, relay: apply.relay }
            }
            proto::Request::Store(store) => Self::Store { items: each(store.items)?, repair: store.repair },
            proto::Request::Fetch(fetch) => Self::Fetch { items: each(fetch.items)? },
            proto::Request::Compare(compare) => Self::Compare { items: compare_items(&compare)? },
            proto::Request::Versions(versions) => Self::Versions { slot: slot(versions.slot)? },
            proto::Request::Pull(pull) => Self::Pull { items: each(pull.items)? },
            proto::Request::Describe(describe) => {
                Self::Describe { topic: topic(describe.topic)?, key: key(describe.key)? }
            }
        })
    }
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
    let parts = slots.into_iter().zip(lists).zip(fingerprints);
    Ok(parts.map(|((slot, list), fingerprint)| CompareItem { slot, list, fingerprint }).collect())
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
