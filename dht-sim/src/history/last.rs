//! What is left in the end against what was acknowledged: each acknowledged write is there, or a higher version.
//!
//! A write that did not tell its version was stamped no earlier than it was asked for, by a clock that is wrong by so much
//! at most: that is a bound of its version from below.

use std::collections::BTreeMap;

use dht_core::Version;

use super::{Anomaly, History, MS, Operation, Rule};

/// What a key has in the end.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Last {
    /// Its version, of a tombstone too; `None`: nothing ever was.
    pub version: Option<Version>,
    /// Its value, unless deleted or expired.
    pub value: Option<i64>,
}

/// What the keys have in the end against what was acknowledged, but for what is `excused`. Clocks are wrong by `offset_ms`
/// at most; at instant 0 it was `epoch_ms`.
pub fn check(
    history: &History,
    last: &BTreeMap<String, Last>,
    offset_ms: u64,
    epoch_ms: u64,
    excused: impl Fn(&Operation) -> bool,
) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for key in history.keys() {
        let Some(left) = last.get(&key.name) else { continue };
        for operation in key.operations.iter().filter(|o| !excused(o)) {
            let Some(told) = operation.told().filter(|told| told.changed) else { continue };
            let stamped_ms = (epoch_ms + operation.begin / MS).saturating_sub(offset_ms);
            let kept = match (left.version, told.version) {
                (None, _) => false,
                (Some(left), Some(written)) => left >= written,
                (Some(left), None) => left.stamp() >> 16 >= stamped_ms,
            };
            if !kept {
                let rule = if operation.deletes() && left.value.is_some() { Rule::Deleted } else { Rule::Kept };
                let version = left.version.map_or_else(|| "nothing".to_owned(), |version| version.to_string());
                let what = format!("{operation:?} was acknowledged; in the end there is {version}: {:?}", left.value);
                found.push(Anomaly { rule, key: key.name.clone(), what });
            }
        }
    }
    found
}
