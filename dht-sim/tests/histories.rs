//! The scenarios of histories tell one story for a seed, and seeds that once showed a defect hold.

use dht_sim::scenarios::histories::{calm, full};

#[test]
fn a_seed_tells_one_story() {
    for scenario in [&calm::SCENARIO, &full::SCENARIO] {
        let [first, second] = [(), ()].map(|()| scenario.run(3).unwrap_or_else(|failure| panic!("{failure}")));
        assert_eq!(first, second);
    }
}

/// 3: a former owner decided too. 18, 22, 120: a retry through another owner was applied again, or denied. 60: newcomers
/// waited for each other. 95: a message that came twice was carried out the second time. 207, 288: a clock that was behind
/// stamped below what others had stamped. See `docs/decisions.md`.
#[test]
fn seeds_that_once_showed_a_defect_hold() {
    for seed in [3, 18, 22, 60, 95, 120, 207, 288] {
        if let Err(failure) = calm::SCENARIO.run(seed) {
            panic!("{failure}");
        }
    }
    // A write was denied by another copy of its message.
    if let Err(failure) = full::SCENARIO.run(20_381) {
        panic!("{failure}");
    }
}
