//! `RingView`: the ring as one set of node records describes it. Immutable and derived, so two nodes with the same
//! records see the same owners; readers share it through an atomic pointer and take no lock.
//!
//! The positions of a node follow from its record (DESIGN: SHA-256 of cluster, node_id, index, choice). A slot's owner
//! is the successor of the slot's last id; its replicas follow clockwise, counting distinct nodes (Stoica et al. 2003,
//! §V.C; Dynamo 2007, §4.3 for the distinct nodes), those of distinct zones first (`zones.rs`).

use std::sync::Arc;

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use super::hash::position;
use super::id::{Id, IdSpace};
use super::record::{Member, NodeId, NodeRecord};
use super::slot::{Slot, SlotSpace};
use super::vnode::Pointer;
use super::zones::Zones;

/// Index of a member in its view.
pub(crate) type MemberIndex = u32;

/// The members of a replica list, owner first.
pub(crate) type Members = SmallVec<[MemberIndex; 4]>;

/// One position of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    pub(crate) id: Id,
    pub(crate) member: MemberIndex,
    /// Which of the member's positions.
    pub(crate) index: u32,
}

/// Immutable picture of the ring.
#[derive(Debug)]
pub(crate) struct RingView {
    ids: IdSpace,
    slots: SlotSpace,
    /// Placed members, ascending by node_id.
    members: Vec<Arc<Member>>,
    /// Ascending by id, without duplicates.
    positions: Vec<Position>,
    /// `radix[p]` is the first position at or after the ids with prefix `p`.
    radix: Vec<u32>,
    radix_slots: SlotSpace,
    /// `None` where zones change no list.
    zones: Option<Box<Zones>>,
    fingerprint: u64,
}

