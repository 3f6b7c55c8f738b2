//! The commands that talk to a node, against a served one: what they print, for people and machines, and their status.

mod common;

use common::{Dir, PATIENCE, Ran, Served, dht, finish, run, run_with_input, until};
use serde_json::json;

#[tokio::test]
async fn put_get_delete() {
    let served = Served::new().await;
    let ran = served.client(&["get", "k"]).await;
    assert_eq!((ran.status, ran.text(), ran.err.as_str()), (1, "", "dht: NOT_FOUND: the key does not exist\n"));
    let ran = served.client(&["put", "k", "{\"a\" : 1}"]).await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.text().starts_with("stored: "), "{}", ran.text());
    let ran = served.client(&["get", "k"]).await;
    assert_eq!((ran.status, ran.text()), (0, "{\"a\" : 1}\n"), "as it was stored");
    let ran = served.client(&["delete", "k"]).await;
    assert_eq!((ran.status, ran.text()), (0, "deleted\n"));
    assert_eq!(served.client(&["delete", "k"]).await.status, 1);
    assert_eq!(served.client(&["get", "k"]).await.status, 1);
}

#[tokio::test]
async fn what_looks_at_the_present_value() {
    let served = Served::new().await;
    let ran = served.client(&["cas", "k", "one", "--absent"]).await;
    assert_eq!((ran.status, ran.text()), (0, "swapped\n"), "{}", ran.err);
    let ran = served.client(&["cas", "k", "2", "--absent"]).await;
    assert_eq!((ran.status, ran.text(), ran.err.as_str()), (1, "\"one\"\n", ""));
    let first = served.client(&["cas", "k", "[1]", "--current", "one", "--ttl", "1h", "--json"]).await.json();
    assert_eq!((&first["key"], &first["swapped"]), (&json!("k"), &json!(true)));
    let version = first["version"].as_str().expect("a version");
    let ran = served.client(&["cas", "k", "3", "--version", version, "--level", "all", "--json"]).await.json();
    assert_eq!(ran["swapped"], true, "{ran}");
    let ran = served.client(&["cas", "k", "4", "--version", version, "--json"]).await;
    assert_eq!((ran.status, ran.json()["value"].clone(), ran.json()["swapped"].clone()), (1, json!(3), json!(false)));
    let ran = served.client(&["cas", "none", "4", "--current", "3"]).await;
    assert_eq!((ran.status, ran.text()), (1, "no value\n"));

    assert_eq!(served.client(&["incr", "n"]).await.text(), "1\n");
    assert_eq!(served.client(&["incr", "n", "-3"]).await.text(), "-2\n");
    assert_eq!(served.client(&["incr", "n", "0.5", "--json"]).await.json()["value"], json!(-1.5));
    let ran = served.client(&["incr", "n", "1"]).await;
    assert!(ran.status == 3 && ran.err.starts_with("dht: WRONG_FORMAT"), "{}", ran.err);
    let ran = served.client(&["incr", "n", "much"]).await;
    assert!(ran.status == 3 && ran.err.starts_with("dht: INVALID_VALUE"), "{}", ran.err);

    let ran = served.client(&["expire", "n", "1h"]).await;
    assert_eq!((ran.status, ran.text()), (0, "it will expire\n"));
    assert!(served.client(&["get", "n", "--json"]).await.json()["expires_at"].is_f64());
    assert_eq!(served.client(&["persist", "n", "--json"]).await.json(), json!({"done": true}));
    for (command, why) in [
        (&["persist", "n"][..], "dht: NOT_FOUND: the key never expires, or does not exist\n"),
        (&["persist", "none"], "dht: NOT_FOUND: the key never expires, or does not exist\n"),
        (&["expire", "none", "1"], "dht: NOT_FOUND: the key does not exist\n"),
    ] {
        let ran = served.client(command).await;
        assert_eq!((ran.status, ran.text(), ran.err.as_str()), (1, "", why), "{command:?}");
    }
    assert!(served.client(&["get", "n", "--json"]).await.json()["expires_at"].is_null());
}

#[tokio::test]
async fn all_keys_of_a_prefix() {
    let served = Served::new().await;
    for (key, value) in [("user:1", "\"Ada\""), ("user:2", "[1,\n2]"), ("other\n", "0")] {
        assert_eq!(served.client(&["put", key, value]).await.status, 0);
    }
    assert_eq!(served.client(&["put", "user:3", "\u{1}", "--bytes"]).await.status, 0);
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let ran = served.client(&["scan", "user:"]).await;
    assert_eq!(lines(ran.text()), ["user:1\t\"Ada\"", "user:2\t[1, 2]", "user:3\t\"0x01\""], "{}", ran.err);
    let ran = served.client(&["scan", "--keys"]).await;
    assert_eq!(lines(ran.text()), ["\"0x6f746865720a\"", "user:1", "user:2", "user:3"]);
    let ran = served.client(&["scan", "user:1", "--json"]).await.json();
    assert_eq!((&ran["key"], &ran["value"], &ran["expires_at"]), (&json!("user:1"), &json!("Ada"), &json!(null)));
    assert_eq!(served.client(&["count", "user:"]).await.text(), "3\n");
    assert_eq!(served.client(&["count", "--json"]).await.json(), json!({"count": 4}));
    assert_eq!(served.client(&["count", "none"]).await.text(), "0\n");
}

