//! `planted [SEEDS [BUG]]`: plants one bug after the other in the production code and runs its scenario until the checker
//! sees it, with at most that many seeds; prints a table of bug, seed and what was seen. Ends with 1 if a bug was not caught, or
//! if without a bug one of the first seeds fails.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use dht_core::planted::{ALL, plant};
use dht_sim::{Setup, scenarios};

/// Scenarios that have the checker.
const SCENARIOS: [&str; 2] = ["small_rings", "chord_rings"];
/// Seeds for one bug.
const SEEDS: u64 = 500;
/// Seeds without a bug: that the checker does not cry wolf.
const CONTROL: u64 = 20;

fn main() -> ExitCode {
    let seeds = std::env::args().nth(1).map_or(Ok(SEEDS), |text| text.parse());
    let only = std::env::args().nth(2);
    let chosen: Vec<_> = ALL.iter().filter(|(bug, ..)| only.as_ref().is_none_or(|only| only == bug)).collect();
    let (Ok(seeds), false) = (seeds, chosen.is_empty()) else {
        eprintln!("usage: planted [SEEDS [BUG]]");
        return ExitCode::from(2);
    };
    let mut missed = false;
    plant("");
    for scenario in SCENARIOS {
        if let Some((seed, reason)) = first_failure(scenario, CONTROL) {
            println!("without a planted bug seed {seed} of {scenario} fails: {reason}");
            missed = true;
        }
    }
    println!("| bug | what it does | scenario | seed | what the checker said |\n|---|---|---|---|---|");
    for (bug, about, scenario) in chosen {
        assert!(plant(bug), "{bug} is in the list");
        match first_failure(scenario, seeds) {
            Some((seed, reason)) => println!("| `{bug}` | {about} | `{scenario}` | {seed} | {reason} |"),
            None => {
                println!("| `{bug}` | {about} | `{scenario}` | none of {seeds} | **not caught** |");
                missed = true;
            }
        }
    }
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The smallest seed that fails, of those that were run before all threads had heard of one.
fn first_failure(scenario: &str, seeds: u64) -> Option<(u64, String)> {
    let scenario = scenarios::find(scenario)?;
    let next = AtomicU64::new(1);
    let found: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let smaller =
                        found.lock().is_ok_and(|found| found.as_ref().is_some_and(|(other, _)| *other < seed));
                    if seed > seeds || smaller {
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
    let text = reason.replace('|', "/");
    match text.char_indices().nth(LEN_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
