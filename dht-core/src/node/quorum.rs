//! Pure tally of one operation: enough, not yet, impossible.

use smallvec::SmallVec;

use crate::config::Consistency;
use crate::ring::list::{ListId, quorum};

/// How many members of a list of `len` a level asks for.
pub(crate) fn wanted(level: Consistency, len: usize) -> usize {
    match level {
        Consistency::One => len.min(1),
        Consistency::Quorum => quorum(len).min(len),
        Consistency::All => len,
    }
}

/// Counts who has acknowledged, by list: acknowledgements given under different lists do not add up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    acks: SmallVec<[(u64, ListId); 4]>,
}

impl Tally {
    /// `boot` acknowledged under `list`; a later one of the same member replaces it.
    pub(crate) fn ack(&mut self, boot: u64, list: ListId) {
        match self.acks.iter_mut().find(|(member, _)| *member == boot) {
            Some(ack) => ack.1 = list,
            None => self.acks.push((boot, list)),
        }
    }

    pub(crate) fn has(&self, boot: u64, list: ListId) -> bool {
        self.acks.contains(&(boot, list))
    }

    /// Acknowledgements under `list`.
    pub(crate) fn count(&self, list: ListId) -> usize {
        self.acks.iter().filter(|(_, l)| *l == list || planted!("acks_of_any_list")).count()
    }

    /// The list with the most acknowledgements, and their number.
    pub(crate) fn best(&self) -> Option<(ListId, usize)> {
        self.acks.iter().map(|(_, list)| (*list, self.count(*list))).max_by_key(|(list, n)| (*n, *list))
    }

    /// The lists under which somebody acknowledged, each once.
    pub(crate) fn lists(&self) -> impl Iterator<Item = ListId> {
        let first = |at: usize| !self.acks[..at].iter().any(|(_, list)| *list == self.acks[at].1);
        (0..self.acks.len()).filter(move |at| first(*at)).map(|at| self.acks[at].1)
    }

    pub(crate) fn clear(&mut self) {
        self.acks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_lists() {
        for (len, one, quorum, all) in
            [(0, 0, 0, 0), (1, 1, 1, 1), (2, 1, 2, 2), (3, 1, 2, 3), (4, 1, 3, 4), (5, 1, 3, 5)]
        {
            assert_eq!(wanted(Consistency::One, len), one);
            assert_eq!(wanted(Consistency::Quorum, len), quorum);
            assert_eq!(wanted(Consistency::All, len), all);
        }
    }

    #[test]
    fn acknowledgements_of_different_lists_do_not_add_up() {
        let (old, new) = (ListId { counter: 1, members: 9, epoch: 0 }, ListId { counter: 2, members: 9, epoch: 0 });
        let mut tally = Tally::default();
        tally.ack(1, old);
        assert_eq!(tally.lists().collect::<Vec<_>>(), [old]);
        tally.ack(2, new);
        tally.ack(2, new);
        assert_eq!((tally.count(old), tally.count(new)), (1, 1));
        tally.ack(1, new);
        assert_eq!((tally.count(old), tally.best()), (0, Some((new, 2))));
        assert!(tally.has(1, new) && !tally.has(1, old));
    }
}
