//! A whole ring that was stopped comes back: nobody of it was active meanwhile, so what its members kept is all there is.
//!
//! A newcomer's rule needs sources that are caught up, and here nobody is. Instead each slot's *former* list counts: the one
//! of the ring's last life, by node_id. Whoever was caught up in it then and still has what it kept has *returned*; a member
//! is caught up when it has merged the slot from as many returned ones, itself included, as meet every write quorum (see
//! `list.rs`) and are more than half of that list, so that no two sides of a ring that forms twice go on with a slot; or from
//! all of that list. Once somebody is caught up with a slot in the new life, what the last life left counts no more: the others merge
//! from whoever is caught up, all of them.

use std::collections::BTreeSet;

use super::list::may_lack;
use super::record::NodeId;
use super::slot::Slot;
use super::view::RingView;

/// What this node remembers of the ring's last life.
#[derive(Debug)]
pub(crate) struct Reunion {
    me: NodeId,
    former: RingView,
    replicas: usize,
    /// Slots that this node had not caught up with. `None`: it kept nothing that counts.
    lagging: Option<BTreeSet<Slot>>,
}

impl Reunion {
    pub(crate) fn new(me: NodeId, former: RingView, replicas: usize, lagging: Option<BTreeSet<Slot>>) -> Self {
        Self { me, former, replicas, lagging }
    }

    /// What this node kept of the slot counts.
    pub(crate) fn kept(&self, slot: Slot) -> bool {
        let lags = self.lagging.as_ref().is_none_or(|lagging| lagging.contains(&slot));
        !lags && self.was_in(slot, &self.me)
    }

    /// Those of the slot's former list.
    pub(crate) fn former_list(&self, slot: Slot) -> impl Iterator<Item = &NodeId> {
        self.former.replica_list(slot, self.replicas).into_iter().map(|m| &self.former.member(m).node_id)
    }

    /// That node was in the slot's former list.
    pub(crate) fn was_in(&self, slot: Slot, node_id: &NodeId) -> bool {
        let list = self.former.replica_list(slot, self.replicas);
        list.iter().any(|m| self.former.member(*m).node_id == *node_id)
    }

    /// What so many others of the former list kept, and what this node kept, has everything that was acknowledged, and nobody
    /// else can say the same.
    pub(crate) fn is_whole(&self, slot: Slot, others: usize) -> bool {
        let len = self.former.replica_list(slot, self.replicas).len();
        let majority = if planted!("half_is_whole") { 0 } else { len / 2 + 1 };
        others + usize::from(self.kept(slot)) >= len.min((may_lack(self.replicas) + 1).max(majority))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ring::id::IdSpace;
    use crate::ring::record::{Member, test_record};
    use crate::ring::slot::SlotSpace;
    use crate::ring::view::positions_of;

    fn reunion(me: &str, lagging: Option<&[u32]>) -> Reunion {
        reunion_of(&["a", "b", "c"], me, lagging)
    }

    fn reunion_of(all: &[&str], me: &str, lagging: Option<&[u32]>) -> Reunion {
        let ids = IdSpace::new(32).unwrap();
        let member = |name: &str| {
            let record = test_record(name);
            let positions = positions_of("c", ids, &record);
            Arc::new(Member { record, positions })
        };
        let all: Vec<_> = all.iter().copied().map(member).collect();
        let former = RingView::derive(ids, SlotSpace::new(ids, 4), all.iter());
        let lagging = lagging.map(|slots| slots.iter().copied().map(Slot).collect());
        Reunion::new(NodeId::new(me), former, all.len(), lagging)
    }

    #[test]
    fn two_halves_are_no_whole() {
        for (all, enough) in [(&["a", "b"][..], 2), (&["a", "b", "c", "d"][..], 3)] {
            let one = reunion_of(all, "a", Some(&[]));
            assert!(!one.is_whole(Slot(0), enough - 2) && one.is_whole(Slot(0), enough - 1), "{all:?}");
        }
    }

    #[test]
    fn as_many_count_as_meet_every_quorum() {
        let (member, stranger, blank) = (reunion("a", Some(&[1])), reunion("d", Some(&[])), reunion("a", None));
        assert!(member.kept(Slot(0)) && !member.kept(Slot(1)) && !stranger.kept(Slot(0)) && !blank.kept(Slot(0)));
        assert!(member.was_in(Slot(0), &NodeId::new("c")) && !member.was_in(Slot(0), &NodeId::new("d")));
        // Two of three meet every quorum of two.
        assert!(!member.is_whole(Slot(0), 0) && member.is_whole(Slot(0), 1));
        for lacking in [(&member, Slot(1)), (&stranger, Slot(0)), (&blank, Slot(0))] {
            assert!(!lacking.0.is_whole(lacking.1, 1) && lacking.0.is_whole(lacking.1, 2));
        }
    }
}
