//! `dht-sim --scenario NAME [--seeds N] [--seed S] [--tail L] [--notes]`: runs a scenario with N seeds from S on, one line for each.
//! Of a run that fails it prints the last L lines of the trace;
//! `--notes` prints the faults and steps of those that hold.

use std::process::ExitCode;
use std::str::FromStr;

use dht_sim::{Setup, run, scenarios};

const USAGE: &str = "usage: dht-sim --scenario NAME [--seed FIRST] [--seeds COUNT] [--tail LINES] [--notes]";

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
    for seed in arguments.first..arguments.first.saturating_add(arguments.count) {
        #[expect(clippy::disallowed_methods, reason = "the real clock, for the speed of the simulation")]
        let started = std::time::Instant::now();
        let setup = Setup { tail_max: arguments.tail, ..arguments.scenario.setup(seed) };
        match run(setup, arguments.scenario.body) {
            Ok(summary) => {
                println!("{summary} wall {:.3} s", started.elapsed().as_secs_f64());
                if arguments.notes {
                    println!("{}", summary.notes.join("\n"));
                }
            }
            Err(failure) => {
                eprintln!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

struct Arguments {
    scenario: &'static scenarios::Scenario,
    first: u64,
    count: u64,
    tail: usize,
    notes: bool,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut scenario, mut first, mut count, mut tail, mut notes) = (None, 1, 1, 40, false);
        while let Some(flag) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{flag} needs a value"));
            match flag.as_str() {
                "--scenario" => {
                    let name = value()?;
                    scenario = Some(scenarios::find(&name).ok_or_else(|| format!("no scenario {name:?}"))?);
                }
                "--seed" => first = number(&flag, &value()?)?,
                "--notes" => notes = true,
                "--tail" => tail = number(&flag, &value()?)?,
                "--seeds" => count = number(&flag, &value()?)?,
                _ => return Err(format!("unknown argument {flag:?}")),
            }
        }
        Ok(Self { scenario: scenario.ok_or("no scenario given")?, first, count, tail, notes })
    }
}

fn number<T: FromStr>(flag: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{flag} {text:?}: must be a whole number"))
}
