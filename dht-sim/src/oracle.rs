//! What a read may return, given which writes were acknowledged.
//!
//! Per key the oracle keeps the writes that a read could still show. A write *precedes* another operation if it had
//! ended before that began; a write of unknown outcome has not ended, since it may take effect at any time. A read may
//! return a write that began before the read ended, unless another write that took effect stands between them: one
//! that the first precedes and that itself precedes the read. That is the condition for registers of Lamport, "On
//! interprocess communication" (1986), for many writers, with two additions that quorum operations promise: what a
//! read returned has taken effect by the end of that read, and versions do not go backwards. The version of an
//! acknowledged write may be that of a later one that stands over it; no version has two values.
//!
//! Time is the order of the calls made on the oracle, so equal clock readings cannot blur what was first. Values must
//! be unique among the writes of a key, or a read cannot be told from another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};

use bytes::Bytes;

/// Watches the operations of one run. `V` is the version of a write: any ordered mark that replies carry.
pub struct Oracle<V> {
    keys: BTreeMap<Bytes, History<V>>,
    /// The present instant: grows with every call.
    instant: u64,
    counts: Counts,
}

/// What the oracle has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes of unknown outcome.
    pub unknown: u64,
    /// Writes that certainly did not take effect.
    pub rejected: u64,
    /// Reads that were checked.
    pub read: u64,
    /// Reads that failed, and so say nothing.
    pub unread: u64,
}

/// A write that has begun. Must be handed back to one of `acknowledged`, `unknown`, `rejected`.
#[derive(Debug)]
#[must_use = "a write that is not handed back counts as unknown and is never forgotten"]
pub struct WriteToken {
    key: Bytes,
    begin: u64,
}

/// A read that has begun. Must be handed back to `read` or `unread`.
#[derive(Debug)]
#[must_use = "a read that is not handed back keeps the oracle from forgetting"]
pub struct ReadToken {
    key: Bytes,
    begin: u64,
}

/// A promise that was not kept.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("key {key:?}: {what}")]
pub struct Violation {
    /// The key.
    pub key: Bytes,
    /// What was seen and what would have been right.
    pub what: String,
}

struct History<V> {
    /// In the order of their begins. The first state of a key is as a delete that ended before everything.
    writes: Vec<Write>,
    /// Begins of reads under way.
    reads: BTreeSet<u64>,
    /// (instant, version): every operation that begins after the instant has this version or a higher one. Both
    /// ascend.
    floors: Vec<(u64, V)>,
    /// The highest version that was read, and its value.
    newest: Option<(V, Bytes)>,
}

struct Write {
    begin: u64,
    /// When it had certainly taken effect: acknowledged, or seen by a read.
    end: Option<u64>,
    /// `None` is a delete.
    value: Option<Bytes>,
    /// Its caller still waits.
    pending: bool,
}

impl<V: Ord + Copy + Debug> Default for Oracle<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Ord + Copy + Debug> Oracle<V> {
    /// All keys are missing.
    pub fn new() -> Self {
        Self { keys: BTreeMap::new(), instant: 0, counts: Counts::default() }
    }

    /// A put of `value`, or a delete, is about to be asked for.
    pub fn begin_write(&mut self, key: &Bytes, value: Option<Bytes>) -> WriteToken {
        let begin = self.tick();
        self.history(key).writes.push(Write { begin, end: None, value, pending: true });
        WriteToken { key: key.clone(), begin }
    }

    /// The write was acknowledged, with this version if the reply tells it.
    ///
    /// # Errors
    /// If its version is not above all that were known when it began.
    pub fn acknowledged(&mut self, write: WriteToken, version: Option<V>) -> Result<(), Violation> {
        let now = self.tick();
        self.counts.acknowledged += 1;
        let history = self.history(&write.key);
        let floor = history.floor(write.begin);
        if let Some(own) = history.writes.iter_mut().find(|w| w.begin == write.begin) {
            own.end = Some(own.end.map_or(now, |seen| seen.min(now)));
            own.pending = false;
        }
        let Some(version) = version else {
            history.forget(now);
            return Ok(());
        };
        history.learn(now, version);
        history.forget(now);
        match floor {
            Some(floor) if version <= floor => Err(violation(
                &write.key,
                format!("a write has version {version:?}, but {floor:?} was known before it began"),
            )),
            _ => Ok(()),
        }
    }

    /// The write failed, but may have been applied or may yet be.
    pub fn unknown(&mut self, write: WriteToken) {
        self.tick();
        self.counts.unknown += 1;
        if let Some(own) = self.history(&write.key).writes.iter_mut().find(|w| w.begin == write.begin) {
            own.pending = false;
        }
    }

    /// The write failed and was certainly not applied.
    ///
    /// # Errors
    /// If a read has returned it.
    pub fn rejected(&mut self, write: WriteToken) -> Result<(), Violation> {
        self.tick();
        self.counts.rejected += 1;
        let history = self.history(&write.key);
        let Some(at) = history.writes.iter().position(|w| w.begin == write.begin) else {
            return Ok(());
        };
        let own = history.writes.remove(at);
        match own.end {
            Some(_) => Err(violation(&write.key, format!("{} was read, then rejected", shown(own.value.as_ref())))),
            None => Ok(()),
        }
    }

