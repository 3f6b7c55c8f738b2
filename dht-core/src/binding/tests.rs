use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::json::{self, Options};
use super::{Effect, Home, Lease, NodeHandle, TICK, addresses};
use crate::config::{Config, Consistency};
use crate::data::number::Number;
use crate::data::record::{Expected, Format, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::{Swap, Versioned};

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("an error").kind()
}

fn never() -> impl Future<Output = Result<()>> {
    std::future::pending()
}

#[test]
fn a_handle_lives_once() {
    let node = NodeHandle::new(Config::default()).unwrap();
    assert_eq!(node.hash_key(b"abc").unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a3");
    assert_eq!(kind(node.running().map(|_| ())), ErrorKind::NotStarted);
    assert_eq!(kind(node.stop_blocking()), ErrorKind::NotStarted);
    assert_eq!(kind(node.leave_blocking(Duration::ZERO, None)), ErrorKind::NotStarted);
    node.start_blocking(None).unwrap();
    node.start_blocking(None).unwrap();
    {
        let running = node.running().unwrap();
        running.block_on(Effect::Writes, running.dht().put("k", &1), None).unwrap();
        assert_eq!(running.block_on(Effect::Reads, running.dht().get::<i32>("k"), None).unwrap(), Some(1));
        assert_eq!(running.dht().hash_key_hex("abc"), node.hash_key(b"abc").unwrap());
    }
    node.leave_blocking(Duration::from_secs(1), None).unwrap();
    node.stop_blocking().unwrap();
    node.leave_blocking(Duration::from_secs(1), None).unwrap();
    assert_eq!(kind(node.running().map(|_| ())), ErrorKind::Stopped);
    assert_eq!(kind(node.start_blocking(None)), ErrorKind::Stopped);
    assert_eq!(node.hash_key(b"abc").unwrap().len(), 40);
}

#[test]
fn a_failed_start_can_be_repeated() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let node = NodeHandle::new(Config { port, ..Config::default() }).unwrap();
    assert_eq!(kind(node.start_blocking(None)), ErrorKind::Address);
    assert_eq!(kind(node.running().map(|_| ())), ErrorKind::NotStarted);
    drop(taken);
    node.start_blocking(None).unwrap();
    node.stop_blocking().unwrap();
}

#[test]
fn many_threads_start_and_stop_one_node() {
    for _ in 0..20 {
        let node = NodeHandle::new(Config::default()).unwrap();
        let started = AtomicUsize::new(0);
        std::thread::scope(|threads| {
            for i in 0..6 {
                let (node, started) = (&node, &started);
                threads.spawn(move || match (i, node.start_blocking(None)) {
                    (5, _) => node.stop_blocking().unwrap(),
                    (_, Ok(())) => drop(started.fetch_add(1, Ordering::Relaxed)),
                    (_, Err(error)) => assert_eq!(error.kind(), ErrorKind::Stopped),
                });
            }
        });
        assert_eq!(kind(node.running().map(|_| ())), ErrorKind::Stopped);
        assert!(started.load(Ordering::Relaxed) <= 5);
    }
}

#[test]
fn a_call_under_way_ends_with_its_node() {
    let node = NodeHandle::new(Config::default()).unwrap();
    node.start_blocking(None).unwrap();
    let running = node.running().unwrap();
    std::thread::scope(|threads| {
        let call = threads.spawn(|| running.block_on(Effect::Writes, never(), None));
        node.stop_blocking().unwrap();
        let error = call.join().unwrap().unwrap_err();
        assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Stopped, true));
    });
    drop(node);
    assert_eq!(kind(running.block_on(Effect::Reads, never(), None)), ErrorKind::Stopped);
}

/// Its seed takes connections and says nothing: it would be waited for.
#[test]
fn a_stop_ends_a_start_under_way() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let seeds = vec![silent.local_addr().unwrap().to_string()];
    let config = Config { seeds, request_timeout: Duration::from_secs(600), ..Config::default() };
    let node = NodeHandle::new(config).unwrap();
    std::thread::scope(|threads| {
        let start = threads.spawn(|| node.start_blocking(None));
        let _held = silent.accept().unwrap();
        node.stop_blocking().unwrap();
        assert_eq!(kind(start.join().unwrap()), ErrorKind::Stopped);
    });
}

