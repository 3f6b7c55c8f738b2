//! Rings whose nodes keep what they have on disks: what comes back when all of them die, and when.

use std::time::Duration;

use dht_core::{Config, Durability, Error, ErrorKind, GetOptions};
use dht_sim::{Crash, Nodes, World};

use crate::common;

const SECOND: Duration = Duration::from_secs(1);
const KEYS: usize = 60;

/// A ring of so many that keeps everything it acknowledges on disks.
async fn formed(world: &World, config: Config, count: usize) -> Nodes {
    formed_with(Durability::Always, world, config, count).await
}

async fn formed_with(durability: Durability, world: &World, config: Config, count: usize) -> Nodes {
    let mut nodes = Nodes::new(world.clone(), Config { slot_bits: 6, ..config });
    nodes.keep_on_disk(durability);
    nodes.start(0, &[]).await.expect("it founds");
    nodes.start_together(1..count, &[0]).await.expect("they join");
    nodes.settled(60 * SECOND).await.expect("it comes to rest");
    // What they remember of each other is written by then.
    tokio::time::sleep(3 * SECOND).await;
    nodes
}

/// A ring of so many that has kept a few values, all of whose nodes have died since.
async fn died(world: &World, count: usize) -> Nodes {
    let mut nodes = formed(world, Config::default(), count).await;
    for _ in 0..3 {
        nodes.node(0).increment("count", 1).await.expect("it serves");
    }
    nodes.node(0).put("value", &"there").await.expect("it serves");
    for number in 0..count {
        nodes.crash(number, Crash::Machine).await;
    }
    nodes
}

/// Nobody knows enough yet to answer.
fn is_no_answer(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::Quorum | ErrorKind::Timeout), "{error}");
}

/// Waits until node `number` sees so few.
async fn sees(nodes: &Nodes, number: usize, count: usize) {
    while nodes.node(number).ring().expect("it runs").nodes.len() > count {
        tokio::time::sleep(SECOND / 10).await;
    }
}

/// Starts a node as a service manager does: its former self may not be known as dead yet.
async fn start_again(nodes: &mut Nodes, number: usize, seed: usize) {
    while nodes.start(number, &[seed]).await.is_err() {
        tokio::time::sleep(SECOND).await;
    }
}

#[test]
fn the_first_to_come_back_decides_nothing_alone() {
    common::calm(|world| async move {
        let mut nodes = died(&world, 3).await;
        let first = nodes.start(0, &[]).await.expect("it forms the ring again");
        assert_eq!(first.ring().expect("it runs").nodes.len(), 1);
        let error = first.increment("count", 1).await.expect_err("nobody knows what the others have kept");
        is_no_answer(&error);
        let error = first.get_and_delete::<String>("value").await.expect_err("nor here");
        is_no_answer(&error);
        nodes.start(1, &[0]).await.expect("it comes back");
        nodes.settled(60 * SECOND).await.expect("two of three have all that was acknowledged");
        assert_eq!(first.increment("count", 1).await.expect("it serves"), 4);
        assert_eq!(first.get::<String>("value").await.expect("it serves").as_deref(), Some("there"));
        nodes.stop().await;
    });
}

/// Each is started before the one that is to form the ring, which none of them hears in its first try; that takes as long as
/// it does since one of them stays away.
#[test]
fn the_ring_is_formed_again_once() {
    common::calm(|world| async move {
        let mut nodes = died(&world, 4).await;
        let mut starts = tokio::task::JoinSet::new();
        for number in [2, 1, 0] {
            starts.spawn(nodes.launch(number, &[]));
            tokio::time::sleep(SECOND / 2).await;
        }
        let first = loop {
            tokio::time::sleep(SECOND / 50).await;
            let running = nodes.running();
            if let Some((number, _)) = running.iter().find(|(_, dht)| dht.inspect().active) {
                break *number;
            }
        };
        assert_eq!(first, 0, "the smallest name");
        for started in starts.join_all().await {
            started.expect("it comes back");
        }
        nodes.settled(60 * SECOND).await.expect("one ring");
        assert_eq!(nodes.node(2).increment("count", 1).await.expect("it serves"), 4);
        nodes.stop().await;
    });
}

