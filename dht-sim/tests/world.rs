//! A run that does not hold says so, with what is needed to repeat it.

use std::time::Duration;

use dht_sim::{Clock, NetworkConfig, Setup, World, run};

fn setup() -> Setup {
    Setup::new("example", 42, NetworkConfig::default())
}

#[test]
fn a_failure_tells_seed_reason_trace_and_command() {
    let failure = run(setup(), |world: World| async move {
        world.note("the step before");
        Err("a key is lost".to_owned())
    });
    let text = failure.expect_err("it failed").to_string();
    for part in ["seed 42 ", "a key is lost", "-- the step before", "--scenario example --seed 42"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_panic_fails_the_run_wherever_it_happens() {
    let failure = run(setup(), |_| async { panic!("in the scenario") }).expect_err("it panicked");
    assert!(failure.reason.contains("in the scenario"), "{failure}");
    let hidden = |patience: u64| {
        run(setup(), move |_| async move {
            drop(tokio::spawn(async { panic!("in a task that nobody awaits") }));
            tokio::time::sleep(Duration::from_millis(patience)).await;
            Ok(())
        })
    };
    for patience in [1, 1_000_000_000] {
        let failure = hidden(patience).expect_err("it panicked");
        assert_eq!(failure.reason, "a task panicked");
        assert!(failure.summary.virtual_time <= Duration::from_secs(2));
    }
    run(setup(), |_| async { Ok(()) }).expect("the next run starts afresh");
}

#[test]
fn a_scenario_that_hangs_is_ended() {
    let setup = Setup { time_max: Duration::from_secs(30), ..setup() };
    let failure = run(setup, |_| std::future::pending()).expect_err("no end");
    assert_eq!(failure.summary.virtual_time, Duration::from_secs(30));
    assert!(failure.reason.contains("no end after 30s"), "{failure}");
}

#[test]
fn addresses_are_distinct_and_environments_follow_from_seed_and_name() {
    let drawn = |seed: u64| {
        let mut drawn = Vec::new();
        run(Setup { seed, ..setup() }, |world: World| {
            let draws: Vec<u64> = ["a", "b"].map(|name| world.node_env(name).random_u64()).to_vec();
            let offset = world.node_env_with_clock("a", Clock { offset_ms: -5, drift_ppm: 0 }).wall_ms();
            assert_eq!(offset + 5, world.node_env("a").wall_ms());
            assert_eq!(world.address(0).as_str(), "10.0.0.1:7000");
            assert_eq!(world.address(65_535).as_str(), "10.1.0.0:7000");
            drawn = draws;
            async { Ok(()) }
        })
        .expect("it holds");
        drawn
    };
    let (one, again, other) = (drawn(1), drawn(1), drawn(2));
    assert_eq!(one, again);
    assert!(one[0] != one[1] && one[0] != other[0]);
}
