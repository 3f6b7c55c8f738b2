//! Deletions outlive a split, however long after their grace the nodes that missed them come back.

use std::time::Duration;

use dht_core::{Config, Consistency, Dht, Durability, ErrorKind, GetOptions};
use dht_sim::{Crash, Nodes, World};

use crate::common;
use crate::held;

use held::{Gate, Start};

const SECOND: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(30);
const NODES: usize = 5;
const KEYS: usize = 100;

async fn wait_for(nodes: &Nodes, seen: usize, of: &[usize]) {
    let look = async {
        while !of.iter().all(|n| nodes.node(*n).ring().expect("it runs").nodes.len() == seen) {
            tokio::time::sleep(SECOND / 10).await;
        }
    };
    tokio::time::timeout(120 * SECOND, look).await.expect("they see each other, or do not any more");
}

/// One node is cut off, half of the keys are deleted without it, and it comes back after `away`.
async fn split(world: &World, away: Duration) {
    let mut nodes = Nodes::new(world.clone(), Config { slot_bits: 6, tombstone_grace: GRACE, ..Config::default() });
    nodes.start(0, &[]).await.expect("it founds");
    nodes.start_together(1..NODES, &[0]).await.expect("they join");
    nodes.settled(60 * SECOND).await.expect("it comes to rest");
    for n in 0..KEYS {
        nodes.node(0).put(format!("key-{n}"), &n).await.expect("it serves");
    }
    let here: Vec<usize> = (0..NODES - 1).collect();
    let addresses = |numbers: &[usize]| numbers.iter().map(|n| world.address(*n)).collect::<Vec<_>>();
    world.network().partition(&[&addresses(&here), &addresses(&[NODES - 1])]);
    wait_for(&nodes, NODES - 1, &here).await;
    nodes.settled(60 * SECOND).await.expect("both sides are well");
    for n in (0..KEYS).step_by(2) {
        assert!(nodes.node(0).delete(format!("key-{n}")).await.expect("it serves"));
    }
    tokio::time::sleep(away).await;
    world.network().heal();
    wait_for(&nodes, NODES, &(0..NODES).collect::<Vec<_>>()).await;
    nodes.settled(60 * SECOND).await.expect("one ring again");
    for n in 0..KEYS {
        let found: Option<usize> = nodes.node(n % NODES).get(format!("key-{n}")).await.expect("it serves");
        assert_eq!(found, (n % 2 == 1).then_some(n), "key-{n} after {away:?}");
    }
    // In the end they are forgotten: every second key is left with its three copies.
    let kept =
        || nodes.running().iter().map(|(_, dht)| dht.statistics().expect("it runs").data_bytes_stored).sum::<u64>();
    let before = kept();
    tokio::time::sleep(120 * SECOND).await;
    assert!(kept() < before, "{before} bytes, and still so many");
    nodes.stop().await;
}

#[test]
fn what_was_deleted_in_a_split_stays_deleted() {
    for graces in [2, 10] {
        common::calm(|world| async move { split(&world, GRACE * graces).await });
    }
}

/// A node comes back to so much that was written without it that it catches up for longer than a minute and a grace: what was
/// deleted is remembered until it has.
#[test]
fn what_was_deleted_stays_deleted_while_somebody_catches_up_slowly() {
    common::calm(|world| async move {
        let config = Config { slot_bits: 6, tombstone_grace: GRACE, repair_rate: 1 << 16, ..Config::default() };
        let mut nodes = Nodes::new(world.clone(), config);
        nodes.start(0, &[]).await.expect("it founds");
        nodes.start_together(1..4, &[0]).await.expect("they join");
        nodes.settled(60 * SECOND).await.expect("it comes to rest");
        for n in 0..KEYS {
            nodes.node(0).put(format!("key-{n}"), &n).await.expect("it serves");
        }
        let here: Vec<_> = (0..3).map(|number| world.address(number)).collect();
        world.network().partition(&[&here, &[world.address(3)]]);
        wait_for(&nodes, 3, &[0, 1, 2]).await;
        for n in 0..KEYS {
            assert!(nodes.node(0).delete(format!("key-{n}")).await.expect("it serves"));
        }
        let large = "x".repeat(40_000);
        for n in 0..800 {
            nodes.node(0).put(format!("large-{n}"), &large).await.expect("it serves");
        }
        tokio::time::sleep(2 * GRACE).await;
        world.network().heal();
        wait_for(&nodes, 4, &[0, 1, 2, 3]).await;
        let took = nodes.settled(900 * SECOND).await.expect("one ring again");
        assert!(took > 60 * SECOND + GRACE, "it was to be slow: {took:?}");
        for n in 0..KEYS {
            let found: Option<usize> = nodes.node(n % 4).get(format!("key-{n}")).await.expect("it serves");
            assert_eq!(found, None, "key-{n}");
        }
        nodes.stop().await;
    });
}