/// A node with an empty disk knows nothing of what the ring kept: it does not make up for one that has not come yet.
#[test]
fn who_comes_with_nothing_makes_up_for_nobody() {
    common::calm(|world| async move {
        let mut nodes = formed(&world, Config::default(), 3).await;
        // One of them misses what the others acknowledge; then all die.
        world.network().partition(&[&[world.address(0)], &[world.address(1), world.address(2)]]);
        nodes.node(1).put("value", &"late").await.expect("two of three are a quorum");
        for number in 0..3 {
            nodes.crash(number, Crash::Machine).await;
        }
        world.network().heal();
        nodes.wipe(2);
        let first = nodes.start(0, &[]).await.expect("it forms the ring again");
        let second = nodes.start(2, &[0]).await.expect("it joins");
        for node in [&first, &second] {
            let error = node.get::<String>("value").await.expect_err("only who is not there yet has it");
            is_no_answer(&error);
        }
        nodes.start(1, &[0]).await.expect("it comes back");
        nodes.settled(60 * SECOND).await.expect("one ring");
        assert_eq!(second.get::<String>("value").await.expect("it serves").as_deref(), Some("late"));
        nodes.stop().await;
    });
}

/// The other of two is dead for good, and is the only seed.
#[test]
fn a_sole_survivor_goes_on_without_its_seeds() {
    common::calm(|world| async move {
        let mut nodes = formed(&world, Config::default(), 2).await;
        nodes.node(0).put("value", &"there").await.expect("it serves");
        nodes.crash(0, Crash::Machine).await;
        sees(&nodes, 1, 1).await;
        tokio::time::sleep(3 * SECOND).await;
        nodes.crash(1, Crash::Machine).await;
        let survivor = nodes.start(1, &[0]).await.expect("it starts");
        tokio::time::sleep(3 * SECOND).await;
        assert_eq!(survivor.get::<String>("value").await.expect("it serves").as_deref(), Some("there"));
        // Whom it has given up before it is still looked for.
        nodes.start(0, &[]).await.expect("it is there again");
        nodes.settled(60 * SECOND).await.expect("one ring");
        assert_eq!(survivor.ring().expect("it runs").nodes.len(), 2);
        nodes.stop().await;
    });
}

/// With one replica each slot has all that there is where it was kept: nobody else is waited for.
#[test]
fn a_ring_with_one_replica_comes_back_at_once() {
    common::calm(|world| async move {
        let mut nodes = formed(&world, Config { replication_factor: 1, ..Config::default() }, 3).await;
        for n in 0..30 {
            nodes.node(0).put(format!("key-{n}"), &n).await.expect("it serves");
        }
        for number in 0..3 {
            nodes.crash(number, Crash::Machine).await;
        }
        nodes.start_together(0..3, &[]).await.expect("they come back");
        let took = nodes.settled(60 * SECOND).await.expect("one ring");
        assert!(took < 5 * SECOND, "{took:?}");
        for n in 0..30 {
            assert_eq!(nodes.node(n % 3).get::<usize>(format!("key-{n}")).await.expect("it serves"), Some(n));
        }
        nodes.stop().await;
    });
}

/// The first of the seeds comes with an empty disk: the others are on their way back, and their ring is the one.
#[test]
fn a_seed_that_lost_its_disk_founds_no_second_ring() {
    common::calm(|world| async move {
        let mut nodes = died(&world, 3).await;
        nodes.wipe(0);
        let mut starts = tokio::task::JoinSet::new();
        for number in [2, 1] {
            starts.spawn(nodes.launch(number, &[0, 1, 2]));
            tokio::time::sleep(SECOND / 20).await;
        }
        let blank = nodes.start(0, &[0, 1, 2]).await.expect("it starts");
        if let Ok(found) = blank.get::<String>("value").await {
            assert_eq!(found.as_deref(), Some("there"), "it knows of nothing, and says nothing");
        }
        starts.join_all().await.into_iter().for_each(|started| drop(started.expect("it starts")));
        nodes.settled(60 * SECOND).await.expect("one ring");
        for number in 0..3 {
            let node = nodes.node(number);
            assert_eq!(node.get::<String>("value").await.expect("it serves").as_deref(), Some("there"));
        }
        assert_eq!(nodes.node(0).increment("count", 1).await.expect("it serves"), 4);
        nodes.stop().await;
    });
}

