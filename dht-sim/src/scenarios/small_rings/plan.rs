//! What one seed of `small_rings` does: drawn whole before the run, so that it can be read, and counted by tests.

use std::collections::BTreeSet;
use std::time::Duration;

use dht_core::{Durability, Env};

use crate::network::{Crash, Latency, NetworkConfig};
use crate::nodes::Clock;
use crate::scenarios::dice::Dice;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Nodes at the start, 3 to 12.
    pub nodes: usize,
    /// They start all at once, not one after the other.
    pub at_once: bool,
    /// Nodes know one seed each, not three and all that run: what a split tears apart, seeds alone do not mend.
    pub few_seeds: bool,
    /// `successor_list_size`.
    pub successors: usize,
    /// `virtual_nodes`.
    pub vnodes: u16,
    /// `replication_factor`.
    pub replicas: usize,
    /// Nothing exceeds what Chord assumes.
    pub within_assumptions: bool,
    /// How messages fare while faults last.
    pub network: NetworkConfig,
    /// Of each node.
    pub clocks: Vec<Clock>,
    /// Nodes keep what they have on disks; `None`: in memory.
    pub durability: Option<Durability>,
    /// These have an empty disk when they are started again.
    pub wiped: BTreeSet<usize>,
    /// What happens when, counted from when the ring has formed.
    pub events: Vec<(Duration, Event)>,
}

/// Something that happens.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// New nodes, or dead ones again, start together.
    Start(Vec<usize>),
    /// New nodes found a ring of their own.
    Apart(Vec<usize>),
    /// The ring that this node founded joins the others'.
    Unite(usize),
    /// They leave, all at once.
    Leave(Vec<usize>),
    /// They die, all at once.
    Crash(Vec<usize>, Crash),
    /// A process stands still.
    Pause(usize, Duration),
    /// Groups that do not hear each other; a node in two of them is a bridge.
    Split(Vec<Vec<usize>>),
    /// The first does not reach the second.
    Cut(usize, usize),
    /// Ends splits and cuts.
    Heal,
    /// The disk of a node takes nothing any more.
    DiskFails(usize),
}

impl Event {
    /// Nodes come or go.
    pub fn changes_membership(&self) -> bool {
        matches!(self, Self::Start(_) | Self::Apart(_) | Self::Unite(_) | Self::Leave(_) | Self::Crash(..))
    }
}

/// A ring that loses nodes is given this long before the next loss, and one that has grown at most this long before the first: until
/// then some successor list may be short.
pub(super) const REPAIR: Duration = Duration::from_secs(15);

impl Dice<'_> {
    /// Some of them, at most `count`, at least one unless there is none.
    fn some(&self, from: &BTreeSet<usize>, count: usize) -> Vec<usize> {
        let mut left: Vec<usize> = from.iter().copied().collect();
        let count = self.between(1, count.max(1)).min(left.len());
        (0..count).map(|_| left.swap_remove(self.below(left.len()))).collect()
    }
}

impl Plan {
    /// Everything follows from `env`.
    pub fn draw(env: &Env) -> Self {
        let dice = Dice(env);
        let nodes = dice.between(3, 12);
        let within_assumptions = dice.percent(40);
        let successors = dice.one_of(&[2, 3, 8]);
        let ms = Duration::from_millis;
        let quiet = NetworkConfig::default();
        let network = NetworkConfig {
            latency: dice.one_of(&[
                quiet.latency,
                Latency::Tailed { min: ms(1), mean: ms(6), max: ms(if within_assumptions { 200 } else { 2_000 }) },
            ]),
            loss: dice.one_of(if within_assumptions { &[0.0, 0.0, 0.01] } else { &[0.0, 0.01, 0.05, 0.2] }),
            duplication: dice.one_of(&[0.0, 0.05]),
            reordering: dice.percent(50),
            ..quiet
        };
        let mut plan = Self {
            nodes,
            at_once: dice.percent(50),
            few_seeds: dice.percent(50),
            successors,
            vnodes: dice.one_of(&[1, 1, 1, 2, 5, 16]),
            replicas: dice.between(1, successors.min(3)),
            within_assumptions,
            network,
            clocks: Vec::new(),
            durability: None,
            wiped: BTreeSet::new(),
            events: Vec::new(),
        };
        let wrong = dice.percent(30);
        plan.clocks = (0..NUMBERS)
            .map(|_| match wrong {
                true => {
                    Clock { offset_ms: dice.below(4_000) as i64 - 2_000, drift_ppm: dice.below(1_000) as i32 - 500 }
                }
                false => Clock::default(),
            })
            .collect();
        plan.draw_events(&dice);
        plan.durability = dice.one_of(&[None, None, Some(Durability::Interval), Some(Durability::Always)]);
        plan.wiped = (0..NUMBERS).filter(|_| dice.percent(30)).collect();
        if plan.durability.is_some() && !within_assumptions && dice.percent(30) {
            let end = plan.events.last().map_or(0, |(at, _)| at.as_millis() as usize);
            plan.events.push((dice.ms(0, end), Event::DiskFails(dice.below(plan.nodes))));
            plan.events.sort_by_key(|(at, _)| *at);
        }
        plan
    }

