//! Runs the production nodes of `dht-core` over an in-memory network on tokio's paused clock: many nodes in one
//! thread, hours in seconds, and bit-identical for a seed.
//!
//! - [`network`]: the network and its faults; each node gets one [`SimTransport`] of it
//! - [`trace`]: a running hash of every message, which two runs of one seed must share
//! - [`world`]: runs a scenario and tells how to repeat one that failed
//! - [`nodes`]: the production node on that network
//! - [`disk`]: what outlives a process, but for the tail of what it wrote
//! - [`checker`]: what must hold of all nodes together, at every step and at rest
//! - [`history`]: everything that clients did and were told, and what of it cannot be
//! - [`oracle`]: what a read may return, given which writes were acknowledged
//! - [`scenarios`]: what `dht-sim --scenario NAME` can run
//! - [`tables`]: what `sim-tables NAME` can measure
//!
//! ```
//! use dht_sim::{NetworkConfig, Setup, run};
//!
//! let summary = run(Setup::new("example", 7, NetworkConfig::default()), |world| async move {
//!     let a = world.network().endpoint(world.address(0));
//!     world.note("one endpoint listens");
//!     tokio::time::sleep(std::time::Duration::from_secs(3600)).await; // no real time passes
//!     drop(a);
//!     Ok(())
//! })
//! .unwrap();
//! assert_eq!(summary.virtual_time.as_secs(), 3600);
//! ```

pub mod checker;
pub mod disk;
pub mod history;
pub mod network;
pub mod nodes;
pub mod oracle;
pub mod scenarios;
pub mod tables;
pub mod trace;
pub mod world;

/// Of all programs and tests: nearly all that a simulated node costs is small pieces that come and go.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use disk::{Disk, DiskStore};
pub use network::{Crash, Latency, NetworkConfig, SimNetwork, SimTransport};
pub use nodes::{Clock, Nodes};
pub use oracle::{Oracle, Violation};
pub use trace::Trace;
pub use world::{Failure, Setup, Summary, World, run};

type FixedMap<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;
type FixedSet<K> = hashbrown::HashSet<K, foldhash::fast::FixedState>;
