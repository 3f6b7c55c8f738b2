//! What the distributed hash table costs where nothing is distributed: `get` at level one on a node that holds the slot,
//! and `put` on a ring of one, beside a bare sharded map. Also shows that neither makes a system call: the same process
//! under strace makes as many for many operations as for few.
//!
//! `cargo bench -p dht-core --bench local`; a plain program, which prints a table.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::process::Command;
use std::sync::Mutex;

use bytes::Bytes;
use dht_core::{Config, Consistency, Dht, Env, GetOptions, PutOptions};
use futures_util::FutureExt;
use sha2::{Digest, Sha256};

const KEYS: usize = 10_000;
const VALUE_LEN: usize = 100;
const OPERATIONS: usize = 100_000;
const ROUNDS: usize = 21;
/// The slots of the default configuration.
const SLOTS: usize = 1 << 14;

/// Tells this program, run by itself under strace, what to do how often.
const WORK: &str = "DHT_BENCH_WORK";

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Ok(work) = std::env::var(WORK) {
        let (name, operations) = work.split_once(' ').expect("a name and a number");
        let operations = operations.parse().expect("a number");
        runtime.block_on(async {
            let subject = Subject::new().await;
            // Everything is allocated once before the difference is made.
            subject.run(name, 2 * KEYS);
            subject.run(name, operations);
            subject.stop().await;
        });
        return;
    }
    // `cargo test --benches` only wants to know that it runs.
    let (rounds, operations) =
        if std::env::args().any(|arg| arg == "--bench") { (ROUNDS, OPERATIONS) } else { (1, 2 * KEYS) };
    runtime.block_on(async {
        let subject = Subject::new().await;
        times(&subject, rounds, operations);
        subject.stop().await;
    });
    system_calls(operations);
}

/// The nodes and the maps that are measured, all with the same keys.
struct Subject {
    keys: Vec<Vec<u8>>,
    value: Bytes,
    alone: Dht,
    /// Of another ring of two, where each holds every slot.
    replica: Dht,
    owner: Dht,
    sharded: Sharded,
}

/// The name, what it is compared with, and what it is.
const ROWS: &[(&str, &str, &str)] = &[
    ("map-get", "map-get", "bare map: get"),
    ("map-slot-get", "map-get", "bare map: get, with SHA-256 of the key and its slot"),
    ("get-one", "map-get", "dht: get at level one, on a replica of a ring of two"),
    ("get-alone", "map-get", "dht: get on a ring of one"),
    ("map-put", "map-put", "bare map: put"),
    ("map-slot-put", "map-put", "bare map: put, with SHA-256 of the key and its slot"),
    ("put-alone", "map-put", "dht: put on a ring of one"),
];

impl Subject {
    async fn new() -> Self {
        let keys: Vec<Vec<u8>> = (0..KEYS).map(|i| format!("user:{i:08}:profile").into_bytes()).collect();
        let value = Bytes::from(vec![7; VALUE_LEN]);
        let alone = Dht::start(Config::default()).await.expect("it starts");
        let owner = Dht::start(Config::default()).await.expect("it starts");
        let sharded = Sharded::new();
        for key in &keys {
            for node in [&alone, &owner] {
                node.put_bytes(key, value.clone(), PutOptions::default()).await.expect("alone");
            }
            sharded.put(key, value.clone());
            sharded.put_slot(key, value.clone());
        }
        let seeds = vec![owner.address()];
        let replica = Dht::start(Config { seeds, ..Config::default() }).await.expect("it joins");
        replica.wait_ready(std::time::Duration::from_secs(60)).await.expect("it catches up");
        Self { keys, value, alone, replica, owner, sharded }
    }

    /// Carries out `operations` of a kind, each of which must be done at the first poll.
    fn run(&self, name: &str, operations: usize) {
        let keys = || self.keys.iter().cycle().take(operations);
        let one = GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() };
        let get = |node: &Dht, key: &[u8], options| {
            let found = node.get_bytes(key, options).now_or_never().expect("it does not wait").expect("it is here");
            assert!(black_box(found).is_some_and(|value| value.len() == VALUE_LEN));
        };
        let here = |found: Option<Bytes>| assert!(black_box(found).is_some_and(|value| value.len() == VALUE_LEN));
        match name {
            "map-get" => keys().for_each(|key| here(self.sharded.get(key))),
            "map-slot-get" => keys().for_each(|key| here(self.sharded.get_slot(key))),
            "get-one" => keys().for_each(|key| get(&self.replica, key, one)),
            "get-alone" => keys().for_each(|key| get(&self.alone, key, GetOptions::default())),
            "map-put" => keys().for_each(|key| self.sharded.put(key, self.value.clone())),
            "map-slot-put" => keys().for_each(|key| self.sharded.put_slot(key, self.value.clone())),
            "put-alone" => keys().for_each(|key| {
                let put = self.alone.put_bytes(key, self.value.clone(), PutOptions::default());
                black_box(put.now_or_never().expect("it does not wait").expect("alone"));
            }),
            other => panic!("no such work: {other}"),
        }
    }

    async fn stop(self) {
        for node in [self.alone, self.replica, self.owner] {
            node.stop().await;
        }
    }
}

