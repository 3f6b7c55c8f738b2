//! A node that has ended leaves nothing behind: no task, no descriptor, no thread, no memory. One test, since it looks
//! at the whole process.

#![cfg_attr(not(target_os = "linux"), allow(unused))]
#![allow(unsafe_code, reason = "an allocator cannot be written without; it only counts and passes on")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use common::{PATIENCE, start, until};
use dht_core::{Config, Dht, ErrorKind};

/// Bytes by which the memory in use may grow over all cycles: a hundred for each. What one node holds is above 1 MiB.
const GROWTH_MAX: i64 = 100 * CYCLES as i64;
/// Cycles before the measurement: allocator, runtime and name service take what they will ever take.
const WARM_UP: usize = 100;
const CYCLES: usize = 1_000;

/// What a process holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Held {
    tasks: usize,
    descriptors: usize,
    threads: usize,
}

impl Held {
    fn now() -> Self {
        let count = |path: &str| std::fs::read_dir(path).expect("Linux has it").count();
        Self {
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
        }
    }

    fn exceeds(self, before: Self) -> bool {
        self.tasks > before.tasks || self.descriptors > before.descriptors || self.threads > before.threads
    }
}

/// The system's allocator, counting what is in use. (Resident memory also grows with what the allocator keeps for later.)
struct Counting;

static IN_USE: AtomicI64 = AtomicI64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is the system allocator's, with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size() as i64, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        IN_USE.fetch_add(size as i64 - layout.size() as i64, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn quick() -> Config {
    Config { request_timeout: Duration::from_millis(500), ..Config::default() }
}

async fn start_and_stop() {
    let node = start(quick()).await;
    node.put("k", &1).await.expect("alone");
    node.stop().await;
}

async fn drop_without_stop() {
    let node = start(quick()).await;
    node.put("k", &1).await.expect("alone");
    drop(node);
}

async fn join_and_leave() {
    let first = start(quick()).await;
    let second = start(Config { seeds: vec![first.address()], ..quick() }).await;
    second.put("k", &1).await.expect("two nodes");
    second.leave(PATIENCE).await.expect("it hands over");
    assert_eq!(first.get::<i32>("k").await.expect("its data is here"), Some(1));
    first.leave(PATIENCE).await.expect("nobody to hand over to");
}

async fn join_and_drop_both() {
    let first = start(quick()).await;
    let second = start(Config { seeds: vec![first.address()], ..quick() }).await;
    first.put("k", &1).await.expect("two nodes");
    drop((first, second));
}

/// Calls of a node in no ring wait; each is in flight when the node stops.
async fn stop_with_calls_in_flight() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let seeds = vec![silent.local_addr().expect("bound").to_string()];
    let node = start(Config { seeds, request_timeout: Duration::from_millis(1), ..Config::default() }).await;
    let patient = dht_core::PutOptions { timeout: Some(PATIENCE), ..dht_core::PutOptions::default() };
    let calls: Vec<_> = (0..20).map(|i| spawn_put(&node, i, patient)).collect();
    until("the calls wait", || calls.iter().all(|call| !call.is_finished())).await;
    node.stop().await;
    for call in calls {
        let result = call.await.expect("no panic");
        assert_eq!(result.expect_err("the node has stopped").kind(), ErrorKind::Stopped);
    }
}

fn spawn_put(
    node: &Dht,
    i: usize,
    options: dht_core::PutOptions,
) -> tokio::task::JoinHandle<dht_core::Result<dht_core::PutOutcome>> {
    let node = node.clone();
    tokio::spawn(async move { node.put_with(format!("k{i}"), &i, options).await })
}

/// Calls to a peer are under way when either side stops.
async fn stop_amid_traffic() {
    let first = start(quick()).await;
    let second = start(Config { seeds: vec![first.address()], ..quick() }).await;
    let calls: Vec<_> = (0..20).map(|i| spawn_put(&second, i, dht_core::PutOptions::default())).collect();
    first.stop().await;
    second.stop().await;
    for call in calls {
        // Whatever came of it: it ended.
        drop(call.await.expect("no panic"));
    }
}

async fn cycle(number: usize) {
    match number % 50 {
        10 => drop_without_stop().await,
        20 => join_and_leave().await,
        30 => join_and_drop_both().await,
        40 => stop_with_calls_in_flight().await,
        45 => stop_amid_traffic().await,
        _ => start_and_stop().await,
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_nodes_leave_nothing_behind() {
    let fresh = Held::now();
    for number in 0..WARM_UP {
        cycle(number).await;
    }
    until("the warm-up is over", || Held::now().tasks <= fresh.tasks).await;
    let before = Held::now();
    let in_use = IN_USE.load(Relaxed);
    for number in 0..CYCLES {
        cycle(number).await;
    }
    // A node that is only dropped ends in the background.
    until("all tasks have ended", || Held::now().tasks <= before.tasks).await;
    until("everything is closed", || !Held::now().exceeds(before)).await;
    let growth = IN_USE.load(Relaxed) - in_use;
    println!("{CYCLES} cycles: {before:?} before, {:?} after; {growth} bytes more memory", Held::now());
    assert!(growth <= GROWTH_MAX, "{growth} bytes more memory after {CYCLES} cycles");
}

#[cfg(not(target_os = "linux"))]
#[test]
fn a_thousand_nodes_leave_nothing_behind() {
    println!("skipped: only Linux tells a process what it holds in a way that this test can read");
}