/// Whoever reads a few lines and goes away, as `head` does, costs no scan of the whole ring.
#[tokio::test]
async fn a_scan_that_nobody_reads_ends() {
    let served = Served::new().await;
    let dir = Dir::new();
    // Several pages of it, and each line is more than a pipe holds.
    let file = dir.write("value", &vec![7; 200_000]);
    for key in 0..12 {
        let key = format!("k{key}");
        assert_eq!(served.client(&["put", &key, "--file", file.to_str().expect("text")]).await.status, 0);
    }
    let received = async || {
        let statistics = served.client(&["stats", "--json"]).await.json();
        statistics["messages_received"].as_u64().expect("a count")
    };
    let before = received().await;
    assert_eq!(served.client(&["scan"]).await.text().lines().count(), 12);
    let whole = received().await;
    let mut command = dht();
    command.args(["scan", "--node", &served.address, "--cluster-name", &served.cluster]);
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends");
    let ran = Ran::from(ended.expect("it runs"));
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let part = received().await;
    assert!(part - whole < whole - before, "{} messages instead of {}", part - whole, whole - before);
}

#[tokio::test]
async fn json_for_machines() {
    let served = Served::new().await;
    let put = served.client(&["put", "k", "hello", "--level", "all", "--json"]).await.json();
    assert!(put["acks"].as_u64() >= put["wanted"].as_u64() && put["wanted"] != 0, "{put}");
    assert!(put["degraded"].is_boolean() && put["set_size"].is_u64(), "{put}");
    let got = served.client(&["--json", "get", "k", "--level", "one"]).await.json();
    let version = &put["version"];
    let expected = json!({
        "key": "k", "found": true, "format": "json", "value": "hello", "version": version, "expires_at": null,
    });
    assert_eq!(got, expected);
    let ran = served.client(&["get", "other", "--json"]).await;
    assert_eq!((ran.status, ran.json()), (1, json!({"key": "other", "found": false})));
    let ran = served.client(&["delete", "k", "--json"]).await;
    assert_eq!((ran.status, ran.json()), (0, json!({"key": "k", "deleted": true})));
    let ran = served.client(&["delete", "k", "--json"]).await;
    assert_eq!((ran.status, ran.json(), ran.err.as_str()), (1, json!({"key": "k", "deleted": false}), ""));
}

/// What every node did, as a table and for machines; the status is that of a get, or a put.
#[tokio::test]
async fn trace_shows_the_way_of_an_operation() {
    let served = Served::new().await;
    let ran = served.client(&["trace", "k"]).await;
    assert_eq!((ran.status, ran.err.as_str()), (1, ""), "no such key yet");
    assert!(ran.text().contains("get at quorum: no value in "), "{}", ran.text());
    let ran = served.client(&["trace", "k", "--put", "{\"a\": 1}", "--level", "all"]).await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.text().contains("│ apply ") && ran.text().contains("put at all: done in "), "{}", ran.text());
    assert_eq!(served.client(&["get", "k"]).await.text(), "{\"a\": 1}\n", "it was put");
    let told = served.client(&["trace", "k", "--json"]).await.json();
    assert_eq!((&told["operation"], &told["found"], &told["error"]), (&json!("get"), &json!(true), &json!(null)));
    // The node that was called, and below it the read of its own record: it is a ring of one.
    let spans: Vec<_> = told["spans"].as_array().expect("a list").iter().map(|s| (&s["depth"], &s["what"])).collect();
    assert_eq!(spans, [(&json!(0), &json!("apply")), (&json!(1), &json!("fetch"))], "{told}");
    let (first, second) = (&told["spans"][0], &told["spans"][1]);
    assert_eq!(
        (&first["node"]["address"], &second["node"]["address"]),
        (&json!(served.address), &json!(served.address))
    );
    let (took, served_for) = (first["took"].as_f64().expect("a time"), first["served"].as_f64().expect("a time"));
    assert!(took >= served_for && first["on_the_way"].is_f64() && told["took"].as_f64() >= Some(took), "{told}");
    assert_eq!(told["trace_id"].as_str().map(str::len), Some(16));
    let ran = served.client(&["trace", &"k".repeat(5_000)]).await;
    assert!(ran.status == 3 && ran.err.starts_with("dht: TOO_LARGE"), "{}", ran.err);
}

