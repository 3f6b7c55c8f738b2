//! The data file: redb tables, their format, and one transaction for each group of changes.
//!
//! | table | key | value |
//! |---|---|---|
//! | `records` | see `format.rs` | head, operations, short values |
//! | `values` | the same | values that lie apart |
//! | `slots` | number of the slot | `Summary` |
//! | `meta` | `format`, `slots`, `stamp`, `facts` | version of this format; slots of the ring; the highest stamp kept; what the node remembers |
//!
//! Commits are redb's two-phase ones with its allocator saved, so that a file that was not closed opens without a walk
//! over all of it. Only without fsync (`durability = "none"`) that cannot be trusted, and the walk is made.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::{
    Builder, Database, DatabaseError, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageBackend, StorageError,
    Table, TableDefinition,
};

use super::format::{self, Head, Summary};
use super::layer::{Change, Layer};
use crate::data::FixedMap;
use crate::data::record::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::slot::Slot;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const VALUES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("values");
const SLOTS: TableDefinition<'_, u32, &[u8; Summary::LEN]> = TableDefinition::new("slots");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Version of all this. A file of a higher one is refused.
const FORMAT: u32 = 1;

/// What a file begins with when redb has finished making it.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// An open data file.
pub(super) struct File {
    database: Database,
    /// Whether commits save the allocator: see the module.
    quick_repair: bool,
}

/// What a file tells when it is opened.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) summaries: FixedMap<Slot, Summary>,
    pub(super) stamp: u64,
    pub(super) facts: Option<Bytes>,
}

/// What is kept in a file.
pub(super) struct Layout {
    pub(super) slot_count: u32,
    pub(super) cache_bytes: usize,
    /// Commits are flushed to the disk.
    pub(super) synced: bool,
}

impl File {
    /// Opens the file that `backend` keeps, or makes it.
    ///
    /// # Errors
    /// `Storage`: the disk fails, the file is damaged or of a newer format. `Config`: it is of other slots. It is as it
    /// was then, but for a repair that every opening makes.
    pub(super) fn open(backend: Box<dyn StorageBackend>, layout: &Layout) -> Result<Opened> {
        contained(|| Self::open_or_panic(backend, layout))
    }

    fn open_or_panic(backend: Box<dyn StorageBackend>, layout: &Layout) -> Result<Opened> {
        begin_again(&*backend).map_err(|e| failed("read the data file", e.into()))?;
        let database = Builder::new()
            .set_cache_size(layout.cache_bytes)
            .create_with_backend(Backend(backend))
            .map_err(|error| failed("open the data file", error.into()))?;
        let file = Self { database, quick_repair: layout.synced };
        file.prepare(layout.slot_count)?;
        let read = |e: redb::Error| failed("read the data file", e);
        let transaction = file.database.begin_read().map_err(|e| read(e.into()))?;
        let meta = transaction.open_table(META).map_err(|e| read(e.into()))?;
        let stamp = meta.get("stamp").map_err(|e| read(e.into()))?.map(|bytes| number(bytes.value())).transpose()?;
        let facts = meta.get("facts").map_err(|e| read(e.into()))?.map(|bytes| Bytes::copy_from_slice(bytes.value()));
        let slots = transaction.open_table(SLOTS).map_err(|e| read(e.into()))?;
        let mut summaries = FixedMap::default();
        for row in slots.iter().map_err(|e| read(e.into()))? {
            let (slot, summary) = row.map_err(|e| read(e.into()))?;
            let slot = Slot(slot.value());
            if slot.0 >= layout.slot_count {
                return Err(format::damaged("a slot out of range"));
            }
            summaries.insert(slot, Summary::decode(summary.value()));
        }
        Ok(Opened { file, summaries, stamp: stamp.unwrap_or(0), facts })
    }

