//! A script of 200 operations on a disk that fails, or loses its power, at each of its writes, syncs and changes of length,
//! in every way a disk does. What was acknowledged is there afterwards, and nothing that was never written.
//!
//! Every point is tried by `DISK_CRASH_EVERY=1`; by default every few, beginning with another one for each way.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use redb::StorageBackend;
use smallvec::SmallVec;

use super::*;
use crate::config::Config;
use crate::data::record::{Format, OpId, Value};
use crate::dht::{Dht, Foundation};
use crate::env::Env;
use crate::ring::record::NodeId;
use crate::transport::{Hello, TcpOptions, TcpTransport, Transport};

const SLOTS: u32 = 8;
const OPERATIONS: usize = 200;
/// Points left out by default between two that are tried: all of them take minutes.
const EVERY: usize = 37;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    /// The power goes; nothing since the last sync is on the disk.
    Lost,
    /// The power goes; a part of it is, in no order, and the last write by half.
    Torn,
    /// The call fails, and a sync that fails has lost what it was to bring.
    Eio,
    /// There is no room.
    Enospc,
    /// Half of it is written, then the call fails.
    Short,
}

const FAULTS: [Fault; 5] = [Fault::Lost, Fault::Torn, Fault::Eio, Fault::Enospc, Fault::Short];

/// A disk in memory.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// What reads see, and what the loss of power leaves.
    seen: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    calls: usize,
    fault: Option<(usize, Fault)>,
    off: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                bytes.resize(bytes.len().max(at + data.len()), 0);
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
            Self::Resize(len) => bytes.resize(*len, 0),
        }
    }

    fn half(&self) -> Self {
        match self {
            Self::Write(at, data) => Self::Write(*at, data[..data.len() / 2].to_vec()),
            resize @ Self::Resize(_) => resize.clone(),
        }
    }
}

impl Disk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    fn with(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Inner { seen: bytes.clone(), durable: bytes, ..Inner::default() })))
    }

    /// What is on the disk once the power is back.
    fn image(&self) -> Vec<u8> {
        self.inner().durable.clone()
    }
}

