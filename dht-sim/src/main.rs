//! `dht-sim --scenario NAME [--seeds N] [--seed S] [--jobs J] [--keep-going] [--quiet] [--tail L] [--notes] [--trace] [--log]`: runs a scenario
//! with N seeds from S on, J at a time, one line for each (with `--quiet` none for those that hold). Of a run that fails it
//! prints the last L lines of the trace, and ends then, unless it shall keep going; `--notes` prints the faults and steps
//! of those that hold, `--trace` their last lines, `--log` what nodes log, with the virtual time. The last lines say where to go on, and what the scenario counted.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use dht_sim::{Failure, Setup, Summary, run, scenarios};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

const USAGE: &str = "usage: dht-sim --scenario NAME [--seed FIRST] [--seeds COUNT] [--jobs COUNT] [--keep-going] [--quiet] \
                     [--tail LINES] [--notes] [--trace] [--log]";

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}\nscenarios:");
            for scenario in scenarios::ALL {
                eprintln!("  {:<16} {}", scenario.name, scenario.about);
            }
            return ExitCode::from(2);
        }
    };
    if arguments.log {
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_timer(VirtualTime);
        log.with_ansi(false).with_target(false).with_writer(std::io::stderr).init();
    }
    let (next, failed, done) = (AtomicU64::new(arguments.first), AtomicU64::new(0), AtomicU64::new(0));
    let end = arguments.first.saturating_add(arguments.count);
    let counts = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                while arguments.keep_going || failed.load(Ordering::Relaxed) == 0 {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let held = arguments.one(seed, &counts);
                    failed.fetch_add(u64::from(!held), Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let (failed, done) = (failed.into_inner(), done.into_inner());
    if arguments.count > 1 {
        let (name, next) = (arguments.scenario.name, next.into_inner().min(end));
        println!("{name}: {done} seeds from {} on, {failed} failed; the next is {next}", arguments.first);
    }
    let counts = counts.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !counts.is_empty() {
        let counts: Vec<String> = counts.into_iter().map(|(what, many)| format!("{what} {many}")).collect();
        println!("counted: {}", counts.join(", "));
    }
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Seconds of the run that logs.
struct VirtualTime;

impl FormatTime for VirtualTime {
    fn format_time(&self, to: &mut Writer<'_>) -> std::fmt::Result {
        match dht_sim::world::virtual_time() {
            Some(time) => write!(to, "{:13.6}", time.as_secs_f64()),
            None => write!(to, "{:>13}", "-"),
        }
    }
}

struct Arguments {
    scenario: &'static scenarios::Scenario,
    first: u64,
    count: u64,
    jobs: u64,
    keep_going: bool,
    quiet: bool,
    tail: usize,
    notes: bool,
    trace: bool,
    log: bool,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut found = None;
        let (mut first, mut count, mut jobs, mut tail) = (1, 1, 1, 40);
        let (mut keep_going, mut quiet, mut notes, mut trace, mut log) = (false, false, false, false, false);
        while let Some(flag) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{flag} needs a value"));
            match flag.as_str() {
                "--scenario" => {
                    let name = value()?;
                    found = Some(scenarios::find(&name).ok_or_else(|| format!("no scenario {name:?}"))?);
                }
                "--seed" => first = number(&flag, &value()?)?,
                "--seeds" => count = number(&flag, &value()?)?,
                "--jobs" => jobs = number(&flag, &value()?)?,
                "--tail" => tail = number(&flag, &value()?)?,
                "--keep-going" => keep_going = true,
                "--quiet" => quiet = true,
                "--notes" => notes = true,
                "--trace" => trace = true,
                "--log" => log = true,
                _ => return Err(format!("unknown argument {flag:?}")),
            }
        }
        let scenario = found.ok_or("no scenario given")?;
        Ok(Self { scenario, first, count, jobs, keep_going, quiet, tail, notes, trace, log })
    }

    /// Runs one seed, prints what came of it, and adds to `counts`; true if it held.
    fn one(&self, seed: u64, counts: &Mutex<BTreeMap<String, u64>>) -> bool {
        #[expect(clippy::disallowed_methods, reason = "the real clock, for the speed of the simulation")]
        let started = std::time::Instant::now();
        let setup = Setup { tail_max: self.tail, ..self.scenario.setup(seed) };
        let outcome: Result<Summary, Box<Failure>> = run(setup, self.scenario.body);
        match outcome {
            Ok(summary) => {
                for (what, many) in &summary.counts {
                    *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(what.clone()).or_default() += many;
                }
                if !self.quiet {
                    println!("{summary} wall {:.3} s", started.elapsed().as_secs_f64());
                }
                if self.notes {
                    println!("{}", summary.notes.join("\n"));
                }
                if self.trace {
                    println!("{}", summary.tail.join("\n"));
                }
                true
            }
            Err(failure) => {
                eprintln!("{failure}");
                false
            }
        }
    }
}

fn number<T: FromStr>(flag: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{flag} {text:?}: must be a whole number"))
}
