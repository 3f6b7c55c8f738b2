//! An embeddable, replicated, self-healing distributed hash table.
//!
//! A program starts a [`Dht`] node inside its own process and has a key-value store shared with every process that
//! joined the same ring: no server, no coordinator, no leader. Keys lie on a Chord ring of virtual nodes; each is kept
//! by `replication_factor` distinct nodes; nodes may come, leave and be killed.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use dht_core::{Config, Dht};
//!
//! let first = Dht::start(Config::default()).await?;
//! let second = Dht::start(Config { seeds: vec![first.address()], ..Config::default() }).await?;
//! second.put("answer", &42).await?;
//! assert_eq!(first.get::<i32>("answer").await?, Some(42));
//! # second.stop().await; first.stop().await;
//! # Ok::<(), dht_core::Error>(()) }).unwrap();
//! ```
//!
//! The modules, each importing only what stands below it: `dht` and `remote` (the public faces) → `node` (the
//! conversations) → `transport`, `store` (the ports) → `wire` (messages and their bytes) → `data` (records, versions)
//! → `ring` (who owns what). `docs/architecture.md` draws the map.

/// True where this bug is planted, which it never is without the feature: see `planted.rs`.
macro_rules! planted {
    ($name:literal) => {{
        #[cfg(feature = "planted")]
        let planted = crate::planted::is($name);
        #[cfg(not(feature = "planted"))]
        let planted = false;
        planted
    }};
}

#[macro_use]
mod logging;

#[cfg(feature = "binding")]
#[doc(hidden)]
pub mod binding;
mod config;
mod data;
mod dht;
mod env;
mod error;
mod node;
mod ops;
mod placement;
#[cfg(feature = "planted")]
#[doc(hidden)]
pub mod planted;
mod prometheus;
mod remote;
mod ring;
mod shapes;
mod stats;
#[doc(hidden)]
pub mod store;
#[doc(hidden)]
pub mod transport;
mod walks;
#[doc(hidden)]
pub mod wire;

pub use config::{
    Config, Consistency, Durability, Eviction, HashFunction, NetworkProtocol, Routing, Secret, TlsConfig,
};
#[doc(hidden)]
pub use data::hex::hex;
pub use data::number::Number;
pub use data::record::{Expected, Format, ParseVersionError, Value, Version};
#[doc(hidden)]
pub use dht::Foundation;
pub use dht::{Dht, Scan};
pub use env::Env;
pub use error::{Error, ErrorKind, Result};
pub use logging::TRACE_TARGET;
#[doc(hidden)]
pub use node::{FormedRing, Inspection, Pointers};
pub use ops::{Count, GetOptions, PutOptions, Swap, Versioned};
#[doc(hidden)]
pub use placement::Placement;
pub use remote::Remote;
pub use ring::id::Id;
#[doc(hidden)]
pub use ring::record::{Address, NodeId};
#[doc(hidden)]
pub use ring::shared::SharedRing;
#[doc(hidden)]
pub use ring::vnode::Pointer;
pub use shapes::{
    Finger, Health, Hop, HopNode, HopOutcome, LookupTrace, NodeInfo, OperationTrace, RestoreInfo, RingInfo, RingNode,
    SnapshotInfo, Statistics, TraceSpan,
};
#[doc(hidden)]
pub use walks::{Walked, Walks};
pub use wire::message::{PutOutcome, Topic};

/// The README's Rust code runs as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
