//! Operations that look at the present value, what they expect, and what they answer.

use dht_core::{ErrorKind, Expected as Wanted, Number, Value, Version};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt};

use crate::answers::{PutOutcome, Versioned};
use crate::arguments::{Key, Level, Seconds, Timeout, get_options, put_options};
use crate::calls::operate;
use crate::errors::{is_wrong_format, refused};
use crate::node::Node;
use crate::values::{decoded, encoded};

/// What `compare_and_swap` expects to find, where the value itself does not say it. Frozen.
///
/// >>> import dht
/// >>> with dht.DHT() as node:
/// ...     outcome = node.put("k", None)
/// ...     node.compare_and_swap("k", dht.Expected.value(None), 1).swapped
/// True
#[pyclass(frozen, module = "dht._dht")]
pub(crate) struct Expected(Wanted);

#[pymethods]
impl Expected {
    /// No value: never put, deleted or expired. None means the same.
    #[staticmethod]
    fn absent() -> Self {
        Self(Wanted::Absent)
    }

    /// A value of exactly this version. Raises InvalidArgument for what is no version.
    #[staticmethod]
    #[pyo3(signature = (version, /))]
    fn version(py: Python<'_>, version: &str) -> PyResult<Self> {
        parsed(py, version).map(|version| Self(Wanted::Version(version)))
    }

    /// A value that is the same: the same bytes, or the same JSON, whatever its white space and the order of its members.
    /// Numbers are the same only if they are written alike: 1 is not 1.0.
    #[staticmethod]
    #[pyo3(signature = (value, /))]
    fn value(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        encoded(value).map(|value| Self(Wanted::Value(value)))
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        match &self.0 {
            Wanted::Absent => {}
            Wanted::Version(version) => version.hash(&mut hasher),
            Wanted::Value(value) => value.bytes.hash(&mut hasher),
        }
        hasher.finish()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(match &self.0 {
            Wanted::Absent => "Expected.absent()".to_owned(),
            Wanted::Version(version) => format!("Expected.version('{version}')"),
            Wanted::Value(value) => {
                let value = decoded(py, value)?;
                format!("Expected.value({})", value.bind(py).repr()?.to_string_lossy())
            }
        })
    }
}

fn parsed(py: Python<'_>, version: &str) -> PyResult<Version> {
    let wrong = |error: dht_core::ParseVersionError| refused(py, ErrorKind::InvalidArgument, &error.to_string());
    version.parse().map_err(wrong)
}

/// None: absent; an `Expected`; the version of a write or a read; anything else is a value.
fn expected(object: &Bound<'_, PyAny>) -> PyResult<Wanted> {
    let py = object.py();
    if object.is_none() {
        return Ok(Wanted::Absent);
    }
    if let Ok(expected) = object.cast::<Expected>() {
        return Ok(expected.get().0.clone());
    }
    if let Ok(swap) = object.cast::<Swap>() {
        let swap = swap.get();
        // That there was none is what the next attempt finds again.
        return match &swap.version {
            Some(version) if swap.swapped || swap.found => parsed(py, version).map(Wanted::Version),
            _ => Ok(Wanted::Absent),
        };
    }
    if let Ok(outcome) = object.cast::<PutOutcome>() {
        return parsed(py, outcome.get().version()).map(Wanted::Version);
    }
    if let Ok(found) = object.cast::<Versioned>() {
        return parsed(py, found.get().version()).map(Wanted::Version);
    }
    encoded(object).map(Wanted::Value)
}

/// What became of a compare-and-swap. Frozen; true if it swapped.
///
/// >>> import dht
/// >>> with dht.DHT() as node:
/// ...     first = node.put_if_absent("leader", "a")
/// ...     second = node.put_if_absent("leader", "b")
/// >>> bool(first), bool(second), second.value, second.version == first.version
/// (True, False, 'a', True)
#[pyclass(frozen, get_all, module = "dht._dht")]
pub(crate) struct Swap {
    /// Whether the new value was written.
    swapped: bool,
    /// The version of the new value, or of what is there instead; None: there never was a value.
    version: Option<String>,
    /// What is there instead; None if the new value is, or if there is no value.
    value: Py<PyAny>,
    /// Whether there is a value instead, which may be None.
    found: bool,
}

