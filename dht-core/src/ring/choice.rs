//! Where a joining node puts its positions: of each it may choose among a few candidates, so that all nodes end up with
//! nearly equal shares.
//!
//! One position after the other takes the candidate that makes the sum of the squared shares smallest, then each is
//! tried once more now that the others are known. A choice looks only at the ring it is given and is never revised by
//! others: the record carries it, so everybody derives the same positions. Source: the power of several choices
//! (Byers et al. 2003, *Simple Load Balancing for Distributed Hash Tables*; Kenthapadi and Manku 2005).

use super::hash::position;
use super::id::Id;
use super::record::NodeRecord;
use super::slot::SlotSpace;
use super::view::{MemberIndex, RingView};

/// Candidates of one position: choices 0 to 15. Max/mean of 100 nodes of which half were replaced is 1.28 with 4 of
/// them, 1.13 with 16, 1.06 with 64; each costs a SHA-256.
pub(crate) const CANDIDATES: u8 = 16;
/// How often each position is chosen. The first time the later ones are not known yet; a third changes little.
const PASSES: usize = 2;
/// Even shares count this many times as much as even arcs. Arcs matter to those who come later, and when a node goes
/// and its arcs fall to its successors.
const SHARES_OVER_ARCS: i128 = 8;

/// The choices for the positions of `record`, which is of no member of `others`. No position that is held already is
/// chosen as long as a candidate is free; else the choice is 0.
pub(crate) fn choose(cluster: &str, slots: SlotSpace, others: &RingView, record: &NodeRecord) -> Vec<u8> {
    let mut ring = Ring::new(slots, others);
    let candidates: Vec<Vec<Candidate>> = (0..record.vnodes)
        .map(|index| {
            let id = |choice| position(slots.ids(), cluster, record.node_id.as_str(), index, choice);
            (0..CANDIDATES).map(|choice| ring.candidate(id(choice))).collect()
        })
        .collect();
    let vnodes = i64::from(record.vnodes);
    let target = ring.slot_count / (others.members().len() as i64 + 1);
    let mut choices = vec![0; candidates.len()];
    let mut placed: Vec<Option<Candidate>> = vec![None; candidates.len()];
    // A last time for those that found every candidate held, now that no other moves any more.
    for pass in 0..=PASSES {
        for (index, candidates) in candidates.iter().enumerate() {
            if pass == PASSES && placed[index].is_some() {
                continue;
            }
            if let Some(before) = placed[index].take() {
                ring.take_back(&before);
            }
            // What the positions that are not placed yet will hold.
            let to_come = if pass == 0 { target * (vnodes - 1 - index as i64) / vnodes } else { 0 };
            let scored = candidates.iter().enumerate().filter_map(|(c, x)| Some((ring.score(x, to_come)?, c, x)));
            // Of equal ones the first, that is, the smallest choice.
            let best = scored.min_by_key(|(score, ..)| *score);
            choices[index] = best.map_or(0, |(_, choice, _)| choice as u8);
            placed[index] = best.map(|(.., candidate)| *candidate);
            if let Some(candidate) = &placed[index] {
                ring.place(candidate);
            }
        }
    }
    choices
}

/// The upper end of an arc.
#[derive(Clone, Copy)]
struct Edge {
    id: Id,
    /// How many slots have their last id here or before, counted from id 0.
    end: i64,
    /// `None`: the node that chooses.
    holder: Option<MemberIndex>,
}

#[derive(Clone, Copy)]
struct Candidate {
    edge: Edge,
    /// How many edges of the others lie before it.
    after: usize,
}

/// What a candidate would cut in two.
struct Cut {
    /// Slots that go to the candidate, and those that stay with the holder.
    taken: i64,
    left: i64,
    holder: Option<MemberIndex>,
}

/// Positions and shares, counted in slots.
struct Ring {
    slots: SlotSpace,
    slot_count: i64,
    /// Ascending by id.
    others: Vec<Edge>,
    shares: Vec<i64>,
    /// Ascending by id, none at an id of the others.
    own: Vec<Edge>,
    own_share: i64,
}