/// Nodes are stopped one after the other while the others go on. Of those that come back first none knows what was written
/// last, and who has it.
#[test]
fn who_was_stopped_first_does_not_speak_for_all() {
    common::calm(|world| async move {
        let mut nodes = formed(&world, Config::default(), 4).await;
        nodes.node(3).put("value", &"early").await.expect("it serves");
        for first in [0, 1] {
            nodes.crash(first, Crash::Process).await;
            sees(&nodes, 3, 3 - first).await;
            nodes.settled(60 * SECOND).await.expect("the others go on");
            tokio::time::sleep(3 * SECOND).await;
        }
        nodes.node(3).put("value", &"late").await.expect("two are left");
        for last in [2, 3] {
            nodes.crash(last, Crash::Process).await;
        }
        let first = nodes.start(0, &[]).await.expect("it forms the ring again");
        let second = nodes.start(1, &[0]).await.expect("it joins");
        for node in [&first, &second] {
            let error = node.get::<String>("value").await.expect_err("it was written without them");
            is_no_answer(&error);
        }
        nodes.start(2, &[0]).await.expect("it comes back");
        nodes.start(3, &[0]).await.expect("it comes back");
        nodes.settled(60 * SECOND).await.expect("one ring");
        assert_eq!(first.get::<String>("value").await.expect("it serves").as_deref(), Some("late"));
        nodes.stop().await;
    });
}

/// The only copies go from one node to another, which dies as soon as the first has let go of some.
#[test]
fn a_slot_is_let_go_when_it_is_on_the_other_disk() {
    common::calm(|world| async move {
        let mut nodes = Nodes::new(world.clone(), Config { slot_bits: 6, replication_factor: 1, ..Config::default() });
        nodes.keep_on_disk(Durability::Interval);
        let first = nodes.start(0, &[]).await.expect("it founds");
        for n in 0..KEYS {
            first.put(format!("key-{n}"), &n).await.expect("it serves");
        }
        // All of it is on the disk.
        tokio::time::sleep(SECOND).await;
        let store = nodes.registry().stores()[0].1.clone();
        let before = store.usage().live;
        nodes.start(1, &[0]).await.expect("it joins");
        while store.usage().live == before {
            tokio::time::sleep(SECOND / 1_000).await;
        }
        nodes.crash(1, Crash::Process).await;
        tokio::time::sleep(SECOND).await;
        start_again(&mut nodes, 1, 0).await;
        nodes.settled(120 * SECOND).await.expect("one ring");
        for n in 0..KEYS {
            assert_eq!(first.get::<usize>(format!("key-{n}")).await.expect("it serves"), Some(n));
        }
        nodes.stop().await;
    });
}

/// A node that was away while the others were started anew remembers their lives before: that says nothing of the later ones.
#[test]
fn an_old_memory_of_others_counts_for_nothing() {
    common::calm(|world| async move {
        let mut nodes = formed(&world, Config::default(), 3).await;
        nodes.crash(2, Crash::Process).await;
        for number in [0, 1] {
            let other = 1 - number;
            sees(&nodes, other, 2).await;
            nodes.crash(number, Crash::Process).await;
            start_again(&mut nodes, number, other).await;
            nodes.settled(60 * SECOND).await.expect("two go on");
            tokio::time::sleep(3 * SECOND).await;
        }
        nodes.node(0).put("value", &"late").await.expect("it serves");
        for number in [0, 1] {
            nodes.crash(number, Crash::Process).await;
        }
        nodes.start_together(0..3, &[]).await.expect("they come back");
        let took = nodes.settled(60 * SECOND).await.expect("one ring");
        assert!(took < 8 * SECOND, "{took:?}");
        for (_, node) in nodes.running() {
            assert_eq!(node.get::<String>("value").await.expect("it serves").as_deref(), Some("late"));
        }
        nodes.stop().await;
    });
}

