//! The nodes of a run: production nodes, each on an endpoint of the simulated network.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dht_core::store::{MemoryStore, Store};
use dht_core::{Config, Dht, Durability, Env, Error, FormedRing, Foundation, SharedRing};
use tokio::task::JoinSet;

use crate::disk::{Disk, DiskStore};
use crate::network::Crash;
use crate::world::World;

/// The nodes of one run by their numbers, those that are gone not among them.
pub struct Nodes {
    world: World,
    config: Config,
    running: Registry,
    /// How often each number was started: each start draws other numbers, as a new process does.
    starts: BTreeMap<usize, u32>,
    clocks: BTreeMap<usize, Clock>,
    /// Of those that differ from the others.
    configs: BTreeMap<usize, Config>,
    /// Where nodes keep what they have on disks.
    durability: Option<Durability>,
    disks: BTreeMap<usize, Disk>,
    /// So that a large ring costs what differs between its nodes.
    shared: Arc<SharedRing>,
}

/// The nodes that run, for whoever watches them while they come and go.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<BTreeMap<usize, Running>>>, Arc<Mutex<BTreeSet<usize>>>);

#[derive(Clone)]
struct Running {
    dht: Dht,
    env: Env,
    keeps: Keeps,
}

/// Where a node keeps its records.
#[derive(Clone)]
enum Keeps {
    Memory(Arc<MemoryStore>),
    Disk(Arc<DiskStore>),
}

impl Keeps {
    fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Disk(store) => store.clone(),
        }
    }

    /// Its process dies.
    fn cut(&self) {
        if let Self::Disk(store) = self {
            store.cut();
        }
    }
}

/// What is wrong with a machine's clock.
#[derive(Clone, Copy, Default, Debug)]
pub struct Clock {
    /// Ahead of the others, in milliseconds; behind, if negative.
    pub offset_ms: i64,
    /// Gained, in millionths; lost, if negative.
    pub drift_ppm: i32,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles on all that run, by number.
    pub fn all(&self) -> Vec<(usize, Dht)> {
        self.lock().iter().map(|(&number, running)| (number, running.dht.clone())).collect()
    }

    /// Those that are on their way in: they may be members before they know it.
    pub fn starting(&self) -> Vec<usize> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// What each keeps, by number.
    pub fn stores(&self) -> Vec<(usize, Arc<dyn Store>)> {
        self.lock().iter().map(|(&number, running)| (number, running.keeps.store())).collect()
    }

    fn start(&self, number: usize) -> Starting {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        Starting(self.clone(), number)
    }

    /// A handle on one, and its process's clock, if it runs.
    pub fn get(&self, number: usize) -> Option<(Dht, Env)> {
        self.lock().get(&number).map(|running| (running.dht.clone(), running.env.clone()))
    }
}

/// The node_id of the node of that number.
pub fn name(number: usize) -> String {
    format!("node-{number}")
}

