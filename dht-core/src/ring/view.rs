//! `RingView`: the ring as one set of node records describes it. Immutable and derived, so two nodes with the same
//! records see the same owners; readers share it through an atomic pointer and take no lock.
//!
//! The positions of a node follow from its record (SHA-256 of cluster, node_id, index, choice). A slot's owner
//! is the successor of the slot's last id; its replicas follow clockwise, counting distinct nodes (Stoica et al. 2003,
//! §V.C; Dynamo 2007, §4.3 for the distinct nodes), those of distinct zones first (`zones.rs`).

use std::sync::Arc;

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use super::hash::position;
use super::id::{Id, IdSpace};
use super::record::{Member, NodeId, NodeRecord, Verdict};
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
    /// Shared with the views before, as long as only what is said of members changes, and not where they are.
    placement: Arc<Placement>,
    /// The rings whose lists they entered, ascending: more than one where rings have become one.
    rings: SmallVec<[u32; 2]>,
    /// Stands for them; 0 if there is only one.
    rings_digest: u64,
    fingerprint: u64,
}

/// Where members are, by their index.
#[derive(Debug)]
struct Placement {
    /// Ascending by id, without duplicates.
    positions: Vec<Position>,
    /// `radix[p]` is the first position at or after the ids with prefix `p`.
    radix: Vec<u32>,
    radix_slots: SlotSpace,
    /// `None` where zones change no list.
    zones: Option<Box<Zones>>,
}

impl Placement {
    /// `before`: a view that is likely to be much the same.
    fn of(ids: IdSpace, members: &[Arc<Member>], before: Option<&RingView>) -> Self {
        let taken_over = before.and_then(|before| positions_after(before, members));
        let positions = taken_over.unwrap_or_else(|| positions_of_all(members));
        let (radix_slots, radix) = radix_index(ids, &positions);
        let zones = Zones::of(members, &positions);
        Self { positions, radix, radix_slots, zones }
    }
}

