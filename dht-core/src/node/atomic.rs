//! What an operation makes of the present record: pure. The owner asks again whenever it has to stamp again, since the
//! present record is another one then.

use crate::data::number::Number;
use crate::data::record::{Expected, Record, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::wire::message::Action;

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// Write this, and tell the caller that.
    Write { value: Option<Value>, expires_at_ms: u64, effect: Effect },
    /// There is nothing to do.
    Nothing,
    /// The present value is not the expected one.
    Differs,
}

/// What the caller is told beside how far the write got.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Effect {
    /// There was a live value, which the operation changed.
    pub(super) existed: bool,
    /// What was there before, or what an increment made.
    pub(super) value: Option<Value>,
}

/// # Errors
/// `WrongFormat`, `InvalidValue` if the present value cannot be added to; `Unsupported` for a read, which is not the
/// owner's to decide.
pub(super) fn decide(action: &Action, present: Option<&Record>, now_ms: u64) -> Result<Decision> {
    let live = present.and_then(|record| record.live_value(now_ms));
    let expires_at_ms = present.map_or(0, |record| record.expires_at_ms);
    let until = |ttl_ms: u64| if ttl_ms == 0 || planted!("ttl_forgotten") { 0 } else { now_ms.saturating_add(ttl_ms) };
    let told = |value: Option<Value>| Effect { existed: live.is_some(), value };
    let write =
        |value: Option<Value>, expires_at_ms: u64, effect: Effect| Ok(Decision::Write { value, expires_at_ms, effect });
    match action {
        Action::Get => Err(Error::new(ErrorKind::Unsupported, "a read is not the owner's to coordinate")),
        Action::Put { value, ttl_ms } => write(Some(value.clone()), until(*ttl_ms), told(None)),
        Action::GetAndPut { value, ttl_ms } => {
            let before = if planted!("told_after") { Some(value.clone()) } else { live.cloned() };
            write(Some(value.clone()), until(*ttl_ms), told(before))
        }
        Action::CompareAndSwap { expected, value, ttl_ms } => {
            let version = present.map(|record| record.version);
            let as_expected = match expected {
                Expected::Absent => live.is_none() || planted!("absent_blind"),
                Expected::Version(expected) => live.is_some() && (version == Some(*expected) || planted!("swap_blind")),
                Expected::Value(expected) => live.is_some_and(|live| live.says(expected) || planted!("value_blind")),
            };
            if as_expected { write(Some(value.clone()), until(*ttl_ms), told(None)) } else { Ok(Decision::Differs) }
        }
        Action::Increment { by } => {
            let (before, expires_at_ms) = match (live, by) {
                (Some(live), _) if !planted!("increment_from_zero") => (Number::of(live)?, expires_at_ms),
                (_, Number::Integer(_)) => (Number::Integer(0), 0),
                (_, Number::Float(_)) => (Number::Float(0.0), 0),
            };
            let sum = before.plus(*by)?.to_value();
            write(Some(sum.clone()), expires_at_ms, told(Some(sum)))
        }
        Action::Delete if planted!("delete_keeps") => write(live.cloned(), expires_at_ms, told(None)),
        Action::Delete if live.is_some() => write(None, 0, told(None)),
        Action::GetAndDelete if live.is_some() => write(None, 0, told(live.cloned())),
        // To keep for ever what is kept for ever already needs no write.
        Action::Expire { ttl_ms: 0 } if expires_at_ms == 0 => Ok(Decision::Nothing),
        Action::Expire { ttl_ms } if live.is_some() => write(live.cloned(), until(*ttl_ms), told(None)),
        Action::Delete if planted!("delete_denies") => write(None, 0, Effect { existed: true, value: None }),
        Action::Delete | Action::GetAndDelete | Action::Expire { .. } => Ok(Decision::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use smallvec::SmallVec;

    use super::*;
    use crate::data::record::{Format, Version};

    fn json(text: &str) -> Value {
        Value { format: Format::Json, bytes: Bytes::copy_from_slice(text.as_bytes()) }
    }

    fn version(hlc: u64) -> Version {
        Version { hlc, node: 1, boot: 1 }
    }

    /// A value of version 7 that expires at `expires_at_ms`.
    fn present(value: Option<&str>, expires_at_ms: u64) -> Option<Record> {
        let (key, value) = (Bytes::from_static(b"k"), value.map(json));
        Some(Record { map: 0, key, value, version: version(7), expires_at_ms, operations: SmallVec::new() })
    }

    fn decided(action: Action, present: &Option<Record>) -> Decision {
        decide(&action, present.as_ref(), 1000).expect("decided")
    }

    fn written(value: Option<&str>, expires_at_ms: u64, existed: bool, told: Option<&str>) -> Decision {
        let effect = Effect { existed, value: told.map(json) };
        Decision::Write { value: value.map(json), expires_at_ms, effect }
    }

    #[test]
    fn compare_and_swap_takes_nothing_but_what_is_expected() {
        let swap = |expected| Action::CompareAndSwap { expected, value: json("2"), ttl_ms: 5 };
        let done = |existed| written(Some("2"), 1005, existed, None);
        let (live, expired, tombstone) = (present(Some("1"), 0), present(Some("1"), 1000), present(None, 0));
        assert_eq!(decided(swap(Expected::Absent), &None), done(false));
        assert_eq!(decided(swap(Expected::Absent), &tombstone), done(false));
        assert_eq!(decided(swap(Expected::Absent), &expired), done(false));
        assert_eq!(decided(swap(Expected::Absent), &live), Decision::Differs);
        assert_eq!(decided(swap(Expected::Version(version(7))), &live), done(true));
        assert_eq!(decided(swap(Expected::Version(version(8))), &live), Decision::Differs);
        for gone in [&expired, &tombstone, &None] {
            assert_eq!(decided(swap(Expected::Version(version(7))), gone), Decision::Differs);
            assert_eq!(decided(swap(Expected::Value(json("1"))), gone), Decision::Differs);
        }
        assert_eq!(decided(swap(Expected::Value(json(" 1"))), &live), done(true));
        assert_eq!(decided(swap(Expected::Value(json("3"))), &live), Decision::Differs);
        let bytes = Value { format: Format::Bytes, bytes: Bytes::from_static(b"1") };
        assert_eq!(decided(swap(Expected::Value(bytes)), &live), Decision::Differs, "the text is no bytes value");
    }

    #[test]
    fn an_increment_keeps_the_expiry_of_what_it_adds_to() {
        let by = |by: Number| Action::Increment { by };
        assert_eq!(decided(by(2.into()), &present(Some("40"), 2000)), written(Some("42"), 2000, true, Some("42")));
        assert_eq!(decided(by(2.into()), &present(Some("40"), 1000)), written(Some("2"), 0, false, Some("2")));
        assert_eq!(decided(by(0.5.into()), &None), written(Some("0.5"), 0, false, Some("0.5")));
        let error = decide(&by(1.into()), present(Some("[]"), 0).as_ref(), 1000).unwrap_err();
        assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::WrongFormat, false));
    }

    #[test]
    fn what_takes_tells_what_was_there() {
        let put = || Action::GetAndPut { value: json("2"), ttl_ms: 0 };
        assert_eq!(decided(put(), &present(Some("1"), 2000)), written(Some("2"), 0, true, Some("1")));
        assert_eq!(decided(put(), &present(Some("1"), 1000)), written(Some("2"), 0, false, None));
        assert_eq!(decided(Action::GetAndDelete, &present(Some("1"), 0)), written(None, 0, true, Some("1")));
        assert_eq!(decided(Action::GetAndDelete, &present(None, 0)), Decision::Nothing);
        assert_eq!(decided(Action::Delete, &present(Some("1"), 1000)), Decision::Nothing);
    }

    #[test]
    fn expire_and_persist_touch_nothing_but_the_expiry() {
        let expire = |ttl_ms| Action::Expire { ttl_ms };
        assert_eq!(decided(expire(5), &present(Some("1"), 0)), written(Some("1"), 1005, true, None));
        assert_eq!(decided(expire(0), &present(Some("1"), 2000)), written(Some("1"), 0, true, None));
        assert_eq!(decided(expire(0), &present(Some("1"), 0)), Decision::Nothing, "it lives for ever already");
        assert_eq!(decided(expire(0), &present(Some("1"), 1000)), Decision::Nothing, "it expired");
        assert_eq!(decided(expire(5), &None), Decision::Nothing);
    }
}
