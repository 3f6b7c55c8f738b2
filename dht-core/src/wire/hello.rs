//! The first frame of each side of a connection: who speaks, which protocol versions, and whether that fits.
//!
//! ```text
//!   dialler                                  listener
//!      | -- Hello {versions, cluster, node} --> |
//!      | <- Hello {the same, acceptance} ------ |     not accepted: the listener closes after it
//!      | == requests, responses, streams ====== |
//! ```
//!
//! The listener answers in any case, so that both sides can tell their users both names. On a connection with a
//! `cluster_key` a proof follows each hello, and who does not prove the key is answered by [`Hello::refusal`].

use prost::Message;

use super::error::WireError;
use super::frame::{FrameKind, HEADER_LEN, Header, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN};
use super::limits::{ERROR_LEN_MAX, NODE_ID_LEN_MAX};
use crate::ring::record::NodeId;

/// Bytes of an encoded hello at most: two names of 255 bytes and a reason, with room for what later versions add.
pub const HELLO_LEN_MAX: usize = 4_096;

/// Bytes of a cluster name: the configuration's bound.
const CLUSTER_NAME_LEN_MAX: usize = 255;

/// What one side says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The oldest protocol version that it speaks.
    pub version_min: u8,
    /// The newest.
    pub version_max: u8,
    /// The ring's name; differing names do not talk.
    pub cluster_name: String,
    /// The sender.
    pub node_id: NodeId,
    /// The sender's boot.
    pub boot: u64,
    /// The sender is no member and is never dialled.
    pub client: bool,
    /// Only from the listener: what becomes of the connection.
    pub acceptance: Acceptance,
}

/// What a listener makes of a dialler's hello.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Acceptance {
    /// The connection may be used. A dialler always says so.
    Accepted,
    /// Nothing answers requests here, not yet or not any more: as if nobody listened.
    NotServing,
    /// As many connections as the listener may have, and all are in use.
    Crowded,
    /// The two do not fit; why.
    Rejected(String),
    /// The dialler does not show that it belongs here; what to check. Nothing else in such a hello means anything.
    Unauthenticated(String),
}

#[derive(prost::Message)]
struct Proto {
    #[prost(uint32, tag = "1")]
    version_min: u32,
    #[prost(uint32, tag = "2")]
    version_max: u32,
    #[prost(string, tag = "3")]
    cluster_name: String,
    #[prost(string, tag = "4")]
    node_id: String,
    #[prost(fixed64, tag = "5")]
    boot: u64,
    #[prost(bool, tag = "6")]
    client: bool,
    /// 0 accepted, 1 not serving, 2 crowded, 4 unauthenticated, 3 and all others rejected.
    #[prost(uint32, tag = "7")]
    acceptance: u32,
    #[prost(string, tag = "8")]
    reason: String,
}

impl Hello {
    /// The hello of this release.
    #[must_use]
    pub fn new(cluster_name: &str, node_id: NodeId, boot: u64, client: bool) -> Self {
        Self {
            version_min: PROTOCOL_VERSION_MIN,
            version_max: PROTOCOL_VERSION,
            cluster_name: cluster_name.to_owned(),
            node_id,
            boot,
            client,
            acceptance: Acceptance::Accepted,
        }
    }

    /// What a listener answers to somebody who does not show that it belongs here: only why, and nothing of who is
    /// there.
    #[must_use]
    pub fn refusal(reason: &str) -> Self {
        let acceptance = Acceptance::Unauthenticated(reason.to_owned());
        Self { acceptance, ..Self::new("?", NodeId::new("?"), 0, false) }
    }

    /// The newest version that both speak, or why these two do not talk: the text names both sides' values.
    pub fn agree(&self, other: &Self) -> Result<u8, String> {
        if self.cluster_name != other.cluster_name {
            return Err(format!("cluster_name is {:?} here and {:?} there", self.cluster_name, other.cluster_name));
        }
        let version = self.version_max.min(other.version_max);
        if version < self.version_min.max(other.version_min) {
            return Err(format!(
                "protocol versions {} to {} here and {} to {} there",
                self.version_min, self.version_max, other.version_min, other.version_max
            ));
        }
        Ok(version)
    }