/// A replica misses deletions, and the repair that brings them takes longer than a grace, as it may when much is to be copied.
#[test]
fn what_a_replica_missed_is_remembered_until_it_has_it() {
    common::calm(|world| async move {
        let grace = 10 * SECOND;
        let config = Config { slot_bits: 6, tombstone_grace: grace, ..Config::default() };
        let mut nodes: Vec<Dht> = Vec::new();
        let gates: Vec<_> = (0..3).map(|_| std::sync::Arc::<Gate>::default()).collect();
        for (number, gate) in gates.iter().enumerate() {
            let seeds: &[usize] = if number == 0 { &[] } else { &[0] };
            let start = Start { gate: gate.clone(), ..Start::new(&world, &config, seeds) };
            nodes.push(start.node(number).await.expect("it joins"));
        }
        for n in 0..KEYS {
            nodes[0].put(format!("key-{n}"), &n).await.expect("it serves");
        }
        // Those who joined are no reason any more to keep deletions longer.
        tokio::time::sleep(90 * SECOND).await;
        gates.iter().for_each(|gate| gate.close());
        world.network().cut(&world.address(0), &world.address(2));
        world.network().cut(&world.address(1), &world.address(2));
        let mut deleted = Vec::new();
        for n in 0..KEYS {
            let owner = nodes[0].locate(format!("key-{n}")).expect("it runs")[0].id.clone();
            if owner != nodes[2].node_id() && deleted.len() < 10 {
                assert!(nodes[0].delete(format!("key-{n}")).await.expect("two of three can"));
                deleted.push(n);
            }
        }
        world.network().heal();
        tokio::time::sleep(4 * grace).await;
        gates.iter().for_each(|gate| gate.open());
        tokio::time::sleep(60 * SECOND).await;
        for n in deleted {
            for node in &nodes {
                let found = node.get::<usize>(format!("key-{n}")).await.expect("it serves");
                assert_eq!(found, None, "key-{n} was deleted");
            }
        }
        for node in nodes {
            node.stop().await;
        }
    });
}

/// A leave ends before all was handed over, and the node comes back with what is on its disk, long after deletions are forgotten
/// whom everybody heard of.
#[test]
fn who_left_with_data_on_its_disk_brings_nothing_back() {
    common::calm(|world| async move {
        let grace = 10 * SECOND;
        let config = Config { slot_bits: 6, tombstone_grace: grace, repair_rate: 1 << 19, ..Config::default() };
        let mut nodes = Nodes::new(world.clone(), config);
        nodes.keep_on_disk(Durability::Interval);
        nodes.start(0, &[]).await.expect("it founds");
        nodes.start_together(1..5, &[0]).await.expect("they join");
        nodes.settled(60 * SECOND).await.expect("it comes to rest");
        for n in 0..KEYS {
            nodes.node(0).put(format!("key-{n}"), &n).await.expect("it serves");
        }
        let large = "x".repeat(40_000);
        for n in 0..200 {
            nodes.node(0).put(format!("large-{n}"), &large).await.expect("it serves");
        }
        tokio::time::sleep(90 * SECOND).await;
        let error = nodes.node(4).leave(SECOND).await.expect_err("it has too much to hand over");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        drop(nodes.take(4));
        wait_for(&nodes, 4, &[0, 1, 2, 3]).await;
        nodes.settled(120 * SECOND).await.expect("all copies are there again");
        for n in 0..KEYS {
            assert!(nodes.node(0).delete(format!("key-{n}")).await.expect("it serves"));
        }
        tokio::time::sleep(60 * SECOND + 3 * grace).await;
        nodes.start(4, &[0]).await.expect("it comes back");
        nodes.settled(120 * SECOND).await.expect("it has caught up");
        for n in 0..KEYS {
            let found: Option<usize> = nodes.node(n % 5).get(format!("key-{n}")).await.expect("it serves");
            assert_eq!(found, None, "key-{n}");
        }
        nodes.stop().await;
    });
}

/// Starts a node as a service manager does: its former self may not be known as dead yet.
async fn start_again(nodes: &mut Nodes, number: usize) {
    while nodes.start(number, &[0]).await.is_err() {
        tokio::time::sleep(SECOND).await;
    }
    nodes.settled(120 * SECOND).await.expect("it has caught up");
}

/// A node is started on a copy of its disk that is older than its last life: in it is what has been deleted since, and nobody
/// remembers the deletions.
#[test]
fn who_is_started_on_an_older_backup_brings_nothing_back() {
    common::calm(|world| async move {
        let config = Config { slot_bits: 6, tombstone_grace: GRACE, ..Config::default() };
        let mut nodes = Nodes::new(world.clone(), config);
        nodes.keep_on_disk(Durability::Interval);
        nodes.start(0, &[]).await.expect("it founds");
        nodes.start_together(1..4, &[0]).await.expect("they join");
        nodes.settled(60 * SECOND).await.expect("it comes to rest");
        for n in 0..KEYS {
            nodes.node(0).put(format!("key-{n}"), &n).await.expect("it serves");
        }
        // All of it, and who is there, is on the disks.
        tokio::time::sleep(3 * SECOND).await;
        nodes.crash(3, Crash::Process).await;
        let backup = nodes.disk(3).expect("it has one").backup().expect("it can be read");
        start_again(&mut nodes, 3).await;
        for n in (0..KEYS).step_by(2) {
            assert!(nodes.node(0).delete(format!("key-{n}")).await.expect("it serves"));
        }
        // Those who came back are no reason any more to keep deletions longer.
        tokio::time::sleep(60 * SECOND + 3 * GRACE).await;
        nodes.crash(3, Crash::Process).await;
        nodes.replace_disk(3, backup);
        start_again(&mut nodes, 3).await;
        for level in [Consistency::One, Consistency::Quorum, Consistency::All] {
            for (n, number) in (0..KEYS).flat_map(|n| (0..4).map(move |number| (n, number))) {
                let options = GetOptions { consistency: Some(level), timeout: None };
                let found = nodes.node(number).get_bytes(format!("key-{n}"), options).await.expect("it serves");
                assert_eq!(found.is_some(), n % 2 == 1, "key-{n} at node {number}, {level:?}");
            }
        }
        nodes.stop().await;
    });
}
