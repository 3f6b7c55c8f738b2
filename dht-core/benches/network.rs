//! What a remote call costs beyond the system calls under it: a get of 100 bytes from a node that does not hold the key,
//! over datagrams and over TCP, plain, with a cluster_key and with certificates, beside a bare tokio ping-pong of messages of the same lengths on the same two threads.
//! For both ends on one processor, on two, and wherever the scheduler puts them: waking a thread on another processor
//! costs more than all the rest, so only figures of one placement compare.
//!
//! `cargo bench -p dht-core --bench network`; a plain program, which prints a table. Needs Linux and `taskset`.

use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;

use authority::{Authority, Files};
use dht_core::{Config, Consistency, Dht, Env, GetOptions, NetworkProtocol, PutOptions, Secret, TlsConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;

#[path = "../tests/common/authority.rs"]
mod authority;

const VALUE_LEN: usize = 100;
const KEY: &str = "user:00001234:profile";
const ROUNDS: usize = 21;
const OPERATIONS: usize = 1_000;

/// What the other thread has.
struct Far {
    nodes: Vec<String>,
    udp: std::net::SocketAddr,
    tcp: std::net::SocketAddr,
    thread: String,
}

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let (rounds, operations) =
        if std::env::args().any(|arg| arg == "--bench") { (ROUNDS, OPERATIONS) } else { (1, 20) };
    let authority = Arc::new(Authority::new());
    let (tell, told) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    #[expect(clippy::disallowed_methods, reason = "a benchmark of two threads")]
    let far = {
        let authority = authority.clone();
        std::thread::spawn(move || runtime().block_on(serve(&authority, tell, stopped)))
    };
    let there = told.recv().expect("the other thread listens");
    runtime().block_on(async {
        let mut near = Near::new(&there, &authority).await;
        near.measure(&there, rounds, operations).await;
        for node in &near.nodes {
            node.stop().await;
        }
        stop.send(()).expect("it waits for this");
    });
    far.join().expect("no panic");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// How a node is spoken to.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    protocol: NetworkProtocol,
    security: Security,
    /// The way to compare with: the same without security.
    plain: usize,
}

#[derive(Clone, Copy)]
enum Security {
    None,
    Key,
    Tls,
}

/// All ways, in the order of everything here.
const WAYS: [Way; 5] = [
    Way { name: "UDP", protocol: NetworkProtocol::Udp, security: Security::None, plain: 0 },
    Way { name: "UDP key", protocol: NetworkProtocol::Udp, security: Security::Key, plain: 0 },
    Way { name: "TCP", protocol: NetworkProtocol::Tcp, security: Security::None, plain: 2 },
    Way { name: "TCP key", protocol: NetworkProtocol::Tcp, security: Security::Key, plain: 2 },
    Way { name: "TCP TLS", protocol: NetworkProtocol::Tcp, security: Security::Tls, plain: 2 },
];

impl Way {
    fn config(self, node_id: &str, authority: &Authority) -> Config {
        let config = Config { network_protocol: self.protocol, ..Config::default() };
        match self.security {
            Security::None => config,
            Security::Key => Config { cluster_key: Some(Secret::new("a secret of this benchmark")), ..config },
            Security::Tls => {
                let Files { cert, key, ca } = authority.node(node_id);
                Config { tls: Some(TlsConfig { cert, key, ca }), ..config }
            }
        }
    }
}

/// The other thread: a node of each kind with the key, and two echoes.
async fn serve(authority: &Authority, tell: mpsc::Sender<Far>, stopped: oneshot::Receiver<()>) {
    let mut nodes = Vec::new();
    for way in WAYS {
        let node = Dht::start(way.config("far", authority)).await.expect("it starts");
        node.put_bytes(KEY, vec![7; VALUE_LEN], PutOptions::default()).await.expect("kept");
        nodes.push(node);
    }
    let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let far = Far {
        nodes: nodes.iter().map(Dht::address).collect(),
        udp: udp.local_addr().expect("bound"),
        tcp: listener.local_addr().expect("bound"),
        thread: this_thread(),
    };
    tell.send(far).expect("it waits for this");
    let datagrams = async {
        let mut buffer = [0; 2_000];
        loop {
            let (_, from) = udp.recv_from(&mut buffer).await.expect("no error");
            // The first two bytes say how long the answer is.
            let len = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
            udp.send_to(&buffer[..len], from).await.expect("no error");
        }
    };
    let connections = async {
        loop {
            let (mut socket, _) = listener.accept().await.expect("no error");
            socket.set_nodelay(true).expect("no error");
            let mut buffer = [0; 2_000];
            // The next four bytes say how long the question is.
            while let Ok(len) = socket.read(&mut buffer).await
                && len > 0
            {
                let word = |at: usize| usize::from(u16::from_be_bytes([buffer[at], buffer[at + 1]]));
                let (answer, question) = (word(0), word(2));
                assert_eq!(len, question, "one small write arrives as one");
                socket.write_all(&buffer[..answer]).await.expect("no error");
            }
        }
    };
    tokio::select! {
        biased;
        _ = stopped => {}
        () = datagrams => {}
        () = connections => {}
    }
    for node in nodes {
        node.stop().await;
    }
}

/// This thread: clients of the nodes, and sockets to the echoes.
struct Near {
    nodes: Vec<Dht>,
    udp: UdpSocket,
    tcp: TcpStream,
    /// Bytes of one get there and back, per way.
    lens: Vec<(usize, usize)>,
}

