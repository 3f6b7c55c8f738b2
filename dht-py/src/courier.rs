//! A queue with a thread that hands its items to Python: the only threads of this module that attach.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dht_core::binding::Home;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::Arc;

/// Items that one attachment takes at most, so that nobody waits long for the interpreter.
const BATCH_MAX: usize = 256;
/// How long the end of the interpreter waits for what is still queued.
const DRAIN: Duration = Duration::from_secs(1);

/// A queue into Python; a `static` one is made per kind of item.
pub(crate) struct Courier<T: 'static> {
    name: &'static str,
    deliver: fn(Python<'_>, Vec<T>),
    desk: ArcSwapOption<Desk<T>>,
}

struct Desk<T> {
    /// A forked child has the queue and no thread.
    home: Home,
    queue: Sender<T>,
    /// Disconnected once the thread has ended.
    ended: std::sync::Mutex<Receiver<()>>,
}

impl<T: Send> Courier<T> {
    pub(crate) const fn new(name: &'static str, deliver: fn(Python<'_>, Vec<T>)) -> Self {
        Self { name, deliver, desk: ArcSwapOption::const_empty() }
    }

    /// Sees to it that there is a thread.
    pub(crate) fn start(&self) -> PyResult<()> {
        self.queue().map(drop)
    }

    /// Where items go. Whoever keeps it keeps the thread.
    pub(crate) fn queue(&self) -> PyResult<Sender<T>> {
        if let Some(desk) = &*self.desk.load()
            && desk.home.is_here()
        {
            return Ok(desk.queue.clone());
        }
        let (queue, items) = channel();
        let (alive, ended) = channel();
        let deliver = self.deliver;
        std::thread::Builder::new()
            .name(self.name.to_owned())
            .spawn(move || {
                run(&items, deliver);
                drop(alive);
            })
            .map_err(|error| PyRuntimeError::new_err(format!("no thread for {}: {error}", self.name)))?;
        let desk = Desk { home: Home::here(), queue: queue.clone(), ended: std::sync::Mutex::new(ended) };
        self.replace(Some(Arc::new(desk)));
        Ok(queue)
    }

    /// Puts an item into the queue if there is one.
    pub(crate) fn send(&self, item: T) {
        if let Some(desk) = &*self.desk.load()
            && desk.home.is_here()
        {
            // The thread ends only with the interpreter: nobody would see the item.
            let _ = desk.queue.send(item);
        }
    }

    /// Ends the thread when everything is delivered; waits for that a little, with the interpreter released.
    pub(crate) fn close(&self, py: Python<'_>) {
        let Some(desk) = self.desk.load_full().filter(|desk| desk.home.is_here()) else { return };
        self.replace(None);
        let Ok(desk) = Arc::try_unwrap(desk) else { return };
        drop(desk.queue);
        py.detach(|| {
            let Ok(ended) = desk.ended.into_inner() else { return };
            match ended.recv_timeout(DRAIN) {
                // Nothing is ever sent: disconnected is the end.
                Ok(()) | Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {}
            }
        });
    }

    fn replace(&self, desk: Option<Arc<Desk<T>>>) {
        let before = self.desk.swap(desk);
        if before.as_ref().is_some_and(|desk| !desk.home.is_here()) {
            // Its queue may be locked by a thread of the parent.
            std::mem::forget(before);
        }
    }
}

fn run<T: Send>(items: &Receiver<T>, deliver: fn(Python<'_>, Vec<T>)) {
    while let Ok(first) = items.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(next) = items.try_recv()
        {
            batch.push(next);
        }
        if Python::try_attach(|py| deliver(py, batch)).is_none() {
            // The interpreter is gone.
            return;
        }
    }
}
