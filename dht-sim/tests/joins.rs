//! Many join at once, and many leave: how long it takes, and what the calls of others notice of it.

use crate::common;
use crate::held;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{LATENCY, calm, with};
use dht_core::{Config, Dht, ErrorKind, GetOptions, PutOptions};
use dht_sim::{Latency, NetworkConfig, Nodes, World};
use held::{Start, pass};

const SECOND: Duration = Duration::from_secs(1);

fn config() -> Config {
    Config { slot_bits: 12, ..Config::default() }
}

/// One after the other they would take a third of a second each.
#[test]
fn eighty_that_start_at_once_are_a_ring_within_seconds() {
    calm(|world| async move {
        let mut nodes = Nodes::new(world.clone(), config());
        nodes.start(0, &[]).await.expect("it founds a ring");
        let begun = world.now();
        nodes.start_together(1..80, &[0]).await.expect("they join");
        nodes.settled(60 * SECOND).await.expect("the ring comes to rest");
        let took = world.now() - begun;
        assert!(took < 16 * SECOND, "{took:?}");
        nodes.stop().await;
    });
}

/// What a caller of quorum operations on keys of its own has seen.
#[derive(Default)]
struct Seen {
    calls: usize,
    stale: usize,
    slowest: Duration,
    errors: Vec<String>,
}

/// Writes and reads, each in turn, until told to stop.
async fn work(world: World, dht: Dht, caller: usize, over: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    let mut n: u64 = 0;
    while !over.load(Ordering::Relaxed) {
        let key = format!("caller-{caller}-{}", n % 64);
        let begun = world.now();
        if let Err(error) = dht.put_bytes(key.clone(), n.to_be_bytes().to_vec(), PutOptions::default()).await {
            seen.errors.push(format!("put of {key}: {error}"));
        }
        match dht.get_bytes(key.clone(), GetOptions::default()).await {
            Ok(found) => seen.stale += usize::from(found.as_deref() != Some(&n.to_be_bytes()[..])),
            Err(error) => seen.errors.push(format!("get of {key}: {error}")),
        }
        seen.slowest = seen.slowest.max(world.now() - begun);
        seen.calls += 2;
        n += 1;
    }
    seen
}

/// In a ring of 48 three enter at a time, so that some slots get two newcomers at once.
#[test]
fn quorum_calls_go_on_while_many_join_and_leave() {
    calm(|world| async move {
        let mut nodes = Nodes::new(world.clone(), config());
        nodes.form(48).expect("in range");
        let over = Arc::new(AtomicBool::new(false));
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..16 {
            callers.spawn(work(world.clone(), nodes.node(caller), caller, over.clone()));
        }
        nodes.start_together(48..78, &[0, 1, 2]).await.expect("they join");
        nodes.settled(60 * SECOND).await.expect("the ring comes to rest");
        let mut leaving = tokio::task::JoinSet::new();
        for number in 48..78 {
            let dht = nodes.take(number);
            leaving.spawn(async move { dht.leave(60 * SECOND).await });
            tokio::time::sleep(SECOND / 2).await;
        }
        for left in leaving.join_all().await {
            left.expect("it hands over");
        }
        over.store(true, Ordering::Relaxed);
        let seen = callers.join_all().await;
        let errors: Vec<&String> = seen.iter().flat_map(|seen| &seen.errors).collect();
        assert_eq!((errors.len(), seen.iter().map(|s| s.stale).sum::<usize>()), (0, 0), "{:?}", errors.first());
        assert!(seen.iter().map(|s| s.calls).sum::<usize>() > 10_000, "they did not go on");
        // A put and a get of a ring at rest take four times the latency each at most.
        let slowest = seen.iter().map(|s| s.slowest).max().unwrap_or_default();
        assert!(slowest < 8 * LATENCY + SECOND, "{slowest:?}");
        nodes.stop().await;
    });
}

