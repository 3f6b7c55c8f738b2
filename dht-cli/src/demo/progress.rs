//! What is told while the demo runs, on standard error: lines everywhere, and a bar on a terminal.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

/// Where the demo tells what it does.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Of the phase under way; it draws nothing if standard error is no terminal.
    bar: Mutex<Option<ProgressBar>>,
}

impl Progress {
    /// No phase is under way.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One line, above the bar if there is one.
    pub(crate) fn say(&self, line: impl fmt::Display) {
        // A standard error that is gone is no reason to stop proving.
        let write = || drop(writeln!(std::io::stderr(), "dht: {line}"));
        match &*self.bar() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Begins a phase of `steps`.
    pub(crate) fn begin(&self, phase: &str, steps: usize) {
        let bar = ProgressBar::new(steps as u64).with_message(phase.to_owned());
        // The template is ours: were it wrong, the built-in look would do.
        if let Ok(style) = ProgressStyle::with_template("{msg:20} {wide_bar} {pos}/{len}  {elapsed}") {
            bar.set_style(style);
        }
        *self.bar() = Some(bar);
    }

    /// One more step is done.
    pub(crate) fn step(&self) {
        if let Some(bar) = &*self.bar() {
            bar.inc(1);
        }
    }

    /// The phase is over: takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = self.bar().take() {
            bar.finish_and_clear();
        }
    }

    fn bar(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        // A bar is valid in every state, so a poisoned lock loses nothing.
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
