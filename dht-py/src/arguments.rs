//! Arguments of calls: keys, levels, times, addresses, settings. What is wrong is refused before anything is done.

use std::borrow::Cow;
use std::time::Duration;

use dht_core::binding::json::Options;
use dht_core::{Config, Consistency, ErrorKind, GetOptions, PutOptions};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyString};

use crate::errors::{raised, refused};
use crate::values::settings_json;

/// A key: the bytes of a bytes, or the UTF-8 of a str.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a>(pub(crate) &'a [u8]);

impl<'a, 'py> FromPyObject<'a, 'py> for Key<'a> {
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if object.is_instance_of::<PyString>() {
            return match object.extract::<&str>() {
                Ok(text) => Ok(Self(text.as_bytes())),
                Err(_) => Err(refused(object.py(), ErrorKind::InvalidArgument, "a key with lone surrogates")),
            };
        }
        if object.is_instance_of::<PyBytes>() {
            return Ok(Self(object.extract()?));
        }
        Err(PyTypeError::new_err(format!("a key must be str or bytes, not {}", object.get_type().name()?)))
    }
}

/// one, quorum or all.
#[derive(Clone, Copy)]
pub(crate) struct Level(pub(crate) Consistency);

impl FromPyObject<'_, '_> for Level {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let level = object.extract::<&str>()?.parse();
        level.map(Self).map_err(|error: dht_core::Error| {
            refused(object.py(), ErrorKind::InvalidArgument, &format!("consistency = {}", error.context()))
        })
    }
}

/// A `ttl`: a time above 0.
#[derive(Clone, Copy)]
pub(crate) struct Seconds(pub(crate) Duration);

impl FromPyObject<'_, '_> for Seconds {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        match time("ttl", &object)? {
            time if time.is_zero() => Err(no_time("ttl", &object, "must be above 0")),
            time => Ok(Self(time)),
        }
    }
}

/// The `timeout` of a call, within the bounds that all languages have.
#[derive(Clone, Copy)]
pub(crate) struct Timeout(pub(crate) Duration);

impl FromPyObject<'_, '_> for Timeout {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let time = time("timeout", &object)?;
        let options = Options { timeout: Some(time), ..Options::default() };
        options.check().map(|()| Self(time)).map_err(|error| raised(object.py(), &error))
    }
}

/// A `timeout` from 0 on: how long a wait may take at most.
#[derive(Clone, Copy)]
pub(crate) struct Wait(pub(crate) Duration);

impl FromPyObject<'_, '_> for Wait {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        Ok(Self(time("timeout", &object)?))
    }
}

/// Seconds as a number, or text like "250ms", of the argument of that name.
fn time(name: &str, object: &Bound<'_, PyAny>) -> PyResult<Duration> {
    if let Ok(text) = object.cast::<PyString>() {
        let time = dht_core::binding::parse_duration(&text.to_string_lossy());
        return time.ok_or_else(|| no_time(name, object, "must be seconds, or text like 250ms or 1h"));
    }
    if object.is_instance_of::<PyBool>() {
        return Err(no_time(name, object, "must be a number of seconds"));
    }
    let must = "must be a finite number of seconds, not below 0";
    // An int beyond all floats is no other mistake than one that is infinite.
    let beyond = |error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(object.py()) { no_time(name, object, must) } else { error }
    };
    let seconds: f64 = object.extract().map_err(beyond)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| no_time(name, object, must))
}

#[cold]
fn no_time(name: &str, object: &Bound<'_, PyAny>, must: &str) -> PyErr {
    let shown = object.repr().map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned());
    refused(object.py(), ErrorKind::InvalidArgument, &format!("{name} = {shown}: {must}"))
}

#[inline]
pub(crate) fn get_options(consistency: Option<Level>, timeout: Option<Timeout>) -> GetOptions {
    GetOptions { consistency: consistency.map(|level| level.0), timeout: timeout.map(|time| time.0) }
}

#[inline]
pub(crate) fn put_options(ttl: Option<Seconds>, consistency: Option<Level>, timeout: Option<Timeout>) -> PutOptions {
    PutOptions {
        ttl: ttl.map(|time| time.0),
        consistency: consistency.map(|level| level.0),
        timeout: timeout.map(|time| time.0),
    }
}

/// Addresses to join: one text, commas between several, or a list of them.
pub(crate) fn addresses(object: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Ok(text) = object.cast::<PyString>() {
        return dht_core::binding::addresses(&text.to_cow()?).map_err(|error| raised(object.py(), &error));
    }
    object.try_iter()?.map(|item| item?.extract::<String>()).collect()
}

/// A configuration that was read somewhere; only for making a node of it.
#[pyclass(frozen, module = "dht._dht")]
pub(crate) struct Settings(pub(crate) Config);

#[pymethods]
impl Settings {
    /// Read from a file by its extension, .toml or .json.
    #[staticmethod]
    fn from_file(py: Python<'_>, path: std::path::PathBuf) -> PyResult<Self> {
        py.detach(|| Config::from_file(&path)).map(Self).map_err(|error| raised(py, &error))
    }

    /// The defaults, and over them DHT_* variables.
    #[staticmethod]
    fn from_variables(py: Python<'_>, variables: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut config = Config::default();
        let mut taken = Vec::new();
        for (name, text) in variables.iter() {
            let (name, text) = (name.cast_into::<PyString>()?, text.cast_into::<PyString>()?);
            let (Ok(name), Ok(text)) = (name.to_str(), text.to_str()) else {
                let text = format!("variable {}: is no Unicode text", name.to_string_lossy());
                return Err(refused(py, ErrorKind::Config, &text));
            };
            taken.push((name.to_owned(), text.to_owned()));
        }
        config.apply_env(taken.into_iter()).map_err(|error| raised(py, &error))?;
        Ok(Self(config))
    }
}

/// The configuration of keyword arguments.
pub(crate) fn config(py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Config> {
    let Some(settings) = settings else { return Ok(Config::default()) };
    let wrong = |text: &str| refused(py, ErrorKind::Config, text);
    let text = settings_json(settings).map_err(|error| wrong(&which(settings, &error)))?;
    let text = String::from_utf8(text).map_err(|error| wrong(&error.to_string()))?;
    // There are no lines to name here.
    Config::from_json(&text).map_err(|error| {
        let text = error.context();
        let text = text.strip_prefix("line 1: ").unwrap_or(text);
        let text: Cow<'_, str> = text.strip_suffix(" (the first at line 1)").unwrap_or(text).into();
        wrong(&text)
    })
}

/// The first setting that has no JSON form, as `error` says of one of them.
#[cold]
fn which(settings: &Bound<'_, PyDict>, error: &PyErr) -> String {
    let py = settings.py();
    let has_none = |key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>| {
        let one = PyDict::new(py);
        one.set_item(key, value).is_ok_and(|()| settings_json(&one).is_err())
    };
    let text = error.value(py).to_string();
    match settings.iter().find(|(key, value)| has_none(key, value)) {
        // No secret is ever shown.
        Some((key, _)) if key.to_string() == "cluster_key" => format!("{key} = (hidden): {text}"),
        Some((key, value)) => {
            let shown = value.repr().map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned());
            format!("{key} = {shown}: {text}")
        }
        None => text,
    }
}
