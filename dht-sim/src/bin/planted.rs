//! `planted [SEEDS [BUG ...]]`: plants one bug after the other, all or those named, in the production code and runs the
//! scenarios that are to see it, with at most that many seeds of each; prints a table of bug, scenario, seed and what was seen. Ends with 1 if a bug was not
//! caught, or if without a bug one of the first seeds fails.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use dht_core::planted::{CHORD, DATA, OPEN, RING, plant};
use dht_sim::{Setup, scenarios};

/// Seeds for one bug.
const SEEDS: u64 = 500;
/// Seeds without a bug: that the checkers do not cry wolf.
const CONTROL: u64 = 20;

/// Bugs, and the scenarios that look for them, in this order.
const SUITES: &[(&[(&str, &str)], &[&str])] =
    &[(RING, &["small_rings"]), (DATA, HISTORIES), (OPEN, HISTORIES), (CHORD, &["chord_rings"])];
const HISTORIES: &[&str] = &["histories_calm", "histories_full"];

/// Where bugs were seen that not many seeds show: tried first.
const SEEN: &[(&str, &str, u64)] = &[
    ("drop_silent_successor", "small_rings", 18),
    ("forget_graveyard", "small_rings", 137),
    ("no_exchange", "small_rings", 100),
    ("joiner_forgotten", "histories_full", 4),
    ("ack_early", "histories_calm", 22),
    ("no_line", "histories_calm", 98),
    ("retry_forgotten", "histories_calm", 75),
    ("hand_over_blind", "histories_calm", 91),
    ("join_without_successor", "small_rings", 93),
    ("former_owner_decides", "histories_calm", 61),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let seeds = arguments.next().map_or(Ok(SEEDS), |text| text.parse());
    let named: Vec<String> = arguments.collect();
    let Ok(seeds) = seeds else {
        eprintln!("usage: planted [SEEDS [BUG ...]]");
        return ExitCode::from(2);
    };
    let mut missed = false;
    // What is open yet is only looked for by name.
    for (bugs, scenarios) in SUITES.iter().filter(|(bugs, _)| *bugs != OPEN || !named.is_empty()) {
        plant("");
        for scenario in scenarios.iter().filter(|_| named.is_empty()) {
            if let Some((seed, reason)) = first_failure(scenario, 1..=CONTROL) {
                println!("without a planted bug {scenario} fails with seed {seed}: {reason}");
                missed = true;
            }
        }
        println!("| bug | what it does | scenario, seed | what its checker said |\n|---|---|---|---|");
        for (bug, about) in bugs.iter().filter(|(bug, _)| named.is_empty() || named.iter().any(|name| name == bug)) {
            assert!(plant(bug), "{bug} is in the list");
            match caught(bug, scenarios, seeds) {
                Some((scenario, seed, reason)) => println!("| `{bug}` | {about} | `{scenario}` {seed} | {reason} |"),
                None => {
                    println!("| `{bug}` | {about} | none of {seeds} | **not caught** |");
                    missed = true;
                }
            }
        }
    }
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn caught(bug: &str, scenarios: &[&'static str], seeds: u64) -> Option<(&'static str, u64, String)> {
    let seen = SEEN.iter().find(|(seen, ..)| *seen == bug).map(|&(_, scenario, seed)| (scenario, seed..=seed));
    let all = scenarios.iter().map(|scenario| (*scenario, 1..=seeds));
    seen.into_iter().chain(all).find_map(|(scenario, seeds)| {
        let (seed, reason) = first_failure(scenario, seeds)?;
        Some((scenario, seed, reason))
    })
}

/// The smallest seed that fails, of those that were run before all threads had heard of one.
fn first_failure(scenario: &str, seeds: std::ops::RangeInclusive<u64>) -> Option<(u64, String)> {
    let scenario = scenarios::find(scenario)?;
    let next = AtomicU64::new(*seeds.start());
    let found: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let smaller =
                        found.lock().is_ok_and(|found| found.as_ref().is_some_and(|(other, _)| *other < seed));
                    if seed > *seeds.end() || smaller {
                        return;
                    }
                    let setup = Setup { tail_max: 0, ..scenario.setup(seed) };
                    if let Err(failure) = dht_sim::run(setup, scenario.body)
                        && let Ok(mut found) = found.lock()
                        && found.as_ref().is_none_or(|(other, _)| *other > seed)
                    {
                        *found = Some((seed, shortened(&failure.reason)));
                    }
                }
            });
        }
    });
    found.into_inner().ok().flatten()
}

/// A cell of the table.
fn shortened(reason: &str) -> String {
    const LEN_MAX: usize = 110;
    let text = reason.lines().next().unwrap_or_default().replace('|', "/");
    match text.char_indices().nth(LEN_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
