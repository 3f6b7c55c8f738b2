//! Many real nodes of one process on loopback: how long a ring takes to form when all join at once, what a node, a member
//! it knows and a connection take of memory, and what the nodes cost at rest. Every line is a process of its own.
//!
//! `cargo bench -p dht-core --bench many [-- NAME]`; a plain program for Linux, which prints a table. Two threads, as many
//! descriptors as the machine allows (`prlimit`). Only `thousand` shares: node records and views (`SharedRing`).

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dht_core::store::MemoryStore;
use dht_core::transport::{Hello, TcpOptions, TcpTransport, Transport, UdpTransport};
use dht_core::{Config, Dht, Env, Foundation, NetworkProtocol, NodeId, SharedRing};

/// Tells this program, run by itself, which line to measure.
const WORK: &str = "DHT_BENCH_WORK";
/// Room for the descriptors of both ends of all connections.
const DESCRIPTORS: u64 = 1 << 17;
const FORMED_MAX: Duration = Duration::from_secs(600);
/// A ring that has formed compares and gossips for a while.
const CALM: Duration = Duration::from_secs(45);
const WATCHED: Duration = Duration::from_secs(30);

/// One ring.
#[derive(Clone, Copy)]
struct Line {
    name: &'static str,
    nodes: usize,
    vnodes: u16,
    slot_bits: u8,
    connections_max: usize,
    protocol: NetworkProtocol,
    shares: bool,
    /// What was planned, printed beside what was measured.
    aim: &'static str,
}

const PLAIN: Line = Line {
    name: "hundred",
    nodes: 100,
    vnodes: 16,
    slot_bits: 14,
    connections_max: 1_024,
    protocol: NetworkProtocol::Tcp,
    shares: false,
    aim: "64 KiB a node and 512 B a known member",
};

const LINES: [Line; 10] = [
    Line { name: "fifty", nodes: 50, aim: "", ..PLAIN },
    PLAIN,
    // Beside the one above: what a connection takes.
    Line { name: "capped", connections_max: 24, aim: "", ..PLAIN },
    Line { name: "vnodes", vnodes: 200, aim: "formed within 20 s", ..PLAIN },
    Line {
        name: "thousand",
        nodes: 1_000,
        connections_max: 16,
        shares: true,
        aim: "formed within 60 s; half a core",
        ..PLAIN
    },
    Line { name: "thousand-v1", nodes: 1_000, vnodes: 1, connections_max: 16, shares: true, aim: "", ..PLAIN },
    Line {
        name: "thousand-udp",
        nodes: 1_000,
        connections_max: 16,
        protocol: NetworkProtocol::Udp,
        shares: true,
        aim: "",
        ..PLAIN
    },
    // What a ring that is to grow costs while it is small.
    Line { name: "slots-16", nodes: 3, slot_bits: 16, aim: "", ..PLAIN },
    Line { name: "slots-18", nodes: 3, slot_bits: 18, aim: "", ..PLAIN },
    Line { name: "slots-20", nodes: 3, slot_bits: 20, aim: "", ..PLAIN },
];

fn main() {
    if let Ok(work) = std::env::var(WORK) {
        return measure(&work);
    }
    // `cargo test --benches` only wants to know that it runs.
    let timed = std::env::args().any(|arg| arg == "--bench");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let names: Vec<&str> = if timed { LINES.iter().map(|line| line.name).collect() } else { vec!["few"] };
    for name in names.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|w| w == name)) {
        let program = std::env::current_exe().expect("this program");
        let status = Command::new(program).env(WORK, name).status().expect("it runs");
        assert!(status.success(), "{status}");
    }
}

