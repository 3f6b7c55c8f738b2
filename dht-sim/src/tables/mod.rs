//! What the ring costs and how well it does, as tables: `dht-sim --table NAME`. Each is measured on production nodes in
//! the simulator and printed with the command that prints it.

use std::time::Duration;

use dht_core::Config;

use crate::network::NetworkConfig;
use crate::nodes::Nodes;
use crate::world::{Failure, Setup, World, run};

mod balance;
mod chi_square;
mod churn;
mod keys;
mod large;
mod lookups;
mod maintenance;
mod repair;
mod speed;

/// One table.
pub struct Table {
    /// As on the command line.
    pub name: &'static str,
    /// What it shows, in a line.
    pub about: &'static str,
    /// Prints it for rings of `nodes`, or of the usual sizes if that is `None`.
    pub print: fn(nodes: Option<usize>) -> Result<(), Box<Failure>>,
}

/// All tables.
pub const ALL: &[Table] = &[
    maintenance::TABLE,
    balance::TABLE,
    keys::TABLE,
    lookups::HOPS,
    lookups::KILLS,
    lookups::VNODES,
    churn::TABLE,
    large::CRASHES,
    large::SPLITS,
    repair::TABLE,
    speed::TABLE,
];

/// The table of that name.
pub fn find(name: &str) -> Option<&'static Table> {
    ALL.iter().find(|table| table.name == name)
}

/// A ring of `count` nodes in a quiet network, all of them ready.
async fn formed(world: &World, config: Config, count: usize) -> Result<Nodes, String> {
    let text = |error: dht_core::Error| format!("a node does not start: {error}");
    let mut nodes = Nodes::new(world.clone(), config);
    nodes.start(0, &[]).await.map_err(text)?;
    let mut first = 1;
    while first < count {
        // As many at a time as there are already: a ring doubles.
        let next = (2 * first).min(first + 64).min(count);
        nodes.start_together(first..next, &[0]).await.map_err(text)?;
        first = next;
    }
    for (number, dht) in nodes.running() {
        let ready = dht.wait_ready(Duration::from_secs(3600)).await;
        ready.map_err(|error| format!("node {number} is not ready: {error}"))?;
    }
    Ok(nodes)
}

/// What is computed over several rings is computed over these.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=20;

/// Of a non-empty list, which is given back sorted.
fn median(mut values: Vec<f64>) -> (f64, Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    (f64::midpoint(low, high), values)
}

fn simulated<F, S>(name: &str, seed: u64, scenario: S) -> Result<(), Box<Failure>>
where
    S: FnOnce(World) -> F,
    F: Future<Output = Result<(), String>>,
{
    let setup = Setup { tail_max: 0, ..Setup::new(name, seed, NetworkConfig::default()) };
    run(setup, scenario).map(drop)
}