/// A node whose seeds are silent is told to join elsewhere. When a seed comes up, in the same ring or in another, the node
/// is where it was, and its calls never stop to work.
#[test]
fn an_explicit_join_ends_the_search_for_silent_seeds() {
    for same_ring in [true, false] {
        calm(move |world| async move {
            let first = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
            first.put("key", &7).await.expect("it serves");
            let searching = Start::new(&world, &config(), &[9]).node(1).await.expect("it starts, in no ring");
            assert_eq!(searching.members().expect("it runs").len(), 1);
            searching.join(&[first.address()]).await.expect("the other is there");
            let seeds: &[usize] = if same_ring { &[0] } else { &[] };
            let late = Start::new(&world, &config(), seeds).node(9).await.expect("it starts");
            // Longer than a search waits between two tries; every look is between two messages.
            for _ in 0..20_000 {
                pass(Duration::from_millis(1)).await;
                let state = searching.node_info().expect("it runs").state;
                assert_eq!(state, "active", "after {:?}, same ring: {same_ring}", world.now());
            }
            for node in [&searching, &late] {
                let found: Option<i32> = node.get("key").await.expect("it is in a ring");
                assert_eq!(found, Some(7), "rings that are each other's seeds are one: {same_ring}");
            }
        });
    }
}

/// Two joins of one node at the same time: it is in one ring, whole, and both are told.
#[test]
fn two_joins_at_once_are_one_after_the_other() {
    calm(|world| async move {
        let first = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        let second = Start::new(&world, &config(), &[]).node(1).await.expect("it founds another");
        let joining = Start::new(&world, &config(), &[]).node(2).await.expect("it founds a third");
        joining.put("key", &7).await.expect("it serves");
        let (one, other) = ([first.address()], [second.address()]);
        let (here, there) = tokio::join!(joining.join(&one), joining.join(&other));
        here.expect("joined");
        there.expect("joined");
        for node in [&first, &second, &joining] {
            while node.view().1 < 3 {
                assert!(world.now() < 60 * SECOND, "{node:?} knows {} nodes", node.view().1);
                pass(SECOND).await;
            }
            node.wait_ready(60 * SECOND).await.expect("one ring");
            assert_eq!(node.get("key").await.expect("it serves"), Some(7));
        }
    });
}

/// A join that fails leaves nothing behind: it takes no longer than a call, and no ring that comes up later at that address is
/// looked for.
#[test]
fn a_join_that_failed_is_over() {
    calm(|world| async move {
        let node = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        let (begun, silent) = (world.now(), world.address(9));
        let failed = node.join(&[silent.as_str()]).await.expect_err("nobody is there");
        assert_eq!((failed.kind(), failed.maybe_applied()), (ErrorKind::Unreachable, false), "{failed}");
        assert!(world.now() - begun <= config().request_timeout, "{:?}", world.now() - begun);
        let late = Start::new(&world, &config(), &[]).node(9).await.expect("it founds another");
        pass(60 * SECOND).await;
        assert_eq!((node.view().1, late.view().1), (1, 1), "nobody joined the two");
        node.join(&[silent.as_str()]).await.expect("now it is there");
        assert_eq!(node.view().1, 2);
    });
}

/// The same of a join that its caller gave up.
#[test]
fn a_join_that_was_given_up_is_over() {
    calm(|world| async move {
        let node = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        let silent = world.address(9);
        let given_up = tokio::time::timeout(SECOND / 2, node.join(&[silent.as_str()])).await;
        assert!(given_up.is_err(), "nobody is there: {given_up:?}");
        let late = Start::new(&world, &config(), &[]).node(9).await.expect("it founds another");
        pass(60 * SECOND).await;
        assert_eq!((node.view().1, late.view().1), (1, 1), "nobody joined the two");
    });
}