impl RingView {
    /// The view of the placed ones among `records`. `fingerprint` covers everything present, joining ones included:
    /// what nodes compare to learn whether they know the same.
    pub(crate) fn derive<'a>(ids: IdSpace, slots: SlotSpace, all: impl Iterator<Item = &'a Arc<Member>>) -> Self {
        let mut fingerprint = 0u64;
        let mut members = Vec::new();
        for member in all {
            // A client knows itself, but is no member.
            if member.record.present() && member.record.vnodes > 0 {
                fingerprint = fingerprint.wrapping_add(member.record.fingerprint());
            }
            if member.record.placed() && member.record.vnodes > 0 {
                members.push(member.clone());
            }
        }
        members.sort_by(|a, b| a.record.node_id.cmp(&b.record.node_id));
        let mut positions = Vec::new();
        for (member, node) in members.iter().enumerate() {
            let of_member = |(index, &id): (usize, &Id)| Position { id, member: member as u32, index: index as u32 };
            positions.extend(node.positions.iter().enumerate().map(of_member));
        }
        // Equal positions: the smaller node_id holds it, the other's is void.
        positions.sort_by_key(|p| (p.id, p.member, p.index));
        positions.dedup_by_key(|p| p.id);
        let (radix_slots, radix) = radix_index(ids, &positions);
        let zones = Zones::of(&members, &positions);
        Self { ids, slots, members, positions, radix, radix_slots, zones, fingerprint }
    }

    /// What stands for the whole set of present records, joining and leaving ones included.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(crate) fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    pub(crate) fn member(&self, index: MemberIndex) -> &NodeRecord {
        &self.members[index as usize].record
    }

    pub(crate) fn member_index(&self, node_id: &NodeId) -> Option<MemberIndex> {
        self.members.binary_search_by(|m| m.record.node_id.cmp(node_id)).ok().map(|i| i as u32)
    }

    /// Ascending by id.
    pub(crate) fn positions(&self) -> &[Position] {
        &self.positions
    }

    pub(crate) fn positions_of(&self, member: MemberIndex) -> impl Iterator<Item = &Position> {
        self.positions.iter().filter(move |p| p.member == member)
    }

    /// A member all of whose positions are others'.
    pub(crate) fn homeless(&self) -> Option<MemberIndex> {
        let mut homes = vec![false; self.members.len()];
        for position in &self.positions {
            homes[position.member as usize] = true;
        }
        homes.iter().position(|has| !has).map(|member| member as MemberIndex)
    }

    /// Chord's pointer at a position of this view.
    pub(crate) fn pointer(&self, position: &Position) -> Pointer {
        Pointer { id: position.id, node_id: self.member(position.member).node_id.clone(), index: position.index }
    }

    /// The first position at or clockwise after `id`; `None` in an empty ring.
    pub(crate) fn successor(&self, id: Id) -> Option<&Position> {
        self.positions.get(self.successor_index(id)?)
    }

    /// The last position strictly before `id`.
    #[cfg_attr(not(test), expect(dead_code, reason = "the mirror of successor; tests hold the two against each other"))]
    pub(crate) fn predecessor(&self, id: Id) -> Option<&Position> {
        let at = self.successor_index(id)?;
        self.positions.get(at.checked_sub(1).unwrap_or(self.positions.len() - 1))
    }

    /// The first position strictly after `id` that belongs to another member than `not`, then the next distinct
    /// members clockwise, at most `count`.
    pub(crate) fn distinct_after(&self, id: Id, not: Option<MemberIndex>, count: usize) -> Vec<Position> {
        let mut found: Vec<Position> = Vec::new();
        let Some(start) = self.successor_index(self.ids.successor_of(id)) else { return found };
        for p in self.clockwise(start) {
            if found.len() == count {
                break;
            }
            if Some(p.member) != not && !found.iter().any(|f| f.member == p.member) {
                found.push(*p);
            }
        }
        found
    }

    /// The first position anticlockwise strictly before `id` of another member than `not`.
    pub(crate) fn distinct_before(&self, id: Id, not: MemberIndex) -> Option<&Position> {
        let start = self.successor_index(id)?;
        let (before, after) = self.positions.split_at(start);
        before.iter().rev().chain(after.iter().rev()).find(|p| p.member != not)
    }

    /// The first `count` distinct members anticlockwise strictly before `id`, each at its nearest position.
    pub(crate) fn distinct_preceding(&self, id: Id, count: usize) -> Vec<Position> {
        let mut found: Vec<Position> = Vec::new();
        let Some(start) = self.successor_index(id) else { return found };
        let (before, after) = self.positions.split_at(start);
        for p in before.iter().rev().chain(after.iter().rev()) {
            if found.len() == count {
                break;
            }
            if !found.iter().any(|f| f.member == p.member) {
                found.push(*p);
            }
        }
        found
    }

    /// The first `count` distinct members clockwise from the slot's last id, of distinct zones first: owner first.
    /// Fewer if the ring is smaller.
    #[inline]
    pub(crate) fn replica_list(&self, slot: Slot, count: usize) -> Members {
        let mut list = Members::new();
        let Some(start) = self.successor_index(self.slots.last_id(slot)) else { return list };
        let wanted = count.min(self.members.len());
        if let Some(zones) = &self.zones {
            return zones.list(&self.positions, start, wanted, None);
        }
        for p in self.clockwise(start) {
            if list.len() == wanted {
                break;
            }
            if !list.contains(&p.member) {
                list.push(p.member);
            }
        }
        list
    }

    /// The replica list, and behind it those who would enter it if one of its members went.
    pub(crate) fn list_and_heirs(&self, slot: Slot, count: usize) -> Members {
        let (Some(zones), Some(start)) = (&self.zones, self.successor_index(self.slots.last_id(slot))) else {
            return self.replica_list(slot, count + 1);
        };
        let mut all = self.replica_list(slot, count);
        let wanted = count.min(self.members.len() - 1);
        for member in all.clone() {
            for heir in zones.list(&self.positions, start, wanted, Some(member)) {
                if !all.contains(&heir) {
                    all.push(heir);
                }
            }
        }
        all
    }

    /// The nearest position at or after the slot of each of its `list`.
    pub(crate) fn replica_pointers(&self, slot: Slot, list: &[MemberIndex]) -> Vec<Pointer> {
        let Some(start) = self.successor_index(self.slots.last_id(slot)) else { return Vec::new() };
        let nearest = |member: &MemberIndex| self.clockwise(start).find(|p| p.member == *member);
        list.iter().filter_map(nearest).map(|p| self.pointer(p)).collect()
    }

    /// Slots of the same arc have the same lists, whatever their length; `None` in an empty ring.
    #[inline]
    pub(crate) fn arc(&self, slot: Slot) -> Option<usize> {
        self.successor_index(self.slots.last_id(slot))
    }

    /// What stands for a list of members in data messages: node_id, boot and `placed_at` of each, in order.
    pub(crate) fn list_fingerprint(&self, list: &[MemberIndex]) -> u64 {
        list_fingerprint(list.iter().map(|m| self.member(*m)))
    }

    /// True if every slot has the same list here and there, whatever the list's length.
    pub(crate) fn same_placement(&self, other: &Self) -> bool {
        let placed = |view: &Self| view.members.iter().map(|m| (m.record.boot, m.record.placed_at)).collect::<Vec<_>>();
        placed(self) == placed(other) && self.positions == other.positions && self.zones == other.zones
    }

    /// Fraction of the key space each member owns, in the order of `members`.
    pub(crate) fn shares(&self) -> Vec<f64> {
        let mut owned = vec![0u64; self.members.len()];
        for slot in self.slots.iter() {
            if let Some(p) = self.successor(self.slots.last_id(slot)) {
                owned[p.member as usize] += 1;
            }
        }
        owned.iter().map(|&n| n as f64 / f64::from(self.slots.count())).collect()
    }

    fn clockwise(&self, start: usize) -> impl Iterator<Item = &Position> {
        self.positions[start..].iter().chain(&self.positions[..start])
    }

    #[inline]
    fn successor_index(&self, id: Id) -> Option<usize> {
        if self.positions.is_empty() {
            return None;
        }
        let mut at = self.radix[self.radix_slots.of(id).0 as usize] as usize;
        while at < self.positions.len() && self.positions[at].id < id {
            at += 1;
        }
        Some(if at == self.positions.len() { 0 } else { at })
    }
}

