//! A key that is only counted up by one, and read: its value is its version.

use super::order::Highest;
use super::{Action, Operation, Outcome, Rule, Sight};

/// The value after an operation that was carried out.
fn value(operation: &Operation) -> Option<i64> {
    let told = operation.told()?;
    match (told.sight, operation.action) {
        (Sight::Value(before), Action::Increment { by }) => Some(before + by),
        (Sight::Absent, Action::Increment { by }) => Some(by),
        (Sight::Value(value), _) => Some(value),
        (Sight::Absent, _) => Some(0),
        _ => None,
    }
}

/// Checks one key.
pub fn check(operations: &[Operation], report: &mut dyn FnMut(Rule, String)) {
    let counts = |o: &&Operation| matches!(o.action, Action::Increment { .. }) && o.outcome != Outcome::Rejected;
    let asked: Vec<u64> = operations.iter().filter(counts).map(|o| o.begin).collect();
    let known = |o: &Operation| Some((o.end, value(o)?));
    let highest = Highest::of(operations.iter().filter_map(known).collect());
    let mut sums = Vec::with_capacity(asked.len());
    let mut versions = Vec::new();
    for (at, operation) in operations.iter().enumerate() {
        let (Some(value), Some(told)) = (value(operation), operation.told()) else { continue };
        let floor = highest.before(operation.begin).unwrap_or(0);
        if value < floor + i64::from(told.changed) {
            report(Rule::Sum, format!("{operation:?} comes to {value}, but {floor} was known before it began"));
        }
        let most = asked.partition_point(|begin| *begin < operation.end) as i64;
        if value > most {
            report(Rule::Sum, format!("{operation:?} comes to {value}, but only {most} were asked for by then"));
        }
        if told.changed {
            sums.push((value, at));
        }
        if let Some(version) = told.version.filter(|_| matches!(told.sight, Sight::Value(_))) {
            versions.push((version, value, at));
        }
    }
    sums.sort_unstable();
    for pair in sums.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let (a, b) = (&operations[pair[0].1], &operations[pair[1].1]);
        report(Rule::Once, format!("{a:?} and {b:?} both made {}", pair[0].0));
    }
    versions.sort_unstable();
    for pair in versions.windows(2) {
        let ((a, before, _), (b, after, at)) = (pair[0], pair[1]);
        if after < before || a == b && before != after {
            let rule = if a == b { Rule::OneValue } else { Rule::Rising };
            report(rule, format!("{:?} has {b}, but {a} was {before}", operations[at]));
        }
    }
}
