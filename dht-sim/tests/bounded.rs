//! Rings of nodes with a bound on memory: who refuses, what the writer hears, and that repair leaves alone what was
//! evicted.

use crate::common;
use crate::held;

use std::time::Duration;

use common::calm;
use dht_core::store::Store;
use dht_core::{Config, Consistency, Dht, ErrorKind, Eviction, GetOptions, PutOptions, Statistics};
use dht_sim::World;
use held::{Start, keys_of, pass, ring};

const SECOND: Duration = Duration::from_secs(1);
const BOUND: u64 = 4 << 20;

fn config(eviction: Eviction) -> Config {
    Config { max_memory: Some(BOUND), max_value_size: 1 << 20, slot_bits: 8, eviction, ..Config::default() }
}

fn level(consistency: Consistency) -> PutOptions {
    PutOptions { consistency: Some(consistency), ..PutOptions::default() }
}

fn stats(node: &Dht) -> Statistics {
    node.statistics().expect("it runs")
}

/// Three nodes of which the last has the bound.
async fn one_small(world: &World, eviction: Eviction) -> Vec<Dht> {
    let roomy = Config { max_memory: None, ..config(eviction) };
    let mut nodes = ring(world, &roomy, 2).await;
    let small = Start::new(world, &config(eviction), &[0]).node(2).await.expect("it joins");
    small.wait_ready(60 * SECOND).await.expect("it catches up");
    nodes.push(small);
    nodes
}

#[test]
fn a_full_replica_acknowledges_nothing_and_the_writer_hears_why() {
    calm(|world| async move {
        let nodes = one_small(&world, Eviction::Reject).await;
        let value = vec![7; 50_000];
        // Owned by a node with room: quorums go on, whatever the third says.
        let keys = keys_of(&nodes[0], &nodes[0], 200);
        for key in &keys[..150] {
            let put = nodes[0].put_bytes(key, value.clone(), level(Consistency::Quorum)).await;
            assert_eq!(put.expect("two have room").set_size, 3);
        }
        assert!(stats(&nodes[2]).data_items_stored < 100, "{}", stats(&nodes[2]).data_items_stored);
        let begun = world.now();
        let error = nodes[1].put_bytes(&keys[150], value.clone(), level(Consistency::All)).await.expect_err("full");
        assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::MemoryFull, true), "{error}");
        // The other one's acknowledgement may be still on its way.
        let told = |have: usize| error.context().contains(&format!("{have} of 3 replicas"));
        assert!(told(1) || told(2), "{error}");
        assert!(error.context().contains(&format!("max_memory is {BOUND}")), "{error}");
        assert!(world.now() - begun < SECOND, "it waits for nothing: {:?}", world.now() - begun);

        // Two have it, and the third, which is asked, cannot be brought to it: its answer is done without.
        for node in &nodes {
            let read = node.get_bytes(&keys[149], GetOptions::default()).await;
            assert!(read.expect("two replicas have it").is_some());
        }
        let swapped = nodes[2].get_and_delete_value(&keys[148], GetOptions::default()).await;
        assert!(swapped.expect("a deletion needs no room").is_some());

        // Owned by the full one: refused before anything was done.
        let own = &keys_of(&nodes[2], &nodes[0], 1)[0];
        let error = nodes[1].put_bytes(own, value.clone(), level(Consistency::One)).await.expect_err("full");
        assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::MemoryFull, false), "{error}");
        assert_eq!(nodes[0].get_bytes(own, GetOptions::default()).await.expect("it serves"), None);
        // What it lacks is not given up: others say so, and it gets it when there is room.
        assert!(stats(&nodes[0]).under_replicated_slots > 0);
        for key in &keys[..151] {
            let there = key != &keys[148];
            assert_eq!(nodes[1].delete(key).await.expect("deletions go on"), there, "{key}");
        }
        pass(60 * SECOND).await;
        nodes[1].put_bytes(own, value, level(Consistency::All)).await.expect("there is room again");
        pass(60 * SECOND).await;
        assert_eq!(stats(&nodes[0]).under_replicated_slots, 0);
    });
}

