//! A scan asks as many replicas as its level says, though each of them could answer alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dht_core::{Config, Consistency, Dht, GetOptions};

use crate::common;
use crate::held;

use held::{Gate, Start, pass};

const KEYS: usize = 60;

async fn scanned(node: &Dht, level: Consistency) -> BTreeSet<String> {
    let mut scan = node.scan_with("", GetOptions { consistency: Some(level), timeout: None });
    let mut found = BTreeSet::new();
    while let Some((key, _)) = scan.next().await.expect("it is answered") {
        assert!(found.insert(String::from_utf8_lossy(&key).into_owned()), "{key:?} twice");
    }
    found
}

/// One of three replicas misses half of the puts and all deletions, and nothing repairs it.
#[test]
fn a_quorum_scan_sees_what_one_replica_missed() {
    common::calm(|world| async move {
        let config = Config { slot_bits: 6, ..Config::default() };
        let gate = Arc::new(Gate::default());
        let mut nodes = Vec::new();
        for number in 0..3 {
            let seeds: &[usize] = if number == 0 { &[] } else { &[0] };
            let start = Start { gate: gate.clone(), ..Start::new(&world, &config, seeds) };
            let node = start.node(number).await.expect("it starts");
            node.wait_ready(Duration::from_secs(60)).await.expect("it gets ready");
            nodes.push(node);
        }
        let key = |n: usize| format!("key-{n}");
        for n in (0..KEYS).step_by(2) {
            nodes[0].put(key(n), &n).await.expect("it serves");
        }
        gate.close();
        let addresses = |numbers: &[usize]| numbers.iter().map(|n| world.address(*n)).collect::<Vec<_>>();
        world.network().partition(&[&addresses(&[0, 1]), &addresses(&[2])]);
        for n in (1..KEYS).step_by(2) {
            nodes[0].put(key(n), &n).await.expect("two of three are a quorum");
        }
        for n in (0..KEYS).step_by(4) {
            assert!(nodes[0].delete(key(n)).await.expect("two of three are a quorum"));
        }
        world.network().heal();
        pass(Duration::from_millis(100)).await;
        let wanted: BTreeSet<String> = (0..KEYS).filter(|n| n % 4 != 0).map(key).collect();
        let behind = scanned(&nodes[2], Consistency::One).await;
        assert_ne!(behind, wanted, "it was to be behind");
        for (number, node) in nodes.iter().enumerate() {
            for level in [Consistency::Quorum, Consistency::All] {
                assert_eq!(scanned(node, level).await, wanted, "node {number}, {level:?}");
            }
            assert_eq!(node.count("").await.expect("it is answered"), wanted.len() as u64);
        }
        for node in nodes {
            node.stop().await;
        }
    });
}
