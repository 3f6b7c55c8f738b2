//! In which node records two nodes differ, found without telling each other all of them.
//!
//! Records fall into buckets by the top bits of their nodes' digests. One side sends the sum of the records' hashes in
//! each bucket; the other names the buckets whose sums differ, with a digest of each record in them; then each knows
//! what the other lacks. Equal nodes cost eight bytes per sixteen records, a difference one bucket more (additive
//! multiset hashing, Clarke et al. 2003).

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64;

use super::members::Members;
use super::record::{NodeRecord, Verdict};

/// Records in a bucket, on average: what a difference costs in digests, against what equality costs in sums.
const BUCKET_LEN: usize = 16;
/// Buckets at most, a power of two. Larger rings have fuller buckets.
pub(crate) const BUCKETS_MAX: usize = 1_024;

/// How new one node's record is somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeDigest {
    /// Of the node_id.
    pub(crate) node: u64,
    pub(crate) boot: u64,
    pub(crate) incarnation: u64,
    pub(crate) verdict: Verdict,
}

impl NodeDigest {
    fn of(record: &NodeRecord) -> Self {
        let NodeRecord { boot, incarnation, verdict, .. } = *record;
        Self { node: record.node_id.digest(), boot, incarnation, verdict }
    }

    fn rank(&self) -> (u64, u64, Verdict) {
        (self.incarnation, self.boot, self.verdict)
    }

    fn hash(&self) -> u64 {
        let mut bytes = [0; 25];
        bytes[..8].copy_from_slice(&self.node.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.boot.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.incarnation.to_le_bytes());
        bytes[24] = self.verdict as u8;
        xxh3_64(&bytes)
    }
}

/// The records that one exchange is about: all of members, not clients; `gone`: also those in the graveyard.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) gone: bool,
}

impl Scope {
    fn records(self, members: &Members) -> impl Iterator<Item = &NodeRecord> {
        let within = move |record: &&NodeRecord| record.vnodes > 0 && (self.gone || record.present());
        members.iter().map(super::members::Known::record).filter(within)
    }

    /// Sums over as many buckets as this many records are worth.
    pub(crate) fn sums(self, members: &Members) -> Vec<u64> {
        let buckets = (self.records(members).count() / BUCKET_LEN).next_power_of_two().min(BUCKETS_MAX);
        self.sums_over(members, buckets)
    }

    fn sums_over(self, members: &Members, buckets: usize) -> Vec<u64> {
        let mut sums = vec![0u64; buckets];
        for record in self.records(members) {
            let digest = NodeDigest::of(record);
            let sum = &mut sums[bucket_of(digest.node, buckets)];
            *sum = sum.wrapping_add(digest.hash());
        }
        sums
    }

    /// The buckets in which these sums differ from ours, and how new our records in them are; whether that is all: more than
    /// `max` are told by the next exchanges, whole buckets at a time. `theirs` has a power of two of sums, which the codec sees to.
    pub(crate) fn differing(self, members: &Members, theirs: &[u64], max: usize) -> (Vec<u32>, Vec<NodeDigest>, bool) {
        let ours = self.sums_over(members, theirs.len());
        let differs = |bucket: &usize| ours[*bucket] != theirs[*bucket];
        let mut buckets: Vec<u32> = (0..theirs.len()).filter(differs).map(|bucket| bucket as u32).collect();
        if buckets.is_empty() {
            return (buckets, Vec::new(), true);
        }
        let within = |digest: &NodeDigest| differs(&bucket_of(digest.node, theirs.len()));
        let mut digests: Vec<NodeDigest> = self.records(members).map(NodeDigest::of).filter(within).collect();
        let all = digests.len() <= max;
        if !all {
            digests.sort_unstable_by_key(|digest| digest.node);
            // The first that does not fit whole. If that is the first of all, a part of it is told.
            let cut = bucket_of(digests[max].node, theirs.len());
            let fits = |bucket: usize| if buckets[0] as usize == cut { bucket == cut } else { bucket < cut };
            digests.truncate(max);
            digests.retain(|digest| fits(bucket_of(digest.node, theirs.len())));
            buckets = buckets.iter().copied().filter(|bucket| fits(*bucket as usize)).collect();
        }
        (buckets, digests, all)
    }

    /// Of the buckets that differ: our records that are newer than theirs or unknown to them, and the nodes whose records
    /// are newer there or unknown here.
    pub(crate) fn compare(
        self,
        members: &Members,
        buckets: usize,
        differing: &[u32],
        theirs: &[NodeDigest],
    ) -> (Vec<NodeRecord>, Vec<u64>) {
        let wanted = lacking(members, theirs);
        let differing: BTreeSet<usize> = differing.iter().map(|bucket| *bucket as usize).collect();
        let theirs: BTreeMap<u64, &NodeDigest> = theirs.iter().map(|d| (d.node, d)).collect();
        let newer = |record: &&NodeRecord| {
            let node = record.node_id.digest();
            differing.contains(&bucket_of(node, buckets))
                && match theirs.get(&node) {
                    Some(digest) => record.rank() > digest.rank(),
                    None => self.gone || record.present(),
                }
        };
        // Gone ones too, whatever the scope: they may be what is newer about a node that lives on there.
        let all = Self { gone: true };
        (all.records(members).filter(newer).cloned().collect(), wanted)
    }
}

/// The records of the nodes that are `wanted`, and what is newer here than what was `told`.
pub(crate) fn answer(members: &Members, told: &[NodeRecord], wanted: &[u64]) -> Vec<NodeRecord> {
    let newer = |record: &NodeRecord| {
        let ours = members.get(&record.node_id)?.record();
        ours.supersedes(record).then(|| ours.clone())
    };
    let mut records: Vec<NodeRecord> = told.iter().filter_map(newer).collect();
    if !wanted.is_empty() {
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        let is_wanted = |record: &&NodeRecord| wanted.binary_search(&record.node_id.digest()).is_ok();
        records.extend(Scope { gone: true }.records(members).filter(is_wanted).cloned());
    }
    records
}

/// The nodes of which the digests tell something newer than what is known here, gone ones included; ascending.
pub(crate) fn lacking(members: &Members, digests: &[NodeDigest]) -> Vec<u64> {
    if digests.is_empty() {
        return Vec::new();
    }
    let mut told: Vec<&NodeDigest> = digests.iter().collect();
    told.sort_unstable_by_key(|digest| digest.node);
    let mut known = vec![None; told.len()];
    for record in (Scope { gone: true }).records(members) {
        let node = record.node_id.digest();
        let first = told.partition_point(|digest| digest.node < node);
        // A stranger's digests may name a node twice.
        let same = told[first..].iter().take_while(|digest| digest.node == node).count();
        known[first..first + same].fill(Some(record.rank()));
    }
    let newer = |(digest, known): &(&NodeDigest, Option<_>)| known.is_none_or(|rank| rank < digest.rank());
    let mut nodes: Vec<u64> = told.into_iter().zip(known).filter(newer).map(|(digest, _)| digest.node).collect();
    nodes.dedup();
    nodes
}

fn bucket_of(node: u64, buckets: usize) -> usize {
    // By the top bits: `buckets` is a power of two, and one bucket takes everything.
    let bits = buckets.trailing_zeros();
    if bits == 0 { 0 } else { (node >> (64 - bits)) as usize }
}

#[cfg(test)]
#[path = "difference_tests.rs"]
mod tests;
