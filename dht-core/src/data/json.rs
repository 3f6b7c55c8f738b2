//! Whether two JSON texts say the same.
//!
//! Numbers are compared by how they are written: reading them as floats would make different integers equal.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// How deep arrays and objects are looked into; deeper ones are the same only if their text is.
const DEPTH_MAX: u32 = 64;

/// White space between tokens, the order of members, and escapes in texts make no difference. Of a member named twice
/// the last counts.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    match (std::str::from_utf8(a), std::str::from_utf8(b)) {
        (Ok(a), Ok(b)) => same_within(a, b, DEPTH_MAX),
        _ => false,
    }
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn same_within(a: &str, b: &str, depth: u32) -> bool {
    let (a, b) = (a.trim_ascii(), b.trim_ascii());
    if a == b {
        return true;
    }
    let Some(depth) = depth.checked_sub(1) else { return false };
    match (a.bytes().next(), b.bytes().next()) {
        (Some(b'{'), Some(b'{')) => {
            let read = |text| serde_json::from_str::<BTreeMap<Text<'_>, &RawValue>>(text);
            let (Ok(a), Ok(b)) = (read(a), read(b)) else { return false };
            let pairs = || a.iter().zip(&b);
            a.len() == b.len() && pairs().all(|((k, v), (l, w))| k == l && same_within(v.get(), w.get(), depth))
        }
        (Some(b'['), Some(b'[')) => {
            let read = |text| serde_json::from_str::<Vec<&RawValue>>(text);
            let (Ok(a), Ok(b)) = (read(a), read(b)) else { return false };
            a.len() == b.len() && a.iter().zip(&b).all(|(v, w)| same_within(v.get(), w.get(), depth))
        }
        (Some(b'"'), Some(b'"')) => {
            let read = |text| serde_json::from_str::<Text<'_>>(text);
            matches!((read(a), read(b)), (Ok(a), Ok(b)) if a == b)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_however_it_is_written() {
        for (a, b) in [
            ("1", " 1\n"),
            (r#"{"a":1,"b":[true,null]}"#, r#"{ "b" : [ true , null ], "a" : 1 }"#),
            (r#""\u0041""#, r#""A""#),
            (r#"{"\u0041":{"x":"\/"}}"#, r#"{"A":{"x":"/"}}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        ] {
            assert!(same(a.as_bytes(), b.as_bytes()), "{a} {b}");
        }
    }

    #[test]
    fn different_is_different() {
        for (a, b) in [
            ("1", "1.0"),
            ("18446744073709551617", "18446744073709551618"),
            ("[1,2]", "[2,1]"),
            ("[1]", "[1,1]"),
            (r#"{"a":1}"#, r#"{"a":1,"b":1}"#),
            (r#"{"a":1}"#, r#"{"b":1}"#),
            ("null", "false"),
            (r#""1""#, "1"),
            ("[]", "{}"),
        ] {
            assert!(!same(a.as_bytes(), b.as_bytes()), "{a} {b}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |space: &str| format!("{}{space}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(!same(nested("").as_bytes(), nested(" ").as_bytes()));
        assert!(same(nested("").as_bytes(), nested("").as_bytes()));
    }
}
