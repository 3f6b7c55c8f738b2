//! The trace of a run: a running XXH3-128 over every message and what became of it.
//!
//! Two runs of one seed must have the same hash, in one process or in two. Each message enters when it leaves (time,
//! from, to, kind, bytes) and again, by its number, when it arrives or is dropped; so does each fault. The last lines
//! are kept readable for the report of a failure.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use dht_core::Address;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// A running hash of all that the network did, and its last lines.
pub struct Trace {
    hash: Box<Xxh3>,
    messages: u64,
    events: u64,
    bytes: u64,
    by_kind: BTreeMap<&'static str, (u64, u64)>,
    tail: VecDeque<Line>,
    tail_max: usize,
    notes: VecDeque<String>,
}

/// Notes kept: faults and steps are few, so this is nearly always all of them.
const NOTES_MAX: usize = 200;

struct Line {
    at_ns: u64,
    what: What,
}

enum What {
    Sent { number: u64, from: Address, to: Address, kind: &'static str, len: usize },
    Fate { number: u64, fate: &'static str },
    Note(String),
}

impl Trace {
    /// An empty trace that keeps the last `tail_max` lines.
    pub fn new(tail_max: usize) -> Self {
        Self {
            hash: Box::new(Xxh3::new()),
            messages: 0,
            events: 0,
            bytes: 0,
            by_kind: BTreeMap::new(),
            tail: VecDeque::new(),
            tail_max,
            notes: VecDeque::new(),
        }
    }

    /// A message leaves; returns its number.
    pub fn sent(&mut self, at_ns: u64, from: &Address, to: &Address, kind: &'static str, bytes: &[u8]) -> u64 {
        let mut header = [0; 40];
        let fields = [
            at_ns,
            xxh3_64(from.as_str().as_bytes()),
            xxh3_64(to.as_str().as_bytes()),
            kind.len() as u64,
            bytes.len() as u64,
        ];
        for (field, slot) in fields.iter().zip(header.chunks_exact_mut(8)) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        self.hash.update(&header);
        self.hash.update(kind.as_bytes());
        self.hash.update(bytes);
        self.messages += 1;
        self.events += 1;
        self.bytes += bytes.len() as u64;
        let of_kind = self.by_kind.entry(kind).or_default();
        *of_kind = (of_kind.0 + 1, of_kind.1 + bytes.len() as u64);
        let number = self.messages;
        if self.tail_max > 0 {
            let what = What::Sent { number, from: from.clone(), to: to.clone(), kind, len: bytes.len() };
            self.keep(Line { at_ns, what });
        }
        number
    }

    /// The message of that number arrived, or was lost on the way.
    pub fn fate(&mut self, at_ns: u64, number: u64, fate: &'static str) {
        let mut header = [0; 16];
        header[..8].copy_from_slice(&at_ns.to_le_bytes());
        header[8..].copy_from_slice(&number.to_le_bytes());
        self.hash.update(&header);
        self.hash.update(fate.as_bytes());
        self.events += 1;
        if self.tail_max > 0 {
            self.keep(Line { at_ns, what: What::Fate { number, fate } });
        }
    }

    /// Something else that belongs to the run: a fault, a step of the scenario.
    pub fn note(&mut self, at_ns: u64, text: String) {
        tracing::debug!("-- {text}");
        self.hash.update(&at_ns.to_le_bytes());
        self.hash.update(text.as_bytes());
        let line = Line { at_ns, what: What::Note(text) };
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back(line.to_string());
        if self.tail_max > 0 {
            self.keep(line);
        }
    }

    /// The hash of all so far.
    pub fn fingerprint(&self) -> u128 {
        self.hash.digest128()
    }

    /// Messages that left.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Messages that left, arrived or were lost: while it stands still, nothing happens between nodes.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Bytes of the messages that left, without framing.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Messages that left and their bytes, without framing, by kind.
    pub fn by_kind(&self) -> &BTreeMap<&'static str, (u64, u64)> {
        &self.by_kind
    }

    /// The last lines, the newest last.
    pub fn tail(&self) -> Vec<String> {
        self.tail.iter().map(ToString::to_string).collect()
    }

    /// The last faults and steps of the scenario, the newest last.
    pub fn notes(&self) -> Vec<String> {
        self.notes.iter().cloned().collect()
    }

    fn keep(&mut self, line: Line) {
        if self.tail.len() == self.tail_max {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5}.{:09} ", self.at_ns / 1_000_000_000, self.at_ns % 1_000_000_000)?;
        match &self.what {
            What::Sent { number, from, to, kind, len } => write!(f, "#{number} {from} -> {to} {kind}, {len} bytes"),
            What::Fate { number, fate } => write!(f, "#{number} {fate}"),
            What::Note(text) => write!(f, "-- {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_moves_the_hash() {
        let (a, b) = (Address::new("10.0.0.1:1"), Address::new("10.0.0.2:1"));
        let hash = |record: &dyn Fn(&mut Trace)| {
            let mut trace = Trace::new(0);
            record(&mut trace);
            trace.fingerprint()
        };
        let hashes = [
            hash(&|_| ()),
            hash(&|t| _ = t.sent(1, &a, &b, "ping", b"xy")),
            hash(&|t| _ = t.sent(2, &a, &b, "ping", b"xy")),
            hash(&|t| _ = t.sent(1, &b, &a, "ping", b"xy")),
            hash(&|t| _ = t.sent(1, &a, &a, "ping", b"xy")),
            hash(&|t| _ = t.sent(1, &a, &b, "pong", b"xy")),
            hash(&|t| _ = t.sent(1, &a, &b, "ping", b"xz")),
            hash(&|t| _ = t.sent(1, &a, &b, "pingx", b"y")),
            hash(&|t| t.fate(1, 1, "lost")),
            hash(&|t| t.fate(1, 2, "lost")),
            hash(&|t| t.fate(1, 1, "arrived")),
            hash(&|t| t.note(1, "crash".into())),
        ];
        for (i, x) in hashes.iter().enumerate() {
            assert!(!hashes[..i].contains(x), "record {i} repeats an earlier hash");
        }
    }

    #[test]
    fn the_tail_keeps_the_last_lines_and_does_not_move_the_hash() {
        let a = Address::new("10.0.0.1:1");
        let (mut long, mut none) = (Trace::new(2), Trace::new(0));
        for trace in [&mut long, &mut none] {
            trace.note(5, "start".into());
            let number = trace.sent(1_500_000_000, &a, &a, "ping", b"abc");
            trace.fate(1_501_000_000, number, "lost");
        }
        assert_eq!(
            long.tail(),
            ["    1.500000000 #1 10.0.0.1:1 -> 10.0.0.1:1 ping, 3 bytes", "    1.501000000 #1 lost"]
        );
        assert!(none.tail().is_empty());
        assert_eq!(none.notes(), ["    0.000000005 -- start"]);
        assert_eq!(long.fingerprint(), none.fingerprint());
        assert_eq!((long.messages(), long.bytes()), (1, 3));
    }
}