fn measure(work: &str) {
    // Where it is refused the limit stays as it is, and connections that do not fit fail loudly.
    let limit = |most: u64| {
        let (pid, files) = (std::process::id().to_string(), format!("--nofile={most}:{most}"));
        Command::new("prlimit").args(["--pid", &pid, &files]).output().is_ok_and(|done| done.status.success())
    };
    if !limit(DESCRIPTORS) {
        let hard = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let hard = hard.lines().find(|line| line.starts_with("Max open files"));
        let hard = hard.and_then(|line| line.split_whitespace().nth(4)?.parse().ok());
        limit(hard.unwrap_or(1_024));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let few = Line { name: "few", nodes: 3, ..PLAIN };
    let line = LINES.iter().chain([&few]).find(|line| line.name == work).expect("a line");
    runtime.block_on(ring(*line));
}

async fn ring(line: Line) {
    let Line { name, nodes, vnodes, aim, .. } = line;
    let shared = line.shares.then(Arc::<SharedRing>::default);
    let env = Env::system();
    let (before, begun) = (resident(), env.now());
    let first = start(line, 0, Vec::new(), shared.clone()).await;
    let seeds = vec![first.0.address()];
    let mut starting = tokio::task::JoinSet::new();
    for number in 1..nodes {
        starting.spawn(start(line, number, seeds.clone(), shared.clone()));
    }
    let mut all = starting.join_all().await;
    all.push(first);
    let started = env.now() - begun;
    loop {
        let whole = (all[0].0.view().0, nodes);
        if all.iter().all(|(dht, _)| dht.view() == whole) {
            break;
        }
        let least = all.iter().map(|(dht, _)| dht.view().1).min().unwrap_or(0);
        assert!((env.now() - begun) < FORMED_MAX, "no ring of {nodes}: the smallest view has {least}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let one_view = env.now() - begun;
    for (dht, _) in &all {
        dht.wait_ready(FORMED_MAX).await.expect("it catches up");
    }
    let (formed, busy) = ((env.now() - begun), processor());
    let calm = if name == "few" { Duration::ZERO } else { CALM };
    tokio::time::sleep(calm).await;
    let (cpu, traffic) = (processor(), sent(&all));
    tokio::time::sleep(calm.min(WATCHED)).await;
    let (used, messages) = ((processor() - cpu).as_secs_f64(), sent(&all) - traffic);
    let seconds = calm.min(WATCHED).as_secs_f64().max(f64::MIN_POSITIVE);
    let ends: u64 = all.iter().map(|(_, transport)| transport.traffic().connections).sum();
    println!(
        "{name:>12}: {nodes} nodes, {vnodes} positions each: started {:.1} s, one view {:.1} s, ready {:.1} s ({:.1} s of \
         processor); at rest {:.1} KiB and {:.1} ends of connections a node, {:.2} of a core, {:.1} messages/s a node {}",
        started.as_secs_f64(),
        one_view.as_secs_f64(),
        formed.as_secs_f64(),
        busy.as_secs_f64(),
        resident().saturating_sub(before) as f64 / nodes as f64 / 1024.0,
        ends as f64 / nodes as f64,
        used / seconds,
        messages as f64 / seconds / nodes as f64,
        if aim.is_empty() { String::new() } else { format!("[aim: {aim}]") },
    );
    for (dht, _) in &all {
        dht.stop().await;
    }
}

type Running = (Dht, Arc<dyn Transport>);

async fn start(line: Line, number: usize, seeds: Vec<String>, shared: Option<Arc<SharedRing>>) -> Running {
    let config = Config {
        node_id: format!("node-{number}"),
        virtual_nodes: Some(line.vnodes),
        slot_bits: line.slot_bits,
        max_connections: line.connections_max,
        network_protocol: line.protocol,
        seeds,
        ..Config::default()
    };
    let env = Env::system();
    let boot = env.random_u64().max(1);
    let options = options(&config, boot);
    let transport: Arc<dyn Transport> = match line.protocol {
        NetworkProtocol::Tcp => Arc::new(TcpTransport::bind(options, env.clone()).await.expect("a free port")),
        _ => Arc::new(UdpTransport::bind(options, env.clone()).await.expect("a free port")),
    };
    let address = transport.local_address();
    let store = Arc::new(MemoryStore::of(&config).expect("in range"));
    let foundation = Foundation { transport: transport.clone(), store, env, address, boot, shared };
    (Dht::start_with(config, foundation).await.expect("it starts"), transport)
}

fn options(config: &Config, boot: u64) -> TcpOptions {
    TcpOptions {
        security: None,
        bind: Some("127.0.0.1:0".to_owned()),
        hello: Hello::new(&config.cluster_name, NodeId::new(&config.node_id), boot, false),
        buffer_size: config.buffer_size,
        max_connections: config.max_connections,
        frame_max: 64 << 20,
        connect_timeout: config.request_timeout,
    }
}

fn sent(all: &[Running]) -> u64 {
    all.iter().map(|(_, transport)| transport.traffic().messages_sent).sum()
}

/// Bytes of this process in memory; 0 where that is not told.
fn resident() -> u64 {
    let pages = |text: String| text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    std::fs::read_to_string("/proc/self/statm").ok().and_then(pages).unwrap_or(0) * 4096
}

/// Processor time of this process so far, of all threads; clock ticks are hundredths of a second on Linux.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may hold spaces.
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
