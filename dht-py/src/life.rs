//! The end of the interpreter, and forks.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use dht_core::binding::{Home, NodeHandle, count_forks, note_fork};
use futures_util::future::join_all;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// All nodes stop at once, each within a second.
const END: Duration = Duration::from_millis(1_500);

/// The nodes of this process that were started and not dropped. Only touched by threads that hold the interpreter, so
/// it is unlocked whenever Python forks.
static STARTED: Mutex<Vec<Weak<NodeHandle>>> = Mutex::new(Vec::new());

/// Remembers a node that is being started.
pub(crate) fn remember(handle: &Arc<NodeHandle>) {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    // Amortised: the list at most doubles between two sweeps.
    if started.len() == started.capacity() {
        started.retain(|node| node.strong_count() > 0);
    }
    if !started.iter().any(|node| std::ptr::eq(node.as_ptr(), Arc::as_ptr(handle))) {
        started.push(Arc::downgrade(handle));
    }
}

/// Stops all nodes, and the threads that reach into Python. For `atexit`: calls that wait in other threads end with it.
#[pyfunction]
pub(crate) fn end_all(py: Python<'_>) {
    let started = std::mem::take(&mut *STARTED.lock().unwrap_or_else(PoisonError::into_inner));
    let running: Vec<_> = started.iter().filter_map(Weak::upgrade).filter(|node| node.running().is_ok()).collect();
    py.detach(move || {
        let Some(lease) = running.iter().find_map(|node| node.lease().ok()) else { return };
        let stops = running.iter().map(|node| node.stop());
        let all = async {
            // A node that does not stop in time ends with the process.
            let _ = tokio::time::timeout(END, join_all(stops)).await;
            Ok(())
        };
        // Inside a runtime nothing may wait: there the process's end ends them.
        let _ = lease.block_on(dht_core::binding::Effect::Reads, all, None);
    });
    crate::asynchronous::close(py);
    crate::logs::close(py);
}

/// To be called in every forked child.
#[pyfunction]
pub(crate) fn forked() {
    note_fork();
}

/// Has [`forked`] called, so that no call has to ask the system for the pid.
pub(crate) fn watch_forks(py: Python<'_>) -> PyResult<()> {
    let os = py.import("os")?;
    if !os.hasattr("register_at_fork")? {
        // No fork on this system.
        return Ok(());
    }
    let arguments = PyDict::new(py);
    arguments.set_item("after_in_child", wrap_pyfunction!(forked, py)?)?;
    os.call_method("register_at_fork", (), Some(&arguments))?;
    count_forks();
    Ok(())
}

/// Frees `handle` with the interpreter released, since the end of a node takes a moment.
pub(crate) fn free(home: Home, handle: Arc<NodeHandle>) {
    if !home.is_here() {
        // Nothing of it may be touched in a forked child.
        std::mem::forget(handle);
        return;
    }
    let mut handle = Some(handle);
    let freed = Python::try_attach(|py| {
        let handle = handle.take();
        py.detach(|| drop(handle));
    });
    // Without an interpreter nobody has to be let through.
    drop((freed, handle));
}
