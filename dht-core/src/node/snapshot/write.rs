//! A snapshot of a store in a file: whole under its name, or not there.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind as IoErrorKind, Write};
use std::path::{Path, PathBuf};

use super::format::Writer;
use crate::data::record::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::slot::Slot;
use crate::shapes::SnapshotInfo;
use crate::store::Store;
use crate::wire::snapshot::{BLOCK_ITEMS_MAX, Origin};

/// Keys and values of one block, about.
const BLOCK_BYTES: usize = 256 << 10;

/// What is done by a thread of its own.
pub(super) struct Job<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) origin: Origin,
    pub(super) path: PathBuf,
    /// Part of the name of the file while it is not whole.
    pub(super) nonce: u64,
}

/// Where the bytes go; a disk may fail at any of them.
pub(super) trait Sink: Write {
    fn sync(&mut self) -> std::io::Result<()>;
}

impl Sink for File {
    fn sync(&mut self) -> std::io::Result<()> {
        self.sync_all()
    }
}

impl Job<'_> {
    /// `go_on` is asked after every block.
    ///
    /// # Errors
    /// `InvalidArgument`: there is something at the path, or it names no file. `Storage`: the file cannot be written, or the
    /// store cannot be read. What `go_on` says. No file is left then.
    pub(super) fn run(&self, go_on: impl FnMut() -> Result<()>) -> Result<SnapshotInfo> {
        self.run_in(|file| Box::new(file), go_on)
    }

    pub(super) fn run_in(
        &self,
        sink: impl FnOnce(File) -> Box<dyn Sink>,
        go_on: impl FnMut() -> Result<()>,
    ) -> Result<SnapshotInfo> {
        let path = &self.path;
        let invalid = |why: &str| Error::new(ErrorKind::InvalidArgument, format!("{}: {why}", path.display()));
        let name = path.file_name().ok_or_else(|| invalid("this names no file"))?;
        // Only to say so before any work; what decides is the link below.
        if path.symlink_metadata().is_ok() {
            return Err(invalid("there is something already, and a snapshot overwrites nothing"));
        }
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{:016x}.tmp", self.nonce));
        let temporary = Temporary(dir.join(hidden));
        let file = owners_own(OpenOptions::new().write(true).create_new(true))
            .open(&temporary.0)
            .map_err(|error| failed(path, error))?;
        let mut out = BufWriter::with_capacity(BLOCK_BYTES, sink(file));
        let (records, bytes) = self.fill(&mut out, go_on).map_err(|error| named(path, error))?;
        out.flush().and_then(|()| out.get_mut().sync()).map_err(|error| failed(path, error))?;
        match publish(&temporary.0, path) {
            Ok(()) => {}
            Err(error) if error.kind() == IoErrorKind::AlreadyExists => {
                return Err(invalid("there is something by now, and a snapshot overwrites nothing"));
            }
            Err(error) => return Err(failed(path, error)),
        }
        drop(temporary);
        // The name is durable too.
        if let Err(error) = File::open(dir).and_then(|dir| dir.sync_all()) {
            let _ = std::fs::remove_file(path);
            return Err(failed(path, error));
        }
        Ok(SnapshotInfo { records, bytes })
    }

    fn fill(&self, out: &mut dyn Write, mut go_on: impl FnMut() -> Result<()>) -> Result<(u64, u64)> {
        let mut writer = Writer::new(out, &self.origin)?;
        let mut block: Vec<(Slot, Record)> = Vec::new();
        let mut bytes = 0;
        for slot in self.store.occupied()? {
            let keys: Vec<_> = self.store.versions(slot)?.into_iter().map(|(digest, _)| digest).collect();
            let mut rest = &keys[..];
            while !rest.is_empty() {
                let room = BLOCK_ITEMS_MAX - block.len();
                let part = &rest[..rest.len().min(room)];
                // What vanished meanwhile was evicted, or forgotten as a deletion, or handed over.
                let (records, dealt_with) = self.store.records(slot, part, BLOCK_BYTES - bytes)?;
                rest = &rest[dealt_with.clamp(1, part.len())..];
                bytes += records.iter().map(Record::payload_len).sum::<usize>();
                block.extend(records.into_iter().map(|record| (slot, record)));
                if block.len() >= BLOCK_ITEMS_MAX || bytes >= BLOCK_BYTES {
                    writer.records(&block)?;
                    block.clear();
                    bytes = 0;
                    go_on()?;
                }
            }
        }
        if !block.is_empty() {
            writer.records(&block)?;
        }
        go_on()?;
        writer.finish().map(|(_, records, bytes)| (records, bytes))
    }
}

/// What only nodes that know the key of the ring are told is for nobody else on this machine.
fn owners_own(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Gives the whole file its name, if nothing has it.
fn publish(temporary: &Path, path: &Path) -> std::io::Result<()> {
    match std::fs::hard_link(temporary, path) {
        Err(error) if error.kind() != IoErrorKind::AlreadyExists => {
            // A file system without links: the name is taken first, and then given over.
            OpenOptions::new().write(true).create_new(true).open(path)?;
            std::fs::rename(temporary, path).inspect_err(|_| {
                let _ = std::fs::remove_file(path);
            })
        }
        linked => linked,
    }
}

/// A file that goes away with this.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It may have its other name by now; what cannot be removed is for the owner of the directory.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("{}: {error}", path.display())).with_source(error)
}

fn named(path: &Path, error: Error) -> Error {
    Error::new(error.kind(), format!("{}: {}", path.display(), error.context())).with_source(error)
}
