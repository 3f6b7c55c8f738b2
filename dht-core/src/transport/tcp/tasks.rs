//! Every task of a transport has its owner here, so that closing can wait for the last of them.

use std::future::{Future, poll_fn};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::task::{JoinError, JoinSet};

/// The tasks of one transport.
pub(in crate::transport) struct Tasks {
    sets: Mutex<Sets>,
    /// A set wakes only one waiter, so several closers take turns.
    finishing: tokio::sync::Mutex<()>,
}

struct Sets {
    closed: bool,
    /// May be cut off anywhere: the listener, dials, handshakes, the sweeper.
    helpers: JoinSet<()>,
    /// End by themselves once their connection has: a reader first ends the tasks that it owns.
    connections: JoinSet<()>,
}

impl Tasks {
    pub(in crate::transport) fn new() -> Self {
        let sets = Sets { closed: false, helpers: JoinSet::new(), connections: JoinSet::new() };
        Self { sets: Mutex::new(sets), finishing: tokio::sync::Mutex::new(()) }
    }

    /// Runs `task`, or drops it if the transport is closed; says which.
    pub(in crate::transport) fn spawn_helper(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let mut sets = self.lock();
        reap(&mut sets.helpers);
        if !sets.closed {
            sets.helpers.spawn(task);
        }
        !sets.closed
    }

    /// The same for a task that ends when its connection does.
    pub(in crate::transport) fn spawn_connection(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let mut sets = self.lock();
        reap(&mut sets.connections);
        if !sets.closed {
            sets.connections.spawn(task);
        }
        !sets.closed
    }

    /// No task starts after this; helpers are cut off.
    pub(in crate::transport) fn close(&self) {
        let mut sets = self.lock();
        sets.closed = true;
        sets.helpers.abort_all();
    }

    /// Cuts everything off without waiting: for a transport that is dropped rather than closed.
    pub(in crate::transport) fn abandon(&self) {
        self.close();
        self.lock().connections.abort_all();
    }

    /// Waits until no task is left; after `close`.
    pub(in crate::transport) async fn finished(&self) {
        let _turn = self.finishing.lock().await;
        poll_fn(|cx| self.lock().poll_empty(cx)).await;
    }

    fn lock(&self) -> MutexGuard<'_, Sets> {
        // Sets are valid in every state, so a poisoned lock loses nothing.
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sets {
    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for set in [&mut self.helpers, &mut self.connections] {
            while let Some(ended) = std::task::ready!(set.poll_join_next(cx)) {
                report(ended);
            }
        }
        Poll::Ready(())
    }
}

/// Frees what ended tasks still hold.
fn reap(set: &mut JoinSet<()>) {
    while let Some(ended) = set.try_join_next() {
        report(ended);
    }
}

/// A task of ours must not panic; if one does, its connection or dial ends and the log says why.
pub(in crate::transport) fn report<T>(ended: Result<T, JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        event!(error, %error, "a transport task panicked");
    }
}
