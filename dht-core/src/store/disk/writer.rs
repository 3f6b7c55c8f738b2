//! The thread that commits: it seals what was merged since the last commit, writes it in one transaction, and tells.
//!
//! With `always` it begins as soon as something is there, and what comes while it writes is the next group. Else it lets
//! changes gather for [`INTERVAL`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::file::File;
use super::shared::Shared;
use crate::error::Result;

/// With `durability = "interval"` a write is on the disk at most about this long after it was acknowledged, plus the time of
/// one commit: long enough for large groups, short enough to lose little.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);

/// What wakes the thread.
#[derive(Default)]
pub(super) struct Work {
    /// Something was merged since the last seal. Beside the lock, so that most merges do not take it.
    wanted: AtomicBool,
    orders: Mutex<Orders>,
    changed: Condvar,
}

#[derive(Default)]
struct Orders {
    /// Do not let changes gather.
    hurry: bool,
    close: bool,
    /// What the node wants to find again.
    facts: Option<Bytes>,
}

impl Work {
    /// Something is there to be committed.
    pub(super) fn want(&self) {
        if !self.wanted.swap(true, Ordering::AcqRel) {
            drop(self.orders());
            self.changed.notify_one();
        }
    }

    /// The same, at once.
    pub(super) fn hurry(&self) {
        self.wanted.store(true, Ordering::Release);
        self.orders().hurry = true;
        self.changed.notify_one();
    }

    /// Has `facts` written, at once; returns the group that `group_now` says will have them.
    pub(super) fn remember(&self, facts: Bytes, group_now: impl FnOnce() -> u64) -> u64 {
        let mut orders = self.orders();
        orders.facts = Some(facts);
        orders.hurry = true;
        // The thread takes the facts and seals under this lock.
        let group = group_now();
        self.wanted.store(true, Ordering::Release);
        drop(orders);
        self.changed.notify_one();
        group
    }

    pub(super) fn close(&self) {
        self.orders().close = true;
        self.changed.notify_one();
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        // Every state of the orders is whole.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the node wants to find again, taken before the seal, which nobody tells of anything during: so facts never say of
    /// changes that they are kept which only the next commit has, and who told of them was promised the group that is sealed.
    fn facts_and<T>(&self, seal: impl FnOnce() -> T) -> (Option<Bytes>, T) {
        let mut orders = self.orders();
        (orders.facts.take(), seal())
    }

    /// Waits until something is to be done; returns whether to close after that.
    fn next(&self, gathers: bool) -> bool {
        let idle = |orders: &mut Orders| !self.wanted.load(Ordering::Acquire) && !orders.close;
        let mut orders = self.changed.wait_while(self.orders(), idle).unwrap_or_else(PoisonError::into_inner);
        if gathers {
            let calm = |orders: &mut Orders| !orders.hurry && !orders.close;
            let waited = self.changed.wait_timeout_while(orders, INTERVAL, calm);
            (orders, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        orders.hurry = false;
        // Before the seal: what is merged after it wants another one.
        self.wanted.store(false, Ordering::Release);
        orders.close
    }
}

/// Commits until the store is closed; then lets go of the file.
pub(super) fn run(shared: &Shared, file: File, gathers: bool) {
    loop {
        let close = shared.work.next(gathers);
        // After a failure what is not in the file stays where reads find it.
        if shared.commits.failure().is_none()
            && let Err(error) = commit(shared, &file)
        {
            event!(error, error = %format_args!("{error:#}"), "nothing is acknowledged any more");
            shared.commits.fail(error);
        }
        if close {
            break;
        }
    }
    shared.snapshot.store(None);
    // The last handle on the file but for reads under way: with it redb lets go of the lock.
    drop(file);
    shared.commits.close();
}

fn commit(shared: &Shared, file: &File) -> Result<()> {
    let (facts, (layers, group)) = shared.work.facts_and(|| shared.seal());
    if !layers.is_empty() || facts.is_some() {
        let stamp = layers.iter().map(|layer| layer.stamp).max().unwrap_or(0);
        let stamp = shared.stamp.fetch_max(stamp, Ordering::AcqRel).max(stamp);
        file.commit(&layers, stamp, facts.as_ref())?;
        shared.publish(file.snapshot()?, &layers);
    }
    shared.commits.finish(group);
    Ok(())
}
