//! Options, entries and keys, as callers write them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::config::{Consistency, text};
use crate::data::hex::read_hex;
use crate::data::record::{Expected, Format, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::{GetOptions, PutOptions};

/// The bounds of `request_timeout`, which the `timeout` of a call replaces.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// {"ttl", "consistency", "timeout"}, each of which may be missing or null.
#[derive(Clone, Copy, Default, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How long the value lives, above 0.
    #[serde(deserialize_with = "optional_duration")]
    pub ttl: Option<Duration>,
    /// How many replicas the call waits for.
    pub consistency: Option<Consistency>,
    /// Bounds the whole call, 1 ms to 1 h.
    #[serde(deserialize_with = "optional_duration")]
    pub timeout: Option<Duration>,
}

impl Options {
    /// Reads a JSON object; `None` is the object without keys.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn read(text: Option<&str>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::default()) };
        let options: Self = object("the options", text)?;
        options.check()?;
        Ok(options)
    }

    /// For writes.
    #[must_use]
    pub fn put(&self) -> PutOptions {
        PutOptions { ttl: self.ttl, consistency: self.consistency, timeout: self.timeout }
    }

    /// For reads and deletions.
    ///
    /// # Errors
    /// `InvalidArgument` if a ttl is given.
    pub fn get(&self) -> Result<GetOptions> {
        match self.ttl {
            None => Ok(GetOptions { consistency: self.consistency, timeout: self.timeout }),
            Some(_) => Err(invalid("the options", &"only a write takes a ttl")),
        }
    }

    /// Whether ttl and timeout are within their bounds; for bindings that fill the fields themselves.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn check(&self) -> Result<()> {
        if self.ttl == Some(Duration::ZERO) {
            return Err(Error::new(ErrorKind::InvalidArgument, "ttl = 0: must be above 0"));
        }
        match self.timeout {
            Some(timeout) if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout) => {
                let context = format!("timeout = {timeout:?}: must be between 1 ms and 1 h");
                Err(Error::new(ErrorKind::InvalidArgument, context))
            }
            _ => Ok(()),
        }
    }
}

/// The entries of a batch, {key: value, …}, in their order. Of a key that is there twice the later value counts.
///
/// # Errors
/// `InvalidArgument` if `text` is no JSON object.
pub fn entries(text: &str) -> Result<Vec<(String, Value)>> {
    let Entries(entries) = serde_json::from_str(text).map_err(|e| invalid("the entries", &e))?;
    Ok(entries)
}

/// The keys of a batch, a list of texts, each once and in the order of its first place.
///
/// # Errors
/// `InvalidArgument` if `text` is no JSON list of strings.
pub fn keys(text: &str) -> Result<Vec<String>> {
    let all: Vec<String> = serde_json::from_str(text).map_err(|e| invalid("the keys", &e))?;
    let first: Vec<bool> = {
        let mut seen = BTreeSet::new();
        all.iter().map(|key| seen.insert(key)).collect()
    };
    Ok(all.into_iter().zip(first).filter_map(|(key, first)| first.then_some(key)).collect())
}

/// What a compare-and-swap expects: {"absent": true}, {"version": text} or {"value": value}; for bytes {"value": their
/// hexadecimal digits, "format": "bytes"}.
///
/// # Errors
/// `InvalidArgument`.
pub fn expected(text: &str) -> Result<Expected> {
    let what = "what is expected";
    let told: Told<'_> = object(what, text)?;
    let wrong = |why: &str| Err(invalid(what, &why));
    match (told.absent, told.version, told.value, told.format) {
        (Some(true), None, None, None) => Ok(Expected::Absent),
        (Some(false), None, None, None) => wrong("absent is true, or not there"),
        (None, Some(version), None, None) => {
            Ok(Expected::Version(version.parse().map_err(|e| invalid("the version that is expected", &e))?))
        }
        (None, None, Some(raw), None | Some(Told::JSON)) => {
            let bytes = Bytes::copy_from_slice(raw.get().as_bytes());
            Ok(Expected::Value(Value { format: Format::Json, bytes }))
        }
        (None, None, Some(raw), Some(Told::BYTES)) => {
            let digits: String = serde_json::from_str(raw.get()).map_err(|e| invalid(what, &e))?;
            match read_hex(&digits) {
                Some(bytes) => Ok(Expected::Value(Value::from_bytes(bytes))),
                None => wrong("the value is bytes, and so pairs of hexadecimal digits"),
            }
        }
        (None, None, Some(_), Some(_)) => wrong("format is \"json\" or \"bytes\""),
        _ => wrong("must have one of absent, version and value"),
    }
}

/// serde would take a list as well, as the values of the fields in order.
fn object<'a, T: Deserialize<'a>>(what: &str, text: &'a str) -> Result<T> {
    if text.trim_start().starts_with('[') {
        return Err(invalid(what, &"must be an object"));
    }
    serde_json::from_str(text).map_err(|e| invalid(what, &e))
}

fn invalid(what: &str, why: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidArgument, text::cut(&format!("{what}: {why}")))
}

fn optional_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    struct Seconds(#[serde(deserialize_with = "text::duration::deserialize")] Duration);
    Ok(Option::<Seconds>::deserialize(from)?.map(|seconds| seconds.0))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told<'a> {
    absent: Option<bool>,
    version: Option<String>,
    /// Also where it is null, which an `Option` alone would take for none.
    #[serde(default, borrow, deserialize_with = "there")]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    format: Option<&'a str>,
}

impl Told<'_> {
    const JSON: &'static str = "json";
    const BYTES: &'static str = "bytes";
}

fn there<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of keys and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        while let Some((key, raw)) = map.next_entry::<String, &RawValue>()? {
            let value = Value { format: Format::Json, bytes: Bytes::copy_from_slice(raw.get().as_bytes()) };
            match places.get(&key) {
                Some(place) => {
                    let entry: &mut (String, Value) =
                        entries.get_mut(*place).ok_or_else(|| A::Error::custom("an entry without a place"))?;
                    entry.1 = value;
                }
                None => {
                    places.insert(key.clone(), entries.len());
                    entries.push((key, value));
                }
            }
        }
        Ok(Entries(entries))
    }
}