/// A full replica that missed deletions hears of them before they are forgotten, although it has no room for what it missed
/// beside them.
#[test]
fn a_full_replica_hears_of_deletions_in_time() {
    calm(|world| async move {
        let grace = 30 * SECOND;
        let small = Config { tombstone_grace: grace, slot_bits: 2, ..config(Eviction::Reject) };
        let roomy = Config { max_memory: None, ..small.clone() };
        let mut nodes = ring(&world, &roomy, 2).await;
        nodes.push(Start::new(&world, &small, &[0]).node(2).await.expect("it joins"));
        nodes[2].wait_ready(60 * SECOND).await.expect("it catches up");
        // What is deleted makes no room for what else is missing.
        let (small, large) = (vec![7; 10], vec![7; 50_000]);
        let keys: Vec<String> = (0..400).map(|n| format!("key-{n}")).collect();
        for (n, key) in keys[..130].iter().enumerate() {
            let value = if n < 60 { &small } else { &large };
            nodes[0].put_bytes(key, value.clone(), level(Consistency::All)).await.expect("there is room");
        }
        // Not for as long as it takes to be given up.
        let [a, b, c] = [0, 1, 2].map(|number| world.address(number));
        world.network().partition(&[&[a, b], &[c]]);
        let mut deleted = 0;
        for key in &keys[..60] {
            let owner = nodes[0].locate(key).expect("it runs").remove(0);
            if owner.id != nodes[2].node_id() {
                deleted += usize::from(nodes[0].delete(key).await.expect("two of three are there"));
            }
        }
        assert!(deleted > 20, "{deleted}");
        // More than it has room for, so that what it lacks comes in several messages.
        for key in &keys[130..] {
            let owner = nodes[0].locate(key).expect("it runs").remove(0);
            if owner.id != nodes[2].node_id() {
                nodes[0].put_bytes(key, large.clone(), level(Consistency::Quorum)).await.expect("two have room");
            }
        }
        assert_eq!(nodes[0].view().1, 3, "nobody was given up");
        world.network().heal();
        pass(10 * grace).await;
        let mut left = 0;
        for key in &keys[..60] {
            left += usize::from(nodes[1].get_bytes(key, GetOptions::default()).await.expect("it serves").is_some());
        }
        assert_eq!(left, 60 - deleted, "what was deleted stays so");
    });
}

/// A replica without room differs from the others for as long as it has none. It lacks no deletion, and is no reason to keep any.
#[test]
fn a_full_replica_does_not_make_others_keep_deletions() {
    calm(|world| async move {
        let grace = 10 * SECOND;
        let small = Config { tombstone_grace: grace, ..config(Eviction::Reject) };
        let roomy = Config { max_memory: None, ..small.clone() };
        let first = Start::new(&world, &roomy, &[]);
        let store = first.store.clone();
        let mut nodes = vec![first.node(0).await.expect("it founds a ring")];
        for (number, config) in [(1, &roomy), (2, &small)] {
            let node = Start::new(&world, config, &[0]).node(number).await.expect("it joins");
            node.wait_ready(60 * SECOND).await.expect("it catches up");
            nodes.push(node);
        }
        let keys = keys_of(&nodes[0], &nodes[0], 170);
        for (n, key) in keys.iter().enumerate() {
            let value = vec![7; if n < 20 { 10 } else { 50_000 }];
            nodes[0].put_bytes(key, value, level(Consistency::Quorum)).await.expect("two have room");
        }
        // Those who joined are no reason any more.
        pass(90 * SECOND).await;
        assert!(stats(&nodes[0]).under_replicated_slots > 0, "it is full");
        for key in &keys[..20] {
            assert!(nodes[0].delete(key).await.expect("it serves"));
        }
        let kept = || {
            let slots = store.occupied().expect("memory").into_iter();
            slots.map(|slot| store.versions(slot).expect("memory").len()).sum::<usize>()
        };
        assert_eq!(kept(), 170);
        pass(5 * grace).await;
        assert_eq!(kept(), 150, "the deletions are forgotten");
        assert!(stats(&nodes[0]).under_replicated_slots > 0, "and it is still full");
    });
}

