//! A ring in weather that the promises cover: messages late, lost, doubled or out of order; one node at a time that dies,
//! stands still for less than makes it suspect, joins or leaves, with time to repair between. Every key is linearizable.

use std::collections::BTreeSet;
use std::time::Duration;

use dht_core::{Config, Env};

use super::{Clients, rest};
use crate::checker::{Checker, Rules};
use crate::history::last;
use crate::network::{Crash, Latency, NetworkConfig};
use crate::nodes::Nodes;
use crate::scenarios::{Body, Scenario};
use crate::world::{WALL_START_MS, World};

/// In the registry.
pub const SCENARIO: Scenario = Scenario {
    name: "histories_calm",
    about: "6 to 9 nodes, loss, delay, one crash, short pause, join or leave at a time: linearizable per key",
    network: NetworkConfig::default,
    body,
};

const SLOT_BITS: u8 = 6;
/// To form, and to heal after each fault.
/// Re-replication may be held for a minute of it: a few crashes one after the other are the loss of many nodes at once.
const PATIENCE: Duration = Duration::from_secs(90);
/// A ring of that many, and one message in a hundred lost, does not suspect a node that lives: three others are asked
/// before.
const NODES_MIN: usize = 6;

/// One run.
#[derive(Clone, Debug)]
struct Plan {
    nodes: usize,
    vnodes: u16,
    network: NetworkConfig,
    events: Vec<Event>,
}

/// What happens; then the ring heals.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Nothing, for a while.
    Quiet(Duration),
    /// One node dies.
    Crash(Crash),
    /// One node comes.
    Join,
    /// One node leaves.
    Leave,
    /// One process stands still.
    Pause(Duration),
    /// One node comes while another dies.
    JoinAndCrash(Crash),
}

impl Plan {
    fn draw(env: &Env) -> Self {
        let ms = |low: usize, high: usize| Duration::from_millis((low + env.random_below(high - low + 1)) as u64);
        let percent = |percent: usize| env.random_below(100) < percent;
        let quiet = NetworkConfig::default();
        let tailed = Latency::Tailed { min: ms(1, 1), mean: ms(6, 6), max: ms(200, 200) };
        let network = NetworkConfig {
            latency: if percent(50) { quiet.latency } else { tailed },
            loss: if percent(50) { 0.0 } else { 0.01 },
            duplication: if percent(50) { 0.0 } else { 0.05 },
            reordering: percent(50),
            ..quiet
        };
        let crash = || if percent(50) { Crash::Process } else { Crash::Machine };
        let event = |_| match env.random_below(10) {
            0 => Event::Quiet(ms(100, 2_000)),
            1 | 2 => Event::Crash(crash()),
            3 | 4 => Event::Join,
            5 | 6 => Event::Leave,
            7 | 8 => Event::Pause(ms(20, 350)),
            _ => Event::JoinAndCrash(crash()),
        };
        let events = (0..2 + env.random_below(4)).map(event).collect();
        let vnodes = [1, 2, 5][env.random_below(3)];
        Self { nodes: NODES_MIN + env.random_below(4), vnodes, network, events }
    }
}

fn body(world: World) -> Body {
    Box::pin(async move {
        let plan = Plan::draw(world.env());
        world.note(&format!("{plan:?}"));
        let config = Config { slot_bits: SLOT_BITS, virtual_nodes: Some(plan.vnodes), ..Config::default() };
        let replicas = config.replication_factor;
        let rules = Rules {
            successors_max: config.successor_list_size,
            replicas,
            slot_bits: SLOT_BITS,
            within_assumptions: true,
        };
        let nodes = Nodes::new(world.clone(), config);
        let checker = Checker::new(world.clone(), nodes.registry(), rules);
        let clients = Clients::new(world.clone(), nodes.registry(), true);
        let next = plan.nodes;
        Run { world, nodes, clients, checker, next }.all(plan, replicas).await
    })
}

struct Run {
    world: World,
    nodes: Nodes,
    clients: Clients,
    checker: Checker,
    /// The number of the next node that comes.
    next: usize,
}

