//! Tables over every key: defaults, bounds, what comes later, and that all ways of reading agree.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::text::{ShowDuration, ShowSize, parse_duration, parse_size};
use super::*;
use crate::error::{Error, ErrorKind, Result};

fn with(pairs: &[(&str, &str)]) -> Result<Config> {
    let mut config = Config::default();
    for (key, text) in pairs {
        config.set(key, text)?;
    }
    Ok(config)
}

fn failed(result: Result<impl std::fmt::Debug>) -> Error {
    result.expect_err("must be refused")
}

/// As `set` and then `validate` answer: the first of the two that refuses.
fn refused(pairs: &[(&str, &str)]) -> Error {
    failed(with(pairs).and_then(|config| config.validate()))
}

/// For each key: its default in JSON, and another good text.
const KEYS: [(&str, &str, &str); 44] = [
    ("node_id", r#""""#, "node-1"),
    ("address", r#""127.0.0.1""#, "::1"),
    ("port", "0", "7400"),
    ("advertise", r#""""#, "example.org:7400"),
    ("seeds", "[]", "a:1,[::1]:2"),
    ("cluster_name", r#""default""#, "staging"),
    ("hash_function", r#""sha256""#, "fnv1a"),
    ("hash_bits", "160", "256"),
    ("slot_bits", "14", "20"),
    ("replication_factor", "3", "5"),
    ("min_replicas", "1", "2"),
    ("consistency", r#""quorum""#, "all"),
    ("successor_list_size", "16", "8"),
    ("virtual_nodes", "null", "200"),
    ("consistent_hashing", "true", "false"),
    ("backup_replicas", "true", "0"),
    ("repair_rate", "67108864", "10MiB"),
    ("stabilize_interval", "1.0", "100ms"),
    ("fix_finger_interval", "2.0", "1m"),
    ("check_predecessor", "2.0", "1h"),
    ("heartbeat_interval", "1.0", "0.25"),
    ("request_timeout", "2.0", "1.5s"),
    ("max_retries", "3", "0"),
    ("buffer_size", "1024", "1"),
    ("max_connections", "1024", "65536"),
    ("network_protocol", r#""tcp""#, "udp"),
    ("enable_logging", "false", "true"),
    ("enable_metrics", "true", "false"),
    ("routing", r#""one_hop""#, "chord"),
    ("max_table_nodes", "100000", "500"),
    ("data_dir", "null", "/var/lib/dht"),
    ("durability", r#""interval""#, "always"),
    ("max_memory", "null", "1GiB"),
    ("eviction", r#""reject""#, "lru"),
    ("max_key_size", "4096", "64KiB"),
    ("max_value_size", "16777216", "1MB"),
    ("tombstone_grace", "3600.0", "30d"),
    ("max_clock_offset", "5.0", "500ms"),
    ("cluster_key", "hidden", "hunter2"),
    ("tls", "null", r#"{"cert":"c.pem","key":"k.pem","ca":"a.pem"}"#),
    ("allow_insecure", "false", "true"),
    ("zone", r#""""#, "rack-1"),
    ("worker_threads", "0", "1024"),
    ("trace_sample", "0", "1000"),
];

#[test]
fn defaults_are_the_contract_and_valid() {
    let json = serde_json::to_value(Config::default()).unwrap();
    for (key, default, _) in KEYS {
        match key {
            "cluster_key" => assert!(json.get(key).is_none(), "a secret is not serialised"),
            _ => assert_eq!(json[key].to_string(), default, "{key}"),
        }
    }
    Config::default().validate().unwrap();
    assert_eq!(Config::default().vnode_count(), 16);
    assert_eq!(Config::default().cluster_key, None);
}

#[test]
fn keys_fields_and_set_agree() {
    assert_eq!(KEYS.map(|(key, ..)| key), Config::KEYS);
    let json = serde_json::to_value(Config::default()).unwrap();
    let mut fields: BTreeSet<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(fields.insert("cluster_key"), "the one field that is read but not written");
    assert_eq!(fields, Config::KEYS.iter().copied().collect());

    for (key, _, good) in KEYS {
        let by_set = with(&[(key, good)]).unwrap();
        assert_ne!(by_set, Config::default(), "{key} moves its field");
        // The same text in a file, where the type of the key takes text; else the literal.
        let quoted = serde_json::to_string(good).unwrap();
        let list = r#"["a:1","[::1]:2"]"#;
        let literal = if good == "0" { "false" } else { good };
        let by_file = [quoted.as_str(), good, literal, list]
            .iter()
            .find_map(|value| Config::from_json(&format!(r#"{{"{key}":{value}}}"#)).ok());
        assert_eq!(by_file, Some(by_set.clone()), "{key}");
        if key != "cluster_key" {
            let written = serde_json::to_string(&by_set).unwrap();
            assert_eq!(Config::from_json(&written).unwrap(), by_set, "{key} survives JSON");
            let written = toml::to_string(&by_set).unwrap();
            assert_eq!(Config::from_toml(&written).unwrap(), by_set, "{key} survives TOML");
        }
        if key == "consistent_hashing" {
            continue;
        }
        // `durability` is about what is in it, `eviction` is not.
        let data_dir = Some(PathBuf::from("/d")).filter(|_| key != "eviction");
        let by_set = Config { data_dir, ..by_set };
        by_set.validate().unwrap_or_else(|error| panic!("{key} = {good}: {error}"));
    }
}

#[test]
fn every_key_refuses_what_is_out_of_bound() {
    let long = "x".repeat(256);
    let period = "between 10ms and 1h";
    #[rustfmt::skip]
    let table: &[(&str, &[&str], &str)] = &[
        ("node_id", &[&long], "at most 255 bytes"),
        ("address", &["", "a b", "127.0.0.1:80", "[::1]"], "an IP address or a host name"),
        ("port", &["-1", "65536", "x", ""], "between 0 and 65535"),
        ("advertise", &["host", "host:0", "0.0.0.0:7400", "[::]:1"], "host:port"),
        ("seeds", &["host", "a:1,b", "::1:80", "a:0"], "host:port"),
        ("cluster_name", &["", &long], "1 to 255 bytes"),
        ("hash_function", &["sha3", "SHA256", ""], "one of fnv1, fnv1a, crc32, md5, sha1, sha256, consistent"),
        ("hash_bits", &["0", "257", "70000", "-1", "1.5"], "between 1 and 256"),
        ("slot_bits", &["21", "256", "-1"], "between 0 and 20"),
        ("replication_factor", &["0", "65", "many"], "between 1 and 64"),
        ("min_replicas", &["0", "65"], "between 1 and 64"),
        ("consistency", &["two"], "one of one, quorum, all"),
        ("successor_list_size", &["0", "129"], "between 1 and 128"),
        ("virtual_nodes", &["201", "-1", "x"], "between 0 and 200"),
        ("consistent_hashing", &["yes"], "true or false"),
        ("backup_replicas", &[""], "true or false"),
        ("repair_rate", &["-1", "1025GiB", "fast", "64 MiB/s"], "between 0 and 1TiB"),
        ("repair_rate", &["1", "65535", "63KiB"], "must be 0, which is no limit, or at least 64KiB"),
        ("stabilize_interval", &["0", "9ms", "3601", "-1", "1 y", "1e3", "inf"], period),
        ("fix_finger_interval", &["0", "2h"], period),
        ("check_predecessor", &["0", "2h"], period),
        ("heartbeat_interval", &["0", "2h"], period),
        ("request_timeout", &["0", "61m"], "between 1ms and 1h"),
        ("max_retries", &["101", "-1"], "between 0 and 100"),
        ("buffer_size", &["0", "1048577"], "between 1 and 1048576"),
        ("max_connections", &["0", "65537"], "between 1 and 65536"),
        ("network_protocol", &["quic"], "one of tcp, udp"),
        ("enable_logging", &["2"], "true or false"),
        ("enable_metrics", &["on"], "true or false"),
        ("routing", &["onehop"], "one of one_hop, chord"),
        ("max_table_nodes", &["0", "10000001"], "between 1 and 10000000"),
        ("durability", &["never"], "one of none, interval, always"),
        ("max_memory", &["63KiB", "2000TiB", "0", "1.5GiB", "99999999999999TiB"], "between 64KiB and 1024TiB"),
        ("eviction", &["fifo"], "one of reject, lru"),
        ("max_key_size", &["0", "65537", "4kb"], "between 1 and 64KiB"),
        ("max_value_size", &["0", "1025MiB", "x"], "between 1 and 1GiB"),
        ("tombstone_grace", &["99ms", "31d"], "between 100ms and 30d"),
        ("max_clock_offset", &["0", "2h"], "between 1ms and 1h"),
        ("tls", &["cert.pem", r#"{"crt":"c"}"#], "three paths: cert, key, ca"),
        ("allow_insecure", &["maybe"], "true or false"),
        ("zone", &[&long], "at most 255 bytes"),
        ("worker_threads", &["1025", "-1"], "between 0 and 1024"),
        ("trace_sample", &["1000000001", "-1"], "between 0 and 1000000000"),
    ];
    for (key, values, bound) in table {
        for value in *values {
            let error = refused(&[(key, value)]);
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
            let text = error.context();
            assert!(text.starts_with(&format!("{key} = ")) && text.contains(bound), "{text}");
            // A number is repeated as it is; other texts in quotes, with more around them, and cut.
            let shown = value.split(',').next_back().unwrap_or("");
            let shown = &shown.escape_debug().to_string()[..shown.len().min(40)];
            let normal = [
                parse_duration(value).map(|d| ShowDuration(d).to_string()),
                parse_size(value).map(|s| ShowSize(s).to_string()),
            ];
            assert!(text.contains(shown) || normal.iter().flatten().any(|n| text.contains(n)), "{text} shows {value}");
        }
    }
    // What no text can reach, and what must not be shown.
    let empty_dir = Config { data_dir: Some(PathBuf::new()), ..Config::default() };
    assert_eq!(failed(empty_dir.validate()).context(), r#"data_dir = "": must be a path, not empty"#);
    assert_eq!(
        refused(&[("cluster_key", "")]).context(),
        "cluster_key = (hidden, 0 bytes): must be text of 1 to 1024 bytes"
    );
    assert_eq!(refused(&[("tls.cert", "c")]).context(), r#"tls.key = "": must be a path, not empty"#);
    let many = Config { seeds: vec!["a:1".to_owned(); 1_001], ..Config::default() };
    assert!(failed(many.validate()).context().starts_with("seeds = (1001 of them): must be a list of at most 1000"));

    let mut tested: BTreeSet<&str> = table.iter().map(|(key, ..)| *key).collect();
    tested.extend(["data_dir", "cluster_key"]);
    assert_eq!(tested, Config::KEYS.iter().copied().collect(), "no key is left out");
}

#[test]
fn relations_name_both_numbers() {
    let error = refused(&[("min_replicas", "4")]);
    assert_eq!(error.context(), "min_replicas = 4: must be at most replication_factor, which is 3");
    let error = refused(&[("consistent_hashing", "false"), ("virtual_nodes", "16")]);
    assert!(
        error.context().starts_with("virtual_nodes = 16: must be 1")
            && error.context().contains("consistent_hashing is false")
    );
    let error = refused(&[("eviction", "lru"), ("data_dir", "/d")]);
    assert!(error.context().starts_with("eviction = lru: must be reject with a data_dir"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Config);
    for (vnodes, count) in [("", 1), ("0", 0), ("1", 1)] {
        let config = with(&[("consistent_hashing", "false"), ("virtual_nodes", vnodes)]).unwrap();
        config.validate().unwrap();
        assert_eq!(config.vnode_count(), count);
    }
    assert_eq!(with(&[("virtual_nodes", "0")]).unwrap().vnode_count(), 0);
}

#[test]
fn bounds_are_judged_before_relations() {
    assert!(refused(&[("min_replicas", "9"), ("hash_bits", "0")]).context().starts_with("hash_bits"));
    assert!(refused(&[("cluster_key", ","), ("hash_bits", "0")]).context().starts_with("hash_bits"));
    assert!(refused(&[("min_replicas", "9"), ("cluster_key", "k")]).context().starts_with("min_replicas = 9: must be"));
}

#[test]
fn a_cluster_key_is_one_key_or_two() {
    for good in ["k", "old,new", "old , new ", " k "] {
        with(&[("cluster_key", good)]).unwrap().validate().unwrap();
    }
    for wrong in [",", "k,", ",k", "old,new,newer", " "] {
        let error = refused(&[("cluster_key", wrong)]);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.context().starts_with("cluster_key = (hidden): must be one key, or two"), "{error}");
    }
}

#[test]
fn zones_and_chord_routing_exclude_each_other() {
    let error = refused(&[("zone", "z"), ("routing", "chord")]);
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.context().contains("zone = \"z\"") && error.context().contains("routing is chord"), "{error}");
    with(&[("routing", "chord")]).unwrap().validate().unwrap();
}

#[test]
fn only_loopback_binds_without_permission() {
    for address in ["0.0.0.0", "::", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"] {
        let error = refused(&[("address", address)]);
        assert_eq!(error.kind(), ErrorKind::Insecure, "{error}");
        for part in ["cluster_key", "tls", "allow_insecure = true", "address = "] {
            assert!(error.context().contains(part), "{error}");
        }
        with(&[("address", address), ("allow_insecure", "true")]).unwrap().validate().unwrap();
        let ip: IpAddr = address.parse().unwrap();
        for way in ["cluster_key", "tls"] {
            let good = KEYS.iter().find(|(key, ..)| *key == way).unwrap().2;
            with(&[(way, good)]).unwrap().insecure_bind(ip).unwrap();
        }
        assert_eq!(failed(Config::default().insecure_bind(ip)).kind(), ErrorKind::Insecure);
    }
    for address in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "localhost", "example.org"] {
        with(&[("address", address)]).unwrap().validate().unwrap();
    }
}

const JSON: &str = r#"{
  "node_id": "a", "port": 7400, "seeds": ["x:1", "[::1]:2"], "virtual_nodes": 8,
  "hash_function": "consistent", "consistency": "one", "backup_replicas": false,
  "stabilize_interval": 0.25, "request_timeout": "1500ms", "tombstone_grace": 7200, "max_value_size": "8MiB",
  "max_key_size": 1024, "max_memory": "128MiB", "data_dir": "/d", "cluster_key": "hunter2",
  "tls": {"cert": "c", "key": "k", "ca": "a"}
}"#;

const TOML: &str = r#"
node_id = "a"
port = 7400
seeds = ["x:1", "[::1]:2"]
virtual_nodes = 8
hash_function = "consistent"
consistency = "one"
backup_replicas = false
stabilize_interval = "250ms"
request_timeout = 1.5
tombstone_grace = "2h"
max_value_size = 8_388_608
max_key_size = "1KiB"
max_memory = 134217728
data_dir = "/d"
cluster_key = "hunter2"
[tls]
cert = "c"
key = "k"
ca = "a"
"#;

const ENV: [(&str, &str); 19] = [
    ("PATH", "/bin"),
    ("DHT_NODE_ID", "a"),
    ("DHT_PORT", " 7400"),
    ("DHT_SEEDS", "x:1, [::1]:2,"),
    ("DHT_VIRTUAL_NODES", "8"),
    ("DHT_HASH_FUNCTION", "consistent"),
    ("DHT_CONSISTENCY", "one"),
    ("DHT_BACKUP_REPLICAS", "false"),
    ("DHT_STABILIZE_INTERVAL", "0.25"),
    ("DHT_REQUEST_TIMEOUT", "1.5 s"),
    ("DHT_TOMBSTONE_GRACE", "120m"),
    ("DHT_MAX_VALUE_SIZE", "8 MiB"),
    ("DHT_MAX_KEY_SIZE", "1024"),
    ("DHT_MAX_MEMORY", "128MiB"),
    ("DHT_DATA_DIR", "/d"),
    ("DHT_CLUSTER_KEY", "hunter2"),
    ("DHT_TLS_KEY", "k"),
    ("DHT_TLS_CERT", "c"),
    ("DHT_TLS_CA", "a"),
];

fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect::<BTreeMap<_, _>>().into_iter()
}

#[test]
fn json_toml_and_variables_say_the_same() {
    let json = Config::from_json(JSON).unwrap();
    assert_eq!(Config::from_toml(TOML).unwrap(), json);
    let mut by_env = Config::default();
    by_env.apply_env(env(&ENV)).unwrap();
    assert_eq!(by_env, json);
    // It is for the client commands of the program, and names no key.
    by_env.apply_env(env(&[("DHT_NODE", "127.0.0.1:7400"), ("HOME", "/")])).unwrap();
    assert_eq!(by_env, json);
    assert_eq!((json.request_timeout, json.max_value_size), (Duration::from_millis(1_500), 8 << 20));
    assert_eq!(Config::from_json("{}").unwrap(), Config::default());
    assert_eq!(Config::from_toml("").unwrap(), Config::default());
}

#[test]
fn wrong_files_name_line_key_value_and_bound() {
    for (text, expected) in [
        ("{\n\"hash_bit\": 1}", "line 2: unknown key \"hash_bit\"; did you mean hash_bits?"),
        ("{\"qwertyuiop\": 1}", "line 1: unknown key \"qwertyuiop\""),
        ("{\n\n\"hash_bits\": -1}", "line 3: hash_bits = -1: must be between 1 and 256"),
        ("{\"consistency\": \"two\"}", "line 1: consistency = \"two\": must be one of one, quorum, all"),
        ("{\"cluster_key\": 1234}", "line 1: cluster_key = (hidden): must be text of 1 to 1024 bytes"),
        ("{\"tls\": {\"crt\": \"c\"}}", "line 1: tls = {\"crt\":\"c\"}: must be a table of three paths: cert, key, ca"),
        (
            "{\"port\": true,\n\"zone\": 1}",
            "port = true: must be between 0 and 65535; zone = 1: must be text of at most 255 bytes (the first at line 1)",
        ),
    ] {
        let error = failed(Config::from_json(text));
        assert_eq!((error.kind(), error.context()), (ErrorKind::Config, expected));
    }
    for (text, expected) in [
        ("port = 1\nhash_bit = 1", "line 2: unknown key \"hash_bit\"; did you mean hash_bits?"),
        (
            "\n\nrequest_timeout = -1",
            "line 3: request_timeout = -1: must be between 1ms and 1h (seconds, or text like 250ms)",
        ),
        (
            "max_key_size = \"4 kilo\"",
            "line 1: max_key_size = \"4 kilo\": must be between 1 and 64KiB (bytes, or text like 4KiB)",
        ),
        ("cluster_key = 1234", "line 1: cluster_key = (hidden): must be text of 1 to 1024 bytes"),
    ] {
        let error = failed(Config::from_toml(text));
        assert_eq!((error.kind(), error.context()), (ErrorKind::Config, expected));
    }
    for (text, line) in
        [("{\n\"port\": 1,,}", "line 2"), ("[]", "line 1"), ("{\n\"port\":1,\n\"port\":2}", "line 3"), ("", "line 1")]
    {
        let error = failed(Config::from_json(text));
        assert!(error.kind() == ErrorKind::Config && error.context().contains(line), "{error}");
    }
    let error = failed(Config::from_toml("port = 1\ncluster_key = hunter2\n"));
    assert!(
        error.context().starts_with("line 2: ") && !format!("{error:#} {error:?}").contains("hunter2"),
        "{error:?}"
    );
}

#[test]
fn files_are_read_by_extension() {
    let dir = std::env::temp_dir().join(format!("dht-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    assert_eq!(Config::from_file(&write("a.json", JSON)).unwrap(), Config::from_file(&write("a.toml", TOML)).unwrap());
    let path = write("wrong.toml", "\nhash_bits = \"x\"");
    let error = failed(Config::from_file(&path));
    assert_eq!(error.context(), format!("{}: line 2: hash_bits = \"x\": must be between 1 and 256", path.display()));
    let missing = failed(Config::from_file(&dir.join("missing.json")));
    assert!(missing.context().contains("missing.json") && std::error::Error::source(&missing).is_some(), "{missing:#}");
    assert!(failed(Config::from_file(&write("a.yaml", ""))).context().contains(".toml or .json"));
    let huge = write("huge.toml", &"#".repeat((1 << 20) + 1));
    assert!(failed(Config::from_file(&huge)).context().contains("1 MiB"));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn wrong_variables_are_named_and_change_nothing() {
    for (name, text, expected) in [
        ("DHT_HASH_BIT", "1", "variable DHT_HASH_BIT: unknown key \"hash_bit\"; did you mean hash_bits?"),
        ("DHT_HASH_BITS", "x", "variable DHT_HASH_BITS: hash_bits = \"x\": must be between 1 and 256"),
        ("DHT_TLS_CRT", "c", "variable DHT_TLS_CRT: unknown key \"tls.crt\""),
        ("DHT_", "", "variable DHT_: unknown key \"\""),
        ("DHT_port", "1", "variable DHT_port: must be in capitals"),
    ] {
        let mut config = Config::default();
        let error = failed(config.apply_env(env(&[("DHT_ADDRESS", "::1"), (name, text)])));
        assert_eq!((error.kind(), error.context()), (ErrorKind::Config, expected));
        assert_eq!(config, Config::default());
    }
    let mut config = Config::default();
    assert_eq!(failed(config.set("no_such", "1")).kind(), ErrorKind::Config);
    assert!(config.set("port", "x").is_err());
    assert_eq!(config, Config::default());
}

#[test]
fn variables_that_kubernetes_makes_of_a_service_are_explained() {
    for (name, text) in [
        ("DHT_PORT", "tcp://10.96.0.7:7400"),
        ("DHT_PORT_7400_TCP", "tcp://10.96.0.7:7400"),
        ("DHT_PORT_7400_TCP_ADDR", "10.96.0.7"),
        ("DHT_SERVICE_HOST", "10.96.0.7"),
        ("DHT_SERVICE_PORT", "7400"),
        ("DHT_SERVICE_PORT_PEERS", "7400"),
        ("DHT_SEEDS_PORT", "udp://10.96.0.7:7400"),
    ] {
        let error = failed(Config::default().apply_env(env(&[(name, text)])));
        assert!(error.context().starts_with(&format!("variable {name}: ")), "{error}");
        assert!(error.context().contains("enableServiceLinks: false"), "{error}");
    }
    for (name, text) in [("DHT_PORT", "many"), ("DHT_PORTS", "1"), ("DHT_SERVICE", "x")] {
        let error = failed(Config::default().apply_env(env(&[(name, text)])));
        assert!(!error.context().contains("Kubernetes"), "{error}");
    }
}

#[test]
fn durations_and_sizes() {
    for (text, millis) in [
        ("250ms", 250.0),
        ("2s", 2e3),
        ("1m", 6e4),
        ("1h", 36e5),
        ("1.5s", 1_500.0),
        ("3", 3e3),
        ("0.25", 250.0),
        (" 7 ms ", 7.0),
        ("100us", 0.1),
        ("2d", 1_728e5),
        ("0", 0.0),
    ] {
        let parsed = parse_duration(text).unwrap();
        assert_eq!(parsed, Duration::from_micros((millis * 1e3) as u64), "{text}");
        assert_eq!(parse_duration(&ShowDuration(parsed).to_string()), Some(parsed));
    }
    for text in ["", "s", "-1", "+1s", "1 y", "1e3", "inf", "NaN", "1.2.3s", "1h30m", "1S", "99999999999999999999999h"]
    {
        assert_eq!(parse_duration(text), None, "{text}");
    }
    for (text, bytes) in [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("4KiB", 4096),
        ("128MiB", 128 << 20),
        ("1 GiB", 1 << 30),
        ("2TiB", 2 << 40),
        ("10kB", 10_000),
        ("10MB", 10_000_000),
        (" 3GB ", 3_000_000_000),
    ] {
        assert_eq!(parse_size(text), Some(bytes), "{text}");
        assert_eq!(parse_size(&ShowSize(bytes).to_string()), Some(bytes));
    }
    for text in ["", "KiB", "-1", "1.5MiB", "1k", "1M", "1mib", "1e3", "18446744073709551616", "16777216TiB"] {
        assert_eq!(parse_size(text), None, "{text}");
    }
    for json in ["-0.5", "-1", "true", "\"x\"", "1e300", "null"] {
        assert!(Config::from_json(&format!(r#"{{"request_timeout": {json}}}"#)).is_err(), "{json}");
    }
    for json in ["-1", "0.5", "true", "\"x\"", "null"] {
        assert!(Config::from_json(&format!(r#"{{"max_key_size": {json}}}"#)).is_err(), "{json}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let config = Config::from_json(JSON).unwrap();
    assert_eq!(config.cluster_key.as_ref().map(Secret::expose), Some("hunter2"));
    let shown = format!("{config:?} {config:#?} {} {:?}", serde_json::to_string(&config).unwrap(), config.validate());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("hidden"));
    let long = "hunter2".repeat(200);
    let error = refused(&[("cluster_key", &long)]);
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn the_deadline_grows_with_the_value() {
    let config = Config::default();
    for (value_len, seconds) in [(0, 2), (MIB, 2), (MIB + 1, 3), (2 * MIB, 3), (2 * MIB + 1, 4), (16 * MIB, 17)] {
        assert_eq!(config.call_timeout(value_len), Duration::from_secs(seconds), "{value_len}");
    }
    assert!(config.call_timeout(usize::MAX) > Duration::from_secs(1 << 40));
}

#[test]
fn enums_read_back_their_names() {
    fn check<T: Copy + std::fmt::Debug + PartialEq + std::str::FromStr<Err = Error> + std::fmt::Display>(all: &[T]) {
        for value in all {
            assert_eq!(value.to_string().parse::<T>().unwrap(), *value);
        }
        assert_eq!(failed("nonsense".parse::<T>()).kind(), ErrorKind::Config);
    }
    check(HashFunction::ALL);
    check(Consistency::ALL);
    check(NetworkProtocol::ALL);
    check(Routing::ALL);
    check(Durability::ALL);
    check(Eviction::ALL);
}
