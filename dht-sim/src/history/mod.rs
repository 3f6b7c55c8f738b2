//! Everything that clients did and were told, and checkers that say what of it cannot be.
//!
//! - [`register`]: by the order of versions and of real time, in near-linear time, what any single key must keep
//! - [`counter`]: the same for keys that are only counted up
//! - [`session`]: what one client may rely on, whatever others do
//! - [`search`]: an independent search for an order in which a sequential key would have told the same
//! - [`last`]: what is left in the end, against all that was acknowledged
//!
//! An instant is virtual time in nanoseconds, raised where needed so that no two are equal: the order of instants is the
//! order of the calls. An operation whose outcome is not known has no end: it may take effect at any later time, or never.
//! Values are numbers, unique among the writes of a key (but for counters, whose values are sums).

pub mod counter;
pub mod last;
mod order;
pub mod register;
pub mod search;
pub mod session;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use dht_core::Version;

use crate::FixedMap;

/// The end of what has none.
pub const NEVER: u64 = u64::MAX;

/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;

/// What a client asked for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Action {
    /// A read.
    Get,
    /// A read at level `one`, which may be behind.
    Peek,
    /// A write; `ttl_ms` 0: for ever.
    Put {
        /// What is to be there.
        value: i64,
        /// For so long; 0: for ever.
        ttl_ms: u64,
    },
    /// A deletion that tells whether there was a value.
    Delete,
    /// Compare and swap.
    Swap {
        /// What must be there.
        expected: Expected,
        /// What is to be there.
        value: i64,
    },
    /// Adds to the number that is there.
    Increment {
        /// So much.
        by: i64,
    },
    /// A write that tells what was there.
    GetAndPut {
        /// What is to be there.
        value: i64,
    },
    /// A deletion that tells what was there.
    GetAndDelete,
    /// Another expiry for what is there.
    Expire {
        /// So long from now; 0: for ever.
        ttl_ms: u64,
    },
}

/// What a compare-and-swap wants to find.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Expected {
    /// No value.
    Absent,
    /// This version, which its client has seen with that value.
    Version(Version, i64),
    /// This value.
    Value(i64),
    /// Nothing that can be: to learn what is there.
    Nothing,
}

/// What an operation showed its client of the state that it found.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Sight {
    /// Nothing.
    #[default]
    Unknown,
    /// There was no value.
    Absent,
    /// There was some value.
    Live,
    /// There was this one.
    Value(i64),
}

/// What an operation told.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Told {
    /// What it found.
    pub sight: Sight,
    /// Whether it changed that.
    pub changed: bool,
    /// The version that it wrote, if it changed something; else the one it found.
    pub version: Option<Version>,
    /// The expiry of what it found, in Unix milliseconds; 0: none, or not told.
    pub expires_at_ms: u64,
}

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Outcome {
    /// It has not, or its client died first; or it failed with `maybe_applied`.
    Unknown,
    /// It failed and has changed nothing.
    Rejected,
    /// It was carried out.
    Done(Told),
}

/// One operation.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Operation {
    /// Whose. A client does one thing after the other.
    pub client: u32,
    /// What was asked for.
    pub action: Action,
    /// When.
    pub begin: u64,
    /// When its client knew the outcome; [`NEVER`] if it does not.
    pub end: u64,
    /// What came of it.
    pub outcome: Outcome,
}

impl Operation {
    /// What it told, if it was carried out.
    pub fn told(&self) -> Option<&Told> {
        match &self.outcome {
            Outcome::Done(told) => Some(told),
            _ => None,
        }
    }

    /// It changed the key, or may have.
    pub fn may_write(&self) -> bool {
        match self.outcome {
            Outcome::Done(told) => told.changed,
            Outcome::Rejected => false,
            Outcome::Unknown => self.action != Action::Get && !self.peeks(),
        }
    }

    /// It may tell of any time.
    pub fn peeks(&self) -> bool {
        self.action == Action::Peek
    }

    /// The value that it would leave; `None` for what leaves none, or one that depends on what was there.
    pub fn value(&self) -> Option<i64> {
        match self.action {
            Action::Put { value, .. } | Action::Swap { value, .. } | Action::GetAndPut { value } => Some(value),
            _ => None,
        }
    }

    /// It would leave no value.
    pub fn deletes(&self) -> bool {
        matches!(self.action, Action::Delete | Action::GetAndDelete)
    }

    /// When the value that it would leave ends by itself, counted from its begin.
    fn ttl(&self) -> Option<u64> {
        match self.action {
            Action::Put { ttl_ms, .. } | Action::Expire { ttl_ms } if ttl_ms > 0 => Some(ttl_ms * MS),
            _ => None,
        }
    }
}

/// What is done to a key, and so what may be expected of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Anything, each write with a value of its own.
    Register,
    /// Counted up by one, and read.
    Counter,
    /// As a register, but values expire.
    Expiring,
}

/// What was done to one key, in the order of the begins.
#[derive(Clone, Debug)]
pub struct KeyHistory {
    /// The key.
    pub name: String,
    /// What is done to it.
    pub kind: Kind,
    /// What was done.
    pub operations: Vec<Operation>,
}