#[pymethods]
impl Swap {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("swapped", "version", "value", "found")
    }

    #[new]
    #[pyo3(signature = (swapped, version, value, found))]
    fn new(swapped: bool, version: Option<String>, value: Py<PyAny>, found: bool) -> Self {
        Self { swapped, version, value, found }
    }

    fn __getnewargs__(&self, py: Python<'_>) -> (bool, Option<&str>, Py<PyAny>, bool) {
        (self.swapped, self.version.as_deref(), self.value.clone_ref(py), self.found)
    }

    fn __bool__(&self) -> bool {
        self.swapped
    }

    fn __eq__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        let alike = self.swapped == other.swapped && self.version == other.version && self.found == other.found;
        Ok(alike && self.value.bind(py).eq(&other.value)?)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.__getnewargs__(py).into_pyobject(py)?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let show = |flag: bool| if flag { "True" } else { "False" };
        let version = self.version.as_ref().into_pyobject(py)?.repr()?;
        let value = self.value.bind(py).repr()?;
        Ok(format!(
            "Swap(swapped={}, version={}, value={}, found={})",
            show(self.swapped),
            version.to_string_lossy(),
            value.to_string_lossy(),
            show(self.found)
        ))
    }
}

fn swap(py: Python<'_>, swap: dht_core::Swap) -> PyResult<Py<PyAny>> {
    // JSON that Python has no value for, such as half of a surrogate pair, is no failure of the call: `found` tells that it is there.
    let value = match swap.value.as_ref().map(|value| decoded(py, value)) {
        Some(Err(error)) if is_wrong_format(py, &error) => py.None(),
        Some(decoded) => decoded?,
        None => py.None(),
    };
    let version = swap.version.map(|version| version.to_string());
    let made = Swap { swapped: swap.swapped, version, value, found: swap.value.is_some() };
    Ok(Py::new(py, made)?.into_any())
}

/// What is to be added.
struct By(Number);

impl FromPyObject<'_, '_> for By {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if object.is_instance_of::<PyFloat>() {
            return Ok(Self(Number::Float(object.extract()?)));
        }
        if object.is_instance_of::<PyInt>() && !object.is_instance_of::<PyBool>() {
            let number = object.extract::<i64>();
            return number.map(|number| Self(Number::Integer(number))).map_err(|_| {
                refused(object.py(), ErrorKind::InvalidValue, "what is to be added is beyond 64 bits with sign")
            });
        }
        Err(PyTypeError::new_err(format!("by must be int or float, not {}", object.get_type().name()?)))
    }
}

fn sum(py: Python<'_>, sum: Number) -> PyResult<Py<PyAny>> {
    Ok(match sum {
        Number::Integer(sum) => sum.into_pyobject(py)?.into_any().unbind(),
        Number::Float(sum) => sum.into_pyobject(py)?.into_any().unbind(),
    })
}

/// What was there before. It is gone, whether or not Python can hold it.
fn before(py: Python<'_>, value: &Value) -> PyResult<Py<PyAny>> {
    match decoded(py, value) {
        Ok(value) => Ok(value),
        Err(error) => {
            error.value(py).setattr("maybe_applied", true)?;
            Err(error)
        }
    }
}

