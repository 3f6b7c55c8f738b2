//! `dht-fuzz`: mutates the seeds of every target for some time, without libFuzzer.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dht_fuzz::mutate::{Chance, mutated};
use dht_fuzz::{TARGETS, Target, seeds};

const USAGE: &str = "usage: dht-fuzz list                            the names of the targets
       dht-fuzz seeds DIR                       writes their seeds to DIR/TARGET
       dht-fuzz run SECONDS SEED DIR [TARGET]   SECONDS for each; what is found is written to DIR
       dht-fuzz one TARGET FILE                 feeds one file";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match done(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn done(arguments: &[&str]) -> Result<(), String> {
    match arguments {
        ["list"] => {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            Ok(())
        }
        ["seeds", folder] => TARGETS.iter().try_for_each(|target| write_seeds(target, folder)),
        ["run", seconds, seed, folder, names @ ..] => {
            let (seconds, seed) = (number(seconds)?, number(seed)?);
            let wanted = |target: &&Target| names.is_empty() || names.contains(&target.name);
            TARGETS.iter().filter(wanted).try_for_each(|target| run(target, seconds, seed, folder))
        }
        ["one", name, file] => {
            let target = dht_fuzz::target(name).ok_or_else(|| format!("no target {name}"))?;
            target.run(&std::fs::read(file).map_err(|error| format!("{file}: {error}"))?);
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number\n{USAGE}"))
}

fn write_seeds(target: &Target, folder: &str) -> Result<(), String> {
    let folder = PathBuf::from(folder).join(target.name);
    let written = std::fs::create_dir_all(&folder).and_then(|()| {
        let mut numbered = seeds::of(target).into_iter().enumerate();
        numbered.try_for_each(|(i, seed)| std::fs::write(folder.join(format!("seed-{i}")), seed))
    });
    written.map_err(|error| format!("{}: {error}", folder.display()))
}

#[expect(clippy::disallowed_methods, reason = "how long to go on is real time; what is tried is not")]
fn run(target: &Target, seconds: u64, seed: u64, folder: &str) -> Result<(), String> {
    let seeds = seeds::of(target);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut chance = Chance::new(seed);
    let mut tried = 0_u64;
    let mut pick = seeds.iter().cloned();
    while Instant::now() < end {
        let data = pick.next().unwrap_or_else(|| {
            let (seed, other) = (&seeds[chance.below(seeds.len())], &seeds[chance.below(seeds.len())]);
            mutated(&mut chance, seed, other, seeds::LEN_MAX)
        });
        tried += 1;
        if std::panic::catch_unwind(|| target.run(&data)).is_err() {
            let path = PathBuf::from(folder).join(format!("{}-{seed}-{tried}", target.name));
            let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, &data));
            let kept = written.map_or_else(|error| error.to_string(), |()| path.display().to_string());
            return Err(format!("{}: found something after {tried} inputs of seed {seed}: {kept}", target.name));
        }
    }
    println!("{}: {tried} inputs, seed {seed}, nothing found", target.name);
    Ok(())
}
