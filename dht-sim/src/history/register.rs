//! A key whose writes have values of their own: what may be seen by whom, and the order of versions.
//!
//! What is checked follows from linearizability, so a sound history is never called unsound; [`super::search`] decides the
//! rest. A read may show a write unless another one stands between: one that began after the first had taken effect, and
//! that itself had taken effect before the read began (Lamport, "On interprocess communication", 1986). What was seen has
//! taken effect by the end of whoever saw it. An operation that replaces what it tells stands right behind that.

use dht_core::Version;

use super::order::Highest;
use super::{Action, Expected, MS, NEVER, Operation, Outcome, Rule, Sight};
use crate::FixedMap;

/// What nobody wrote: the state before all.
const INITIAL: u32 = u32::MAX;

/// Checks one key. Clocks differ by at most `skew_ms`.
pub fn check(operations: &[Operation], skew_ms: u64, report: &mut dyn FnMut(Rule, String)) {
    let writers = writers(operations);
    let effects = effects(operations, &writers, report);
    fresh(operations, &writers, &effects, skew_ms, report);
    replaced(operations, &writers, report);
    versions(operations, report);
}

/// Which operation would leave a value.
fn writers(operations: &[Operation]) -> FixedMap<i64, u32> {
    let mut writers = FixedMap::with_capacity_and_hasher(operations.len() / 2, Default::default());
    for (at, operation) in operations.iter().enumerate() {
        if let Some(value) = operation.value() {
            writers.insert(value, at as u32);
        }
    }
    writers
}

/// By when each write had certainly taken effect.
fn effects(operations: &[Operation], writers: &FixedMap<i64, u32>, report: &mut dyn FnMut(Rule, String)) -> Vec<u64> {
    let end = |o: &Operation| if o.told().is_some_and(|told| told.changed) { o.end } else { NEVER };
    let mut effects: Vec<u64> = operations.iter().map(end).collect();
    for (at, seen, value) in sights(operations) {
        let Some(&writer) = writers.get(&value) else {
            report(Rule::Written, format!("{seen:?} sees {value}, which nobody wrote"));
            continue;
        };
        let write = &operations[writer as usize];
        if write.outcome == Outcome::Rejected || write.told().is_some_and(|told| !told.changed) {
            report(Rule::Honest, format!("{seen:?} sees {value}, whose write changed nothing: {write:?}"));
        } else if write.begin > seen.end || writer as usize == at {
            report(Rule::Causal, format!("{seen:?} sees {value} before it was asked for: {write:?}"));
        } else if !seen.peeks() {
            let effect = &mut effects[writer as usize];
            *effect = (*effect).min(seen.end);
        }
    }
    effects
}

/// Who saw which value.
fn sights(operations: &[Operation]) -> impl Iterator<Item = (usize, &Operation, i64)> {
    operations.iter().enumerate().filter_map(|(at, operation)| match operation.told()?.sight {
        Sight::Value(value) => Some((at, operation, value)),
        _ => None,
    })
}

fn fresh(
    operations: &[Operation],
    writers: &FixedMap<i64, u32>,
    effects: &[u64],
    skew_ms: u64,
    report: &mut dyn FnMut(Rule, String),
) {
    // The begin of the latest write among those that had taken effect.
    let overwrites = |o: &Operation| !matches!(o.action, Action::Expire { .. });
    let took_effect = operations.iter().enumerate().filter(|(at, o)| effects[*at] != NEVER && overwrites(o));
    let latest = Highest::of(took_effect.map(|(at, o)| (effects[at], (o.begin, at as u32))).collect());
    // The latest end of the states without a value that had begun.
    let mut gone: Vec<(u64, u64)> = vec![(0, 0)];
    for (at, operation) in operations.iter().enumerate().filter(|(_, o)| o.may_write()) {
        if operation.deletes() {
            gone.push((operation.begin, effects[at]));
        }
        if let Some(ttl) = operation.ttl() {
            // At the millisecond that this is the end of, it may be gone already; and it stays so until the next write, which is
            // none that was asked for before that.
            let expires = operation.begin / MS * MS + ttl.saturating_sub(skew_ms * MS);
            let expired = match operation.told() {
                Some(_) => operation.end.saturating_add(ttl).saturating_add(2 * skew_ms * MS),
                None => NEVER,
            };
            gone.push((expires.saturating_sub(1), expired));
        }
    }
    let gone = Highest::of(gone);
    for operation in operations.iter().filter(|o| !o.peeks()) {
        let Some(told) = operation.told() else { continue };
        let (begun, by) = latest.before(operation.begin).unwrap_or((0, INITIAL));
        match told.sight {
            Sight::Value(value) => {
                let Some(&writer) = writers.get(&value) else { continue };
                if effects[writer as usize] < begun {
                    let stands = &operations[by as usize];
                    let rule = if stands.deletes() { Rule::Deleted } else { Rule::Fresh };
                    report(rule, format!("{operation:?} sees {value}, but between stands {stands:?}"));
                }
            }
            Sight::Absent => {
                if gone.before(operation.end).is_none_or(|end| end < begun) {
                    let stands = &operations[by as usize];
                    report(Rule::Present, format!("{operation:?} sees nothing, but there is {stands:?}"));
                }
            }
            Sight::Live | Sight::Unknown => {}
        }
    }
}

