//! A ring in weather that the promises cover: messages late, lost, doubled or out of order, clocks that are wrong; one node
//! at a time that dies, stands still for less than makes it suspect, joins, leaves or comes back, with time to repair
//! between; or all at once, where disks have what was acknowledged. Every key is linearizable.

mod plan;

use std::collections::BTreeSet;
use std::time::Duration;

use dht_core::{Dht, Error, GetOptions, PutOptions, Value, Versioned};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep_until;

use self::plan::{BALLAST_LEN, Event, NODES_MIN, OFFSET_MS, Plan};
use super::{Clients, rest};
use crate::checker::{Checker, Rules};
use crate::history::{KeyHistory, Kind, Operation, last};
use crate::network::{Crash, NetworkConfig};
use crate::nodes::Nodes;
use crate::scenarios::{Body, Scenario};
use crate::world::{WALL_START_MS, World};

/// In the registry.
pub const SCENARIO: Scenario = Scenario {
    name: "histories_calm",
    about: "6 to 9 nodes, loss, delay, one crash, restart, short pause, join or leave at a time: linearizable per key",
    network: NetworkConfig::default,
    body,
};

const SLOT_BITS: u8 = 6;
/// Between two tries to start a node that was refused: its former self may not be known as dead yet.
const AGAIN: Duration = Duration::from_millis(500);
const TRIES_MAX: usize = 60;
/// Calls under way when all die at once have reached whom they reach.
const UNDER_WAY: Duration = Duration::from_millis(500);
/// The number of the client that is no member.
const OUTSIDER: usize = 900;

fn body(world: World) -> Body {
    Box::pin(async move {
        let plan = Plan::draw(world.env());
        world.note(&format!("{plan:?}"));
        let config = plan.config(SLOT_BITS);
        let rules = Rules {
            successors_max: config.successor_list_size,
            replicas: plan.replicas,
            slot_bits: SLOT_BITS,
            within_assumptions: true,
        };
        let mut nodes = Nodes::new(world.clone(), config);
        if let Some(durability) = plan.durability {
            nodes.keep_on_disk(durability);
        }
        let checker = Checker::new(world.clone(), nodes.registry(), rules);
        let clients = Clients::new(world.clone(), nodes.registry(), true);
        Run { world, nodes, clients, checker, plan, outsider: None, next: 0 }.all().await
    })
}

/// A node that starts.
type Start = JoinHandle<Result<Dht, Error>>;

struct Run {
    world: World,
    nodes: Nodes,
    clients: Clients,
    checker: Checker,
    plan: Plan,
    outsider: Option<Dht>,
    /// The number of the next node that comes.
    next: usize,
}

impl Run {
    async fn all(mut self) -> Result<(), String> {
        self.form().await?;
        self.fill().await?;
        for (number, dht) in self.nodes.running() {
            self.clients.start(number, &dht);
        }
        if self.plan.outsider {
            let seeds: Vec<usize> = (0..self.plan.nodes).collect();
            let started = self.nodes.client(OUTSIDER, &seeds).await;
            let (dht, env) = started.map_err(|error| format!("the client does not start: {error}"))?;
            self.clients.start_in(OUTSIDER, &dht, env);
            self.outsider = Some(dht);
        }
        self.world.network().configure(|config| *config = self.plan.network.clone());
        tokio::time::sleep(Duration::from_secs(2)).await;
        for event in self.plan.events.clone() {
            self.world.note(&format!("{event:?}"));
            self.apply(event).await?;
            // The next fault finds a ring that has healed of this one.
            self.nodes.settled(self.plan.patience()).await?;
            let pause = Duration::from_millis(self.world.env().random_below(1_000) as u64);
            tokio::time::sleep(pause).await;
        }
        self.clients.stop().await?;
        let pauses = self.plan.events.iter().filter_map(|event| match event {
            Event::Pause(duration) => Some(*duration),
            _ => None,
        });
        self.clients.book().in_time(pauses.max().unwrap_or_default())?;
        self.world.network().configure(|config| *config = NetworkConfig::default());
        self.checker.rest(self.plan.patience(), Duration::ZERO).await?;
        // Before anything is read, which would mend it.
        let forgetful = self.plan.tombstone_grace.is_some();
        let offset_ms = if self.plan.skewed { OFFSET_MS } else { 0 };
        tokio::time::sleep(rest::COMPARED).await;
        rest::check(&self.nodes, self.plan.replicas, offset_ms, forgetful)?;
        self.whole_ballast().await?;
        if let Some(outsider) = self.outsider.take() {
            outsider.stop().await;
        }
        let mut left = self.clients.last(&self.nodes.running()).await?;
        let history = self.clients.book().history();
        if forgetful {
            // No version is left of what was deleted, or expired, long enough ago.
            let ends = |key: &KeyHistory| key.kind == Kind::Expiring || key.operations.iter().any(Operation::deletes);
            let ending: BTreeSet<&str> = history.keys().iter().filter(|k| ends(k)).map(|k| k.name.as_str()).collect();
            left.retain(|key, last| last.version.is_some() || !ending.contains(key.as_str()));
        }
        let skew_ms = self.plan.skew_ms();
        let mut found = history.check(skew_ms, WALL_START_MS);
        super::search(&self.world, &history, &mut found);
        found.extend(last::check(&history, &left, offset_ms, WALL_START_MS, |_| false));
        super::count(&self.world, &history, &found);
        super::told(&history, &found)
    }