impl Inner {
    /// One call that changes the disk; `None` is a sync.
    fn call(&mut self, change: Option<Change>) -> io::Result<()> {
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        let at = self.calls;
        self.calls += 1;
        let fault = self.fault.filter(|(point, _)| *point == at).map(|(_, fault)| fault);
        match fault {
            None => self.carry_out(change),
            Some(Fault::Lost) => self.switch_off(),
            Some(Fault::Torn) => {
                let last = change.as_ref().map(Change::half);
                let unsynced = std::mem::take(&mut self.unsynced);
                // Every other one, counted from a different one at each point.
                for change in unsynced.iter().skip(at % 2).step_by(2).chain(&last) {
                    change.apply(&mut self.durable);
                }
                self.switch_off()
            }
            Some(Fault::Eio) => {
                if change.is_none() {
                    self.unsynced.clear();
                }
                Err(io::Error::other("input/output error"))
            }
            Some(Fault::Enospc) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Short) => {
                if let Some(half) = change.as_ref().map(Change::half) {
                    self.carry_out(Some(half))?;
                }
                Err(io::Error::other("a short write"))
            }
        }
    }

    fn carry_out(&mut self, change: Option<Change>) -> io::Result<()> {
        match change {
            Some(change) => {
                change.apply(&mut self.seen);
                self.unsynced.push(change);
            }
            None => {
                for change in std::mem::take(&mut self.unsynced) {
                    change.apply(&mut self.durable);
                }
            }
        }
        Ok(())
    }

    fn switch_off(&mut self) -> io::Result<()> {
        self.off = true;
        self.unsynced.clear();
        Err(io::Error::other("the power went off"))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.inner();
        let bytes = inner.seen.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner().call(Some(Change::Resize(len as usize)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner().call(None)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner().call(Some(Change::Write(offset as usize, data.to_vec())))
    }
}

type Contents = BTreeMap<(Slot, Bytes), Record>;

#[derive(Debug)]
enum Operation {
    Merge(Slot, Record),
    Remove(Slot),
    Sweep(Slot, u64),
}

fn script() -> Vec<Operation> {
    let env = Env::simulated(11, 0);
    let operation = |n: usize| {
        let slot = Slot(env.random_below(SLOTS as usize) as u32);
        match n % 20 {
            13 => Operation::Remove(slot),
            17 => Operation::Sweep(slot, n as u64),
            _ => {
                let len = [0, 10, 300, format::INLINE_LEN_MAX + 1, 20_000][env.random_below(5)];
                let bytes = Bytes::from((0..len).map(|at| (at * 7 + n) as u8).collect::<Vec<_>>());
                let value = (n % 5 != 3).then_some(Value { format: Format::Bytes, bytes });
                let version = Version { hlc: (n as u64) << 16, node: 1, boot: 1 };
                let operations = SmallVec::from_elem(OpId { origin: 1, sequence: n as u64 }, 1);
                let expires_at_ms = if n.is_multiple_of(4) { n as u64 + 30 } else { 0 };
                let key = Bytes::from(format!("key {}", env.random_below(4)));
                Operation::Merge(slot, Record { map: 0, key, value, version, expires_at_ms, operations })
            }
        }
    };
    (0..OPERATIONS).map(operation).collect()
}

fn expected(contents: &mut Contents, operation: &Operation) {
    match operation {
        Operation::Merge(slot, record) => {
            contents.insert((*slot, record.key.clone()), record.clone());
        }
        Operation::Remove(removed) => contents.retain(|(slot, _), _| slot != removed),
        Operation::Sweep(swept, now) => contents.retain(|(slot, _), record| {
            if slot == swept && record.expired(*now) {
                record.value = None;
            }
            let forgotten = record.value.is_none() && (record.version.hlc >> 16).max(record.expires_at_ms) < *now / 2;
            slot != swept || !forgotten
        }),
    }
}

/// Does one operation and waits until it is acknowledged.
fn carry_out(store: &DiskStore, operation: &Operation) -> Result<()> {
    let slot = match operation {
        Operation::Merge(slot, record) => {
            store.merge(*slot, record.clone())?;
            *slot
        }
        Operation::Remove(slot) => {
            assert!(store.remove_slot(*slot, store.fingerprint(*slot)?)?);
            *slot
        }
        Operation::Sweep(slot, now) => {
            store.sweep(*slot, *now, *now / 2)?;
            *slot
        }
    };
    let group = lock(&store.shared.shards[slot.0 as usize % SHARDS]).last_group;
    store.shared.commits.block(group)
}

/// Everything that is kept, if it is of one piece.
fn contents(store: &DiskStore, context: &str) -> Contents {
    let (mut all, mut usage) = (Contents::new(), Usage::default());
    for slot in store.occupied().unwrap() {
        let versions = store.versions(slot).unwrap();
        let mut sum = Fingerprint::EMPTY;
        versions.iter().for_each(|(digest, version)| sum.add(*digest, *version));
        assert_eq!(store.fingerprint(slot).unwrap(), sum, "{context}: the fingerprint of {slot:?}");
        let digests: Vec<_> = versions.iter().map(|(digest, _)| *digest).collect();
        for record in store.records(slot, &digests, usize::MAX).unwrap().0 {
            assert_eq!(store.get(slot, 0, &record.key).unwrap().as_ref(), Some(&record), "{context}");
            usage.live += u64::from(record.value.is_some());
            usage.tombstones += u64::from(record.value.is_none());
            usage.bytes += record.payload_len() as u64;
            all.insert((slot, record.key.clone()), record);
        }
    }
    assert_eq!(store.usage(), usage, "{context}: usage");
    all
}

const LAYOUT: Layout = Layout { slot_count: SLOTS, cache_bytes: CACHE_BYTES_MIN, synced: true };

/// Runs the script on `disk` until something fails; returns what was acknowledged, and what the operation that failed
/// would have made of it.
fn run(disk: &Disk, script: &[Operation], context: &str) -> (Contents, Option<Contents>) {
    let mut acknowledged = Contents::new();
    let store = match DiskStore::on(Box::new(disk.clone()), &LAYOUT, Durability::Always) {
        Ok(store) => store,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Storage, "{context}: {error}");
            return (acknowledged, None);
        }
    };
    for operation in script {
        let mut after = acknowledged.clone();
        expected(&mut after, operation);
        if let Err(error) = carry_out(&store, operation) {
            assert_eq!(error.kind(), ErrorKind::Storage, "{context}: {error}");
            assert!(!store.healthy(), "{context}: it says that it is well");
            let record = Record {
                map: 0,
                key: Bytes::from_static(b"late"),
                value: None,
                version: Version { hlc: u64::MAX, node: 1, boot: 1 },
                expires_at_ms: 0,
                operations: SmallVec::new(),
            };
            let refused = store.merge(Slot(0), record).map_err(|e| e.kind());
            assert_eq!(refused, Err(ErrorKind::Storage), "{context}: it goes on");
            // What it had acknowledged it still answers, from wherever it can.
            for ((slot, key), record) in &acknowledged {
                match store.get(*slot, 0, key) {
                    Ok(found) => {
                        let newer = after.get(&(*slot, key.clone()));
                        assert!(found.as_ref() == Some(record) || found.as_ref() == newer, "{context}: {key:?}");
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Storage, "{context}: {error}"),
                }
            }
            return (acknowledged, Some(after));
        }
        acknowledged = after;
    }
    (acknowledged, None)
}

