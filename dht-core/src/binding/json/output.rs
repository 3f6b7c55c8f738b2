//! Answers, as callers read them: the shapes of every language.

use std::fmt::Write;

use serde::Serialize;

use crate::data::hex::write_hex;
use crate::data::record::{Format, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::{Swap, Versioned};
use crate::wire::message::PutOutcome;

/// Anything that has a shape of its own: `PutOutcome`, `NodeInfo` and lists of it, `RingInfo`, `Finger`, `Health`, `Statistics`.
///
/// # Errors
/// `Internal` if it has no JSON form, which no shape can cause.
pub fn shape<T: Serialize + ?Sized>(shape: &T) -> Result<String> {
    serde_json::to_string(shape)
        .map_err(|e| Error::new(ErrorKind::Internal, "an answer has no JSON form").with_source(e))
}

/// {"code", "name", "message", "maybe_applied"}.
#[must_use]
pub fn error(error: &Error) -> String {
    let mut out = format!(r#"{{"code":{},"name":"{}","message":"#, error.code(), error.kind().name());
    string(&mut out, error.context());
    // Writing to a String cannot fail.
    let _ = write!(out, r#","maybe_applied":{}}}"#, error.maybe_applied());
    out
}

/// {"version", "expires_at", "format", "value"}; `expires_at` null if it never expires.
///
/// # Errors
/// As [`json_text`], but bytes are told.
pub fn versioned(found: &Versioned<Value>) -> Result<String> {
    let expires_at = found.expires_at.map_or_else(|| "null".to_owned(), |at| at.to_string());
    let head = format!(r#"{{"version":"{}","expires_at":{expires_at}"#, found.version);
    with_value(head, Some(&found.value))
}

/// {"swapped", "version", "format", "value"}; `version` null if there never was a value, `format` null if there is none
/// instead of the new one.
///
/// # Errors
/// As [`json_text`], but bytes are told.
pub fn swap(swap: &Swap) -> Result<String> {
    let version = swap.version.map_or_else(|| "null".to_owned(), |version| format!("\"{version}\""));
    with_value(format!(r#"{{"swapped":{},"version":{version}"#, swap.swapped), swap.value.as_ref())
}

/// Ends an object with a value.
fn with_value(mut out: String, value: Option<&Value>) -> Result<String> {
    match value {
        None => out.push_str(r#","format":null,"value":null"#),
        Some(value) if value.format == Format::Bytes => {
            out.push_str(r#","format":"bytes","value":""#);
            write_hex(&mut out, &value.bytes);
            out.push('"');
        }
        Some(value) => {
            out.push_str(r#","format":"json","value":"#);
            out.push_str(json_text(value)?);
        }
    }
    out.push('}');
    Ok(out)
}

/// The text of a JSON value.
///
/// # Errors
/// `WrongFormat` if the value is bytes.
pub fn json_text(value: &Value) -> Result<&str> {
    if value.format == Format::Bytes {
        let context = "the value is bytes, not JSON: read it with get_bytes";
        return Err(Error::new(ErrorKind::WrongFormat, context));
    }
    std::str::from_utf8(&value.bytes)
        .map_err(|e| Error::new(ErrorKind::WrongFormat, "the JSON value is not UTF-8").with_source(e))
}

/// What became of `put_many`: {key: {"ok": outcome} or {"error": error}, …}.
#[must_use]
pub fn outcomes<K: AsRef<str>>(keys: &[K], results: &[Result<PutOutcome>]) -> String {
    batch(keys, results, |result| Some(result.as_ref().map_err(Clone::clone).and_then(shape)))
}

/// What `get_many` found: {key: {"ok": value} or {"error": error}, …}, without the keys that have no value.
#[must_use]
pub fn found<K: AsRef<str>>(keys: &[K], results: &[Result<Option<Versioned<Value>>>]) -> String {
    batch(keys, results, |result| match result {
        Ok(Some(found)) => Some(json_text(&found.value).map(str::to_owned)),
        Ok(None) => None,
        Err(error) => Some(Err(error.clone())),
    })
}

/// What became of `delete_many`: {key: {"ok": existed} or {"error": error}, …}.
#[must_use]
pub fn deleted<K: AsRef<str>>(keys: &[K], results: &[Result<bool>]) -> String {
    batch(keys, results, |result| Some(result.as_ref().map(bool::to_string).map_err(Clone::clone)))
}

fn batch<K: AsRef<str>, T>(keys: &[K], results: &[T], show: impl Fn(&T) -> Option<Result<String>>) -> String {
    let mut out = String::from("{");
    for (key, result) in keys.iter().zip(results) {
        let Some(shown) = show(result) else { continue };
        if out.len() > 1 {
            out.push(',');
        }
        string(&mut out, key.as_ref());
        let (name, text) = match shown {
            Ok(text) => ("ok", text),
            Err(failed) => ("error", error(&failed)),
        };
        let _ = write!(out, r#":{{"{name}":{text}}}"#);
    }
    out.push('}');
    out
}

fn string(out: &mut String, text: &str) {
    // Display of a JSON string is its JSON; writing to a String cannot fail.
    let _ = write!(out, "{}", serde_json::Value::from(text));
}
