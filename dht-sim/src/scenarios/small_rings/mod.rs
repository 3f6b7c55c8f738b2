//! Rings of three to twelve nodes in every kind of trouble, each seed with a mix of its own; then the trouble stops, and the
//! ring must heal and serve. The checker looks at every step.

pub(super) mod load;
pub mod plan;
mod probers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dht_core::{Address, Config, Dht, Error, Routing};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use self::load::Load;
use self::plan::{Event, Plan, REPAIR};
use self::probers::Probers;
use super::{Body, Scenario};
use crate::checker::{Checker, Ideal, Rules};
use crate::network::{Crash, NetworkConfig};
use crate::nodes::{Nodes, Registry};
use crate::world::World;

/// In the registry.
pub const SCENARIO: Scenario = Scenario {
    name: "small_rings",
    about: "3 to 12 nodes, membership changes and faults drawn by the seed, checked at every step and when healed",
    network: NetworkConfig::default,
    body: |world| rings(world, Routing::OneHop),
};

/// The same rings with nodes that find owners by walking.
pub const CHORD: Scenario = Scenario {
    name: "chord_rings",
    about: "small_rings with routing = chord: operations walk, every position has its fingers",
    network: NetworkConfig::default,
    body: |world| rings(world, Routing::Chord),
};

const SLOT_BITS: u8 = 6;
/// To form, and to heal when faults have stopped.
const PATIENCE: Duration = Duration::from_secs(180);
/// A ring that has healed stays so.
const HOLD: Duration = Duration::from_secs(5);
/// Seeds that nodes are configured with.
const SEEDS: std::ops::Range<usize> = 0..3;
/// Nodes that have not joined this long after the faults may have nobody left whom they know.
const LOST: Duration = Duration::from_secs(20);
/// Keys that each node looks up when the ring has healed.
const LOOKUPS: usize = 4;
/// Between two tries to start a node that was refused: its former self may not be known as dead yet.
const RESTART: Duration = Duration::from_secs(1);

fn rings(world: World, routing: Routing) -> Body {
    Box::pin(async move {
        let (run, checker) = Run::new(world, routing, |world, registry, _| Probers::new(world, registry));
        tokio::select! {
            biased;
            result = run.all(&checker) => result,
            broken = checker.watch() => Err(broken),
        }
    })
}

/// A ring, its faults, and the clients that work meanwhile.
pub(super) struct Run<L> {
    world: World,
    nodes: Nodes,
    plan: Plan,
    load: L,
    /// Nodes on their way in.
    starting: JoinSet<(usize, Result<Dht, Error>)>,
    /// How long events have waited for what they assume: those after them are as much later.
    late: Duration,
    /// Somebody is cut off.
    severed: bool,
    /// Whose disks take nothing any more.
    failed: BTreeSet<usize>,
}

impl<L: Load> Run<L> {
    /// Draws what happens.
    pub(super) fn new(
        world: World,
        routing: Routing,
        load: impl FnOnce(World, Registry, usize) -> L,
    ) -> (Self, Checker) {
        let plan = Plan::draw(world.env());
        world.note(&format!("{plan:?}"));
        let config = Config {
            slot_bits: SLOT_BITS,
            successor_list_size: plan.successors,
            virtual_nodes: Some(plan.vnodes),
            replication_factor: plan.replicas,
            routing,
            ..Config::default()
        };
        let rules = Rules {
            successors_max: plan.successors,
            replicas: plan.replicas,
            slot_bits: SLOT_BITS,
            within_assumptions: plan.within_assumptions,
        };
        let mut nodes = Nodes::new(world.clone(), config);
        if let Some(durability) = plan.durability {
            nodes.keep_on_disk(durability);
        }
        let checker = Checker::new(world.clone(), nodes.registry(), rules);
        let load = load(world.clone(), nodes.registry(), plan.replicas);
        (
            Self {
                load,
                world,
                nodes,
                plan,
                starting: JoinSet::new(),
                late: Duration::ZERO,
                severed: false,
                failed: BTreeSet::new(),
            },
            checker,
        )
    }