#[test]
fn what_was_acknowledged_survives_every_fault_at_every_call() {
    let script = script();
    let calm = Disk::default();
    let (all, failed) = run(&calm, &script, "without a fault");
    assert!(failed.is_none());
    let calls = calm.inner().calls;
    assert_eq!(
        contents(&DiskStore::on(Box::new(Disk::with(calm.image())), &LAYOUT, Durability::Always).unwrap(), "calm"),
        all
    );

    let every = std::env::var("DISK_CRASH_EVERY").map_or(EVERY, |every| every.parse().expect("a number"));
    let mut tried = 0;
    for (first, fault) in FAULTS.into_iter().enumerate() {
        for point in (first % every..calls).step_by(every) {
            let context = format!("{fault:?} at call {point} of {calls}");
            let disk = Disk::default();
            disk.inner().fault = Some((point, fault));
            let (acknowledged, in_doubt) = run(&disk, &script, &context);
            tried += 1;
            match DiskStore::on(Box::new(Disk::with(disk.image())), &LAYOUT, Durability::Always) {
                Ok(store) => {
                    let found = contents(&store, &context);
                    let whole = found == acknowledged || in_doubt.as_ref() == Some(&found);
                    assert!(whole, "{context}: acknowledged {:?}\nfound {:?}", acknowledged.keys(), found.keys());
                    // And it goes on.
                    carry_out(&store, &script[0]).unwrap_or_else(|error| panic!("{context}: {error:#}"));
                }
                Err(error) => panic!("{context}: it does not open again: {error:#}"),
            }
        }
    }
    assert!(tried >= FAULTS.len(), "{tried} of {calls} points");
    println!("{tried} faults at {calls} calls");
}

/// A node of a ring of its own on `disk`, with as many slots as that is made for.
async fn node_on(disk: &Disk) -> Dht {
    let config = Config { slot_bits: SLOTS.ilog2() as u8, durability: Durability::Interval, ..Config::default() };
    let (env, boot) = (Env::system(), 7);
    let store = Arc::new(DiskStore::on(Box::new(disk.clone()), &LAYOUT, Durability::Always).unwrap());
    let options = TcpOptions {
        bind: Some("127.0.0.1:0".to_owned()),
        hello: Hello::new(&config.cluster_name, NodeId::new("n"), boot, false),
        buffer_size: config.buffer_size,
        max_connections: config.max_connections,
        frame_max: crate::transport::frame_max(&config),
        connect_timeout: config.request_timeout,
        security: None,
    };
    let transport = TcpTransport::bind(options, env.clone()).await.unwrap();
    let address = transport.local_address();
    let foundation = Foundation { transport: Arc::new(transport), store, env, address, boot, shared: None };
    Dht::start_with(config, foundation).await.unwrap()
}

#[tokio::test]
async fn a_node_whose_disk_fails_acknowledges_nothing_and_says_so() {
    for fault in [Fault::Eio, Fault::Enospc, Fault::Short] {
        let disk = Disk::default();
        let node = node_on(&disk).await;
        node.put("before", &1).await.unwrap();
        assert!(node.health().unwrap().storage_ok);
        let point = disk.inner().calls;
        disk.inner().fault = Some((point, fault));
        let doubtful = node.put("after", &2).await.unwrap_err();
        assert_eq!((doubtful.kind(), doubtful.maybe_applied()), (ErrorKind::Storage, true), "{fault:?}: {doubtful}");
        assert!(!node.health().unwrap().storage_ok, "{fault:?}");
        let refused = node.put("later", &3).await.unwrap_err();
        assert_eq!((refused.kind(), refused.maybe_applied()), (ErrorKind::Storage, false), "{fault:?}: {refused}");
        let reason = if fault == Fault::Enospc { "the disk is full" } else { "start the node again" };
        assert!(refused.context().contains(reason), "{fault:?}: {refused}");
        node.stop().await;

        let node = node_on(&Disk::with(disk.image())).await;
        assert_eq!(node.get::<u32>("before").await.unwrap(), Some(1), "{fault:?}");
        assert_eq!(node.get::<u32>("later").await.unwrap(), None, "{fault:?}");
        node.put("after", &4).await.unwrap();
        node.stop().await;
    }
}
