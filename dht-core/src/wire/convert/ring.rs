//! Parts of messages about nodes and the ring.

use std::time::Duration;

use bytes::Bytes;

use super::pack::{pack, unpack, unpack_exact};
use super::{Result, at_most, len_in, required, text};
use crate::config::HashFunction;
use crate::ring::id::Id;
use crate::ring::params::{RingConfig, RingParams};
use crate::ring::record::{Address, NodeId, NodeRecord, NodeState, Verdict};
use crate::ring::slot::{Slot, SlotSpace};
use crate::wire::error::WireError;
use crate::wire::limits::{
    ADDRESS_LEN_MAX, COUNTER_MAX, GRACE_MS_MAX, ID_LEN, KEY_LEN_MAX, NODE_ID_LEN_MAX, REPLICATION_MAX, SLOT_MAX,
    SLOTS_MAX, VALUE_LEN_MAX, VNODES_MAX, ZONE_LEN_MAX,
};
use crate::wire::message::{ListId, NodeDigest, Pointer};
use crate::wire::proto;

pub(super) fn node_id_bytes(node_id: &NodeId) -> Bytes {
    Bytes::copy_from_slice(node_id.as_str().as_bytes())
}

pub(super) fn node_id(bytes: &Bytes) -> Result<NodeId> {
    text("node_id", bytes, 1, NODE_ID_LEN_MAX).map(NodeId::new)
}

pub(super) fn address_bytes(address: &Address) -> Bytes {
    Bytes::copy_from_slice(address.as_str().as_bytes())
}

pub(super) fn address(bytes: &Bytes) -> Result<Address> {
    text("address", bytes, 1, ADDRESS_LEN_MAX).map(Address::new)
}

/// A boot is drawn at random and is never 0, which stands for "anybody".
pub(super) fn boot(boot: u64) -> Result<u64> {
    if boot == 0 { Err(WireError::Missing { what: "boot" }) } else { Ok(boot) }
}

fn counter(what: &'static str, value: u64) -> Result<u64> {
    at_most(what, value, COUNTER_MAX, "below 2^63")
}

/// Without leading zeros: the id 0 has no bytes.
pub(super) fn id_bytes(id: Id) -> Bytes {
    let bytes = id.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let (_, significant) = bytes.split_at(zeros);
    Bytes::copy_from_slice(significant)
}

pub(super) fn id(what: &'static str, bytes: &Bytes) -> Result<Id> {
    len_in(what, bytes.len(), 0, ID_LEN)?;
    let mut padded = [0; ID_LEN];
    // At most 32 bytes were let through, so the subtraction and the split are in range.
    let (_, end) = padded.split_at_mut(ID_LEN.saturating_sub(bytes.len()));
    end.copy_from_slice(bytes);
    Ok(Id::from_be_bytes(padded))
}

/// Whether the ring has the slot is for the receiver to say: only it knows its slot space.
pub(super) fn slot(number: u32) -> Result<Slot> {
    at_most("slot", u64::from(number), SLOT_MAX, "below 2^31")?;
    Ok(Slot(number))
}

impl From<&NodeRecord> for proto::NodeRecord {
    fn from(record: &NodeRecord) -> Self {
        Self {
            node_id: node_id_bytes(&record.node_id),
            boot: record.boot,
            address: address_bytes(&record.address),
            incarnation: record.incarnation,
            placed_at: record.placed_at,
            placed_in: record.placed_in,
            state: match record.state {
                NodeState::Joining => 1,
                NodeState::Active => 2,
                NodeState::Leaving => 3,
                NodeState::Left => 4,
            },
            verdict: verdict_number(record.verdict),
            vnodes: record.vnodes,
            choices: Bytes::copy_from_slice(&record.choices),
            zone: Bytes::copy_from_slice(record.zone.as_bytes()),
            read_only: record.read_only,
        }
    }
}

impl TryFrom<proto::NodeRecord> for NodeRecord {
    type Error = WireError;

