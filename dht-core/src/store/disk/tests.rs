use smallvec::SmallVec;

use super::shared::PENDING_MAX;
use super::*;
use crate::data::record::{Format, Value};
use crate::env::Env;
use crate::store::contract;

/// A temporary directory, removed when dropped.
pub(super) struct Dir(pub(super) std::path::PathBuf);

impl Dir {
    pub(super) fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("dht-disk-{:x}", Env::system().random_u64()));
        std::fs::create_dir(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // What is left of it is in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn in_memory(durability: Durability) -> DiskStore {
    let layout = Layout { slot_count: contract::SLOTS, cache_bytes: CACHE_BYTES_MIN, synced: true };
    DiskStore::on(Box::new(redb::backends::InMemoryBackend::new()), &layout, durability).unwrap()
}

#[test]
fn keeps_the_contract_while_the_file_lags_behind() {
    contract::check(&|| Box::new(in_memory(Durability::Interval)));
}

/// Commits all the time, so that calls meet every state of a commit.
#[test]
fn keeps_the_contract_while_the_file_is_written() {
    contract::check(&|| Box::new(in_memory(Durability::Always)));
}

fn open(dir: &Dir) -> Result<DiskStore> {
    DiskStore::open(&dir.0, contract::SLOTS, Durability::Always, None)
}

fn record(key: &str, value: &'static [u8], hlc: u64) -> Record {
    let value = Value { format: Format::Bytes, bytes: Bytes::from_static(value) };
    let version = Version { hlc, node: 1, boot: 1 };
    let (key, operations) = (Bytes::copy_from_slice(key.as_bytes()), SmallVec::new());
    Record { map: 0, key, value: Some(value), version, expires_at_ms: 0, operations }
}

/// Both sides are written to, so that a commit holds what another is made of.
#[test]
fn what_was_kept_is_there_again() {
    let dir = Dir::new();
    let (mut sums, mut usage) = (Vec::new(), Usage::default());
    for life in 0..3 {
        let store = open(&dir).unwrap();
        assert_eq!(store.usage(), usage, "in life {life}");
        for (slot, sum) in &sums {
            assert_eq!(store.fingerprint(*slot).unwrap(), *sum, "of {slot:?} in life {life}");
        }
        for n in 0..100 {
            let (slot, key) = (Slot(n % 7), format!("{n}"));
            if life > 0 {
                let found = store.get(slot, 0, key.as_bytes()).unwrap().expect("kept");
                assert_eq!(found, record(&key, b"value", life - 1));
            }
            assert_eq!(store.merge(slot, record(&key, b"value", life)).unwrap(), Merged::Stored);
            let stale = record(&key, b"stale", 0);
            assert_eq!(store.merge(slot, stale).unwrap(), Merged::Kept(record(&key, b"", life).version));
        }
        assert!(store.highest_stamp() <= life);
        sums = store.occupied().unwrap().into_iter().map(|slot| (slot, store.fingerprint(slot).unwrap())).collect();
        usage = store.usage();
        assert_eq!((sums.len(), usage.live), (7, 100));
    }
    assert_eq!(open(&dir).unwrap().highest_stamp(), 2, "the bound of the clock");
}

#[test]
fn facts_are_kept_until_there_are_newer_ones() {
    let dir = Dir::new();
    for (before, after) in [(None, "one"), (Some("one"), "two"), (Some("two"), "three")] {
        let store = open(&dir).unwrap();
        assert_eq!(store.remembered(), before.map(Bytes::from));
        drop(store.remember(Bytes::from("passed over")));
        drop(store.remember(Bytes::from(after)));
    }
}

#[test]
fn a_directory_has_one_store() {
    let dir = Dir::new();
    let first = open(&dir).unwrap();
    let error = open(&dir).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.context().contains(dir.0.to_str().unwrap()) && error.context().contains("in use"), "{error}");
    first.close().0.expect("not closed yet");
    first.shared.commits.block(Commits::CLOSED).unwrap();
    assert_eq!(first.get(Slot(0), 0, b"k").unwrap_err().kind(), ErrorKind::Stopped);
    open(&dir).expect("once it is closed");
}