/// It hears of no deletion any more, and answers reads: that must end before the others forget what was deleted.
#[test]
fn a_node_whose_disk_failed_stops_before_deletions_are_forgotten() {
    common::calm(|world| async move {
        let grace = 10 * SECOND;
        let config = Config { tombstone_grace: grace, ..Config::default() };
        let mut nodes = formed_with(Durability::Interval, &world, config, 3).await;
        for key in 0..KEYS {
            nodes.node(0).put(format!("key-{key}"), &key).await.expect("it serves");
        }
        tokio::time::sleep(SECOND).await;
        nodes.disk(2).expect("it has one").set_failing(true);
        nodes.node(0).put("other", &0).await.expect("two of three have it");
        // Its next commit shows it; until then it hears of everything.
        tokio::time::sleep(2 * SECOND).await;
        assert!(!nodes.node(2).health().expect("it runs").storage_ok);
        let mut deleted = Vec::new();
        for key in 0..KEYS {
            let existed = nodes.node(0).delete(format!("key-{key}")).await;
            // Also what it owned.
            deleted.extend(existed.expect("two of three can").then_some(key));
        }
        assert_eq!(deleted.len(), KEYS);
        let begun = world.now();
        let mut failing = nodes.node(2);
        while let Ok(health) = failing.health() {
            assert!(!health.storage_ok && world.now() - begun < grace, "after {:?}", world.now() - begun);
            tokio::time::sleep(SECOND / 4).await;
        }
        assert_eq!(failing.ended().await.map(|reason| reason.kind()), Some(ErrorKind::Storage));
        let error = failing.get_bytes("other", GetOptions::default()).await.expect_err("it has stopped");
        assert!(error.kind() == ErrorKind::Stopped && error.context().contains("disk"), "{error}");
        // Those who joined are no reason any more to keep deletions longer.
        tokio::time::sleep(60 * SECOND + 3 * grace).await;
        for key in deleted {
            let found = nodes.node(key % 2).get::<usize>(format!("key-{key}")).await.expect("two of three can");
            assert_eq!(found, None, "key-{key} was deleted");
        }
        failing = nodes.take(2);
        drop(failing);
        nodes.stop().await;
    });
}

/// No owner can write, so nobody misses anything: what there is stays readable.
#[test]
fn nodes_whose_disks_have_all_failed_go_on_answering() {
    common::calm(|world| async move {
        let grace = 10 * SECOND;
        let config = Config { tombstone_grace: grace, ..Config::default() };
        let mut nodes = formed_with(Durability::Interval, &world, config, 3).await;
        nodes.node(0).put("key", &1).await.expect("it serves");
        tokio::time::sleep(SECOND).await;
        for number in 0..3 {
            nodes.disk(number).expect("it has one").set_failing(true);
        }
        // All of them have it in memory, and find out with their next commit.
        nodes.node(0).put("other", &0).await.expect("nobody knows yet");
        for _ in 0..60 {
            tokio::time::sleep(SECOND / 2).await;
            for key in 0..10 {
                let written = nodes.node(key % 3).put(format!("other-{key}"), &key).await;
                assert_eq!(written.expect_err("no disk takes it").kind(), ErrorKind::Storage);
            }
        }
        for number in 0..3 {
            assert!(!nodes.node(number).health().expect("it runs").storage_ok);
            assert_eq!(nodes.node(number).get::<i32>("key").await.expect("it answers"), Some(1));
        }
        nodes.stop().await;
    });
}

/// Where the ring lives any of it will do: each that is asked dials back, and tells of all.
#[test]
fn who_comes_back_to_a_large_ring_asks_a_few() {
    const COUNT: usize = 40;
    common::calm(|world| async move {
        let mut nodes = formed(&world, Config::default(), COUNT).await;
        nodes.crash(5, Crash::Machine).await;
        sees(&nodes, 0, COUNT - 1).await;
        let asked = || world.traffic().get("join").map_or(0, |(messages, _)| *messages);
        let before = asked();
        nodes.start(5, &[0]).await.expect("it comes back");
        let asked = asked() - before;
        assert!(asked <= 20, "{asked} of {COUNT} were asked");
        nodes.settled(60 * SECOND).await.expect("it has caught up");
        nodes.stop().await;
    });
}
