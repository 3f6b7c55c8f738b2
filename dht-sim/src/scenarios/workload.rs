//! Clients of the nodes: each node gets its own stream of puts, gets and deletes, all checked by one oracle.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dht_core::{Dht, Env, Error, GetOptions, PutOptions, Version};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep_until;

use crate::oracle::{Oracle, ReadToken, Violation, WriteToken};
use crate::world::World;

/// What each node does.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// One operation in this time, ± 20 %, whether the one before has ended or not.
    pub period: Duration,
    /// What no call may exceed: the nodes' `request_timeout`.
    pub timeout: Duration,
    /// Keys that only this node writes.
    pub own_keys: usize,
    /// Keys that all nodes write.
    pub shared_keys: usize,
}

/// A running load.
pub struct Workload {
    world: World,
    shape: Shape,
    shared: Arc<Shared>,
    clients: BTreeMap<usize, JoinHandle<()>>,
}

struct Shared {
    world: World,
    state: Mutex<State>,
    /// Told when a promise is broken.
    alarm: Notify,
}

struct State {
    oracle: Oracle<Version>,
    /// The first promise that was broken, and when.
    broken: Option<String>,
    /// Texts of errors and how often each kind came.
    errors: BTreeMap<String, u64>,
    failed: u64,
    done: u64,
    stopping: bool,
}

/// What a call may take beyond its deadline: the paused clock moves in milliseconds.
const GRACE: Duration = Duration::from_millis(5);

impl Workload {
    /// No client yet.
    pub fn new(world: World, shape: Shape) -> Self {
        let state =
            State { oracle: Oracle::new(), broken: None, errors: BTreeMap::new(), failed: 0, done: 0, stopping: false };
        let shared = Arc::new(Shared { world: world.clone(), state: Mutex::new(state), alarm: Notify::new() });
        Self { world, shape, shared, clients: BTreeMap::new() }
    }

    /// A client of node `number` starts, until the load ends.
    pub fn start(&mut self, number: usize, dht: Dht) {
        let env = self.world.node_env(&format!("client {number}"));
        let client = Client { number, dht, env, shape: self.shape, shared: self.shared.clone() };
        self.clients.insert(number, tokio::spawn(client.run()));
    }

    /// The client of a node dies with it: nobody learns what became of its last operations.
    pub fn abandon(&mut self, number: usize) {
        if let Some(client) = self.clients.remove(&number) {
            client.abort();
        }
    }

    /// Lets the clients work for that long, or until a promise is broken.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub async fn run_for(&self, duration: Duration) -> Result<(), String> {
        tokio::select! {
            biased;
            () = self.shared.alarm.notified() => {}
            () = tokio::time::sleep(duration) => {}
        }
        self.kept()
    }

    /// Ends all clients and waits for their last operations.
    ///
    /// # Errors
    /// If a promise was broken.
    pub async fn finish(&mut self) -> Result<(), String> {
        self.shared.state().stopping = true;
        for (number, client) in std::mem::take(&mut self.clients) {
            client.await.map_err(|error| format!("client {number}: {error}"))?;
        }
        self.kept()
    }

    /// Reads every key that was ever written through `dht`, each with its oracle.
    ///
    /// # Errors
    /// If a read fails or a promise is broken.
    pub async fn verify(&self, dht: &Dht, options: GetOptions) -> Result<(), String> {
        let keys = self.shared.state().oracle.keys();
        for key in keys {
            let token = self.shared.state().oracle.begin_read(&key);
            self.shared.read(dht, token, &key, options).await.map_err(|error| format!("{key:?}: {error}"))?;
        }
        self.kept()
    }

    fn kept(&self) -> Result<(), String> {
        self.shared.state().broken.clone().map_or(Ok(()), Err)
    }

    /// What was done and what failed, for the trace: "12 of 30000 failed: ...".
    pub fn summary(&self) -> String {
        let state = self.shared.state();
        format!("{} operations, {} failed {:?}, {:?}", state.done, state.failed, state.errors, state.oracle.counts())
    }

    /// # Errors
    /// If more than one operation in a hundred failed.
    pub fn check_errors(&self) -> Result<(), String> {
        self.world.note(&self.summary());
        let state = self.shared.state();
        if state.failed * 100 > state.done {
            drop(state);
            return Err(format!("too many errors: {}", self.summary()));
        }
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, dht: &Dht, token: ReadToken, key: &Bytes, options: GetOptions) -> Result<(), Error> {
        let result = dht.get_versioned(key, options).await;
        let mut state = self.state();
        match result {
            Ok(found) => {
                let found = found.map(|found| (found.value.bytes, found.version));
                let checked = state.oracle.read(token, found.as_ref().map(|(value, version)| (value, *version)));
                self.check(&mut state, checked);
                Ok(())
            }
            Err(error) => {
                state.oracle.unread(token);
                Err(error)
            }
        }
    }

    fn wrote(&self, token: WriteToken, result: Result<Option<Version>, Error>) -> Result<(), Error> {
        let mut state = self.state();
        match result {
            Ok(version) => {
                let checked = state.oracle.acknowledged(token, version);
                self.check(&mut state, checked);
                Ok(())
            }
            Err(error) => {
                if error.maybe_applied() {
                    state.oracle.unknown(token);
                } else {
                    let checked = state.oracle.rejected(token);
                    self.check(&mut state, checked);
                }
                Err(error)
            }
        }
    }

    fn check(&self, state: &mut State, checked: Result<(), Violation>) {
        if let Err(violation) = checked {
            let text = format!("at {:?}: {violation}", self.world.now());
            self.broke(state, text);
        }
    }

    fn broke(&self, state: &mut State, text: String) {
        self.world.note(&text);
        state.broken.get_or_insert(text);
        self.alarm.notify_one();
    }
}

