//! Replica lists over zones: first the first node clockwise of every zone, then the others clockwise. A node without a
//! zone is a zone of its own.
//!
//! That order of all nodes does not depend on how long the list is, so a shorter list is the beginning of a longer
//! one; its first is the first node clockwise, whatever the zones. A node more pushes others back and brings nobody
//! forward: deaths alone push nobody out of a list, and a join changes only lists that it enters, which each lose one
//! node. On this the switch of lists (`ring/list.rs`) and the admission of joins rest; `zones_tests.rs` holds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::record::Member;
use super::view::{MemberIndex, Members, Position};

/// Positions looked at one by one before those of each zone are searched: where zones are about equally large, some
/// zones suffice for a list long before that.
const WALK_MAX: usize = 64;

/// What lists over zones need besides the positions.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Zones {
    /// Of each member.
    of: Vec<u32>,
    count: usize,
    /// For each zone that has a name the indices of its positions, ascending.
    named: Vec<(u32, Vec<u32>)>,
    /// The indices of the positions of members without one, ascending.
    alone: Vec<u32>,
}

impl Zones {
    /// `None` where zones change no list: every member has its own, or all have the same.
    pub(super) fn of(members: &[Arc<Member>], positions: &[Position]) -> Option<Box<Self>> {
        let mut numbers = BTreeMap::new();
        let mut count = 0;
        let mut fresh = || {
            count += 1;
            count - 1
        };
        let of: Vec<u32> = members
            .iter()
            .map(|member| match member.record.zone.as_str() {
                "" => fresh(),
                name => *numbers.entry(name).or_insert_with(&mut fresh),
            })
            .collect();
        let count = count as usize;
        if count == members.len() || count <= 1 {
            return None;
        }
        let mut named: BTreeMap<u32, Vec<u32>> = numbers.values().map(|zone| (*zone, Vec::new())).collect();
        let mut alone = Vec::new();
        for (index, position) in positions.iter().enumerate() {
            named.get_mut(&of[position.member as usize]).unwrap_or(&mut alone).push(index as u32);
        }
        Some(Box::new(Self { of, count, named: named.into_iter().collect(), alone }))
    }

    /// The first `wanted` members from position `start` on, as if `without` were not there; `wanted` must be no more
    /// than there are then.
    pub(super) fn list(
        &self,
        positions: &[Position],
        start: usize,
        wanted: usize,
        without: Option<MemberIndex>,
    ) -> Members {
        let mut list = Members::new();
        let mut taken = SmallVec::<[u32; 4]>::new();
        let clockwise = || positions[start..].iter().chain(&positions[..start]).map(|p| p.member);
        for member in clockwise().take(WALK_MAX) {
            if list.len() == wanted || taken.len() == self.count {
                break;
            }
            let zone = self.of[member as usize];
            if Some(member) != without && !taken.contains(&zone) {
                taken.push(zone);
                list.push(member);
            }
        }
        if list.len() < wanted && taken.len() < self.count && positions.len() > WALK_MAX {
            list.extend(self.farther(positions, start, wanted - list.len(), &taken, without));
        }
        for member in clockwise() {
            if list.len() == wanted {
                break;
            }
            if Some(member) != without && !list.contains(&member) {
                list.push(member);
            }
        }
        list
    }

    /// The first members clockwise of the next `count` zones that are not `taken`.
    fn farther(
        &self,
        positions: &[Position],
        start: usize,
        count: usize,
        taken: &[u32],
        without: Option<MemberIndex>,
    ) -> impl Iterator<Item = MemberIndex> {
        let member_at = |index: &u32| (*index, positions[*index as usize].member);
        let clockwise = |of_zone| from(of_zone, start).map(member_at).filter(|(_, m)| Some(*m) != without);
        let mut found: Vec<(u32, MemberIndex)> = Vec::new();
        for (_, of_zone) in self.named.iter().filter(|(zone, _)| !taken.contains(zone)) {
            found.extend(clockwise(of_zone).next());
        }
        let mut alone: SmallVec<[MemberIndex; 4]> = SmallVec::new();
        for (index, member) in clockwise(&self.alone) {
            if alone.len() == count {
                break;
            }
            if !taken.contains(&self.of[member as usize]) && !alone.contains(&member) {
                alone.push(member);
                found.push((index, member));
            }
        }
        found.sort_unstable_by_key(|(index, _)| (*index as usize + positions.len() - start) % positions.len());
        found.into_iter().map(|(_, member)| member).take(count)
    }
}

/// Ascending indices from `start` on, once round.
fn from(indices: &[u32], start: usize) -> impl Iterator<Item = &u32> {
    let (before, after) = indices.split_at(indices.partition_point(|index| (*index as usize) < start));
    after.iter().chain(before)
}

#[cfg(test)]
#[path = "zones_tests.rs"]
mod tests;
