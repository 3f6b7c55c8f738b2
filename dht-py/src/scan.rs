//! All keys of a prefix: one by one, counted, deleted.

use std::sync::Arc;

use bytes::Bytes;
use dht_core::{Result, Value, Versioned};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use tokio::sync::Mutex;

use crate::arguments::{Key, Level, Timeout, get_options};
use crate::calls::operate;
use crate::node::Node;
use crate::values::decoded;

/// The keys of a scan with their values; see `DHT.scan`.
#[pyclass(frozen, module = "dht._dht")]
pub(crate) struct Scan {
    node: Py<Node>,
    scan: Arc<Mutex<dht_core::Scan>>,
}

#[pymethods]
impl Scan {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let found = self._next(py)?;
        Ok((!found.is_none(py)).then_some(found))
    }

    /// The next one, in the way of the node; None at the end.
    fn _next(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let node = self.node.get();
        operate!(node, py, Reads, self.scan.clone(), self.scan.clone(), |_dht, scan| next(scan), entry)
    }
}

async fn next(scan: Arc<Mutex<dht_core::Scan>>) -> Result<Option<(Bytes, Versioned<Value>)>> {
    scan.lock().await.next().await
}

fn entry(py: Python<'_>, found: Option<(Bytes, Versioned<Value>)>) -> PyResult<Py<PyAny>> {
    let Some((key, found)) = found else { return Ok(py.None()) };
    let key = match std::str::from_utf8(&key) {
        Ok(text) => PyString::new(py, text).into_any(),
        Err(_) => PyBytes::new(py, &key).into_any(),
    };
    Ok((key, decoded(py, &found.value)?).into_pyobject(py)?.into_any().unbind())
}

fn number(py: Python<'_>, number: u64) -> PyResult<Py<PyAny>> {
    Ok(number.into_pyobject(py)?.into_any().unbind())
}

#[pymethods]
impl Node {
    /// Iterates over all keys that begin with ``prefix`` (str or bytes), each with its value, in no order. Keys are str
    /// where they are UTF-8, else bytes. A key that is there throughout is found exactly once, whatever nodes join,
    /// leave or die meanwhile; one that is put or deleted meanwhile may be found or not. ``timeout`` is that of each page.
    ///
    /// After an error of the network the iterator is where it was: ``next`` goes on there.
    ///
    /// Raises NotJoined, QuorumError, OperationTimeout, Overloaded, NodeStopped; TooLarge (the prefix).
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcomes = node.put_many({"user:1": "Ada", "user:2": "Bob", "other": 0})
    /// ...     sorted(node.scan("user:"))
    /// [('user:1', 'Ada'), ('user:2', 'Bob')]
    #[pyo3(signature = (prefix=Key(b""), *, consistency=None, timeout=None), text_signature = "($self, prefix='', *, consistency=None, timeout=None)")]
    fn scan(
        this: &Bound<'_, Self>,
        prefix: Key<'_>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Scan> {
        let options = get_options(consistency, timeout);
        let scan = this.get().dht(this.py(), |dht| Ok(dht.scan_with(prefix.0, options)))?;
        Ok(Scan { node: this.clone().unbind(), scan: Arc::new(Mutex::new(scan)) })
    }

    /// How many keys begin with ``prefix`` and have a value, counted one by one. Raises as `scan`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcomes = node.put_many({"user:1": "Ada", "user:2": "Bob", "other": 0})
    /// ...     node.count("user:"), node.count()
    /// (2, 3)
    #[pyo3(signature = (prefix=Key(b"")), text_signature = "($self, prefix='')")]
    fn count(&self, py: Python<'_>, prefix: Key<'_>) -> PyResult<Py<PyAny>> {
        operate!(self, py, Reads, prefix.0, prefix.0.to_vec(), |dht, prefix| dht.count(prefix), number)
    }

    /// About how many keys have a value, without asking anybody: what this node holds, scaled by the part of the ring
    /// that it holds. A client, which holds nothing, asks some nodes.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("k", 1)
    /// ...     node.len()
    /// 1
    fn len(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        operate!(self, py, Reads, (), (), |dht, _nothing| dht.len(), number)
    }

    /// Deletes all keys that begin with ``prefix``, without one all keys, and returns how many had a value. Keys that are put
    /// meanwhile may stay. Raises as `scan` and `delete`, the first that occurred; what was deleted before stays deleted.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcomes = node.put_many({"user:1": "Ada", "user:2": "Bob", "other": 0})
    /// ...     node.clear("user:"), node.count()
    /// (2, 1)
    #[pyo3(signature = (prefix=Key(b"")), text_signature = "($self, prefix='')")]
    fn clear(&self, py: Python<'_>, prefix: Key<'_>) -> PyResult<Py<PyAny>> {
        operate!(self, py, Writes, prefix.0, prefix.0.to_vec(), |dht, prefix| dht.clear(prefix), number)
    }
}
