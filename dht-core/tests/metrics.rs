//! What `metrics` answers of a running node: the numbers of `statistics`, by the names that follow from theirs. The text
//! of known numbers is in `src/prometheus_known.txt`.

use crate::common;

use std::collections::BTreeMap;

use common::{PATIENCE, ring, start, stop, until};
use dht_core::{Config, ErrorKind, Remote};
use serde_json::Value;

/// Quantiles are not called as their statistics.
const QUANTILES: [(&str, &str); 4] = [
    ("store_time_p50", "dht_store_duration_seconds{quantile=\"0.5\"}"),
    ("store_time_p99", "dht_store_duration_seconds{quantile=\"0.99\"}"),
    ("lookup_time_p50", "dht_lookup_duration_seconds{quantile=\"0.5\"}"),
    ("lookup_time_p99", "dht_lookup_duration_seconds{quantile=\"0.99\"}"),
];

/// Values by name with labels; each is there once.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let sample =
        |line: &&'_ str| line.rsplit_once(' ').map(|(name, value)| (name.len(), value.parse().expect("number")));
    let samples: BTreeMap<&str, f64> =
        lines.iter().map(|line| sample(line).map(|(len, value)| (&line[..len], value)).expect("a sample")).collect();
    assert_eq!(samples.len(), lines.len(), "{text}");
    samples
}

#[tokio::test]
async fn every_statistic_is_in_the_metrics() {
    let nodes = ring(2, &Config::default()).await;
    let node = &nodes[0];
    node.put("k", &1).await.unwrap();
    node.get::<i32>("k").await.unwrap();
    node.put("text", &"text").await.unwrap();
    node.increment("text", 1).await.expect_err("no number");
    // What moves by itself is between what it is before and after.
    let all = || serde_json::to_value(node.statistics().unwrap()).unwrap();
    let (before, text, after) = (all(), node.metrics().unwrap(), all());
    let samples = samples(&text);
    let near = |told: f64, name: &str, before: &Value, after: &Value| {
        let (before, after) = (before.as_f64().expect("a number"), after.as_f64().expect("a number"));
        // The clock of start_time counts whole milliseconds.
        let slack = if name == "start_time" { 0.01 } else { 0.0 };
        let range = before.min(after) - slack..=before.max(after) + slack;
        assert!(range.contains(&told), "{name}: {told} is not in {range:?}");
    };
    for (name, value) in before.as_object().expect("flat") {
        if let Value::Object(counts) = value {
            assert!(!counts.is_empty() || name != "errors", "none to compare");
            assert!(text.contains(&format!("# TYPE dht_{name}_total counter\n")), "{name}");
            for (of, count) in counts {
                let label = if name == "misbehaving_peers" { "peer" } else { "kind" };
                let told = samples[format!("dht_{name}_total{{{label}=\"{of}\"}}").as_str()];
                near(told, name, count, &after[name][of]);
            }
            continue;
        }
        let ends = ["", "_total", "_seconds"].map(|unit| format!("dht_{name}{unit}"));
        let quantile = QUANTILES.iter().find(|(of, _)| of == name).map(|(_, sample)| (*sample).to_owned());
        let found: Vec<f64> = ends.iter().chain(&quantile).filter_map(|s| samples.get(s.as_str()).copied()).collect();
        let [told] = found[..] else { panic!("{name} is there {} times:\n{text}", found.len()) };
        near(told, name, value, &after[name]);
    }
    assert_eq!(samples["dht_store_duration_seconds_count"], 2.0);
    assert_eq!(samples["dht_lookup_duration_seconds_count"], 1.0);
    assert!(samples["dht_store_duration_seconds_sum"] > 0.0);
    stop(nodes).await;
}

#[tokio::test]
async fn health_and_members_are_in_the_metrics() {
    let nodes = ring(3, &Config::default()).await;
    let healthy = || {
        let text = nodes[0].metrics().unwrap();
        let samples = samples(&text);
        ["joined", "handed_over", "fully_replicated", "storage_ok"].iter().all(|n| samples[&*format!("dht_{n}")] == 1.0)
            && samples["dht_members{state=\"active\"}"] == 3.0
            && samples["dht_bytes_to_go"] == 0.0
    };
    until("the ring is whole", healthy).await;
    nodes[2].leave(PATIENCE).await.unwrap();
    let left = || samples(&nodes[0].metrics().unwrap())["dht_members{state=\"left\"}"] == 1.0;
    until("one has left", left).await;
    assert_eq!(nodes[2].metrics().expect_err("has left").kind(), ErrorKind::Stopped);

    // What another program gets: the same, without what nodes do not tell.
    let remote = Remote::connect(&nodes[0].address(), "default", PATIENCE).await.unwrap();
    let (told, own) = (remote.metrics().await.unwrap(), nodes[0].metrics().unwrap());
    let (told, own) = (samples(&told), samples(&own));
    assert_eq!((told["dht_members{state=\"active\"}"], told["dht_joined"]), (2.0, 1.0));
    let missing = own.keys().filter(|name| !told.contains_key(*name)).copied().collect::<Vec<_>>();
    let expected = [
        "dht_lookup_duration_seconds_count",
        "dht_lookup_duration_seconds_sum",
        "dht_members{state=\"dead\"}",
        "dht_members{state=\"left\"}",
        "dht_store_duration_seconds_count",
        "dht_store_duration_seconds_sum",
    ];
    assert_eq!(missing, expected);
    stop(nodes).await;
}

#[tokio::test]
async fn without_enable_metrics_there_are_no_quantiles() {
    let node = start(Config { enable_metrics: false, ..Config::default() }).await;
    node.put("k", &1).await.unwrap();
    let text = node.metrics().unwrap();
    assert!(!text.contains("quantile"), "{text}");
    let samples = samples(&text);
    assert_eq!(samples["dht_store_duration_seconds_count"], 1.0);
    assert!(samples["dht_store_duration_seconds_sum"] > 0.0 && samples["dht_average_store_time_seconds"] > 0.0);
    node.stop().await;
    assert_eq!(node.metrics().expect_err("stopped").kind(), ErrorKind::Stopped);
}