#[test]
fn a_file_that_is_not_for_us_is_told_apart() {
    let dir = Dir::new();
    drop(open(&dir).unwrap());
    let other = DiskStore::open(&dir.0, 64, Durability::Always, None).map(|_| ()).unwrap_err();
    assert!(other.kind() == ErrorKind::Config && other.context().contains("128 slots"), "{other}");

    let path = dir.0.join(FILE_NAME);
    let database = redb::Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut meta = write.open_table(redb::TableDefinition::<&str, &[u8]>::new("meta")).unwrap();
        meta.insert("format", &2_u32.to_le_bytes()[..]).unwrap();
    }
    write.commit().unwrap();
    drop(database);
    let newer = open(&dir).map(|_| ()).unwrap_err();
    assert!(newer.kind() == ErrorKind::Storage && newer.context().contains("format 2"), "{newer}");

    std::fs::write(&path, vec![7; 100_000]).unwrap();
    let damaged = open(&dir).map(|_| ()).unwrap_err();
    assert!(damaged.kind() == ErrorKind::Storage && damaged.context().contains("move its data_dir"), "{damaged}");

    // A new file that a crash left without its mark is made anew; one that has lost its beginning is damaged.
    std::fs::write(&path, vec![0; 1 << 20]).unwrap();
    open(&dir).map(drop).unwrap();
    std::fs::write(&path, vec![0; 9 << 20]).unwrap();
    assert_eq!(open(&dir).err().map(|error| error.kind()), Some(ErrorKind::Storage));
}

/// A file of a few records is no longer than a new one.
#[test]
fn a_small_file_that_has_lost_its_beginning_is_not_emptied() {
    let dir = Dir::new();
    let store = open(&dir).unwrap();
    store.merge(Slot(1), record("key", b"value", 1)).unwrap();
    drop(store);
    let path = dir.0.join(FILE_NAME);
    let whole = std::fs::read(&path).unwrap();
    for lost in [9, 320, 4096] {
        let mut damaged = whole.clone();
        damaged[..lost].fill(0);
        std::fs::write(&path, &damaged).unwrap();
        let error = open(&dir).map(drop).unwrap_err();
        assert!(error.kind() == ErrorKind::Storage && error.context().contains("move its data_dir"), "{lost}: {error}");
        assert!(std::fs::read(&path).unwrap() == damaged, "{lost}: nothing of it was changed");
    }
}

/// Every byte of a page matters to a checksum, of redb's or of ours: none of them ever becomes an answer.
#[test]
fn bytes_that_rotted_are_no_answer() {
    let dir = Dir::new();
    let store = open(&dir).unwrap();
    let long: &'static [u8] = &[9; 5000];
    store.merge(Slot(1), record("short", b"0123456789", 1)).unwrap();
    store.merge(Slot(1), record("long", long, 1)).unwrap();
    drop(store);
    let path = dir.0.join(FILE_NAME);
    let bytes = std::fs::read(&path).unwrap();
    for (key, value) in [("short", &b"0123456789"[..]), ("long", long)] {
        let at = bytes.windows(value.len()).position(|window| window == value).expect("in the file");
        let mut rotten = bytes.clone();
        rotten[at + value.len() / 2] ^= 1;
        std::fs::write(&path, &rotten).unwrap();
        let found = open(&dir).and_then(|store| store.get(Slot(1), 0, key.as_bytes()));
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Storage, "{key}");
    }
}

/// More than its caches hold.
#[test]
fn more_than_memory_is_served() {
    const VALUE_LEN: usize = 64 << 10;
    let dir = Dir::new();
    let store = DiskStore::open(&dir.0, contract::SLOTS, Durability::Interval, Some(8 << 20)).unwrap();
    let value = |n: u32| Bytes::from(vec![n as u8; VALUE_LEN]);
    let count = (4 * (8 << 20) / VALUE_LEN) as u32;
    for n in 0..count {
        let mut record = record(&n.to_string(), b"", 1);
        record.value = Some(Value { format: Format::Bytes, bytes: value(n) });
        assert_eq!(store.merge(Slot(n % 128), record).unwrap(), Merged::Stored);
        if !store.ticket(Slot(n % 128)).is_ready() {
            store.flush().unwrap();
        }
    }
    store.flush().unwrap();
    assert_eq!(store.shared.pending.load(Ordering::Relaxed), 0, "nothing is left in memory");
    for n in 0..count {
        let found = store.get(Slot(n % 128), 0, n.to_string().as_bytes()).unwrap().expect("kept");
        assert_eq!(found.value.unwrap().bytes, value(n));
    }
}

#[test]
fn a_writer_that_is_faster_than_the_disk_waits_and_is_refused_in_the_end() {
    let store = in_memory(Durability::Interval);
    assert!(store.ticket(Slot(0)).is_ready(), "nothing to wait for");
    store.shared.pending.store(PENDING_HIGH, Ordering::Relaxed);
    store.merge(Slot(0), record("k", b"v", 1)).unwrap();
    let ticket = store.ticket(Slot(0));
    // Unless it is good already.
    if let Some((commits, group)) = ticket.0 {
        commits.block(group).unwrap();
    }
    assert_eq!(store.get(Slot(0), 0, b"k").unwrap(), Some(record("k", b"v", 1)));
    store.shared.pending.store(PENDING_MAX, Ordering::Relaxed);
    assert_eq!(store.merge(Slot(0), record("k", b"w", 2)).unwrap_err().kind(), ErrorKind::Overloaded);
    assert_eq!(store.get(Slot(0), 0, b"k").unwrap(), Some(record("k", b"v", 1)), "nothing was changed");
}
