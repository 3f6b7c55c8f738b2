//! Parts of messages about records and what is done with them.

use bytes::Bytes;
use smallvec::SmallVec;

use super::pack::{pack, unpack, unpack_exact};
use super::ring::{list, slot};
use super::{Result, at_most, len_in, required, text};
use crate::config::Consistency;
use crate::data::fingerprint::Fingerprint;
use crate::data::number::Number;
use crate::data::parts::PARTS_MAX;
use crate::data::record::{Expected, Format, KeyDigest, OPERATIONS_MAX, OpId, Record, Value, Version};
use crate::error::{Error, ErrorKind};
use crate::ring::slot::Slot;
use crate::wire::error::WireError;
use crate::wire::limits::{DIGESTS_MAX, ERROR_LEN_MAX, EXPIRY_MS_MAX, KEY_LEN_MAX, VALUE_LEN_MAX, WALL_MS_MAX};
use crate::wire::message::{
    Action, FetchItem, FetchResult, OpResult, Operation, PullItem, PutOutcome, StoreItem, StoreResult,
};
use crate::wire::proto;

pub(super) fn key(key: Bytes) -> Result<Bytes> {
    len_in("key", key.len(), 0, KEY_LEN_MAX)?;
    Ok(key)
}

pub(super) fn wall_ms(ms: u64) -> Result<u64> {
    at_most("wall_ms", ms, WALL_MS_MAX, "below 2^48")
}

fn format_number(format: Format) -> u32 {
    match format {
        Format::Json => 1,
        Format::Bytes => 2,
    }
}

/// `None`: no value.
fn value(format: u32, bytes: Bytes) -> Result<Option<Value>> {
    let format = match format {
        0 => {
            len_in("value of format 0 (none)", bytes.len(), 0, 0)?;
            return Ok(None);
        }
        1 => Format::Json,
        2 => Format::Bytes,
        value => return Err(WireError::OutOfRange { what: "format", value: value.into(), wanted: "0 to 2" }),
    };
    len_in("value", bytes.len(), 0, VALUE_LEN_MAX)?;
    Ok(Some(Value { format, bytes }))
}

pub(super) fn level_number(level: Consistency) -> u32 {
    match level {
        Consistency::One => 1,
        Consistency::Quorum => 2,
        Consistency::All => 3,
    }
}

pub(super) fn level(number: u32) -> Result<Consistency> {
    match number {
        1 => Ok(Consistency::One),
        2 => Ok(Consistency::Quorum),
        3 => Ok(Consistency::All),
        value => Err(WireError::OutOfRange { what: "level", value: value.into(), wanted: "1 to 3" }),
    }
}

impl From<&Version> for proto::Version {
    fn from(version: &Version) -> Self {
        Self { hlc: version.hlc, node: version.node, boot: version.boot }
    }
}

impl From<proto::Version> for Version {
    fn from(version: proto::Version) -> Self {
        Self { hlc: version.hlc, node: version.node, boot: version.boot }
    }
}

fn operations_bytes(operations: &[OpId]) -> Bytes {
    let bytes = |id: &OpId| (u128::from(id.origin) << 64 | u128::from(id.sequence)).to_be_bytes();
    pack(operations.iter().map(bytes))
}

fn operations(what: &'static str, bytes: &Bytes, max: usize) -> Result<SmallVec<[OpId; 1]>> {
    let id = |bytes: &[u8; 16]| {
        let id = u128::from_be_bytes(*bytes);
        OpId { origin: (id >> 64) as u64, sequence: id as u64 }
    };
    Ok(unpack::<16>(what, bytes, max)?.iter().map(id).collect())
}

impl From<&Record> for proto::Record {
    fn from(record: &Record) -> Self {
        Self {
            map: record.map,
            key: record.key.clone(),
            format: record.value.as_ref().map_or(0, |value| format_number(value.format)),
            value: record.value.as_ref().map(|value| value.bytes.clone()).unwrap_or_default(),
            version: Some((&record.version).into()),
            expires_at_ms: record.expires_at_ms,
            operations: operations_bytes(&record.operations),
        }
    }
}