/// One's own address in a list with that of another ring: that one hears of it, whichever of the two has the smaller id.
#[test]
fn a_join_of_two_rings_is_told_to_the_other_ring() {
    for swapped in [false, true] {
        calm(move |world| async move {
            let mut rings = Vec::new();
            for founder in [0, 10] {
                let first = Start::new(&world, &config(), &[]).node(founder).await.expect("it founds a ring");
                let second = Start::new(&world, &config(), &[founder]).node(founder + 1).await.expect("it joins");
                second.wait_ready(60 * SECOND).await.expect("it gets ready");
                rings.push((first, second));
            }
            let (mine, other) = if swapped { (&rings[1], &rings[0]) } else { (&rings[0], &rings[1]) };
            mine.0.join(&[mine.0.address(), other.0.address()]).await.expect("the other ring is there");
            // The news goes from one to the next; nobody has looked for seeds or dead nodes by then.
            pass(6 * LATENCY).await;
            for node in [&mine.0, &mine.1, &other.0, &other.1] {
                assert_eq!(node.view().1, 4, "{node:?}, swapped: {swapped}");
            }
        });
    }
}

/// Of a ring that goes over each node tells a few others, not all of them all that there are; and nobody is left behind.
#[test]
fn a_ring_that_goes_over_to_another_tells_some_who_tell_others() {
    const COUNT: usize = 30;
    for loss in [0.0, 0.05] {
        let network = NetworkConfig { latency: Latency::Fixed(LATENCY), loss, ..NetworkConfig::default() };
        with(network, |world| async move {
            let mut rings = Vec::new();
            for first in [0, COUNT] {
                let mut nodes = Nodes::new(world.clone(), config());
                nodes.start(first, &[]).await.expect("it founds a ring");
                nodes.start_together(first + 1..first + COUNT, &[first]).await.expect("they join");
                nodes.settled(60 * SECOND).await.expect("the ring comes to rest");
                rings.push(nodes);
            }
            rings[0].node(1).join(&[rings[1].node(COUNT + 1).address()]).await.expect("the other ring is there");
            pass(20 * SECOND).await;
            for (number, dht) in rings.iter().flat_map(Nodes::running) {
                assert_eq!(dht.view().1, 2 * COUNT, "node {number}");
            }
            let (told, _) = world.traffic().get("merge").copied().unwrap_or_default();
            assert!(told <= 10 * COUNT as u64, "{told} messages told {COUNT} nodes of it");
            for nodes in &mut rings {
                nodes.stop().await;
            }
        });
    }
}

/// A client is told to be where it is, like any node.
#[test]
fn a_client_says_that_it_has_joined() {
    calm(|world| async move {
        let first = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        let client = Config { virtual_nodes: Some(0), ..config() };
        let client = Start::new(&world, &client, &[]).node(1).await.expect("it starts unjoined");
        let state = |node: &Dht| node.node_info().expect("it runs").state;
        assert_eq!(state(&client), "joining");
        client.join(&[first.address()]).await.expect("the ring is there");
        assert_eq!(state(&client), "active");
        assert_eq!(first.members().expect("it runs").len(), 1, "it is no member");
    });
}

/// A call under way ends when its node is stopped, not at its own deadline.
#[test]
fn a_stop_ends_reads_and_joins_under_way() {
    calm(|world| async move {
        let mut nodes = Nodes::new(world.clone(), config());
        nodes.form(3).expect("in range");
        let node = nodes.node(0);
        for silent in [1, 2] {
            nodes.crash(silent, dht_sim::Crash::Machine).await;
        }
        let minute = GetOptions { timeout: Some(60 * SECOND), ..GetOptions::default() };
        let reading = node.clone();
        let read = tokio::spawn(async move { reading.get_bytes("key", minute).await });
        let writing = node.clone();
        let options = PutOptions { timeout: Some(60 * SECOND), ..PutOptions::default() };
        // Of this node's own keys: a write that is sent to another owner ends with that.
        let writes = (0..12).map(|key| {
            let writing = writing.clone();
            tokio::spawn(async move { writing.put_with(format!("key-{key}"), &key, options).await })
        });
        let writes: Vec<_> = writes.collect();
        let (joining, silent) = (node.clone(), world.address(9));
        let join = tokio::spawn(async move { joining.join(&[silent.as_str()]).await });
        pass(SECOND / 10).await;
        let begun = world.now();
        node.stop().await;
        for ended in [read.await.expect("no panic").err(), join.await.expect("no panic").err()] {
            let error = ended.expect("it was stopped");
            assert_eq!(error.kind(), ErrorKind::Stopped, "{error}");
        }
        for write in writes {
            let error = write.await.expect("no panic").expect_err("two of three are silent");
            assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Stopped, true), "{error}");
        }
        assert!(world.now() - begun < SECOND, "{:?}", world.now() - begun);
        nodes.stop().await;
    });
}

