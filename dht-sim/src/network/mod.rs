//! An in-memory network of [`SimTransport`]s on tokio's paused clock, with faults.
//!
//! All messages stand in one queue by the time when they are due, and one task delivers them; each passes through
//! the codec. Chance comes from one generator, drawn in the order of sending. So in a current-thread runtime a run is a
//! function of the seed, and the [`Trace`] shows it.
//!
//! What it does not imitate: there is no dialling (the first message to a node takes as long as the next), and a
//! lost message leaves its connection open, which is harsher than TCP.

mod config;
mod driver;
mod endpoint;
mod faults;
mod place;
mod queue;
mod state;
mod stream;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dht_core::{Address, Env};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

pub use config::{Latency, NetworkConfig};
pub use endpoint::SimTransport;
pub use faults::{Crash, GROUPS_MAX};
use place::Remains;
use queue::{Load, Site};
use state::State;

use crate::trace::Trace;

/// The network; clones are handles on the same one. When the last is dropped nothing is delivered any more.
#[derive(Clone)]
pub struct SimNetwork(Arc<Owner>);

/// Ends the driver and lets go of all services: they may hold their transports, which hold the network.
struct Owner {
    inner: Arc<Inner>,
    driver: AbortHandle,
}

struct Inner {
    env: Env,
    started: Instant,
    /// Told when something is due before the driver would wake.
    driver: Notify,
    state: Mutex<State>,
}

impl SimNetwork {
    /// An empty network whose delays and losses follow from `seed`.
    ///
    /// # Panics
    /// Outside a tokio runtime. It should be a current-thread one with a paused clock, else nothing is repeatable.
    pub fn new(seed: u64, config: NetworkConfig) -> Self {
        Self::with_trace(seed, config, Trace::new(0))
    }

    /// As `new`, with a trace that keeps its last lines.
    ///
    /// # Panics
    /// As `new`.
    pub fn with_trace(seed: u64, config: NetworkConfig, trace: Trace) -> Self {
        let env = Env::simulated(seed, 0);
        let state = Mutex::new(State::new(seed, config, trace));
        let inner = Arc::new(Inner { started: env.now(), env, driver: Notify::new(), state });
        let driver = tokio::spawn(driver::drive(inner.clone())).abort_handle();
        Self(Arc::new(Owner { inner, driver }))
    }

    /// A new endpoint that listens at `address`: requests are refused until it has a service.
    ///
    /// # Panics
    /// If one listens there already: the scenario has a mistake. A crashed or closed one may be replaced.
    pub fn endpoint(&self, address: Address) -> Arc<SimTransport> {
        let mut state = self.0.inner.lock();
        let site = state.site_of(&address);
        let place = state.place(site);
        assert!(!place.up, "{address} is in use");
        place.up = true;
        place.silent = false;
        drop(state);
        Arc::new(SimTransport::new(self.0.inner.clone(), site, address))
    }

    /// True while an endpoint listens there.
    pub fn is_up(&self, address: &Address) -> bool {
        let mut state = self.0.inner.lock();
        let site = state.site_of(address);
        state.is_up(site)
    }

    /// From now on `endpoint` ("host:port") resolves to these addresses; to none, if they are none. Texts that are
    /// addresses already resolve to themselves.
    pub fn name(&self, endpoint: &str, addresses: Vec<Address>) {
        let mut state = self.0.inner.lock();
        state.trace.note(self.0.inner.now_ns(), format!("{endpoint} resolves to {addresses:?}"));
        state.names.insert(endpoint.to_owned(), Some(addresses));
    }

    /// From now on whoever asks what `endpoint` resolves to has no answer, for ever.
    pub fn hold_name(&self, endpoint: &str) {
        let mut state = self.0.inner.lock();
        state.trace.note(self.0.inner.now_ns(), format!("{endpoint} is not told"));
        state.names.insert(endpoint.to_owned(), None);
    }

    /// Time since the network was made.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.0.inner.now_ns())
    }

    /// Changes how messages are treated from now on; what is on its way arrives as it was sent.
    pub fn configure(&self, change: impl FnOnce(&mut NetworkConfig)) {
        let mut state = self.0.inner.lock();
        change(&mut state.config);
        let note = format!("{:?}", state.config);
        state.trace.note(self.0.inner.now_ns(), note);
    }

    /// Reads or continues the trace.
    pub fn with_trace_mut<T>(&self, f: impl FnOnce(&mut Trace) -> T) -> T {
        f(&mut self.0.inner.lock().trace)
    }

    /// Enters a line of the scenario into the trace.
    pub fn note(&self, text: &str) {
        self.0.inner.lock().trace.note(self.0.inner.now_ns(), text.to_owned());
    }

    /// The hash of every message so far.
    pub fn fingerprint(&self) -> u128 {
        self.0.inner.lock().trace.fingerprint()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.driver.abort();
        let now_ns = self.inner.now_ns();
        let places = self.inner.lock().places.len() as u32;
        for place in 0..places {
            let remains = {
                let mut state = self.inner.lock();
                let epoch = state.place(Site { place, epoch: 0 }).epoch;
                state.take_down(now_ns, Site { place, epoch }, true)
            };
            drop(remains);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere fails the run; until then the state is whole, for no panic happens between two changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ns(&self) -> u64 {
        (self.env.now() - self.started).as_nanos() as u64
    }

    fn instant(&self, ns: u64) -> Instant {
        self.started + Duration::from_nanos(ns)
    }

    fn pop_due(&self, now_ns: u64) -> Option<(u64, queue::Parcel)> {
        self.lock().queue.pop_due(now_ns)
    }

    /// Sends for an endpoint, if it is still there.
    fn send(&self, from: Site, to: Site, kind: &'static str, load: Load) {
        let mut state = self.lock();
        if state.is_up(from) {
            state.send(self.now_ns(), from, to, kind, load);
            state.wake_driver(&self.driver);
        }
    }

    /// Runs a task that belongs to an endpoint; `None` if the endpoint is gone.
    fn spawn(&self, site: Site, task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        let mut state = self.lock();
        if !state.is_up(site) {
            // The lock goes first: dropping the task may want it.
            drop(state);
            drop(task);
            return None;
        }
        let tasks = &mut state.place(site).tasks;
        // A task that panicked was counted by the run's panic hook.
        while tasks.try_join_next().is_some() {}
        Some(tasks.spawn(task))
    }

    /// The reader of a stream is gone.
    fn forget_stream(&self, call: u64, caller: Site, callee: Site) {
        let forgotten = self.lock().end_call(call);
        if forgotten.is_some() {
            self.send(caller, callee, "cancel", Load::Cancel { call });
        }
    }

    fn take_down(&self, site: Site, silent: bool) -> Remains {
        let mut state = self.lock();
        let remains = state.take_down(self.now_ns(), site, silent);
        state.wake_driver(&self.driver);
        remains
    }
}