    /// A whole frame; `TooLong` if the texts are beyond their bounds.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let (acceptance, reason) = match &self.acceptance {
            Acceptance::Accepted => (0, ""),
            Acceptance::NotServing => (1, ""),
            Acceptance::Crowded => (2, ""),
            Acceptance::Rejected(reason) => (3, cut(reason)),
            Acceptance::Unauthenticated(reason) => (4, cut(reason)),
        };
        let payload = Proto {
            version_min: self.version_min.into(),
            version_max: self.version_max.into(),
            cluster_name: self.cluster_name.clone(),
            node_id: self.node_id.as_str().to_owned(),
            boot: self.boot,
            client: self.client,
            acceptance,
            reason: reason.to_owned(),
        }
        .encode_to_vec();
        let header = Header::of(FrameKind::Hello, 0, &payload, HELLO_LEN_MAX)?;
        let mut frame = Vec::with_capacity(HEADER_LEN.saturating_add(payload.len()));
        frame.extend_from_slice(&header.encode());
        frame.extend_from_slice(&payload);
        Ok(frame)
    }

    /// Reads the payload of a hello frame and checks every bound.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let proto = Proto::decode(payload)?;
        bounded("hello cluster_name", &proto.cluster_name, CLUSTER_NAME_LEN_MAX)?;
        bounded("hello node_id", &proto.node_id, NODE_ID_LEN_MAX)?;
        let acceptance = match proto.acceptance {
            0 => Acceptance::Accepted,
            1 => Acceptance::NotServing,
            2 => Acceptance::Crowded,
            4 => Acceptance::Unauthenticated(cut(&proto.reason).to_owned()),
            _ => Acceptance::Rejected(cut(&proto.reason).to_owned()),
        };
        Ok(Self {
            version_min: version(proto.version_min)?,
            version_max: version(proto.version_max)?,
            cluster_name: proto.cluster_name,
            node_id: NodeId::new(&proto.node_id),
            boot: proto.boot,
            client: proto.client,
            acceptance,
        })
    }
}

fn version(number: u32) -> Result<u8, WireError> {
    match u8::try_from(number) {
        Ok(version) if version > 0 => Ok(version),
        _ => Err(WireError::OutOfRange { what: "hello version", value: number.into(), wanted: "1 to 255" }),
    }
}

fn bounded(what: &'static str, text: &str, max: usize) -> Result<(), WireError> {
    match text.len() {
        0 => Err(WireError::TooShort { what, len: 0, min: 1 }),
        len if len > max => Err(WireError::TooLong { what, len, max }),
        _ => Ok(()),
    }
}

/// At most `ERROR_LEN_MAX` bytes of a reason, whole characters.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(ERROR_LEN_MAX);
    while !text.is_char_boundary(end) {
        // Stops at 0 at the latest, which is a boundary.
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello::new("default", NodeId::new("a"), 7, false)
    }

    fn round_trip(hello: &Hello) -> Result<Hello, WireError> {
        let frame = hello.encode()?;
        let (front, payload) = frame.split_first_chunk::<HEADER_LEN>().expect("a whole header");
        let header = Header::decode(front, HELLO_LEN_MAX)?;
        assert_eq!((header.kind, header.payload_len as usize), (FrameKind::Hello, payload.len()));
        header.check_payload(payload)?;
        Hello::decode(payload)
    }

    #[test]
    fn every_acceptance_survives_the_round_trip() {
        let rejected = Acceptance::Rejected("names differ".to_owned());
        let unknown = Acceptance::Unauthenticated("no proof".to_owned());
        for acceptance in [Acceptance::Accepted, Acceptance::NotServing, Acceptance::Crowded, rejected, unknown] {
            let hello = Hello { acceptance, client: true, ..hello() };
            assert_eq!(round_trip(&hello), Ok(hello));
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let reason = "ä".repeat(ERROR_LEN_MAX);
        let hello = Hello { acceptance: Acceptance::Rejected(reason), ..hello() };
        let Ok(Acceptance::Rejected(reason)) = round_trip(&hello).map(|h| h.acceptance) else { panic!("no reason") };
        assert_eq!(reason, "ä".repeat(ERROR_LEN_MAX / 2));
    }

    #[test]
    fn names_and_versions_must_fit() {
        let other = Hello { cluster_name: "other".to_owned(), ..hello() };
        let reason = hello().agree(&other).expect_err("names differ");
        assert!(reason.contains("\"default\"") && reason.contains("\"other\""), "{reason}");
        let newer = Hello { version_min: PROTOCOL_VERSION + 1, version_max: PROTOCOL_VERSION + 2, ..hello() };
        assert!(hello().agree(&newer).expect_err("versions differ").contains("protocol versions"));
        let wider = Hello { version_max: PROTOCOL_VERSION + 2, ..hello() };
        assert_eq!(hello().agree(&wider), Ok(PROTOCOL_VERSION));
    }

    #[test]
    fn bounds_are_checked() {
        let long = "x".repeat(256);
        for wrong in [
            Hello { cluster_name: String::new(), ..hello() },
            Hello { cluster_name: long.clone(), ..hello() },
            Hello { node_id: NodeId::new(&long), ..hello() },
            Hello { version_min: 0, ..hello() },
        ] {
            assert!(round_trip(&wrong).is_err(), "{wrong:?}");
        }
        assert!(Hello::decode(&[0xff; 40]).is_err());
    }
}