#[pymethods]
impl Node {
    /// Stores ``value`` under ``key``, for ``ttl`` or for ever, if what is there is as ``expected``. If it is not, nothing is
    /// written and the `Swap`, which is false then, has what is there: that is no error.
    ///
    /// ``expected`` is None for no value; a `Versioned`, `PutOutcome` or `Swap` for exactly their version (a `Swap` that
    /// found nothing: no value); `Expected.version` and `Expected.value`; any other value stands for itself, so None as a value is
    /// ``Expected.value(None)``.
    ///
    /// Raises as `put`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     first = node.compare_and_swap("k", None, [1])
    /// ...     second = node.compare_and_swap("k", first, [1, 2])
    /// ...     third = node.compare_and_swap("k", [1], [3])
    /// >>> bool(first), bool(second), bool(third), third.value
    /// (True, True, False, [1, 2])
    #[pyo3(signature = (key, expected, value, ttl=None, *, consistency=None, timeout=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn compare_and_swap(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        expected: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Option<Seconds>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        let (expected, value) = (self::expected(expected)?, encoded(value)?);
        let options = put_options(ttl, consistency, timeout);
        operate!(
            self,
            py,
            Writes,
            key.0,
            key.0.to_vec(),
            |dht, key| dht.compare_and_swap_value(key, expected, value, options),
            swap
        )
    }

    /// Stores ``value`` under ``key`` if there is no value: `compare_and_swap` with None.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     node.put_if_absent("k", 1).swapped, node.put_if_absent("k", 2).value
    /// (True, 1)
    #[pyo3(signature = (key, value, ttl=None, *, consistency=None, timeout=None))]
    fn put_if_absent(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        value: &Bound<'_, PyAny>,
        ttl: Option<Seconds>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        self.compare_and_swap(py, key, py.None().bind(py), value, ttl, consistency, timeout)
    }

    /// Adds ``by`` to the number under ``key``, 0 if there is none, and returns the sum. Its expiry stays. An int adds to
    /// ints of 64 bits; a float makes the value a float.
    ///
    /// Raises WrongFormat if the value is no number, or a float and ``by`` an int; InvalidValue if the sum does not fit or
    /// ``by`` is not finite: nothing was done. Otherwise as `put`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     node.increment("hits"), node.increment("hits", -3), node.increment("hits", 0.5)
    /// (1, -2, -1.5)
    #[pyo3(signature = (key, by=By(Number::Integer(1)), *, consistency=None, timeout=None), text_signature = "($self, key, by=1, *, consistency=None, timeout=None)")]
    fn increment(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        by: By,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        let options = get_options(consistency, timeout);
        operate!(self, py, Writes, key.0, key.0.to_vec(), |dht, key| dht.increment_with(key, by.0, options), sum)
    }

    /// Stores ``value`` under ``key``, for ``ttl`` or for ever, and returns what was there before, or None. Raises as `put`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     node.get_and_put("k", 1), node.get_and_put("k", 2)
    /// (None, 1)
    #[pyo3(signature = (key, value, ttl=None, *, consistency=None, timeout=None))]
    fn get_and_put(
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
        let convert =
            |py: Python<'_>, taken: Option<Value>| taken.map_or_else(|| Ok(py.None()), |value| before(py, &value));
        operate!(
            self,
            py,
            Writes,
            key.0,
            key.0.to_vec(),
            |dht, key| dht.get_and_put_value(key, value, options),
            convert
        )
    }

    /// Deletes ``key`` and returns what was there, or ``default`` if there was none. Raises as `put`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("k", 1)
    /// ...     node.get_and_delete("k"), node.get_and_delete("k"), node.get_and_delete("k", 0)
    /// (1, None, 0)
    #[pyo3(signature = (key, default=None, *, consistency=None, timeout=None))]
    fn get_and_delete(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        default: Option<Py<PyAny>>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        let options = get_options(consistency, timeout);
        let convert = move |py: Python<'_>, taken: Option<Value>| match taken {
            Some(value) => before(py, &value),
            None => Ok(default.unwrap_or_else(|| py.None())),
        };
        operate!(self, py, Writes, key.0, key.0.to_vec(), |dht, key| dht.get_and_delete_value(key, options), convert)
    }
}
