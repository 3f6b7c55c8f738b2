//! Node records: what the ring says about one running instance.
//!
//! Invariant: records of one node_id are totally ordered by (incarnation, boot, verdict), every copy keeps the
//! highest, so gossip in any order ends in the same record everywhere (SWIM, Das et al. 2002, §4.2). A node alone
//! raises its incarnation; others only add a verdict.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::id::Id;

/// What a node is called; any text of 1 to 255 bytes. Ordered as its text is.
#[derive(Clone)]
pub struct NodeId {
    text: Arc<str>,
    /// Of the text: computed once, as lists, views and exchanges of records ask for it all the time.
    digest: u64,
}

impl NodeId {
    /// Takes the text as it is; its bounds are checked by the configuration and the codec.
    pub fn new(text: &str) -> Self {
        Self { text: text.into(), digest: xxh3_64(text.as_bytes()) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands for the node_id where eight bytes must do (versions, list fingerprints).
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }
}

impl PartialEq for NodeId {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && (Arc::ptr_eq(&self.text, &other.text) || self.text == other.text)
    }
}

impl Eq for NodeId {}

impl Ord for NodeId {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.text, &other.text) { Ordering::Equal } else { self.text.cmp(&other.text) }
    }
}

impl PartialOrd for NodeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for NodeId {
    /// As the text does, by which a map can be asked too.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for NodeId {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::fmt::Debug for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", &self.text)
    }
}

/// Where a node is dialled: "host:port", IPv6 in brackets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

impl Address {
    /// Takes the text as it is; dialling it fails if it is no "host:port".
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells rings apart; drawn at random by the founder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RingId(pub(crate) u128);

impl RingId {
    /// What stands for it in node records, where a coincidence does no harm that a reader who asks a quorum would notice for long; never 0.
    pub(crate) fn digest(self) -> u32 {
        (xxh3_64(&self.0.to_le_bytes()) as u32).max(1)
    }
}

/// What a node says of itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum NodeState {
    /// Copies what it is going to hold; in no replica list.
    Joining,
    /// Holds its part of the ring.
    Active,
    /// Hands over; in no replica list any more, still answers.
    Leaving,
    /// Said goodbye.
    Left,
}

/// What others say of a node at its present incarnation; the node refutes by a higher one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Verdict {
    /// It answers.
    Alive,
    /// It missed deadlines: routed around, but stays in its lists.
    Suspect,
    /// The detector gave it up.
    Dead,
}

/// One running instance, as the ring knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeRecord {
    pub(crate) node_id: NodeId,
    /// Drawn at every start: a restarted node is never taken for its former self.
    pub(crate) boot: u64,
    /// Where the others dial it.
    pub(crate) address: Address,
    pub(crate) incarnation: u64,
    /// The incarnation at which the node last entered the replica lists (became active, or refuted its death). Part
    /// of list fingerprints, so that a list that returns never equals its former self.
    pub(crate) placed_at: u64,
    /// Stands for the ring whose lists it entered, which others may have joined since ([`RingId::digest`]); 0: it does not say.
    pub(crate) placed_in: u32,
    pub(crate) state: NodeState,
    pub(crate) verdict: Verdict,
    pub(crate) vnodes: u32,
    /// c_i per position; missing ones are 0.
    pub(crate) choices: Vec<u8>,
    pub(crate) zone: String,
    /// Its store takes nothing any more: it answers reads, and leaves its slots to the next in their lists to coordinate.
    pub(crate) read_only: bool,
}

impl NodeRecord {
    /// True if this record replaces `other` (a record of the same node_id).
    pub(crate) fn supersedes(&self, other: &Self) -> bool {
        if planted!("old_boot_wins") && self.boot != other.boot {
            return false;
        }
        self.rank() > other.rank()
    }

    /// What orders the records of one node_id.
    pub(crate) fn rank(&self) -> (u64, u64, Verdict) {
        (self.incarnation, self.boot, self.verdict)
    }

    /// In replica lists: active and not given up.
    pub(crate) fn placed(&self) -> bool {
        self.state == NodeState::Active && self.verdict != Verdict::Dead
    }

    /// Takes part in the ring, in whatever role: neither gone nor given up.
    pub(crate) fn present(&self) -> bool {
        self.state != NodeState::Left && self.verdict != Verdict::Dead
    }

    /// It can coordinate writes, and keep them.
    pub(crate) fn takes_writes(&self) -> bool {
        self.verdict == Verdict::Alive && !self.read_only
    }

    /// Hash of all that merging looks at; the sum over the present members is the view's fingerprint.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut bytes = [0; 25];
        bytes[..8].copy_from_slice(&self.node_id.digest().to_le_bytes());
        bytes[8..16].copy_from_slice(&self.boot.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.incarnation.to_le_bytes());
        bytes[24] = self.state as u8;
        xxh3_64(&bytes)
    }
}

/// A node record with the positions that follow from it, computed once.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) record: NodeRecord,
    /// By index.
    pub(crate) positions: Arc<[Id]>,
}

impl Member {
    pub(crate) fn same_positions(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.positions, &other.positions) || self.positions == other.positions
    }
}

#[cfg(test)]
pub(crate) fn test_record(node_id: &str) -> NodeRecord {
    NodeRecord {
        node_id: NodeId::new(node_id),
        boot: 1,
        address: Address::new(&format!("{node_id}:1")),
        incarnation: 1,
        placed_at: 1,
        placed_in: 0,
        state: NodeState::Active,
        verdict: Verdict::Alive,
        vnodes: 16,
        choices: Vec::new(),
        zone: String::new(),
        read_only: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_incarnation_then_boot_then_verdict_wins() {
        let base = test_record("a");
        let suspect = NodeRecord { verdict: Verdict::Suspect, ..base.clone() };
        let dead = NodeRecord { verdict: Verdict::Dead, ..base.clone() };
        let refuted = NodeRecord { incarnation: 2, ..base.clone() };
        let reborn = NodeRecord { boot: 2, ..base.clone() };
        let ascending = [base, suspect, dead, reborn, refuted];
        for (i, low) in ascending.iter().enumerate() {
            assert!(!low.supersedes(low));
            for high in &ascending[i + 1..] {
                assert!(high.supersedes(low) && !low.supersedes(high), "{high:?} over {low:?}");
            }
        }
    }

    #[test]
    fn a_suspicion_does_not_move_the_view_fingerprint() {
        let base = test_record("a");
        let suspect = NodeRecord { verdict: Verdict::Suspect, ..base.clone() };
        assert_eq!(base.fingerprint(), suspect.fingerprint());
        let leaving = NodeRecord { state: NodeState::Leaving, incarnation: 2, ..base.clone() };
        assert_ne!(base.fingerprint(), leaving.fingerprint());
        assert!(base.placed() && suspect.placed() && !leaving.placed() && leaving.present());
    }
}