    /// Checks whose file it is; makes it ours if it is new.
    fn prepare(&self, slot_count: u32) -> Result<()> {
        let failed = |e: redb::Error| failed("prepare the data file", e);
        let mut transaction = self.database.begin_write().map_err(|e| failed(e.into()))?;
        transaction.set_quick_repair(self.quick_repair);
        let new = {
            let mut meta = transaction.open_table(META).map_err(|e| failed(e.into()))?;
            let present = |meta: &Table<'_, &str, &[u8]>, name: &str| -> Result<Option<u32>> {
                let bytes = meta.get(name).map_err(|e| failed(e.into()))?;
                bytes.map(|bytes| small_number(bytes.value())).transpose()
            };
            match present(&meta, "format")? {
                Some(FORMAT) => {
                    let theirs = present(&meta, "slots")?.ok_or_else(|| format::damaged("it names no slots"))?;
                    if theirs != slot_count {
                        let context = format!(
                            "the data file is of a ring with {theirs} slots, this configuration has {slot_count}: \
                             hash_bits and slot_bits must stay as they were"
                        );
                        return Err(Error::new(ErrorKind::Config, context));
                    }
                    false
                }
                Some(newer) => {
                    let context = format!(
                        "the data file has format {newer}, this release reads only {FORMAT}: use the release that wrote \
                         it, or another data_dir"
                    );
                    return Err(Error::new(ErrorKind::Storage, context));
                }
                None => {
                    for (name, value) in [("format", FORMAT), ("slots", slot_count)] {
                        meta.insert(name, &value.to_le_bytes()[..]).map_err(|e| failed(e.into()))?;
                    }
                    true
                }
            }
        };
        if !new {
            return transaction.abort().map_err(|e| failed(e.into()));
        }
        transaction.open_table(RECORDS).map_err(|e| failed(e.into()))?;
        transaction.open_table(VALUES).map_err(|e| failed(e.into()))?;
        transaction.open_table(SLOTS).map_err(|e| failed(e.into()))?;
        transaction.commit().map_err(|e| failed(e.into()))
    }

    /// Applies all of `layers`, whose slots are disjoint, in one transaction; durable when it returns.
    ///
    /// # Errors
    /// `Storage`. The file then holds all or nothing of it, and takes no more until it is opened again.
    pub(super) fn commit(&self, layers: &[Arc<Layer>], stamp: u64, facts: Option<&Bytes>) -> Result<()> {
        contained(|| self.commit_or_panic(layers, stamp, facts))
    }

    fn commit_or_panic(&self, layers: &[Arc<Layer>], stamp: u64, facts: Option<&Bytes>) -> Result<()> {
        let failed = |e: redb::Error| failed("write the data file", e);
        let mut transaction = self.database.begin_write().map_err(|e| failed(e.into()))?;
        transaction.set_quick_repair(self.quick_repair);
        {
            let mut records = transaction.open_table(RECORDS).map_err(|e| failed(e.into()))?;
            let mut values = transaction.open_table(VALUES).map_err(|e| failed(e.into()))?;
            for slot in layers.iter().flat_map(|layer| &layer.cleared) {
                let (begin, end) = format::slot_range(*slot);
                for table in [&mut records, &mut values] {
                    table.retain_in(begin.as_slice()..end.as_slice(), |_, _| false).map_err(|e| failed(e.into()))?;
                }
            }
            // In the order of the file: neighbours go to one page.
            let mut changes: Vec<_> = layers.iter().flat_map(|layer| &layer.changes).collect();
            changes.sort_unstable_by_key(|(key, _)| *key);
            for (key, change) in changes {
                let (apart_before, apart_after) = match change {
                    Change::Put(record) => {
                        let (bytes, apart) = format::encode(key, record)?;
                        let before = records.insert(&key[..], &bytes[..]).map_err(|e| failed(e.into()))?;
                        (before.is_some_and(|bytes| format::is_apart(bytes.value())), apart)
                    }
                    Change::Gone => {
                        let before = records.remove(&key[..]).map_err(|e| failed(e.into()))?;
                        (before.is_some_and(|bytes| format::is_apart(bytes.value())), None)
                    }
                };
                if let Some(value) = apart_after {
                    values.insert(&key[..], &value[..]).map_err(|e| failed(e.into()))?;
                } else if apart_before {
                    values.remove(&key[..]).map_err(|e| failed(e.into()))?;
                }
            }
            let mut slots = transaction.open_table(SLOTS).map_err(|e| failed(e.into()))?;
            for (slot, summary) in layers.iter().flat_map(|layer| &layer.summaries) {
                if summary.is_empty() {
                    slots.remove(slot.0).map_err(|e| failed(e.into()))?;
                } else {
                    slots.insert(slot.0, &summary.encode()).map_err(|e| failed(e.into()))?;
                }
            }
            let mut meta = transaction.open_table(META).map_err(|e| failed(e.into()))?;
            meta.insert("stamp", &stamp.to_le_bytes()[..]).map_err(|e| failed(e.into()))?;
            if let Some(facts) = facts {
                meta.insert("facts", &facts[..]).map_err(|e| failed(e.into()))?;
            }
        }
        transaction.commit().map_err(|e| failed(e.into()))
    }

    /// What the file holds now, whatever is committed later.
    pub(super) fn snapshot(&self) -> Result<Snapshot> {
        contained(|| {
            let failed = |e: redb::Error| failed("read the data file", e);
            let transaction = self.database.begin_read().map_err(|e| failed(e.into()))?;
            let records = transaction.open_table(RECORDS).map_err(|e| failed(e.into()))?;
            let values = transaction.open_table(VALUES).map_err(|e| failed(e.into()))?;
            Ok(Snapshot { records, values })
        })
    }
}

