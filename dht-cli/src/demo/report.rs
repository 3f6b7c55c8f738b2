//! What the demo found, as a table or as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::observe::Items;
use super::phases::Phase;
use super::tree::Skipped;
use crate::failure::Failure;
use crate::units::{show_bytes, show_count, show_duration};
use crate::{output, table};

/// Everything that is reported.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) tree: String,
    pub(crate) seed: u64,
    pub(crate) nodes: u16,
    pub(crate) replication: u16,
    pub(crate) skipped: Skipped,
    pub(crate) stopped_at: Option<&'static str>,
    /// The node that was killed, and the records it held.
    pub(crate) killed: (String, u64),
    /// From the kill to a whole ring.
    pub(crate) heal: Duration,
    /// From the start of the replacement's process to a whole ring.
    pub(crate) hand_over: Duration,
    /// Records of each node at the end.
    pub(crate) items: Items,
    pub(crate) store: (Phase, String),
    /// The passes that read everything, and the node each went through; the last one decides what is lost.
    pub(crate) reads: Vec<(Phase, String)>,
}

impl Report {
    /// Every byte was right each time.
    pub(crate) fn is_right(&self) -> bool {
        let everything =
            |phase: &Phase| phase.is_right() && phase.passes > 0 && phase.keys == phase.passes * self.store.0.keys;
        !self.reads.is_empty() && self.reads.iter().all(|(phase, _)| everything(phase))
    }

    /// Keys that could not be read, or not rightly, when all was over.
    pub(crate) fn keys_lost(&self) -> u64 {
        self.reads.last().map_or(self.store.0.keys, |(phase, _)| phase.faults())
    }

    /// The largest number of records on a node over the mean; 0 without records.
    pub(crate) fn balance(&self) -> f64 {
        let total: u64 = self.items.values().sum();
        let max = self.items.values().max().copied().unwrap_or(0);
        if total == 0 { 0.0 } else { max as f64 * self.items.len() as f64 / total as f64 }
    }

    /// Prints it to standard output.
    pub(crate) fn print(&self, as_json: bool) -> Result<(), Failure> {
        if as_json {
            return output::line(self.json());
        }
        output::line(self.passes())?;
        output::line(self.summary())
    }

    fn passes(&self) -> comfy_table::Table {
        let mut shown =
            table::new(&["pass", "through", "files", "time", "per second", "p50", "p99", "slowest", "faults"]);
        for (phase, through) in std::iter::once(&self.store).chain(&self.reads) {
            shown.add_row([
                phase.name.to_owned(),
                through.clone(),
                show_count(phase.keys),
                show_duration(phase.elapsed),
                show_count(phase.rate().round() as u64),
                show_duration(phase.percentile(50)),
                show_duration(phase.percentile(99)),
                show_duration(phase.slowest()),
                show_count(phase.faults()),
            ]);
        }
        table::align_right(&mut shown, 2);
        shown
    }

    fn summary(&self) -> comfy_table::Table {
        let (store, read) = (&self.store.0, self.reads.first().map(|(phase, _)| phase));
        let p50_p99 = |phase: &Phase| {
            format!("{} / {}", show_duration(phase.percentile(50)), show_duration(phase.percentile(99)))
        };
        let rate = |phase: &Phase| {
            let bytes = phase.bytes as f64 / phase.elapsed.as_secs_f64().max(1e-9);
            format!("{} ({}/s)", show_count(phase.rate().round() as u64), show_bytes(bytes as u64))
        };
        let stopped = self.stopped_at.map_or_else(String::new, |limit| format!(", stopped at {limit}"));
        let mut shown = table::new(&["demo", &self.tree]);
        for (name, value) in [
            ("files", format!("{}{stopped}", show_count(store.keys))),
            ("bytes", format!("{} ({})", show_count(store.bytes), show_bytes(store.bytes))),
            ("skipped", describe_skipped(&self.skipped)),
            ("nodes × copies", format!("{} × {}", self.nodes, self.replication)),
            ("stored per second", rate(store)),
            ("store p50 / p99", p50_p99(store)),
            ("read per second", read.map_or_else(String::new, rate)),
            ("read p50 / p99", read.map_or_else(String::new, p50_p99)),
            ("killed", format!("{} with {} records", self.killed.0, show_count(self.killed.1))),
            ("seconds to heal", format!("{:.1}", self.heal.as_secs_f64())),
            ("seconds to hand over", format!("{:.1}", self.hand_over.as_secs_f64())),
            ("balance (max / mean)", format!("{:.2}", self.balance())),
            ("seed", self.seed.to_string()),
            ("keys lost", show_count(self.keys_lost())),
            ("every byte right", if self.is_right() { "yes, each time".to_owned() } else { "NO".to_owned() }),
        ] {
            shown.add_row([name, &value]);
        }
        shown
    }

