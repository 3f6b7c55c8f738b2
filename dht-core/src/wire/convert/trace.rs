//! What the envelope of an answer tells of how it was made.

use bytes::Bytes;
use prost::Message;

use super::ring::{address, address_bytes, node_id, node_id_bytes};
use super::{Result, at_most, len_in, text};
use crate::error::ErrorKind;
use crate::wire::error::WireError;
use crate::wire::limits::{DEPTH_MAX, KIND_LEN_MAX, SPANS_LEN_MAX, TIMING_US_MAX};
use crate::wire::proto;
use crate::wire::scan::check_spans;
use crate::wire::trace::{Span, SpanOutcome, Spans, kind_named};

impl From<&Spans> for proto::Spans {
    fn from(spans: &Spans) -> Self {
        let (served_us, left_out) = (spans.served_us.min(TIMING_US_MAX), spans.left_out);
        Self { served_us, left_out, spans: super::all(spans.all()) }
    }
}

impl From<&Span> for proto::Span {
    fn from(span: &Span) -> Self {
        let (outcome, error) = match span.outcome {
            SpanOutcome::Done => (1, 0),
            SpanOutcome::Pending => (2, 0),
            SpanOutcome::Misrouted => (3, 0),
            SpanOutcome::Stale => (4, 0),
            SpanOutcome::NotReady => (5, 0),
            SpanOutcome::Refused => (6, 0),
            SpanOutcome::Failed(kind) => (7, kind.code().unsigned_abs()),
        };
        Self {
            depth: span.depth.min(DEPTH_MAX),
            node_id: node_id_bytes(&span.node_id),
            address: address_bytes(&span.address),
            what: Bytes::copy_from_slice(span.what.as_bytes()),
            attempt: span.attempt,
            hedged: span.hedged,
            begun_us: span.begun_us.min(TIMING_US_MAX),
            took_us: span.took_us.min(TIMING_US_MAX),
            served_us: span.served_us.map(|us| us.min(TIMING_US_MAX)),
            outcome,
            error,
        }
    }
}

/// The bytes of what an answer tells.
pub(in crate::wire) fn spans_bytes(spans: &Spans) -> Bytes {
    proto::Spans::from(spans).encode_to_vec().into()
}

/// Reads what [`spans_bytes`] wrote: counted before it is decoded.
pub(in crate::wire) fn spans(bytes: Bytes) -> Result<Spans> {
    len_in("spans", bytes.len(), 0, SPANS_LEN_MAX)?;
    check_spans(&bytes)?;
    let message = proto::Spans::decode(bytes)?;
    let mut spans = Spans::new(timing(message.served_us)?, message.left_out);
    for span in message.spans {
        spans.push(span.try_into()?);
    }
    Ok(spans)
}

impl TryFrom<proto::Span> for Span {
    type Error = WireError;

    fn try_from(span: proto::Span) -> Result<Self> {
        at_most("depth", span.depth.into(), DEPTH_MAX.into(), "at most 64")?;
        let outcome = match span.outcome {
            1 => SpanOutcome::Done,
            2 => SpanOutcome::Pending,
            3 => SpanOutcome::Misrouted,
            4 => SpanOutcome::Stale,
            5 => SpanOutcome::NotReady,
            6 => SpanOutcome::Refused,
            7 => SpanOutcome::Failed(error_kind(span.error)),
            value => return Err(WireError::OutOfRange { what: "outcome", value: value.into(), wanted: "1 to 7" }),
        };
        Ok(Self {
            depth: span.depth,
            node_id: node_id(&span.node_id)?,
            address: address(&span.address)?,
            what: kind_named(text("what", &span.what, 1, KIND_LEN_MAX)?),
            attempt: span.attempt,
            hedged: span.hedged,
            begun_us: timing(span.begun_us)?,
            took_us: timing(span.took_us)?,
            served_us: span.served_us.map(timing).transpose()?,
            outcome,
        })
    }
}

/// A code that this release does not know is one that it does not support, as in an `Error`.
fn error_kind(code: u32) -> ErrorKind {
    i32::try_from(code).ok().and_then(ErrorKind::from_code).unwrap_or(ErrorKind::Unsupported)
}

fn timing(us: u64) -> Result<u64> {
    at_most("a time in microseconds", us, TIMING_US_MAX, "below 2^53")
}
