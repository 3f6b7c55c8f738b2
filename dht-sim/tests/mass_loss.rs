//! When many nodes are lost at once, what they held is copied only when they do not come back; but for slots down to one
//! copy.

use crate::common;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use common::calm;
use dht_core::{Config, Consistency, GetOptions, PutOptions};
use dht_sim::{Crash, Nodes, World};

const SECOND: Duration = Duration::from_secs(1);
const NODES: usize = 12;
/// More than R and more than 20 % of them.
const LOST: std::ops::Range<usize> = 8..12;
const KEYS: usize = 400;
const VALUE_LEN: usize = 2000;
/// A call of a slot that is not served is given up after this.
const TIMEOUT: Duration = Duration::from_millis(300);
/// From a loss until the others have noticed.
const NOTICED: Duration = Duration::from_secs(15);
/// The longest that re-replication waits, and how long it takes then.
const HOLD: Duration = Duration::from_secs(60);
const MARGIN: Duration = Duration::from_secs(15);

type Data = BTreeMap<String, Bytes>;

fn config(replicas: usize) -> Config {
    Config { slot_bits: 8, replication_factor: replicas, ..Config::default() }
}

/// A ring at rest, and what is in it.
async fn ring(world: &World, config: Config) -> (Nodes, Data) {
    let mut nodes = Nodes::new(world.clone(), config);
    nodes.start(0, &[]).await.expect("it founds a ring");
    nodes.start_together(1..NODES, &[0]).await.expect("they join");
    nodes.settled(120 * SECOND).await.expect("the ring comes to rest");
    let mut data = Data::new();
    for n in 0..KEYS {
        let (key, value) = (format!("key-{n}"), Bytes::from(vec![n as u8; VALUE_LEN]));
        nodes
            .node(n % NODES)
            .put_bytes(key.as_bytes(), value.clone(), write(Consistency::All))
            .await
            .expect("it serves");
        data.insert(key, value);
    }
    nodes.settled(120 * SECOND).await.expect("all replicas are equal");
    (nodes, data)
}

fn read(level: Consistency) -> GetOptions {
    GetOptions { consistency: Some(level), timeout: Some(TIMEOUT) }
}

fn write(level: Consistency) -> PutOptions {
    PutOptions { consistency: Some(level), timeout: Some(TIMEOUT), ..PutOptions::default() }
}

/// How many of the running nodes hold re-replication.
fn holding(nodes: &Nodes) -> usize {
    nodes.running().into_iter().filter(|(_, dht)| dht.inspect().held).count()
}

/// Waits until so many nodes do.
async fn wait_for_holding(nodes: &Nodes, wanted: usize) {
    let look = async {
        while holding(nodes) != wanted {
            tokio::time::sleep(SECOND / 10).await;
        }
    };
    let waited = tokio::time::timeout(NOTICED, look).await;
    assert!(waited.is_ok(), "{} nodes hold after {NOTICED:?}, not {wanted}", holding(nodes));
}

/// Waits until every node knows all others as members.
async fn wait_for_all(nodes: &Nodes) {
    let sees_all = |dht: &dht_core::Dht| dht.ring().expect("it runs").nodes.len() == NODES;
    let look = async {
        while !nodes.running().iter().all(|(_, dht)| sees_all(dht)) {
            tokio::time::sleep(SECOND / 10).await;
        }
    };
    tokio::time::timeout(60 * SECOND, look).await.expect("one ring");
}

/// Records in all stores of the running nodes.
fn copies(nodes: &Nodes) -> usize {
    let of = |(_, dht): (usize, dht_core::Dht)| dht.statistics().expect("it runs").data_items_stored;
    nodes.running().into_iter().map(of).sum::<u64>() as usize
}

/// How many replicas of each key will survive the loss.
fn survivors(nodes: &Nodes, data: &Data) -> BTreeMap<String, usize> {
    let names: Vec<String> = LOST.map(dht_sim::nodes::name).collect();
    let of = |key: &String| {
        let list = nodes.node(0).locate(key).expect("it runs");
        (key.clone(), list.iter().filter(|node| !names.contains(&node.id)).count())
    };
    data.keys().map(of).collect()
}

async fn lose(nodes: &mut Nodes, lost: impl IntoIterator<Item = usize>) {
    for number in lost {
        nodes.crash(number, Crash::Machine).await;
    }
    wait_for_holding(nodes, nodes.running().len()).await;
}

/// Bytes of records that repair has asked for.
fn copied(world: &World) -> u64 {
    world.traffic().get("records").map_or(0, |(_, bytes)| *bytes)
}

/// A ring that is split in halves for 40 seconds. Returns the bytes that were copied.
async fn split(world: &World, guarded: bool) -> u64 {
    let (mut nodes, mut data) = ring(world, config(3)).await;
    if !guarded {
        nodes.running().iter().for_each(|(_, dht)| dht.switch_off_mass_loss_guard());
    }
    let before = copied(world);
    let half = |numbers: std::ops::Range<usize>| numbers.map(|n| world.address(n)).collect::<Vec<_>>();
    world.network().partition(&[&half(0..NODES / 2), &half(NODES / 2..NODES)]);
    if guarded {
        wait_for_holding(&nodes, NODES).await;
    }
    // Both sides go on: what they acknowledge must be there when they meet.
    let end = world.now() + 40 * SECOND;
    let mut acknowledged = 0;
    for n in 0.. {
        if world.now() >= end {
            break;
        }
        assert_eq!(holding(&nodes), if guarded { NODES } else { 0 });
        let (key, value) = (format!("split-{n}"), Bytes::from(format!("{n}")));
        let put = nodes.node(n % NODES).put_bytes(key.as_bytes(), value.clone(), write(Consistency::Quorum)).await;
        if put.is_ok() {
            acknowledged += 1;
            data.insert(key, value);
        }
        tokio::time::sleep(SECOND).await;
    }
    assert!(acknowledged > 0);
    world.network().heal();
    if guarded {
        wait_for_holding(&nodes, 0).await;
    }
    // Each half alone is well too.
    wait_for_all(&nodes).await;
    nodes.settled(180 * SECOND).await.expect("it heals");
    for (n, (key, value)) in data.iter().enumerate() {
        let found = nodes.node(n % NODES).get_bytes(key.as_bytes(), read(Consistency::All)).await;
        assert_eq!(found.expect("it serves").as_ref(), Some(value), "{key}");
    }
    nodes.stop().await;
    copied(world) - before
}

