//! Snapshot files, of every engine: what is in them, what damage does, what a disk that fails leaves.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::read::{Accepts, read};
use super::write::{Job, Sink};
use crate::config::{Config, Durability};
use crate::data::record::{OpId, Record, Value, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::params::{RingParams, slot_count};
use crate::ring::record::RingId;
use crate::ring::slot::Slot;
use crate::store::{DiskStore, MemoryStore, Store};
use crate::wire::snapshot::Origin;

/// A directory that goes away with it.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("dht-snapshot-{}-{number}", std::process::id()));
        std::fs::create_dir(&dir).expect("a new directory");
        Self(dir)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("a directory");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("it can be removed");
    }
}

fn params() -> RingParams {
    RingParams::of(&Config::default())
}

fn origin() -> Origin {
    let (cluster, node_id) = ("default".to_owned(), "n".to_owned());
    Origin { cluster, ring_id: Some(RingId(7)), params: params(), node_id, taken_ms: 1 }
}

/// Every shape of a record; the long values make several blocks.
fn record(i: u64) -> Record {
    let value = match i % 4 {
        0 => None,
        1 => Some(Value::from_bytes(vec![i as u8; (i * 97 % 10_000) as usize])),
        2 => Some(Value::from_serialize(&i).expect("JSON")),
        _ => Some(Value::from_bytes(Vec::new())),
    };
    Record {
        map: (i % 2) as u32,
        key: format!("key-{i}").into(),
        value,
        version: Version { hlc: (1_000 + i) << 16, node: i, boot: 9 },
        expires_at_ms: if i.is_multiple_of(3) { 5_000 + i } else { 0 },
        operations: (0..i % 4).map(|n| OpId { origin: i, sequence: n }).collect(),
    }
}

fn fill(store: &dyn Store, count: u64) -> Vec<Record> {
    let mut all: Vec<Record> = (0..count).map(record).collect();
    for (i, record) in all.iter().enumerate() {
        store.merge(Slot(i as u32 % 50), record.clone()).expect("it takes it");
    }
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
}

/// Each engine, in a directory of its own.
fn engines(mut test: impl FnMut(&dyn Store, &Dir)) {
    let slots = slot_count(&Config::default()).expect("in range");
    let dir = Dir::new();
    test(&MemoryStore::new(slots), &dir);
    let dir = Dir::new();
    let disk = DiskStore::open(&dir.0.join("data"), slots, Durability::Interval, None).expect("it opens");
    test(&disk, &dir);
}

fn job<'a>(store: &'a dyn Store, path: &Path) -> Job<'a> {
    Job { store, origin: origin(), path: path.to_owned(), nonce: 5 }
}

fn accepts() -> Accepts {
    Accepts { cluster: "default".to_owned(), max_key_size: 4096, max_value_size: 16 << 20 }
}

/// The records of a file, ascending by key.
fn read_all(path: &Path) -> Result<Vec<Record>> {
    let mut all = Vec::new();
    read(path, &accepts(), |records| {
        all.extend(records);
        Ok(())
    })?;
    all.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(all)
}

#[test]
fn a_snapshot_has_every_record_as_it_was() {
    engines(|store, dir| {
        let path = dir.0.join("s");
        for count in [0, 1, 5_000] {
            let all = fill(store, count);
            let info = job(store, &path).run(|| Ok(())).expect("it is written");
            assert_eq!(info.records, count);
            assert_eq!(info.bytes, std::fs::metadata(&path).expect("it is there").len());
            assert_eq!(read_all(&path).expect("it is whole"), all);
            std::fs::remove_file(&path).expect("it is there");
        }
    });
}

