//! What the clients of a run have to do with its faults.

use std::time::Duration;

use dht_core::{Dht, Env};
use tokio::time::Instant;

use crate::nodes::Nodes;

/// Clients that work while a ring is in trouble.
pub(in crate::scenarios) trait Load {
    /// The node of that number runs from now on.
    fn start(&mut self, number: usize, dht: Dht);

    /// The clients of a node die with it. Returns the environment of its process.
    fn abandon(&mut self, number: usize) -> Option<Env>;

    /// The process of the node stands still from now.
    fn paused(&self, number: usize, duration: Duration);

    /// When the last of the processes that stand still goes on.
    fn stand_still_until(&self) -> Option<Instant>;

    /// So many nodes lose their memory now; `whole`: until now every slot had all its copies, and nobody was cut off.
    fn losing(&self, many: usize, whole: bool);

    /// What is told when a node that leaves did not hand over everything.
    fn not_handed_over(&self) -> Box<dyn FnOnce() + Send>;

    /// # Errors
    /// The first promise that was broken, so far.
    fn kept(&self) -> Result<(), String>;

    /// The ring has healed: ends all clients, and looks at what there is.
    ///
    /// # Errors
    /// The first promise that was broken.
    fn finish(&mut self, nodes: &Nodes) -> impl Future<Output = Result<(), String>>;
}
