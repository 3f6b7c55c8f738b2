//! A client in each process: it puts and gets, and looks that every call ends by its deadline, whatever it ends with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dht_core::{Dht, Env};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::load::Load;
use crate::nodes::{Nodes, Registry};
use crate::world::World;

/// Between two operations of one client.
const PERIOD: Duration = Duration::from_millis(500);
/// What a call may take beyond its deadline: the paused clock moves in milliseconds.
const GRACE: Duration = Duration::from_millis(5);
const TIMEOUT: Duration = Duration::from_secs(2);
const KEYS: usize = 12;

/// The clients of a run.
pub(super) struct Probers {
    world: World,
    registry: Registry,
    running: BTreeMap<usize, (JoinHandle<()>, Env)>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The first call that did not keep its deadline.
    broken: Mutex<Option<String>>,
    /// Until when each process stands still, or stood.
    pauses: Mutex<BTreeMap<usize, Instant>>,
}

impl Probers {
    pub(super) fn new(world: World, registry: Registry) -> Self {
        Self { world, registry, running: BTreeMap::new(), shared: Arc::default() }
    }
}

impl Load for Probers {
    fn start(&mut self, number: usize, dht: Dht) {
        let Some((_, env)) = self.registry.get(number) else { return };
        let chance = self.world.node_env(&format!("client {number} at {:?}", self.world.now()));
        let client = client(number, dht, chance, self.shared.clone());
        let task = tokio::spawn(env.clone().gated(client));
        if let Some((before, _)) = self.running.insert(number, (task, env)) {
            before.abort();
        }
    }

    fn abandon(&mut self, number: usize) -> Option<Env> {
        let (task, env) = self.running.remove(&number)?;
        task.abort();
        Some(env)
    }

    fn paused(&self, number: usize, duration: Duration) {
        let until = self.world.env().now() + duration;
        let mut pauses = self.shared.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let before = pauses.entry(number).or_insert(until);
        *before = until.max(*before);
    }

    fn stand_still_until(&self) -> Option<Instant> {
        self.shared.pauses.lock().unwrap_or_else(PoisonError::into_inner).values().copied().max()
    }

    /// These clients do not look at what is read.
    fn losing(&self, _: usize, _: bool) {}

    fn not_handed_over(&self) -> Box<dyn FnOnce() + Send> {
        Box::new(|| ())
    }

    fn kept(&self) -> Result<(), String> {
        self.shared.broken.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }

    async fn finish(&mut self, _: &Nodes) -> Result<(), String> {
        for (task, _) in std::mem::take(&mut self.running).into_values() {
            task.abort();
        }
        self.kept()
    }
}

async fn client(number: usize, dht: Dht, env: Env, shared: Arc<Shared>) {
    let mut count = 0_u64;
    loop {
        tokio::time::sleep(env.jittered(PERIOD)).await;
        count += 1;
        let key = format!("key/{}", env.random_below(KEYS));
        let begun = env.now();
        let result = match env.random_below(2) {
            0 => dht.put(&key, &format!("{number}/{count}")).await.map(drop),
            _ => dht.get::<String>(&key).await.map(drop),
        };
        let pauses = shared.pauses.lock().unwrap_or_else(PoisonError::into_inner).get(&number).copied();
        // A process that stood still is late by that.
        let due = begun + TIMEOUT + GRACE;
        let due = pauses.filter(|until| *until >= begun).map_or(due, |until| due.max(until + GRACE));
        if env.now() > due {
            let took = env.now() - begun;
            let text = format!("a call of node {number} took {took:?}, its bound is {TIMEOUT:?}: {result:?}");
            shared.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
        }
    }
}