#[test]
fn a_blocked_call_asks_and_is_given_up() {
    let lease = Lease::acquire(1).unwrap();
    let mut asked = 0;
    let mut tick = || {
        asked += 1;
        if asked < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let begun = crate::Env::system();
    let error = lease.block_on(Effect::Writes, never(), Some(&mut tick)).unwrap_err();
    assert_eq!((error.kind(), error.maybe_applied(), asked), (ErrorKind::Cancelled, true, 3));
    assert!(begun.uptime() >= TICK * 3);
    let mut at_once = || ControlFlow::Break(());
    let error = lease.block_on(Effect::Reads, never(), Some(&mut at_once)).unwrap_err();
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Cancelled, false));
}

#[test]
fn what_is_asked_may_block_itself_and_a_given_up_future_ends_inside_its_runtime() {
    struct NeedsRuntime(Arc<AtomicBool>);
    impl Drop for NeedsRuntime {
        fn drop(&mut self) {
            self.0.store(tokio::runtime::Handle::try_current().is_ok(), Ordering::Relaxed);
        }
    }
    let lease = Lease::acquire(1).unwrap();
    let inside = Arc::new(AtomicBool::new(false));
    let probe = NeedsRuntime(inside.clone());
    let nested = lease.clone();
    let mut tick = || {
        let yields = async {
            tokio::task::yield_now().await;
            Ok(())
        };
        nested.block_on(Effect::Reads, yields, None).unwrap();
        ControlFlow::Break(())
    };
    let waits = async move {
        let _probe = probe;
        never().await
    };
    assert_eq!(kind(lease.block_on(Effect::Reads, waits, Some(&mut tick))), ErrorKind::Cancelled);
    assert!(inside.load(Ordering::Relaxed));
}

#[test]
fn a_blocking_call_inside_the_runtime_is_refused() {
    let lease = Lease::acquire(1).unwrap();
    let inner = lease.clone();
    let task = lease.handle().spawn(async move { inner.block_on(Effect::Reads, async { Ok(()) }, None) });
    let result = lease.block_on(Effect::Reads, async { Ok(task.await) }, None).unwrap().unwrap();
    assert_eq!(kind(result), ErrorKind::Reentrant);
}

#[test]
fn a_child_is_told_apart() {
    assert!(Home::here().is_here());
    assert_eq!(kind(Home::elsewhere().check()), ErrorKind::Forked);
}

