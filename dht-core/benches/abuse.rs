//! What honest callers notice of 10,000 connections that say nothing, or a byte of a hello each second, and dial again
//! when they are closed: the times of gets of 100 bytes from another node, alone and meanwhile, and how long a new node
//! takes to get its first answer, in several rounds. The hostile ones are another process; the nodes are two threads of
//! this one.
//!
//! `ulimit -n 20000; cargo bench -p dht-core --bench abuse`; a plain program, which prints a table.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use dht_core::{Config, Consistency, Dht, Env, GetOptions, PutOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

const KEY: &str = "user:00001234:profile";
const HOSTILE: usize = 10_000;
const ROUNDS: usize = 7;
const OPERATIONS: usize = 50_000;
const NEWCOMERS: usize = 50;
/// What is told of each round, and of which times.
const ROWS: &[(&str, f64)] = &[("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];
const NEW_ROWS: &[(&str, f64)] = &[("a new node's first answer, p50", 0.5), ("the slowest of them", 1.0)];

fn main() {
    let mut arguments = std::env::args();
    if arguments.by_ref().any(|argument| argument == "--hostile") {
        let address = arguments.next().expect("an address");
        let count = arguments.next().and_then(|text| text.parse().ok()).expect("a count");
        return runtime().block_on(hostile(&address, count));
    }
    // `cargo test --benches` only wants to know that it runs.
    let real = std::env::args().any(|argument| argument == "--bench");
    let (rounds, hostile, operations, newcomers) =
        if real { (ROUNDS, HOSTILE, OPERATIONS, NEWCOMERS) } else { (1, 100, 50, 2) };
    let (tell, told) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    #[expect(clippy::disallowed_methods, reason = "a benchmark of two threads")]
    let far = std::thread::spawn(move || {
        runtime().block_on(async {
            let node = Dht::start(Config::default()).await.expect("it starts");
            node.put_bytes(KEY, vec![7; 100], PutOptions::default()).await.expect("kept");
            tell.send(node.clone()).expect("it waits for this");
            stopped.await.expect("told to stop");
            node.stop().await;
        });
    });
    let there = told.recv().expect("the other thread starts");
    runtime().block_on(async {
        let near = Dht::start(client(&there)).await.expect("it starts");
        near.wait_ready(Duration::from_secs(10)).await.expect("it finds the other");
        let mut figures = vec![Vec::new(); ROWS.len() + NEW_ROWS.len()];
        let (before, mut most) = (memory_kib(), 0);
        for _ in 0..rounds {
            let alone = (times(&near, operations).await, newcomers_times(&there, newcomers).await);
            let attack = Attack::of(&there, hostile);
            let meanwhile = (times(&near, operations).await, newcomers_times(&there, newcomers).await);
            most = most.max(memory_kib());
            attack.end();
            let (old, new) = figures.split_at_mut(ROWS.len());
            for (row, (_, q)) in old.iter_mut().zip(ROWS) {
                row.push((at(&alone.0, *q), at(&meanwhile.0, *q)));
            }
            for (row, (_, q)) in new.iter_mut().zip(NEW_ROWS) {
                row.push((at(&alone.1, *q), at(&meanwhile.1, *q)));
            }
        }
        let counted = there.statistics().expect("it runs");
        println!("{hostile} hostile connections, {} shown out in {rounds} rounds", counted.misbehaviours);
        println!("| gets of 100 bytes, us | alone | meanwhile | ratio |\n|---|---|---|---|");
        for ((name, _), figures) in ROWS.iter().chain(NEW_ROWS).zip(&figures) {
            row(name, figures);
        }
        println!("memory of the process: {before} KiB before, {most} KiB meanwhile at most");
        near.stop().await;
        stop.send(()).expect("it waits for this");
    });
    far.join().expect("no panic");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A node that holds nothing.
fn client(there: &Dht) -> Config {
    Config { virtual_nodes: Some(0), seeds: vec![there.address()], ..Config::default() }
}

/// Sorted.
async fn times(near: &Dht, operations: usize) -> Vec<Duration> {
    let env = Env::system();
    let options = GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() };
    let mut times = Vec::with_capacity(operations);
    for _ in 0..operations {
        let begun = env.now();
        let found = near.get_bytes(KEY, options).await.expect("answered");
        times.push(env.now() - begun);
        assert_eq!(found.expect("it is there").len(), 100);
    }
    times.sort_unstable();
    times
}

/// Sorted: from the start of a node to its first answer.
async fn newcomers_times(there: &Dht, count: usize) -> Vec<Duration> {
    let env = Env::system();
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = env.now();
        let newcomer = Dht::start(client(there)).await.expect("it starts");
        newcomer.get_bytes(KEY, GetOptions::default()).await.expect("answered").expect("it is there");
        times.push(env.now() - begun);
        newcomer.stop().await;
    }
    times.sort_unstable();
    times
}

fn at(times: &[Duration], q: f64) -> f64 {
    let place = (times.len() as f64 * q).ceil() as usize;
    times[place.clamp(1, times.len()) - 1].as_secs_f64() * 1e6
}

/// Of all rounds the median (least to most): alone, meanwhile, and the ratio within a round.
fn row(name: &str, rounds: &[(f64, f64)]) {
    let of = |figure: fn(&(f64, f64)) -> f64, digits: usize| {
        let mut all: Vec<f64> = rounds.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        format!("{:.digits$} ({:.digits$} to {:.digits$})", all[all.len() / 2], all[0], all[all.len() - 1])
    };
    println!("| {name} | {} | {} | {} |", of(|r| r.0, 0), of(|r| r.1, 0), of(|r| r.1 / r.0, 2));
}

/// The process of the hostile connections.
struct Attack(Child);

impl Attack {
    /// Returns when all are open.
    fn of(there: &Dht, count: usize) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(["--hostile", &there.address(), &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program runs");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("it says when all are there");
        Self(process)
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("it ends with its input");
    }
}

fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Opens `count` connections, says so, and keeps as many open until its input ends: every other one is silent, the
/// others send the first bytes of a hello, one a second.
async fn hostile(address: &str, count: usize) {
    let (opened, mut all_open) = tokio::sync::mpsc::channel(count);
    for number in 0..count {
        let (address, opened) = (address.to_owned(), opened.clone());
        tokio::spawn(async move {
            let mut opened = Some(opened);
            loop {
                let Ok(mut socket) = TcpStream::connect(&address).await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                if let Some(opened) = opened.take() {
                    opened.send(()).await.expect("all are waited for");
                }
                for byte in [0xd4, 0x7a, 1, 1, 0, 0, 0, 100].into_iter().cycle() {
                    let closed = tokio::time::timeout(Duration::from_secs(1), socket.read(&mut [0; 64])).await.is_ok();
                    if closed || number % 2 == 0 && socket.write_all(&[byte]).await.is_err() {
                        break;
                    }
                }
                // Who is shown out takes a second to come again, as with ten thousand callers at one door.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }
    drop(opened);
    for _ in 0..count {
        all_open.recv().await;
    }
    println!("{count}");
    std::io::stdout().flush().expect("somebody reads");
    #[expect(clippy::disallowed_methods, reason = "waits for the end of the input beside the connections")]
    std::thread::spawn(|| {
        std::io::stdin().lines().count();
        std::process::exit(0);
    });
    std::future::pending().await
}
