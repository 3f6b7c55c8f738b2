//! The keys of the configuration whose effect takes time, on the paused clock. The others, and the table of all, are in
//! `dht-core/tests/config_acts.rs`.

use crate::common;
use crate::held;

use std::time::Duration;

use common::calm;
use dht_core::store::Store;
use dht_core::{Config, Consistency, ErrorKind, GetOptions, PutOptions, Routing, Statistics, Value};
use dht_sim::{Crash, World};
use held::{Start, key_of, pass, ring};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Nothing happens by itself for an hour.
fn idle() -> Config {
    Config {
        stabilize_interval: HOUR,
        fix_finger_interval: HOUR,
        check_predecessor: HOUR,
        heartbeat_interval: HOUR,
        backup_replicas: false,
        ..Config::default()
    }
}

/// How much a counter of one of two nodes rises in 20 seconds.
async fn risen(world: &World, config: &Config, counter: fn(&Statistics) -> u64) -> u64 {
    let nodes = ring(world, config, 2).await;
    let count = || counter(&nodes[0].statistics().expect("it runs"));
    pass(SECOND).await;
    let before = count();
    pass(20 * SECOND).await;
    count() - before
}

#[test]
fn heartbeat_interval_is_the_period_of_heartbeats() {
    for (ms, expected) in [(1_000, 16..=25), (250, 66..=100), (3_600_000, 0..=0)] {
        calm(|world| async move {
            let config = Config { heartbeat_interval: Duration::from_millis(ms), ..idle() };
            let sent = risen(&world, &config, |s| s.heartbeats_sent).await;
            assert!(expected.contains(&sent), "every {ms} ms: {sent} in 20 s");
        });
    }
}

#[test]
fn stabilize_interval_is_the_period_of_stabilize() {
    for (ms, expected) in [(1_000, 16..=25), (250, 66..=100), (3_600_000, 0..=0)] {
        calm(|world| async move {
            let stabilize_interval = Duration::from_millis(ms);
            let config = Config { stabilize_interval, virtual_nodes: Some(1), ..idle() };
            let done = risen(&world, &config, |s| s.stabilize_operations).await;
            assert!(expected.contains(&done), "every {ms} ms: {done} in 20 s");
        });
    }
}

#[test]
fn fix_finger_interval_is_the_period_of_fix_fingers() {
    for (interval, fixed) in [(SECOND, true), (10 * SECOND, false)] {
        calm(|world| async move {
            let nodes =
                ring(&world, &Config { fix_finger_interval: interval, virtual_nodes: Some(1), ..idle() }, 3).await;
            pass(5 * SECOND).await;
            let updates = nodes[0].statistics().expect("it runs").finger_table_updates;
            assert_eq!(updates > 0, fixed, "every {interval:?}, after 5 s");
        });
    }
}

#[test]
fn routing_decides_whether_an_operation_walks() {
    for (routing, walks) in [(Routing::OneHop, false), (Routing::Chord, true)] {
        calm(|world| async move {
            let nodes = ring(&world, &Config { routing, ..idle() }, 5).await;
            let lookups = || world.traffic().get("lookup").map_or(0, |(messages, _)| *messages);
            let before = lookups();
            for n in 0..20 {
                let key = format!("key-{n}");
                nodes[n % 5].put(&key, &n).await.expect("it is kept");
                assert_eq!(nodes[(n + 1) % 5].get(&key).await.expect("it is found"), Some(n));
            }
            assert_eq!(lookups() > before, walks, "{routing:?}");
        });
    }
}

#[test]
fn check_predecessor_notices_that_it_is_gone() {
    for (check_predecessor, state) in [(SECOND, "suspect"), (HOUR, "active")] {
        calm(|world| async move {
            let nodes = ring(&world, &Config { check_predecessor, ..idle() }, 2).await;
            pass(SECOND).await;
            assert_eq!(nodes[0].predecessor().expect("it runs").map(|p| p.id), Some(nodes[1].node_id()));
            world.network().crash(&world.address(1), Crash::Machine);
            pass(10 * SECOND).await;
            let seen = nodes[0].members().expect("it runs")[1].state.clone();
            assert_eq!(seen, state, "checked every {check_predecessor:?}");
        });
    }
}

#[test]
fn successor_list_size_bounds_the_list() {
    for (successor_list_size, expected) in [(1, 1), (3, 3), (16, 4)] {
        calm(|world| async move {
            let nodes = ring(&world, &Config { successor_list_size, ..Config::default() }, 5).await;
            pass(30 * SECOND).await;
            for node in &nodes {
                let ids: Vec<_> = node.successor_list().expect("it runs").into_iter().map(|n| n.id).collect();
                assert_eq!(ids.len(), expected, "{ids:?}, at most {successor_list_size} of 4 others");
                assert!(!ids.contains(&node.node_id()), "{ids:?}");
            }
        });
    }
}