impl TryFrom<proto::Record> for Record {
    type Error = WireError;

    fn try_from(record: proto::Record) -> Result<Self> {
        let operations = operations("operations of a record", &record.operations, OPERATIONS_MAX)?;
        Ok(Self {
            map: record.map,
            key: key(record.key)?,
            value: value(record.format, record.value)?,
            version: required("version", record.version)?.into(),
            expires_at_ms: at_most("expires_at_ms", record.expires_at_ms, EXPIRY_MS_MAX, "below 2^49 - 1")?,
            operations,
        })
    }
}

fn record(record: Option<proto::Record>) -> Result<Record> {
    required("record", record)?.try_into()
}

impl From<&Error> for proto::Error {
    fn from(error: &Error) -> Self {
        let context = error.context();
        let mut cut = ERROR_LEN_MAX.min(context.len());
        while !context.is_char_boundary(cut) {
            // Stops at 0 at the latest, which is a boundary.
            cut = cut.saturating_sub(1);
        }
        let (context, _) = context.split_at(cut);
        Self {
            code: error.code().unsigned_abs(),
            context: Bytes::copy_from_slice(context.as_bytes()),
            maybe_applied: error.maybe_applied(),
            out_of_time: error.was_out_of_time(),
        }
    }
}

impl TryFrom<proto::Error> for Error {
    type Error = WireError;

    fn try_from(error: proto::Error) -> Result<Self> {
        let context = text("error text", &error.context, 0, ERROR_LEN_MAX)?;
        let made = match i32::try_from(error.code).ok().and_then(ErrorKind::from_code) {
            Some(kind) => Self::new(kind, context),
            None if error.code == 0 => return Err(WireError::Missing { what: "error code" }),
            // A newer release's: the caller still has to learn whether it may have been applied.
            None => Self::new(ErrorKind::Unsupported, format!("error {}: {context}", error.code)),
        };
        let made = if error.maybe_applied { made.unknown_outcome() } else { made };
        Ok(if error.out_of_time { made.out_of_time() } else { made })
    }
}

impl From<&Operation> for proto::Operation {
    fn from(operation: &Operation) -> Self {
        let OpId { origin, sequence } = operation.id;
        let action = action_number(&operation.action);
        let mut message =
            Self { origin, sequence, map: operation.map, key: operation.key.clone(), action, ..Self::default() };
        let mut put = |value: &Value, ttl_ms: &u64| {
            (message.format, message.value, message.ttl_ms) =
                (format_number(value.format), value.bytes.clone(), *ttl_ms);
        };
        match &operation.action {
            Action::Get | Action::Delete | Action::GetAndDelete => {}
            Action::Put { value, ttl_ms } | Action::GetAndPut { value, ttl_ms } => put(value, ttl_ms),
            Action::CompareAndSwap { expected, value, ttl_ms } => {
                put(value, ttl_ms);
                match expected {
                    Expected::Absent => message.expected = 1,
                    Expected::Version(version) => {
                        (message.expected, message.expected_version) = (2, Some(version.into()));
                    }
                    Expected::Value(value) => {
                        message.expected = 3;
                        (message.expected_format, message.expected_value) =
                            (format_number(value.format), value.bytes.clone());
                    }
                }
            }
            Action::Increment { by: Number::Integer(by) } => message.by_integer = Some(*by),
            Action::Increment { by: Number::Float(by) } => message.by_float = Some(*by),
            Action::Expire { ttl_ms } => message.ttl_ms = *ttl_ms,
        }
        message
    }
}

impl TryFrom<proto::Operation> for Operation {
    type Error = WireError;

