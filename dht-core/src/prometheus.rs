//! What a node has counted and how it is, as text in Prometheus' exposition format (version 0.0.4): what `metrics` answers.
//!
//! Pure. Every field of `Statistics` and `Health` is taken out by name, so one that is added has to get its place here
//! before this compiles. Names are `dht_<field>` with the unit behind it; what counts ends with `_total`.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::time::Duration;

use crate::error::ErrorKind;
use crate::shapes::{Health, NodeInfo, Statistics};
use crate::transport::misbehaviour::Misbehaviour;

/// States of nodes that take part in the ring.
pub(crate) const PRESENT: [&str; 4] = ["joining", "active", "suspect", "leaving"];
/// All states, those of nodes that are gone included.
pub(crate) const STATES: [&str; 6] = ["joining", "active", "suspect", "leaving", "left", "dead"];

/// How many nodes are in each state; 0 for those of `states` that none is in.
pub(crate) fn by_state<'a>(states: &[&str], nodes: impl IntoIterator<Item = &'a NodeInfo>) -> BTreeMap<String, u64> {
    let mut count = zeros(states.iter().copied());
    for node in nodes {
        *count.entry(node.state.clone()).or_default() += 1;
    }
    count
}

/// What calls of one kind took together, and how many there were: only the node itself has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Total {
    pub(crate) took: Duration,
    pub(crate) count: u64,
}

/// The two kinds of calls that are timed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    pub(crate) stores: Total,
    pub(crate) lookups: Total,
}

/// The page. Kinds of errors and misbehaviours that have not occurred are there with 0, so that the first one shows in a
/// rate; a quantile of 0, where there is no histogram or nothing in it, is left out.
pub(crate) fn text(
    statistics: &Statistics,
    health: &Health,
    members: &BTreeMap<String, u64>,
    totals: Option<Totals>,
) -> String {
    let Statistics {
        start_time,
        uptime,
        messages_sent,
        messages_received,
        bytes_sent,
        bytes_received,
        stores_successful,
        stores_failed,
        lookups_successful,
        lookups_failed,
        lookups_not_found,
        average_store_time,
        average_lookup_time,
        store_time_p50,
        store_time_p99,
        lookup_time_p50,
        lookup_time_p99,
        data_items_stored,
        data_bytes_stored,
        nodes_joined,
        nodes_left,
        network_errors,
        stabilize_operations,
        finger_table_updates,
        heartbeats_sent,
        replications_sent,
        lookup_success_rate,
        store_success_rate,
        node_availability,
        finger_table_accuracy,
        conflicts_resolved,
        under_replicated_slots,
        hits,
        misses,
        evictions,
        expirations,
        misbehaviours,
        misbehaviour_kinds,
        misbehaving_peers,
        errors,
    } = statistics;
    // Slots that lack replicas are told once, as a statistic.
    let Health { joined, handed_over, fully_replicated, under_replicated_slots: _, bytes_to_go, storage_ok } = health;

    let mut page = Page(String::with_capacity(12 << 10));
    page.gauge("start_time_seconds", "When the node started, Unix seconds.", start_time);
    page.gauge("uptime_seconds", "For how long the node has run, in seconds.", uptime);
    page.gauge("joined", "1 if the node is active in a ring, else 0.", u8::from(*joined));
    page.gauge(
        "handed_over",
        "1 if the node has all that it should hold and nothing that others should, else 0.",
        u8::from(*handed_over),
    );
    page.gauge(
        "fully_replicated",
        "1 if all slots that the node owns have all their replicas, caught up and equal, else 0.",
        u8::from(*fully_replicated),
    );
    page.gauge(
        "under_replicated_slots",
        "Slots that the node owns which lack a replica that has caught up and is equal.",
        under_replicated_slots,
    );
    page.gauge("bytes_to_go", "Bytes that the node still has to hand over.", bytes_to_go);
    page.gauge("storage_ok", "1 if the store takes writes, else 0.", u8::from(*storage_ok));
    page.gauges("members", "Members of the ring that this node remembers, by state.", "state", members);

    page.counter("stores_successful_total", "Keys that were written or deleted through this node.", stores_successful);
    page.counter("stores_failed_total", "Keys that could not be written or deleted through this node.", stores_failed);
    page.counter(
        "lookups_successful_total",
        "Keys that were read through this node, with a value or without.",
        lookups_successful,
    );
    page.counter("lookups_failed_total", "Keys that could not be read through this node.", lookups_failed);
    page.counter(
        "lookups_not_found_total",
        "Keys that were read through this node and had no value.",
        lookups_not_found,
    );
    page.counter("hits_total", "Keys that were read through this node and had a value.", hits);
    page.counter("misses_total", "The same as dht_lookups_not_found_total.", misses);
    page.gauge(
        "store_success_rate",
        "Fraction of the writes that succeeded, 0 to 1, since the start.",
        store_success_rate,
    );
    page.gauge(
        "lookup_success_rate",
        "Fraction of the reads that succeeded, 0 to 1, since the start.",
        lookup_success_rate,
    );
    let quantiles = [("0.5", *store_time_p50), ("0.99", *store_time_p99)];
    let help = "What successful writes took, in seconds, since the start.";
    page.summary("store_duration_seconds", help, quantiles, totals.map(|totals| totals.stores));
    let quantiles = [("0.5", *lookup_time_p50), ("0.99", *lookup_time_p99)];
    let help =
        "What successful reads took, in seconds, since the start; of those from memory one in 16 is timed for all.";
    page.summary("lookup_duration_seconds", help, quantiles, totals.map(|totals| totals.lookups));
    page.gauge("average_store_time_seconds", "Mean of what successful writes took, in seconds.", average_store_time);
    page.gauge("average_lookup_time_seconds", "Mean of what successful reads took, in seconds.", average_lookup_time);
    let names = ErrorKind::ALL.iter().map(|kind| kind.name());
    page.counters(
        "errors_total",
        "Errors by name: of operations called here, and of what the node does by itself.",
        "kind",
        &with_zeros(names, errors),
    );

    page.gauge("data_items_stored", "Records with a value on this node, replicas included.", data_items_stored);
    page.gauge("data_bytes_stored", "Bytes of keys and values on this node, replicas included.", data_bytes_stored);
    page.counter("evictions_total", "Records that this node evicted to stay below max_memory.", evictions);
    page.counter("expirations_total", "Values that were dropped because their time to live was over.", expirations);
    page.counter(
        "conflicts_resolved_total",
        "Records of which two replicas had different versions.",
        conflicts_resolved,
    );
    page.counter("replications_sent_total", "Records that were sent to replicas.", replications_sent);

    page.counter("messages_sent_total", "Messages sent to other nodes and to clients.", messages_sent);
    page.counter("messages_received_total", "Messages received from other nodes and from clients.", messages_received);
    page.counter("bytes_sent_total", "Bytes sent to other nodes and to clients.", bytes_sent);
    page.counter("bytes_received_total", "Bytes received from other nodes and from clients.", bytes_received);
    page.counter(
        "network_errors_total",
        "Dials that failed, connections that broke, frames that were malformed.",
        network_errors,
    );
    page.counter("nodes_joined_total", "Other nodes that joined or came back.", nodes_joined);
    page.counter("nodes_left_total", "Other nodes that left or were given up.", nodes_left);
    page.counter("heartbeats_sent_total", "Probes that were sent to other nodes.", heartbeats_sent);
    page.gauge(
        "node_availability",
        "Fraction of the probes that were answered, 0 to 1, since the start.",
        node_availability,
    );
    page.counter("stabilize_operations_total", "Rounds of stabilize, one for each position.", stabilize_operations);
    page.counter("finger_table_updates_total", "Fingers that were set to another node.", finger_table_updates);
    page.gauge(
        "finger_table_accuracy",
        "Fraction of the fingers of position 0 that name the right node, 0 to 1.",
        finger_table_accuracy,
    );

    page.counter("misbehaviours_total", "Things that others did to this node which no node does.", misbehaviours);
    let kinds = with_zeros(Misbehaviour::names(), misbehaviour_kinds);
    page.counters("misbehaviour_kinds_total", "Misbehaviours by kind.", "kind", &kinds);
    let help = "Misbehaviours by who did them: of at most 256 peers, those with the most.";
    page.counters("misbehaving_peers_total", help, "peer", misbehaving_peers);
    page.0
}

