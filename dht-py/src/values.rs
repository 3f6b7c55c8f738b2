//! Python values as the ring keeps them: JSON for what has a JSON form, bytes as they are. Nothing else passes: what came
//! back as another type than it went in would be a silent change.

use bytes::Bytes;
use dht_core::{ErrorKind, Format, Value};
use jiter::{PythonParse, StringCacheMode};
use pyo3::exceptions::{PyRecursionError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::errors::refused;

/// Levels of lists and dicts: what refers to itself has no end, and other languages have limits of their own.
const DEPTH_MAX: usize = 512;

/// The value as it is stored.
///
/// `ValueError` for NaN, infinities, lone surrogates, and nesting without end; `TypeError` for other types.
pub(crate) fn encoded(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Value::from_bytes(Bytes::copy_from_slice(bytes.as_bytes())));
    }
    let mut text = Vec::with_capacity(64);
    Encoder { text: &mut text, depth: 0, settings: false }.value(object)?;
    Ok(Value { format: Format::Json, bytes: text.into() })
}

/// Settings as JSON. More types than values: paths stand for their text, tuples for lists.
pub(crate) fn settings_json(settings: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let mut text = Vec::with_capacity(256);
    Encoder { text: &mut text, depth: 0, settings: true }.value(settings)?;
    Ok(text)
}

/// The stored value as Python's. `WrongFormat` for JSON of another language that Python cannot hold.
#[inline]
pub(crate) fn decoded(py: Python<'_>, value: &Value) -> PyResult<Py<PyAny>> {
    match value.format {
        Format::Bytes => Ok(PyBytes::new(py, &value.bytes).into_any().unbind()),
        Format::Json => from_json(py, &value.bytes),
    }
}

/// JSON text as Python objects.
#[inline]
pub(crate) fn from_json(py: Python<'_>, text: &[u8]) -> PyResult<Py<PyAny>> {
    let parse = PythonParse { cache_mode: StringCacheMode::Keys, ..PythonParse::default() };
    match parse.python_parse(py, text) {
        Ok(value) => Ok(value.unbind()),
        Err(_) => from_odd_json(py, text),
    }
}

/// What is odd is for Python's own parser: it goes deeper, and takes lone surrogates and numbers beyond all floats.
#[cold]
fn from_odd_json(py: Python<'_>, text: &[u8]) -> PyResult<Py<PyAny>> {
    let odd = String::from_utf8_lossy(text);
    match py.import("json")?.call_method1("loads", (odd,)) {
        Ok(value) => Ok(value.unbind()),
        Err(raised) if of_the_text(py, &raised) => {
            Err(refused(py, ErrorKind::WrongFormat, &format!("the JSON value cannot be shown in Python: {raised}")))
        }
        // Ctrl-C, or no memory: nothing is wrong with the value.
        Err(raised) => Err(raised),
    }
}

/// Whether Python's parser raised this for what it read.
fn of_the_text(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyRecursionError>(py) || error.is_instance_of::<PyValueError>(py)
}

struct Encoder<'a> {
    text: &'a mut Vec<u8>,
    depth: usize,
    settings: bool,
}

impl Encoder<'_> {
    fn value(&mut self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(text) = object.cast::<PyString>() {
            self.string(text)
        } else if object.is_none() {
            self.raw(b"null");
            Ok(())
        } else if let Ok(flag) = object.cast::<PyBool>() {
            // Before int, which bool is too.
            self.raw(if flag.is_true() { b"true" } else { b"false" });
            Ok(())
        } else if let Ok(number) = object.cast::<PyInt>() {
            self.int(number)
        } else if let Ok(number) = object.cast::<PyFloat>() {
            self.float(number)
        } else if let Ok(list) = object.cast::<PyList>() {
            self.list(object.py(), list.iter())
        } else if let Ok(dict) = object.cast::<PyDict>() {
            self.dict(dict)
        } else {
            self.other(object)
        }
    }

    fn raw(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    fn string(&mut self, text: &Bound<'_, PyString>) -> PyResult<()> {
        let Ok(utf8) = text.to_str() else {
            return Err(refused(text.py(), ErrorKind::InvalidValue, "a str with lone surrogates is no Unicode text"));
        };
        self.json(text.py(), utf8)
    }

    fn int(&mut self, number: &Bound<'_, PyInt>) -> PyResult<()> {
        if let Ok(small) = number.extract::<i64>() {
            return self.json(number.py(), &small);
        }
        // The type's own: a subclass may print itself otherwise. ValueError beyond Python's limit of digits.
        let digits = number.py().get_type::<PyInt>().call_method1("__repr__", (number,))?;
        self.raw(digits.cast::<PyString>()?.to_str()?.as_bytes());
        Ok(())
    }

    fn float(&mut self, number: &Bound<'_, PyFloat>) -> PyResult<()> {
        let value = number.value();
        if value.is_finite() {
            return self.json(number.py(), &value);
        }
        let text = if value.is_nan() { "nan has no JSON form" } else { "an infinity has no JSON form" };
        Err(refused(number.py(), ErrorKind::InvalidValue, text))
    }

    fn json<T: serde::Serialize + ?Sized>(&mut self, py: Python<'_>, value: &T) -> PyResult<()> {
        serde_json::to_writer(&mut *self.text, value)
            .map_err(|error| refused(py, ErrorKind::InvalidValue, &error.to_string()))
    }

    fn list<'py>(&mut self, py: Python<'py>, items: impl Iterator<Item = Bound<'py, PyAny>>) -> PyResult<()> {
        self.enter(py)?;
        self.raw(b"[");
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.raw(b",");
            }
            self.value(&item)?;
        }
        self.raw(b"]");
        self.depth -= 1;
        Ok(())
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> PyResult<()> {
        self.enter(dict.py())?;
        self.raw(b"{");
        for (index, (key, value)) in dict.iter().enumerate() {
            if index > 0 {
                self.raw(b",");
            }
            let Ok(key) = key.cast::<PyString>() else {
                let text = format!("keys of a dict must be str, not {}", key.get_type().name()?);
                return Err(PyTypeError::new_err(text));
            };
            self.string(key)?;
            self.raw(b":");
            self.value(&value)?;
        }
        self.raw(b"}");
        self.depth -= 1;
        Ok(())
    }

    fn enter(&mut self, py: Python<'_>) -> PyResult<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let text = format!("lists and dicts are nested more than {DEPTH_MAX} deep");
            return Err(refused(py, ErrorKind::InvalidValue, &text));
        }
        Ok(())
    }

    #[cold]
    fn other(&mut self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.settings {
            if let Ok(tuple) = object.cast::<PyTuple>() {
                return self.list(object.py(), tuple.iter());
            }
            if object.hasattr("__fspath__")? {
                return self.value(&object.call_method0("__fspath__")?);
            }
        }
        let name = object.get_type().name()?;
        let hint = if name == "tuple" { ": make it a list" } else { "" };
        let types = "str, bool, None, int, float, list, dict or bytes";
        let within = if self.depth > 0 { " inside of another one" } else { "" };
        Err(PyTypeError::new_err(format!("a value must be {types}, not {name}{within}{hint}")))
    }
}
