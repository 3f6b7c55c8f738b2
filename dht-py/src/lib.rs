//! The extension module `dht._dht`: what the Python package `dht` stands on.
//!
//! `node` has the life of a node, `data`, `atomic`, `batch`, `scan` and `topology` its operations; `calls` runs them, blocking or for asyncio (`asynchronous`); `values` and `arguments` turn
//! Python objects into the core's and back, `answers` shows its shapes, `errors` raises its errors; `logs` hands its
//! events to Python's `logging`; `life` ends everything with the interpreter; `program` is the `dht` command.
//!
//! Invariant: no thread of the runtime ever attaches to the interpreter. What has to reach Python from there goes through
//! a queue to a thread of this module (`courier`), so a busy interpreter never slows the ring down, and no lock of the
//! core is ever held by a thread that waits for the interpreter.

mod answers;
mod arguments;
mod asynchronous;
mod atomic;
mod batch;
mod calls;
mod courier;
mod data;
mod errors;
mod life;
mod logs;
mod node;
mod program;
mod scan;
mod topology;
mod values;

use pyo3::prelude::*;

#[pymodule]
#[pyo3(name = "_dht")]
fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<node::Node>()?;
    module.add_class::<arguments::Settings>()?;
    module.add_class::<answers::PutOutcome>()?;
    module.add_class::<answers::Versioned>()?;
    module.add_class::<atomic::Expected>()?;
    module.add_class::<atomic::Swap>()?;
    module.add_class::<scan::Scan>()?;
    module.add_class::<asynchronous::Call>()?;
    module.add_function(wrap_pyfunction!(life::end_all, module)?)?;
    module.add_function(wrap_pyfunction!(life::forked, module)?)?;
    module.add_function(wrap_pyfunction!(program::run, module)?)?;
    life::watch_forks(module.py())
}
