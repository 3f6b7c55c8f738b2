//! `Node`: one node and its life; its operations are in `data`, `atomic`, `batch`, `scan` and `topology`. `dht.DHT` is a
//! subclass; `dht.AsyncDHT` holds one that was made `_asynchronous`, whose waiting operations return a `Call` instead.

use std::sync::Arc;
use std::time::Duration;

use dht_core::Dht;
use dht_core::binding::{Effect, Home, NodeHandle, Running};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arguments::{Settings, Wait, addresses, config};
use crate::calls::{begin, operate, released};
use crate::errors::raised;

/// How long `leave` tries to hand over, and `wait_ready` waits, if nothing else is said.
const LEAVE: f64 = 10.0;
const READY: f64 = 30.0;

/// One node; see `dht.DHT`.
#[pyclass(subclass, frozen, mapping, weakref, module = "dht._dht")]
pub(crate) struct Node {
    /// Empty only while it is dropped.
    handle: Option<Arc<NodeHandle>>,
    home: Home,
    /// Operations return a `Call`.
    pub(crate) asynchronous: bool,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            crate::life::free(self.home, handle);
        }
    }
}

impl Node {
    pub(crate) fn handle(&self) -> &Arc<NodeHandle> {
        match &self.handle {
            Some(handle) => handle,
            None => unreachable!("the handle is there until the node is dropped"),
        }
    }

    #[inline]
    pub(crate) fn running(&self, py: Python<'_>) -> PyResult<Arc<Running>> {
        self.handle().running().map_err(|error| raised(py, &error))
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
        let lease = self.handle().lease().map_err(|error| raised(py, &error))?;
        let future = life(self.handle().clone(), lease.clone());
        if self.asynchronous {
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

#[pymethods]
impl Node {
    #[new]
    #[pyo3(signature = (*, _asynchronous=false, _settings=None, **config))]
    fn new(
        py: Python<'_>,
        _asynchronous: bool,
        _settings: Option<&Bound<'_, Settings>>,
        config: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let config = match _settings {
            Some(settings) => settings.get().0.clone(),
            None => self::config(py, config)?,
        };
        let handle = NodeHandle::new(config).map_err(|error| raised(py, &error))?;
        Ok(Self { handle: Some(Arc::new(handle)), home: Home::here(), asynchronous: _asynchronous })
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
        if self.handle().config().enable_logging {
            crate::logs::enable()?;
        }
        crate::life::remember(self.handle());
        self.live(py, Effect::Reads, |handle, lease| async move { handle.start(&lease).await })
    }

    /// Joins the ring of ``addresses``: "host:port", several separated by commas, or a list. Returns when this node is
    /// active there; hand-over of older data may go on. Joining the ring one is in is a no-op. A ring must have let it in within
    /// ``request_timeout``; copying may take ``request_timeout`` times ``max_retries + 1`` in all.
    ///
    /// Raises InvalidArgument, Address, Unreachable, IncompatibleRing, Auth, ClockSkew, NodeIdInUse, RingFull: the node stays
    /// where it was. OperationTimeout if it was let in and is still copying, which goes on.
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
    /// once. Raises OperationTimeout if not everything was handed over: the node has left nevertheless.
    ///
    /// >>> import dht
    /// >>> node = dht.DHT()
    /// >>> node.start()
    /// >>> node.leave()
    #[pyo3(signature = (timeout=Wait(Duration::from_secs_f64(LEAVE))), text_signature = "($self, timeout=10.0)")]
    fn leave(&self, py: Python<'_>, timeout: Wait) -> PyResult<Py<PyAny>> {
        if self.handle().has_ended() && self.home.is_here() {
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
        if self.handle().has_ended() && self.home.is_here() {
            return Ok(py.None());
        }
        if self.asynchronous {
            return self.live(py, Effect::Reads, |handle, _| async move { handle.stop().await });
        }
        // At most a second: too short to ask for signals.
        py.detach(|| self.handle().stop_blocking()).map(|()| py.None()).map_err(|error| raised(py, &error))
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
