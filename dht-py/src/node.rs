//! `Node`: one node and its life; its operations are in `data`, `atomic`, `batch`, `scan` and `topology`. `dht.DHT` is a
//! subclass; `dht.AsyncDHT` holds one that was made `_asynchronous`, whose waiting operations return a `Call` instead.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dht_core::binding::{Effect, Home, NodeHandle, Running};
use dht_core::{Dht, ErrorKind};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::arguments::{Settings, Wait, addresses, config};
use crate::calls::{begin, operate, released};
use crate::errors::{raised, refused};

/// How long `leave` tries to hand over, and `wait_ready` waits, if nothing else is said.
const LEAVE: f64 = 10.0;
const READY: f64 = 30.0;

/// One node; see `dht.DHT`.
#[pyclass(subclass, frozen, mapping, weakref, module = "dht._dht")]
pub(crate) struct Node {
    /// Empty before `__init__`, which a subclass may forget to call, and while the node is dropped.
    made: OnceLock<Made>,
}

/// What `__init__` makes of the settings.
struct Made {
    handle: Arc<NodeHandle>,
    home: Home,
    /// Operations return a `Call`.
    asynchronous: bool,
}

impl Made {
    fn has_ended(&self) -> bool {
        // In this order: a forked child waits for no lock of its parent.
        self.home.is_here() && self.handle.has_ended()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(made) = self.made.take() {
            crate::life::free(made.home, made.handle);
        }
    }
}

impl Node {
    #[inline]
    fn made(&self, py: Python<'_>) -> PyResult<&Made> {
        self.made.get().ok_or_else(|| unmade(py))
    }

    #[inline]
    pub(crate) fn handle(&self, py: Python<'_>) -> PyResult<&Arc<NodeHandle>> {
        Ok(&self.made(py)?.handle)
    }

    #[inline]
    pub(crate) fn running(&self, py: Python<'_>) -> PyResult<Arc<Running>> {
        self.handle(py)?.running().map_err(|error| raised(py, &error))
    }

    /// Whether operations return a `Call`.
    #[inline]
    pub(crate) fn asynchronous(&self) -> bool {
        self.made.get().is_some_and(|made| made.asynchronous)
    }

    /// Runs what begins or ends a node, which knows itself how to block.
    fn live<F>(
        &self,
        py: Python<'_>,
        effect: Effect,
        life: impl FnOnce(Arc<NodeHandle>, dht_core::binding::Lease) -> F,
    ) -> PyResult<Py<PyAny>>
    where
        F: Future<Output = dht_core::Result<()>> + Send + 'static,
    {
        let made = self.made(py)?;
        let lease = made.handle.lease().map_err(|error| raised(py, &error))?;
        let future = life(made.handle.clone(), lease.clone());
        if made.asynchronous {
            return begin(py, lease, future, |py, ()| Ok(py.None()));
        }
        let (result, interrupt) = py.detach(|| {
            let done = released(&lease, effect, future);
            // It may be the last one, and then waits for threads.
            drop(lease);
            done
        });
        match interrupt {
            Some(interrupt) => Err(interrupt),
            None => result.map(|()| py.None()).map_err(|error| raised(py, &error)),
        }
    }

    pub(crate) fn dht<T>(&self, py: Python<'_>, ask: impl FnOnce(&Dht) -> dht_core::Result<T>) -> PyResult<T> {
        ask(self.running(py)?.dht()).map_err(|error| raised(py, &error))
    }
}

/// Not started, so that `close` and `repr` take it for what it is.
#[cold]
fn unmade(py: Python<'_>) -> PyErr {
    refused(py, ErrorKind::NotStarted, "the node has no settings: __init__ of a subclass must call super().__init__()")
}

