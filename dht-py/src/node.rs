//! `Node`: one node and its operations. `dht.DHT` is a subclass; `dht.AsyncDHT` holds one that was made `_asynchronous`,
//! whose waiting operations return a `Call` instead.
//!
//! `get` and `put` are the hot paths: from memory they neither let go of the interpreter nor allocate more than their
//! results.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dht_core::binding::{Effect, Home, NodeHandle, Running};
use dht_core::{Dht, Value, Versioned};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyString, PyTuple};

use crate::answers::{by_key, found, outcome, shape, shapes};
use crate::arguments::{Key, Level, Seconds, Settings, Timeout, Wait, addresses, config, get_options, put_options};
use crate::calls::{begin, released, wait};
use crate::errors::{not_found, raised};
use crate::values::{decoded, encoded};

/// How long `leave` tries to hand over, and `wait_ready` waits, if nothing else is said.
const LEAVE: f64 = 10.0;
const READY: f64 = 30.0;

/// One node; see `dht.DHT`.
#[pyclass(subclass, frozen, mapping, weakref, module = "dht._dht")]
pub(crate) struct Node {
    /// Empty only while it is dropped.
    handle: Option<Arc<NodeHandle>>,
    home: Home,
    asynchronous: bool,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            crate::life::free(self.home, handle);
        }
    }
}

/// Runs an operation on the running node in the way of this handle: `|dht, input| future`, then `convert`.
/// `borrowed` is what a blocking call uses, `owned` what outlives the call into Python.
macro_rules! operate {
    ($node:ident, $py:ident, $effect:ident, $borrowed:expr, $owned:expr,
     |$dht:ident, $input:ident| $call:expr, $convert:expr) => {{
        let running = $node.running($py)?;
        if $node.asynchronous {
            let held = running.clone();
            let $input = $owned;
            let future = async move {
                let $dht: &Dht = held.dht();
                $call.await
            };
            begin($py, running.lease().clone(), future, $convert)
        } else {
            let $dht: &Dht = running.dht();
            let $input = $borrowed;
            let result = wait($py, running.lease(), Effect::$effect, $call)?;
            ($convert)($py, result)
        }
    }};
}

impl Node {
    fn handle(&self) -> &Arc<NodeHandle> {
        match &self.handle {
            Some(handle) => handle,
            None => unreachable!("the handle is there until the node is dropped"),
        }
    }