/// Records change, come and go while it is written: what was there before and stayed is in it, at that version or above.
#[test]
fn a_snapshot_is_whole_while_the_store_is_written() {
    engines(|store, dir| {
        let before = fill(store, 3_000);
        let mut step = 0;
        let path = dir.0.join("s");
        let info = job(store, &path)
            .run(|| {
                for i in 0..300 {
                    let mut newer = record((step * 300 + i) % 3_000);
                    newer.version.hlc += 1 << 40;
                    store.merge(Slot(((step * 300 + i) % 3_000 % 50) as u32), newer)?;
                    let new = Record { key: format!("new-{step}-{i}").into(), ..record(i) };
                    store.merge(Slot(i as u32 % 50), new)?;
                }
                step += 1;
                Ok(())
            })
            .expect("it is written");
        assert!(step > 5, "{step} blocks are too few to see anything");
        let all = read_all(&path).expect("it is whole");
        assert_eq!(all.len() as u64, info.records);
        for record in before {
            let found = all.binary_search_by(|r| r.key.cmp(&record.key)).map(|at| &all[at]);
            assert!(found.is_ok_and(|found| found.version >= record.version), "{record:?}: {found:?}");
        }
    });
}

#[test]
fn a_snapshot_overwrites_nothing() {
    let (dir, store) = (Dir::new(), MemoryStore::new(64));
    let path = dir.0.join("s");
    std::fs::write(&path, "mine").expect("written");
    let error = job(&store, &path).run(|| Ok(())).expect_err("something is there");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(error.context().contains("overwrites nothing"), "{error}");
    // Also what comes there while it is written.
    let late = dir.0.join("late");
    let error =
        job(&store, &late).run(|| std::fs::write(&late, "yours").map_err(|e| panic!("{e}"))).expect_err("there");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert_eq!(
        (std::fs::read(&path).expect("there"), std::fs::read(&late).expect("there")),
        (b"mine".into(), b"yours".into())
    );
    for (path, kind) in [(dir.0.join("none/s"), ErrorKind::Storage), (PathBuf::from("/"), ErrorKind::InvalidArgument)] {
        let error = job(&store, &path).run(|| Ok(())).expect_err("no such directory, no file");
        assert_eq!(error.kind(), kind, "{error}");
    }
    let mut names = dir.names();
    names.sort();
    assert_eq!(names, ["late", "s"]);
}