    fn draw_events(&mut self, dice: &Dice<'_>) {
        let mut there: BTreeSet<usize> = (0..self.nodes).collect();
        let mut dead = BTreeSet::new();
        let mut next = self.nodes;
        let mut at = Duration::ZERO;
        // Who founded another ring.
        let mut apart = None;
        // Whether anything that `Heal` ends is in force.
        let mut severed = false;
        for _ in 0..dice.between(2, 8) {
            at += dice.ms(0, 8_000);
            let event = match (dice.below(9), self.within_assumptions) {
                (0 | 1, _) => {
                    let many = dice.one_of(&[1, 1, 1, 4]);
                    let mut starts: Vec<usize> = if dice.percent(50) { dice.some(&dead, many) } else { Vec::new() };
                    if starts.is_empty() {
                        starts.extend((next..NUMBERS).take(dice.between(1, many)));
                        next += starts.len();
                    }
                    for number in &starts {
                        dead.remove(number);
                        there.insert(*number);
                    }
                    Event::Start(starts)
                }
                (2, _) if there.len() > 2 => {
                    let many = dice.one_of(&[1, 1, there.len() / 2]);
                    let leave = dice.some(&there, if self.within_assumptions { 1 } else { many });
                    there.retain(|number| !leave.contains(number));
                    dead.extend(leave.iter().copied());
                    self.events.push((at, Event::Leave(leave)));
                    if self.within_assumptions {
                        at += REPAIR;
                    }
                    continue;
                }
                (3 | 4, true) if there.len() > self.successors.max(3) => {
                    let crash = dice.some(&there, (self.successors - 1).min(there.len() - 3));
                    there.retain(|number| !crash.contains(number));
                    dead.extend(crash.iter().copied());
                    self.events.push((at, Event::Crash(crash, dice.one_of(&[Crash::Process, Crash::Machine]))));
                    at += REPAIR;
                    continue;
                }
                (3 | 4, false) if there.len() > 2 => {
                    let many = dice.one_of(&[1, 1, 2, there.len() / 2]);
                    let crash = dice.some(&there, many);
                    there.retain(|number| !crash.contains(number));
                    dead.extend(crash.iter().copied());
                    Event::Crash(crash, dice.one_of(&[Crash::Process, Crash::Machine]))
                }
                (5, false) => {
                    let long = dice.percent(20);
                    let Some(number) = dice.some(&there, 1).pop() else { continue };
                    Event::Pause(number, if long { dice.ms(5_000, 120_000) } else { dice.ms(100, 5_000) })
                }
                (5, true) => {
                    let Some(number) = dice.some(&there, 1).pop() else { continue };
                    Event::Pause(number, dice.ms(100, 1_000))
                }
                (6, false) => {
                    let groups = dice.between(2, 4);
                    let mut split = vec![Vec::new(); groups];
                    for number in 0..NUMBERS {
                        let group = dice.below(groups);
                        split[group].push(number);
                        if dice.percent(5) {
                            split[(group + 1) % groups].push(number);
                        }
                    }
                    severed = true;
                    self.events.push((at, Event::Split(split)));
                    at += dice.ms(500, 40_000);
                    continue;
                }
                (7, false) => {
                    let pair = (dice.below(next), dice.below(next));
                    if pair.0 == pair.1 {
                        continue;
                    }
                    severed = true;
                    Event::Cut(pair.0, pair.1)
                }
                (8, false) => match apart.take() {
                    Some(founder) => Event::Unite(founder),
                    None if next + 3 <= NUMBERS => {
                        let founders: Vec<usize> = (next..next + dice.between(1, 3)).collect();
                        next += founders.len();
                        apart = Some(founders[0]);
                        there.extend(&founders);
                        Event::Apart(founders)
                    }
                    None => continue,
                },
                _ => continue,
            };
            self.events.push((at, event));
            if severed && dice.percent(40) {
                at += dice.ms(100, 20_000);
                severed = false;
                self.events.push((at, Event::Heal));
            }
        }
        self.events.push((at + dice.ms(0, 10_000), Event::Heal));
        if let Some(founder) = apart {
            self.events.push((at + Duration::from_secs(10), Event::Unite(founder)));
        }
    }

