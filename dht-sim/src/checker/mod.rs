//! The global checker: it sees all nodes at once and says what does not hold.
//!
//! [`step`] looks after every millisecond in which something was sent or arrived, at what must never break; [`rest`]
//! looks when faults have stopped, at what the ring must come back to. Source of the invariants: Zave, *How to Make Chord
//! Correct* (arXiv 1502.06461), §4.

mod ideal;
mod principals;
pub mod rest;
pub mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dht_core::{Inspection, NodeId, Pointers};

pub use ideal::Ideal;

use crate::nodes::{Registry, name};
use crate::world::World;

/// Looks at all nodes of a run.
pub struct Checker {
    world: World,
    registry: Registry,
    rules: Rules,
    /// When each node was last the only one: a ring of one has to learn first that it is none.
    alone: Mutex<BTreeMap<NodeId, Duration>>,
    /// Since when each node has been a member.
    members: Mutex<BTreeMap<NodeId, Duration>>,
}

/// A founder that is joined by others has successors by then.
const FOUNDING: Duration = Duration::from_secs(3);

/// All lists have room for a member by then: the up to 16 positions of a node are stabilized in turn, one a second.
const SETTLED: Duration = Duration::from_secs(30);

/// What this run promises.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// `successor_list_size`.
    pub successors_max: usize,
    /// `replication_factor`.
    pub replicas: usize,
    /// `slot_bits`, not more than `hash_bits`.
    pub slot_bits: u8,
    /// No fault of this run exceeds what Chord assumes: fewer than `successors_max` nodes die before the lists are whole
    /// again, and nobody is cut off. Then Zave's invariant holds at every step.
    pub within_assumptions: bool,
}

/// Between two looks, and also what a look needs to be repeated for.
const TICK: Duration = Duration::from_millis(1);

impl Checker {
    /// A checker of the nodes that `registry` has, now and later.
    pub fn new(world: World, registry: Registry, rules: Rules) -> Self {
        Self { world, registry, rules, alone: Mutex::default(), members: Mutex::default() }
    }

    /// Looks for ever; ends with what did not hold.
    pub async fn watch(&self) -> String {
        let mut seen = 0;
        loop {
            tokio::time::sleep(TICK).await;
            let events = self.world.network().with_trace_mut(|trace| trace.events());
            if events == seen {
                continue;
            }
            seen = events;
            if let Err(broken) = self.look() {
                return format!("at {:?}: {broken}", self.world.now());
            }
        }
    }

    /// What must hold at every step.
    ///
    /// # Errors
    /// What does not.
    pub fn look(&self) -> Result<(), String> {
        let mut active = Vec::new();
        for (_, dht) in self.registry.all() {
            if let Some(pointers) = dht.pointers() {
                active.push((NodeId::new(&dht.node_id()), pointers));
            }
        }
        for (node_id, pointers) in &active {
            for own in pointers {
                step::ordered(own, node_id, self.rules.successors_max)?;
            }
        }
        if self.rules.within_assumptions {
            let now = self.world.now();
            let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
            if let [(only, _)] = active.as_slice() {
                alone.insert(only.clone(), now);
            }
            let founding = |node: &NodeId| alone.get(node).is_some_and(|at| now - *at < FOUNDING);
            let starting = self.registry.starting().into_iter().map(|number| NodeId::new(&name(number))).collect();
            step::live_successors(&active, &starting, founding)?;
            let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.retain(|node, _| active.iter().any(|(other, _)| other == node));
            for (node, _) in &active {
                members.entry(node.clone()).or_insert(now);
            }
            let settled = |node: &NodeId| members.get(node).is_some_and(|since| now - *since >= SETTLED);
            principals::enough(&active, settled, self.rules.successors_max)?;
        }
        Ok(())
    }

    /// Waits until every list has as many live entries as it can have, at most for `patience`: who loses one node fewer than that then
    /// loses no node its last successor (Zave, §2: the assumption that the proof rests on). A ring that has just grown may not be there yet.
    ///
    /// # Errors
    /// They never are.
    pub async fn lists_are_full(&self, patience: Duration) -> Result<(), String> {
        let until = self.world.now() + patience;
        while !self.are_full() {
            if self.world.now() >= until {
                return Err(format!("successor lists are short after {patience:?}"));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn are_full(&self) -> bool {
        let all = self.registry.all();
        let active: Vec<_> = all.iter().filter_map(|(_, dht)| Some((dht.node_id(), dht.pointers()?))).collect();
        let lives = |node: &NodeId| active.iter().any(|(other, _)| other == node.as_str());
        let most = self.rules.successors_max.min(active.len().saturating_sub(1));
        let full = |own: &Pointers| own.successors.iter().filter(|p| lives(&p.node_id)).count() >= most;
        active.iter().flat_map(|(_, pointers)| pointers).all(full)
    }

    /// What must hold when nothing happens any more.
    ///
    /// # Errors
    /// What does not, yet or ever.
    pub fn at_rest(&self) -> Result<(), String> {
        let nodes: Vec<Inspection> = self.registry.all().iter().map(|(_, dht)| dht.inspect()).collect();
        for node in &nodes {
            rest::within_bounds(node)?;
        }
        rest::one_ring(&nodes)?;
        let ideal = Ideal::of(&nodes);
        for node in &nodes {
            rest::pointers(node, &ideal, self.rules.successors_max)?;
            rest::fingers(node, &ideal)?;
        }
        rest::owners(&nodes, &ideal, &self.rules)
    }

    /// Waits until everything is as it must be at rest, and stays so for `hold`.
    ///
    /// # Errors
    /// What was not after `patience`.
    pub async fn rest(&self, patience: Duration, hold: Duration) -> Result<Duration, String> {
        let begin = self.world.now();
        let mut since = None;
        loop {
            let now = self.world.now();
            match self.at_rest() {
                Ok(()) => {
                    let at = *since.get_or_insert(now);
                    if now - at >= hold {
                        return Ok(at - begin);
                    }
                }
                Err(broken) if now - begin >= patience => {
                    return Err(format!("not healed after {:?}: {broken}", now - begin));
                }
                Err(_) => since = None,
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Between two looks at a ring that heals.
const LOOK: Duration = Duration::from_millis(250);

fn names<'a>(nodes: impl Iterator<Item = &'a NodeId>) -> String {
    let names: BTreeSet<&str> = nodes.map(NodeId::as_str).collect();
    names.into_iter().collect::<Vec<_>>().join(" ")
}