/// A value is replaced once by an operation that tells it, and not seen any more then; chains of such operations do not go
/// back in time.
fn replaced(operations: &[Operation], writers: &FixedMap<i64, u32>, report: &mut dyn FnMut(Rule, String)) {
    let mut next: FixedMap<i64, u32> = FixedMap::default();
    for (at, operation, value) in sights(operations) {
        let replaces =
            operation.told().is_some_and(|t| t.changed) && !matches!(operation.action, Action::Expire { .. });
        if replaces && let Some(other) = next.insert(value, at as u32) {
            report(Rule::Once, format!("{:?} and {operation:?} both replaced {value}", operations[other as usize]));
        }
    }
    if next.is_empty() {
        return;
    }
    for (_, operation, value) in sights(operations).filter(|(_, o, _)| !o.peeks()) {
        if let Some(by) = next.get(&value).map(|by| &operations[*by as usize])
            && by.end < operation.begin
        {
            let rule = if by.deletes() { Rule::Deleted } else { Rule::Fresh };
            report(rule, format!("{operation:?} sees {value}, which {by:?} had replaced"));
        }
    }
    // Each chain from its first on: nobody may have ended before one ahead of it began.
    let follows = |at: usize| match operations[at].told().map(|told| told.sight) {
        Some(Sight::Value(value)) => writers.contains_key(&value),
        _ => false,
    };
    for first in (0..operations.len()).filter(|at| operations[*at].value().is_some() && !follows(*at)) {
        let (mut at, mut begun, mut steps) = (first, 0, 0);
        while let Some(&by) = operations[at].value().and_then(|value| next.get(&value)) {
            begun = begun.max(operations[at].begin);
            if operations[by as usize].end < begun {
                report(Rule::Causal, format!("{:?} builds on what began later", operations[by as usize]));
            }
            (at, steps) = (by as usize, steps + 1);
            if steps > operations.len() {
                return;
            }
        }
    }
}

fn versions(operations: &[Operation], report: &mut dyn FnMut(Rule, String)) {
    let known = |o: &Operation| Some((o.end, o.told()?.version?));
    let highest = Highest::of(operations.iter().filter(|o| !o.peeks()).filter_map(known).collect());
    let mut seen: Vec<(Version, Option<i64>, u32)> = Vec::with_capacity(operations.len());
    for (at, operation) in operations.iter().enumerate() {
        let Some(told) = operation.told() else { continue };
        let Some(version) = told.version else { continue };
        let floor = highest.before(operation.begin).filter(|_| !operation.peeks());
        if floor.is_some_and(|floor| version < floor || told.changed && version == floor) {
            let floor = floor.unwrap_or_default();
            report(Rule::Rising, format!("{operation:?} has {version}, but {floor} was known before it began"));
        }
        let value = match (told.changed, told.sight) {
            (true, _) => operation.value(),
            (false, Sight::Value(value)) => Some(value),
            _ => None,
        };
        seen.push((version, value, at as u32));
    }
    seen.sort_unstable();
    for pair in seen.windows(2) {
        let [(a, before, x), (b, after, y)] = pair else { continue };
        if a == b && before != after && before.is_some() {
            let (x, y) = (operations[*x as usize], operations[*y as usize]);
            report(Rule::OneValue, format!("{a} has two values: {x:?}, {y:?}"));
        }
    }
    for operation in operations {
        let (Action::Swap { expected: Expected::Version(expected, _), .. }, Some(told)) =
            (operation.action, operation.told())
        else {
            continue;
        };
        let Some(version) = told.version.filter(|_| told.changed) else { continue };
        let at = seen.partition_point(|(other, ..)| *other < version);
        if let Some((between, _, other)) = at.checked_sub(1).map(|at| seen[at])
            && between > expected
        {
            let other = operations[other as usize];
            report(Rule::OnTop, format!("{operation:?} built on {expected}, but {between} is between: {other:?}"));
        }
    }
}

/// What is seen has not expired when the operation began; clocks are up to `skew_ms` apart, and at instant 0 it was
/// `epoch_ms`.
pub fn check_expiry(operations: &[Operation], skew_ms: u64, epoch_ms: u64, report: &mut dyn FnMut(Rule, String)) {
    for operation in operations {
        let Some(told) = operation.told().filter(|told| told.expires_at_ms != 0) else { continue };
        let begun_ms = epoch_ms + operation.begin / MS;
        if told.expires_at_ms + skew_ms < begun_ms {
            let late = begun_ms - told.expires_at_ms;
            report(Rule::Expiry, format!("{operation:?} sees what expired {late} ms before"));
        }
    }
}

/// What was put with a time to live is not seen after it, unless its expiry may have been changed meanwhile; whatever
/// expiry is told with it. Clocks are up to `skew_ms` apart: that of who stamped, and that of who was asked.
pub fn check_lifetimes(operations: &[Operation], skew_ms: u64, report: &mut dyn FnMut(Rule, String)) {
    let writers = writers(operations);
    let changes = operations.iter().filter(|o| matches!(o.action, Action::Expire { .. }) && o.may_write());
    // In the order of the begins; how long the longest of those so far goes on.
    let mut changes: Vec<(u64, u64)> = changes.map(|o| (o.begin, o.end)).collect();
    changes.sort_unstable();
    let longest = changes.iter().scan(0, |longest, (_, end)| {
        *longest = (*longest).max(*end);
        Some(*longest)
    });
    let longest: Vec<u64> = longest.collect();
    for operation in operations {
        let Some(Sight::Value(seen)) = operation.told().map(|told| told.sight) else { continue };
        let Some(put) = writers.get(&seen).map(|at| &operations[*at as usize]) else { continue };
        // One that does not know its outcome may have been carried out at any time.
        let Some(ttl) = put.ttl().filter(|_| put.told().is_some()) else { continue };
        let ends = put.end.saturating_add(ttl).saturating_add(2 * skew_ms * MS);
        let begun_before = changes.partition_point(|(begin, _)| *begin <= operation.end);
        let changed = begun_before > 0 && longest[begun_before - 1] >= put.begin;
        if operation.begin > ends && !changed {
            report(Rule::Expiry, format!("{operation:?} sees what {put:?} put for a shorter time"));
        }
    }
}
