//! Single keys. `get` and `put` are the hot paths: from memory they neither let go of the interpreter nor allocate more
//! than their results.

use std::time::Duration;

use dht_core::{GetOptions, Value, Versioned};
use pyo3::prelude::*;

use crate::answers::{flag, found, outcome};
use crate::arguments::{Key, Level, Seconds, Timeout, get_options, put_options};
use crate::calls::operate;
use crate::errors::not_found;
use crate::node::Node;
use crate::values::{decoded, encoded};

impl Node {
    fn read(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        options: GetOptions,
        convert: impl FnOnce(Python<'_>, Option<Versioned<Value>>) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Py<PyAny>> {
        operate!(self, py, Reads, key.0, key.0.to_vec(), |dht, key| dht.get_versioned(key, options), convert)
    }

    fn remove(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        options: GetOptions,
        convert: impl FnOnce(Python<'_>, bool) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Py<PyAny>> {
        operate!(self, py, Writes, key.0, key.0.to_vec(), |dht, key| dht.delete_with(key, options), convert)
    }

    fn lives(&self, py: Python<'_>, key: Key<'_>, ttl: Option<Seconds>, options: GetOptions) -> PyResult<Py<PyAny>> {
        let ttl = ttl.map(|time| time.0);
        operate!(self, py, Writes, key.0, key.0.to_vec(), |dht, key| dht.expire_with(key, ttl, options), flag)
    }
}

#[pymethods]
impl Node {
    /// Stores ``value`` under ``key`` (str or bytes), for ``ttl`` or for ever.
    ///
    /// A value is a str, bool, None, int, finite float, list, dict with str keys (kept as JSON), or bytes (kept as they
    /// are). ``consistency`` is "one", "quorum" or "all"; ``timeout`` (1 ms to 1 h) bounds the whole call. Times are seconds, or text
    /// like "250ms".
    ///
    /// Raises InvalidValue (NaN, infinities, lone surrogates), TypeError, TooLarge, InvalidArgument; NotJoined,
    /// QuorumError, OperationTimeout, Overloaded, Unreachable, MemoryFull, Storage, ClockSkew, NodeStopped, whose
    /// ``maybe_applied`` says whether it may be there.
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
    /// Raises NotJoined; QuorumError, OperationTimeout, Overloaded if too few replicas answered; TooLarge (the key); WrongFormat for
    /// JSON that Python has no value for.
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

    /// Lets what is under ``key`` live for ``ttl`` seconds from now, whatever its expiry was; True if there is a value.
    /// Raises as `put`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("k", 1)
    /// ...     node.expire("k", 60), 59 < node.ttl("k") <= 60, node.expire("none", 60)
    /// (True, True, False)
    #[pyo3(signature = (key, ttl, *, consistency=None, timeout=None))]
    fn expire(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        ttl: Seconds,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        self.lives(py, key, Some(ttl), get_options(consistency, timeout))
    }

    /// Lets what is under ``key`` live for ever; True if there is a value that would have expired. Raises as `put`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("k", 1, ttl=60)
    /// ...     node.persist("k"), node.ttl("k"), node.persist("k")
    /// (True, None, False)
    #[pyo3(signature = (key, *, consistency=None, timeout=None))]
    fn persist(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        self.lives(py, key, None, get_options(consistency, timeout))
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
