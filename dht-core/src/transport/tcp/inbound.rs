//! Cuts a byte stream into frames.
//!
//! Small frames are copied out of a reused buffer: a value that is kept then pins its own frame, not a buffer full of
//! others. Large ones are read straight into a buffer of their own, which grows with what has arrived and not with
//! what the header promises: at most twice the bytes received plus 64 KiB.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::panic,
        clippy::unreachable
    )
)]

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::wire::error::WireError;
use crate::wire::frame::{HEADER_LEN, Header};

/// What the buffer starts with whenever bytes come after a pause.
const BUFFER_LEN_MIN: usize = 4 << 10;

/// The buffer of a busy one: about a hundred calls per system call, yet small enough to stay in the cache.
const BUFFER_LEN_MAX: usize = 64 << 10;

/// Payloads above this are read into their own buffer.
const COPIED_LEN_MAX: usize = 16 << 10;

/// What a large payload's buffer starts with, and grows by at least.
const GROWTH_MIN: usize = 64 << 10;

/// After so many reads in a row that used less than a quarter of it, the buffer is made small again.
const QUIET_READS: u32 = 256;

/// The receiving end's buffers.
pub(super) struct FrameReader {
    buffer: BytesMut,
    /// Bytes that the buffer should have room for.
    size: usize,
    quiet_reads: u32,
    /// A large payload under way.
    large: Option<(Header, BytesMut)>,
    len_max: usize,
}

impl FrameReader {
    /// Refuses payloads of more than `len_max` bytes.
    pub(super) fn new(len_max: usize) -> Self {
        Self { buffer: BytesMut::new(), size: BUFFER_LEN_MIN, quiet_reads: 0, large: None, len_max }
    }

    /// Changes the bound: once the peer is known, and when the ring allows more.
    pub(super) fn set_len_max(&mut self, len_max: usize) {
        self.len_max = len_max;
    }

    /// The next whole frame among the bytes read so far, checksums verified; `None` if more must be read. After an
    /// error the stream has lost its place.
    pub(super) fn next(&mut self) -> Result<Option<(Header, Bytes)>, WireError> {
        if let Some((header, payload)) = self.large.take_if(|(header, bytes)| bytes.len() >= len_of(header)) {
            header.check_payload(&payload)?;
            return Ok(Some((header, payload.freeze())));
        }
        if self.large.is_some() {
            return Ok(None);
        }
        let Some(front) = self.buffer.first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let header = Header::decode(front, self.len_max)?;
        let len = len_of(&header);
        if len > COPIED_LEN_MAX {
            self.buffer.advance(HEADER_LEN);
            let here = self.buffer.get(..len).unwrap_or(&self.buffer);
            let mut payload = BytesMut::with_capacity(len.min(here.len().saturating_add(GROWTH_MIN)));
            payload.extend_from_slice(here);
            self.buffer.advance(payload.len());
            let whole = payload.len() == len;
            self.large = Some((header, payload));
            return if whole { self.next() } else { Ok(None) };
        }
        let end = HEADER_LEN.saturating_add(len);
        let Some(payload) = self.buffer.get(HEADER_LEN..end) else { return Ok(None) };
        header.check_payload(payload)?;
        let payload = Bytes::copy_from_slice(payload);
        self.buffer.advance(end);
        Ok(Some((header, payload)))
    }

    /// Whose large payload is under way; 0: nobody's.
    pub(super) fn large_id(&self) -> u64 {
        self.large.as_ref().map_or(0, |(header, _)| header.request_id)
    }

    /// Gives the buffer back, if nothing is in it, until there is something to read. Of most connections of a large ring
    /// nothing comes for seconds.
    pub(super) fn rest(&mut self) -> bool {
        let empty = self.buffer.is_empty() && self.large.is_none();
        if empty {
            (self.buffer, self.size, self.quiet_reads) = (BytesMut::new(), BUFFER_LEN_MIN, 0);
        }
        empty
    }

    /// Waits for more bytes; 0 at the end of the stream. Dropping the future loses nothing.
    pub(super) async fn fill(&mut self, source: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        if let Some((header, payload)) = &mut self.large {
            let missing = len_of(header).saturating_sub(payload.len());
            if payload.capacity() == payload.len() {
                payload.reserve(missing.min(payload.len().max(GROWTH_MIN)));
            }
            return source.read_buf(&mut payload.limit(missing)).await;
        }
        self.make_room();
        let room = self.buffer.capacity().saturating_sub(self.buffer.len());
        let read = source.read_buf(&mut self.buffer).await?;
        if read >= room {
            self.size = self.size.saturating_mul(2).min(BUFFER_LEN_MAX);
        }
        self.quiet_reads = if read < self.size / 4 { self.quiet_reads.saturating_add(1) } else { 0 };
        Ok(read)
    }