/// The file as it was at one commit.
pub(super) struct Snapshot {
    records: ReadOnlyTable<&'static [u8], &'static [u8]>,
    values: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Snapshot {
    /// The version of a key, without its value.
    pub(super) fn head(&self, key: &[u8]) -> Result<Option<Head>> {
        contained(|| {
            let found = self.records.get(key).map_err(|e| failed("read the data file", e.into()))?;
            found.map(|bytes| Head::decode(key, bytes.value()).map(|(head, _)| head)).transpose()
        })
    }

    pub(super) fn record(&self, key: &[u8]) -> Result<Option<Record>> {
        contained(|| {
            let found = self.records.get(key).map_err(|e| failed("read the data file", e.into()))?;
            found.map(|bytes| self.whole(key, bytes.value())).transpose()
        })
    }

    /// Calls `each` with the keys from `begin` to before `end` and what is kept there, until it says `false`.
    pub(super) fn walk(
        &self,
        (begin, end): (&[u8], &[u8]),
        mut each: impl FnMut(&[u8], &[u8]) -> Result<bool>,
    ) -> Result<()> {
        contained(|| {
            let failed = |e: redb::Error| failed("read the data file", e);
            for row in self.records.range(begin..end).map_err(|e| failed(e.into()))? {
                let (key, bytes) = row.map_err(|e| failed(e.into()))?;
                if !each(key.value(), bytes.value())? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The record that `bytes` begin, with its value.
    pub(super) fn whole(&self, key: &[u8], bytes: &[u8]) -> Result<Record> {
        let (head, len) = Head::decode(key, bytes)?;
        let value = if format::is_apart(bytes) {
            let apart = self.values.get(key).map_err(|e| failed("read the data file", e.into()))?;
            Bytes::copy_from_slice(apart.ok_or_else(|| format::damaged("a value is missing"))?.value())
        } else {
            Bytes::copy_from_slice(&bytes[len..])
        };
        head.into_record(key, value)
    }
}

/// redb holds a damaged file for impossible in places; to us it is an error like others.
fn contained<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(format::damaged("its structure does not hold")))
}

/// Longer than a file of redb's in which nothing was ever kept.
const NEW_FILE_MAX: u64 = 8 << 20;
/// What redb writes of a new file before its mark, and syncs: the header, with two empty commit slots.
const NEW_HEADER_LEN: u64 = 320;

/// A crash while the file was made leaves one without its mark, in which nothing was ever kept: it is made anew. One that is
/// longer than a new file, or has anything behind its header, has lost its beginning.
fn begin_again(backend: &dyn StorageBackend) -> io::Result<()> {
    let len = backend.len()?;
    let mut magic = [0; MAGIC.len()];
    if len >= MAGIC.len() as u64 {
        backend.read(0, &mut magic)?;
    }
    if len == 0 || magic != [0; MAGIC.len()] {
        return Ok(());
    }
    if len > NEW_FILE_MAX || !is_blank(backend, NEW_HEADER_LEN, len)? {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its first bytes are lost"));
    }
    backend.set_len(0)
}

/// There are zeros only from `begin` to `end`.
fn is_blank(backend: &dyn StorageBackend, begin: u64, end: u64) -> io::Result<bool> {
    let mut part = [0; 4096];
    let mut at = begin;
    while at < end {
        let part = &mut part[..(end - at).min(4096) as usize];
        backend.read(at, part)?;
        if part.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += part.len() as u64;
    }
    Ok(true)
}

fn number(bytes: &[u8]) -> Result<u64> {
    bytes.try_into().map(u64::from_le_bytes).map_err(|_| format::damaged("a number of another length"))
}

fn small_number(bytes: &[u8]) -> Result<u32> {
    bytes.try_into().map(u32::from_le_bytes).map_err(|_| format::damaged("a number of another length"))
}

/// The error of a redb call.
fn failed(what: &str, error: redb::Error) -> Error {
    let context = match &error {
        redb::Error::Corrupted(text) => return format::damaged(text).with_source(error),
        redb::Error::Io(io) if io.kind() == io::ErrorKind::InvalidData => {
            return format::damaged("it is no data file").with_source(error);
        }
        redb::Error::Io(io) if io.kind() == io::ErrorKind::StorageFull => {
            format!("cannot {what}: the disk is full; make room and start the node again")
        }
        _ => format!("cannot {what}: {error}; mend the disk and start the node again"),
    };
    Error::new(ErrorKind::Storage, context).with_source(error)
}

/// The data file at `path`, locked: made if it is not there, and then to be found after a crash.
///
/// # Errors
/// `Storage`, naming `path`: another node has it, or the disk refuses.
pub(super) fn locked(path: &Path, synced: bool) -> Result<Box<dyn StorageBackend>> {
    let refused = |error: io::Error| {
        let context = format!("cannot open {}: {error}", path.display());
        Error::new(ErrorKind::Storage, context).with_source(error)
    };
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(refused)?;
    let backend = match redb::backends::FileBackend::new(file) {
        Ok(backend) => backend,
        Err(DatabaseError::DatabaseAlreadyOpen) => {
            let dir = path.parent().unwrap_or(path);
            let context = format!("data_dir {} is in use by another node: give each node its own", dir.display());
            return Err(Error::new(ErrorKind::Storage, context));
        }
        Err(DatabaseError::Storage(StorageError::Io(error))) => return Err(refused(error)),
        Err(error) => return Err(failed("open the data file", error.into())),
    };
    if !synced {
        return Ok(Box::new(Unsynced(backend)));
    }
    #[cfg(unix)]
    if let Some(dir) = path.parent() {
        std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(refused)?;
    }
    Ok(Box::new(backend))
}

/// What is written reaches the disk when the system wants.
#[derive(Debug)]
struct Unsynced(redb::backends::FileBackend);

impl StorageBackend for Unsynced {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

/// redb wants a type of a known size.
struct Backend(Box<dyn StorageBackend>);

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}