/// What cannot be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anomaly {
    /// The rule that was broken.
    pub rule: Rule,
    /// Which key.
    pub key: String,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}: {}", self.rule, self.key, self.what)
    }
}

/// What histories must keep.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rule {
    /// A value that is seen was written.
    Written,
    /// What was rejected is never seen.
    Honest,
    /// Nothing is seen before it was asked for.
    Causal,
    /// What was overwritten before an operation began is not seen by it.
    Fresh,
    /// What was deleted before an operation began is not seen by it.
    Deleted,
    /// What was written, and neither deleted nor expired, is not missing.
    Present,
    /// A version has one value.
    OneValue,
    /// Versions rise with time.
    Rising,
    /// What looks at the present value and changes it builds on the newest version.
    OnTop,
    /// A value is replaced once.
    Once,
    /// A value is not seen after its expiry.
    Expiry,
    /// Every acknowledged increment counts, and none twice.
    Sum,
    /// A client does not read older versions than it has read.
    MonotonicReads,
    /// A client reads what it has written.
    ReadYourWrites,
    /// A client's writes keep their order.
    MonotonicWrites,
    /// What a client writes is above what it has read.
    WritesFollowReads,
    /// Some order of the operations explains what they told.
    Linearizable,
    /// What was acknowledged is there in the end, or a higher version.
    Kept,
}

/// Everything that was done in one run.
#[derive(Clone, Debug, Default)]
pub struct History {
    keys: Vec<KeyHistory>,
    index: FixedMap<String, u32>,
    instant: u64,
}

/// An operation that has begun.
#[derive(Clone, Copy, Debug)]
#[must_use = "an operation that is not ended stays of unknown outcome"]
pub struct Token {
    key: u32,
    at: u32,
}

impl History {
    /// An operation is about to be asked for. Every key has one kind.
    pub fn begin(&mut self, now_ns: u64, client: u32, key: &str, kind: Kind, action: Action) -> Token {
        let begin = self.tick(now_ns);
        let key = match self.index.get(key) {
            Some(key) => *key,
            None => {
                let next = self.keys.len() as u32;
                self.index.insert(key.to_owned(), next);
                self.keys.push(KeyHistory { name: key.to_owned(), kind, operations: Vec::new() });
                next
            }
        };
        let operations = &mut self.keys[key as usize].operations;
        operations.push(Operation { client, action, begin, end: NEVER, outcome: Outcome::Unknown });
        Token { key, at: operations.len() as u32 - 1 }
    }

    /// The operation has ended.
    pub fn end(&mut self, now_ns: u64, token: Token, outcome: Outcome) {
        let end = self.tick(now_ns);
        let operation = &mut self.keys[token.key as usize].operations[token.at as usize];
        operation.end = if outcome == Outcome::Unknown { NEVER } else { end };
        operation.outcome = outcome;
    }

    /// Per key.
    pub fn keys(&self) -> &[KeyHistory] {
        &self.keys
    }

    /// What was begun at that time or later, and what of the time before may take effect still.
    pub fn since(&self, now_ns: u64) -> Self {
        let late = |o: &&Operation| o.begin >= now_ns || o.outcome == Outcome::Unknown;
        let keys = self.keys.iter().map(|key| {
            let operations = key.operations.iter().filter(late).copied().collect();
            KeyHistory { name: key.name.clone(), kind: key.kind, operations }
        });
        Self { keys: keys.collect(), index: FixedMap::default(), instant: self.instant }
    }

    /// How many operations there were, and how many of unknown outcome.
    pub fn counts(&self) -> (usize, usize) {
        let all = self.keys.iter().flat_map(|key| &key.operations);
        let unknown = all.filter(|operation| operation.outcome == Outcome::Unknown).count();
        (self.keys.iter().map(|key| key.operations.len()).sum(), unknown)
    }

    fn tick(&mut self, now_ns: u64) -> u64 {
        self.instant = now_ns.max(self.instant + 1);
        self.instant
    }

    /// Everything that cannot be, by the checkers of near-linear time. No two clocks differ by more than `skew_ms`; at
    /// instant 0 it was `epoch_ms`.
    pub fn check(&self, skew_ms: u64, epoch_ms: u64) -> Vec<Anomaly> {
        let mut found = Vec::new();
        for key in &self.keys {
            key.check(skew_ms, epoch_ms, &mut |rule, what| {
                found.push(Anomaly { rule, key: key.name.clone(), what });
            });
        }
        found
    }
}

impl KeyHistory {
    fn check(&self, skew_ms: u64, epoch_ms: u64, report: &mut dyn FnMut(Rule, String)) {
        match self.kind {
            Kind::Counter => counter::check(&self.operations, report),
            Kind::Register | Kind::Expiring => {
                register::check(&self.operations, skew_ms, report);
                register::check_expiry(&self.operations, skew_ms, epoch_ms, report);
                register::check_lifetimes(&self.operations, skew_ms, report);
            }
        }
        session::check(&self.operations, report);
    }
}

/// How often each rule was broken.
pub fn tally(anomalies: &[Anomaly]) -> BTreeMap<Rule, usize> {
    let mut tally = BTreeMap::new();
    for anomaly in anomalies {
        *tally.entry(anomaly.rule).or_default() += 1;
    }
    tally
}
