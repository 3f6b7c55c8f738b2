//! Bytes from messages and messages from bytes.
//!
//! Invariant: whatever bytes come in, decoding ends with a message whose every part is in its bounds or with a
//! [`WireError`]; it never panics, and what it allocates is bounded by the bytes it was given plus the structures of
//! the elements that `limits.rs` allows. Keys and values are slices of the input, not copies.

use bytes::{Bytes, BytesMut};
use prost::Message;

use super::convert;
use super::error::WireError;
use super::frame::{FrameKind, HEADER_LEN, Header, checked_len};
use super::message::Head;
use super::proto;
use super::scan::{Body, request_bounds, response_bounds};
use crate::transport::{Call, Reply};

/// The bytes of a call, without a frame.
#[must_use]
pub fn encode_call(call: &Call) -> Bytes {
    plain(&proto::Call::from(call))
}

/// The bytes of a reply, without a frame.
#[must_use]
pub fn encode_reply(reply: &Reply) -> Bytes {
    plain(&proto::Reply::from(reply))
}

/// The bytes of a call, without a frame; `TooLong` if they are more than `len_max`.
pub(crate) fn encode_call_within(call: &Call, len_max: usize) -> Result<Bytes, WireError> {
    within(&proto::Call::from(call), len_max)
}

/// The bytes of a reply, without a frame; `TooLong` if they are more than `len_max`.
pub(crate) fn encode_reply_within(reply: &Reply, len_max: usize) -> Result<Bytes, WireError> {
    within(&proto::Reply::from(reply), len_max)
}

/// A whole frame, header and call in one buffer; `TooLong` if the call has more than `len_max` bytes.
pub fn encode_call_framed(call: &Call, kind: FrameKind, request_id: u64, len_max: usize) -> Result<Bytes, WireError> {
    framed(&proto::Call::from(call), kind, request_id, len_max)
}

/// A whole frame, header and reply in one buffer; `TooLong` if the reply has more than `len_max` bytes.
pub fn encode_reply_framed(
    reply: &Reply,
    kind: FrameKind,
    request_id: u64,
    len_max: usize,
) -> Result<Bytes, WireError> {
    framed(&proto::Reply::from(reply), kind, request_id, len_max)
}

/// Reads what [`encode_call`] wrote.
///
/// A request of a kind that this release does not know is [`WireError::UnknownKind`], which has what the answer
/// `Unsupported` needs; every other error means that the sender is not one of ours, or broken.
pub fn decode_call(bytes: Bytes) -> Result<Call, WireError> {
    let body = Body::find(&bytes)?;
    let tag = body.tag;
    body.check(request_bounds(tag))?;
    let call = proto::Call::decode(bytes)?;
    let head = convert::call_head(&call)?;
    match call.body {
        Some(body) => Ok(Call { head, body: body.try_into()? }),
        None => Err(unknown(tag, head)),
    }
}

/// Reads what [`encode_reply`] wrote. An unknown kind, as any other error, concerns this reply alone.
pub fn decode_reply(bytes: Bytes) -> Result<Reply, WireError> {
    let body = Body::find(&bytes)?;
    let tag = body.tag;
    body.check(response_bounds(tag))?;
    let reply = proto::Reply::decode(bytes)?;
    let (head, trace) = (convert::reply_head(&reply)?, convert::reply_trace(&reply)?);
    match reply.body {
        Some(body) => Ok(Reply { head, trace, body: body.try_into()? }),
        None => Err(unknown(tag, head)),
    }
}

/// A body was found, but the decoder skipped it.
fn unknown(tag: u32, head: Head) -> WireError {
    WireError::UnknownKind { tag, head }
}

fn plain(message: &impl Message) -> Bytes {
    let mut buffer = BytesMut::with_capacity(message.encoded_len());
    write(message, &mut buffer);
    buffer.freeze()
}

fn within(message: &impl Message, len_max: usize) -> Result<Bytes, WireError> {
    // Before the buffer is made: a message that cannot be sent costs nothing.
    checked_len(message.encoded_len(), len_max)?;
    Ok(plain(message))
}

fn framed(message: &impl Message, kind: FrameKind, request_id: u64, len_max: usize) -> Result<Bytes, WireError> {
    let len = message.encoded_len();
    // Before the buffer is made: a message that cannot be sent costs nothing.
    checked_len(len, len_max)?;
    let mut buffer = BytesMut::with_capacity(HEADER_LEN.saturating_add(len));
    buffer.extend_from_slice(&[0; HEADER_LEN]);
    write(message, &mut buffer);
    if let Some((front, payload)) = buffer.split_first_chunk_mut::<HEADER_LEN>() {
        *front = Header::of(kind, request_id, payload, len_max)?.encode();
    }
    Ok(buffer.freeze())
}

fn write(message: &impl Message, buffer: &mut BytesMut) {
    let written = message.encode(buffer);
    debug_assert!(written.is_ok(), "a BytesMut grows, so there is always room");
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