impl Near {
    async fn new(far: &Far, authority: &Authority) -> Self {
        let (mut nodes, mut lens) = (Vec::new(), Vec::new());
        for (way, address) in WAYS.into_iter().zip(&far.nodes) {
            let seeds = vec![address.clone()];
            let config = Config { seeds, virtual_nodes: Some(0), ..way.config("near", authority) };
            let node = Dht::start(config).await.expect("it starts");
            node.wait_ready(std::time::Duration::from_secs(30)).await.expect("ready");
            lens.push(message_lens(&node).await);
            nodes.push(node);
        }
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let tcp = TcpStream::connect(far.tcp).await.expect("listening");
        tcp.set_nodelay(true).expect("no error");
        Self { nodes, udp, tcp, lens }
    }

    async fn measure(&mut self, far: &Far, rounds: usize, operations: usize) {
        println!("one remote get of {VALUE_LEN} bytes, one caller, beside a bare ping-pong of the same lengths");
        println!("microseconds at the median of {operations}, of {rounds} rounds: median (p10 to p90)\n");
        for (placement, cpus) in [("one CPU", ["0", "0"]), ("two CPUs", ["0", "1"]), ("free", ["0-1", "0-1"])] {
            for (thread, cpu) in [this_thread(), far.thread.clone()].iter().zip(cpus) {
                let ran = Command::new("taskset").args(["-p", "-c", cpu, thread]).output();
                assert!(ran.is_ok_and(|ran| ran.status.success()), "taskset -p -c {cpu} {thread}");
            }
            let mut rows = [const { (Vec::new(), Vec::new()) }; WAYS.len()];
            // The first round only warms up.
            for round in 0..=rounds {
                for (at, way) in WAYS.into_iter().enumerate() {
                    let lens = self.lens[at];
                    let dht = get(&self.nodes[at], operations).await;
                    let bare = match way.protocol {
                        NetworkProtocol::Udp => datagrams(&self.udp, far.udp, lens, operations).await,
                        _ => stream(&mut self.tcp, lens, operations).await,
                    };
                    if round > 0 {
                        rows[at].0.push(dht);
                        rows[at].1.push(bare);
                    }
                }
            }
            for (at, way) in WAYS.into_iter().enumerate() {
                let (dht, bare) = &rows[at];
                let ratios = |others: &[f64]| spread(&dht.iter().zip(others).map(|(a, b)| a / b).collect::<Vec<_>>());
                let (there, back) = self.lens[at];
                let to_plain = match way.plain == at {
                    true => String::new(),
                    false => format!("   to plain {}", ratios(&rows[way.plain].0)),
                };
                println!(
                    "{placement:<9} {:<8} {there} and {back} bytes   dht {}   bare {}   ratio {}{to_plain}",
                    way.name,
                    spread(dht),
                    spread(bare),
                    ratios(bare),
                );
            }
        }
    }
}

/// Bytes that one get sends and receives: the fewest of many, as maintenance goes on beside it.
async fn message_lens(node: &Dht) -> (usize, usize) {
    let mut lens = (usize::MAX, usize::MAX);
    for _ in 0..50 {
        let before = node.statistics().expect("it runs");
        get(node, 1).await;
        let after = node.statistics().expect("it runs");
        let sent = (after.bytes_sent - before.bytes_sent) as usize;
        let received = (after.bytes_received - before.bytes_received) as usize;
        lens = lens.min((sent, received));
    }
    lens
}

async fn get(node: &Dht, operations: usize) -> f64 {
    let options = GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() };
    let mut times = Vec::with_capacity(operations);
    let env = Env::system();
    for _ in 0..operations {
        let begun = env.now();
        let found = node.get_bytes(KEY, options).await.expect("an answer");
        times.push(env.now() - begun);
        assert_eq!(found.map(|value| value.len()), Some(VALUE_LEN));
    }
    median_us(times)
}

async fn datagrams(socket: &UdpSocket, to: std::net::SocketAddr, (there, back): (usize, usize), n: usize) -> f64 {
    let (question, mut buffer) = (question(there, back), [0; 2_000]);
    let (env, mut times) = (Env::system(), Vec::with_capacity(n));
    for _ in 0..n {
        let begun = env.now();
        socket.send_to(&question, to).await.expect("sent");
        let (len, _) = socket.recv_from(&mut buffer).await.expect("an answer");
        times.push(env.now() - begun);
        assert_eq!(len, back);
    }
    median_us(times)
}

async fn stream(socket: &mut TcpStream, (there, back): (usize, usize), n: usize) -> f64 {
    let (question, mut buffer) = (question(there, back), vec![0; back]);
    let (env, mut times) = (Env::system(), Vec::with_capacity(n));
    for _ in 0..n {
        let begun = env.now();
        socket.write_all(&question).await.expect("sent");
        socket.read_exact(&mut buffer).await.expect("an answer");
        times.push(env.now() - begun);
    }
    median_us(times)
}

/// Says how long the answer is to be, and how long it is itself.
fn question(len: usize, answer: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    bytes[..2].copy_from_slice(&u16::try_from(answer).expect("short").to_be_bytes());
    bytes[2..4].copy_from_slice(&u16::try_from(len).expect("short").to_be_bytes());
    bytes
}

fn median_us(mut times: Vec<std::time::Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_nanos() as f64 / 1_000.0
}

fn spread(values: &[f64]) -> String {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| values[(values.len() - 1) * percent / 100];
    format!("{:.2} ({:.2} to {:.2})", at(50), at(10), at(90))
}

/// Its number, as the system has it.
fn this_thread() -> String {
    let path = std::fs::read_link("/proc/thread-self").expect("Linux");
    path.file_name().expect("a number").to_string_lossy().into_owned()
}