    fn json(&self) -> Value {
        let phase = |(phase, through): &(Phase, String)| {
            json!({
                "name": phase.name,
                "through": through,
                "passes": phase.passes,
                "keys": phase.keys,
                "bytes": phase.bytes,
                "seconds": phase.elapsed.as_secs_f64(),
                "per_second": phase.rate(),
                "p50": phase.percentile(50).as_secs_f64(),
                "p99": phase.percentile(99).as_secs_f64(),
                "slowest": phase.slowest().as_secs_f64(),
                "missing": phase.missing,
                "wrong": phase.wrong,
                "failed": phase.failed,
            })
        };
        let Skipped { links, too_large, key_too_long, unreadable, not_regular } = self.skipped;
        json!({
            "tree": self.tree,
            "seed": self.seed,
            "nodes": self.nodes,
            "replication": self.replication,
            "files": self.store.0.keys,
            "bytes": self.store.0.bytes,
            "skipped": {
                "links": links,
                "too_large": too_large,
                "key_too_long": key_too_long,
                "unreadable": unreadable,
                "not_regular": not_regular,
            },
            "stopped_at": self.stopped_at,
            "stored_per_second": self.store.0.rate(),
            "read_per_second": self.reads.first().map(|(phase, _)| phase.rate()),
            "store": phase(&self.store),
            "reads": self.reads.iter().map(phase).collect::<Vec<_>>(),
            "killed": {"node": self.killed.0, "items": self.killed.1},
            "seconds_to_heal": self.heal.as_secs_f64(),
            "seconds_to_hand_over": self.hand_over.as_secs_f64(),
            "items": self.items,
            "balance": self.balance(),
            "keys_lost": self.keys_lost(),
            "right": self.is_right(),
        })
    }
}

/// "0", or "3: 2 links, 1 over max_value_size".
pub(crate) fn describe_skipped(skipped: &Skipped) -> String {
    let Skipped { links, too_large, key_too_long, unreadable, not_regular } = *skipped;
    let reasons = [
        (links, "links"),
        (too_large, "over max_value_size"),
        (key_too_long, "with a path over max_key_size"),
        (unreadable, "unreadable"),
        (not_regular, "not regular"),
    ];
    let reasons: Vec<String> = reasons
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", show_count(*count)))
        .collect();
    match skipped.total() {
        0 => "0".to_owned(),
        total => format!("{}: {}", show_count(total), reasons.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(faults: [(u64, u64, u64); 3]) -> Report {
        let phase = |name, (missing, wrong, failed)| Phase {
            name,
            passes: 1,
            keys: 10,
            missing,
            wrong,
            failed,
            ..Phase::default()
        };
        Report {
            tree: "/t".to_owned(),
            seed: 7,
            nodes: 3,
            replication: 2,
            skipped: Skipped { links: 2, too_large: 1, ..Skipped::default() },
            stopped_at: None,
            killed: ("demo-1".to_owned(), 5),
            heal: Duration::from_secs(3),
            hand_over: Duration::from_secs(1),
            items: Items::from([("a".to_owned(), 4), ("b".to_owned(), 6), ("c".to_owned(), 10)]),
            store: (phase("store", (0, 0, 0)), "a".to_owned()),
            reads: faults.map(|faults| (phase("read", faults), "b".to_owned())).into(),
        }
    }

    #[test]
    fn one_fault_in_any_pass_is_not_right() {
        assert!(report([(0, 0, 0); 3]).is_right());
        for pass in 0..3 {
            for fault in [(1, 0, 0), (0, 1, 0), (0, 0, 1)] {
                let mut faults = [(0, 0, 0); 3];
                faults[pass] = fault;
                let report = report(faults);
                assert!(!report.is_right(), "{fault:?} in pass {pass}");
                assert_eq!(report.keys_lost(), u64::from(pass == 2));
            }
        }
    }

    #[test]
    fn a_pass_that_is_missing_or_short_is_not_right() {
        let mut short = report([(0, 0, 0); 3]);
        short.reads[1].0.keys = 9;
        assert!(!short.is_right());
        (short.reads[1].0.passes, short.reads[1].0.keys) = (2, 20);
        assert!(short.is_right());
        (short.reads[1].0.passes, short.reads[1].0.keys) = (0, 0);
        assert!(!short.is_right());
        short.reads.clear();
        assert!(!short.is_right());
        assert_eq!(short.keys_lost(), 10);
    }

    #[test]
    fn shown_both_ways() {
        let report = report([(0, 0, 0), (0, 0, 0), (1, 0, 0)]);
        assert!((report.balance() - 1.5).abs() < 1e-9);
        let json = report.json();
        assert_eq!((json["keys_lost"].as_u64(), json["right"].as_bool()), (Some(1), Some(false)));
        assert_eq!(json["skipped"]["links"], 2);
        let shown = format!("{}{}", report.passes(), report.summary());
        for text in ["3: 2 links, 1 over max_value_size", "seconds to heal", "1.50", "demo-1 with 5 records"] {
            assert!(shown.contains(text), "{text} in {shown}");
        }
    }
}