struct Client {
    number: usize,
    dht: Dht,
    env: Env,
    shape: Shape,
    shared: Arc<Shared>,
}

impl Client {
    async fn run(self) {
        let client = Arc::new(self);
        let mut operations = JoinSet::new();
        let mut count = 0_u64;
        loop {
            let next = client.env.now() + client.env.jittered(client.shape.period);
            {
                let state = client.shared.state();
                if state.stopping || state.broken.is_some() {
                    break;
                }
            }
            count += 1;
            operations.spawn(client.clone().operate(count));
            while operations.try_join_next().is_some() {}
            sleep_until(next).await;
        }
        // Each ends by its own deadline; one that panicked fails the run by itself.
        while operations.join_next().await.is_some() {}
    }

    async fn operate(self: Arc<Self>, count: u64) {
        let key = self.key();
        let begin = self.env.now();
        let result = match self.env.random_below(10) {
            0 => self.delete(&key).await,
            1..=5 => self.put(&key, count).await,
            _ => {
                let token = self.shared.state().oracle.begin_read(&key);
                self.shared.read(&self.dht, token, &key, GetOptions::default()).await
            }
        };
        let took = self.env.now() - begin;
        let mut state = self.shared.state();
        state.done += 1;
        if took > self.shape.timeout + GRACE {
            let text = format!("an operation on {key:?} took {took:?}, its bound is {:?}", self.shape.timeout);
            self.shared.broke(&mut state, text);
        }
        if let Err(error) = result {
            state.failed += 1;
            *state.errors.entry(error.kind().to_string()).or_default() += 1;
            let at = self.shared.world.now();
            self.shared.world.note(&format!("node {} at {at:?}, {key:?}: {error}", self.number));
        }
    }

    fn key(&self) -> Bytes {
        let shared = self.env.random_below(2) == 0;
        let text = if shared {
            format!("shared/{}", self.env.random_below(self.shape.shared_keys))
        } else {
            format!("own/{}/{}", self.number, self.env.random_below(self.shape.own_keys))
        };
        text.into()
    }

    async fn put(&self, key: &Bytes, count: u64) -> Result<(), Error> {
        let value = Bytes::from(format!("node {} write {count}", self.number));
        let token = self.shared.state().oracle.begin_write(key, Some(value.clone()));
        let result = self.dht.put_bytes(key, value, PutOptions::default()).await;
        self.shared.wrote(token, result.map(|outcome| Some(outcome.version)))
    }

    async fn delete(&self, key: &Bytes) -> Result<(), Error> {
        let token = self.shared.state().oracle.begin_write(key, None);
        let result = self.dht.delete(key).await;
        self.shared.wrote(token, result.map(|_| None))
    }
}