/// A newcomer without room for its slots answers no reads of them, however long that lasts.
#[test]
fn a_newcomer_without_room_waits_for_it() {
    calm(|world| async move {
        let grace = 30 * SECOND;
        let roomy = Config { max_memory: None, tombstone_grace: grace, ..config(Eviction::Reject) };
        let nodes = ring(&world, &roomy, 3).await;
        let keys: Vec<String> = (0..300).map(|n| format!("key-{n}")).collect();
        for key in &keys {
            nodes[0].put_bytes(key, vec![7; 50_000], level(Consistency::All)).await.expect("there is room");
        }
        let small = Config { tombstone_grace: grace, ..config(Eviction::Reject) };
        let small = Start::new(&world, &small, &[0]).node(3).await.expect("it joins");
        pass(300 * SECOND).await;
        assert!(!small.health().expect("it runs").handed_over, "it has not caught up");
        let one = GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() };
        for key in &keys {
            let found = small.get_bytes(key, one).await.expect("others have it");
            assert!(found.is_some(), "{key}");
        }

        // It holds up nobody: one more brings room, with which all is whole again.
        let more = Start::new(&world, &roomy, &[0]).node(4).await.expect("it starts");
        more.wait_ready(60 * SECOND).await.expect("it joins");
        // Who was pushed out of lists that the small one is in cannot let go, and yet brings nothing back.
        for key in &keys {
            assert!(nodes[0].delete(key).await.expect("deletions go on"), "{key}");
        }
        pass(300 * SECOND).await;
        for key in &keys {
            let found = nodes[1].get_bytes(key, GetOptions::default()).await.expect("it serves");
            assert!(found.is_none(), "{key} was deleted {:?} ago", 300 * SECOND);
        }
    });
}

#[test]
fn repair_does_not_bring_back_what_was_evicted() {
    calm(|world| async move {
        let nodes = ring(&world, &config(Eviction::Lru), 4).await;
        for n in 0..4_000 {
            let put = nodes[n % 4].put_bytes(format!("key-{n}"), vec![7; 3_000], level(Consistency::Quorum)).await;
            put.expect("room is made");
        }
        pass(30 * SECOND).await;
        let evictions = || nodes.iter().map(|node| stats(node).evictions).sum::<u64>();
        let told = || {
            let told: Vec<_> =
                nodes.iter().map(stats).map(|s| (s.data_items_stored, s.under_replicated_slots)).collect();
            told
        };
        let (before, evicted) = (told(), evictions());
        assert!(evicted > 4_000, "{evicted} of 12,000");
        assert!(before.iter().all(|(_, lacking)| *lacking == 0), "as equal as they can be: {before:?}");
        let records = world.traffic().get("records").map_or(0, |(count, _)| *count);
        // Several comparisons of everything.
        pass(300 * SECOND).await;
        assert_eq!((told(), evictions()), (before, evicted));
        assert_eq!(world.traffic().get("records").map_or(0, |(count, _)| *count), records);

        // A replica that was away for a while gets what it missed, and nothing else.
        let (first, others) = nodes.split_first().expect("four");
        let alone = [world.address(0)];
        let rest: Vec<_> = (1..4).map(|n| world.address(n)).collect();
        world.network().partition(&[&alone, &rest]);
        pass(SECOND / 2).await;
        let mut missed = Vec::new();
        for key in (0..).map(|n| format!("missed-{n}")) {
            let list = others[0].locate(&key).expect("it runs");
            if list[0].id != first.node_id() && list.iter().any(|node| node.id == first.node_id()) {
                others[0].put_bytes(&key, "v", level(Consistency::Quorum)).await.expect("two are there");
                missed.push(key);
            }
            if missed.len() == 20 {
                break;
            }
        }
        world.network().heal();
        pass(30 * SECOND).await;
        let one = GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() };
        for key in &missed {
            let found = first.get_bytes(key, one).await.expect("it is there again");
            assert_eq!(found.as_deref(), Some(&b"v"[..]), "{key}");
        }
        assert!(evictions() - evicted < 200, "{} more", evictions() - evicted);
    });
}
