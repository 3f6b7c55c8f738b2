//! The nodes of a run: production nodes, each on an endpoint of the simulated network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dht_core::store::MemoryStore;
use dht_core::{Config, Dht, Error, Foundation};
use tokio::task::JoinSet;

use crate::network::Crash;
use crate::world::World;

/// The nodes of one run by their numbers, those that are gone not among them.
pub struct Nodes {
    world: World,
    config: Config,
    running: BTreeMap<usize, Dht>,
    /// How often each number was started: each start draws other numbers, as a new process does.
    starts: BTreeMap<usize, u32>,
}

impl Nodes {
    /// No node yet; all will have `config`, but for their names and seeds.
    pub fn new(world: World, config: Config) -> Self {
        Self { world, config, running: BTreeMap::new(), starts: BTreeMap::new() }
    }

    /// Starts node `number`, which joins through the nodes `seeds`; with none it founds a ring.
    ///
    /// # Errors
    /// As [`Dht::start`].
    ///
    /// # Panics
    /// If it runs already.
    pub async fn start(&mut self, number: usize, seeds: &[usize]) -> Result<&Dht, Error> {
        let start = self.prepare(number, seeds);
        let dht = start.await?;
        Ok(self.running.entry(number).or_insert(dht))
    }

    /// Starts several nodes at the same moment and waits for all.
    ///
    /// # Errors
    /// As [`Dht::start`], of the first that failed; the others run.
    ///
    /// # Panics
    /// If one runs already.
    pub async fn start_together(&mut self, numbers: std::ops::Range<usize>, seeds: &[usize]) -> Result<(), Error> {
        let mut starting = JoinSet::new();
        for number in numbers {
            let start = self.prepare(number, seeds);
            starting.spawn(async move { (number, start.await) });
        }
        let mut results = starting.join_all().await;
        results.sort_by_key(|(number, _)| *number);
        let mut outcome = Ok(());
        for (number, result) in results {
            match result {
                Ok(dht) => drop(self.running.insert(number, dht)),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    fn prepare(&mut self, number: usize, seeds: &[usize]) -> impl Future<Output = Result<Dht, Error>> + Send + use<> {
        assert!(!self.running.contains_key(&number), "node {number} runs already");
        let start = self.starts.entry(number).or_insert(0);
        *start += 1;
        let env = self.world.node_env(&format!("node {number}, start {start}"));
        let address = self.world.address(number);
        let seeds = seeds.iter().map(|&seed| self.world.address(seed).as_str().to_owned()).collect();
        let config = Config { node_id: format!("node-{number}"), seeds, ..self.config.clone() };
        let slot_count = 1 << u16::from(config.slot_bits).min(config.hash_bits);
        let foundation = Foundation {
            transport: self.world.network().endpoint(address.clone()),
            store: Arc::new(MemoryStore::new(slot_count)),
            boot: env.random_u64().max(1),
            env,
            address,
        };
        Dht::start_with(config, foundation)
    }

    /// A running node.
    ///
    /// # Panics
    /// If it does not run: the scenario has a mistake.
    pub fn node(&self, number: usize) -> &Dht {
        self.running.get(&number).unwrap_or_else(|| panic!("node {number} does not run"))
    }

    /// All that run, by number.
    pub fn running(&self) -> impl Iterator<Item = (usize, &Dht)> {
        self.running.iter().map(|(&number, dht)| (number, dht))
    }

    /// The node dies: its endpoint goes first, so that not even a goodbye gets out.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn crash(&mut self, number: usize, crash: Crash) {
        let dht = self.running.remove(&number).unwrap_or_else(|| panic!("node {number} does not run"));
        self.world.network().crash(&self.world.address(number), crash);
        dht.stop().await;
    }

    /// Ends all nodes at once, without hand-over.
    pub async fn stop(&mut self) {
        for dht in std::mem::take(&mut self.running).into_values() {
            dht.stop().await;
        }
    }

    /// Waits until every node is joined, has handed over, and finds its slots fully replicated.
    ///
    /// # Errors
    /// Which are not after `patience`, and why.
    pub async fn settled(&self, patience: Duration) -> Result<Duration, String> {
        let begin = self.world.now();
        loop {
            let mut unwell = Vec::new();
            for (number, dht) in self.running() {
                let health = dht.health().map_err(|error| format!("node {number}: {error}"))?;
                if !(health.joined && health.handed_over && health.fully_replicated) {
                    unwell.push(format!("node {number}: {health:?}"));
                }
            }
            let took = self.world.now() - begin;
            if unwell.is_empty() {
                return Ok(took);
            }
            if took >= patience {
                return Err(format!("after {took:?} {} nodes are not well: {}", unwell.len(), unwell.join("; ")));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