#[tokio::test]
async fn values_of_every_source() {
    let served = Served::new().await;
    let node = ["--node", &served.address, "--cluster-name", &served.cluster];
    let dir = Dir::new();
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let file = dir.write("in", &binary);
    let file = file.to_str().expect("text");
    assert_eq!(served.client(&["put", "file", "--file", file]).await.status, 0);
    assert_eq!(served.client(&["get", "file"]).await.out, binary, "no line end after bytes");

    let ran = run_with_input(&[&["put", "input", "-"][..], &node].concat(), b"\xff\x00").await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    let got = served.client(&["get", "input", "--json"]).await.json();
    assert_eq!((&got["format"], &got["value_hex"]), (&json!("bytes"), &json!("ff00")));

    let ran = run_with_input(&[&["put", "input", "-", "--json-value"][..], &node].concat(), b"[1]").await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(served.client(&["get", "input", "--json"]).await.json()["value"], json!([1]));

    // The same for whatever else stores a VALUE.
    let ran = run_with_input(&[&["cas", "swapped", "-", "--absent"][..], &node].concat(), b"\xfe").await;
    assert_eq!((ran.status, ran.text()), (0, "swapped\n"), "{}", ran.err);
    assert_eq!(served.client(&["get", "swapped"]).await.out, b"\xfe");
    let ran = run_with_input(&[&["trace", "traced", "--put", "-"][..], &node].concat(), b"\xfd").await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(served.client(&["get", "traced"]).await.out, b"\xfd");
    let ran = served.client(&["cas", "swapped", "1", "--current", "-"]).await;
    assert!(ran.status == 2 && ran.err.contains("standard input"), "{}", ran.err);
    // The text itself, as JSON.
    assert_eq!(served.client(&["put", "dash", "\"-\""]).await.status, 0);
    let ran = served.client(&["cas", "dash", "1", "--current", "\"-\""]).await;
    assert_eq!((ran.status, ran.text()), (0, "swapped\n"), "{}", ran.err);

    assert_eq!(served.client(&["put", "text", "42", "--bytes"]).await.status, 0);
    assert_eq!(served.client(&["get", "text"]).await.text(), "42");
    assert_eq!(served.client(&["put", "empty", ""]).await.status, 0);
    assert_eq!(served.client(&["get", "empty"]).await.text(), "\"\"\n");

    let out = dir.path().join("out");
    let ran = served.client(&["get", "file", "--output", out.to_str().expect("text")]).await;
    assert_eq!((ran.status, ran.text()), (0, ""));
    assert_eq!(std::fs::read(&out).expect("written"), binary);
}

#[tokio::test]
async fn a_value_with_a_ttl_goes() {
    let served = Served::new().await;
    assert_eq!(served.client(&["put", "k", "1", "--ttl", "1h"]).await.status, 0);
    let expires_at = served.client(&["get", "k", "--json"]).await.json()["expires_at"].as_f64().expect("an instant");
    let now = dht_core::Env::system().wall_ms() as f64 / 1_000.0;
    assert!((expires_at - now - 3_600.0).abs() < 60.0, "{expires_at} at {now}");
    assert_eq!(served.client(&["put", "k", "1", "--ttl", "100ms"]).await.status, 0);
    until("the value has expired", async || served.client(&["get", "k"]).await.status == 1).await;
}

#[tokio::test]
async fn what_the_node_tells() {
    let served = Served::with(|command| command.args(["--node-id", "only"])).await;
    assert_eq!(served.client(&["put", "k", "1"]).await.status, 0);

    let statistics = served.client(&["stats", "--json"]).await.json();
    assert_eq!(statistics["data_items_stored"], 1);
    let table = served.client(&["stats"]).await;
    assert!(table.status == 0 && table.text().contains("data_items_stored"), "{}", table.text());
    let page = served.client(&["stats", "--prometheus"]).await;
    assert!(page.status == 0 && page.text().starts_with("# HELP dht_"), "{}", page.text());
    assert!(page.text().contains("\ndht_data_items_stored 1\n"), "{}", page.text());
    assert!(page.text().contains("\ndht_members{state=\"active\"} 1\n"), "{}", page.text());
    let page = served.client(&["stats", "--prometheus", "--json"]).await;
    assert!(page.status == 0 && page.text().starts_with("# HELP dht_"), "{}", page.text());

    let ring = served.client(&["ring", "--json"]).await.json();
    assert_eq!((&ring["nodes"][0]["id"], &ring["nodes"][0]["address"]), (&json!("only"), &json!(served.address)));
    let table = served.client(&["ring"]).await;
    assert!(table.text().contains("only") && table.text().contains("replication_factor 3"), "{}", table.text());

    let located = served.client(&["locate", "k", "--json"]).await.json();
    assert_eq!((located.as_array().map(Vec::len), &located[0]["id"]), (Some(1), &json!("only")));
    let table = served.client(&["locate", "k"]).await;
    assert!(table.text().contains(&served.address), "{}", table.text());

    until("the ring of one is whole", async || {
        let health = served.client(&["health", "--json"]).await.json();
        health["joined"] == true && health["fully_replicated"] == true && health["handed_over"] == true
    })
    .await;
    assert!(served.client(&["health"]).await.text().contains("fully_replicated"));
}

