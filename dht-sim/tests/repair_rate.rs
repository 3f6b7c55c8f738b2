//! Bulk repair: how fast it goes, from whom, what first, and what is left of it when a source dies.

use crate::common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::calm;
use dht_core::store::Store;
use dht_core::{Config, Consistency, Dht, GetOptions, PutOptions};
use dht_sim::{Crash, Nodes, World};

const SECOND: Duration = Duration::from_secs(1);
const KIB: u64 = 1 << 10;
const KEYS: usize = 600;
const VALUE_LEN: usize = 40_000;
/// A page of records; with one more on top where the next is large.
const PAGE: u64 = (256 << 10) + VALUE_LEN as u64;

fn config(repair_rate: u64) -> Config {
    Config { slot_bits: 12, repair_rate, ..Config::default() }
}

fn key(n: usize) -> String {
    format!("key-{n}")
}

fn value(n: usize) -> Vec<u8> {
    vec![n as u8; VALUE_LEN]
}

/// A ring at rest with all keys on all their replicas.
async fn ring(world: &World, config: Config, count: usize) -> Nodes {
    let mut nodes = Nodes::new(world.clone(), config);
    nodes.start(0, &[]).await.expect("it founds a ring");
    nodes.start_together(1..count, &[0]).await.expect("they join");
    nodes.settled(120 * SECOND).await.expect("the ring comes to rest");
    let all = PutOptions { consistency: Some(Consistency::All), ..PutOptions::default() };
    for n in 0..KEYS {
        nodes.node(n % count).put_bytes(key(n), value(n), all).await.expect("it serves");
    }
    nodes.settled(120 * SECOND).await.expect("all replicas are equal");
    nodes
}

/// Bytes of keys and values on each node.
fn kept(nodes: &Nodes) -> BTreeMap<usize, u64> {
    nodes.registry().stores().into_iter().map(|(number, store)| (number, store.usage().bytes)).collect()
}

/// Bytes of records that repair has asked for.
fn copied(world: &World) -> u64 {
    world.traffic().get("records").map_or(0, |(_, bytes)| *bytes)
}

fn sent(dht: &Dht) -> u64 {
    dht.statistics().expect("it runs").bytes_sent
}

fn whole(nodes: &Nodes) -> bool {
    let well = |dht: &Dht| dht.health().is_ok_and(|h| h.joined && h.handed_over && h.fully_replicated);
    nodes.running().iter().all(|(_, dht)| well(dht))
}

/// What each node kept, every tenth of a second, from the first byte that was copied until all replicas are there.
async fn watched(world: &World, nodes: &Nodes, patience: Duration) -> Vec<(f64, BTreeMap<usize, u64>)> {
    let (begin, before) = (world.now(), kept(nodes));
    let mut seen = vec![(0.0, before.clone())];
    while seen.len() == 1 || !whole(nodes) {
        assert!(world.now() - begin < patience, "not whole after {patience:?}: {:?}", kept(nodes));
        tokio::time::sleep(SECOND / 10).await;
        if kept(nodes) == before {
            seen.clear();
        }
        seen.push((world.now().as_secs_f64(), kept(nodes)));
    }
    seen
}

/// Fails if some node took in more in some time than `rate` and what may come at once.
fn check_rate(seen: &[(f64, BTreeMap<usize, u64>)], rate: u64, at_once: u64) {
    for (i, (from, before)) in seen.iter().enumerate() {
        for (until, after) in &seen[i..] {
            for (number, bytes) in after {
                let taken = bytes.saturating_sub(before.get(number).copied().unwrap_or(0));
                let most = (until - from) * rate as f64 + at_once as f64;
                assert!(taken as f64 <= most, "node {number}: {taken} bytes in {:.1} s", until - from);
            }
        }
    }
}

/// The most that one node took in.
fn most_taken(seen: &[(f64, BTreeMap<usize, u64>)]) -> u64 {
    let (before, after) = (&seen[0].1, &seen[seen.len() - 1].1);
    after.iter().map(|(number, bytes)| bytes - before.get(number).copied().unwrap_or(0)).max().unwrap_or(0)
}