    fn try_from(record: proto::NodeRecord) -> Result<Self> {
        let state = match record.state {
            1 => NodeState::Joining,
            2 => NodeState::Active,
            3 => NodeState::Leaving,
            4 => NodeState::Left,
            value => return Err(WireError::OutOfRange { what: "state", value: value.into(), wanted: "1 to 4" }),
        };
        at_most("vnodes", record.vnodes.into(), VNODES_MAX, "at most 200")?;
        len_in("choices", record.choices.len(), 0, VNODES_MAX as usize)?;
        Ok(Self {
            node_id: node_id(&record.node_id)?,
            boot: boot(record.boot)?,
            address: address(&record.address)?,
            incarnation: counter("incarnation", record.incarnation)?,
            placed_at: counter("placed_at", record.placed_at)?,
            placed_in: record.placed_in,
            state,
            verdict: verdict(record.verdict)?,
            vnodes: record.vnodes,
            choices: record.choices.to_vec(),
            zone: text("zone", &record.zone, 0, ZONE_LEN_MAX)?.to_owned(),
            read_only: record.read_only,
        })
    }
}

fn verdict_number(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Alive => 1,
        Verdict::Suspect => 2,
        Verdict::Dead => 3,
    }
}

fn verdict(number: u32) -> Result<Verdict> {
    match number {
        1 => Ok(Verdict::Alive),
        2 => Ok(Verdict::Suspect),
        3 => Ok(Verdict::Dead),
        value => Err(WireError::OutOfRange { what: "verdict", value: value.into(), wanted: "1 to 3" }),
    }
}

impl From<&NodeDigest> for proto::NodeDigest {
    fn from(digest: &NodeDigest) -> Self {
        Self {
            node: digest.node,
            boot: digest.boot,
            incarnation: digest.incarnation,
            verdict: verdict_number(digest.verdict),
        }
    }
}

impl TryFrom<proto::NodeDigest> for NodeDigest {
    type Error = WireError;

    fn try_from(digest: proto::NodeDigest) -> Result<Self> {
        Ok(Self {
            node: digest.node,
            boot: boot(digest.boot)?,
            incarnation: counter("incarnation", digest.incarnation)?,
            verdict: verdict(digest.verdict)?,
        })
    }
}

impl From<&Pointer> for proto::Pointer {
    fn from(pointer: &Pointer) -> Self {
        Self { id: id_bytes(pointer.id), node_id: node_id_bytes(&pointer.node_id), index: pointer.index }
    }
}

impl TryFrom<proto::Pointer> for Pointer {
    type Error = WireError;

    fn try_from(pointer: proto::Pointer) -> Result<Self> {
        at_most("position index", pointer.index.into(), VNODES_MAX, "at most 200")?;
        Ok(Self { id: id("id", &pointer.id)?, node_id: node_id(&pointer.node_id)?, index: pointer.index })
    }
}

impl From<ListId> for proto::ListId {
    fn from(list: ListId) -> Self {
        Self { counter: list.counter, members: list.members, epoch: list.epoch }
    }
}

impl TryFrom<proto::ListId> for ListId {
    type Error = WireError;

    fn try_from(list: proto::ListId) -> Result<Self> {
        Ok(Self { counter: counter("list counter", list.counter)?, members: list.members, epoch: list.epoch })
    }
}

pub(super) fn list(list: Option<proto::ListId>) -> Result<ListId> {
    required("list", list)?.try_into()
}

/// `None` for no lists at all.
pub(super) fn lists_message<'a>(lists: impl ExactSizeIterator<Item = &'a ListId> + Clone) -> Option<proto::Lists> {
    let epochs = if lists.clone().all(|list| list.epoch == 0) {
        Bytes::new()
    } else {
        pack(lists.clone().map(|list| list.epoch.to_le_bytes()))
    };
    (lists.len() > 0).then(|| proto::Lists {
        counters: pack(lists.clone().map(|list| list.counter.to_le_bytes())),
        members: pack(lists.map(|list| list.members.to_le_bytes())),
        epochs,
    })
}

/// Exactly `count` lists.
pub(super) fn lists(message: Option<&proto::Lists>, count: usize) -> Result<Vec<ListId>> {
    let Some(message) = message else {
        return if count == 0 { Ok(Vec::new()) } else { Err(WireError::Missing { what: "lists" }) };
    };
    let counters = unpack_exact("list counters", &message.counters, count)?;
    let members = unpack_exact("list members", &message.members, count)?;
    let epochs = match message.epochs.is_empty() {
        true => &[],
        false => unpack_exact("list epochs", &message.epochs, count)?,
    };
    let epochs = epochs.iter().copied().chain(std::iter::repeat([0; 8]));
    let parts = counters.iter().zip(members).zip(epochs);
    parts
        .map(|((counter_bytes, members), epoch)| {
            let (members, epoch) = (u64::from_le_bytes(*members), u64::from_le_bytes(epoch));
            Ok(ListId { counter: counter("list counter", u64::from_le_bytes(*counter_bytes))?, members, epoch })
        })
        .collect()
}

