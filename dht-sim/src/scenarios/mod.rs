//! What `dht-sim --scenario NAME` can run. A scenario gives an error, or panics, if something does not hold.

use std::pin::Pin;

use crate::network::NetworkConfig;
use crate::world::{Failure, Setup, Summary, World, run};

pub mod calm50;
mod dice;
pub mod histories;
pub mod ping_storm;
pub mod small_rings;
pub mod workload;

/// A scenario's body, in one thread.
pub type Body = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// One scenario.
pub struct Scenario {
    /// As on the command line.
    pub name: &'static str,
    /// What it shows, in a line.
    pub about: &'static str,
    /// The network it starts with.
    pub network: fn() -> NetworkConfig,
    /// What happens.
    pub body: fn(World) -> Body,
}

/// All scenarios.
pub const ALL: &[Scenario] = &[
    ping_storm::SCENARIO,
    calm50::SCENARIO,
    calm50::CHORD,
    small_rings::SCENARIO,
    small_rings::CHORD,
    histories::calm::SCENARIO,
    histories::full::SCENARIO,
];

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// How it is run with this seed.
    pub fn setup(&self, seed: u64) -> Setup {
        Setup::new(self.name, seed, (self.network)())
    }

    /// Runs it once.
    ///
    /// # Errors
    /// As [`run`].
    pub fn run(&self, seed: u64) -> Result<Summary, Box<Failure>> {
        run(self.setup(seed), self.body)
    }
}
