//! What a node does with ten times what it can serve, and what callers of others notice of a peer that stands still.
//!
//! Overload: gets of 100 bytes at level one, of a node whose store takes 200 µs for each, so that neither the wire nor
//! whoever asks is the limit. Its peak is what 16 callers in a loop get. Then an open loop (callers that come at random
//! moments and wait for nobody): 0.7 of the peak, ten times the peak, 0.7 again. The other end is the transport of a node
//! of the same ring on a thread of its own; its last row tells whether that thread kept up.
//!
//! One peer stopped: a caller in a loop at a healthy node, alone, while 64 others ask a third node, and while that one is
//! stopped by SIGSTOP (another process) and they go on asking it.
//!
//! `cargo bench -p dht-core --bench overload`; a plain program, which prints two tables. Needs `kill`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use dht_core::transport::{Transport, TransportError};
use dht_core::wire::message::Response;
use dht_core::{Consistency, Dht, Env, ErrorKind, GetOptions, PutOptions};
use rig::{Recording, SERVICE, node, ring_config, runtime};
use tokio::sync::oneshot;

#[path = "overload/rig.rs"]
mod rig;
#[path = "overload/table.rs"]
mod table;

use table::{Row, at, print};

/// How long each part of a round takes, and how many rounds there are.
#[derive(Clone, Copy)]
struct Plan {
    rounds: usize,
    calm: Duration,
    overload: Duration,
    after: Duration,
    stopped_calls: usize,
}

const REAL: Plan = Plan {
    rounds: 7,
    calm: Duration::from_secs(3),
    // What comes in before an overload is known, its first tenth of a second, waits for all that came before.
    overload: Duration::from_secs(20),
    after: Duration::from_secs(6),
    stopped_calls: 20_000,
};

/// `cargo test --benches` only wants to know that it runs.
const BRIEF: Plan = Plan {
    rounds: 1,
    calm: Duration::from_millis(100),
    overload: Duration::from_millis(100),
    after: Duration::ZERO,
    stopped_calls: 20,
};

fn main() {
    let mut arguments = std::env::args();
    if arguments.by_ref().any(|argument| argument == "--peer") {
        let seed = arguments.next().expect("an address");
        return runtime().block_on(peer(&seed));
    }
    let plan = if std::env::args().any(|argument| argument == "--bench") { REAL } else { BRIEF };
    let (tell, told) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    #[expect(clippy::disallowed_methods, reason = "a benchmark of two threads")]
    let far = std::thread::spawn(move || {
        runtime().block_on(async {
            let (node, _, slow) = node("far", &[]).await;
            tell.send((node.clone(), slow)).expect("it waits for this");
            stopped.await.expect("told to stop");
            node.stop().await;
        });
    });
    let (far_node, slow) = told.recv().expect("the other thread starts");
    runtime().block_on(async {
        let (near, transport, _) = node("near", &[&far_node]).await;
        near.wait_ready(Duration::from_secs(30)).await.expect("it catches up");
        overload(&near, &far_node, &transport, &slow, plan).await;
        one_stopped(&near, &far_node, plan).await;
        near.stop().await;
        stop.send(()).expect("it waits for this");
    });
    far.join().expect("no panic");
}

/// How long each call waits, as by default.
const CALL_MAX: Duration = Duration::from_secs(2);

/// What became of the gets of one open loop.
#[derive(Default)]
struct Outcomes {
    /// By the moment at which the caller came, since the loop began.
    answered: Vec<(Duration, Duration)>,
    refused: Vec<Duration>,
    other: usize,
    offered: usize,
    /// How late the loop made its calls, at the 99th percentile.
    late_us: f64,
}

impl Outcomes {
    fn accepted(&self) -> Vec<Duration> {
        let mut times: Vec<_> = self.answered.iter().map(|(_, took)| *took).collect();
        times.sort_unstable();
        times
    }
}