    async fn form(&mut self) -> Result<(), String> {
        let text = |error: Error| format!("the ring does not form: {error}");
        for _ in 0..self.plan.nodes {
            self.newcomer();
        }
        if self.plan.zones == 0 {
            return self.nodes.form(self.plan.nodes).map_err(text);
        }
        self.nodes.start(0, &[]).await.map_err(text)?;
        self.nodes.start_together(1..self.plan.nodes, &[0]).await.map_err(text)?;
        self.checker.rest(self.plan.patience(), Duration::ZERO).await.map(drop)
    }

    async fn fill(&self) -> Result<(), String> {
        let value = ballast();
        let entries = (0..self.plan.ballast).map(|n| (format!("ballast/{n}"), value.clone()));
        let results = self.nodes.node(0).put_many(entries, PutOptions::default()).await;
        let results = results.map_err(|error| format!("nothing can be put: {error}"))?;
        results.into_iter().try_for_each(|result| result.map(drop).map_err(|error| format!("not all is put: {error}")))
    }

    async fn whole_ballast(&self) -> Result<(), String> {
        let keys: Vec<String> = (0..self.plan.ballast).map(|n| format!("ballast/{n}")).collect();
        let (_, reader) = self.nodes.running().pop().ok_or("no node runs")?;
        let found = reader.get_many(keys, GetOptions::default()).await.map_err(|error| error.to_string())?;
        let value = ballast();
        let kept =
            |found: &Result<_, Error>| matches!(found, Ok(Some(Versioned { value: there, .. })) if *there == value);
        match found.iter().filter(|found| !kept(found)).count() {
            0 => Ok(()),
            lost => Err(format!("{lost} of {} values that nobody changed are not there", found.len())),
        }
    }

    /// The number of a node that was not there before.
    fn newcomer(&mut self) -> usize {
        let number = self.next;
        self.next += 1;
        self.nodes.set_clock(number, self.plan.clock(self.world.env()));
        if self.plan.zones > 0 {
            let zone = format!("zone-{}", number % self.plan.zones);
            self.nodes.configure(number, |config| config.zone = zone);
        }
        number
    }

