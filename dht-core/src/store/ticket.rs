//! `Ticket`: how a caller waits until what it has merged is as durable as its store promises, before it says so.
//!
//! A store in memory gives tickets that are good at once: no allocation, no wait. An engine that commits in groups counts
//! its groups; a ticket names the one that holds the write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};

/// Good when everything merged before it was given is durable. See the module.
#[derive(Clone, Debug, Default)]
#[must_use = "a write is acknowledged only when its ticket is good"]
pub struct Ticket(pub(super) Option<(Arc<Commits>, u64)>);

impl Ticket {
    /// Good at once.
    pub const fn ready() -> Self {
        Self(None)
    }

    /// Good when `commits` has finished `group`, failed before it, or, for [`Commits::CLOSED`], let go of everything.
    pub fn of(commits: &Arc<Commits>, group: u64) -> Self {
        if commits.is_done(group) { Self(None) } else { Self(Some((commits.clone(), group))) }
    }

    /// Good already: there is nothing to wait for.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.0.as_ref().is_none_or(|(commits, group)| commits.is_done(*group))
    }

    /// Good when both are; both must be of one store.
    pub fn and(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some((commits, ours)), Some((_, theirs))) => Self(Some((commits, ours.max(theirs)))),
            (one, other) => Self(one.or(other)),
        }
    }

    /// The same, but no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`Ticket::wait`], and `Timeout`: what was merged may become durable later.
    pub async fn wait_until(self, deadline: Instant) -> Result<()> {
        if self.is_ready() {
            return Ok(());
        }
        let late = |_| Err(Error::new(ErrorKind::Timeout, "the disk took longer than the call"));
        tokio::time::timeout_at(deadline, self.wait()).await.unwrap_or_else(late)
    }

    /// Returns when it is good.
    ///
    /// # Errors
    /// `Storage` if the store failed before that: what was merged may or may not be there after a restart.
    pub async fn wait(self) -> Result<()> {
        match self.0 {
            None => Ok(()),
            Some((commits, group)) => commits.wait(group).await,
        }
    }
}

/// Which groups of an engine are durable, and whether it still works: what its tickets wait for.
#[derive(Debug, Default)]
pub struct Commits {
    /// Groups up to this one are.
    done: AtomicU64,
    failure: OnceLock<Error>,
    closed: AtomicBool,
    /// For callers; the thread that commits wakes them.
    changed: Notify,
    /// For threads that wait, in tests and when a store is dropped.
    lock: Mutex<()>,
    woken: std::sync::Condvar,
}

impl Commits {
    /// The group of a ticket that is good when the store is closed.
    pub const CLOSED: u64 = u64::MAX;

    /// Groups up to `group` are durable.
    pub fn finish(&self, group: u64) {
        self.done.fetch_max(group, Ordering::Release);
        self.wake();
    }

    /// The engine has let go of its file, whether or not all became durable.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    /// Nothing more becomes durable. Only the first failure is kept.
    pub fn fail(&self, error: Error) {
        // A second failure says nothing new.
        let _ = self.failure.set(error);
        self.wake();
    }

    /// The first failure, if there was one.
    pub fn failure(&self) -> Option<&Error> {
        self.failure.get()
    }

    fn wake(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.woken.notify_all();
        self.changed.notify_waiters();
    }

    fn is_done(&self, group: u64) -> bool {
        match group {
            Self::CLOSED => self.closed.load(Ordering::Acquire),
            _ => self.done.load(Ordering::Acquire) >= group,
        }
    }

    /// `None`: not yet.
    fn outcome(&self, group: u64) -> Option<Result<()>> {
        if self.is_done(group) {
            return Some(Ok(()));
        }
        if group == Self::CLOSED {
            return None;
        }
        if let Some(failure) = self.failure.get() {
            return Some(Err(failure.clone()));
        }
        // Merged when the last commit was over.
        let closed = || Err(Error::new(ErrorKind::Stopped, "the store was closed before it had this on the disk"));
        self.closed.load(Ordering::Acquire).then(closed)
    }

    async fn wait(&self, group: u64) -> Result<()> {
        loop {
            // Made before the look, so that a change in between is not missed.
            let changed = self.changed.notified();
            if let Some(outcome) = self.outcome(group) {
                return outcome;
            }
            changed.await;
        }
    }

    /// The same for a thread.
    pub(crate) fn block(&self, group: u64) -> Result<()> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = self.outcome(group) {
                return outcome;
            }
            lock = self.woken.wait(lock).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ticket_waits_for_its_group_and_no_longer() {
        let commits = Arc::new(Commits::default());
        let (first, second) = (Ticket::of(&commits, 1), Ticket::of(&commits, 2));
        assert!(!first.is_ready() && !second.is_ready() && Ticket::ready().is_ready());
        let waiting = tokio::spawn(first.clone().wait());
        commits.finish(1);
        assert!(waiting.await.unwrap().is_ok() && first.is_ready() && !second.is_ready());
        assert!(!first.clone().and(second.clone()).is_ready(), "both");
        commits.fail(Error::new(ErrorKind::Storage, "gone"));
        assert_eq!(second.wait().await.unwrap_err().kind(), ErrorKind::Storage);
        assert!(first.wait().await.is_ok(), "what was durable stays so");
        assert!(Ticket::of(&commits, 1).is_ready());
    }
}