/// See [`RingView::list_fingerprint`].
pub(crate) fn list_fingerprint<'a>(list: impl Iterator<Item = &'a NodeRecord>) -> u64 {
    let mut bytes = SmallVec::<[u8; 96]>::new();
    for record in list {
        bytes.extend_from_slice(&record.node_id.digest().to_le_bytes());
        bytes.extend_from_slice(&record.boot.to_le_bytes());
        bytes.extend_from_slice(&record.placed_at.to_le_bytes());
    }
    xxh3_64(&bytes)
}

/// Where the positions of a node lie, by index.
pub(crate) fn positions_of(cluster: &str, ids: IdSpace, record: &NodeRecord) -> Arc<[Id]> {
    let choice = |index: u32| record.choices.get(index as usize).copied().unwrap_or(0);
    let id = |index| position(ids, cluster, record.node_id.as_str(), index, choice(index));
    (0..record.vnodes).map(id).collect()
}

/// A table over id prefixes, about two entries a position, so that a search looks at one or two positions.
fn radix_index(ids: IdSpace, positions: &[Position]) -> (SlotSpace, Vec<u32>) {
    let bits = (positions.len().max(1).ilog2() + 1).min(20) as u8;
    let prefixes = SlotSpace::new(ids, bits);
    let mut radix = Vec::with_capacity(prefixes.count() as usize);
    let mut at = 0;
    for prefix in prefixes.iter() {
        while at < positions.len() && prefixes.of(positions[at].id) < prefix {
            at += 1;
        }
        radix.push(at as u32);
    }
    (prefixes, radix)
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
