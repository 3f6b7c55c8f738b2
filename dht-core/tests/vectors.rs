//! The vectors in tests/vectors, which every language runs: here by the Rust interface itself.

use crate::common;

use std::time::Duration;

use dht_core::{
    Config, Dht, Error, ErrorKind, Expected, Format, GetOptions, Number, PutOptions, Result, Value, Version,
};
use serde_json::Value as Json;

fn vectors(name: &str) -> Json {
    let path = format!("{}/../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("the vectors are JSON")
}

fn list(of: &Json) -> &[Json] {
    of.as_array().expect("a list")
}

fn text(of: &Json) -> &str {
    of.as_str().expect("a text")
}

fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).expect("hexadecimal")).collect()
}

/// {"text"} or {"hex"}, or {"parts": [[text or hex, count], ...]} with {"encoding"}.
fn content(of: &Json) -> Vec<u8> {
    match (of.get("text"), of.get("hex")) {
        (Some(plain), _) => text(plain).as_bytes().to_vec(),
        (_, Some(hex)) => from_hex(text(hex)),
        _ => {
            let part = |part: &Json| text(&part[0]).repeat(part[1].as_u64().expect("a count") as usize);
            let joined: String = list(&of["parts"]).iter().map(part).collect();
            if text(&of["encoding"]) == "hex" { from_hex(&joined) } else { joined.into_bytes() }
        }
    }
}

fn kind_of(name: &str) -> ErrorKind {
    *ErrorKind::ALL.iter().find(|kind| kind.name() == name).unwrap_or_else(|| panic!("no error is called {name}"))
}

#[tokio::test]
async fn values_read_back_byte_for_byte_under_any_key() {
    let node = common::start(Config::default()).await;
    let all = vectors("values.json");
    for one in list(&all["values"]) {
        let (name, bytes) = (text(&one["name"]), content(one));
        let (value, format) = match text(&one["format"]) {
            "json" => (Value::from_json_text(bytes.clone()).expect("it is JSON"), Format::Json),
            _ => (Value::from_bytes(bytes.clone()), Format::Bytes),
        };
        node.put_value(name, value, PutOptions::default()).await.expect("it is stored");
        let found = node.get_versioned(name, GetOptions::default()).await.expect("it is read").expect("it is there");
        assert_eq!((found.value.format, &found.value.bytes[..]), (format, &bytes[..]), "{name}");
        if format == Format::Bytes {
            let error = node.get::<Json>(name).await.expect_err("bytes are no JSON");
            assert_eq!(error.kind(), ErrorKind::WrongFormat, "{name}");
        }
    }
    for (number, key) in list(&all["keys"]).iter().enumerate() {
        let (key, value) = (content(key), number.to_string());
        node.put_bytes(&key, value.clone(), PutOptions::default()).await.expect("it is stored");
        let found = node.get_bytes(&key, GetOptions::default()).await.expect("it is read");
        assert_eq!(found.as_deref(), Some(value.as_bytes()), "{key:?}");
    }
    node.stop().await;
}

#[tokio::test]
async fn keys_have_the_ids_that_they_have_in_every_language() {
    for one in list(&vectors("hash_ids.json")) {
        let config = Config::from_json(&one["config"].to_string()).expect("the configuration is right");
        let node = common::start(config).await;
        assert_eq!(node.hash_key_hex(text(&one["key"])), text(&one["id"]), "{one}");
        node.stop().await;
    }
}