    fn try_from(operation: proto::Operation) -> Result<Self> {
        let id = OpId { origin: operation.origin, sequence: operation.sequence };
        let (map, key) = (operation.map, key(operation.key.clone())?);
        Ok(Self { id, map, key, action: action(operation)? })
    }
}

fn action_number(action: &Action) -> u32 {
    match action {
        Action::Get => 1,
        Action::Put { .. } => 2,
        Action::Delete => 3,
        Action::CompareAndSwap { .. } => 4,
        Action::Increment { .. } => 5,
        Action::GetAndPut { .. } => 6,
        Action::GetAndDelete => 7,
        Action::Expire { .. } => 8,
    }
}

fn action(operation: proto::Operation) -> Result<Action> {
    let ttl_ms = at_most("ttl_ms", operation.ttl_ms, WALL_MS_MAX, "below 2^48")?;
    let put = |bytes: Bytes| required("value of a put", value(operation.format, bytes)?);
    Ok(match operation.action {
        1 => Action::Get,
        2 => Action::Put { value: put(operation.value)?, ttl_ms },
        3 => Action::Delete,
        4 => {
            let expected = match operation.expected {
                1 => Expected::Absent,
                2 => Expected::Version(required("expected version", operation.expected_version)?.into()),
                3 => {
                    let expected = value(operation.expected_format, operation.expected_value)?;
                    Expected::Value(required("expected value", expected)?)
                }
                value => return Err(WireError::OutOfRange { what: "expected", value: value.into(), wanted: "1 to 3" }),
            };
            Action::CompareAndSwap { expected, value: put(operation.value)?, ttl_ms }
        }
        5 => match (operation.by_integer, operation.by_float) {
            (Some(by), None) => Action::Increment { by: Number::Integer(by) },
            (None, Some(by)) if by.is_finite() => Action::Increment { by: Number::Float(by) },
            _ => return Err(WireError::Missing { what: "one finite number to add" }),
        },
        6 => Action::GetAndPut { value: put(operation.value)?, ttl_ms },
        7 => Action::GetAndDelete,
        8 => Action::Expire { ttl_ms },
        value => return Err(WireError::OutOfRange { what: "action", value: value.into(), wanted: "1 to 8" }),
    })
}

impl From<&OpResult> for proto::OpResult {
    fn from(result: &OpResult) -> Self {
        let outcome = match result {
            OpResult::Written { outcome, existed, value } => {
                let PutOutcome { version, acks, wanted, set_size, degraded } = outcome;
                let version = Some(version.into());
                proto::OpOutcome::Written(proto::Written {
                    version,
                    acks: *acks,
                    wanted: *wanted,
                    set_size: *set_size,
                    degraded: *degraded,
                    existed: *existed,
                    format: value.as_ref().map_or(0, |value| format_number(value.format)),
                    value: value.as_ref().map(|value| value.bytes.clone()).unwrap_or_default(),
                })
            }
            OpResult::Read { record } => {
                proto::OpOutcome::Read(proto::Read { record: record.as_ref().map(Into::into) })
            }
            OpResult::Misrouted => proto::OpOutcome::Misrouted(true),
            OpResult::Failed(error) => proto::OpOutcome::Failed(error.into()),
        };
        Self { outcome: Some(outcome) }
    }
}

impl TryFrom<proto::OpResult> for OpResult {
    type Error = WireError;

    fn try_from(result: proto::OpResult) -> Result<Self> {
        Ok(match required("result of an operation", result.outcome)? {
            proto::OpOutcome::Written(written) => Self::Written {
                outcome: PutOutcome {
                    version: required("version", written.version)?.into(),
                    acks: written.acks,
                    wanted: written.wanted,
                    set_size: written.set_size,
                    degraded: written.degraded,
                },
                existed: written.existed,
                value: value(written.format, written.value)?,
            },
            proto::OpOutcome::Read(read) => Self::Read { record: read.record.map(TryInto::try_into).transpose()? },
            proto::OpOutcome::Misrouted(_) => Self::Misrouted,
            proto::OpOutcome::Failed(error) => Self::Failed(error.try_into()?),
        })
    }
}