#[test]
fn a_name_service_that_does_not_answer_holds_up_no_start_and_no_join() {
    calm(|world| async move {
        world.network().hold_name("slow.test:7000");
        let first = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        let begun = world.now();
        let joining = Start { named: &["slow.test:7000"], ..Start::new(&world, &config(), &[0]) };
        let second = joining.node(1).await.expect("the other seed is there");
        assert!(world.now() - begun < 2 * SECOND, "{:?}", world.now() - begun);
        second.wait_ready(5 * SECOND).await.expect("it has joined");
        let begun = world.now();
        let error = first.join(&["slow.test:7000"]).await.expect_err("nobody knows where that is");
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(world.now() - begun <= 2 * SECOND, "{:?}", world.now() - begun);
        first.stop().await;
        second.stop().await;
    });
}

/// The smallest of the seeds founds where the others are silent. Of one whose name is not known yet nobody knows that.
#[test]
fn no_ring_is_founded_beside_one_whose_name_is_told_late() {
    calm(|world| async move {
        world.network().hold_name("slow.test:7000");
        let ring = Start::new(&world, &config(), &[]).node(1).await.expect("it founds a ring");
        ring.put("key", &1).await.expect("it serves");
        let first = Start { named: &["slow.test:7000"], ..Start::new(&world, &config(), &[0]) };
        let first = first.node(0).await.expect("it goes on trying");
        tokio::time::sleep(5 * SECOND).await;
        let error = first.get::<i32>("key").await.expect_err("it is in no ring");
        assert_eq!(error.kind(), ErrorKind::NotJoined, "{error}");
        world.network().name("slow.test:7000", vec![world.address(1)]);
        first.wait_ready(10 * SECOND).await.expect("it has joined");
        assert_eq!(first.get::<i32>("key").await.expect("it serves"), Some(1));
        first.stop().await;
        ring.stop().await;
    });
}

/// Fifteen addresses at which nobody is, before the one that lets a node in, over a slow link: it takes three round trips there, and
/// the silent ones share no time with it.
#[test]
fn many_silent_seeds_leave_time_for_the_one_that_answers() {
    let network = NetworkConfig { latency: Latency::Fixed(SECOND * 7 / 100), ..NetworkConfig::default() };
    with(network, |world| async move {
        let _member = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        let seeds: Vec<usize> = (10..25).chain([0]).collect();
        let node = Start::new(&world, &config(), &seeds).node(1).await.expect("it starts");
        assert_eq!(node.node_info().expect("it runs").state, "active", "it had two seconds");
        assert_eq!(node.view().1, 2);
    });
}

/// A node that has served alone joins a ring of two: what it was told is there for everybody when the join returns, and who adds to a
/// value adds to that one.
#[test]
fn who_joins_brings_what_it_was_told() {
    const KEYS: usize = 200;
    calm(|world| async move {
        let first = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        let second = Start::new(&world, &config(), &[0]).node(1).await.expect("it joins");
        for node in [&first, &second] {
            node.wait_ready(60 * SECOND).await.expect("it gets ready");
        }
        let lone = Start::new(&world, &config(), &[]).node(2).await.expect("it founds another");
        for n in 0..KEYS {
            lone.put(format!("key-{n}"), &5).await.expect("it serves");
            lone.put(format!("counter-{n}"), &5).await.expect("it serves");
        }
        lone.join(&[first.address()]).await.expect("it is let in");
        for node in [&first, &second, &lone] {
            for n in 0..KEYS {
                let found: Option<i64> = node.get(format!("key-{n}")).await.expect("it serves");
                assert_eq!(found, Some(5), "key-{n} at {node:?}");
            }
        }
        for n in 0..KEYS {
            let sum = second.increment(format!("counter-{n}"), 1).await.expect("it serves");
            assert_eq!(sum, 6, "counter-{n}");
        }
    });
}