#[test]
fn backup_replicas_mends_in_the_background() {
    for (backup_replicas, mended) in [(true, 1), (false, 0)] {
        calm(|world| async move {
            let config = Config { backup_replicas, ..Config::default() };
            let owner = Start::new(&world, &config, &[]).node(0).await.expect("it starts");
            let start = Start::new(&world, &config, &[0]);
            let store = start.store.clone();
            let replica = start.node(1).await.expect("it joins");
            replica.wait_ready(60 * SECOND).await.expect("it catches up");
            let all = PutOptions { consistency: Some(Consistency::All), ..PutOptions::default() };
            owner.put_with(key_of(&owner, &owner), &1, all).await.expect("both are there");
            // Until then the change of the lists is looked after, whatever is configured.
            while !owner.health().expect("it runs").fully_replicated {
                pass(SECOND / 10).await;
            }
            // The replica loses it without anybody noticing.
            for slot in store.occupied().expect("memory") {
                let contents = store.fingerprint(slot).expect("memory");
                assert!(store.remove_slot(slot, contents).expect("memory"));
            }
            let items = || replica.statistics().expect("it runs").data_items_stored;
            assert_eq!(items(), 0);
            pass(90 * SECOND).await;
            let items = items();
            assert_eq!(items, mended, "backup_replicas = {backup_replicas}");
        });
    }
}

#[test]
fn request_timeout_bounds_a_call() {
    for ms in [300, 2_000] {
        calm(|world| async move {
            let request_timeout = Duration::from_millis(ms);
            let begin = world.now();
            let config = Config { request_timeout, ..Config::default() };
            let node = Start::new(&world, &config, &[7]).node(0).await.expect("it goes on trying");
            assert_eq!(world.now() - begin, request_timeout, "the start");
            for (len, extra_s) in [(1, 0), (1 << 20, 0), (3 << 20, 2)] {
                let begin = world.now();
                let put = node.put_bytes("k", vec![0; len], PutOptions::default()).await;
                assert_eq!(put.expect_err("in no ring").kind(), ErrorKind::NotJoined);
                assert_eq!(world.now() - begin, request_timeout + extra_s * SECOND, "{len} bytes");
            }
            let begin = world.now();
            assert_eq!(node.get::<i32>("k").await.expect_err("in no ring").kind(), ErrorKind::NotJoined);
            assert_eq!(world.now() - begin, request_timeout);
            let begin = world.now();
            let timeout = Some(Duration::from_millis(77));
            let put = node.put_with("k", &1, PutOptions { timeout, ..PutOptions::default() }).await;
            assert!(put.is_err() && world.now() - begin == Duration::from_millis(77), "a call may have its own");
        });
    }
}

#[test]
fn max_retries_is_how_often_a_call_tries_again() {
    for max_retries in [0, 1, 3] {
        calm(|world| async move {
            let nodes = ring(&world, &Config { max_retries, ..idle() }, 3).await;
            let key = key_of(&nodes[1], &nodes[0]);
            // The owner dies, and the first that hears of it is this call.
            world.network().crash(&world.address(1), Crash::Process);
            let put = nodes[0].put(&key, &1).await;
            match max_retries {
                0 => assert_eq!(put.expect_err("its one attempt").kind(), ErrorKind::Unreachable),
                _ => drop(put.expect("the next in the list takes it")),
            }
        });
    }
}

#[test]
fn tombstone_grace_is_how_long_a_deletion_is_remembered() {
    for (tombstone_grace, remembered) in [(30 * SECOND, false), (HOUR, true)] {
        calm(|world| async move {
            let nodes = ring(&world, &Config { tombstone_grace, ..Config::default() }, 1).await;
            nodes[0].put("key", &1).await.expect("alone");
            assert!(nodes[0].delete("key").await.expect("alone"));
            let bytes = || {
                let statistics = nodes[0].statistics().expect("it runs");
                assert_eq!(statistics.data_items_stored, 0, "a deletion is no item");
                statistics.data_bytes_stored
            };
            pass(20 * SECOND).await;
            assert!(bytes() > 0, "the key is remembered");
            pass(20 * SECOND).await;
            assert_eq!(bytes() > 0, remembered, "after 40 s with {tombstone_grace:?}");
        });
    }
}

