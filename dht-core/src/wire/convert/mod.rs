//! Domain messages to protobuf shapes and back; everything that comes in is checked here, with its name.

mod data;
mod pack;
mod request;
mod response;
mod ring;
mod runs;
mod trace;

use bytes::Bytes;

use self::pack::unpack;
use super::error::WireError;
use super::limits::{DEADLINE_MS_MAX, SUMS_MAX};
use super::message::Head;
use super::proto;
use super::trace::Spans;
use crate::data::record::Record;
use crate::ring::record::RingId;
use crate::ring::slot::Slot;
use crate::transport::{Call, Reply};

pub(super) type Result<T> = std::result::Result<T, WireError>;

impl From<&Call> for proto::Call {
    fn from(call: &Call) -> Self {
        let (head, body) = (&call.head, Some((&call.body).into()));
        let (ring_high, ring_low) = ring_id_halves(head.ring_id);
        let (sender, view, trace_id, clock) = (head.sender, head.view, head.trace_id, head.clock);
        let (deadline_ms, attempt) = (head.deadline_ms, head.attempt);
        Self { ring_high, ring_low, sender, deadline_ms, trace_id, attempt, view, clock, body }
    }
}

impl From<&Reply> for proto::Reply {
    fn from(reply: &Reply) -> Self {
        let (head, body) = (&reply.head, Some((&reply.body).into()));
        let (ring_high, ring_low) = ring_id_halves(head.ring_id);
        let (sender, view, trace_id, clock) = (head.sender, head.view, head.trace_id, head.clock);
        let (deadline_ms, attempt) = (head.deadline_ms, head.attempt);
        let trace = reply.trace.as_deref().map(trace::spans_bytes);
        Self { ring_high, ring_low, sender, deadline_ms, trace_id, attempt, view, clock, trace, body }
    }
}

/// The envelope of a call.
pub(super) fn call_head(call: &proto::Call) -> Result<Head> {
    let (sender, view, trace_id, clock) = (call.sender, call.view, call.trace_id, call.clock);
    let (deadline_ms, attempt) = (call.deadline_ms.min(DEADLINE_MS_MAX), call.attempt);
    let ring_id = ring_id(call.ring_high, call.ring_low)?;
    Ok(Head { ring_id, sender, deadline_ms, trace_id, attempt, view, clock })
}

/// The envelope of a reply.
pub(super) fn reply_head(reply: &proto::Reply) -> Result<Head> {
    let (sender, view, trace_id, clock) = (reply.sender, reply.view, reply.trace_id, reply.clock);
    let (deadline_ms, attempt) = (reply.deadline_ms, reply.attempt);
    let ring_id = ring_id(reply.ring_high, reply.ring_low)?;
    Ok(Head { ring_id, sender, deadline_ms, trace_id, attempt, view, clock })
}

/// What a reply tells of how it was made; `None` of a call that was not traced, or of an older node.
pub(super) fn reply_trace(reply: &proto::Reply) -> Result<Option<Box<Spans>>> {
    reply.trace.clone().map(|bytes| trace::spans(bytes).map(Box::new)).transpose()
}

/// Records with their slots, and back.
pub(super) fn records_message(items: &[(Slot, Record)]) -> proto::Records {
    proto::Records { items: items.iter().map(data::record_item_message).collect() }
}

/// See [`records_message`].
pub(super) fn records(message: proto::Records) -> Result<Vec<(Slot, Record)>> {
    message.items.into_iter().map(data::record_item).collect()
}

fn ring_id_halves(id: Option<RingId>) -> (Option<u64>, Option<u64>) {
    match id {
        Some(RingId(id)) => (Some((id >> 64) as u64), Some(id as u64)),
        None => (None, None),
    }
}

fn ring_id(high: Option<u64>, low: Option<u64>) -> Result<Option<RingId>> {
    match (high, low) {
        (Some(high), Some(low)) => Ok(Some(RingId(u128::from(high) << 64 | u128::from(low)))),
        (None, None) => Ok(None),
        _ => Err(WireError::Missing { what: "one half of the ring_id" }),
    }
}

fn required<T>(what: &'static str, field: Option<T>) -> Result<T> {
    field.ok_or(WireError::Missing { what })
}

/// `value`, if it is at most `max`; `wanted` says so in words.
fn at_most(what: &'static str, value: u64, max: u64, wanted: &'static str) -> Result<u64> {
    if value <= max { Ok(value) } else { Err(WireError::OutOfRange { what, value, wanted }) }
}

fn len_in(what: &'static str, len: usize, min: usize, max: usize) -> Result<()> {
    if len < min {
        Err(WireError::TooShort { what, len, min })
    } else if len > max {
        Err(WireError::TooLong { what, len, max })
    } else {
        Ok(())
    }
}

fn text<'a>(what: &'static str, bytes: &'a Bytes, min: usize, max: usize) -> Result<&'a str> {
    len_in(what, bytes.len(), min, max)?;
    std::str::from_utf8(bytes).map_err(|_| WireError::NotText { what })
}

/// Numbers of buckets or of parts of the key space.
fn parts(bytes: &Bytes) -> Result<Vec<u32>> {
    let numbers = unpack("parts", bytes, SUMS_MAX)?;
    Ok(numbers.iter().map(|number| u32::from_le_bytes(*number)).collect())
}

/// Converts every element, in order; stops at the first that is wrong.
fn each<T, U: TryFrom<T, Error = WireError>>(elements: Vec<T>) -> Result<Vec<U>> {
    elements.into_iter().map(U::try_from).collect()
}

fn all<'a, T, U: From<&'a T>>(elements: &'a [T]) -> Vec<U> {
    elements.iter().map(U::from).collect()
}
