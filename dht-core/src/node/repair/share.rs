//! Which slots are copied from whom, and in which order. A slot that several peers offer is brought over from one of them,
//! else a newcomer would take in every record as often as there are sources; that the others have no more shows then in
//! their fingerprints. The slots are dealt out evenly, so that all sources work at once. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::ring::slot::Slot;

/// What came of it when the slot was to be brought over from a peer before; those that nothing was tried with come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Tried {
    /// Not yet, and what it has of the slot is waited for.
    WaitedFor,
    Not,
    /// It may fail each time, as where a record cannot be read.
    InVain,
    Merged,
}

/// Whom each slot is brought over from, as an index into `offered`: of those that offer it one of the first by what was
/// `tried` before; of these the one with the fewest slots so far.
pub(super) fn share_out(offered: &[BTreeSet<Slot>], tried: impl Fn(Slot, usize) -> Tried) -> BTreeMap<Slot, usize> {
    let mut shares = vec![0_usize; offered.len()];
    let all: BTreeSet<Slot> = offered.iter().flatten().copied().collect();
    let mut dealt = BTreeMap::new();
    for slot in all {
        let offering = offered.iter().enumerate().filter(|(_, slots)| slots.contains(&slot)).map(|(peer, _)| peer);
        let share = |peer: &usize| (tried(slot, *peer), shares.get(*peer).copied());
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
        let dealt = share_out(&offered, |_, _| Tried::Not);
        assert_eq!(dealt.len(), 30);
        for peer in 0..3 {
            assert_eq!(dealt.values().filter(|p| **p == peer).count(), 10);
        }
    }

    #[test]
    fn only_from_those_that_have_it() {
        let offered = [slots(0..10), slots(5..20), BTreeSet::new()];
        let dealt = share_out(&offered, |_, _| Tried::Not);
        assert_eq!(dealt.keys().copied().collect::<BTreeSet<_>>(), slots(0..20));
        assert!(dealt.iter().all(|(slot, peer)| offered[*peer].contains(slot)));
    }

    #[test]
    fn what_came_from_one_comes_from_the_next() {
        let offered = [slots([7]), slots([7])];
        let first_was =
            |tried| share_out(&offered, move |_, peer| if peer == 0 { tried } else { Tried::Not })[&Slot(7)];
        assert_eq!((first_was(Tried::Merged), first_was(Tried::InVain)), (1, 1));
        assert_eq!(share_out(&offered, |_, _| Tried::Merged)[&Slot(7)], 0, "from all: what differs came later");
        let waited_for = share_out(&offered, |_, peer| if peer == 1 { Tried::WaitedFor } else { Tried::Not });
        assert_eq!(waited_for[&Slot(7)], 1, "an owner before, without whom this node decides nothing");
        let tried = [Tried::Merged, Tried::InVain];
        assert_eq!(share_out(&offered, |_, peer| tried[peer])[&Slot(7)], 1, "once more");
    }
}
