//! Runs a scenario: a current-thread runtime on a paused clock, a network, and what everything random is derived
//! from, all from one seed. A failure tells the seed, the last lines of the trace, and the command that repeats it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use dht_core::{Address, Env};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::network::{NetworkConfig, SimNetwork};
use crate::nodes::Clock;
use crate::trace::Trace;

/// Wall time at the start of every run, in Unix milliseconds: 2026-01-01 00:00:00 UTC.
pub const WALL_START_MS: u64 = 1_767_225_600_000;

/// How a run is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The scenario's name, for the command that repeats a failure.
    pub name: String,
    /// Everything random follows from it.
    pub seed: u64,
    /// The network at the start.
    pub network: NetworkConfig,
    /// Virtual time after which a scenario that has not ended has failed. Default: 6 hours.
    pub time_max: Duration,
    /// Lines of the trace to print with a failure. Default: 40.
    pub tail_max: usize,
}

impl Setup {
    /// A run with default limits.
    pub fn new(name: &str, seed: u64, network: NetworkConfig) -> Self {
        Self { name: name.to_owned(), seed, network, time_max: Duration::from_secs(6 * 3600), tail_max: 40 }
    }
}

/// What a run came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The run's seed.
    pub seed: u64,
    /// Hash of every message and fault.
    pub trace: u128,
    /// Messages that were sent, the network's own included.
    pub messages: u64,
    /// Bytes of the messages, without framing.
    pub bytes: u64,
    /// How long the run took on the paused clock.
    pub virtual_time: Duration,
    /// The last faults and steps of the scenario.
    pub notes: Vec<String>,
    /// The last lines of the trace.
    pub tail: Vec<String>,
    /// What the scenario counted.
    pub counts: BTreeMap<String, u64>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, trace, messages, virtual_time, .. } = self;
        write!(f, "seed {seed} trace {trace:032x} messages {messages} virtual {:.3} s", virtual_time.as_secs_f64())
    }
}

/// A run that did not hold.
#[derive(Debug, thiserror::Error)]
#[error("scenario {name} failed with {summary}: {reason}\nlast of the trace:\n{}\nnotes:\n{}\nto repeat it: {}", summary.tail.join("\n"), summary.notes.join("\n"), self.command())]
pub struct Failure {
    /// The scenario.
    pub name: String,
    /// What was wrong.
    pub reason: String,
    /// How far the run had come.
    pub summary: Summary,
}

impl Failure {
    /// The command that runs the scenario with this seed again.
    pub fn command(&self) -> String {
        format!("cargo run -p dht-sim --release -- --scenario {} --seed {}", self.name, self.summary.seed)
    }
}

/// What a scenario acts on; clones are handles on the same world.
#[derive(Clone)]
pub struct World {
    seed: u64,
    network: SimNetwork,
    env: Env,
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl World {
    /// A world inside a runtime that somebody else made. [`run`] is the usual way.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(seed: u64, network: NetworkConfig, trace: Trace) -> Self {
        let network = SimNetwork::with_trace(derived(seed, "network"), network, trace);
        let env = Env::simulated(derived(seed, "scenario"), WALL_START_MS);
        Self { seed, network, env, counts: Arc::default() }
    }

    /// The run's seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The network.
    pub fn network(&self) -> &SimNetwork {
        &self.network
    }

    /// Time and chance for the scenario itself.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Time and chance for a node, from the seed and its name. Give each start of a node a name of its own: a restarted
    /// process does not draw the same numbers again.
    pub fn node_env(&self, name: &str) -> Env {
        self.node_env_with_clock(name, Clock::default())
    }

    /// As `node_env`, with a wall clock that is wrong.
    pub fn node_env_with_clock(&self, name: &str, clock: Clock) -> Env {
        let wall_ms = self.env.wall_ms().saturating_add_signed(clock.offset_ms);
        Env::simulated_with_drift(derived(self.seed, name), wall_ms, clock.drift_ppm)
    }

