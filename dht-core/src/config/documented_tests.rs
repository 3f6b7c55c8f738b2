//! `docs/configuration.md` has a row for every key, with the default and the bound that apply.

use std::path::Path;

use super::Config;
use super::bounds::{Bound, bound};
use super::text::{ShowDuration, ShowSize};

/// The first three cells of a row: key, default, what it may hold.
type Row = [String; 3];

/// The rows of the table in the document.
fn documented() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [key, default, holds, meaning] = cells[..] else { panic!("four cells make a row: {line}") };
        assert!(!meaning.is_empty(), "{key} has no meaning");
        [key, default, holds].map(str::to_owned)
    })
    .collect()
}

/// What the document has to say of a key.
fn expected(key: &str, defaults: &serde_json::Value) -> Row {
    let Some(bound) = bound(key) else { panic!("{key} has no bound") };
    // `cluster_key` is never serialised.
    let default = defaults.get(key).unwrap_or(&serde_json::Value::Null);
    let default = match (bound, default) {
        (_, serde_json::Value::Null) => "none".to_owned(),
        (Bound::Time(..), value) => {
            ShowDuration(serde_json::from_value::<Seconds>(value.clone()).expect("seconds").0).to_string()
        }
        (Bound::Size(..), value) => ShowSize(value.as_u64().expect("bytes")).to_string(),
        (_, value) => value.to_string(),
    };
    [format!("`{key}`"), default, holds(bound)]
}

#[derive(serde::Deserialize)]
struct Seconds(#[serde(with = "super::text::duration")] std::time::Duration);

/// A bound as the document shows it: as in errors, with the hint at other spellings in the column's introduction.
fn holds(bound: &Bound) -> String {
    match *bound {
        Bound::Int(low, high) => format!("{low} to {high}"),
        Bound::Size(low, high) => format!("size, {} to {}", ShowSize(low), ShowSize(high)),
        Bound::Time(low, high) => format!("time, {} to {}", ShowDuration(low), ShowDuration(high)),
        Bound::Path => "a path".to_owned(),
        Bound::Advertise => "\"host:port\" that others can dial, or \"\"".to_owned(),
        Bound::Endpoints(high) => format!("a list of at most {high} times \"host:port\""),
        ref other @ (Bound::Flag | Bound::OneOf(_) | Bound::Text(..) | Bound::Host | Bound::Tls) => {
            other.to_string().trim_start_matches("must be ").to_owned()
        }
    }
}

#[test]
fn the_document_has_every_key_with_its_default_and_bound() {
    let defaults = serde_json::to_value(Config::default()).expect("a configuration is JSON");
    let expected: Vec<Row> = Config::KEYS.iter().map(|key| expected(key, &defaults)).collect();
    let documented = documented();
    let keys = |rows: &[Row]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    let (listed, there) = (keys(&documented), keys(&expected));
    let lacking = |from: &[String], others: &[String]| -> Vec<String> {
        others.iter().filter(|key| !from.contains(key)).cloned().collect()
    };
    assert_eq!(lacking(&listed, &there), [""; 0], "keys that docs/configuration.md does not name");
    assert_eq!(lacking(&there, &listed), [""; 0], "keys that only docs/configuration.md names");
    assert_eq!(listed, there, "the order of docs/configuration.md");
    for (documented, expected) in documented.iter().zip(&expected) {
        assert_eq!(documented, expected, "a row of docs/configuration.md");
    }
}