async fn overload(near: &Dht, far: &Dht, transport: &Arc<Recording>, slow: &AtomicBool, plan: Plan) {
    let key = key_of(near, far);
    near.put_bytes(&key, vec![7; 100], PutOptions::default()).await.expect("kept");
    slow.store(true, Relaxed);
    let mut rows: Vec<Vec<f64>> = Vec::new();
    let watch = Watch::of(near, far);
    for _ in 0..plan.rounds {
        let peak = peak(near, &key, plan.calm).await;
        let calm = open_loop(transport, peak * 0.7, plan.calm).await;
        let before = rig::memory_kib();
        let over = open_loop(transport, peak * 10.0, plan.overload).await;
        let grown = rig::memory_kib().saturating_sub(before);
        let after = open_loop(transport, peak * 0.7, plan.calm.max(plan.after)).await;
        let (calm_times, over_times) = (calm.accepted(), over.accepted());
        let mut refused = over.refused.clone();
        refused.sort_unstable();
        let goodput = over_times.len() as f64 / plan.overload.as_secs_f64();
        let normal_after = back_to_normal(&after, at(&calm_times, 0.99) * 2.0);
        rows.push(vec![
            peak,
            over.offered as f64 / plan.overload.as_secs_f64() / peak,
            goodput / peak,
            at(&calm_times, 0.99) / 1e3,
            at(&over_times, 0.99) / 1e3,
            at(&over_times, 0.99) / at(&calm_times, 0.99),
            at(&over_times, 1.0) / 1e3,
            at(&refused, 0.5) / 1e3,
            at(&refused, 0.99) / 1e3,
            (calm.refused.len() + calm.other) as f64 / calm.offered.max(1) as f64 * 100.0,
            over.other as f64,
            normal_after.as_secs_f64(),
            grown as f64 / 1024.0,
            over.late_us / 1e3,
        ]);
    }
    slow.store(false, Relaxed);
    let suspicions = watch.end();
    println!("\nten times the peak, a store of {SERVICE:?} a get; {} rounds", plan.rounds);
    print(
        &[
            Row("peak, gets a second", 0, ""),
            Row("offered, times the peak", 1, ""),
            Row("answered, of the peak", 2, ">= 0.90"),
            Row("p99 at 0.7 of the peak, ms", 2, ""),
            Row("p99 of what is answered, ms", 2, ""),
            Row("ratio of these", 2, "<= 3"),
            Row("longest wait of what is answered, ms", 1, ""),
            Row("p50 until `Overloaded`, ms", 2, ""),
            Row("p99 until `Overloaded`, ms", 2, "<= 5"),
            Row("refused at 0.7 of the peak, %", 2, "0"),
            Row("ended in another way", 0, "0"),
            Row("seconds until normal", 2, "<= 5"),
            Row("memory grown, MiB", 1, ""),
            Row("p99 of how late the loop calls, ms", 2, ""),
        ],
        &rows,
    );
    println!("times that the node was not seen active: {suspicions} (aim 0)");
}

/// A key that this node owns.
fn key_of(near: &Dht, owner: &Dht) -> String {
    let owned = |key: &String| near.locate(key).expect("it runs").first().is_some_and(|n| n.id == owner.node_id());
    (0..).map(|n| format!("user:{n:08}:profile")).find(owned).expect("it owns some")
}

fn one() -> GetOptions {
    GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() }
}

/// Gets a second of 16 callers in a loop.
async fn peak(near: &Dht, key: &str, length: Duration) -> f64 {
    let env = Env::system();
    let end = env.now() + length;
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let (near, key, env) = (near.clone(), key.to_owned(), env.clone());
            tokio::spawn(async move {
                let mut answered = 0;
                while env.now() < end {
                    answered += usize::from(near.get_bytes(&key, one()).await.is_ok());
                }
                answered
            })
        })
        .collect();
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.expect("no panic");
    }
    answered as f64 / length.as_secs_f64()
}

