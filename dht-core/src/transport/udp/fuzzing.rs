//! What the fuzz targets need of datagrams: see `fuzz/README.md`.

use super::packet::{Format, HEADER_LEN, PacketKind, SessionId};

/// A datagram read and written again, if it is one.
pub fn datagram_again(cluster_name: &str, datagram: &[u8]) -> Option<Vec<u8>> {
    let format = Format::new(cluster_name);
    let (header, payload) = format.decode(datagram).ok()?;
    let again = format.encode(&header, payload)?;
    assert_eq!(format.decode(again.as_bytes()), Ok((header, payload)), "what was written is not what was read");
    Some(again.as_bytes().to_vec())
}

/// Number and cookie of the session that a datagram offers, if it does.
pub fn offered_session(cluster_name: &str, datagram: &[u8]) -> Option<[u8; 16]> {
    let (header, payload) = Format::new(cluster_name).decode(datagram).ok()?;
    let session = SessionId::decode(payload).filter(|_| header.kind == PacketKind::Offer)?;
    Some(session.encode())
}

/// Makes the parts of a header right that chance would never: magic, version, cluster and checksum. Other bytes stay.
pub fn seal_datagram(cluster_name: &str, datagram: &mut [u8]) {
    if datagram.len() >= HEADER_LEN {
        Format::new(cluster_name).seal(datagram);
    }
}
