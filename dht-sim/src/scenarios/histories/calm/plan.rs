//! What one seed of `histories_calm` does: drawn whole before the run.

use std::time::Duration;

use dht_core::{Config, Durability, Env, Routing};

use crate::network::{Crash, Latency, NetworkConfig};
use crate::nodes::Clock;
use crate::scenarios::dice::Dice;

/// A ring of that many, and one message in a hundred lost, does not suspect a node that lives: three others are asked
/// before.
pub(super) const NODES_MIN: usize = 6;
/// Clocks are wrong by so much at most, with what they drift.
pub(super) const OFFSET_MS: u64 = 2_200;
/// `tombstone_grace` of some runs, so short that what is promised after a multiple of it is reached; longer than a silent death
/// goes unnoticed.
const SHORT_GRACE: Duration = Duration::from_secs(8);

/// Bytes of a value that is only there to be copied.
pub(super) const BALLAST_LEN: usize = 4 << 10;
/// `repair_rate` of runs with such values: a node copies for seconds.
const SLOW: u64 = 1 << 16;

/// To form, and to heal after each fault: re-replication may be held for a minute of it, since a few crashes one after the other
/// are the loss of many nodes at once.
const PATIENCE: Duration = Duration::from_secs(90);
/// The same where a node may have to copy a few megabytes at that rate, deletions that are kept for long among them.
const SLOW_PATIENCE: Duration = Duration::from_secs(400);

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) nodes: usize,
    pub(super) vnodes: u16,
    pub(super) replicas: usize,
    pub(super) routing: Routing,
    pub(super) network: NetworkConfig,
    /// `None`: in memory.
    pub(super) durability: Option<Durability>,
    /// `None`: the default.
    pub(super) tombstone_grace: Option<Duration>,
    /// Nodes are in so many zones in turn; 0: in none.
    pub(super) zones: usize,
    /// Clocks are wrong.
    pub(super) skewed: bool,
    /// Values of [`BALLAST_LEN`] that nobody changes, and that copies take their time for; 0: none.
    pub(super) ballast: usize,
    /// There is a client of the ring as well, which is no member.
    pub(super) outsider: bool,
    pub(super) events: Vec<Event>,
}

/// What happens; then the ring heals.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// Nothing, for a while.
    Quiet(Duration),
    /// One node dies.
    Crash(Crash),
    /// One node comes.
    Join,
    /// One node leaves.
    Leave,
    /// One process stands still.
    Pause(Duration),
    /// One node comes while another dies.
    JoinAndCrash(Crash),
    /// One node dies, and is started again after that time, under its name.
    Restart(Crash, Duration),
    /// The same, without its disk.
    Wiped(Crash, Duration),
    /// All die within a moment, and are started again within that time. If `twice`, one of them dies once more meanwhile.
    Blackout { crash: Crash, down: Duration, twice: bool },
    /// All are stopped at once, and started again within that time.
    Stop(Duration),
    /// One after the other is stopped, each when the others have made up for the one before; all start again within that time.
    InTurn(Duration),
    /// The disk of one node takes nothing any more; later it is mended, and the node started anew.
    DiskFails(Duration),
}

impl Dice<'_> {
    fn crash(&self) -> Crash {
        self.one_of(&[Crash::Process, Crash::Machine])
    }

    /// A service manager's moment, an operator's minute, or, where deletions are remembered for less, longer than that.
    fn down(&self, plan: &Plan) -> Duration {
        match self.below(10) {
            // Above 21 graces, and long enough below 24 to catch up: where others are missing too it does not return empty.
            0 if plan.tombstone_grace.is_some() && plan.ballast == 0 => self.ms(172_000, 180_000),
            0..5 => self.ms(0, 300),
            _ => self.ms(300, 8_000),
        }
    }

    fn event(&self, plan: &Plan) -> Event {
        match (self.below(16), plan.durability) {
            (0, _) => Event::Quiet(self.ms(100, 2_000)),
            (1 | 2, _) => Event::Crash(self.crash()),
            (3 | 4, _) => Event::Join,
            (5 | 6, _) => Event::Leave,
            (7 | 8, _) => Event::Pause(self.ms(20, 350)),
            (9, _) => Event::JoinAndCrash(self.crash()),
            (10, Some(Durability::Always)) => {
                Event::Blackout { crash: self.crash(), down: self.ms(0, 4_000), twice: self.percent(40) }
            }
            (11, Some(_)) if self.percent(50) => Event::InTurn(self.ms(0, 4_000)),
            (11, Some(_)) => Event::Stop(self.ms(0, 4_000)),
            (12, Some(_)) => Event::DiskFails(self.ms(100, 5_000)),
            (13, Some(_)) => Event::Wiped(self.crash(), self.down(plan)),
            _ => Event::Restart(self.crash(), self.down(plan)),
        }
    }
}

