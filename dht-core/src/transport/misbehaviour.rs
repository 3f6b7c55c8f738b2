//! What peers do that no node of ours does: counted by kind, and by who did it.
//!
//! Both tables are bounded, so whoever misbehaves under many names costs no more than under one: of the names those
//! with the most stay. A datagram's source may be forged; a name there is a hint, not a proof.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Names remembered: some 16 KiB, and as many as anybody looks through.
const CULPRITS_MAX: usize = 256;

/// Written once, so that variants and names cannot drift apart.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $name:ident = $text:literal,)+) => {
        /// A kind of misbehaviour.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Misbehaviour { $($(#[$doc])+ $name,)+ }

        impl Misbehaviour {
            const ALL: &'static [Self] = &[$(Self::$name,)+];

            const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The names of all kinds.
            pub(crate) fn names() -> impl Iterator<Item = &'static str> {
                Self::ALL.iter().map(|kind| kind.text())
            }
        }
    };
}

kinds! {
    /// A connection that said no hello in time, another first, or one that does not fit.
    Handshake = "bad_handshake",
    /// Bytes that are no frame, no datagram, or no message.
    Malformed = "malformed",
    /// A message that has no place where it came.
    Protocol = "protocol_violation",
    /// A frame or datagram longer than any may be.
    Oversize = "oversize",
    /// A datagram of another protocol, version or cluster.
    Foreign = "foreign_datagram",
    /// More connections or introductions than its address may make.
    Flood = "flood",
    /// Answers that were asked for, and are not taken.
    Deaf = "reads_no_answers",
    /// A node record that nothing backs: nobody answers at its address, or its incarnation has leapt.
    Unbacked = "unbacked_record",
    /// It passed on the death of a node that answers.
    FalseDeath = "false_death",
}

/// What was counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Misdeeds {
    totals: [AtomicU64; Misbehaviour::ALL.len()],
    culprits: Mutex<BTreeMap<String, u64>>,
}

/// A copy of what was counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MisdeedCounts {
    /// By kind; only those that happened.
    pub by_kind: BTreeMap<String, u64>,
    /// By who did it: an IP address, the address that was dialled, or a node_id. At most 256, those with the most.
    pub by_peer: BTreeMap<String, u64>,
}

impl Misdeeds {
    /// `culprit` did that, once.
    pub(crate) fn note(&self, kind: Misbehaviour, culprit: &str) {
        self.totals[kind as usize].fetch_add(1, Relaxed);
        let mut culprits = self.culprits.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut culprits, culprit, 1);
    }

    /// What was counted until now.
    pub(crate) fn snapshot(&self) -> MisdeedCounts {
        let total = |kind: &Misbehaviour| (kind.text().to_owned(), self.totals[*kind as usize].load(Relaxed));
        let by_kind = Misbehaviour::ALL.iter().map(total).filter(|(_, n)| *n > 0).collect();
        MisdeedCounts { by_kind, by_peer: self.culprits.lock().unwrap_or_else(PoisonError::into_inner).clone() }
    }
}

impl MisdeedCounts {
    /// Both together.
    pub(crate) fn and(mut self, others: Self) -> Self {
        for (kind, n) in others.by_kind {
            *self.by_kind.entry(kind).or_default() += n;
        }
        for (peer, n) in others.by_peer {
            add(&mut self.by_peer, &peer, n);
        }
        self
    }
}

fn add(culprits: &mut BTreeMap<String, u64>, culprit: &str, n: u64) {
    if let Some(count) = culprits.get_mut(culprit) {
        *count += n;
        return;
    }
    if culprits.len() >= CULPRITS_MAX
        && let Some((least, count)) = culprits.iter().min_by_key(|(_, count)| **count)
    {
        if n < *count {
            return;
        }
        let least = least.clone();
        culprits.remove(&least);
    }
    culprits.insert(culprit.to_owned(), n);
}

/// What counts as one source: an IPv4 address, or the 64 bits of an IPv6 address that a site gets at least.
pub(crate) fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) if ip.is_loopback() => IpAddr::V6(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_kind_and_by_name_and_forgets_the_small_ones() {
        let misdeeds = Misdeeds::default();
        assert_eq!(misdeeds.snapshot(), MisdeedCounts::default());
        for _ in 0..3 {
            misdeeds.note(Misbehaviour::Flood, "10.0.0.1");
        }
        for i in 0..10 * CULPRITS_MAX {
            misdeeds.note(Misbehaviour::Malformed, &format!("once {i}"));
        }
        let counts = misdeeds.snapshot();
        assert_eq!(counts.by_kind["flood"], 3);
        assert_eq!(counts.by_kind["malformed"], 10 * CULPRITS_MAX as u64);
        assert_eq!((counts.by_kind.len(), counts.by_peer.len()), (2, CULPRITS_MAX));
        assert_eq!(counts.by_peer["10.0.0.1"], 3, "who did most stays");
        assert_eq!(counts.by_peer[&format!("once {}", 10 * CULPRITS_MAX - 1)], 1, "and so does the newest");
    }

    #[test]
    fn two_snapshots_add_up_within_the_bound() {
        let many = |from: usize| MisdeedCounts {
            by_kind: BTreeMap::from([("flood".to_owned(), 200)]),
            by_peer: (from..from + 200).map(|i| (format!("{i}"), 1)).collect(),
        };
        let both = many(0).and(many(100));
        assert_eq!(both.by_kind["flood"], 400);
        assert_eq!((both.by_peer.len(), both.by_peer["150"]), (CULPRITS_MAX, 2));
    }

    #[test]
    fn sources_are_addresses_or_sites() {
        let source = |text: &str| source_of(text.parse().expect("an address")).to_string();
        assert_eq!(source("10.1.2.3"), "10.1.2.3");
        assert_eq!(source("::ffff:10.1.2.3"), "10.1.2.3");
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(source("::1"), "::1");
    }
}