#[test]
fn repair_rate_bounds_what_a_node_takes_in() {
    for rate in [0, 256 * KIB] {
        calm(|world| async move {
            let mut nodes = ring(&world, config(rate), 5).await;
            let (lost, copied_before) = (kept(&nodes)[&4], copied(&world));
            let sent_before: BTreeMap<usize, u64> = nodes.running().iter().map(|(n, dht)| (*n, sent(dht))).collect();
            nodes.crash(4, Crash::Process).await;
            let seen = watched(&world, &nodes, 120 * SECOND).await;
            let (took, most) = (seen[seen.len() - 1].0 - seen[0].0, most_taken(&seen));
            println!("rate {rate}: {lost} bytes lost, {most} to one node in {took:.1} s");
            if rate == 0 {
                assert!(took < 2.0, "{took} s without a limit");
            } else {
                // Four sources, each with the page that it was asked for when the tokens ran out.
                check_rate(&seen, rate, rate / 4 + 4 * PAGE);
                let least = (most - rate / 4 - 4 * PAGE) as f64 / rate as f64;
                assert!(least > 5.0 && took >= least, "{took} s of {least}");
                assert!(took < 1.1 * most as f64 / rate as f64 + 1.0, "the rate is used: {took} s");
            }
            let copied = copied(&world) - copied_before;
            assert!(copied < lost + lost / 20, "each record once: {copied} bytes for {lost}");
            for (number, dht) in nodes.running() {
                let share = sent(&dht) - sent_before[&number];
                assert!(share > lost / 10, "node {number} gave {share} of {lost} bytes");
            }
            nodes.stop().await;
        });
    }
}

#[test]
fn a_joiner_takes_in_what_it_will_hold_at_the_rate() {
    calm(|world| async move {
        let rate = 512 * KIB;
        let mut nodes = ring(&world, config(rate), 3).await;
        let begun = world.now();
        nodes.start(3, &[0]).await.expect("it goes on joining");
        let seen = watched(&world, &nodes, 120 * SECOND).await;
        check_rate(&seen, rate, rate / 4 + 3 * PAGE);
        let (took, taken) = ((world.now() - begun).as_secs_f64(), kept(&nodes)[&3]);
        let least = (taken - rate / 4 - 3 * PAGE) as f64 / rate as f64;
        assert!(least > 20.0 && took >= least && took < 1.2 * least + 5.0, "{taken} bytes in {took:.1} s");
        nodes.stop().await;
    });
}

#[test]
fn what_a_leaver_brings_counts_where_it_arrives() {
    calm(|world| async move {
        let rate = 256 * KIB;
        let mut nodes = ring(&world, config(rate), 5).await;
        let held = kept(&nodes)[&4];
        let leaver = nodes.take(4);
        let left = tokio::spawn(async move { leaver.leave(120 * SECOND).await });
        let seen = watched(&world, &nodes, 120 * SECOND).await;
        left.await.expect("no panic").expect("all is handed over");
        println!("{held} bytes handed over in {:.1} s", seen[seen.len() - 1].0 - seen[0].0);
        // What the leaver pushes comes on top of the pages that were asked for.
        check_rate(&seen, rate, rate / 4 + 5 * PAGE);
        nodes.settled(60 * SECOND).await.expect("all is there");
        assert!(copies(&nodes).iter().all(|n| *n == 3));
        nodes.stop().await;
    });
}

#[test]
fn a_copy_whose_source_dies_goes_on_with_another() {
    calm(|world| async move {
        let mut nodes = ring(&world, config(256 * KIB), 6).await;
        let before = kept(&nodes);
        let copied_before = copied(&world);
        nodes.crash(5, Crash::Process).await;
        let taken = |nodes: &Nodes| kept(nodes).iter().map(|(n, bytes)| bytes - before[n]).sum::<u64>();
        while taken(&nodes) < before[&5] / 2 {
            tokio::time::sleep(SECOND / 10).await;
        }
        assert!(taken(&nodes) < before[&5] * 3 / 4, "half-way");
        let lost_with_it = kept(&nodes)[&4] - before[&4];
        nodes.crash(4, Crash::Process).await;
        nodes.settled(120 * SECOND).await.expect("the others have it");
        let (taken, copied) = (taken(&nodes) + lost_with_it, copied(&world) - copied_before);
        println!("{taken} bytes were missing, {copied} were copied");
        // Some pages of its streams were under way.
        assert!(copied < taken + taken / 20 + 10 * PAGE, "{copied} bytes for {taken}");
        for n in 0..KEYS {
            let all = GetOptions { consistency: Some(Consistency::All), ..GetOptions::default() };
            let found = nodes.node(n % 4).get_bytes(key(n), all).await.expect("it serves");
            assert_eq!(found.as_deref(), Some(&value(n)[..]), "{}", key(n));
        }
        nodes.stop().await;
    });
}

