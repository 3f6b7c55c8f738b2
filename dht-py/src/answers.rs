//! Results as Python objects: those of every call are made here, the rarer shapes are dataclasses of `dht.types`.

use dht_core::Value;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use serde::Serialize;

use crate::values::{decoded, from_json};

/// How far a write got. Frozen, and always true.
///
/// >>> import dht
/// >>> with dht.DHT() as node:
/// ...     outcome = node.put("greeting", "hello")
/// >>> outcome.acks, outcome.wanted, outcome.set_size, outcome.degraded
/// (1, 1, 1, True)
/// >>> bool(outcome)
/// True
#[pyclass(frozen, eq, hash, get_all, module = "dht._dht")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct PutOutcome {
    /// The version that the write has: text whose order is the order of versions.
    version: String,
    /// Replicas that had acknowledged it when the call returned.
    acks: u32,
    /// Replicas that the level asked for.
    wanted: u32,
    /// Replicas that the key has now.
    set_size: u32,
    /// There are fewer replicas than the replication factor.
    degraded: bool,
}

#[pymethods]
impl PutOutcome {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str, &'static str) {
        ("version", "acks", "wanted", "set_size", "degraded")
    }

    #[new]
    fn new(version: String, acks: u32, wanted: u32, set_size: u32, degraded: bool) -> Self {
        Self { version, acks, wanted, set_size, degraded }
    }

    fn __getnewargs__(&self) -> (&str, u32, u32, u32, bool) {
        (&self.version, self.acks, self.wanted, self.set_size, self.degraded)
    }

    #[expect(clippy::unused_self, reason = "Python's protocol")]
    fn __bool__(&self) -> bool {
        true
    }

    fn __repr__(&self) -> String {
        let Self { version, acks, wanted, set_size, degraded } = self;
        let degraded = if *degraded { "True" } else { "False" };
        format!(
            "PutOutcome(version='{version}', acks={acks}, wanted={wanted}, set_size={set_size}, degraded={degraded})"
        )
    }
}

impl PutOutcome {
    pub(crate) fn version(&self) -> &str {
        &self.version
    }
}

/// The outcome of one write.
pub(crate) fn outcome(py: Python<'_>, outcome: dht_core::PutOutcome) -> PyResult<Py<PyAny>> {
    let dht_core::PutOutcome { version, acks, wanted, set_size, degraded } = outcome;
    let made = PutOutcome { version: version.to_string(), acks, wanted, set_size, degraded };
    Ok(Py::new(py, made)?.into_any())
}

/// A value with what the ring knows of it. Frozen.
///
/// >>> import dht
/// >>> with dht.DHT() as node:
/// ...     outcome = node.put("greeting", "hello")
/// ...     found = node.get_versioned("greeting")
/// >>> found.value, found.version == outcome.version, found.expires_at
/// ('hello', True, None)
#[pyclass(frozen, get_all, module = "dht._dht")]
pub(crate) struct Versioned {
    /// The value.
    value: Py<PyAny>,
    /// The version of the write that made it: text whose order is the order of versions.
    version: String,
    /// When it expires, in Unix seconds; None: never.
    expires_at: Option<f64>,
}

#[pymethods]
impl Versioned {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str) {
        ("value", "version", "expires_at")
    }

    #[new]
    #[pyo3(signature = (value, version, expires_at=None))]
    fn new(value: Py<PyAny>, version: String, expires_at: Option<f64>) -> Self {
        Self { value, version, expires_at }
    }

    fn __getnewargs__(&self, py: Python<'_>) -> (Py<PyAny>, &str, Option<f64>) {
        (self.value.clone_ref(py), &self.version, self.expires_at)
    }

    fn __eq__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        let alike = self.version == other.version && self.expires_at == other.expires_at;
        Ok(alike && self.value.bind(py).eq(&other.value)?)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        (self.value.clone_ref(py), &self.version, self.expires_at).into_pyobject(py)?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let value = self.value.bind(py).repr()?;
        let expires_at = self.expires_at.into_pyobject(py)?.repr()?;
        let (value, expires_at) = (value.to_string_lossy(), expires_at.to_string_lossy());
        Ok(format!("Versioned(value={value}, version='{}', expires_at={expires_at})", self.version))
    }
}

impl Versioned {
    pub(crate) fn version(&self) -> &str {
        &self.version
    }
}

/// What a read found.
pub(crate) fn found(py: Python<'_>, found: Option<dht_core::Versioned<Value>>) -> PyResult<Py<PyAny>> {
    let Some(found) = found else { return Ok(py.None()) };
    let value = decoded(py, &found.value)?;
    let made = Versioned { value, version: found.version.to_string(), expires_at: found.expires_at };
    Ok(Py::new(py, made)?.into_any())
}

/// Yes or no.
pub(crate) fn flag(py: Python<'_>, flag: bool) -> PyResult<Py<PyAny>> {
    Ok(flag.into_pyobject(py)?.to_owned().into_any().unbind())
}

/// A shape of the core as the dataclass of `dht.types`.
pub(crate) fn shape<T: Serialize>(py: Python<'_>, class: &str, shape: &T) -> PyResult<Py<PyAny>> {
    Ok(made(&maker(py, class)?, shape)?.unbind())
}

/// Several of them.
pub(crate) fn shapes<T: Serialize>(py: Python<'_>, class: &str, shapes: &[T]) -> PyResult<Py<PyAny>> {
    let maker = maker(py, class)?;
    let list = PyList::empty(py);
    for shape in shapes {
        list.append(made(&maker, shape)?)?;
    }
    Ok(list.into_any().unbind())
}

fn maker<'py>(py: Python<'py>, class: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("dht.types")?.getattr(class)?.getattr("_of")
}

fn made<'py, T: Serialize>(maker: &Bound<'py, PyAny>, shape: &T) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_vec(shape).map_err(|error| {
        // Our own shapes have names as keys and nothing that JSON lacks.
        pyo3::exceptions::PyRuntimeError::new_err(error.to_string())
    })?;
    maker.call1((from_json(maker.py(), &text)?,))
}

/// The results of a batch by key, of a key that is there twice the first; `BatchError` if some of them are errors.
pub(crate) fn by_key<T>(
    py: Python<'_>,
    keys: &Bound<'_, PyTuple>,
    results: Vec<dht_core::Result<T>>,
    mut converted: impl FnMut(Python<'_>, T) -> PyResult<Option<Py<PyAny>>>,
) -> PyResult<Py<PyAny>> {
    let (reached, failed) = (PyDict::new(py), PyDict::new(py));
    for (key, result) in keys.iter().zip(results) {
        match result {
            Ok(value) => match converted(py, value) {
                Ok(Some(value)) if !reached.contains(&key)? => reached.set_item(key, value)?,
                Ok(_) => {}
                // What Python cannot hold is no reason to lose the others.
                Err(error) => failed.set_item(key, error.into_value(py))?,
            },
            Err(error) => failed.set_item(key, crate::errors::raised(py, &error).into_value(py))?,
        }
    }
    if failed.is_empty() { Ok(reached.into_any().unbind()) } else { Err(crate::errors::batch(py, reached, failed)) }
}