    /// A read of the key is about to be asked for.
    pub fn begin_read(&mut self, key: &Bytes) -> ReadToken {
        let begin = self.tick();
        self.history(key).reads.insert(begin);
        ReadToken { key: key.clone(), begin }
    }

    /// The read returned `found`: a value and its version, or nothing.
    ///
    /// # Errors
    /// If it may not return that.
    pub fn read(&mut self, read: ReadToken, found: Option<(&Bytes, V)>) -> Result<(), Violation> {
        let now = self.tick();
        self.counts.read += 1;
        let history = self.history(&read.key);
        history.reads.remove(&read.begin);
        let result = history.check(read.begin, found).map_err(|what| violation(&read.key, what));
        if let Ok(Some(at)) = result {
            history.writes[at].end.get_or_insert(now);
        }
        if let (Ok(_), Some((value, version))) = (&result, found) {
            history.learn(now, version);
            if history.newest.as_ref().is_none_or(|(newest, _)| *newest < version) {
                history.newest = Some((version, value.clone()));
            }
        }
        history.forget(now);
        result.map(|_| ())
    }

    /// The read failed, and so shows nothing.
    pub fn unread(&mut self, read: ReadToken) {
        let now = self.tick();
        self.counts.unread += 1;
        let history = self.history(&read.key);
        history.reads.remove(&read.begin);
        history.forget(now);
    }

    /// Every key that was ever written, in order.
    pub fn keys(&self) -> Vec<Bytes> {
        self.keys.iter().filter(|(_, history)| history.touched()).map(|(key, _)| key.clone()).collect()
    }

    /// What was seen so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn tick(&mut self) -> u64 {
        self.instant += 1;
        self.instant
    }

    fn history(&mut self, key: &Bytes) -> &mut History<V> {
        self.keys.entry(key.clone()).or_insert_with(|| History {
            writes: vec![Write { begin: 0, end: Some(0), value: None, pending: false }],
            reads: BTreeSet::new(),
            floors: Vec::new(),
            newest: None,
        })
    }
}

impl<V: Ord + Copy + Debug> History<V> {
    fn touched(&self) -> bool {
        self.writes.len() > 1 || self.writes.iter().any(|w| w.begin != 0)
    }

    /// No write that ended before this began may be shown by an operation that begins at `instant`.
    fn latest_begin(&self, instant: u64) -> u64 {
        let before = |w: &&Write| w.end.is_some_and(|end| end < instant);
        self.writes.iter().filter(before).map(|w| w.begin).max().unwrap_or(0)
    }

    fn floor(&self, instant: u64) -> Option<V> {
        self.floors.iter().rev().find(|(at, _)| *at < instant).map(|&(_, version)| version)
    }

    fn learn(&mut self, now: u64, version: V) {
        if self.floors.last().is_none_or(|&(_, known)| known < version) {
            self.floors.push((now, version));
        }
    }

    /// Whether a read that began at `begin` may return `found`; if so and only one write explains it, which.
    fn check(&self, begin: u64, found: Option<(&Bytes, V)>) -> Result<Option<usize>, String> {
        let latest = self.latest_begin(begin);
        let value = found.map(|(value, _)| value);
        let candidates = || self.writes.iter().enumerate().filter(|(_, w)| w.end.is_none_or(|end| end >= latest));
        // Several deletes look alike.
        let mut matching = candidates().filter(|(_, w)| w.value.as_ref() == value).map(|(at, _)| at);
        let Some(first) = matching.next() else {
            let expected: Vec<String> = candidates().map(|(_, w)| shown(w.value.as_ref()).to_string()).collect();
            return Err(format!("read {}, but only {} may be read", shown(value), expected.join(" or ")));
        };
        if let (Some((_, version)), Some(floor)) = (found, self.floor(begin))
            && version < floor
        {
            return Err(format!("{} was read with version {version:?}, but {floor:?} was known before", shown(value)));
        }
        if let (Some((value, version)), Some((newest, other))) = (found, &self.newest)
            && version == *newest
            && value != other
        {
            return Err(format!("version {version:?} was read with {value:?} and with {other:?}"));
        }
        Ok(matching.next().is_none().then_some(first))
    }

    /// Drops what no read under way and no later operation can need.
    fn forget(&mut self, now: u64) {
        let horizon = self.reads.first().map_or(now + 1, |&first| first);
        let latest = self.latest_begin(horizon);
        self.writes.retain(|w| w.end.is_none_or(|end| end >= latest));
        // Writes under way need the floor at their begin too.
        let pending = self.writes.iter().filter(|w| w.pending).map(|w| w.begin);
        let horizon = pending.min().map_or(horizon, |begin| begin.min(horizon));
        let keep_from = self.floors.iter().rposition(|(at, _)| *at < horizon).unwrap_or(0);
        self.floors.drain(..keep_from);
    }
}

fn violation(key: &Bytes, what: String) -> Violation {
    Violation { key: key.clone(), what }
}

fn shown(value: Option<&Bytes>) -> impl Display + use<> {
    value.map_or_else(|| "nothing".to_owned(), |value| format!("{value:?}"))
}

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod tests;