pub(super) fn slots_bytes(slots: impl ExactSizeIterator<Item = Slot>) -> Bytes {
    pack(slots.map(|slot| slot.0.to_le_bytes()))
}

pub(super) fn slots(bytes: &Bytes) -> Result<Vec<Slot>> {
    unpack("slots", bytes, SLOTS_MAX)?.iter().map(|number| slot(u32::from_le_bytes(*number))).collect()
}

/// Slots with their lists, from parallel arrays.
pub(super) fn slot_lists(slot_bytes: &Bytes, message: Option<&proto::Lists>) -> Result<Vec<(Slot, ListId)>> {
    let slots = slots(slot_bytes)?;
    let lists = lists(message, slots.len())?;
    Ok(slots.into_iter().zip(lists).collect())
}

impl From<&RingParams> for proto::RingParams {
    fn from(params: &RingParams) -> Self {
        Self {
            format: params.format,
            hash_function: match params.hash_function {
                HashFunction::Fnv1 => 1,
                HashFunction::Fnv1a => 2,
                HashFunction::Crc32 => 3,
                HashFunction::Md5 => 4,
                HashFunction::Sha1 => 5,
                HashFunction::Sha256 => 6,
                HashFunction::Consistent => 7,
            },
            hash_bits: params.hash_bits.into(),
            slot_bits: params.slot_bits.into(),
            consistent_hashing: params.consistent_hashing,
        }
    }
}

impl TryFrom<proto::RingParams> for RingParams {
    type Error = WireError;

    fn try_from(params: proto::RingParams) -> Result<Self> {
        let out = |what, value: u32, wanted| WireError::OutOfRange { what, value: value.into(), wanted };
        let hash_function = match params.hash_function {
            1 => HashFunction::Fnv1,
            2 => HashFunction::Fnv1a,
            3 => HashFunction::Crc32,
            4 => HashFunction::Md5,
            5 => HashFunction::Sha1,
            6 => HashFunction::Sha256,
            7 => HashFunction::Consistent,
            value => return Err(out("hash_function", value, "1 to 7")),
        };
        let hash_bits = u16::try_from(params.hash_bits).ok().filter(|bits| (1..=256).contains(bits));
        let slot_bits = u8::try_from(params.slot_bits).ok().filter(|bits| *bits <= SlotSpace::BITS_MAX);
        Ok(Self {
            format: params.format,
            hash_function,
            hash_bits: hash_bits.ok_or_else(|| out("hash_bits", params.hash_bits, "1 to 256"))?,
            slot_bits: slot_bits.ok_or_else(|| out("slot_bits", params.slot_bits, "at most 31"))?,
            consistent_hashing: params.consistent_hashing,
        })
    }
}

impl From<&RingConfig> for proto::RingConfig {
    fn from(config: &RingConfig) -> Self {
        Self {
            version: config.version,
            replication_factor: config.replication_factor.into(),
            tombstone_grace_ms: u64::try_from(config.tombstone_grace.as_millis()).unwrap_or(u64::MAX),
            max_key_size: config.max_key_size as u64,
            max_value_size: config.max_value_size as u64,
        }
    }
}

impl TryFrom<proto::RingConfig> for RingConfig {
    type Error = WireError;

    fn try_from(config: proto::RingConfig) -> Result<Self> {
        let out = |what, value: u64, wanted| WireError::OutOfRange { what, value, wanted };
        let size = |what, value: u64, max: usize, wanted| {
            usize::try_from(value).ok().filter(|size| (1..=max).contains(size)).ok_or_else(|| out(what, value, wanted))
        };
        let factor = u64::from(config.replication_factor);
        let replication_factor = u16::try_from(factor).ok().filter(|_| (1..=REPLICATION_MAX).contains(&factor));
        let grace_ms = at_most("tombstone_grace_ms", config.tombstone_grace_ms, GRACE_MS_MAX, "at most 30 days")?;
        Ok(Self {
            version: counter("ring configuration version", config.version)?,
            replication_factor: replication_factor.ok_or_else(|| out("replication_factor", factor, "1 to 64"))?,
            tombstone_grace: Duration::from_millis(grace_ms),
            max_key_size: size("max_key_size", config.max_key_size, KEY_LEN_MAX, "1 byte to 64 KiB")?,
            max_value_size: size("max_value_size", config.max_value_size, VALUE_LEN_MAX, "1 byte to 1 GiB")?,
        })
    }
}
