//! Datagrams: a fixed header of 48 bytes, then a payload. `docs/wire.md`, "Datagrams", draws it.
//!
//! [`Format`] is the only place that makes datagrams of messages and messages of datagrams, so what protects them is
//! built in here and nowhere else.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects)
)]

use bytes::{Buf, BufMut};

use super::super::misbehaviour::Misbehaviour;
use crate::wire::{PROTOCOL_VERSION, PROTOCOL_VERSION_MIN};

/// Bytes of a datagram at most: they pass every path of IPv6 (1,280) unfragmented, with room for tunnels.
pub(super) const DATAGRAM_MAX: usize = 1_200;

/// Bytes of an encoded [`Header`].
pub(super) const HEADER_LEN: usize = 48;

/// Bytes of the header that are 0, between attempt and time left.
const RESERVED_LEN: usize = 2;

/// Bytes of payload at most.
pub(super) const PAYLOAD_MAX: usize = DATAGRAM_MAX - HEADER_LEN;

/// Bytes of payload of an offer.
pub(super) const OFFER_LEN: usize = 16;

/// What asks has at least the length of an offer, which is all that it gets before its source is proven; zeros follow
/// a payload that is too short for that.
pub(super) const ASKING_LEN_MIN: usize = HEADER_LEN + OFFER_LEN;

/// The first two bytes; not those of a frame, so that a datagram is never taken for the start of a connection.
const MAGIC: u16 = 0xd47b;

