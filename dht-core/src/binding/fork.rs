//! Is this still the process that made the handle? A forked child has the memory of its parent but none of its
//! threads: a lock may be held for ever there, and no runtime runs.
//!
//! Asking the system for the pid costs as much as a read from memory. A binding that can register [`note_fork`] with
//! `pthread_atfork` does so and calls [`count_forks`]; then a counter is read instead.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Result};

static FORKS: AtomicU64 = AtomicU64::new(0);
static COUNTED: AtomicBool = AtomicBool::new(false);

/// To be called in every forked child before anything else of this library. Safe in a signal handler.
pub fn note_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// From now on [`note_fork`] is called in every forked child, so the pid need not be asked for.
pub fn count_forks() {
    COUNTED.store(true, Ordering::Relaxed);
}

/// The process in which it was made.
#[derive(Clone, Copy, Debug)]
pub struct Home {
    pid: u32,
    forks: u64,
}

impl Home {
    /// This process.
    #[must_use]
    pub fn here() -> Self {
        Self { pid: std::process::id(), forks: FORKS.load(Ordering::Relaxed) }
    }

    /// Whether this process is the one in which it was made.
    #[must_use]
    pub fn is_here(&self) -> bool {
        if COUNTED.load(Ordering::Relaxed) {
            self.forks == FORKS.load(Ordering::Relaxed)
        } else {
            self.pid == std::process::id()
        }
    }

    /// Nothing, or that this is a forked child.
    ///
    /// # Errors
    /// `Forked`.
    pub fn check(&self) -> Result<()> {
        if self.is_here() {
            return Ok(());
        }
        let context = format!("the node belongs to process {}, of which this is a forked child", self.pid);
        Err(Error::new(ErrorKind::Forked, context))
    }

    #[cfg(test)]
    pub(super) fn elsewhere() -> Self {
        Self { pid: 0, forks: u64::MAX }
    }
}
