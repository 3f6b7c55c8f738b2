//! Everything that `small_rings` draws, under clients whose history is kept: splits, skewed clocks, long pauses, mass
//! losses, restarts without memory. What must hold then: one version has one value, nothing is seen that was not written or
//! was rejected, nothing long after its expiry; and what was acknowledged is there in the end, or a higher version, unless
//! more copies were lost at once than the level outlives. Once it has healed, operations are in order again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dht_core::{Dht, Env, Routing};
use tokio::time::Instant;

use super::{Clients, rest};
use crate::history::{Anomaly, Operation, Rule, last};
use crate::network::NetworkConfig;
use crate::nodes::{Nodes, Registry};
use crate::scenarios::small_rings::Run;
use crate::scenarios::small_rings::load::Load;
use crate::scenarios::{Body, Scenario};
use crate::world::{WALL_START_MS, World};

/// In the registry.
pub const SCENARIO: Scenario = Scenario {
    name: "histories_full",
    about: "the faults of small_rings under clients whose history is checked: nothing is lost, made up or denied",
    network: NetworkConfig::default,
    body,
};

/// Clocks are wrong by so much at most: see `plan.rs`.
const OFFSET_MS: u64 = 2_200;
/// All slots are fully replicated again.
const SETTLED_BY: Duration = Duration::from_secs(120);
/// Replicas that differ have been compared.
const MET: Duration = Duration::from_secs(10);
/// The clients go on for so long.
const AFTERWARDS: Duration = Duration::from_secs(5);
/// What was acknowledged so long before has reached all replicas of a ring that is whole.
const SPREAD_NS: u64 = 10_000_000_000;

fn body(world: World) -> Body {
    Box::pin(async move {
        let (run, checker) = Run::new(world, Routing::OneHop, Trouble::new);
        run.all(&checker).await
    })
}

/// Copies that were lost.
#[derive(Clone, Copy)]
struct Loss {
    at_ns: u64,
    many: usize,
    /// Every slot had all its copies.
    whole: bool,
}

/// Processes that stood still.
#[derive(Clone, Copy, Default)]
struct Pauses {
    /// When the last of them goes on.
    until: Option<Instant>,
    /// All together.
    sum: Duration,
}

/// The clients, and what they cannot hold the ring to.
struct Trouble {
    world: World,
    clients: Clients,
    replicas: usize,
    losses: Arc<Mutex<Vec<Loss>>>,
    pauses: Mutex<Pauses>,
}

impl Trouble {
    fn new(world: World, registry: Registry, replicas: usize) -> Self {
        let clients = Clients::new(world.clone(), registry, false);
        Self { world, clients, replicas, losses: Arc::default(), pauses: Mutex::default() }
    }

    /// More copies were lost than the level outlives, while the write may not have reached more.
    fn excused(&self, write: &Operation) -> bool {
        let losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        losses.iter().any(|loss| {
            let before = write.begin < loss.at_ns;
            let fresh = write.end.saturating_add(SPREAD_NS) > loss.at_ns;
            // A quorum of R lives through the loss of one, unless it is all of them.
            let outlives = loss.whole && loss.many < self.replicas && (loss.many < 2 || !fresh);
            before && !outlives
        })
    }
}

impl Load for Trouble {
    fn start(&mut self, number: usize, dht: Dht) {
        self.clients.start(number, &dht);
    }

    fn abandon(&mut self, number: usize) -> Option<Env> {
        self.clients.abandon(number)
    }

    fn paused(&self, _: usize, duration: Duration) {
        let until = self.world.env().now() + duration;
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        *pauses = Pauses { until: pauses.until.max(Some(until)), sum: pauses.sum + duration };
    }

    fn stand_still_until(&self) -> Option<Instant> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).until
    }

    fn losing(&self, many: usize, whole: bool) {
        let at_ns = self.clients.book().now_ns();
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).push(Loss { at_ns, many, whole });
    }

    fn not_handed_over(&self) -> Box<dyn FnOnce() + Send> {
        let (losses, book) = (self.losses.clone(), self.clients.book().clone());
        Box::new(move || {
            let loss = Loss { at_ns: book.now_ns(), many: 1, whole: false };
            losses.lock().unwrap_or_else(PoisonError::into_inner).push(loss);
        })
    }

    fn kept(&self) -> Result<(), String> {
        Ok(())
    }

    async fn finish(&mut self, nodes: &Nodes) -> Result<(), String> {
        // What was written on different sides has met by then.
        nodes.settled(SETTLED_BY).await?;
        tokio::time::sleep(MET).await;
        let healed_ns = self.clients.book().now_ns();
        tokio::time::sleep(AFTERWARDS).await;
        self.clients.stop().await?;
        self.clients.book().in_time(self.pauses.lock().unwrap_or_else(PoisonError::into_inner).sum)?;
        // Before anything is read, which would mend it.
        tokio::time::sleep(rest::COMPARED).await;
        rest::check(nodes, self.replicas, OFFSET_MS, false)?;
        let left = self.clients.last(&nodes.running()).await?;
        let history = self.clients.book().history();
        let mut found = history.check(2 * OFFSET_MS, WALL_START_MS);
        super::search(&self.world, &history, &mut found);
        found.extend(last::check(&history, &left, OFFSET_MS, WALL_START_MS, |write| self.excused(write)));
        super::count(&self.world, &history, &found);
        // Not by a search: what a key had before is not for these operations to tell.
        let told_by = |anomaly: &Anomaly| match anomaly.rule {
            Rule::Written | Rule::Present | Rule::Causal => false,
            Rule::Sum => !anomaly.what.contains("were asked for"),
            _ => true,
        };
        let afterwards = history.since(healed_ns);
        self.world.count("operations when healed", afterwards.counts().0 as u64);
        let after: Vec<Anomaly> = afterwards.check(2 * OFFSET_MS, WALL_START_MS).into_iter().filter(told_by).collect();
        super::told(&afterwards, &after).map_err(|broken| format!("when it had healed: {broken}"))?;
        let all = history.keys().iter().flat_map(|key| &key.operations).filter(|o| o.told().is_some_and(|t| t.changed));
        let (kept, excused): (Vec<&Operation>, Vec<&Operation>) = all.partition(|write| !self.excused(write));
        self.world.count("writes that must be kept", kept.len() as u64);
        self.world.count("writes that may be lost", excused.len() as u64);
        let hard = |rule: Rule| {
            matches!(rule, Rule::Written | Rule::Honest | Rule::OneValue | Rule::Expiry | Rule::Kept | Rule::Deleted)
        };
        // While a ring is in two parts, one of them may well see what was deleted in the other: only the end counts.
        let last = |anomaly: &Anomaly| anomaly.rule != Rule::Deleted || anomaly.what.contains("in the end");
        let broken: Vec<Anomaly> = found.into_iter().filter(|a| hard(a.rule) && last(a)).collect();
        super::told(&history, &broken)
    }
}
