//! Which slots are copied from whom, and in which order. A slot that several peers offer is brought over from one of them,
//! else a newcomer would take in every record as often as there are sources; that the others have no more shows then in
//! their fingerprints. The slots are dealt out evenly, so that all sources work at once. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::ring::slot::Slot;

/// Whom each slot is brought over from, as an index into `offered`: of those that offer it one that it was not `merged`
/// from yet, if there is one; of these the one with the fewest slots so far.
pub(super) fn share_out(offered: &[BTreeSet<Slot>], merged: impl Fn(Slot, usize) -> bool) -> BTreeMap<Slot, usize> {
    let mut shares = vec![0_usize; offered.len()];
    let all: BTreeSet<Slot> = offered.iter().flatten().copied().collect();
    let mut dealt = BTreeMap::new();
    for slot in all {
        let offering = offered.iter().enumerate().filter(|(_, slots)| slots.contains(&slot)).map(|(peer, _)| peer);
        let share = |peer: &usize| (merged(slot, *peer), shares.get(*peer).copied());
        let Some(peer) = offering.min_by_key(share) else { continue };
        if let Some(share) = shares.get_mut(peer) {
            *share += 1;
        }
        dealt.insert(slot, peer);
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<Slot> {
        numbers.into_iter().map(Slot).collect()
    }

    #[test]
    fn each_slot_once_and_all_peers_alike() {
        let offered = [slots(0..30), slots(0..30), slots(0..30)];
        let dealt = share_out(&offered, |_, _| false);
        assert_eq!(dealt.len(), 30);
        for peer in 0..3 {
            assert_eq!(dealt.values().filter(|p| **p == peer).count(), 10);
        }
    }

    #[test]
    fn only_from_those_that_have_it() {
        let offered = [slots(0..10), slots(5..20), BTreeSet::new()];
        let dealt = share_out(&offered, |_, _| false);
        assert_eq!(dealt.keys().copied().collect::<BTreeSet<_>>(), slots(0..20));
        assert!(dealt.iter().all(|(slot, peer)| offered[*peer].contains(slot)));
    }

    #[test]
    fn what_came_from_one_comes_from_the_next() {
        let offered = [slots([7]), slots([7])];
        assert_eq!(share_out(&offered, |_, peer| peer == 0)[&Slot(7)], 1);
        assert_eq!(share_out(&offered, |_, _| true)[&Slot(7)], 0, "from all: what differs came later");
    }
}