/// Takes so many bytes, as a disk that is full then, or cannot sync.
struct Full {
    file: File,
    left: usize,
    syncs: bool,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.left == 0 && !bytes.is_empty() {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        let taken = self.file.write(&bytes[..bytes.len().min(self.left)])?;
        self.left -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Sink for Full {
    fn sync(&mut self) -> std::io::Result<()> {
        if self.syncs { self.file.sync_all() } else { Err(std::io::Error::other("the disk does not sync")) }
    }
}

#[test]
fn a_disk_that_fails_leaves_no_file() {
    let (dir, store) = (Dir::new(), MemoryStore::new(64));
    fill(&store, 2_000);
    let path = dir.0.join("s");
    let len = job(&store, &path).run(|| Ok(())).expect("it is written").bytes as usize;
    std::fs::remove_file(&path).expect("it is there");
    let attempt =
        |left: usize, syncs: bool| job(&store, &path).run_in(|file| Box::new(Full { file, left, syncs }), || Ok(()));
    for left in [0, 1, 10, 23, 1_000, len / 2, len - 34, len - 1] {
        let error = attempt(left, true).expect_err("the disk is full");
        assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
        assert_eq!(dir.names(), [""; 0], "after {left} of {len} bytes");
    }
    assert_eq!(attempt(len, false).expect_err("no sync").kind(), ErrorKind::Storage);
    assert_eq!(dir.names(), [""; 0]);
    // Nor does one that is given up.
    let stop = || Err(Error::new(ErrorKind::Cancelled, ""));
    assert_eq!(job(&store, &path).run(stop).expect_err("given up").kind(), ErrorKind::Cancelled);
    assert_eq!(dir.names(), [""; 0]);
    attempt(len, true).expect("it fits");
    assert_eq!(dir.names(), ["s"]);
}

/// Where each block begins, and the end.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let mut at = 10;
    let mut all = vec![0, 8, 10];
    while at < bytes.len() {
        let len = u32::from_be_bytes(bytes[at + 1..at + 5].try_into().expect("four")) as usize;
        all.extend([at + 13, at + 13 + len]);
        at += 13 + len;
    }
    all
}

/// Whatever is wrong with a file, it is a typed error, and nothing of it is given away.
#[test]
fn damage_is_noticed_before_anything_is_restored() {
    let (dir, store) = (Dir::new(), MemoryStore::new(64));
    fill(&store, 1_500);
    let path = dir.0.join("s");
    job(&store, &path).run(|| Ok(())).expect("it is written");
    let whole = std::fs::read(&path).expect("it is there");
    let blocks = boundaries(&whole);
    assert!(blocks.len() > 12, "{blocks:?}");
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).expect("written");
        let mut given = false;
        let error = read(&path, &accepts(), |_| {
            given = true;
            Ok(())
        })
        .expect_err(what);
        assert!(matches!(error.kind(), ErrorKind::Storage | ErrorKind::InvalidArgument), "{what}: {error}");
        assert!(!given, "{what}: {error}");
        error
    };
    for &at in &blocks {
        for cut in [at.saturating_sub(1), at, at + 1] {
            if cut < whole.len() {
                refused(&whole[..cut], &format!("cut at {cut}"));
            }
        }
        if at < whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                refused(&flipped, &format!("bit {bit} of {at}"));
            }
        }
    }
    // Blocks left out, twice, or exchanged.
    let block = |i: usize| blocks[2 + 2 * i]..blocks[4 + 2 * i];
    let (first, second) = (block(1), block(2));
    refused(&[&whole[..first.start], &whole[first.end..]].concat(), "a block less");
    refused(&[&whole[..first.end], &whole[first.start..]].concat(), "a block twice");
    let exchanged = [&whole[..first.start], &whole[second.clone()], &whole[first], &whole[second.end..]].concat();
    refused(&exchanged, "blocks exchanged");
    refused(&[&whole[..], &whole[..]].concat(), "two in one");
    let error = refused(&[&whole[..8], &[0, 2], &whole[10..]].concat(), "a later release's");
    assert!(error.context().contains("format 2"), "{error}");
    assert_eq!(refused(b"", "empty").kind(), ErrorKind::InvalidArgument);
    assert_eq!(refused(b"something else entirely", "another file").kind(), ErrorKind::InvalidArgument);
    let mut random = 88_172_645_463_325_252_u64;
    for _ in 0..3_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut changed = whole.clone();
        let at = random as usize % changed.len();
        changed[at] ^= (random >> 32) as u8 | 1;
        refused(&changed, &format!("byte {at}"));
    }
    std::fs::write(&path, &whole).expect("written");
    assert_eq!(read_all(&path).expect("it is whole again").len(), 1_500);
}

#[test]
fn what_does_not_fit_the_ring_is_refused() {
    let (dir, store) = (Dir::new(), MemoryStore::new(64));
    fill(&store, 200);
    let path = dir.0.join("s");
    job(&store, &path).run(|| Ok(())).expect("it is written");
    let given = |accepts: Accepts| read(&path, &accepts, |_| panic!("nothing is given")).expect_err("it does not fit");
    let error = given(Accepts { cluster: "other".to_owned(), ..accepts() });
    assert_eq!(error.kind(), ErrorKind::IncompatibleRing);
    assert!(error.context().contains("\"default\"") && error.context().contains("\"other\""), "{error}");
    for (accepts, name) in [
        (Accepts { max_key_size: 5, ..accepts() }, "max_key_size of this ring is 5"),
        (Accepts { max_value_size: 99, ..accepts() }, "max_value_size of this ring is 99"),
    ] {
        let error = given(accepts);
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.context().contains(name), "{error}");
    }
    assert_eq!(read_all(&dir.0).expect_err("a directory").kind(), ErrorKind::InvalidArgument);
    assert_eq!(read_all(&dir.0.join("none")).expect_err("not there").kind(), ErrorKind::Storage);
}

/// Opening a pipe waits for a writer, which nobody may be.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_without_waiting_for_it() {
    let dir = Dir::new();
    let pipe = dir.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("it is there").success());
    let (tell, told) = std::sync::mpsc::channel();
    for path in [pipe, dir.0.clone()] {
        let tell = tell.clone();
        #[expect(clippy::disallowed_methods, reason = "it may wait for ever")]
        std::thread::spawn(move || tell.send(read_all(&path).expect_err("it is no file")));
        let error = told.recv_timeout(std::time::Duration::from_secs(20)).expect("it does not wait");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
}
