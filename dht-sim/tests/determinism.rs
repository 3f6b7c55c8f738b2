//! The same seed gives the same run: twice in one process, in two processes, and not by hashing nothing.

use std::process::Command;

use dht_sim::scenarios;

#[test]
fn one_seed_gives_one_trace_and_another_seed_another() {
    let storm = scenarios::find("ping_storm").expect("registered");
    let first = storm.run(1).expect("it holds");
    assert_eq!(first, storm.run(1).expect("it holds"));
    assert!(first.messages > 90_000, "{first}");
    let other = storm.run(2).expect("it holds");
    assert_ne!(first.trace, other.trace);
}

#[test]
fn two_processes_print_the_same_trace() {
    let line = |seed: &str| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_dht-sim")).args(["--scenario", "ping_storm", "--seed", seed]).output();
        let output = output.expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        // The real time that it took is the one thing that may differ.
        text.split(" wall ").next().expect("a line").to_owned()
    };
    let (one, two) = (line("7"), line("7"));
    assert!(one.starts_with("seed 7 trace "), "{one}");
    assert_eq!(one, two);
    assert_ne!(one, line("8"));
}

#[test]
fn the_program_tells_what_it_can_run() {
    let output = Command::new(env!("CARGO_BIN_EXE_dht-sim")).args(["--scenario", "nothing"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.contains("no scenario \"nothing\"") && text.contains("ping_storm"), "{text}");
}