#[pymethods]
impl Node {
    /// Takes anything: this sees what a subclass was called with, `__init__` what the subclass makes of that. The text
    /// signature is that of `__init__`: Python looks for it here.
    #[new]
    #[pyo3(
        signature = (*_arguments, **_config),
        text_signature = "(*, _asynchronous=False, _settings=None, **config)"
    )]
    fn new(_arguments: &Bound<'_, PyTuple>, _config: Option<&Bound<'_, PyDict>>) -> Self {
        Self { made: OnceLock::new() }
    }

    #[pyo3(signature = (*, _asynchronous=false, _settings=None, **config))]
    fn __init__(
        &self,
        py: Python<'_>,
        _asynchronous: bool,
        _settings: Option<&Bound<'_, Settings>>,
        config: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let config = match (_settings, config) {
            (None, config) => self::config(py, config)?,
            (Some(settings), None) => settings.get().0.clone(),
            // Of a subclass that adds some of its own: dropping either would go unseen.
            (Some(_), Some(_)) => {
                let text = "a node takes its settings from a file or the environment, or from arguments, not from both";
                return Err(PyTypeError::new_err(text));
            }
        };
        let handle = NodeHandle::new(config).map_err(|error| raised(py, &error))?;
        let made = Made { handle: Arc::new(handle), home: Home::here(), asynchronous: _asynchronous };
        self.made.set(made).map_err(|_| PyRuntimeError::new_err("a node takes its settings once: it has them already"))
    }

    /// Starts the node. Without ``seeds`` it founds a ring and serves at once; with seeds it returns after joining, or
    /// after ``request_timeout`` and goes on trying. A no-op on a running node.
    ///
    /// Raises Address; Storage for a ``data_dir`` that cannot be used; ConfigError for one of another node or ring, and for
    /// certificates; Insecure for a name that resolves beyond loopback; IncompatibleRing, Auth, NodeIdInUse, RingFull,
    /// ClockSkew if the ring refuses; NodeStopped after `stop` or `leave`.
    ///
    /// >>> import dht
    /// >>> node = dht.DHT()
    /// >>> node.start()
    /// >>> node.health().joined
    /// True
    /// >>> node.stop()
    fn start(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let handle = self.handle(py)?;
        if handle.config().enable_logging || handle.config().trace_sample > 0 {
            crate::logs::enable()?;
        }
        crate::life::remember(handle);
        self.live(py, Effect::Reads, |handle, lease| async move { handle.start(&lease).await })
    }

    /// Joins the ring of ``addresses``: "host:port", several separated by commas, or a list. Returns when this node is
    /// active there; hand-over of older data may go on. Joining the ring one is in is a no-op. A ring must have let it in within
    /// ``request_timeout``; copying may take ``request_timeout`` times ``max_retries + 1`` in all.
    ///
    /// Raises InvalidArgument, Address, Unreachable, IncompatibleRing, Auth, ClockSkew, NodeIdInUse, RingFull: the node stays
    /// where it was; Overloaded if those that answer have too much to do. OperationTimeout if it was let in and is still copying, which goes on.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as first, dht.DHT() as second:
    /// ...     second.join(first.address)
    /// ...     _ = first.put("k", 1)
    /// ...     second.get("k")
    /// 1
    fn join(&self, py: Python<'_>, addresses: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let given = self::addresses(addresses)?;
        operate!(self, py, Reads, given, given, |dht, seeds| dht.join(&seeds), |py: Python<'_>, ()| Ok(py.None()))
    }

    /// Waits until this node has joined, agrees with its neighbours and has caught up with all that it should hold.
    /// ``timeout`` in seconds. Raises OperationTimeout.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     node.wait_ready()
    #[pyo3(signature = (timeout=Wait(Duration::from_secs_f64(READY))), text_signature = "($self, timeout=30.0)")]
    fn wait_ready(&self, py: Python<'_>, timeout: Wait) -> PyResult<Py<PyAny>> {
        operate!(self, py, Reads, timeout.0, timeout.0, |dht, time| dht.wait_ready(time), |py: Python<'_>, ()| Ok(
            py.None()
        ))
    }

    /// Hands over what only this node holds, says goodbye and ends; ``timeout`` in seconds. Later calls succeed at
    /// once. Raises OperationTimeout if not everything was handed over: the node has ended nevertheless. NodeStopped if it was
    /// stopped meanwhile, before everything was handed over.
    ///
    /// >>> import dht
    /// >>> node = dht.DHT()
    /// >>> node.start()
    /// >>> node.leave()
    #[pyo3(signature = (timeout=Wait(Duration::from_secs_f64(LEAVE))), text_signature = "($self, timeout=10.0)")]
    fn leave(&self, py: Python<'_>, timeout: Wait) -> PyResult<Py<PyAny>> {
        if self.made(py)?.has_ended() {
            return Ok(py.None());
        }
        // Never started: told here, without a runtime.
        self.running(py)?;
        self.live(py, Effect::Writes, move |handle, _| async move { handle.leave(timeout.0).await })
    }

    /// Ends the node within a second, without hand-over or goodbye: to the ring, a crash. Later calls succeed at once.
    ///
    /// >>> import dht
    /// >>> node = dht.DHT()
    /// >>> node.start()
    /// >>> node.stop()
    /// >>> node.get("k")
    /// Traceback (most recent call last):
    ///     ...
    /// dht.errors.NodeStopped: the node was stopped or has left
    fn stop(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let made = self.made(py)?;
        if made.has_ended() {
            made.handle.forget_how_it_left();
            return Ok(py.None());
        }
        if made.asynchronous {
            return self.live(py, Effect::Reads, |handle, _| async move { handle.stop().await });
        }
        // At most a second: too short to ask for signals.
        py.detach(|| made.handle.stop_blocking()).map(|()| py.None()).map_err(|error| raised(py, &error))
    }

    /// What others dial and `join` takes: "host:port". Raises NotStarted before `start`.
    #[getter]
    fn address(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.running(py)?.dht().address())
    }

    /// This node's name on the ring. Raises NotStarted before `start`.
    #[getter]
    fn node_id(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.running(py)?.dht().node_id())
    }
}
