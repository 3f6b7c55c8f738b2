//! What is typed as key and value, as bytes and format; what is stored, as text and JSON.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use dht_core::{Error, ErrorKind, Format, Result, Value, hex};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::output;

/// Where a value comes from.
pub(crate) enum Source {
    /// The command line.
    Text(OsString),
    /// Standard input, to its end.
    Input,
    /// A file.
    File(std::path::PathBuf),
}

/// How a value is to be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum As {
    /// From the command line JSON if it is JSON, else a JSON string; from elsewhere bytes.
    Fitting,
    /// Bytes as they are.
    Bytes,
    /// JSON as it is; anything else is refused.
    Json,
}

impl Source {
    /// What was typed as a VALUE: standard input for -, else the text.
    pub(crate) fn typed(text: OsString) -> Self {
        if text == "-" { Self::Input } else { Self::Text(text) }
    }

    /// Reads the value. `InvalidArgument` for what cannot be read, `InvalidValue` for what is not JSON but should be.
    pub(crate) fn read(self, form: As) -> Result<Value> {
        let bytes = match self {
            Self::Text(text) if form == As::Fitting => return fitting(&text),
            Self::Text(text) => text.into_encoded_bytes(),
            Self::Input => {
                let mut bytes = Vec::new();
                let read = std::io::stdin().lock().read_to_end(&mut bytes);
                read.map_err(|error| unreadable("standard input", error))?;
                bytes
            }
            Self::File(path) => std::fs::read(&path).map_err(|error| unreadable(&path.display().to_string(), error))?,
        };
        match form {
            As::Json => Value::from_json_text(bytes),
            As::Fitting | As::Bytes => Ok(Value::from_bytes(bytes)),
        }
    }
}

fn fitting(text: &OsStr) -> Result<Value> {
    let text = text.to_str().ok_or_else(|| {
        Error::new(ErrorKind::InvalidValue, "the value is not UTF-8; give --bytes to store it as it is")
    })?;
    Value::from_json_text(Bytes::copy_from_slice(text.as_bytes())).or_else(|_| Value::from_serialize(text))
}

fn unreadable(what: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{what} cannot be read")).with_source(error)
}

/// Writes a value to a file, without a line end.
pub(crate) fn write_file(path: &Path, value: &Value) -> Result<()> {
    std::fs::write(path, &value.bytes).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("{} cannot be written", path.display())).with_source(error)
    })
}

/// The bytes of a key as it was typed.
pub(crate) fn key_bytes(key: &OsStr) -> &[u8] {
    key.as_encoded_bytes()
}

/// A key on a line of its own: as it is where that is possible.
pub(crate) fn shown_key(key: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(key) {
        Ok(text) if !text.contains(char::is_control) => text.into(),
        _ => format!("\"0x{}\"", hex(key)).into(),
    }
}

/// A value on one line: JSON without line ends, which it has only between its parts; bytes as hexadecimal digits.
pub(crate) fn shown(value: &Value) -> Cow<'_, str> {
    match (value.format, std::str::from_utf8(&value.bytes)) {
        (Format::Json, Ok(text)) if text.contains(['\n', '\r']) => text.replace(['\n', '\r'], " ").into(),
        (Format::Json, Ok(text)) => text.into(),
        _ => format!("\"0x{}\"", hex(&value.bytes)).into(),
    }
}

/// A key and what is under it, for machines. Fields that do not apply are absent. JSON stays the text that was stored,
/// so no digit of a number is lost; bytes are text where they are UTF-8, else hexadecimal digits.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) found: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deleted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) swapped: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Inside: `null` where the value never expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Option<f64>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

impl<'a> Answer<'a> {
    /// Nothing but the key yet.
    pub(crate) fn about(key: &'a [u8]) -> Self {
        let (key, key_hex) = text_or_hex(key);
        Self { key, key_hex, ..Self::default() }
    }

    /// Adds the value. `WrongFormat` if it is marked as JSON and is none.
    pub(crate) fn add_value(&mut self, value: &'a Value) -> Result<()> {
        match value.format {
            Format::Json => {
                let text = serde_json::from_slice(&value.bytes).map_err(|error| {
                    Error::new(ErrorKind::WrongFormat, "the stored value is marked as JSON and is none")
                        .with_source(error)
                })?;
                (self.format, self.value) = (Some("json"), Some(Shown::Json(text)));
            }
            Format::Bytes => {
                let (text, hex) = text_or_hex(&value.bytes);
                (self.format, self.value, self.value_hex) = (Some("bytes"), text.map(Shown::Text), hex);
            }
        }
        Ok(())
    }

    /// One line of JSON.
    pub(crate) fn print(&self) -> std::result::Result<(), Failure> {
        output::line(serde_json::to_string(self).map_err(|error| Failure::Output(error.into()))?)
    }
}

fn text_or_hex(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(hex(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, form: As) -> Result<(Format, String)> {
        let value = Source::Text(text.into()).read(form)?;
        Ok((value.format, String::from_utf8(value.bytes.to_vec()).expect("from text")))
    }

    #[test]
    fn text_is_stored_as_it_fits() {
        for (text, stored) in [
            ("42", "42"),
            ("true", "true"),
            ("{\"a\" : [1.50]}", "{\"a\" : [1.50]}"),
            ("\"x\"", "\"x\""),
            ("hello", "\"hello\""),
            ("", "\"\""),
            ("NaN", "\"NaN\""),
            ("{a: 1}", "\"{a: 1}\""),
            ("say \"hi\"", "\"say \\\"hi\\\"\""),
            ("1 2", "\"1 2\""),
        ] {
            assert_eq!(read(text, As::Fitting).ok(), Some((Format::Json, stored.to_owned())), "{text}");
        }
    }

    #[test]
    fn text_is_stored_as_it_was_asked() {
        assert_eq!(read("42", As::Bytes).ok(), Some((Format::Bytes, "42".to_owned())));
        assert_eq!(read("[1]", As::Json).ok(), Some((Format::Json, "[1]".to_owned())));
        assert_eq!(read("hello", As::Json).map_err(|error| error.kind()).err(), Some(ErrorKind::InvalidValue));
        let missing = Source::File("/nowhere/at/all".into()).read(As::Fitting);
        assert_eq!(missing.map_err(|error| error.kind()).err(), Some(ErrorKind::InvalidArgument));
    }

    #[test]
    fn answers_for_machines() {
        let json = |answer: &Answer<'_>| serde_json::to_string(answer).expect("JSON");
        assert_eq!(json(&Answer::about(b"plain")), "{\"key\":\"plain\"}");
        let value = Value::from_json_text("{\"n\" : 12345678901234567890123.50}").expect("JSON");
        let mut answer = Answer::about(&[0, 0xff, 0x1a]);
        answer.expires_at = Some(None);
        answer.add_value(&value).expect("JSON");
        let expected = concat!(
            "{\"key_hex\":\"00ff1a\",\"format\":\"json\",",
            "\"value\":{\"n\" : 12345678901234567890123.50},\"expires_at\":null}"
        );
        assert_eq!(json(&answer), expected);
        let value = Value::from_bytes(&b"\xff"[..]);
        let mut answer = Answer::about(b"k");
        answer.add_value(&value).expect("bytes");
        assert_eq!(json(&answer), "{\"key\":\"k\",\"format\":\"bytes\",\"value_hex\":\"ff\"}");
    }
}
