//! `trace_sample`: spans and events of `tracing`. Alone in its process, since a subscriber is for all of it.

mod cluster;

use std::collections::BTreeMap;
use std::sync::Mutex;

use cluster::*;
use dht_core::{Config, Consistency, PutOptions, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The fields of every span and event of target "dht::trace".
static SPANS: Mutex<Vec<Fields>> = Mutex::new(Vec::new());
static EVENTS: Mutex<Vec<Fields>> = Mutex::new(Vec::new());

type Fields = BTreeMap<&'static str, String>;

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == dht_core::TRACE_TARGET
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Taken::default();
        attributes.record(&mut fields);
        let mut spans = SPANS.lock().unwrap();
        spans.push(fields.0);
        Id::from_u64(spans.len() as u64)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Taken::default();
        event.record(&mut fields);
        EVENTS.lock().unwrap().push(fields.0);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Taken(Fields);

impl Visit for Taken {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

fn taken() -> (Vec<Fields>, Vec<Fields>) {
    (std::mem::take(&mut *SPANS.lock().unwrap()), std::mem::take(&mut *EVENTS.lock().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trace_sample_makes_spans_of_one_in_so_many() {
    tracing::subscriber::set_global_default(Listener).expect("no library sets one");
    let config = |node_id: &str, trace_sample, seeds| Config { trace_sample, seeds, ..named(node_id) };
    let first = start(config("silent", 0, Vec::new())).await;
    let all = start(config("all", 1, vec![first.address()])).await;
    let fourth = start(config("fourth", 4, vec![first.address()])).await;
    let nodes = [first, all, fourth];
    settled(&nodes).await;
    taken();
    let (key, secret) = ("the key", "the secret value");
    for _ in 0..8 {
        nodes[0].put_with(key, secret, put_at(Consistency::All)).await.unwrap();
    }
    assert_eq!(taken().0, [], "0 is off");

    for _ in 0..8 {
        nodes[2].put_with(key, secret, put_at(Consistency::All)).await.unwrap();
    }
    let (spans, events) = taken();
    assert_eq!(spans.len(), 2, "one in four of eight: {spans:?}");
    let hops = |event: &&Fields| event["message"] == "hop";
    for span in &spans {
        let key_id = nodes[0].hash_key_hex(key);
        let seen = (span["op"].as_str(), span["level"].as_str(), span["key"].as_str());
        assert_eq!(seen, ("put", "all", &key_id[..8]), "{span:?}");
        assert_eq!(span["trace"].len(), 16, "{span:?}");
    }
    assert_ne!(spans[0]["trace"], spans[1]["trace"]);
    // Also who takes events alone knows whose hop it is.
    for event in events.iter().filter(|event| ["hop", "done"].contains(&event["message"].as_str())) {
        assert!(event["op"] == "put" && spans.iter().any(|span| span["trace"] == event["trace"]), "{event:?}");
    }
    assert!(events.iter().any(|event| event["message"] == "done" && event["key"] == spans[0]["key"]), "{events:?}");
    let told: Vec<_> =
        events.iter().filter(hops).map(|event| (event["what"].as_str(), event["outcome"].as_str())).collect();
    assert_eq!(told.iter().filter(|hop| **hop == ("store", "done")).count(), 4, "two to each: {told:?}");
    // The nodes on the way tell of it themselves, if they are to.
    let by_others = |event: &&Fields| event["message"] == "served" && event["node"] == "all";
    assert_eq!(events.iter().filter(by_others).count(), 2, "{events:?}");
    assert!(events.iter().filter(by_others).all(|event| spans.iter().any(|span| span["trace"] == event["trace"])));
    assert!(
        !events
            .iter()
            .any(|event| event.get("node").is_some_and(|node| node == "silent") && event["message"] == "served")
    );

    for _ in 0..3 {
        assert_eq!(nodes[1].get::<String>(key).await.unwrap().as_deref(), Some(secret));
    }
    nodes[1].put_many([(key, Value::from_serialize(secret).unwrap())], PutOptions::default()).await.unwrap();
    nodes[1].delete(key).await.unwrap();
    let (spans, events) = taken();
    let names: Vec<&str> = spans.iter().map(|span| span["op"].as_str()).collect();
    assert_eq!(names, ["get", "get", "get", "write_many", "delete"]);
    for fields in spans.iter().chain(&events) {
        assert!(!fields.values().any(|text| text.contains(secret) || text.contains(key)), "{fields:?}");
    }
    stop_all(&nodes).await;
}
