//! Many keys in one call, grouped per owner.

use bytes::Bytes;
use dht_core::{Value, Versioned};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use crate::answers::{by_key, flag, outcome};
use crate::arguments::{Key, Level, Seconds, Timeout, get_options, put_options};
use crate::calls::operate;
use crate::node::Node;
use crate::values::{decoded, encoded};

#[pymethods]
impl Node {
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