impl From<&StoreItem> for proto::StoreItem {
    fn from(item: &StoreItem) -> Self {
        Self { slot: item.slot.0, list: Some(item.list.into()), record: Some((&item.record).into()) }
    }
}

impl TryFrom<proto::StoreItem> for StoreItem {
    type Error = WireError;

    fn try_from(item: proto::StoreItem) -> Result<Self> {
        Ok(Self { slot: slot(item.slot)?, list: list(item.list)?, record: record(item.record)? })
    }
}

impl From<&StoreResult> for proto::StoreResult {
    fn from(result: &StoreResult) -> Self {
        Self {
            outcome: Some(match result {
                StoreResult::Stored { counts } => proto::StoreOutcome::Stored(*counts),
                StoreResult::Refused { present } => proto::StoreOutcome::Refused(present.into()),
                StoreResult::Stale { list } => proto::StoreOutcome::Stale((*list).into()),
                StoreResult::Failed(error) => proto::StoreOutcome::Failed(error.into()),
            }),
        }
    }
}

impl TryFrom<proto::StoreResult> for StoreResult {
    type Error = WireError;

    fn try_from(result: proto::StoreResult) -> Result<Self> {
        Ok(match required("result of a store", result.outcome)? {
            proto::StoreOutcome::Stored(counts) => Self::Stored { counts },
            proto::StoreOutcome::Refused(present) => Self::Refused { present: present.into() },
            proto::StoreOutcome::Stale(list) => Self::Stale { list: list.try_into()? },
            proto::StoreOutcome::Failed(error) => Self::Failed(error.try_into()?),
        })
    }
}

impl From<&FetchItem> for proto::FetchItem {
    fn from(item: &FetchItem) -> Self {
        let operation = operations_bytes(item.operation.as_slice());
        Self { slot: item.slot.0, list: Some(item.list.into()), map: item.map, key: item.key.clone(), operation }
    }
}

impl TryFrom<proto::FetchItem> for FetchItem {
    type Error = WireError;

    fn try_from(item: proto::FetchItem) -> Result<Self> {
        let operation = operations("operation of a fetch", &item.operation, 1)?.pop();
        Ok(Self { slot: slot(item.slot)?, list: list(item.list)?, map: item.map, key: key(item.key)?, operation })
    }
}

impl From<&FetchResult> for proto::FetchResult {
    fn from(result: &FetchResult) -> Self {
        Self {
            outcome: Some(match result {
                FetchResult::Found { list, record, stored_as } => proto::FetchOutcome::Found(proto::Found {
                    list: Some((*list).into()),
                    record: record.as_ref().map(Into::into),
                    stored_as: stored_as.as_ref().map(Into::into),
                }),
                FetchResult::NotReady { list } => proto::FetchOutcome::NotReady((*list).into()),
                FetchResult::Stale { list } => proto::FetchOutcome::Stale((*list).into()),
                FetchResult::Failed(error) => proto::FetchOutcome::Failed(error.into()),
            }),
        }
    }
}

impl TryFrom<proto::FetchResult> for FetchResult {
    type Error = WireError;

    fn try_from(result: proto::FetchResult) -> Result<Self> {
        Ok(match required("result of a fetch", result.outcome)? {
            proto::FetchOutcome::Found(found) => Self::Found {
                list: list(found.list)?,
                record: found.record.map(TryInto::try_into).transpose()?,
                stored_as: found.stored_as.map(Into::into),
            },
            proto::FetchOutcome::NotReady(list) => Self::NotReady { list: list.try_into()? },
            proto::FetchOutcome::Stale(list) => Self::Stale { list: list.try_into()? },
            proto::FetchOutcome::Failed(error) => Self::Failed(error.try_into()?),
        })
    }
}

