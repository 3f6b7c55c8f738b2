//! The numbers that `increment` adds, as JSON writes them: integers of 64 bits, and finite floats.
//!
//! Integers stay integers and never round: what does not fit is an error, not a float.

use bytes::Bytes;

use super::record::{Format, Value};
use crate::error::{Error, ErrorKind, Result};

/// A number to add, or a sum.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// Of 64 bits, with sign.
    Integer(i64),
    /// Finite.
    Float(f64),
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            // With a fraction or an exponent, so that it reads back as a float.
            Self::Float(number) => write!(f, "{number:?}"),
        }
    }
}

impl Number {
    /// The number that `value` is.
    ///
    /// # Errors
    /// `WrongFormat` if it is none, or an integer beyond 64 bits with sign.
    pub fn of(value: &Value) -> Result<Self> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::WrongFormat, format!("the value is {what}, not a number")));
        if value.format == Format::Bytes {
            return wrong("bytes");
        }
        // By its first byte: a document of many megabytes is not taken apart to say that it is none.
        match value.bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'-' | b'0'..=b'9') => {}
            Some(b'n') => return wrong("null"),
            Some(b't' | b'f') => return wrong("a boolean"),
            Some(b'"') => return wrong("a text"),
            Some(b'[') => return wrong("an array"),
            Some(b'{') => return wrong("an object"),
            _ => return wrong("not JSON that can be read here"),
        }
        if value.bytes.trim_ascii() == b"-0" {
            return Ok(Self::Integer(0));
        }
        match serde_json::from_slice::<serde_json::Number>(&value.bytes) {
            Ok(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Ok(Self::Integer(integer)),
                (None, Some(float)) if is_float(&value.bytes) && float.is_finite() => Ok(Self::Float(float)),
                _ => {
                    let context = "the value is an integer beyond 64 bits with sign";
                    Err(Error::new(ErrorKind::WrongFormat, context))
                }
            },
            Err(_) => wrong("not JSON that can be read here"),
        }
    }

    /// Whether it can be added.
    ///
    /// # Errors
    /// `InvalidValue` if it is a float that is not finite.
    pub(crate) fn check_finite(self) -> Result<()> {
        match self {
            Self::Float(float) if !float.is_finite() => {
                Err(Error::new(ErrorKind::InvalidValue, format!("by = {float}: must be finite")))
            }
            _ => Ok(()),
        }
    }

    /// The sum; an integer and a float give a float.
    ///
    /// # Errors
    /// `WrongFormat` if `self` is a float and `by` an integer, so that whoever counts in integers never gets a fraction;
    /// `InvalidValue` if the sum does not fit.
    pub(crate) fn plus(self, by: Self) -> Result<Self> {
        let (sum, fits) = match (self, by) {
            (Self::Integer(a), Self::Integer(b)) => {
                let sum = a.checked_add(b);
                (Self::Integer(sum.unwrap_or_default()), sum.is_some())
            }
            (Self::Float(a), Self::Integer(_)) => {
                let context = format!("the value is the float {a:?}: add a float to it, not an integer");
                return Err(Error::new(ErrorKind::WrongFormat, context));
            }
            (Self::Integer(a), Self::Float(b)) => (Self::Float(a as f64 + b), (a as f64 + b).is_finite()),
            (Self::Float(a), Self::Float(b)) => (Self::Float(a + b), (a + b).is_finite()),
        };
        if fits {
            return Ok(sum);
        }
        let bound = match by {
            Self::Integer(_) => "64 bits with sign",
            Self::Float(_) => "a finite float",
        };
        Err(Error::new(ErrorKind::InvalidValue, format!("{self} plus {by} is beyond {bound}")))
    }

    /// Its JSON.
    pub(crate) fn to_value(self) -> Value {
        Value { format: Format::Json, bytes: Bytes::from(self.to_string()) }
    }
}

/// JSON writes floats with a fraction or an exponent.
fn is_float(text: &[u8]) -> bool {
    text.iter().any(|b| matches!(b, b'.' | b'e' | b'E'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &'static str) -> Value {
        Value { format: Format::Json, bytes: Bytes::from_static(text.as_bytes()) }
    }

    #[test]
    fn numbers_are_read_and_written_as_what_they_are() {
        for (text, number) in [
            ("0", Number::Integer(0)),
            (" -7 ", Number::Integer(-7)),
            ("-0", Number::Integer(0)),
            ("-0.0", Number::Float(-0.0)),
            ("9223372036854775807", Number::Integer(i64::MAX)),
            ("1.5", Number::Float(1.5)),
            ("1e3", Number::Float(1000.0)),
            ("2.0", Number::Float(2.0)),
        ] {
            assert_eq!(Number::of(&json(text)).unwrap(), number, "{text}");
            assert_eq!(Number::of(&number.to_value()).unwrap(), number, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_named() {
        let bytes = Value { format: Format::Bytes, bytes: Bytes::from_static(b"1") };
        for (value, said) in [
            (bytes, "bytes"),
            (json("null"), "null"),
            (json("\"1\""), "a text"),
            (json("[1]"), "an array"),
            (json("true"), "a boolean"),
            (json("{\"a\": 1}"), "an object"),
            (json("1e400"), "not JSON that can be read"),
            (json("9223372036854775808"), "beyond 64 bits"),
            (json("-99999999999999999999999"), "beyond 64 bits"),
        ] {
            let error = Number::of(&value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongFormat);
            assert!(error.context().contains(said), "{error}");
        }
    }

    #[test]
    fn sums_neither_round_nor_wrap() {
        let sum = |a: Number, b: Number| a.plus(b);
        assert_eq!(sum(2.into(), (-5).into()).unwrap(), Number::Integer(-3));
        assert_eq!(sum(2.into(), 0.5.into()).unwrap(), Number::Float(2.5));
        assert_eq!(sum(0.5.into(), 1.into()).unwrap_err().kind(), ErrorKind::WrongFormat);
        for (a, b) in [
            (Number::Integer(i64::MAX), Number::Integer(1)),
            (Number::Integer(i64::MIN), Number::Integer(-1)),
            (Number::Float(f64::MAX), Number::Float(f64::MAX)),
        ] {
            assert_eq!(sum(a, b).unwrap_err().kind(), ErrorKind::InvalidValue, "{a} {b}");
        }
    }
}
