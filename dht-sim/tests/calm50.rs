//! Fifty production nodes for a minute: no acknowledged write is lost, and the run is a function of its seed.

use std::process::{Child, Command, Stdio};

use dht_sim::scenarios;

#[test]
fn fifty_nodes_keep_every_promise_and_two_processes_the_same_trace() {
    let (same, other) = (process(1), process(2));
    let summary = scenarios::find("calm50").expect("registered").run(1).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(summary.messages > 100_000, "{summary}");
    let here = format!("trace {:032x} messages {}", summary.trace, summary.messages);
    assert!(printed(same).contains(&here), "another process has another trace");
    assert!(!printed(other).contains(&here), "another seed has the same trace");
}

fn process(seed: u64) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dht-sim"));
    command.args(["--scenario", "calm50", "--seed", &seed.to_string()]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

fn printed(child: Child) -> String {
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
