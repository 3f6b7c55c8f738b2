use super::*;

const LEN_MAX: usize = 1 << 20;

fn header(kind: FrameKind) -> Header {
    Header::of(kind, 0x0102_0304_0506_0708, b"payload", LEN_MAX).unwrap()
}

/// Sets the header's own checksum right again after a change.
fn sealed(mut bytes: [u8; HEADER_LEN]) -> [u8; HEADER_LEN] {
    let crc = crc32fast::hash(&bytes[..CHECKED_LEN]).to_be_bytes();
    bytes[CHECKED_LEN..].copy_from_slice(&crc);
    bytes
}

#[test]
fn every_kind_round_trips_at_its_documented_offsets() {
    for (number, kind) in (1..).zip(FrameKind::ALL) {
        let header = header(*kind);
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes, LEN_MAX), Ok(header));
        assert_eq!(bytes[..8], [0xd4, 0x7a, 1, number, 0, 0, 0, 7]);
        assert_eq!(bytes[8..16], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(bytes[16..20], crc32fast::hash(b"payload").to_be_bytes());
    }
}

#[test]
fn any_flipped_bit_is_noticed() {
    let bytes = header(FrameKind::Request).encode();
    for bit in 0..HEADER_LEN * 8 {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Header::decode(&damaged, LEN_MAX).is_err(), "bit {bit}");
    }
    let header = header(FrameKind::Request);
    assert_eq!(header.check_payload(b"payload"), Ok(()));
    assert!(matches!(header.check_payload(b"paxload"), Err(WireError::Checksum { what: "payload", .. })));
}

#[test]
fn what_is_wrong_is_named() {
    let good = header(FrameKind::Request).encode();
    let with = |offset: usize, value: u8| {
        let mut bytes = good;
        bytes[offset] = value;
        sealed(bytes)
    };
    let text = |bytes: [u8; HEADER_LEN]| Header::decode(&bytes, LEN_MAX).unwrap_err().to_string();
    assert_eq!(text(*b"GET / HTTP/1.1\r\nHost: a."), "a frame begins with 0xd47a, not 0x4745");
    assert_eq!(text(with(2, 0)), "protocol version 0; this node speaks 1 to 1");
    assert_eq!(text(with(2, 2)), "protocol version 2; this node speaks 1 to 1");
    assert_eq!(text(with(3, 0)), "frame kind 0; kinds are 1 to 11");
    assert_eq!(text(with(3, 12)), "frame kind 12; kinds are 1 to 11");
    assert_eq!(text(with(4, 1)), "frame payload: 16777223 bytes, at most 1048576 are allowed");
    let mut unsealed = good;
    unsealed[7] = 8;
    assert!(text(unsealed).starts_with("the checksum of the frame header is 0x"));
}

#[test]
fn the_bound_is_inclusive_on_both_sides() {
    let header = Header::of(FrameKind::Request, 1, b"four", 4).unwrap();
    assert_eq!(Header::decode(&header.encode(), 4), Ok(header));
    let too_long = WireError::TooLong { what: "frame payload", len: 4, max: 3 };
    assert_eq!(Header::decode(&header.encode(), 3), Err(too_long.clone()));
    assert_eq!(Header::of(FrameKind::Request, 1, b"four", 3), Err(too_long));
}

#[test]
fn a_hello_of_any_version_is_read() {
    for version in [0, 2, 255] {
        let hello = Header { version, ..header(FrameKind::Hello) };
        assert_eq!(Header::decode(&hello.encode(), LEN_MAX), Ok(hello));
    }
}
