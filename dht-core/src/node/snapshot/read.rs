//! Reading a snapshot file: all of it is looked at before anything of it is given away.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;

use super::format::Reader;
use crate::data::record::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::snapshot::Origin;

/// What a ring takes.
pub(super) struct Accepts {
    pub(super) cluster: String,
    pub(super) max_key_size: usize,
    pub(super) max_value_size: usize,
}

/// Checks the whole file, then calls `each` with its records, block by block; returns how many there are, and the bytes.
///
/// # Errors
/// `InvalidArgument`: it is no snapshot. `Storage`: it cannot be read, is damaged or of a newer release.
/// `IncompatibleRing`: it is of another cluster. `TooLarge`: a key or value exceeds the ring's bounds. With these `each` was
/// not called, unless the file changes meanwhile. What `each` says.
pub(super) fn read(
    path: &Path,
    accepts: &Accepts,
    mut each: impl FnMut(Vec<Record>) -> Result<()>,
) -> Result<(u64, u64)> {
    let named =
        |error: Error| Error::new(error.kind(), format!("{}: {}", path.display(), error.context())).with_source(error);
    let unreadable = |error: std::io::Error| {
        Error::new(ErrorKind::Storage, format!("{}: {error}", path.display())).with_source(error)
    };
    // Opening a pipe waits for a writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Error::new(ErrorKind::InvalidArgument, format!("{}: this is no file", path.display())));
    }
    // One file from here on, whatever becomes of the name.
    let mut file = File::open(path).map_err(unreadable)?;
    let len = file.metadata().map_err(unreadable)?.len();
    walk(&file, len, accepts, |_| Ok(())).map_err(named)?;
    file.rewind().map_err(unreadable)?;
    let mut given = Ok(());
    let walked = walk(&file, len, accepts, |records| {
        given = each(records);
        given.clone()
    });
    // What the receiver says is not about the file.
    given?;
    walked.map(|count| (count, len)).map_err(named)
}

fn walk(file: &File, len: u64, accepts: &Accepts, mut each: impl FnMut(Vec<Record>) -> Result<()>) -> Result<u64> {
    let (mut reader, origin) = Reader::new(BufReader::with_capacity(256 << 10, file), len)?;
    accepts.origin(&origin)?;
    while let Some(items) = reader.next()? {
        items.iter().try_for_each(|(_, record)| accepts.record(record))?;
        each(items.into_iter().map(|(_, record)| record).collect())?;
    }
    Ok(reader.record_count())
}

impl Accepts {
    fn origin(&self, origin: &Origin) -> Result<()> {
        if origin.cluster == self.cluster {
            return Ok(());
        }
        let (theirs, ours) = (&origin.cluster, &self.cluster);
        let context = format!("a snapshot of cluster_name {theirs:?}, this ring's is {ours:?}");
        Err(Error::new(ErrorKind::IncompatibleRing, context))
    }

    fn record(&self, record: &Record) -> Result<()> {
        let value_len = record.value.as_ref().map_or(0, |value| value.bytes.len());
        let (what, len, bound) = if record.key.len() > self.max_key_size {
            ("max_key_size", record.key.len(), self.max_key_size)
        } else if value_len > self.max_value_size {
            ("max_value_size", value_len, self.max_value_size)
        } else {
            return Ok(());
        };
        let context = format!("a key or value of {len} bytes is in the snapshot: {what} of this ring is {bound}");
        Err(Error::new(ErrorKind::TooLarge, context))
    }
}