fn zeros<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, u64> {
    names.map(|name| (name.to_owned(), 0)).collect()
}

fn with_zeros<'a>(names: impl Iterator<Item = &'a str>, counted: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut all = zeros(names);
    all.extend(counted.iter().map(|(name, n)| (name.clone(), *n)));
    all
}

/// The text so far. Writing to a `String` cannot fail.
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "gauge");
        self.sample(name, None, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "counter");
        self.sample(name, None, value);
    }

    fn gauges(&mut self, name: &str, help: &str, label: &str, values: &BTreeMap<String, u64>) {
        self.head(name, help, "gauge");
        self.samples(name, label, values);
    }

    fn counters(&mut self, name: &str, help: &str, label: &str, values: &BTreeMap<String, u64>) {
        self.head(name, help, "counter");
        self.samples(name, label, values);
    }

    fn summary(&mut self, name: &str, help: &str, quantiles: [(&str, f64); 2], total: Option<Total>) {
        self.head(name, help, "summary");
        for (quantile, seconds) in quantiles.into_iter().filter(|(_, seconds)| *seconds > 0.0) {
            self.sample(name, Some(("quantile", quantile)), seconds);
        }
        if let Some(Total { took, count }) = total {
            self.sample(&format!("{name}_sum"), None, took.as_secs_f64());
            self.sample(&format!("{name}_count"), None, count);
        }
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP dht_{name} {help}\n# TYPE dht_{name} {kind}");
    }

    fn samples(&mut self, name: &str, label: &str, values: &BTreeMap<String, u64>) {
        for (of, value) in values {
            self.sample(name, Some((label, of)), value);
        }
    }

    fn sample(&mut self, name: &str, label: Option<(&str, &str)>, value: impl Display) {
        let _ = match label {
            None => writeln!(self.0, "dht_{name} {value}"),
            Some((label, of)) => writeln!(self.0, "dht_{name}{{{label}=\"{}\"}} {value}", escaped(of)),
        };
    }
}

/// As the format wants label values. A NUL, which may be in a node_id, would end the text for C.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n").replace('\0', "\u{fffd}")
}

#[cfg(test)]
#[path = "prometheus_tests.rs"]
mod tests;
