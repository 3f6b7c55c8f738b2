//! A byte stream, cut into frames by the reader of a connection.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use dht_core::transport::cut_frames;
use dht_core::wire::{FrameKind, HEADER_LEN, Header, WireError};

use crate::bytes_of::first;

const LEN_MAX: usize = 1 << 20;

/// The first byte says how many arrive at a time. However they arrive, the frames are the same; a header says its bytes
/// again, and a payload has its checksum.
pub(crate) fn frame(data: &[u8]) {
    let (step, stream) = first(data);
    let (frames, error) = cut(stream, usize::from(step));
    let (whole, same) = cut(stream, usize::MAX);
    assert_eq!((&frames, &error), (&whole, &same), "depends on how the bytes arrive");
    let mut at = 0;
    for (header, payload) in frames {
        let end = at + HEADER_LEN + payload.len();
        assert_eq!(stream[at..at + HEADER_LEN], header.encode(), "another header");
        assert_eq!(stream[at + HEADER_LEN..end], payload[..], "another payload");
        assert_eq!(header.check_payload(&payload), Ok(()));
        assert!(header.kind == FrameKind::Hello || header.version == dht_core::wire::PROTOCOL_VERSION);
        at = end;
    }
}

fn cut(stream: &[u8], step: usize) -> (Vec<(Header, Bytes)>, Option<WireError>) {
    let cutting = std::pin::pin!(cut_frames(stream, step, LEN_MAX));
    match cutting.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(cut) => cut,
        Poll::Pending => panic!("bytes in memory are there at once"),
    }
}
