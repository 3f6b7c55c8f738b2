//! Clients that do everything at once to a few keys while nodes come, go and fail; then the history of all that they were
//! told is checked ([`crate::history`]).
//!
//! [`calm`]: faults that the promises cover; every key must be linearizable. [`full`]: every kind of trouble; the ring must
//! come together, keep what was acknowledged, and never tell what is not so. How far that is from linearizable is counted.

pub mod calm;
mod client;
mod clients;
pub mod full;
mod mix;
mod rest;

use std::collections::BTreeMap;

use self::clients::Clients;
use crate::history::{Anomaly, History, Kind, Rule, search, tally};
use crate::world::World;

/// Of so many operations of one key, the search still decides quickly.
const SEARCH_LEN_MAX: usize = 2_000;
const SEARCH_STEPS_MAX: u64 = 200_000;

/// Searches an order for keys that are not too busy; adds what was found to `found`.
fn search(world: &World, history: &History, found: &mut Vec<Anomaly>) {
    for key in history.keys().iter().filter(|key| key.kind != Kind::Expiring) {
        if key.operations.len() > SEARCH_LEN_MAX {
            world.count("keys not searched", 1);
            continue;
        }
        match search::linearizable(&key.operations, SEARCH_STEPS_MAX) {
            search::Verdict::Linearizable => world.count("keys searched", 1),
            search::Verdict::Undecided => world.count("keys undecided", 1),
            search::Verdict::Not { stuck_at } => {
                let at = key.operations.iter().find(|o| o.begin == stuck_at);
                let what = format!("no order explains the {} operations, up to {at:?}", key.operations.len());
                found.push(Anomaly { rule: Rule::Linearizable, key: key.name.clone(), what });
            }
        }
    }
}

/// Counts what was done and found.
fn count(world: &World, history: &History, found: &[Anomaly]) -> BTreeMap<Rule, usize> {
    let (operations, unknown) = history.counts();
    world.count("operations", operations as u64);
    world.count("of unknown outcome", unknown as u64);
    let tally = tally(found);
    for (rule, many) in &tally {
        world.count(&format!("{rule:?} broken"), *many as u64);
    }
    tally
}

/// What broke a promise, with what was done to the key of the first.
fn told(history: &History, broken: &[Anomaly]) -> Result<(), String> {
    let Some(first) = broken.first() else { return Ok(()) };
    let key = history.keys().iter().find(|key| key.name == first.key);
    let operations = key.map_or_else(Vec::new, |key| key.operations.iter().map(|o| format!("  {o:?}")).collect());
    let rest: Vec<String> = broken.iter().skip(1).take(4).map(|anomaly| format!("{anomaly}")).collect();
    Err(format!(
        "{} promises broken: {first}\n{}\nall of the key:\n{}",
        broken.len(),
        rest.join("\n"),
        operations.join("\n")
    ))
}