/// How many nodes have each key.
fn copies(nodes: &Nodes) -> Vec<usize> {
    let stores = nodes.registry().stores();
    let mut count = vec![0; KEYS];
    for (_, store) in stores {
        for slot in store.occupied().expect("memory") {
            for (n, count) in count.iter_mut().enumerate() {
                *count += usize::from(store.get(slot, 0, key(n).as_bytes()).expect("memory").is_some());
            }
        }
    }
    count
}

#[test]
fn what_is_down_to_one_copy_goes_first() {
    calm(|world| async move {
        let mut nodes = ring(&world, config(128 * KIB), 6).await;
        nodes.crash(5, Crash::Process).await;
        nodes.crash(4, Crash::Process).await;
        let survived = copies(&nodes);
        let with = |wanted| survived.iter().filter(|n| **n == wanted).count();
        println!("{} keys with one copy, {} with two, {} with three", with(1), with(2), with(3));
        assert!(with(1) > 50 && with(2) > 200 && with(1) + with(2) + with(3) == KEYS);
        let having = |copies: &[usize], survivors: usize, least: usize| {
            copies.iter().zip(&survived).filter(|(now, then)| **then == survivors && **now >= least).count()
        };
        loop {
            tokio::time::sleep(SECOND / 2).await;
            let now = copies(&nodes);
            if having(&now, 1, 2) == with(1) {
                let rest = having(&now, 2, 3);
                println!("{rest} of {} others are copied when all of these are", with(2));
                assert!(rest < with(2) / 2, "{rest} of {} others came before them", with(2));
                break;
            }
        }
        nodes.settled(180 * SECOND).await.expect("all is replaced");
        assert!(copies(&nodes).iter().all(|n| *n == 3));
        nodes.stop().await;
    });
}

#[test]
fn a_newcomer_waits_for_a_copy_that_takes_longer_than_a_minute() {
    calm(|world| async move {
        let mut nodes = ring(&world, config(64 * KIB), 4).await;
        nodes.crash(3, Crash::Process).await;
        let begun = world.now();
        let mut reads = 0;
        while !whole(&nodes) || world.now() - begun < 10 * SECOND {
            assert!(world.now() - begun < 300 * SECOND, "it comes to an end");
            tokio::time::sleep(SECOND).await;
            for (number, dht) in nodes.running() {
                let n = (reads * 7 + number) % KEYS;
                let one = GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() };
                let found = dht.get_bytes(key(n), one).await.expect("two of three are there");
                assert!(found.is_some(), "node {number} answered for {} before it had it", key(n));
            }
            reads += 1;
        }
        let took = world.now() - begun;
        assert!(took > 70 * SECOND, "{took:?}: this was to take long");
        assert!(copies(&nodes).iter().all(|n| *n == 3), "whole after {took:?}, and every copy is there");
        nodes.stop().await;
    });
}

#[test]
fn a_read_mends_a_replica_without_waiting_for_the_copies() {
    calm(|world| async move {
        let mut nodes = ring(&world, config(64 * KIB), 4).await;
        // A key of the three that stay.
        let gone = dht_sim::nodes::name(3);
        let stays = |n: &usize| nodes.node(0).locate(key(*n)).expect("it runs").iter().all(|node| node.id != gone);
        let n = (0..KEYS).find(stays).expect("a quarter of them");
        nodes.crash(3, Crash::Process).await;
        let before = kept(&nodes)[&0];
        while kept(&nodes)[&0] == before {
            tokio::time::sleep(SECOND / 10).await;
        }
        tokio::time::sleep(5 * SECOND).await;
        assert!(!whole(&nodes), "it is copying");
        let (_, store) = nodes.registry().stores().swap_remove(1);
        let has = |store: &dyn Store, slot| store.get(slot, 0, key(n).as_bytes()).expect("memory").is_some();
        let slots = store.occupied().expect("memory");
        let slot = slots.into_iter().find(|slot| has(&*store, *slot)).expect("it has it");
        let contents = store.fingerprint(slot).expect("memory");
        assert!(store.remove_slot(slot, contents).expect("memory"));
        let begun = world.now();
        let all = GetOptions { consistency: Some(Consistency::All), ..GetOptions::default() };
        assert!(nodes.node(0).get_bytes(key(n), all).await.expect("all are there").is_some());
        let took = world.now() - begun;
        assert!(has(&*store, slot), "mended");
        assert_eq!(took, common::LATENCY * 4, "two round trips: read and mend");
        nodes.stop().await;
    });
}