fn times(subject: &Subject, rounds: usize, operations: usize) {
    let clock = Env::system();
    let mut ns: Vec<Vec<f64>> = ROWS.iter().map(|_| Vec::new()).collect();
    // Round by round, so that whatever else the machine does meets all of them.
    for _ in 0..=rounds {
        for ((name, ..), ns) in ROWS.iter().zip(&mut ns) {
            let begun = clock.now();
            subject.run(name, operations);
            ns.push((clock.now() - begun).as_secs_f64() * 1e9 / operations as f64);
        }
    }
    for ns in &mut ns {
        // The first round warms up.
        ns.remove(0);
        ns.sort_by(f64::total_cmp);
    }
    let median = |ns: &[f64]| ns[ns.len() / 2];
    println!(
        "{rounds} rounds of {operations} operations, one thread, {KEYS} keys, {VALUE_LEN} bytes of value; ns each"
    );
    println!("{:<56} {:>7} {:>7} {:>7} {:>7} {:>6}", "", "median", "p10", "p90", "max", "ratio");
    for ((_, base, title), row) in ROWS.iter().zip(&ns) {
        let base = ROWS.iter().position(|(name, ..)| name == base).unwrap_or_default();
        let at = |q: usize| row[(row.len() - 1) * q / 100];
        let ratio = median(row) / median(&ns[base]);
        println!("{title:<56} {:>7.0} {:>7.0} {:>7.0} {:>7.0} {ratio:>6.2}", median(row), at(10), at(90), at(100));
    }
}

/// Counts system calls of this program for few and for many operations; the difference is what operations cost.
fn system_calls(operations: usize) {
    println!(
        "\nsystem calls for {operations} operations more, by strace -f -c (starting the nodes takes a few more or fewer):"
    );
    for (name, _, title) in ROWS.iter().filter(|(name, ..)| name.starts_with("get") || name.starts_with("put")) {
        // What happens by the clock (heartbeats) and by chance differs from run to run: the least of three.
        let counts = |operations| (0..3).filter_map(|_| traced(name, operations)).min();
        match (counts(1), counts(operations)) {
            (Some(few), Some(many)) => println!("{title:<56} {:>7}", many as i64 - few as i64),
            _ => println!("{title:<56} skipped: strace is not here or may not trace"),
        }
    }
}

/// How many system calls this program makes in all for so many operations.
fn traced(name: &str, operations: usize) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-U", "calls,name"]).arg(program).env(WORK, format!("{name} {operations}"));
    let output = strace.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stderr).ok()?;
    let total = text.lines().rev().find(|line| line.trim_end().ends_with("total"))?;
    total.split_whitespace().next()?.parse().ok()
}

type Shard = Mutex<hashbrown::HashMap<Vec<u8>, Bytes, foldhash::fast::FixedState>>;

/// The fastest thing of that kind that safe Rust offers without effort: shards behind short locks.
struct Sharded {
    hasher: foldhash::fast::FixedState,
    shards: Box<[Shard]>,
    /// As many as a ring has slots, found by the top bits of the key's SHA-256.
    slots: Box<[Shard]>,
}

impl Sharded {
    const SHARDS: usize = 64;

    fn new() -> Self {
        let shards = |count| (0..count).map(|_| Shard::default()).collect();
        Self { hasher: Default::default(), shards: shards(Self::SHARDS), slots: shards(SLOTS) }
    }

    fn shard(&self, key: &[u8]) -> &Shard {
        // The top bits: the map itself uses the others.
        &self.shards[(self.hasher.hash_one(key) >> 58) as usize % Self::SHARDS]
    }

    fn slot(&self, key: &[u8]) -> &Shard {
        let digest = Sha256::digest(key);
        &self.slots[usize::from(u16::from_be_bytes([digest[0], digest[1]])) >> 2]
    }

    fn get(&self, key: &[u8]) -> Option<Bytes> {
        get(self.shard(key), key)
    }

    fn get_slot(&self, key: &[u8]) -> Option<Bytes> {
        get(self.slot(key), key)
    }

    fn put(&self, key: &[u8], value: Bytes) {
        put(self.shard(key), key, value);
    }

    fn put_slot(&self, key: &[u8], value: Bytes) {
        put(self.slot(key), key, value);
    }
}

fn get(shard: &Shard, key: &[u8]) -> Option<Bytes> {
    shard.lock().expect("nothing panics under it").get(key).cloned()
}

fn put(shard: &Shard, key: &[u8], value: Bytes) {
    drop(shard.lock().expect("nothing panics under it").insert(key.to_vec(), value));
}
