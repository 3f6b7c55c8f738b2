//! Durations and byte sizes as people write them ("250ms", "4KiB"), for files, variables and flags alike, and how
//! values are shown in errors.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

/// Longest piece of a wrong value that an error repeats, in characters.
const SHOWN_MAX: usize = 80;

const DURATION_UNITS: &[(&str, f64)] =
    &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];

/// Decimal units have one letter less than binary ones, as IEC 80000-13 has it.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// "250ms", "2s", "1.5 s", "1m", "1h", "1d", "100us"; without a unit seconds. `None` for anything else, signs and
/// exponents included.
#[cfg_attr(not(feature = "binding"), expect(unreachable_pub, reason = "bindings use it"))]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text);
    let number: f64 = number.parse().ok()?;
    let seconds_per_unit = match unit {
        "" => 1.0,
        _ => DURATION_UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    Duration::try_from_secs_f64(number * seconds_per_unit).ok()
}

/// "128MiB", "4 KiB", "10MB", "512"; without a unit bytes. Whole numbers only. `None` for anything else.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text);
    let number: u64 = number.parse().ok()?;
    let bytes_per_unit = match unit {
        "" => 1,
        _ => SIZE_UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.checked_mul(bytes_per_unit)
}

/// Digits and points first, the rest is the unit.
fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// The shortest text that [`parse_duration`] reads back: "1h", "2s", "250ms".
pub(super) struct ShowDuration(pub(super) Duration);

impl fmt::Display for ShowDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        match (seconds, nanos) {
            (0, 0) => f.write_str("0s"),
            (_, 0) if seconds % 86_400 == 0 => write!(f, "{}d", seconds / 86_400),
            (_, 0) if seconds % 3_600 == 0 => write!(f, "{}h", seconds / 3_600),
            (_, 0) if seconds % 60 == 0 => write!(f, "{}m", seconds / 60),
            (_, 0) => write!(f, "{seconds}s"),
            _ if nanos % 1_000_000 == 0 => write!(f, "{}ms", self.0.as_millis()),
            _ => write!(f, "{}s", self.0.as_secs_f64()),
        }
    }
}

/// The shortest text that [`parse_size`] reads back: "16MiB", "4KiB", "1000".
pub(super) struct ShowSize(pub(super) u64);

impl fmt::Display for ShowSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        match binary.iter().find(|(_, shift)| self.0 != 0 && self.0.trailing_zeros() >= *shift) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A wrong text for an error: in quotes, control characters escaped, and cut.
pub(super) fn quoted(text: &str) -> String {
    cut(&format!("{text:?}"))
}

/// Cuts what an error repeats, since it may be megabytes long, and says so.
pub(crate) fn cut(text: &str) -> String {
    cut_at(text, SHOWN_MAX)
}

/// The same with another bound, in characters.
pub(crate) fn cut_at(text: &str, shown_max: usize) -> String {
    match text.char_indices().nth(shown_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… (cut, {} bytes)", &text[..end], text.len()),
    }
}

/// serde: seconds as a number, or text.
pub(crate) mod duration {
    use super::{Deserializer, Duration, DurationVisitor};
    use serde::Serializer;

    pub(in crate::config) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(value.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        from.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds as a number that is not negative, or text like 250ms")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
        Ok(Duration::from_secs(seconds))
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
        let seconds = u64::try_from(seconds).map_err(|_| E::invalid_value(Unexpected::Signed(seconds), &self))?;
        Ok(Duration::from_secs(seconds))
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
        Duration::try_from_secs_f64(seconds).map_err(|_| E::invalid_value(Unexpected::Float(seconds), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse_duration(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// serde: bytes as an integer, or text.
pub(super) fn size<'de, D: Deserializer<'de>, T: TryFrom<u64>>(from: D) -> Result<T, D::Error> {
    let bytes = Size::deserialize(from)?.0;
    T::try_from(bytes)
        .map_err(|_| de::Error::invalid_value(Unexpected::Unsigned(bytes), &"a size this machine can address"))
}

/// As [`size`], with nothing for `None`.
pub(super) fn optional_size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<Size>::deserialize(from)?.map(|size| size.0))
}

struct Size(u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes as an integer that is not negative, or text like 4KiB")
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
        u64::try_from(bytes).map(Size).map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        parse_size(text).map(Size).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}