    /// The address of the node of that number: "10.0.x.y:7000".
    pub fn address(&self, number: usize) -> Address {
        let [.., a, b, c] = (number as u32 + 1).to_be_bytes();
        Address::new(&format!("10.{a}.{b}.{c}:7000"))
    }

    /// Virtual time since the run began.
    pub fn now(&self) -> Duration {
        self.network.now()
    }

    /// Enters a line into the trace, and so into its hash.
    pub fn note(&self, text: &str) {
        self.network.note(text);
    }

    /// Counts something that is added up over all runs.
    pub fn count(&self, what: &str, many: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what.to_owned()).or_default() += many;
    }

    /// Messages sent so far and their bytes, without framing, by kind.
    pub fn traffic(&self) -> BTreeMap<&'static str, (u64, u64)> {
        self.network.with_trace_mut(|trace| trace.by_kind().clone())
    }

    /// How far the run has come.
    pub fn summary(&self) -> Summary {
        let virtual_time = self.now();
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.network.with_trace_mut(|trace| Summary {
            seed: self.seed,
            trace: trace.fingerprint(),
            messages: trace.messages(),
            bytes: trace.bytes(),
            virtual_time,
            notes: trace.notes(),
            tail: trace.tail(),
            counts,
        })
    }
}

/// Runs `scenario` to its end. Whatever it spawned is dropped then.
///
/// # Errors
/// If the scenario gives an error, if anything panicked in it or in a task, or if it took longer than allowed.
pub fn run<F, S>(setup: Setup, scenario: S) -> Result<Summary, Box<Failure>>
where
    S: FnOnce(World) -> F,
    F: Future<Output = Result<(), String>>,
{
    let Setup { name, seed, network, time_max, tail_max } = setup;
    count_panics();
    let panics_before = PANICS.get();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    // Without I/O a runtime needs nothing of the machine that could be missing.
    let runtime = runtime.expect("a runtime with a clock alone");
    let world = {
        let _inside = runtime.enter();
        let world = World::new(seed, network, Trace::new(tail_max));
        CLOCK.set(Some(world.env.clone()));
        world
    };
    let body = Box::pin(scenario(world.clone()));
    let guarded = async {
        tokio::select! {
            biased;
            result = body => result,
            () = watch(panics_before) => Err("a task panicked".to_owned()),
            () = tokio::time::sleep(time_max) => Err(format!("no end after {time_max:?}")),
        }
    };
    let mut result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(guarded)))
        .unwrap_or_else(|panic| Err(format!("panicked: {}", panic_text(&*panic))));
    let summary = {
        let _inside = runtime.enter();
        world.summary()
    };
    // The network goes while the runtime is there, so that endpoints can end their tasks.
    {
        let _inside = runtime.enter();
        drop(world);
    }
    CLOCK.set(None);
    drop(runtime);
    // Last, for a task may panic when it is dropped.
    if result.is_ok() && PANICS.get() != panics_before {
        result = Err("a task panicked".to_owned());
    }
    match result {
        Ok(()) => Ok(summary),
        Err(reason) => Err(Box::new(Failure { name, reason, summary })),
    }
}

thread_local! {
    /// Panics of this thread. A run has its own thread, and tokio hides the panics of tasks that nobody awaits.
    static PANICS: Cell<u64> = const { Cell::new(0) };
    /// Of the run of this thread.
    static CLOCK: RefCell<Option<Env>> = const { RefCell::new(None) };
}

/// Since the run of this thread began; `None` outside of one.
pub fn virtual_time() -> Option<Duration> {
    CLOCK.with_borrow(|clock| clock.as_ref().map(Env::uptime))
}

fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
}

/// Ends when anything panicked; looks once a virtual second.
async fn watch(panics_before: u64) {
    while PANICS.get() == panics_before {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("something that is no text").to_owned()
}

/// A seed for one part of the run.
fn derived(seed: u64, name: &str) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), seed)
}
