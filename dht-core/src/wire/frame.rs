//! Frames: what a stream connection carries. A fixed header of 24 bytes, then the payload.
//!
//! ```text
//!   0       2     3     4           8                      16          20          24
//!   +-------+-----+-----+-----------+----------------------+-----------+-----------+---------
//!   | magic | ver | kind| length    | request id           | crc32 of  | crc32 of  | payload
//!   | d4 7a |     |     |           |                      | payload   | bytes 0-19| (length)
//!   +-------+-----+-----+-----------+----------------------+-----------+-----------+---------
//! ```
//!
//! Numbers are big-endian. The header has a checksum of its own because everything that is done before the payload
//! has arrived trusts it: a flipped bit in the length would make the reader wait for bytes that never come, one in
//! the request id would hand an answer to somebody else's question.

use super::error::WireError;

/// The version this release speaks.
pub const PROTOCOL_VERSION: u8 = 1;

/// The oldest version this release still understands.
pub const PROTOCOL_VERSION_MIN: u8 = 1;

/// The first two bytes of every frame; neither is ASCII text or the start of a TLS record.
pub const MAGIC: u16 = 0xd47a;

/// Bytes of an encoded [`Header`].
pub const HEADER_LEN: usize = 24;

/// Bytes of the header that its own checksum covers.
const CHECKED_LEN: usize = 20;

/// Written once, so that variants, numbers and the list of all cannot drift apart.
macro_rules! frame_kinds {
    ($($(#[$doc:meta])+ $name:ident = $number:literal,)+) => {
        /// What a frame is for. Numbers are never reused.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum FrameKind { $($(#[$doc])+ $name = $number,)+ }

        impl FrameKind {
            /// Every kind, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The kind of a number, if there is one.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

frame_kinds! {
    /// First frame of each side of a connection.
    Hello = 1,
    /// An encoded call that wants one response of the same request id.
    Request = 2,
    /// An encoded reply.
    Response = 3,
    /// An encoded call that wants no response; its request id is 0.
    OneWay = 4,
    /// An encoded call that wants a stream of responses of the same request id.
    Open = 5,
    /// An encoded reply, one of a stream.
    StreamItem = 6,
    /// The stream is complete; no payload.
    StreamEnd = 7,
    /// The receiver of a stream takes more of it.
    Credit = 8,
    /// Nobody waits for the response or the rest of the stream any more; no payload.
    Cancel = 9,
    /// The sender takes no new requests on this connection; what is under way is answered. No payload.
    GoAway = 10,
    /// Follows the hello of each side where a `cluster_key` is set: shows that its sender knows the key.
    Proof = 11,
}

/// The header of one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The protocol version of the payload.
    pub version: u8,
    /// What the frame is for.
    pub kind: FrameKind,
    /// Bytes of payload.
    pub payload_len: u32,
    /// Ties responses to requests; drawn by who asked, unique among its pending ones on the connection.
    pub request_id: u64,
    /// CRC-32 (IEEE) of the payload; 0 without one.
    pub payload_crc: u32,
}

impl Header {
    /// The header for `payload`; `TooLong` if it has more than `len_max` (or 4 GiB − 1) bytes.
    pub fn of(kind: FrameKind, request_id: u64, payload: &[u8], len_max: usize) -> Result<Self, WireError> {
        let payload_len = checked_len(payload.len(), len_max)?;
        let payload_crc = crc32fast::hash(payload);
        Ok(Self { version: PROTOCOL_VERSION, kind, payload_len, request_id, payload_crc })
    }

    /// The bytes of the header, checksum included.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let (checked, crc) = bytes.split_at_mut(CHECKED_LEN);
        let fields = self.fields();
        checked.copy_from_slice(&fields);
        crc.copy_from_slice(&crc32fast::hash(&fields).to_be_bytes());
        bytes
    }

    /// Reads a header and checks all of it: magic, version, kind, that the payload has at most `len_max` bytes,
    /// and the checksum, after magic and version, so that a foreign protocol or version is named as such. Nothing has been
    /// allocated yet.
    ///
    /// A hello is read whatever its version: its layout never changes, and it is where both sides say which versions
    /// they speak.
    pub fn decode(bytes: &[u8; HEADER_LEN], len_max: usize) -> Result<Self, WireError> {
        let [m0, m1, version, kind, l0, l1, l2, l3, i0, i1, i2, i3, i4, i5, i6, i7, p0, p1, p2, p3, c0, c1, c2, c3] =
            *bytes;
        let magic = u16::from_be_bytes([m0, m1]);
        if magic != MAGIC {
            return Err(WireError::Magic { found: magic });
        }
        let spoken = (PROTOCOL_VERSION_MIN..=PROTOCOL_VERSION).contains(&version);
        if !spoken && kind != FrameKind::Hello as u8 {
            return Err(WireError::Version { found: version });
        }
        let found = u32::from_be_bytes([c0, c1, c2, c3]);
        let (checked, _) = bytes.split_at(CHECKED_LEN);
        let computed = crc32fast::hash(checked);
        if found != computed {
            return Err(WireError::Checksum { what: "frame header", found, computed });
        }
        let kind = FrameKind::from_number(kind).ok_or(WireError::FrameKind { found: kind })?;
        let payload_len = u32::from_be_bytes([l0, l1, l2, l3]);
        checked_len(usize::try_from(payload_len).unwrap_or(usize::MAX), len_max)?;
        let request_id = u64::from_be_bytes([i0, i1, i2, i3, i4, i5, i6, i7]);
        let payload_crc = u32::from_be_bytes([p0, p1, p2, p3]);
        Ok(Self { version, kind, payload_len, request_id, payload_crc })
    }

    /// Whether `payload` is the one that the header was made for.
    pub fn check_payload(&self, payload: &[u8]) -> Result<(), WireError> {
        let (found, computed) = (self.payload_crc, crc32fast::hash(payload));
        if found == computed { Ok(()) } else { Err(WireError::Checksum { what: "payload", found, computed }) }
    }

    /// What the header's checksum covers.
    fn fields(&self) -> [u8; CHECKED_LEN] {
        let [m0, m1] = MAGIC.to_be_bytes();
        let [l0, l1, l2, l3] = self.payload_len.to_be_bytes();
        let [i0, i1, i2, i3, i4, i5, i6, i7] = self.request_id.to_be_bytes();
        let [p0, p1, p2, p3] = self.payload_crc.to_be_bytes();
        let (version, kind) = (self.version, self.kind as u8);
        [m0, m1, version, kind, l0, l1, l2, l3, i0, i1, i2, i3, i4, i5, i6, i7, p0, p1, p2, p3]
    }
}

/// The length as the header has it, if it is at most `len_max`.
pub(super) fn checked_len(len: usize, len_max: usize) -> Result<u32, WireError> {
    let max = len_max.min(u32::MAX as usize);
    match u32::try_from(len) {
        Ok(short) if len <= max => Ok(short),
        _ => Err(WireError::TooLong { what: "frame payload", len, max }),
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