struct Starting(Registry, usize);

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.1.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl Nodes {
    /// No node yet; all will have `config`, but for their names and seeds.
    pub fn new(world: World, config: Config) -> Self {
        let running = Registry::default();
        let enable_logging = tracing::level_filters::LevelFilter::current() != tracing::level_filters::LevelFilter::OFF;
        let config = Config { enable_logging, ..config };
        Self {
            world,
            config,
            running,
            starts: BTreeMap::new(),
            clocks: BTreeMap::new(),
            configs: BTreeMap::new(),
            durability: None,
            disks: BTreeMap::new(),
            shared: Arc::default(),
        }
    }

    /// From its next start on node `number` has another configuration than the others; not for nodes of a ring that is
    /// formed at once.
    pub fn configure(&mut self, number: usize, change: impl FnOnce(&mut Config)) {
        change(self.configs.entry(number).or_insert_with(|| self.config.clone()));
    }

    /// From its next start on each node keeps what it has on a disk of its own, which it finds again when it starts anew.
    pub fn keep_on_disk(&mut self, durability: Durability) {
        self.durability = Some(durability);
    }

    /// What node `number` kept on its disk is gone.
    pub fn wipe(&mut self, number: usize) {
        self.disks.remove(&number);
    }

    /// From its next start on node `number` has that disk, such as a backup of its own.
    pub fn replace_disk(&mut self, number: usize, disk: Disk) {
        self.disks.insert(number, disk);
    }

    /// The disk of node `number`, if it has been started with one.
    pub fn disk(&self, number: usize) -> Option<&Disk> {
        self.disks.get(&number)
    }

    /// From its next start on the clock of node `number` is that wrong.
    pub fn set_clock(&mut self, number: usize, clock: Clock) {
        self.clocks.insert(number, clock);
    }

    /// All that run, also those that come later.
    pub fn registry(&self) -> Registry {
        self.running.clone()
    }

    /// Starts node `number`, which joins through the nodes `seeds`; with none it founds a ring.
    ///
    /// # Errors
    /// As [`Dht::start`].
    ///
    /// # Panics
    /// If it runs already.
    pub async fn start(&mut self, number: usize, seeds: &[usize]) -> Result<Dht, Error> {
        self.launch(number, seeds).await
    }

    /// As `start`, but what it gives needs not be awaited here: the node runs from when that ends.
    ///
    /// # Panics
    /// If it runs already.
    pub fn launch(
        &mut self,
        number: usize,
        seeds: &[usize],
    ) -> impl Future<Output = Result<Dht, Error>> + Send + use<> {
        let (start, env, keeps) = self.prepare(number, seeds);
        let registry = self.running.clone();
        let starting = registry.start(number);
        let world = self.world.clone();
        async move {
            let _starting = starting;
            world.note(&format!("node {number} starts"));
            let dht = env.clone().gated(start).await?;
            world.note(&format!("node {number} runs"));
            registry.lock().insert(number, Running { dht: dht.clone(), env, keeps });
            Ok(dht)
        }
    }

    /// Starts a client of the ring of these nodes at the address of that number, and with it the environment of its process. It
    /// is no node: it counts nowhere.
    ///
    /// # Errors
    /// As [`Dht::start`].
    pub async fn client(&mut self, number: usize, seeds: &[usize]) -> Result<(Dht, Env), Error> {
        self.configure(number, |config| config.virtual_nodes = Some(0));
        let (start, env, _) = self.prepare(number, seeds);
        Ok((env.clone().gated(start).await?, env))
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
            let start = self.launch(number, seeds);
            starting.spawn(async move { (number, start.await) });
        }
        let mut results = starting.join_all().await;
        results.sort_by_key(|(number, _)| *number);
        results.into_iter().try_for_each(|(_, result)| result.map(drop))
    }

    fn prepare(
        &mut self,
        number: usize,
        seeds: &[usize],
    ) -> (impl Future<Output = Result<Dht, Error>> + Send + use<>, Env, Keeps) {
        assert!(self.running.get(number).is_none(), "node {number} runs already");
        let seeds = seeds.iter().map(|&seed| self.world.address(seed).as_str().to_owned()).collect();
        let config = self.configs.get(&number).unwrap_or(&self.config).clone();
        let config = Config { node_id: name(number), seeds, ..config };
        let (foundation, keeps) = self.foundation(number);
        let env = foundation.env.clone();
        (Dht::start_with(config, foundation), env, keeps)
    }

    fn foundation(&mut self, number: usize) -> (Foundation, Keeps) {
        let start = self.starts.entry(number).or_insert(0);
        *start += 1;
        let clock = self.clocks.get(&number).copied().unwrap_or_default();
        let env = self.world.node_env_with_clock(&format!("node {number}, start {start}"), clock);
        let address = self.world.address(number);
        let keeps = match self.durability {
            None => {
                let store = MemoryStore::of(&self.config).expect("a scenario's configuration is in range");
                Keeps::Memory(Arc::new(store))
            }
            Some(durability) => {
                let disk = self.disks.entry(number).or_insert_with(|| Disk::new(1 << self.config.slot_bits));
                Keeps::Disk(Arc::new(disk.open(durability, &env).expect("it keeps what can be read")))
            }
        };
        let foundation = Foundation {
            transport: self.world.network().endpoint(address.clone()),
            store: keeps.store(),
            boot: env.random_u64().max(1),
            env,
            address,
            shared: Some(self.shared.clone()),
        };
        (foundation, keeps)
    }

    /// Nodes 0 to `count` - 1 run from now on as a ring that is there at once.
    ///
    /// # Errors
    /// As [`Dht::start_formed`].
    ///
    /// # Panics
    /// If one of them runs already.
    pub fn form(&mut self, count: usize) -> Result<(), Error> {
        let foundations: Vec<(Foundation, Keeps)> = (0..count).map(|number| self.foundation(number)).collect();
        let members: Vec<_> =
            foundations.iter().enumerate().map(|(number, (f, _))| (name(number), f.address.clone(), f.boot)).collect();
        let ring = FormedRing::new(&self.config, &members)?;
        for (number, (foundation, keeps)) in foundations.into_iter().enumerate() {
            // One seed each, that is not itself.
            let seeds = vec![self.world.address((number + 1) % count).as_str().to_owned()];
            let config = Config { node_id: name(number), seeds, ..self.config.clone() };
            let env = foundation.env.clone();
            let dht = Dht::start_formed(config, foundation, &ring)?;
            self.running.lock().insert(number, Running { dht, env, keeps });
        }
        Ok(())
    }

    /// A running node.
    ///
    /// # Panics
    /// If it does not run: the scenario has a mistake.
    pub fn node(&self, number: usize) -> Dht {
        self.running.get(number).unwrap_or_else(|| panic!("node {number} does not run")).0
    }

    /// All that run, by number.
    pub fn running(&self) -> Vec<(usize, Dht)> {
        self.running.all()
    }

    /// The node dies: its endpoint goes first, so that not even a goodbye gets out, and nothing more reaches its disk.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn crash(&mut self, number: usize, crash: Crash) {
        let Running { dht, keeps, .. } = self.remove(number);
        keeps.cut();
        self.world.network().crash(&self.world.address(number), crash);
        dht.stop().await;
    }

    /// Takes a node out of those that run; it goes on until its last handle is dropped.
    ///
    /// # Panics
    /// If it does not run.
    pub fn take(&mut self, number: usize) -> Dht {
        self.remove(number).dht
    }

    fn remove(&mut self, number: usize) -> Running {
        self.running.lock().remove(&number).unwrap_or_else(|| panic!("node {number} does not run"))
    }

    /// The process of a node stands still for that long: it computes nothing, sends nothing, takes nothing in. Its clocks
    /// go on.
    ///
    /// # Panics
    /// If it does not run.
    pub fn pause(&self, number: usize, duration: Duration) {
        let (_, env) = self.running.get(number).unwrap_or_else(|| panic!("node {number} does not run"));
        env.pause(duration);
        self.world.network().pause(&self.world.address(number), duration);
    }

    /// Ends all nodes at once, without hand-over.
    pub async fn stop(&mut self) {
        let all = std::mem::take(&mut *self.running.lock());
        for running in all.into_values() {
            running.dht.stop().await;
        }
    }

    /// The world that they are in.
    pub fn world(&self) -> &World {
        &self.world
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