impl Plan {
    /// Everything follows from `env`.
    pub(super) fn draw(env: &Env) -> Self {
        let dice = Dice(env);
        let quiet = NetworkConfig::default();
        let tailed = Latency::Tailed { min: dice.ms(1, 1), mean: dice.ms(6, 6), max: dice.ms(200, 200) };
        let network = NetworkConfig {
            latency: if dice.percent(50) { quiet.latency } else { tailed },
            loss: if dice.percent(50) { 0.0 } else { 0.01 },
            duplication: if dice.percent(50) { 0.0 } else { 0.05 },
            reordering: dice.percent(50),
            ..quiet
        };
        let skewed = dice.percent(40);
        let mut plan = Self {
            nodes: NODES_MIN + dice.below(4),
            vnodes: dice.one_of(&[1, 2, 5]),
            replicas: dice.one_of(&[3, 3, 3, 4, 5]),
            routing: dice.one_of(&[Routing::OneHop, Routing::OneHop, Routing::OneHop, Routing::Chord]),
            network,
            durability: dice.one_of(&[None, None, Some(Durability::Interval), Some(Durability::Always)]),
            // A deletion is forgotten by clocks too.
            tombstone_grace: (dice.percent(30) && !skewed).then_some(SHORT_GRACE),
            zones: dice.one_of(&[0, 0, 3]),
            skewed,
            ballast: dice.one_of(&[0, 0, 0, 150]),
            outsider: dice.percent(30),
            events: Vec::new(),
        };
        // There the successor list decides who keeps what.
        if plan.routing == Routing::Chord {
            plan.zones = 0;
        }
        plan.events = (0..2 + dice.below(4)).map(|_| dice.event(&plan)).collect();
        plan
    }

    /// Of a node that is started for the first time.
    pub(super) fn clock(&self, env: &Env) -> Clock {
        match self.skewed {
            true => Clock {
                offset_ms: env.random_below(4_001) as i64 - 2_000,
                drift_ppm: env.random_below(1_001) as i32 - 500,
            },
            false => Clock::default(),
        }
    }

    /// How long the ring may take to heal.
    pub(super) fn patience(&self) -> Duration {
        if self.ballast > 0 { SLOW_PATIENCE } else { PATIENCE }
    }

    /// No two clocks differ by more.
    pub(super) fn skew_ms(&self) -> u64 {
        if self.skewed { 2 * OFFSET_MS } else { 0 }
    }

    /// Of all nodes, but for their zones.
    pub(super) fn config(&self, slot_bits: u8) -> Config {
        let config = Config::default();
        Config {
            slot_bits,
            virtual_nodes: Some(self.vnodes),
            replication_factor: self.replicas,
            routing: self.routing,
            tombstone_grace: self.tombstone_grace.unwrap_or(config.tombstone_grace),
            repair_rate: if self.ballast > 0 { SLOW } else { config.repair_rate },
            ..config
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn everything_is_drawn() {
        let plans: Vec<Plan> = (0..500).map(|seed| Plan::draw(&Env::simulated(seed, 0))).collect();
        let any = |is: &dyn Fn(&Plan, &Event) -> bool| plans.iter().any(|p| p.events.iter().any(|e| is(p, e)));
        assert!(any(&|p, e| p.durability.is_none() && matches!(e, Event::Restart(..))), "restart without memory");
        assert!(any(&|p, e| p.durability.is_some() && matches!(e, Event::Restart(..))), "restart from a disk");
        assert!(any(&|p, e| p.skewed && matches!(e, Event::Blackout { twice: true, .. })), "all die");
        assert!(any(&|_, e| matches!(e, Event::Stop(_))) && any(&|_, e| matches!(e, Event::DiskFails(_))));
        assert!(any(&|_, e| matches!(e, Event::InTurn(_))));
        let long = |down: &Duration| *down > 21 * SHORT_GRACE;
        assert!(any(&|_, e| matches!(e, Event::Restart(_, down) if long(down))), "longer than deletions are kept");
        assert!(any(&|p, _| p.routing == Routing::Chord && p.replicas == 5) && any(&|p, _| p.zones > 0));
        assert!(any(&|p, e| p.ballast > 0 && matches!(e, Event::Crash(_))), "a slow copy");
        assert!(plans.iter().all(|p| !p.skewed || p.tombstone_grace.is_none()));
    }
}
