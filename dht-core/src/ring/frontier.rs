//! `Frontier` of one lookup: whom to ask next, what an answer changes, when it is done. Iterative Chord lookup
//! (Stoica et al. 2003, §IV.B) that survives silent nodes by falling back to the next closest known one.
//!
//! Invariant: every node is asked at most once, and only nodes strictly nearer (clockwise before the target) than the
//! best that has answered are asked while any is left, so the walk ends.

use super::id::{Id, IdSpace};
use super::record::NodeId;
use super::vnode::Pointer;

/// Nodes asked in one lookup at most: four times what ½·log2 N needs in the largest ring planned (16,384).
const STEPS_MAX: usize = 32;

/// The state of one lookup.
#[derive(Debug)]
pub(crate) struct Frontier {
    ids: IdSpace,
    target: Id,
    /// Known and not asked, nearest to the target last.
    candidates: Vec<Pointer>,
    asked: Vec<NodeId>,
}

impl Frontier {
    pub(crate) fn new(ids: IdSpace, target: Id, known: impl IntoIterator<Item = Pointer>) -> Self {
        let mut frontier = Self { ids, target, candidates: Vec::new(), asked: Vec::new() };
        frontier.learn(known);
        frontier
    }

    /// Whom to ask now; `None`: the lookup has failed.
    pub(crate) fn next(&mut self) -> Option<Pointer> {
        if self.asked.len() == STEPS_MAX {
            return None;
        }
        let next = self.candidates.pop()?;
        self.asked.push(next.node_id.clone());
        let asked = &self.asked;
        self.candidates.retain(|c| !asked.contains(&c.node_id));
        Some(next)
    }

    /// An answer named these nodes.
    pub(crate) fn learn(&mut self, pointers: impl IntoIterator<Item = Pointer>) {
        for pointer in pointers {
            if !self.asked.contains(&pointer.node_id) && !self.candidates.contains(&pointer) {
                self.candidates.push(pointer);
            }
        }
        let (ids, target) = (self.ids, self.target);
        self.candidates.sort_by_key(|p| std::cmp::Reverse(ids.distance(p.id, target)));
    }

    /// Nodes asked so far.
    pub(crate) fn hops(&self) -> usize {
        self.asked.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> IdSpace {
        IdSpace::new(8).expect("8 bits are in range")
    }

    fn pointer(n: u8) -> Pointer {
        Pointer { id: space().from_digest(&[n]), node_id: NodeId::new(&format!("n{n}")), index: 0 }
    }

    #[test]
    fn asks_the_nearest_before_the_target_first_and_nobody_twice() {
        let target = space().from_digest(&[100]);
        let mut frontier = Frontier::new(space(), target, [pointer(10), pointer(90), pointer(110), pointer(90)]);
        assert_eq!(frontier.next(), Some(pointer(90)));
        frontier.learn([pointer(95), pointer(90)]);
        assert_eq!(frontier.next(), Some(pointer(95)));
        assert_eq!(frontier.next(), Some(pointer(10)));
        assert_eq!(frontier.next(), Some(pointer(110)), "past the target is farthest, going round");
        assert_eq!(frontier.next(), None);
        assert_eq!(frontier.hops(), 4);
    }

    #[test]
    fn ends_also_when_fed_without_end() {
        let mut frontier = Frontier::new(space(), space().from_digest(&[0]), [pointer(0)]);
        let mut asked = 0;
        while let Some(p) = frontier.next() {
            asked += 1;
            let fresh = |i: u16| Pointer { node_id: NodeId::new(&format!("m{asked}-{i}")), ..p.clone() };
            frontier.learn((0..8).map(fresh));
        }
        assert_eq!(asked, STEPS_MAX);
    }
}
