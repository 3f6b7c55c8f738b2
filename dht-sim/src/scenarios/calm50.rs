//! Fifty production nodes in calm weather: they join in waves, serve for a minute with one message in a hundred lost
//! and one node dying half-way, and then everything that was acknowledged must be there on all replicas.

use std::time::Duration;

use dht_core::{Config, Consistency, GetOptions, Routing};

use super::Scenario;
use super::workload::{Shape, Workload};
use crate::network::{Crash, Latency, NetworkConfig};
use crate::nodes::Nodes;
use crate::world::World;

const NODES: usize = 50;
const WAVE: usize = 7;
const HALF: Duration = Duration::from_secs(30);
/// To join, and to heal.
const PATIENCE: Duration = Duration::from_secs(60);

/// In the registry.
pub const SCENARIO: Scenario = Scenario {
    name: "calm50",
    about: "50 nodes, 60 seconds, 1 % loss, one crash, 10 checked operations a second each",
    network,
    body: |world| Box::pin(calm(world, Routing::OneHop)),
};

/// The same nodes, finding owners by walking.
pub const CHORD: Scenario = Scenario {
    name: "calm50_chord",
    about: "calm50 with routing = chord",
    network,
    body: |world| Box::pin(calm(world, Routing::Chord)),
};

fn network() -> NetworkConfig {
    let latency = Latency::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(10) };
    NetworkConfig { latency, loss: 0.01, ..NetworkConfig::default() }
}

async fn calm(world: World, routing: Routing) -> Result<(), String> {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let tasks_before = tasks();
    let config = Config { routing, ..Config::default() };
    let timeout = config.request_timeout;
    let mut nodes = Nodes::new(world.clone(), config);
    let text = |error: dht_core::Error| format!("a node does not start: {error}");
    nodes.start(0, &[]).await.map_err(text)?;
    for first in (1..NODES).step_by(WAVE) {
        world.note(&format!("nodes {first} and following start"));
        nodes.start_together(first..(first + WAVE).min(NODES), &[0]).await.map_err(text)?;
    }
    world.note("all nodes were started");
    for (number, dht) in nodes.running() {
        dht.wait_ready(PATIENCE).await.map_err(|error| format!("node {number} is not ready: {error}"))?;
    }
    world.note("all nodes are ready");

    let shape = Shape { period: Duration::from_millis(100), timeout, own_keys: 16, shared_keys: 64 };
    let mut load = Workload::new(world.clone(), shape);
    for (number, dht) in nodes.running() {
        load.start(number, dht.clone());
    }
    load.run_for(HALF).await?;
    let victim = 1 + world.env().random_below(NODES - 1);
    load.abandon(victim);
    nodes.crash(victim, Crash::Process).await;
    load.run_for(HALF).await?;
    load.finish().await?;

    world.network().configure(|config| config.loss = 0.0);
    let healed = nodes.settled(PATIENCE).await?;
    world.note(&format!("all slots are fully replicated after {healed:?}"));
    let reader = nodes.node(0);
    let all = GetOptions { consistency: Some(Consistency::All), timeout: None };
    load.verify(&reader, all).await?;
    load.check_errors()?;

    nodes.stop().await;
    drop(load);
    // What the stopped endpoints still had under way comes to its end.
    tokio::time::sleep(Duration::from_secs(1)).await;
    match tasks() {
        left if left > tasks_before => Err(format!("{} tasks are left of the nodes", left - tasks_before)),
        _ => Ok(()),
    }
}
