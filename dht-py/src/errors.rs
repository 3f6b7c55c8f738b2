//! From the core's numbered errors to the classes of `dht.errors`.

use dht_core::{Error, ErrorKind};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList};

/// The classes by number; they are Python's, so that each can be a `KeyError` or `ValueError` as well.
static CLASSES: PyOnceLock<Vec<Py<PyAny>>> = PyOnceLock::new();
static BATCH_ERROR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception of `error`.
#[cold]
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let text = format!("{error:#}");
    // The class says the kind already.
    let text = text.strip_prefix(error.kind().name()).map_or(&*text, |rest| rest.strip_prefix(": ").unwrap_or(rest));
    let text = if text.is_empty() { error.kind().name() } else { text };
    made(py, error.kind(), text, error.maybe_applied())
}

/// An exception that says that nothing was done.
#[cold]
pub(crate) fn refused(py: Python<'_>, kind: ErrorKind, text: &str) -> PyErr {
    made(py, kind, text, false)
}

/// It says that a value is of another format than the one asked for.
pub(crate) fn is_wrong_format(py: Python<'_>, error: &PyErr) -> bool {
    error.get_type(py).name().is_ok_and(|name| name == "WrongFormat")
}

/// `KeyNotFound` of a key.
#[cold]
pub(crate) fn not_found(py: Python<'_>, key: &Bound<'_, PyAny>) -> PyErr {
    match key.repr() {
        Ok(text) => refused(py, ErrorKind::NotFound, &format!("no value under {}", text.to_string_lossy())),
        Err(error) => error,
    }
}

/// `BatchError` with what was reached and what was not.
#[cold]
pub(crate) fn batch(py: Python<'_>, results: Bound<'_, PyDict>, errors: Bound<'_, PyDict>) -> PyErr {
    let make = || {
        let class = BATCH_ERROR.get_or_try_init(py, || classes_module(py)?.getattr("BatchError").map(Bound::unbind))?;
        class.bind(py).call1((results, errors))
    };
    make().map_or_else(|error: PyErr| error, PyErr::from_value)
}

fn made(py: Python<'_>, kind: ErrorKind, text: &str, maybe_applied: bool) -> PyErr {
    let make = || {
        let classes = CLASSES.get_or_try_init(py, || {
            let list = classes_module(py)?.getattr("BY_CODE")?.cast_into::<PyList>()?;
            Ok::<_, PyErr>(list.iter().map(Bound::unbind).collect())
        })?;
        let class = usize::try_from(kind.code()).ok().and_then(|code| classes.get(code));
        let class = class.ok_or_else(|| PyRuntimeError::new_err(format!("{kind} has no exception: {text}")))?;
        class.bind(py).call1((text, maybe_applied))
    };
    make().map_or_else(|error| error, PyErr::from_value)
}

fn classes_module(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("dht.errors")
}
