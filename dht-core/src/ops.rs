//! What callers pass in and get back with data operations.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Consistency;
use crate::data::finite::has_unwritable_float;
use crate::data::number::Number;
use crate::data::record::{Content, Format, Value, Version};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::node::no_result;
use crate::wire::limits::WALL_MS_MAX;
use crate::wire::message::OpResult;

/// How one write is done; `Default` is the node's configuration and no expiry.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct PutOptions {
    /// How long the value lives; above 0. `None`: for ever.
    pub ttl: Option<Duration>,
    /// How many replicas must have it before the call returns; `None`: `Config::consistency`.
    pub consistency: Option<Consistency>,
    /// Bounds the whole call; `None`: `Config::request_timeout`, plus 1 s per MiB of a value over 1 MiB.
    pub timeout: Option<Duration>,
}

/// How one read or delete is done; `Default` is the node's configuration.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct GetOptions {
    /// How many replicas are asked; `None`: `Config::consistency`.
    pub consistency: Option<Consistency>,
    /// Bounds the whole call; `None`: `Config::request_timeout`.
    pub timeout: Option<Duration>,
}

/// A value with what the ring knows of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// The version of the write that made it.
    pub version: Version,
    /// When it expires, in Unix seconds; `None`: never.
    pub expires_at: Option<f64>,
}

/// What became of a compare-and-swap.
#[derive(Clone, PartialEq, Debug)]
pub struct Swap {
    /// Whether the new value was written.
    pub swapped: bool,
    /// The version of the new value, or of what is there instead; `None`: nothing ever was.
    pub version: Option<Version>,
    /// What is there instead; `None` if the new value is, or if there is no value.
    pub value: Option<Value>,
}

impl Swap {
    pub(crate) fn of(result: OpResult) -> Result<Self> {
        match result {
            OpResult::Written { outcome, .. } => {
                Ok(Self { swapped: true, version: Some(outcome.version), value: None })
            }
            OpResult::Read { record } => {
                let version = record.as_ref().map(|record| record.version);
                Ok(Self { swapped: false, version, value: record.and_then(|record| record.value) })
            }
            OpResult::Failed(error) => Err(error),
            OpResult::Misrouted => Err(no_result()),
        }
    }
}

/// From JSON, as callers write what is to be added: an integer of 64 bits with sign, or a finite float.
impl std::str::FromStr for Number {
    type Err = Error;

    /// # Errors
    /// `InvalidValue`.
    fn from_str(text: &str) -> Result<Self> {
        Self::of(&Value::from_json_text(Bytes::copy_from_slice(text.as_bytes()))?).map_err(|error| {
            let context = error.context().replacen("the value", "what is to be added", 1);
            Error::new(ErrorKind::InvalidValue, context)
        })
    }
}

/// A number that can be counted in: `i64` or `f64`.
pub trait Count: Into<Number> + sealed::Sealed {
    /// The sum, as this type.
    ///
    /// # Errors
    /// `Internal` if the owner answered with another kind.
    fn of(sum: Number) -> Result<Self>;
}

impl Count for i64 {
    fn of(sum: Number) -> Result<Self> {
        match sum {
            Number::Integer(sum) => Ok(sum),
            Number::Float(_) => Err(no_result()),
        }
    }
}

impl Count for f64 {
    fn of(sum: Number) -> Result<Self> {
        match sum {
            Number::Float(sum) => Ok(sum),
            Number::Integer(_) => Err(no_result()),
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i64 {}
    impl Sealed for f64 {}
}

impl Value {
    /// Opaque bytes.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self { format: Format::Bytes, bytes: bytes.into() }
    }

    /// JSON text, which is checked and then kept as it is.
    ///
    /// # Errors
    /// `InvalidValue` if `text` is no JSON.
    pub fn from_json_text(text: impl Into<Bytes>) -> Result<Self> {
        let bytes = text.into();
        serde_json::from_slice::<&serde_json::value::RawValue>(&bytes)
            .map_err(|e| Error::new(ErrorKind::InvalidValue, format!("the value is no JSON: {e}")))?;
        Ok(Self { format: Format::Json, bytes })
    }

    /// The JSON of `value`.
    ///
    /// # Errors
    /// `InvalidValue` if `value` has no JSON form, as floats that are not finite.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        if has_unwritable_float(value) {
            let context = "the value has no JSON form: a float in it is not finite";
            return Err(Error::new(ErrorKind::InvalidValue, context));
        }
        let text = serde_json::to_vec(value)
            .map_err(|e| Error::new(ErrorKind::InvalidValue, format!("the value has no JSON form: {e}")))?;
        Ok(Self { format: Format::Json, bytes: text.into() })
    }

    /// Reads the JSON back.
    ///
    /// # Errors
    /// `WrongFormat` if this is a bytes value, or its JSON is not that of a `T`.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T> {
        if self.format == Format::Bytes {
            let context = "the value is bytes, not JSON: read it with get_bytes";
            return Err(Error::new(ErrorKind::WrongFormat, context));
        }
        serde_json::from_slice(&self.bytes).map_err(|e| {
            Error::new(ErrorKind::WrongFormat, format!("the JSON value is not of the type asked for: {e}"))
        })
    }
}

/// The live value of a record as callers see it.
pub(crate) fn versioned(content: impl Into<Content>, env: &Env) -> Option<Versioned<Value>> {
    let content = content.into();
    if !content.lives(|| env.wall_ms()) {
        return None;
    }
    let expires_at = (content.expires_at_ms != 0).then(|| content.expires_at_ms as f64 / 1000.0);
    Some(Versioned { value: content.value?, version: content.version, expires_at })
}

/// A ttl in whole milliseconds, at least 1. More than nine thousand years are as good as for ever, and cannot be told to others.
pub(crate) fn ttl_ms(ttl: Option<Duration>) -> Result<u64> {
    match ttl {
        None => Ok(0),
        Some(Duration::ZERO) => Err(Error::new(ErrorKind::InvalidArgument, "ttl = 0: must be above 0")),
        // Rounded up: a value never expires before its time.
        Some(ttl) => Ok(u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).min(WALL_MS_MAX)),
    }
}
