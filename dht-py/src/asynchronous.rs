//! Calls for asyncio: the runtime drives them, the loop that awaits them gets the results.
//!
//! A result travels from the runtime through the courier to `loop.call_soon_threadsafe`, several in one go when many are
//! ready, and becomes Python objects on the thread of the loop.

use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};

use dht_core::Result;
use dht_core::binding::Lease;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::courier::Courier;
use crate::errors::raised;

/// Makes the Python result, or raises.
type Reply = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

static COURIER: Courier<Arrived> = Courier::new("dht-asyncio", deliver);

/// A reply, and who waits for it.
struct Arrived {
    event_loop: Py<PyAny>,
    future: Py<PyAny>,
    reply: Reply,
}

/// An operation under way. `begin` it once, on the loop that waits.
#[pyclass(frozen, module = "dht._dht")]
pub(crate) struct Call {
    waiting: Mutex<Option<Pin<Box<dyn Future<Output = Reply> + Send>>>>,
    task: OnceLock<AbortHandle>,
    lease: Lease,
}

impl Call {
    pub(crate) fn new<T: Send + 'static>(
        lease: Lease,
        future: Pin<Box<impl Future<Output = Result<T>> + Send + 'static>>,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Self {
        let reply = async move {
            let result = future.await;
            let reply = move |py: Python<'_>| convert(py, result.map_err(|error| raised(py, &error))?);
            Box::new(reply) as Reply
        };
        Self { waiting: Mutex::new(Some(Box::pin(reply))), task: OnceLock::new(), lease }
    }
}

#[pymethods]
impl Call {
    /// Runs on, and settles `future`, of `event_loop`, in the end.
    fn begin(&self, event_loop: Py<PyAny>, future: Py<PyAny>) -> PyResult<()> {
        let queue = COURIER.queue()?;
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(waiting) = waiting else { return Ok(()) };
        let task = self.lease.handle().spawn(async move {
            let reply = waiting.await;
            // The thread ends only with the interpreter.
            let _ = queue.send(Arrived { event_loop, future, reply });
        });
        // Only one call gets here.
        let _ = self.task.set(task.abort_handle());
        Ok(())
    }

    /// Gives it up; nothing if it is done.
    fn cancel(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// Replies for one loop, called by it.
#[pyclass(frozen, module = "dht._dht")]
struct Delivery(Mutex<Vec<Arrived>>);

#[pymethods]
impl Delivery {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let arrived = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failed = None;
        for Arrived { future, reply, .. } in arrived {
            // The others are waited for all the same; the loop is told of the first.
            if let Err(error) = settle(future.bind(py), reply) {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn settle(future: &Bound<'_, PyAny>, reply: Reply) -> PyResult<()> {
    // Cancelled while the reply was on its way.
    if future.call_method0("done")?.is_truthy()? {
        return Ok(());
    }
    let py = future.py();
    match reply(py) {
        Ok(value) => future.call_method1("set_result", (value,))?,
        Err(error) => future.call_method1("set_exception", (error.into_value(py),))?,
    };
    Ok(())
}

fn deliver(py: Python<'_>, arrived: Vec<Arrived>) {
    let mut loops: Vec<(Py<PyAny>, Vec<Arrived>)> = Vec::new();
    for item in arrived {
        match loops.iter_mut().find(|(event_loop, _)| event_loop.is(&item.event_loop)) {
            Some((_, items)) => items.push(item),
            None => loops.push((item.event_loop.clone_ref(py), vec![item])),
        }
    }
    for (event_loop, items) in loops {
        let told = Py::new(py, Delivery(Mutex::new(items)))
            .and_then(|delivery| event_loop.call_method1(py, "call_soon_threadsafe", (delivery,)));
        // RuntimeError: the loop was closed, so nobody waits any more.
        drop(told);
    }
}

/// Delivers what is queued, and ends the thread.
pub(crate) fn close(py: Python<'_>) {
    COURIER.close(py);
}