#[test]
fn a_split_that_heals_copies_little() {
    let (mut with, mut without) = (0, 0);
    for (guarded, bytes) in [(true, &mut with), (false, &mut without)] {
        calm(|world| async move { *bytes = split(&world, guarded).await });
    }
    println!("records copied in a split of 40 s: {with} bytes held, {without} bytes not");
    assert!(with * 2 < without, "{with} bytes with the hold, {without} without");
}

#[test]
fn nodes_that_do_not_come_back_are_replaced_when_the_hold_ends() {
    calm(|world| async move {
        let (mut nodes, data) = ring(&world, config(3)).await;
        let survivors = survivors(&nodes, &data);
        let with = |wanted: usize| survivors.iter().filter(move |(_, n)| **n == wanted).map(|(key, _)| key.clone());
        assert!((1..=3).all(|n| with(n).count() > 20), "each case is there");
        lose(&mut nodes, LOST).await;
        let begun = world.now();
        tokio::time::sleep(5 * SECOND).await;
        // Two copies are kept, one becomes two.
        let (least, all) =
            (3 * with(3).count() + 2 * (with(2).count() + with(1).count()), 3 * (KEYS - with(0).count()));
        let now = copies(&nodes);
        println!("copies while held: {now}, at least {least}, of {all}");
        assert!(now >= least, "{now} copies, {least} should be there at once");
        assert!(now < least + (all - least) / 2, "{now} copies: {least} to be there at once, {all} in the end");
        // By then a newcomer that asked in vain would have gone on without what it lacks.
        tokio::time::sleep(25 * SECOND).await;
        for (survived, level, works) in [
            (1, Consistency::One, true),
            (2, Consistency::One, true),
            (2, Consistency::Quorum, true),
            (2, Consistency::All, false),
            (3, Consistency::All, true),
        ] {
            for key in with(survived).take(5) {
                let found = nodes.node(0).get_bytes(key.as_bytes(), read(level)).await;
                assert_eq!(found.is_ok_and(|found| found.is_some()), works, "{survived} left, get of {level:?}");
                let put = nodes.node(0).put_bytes(key.as_bytes(), data[&key].clone(), write(level)).await;
                assert_eq!(put.is_ok(), works, "{survived} left, put of {level:?}: {put:?}");
            }
        }
        tokio::time::sleep(begun + HOLD - 10 * SECOND - world.now()).await;
        assert_eq!(holding(&nodes), NODES - LOST.len());
        nodes.settled(10 * SECOND + MARGIN).await.expect("all is replaced when the hold ends");
        assert_eq!((holding(&nodes), copies(&nodes)), (0, all));
        nodes.stop().await;
    });
}

#[test]
fn a_slot_down_to_one_copy_never_waits() {
    calm(|world| async move {
        let (mut nodes, data) = ring(&world, config(2)).await;
        let left = survivors(&nodes, &data).into_values().filter(|n| *n > 0).count();
        assert!(left < KEYS);
        lose(&mut nodes, LOST).await;
        tokio::time::sleep(5 * SECOND).await;
        assert_eq!(holding(&nodes), NODES - LOST.len());
        assert_eq!(copies(&nodes), 2 * left);
        nodes.stop().await;
    });
}

#[test]
fn nodes_join_and_leave_while_re_replication_is_held() {
    calm(|world| async move {
        // Every third node of a ring of one position each: each list loses one of its three.
        let (mut nodes, data) = ring(&world, Config { virtual_nodes: Some(1), ..config(3) }).await;
        let mut order: Vec<_> = nodes.node(0).ring().expect("it runs").nodes.into_iter().collect();
        order.sort_by(|a, b| a.positions.cmp(&b.positions));
        let number = |id: &str| (0..NODES).find(|n| dht_sim::nodes::name(*n) == id).expect("one of them");
        let order: Vec<usize> = order.iter().map(|n| number(&n.node.id)).collect();
        let before = copied(&world);
        let lost: Vec<usize> = order.iter().copied().step_by(3).collect();
        lose(&mut nodes, lost).await;
        tokio::time::sleep(5 * SECOND).await;
        assert_eq!(copied(&world), before, "two copies are enough to wait");
        let joined = tokio::time::timeout(5 * SECOND, nodes.start(NODES, &[order[1]])).await;
        let joined = joined.expect("it is told").expect("it starts");
        joined.wait_ready(5 * SECOND).await.expect("it does not wait for the hold");
        let begun = world.now();
        nodes.take(order[2]).leave(10 * SECOND).await.expect("all is handed over");
        assert!(world.now() - begun < 5 * SECOND, "it waited in vain to be caught up itself");
        // The new one was not there when the others were lost.
        assert_eq!(holding(&nodes), NODES - 4 - 1);
        for (key, value) in &data {
            let found = nodes.node(NODES).get_bytes(key.as_bytes(), read(Consistency::Quorum)).await;
            assert_eq!(found.expect("it serves").as_ref(), Some(value), "{key}");
        }
        nodes.stop().await;
    });
}