impl RingView {
    /// The view of the placed ones among `records`. `fingerprint` covers everything present, joining ones included:
    /// what nodes compare to learn whether they know the same.
    pub(crate) fn derive<'a>(ids: IdSpace, slots: SlotSpace, all: impl Iterator<Item = &'a Arc<Member>>) -> Self {
        Self::derive_after(None, ids, slots, all)
    }

    /// The same, from a view `before` that is likely to be much the same: what it says of where members are is taken over.
    pub(crate) fn derive_after<'a>(
        before: Option<&Self>,
        ids: IdSpace,
        slots: SlotSpace,
        all: impl Iterator<Item = &'a Arc<Member>>,
    ) -> Self {
        let (fingerprint, members) = Self::placed(all);
        let mut members: Vec<Arc<Member>> = members.into_iter().cloned().collect();
        // Mostly they come in order.
        if !members.is_sorted_by(|a, b| a.record.node_id <= b.record.node_id) {
            members.sort_by(|a, b| a.record.node_id.cmp(&b.record.node_id));
        }
        let placement = match before.filter(|before| before.has_places_of(&members)) {
            Some(before) => before.placement.clone(),
            None => Arc::new(Placement::of(ids, &members, before)),
        };
        let rings = rings_of(&members);
        let rings_digest = if rings.len() > 1 { digest_of(&rings) } else { 0 };
        Self { ids, slots, members, placement, rings, rings_digest, fingerprint }
    }

    /// True if these members are where those of this view are.
    fn has_places_of(&self, members: &[Arc<Member>]) -> bool {
        let same = |(a, b): (&Arc<Member>, &Arc<Member>)| {
            Arc::ptr_eq(a, b)
                || a.record.node_id == b.record.node_id && a.same_positions(b) && a.record.zone == b.record.zone
        };
        self.members.len() == members.len() && self.members.iter().zip(members).all(same)
    }

    /// What a view is made of: the sum over those that are present, and those that have a place in the order in which they
    /// come.
    pub(super) fn placed<'a>(all: impl Iterator<Item = &'a Arc<Member>>) -> (u64, Vec<&'a Arc<Member>>) {
        let mut fingerprint = 0u64;
        let mut members = Vec::new();
        for member in all {
            // A client knows itself, but is no member.
            if member.record.present() && member.record.vnodes > 0 {
                fingerprint = fingerprint.wrapping_add(member.record.fingerprint());
            }
            if member.record.placed() && member.record.vnodes > 0 {
                members.push(member);
            }
        }
        (fingerprint, members)
    }

    /// True if it was derived from these very members, ascending, and has that fingerprint.
    pub(super) fn is_of(&self, slots: SlotSpace, members: &[&Arc<Member>], fingerprint: u64) -> bool {
        self.slots == slots
            && self.fingerprint == fingerprint
            && self.members.len() == members.len()
            && self.members.iter().zip(members).all(|(a, b)| Arc::ptr_eq(a, b))
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
        &self.placement.positions
    }

    pub(crate) fn positions_of(&self, member: MemberIndex) -> impl Iterator<Item = &Position> {
        self.placement.positions.iter().filter(move |p| p.member == member)
    }

    /// A member all of whose positions are others'.
    pub(crate) fn homeless(&self) -> Option<MemberIndex> {
        let mut homes = vec![false; self.members.len()];
        for position in &self.placement.positions {
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
        self.placement.positions.get(self.successor_index(id)?)
    }

    /// The last position strictly before `id`.
    #[cfg_attr(not(test), expect(dead_code, reason = "the mirror of successor; tests hold the two against each other"))]
    pub(crate) fn predecessor(&self, id: Id) -> Option<&Position> {
        let at = self.successor_index(id)?;
        self.placement.positions.get(at.checked_sub(1).unwrap_or(self.placement.positions.len() - 1))
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
    pub(crate) fn distinct_before(&self, id: Id, not: Option<MemberIndex>) -> Option<&Position> {
        let start = self.successor_index(id)?;
        let (before, after) = self.placement.positions.split_at(start);
        before.iter().rev().chain(after.iter().rev()).find(|p| Some(p.member) != not)
    }

    /// The first `count` distinct members anticlockwise strictly before `id`, each at its nearest position.
    pub(crate) fn distinct_preceding(&self, id: Id, count: usize) -> Vec<Position> {
        let mut found: Vec<Position> = Vec::new();
        let Some(start) = self.successor_index(id) else { return found };
        let (before, after) = self.placement.positions.split_at(start);
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
        if let Some(zones) = &self.placement.zones {
            return zones.list(&self.placement.positions, start, wanted, None);
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

    /// Who coordinates what is written, of a replica list: the first that is not suspected and whose store takes writes; if there is none the
    /// first that is not suspected, and if all are the first of all; `None` for an empty list.
    pub(crate) fn first_live(&self, list: &[MemberIndex]) -> Option<MemberIndex> {
        let first = |fit: fn(&NodeRecord) -> bool| list.iter().copied().find(|m| fit(self.member(*m)));
        let live = |record: &NodeRecord| record.verdict == Verdict::Alive;
        first(NodeRecord::takes_writes).or_else(|| first(live)).or_else(|| list.first().copied())
    }

    /// The replica list, and behind it those who would enter it if one of its members went.
    pub(crate) fn list_and_heirs(&self, slot: Slot, count: usize) -> Members {
        let (Some(zones), Some(start)) = (&self.placement.zones, self.successor_index(self.slots.last_id(slot))) else {
            return self.replica_list(slot, count + 1);
        };
        let mut all = self.replica_list(slot, count);
        let wanted = count.min(self.members.len() - 1);
        for member in all.clone() {
            for heir in zones.list(&self.placement.positions, start, wanted, Some(member)) {
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

    /// What stands for a list of members in data messages: node_id, boot and `placed_at` of each, in order; and the rings that have
    /// become one, so that nobody answers, or takes a write, who has not heard of that.
    pub(crate) fn list_fingerprint(&self, list: &[MemberIndex]) -> u64 {
        self.fingerprint_of(list.iter().map(|m| self.member(*m)))
    }

    /// The same of a list that a walk has found.
    pub(crate) fn fingerprint_of<'a>(&self, list: impl Iterator<Item = &'a NodeRecord>) -> u64 {
        let mut bytes = SmallVec::<[u8; 96]>::new();
        for record in list {
            bytes.extend_from_slice(&record.node_id.digest().to_le_bytes());
            bytes.extend_from_slice(&record.boot.to_le_bytes());
            bytes.extend_from_slice(&record.placed_at.to_le_bytes());
        }
        if self.rings_digest != 0 {
            bytes.extend_from_slice(&self.rings_digest.to_le_bytes());
        }
        xxh3_64(&bytes)
    }

    /// What the sender of an operation, and who carries it out, have to agree upon: which rings have become one. 0: only one is known.
    pub(crate) fn rings_digest(&self) -> u64 {
        self.rings_digest
    }

    /// The rings whose lists its members entered, ascending, as far as they say.
    pub(crate) fn rings(&self) -> &[u32] {
        &self.rings
    }

    /// True if every slot has the same list here and there, whatever the list's length.
    pub(crate) fn same_placement(&self, other: &Self) -> bool {
        // All that positions and zones are derived from.
        let of = |m: &Arc<Member>| (m.record.boot, m.record.placed_at);
        self.rings == other.rings
            && self.has_places_of(&other.members)
            && self.members.iter().zip(&other.members).all(|(a, b)| of(a) == of(b))
    }

    /// The members whose node_id is not in `other`, ascending.
    pub(crate) fn lacking_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Arc<Member>> {
        let mut others = other.members.iter().peekable();
        self.members.iter().filter(move |member| {
            while others.next_if(|m| m.record.node_id < member.record.node_id).is_some() {}
            others.next_if(|m| m.record.node_id == member.record.node_id).is_none()
        })
    }

    /// The slots in whose replica list of `count` the member is. In no order; some may come twice.
    pub(crate) fn slots_of(&self, member: MemberIndex, count: usize) -> Vec<Slot> {
        if self.placement.zones.is_some() {
            // Its place in the order of zones may be anywhere.
            return self.slots.iter().filter(|slot| self.replica_list(*slot, count).contains(&member)).collect();
        }
        let mut slots = Vec::new();
        for &id in self.members[member as usize].positions.iter() {
            // Of two nodes with the same position one does not hold it.
            let Some(at) = self.successor_index(id).filter(|at| self.placement.positions[*at].member == member) else {
                continue;
            };
            let (before, after) = self.placement.positions.split_at(at);
            let mut others = Members::new();
            // Up to where that many others lie between, the slots are this position's; its own one before takes the rest.
            let limit = before.iter().rev().chain(after[1..].iter().rev()).find(|p| {
                if p.member != member && !others.contains(&p.member) {
                    others.push(p.member);
                }
                p.member == member || others.len() == count
            });
            match limit {
                None => slots.extend(self.slots.iter()),
                Some(limit) => {
                    let (first, end) = (self.slots.ended_by(limit.id), self.slots.ended_by(id));
                    if limit.id < id {
                        slots.extend((first..end).map(Slot));
                    } else {
                        slots.extend((first..self.slots.count()).chain(0..end).map(Slot));
                    }
                }
            }
        }
        slots
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
        self.placement.positions[start..].iter().chain(&self.placement.positions[..start])
    }

    #[inline]
    fn successor_index(&self, id: Id) -> Option<usize> {
        let Placement { positions, radix, radix_slots, .. } = &*self.placement;
        if positions.is_empty() {
            return None;
        }
        let mut at = radix[radix_slots.of(id).0 as usize] as usize;
        while at < positions.len() && positions[at].id < id {
            at += 1;
        }
        Some(if at == positions.len() { 0 } else { at })
    }
}

/// All positions that are held, sorted.
fn positions_of_all(members: &[Arc<Member>]) -> Vec<Position> {
    let mut positions = Vec::with_capacity(members.iter().map(|m| m.positions.len()).sum());
    members.iter().enumerate().for_each(|(member, node)| positions.extend(held_by(member, node)));
    // Equal positions: the smaller node_id holds it, the other's is void.
    positions.sort_by_key(|p| (p.id, p.member, p.index));
    positions.dedup_by_key(|p| p.id);
    positions
}

/// The same, sorting only those of members that `before` does not have so. `None` where two positions are equal, of which
/// one is void: what becomes of it is for [`positions_of_all`] to say.
fn positions_after(before: &RingView, members: &[Arc<Member>]) -> Option<Vec<Position>> {
    const GONE: u32 = u32::MAX;
    let claimed = before.members.iter().map(|m| m.positions.len()).sum::<usize>();
    if claimed != before.placement.positions.len() {
        return None;
    }
    let mut now = vec![GONE; before.members.len()];
    let mut fresh = Vec::new();
    let mut was = before.members.iter().enumerate().peekable();
    for (member, node) in members.iter().enumerate() {
        while was.next_if(|(_, m)| m.record.node_id < node.record.node_id).is_some() {}
        let same = was.next_if(|(_, m)| m.record.node_id == node.record.node_id);
        match same.filter(|(_, m)| m.same_positions(node)) {
            Some((index, _)) => now[index] = member as u32,
            None => fresh.extend(held_by(member, node)),
        }
    }
    fresh.sort_by_key(|p: &Position| (p.id, p.member, p.index));
    let mut positions = Vec::with_capacity(before.placement.positions.len() + fresh.len());
    let mut fresh = fresh.into_iter().peekable();
    for position in &before.placement.positions {
        let member = now[position.member as usize];
        if member == GONE {
            continue;
        }
        while let Some(next) = fresh.next_if(|f| f.id <= position.id) {
            positions.push(next);
        }
        positions.push(Position { member, ..*position });
    }
    positions.extend(fresh);
    positions.is_sorted_by(|a, b| a.id < b.id).then_some(positions)
}

fn held_by(member: usize, node: &Member) -> impl Iterator<Item = Position> {
    let of_member = move |(index, &id): (usize, &Id)| Position { id, member: member as u32, index: index as u32 };
    node.positions.iter().enumerate().map(of_member)
}

fn rings_of(members: &[Arc<Member>]) -> SmallVec<[u32; 2]> {
    let mut rings: Vec<u32> = members.iter().map(|member| member.record.placed_in).filter(|ring| *ring != 0).collect();
    // Mostly they are all the same.
    rings.dedup();
    rings.sort_unstable();
    rings.dedup();
    SmallVec::from_slice(&rings)
}

fn digest_of(rings: &[u32]) -> u64 {
    let bytes: Vec<u8> = rings.iter().flat_map(|ring| ring.to_le_bytes()).collect();
    xxh3_64(&bytes).max(1)
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