#[tokio::test]
async fn wrong_input_has_its_error() {
    let node = common::start(Config::default()).await;
    let all = vectors("errors.json");
    for (name, number) in all["numbers"].as_object().expect("an object") {
        if name != "OK" && name != "NOT_FOUND" {
            assert_eq!(Some(i64::from(kind_of(name).code())), number.as_i64(), "{name}");
        }
    }
    let mut tried = 0;
    for case in list(&all["cases"]) {
        let Some(result) = error_case(&node, case).await else { continue };
        let error = result.expect_err(&case.to_string());
        assert_eq!(error.kind(), kind_of(text(&case["error"])), "{case}: {error}");
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
    node.stop().await;
}

/// `None`: options are fields in Rust, not text.
async fn error_case(node: &Dht, case: &Json) -> Option<Result<()>> {
    let of = |name: &str| case.get(name).map(content).unwrap_or_default();
    let (key, input) = (of("key"), of("input"));
    let as_text = || String::from_utf8(input.clone()).expect("UTF-8");
    Some(match text(&case["op"]) {
        "new" => Config::from_json(&as_text()).and_then(|config| config.validate()),
        "put_json" => match Value::from_json_text(input) {
            Ok(value) => node.put_value(key, value, PutOptions::default()).await.map(drop),
            Err(error) => Err(error),
        },
        "put_bytes" => node.put_bytes(key, input, PutOptions::default()).await.map(drop),
        "get" => node.get_bytes(key, GetOptions::default()).await.map(drop),
        "get_bytes_as_json" => {
            node.put_bytes(&key, input, PutOptions::default()).await.expect("bytes are stored");
            node.get::<Json>(key).await.map(drop)
        }
        "join" => node.join(&as_text().split(',').collect::<Vec<_>>()).await,
        "put_options" | "get_options" => return None,
        op => return Some(Err(Error::new(ErrorKind::Internal, format!("no case is called {op}")))),
    })
}

#[tokio::test]
async fn values_live_as_long_as_they_are_told() {
    let node = common::start(Config::default()).await;
    for one in list(&vectors("ttl.json")) {
        // Text and numbers of other types are for the languages that take text.
        let Some(seconds) = one["ttl"].as_f64() else { continue };
        let ttl = Duration::try_from_secs_f64(seconds);
        let expected = one.get("seconds").and_then(Json::as_f64);
        let put = match ttl {
            Ok(ttl) => node.put_with_ttl("k", &1, ttl).await.map_err(|error| error.kind()),
            // Below zero: a Duration cannot even say it.
            Err(_) => Err(ErrorKind::InvalidArgument),
        };
        let Some(expected) = expected else {
            assert_eq!(put.err(), Some(kind_of(text(&one["error"]))), "{one}");
            continue;
        };
        assert!(put.is_ok(), "{one}");
        let left = node.ttl("k").await.expect("it is read").expect("it expires").as_secs_f64();
        assert!(left <= expected + 0.001 && left > expected - 10.0, "{one}: {left}");
    }
    node.stop().await;
}

#[tokio::test]
async fn batches_answer_per_key() {
    let node = common::start(Config::default()).await;
    for one in list(&vectors("batches.json")) {
        let entries: Vec<(String, Box<serde_json::value::RawValue>)> = pairs(text(&one["entries"]));
        let entries = entries
            .into_iter()
            .map(|(key, value)| (key, Value::from_json_text(value.get().as_bytes().to_vec()).expect("it is JSON")));
        for result in node.put_many(entries, PutOptions::default()).await.expect("it runs") {
            result.expect("it is stored");
        }
        let mut keys: Vec<String> = serde_json::from_str(text(&one["keys"])).expect("a list of texts");
        let mut seen = std::collections::BTreeSet::new();
        keys.retain(|key| seen.insert(key.clone()));
        let found = node.get_many(keys.clone(), GetOptions::default()).await.expect("it runs");
        let found: Vec<(String, String)> = keys
            .iter()
            .zip(found)
            .filter_map(|(key, found)| {
                let value = found.expect("it is read")?.value;
                Some((key.clone(), String::from_utf8(value.bytes.to_vec()).expect("JSON is UTF-8")))
            })
            .collect();
        let expected = list(&one["found"]).iter().map(|pair| (text(&pair[0]).to_owned(), text(&pair[1]).to_owned()));
        assert_eq!(found, expected.collect::<Vec<_>>());
        let deleted = node.delete_many(keys.clone(), GetOptions::default()).await.expect("it runs");
        for (key, existed) in keys.iter().zip(deleted) {
            assert_eq!(Some(existed.expect("it is deleted")), one["deleted"][key].as_bool(), "{key}");
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn operations_that_look_at_the_present_value() {
    let node = common::start(Config::default()).await;
    let all = vectors("atomic.json");
    let mut named = std::collections::BTreeMap::new();
    for step in list(&all) {
        let version = atomic_step(&node, step, &named).await;
        if let (Some(name), Some(version)) = (step.get("name"), version) {
            named.insert(text(name).to_owned(), version);
        }
    }
    assert!(list(&all).len() > 40 && named.len() > 2);
    node.stop().await;
}

fn json_of(of: &Json) -> Option<Value> {
    of.as_str().map(|text| Value::from_json_text(text.to_owned()).expect("it is JSON"))
}

/// What a step stores, or finds: the JSON text of one member, or the bytes of the other.
fn stored(step: &Json, json: &str, hex: &str) -> Option<Value> {
    json_of(&step[json]).or_else(|| step.get(hex).map(|hex| Value::from_bytes(from_hex(text(hex)))))
}

/// Does a step and compares what it says; the version that it wrote.
async fn atomic_step(node: &Dht, step: &Json, named: &std::collections::BTreeMap<String, Version>) -> Option<Version> {
    let key = text(&step["key"]);
    let value = stored(step, "value", "hex");
    let ttl = step.get("ttl").map(|ttl| Duration::from_secs(ttl.as_u64().expect("whole seconds")));
    let options = PutOptions { ttl, ..PutOptions::default() };
    let value = || value.clone().expect("a value");
    match text(&step["op"]) {
        "put" | "put_bytes" => return Some(node.put_value(key, value(), options).await.expect("it is stored").version),
        "delete" => assert_eq!(Some(node.delete(key).await.expect("it runs")), step["existed"].as_bool(), "{step}"),
        op @ ("put_if_absent" | "compare_and_swap") => {
            let expected = match &step["expected"] {
                _ if op == "put_if_absent" => Expected::Absent,
                told if told.get("absent").is_some() => Expected::Absent,
                told if told.get("version_of").is_some() => Expected::Version(named[text(&told["version_of"])]),
                told => Expected::Value(stored(told, "value", "hex").expect("a value")),
            };
            let swap = node.compare_and_swap_value(key, expected, value(), options).await.expect("it runs");
            assert_eq!(Some(swap.swapped), step["swapped"].as_bool(), "{step}");
            assert_eq!(swap.value, stored(step, "found", "found_hex"), "{step}");
            return swap.version;
        }
        "increment" => {
            let by = Number::of(&json_of(&step["by"]).expect("a number")).expect("a number");
            match node.increment_with(key, by, GetOptions::default()).await {
                Ok(sum) => assert_eq!(sum.to_string(), text(&step["sum"]), "{step}"),
                Err(error) => assert_eq!(error.kind(), kind_of(text(&step["error"])), "{step}"),
            }
        }
        "get_and_put" => {
            let before = node.get_and_put_value(key, value(), options).await.expect("it runs");
            assert_eq!(before, json_of(&step["previous"]), "{step}");
        }
        "get_and_delete" => {
            let before = node.get_and_delete_value(key, GetOptions::default()).await.expect("it runs");
            assert_eq!(before, json_of(&step["previous"]), "{step}");
        }
        op @ ("expire" | "persist") => {
            let ttl = if op == "expire" { Some(ttl.expect("a ttl")) } else { None };
            let existed = node.expire_with(key, ttl, GetOptions::default()).await.expect("it runs");
            assert_eq!(Some(existed), step["existed"].as_bool(), "{step}");
        }
        "ttl" => {
            let (left, most) = (node.ttl(key).await.expect("it is read"), step["lives_at_most"].as_u64());
            assert_eq!(left.is_some(), most.is_some(), "{step}");
            assert!(left <= most.map(Duration::from_secs) && left != Some(Duration::ZERO), "{step}: {left:?}");
        }
        op => panic!("no step is called {op}"),
    }
    None
}

/// The members of an object in their order, the same name twice included.
fn pairs(object: &str) -> Vec<(String, Box<serde_json::value::RawValue>)> {
    struct Pairs(Vec<(String, Box<serde_json::value::RawValue>)>);
    impl<'de> serde::Deserialize<'de> for Pairs {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Pairs;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<Pairs, A::Error> {
                    let mut pairs = Vec::new();
                    while let Some(pair) = map.next_entry()? {
                        pairs.push(pair);
                    }
                    Ok(Pairs(pairs))
                }
            }
            from.deserialize_map(Visitor)
        }
    }
    serde_json::from_str::<Pairs>(object).expect("an object").0
}