pub(super) fn digest_bytes(digest: Option<KeyDigest>) -> Bytes {
    pack(digest.iter().map(|digest| digest.0.to_be_bytes()))
}

/// One digest, or none.
pub(super) fn digest(what: &'static str, bytes: &Bytes) -> Result<Option<KeyDigest>> {
    let digests = unpack::<16>(what, bytes, 1)?;
    Ok(digests.first().map(|digest| KeyDigest(u128::from_be_bytes(*digest))))
}

pub(super) fn fingerprints_bytes(fingerprints: impl ExactSizeIterator<Item = Fingerprint>) -> Bytes {
    pack(fingerprints.map(|fingerprint| fingerprint.0.to_be_bytes()))
}

/// Exactly `count` fingerprints.
pub(super) fn fingerprints(bytes: &Bytes, count: usize) -> Result<impl Iterator<Item = Fingerprint>> {
    let elements = unpack_exact("fingerprints", bytes, count)?;
    Ok(elements.iter().map(|fingerprint| Fingerprint(u128::from_be_bytes(*fingerprint))))
}

impl From<&PullItem> for proto::PullItem {
    fn from(item: &PullItem) -> Self {
        Self { slot: item.slot.0, digests: pack(item.digests.iter().map(|digest| digest.0.to_be_bytes())) }
    }
}

impl TryFrom<proto::PullItem> for PullItem {
    type Error = WireError;

    fn try_from(item: proto::PullItem) -> Result<Self> {
        let digests = unpack("key digests", &item.digests, DIGESTS_MAX)?.iter();
        let digests = digests.map(|digest| KeyDigest(u128::from_be_bytes(*digest))).collect();
        Ok(Self { slot: slot(item.slot)?, digests })
    }
}

pub(super) fn versions_message(entries: &[(KeyDigest, Version)], listed: Option<&[u32]>) -> proto::VersionsPart {
    proto::VersionsPart {
        digests: pack(entries.iter().map(|(digest, _)| digest.0.to_be_bytes())),
        hlcs: pack(entries.iter().map(|(_, version)| version.hlc.to_le_bytes())),
        nodes: pack(entries.iter().map(|(_, version)| version.node.to_le_bytes())),
        boots: pack(entries.iter().map(|(_, version)| version.boot.to_le_bytes())),
        listed: listed.map(|parts| pack(parts.iter().map(|part| part.to_le_bytes()))),
    }
}

pub(super) fn listed(parts: Option<Bytes>) -> Result<Option<Vec<u32>>> {
    let numbers = |parts: Bytes| -> Result<Vec<u32>> {
        Ok(unpack("parts listed", &parts, PARTS_MAX)?.iter().map(|part| u32::from_le_bytes(*part)).collect())
    };
    parts.map(numbers).transpose()
}

pub(super) fn versions(part: &proto::VersionsPart) -> Result<Vec<(KeyDigest, Version)>> {
    let digests = unpack("key digests", &part.digests, DIGESTS_MAX)?;
    let hlcs = unpack_exact("version clocks", &part.hlcs, digests.len())?;
    let nodes = unpack_exact("version nodes", &part.nodes, digests.len())?;
    let boots = unpack_exact("version boots", &part.boots, digests.len())?;
    let parts = digests.iter().zip(hlcs).zip(nodes).zip(boots);
    Ok(parts
        .map(|(((digest, hlc), node), boot)| {
            let (hlc, node) = (u64::from_le_bytes(*hlc), u64::from_le_bytes(*node));
            (KeyDigest(u128::from_be_bytes(*digest)), Version { hlc, node, boot: u64::from_le_bytes(*boot) })
        })
        .collect())
}

pub(super) fn record_item_message((slot, record): &(Slot, Record)) -> proto::RecordItem {
    proto::RecordItem { slot: slot.0, record: Some(record.into()) }
}

pub(super) fn record_item(item: proto::RecordItem) -> Result<(Slot, Record)> {
    Ok((slot(item.slot)?, record(item.record)?))
}