    #[inline]
    fn running(&self, py: Python<'_>) -> PyResult<Arc<Running>> {
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

    fn read(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        options: dht_core::GetOptions,
        convert: impl FnOnce(Python<'_>, Option<Versioned<Value>>) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Py<PyAny>> {
        operate!(self, py, Reads, key.0, key.0.to_vec(), |dht, key| dht.get_versioned(key, options), convert)
    }

    fn remove(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        options: dht_core::GetOptions,
        convert: impl FnOnce(Python<'_>, bool) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Py<PyAny>> {
        operate!(self, py, Writes, key.0, key.0.to_vec(), |dht, key| dht.delete_with(key, options), convert)
    }

    fn dht<T>(&self, py: Python<'_>, ask: impl FnOnce(&Dht) -> dht_core::Result<T>) -> PyResult<T> {
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
    /// Raises Address, IncompatibleRing, NodeIdInUse, RingFull, ClockSkew; NodeStopped after `stop` or `leave`.
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
    /// active there; hand-over of older data may go on. Joining the ring one is in is a no-op.
    ///
    /// Raises InvalidArgument, Address, Unreachable, IncompatibleRing, ClockSkew, NodeIdInUse, RingFull.
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

    /// Stores ``value`` under ``key`` (str or bytes), for ``ttl`` or for ever.
    ///
    /// A value is a str, bool, None, int, finite float, list, dict with str keys (kept as JSON), or bytes (kept as they
    /// are). ``consistency`` is "one", "quorum" or "all"; ``timeout`` (1 ms to 1 h) bounds the whole call. Times are seconds, or text
    /// like "250ms".
    ///
    /// Raises InvalidValue (NaN, infinities, lone surrogates), TypeError, TooLarge, InvalidArgument; NotJoined,
    /// QuorumError, OperationTimeout, Overloaded, Unreachable, whose ``maybe_applied`` says whether it may be there.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("user:1", {"name": "Ada", "tags": ["x"]}, ttl=60)
    /// ...     node.get("user:1")
    /// {'name': 'Ada', 'tags': ['x']}
    #[pyo3(signature = (key, value, ttl=None, *, consistency=None, timeout=None))]
    fn put(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        value: &Bound<'_, PyAny>,
        ttl: Option<Seconds>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        let value = encoded(value)?;
        let options = put_options(ttl, consistency, timeout);
        let (borrowed, owned) = (key.0, || key.0.to_vec());
        operate!(self, py, Writes, borrowed, owned(), |dht, key| dht.put_value(key, value, options), outcome)
    }

    /// Stores ``value`` under ``key`` for ``ttl`` seconds; see `put`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put_with_ttl("session", "token", 30)
    /// ...     29 < node.ttl("session") <= 30
    /// True
    #[pyo3(signature = (key, value, ttl, *, consistency=None, timeout=None))]
    fn put_with_ttl(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        value: &Bound<'_, PyAny>,
        ttl: Seconds,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        self.put(py, key, value, Some(ttl), consistency, timeout)
    }

    /// The value of ``key``, or ``default`` if there is none.
    ///
    /// Raises NotJoined, QuorumError, OperationTimeout if too few replicas answered.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("k", [1, 2.5, None])
    /// ...     node.get("k"), node.get("other"), node.get("other", 0)
    /// ([1, 2.5, None], None, 0)
    #[pyo3(signature = (key, default=None, *, consistency=None, timeout=None))]
    fn get(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        default: Option<Py<PyAny>>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        self.read(py, key, get_options(consistency, timeout), move |py, found| match found {
            Some(found) => decoded(py, &found.value),
            None => Ok(default.unwrap_or_else(|| py.None())),
        })
    }

    /// The value of ``key`` as a `Versioned`, or None.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("k", 1)
    /// ...     node.get_versioned("k").version == outcome.version
    /// True
    #[pyo3(signature = (key, *, consistency=None, timeout=None))]
    fn get_versioned(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        self.read(py, key, get_options(consistency, timeout), found)
    }

    /// Whether ``key`` has a value.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     node.contains("k"), "k" in node
    /// (False, False)
    #[pyo3(signature = (key, *, consistency=None, timeout=None))]
    fn contains(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        self.read(py, key, get_options(consistency, timeout), |py, found| flag(py, found.is_some()))
    }

    /// Seconds that ``key`` still lives; None if it has no value or never expires.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("k", 1)
    /// ...     print(node.ttl("k"))
    /// None
    fn ttl(&self, py: Python<'_>, key: Key<'_>) -> PyResult<Py<PyAny>> {
        let convert = |py: Python<'_>, left: Option<Duration>| {
            Ok(left.map(|time| time.as_secs_f64()).into_pyobject(py)?.unbind())
        };
        operate!(self, py, Reads, key.0, key.0.to_vec(), |dht, key| dht.ttl(key), convert)
    }

    /// Deletes ``key``; True if it had a value. Raises as `put`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("k", 1)
    /// ...     node.delete("k"), node.delete("k")
    /// (True, False)
    #[pyo3(signature = (key, *, consistency=None, timeout=None))]
    fn delete(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        self.remove(py, key, get_options(consistency, timeout), flag)
    }

    /// Stores a mapping of keys to values, grouped per owner, and returns the `PutOutcome` of each key. ``timeout``
    /// bounds the whole batch. Raises BatchError if some keys failed; wrong types and values refuse the whole batch.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcomes = node.put_many({"a": 1, "b": 2})
    /// ...     sorted(outcomes), node.get_many(["b", "a", "none"])
    /// (['a', 'b'], {'b': 2, 'a': 1})
    #[pyo3(signature = (mapping, ttl=None, *, consistency=None, timeout=None))]
    fn put_many(
        &self,
        py: Python<'_>,
        mapping: &Bound<'_, PyAny>,
        ttl: Option<Seconds>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        let items = if mapping.is_instance_of::<PyDict>() { mapping.clone() } else { dict_of(mapping)? };
        let (mut keys, mut entries) = (Vec::new(), Vec::new());
        for (key, value) in items.cast::<PyDict>()?.iter() {
            entries.push((owned(&key)?, encoded(&value)?));
            keys.push(key);
        }
        let keys = PyTuple::new(py, keys)?.unbind();
        let options = put_options(ttl, consistency, timeout);
        let convert =
            move |py: Python<'_>, results| by_key(py, keys.bind(py), results, |py, made| outcome(py, made).map(Some));
        operate!(self, py, Writes, entries, entries, |dht, entries| dht.put_many(entries, options), convert)
    }

    /// The values of those of ``keys`` that have one, by key and in the order asked. Raises BatchError if some keys
    /// could not be read.
    #[pyo3(signature = (keys, *, consistency=None, timeout=None))]
    fn get_many(
        &self,
        py: Python<'_>,
        keys: &Bound<'_, PyAny>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        let (names, keys) = listed(keys)?;
        let options = get_options(consistency, timeout);
        let convert = move |py: Python<'_>, results| {
            by_key(py, names.bind(py), results, |py, found: Option<Versioned<Value>>| {
                found.map(|found| decoded(py, &found.value)).transpose()
            })
        };
        operate!(self, py, Reads, keys, keys, |dht, keys| dht.get_many(keys, options), convert)
    }

    /// Deletes ``keys``; for each, whether it had a value. Raises BatchError if some keys failed.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("a", 1)
    /// ...     node.delete_many(["a", "b"])
    /// {'a': True, 'b': False}
    #[pyo3(signature = (keys, *, consistency=None, timeout=None))]
    fn delete_many(
        &self,
        py: Python<'_>,
        keys: &Bound<'_, PyAny>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        let (names, keys) = listed(keys)?;
        let options = get_options(consistency, timeout);
        let convert = move |py: Python<'_>, results| {
            by_key(py, names.bind(py), results, |py, existed| flag(py, existed).map(Some))
        };
        operate!(self, py, Writes, keys, keys, |dht, keys| dht.delete_many(keys, options), convert)
    }

    /// The id of ``key`` on the ring. Works before `start` too.
    ///
    /// >>> import dht
    /// >>> hex(dht.DHT(hash_function="sha1").hash_key("abc"))
    /// '0xa9993e364706816aba3e25717850c26c9cd0d89d'
    fn hash_key(&self, py: Python<'_>, key: Key<'_>) -> PyResult<Py<PyAny>> {
        let hex = self.handle().hash_key(key.0).map_err(|error| raised(py, &error))?;
        Ok(py.get_type::<PyInt>().call1((hex, 16))?.unbind())
    }

    /// The nodes that keep ``key``, its owner first, as a list of `NodeInfo`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT(node_id="me") as node:
    /// ...     [owner.id for owner in node.locate("k")]
    /// ['me']
    fn locate(&self, py: Python<'_>, key: Key<'_>) -> PyResult<Py<PyAny>> {
        shapes(py, "NodeInfo", &self.dht(py, |dht| dht.locate(key.0))?)
    }

    /// The way to the owner of ``key``, as a `LookupTrace`: walks the ring as a lookup does, whatever this node's view
    /// says, and tells whom it asked. Takes ``request_timeout`` at most.
    ///
    /// Raises TooLarge (the key), NotJoined, OperationTimeout; Unreachable if all ways ended at silent nodes.
    ///
    /// >>> import dht
    /// >>> with dht.DHT(node_id="me") as node:
    /// ...     trace = node.lookup_trace("k")
    /// >>> trace.owner.id, trace.hops, trace.one_hop
    /// ('me', (), True)
    fn lookup_trace(&self, py: Python<'_>, key: Key<'_>) -> PyResult<Py<PyAny>> {
        let convert = |py: Python<'_>, trace| shape(py, "LookupTrace", &trace);
        operate!(self, py, Reads, key.0, key.0.to_vec(), |dht, key| dht.lookup_trace(key), convert)
    }

    /// This node, as a `NodeInfo`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT(node_id="me") as node:
    /// ...     node.node_info().id, node.node_info().state
    /// ('me', 'active')
    fn node_info(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shape(py, "NodeInfo", &self.dht(py, Dht::node_info)?)
    }

    /// The first other node before this node's position 0, as a `NodeInfo`; None alone.
    fn predecessor(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.dht(py, Dht::predecessor)? {
            Some(node) => shape(py, "NodeInfo", &node),
            None => Ok(py.None()),
        }
    }

    /// The next other nodes clockwise, at most ``successor_list_size``, as a list of `NodeInfo`; [] alone.
    fn successor_list(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shapes(py, "NodeInfo", &self.dht(py, Dht::successor_list)?)
    }

    /// The fingers of position 0 that are known, ascending, as a list of `Finger`.
    fn finger_table(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shapes(py, "Finger", &self.dht(py, Dht::finger_table)?)
    }

    /// The ring as this node sees it, as a `RingInfo`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT(node_id="me") as node:
    /// ...     [(member.id, member.share) for member in node.ring().nodes]
    /// [('me', 1.0)]
    fn ring(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shape(py, "RingInfo", &self.dht(py, Dht::ring)?)
    }

    /// All nodes that this node remembers, those that are gone included, as a list of `NodeInfo`.
    fn members(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shapes(py, "NodeInfo", &self.dht(py, Dht::members)?)
    }

    /// What this node has counted and measured since it started, as `Statistics`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("k", 1)
    /// ...     node.statistics().stores_successful
    /// 1
    fn statistics(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shape(py, "Statistics", &self.dht(py, Dht::statistics)?)
    }

    /// Whether this node and its part of the ring are well, as `Health`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     node.health().joined
    /// True
    fn health(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shape(py, "Health", &self.dht(py, Dht::health)?)
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

    fn __getitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let bytes: Key<'_> = key.extract()?;
        let name = key.clone().unbind();
        self.read(py, bytes, get_options(None, None), move |py, found| match found {
            Some(found) => decoded(py, &found.value),
            None => Err(not_found(py, name.bind(py))),
        })
    }

    fn __setitem__(&self, py: Python<'_>, key: Key<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.put(py, key, value, None, None, None).map(drop)
    }

    fn __delitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes: Key<'_> = key.extract()?;
        let name = key.clone().unbind();
        let convert = move |py: Python<'_>, existed: bool| {
            if existed { Ok(py.None()) } else { Err(not_found(py, name.bind(py))) }
        };
        self.remove(py, bytes, get_options(None, None), convert).map(drop)
    }

    fn __contains__(&self, py: Python<'_>, key: Key<'_>) -> PyResult<bool> {
        self.contains(py, key, None, None)?.is_truthy(py)
    }
}

fn flag(py: Python<'_>, flag: bool) -> PyResult<Py<PyAny>> {
    Ok(flag.into_pyobject(py)?.to_owned().into_any().unbind())
}

fn owned(key: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let key: Key<'_> = key.extract()?;
    Ok(Bytes::copy_from_slice(key.0))
}

/// Any other mapping than a dict, as one.
fn dict_of<'py>(mapping: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if !mapping.hasattr("keys")? {
        let text = format!("put_many takes a mapping of keys to values, not {}", mapping.get_type().name()?);
        return Err(PyTypeError::new_err(text));
    }
    mapping.py().get_type::<PyDict>().call1((mapping,))
}

/// The keys as they were given, and their bytes.
fn listed(keys: &Bound<'_, PyAny>) -> PyResult<(Py<PyTuple>, Vec<Bytes>)> {
    if keys.is_instance_of::<PyString>() || keys.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err("a list of keys is wanted, not one key"));
    }
    let (mut names, mut bytes) = (Vec::new(), Vec::new());
    for key in keys.try_iter()? {
        let key = key?;
        bytes.push(owned(&key)?);
        names.push(key);
    }
    Ok((PyTuple::new(keys.py(), names)?.unbind(), bytes))
}