impl Run {
    async fn all(mut self, plan: Plan, replicas: usize) -> Result<(), String> {
        self.nodes.form(plan.nodes).map_err(|error| format!("the ring does not form: {error}"))?;
        for (number, dht) in self.nodes.running() {
            self.clients.start(number, &dht);
        }
        self.world.network().configure(|config| *config = plan.network.clone());
        tokio::time::sleep(Duration::from_secs(2)).await;
        for event in &plan.events {
            self.world.note(&format!("{event:?}"));
            self.apply(*event).await?;
            // The next fault finds a ring that has healed of this one.
            self.nodes.settled(PATIENCE).await?;
            let pause = Duration::from_millis(self.world.env().random_below(1_000) as u64);
            tokio::time::sleep(pause).await;
        }
        self.clients.stop().await?;
        self.world.network().configure(|config| *config = NetworkConfig::default());
        self.checker.rest(PATIENCE, Duration::ZERO).await?;
        let left = self.clients.last(&self.nodes.running()).await?;
        tokio::time::sleep(rest::SWEPT).await;
        rest::check(&self.nodes, replicas)?;
        let history = self.clients.book().history();
        let mut found = history.check(0, WALL_START_MS);
        super::search(&self.world, &history, &mut found);
        found.extend(last::check(&history, &left, 0, WALL_START_MS, |_| false));
        super::count(&self.world, &history, &found);
        super::told(&history, &found)
    }

    async fn apply(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Quiet(duration) => tokio::time::sleep(duration).await,
            Event::Crash(crash) => self.crash(crash).await,
            Event::Join => self.join(None).await?,
            Event::Leave => {
                let Some(number) = self.victim() else { return Ok(()) };
                self.clients.abandon(number);
                let leaver = self.nodes.take(number);
                leaver.leave(PATIENCE).await.map_err(|error| format!("node {number} does not leave: {error}"))?;
            }
            Event::Pause(duration) => {
                let Some(number) = self.victim() else { return Ok(()) };
                self.nodes.pause(number, duration);
                tokio::time::sleep(duration).await;
            }
            Event::JoinAndCrash(crash) => self.join(Some(crash)).await?,
        }
        Ok(())
    }

    async fn crash(&mut self, crash: Crash) {
        let Some(number) = self.victim() else { return };
        self.clients.abandon(number);
        self.nodes.crash(number, crash).await;
        // The others still have to find out.
        let gone = crate::nodes::name(number);
        let knows = |dht: &dht_core::Dht| !dht.inspect().members.iter().any(|(name, _)| name.as_str() == gone);
        while !self.nodes.running().iter().all(|(_, dht)| knows(dht)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn join(&mut self, crash: Option<Crash>) -> Result<(), String> {
        let number = self.next;
        self.next += 1;
        let running: Vec<usize> = self.nodes.running().into_iter().map(|(number, _)| number).collect();
        let at = self.world.env().random_below(running.len());
        // A joiner whose only seed dies is in no ring.
        let seeds = [running[at], running[(at + 1) % running.len()]];
        let start = self.nodes.launch(number, &seeds[..if crash.is_some() { 2 } else { 1 }]);
        let start = tokio::spawn(start);
        if let Some(crash) = crash {
            tokio::time::sleep(Duration::from_millis(self.world.env().random_below(300) as u64)).await;
            self.crash(crash).await;
        }
        let started = start.await.map_err(|error| format!("node {number}: {error}"))?;
        let dht = started.map_err(|error| format!("node {number} does not start: {error}"))?;
        self.clients.start(number, &dht);
        Ok(())
    }

    /// One that may go; `None` if there would be too few.
    fn victim(&self) -> Option<usize> {
        let running: BTreeSet<usize> = self.nodes.running().into_iter().map(|(number, _)| number).collect();
        let at = self.world.env().random_below(running.len());
        running.iter().nth(at).copied().filter(|_| running.len() >= NODES_MIN)
    }
}