    /// From the first node to the healed ring.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) async fn all(mut self, checker: &Checker) -> Result<(), String> {
        for (number, clock) in self.plan.clocks.clone().into_iter().enumerate() {
            self.nodes.set_clock(number, clock);
        }
        self.form().await?;
        let formed = checker.rest(PATIENCE, Duration::ZERO).await?;
        self.world.note(&format!("formed after {formed:?}"));
        let network = self.plan.network.clone();
        self.world.network().configure(|config| *config = network);
        let begun = self.world.env().now();
        let mut wanted: BTreeSet<usize> = (0..self.plan.nodes).collect();
        for (at, event) in self.plan.events.clone() {
            sleep_until(begun + at + self.late).await;
            self.load.kept()?;
            self.apply(event, &mut wanted, checker).await?;
        }
        self.world.network().configure(|config| *config = NetworkConfig::default());
        // A process that stands still can neither join nor be joined through.
        if let Some(until) = self.load.stand_still_until() {
            sleep_until(until).await;
        }
        self.world.note("faults have stopped");
        self.mend_disks(&mut wanted, checker).await?;
        self.all_in(&wanted).await?;
        self.take_in_the_lost().await?;
        self.take_in_the_apart().await;
        let healed = checker.rest(PATIENCE, HOLD).await?;
        self.world.note(&format!("healed after {healed:?}"));
        self.load.finish(&self.nodes).await?;
        self.finds().await?;
        self.serves().await?;
        self.nodes.stop().await;
        Ok(())
    }

    /// Nodes whose disks have failed are started anew, with what their disks had before.
    async fn mend_disks(&mut self, wanted: &mut BTreeSet<usize>, checker: &Checker) -> Result<(), String> {
        for number in std::mem::take(&mut self.failed) {
            let Some(disk) = self.nodes.disk(number) else { continue };
            disk.set_failing(false);
            if self.nodes.registry().get(number).is_some() {
                self.apply(Event::Crash(vec![number], Crash::Process), wanted, checker).await?;
                wanted.insert(number);
            }
        }
        Ok(())
    }

    async fn form(&mut self) -> Result<(), String> {
        let text = |error: Error| format!("a node does not start: {error}");
        let first = self.nodes.start(0, &[]).await.map_err(text)?;
        self.load.start(0, first);
        if self.plan.at_once {
            self.launch((1..self.plan.nodes).collect());
        } else {
            for number in 1..self.plan.nodes {
                let seeds = self.seeds();
                let dht = self.nodes.start(number, &seeds).await.map_err(text)?;
                self.load.start(number, dht);
            }
        }
        self.all_in(&(0..self.plan.nodes).collect()).await
    }

    /// What a new node is told: somebody who is in a ring, if anybody is (two that know each other only, and are both on
    /// their way in, wait for each other for ever); or the usual ones, and who is there.
    fn seeds(&self) -> Vec<usize> {
        let running = self.nodes.running();
        if self.plan.few_seeds && !running.is_empty() {
            let drawn = self.world.env().random_below(running.len());
            let from_drawn_on = || running[drawn..].iter().chain(&running[..drawn]);
            let (number, _) = from_drawn_on().find(|(_, dht)| dht.pointers().is_some()).unwrap_or(&running[drawn]);
            return vec![*number];
        }
        let running = running.into_iter().map(|(number, _)| number);
        SEEDS.chain(running).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Nothing of the node is left: no process that leaves, or comes.
    fn is_free(&self, number: usize) -> bool {
        self.nodes.registry().get(number).is_none() && !self.world.network().is_up(&self.world.address(number))
    }

    fn launch(&mut self, numbers: Vec<usize>) {
        for number in numbers {
            let seeds = self.seeds();
            self.launch_with(number, &seeds);
        }
    }

    fn launch_with(&mut self, number: usize, seeds: &[usize]) {
        let start = self.nodes.launch(number, seeds);
        self.starting.spawn(async move { (number, start.await) });
    }

    /// Waits until all that are wanted run; those that were refused try again.
    async fn all_in(&mut self, wanted: &BTreeSet<usize>) -> Result<(), String> {
        let mut tries: BTreeMap<usize, u32> = BTreeMap::new();
        loop {
            while let Some(started) = self.starting.join_next().await {
                let (number, started) = started.map_err(|error| format!("a start panicked: {error}"))?;
                self.started(number, started);
            }
            let running: BTreeSet<usize> = self.nodes.running().into_iter().map(|(number, _)| number).collect();
            let missing: Vec<usize> = wanted.difference(&running).copied().collect();
            if missing.is_empty() {
                return Ok(());
            }
            for number in &missing {
                let tries = tries.entry(*number).or_default();
                *tries += 1;
                if *tries > 60 {
                    return Err(format!("node {number} was refused {tries} times"));
                }
            }
            tokio::time::sleep(RESTART).await;
            let free = missing.into_iter().filter(|number| self.is_free(*number)).collect();
            self.launch(free);
        }
    }

    /// All members died while the others were on their way to them: there is no ring any more, and an operator founds one.
    async fn found_anew(&mut self) -> Result<(), String> {
        let number = self.nodes.running().first().map(|(number, _)| *number).ok_or("no node runs")?;
        self.load.abandon(number);
        self.nodes.crash(number, Crash::Process).await;
        let founder = self.nodes.start(number, &[]).await;
        let founder = founder.map_err(|error| format!("node {number} founds no ring: {error}"))?;
        self.load.start(number, founder);
        Ok(())
    }

    /// Whoever was told only of nodes that are gone by now is told anew, as an operator would.
    async fn take_in_the_lost(&mut self) -> Result<(), String> {
        tokio::time::sleep(LOST).await;
        let lost = |dht: &Dht| !dht.inspect().active;
        if self.nodes.running().iter().all(|(_, dht)| lost(dht)) {
            self.found_anew().await?;
        }
        let running = self.nodes.running();
        let members: Vec<&Dht> = running.iter().map(|(_, dht)| dht).filter(|dht| !lost(dht)).collect();
        for (number, dht) in running.iter().filter(|(_, dht)| lost(dht)) {
            let seeds = dht.seeds();
            let up = |seed: &String| self.world.network().is_up(&Address::new(seed)) && *seed != dht.address();
            if seeds.iter().any(up) {
                continue;
            }
            // One of them may stand still.
            let mut refusal = None;
            for member in &members {
                self.world.note(&format!("node {number} is told of {}", member.address()));
                refusal = dht.join(&[member.address()]).await.err();
                if refusal.is_none() {
                    break;
                }
            }
            if let Some(error) = refusal {
                return Err(format!("node {number} joins nobody: {error}"));
            }
        }
        Ok(())
    }

    /// Rings that were to join and could not, or whose founder is gone, join now.
    async fn take_in_the_apart(&self) {
        let mut rings = BTreeMap::new();
        for (number, dht) in self.nodes.running() {
            if let Some(ring) = dht.inspect().ring_id.filter(|_| dht.inspect().active) {
                rings.entry(ring).or_insert(number);
            }
        }
        for member in rings.into_values() {
            self.unite(member).await;
        }
    }

    fn started(&mut self, number: usize, started: Result<Dht, Error>) {
        match started {
            Ok(dht) => self.load.start(number, dht),
            Err(error) => self.world.note(&format!("node {number} does not start: {error}")),
        }
    }

    async fn apply(&mut self, event: Event, wanted: &mut BTreeSet<usize>, checker: &Checker) -> Result<(), String> {
        while let Some(started) = self.starting.try_join_next() {
            let (number, started) = started.map_err(|error| format!("a start panicked: {error}"))?;
            self.started(number, started);
        }
        let runs = |nodes: &Nodes, number: usize| nodes.registry().get(number).is_some();
        self.world.note(&format!("{event:?}"));
        match event {
            Event::Start(numbers) => {
                wanted.extend(&numbers);
                // What is still leaving or starting comes in at the end.
                let free: Vec<usize> = numbers.into_iter().filter(|number| self.is_free(*number)).collect();
                for number in free.iter().filter(|number| self.plan.wiped.contains(number)) {
                    self.nodes.wipe(*number);
                }
                self.launch(free);
            }
            Event::Apart(numbers) => {
                wanted.extend(&numbers);
                for (at, number) in numbers.iter().enumerate() {
                    self.launch_with(*number, &numbers[..at.min(1)]);
                }
            }
            Event::Unite(founder) => self.unite(founder).await,
            Event::Leave(numbers) => {
                wanted.retain(|number| !numbers.contains(number));
                let stay: Vec<String> = wanted.iter().map(|number| crate::nodes::name(*number)).collect();
                for number in numbers {
                    if runs(&self.nodes, number) {
                        let (dht, env) = (self.nodes.take(number), self.load.abandon(number));
                        let ring = dht.ring();
                        let alone = ring.is_ok_and(|ring| !ring.nodes.iter().any(|n| stay.contains(&n.node.id)));
                        let not_handed_over = self.load.not_handed_over();
                        // That not all was handed over in time, or that it knows nobody to hand over to, is no fault of a
                        // ring in trouble.
                        let leave = async move {
                            if dht.leave(Duration::from_secs(10)).await.is_err() || alone {
                                not_handed_over();
                            }
                        };
                        drop(tokio::spawn(async move {
                            match env {
                                Some(env) => env.gated(leave).await,
                                None => leave.await,
                            }
                        }));
                    }
                }
            }
            Event::Crash(numbers, crash) => {
                if self.plan.within_assumptions {
                    let begun = self.world.now();
                    checker.lists_are_full(REPAIR).await?;
                    self.late += self.world.now() - begun;
                }
                let many = numbers.iter().filter(|number| runs(&self.nodes, **number)).count();
                self.load.losing(many, !self.severed && checker.at_rest().is_ok());
                for number in numbers {
                    wanted.remove(&number);
                    if runs(&self.nodes, number) {
                        self.load.abandon(number);
                        self.nodes.crash(number, crash).await;
                    }
                }
            }
            Event::Pause(number, duration) => {
                if runs(&self.nodes, number) {
                    self.load.paused(number, duration);
                    self.nodes.pause(number, duration);
                }
            }
            Event::Split(groups) => {
                self.severed = true;
                let groups: Vec<Vec<_>> =
                    groups.iter().map(|group| group.iter().map(|n| self.world.address(*n)).collect()).collect();
                let groups: Vec<&[_]> = groups.iter().map(Vec::as_slice).collect();
                self.world.network().partition(&groups);
            }
            Event::Cut(from, to) => {
                self.severed = true;
                self.world.network().cut(&self.world.address(from), &self.world.address(to));
            }
            Event::Heal => {
                self.severed = false;
                self.world.network().heal();
            }
            Event::DiskFails(number) => {
                if let Some(disk) = self.nodes.disk(number).filter(|_| runs(&self.nodes, number)) {
                    disk.set_failing(true);
                    self.failed.insert(number);
                }
            }
        }
        Ok(())
    }

    /// The ring that `founder` is in joins that of the nodes at the start. It goes on until one of the others was reached.
    async fn unite(&self, founder: usize) {
        let Some((founder, _)) = self.nodes.registry().get(founder) else { return };
        let ring = |dht: &Dht| dht.inspect().ring_id;
        for (number, dht) in self.nodes.running() {
            if ring(&dht).is_some() && ring(&dht) != ring(&founder) {
                match founder.join(&[dht.address()]).await {
                    Ok(()) => return,
                    Err(error) => self.world.note(&format!("does not join node {number}: {error}")),
                }
            }
        }
    }

    /// A walk along Chord's pointers ends at the owner, from everywhere.
    async fn finds(&self) -> Result<(), String> {
        let all = self.nodes.running();
        let nodes: Vec<_> = all.iter().map(|(_, dht)| dht.inspect()).collect();
        let ideal = Ideal::of(&nodes);
        for (number, dht) in &all {
            for key in 0..LOOKUPS {
                let key = format!("found/{number}/{key}");
                let trace = dht.lookup_trace(&key).await.map_err(|error| format!("node {number}, {key}: {error}"))?;
                let end = nodes.iter().flat_map(|node| &node.slots).find(|slot| slot.0 == trace.slot);
                let owner = end.and_then(|(_, end, ..)| ideal.successor(*end)).map(|(_, node)| node.as_str());
                if owner != Some(&trace.owner.id) {
                    return Err(format!("node {number} finds {trace:?}, the owner is {owner:?}"));
                }
            }
        }
        Ok(())
    }

    /// Everybody writes, and everybody reads what everybody wrote.
    async fn serves(&self) -> Result<(), String> {
        let all = self.nodes.running();
        for (number, dht) in &all {
            let key = format!("last/{number}");
            dht.put(&key, number).await.map_err(|error| format!("node {number} does not put: {error}"))?;
        }
        for (number, dht) in &all {
            for (writer, _) in &all {
                let key = format!("last/{writer}");
                match dht.get::<usize>(&key).await {
                    Ok(Some(value)) if value == *writer => {}
                    other => return Err(format!("node {number} reads {key}: {other:?}")),
                }
            }
        }
        Ok(())
    }
}