/// Callers that come at random, `rate` a second on average, whatever becomes of those before.
async fn open_loop(transport: &Arc<Recording>, rate: f64, length: Duration) -> Outcomes {
    let env = Env::system();
    let begun = env.now();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (to, call) = transport.fetch();
    let (mut next, mut offered, mut late) = (begun, 0, Vec::new());
    while next < begun + length {
        let now = env.now();
        if now < next {
            tokio::task::yield_now().await;
            continue;
        }
        let asked = transport.call(&to, call.clone(), now + CALL_MAX);
        let (clock, tell) = (env.clone(), tell.clone());
        tokio::spawn(async move {
            let kind = match asked.await {
                Ok(reply) => match reply.body {
                    Response::Failure(error) => Some(error.kind()),
                    _ => None,
                },
                Err(TransportError::Overloaded(_)) => Some(ErrorKind::Overloaded),
                Err(_) => Some(ErrorKind::Timeout),
            };
            // The loop waits for all of them.
            tell.send((now, clock.now() - now, kind)).ok();
        });
        offered += 1;
        late.push(now - next);
        // Exponential pauses: arrivals that know nothing of each other.
        let uniform = (env.random_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        next += Duration::from_secs_f64(-(1.0 - uniform).ln() / rate);
    }
    drop(tell);
    late.sort_unstable();
    let mut outcomes = Outcomes { offered, late_us: at(&late, 0.99), ..Outcomes::default() };
    while let Some((came, took, kind)) = told.recv().await {
        match kind {
            None => outcomes.answered.push((came - begun, took)),
            Some(ErrorKind::Overloaded) => outcomes.refused.push(took),
            Some(_) => outcomes.other += 1,
        }
    }
    outcomes
}

/// After which quarter of a second no more than 2 % of the gets took longer than `usual_us`.
fn back_to_normal(after: &Outcomes, usual_us: f64) -> Duration {
    const PART: Duration = Duration::from_millis(250);
    let slow = |part: u32| {
        let within = |came: Duration| came >= PART * part && came < PART * (part + 1);
        let times: Vec<_> = after.answered.iter().filter(|(came, _)| within(*came)).map(|(_, took)| *took).collect();
        let slow = times.iter().filter(|took| took.as_secs_f64() * 1e6 > usual_us).count();
        slow * 50 > times.len()
    };
    let parts = after.answered.iter().map(|(came, _)| (came.as_millis() / PART.as_millis()) as u32).max().unwrap_or(0);
    let last_slow = (0..parts).rev().find(|part| slow(*part));
    last_slow.map_or(Duration::ZERO, |part| PART * (part + 1))
}

/// Counts how often one node is not active in the eyes of the other.
struct Watch {
    seen: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Watch {
    fn of(near: &Dht, far: &Dht) -> Self {
        let seen = Arc::new(AtomicUsize::new(0));
        let (near, far, count) = (near.clone(), far.node_id(), seen.clone());
        let task = tokio::spawn(async move {
            loop {
                let members = near.members().expect("it runs");
                count.fetch_add(usize::from(members.iter().any(|n| n.id == far && n.state != "active")), Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { seen, task }
    }

    fn end(self) -> usize {
        self.task.abort();
        self.seen.load(Relaxed)
    }
}

/// Another process that is to be stopped.
async fn peer(seed: &str) {
    let config = dht_core::Config { seeds: vec![seed.to_owned()], ..ring_config("peer", &[]) };
    let node = Dht::start(config).await.expect("it starts");
    node.wait_ready(Duration::from_secs(30)).await.expect("it catches up");
    println!("ready");
    let mut line = String::new();
    #[expect(clippy::disallowed_methods, reason = "waits for the end of the input")]
    tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut line)).await.expect("no panic").ok();
    node.stop().await;
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs");
    assert!(status.success(), "kill {name}");
}

async fn one_stopped(near: &Dht, healthy: &Dht, plan: Plan) {
    let mut rows = Vec::new();
    for _ in 0..plan.rounds {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--peer", &near.address()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        #[expect(clippy::disallowed_methods, reason = "this thread is a member of the ring meanwhile")]
        let ready = tokio::task::spawn_blocking(move || output.lines().next());
        ready.await.expect("no panic").expect("a line").expect("it says when it is ready");
        near.wait_ready(Duration::from_secs(30)).await.expect("they agree");
        let peer_id = near.members().expect("it runs").iter().find(|n| n.id == "peer" && n.state == "active").is_some();
        assert!(peer_id, "the peer is active");
        let key = key_of(near, healthy);
        near.put_bytes(&key, vec![7; 100], PutOptions::default()).await.expect("kept");
        let theirs = (0..)
            .map(|n| format!("other:{n:08}"))
            .find(|key| near.locate(key).expect("it runs").first().is_some_and(|n| n.id == "peer"))
            .expect("it owns some");
        let alone = closed_loop(near, &key, plan.stopped_calls).await;
        // As many callers as a busy program has, none of them busier than it must be to be in the way.
        let others = tokio::spawn(ask_for_ever(near.clone(), theirs));
        let beside = closed_loop(near, &key, plan.stopped_calls).await;
        signal(&child, "-STOP");
        let meanwhile = closed_loop(near, &key, plan.stopped_calls).await;
        signal(&child, "-CONT");
        others.abort();
        drop(child.stdin.take());
        child.wait().expect("it ends with its input");
        near.wait_ready(Duration::from_secs(60)).await.expect("it catches up");
        let p99 = [&alone, &beside, &meanwhile].map(|times| at(times, 0.99));
        let p50 = [&alone, &beside, &meanwhile].map(|times| at(times, 0.5));
        rows.push(vec![p50[0], p50[2], p99[0], p99[1], p99[2], p99[2] / p99[0], p99[2] / p99[1]]);
    }
    println!("\none peer stopped, 64 callers a millisecond apart who ask it; {} rounds", plan.rounds);
    print(
        &[
            Row("p50 at another peer, alone, us", 1, ""),
            Row("p50 while one is stopped, us", 1, ""),
            Row("p99 at another peer, alone, us", 1, ""),
            Row("p99 beside calls to the one that runs, us", 1, ""),
            Row("p99 while it is stopped, us", 1, ""),
            Row("ratio to alone", 2, "<= 2"),
            Row("ratio to beside calls", 2, "<= 2"),
        ],
        &rows,
    );
}

/// Sorted times of calls one after the other.
async fn closed_loop(near: &Dht, key: &str, calls: usize) -> Vec<Duration> {
    let env = Env::system();
    let mut times = Vec::with_capacity(calls);
    let sent = || near.statistics().expect("it runs").messages_sent;
    let sent_before = sent();
    for _ in 0..calls {
        let begun = env.now();
        let found = near.get_bytes(key, one()).await.expect("answered");
        times.push(env.now() - begun);
        assert_eq!(found.expect("it is there").len(), 100);
    }
    assert!(sent() - sent_before >= calls as u64, "each went to the other node");
    times.sort_unstable();
    times
}

async fn ask_for_ever(near: Dht, key: String) {
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (near, key) = (near.clone(), key.clone());
        callers.spawn(async move {
            loop {
                // Whatever comes of it: it may be stopped.
                drop(near.get_bytes(&key, one()).await);
                tokio::time::sleep(Duration::from_millis(64)).await;
            }
        });
    }
    while callers.join_next().await.is_some() {}
}