#[test]
fn options_are_read_strictly() {
    let read = |text: &str| Options::read(Some(text));
    assert_eq!(Options::read(None).unwrap(), Options::default());
    assert_eq!(read(r#"{"ttl": null}"#).unwrap(), Options::default());
    let all = read(r#"{"ttl": 1.5, "consistency": "all", "timeout": "250ms"}"#).unwrap();
    assert_eq!(all.put().ttl, Some(Duration::from_millis(1500)));
    assert_eq!((all.consistency, all.timeout), (Some(Consistency::All), Some(Duration::from_millis(250))));
    assert_eq!(kind(all.get()), ErrorKind::InvalidArgument);
    for wrong in [
        "",
        "1",
        "[]",
        "null",
        "{",
        r#"{"tll": 1}"#,
        r#"{"ttl": 0}"#,
        r#"{"ttl": -1}"#,
        r#"{"ttl": true}"#,
        r#"{"ttl": 1e400}"#,
        r#"{"consistency": "most"}"#,
        r#"{"timeout": 0}"#,
        r#"{"timeout": 3601}"#,
        r#"{"timeout": 1e19}"#,
    ] {
        assert_eq!(kind(read(wrong)), ErrorKind::InvalidArgument, "{wrong}");
    }
}

#[test]
fn entries_keep_order_and_text() {
    let entries = json::entries(r#"{"b": 1.0, "a": {"x":  [1]}, "b": -0.0, "": "é"}"#).unwrap();
    let shown: Vec<(&str, &[u8])> = entries.iter().map(|(key, value)| (key.as_str(), &value.bytes[..])).collect();
    assert_eq!(shown, [("b", &b"-0.0"[..]), ("a", br#"{"x":  [1]}"#), ("", "\"é\"".as_bytes())]);
    assert_eq!(json::keys(r#"["b", "a", "b", ""]"#).unwrap(), ["b", "a", ""]);
    for wrong in ["", "[]", "{\"a\":}", "{\"a\":NaN}", "1", "{} {}"] {
        assert_eq!(kind(json::entries(wrong)), ErrorKind::InvalidArgument, "{wrong}");
    }
    for wrong in ["", "{}", "[1]", "[\"a\"", "null"] {
        assert_eq!(kind(json::keys(wrong)), ErrorKind::InvalidArgument, "{wrong}");
    }
}

#[test]
fn answers_have_their_shapes() {
    let text = "{\"a\": [1, \"é\\u0000\"]}";
    let value = Value::from_json_text(text).unwrap();
    let version = "0123456789abcdef".repeat(3).parse().unwrap();
    let found = Versioned { value, version, expires_at: Some(1.5) };
    let expected = format!(r#"{{"version":"{version}","expires_at":1.5,"format":"json","value":{text}}}"#);
    assert_eq!(json::versioned(&found).unwrap(), expected);
    let bytes = Versioned { value: Value { format: Format::Bytes, ..found.value.clone() }, ..found.clone() };
    let raw = Versioned { value: Value::from_bytes(&b"\0\xff"[..]), version, expires_at: None };
    let expected = format!(r#"{{"version":"{version}","expires_at":null,"format":"bytes","value":"00ff"}}"#);
    assert_eq!(json::versioned(&raw).unwrap(), expected);
    let swap = |swapped, version, value| json::swap(&Swap { swapped, version, value }).unwrap();
    assert_eq!(swap(false, None, None), r#"{"swapped":false,"version":null,"format":null,"value":null}"#);
    let expected = format!(r#"{{"swapped":true,"version":"{version}","format":"json","value":{text}}}"#);
    assert_eq!(swap(true, Some(version), Some(found.value.clone())), expected);
    let failed = Error::new(ErrorKind::Timeout, "a \"b\"\n").unknown_outcome();
    let error = r#"{"code":7,"name":"TIMEOUT","message":"a \"b\"\n","maybe_applied":true}"#;
    assert_eq!(json::error(&failed), error);
    let results = [Ok(Some(found)), Ok(None), Err(failed.clone()), Ok(Some(bytes))];
    let shown: serde_json::Value = serde_json::from_str(&json::found(&["\"", "b", "c", "d"], &results)).unwrap();
    assert_eq!(shown["\""]["ok"]["a"][0], 1);
    assert_eq!((shown.get("b"), &shown["d"]["error"]["name"]), (None, &"WRONG_FORMAT".into()));
    assert_eq!(shown["c"]["error"].to_string().len(), error.len());
    assert_eq!(
        json::deleted(&["a", "b"], &[Ok(true), Err(failed)]),
        format!(r#"{{"a":{{"ok":true}},"b":{{"error":{error}}}}}"#)
    );
    assert_eq!(json::outcomes::<&str>(&[], &[]), "{}");
}

#[test]
fn what_is_expected_is_read_strictly() {
    let read = json::expected;
    let version = "0123456789abcdef".repeat(3);
    let text = format!(r#"{{"version": "{version}"}}"#);
    assert_eq!(read(r#"{"absent": true}"#).unwrap(), Expected::Absent);
    assert_eq!(read(&text).unwrap(), Expected::Version(version.parse().unwrap()));
    for value in ["null", "{\"a\" : [1.50]}"] {
        let expected = Expected::Value(Value::from_json_text(value).unwrap());
        assert_eq!(read(&format!(r#"{{"value": {value}}}"#)).unwrap(), expected);
        assert_eq!(read(&format!(r#"{{"value": {value}, "format": "json"}}"#)).unwrap(), expected);
    }
    let bytes = Expected::Value(Value::from_bytes(&b"\0\xff"[..]));
    assert_eq!(read(r#"{"value": "00fF", "format": "bytes"}"#).unwrap(), bytes);
    for wrong in [
        "",
        "null",
        "{}",
        "[true]",
        r#"{"absent": false}"#,
        r#"{"absent": true, "value": 1}"#,
        r#"{"version": "1"}"#,
        r#"{"version": 1}"#,
        r#"{"value": NaN}"#,
        r#"{"value": "0", "format": "bytes"}"#,
        r#"{"value": "0g", "format": "bytes"}"#,
        r#"{"value": 1, "format": "bytes"}"#,
        r#"{"value": 1, "format": "text"}"#,
        r#"{"format": "json"}"#,
        r#"{"values": 1}"#,
    ] {
        assert_eq!(kind(read(wrong)), ErrorKind::InvalidArgument, "{wrong}");
    }
}

#[test]
fn numbers_are_read_as_what_they_are() {
    assert_eq!("-2".parse::<Number>().unwrap(), Number::Integer(-2));
    assert_eq!("0.5".parse::<Number>().unwrap(), Number::Float(0.5));
    for wrong in ["", "\"1\"", "null", "9223372036854775808", "NaN", "1e999", "1 2"] {
        let error = wrong.parse::<Number>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue, "{wrong}: {error}");
    }
}

#[test]
fn addresses_are_split() {
    assert_eq!(addresses(" a:1, ,b:2").unwrap(), ["a:1", "b:2"]);
    assert_eq!(kind(addresses(" , ")), ErrorKind::InvalidArgument);
}
