//! The bytes of a snapshot file.
//!
//! ```text
//! file   | magic, 8 | version, 2 | origin block | records block … | end block |          numbers big-endian
//! block  | kind, 1 | len, 4 | crc32 of the payload, 4 | crc32 of these 9 bytes, 4 | payload, len |
//! end    | records, 8 | blocks before it, 8 | crc32 of all heads before it, 4 |
//! ```
//! The head has a checksum of its own because its length is believed before the payload is there; the end has one of all
//! heads, so that no block can be missing, twice or from another snapshot. Nothing follows the end.

use std::io::{Read, Write};

use bytes::{Buf, BufMut, Bytes};

use crate::data::record::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::slot::Slot;
use crate::wire::snapshot::{Origin, decode_records, encode_records};

const MAGIC: [u8; 8] = *b"\x89DHTSNAP";
const VERSION: u16 = 1;
const HEAD_LEN: usize = 13;
const END_LEN: usize = 20;

const ORIGIN: u8 = 1;
const RECORDS: u8 = 2;
const END: u8 = 3;

/// The longest payload: a record of the largest key and value, and what surrounds it.
const BLOCK_LEN_MAX: usize = (1 << 30) + (2 << 20);

/// Writes a snapshot, block by block.
pub(super) struct Writer<W> {
    out: W,
    bytes: u64,
    records: u64,
    blocks: u64,
    heads: crc32fast::Hasher,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(mut out: W, origin: &Origin) -> Result<Self> {
        let mut front = MAGIC.to_vec();
        front.put_u16(VERSION);
        out.write_all(&front).map_err(written)?;
        let bytes = front.len() as u64;
        let mut writer = Self { out, bytes, records: 0, blocks: 0, heads: crc32fast::Hasher::new() };
        writer.block(ORIGIN, &origin.encode())?;
        Ok(writer)
    }

    /// At most `BLOCK_ITEMS_MAX` records.
    pub(super) fn records(&mut self, items: &[(Slot, Record)]) -> Result<()> {
        self.records += items.len() as u64;
        self.block(RECORDS, &encode_records(items))
    }

    /// What was written to, records and bytes.
    pub(super) fn finish(mut self) -> Result<(W, u64, u64)> {
        let mut end = Vec::with_capacity(END_LEN);
        end.put_u64(self.records);
        end.put_u64(self.blocks);
        end.put_u32(self.heads.clone().finalize());
        self.block(END, &end)?;
        self.out.flush().map_err(written)?;
        Ok((self.out, self.records, self.bytes))
    }

    fn block(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        let too_long = |_| Error::new(ErrorKind::Internal, "a block longer than any record");
        let mut head = Vec::with_capacity(HEAD_LEN);
        head.put_u8(kind);
        head.put_u32(u32::try_from(payload.len()).map_err(too_long)?);
        head.put_u32(crc32fast::hash(payload));
        head.put_u32(crc32fast::hash(&head));
        self.heads.update(&head);
        self.blocks += 1;
        self.bytes += (head.len() + payload.len()) as u64;
        self.out.write_all(&head).and_then(|()| self.out.write_all(payload)).map_err(written)
    }
}

/// Reads a snapshot, block by block, and believes nothing of it.
pub(super) struct Reader<R> {
    input: R,
    /// Bytes that the file still has.
    left: u64,
    records: u64,
    blocks: u64,
    heads: crc32fast::Hasher,
}

impl<R: Read> Reader<R> {
    /// `len`: bytes that `input` has.
    ///
    /// # Errors
    /// `InvalidArgument` if it is no snapshot, `Storage` if it cannot be read, is damaged or of a newer release.
    pub(super) fn new(input: R, len: u64) -> Result<(Self, Origin)> {
        let mut reader = Self { input, left: len, records: 0, blocks: 0, heads: crc32fast::Hasher::new() };
        let no_snapshot = || Error::new(ErrorKind::InvalidArgument, "the file is no snapshot");
        if len < MAGIC.len() as u64 {
            return Err(no_snapshot());
        }
        if reader.take(MAGIC.len())? != MAGIC[..] {
            return Err(no_snapshot());
        }
        let version = reader.take(2)?.get_u16();
        if version != VERSION {
            let context = format!("the snapshot has format {version}, this release reads {VERSION}");
            return Err(Error::new(ErrorKind::Storage, context));
        }
        match reader.block()? {
            (ORIGIN, payload) => {
                let origin = Origin::decode(payload).map_err(|error| damaged(&error.to_string()))?;
                Ok((reader, origin))
            }
            (kind, _) => Err(damaged(&format!("it begins with a block of kind {kind}"))),
        }
    }

    /// The next records; `None` after the last, when all of the file was as it was written.
    ///
    /// # Errors
    /// `Storage` if it cannot be read or is damaged.
    pub(super) fn next(&mut self) -> Result<Option<Vec<(Slot, Record)>>> {
        let before = (self.records, self.blocks, self.heads.clone().finalize());
        match self.block()? {
            (RECORDS, payload) => {
                let items = decode_records(payload).map_err(|error| damaged(&error.to_string()))?;
                self.records += items.len() as u64;
                Ok(Some(items))
            }
            (END, mut end) if end.len() == END_LEN => {
                if (end.get_u64(), end.get_u64(), end.get_u32()) != before {
                    return Err(damaged("a block is missing, or there is one too many"));
                }
                if self.left > 0 {
                    return Err(damaged("something follows its end"));
                }
                Ok(None)
            }
            (kind, payload) => Err(damaged(&format!("a block of kind {kind} and {} bytes", payload.len()))),
        }
    }

    pub(super) fn record_count(&self) -> u64 {
        self.records
    }

    fn block(&mut self) -> Result<(u8, Bytes)> {
        let head = self.take(HEAD_LEN)?;
        let mut fields = head.clone();
        let (kind, len, crc) = (fields.get_u8(), fields.get_u32(), fields.get_u32());
        if fields.get_u32() != crc32fast::hash(&head[..HEAD_LEN - 4]) {
            return Err(damaged("the head of a block has a wrong checksum"));
        }
        self.heads.update(&head);
        self.blocks += 1;
        let payload = self.take(len as usize)?;
        if crc32fast::hash(&payload) != crc {
            return Err(damaged("a block has a wrong checksum"));
        }
        Ok((kind, payload))
    }

    /// The next `len` bytes, which are only allocated if the file has them.
    fn take(&mut self, len: usize) -> Result<Bytes> {
        if len as u64 > self.left || len > BLOCK_LEN_MAX {
            return Err(damaged("it ends too early"));
        }
        let mut bytes = vec![0; len];
        self.input.read_exact(&mut bytes).map_err(|error| {
            Error::new(ErrorKind::Storage, format!("the snapshot cannot be read: {error}")).with_source(error)
        })?;
        self.left -= len as u64;
        Ok(bytes.into())
    }
}

fn written(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("the snapshot cannot be written: {error}")).with_source(error)
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Storage, format!("the snapshot is damaged: {what}"))
}