#[tokio::test]
async fn errors_have_their_status_and_name() {
    let served = Served::new().await;
    for args in [&["put", "k"][..], &["get"], &["get", "k", "--level", "most"], &["put", "k", "v", "--ttl", "0"]] {
        let ran = served.client(args).await;
        assert_eq!((ran.status, ran.text()), (2, ""), "{args:?}");
        assert!(ran.err.contains("--help"), "{}", ran.err);
    }
    let ran = served.client(&["put", "k", "no json", "--json-value", "--json"]).await;
    assert_eq!((ran.status, &ran.error()["error"], &ran.error()["code"]), (3, &json!("INVALID_VALUE"), &json!(13)));
    let ran = served.client(&["put", "k", "--file", "/nowhere/at/all"]).await;
    assert_eq!(ran.status, 3);
    assert!(ran.err.starts_with("dht: INVALID_ARGUMENT: /nowhere/at/all"), "{}", ran.err);
    let ran = served.client(&["put", &"k".repeat(5_000), "1", "--json"]).await;
    assert_eq!((ran.status, &ran.error()["error"]), (3, &json!("TOO_LARGE")));
    let ran = run(&["get", "k", "--node", &served.address, "--cluster-name", "another", "--json"]).await;
    assert_eq!((ran.status, &ran.error()["error"]), (3, &json!("INCOMPATIBLE_RING")));
}

#[tokio::test]
async fn nobody_answers() {
    // Bound, so that nobody else gets the port, and never accepted from.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let node = silent.local_addr().expect("bound").to_string();
    for command in [&["get", "k"][..], &["put", "k", "1"], &["delete", "k"], &["stats"], &["locate", "k"]] {
        let ran = run(&[command, &["--node", &node, "--timeout", "200ms", "--json"]].concat()).await;
        assert_eq!(ran.status, 3, "{}", ran.err);
        let name = ran.error()["error"].as_str().map(str::to_owned);
        assert!(matches!(name.as_deref(), Some("TIMEOUT" | "UNREACHABLE")), "{}", ran.err);
    }
}

#[tokio::test]
async fn help_version_and_completion() {
    for (args, text) in [
        (&["--help"][..], "Exit status"),
        (&["serve", "--help"], "--replication-factor"),
        (&["--version"], "dht "),
        (&["completion", "bash"], "complete"),
        (&["completion", "zsh"], "--json-value"),
    ] {
        let ran = run(args).await;
        assert_eq!(ran.status, 0, "{args:?}");
        assert!(ran.text().contains(text), "{args:?}");
    }
    assert_eq!(run(&[]).await.status, 2);
}

#[tokio::test]
async fn wrong_usage_is_told_in_the_form_asked_for() {
    let ran = run(&["--json", "get"]).await;
    assert_eq!((ran.status, ran.text()), (2, ""));
    let error = ran.error();
    assert_eq!(
        (&error["error"], &error["code"], &error["maybe_applied"]),
        (&json!("INVALID_ARGUMENT"), &json!(2), &json!(false))
    );
    assert!(error["message"].as_str().is_some_and(|text| text.contains("<KEY>")), "{error}");
    let ran = run(&["get"]).await;
    assert!(ran.status == 2 && ran.err.starts_with("error: ") && ran.err.contains("Usage: "), "{}", ran.err);
    let ran = run(&["get", "--json", "--help"]).await;
    assert!(ran.status == 0 && ran.text().contains("Usage: "), "help is no error: {}", ran.err);
}

#[tokio::test]
async fn the_level_may_come_from_the_environment() {
    let served = Served::new().await;
    let ask = |level: &str, more: &[&str]| {
        let mut command = dht();
        command
            .args(["put", "k", "1", "--json", "--node", &served.address, "--cluster-name", &served.cluster])
            .args(more)
            .env("DHT_CONSISTENCY", level);
        command
    };
    assert_eq!(finish(&mut ask("all", &[])).await.status, 0);
    let ran = finish(&mut ask("most", &[])).await;
    assert!(ran.status == 2 && ran.err.contains("most") && ran.err.contains("quorum"), "{} {}", ran.status, ran.err);
    assert_eq!(finish(&mut ask("most", &["--level", "one"])).await.status, 0, "a flag goes before a variable");
}