    async fn apply(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Quiet(duration) => tokio::time::sleep(duration).await,
            Event::Crash(crash) => drop(self.crash(crash, true).await?),
            Event::Join => self.joins().await?,
            Event::Leave => {
                let number = self.victim().await?;
                let leaver = self.nodes.take(number);
                // Calls under way end as such of a node that has ended.
                leaver
                    .leave(self.plan.patience())
                    .await
                    .map_err(|error| format!("node {number} does not leave: {error}"))?;
                self.clients.abandon(number);
            }
            Event::Pause(duration) => {
                let number = self.victim().await?;
                self.nodes.pause(number, duration);
                tokio::time::sleep(duration).await;
            }
            Event::JoinAndCrash(crash) => {
                let (number, start) = self.joining(2);
                tokio::time::sleep(Duration::from_millis(self.world.env().random_below(300) as u64)).await;
                self.crash(crash, true).await?;
                self.joined(number, start).await?;
            }
            Event::Restart(crash, down) => self.restart(crash, down, false).await?,
            Event::Wiped(crash, down) => self.restart(crash, down, true).await?,
            Event::Blackout { crash, down, twice } => {
                let all = self.running();
                tokio::time::sleep(UNDER_WAY).await;
                for number in &all {
                    self.clients.abandon(*number);
                    self.nodes.crash(*number, crash).await;
                }
                self.come_back(all, down, twice.then_some(crash)).await?;
            }
            Event::Stop(down) => {
                let all = self.running();
                let stops = all.iter().map(|number| self.nodes.take(*number));
                let stops: JoinSet<()> = stops.map(|dht| async move { dht.stop().await }).collect();
                stops.join_all().await;
                all.iter().for_each(|number| drop(self.clients.abandon(*number)));
                self.come_back(all, down, None).await?;
            }
            Event::InTurn(down) => {
                let all = self.running();
                for number in &all {
                    self.nodes.take(*number).stop().await;
                    self.clients.abandon(*number);
                    self.given_up(*number).await;
                    self.nodes.settled(self.plan.patience()).await?;
                }
                self.come_back(all, down, None).await?;
            }
            Event::DiskFails(down) => {
                let number = self.victim().await?;
                let disk = self.nodes.disk(number).ok_or("it has a disk")?.clone();
                disk.set_failing(true);
                tokio::time::sleep(down).await;
                self.clients.abandon(number);
                self.nodes.crash(number, Crash::Process).await;
                disk.set_failing(false);
                self.start(number).await?;
                self.checker.rest(self.plan.patience(), Duration::ZERO).await?;
            }
        }
        Ok(())
    }

    /// One dies. Returns which; `known`: the others have found out.
    async fn crash(&mut self, crash: Crash, known: bool) -> Result<usize, String> {
        let number = self.victim().await?;
        self.clients.abandon(number);
        self.nodes.crash(number, crash).await;
        if known {
            self.given_up(number).await;
        }
        Ok(number)
    }

    /// The others have found out that the node is gone.
    async fn given_up(&self, number: usize) {
        let gone = crate::nodes::name(number);
        let knows = |dht: &Dht| !dht.inspect().members.iter().any(|(name, _)| name.as_str() == gone);
        while !self.nodes.running().iter().all(|(_, dht)| knows(dht)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn restart(&mut self, crash: Crash, down: Duration, wiped: bool) -> Result<(), String> {
        let number = self.crash(crash, false).await?;
        tokio::time::sleep(down).await;
        if wiped {
            self.nodes.wipe(number);
        }
        self.start(number).await?;
        // Everybody knows of its new life.
        self.checker.rest(self.plan.patience(), Duration::ZERO).await.map(drop)
    }

    /// All are started again, each at some time within `down`; the first to be there dies `again`, soon or when all are.
    async fn come_back(&mut self, all: Vec<usize>, down: Duration, mut again: Option<Crash>) -> Result<(), String> {
        let within = down.as_millis() as usize + 1;
        let mut waits: Vec<(u64, usize)> =
            all.iter().map(|number| (self.world.env().random_below(within) as u64, *number)).collect();
        waits.sort_unstable();
        let begin = self.world.env().now();
        let mut starts = JoinSet::new();
        for (wait, number) in waits {
            sleep_until(begin + Duration::from_millis(wait)).await;
            starts.spawn(self.launch_again(number, &all));
        }
        while let Some(started) = starts.join_next().await {
            let (number, started) = started.map_err(|error| format!("a start panicked: {error}"))?;
            let dht = started.map_err(|error| format!("node {number} does not come back: {error}"))?;
            self.clients.start(number, &dht);
            if let Some(crash) = again.take() {
                tokio::time::sleep(Duration::from_millis(self.world.env().random_below(within) as u64)).await;
                self.clients.abandon(number);
                self.nodes.crash(number, crash).await;
                starts.spawn(self.launch_again(number, &all));
            }
        }
        self.checker.rest(self.plan.patience(), Duration::ZERO).await.map(drop)
    }

    /// Starts one of `all`, which seeks some of the others; nobody of them may be up yet.
    fn launch_again(
        &mut self,
        number: usize,
        all: &[usize],
    ) -> impl Future<Output = (usize, Result<Dht, Error>)> + Send + use<> {
        let seeds: Vec<usize> = all.iter().copied().filter(|other| *other != number).take(3).collect();
        let start = self.nodes.launch(number, &seeds);
        async move { (number, start.await) }
    }

    /// Starts node `number` as a service manager does: again until it is in.
    async fn start(&mut self, number: usize) -> Result<(), String> {
        let mut refused = None;
        for _ in 0..TRIES_MAX {
            let running = self.running();
            match self.nodes.start(number, &running).await {
                Ok(dht) => {
                    self.clients.start(number, &dht);
                    return Ok(());
                }
                Err(error) => refused = Some(error),
            }
            tokio::time::sleep(AGAIN).await;
        }
        Err(format!("node {number} does not start: {refused:?}"))
    }

    async fn joins(&mut self) -> Result<(), String> {
        let (number, start) = self.joining(1);
        self.joined(number, start).await
    }

    /// A new node is on its way into the ring, through so many seeds: a joiner whose only seed dies is in no ring.
    fn joining(&mut self, seeds: usize) -> (usize, Start) {
        let number = self.newcomer();
        let running = self.running();
        let at = self.world.env().random_below(running.len());
        let seeds: Vec<usize> = (at..at + seeds).map(|at| running[at % running.len()]).collect();
        (number, tokio::spawn(self.nodes.launch(number, &seeds)))
    }

    async fn joined(&mut self, number: usize, start: Start) -> Result<(), String> {
        let started = start.await.map_err(|error| format!("node {number}: {error}"))?;
        let dht = started.map_err(|error| format!("node {number} does not start: {error}"))?;
        self.clients.start(number, &dht);
        Ok(())
    }

    /// The numbers of those that run, ascending.
    fn running(&self) -> Vec<usize> {
        self.nodes.running().into_iter().map(|(number, _)| number).collect()
    }

    /// One that may go: where too few would be left, another comes before.
    async fn victim(&mut self) -> Result<usize, String> {
        while self.running().len() < NODES_MIN {
            self.joins().await?;
            self.nodes.settled(self.plan.patience()).await?;
        }
        let running = self.running();
        Ok(running[self.world.env().random_below(running.len())])
    }
}

/// A value that nobody changes.
fn ballast() -> Value {
    Value::from_bytes(vec![7; BALLAST_LEN])
}