/// Written once, so that variants and numbers cannot drift apart.
macro_rules! packet_kinds {
    ($($(#[$doc:meta])+ $name:ident = $number:literal,)+) => {
        /// What a datagram is for. Numbers are never reused.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(super) enum PacketKind { $($(#[$doc])+ $name = $number,)+ }

        impl PacketKind {
            const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

packet_kinds! {
    /// Wants a session; the cookie is a random number, to be told back.
    Introduce = 1,
    /// Gives a session to whoever gets this at its source address; nothing else was done with what it answers.
    Offer = 2,
    /// An encoded call that wants one response.
    Request = 3,
    /// An encoded reply.
    Reply = 4,
    /// An encoded call that wants none.
    OneWay = 5,
    /// The request is being carried out.
    Working = 6,
    /// The request was carried out; its answer is to be collected over TCP.
    TooLarge = 7,
    /// The request was, or may have been, carried out; its answer is not there any more.
    Lost = 8,
}

/// Two numbers that only the two ends of a session know: whoever names both has received at its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct SessionId {
    /// Counts up at the side that answers; 0 in an introduction.
    pub(super) number: u64,
    /// Proves that the number was received at the source address.
    pub(super) cookie: u64,
}

/// The header of one datagram. What answers repeats session, slot, sequence and attempt of what it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) kind: PacketKind,
    /// The place of the request in the session; in an offer, how many places there are.
    pub(super) slot: u16,
    pub(super) session: SessionId,
    /// Tells requests of one slot apart; grows. For one-way messages a count of its own.
    pub(super) sequence: u64,
    /// 0 at the first try.
    pub(super) attempt: u16,
    /// Milliseconds the sender still waits; 0 in what answers.
    pub(super) left_ms: u32,
}

/// Why a datagram was dropped.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum PacketError {
    #[error("{0} bytes: must be between {HEADER_LEN} and {DATAGRAM_MAX}")]
    Length(usize),
    #[error("begins with {0:#06x}, not with {MAGIC:#06x}")]
    Magic(u16),
    #[error("protocol version {0}")]
    Version(u8),
    #[error("checksum")]
    Checksum,
    #[error("for another cluster_name")]
    Cluster,
    #[error("kind {0} is unknown")]
    Kind(u8),
    #[error("{payload} bytes of payload said to be in a datagram of {len}")]
    Payload { payload: usize, len: usize },
    #[error("asks in {0} bytes, must be at least {ASKING_LEN_MIN}")]
    Short(usize),
    #[error("is sealed with an unknown key")]
    Key,
    #[error("the seal is broken")]
    Seal,
    #[error("came before, or too late to tell")]
    Replayed,
}

impl PacketError {
    /// What it is, of whoever sent it.
    pub(super) const fn kind(&self) -> Misbehaviour {
        match self {
            Self::Length(len) if *len > DATAGRAM_MAX => Misbehaviour::Oversize,
            Self::Magic(_) | Self::Version(_) | Self::Cluster => Misbehaviour::Foreign,
            _ => Misbehaviour::Malformed,
        }
    }
}

/// How the nodes of one cluster write datagrams.
#[derive(Clone, Debug)]
pub(super) struct Format {
    /// Stands for the cluster's name.
    cluster: u32,
}

/// One encoded datagram.
pub(super) struct Datagram {
    bytes: [u8; DATAGRAM_MAX],
    len: usize,
}

impl Format {
    pub(super) fn new(cluster_name: &str) -> Self {
        Self { cluster: crc32fast::hash(cluster_name.as_bytes()) }
    }

    /// The datagram with that header and payload; `None` if the payload has more than [`PAYLOAD_MAX`] bytes.
    pub(super) fn encode(&self, header: &Header, payload: &[u8]) -> Option<Datagram> {
        let mut bytes = [0; DATAGRAM_MAX];
        let (front, back) = bytes.split_first_chunk_mut::<HEADER_LEN>()?;
        back.get_mut(..payload.len())?.copy_from_slice(payload);
        *front = self.front(header, u16::try_from(payload.len()).ok()?);
        let len = HEADER_LEN.saturating_add(payload.len());
        let len = if header.kind.asks() { len.max(ASKING_LEN_MIN) } else { len };
        let mut datagram = Datagram { bytes, len };
        let crc = checksum(datagram.as_bytes());
        if let Some(field) = datagram.bytes.get_mut(4..8) {
            field.copy_from_slice(&crc.to_be_bytes());
        }
        Some(datagram)
    }

    /// Header and payload of a datagram, all of it checked.
    pub(super) fn decode<'a>(&self, datagram: &'a [u8]) -> Result<(Header, &'a [u8]), PacketError> {
        let len = datagram.len();
        let (front, rest) = datagram.split_first_chunk::<HEADER_LEN>().ok_or(PacketError::Length(len))?;
        if len > DATAGRAM_MAX {
            return Err(PacketError::Length(len));
        }
        // As long as what is read from it.
        let mut fields = front.as_slice();
        let (magic, version, kind) = (fields.get_u16(), fields.get_u8(), fields.get_u8());
        let (crc, cluster, payload) = (fields.get_u32(), fields.get_u32(), usize::from(fields.get_u16()));
        if magic != MAGIC {
            return Err(PacketError::Magic(magic));
        }
        if !(PROTOCOL_VERSION_MIN..=PROTOCOL_VERSION).contains(&version) {
            return Err(PacketError::Version(version));
        }
        if crc != checksum(datagram) {
            return Err(PacketError::Checksum);
        }
        if cluster != self.cluster {
            return Err(PacketError::Cluster);
        }
        let kind = PacketKind::from_number(kind).ok_or(PacketError::Kind(kind))?;
        if kind.asks() && len < ASKING_LEN_MIN {
            return Err(PacketError::Short(len));
        }
        let payload = rest.get(..payload).ok_or(PacketError::Payload { payload, len })?;
        let slot = fields.get_u16();
        let session = SessionId { number: fields.get_u64(), cookie: fields.get_u64() };
        let (sequence, attempt) = (fields.get_u64(), fields.get_u16());
        fields.advance(RESERVED_LEN);
        let header = Header { kind, slot, session, sequence, attempt, left_ms: fields.get_u32() };
        Ok((header, payload))
    }

    /// Makes magic, version, cluster and checksum of a datagram right, whatever else is in it.
    #[cfg(feature = "fuzzing")]
    pub(super) fn seal(&self, datagram: &mut [u8]) {
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(field) = datagram.get_mut(at..at.saturating_add(bytes.len())) {
                field.copy_from_slice(bytes);
            }
        };
        put(0, &MAGIC.to_be_bytes());
        put(2, &[PROTOCOL_VERSION]);
        put(8, &self.cluster.to_be_bytes());
        let crc = checksum(datagram);
        if let Some(field) = datagram.get_mut(4..8) {
            field.copy_from_slice(&crc.to_be_bytes());
        }
    }

    /// The header, its checksum 0.
    fn front(&self, header: &Header, payload_len: u16) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        // As long as what is written to it.
        let mut fields = bytes.as_mut_slice();
        fields.put_u16(MAGIC);
        fields.put_u8(PROTOCOL_VERSION);
        fields.put_u8(header.kind as u8);
        fields.put_u32(0);
        fields.put_u32(self.cluster);
        fields.put_u16(payload_len);
        fields.put_u16(header.slot);
        fields.put_u64(header.session.number);
        fields.put_u64(header.session.cookie);
        fields.put_u64(header.sequence);
        fields.put_u16(header.attempt);
        fields.put_bytes(0, RESERVED_LEN);
        fields.put_u32(header.left_ms);
        bytes
    }
}

impl Header {
    /// Wants a session; `nonce` is to be told back.
    pub(super) fn introduction(nonce: u64, attempt: u16) -> Self {
        let session = SessionId { number: 0, cookie: nonce };
        Self { kind: PacketKind::Introduce, slot: 0, session, sequence: 0, attempt, left_ms: 0 }
    }

