//! The store of one process on a [`Disk`]: everything in memory, and a journal of what no commit has yet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dht_core::store::{
    Commits, Fingerprint, KeyDigest, MemoryStore, Merged, Record, Slot, Store, Ticket, Usage, Version,
};
use dht_core::{Durability, Env, Error};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Disk, Entry, Opened};

/// With `interval` a commit lets changes gather for so long.
const INTERVAL: Duration = Duration::from_millis(100);

/// What a process has open of a [`Disk`].
pub struct DiskStore {
    shared: Arc<Shared>,
    facts: Option<Bytes>,
    writer: JoinHandle<()>,
}

/// What calls and the writer share.
struct Shared {
    disk: Disk,
    opening: u64,
    memory: MemoryStore,
    journal: Mutex<Journal>,
    changed: Notify,
    commits: Arc<Commits>,
    durability: Durability,
    stamp: AtomicU64,
    env: Env,
}

/// What no commit has yet.
#[derive(Default)]
struct Journal {
    entries: Vec<Entry>,
    /// Commits that have begun: the next has what is in `entries`.
    begun: u64,
    /// The commit that has, or will have, the last change.
    last_group: u64,
    hurry: bool,
    close: bool,
}

impl Shared {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is taken any more by a disk that failed.
    fn writable(&self) -> Result<(), Error> {
        self.commits.failure().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// Adds what was just done in memory, under the same lock.
    fn add(&self, journal: &mut Journal, entry: Entry) {
        journal.last_group = journal.begun + 1;
        journal.entries.push(entry);
        self.changed.notify_one();
    }

    fn last_ticket(&self) -> Ticket {
        Ticket::of(&self.commits, self.journal().last_group)
    }

    async fn until(&self, holds: impl Fn(&Journal) -> bool) {
        while !holds(&self.journal()) {
            self.changed.notified().await;
        }
    }

    /// Commits one group after the other until the store is closed.
    async fn write(self: Arc<Self>) {
        loop {
            self.until(|journal| journal.close || !journal.entries.is_empty()).await;
            if self.durability != Durability::Always {
                // That nobody is in a hurry is the usual end.
                let _ = timeout(INTERVAL, self.until(|journal| journal.close || journal.hurry)).await;
            }
            let (entries, group, close) = {
                let mut journal = self.journal();
                journal.begun += 1;
                journal.hurry = false;
                (std::mem::take(&mut journal.entries), journal.begun, journal.close)
            };
            tokio::time::sleep(self.commit_time()).await;
            if self.commits.failure().is_none() {
                match self.disk.commit(self.opening, entries) {
                    Ok(stamp) => {
                        self.stamp.store(stamp, Ordering::Relaxed);
                        self.commits.finish(group);
                    }
                    Err(error) => self.commits.fail(error),
                }
            }
            if close && self.journal().entries.is_empty() {
                self.commits.close();
                return;
            }
        }
    }

    /// A few milliseconds, now and then many.
    fn commit_time(&self) -> Duration {
        let most = if self.env.random_below(20) == 0 { 100 } else { 6 };
        Duration::from_millis(1 + self.env.random_below(most) as u64)
    }
}

impl DiskStore {
    pub(super) fn on(disk: Disk, opened: Opened, durability: Durability, env: &Env) -> Self {
        let Opened { memory, stamp, facts, opening } = opened;
        let shared = Arc::new(Shared {
            disk,
            opening,
            memory,
            journal: Mutex::default(),
            changed: Notify::new(),
            commits: Arc::default(),
            durability,
            stamp: AtomicU64::new(stamp),
            env: env.clone(),
        });
        let writer = tokio::spawn(env.clone().gated(shared.clone().write()));
        Self { shared, facts, writer }
    }

    /// The process dies: what is in no commit yet is gone.
    pub fn cut(&self) {
        self.writer.abort();
        self.shared.commits.close();
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Store for DiskStore {
    fn get(&self, slot: Slot, map: u32, key: &[u8]) -> Result<Option<Record>, Error> {
        self.shared.memory.get(slot, map, key)
    }

    fn merge(&self, slot: Slot, record: Record) -> Result<Merged, Error> {
        let mut journal = self.shared.journal();
        self.shared.writable()?;
        let merged = self.shared.memory.merge(slot, record.clone())?;
        if merged == Merged::Stored {
            self.shared.add(&mut journal, Entry::Merge(slot, record));
        }
        Ok(merged)
    }

    fn fingerprint(&self, slot: Slot) -> Result<Fingerprint, Error> {
        self.shared.memory.fingerprint(slot)
    }

    fn versions(&self, slot: Slot) -> Result<Vec<(KeyDigest, Version)>, Error> {
        self.shared.memory.versions(slot)
    }

    fn records(&self, slot: Slot, digests: &[KeyDigest], bytes_max: usize) -> Result<(Vec<Record>, usize), Error> {
        self.shared.memory.records(slot, digests, bytes_max)
    }

    fn remove_slot(&self, slot: Slot, expected: Fingerprint) -> Result<bool, Error> {
        let mut journal = self.shared.journal();
        self.shared.writable()?;
        let removed = self.shared.memory.remove_slot(slot, expected)?;
        if removed {
            self.shared.add(&mut journal, Entry::Remove(slot));
        }
        Ok(removed)
    }

    fn occupied(&self) -> Result<Vec<Slot>, Error> {
        self.shared.memory.occupied()
    }

    fn sweep(&self, slot: Slot, now_ms: u64, forget_before_ms: u64) -> Result<u64, Error> {
        let mut journal = self.shared.journal();
        self.shared.writable()?;
        let before = self.shared.memory.usage();
        let dropped = self.shared.memory.sweep(slot, now_ms, forget_before_ms)?;
        if self.shared.memory.usage() != before {
            self.shared.add(&mut journal, Entry::Sweep(slot, now_ms, forget_before_ms));
        }
        Ok(dropped)
    }

    fn bytes_in(&self, slot: Slot) -> u64 {
        self.shared.memory.bytes_in(slot)
    }

    fn usage(&self) -> Usage {
        self.shared.memory.usage()
    }

    fn ticket(&self, _: Slot) -> Ticket {
        let waits = self.shared.durability == Durability::Always || self.shared.commits.failure().is_some();
        if waits { self.shared.last_ticket() } else { Ticket::ready() }
    }

    fn settled(&self, _: Slot) -> Ticket {
        if self.shared.durability == Durability::Always { self.shared.last_ticket() } else { Ticket::ready() }
    }

    fn durable(&self, _: Slot) -> Ticket {
        self.shared.journal().hurry = true;
        self.shared.changed.notify_one();
        self.shared.last_ticket()
    }

    fn healthy(&self) -> bool {
        self.shared.commits.failure().is_none()
    }

    fn persistent(&self) -> bool {
        true
    }

    fn highest_stamp(&self) -> u64 {
        self.shared.stamp.load(Ordering::Relaxed)
    }

    fn remembered(&self) -> Option<Bytes> {
        self.facts.clone()
    }

    fn remember(&self, facts: Bytes) -> Ticket {
        let mut journal = self.shared.journal();
        journal.hurry = true;
        self.shared.add(&mut journal, Entry::Facts(facts));
        Ticket::of(&self.shared.commits, journal.last_group)
    }

    fn close(&self) -> Ticket {
        self.shared.journal().close = true;
        self.shared.changed.notify_one();
        Ticket::of(&self.shared.commits, Commits::CLOSED)
    }
}