impl Ring {
    fn new(slots: SlotSpace, view: &RingView) -> Self {
        let edge = |id, member| Edge { id, end: slots_until(slots, id), holder: Some(member) };
        let others: Vec<Edge> = view.positions().iter().map(|p| edge(p.id, p.member)).collect();
        let slot_count = i64::from(slots.count());
        let mut shares = vec![0; view.members().len()];
        let mut before = others.last().map_or(0, |last| last.end - slot_count);
        for Edge { end, holder, .. } in &others {
            if let Some(member) = holder {
                shares[*member as usize] += end - before;
            }
            before = *end;
        }
        Self { slots, slot_count, others, shares, own: Vec::new(), own_share: 0 }
    }

    fn candidate(&self, id: Id) -> Candidate {
        let edge = Edge { id, end: slots_until(self.slots, id), holder: None };
        Candidate { edge, after: self.others.partition_point(|e| e.id < id) }
    }

    /// Half of what the squares of the shares, and to a lesser degree of the arcs, would grow by, times
    /// [`SHARES_OVER_ARCS`]; `to_come` slots are counted as own already. `None` if the position is held.
    fn score(&self, candidate: &Candidate, to_come: i64) -> Option<i128> {
        let own_after = self.own.partition_point(|e| e.id < candidate.edge.id);
        let held = |edges: &[Edge], at: usize| edges.get(at).is_some_and(|e| e.id == candidate.edge.id);
        if held(&self.others, candidate.after) || held(&self.own, own_after) {
            return None;
        }
        let Some(cut) = self.cut(candidate) else { return Some(0) };
        let taken = i128::from(cut.taken);
        let shares = cut.holder.map_or(0, |holder| {
            let (mine, theirs) = (self.own_share + to_come, self.shares[holder as usize]);
            taken * i128::from(mine + cut.taken - theirs)
        });
        Some(SHARES_OVER_ARCS * shares - taken * i128::from(cut.left))
    }

    fn place(&mut self, candidate: &Candidate) {
        match self.cut(candidate) {
            Some(Cut { holder: Some(holder), taken, .. }) => {
                self.shares[holder as usize] -= taken;
                self.own_share += taken;
            }
            Some(Cut { holder: None, .. }) => {}
            None => self.own_share = self.slot_count,
        }
        let at = self.own.partition_point(|e| e.id < candidate.edge.id);
        self.own.insert(at, candidate.edge);
    }

    fn take_back(&mut self, candidate: &Candidate) {
        self.own.retain(|e| e.id != candidate.edge.id);
        match self.cut(candidate) {
            Some(Cut { holder: Some(holder), taken, .. }) => {
                self.shares[holder as usize] += taken;
                self.own_share -= taken;
            }
            Some(Cut { holder: None, .. }) => {}
            None => self.own_share = 0,
        }
    }

    /// The arc that a free position lies in, cut there; `None` in an empty ring.
    fn cut(&self, candidate: &Candidate) -> Option<Cut> {
        let Candidate { edge, after } = candidate;
        let (low, high) = self.others.split_at(*after);
        let (own_low, own_high) = self.own.split_at(self.own.partition_point(|e| e.id < edge.id));
        let last = |a: &[Edge], b: &[Edge]| a.last().into_iter().chain(b.last()).max_by_key(|e| e.id).copied();
        let first = |a: &[Edge], b: &[Edge]| a.first().into_iter().chain(b.first()).min_by_key(|e| e.id).copied();
        // Where there is none on this side of zero, it is the last, or first, of the other side.
        let before = match last(low, own_low) {
            Some(before) => before.end,
            None => last(high, own_high)?.end - self.slot_count,
        };
        let (holder, end) = match first(high, own_high) {
            Some(next) => (next.holder, next.end),
            None => first(low, own_low).map(|next| (next.holder, next.end + self.slot_count))?,
        };
        Some(Cut { taken: edge.end - before, left: end - edge.end, holder })
    }
}

/// How many slots have their last id at or before `id`.
fn slots_until(slots: SlotSpace, id: Id) -> i64 {
    i64::from(slots.ended_by(id))
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