    /// Answers this, for the same attempt.
    pub(super) fn answered(self, kind: PacketKind) -> Self {
        Self { kind, left_ms: 0, ..self }
    }
}

impl Datagram {
    /// The first `len` of these bytes.
    pub(super) fn of(bytes: [u8; DATAGRAM_MAX], len: usize) -> Self {
        Self { bytes, len }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl PacketKind {
    /// Comes from a source that may not be proven yet.
    const fn asks(self) -> bool {
        matches!(self, Self::Introduce | Self::Request | Self::OneWay)
    }
}

impl SessionId {
    /// The payload of an offer.
    pub(super) fn encode(self) -> [u8; OFFER_LEN] {
        (u128::from(self.number) << 64 | u128::from(self.cookie)).to_be_bytes()
    }

    /// Reads an offer's payload.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let both = u128::from_be_bytes(payload.try_into().ok()?);
        Some(Self { number: (both >> 64) as u64, cookie: both as u64 })
    }
}

/// CRC-32 of everything but the checksum's own four bytes.
fn checksum(datagram: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(datagram.get(..4).unwrap_or_default());
    hasher.update(datagram.get(8..).unwrap_or_default());
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn header() -> impl Strategy<Value = Header> {
        (1_u8..=8, any::<(u16, u64, u64, u64, u16, u32)>()).prop_map(
            |(kind, (slot, number, cookie, sequence, attempt, left_ms))| Header {
                kind: PacketKind::from_number(kind).expect("numbers without gaps"),
                slot,
                session: SessionId { number, cookie },
                sequence,
                attempt,
                left_ms,
            },
        )
    }

    fn format() -> Format {
        Format::new("test")
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(header in header(), payload in vec(any::<u8>(), 0..=PAYLOAD_MAX)) {
            let datagram = format().encode(&header, &payload).expect("short enough");
            prop_assert!(datagram.as_bytes().len() <= DATAGRAM_MAX);
            prop_assert!(!header.kind.asks() || datagram.as_bytes().len() >= ASKING_LEN_MIN);
            prop_assert_eq!(format().decode(datagram.as_bytes()), Ok((header, &payload[..])));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..1_300)) {
            prop_assert!(format().decode(&bytes).is_err());
        }

        #[test]
        fn a_changed_bit_is_noticed(header in header(), payload in vec(any::<u8>(), 0..100), bit in any::<usize>()) {
            let datagram = format().encode(&header, &payload).expect("short enough");
            let mut bytes = datagram.as_bytes().to_vec();
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(format().decode(&bytes).is_err());
        }

        #[test]
        fn with_a_true_checksum_any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), HEADER_LEN..1_200)) {
            let mut bytes = bytes;
            let written = format().encode(&Header::introduction(1, 2), &[]).expect("short");
            bytes[..3].copy_from_slice(&written.as_bytes()[..3]);
            bytes[8..12].copy_from_slice(&written.as_bytes()[8..12]);
            let crc = checksum(&bytes);
            bytes[4..8].copy_from_slice(&crc.to_be_bytes());
            if let Ok((_, payload)) = format().decode(&bytes) {
                prop_assert!(payload.len() <= bytes.len() - HEADER_LEN);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let header = Header::introduction(1, 0);
        assert!(format().encode(&header, &[0; PAYLOAD_MAX + 1]).is_none());
        let datagram = format().encode(&header, &[7; 20]).expect("short");
        let bytes = datagram.as_bytes();
        assert_eq!(Format::new("other").decode(bytes), Err(PacketError::Cluster));
        assert_eq!(format().decode(&bytes[..40]), Err(PacketError::Length(40)));
        assert_eq!(format().decode(&[0; 1_201]), Err(PacketError::Length(1_201)));
        assert_eq!(format().decode(&[0; 48]), Err(PacketError::Magic(0)));
        let forged = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = bytes.to_vec();
            change(&mut bytes);
            let crc = checksum(&bytes);
            bytes[4..8].copy_from_slice(&crc.to_be_bytes());
            format().decode(&bytes).map(|_| ()).expect_err("forged")
        };
        assert_eq!(forged(&|bytes| bytes[2] = 9), PacketError::Version(9));
        assert_eq!(forged(&|bytes| bytes[3] = 99), PacketError::Kind(99));
        assert_eq!(forged(&|bytes| bytes[13] = 21), PacketError::Payload { payload: 21, len: 68 });
        assert_eq!(forged(&|bytes| bytes.truncate(63)), PacketError::Short(63));
    }
}
