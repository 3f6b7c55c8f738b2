//! `get` at level one on a node that holds the slot, and `put` on a ring of one: answered at the first poll, without a
//! task switch, without a message, and without leaving the processor. `benches/local.rs` shows the times, and by strace
//! that there is no system call.

mod common;

use common::{PATIENCE, join, start, stop};
use dht_core::{Config, Consistency, Dht, GetOptions, PutOptions};
use futures_util::FutureExt;

const OPERATIONS: usize = 100_000;
const KEYS: usize = 1_000;

fn one() -> GetOptions {
    GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() }
}

/// A value at the first poll, or the test has failed.
fn at_once<T>(what: &str, call: impl Future<Output = dht_core::Result<T>>) -> T {
    let first_poll = call.now_or_never();
    first_poll.unwrap_or_else(|| panic!("{what} waits")).unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn get(node: &Dht, i: usize) -> usize {
    at_once("get at level one", node.get_with::<usize>(key(i), one())).expect("it was put")
}

fn key(i: usize) -> String {
    format!("key-{}", i % KEYS)
}

/// What the calling thread has asked of the system: times that it waited, reads and writes.
fn waits_and_calls() -> Option<[u64; 3]> {
    let read = |path: &str, name: &str| -> Option<u64> {
        let text = std::fs::read_to_string(path).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
    };
    let waits = read("/proc/thread-self/status", "voluntary_ctxt_switches:")?;
    Some([waits, read("/proc/thread-self/io", "syscr:")?, read("/proc/thread-self/io", "syscw:")?])
}

/// Runs `work` twice, the first time to warm up; what the second run asked of the system beyond the measuring itself.
fn asked_of_the_system(mut work: impl FnMut()) -> Option<[u64; 3]> {
    work();
    let measuring = {
        let before = waits_and_calls()?;
        let after = waits_and_calls()?;
        [0, 1, 2].map(|i| after[i] - before[i])
    };
    let before = waits_and_calls()?;
    work();
    let after = waits_and_calls()?;
    Some([0, 1, 2].map(|i| (after[i] - before[i]).saturating_sub(measuring[i])))
}

// One thread: what it does not do itself, nobody does.
#[tokio::test]
async fn get_at_level_one_where_the_slot_is_held() {
    let first = start(Config::default()).await;
    for i in 0..KEYS {
        first.put(key(i), &i).await.expect("alone");
    }
    let second = join(&first, Config::default()).await;
    first.wait_ready(PATIENCE).await.expect("two nodes");
    for node in [&first, &second] {
        let messages = node.statistics().expect("it runs").messages_sent;
        let asked = asked_of_the_system(|| (0..OPERATIONS).for_each(|i| assert_eq!(get(node, i), i % KEYS)));
        match asked {
            Some(asked) => assert_eq!(asked, [0; 3], "waits, reads, writes in {OPERATIONS} gets"),
            None => println!("skipped in part: this machine does not show what a thread asked of the system"),
        }
        assert_eq!(node.statistics().expect("it runs").messages_sent, messages, "no message");
        assert!(at_once("a miss", node.get_with::<usize>("never put", one())).is_none());
    }
    stop(vec![first, second]).await;
}

#[tokio::test]
async fn put_and_get_on_a_ring_of_one() {
    let node = start(Config::default()).await;
    let put = |i: usize| at_once("put", node.put(key(i), &i));
    let asked = asked_of_the_system(|| {
        for i in 0..OPERATIONS {
            assert_eq!(put(i).acks, 1);
        }
    });
    match asked {
        Some(asked) => assert_eq!(asked, [0; 3], "waits, reads, writes in {OPERATIONS} puts"),
        None => println!("skipped in part: this machine does not show what a thread asked of the system"),
    }
    for i in 0..KEYS {
        let found = at_once("get at any level", node.get::<usize>(key(i)));
        assert_eq!(found, Some(OPERATIONS - KEYS + i));
    }
    at_once("put of bytes", node.put_bytes("bytes", vec![1; 1 << 16], PutOptions::default()));
    assert!(at_once("delete", node.delete("bytes")));
    assert!(!at_once("delete of nothing", node.delete("bytes")));
    assert_eq!(node.statistics().expect("it runs").messages_sent, 0);
    node.stop().await;
}
