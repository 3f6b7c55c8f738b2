//! What can be wrong with bytes from the network: each error says what was found and what would be right.

use super::frame::{FrameKind, MAGIC, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN};
use super::message::Head;

/// The bytes are no message of this protocol. Nothing of them was acted upon.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The stream is not ours, or lost its place.
    #[error("a frame begins with {MAGIC:#06x}, not {found:#06x}")]
    Magic {
        /// The first two bytes.
        found: u16,
    },
    /// A frame of a protocol version that this release does not speak.
    #[error("protocol version {found}; this node speaks {PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION}")]
    Version {
        /// The version in the header.
        found: u8,
    },
    /// No such kind of frame in this version.
    #[error("frame kind {found}; kinds are 1 to {}", FrameKind::ALL.len())]
    FrameKind {
        /// The kind in the header.
        found: u8,
    },
    /// Bytes changed on the way.
    #[error("the checksum of the {what} is {computed:#010x}, the header says {found:#010x}")]
    Checksum {
        /// Header or payload.
        what: &'static str,
        /// As sent.
        found: u32,
        /// As it should have been.
        computed: u32,
    },
    /// Longer than its bound, refused before it was kept.
    #[error("{what}: {len} bytes, at most {max} are allowed")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its bytes.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Shorter than anything valid.
    #[error("{what}: {len} bytes, at least {min} are needed")]
    TooShort {
        /// What is too short.
        what: &'static str,
        /// Its bytes.
        len: usize,
        /// Bytes needed.
        min: usize,
    },
    /// More elements than a message may have.
    #[error("{what}: {count} of them, at most {max} are allowed")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// Elements found; counting stopped at the first too many.
        count: usize,
        /// Elements allowed.
        max: usize,
    },
    /// A number outside its range.
    #[error("{what} = {value}: must be {wanted}")]
    OutOfRange {
        /// What has the value.
        what: &'static str,
        /// The value.
        value: u64,
        /// What it may be.
        wanted: &'static str,
    },
    /// A field that no message of this kind can do without.
    #[error("{what}: missing")]
    Missing {
        /// What is not there.
        what: &'static str,
    },
    /// Arrays that belong together differ in length, or a packed array ends inside an element.
    #[error("{what}: {len} bytes or elements, must be {wanted}")]
    Uneven {
        /// The array.
        what: &'static str,
        /// Its length.
        len: usize,
        /// What the length must be: a number, or a multiple of one.
        wanted: String,
    },
    /// Text that is no UTF-8.
    #[error("{what}: not UTF-8")]
    NotText {
        /// What should be text.
        what: &'static str,
    },
    /// More than one body in a message.
    #[error("bodies {first} and {second} in one message, must be one")]
    TwoBodies {
        /// Tag of the first.
        first: u32,
        /// Tag of the second.
        second: u32,
    },
    /// No protobuf, or a field of another type.
    #[error("malformed: {reason}")]
    Malformed {
        /// Where and why the decoder stopped.
        reason: String,
    },
    /// The body is of a kind that this release does not know, probably a newer one's. The rest of the message is well
    /// formed, so a request can be answered with `Unsupported`.
    #[error("unknown kind {tag}")]
    UnknownKind {
        /// The body's tag.
        tag: u32,
        /// The envelope.
        head: Head,
    },
}

impl From<prost::DecodeError> for WireError {
    fn from(error: prost::DecodeError) -> Self {
        Self::Malformed { reason: error.to_string() }
    }
}