    fn make_room(&mut self) {
        if self.buffer.is_empty() && self.quiet_reads >= QUIET_READS && self.size > BUFFER_LEN_MIN {
            self.size = BUFFER_LEN_MIN;
            self.quiet_reads = 0;
            self.buffer = BytesMut::with_capacity(self.size);
        }
        let room = self.buffer.capacity().saturating_sub(self.buffer.len());
        // A frame that has begun must fit in whole, whatever the buffer's size.
        let wanted = if self.buffer.is_empty() { self.size } else { self.size.max(HEADER_LEN + COPIED_LEN_MAX) };
        if room < self.size / 2 || self.buffer.is_empty() && room < self.size {
            self.buffer.reserve(wanted);
        }
    }
}

/// For the fuzz targets: the frames in `bytes`, read as if `step` of them arrived at a time, and what ended it.
#[cfg(feature = "fuzzing")]
pub async fn cut_frames(bytes: &[u8], step: usize, len_max: usize) -> (Vec<(Header, Bytes)>, Option<WireError>) {
    let mut reader = FrameReader::new(len_max);
    let mut frames = Vec::new();
    for mut part in bytes.chunks(step.max(1)) {
        while !part.is_empty() {
            if reader.fill(&mut part).await.is_err() {
                return (frames, None);
            }
            loop {
                match reader.next() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
    }
    (frames, None)
}

fn len_of(header: &Header) -> usize {
    header.payload_len as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::FrameKind;

    fn frame(id: u64, payload: &[u8]) -> Vec<u8> {
        let header = Header::of(FrameKind::Request, id, payload, usize::MAX).expect("short");
        [&header.encode()[..], payload].concat()
    }

    /// Gives at most `step` bytes per read.
    struct Dribble<'a>(&'a [u8], usize);

    impl AsyncRead for Dribble<'_> {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            into: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            let (now, rest) = self.0.split_at(self.0.len().min(self.1).min(into.remaining()));
            into.put_slice(now);
            self.0 = rest;
            std::task::Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn frames_of_all_lengths_come_out_whole_however_they_arrive() {
        let lens = [0, 1, 100, 4_072, 4_073, COPIED_LEN_MAX, COPIED_LEN_MAX + 1, 70_000, 300_000, 5, 0];
        let payloads: Vec<Vec<u8>> =
            lens.iter().enumerate().map(|(i, &len)| (0..len).map(|j| (i * 31 + j) as u8).collect()).collect();
        let stream: Vec<u8> = payloads.iter().enumerate().flat_map(|(i, p)| frame(i as u64, p)).collect();
        for step in [7, 1_000, 65_536, usize::MAX] {
            let (mut source, mut reader) = (Dribble(&stream, step), FrameReader::new(300_000));
            let mut seen = 0;
            loop {
                while let Some((header, payload)) = reader.next().expect("well formed") {
                    assert_eq!((header.request_id, &payload[..]), (seen as u64, &payloads[seen][..]), "step {step}");
                    seen += 1;
                }
                if reader.fill(&mut source).await.expect("no error") == 0 {
                    break;
                }
            }
            assert_eq!(seen, lens.len(), "step {step}");
        }
    }

    #[tokio::test]
    async fn a_promise_of_much_allocates_little() {
        let mut bytes = frame(1, &vec![0; 10 << 20]);
        bytes.truncate(HEADER_LEN + 100);
        let (mut source, mut reader) = (Dribble(&bytes, usize::MAX), FrameReader::new(16 << 20));
        while reader.fill(&mut source).await.expect("no error") > 0 {
            assert_eq!(reader.next(), Ok(None));
        }
        let (_, payload) = reader.large.as_ref().expect("a payload under way");
        assert!(payload.capacity() <= 200 + GROWTH_MIN, "{}", payload.capacity());
    }

    #[tokio::test]
    async fn what_exceeds_the_bound_or_has_changed_is_refused() {
        for (bytes, len_max) in [(frame(1, &[7; 101]), 100), (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 100)] {
            let mut reader = FrameReader::new(len_max);
            reader.fill(&mut &bytes[..]).await.expect("no error");
            assert!(reader.next().is_err());
        }
        let mut bytes = frame(1, &[7; 100]);
        bytes[HEADER_LEN + 50] ^= 1;
        let mut reader = FrameReader::new(100);
        reader.fill(&mut &bytes[..]).await.expect("no error");
        assert!(matches!(reader.next(), Err(WireError::Checksum { .. })));
    }
}