    /// Membership changes while another fault is in force too.
    pub fn combines(&self) -> bool {
        let quiet = NetworkConfig::default();
        let unquiet = self.network.loss > 0.0
            || self.network.duplication > 0.0
            || self.network.reordering
            || self.network.latency != quiet.latency
            || self.clocks.iter().any(|clock| clock.offset_ms != 0);
        let changes = self.events.iter().any(|(_, event)| event.changes_membership());
        let other = self.events.iter().any(|(_, e)| !e.changes_membership() && *e != Event::Heal);
        changes && (unquiet || other)
    }
}

/// Nodes that a run may have in all.
pub const NUMBERS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn plans() -> Vec<Plan> {
        (0..500).map(|seed| Plan::draw(&Env::simulated(seed, 0))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn at_least_half_combine_membership_change_with_another_fault() {
        let plans = plans();
        let combining = plans.iter().filter(|plan| plan.combines()).count();
        assert!(combining * 2 >= plans.len(), "{combining} of {}", plans.len());
    }

    #[tokio::test(start_paused = true)]
    async fn every_kind_of_fault_is_drawn() {
        let plans = plans();
        let any = |is: &dyn Fn(&Event) -> bool| plans.iter().any(|p| p.events.iter().any(|(_, e)| is(e)));
        assert!(any(&|e| matches!(e, Event::Start(n) if n.len() > 1)), "mass join");
        assert!(any(&|e| matches!(e, Event::Leave(n) if n.len() > 1)), "mass leave");
        assert!(any(&|e| matches!(e, Event::Unite(_))), "two rings become one");
        assert!(any(&|e| matches!(e, Event::Crash(n, Crash::Machine) if n.len() > 1)), "mass failure");
        assert!(any(&|e| matches!(e, Event::Pause(_, time) if time.as_secs() > 60)), "a long pause");
        assert!(any(&|e| matches!(e, Event::Split(groups) if groups.len() == 4)), "a four-way split");
        let bridge = |groups: &[Vec<usize>]| groups.iter().map(Vec::len).sum::<usize>() > NUMBERS;
        assert!(any(&|e| matches!(e, Event::Split(groups) if bridge(groups))), "a bridge");
        assert!(any(&|e| matches!(e, Event::Cut(..))), "a one-way cut");
        assert!(any(&|e| matches!(e, Event::DiskFails(_))), "a disk that fails");
        let restart = |plan: &Plan| {
            let mut dead = BTreeSet::new();
            plan.events.iter().any(|(_, event)| match event {
                Event::Crash(gone, _) => {
                    dead.extend(gone.iter().copied());
                    false
                }
                Event::Start(starts) => {
                    starts.iter().any(|number| dead.contains(number) && !plan.wiped.contains(number))
                }
                _ => false,
            })
        };
        let kept = |plan: &Plan| plan.durability.is_some();
        assert!(plans.iter().any(|plan| restart(plan) && kept(plan)), "a restart from a disk");
        assert!(plans.iter().any(|plan| restart(plan) && !kept(plan)), "a restart without memory");
    }
}