#[test]
fn max_clock_offset_refuses_a_wrong_clock() {
    for (max_clock_offset, clock_ms, refused) in [
        (5 * SECOND, 3_000, false),
        (5 * SECOND, -3_000, false),
        (SECOND, 3_000, true),
        (SECOND, -3_000, true),
        (5 * SECOND, 6_000, true),
    ] {
        calm(|world| async move {
            let first = Start::new(&world, &Config::default(), &[]).node(0).await.expect("it starts");
            let config = Config { max_clock_offset, ..Config::default() };
            let second = Start { clock_ms, ..Start::new(&world, &config, &[0]) }.node(1).await;
            if refused {
                let error = second.expect_err("a wrong clock");
                assert_eq!(error.kind(), ErrorKind::ClockSkew);
                let here = dht_sim::world::WALL_START_MS.saturating_add_signed(clock_ms) / 1000;
                let there = dht_sim::world::WALL_START_MS / 1000;
                let both = [here, there].iter().all(|clock| error.context().contains(&clock.to_string()));
                assert!(both, "names both clocks, {here} and {there}: {error}");
                assert_eq!(first.members().expect("it runs").len(), 1, "nothing changed");
            } else {
                assert_eq!(second.expect("near enough").members().expect("it runs").len(), 2);
            }
        });
    }
}

#[test]
fn min_replicas_makes_the_small_side_refuse() {
    calm(|world| async move {
        let config = Config { min_replicas: 3, ..Config::default() };
        let nodes = ring(&world, &config, 5).await;
        let (small, large) = (&nodes[0], &nodes[4]);
        let all = PutOptions { consistency: Some(Consistency::All), ..PutOptions::default() };
        let key = key_of(small, small);
        small.put_with(&key, &1, all).await.expect("all are in sight");
        let side = |numbers: std::ops::Range<usize>| numbers.map(|n| world.address(n)).collect::<Vec<_>>();
        world.network().partition(&[&side(0..2), &side(2..5)]);
        pass(30 * SECOND).await;

        for refused in [
            small.put(&key, &2).await.map(drop),
            small.put_many([(key.clone(), Value::from_bytes("2"))], PutOptions::default()).await.expect("per key")[0]
                .clone()
                .map(drop),
            small.delete(&key).await.map(drop),
        ] {
            let error = refused.expect_err("two replicas are in sight, of three");
            assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Quorum, false), "{error}");
            assert!(error.context().starts_with("2 replicas") && error.context().ends_with("is 3"), "{error}");
        }
        let one = GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() };
        assert_eq!(small.get_with::<i32>(&key, one).await.expect("reads go on"), Some(1));
        large.put(&key, &3).await.expect("this side has three");
        assert_eq!(large.get::<i32>(&key).await.expect("it serves"), Some(3));

        world.network().heal();
        pass(60 * SECOND).await;
        assert_eq!(small.get::<i32>(&key).await.expect("they are one ring again"), Some(3));
        small.put(&key, &4).await.expect("three are in sight again");
    });
}

#[test]
fn a_ring_of_one_has_one_replica_in_sight() {
    calm(|world| async move {
        let config = Config { min_replicas: 2, ..Config::default() };
        let nodes = ring(&world, &config, 1).await;
        let error = nodes[0].put("k", &1).await.expect_err("alone");
        assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Quorum, false), "{error}");
        assert!(error.context().starts_with("1 replicas") && error.context().ends_with("is 2"), "{error}");
        assert_eq!(nodes[0].get::<i32>("k").await.expect("reads go on"), None);
    });
}

#[test]
fn zone_keeps_the_copies_of_a_key_apart() {
    calm(|world| async move {
        let mut nodes = Vec::new();
        for (number, zone) in ["a", "a", "b", "b", "c", "c", "c"].into_iter().enumerate() {
            let seeds: &[usize] = if number == 0 { &[] } else { &[0] };
            let config = Config { zone: zone.to_owned(), ..Config::default() };
            let node = Start::new(&world, &config, seeds).node(number).await.expect("it joins");
            node.wait_ready(60 * SECOND).await.expect("it gets ready");
            nodes.push(node);
        }
        let all = PutOptions { consistency: Some(Consistency::All), ..PutOptions::default() };
        let keys: Vec<String> = (0..300).map(|n| format!("key-{n}")).collect();
        for key in &keys {
            let mut zones: Vec<_> = nodes[0].locate(key).expect("it runs").into_iter().map(|node| node.zone).collect();
            zones.sort();
            assert_eq!(zones, ["a", "b", "c"], "{key}");
            assert_eq!(nodes[3].put_with(key, key, all).await.expect("all run").set_size, 3);
        }
        // A whole zone goes at once: two copies of each key are left, which is a quorum.
        for number in [4, 5, 6] {
            world.network().crash(&world.address(number), Crash::Process);
            nodes[number].stop().await;
        }
        for key in &keys {
            assert_eq!(nodes[0].get::<String>(key).await.expect("a quorum is left").as_ref(), Some(key));
        }
        pass(90 * SECOND).await;
        let all = GetOptions { consistency: Some(Consistency::All), ..GetOptions::default() };
        for key in &keys {
            assert_eq!(nodes[1].get_with::<String>(key, all).await.expect("copied again").as_ref(), Some(key));
        }
    });
}
