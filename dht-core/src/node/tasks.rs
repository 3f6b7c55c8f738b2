//! Ownership of background work: whatever a node spawns ends with it.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use crate::env::Env;

/// All tasks of a node; after `abort` nothing is spawned any more.
pub(crate) struct Tasks {
    running: Mutex<Option<JoinSet<()>>>,
    env: Env,
}

impl Tasks {
    pub(crate) fn new(env: Env) -> Self {
        Self { running: Mutex::new(Some(JoinSet::new())), env }
    }

    /// Spawns on the current runtime, unless the node has ended.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tasks) = tasks.as_mut() else { return };
        while let Some(ended) = tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                event!(error, %error, "a background task panicked");
            }
        }
        tasks.spawn(self.env.clone().gated(task));
    }

    /// Ends every task at its next await. Idempotent.
    pub(crate) fn abort(&self) {
        let tasks = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Dropped outside the lock: a task's own drop may come here.
        drop(tasks);
    }
}

/// Bounds how many writes may still be on their way to slow replicas after their callers were answered.
#[derive(Clone)]
pub(crate) struct Tails {
    running: Arc<AtomicUsize>,
    running_max: usize,
}

/// One such write; dropping it makes room.
pub(crate) struct Tail(Arc<AtomicUsize>);

impl Tails {
    pub(crate) fn new(running_max: usize) -> Self {
        Self { running: Arc::default(), running_max }
    }

    pub(crate) fn len(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    pub(crate) fn enter(&self) -> Option<Tail> {
        let tail = Tail(self.running.clone());
        let before = self.running.fetch_add(1, Ordering::AcqRel);
        (before < self.running_max).then_some(tail)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
