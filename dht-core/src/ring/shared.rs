//! What the nodes of one process may have in common: equal node records and equal views are kept once. For simulations of
//! large rings and for programs that run many nodes; nothing of it is visible but memory and time.
//!
//! Invariant: what is given out equals what was asked for in every field, so a node cannot tell it from its own. Held
//! weakly: what no node has any more goes.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use xxhash_rust::xxh3::xxh3_64;

use super::id::Id;
use super::record::{Member, NodeRecord};
use super::slot::SlotSpace;
use super::view::RingView;
use crate::data::FixedMap;

/// Entries at which those that nobody holds any more are looked for the first time.
const SWEPT_MIN: usize = 1_024;

/// See the module. All nodes that share one must be of one ring: one cluster name, one number of bits.
#[derive(Debug, Default)]
pub struct SharedRing {
    members: Mutex<Kept<Member>>,
    views: Mutex<Kept<RingView>>,
}

/// By hash; of two with the same one the later is kept.
#[derive(Debug)]
struct Kept<T> {
    all: FixedMap<u64, Weak<T>>,
    sweep_at: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { all: FixedMap::default(), sweep_at: SWEPT_MIN }
    }
}

impl<T> Kept<T> {
    fn find(&self, hash: u64, same: impl FnOnce(&T) -> bool) -> Option<Arc<T>> {
        self.all.get(&hash)?.upgrade().filter(|kept| same(kept))
    }

    fn keep(&mut self, hash: u64, one: &Arc<T>) {
        if self.all.len() >= self.sweep_at {
            self.all.retain(|_, kept| kept.strong_count() > 0);
            self.sweep_at = SWEPT_MIN.max(2 * self.all.len());
        }
        self.all.insert(hash, Arc::downgrade(one));
    }
}

impl SharedRing {
    /// The member of that record; `positions` says where its positions lie if nobody here knows.
    pub(super) fn member(&self, record: NodeRecord, positions: impl FnOnce(&NodeRecord) -> Arc<[Id]>) -> Arc<Member> {
        let hash = hash_of(&record);
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.find(hash, |kept| kept.record == record).unwrap_or_else(|| {
            let positions = positions(&record);
            let member = Arc::new(Member { record, positions });
            members.keep(hash, &member);
            member
        })
    }

    /// The view of these placed members, which come from `member`; else the one that is derived.
    pub(super) fn view(
        &self,
        slots: SlotSpace,
        members: &[&Arc<Member>],
        fingerprint: u64,
        derive: impl FnOnce() -> RingView,
    ) -> Arc<RingView> {
        // Equal members are the same member. Where they lie decides who is found, not what.
        let mix =
            |member: &&Arc<Member>| (Arc::as_ptr(member) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        let hash = members.iter().fold(fingerprint, |sum, member| sum.wrapping_add(mix(member)));
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.find(hash, |kept| kept.is_of(slots, members, fingerprint)).unwrap_or_else(|| {
            let view = Arc::new(derive());
            views.keep(hash, &view);
            view
        })
    }
}

fn hash_of(record: &NodeRecord) -> u64 {
    let NodeRecord {
        node_id,
        boot,
        address,
        incarnation,
        placed_at,
        placed_in,
        state,
        verdict,
        vnodes,
        choices,
        zone,
        read_only,
    } = record;
    let numbers = [
        node_id.digest(),
        *boot,
        *incarnation,
        *placed_at,
        u64::from(*placed_in) << 32 | u64::from(*vnodes),
        u64::from(*read_only) << 16 | u64::from(*state as u8) << 8 | u64::from(*verdict as u8),
        xxh3_64(address.as_str().as_bytes()),
        xxh3_64(choices),
        xxh3_64(zone.as_bytes()),
    ];
    let mut bytes = [0; 72];
    bytes.chunks_exact_mut(8).zip(numbers).for_each(|(chunk, number)| chunk.copy_from_slice(&number.to_le_bytes()));
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::super::id::IdSpace;
    use super::super::record::test_record;
    use super::super::view::positions_of;
    use super::*;

    fn member(shared: &SharedRing, ids: IdSpace, record: NodeRecord) -> Arc<Member> {
        shared.member(record, |record| positions_of("test", ids, record))
    }

    #[test]
    fn equal_records_and_views_are_kept_once_and_others_apart() {
        let (shared, ids) = (SharedRing::default(), IdSpace::new(64).expect("in range"));
        let (a, b) = (member(&shared, ids, test_record("a")), member(&shared, ids, test_record("b")));
        assert!(Arc::ptr_eq(&a, &member(&shared, ids, test_record("a"))));
        let suspect = NodeRecord { verdict: super::super::record::Verdict::Suspect, ..test_record("a") };
        let suspected = member(&shared, ids, suspect.clone());
        assert_eq!(suspected.record, suspect);
        let view = |members: &[&Arc<Member>], fingerprint| {
            let derive = || RingView::derive(ids, SlotSpace::new(ids, 4), members.iter().copied());
            let derived = derive().fingerprint();
            shared.view(SlotSpace::new(ids, 4), members, derived.wrapping_add(fingerprint), derive)
        };
        let both = view(&[&a, &b], 0);
        assert!(Arc::ptr_eq(&both, &view(&[&a, &b], 0)));
        for other in [view(&[&a], 0), view(&[&suspected, &b], 0)] {
            assert!(!Arc::ptr_eq(&both, &other));
        }
        assert!(!Arc::ptr_eq(&both, &view(&[&a, &b], 1)), "a joining node is in no list, but in the fingerprint");
    }

    #[test]
    fn what_nobody_has_goes() {
        let (shared, ids) = (SharedRing::default(), IdSpace::new(64).expect("in range"));
        for n in 0..10 * SWEPT_MIN {
            member(&shared, ids, test_record(&format!("n{n}")));
        }
        let members = shared.members.lock().expect("no panic");
        assert!(members.all.len() <= SWEPT_MIN, "{}", members.all.len());
    }
}
