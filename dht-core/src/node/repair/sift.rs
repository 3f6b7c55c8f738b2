//! Which of many slots need a look of their own: two replicas compare sums over parts of the key space, then over the parts
//! of those that differ. Equal replicas cost one sum, whatever they hold.
//!
//! A sum covers slot, list and contents of every slot that one side is first for and both have caught up with, so equal
//! sums say that all of these are equal, on one and the same list.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::xxh3_128;

use crate::data::fingerprint::Fingerprint;
use crate::error::Result;
use crate::node::Node;
use crate::node::peers::Peer;
use crate::ring::list::ListId;
use crate::ring::slot::Slot;
use crate::wire::limits::SUMS_MAX;
use crate::wire::message::{Request, Response};

/// Up to so many slots are compared one by one: that costs one round trip and 32 bytes each.
const SLOTS_FEW: usize = 64;
/// Stands for the contents of a slot in which records were evicted: they differ from replica to replica, and nothing is
/// to be done about it.
const EVICTED: Fingerprint = Fingerprint(u128::MAX);
/// Parts that one part is cut into.
const FAN_OUT: u32 = 32;

impl Node {
    /// Of `slots`, which this node is first for and `peer` holds too: those that are equal there, and those that have to be
    /// compared one by one. `whole`: most likely all are equal, so one sum is asked for first.
    pub(super) async fn sift(&self, peer: &Peer, slots: &[Slot], whole: bool) -> Result<(Vec<Slot>, Vec<Slot>)> {
        let few = slots.len() <= SLOTS_FEW;
        if few && !whole || slots.len() <= 1 {
            return Ok((Vec::new(), slots.to_vec()));
        }
        let count = self.slots.count();
        let fan_out = FAN_OUT.min(count);
        let (mut part_len, mut parts) = match whole {
            true => (count, vec![0]),
            false => {
                let part_len = count / fan_out;
                (part_len, slots.iter().map(|slot| slot.0 / part_len).collect::<BTreeSet<u32>>().into_iter().collect())
            }
        };
        let ours = self.shared_terms(self.boot, peer.boot, part_len, &parts)?;
        loop {
            let mut differing = Vec::new();
            for parts in parts.chunks(SUMS_MAX) {
                let sums = parts.iter().map(|part| sum(&ours, *part, part_len)).collect();
                let until = self.attempt_deadline(peer, self.env.now() + self.config.request_timeout);
                let ask = Request::CompareSums { part_len, parts: parts.to_vec(), sums };
                let Response::ComparedSums { differing: some } = self.call(peer, ask, until, 0).await? else {
                    return Err(crate::node::serve::unexpected(peer));
                };
                differing.extend(some);
            }
            let differing: BTreeSet<u32> = differing.into_iter().filter(|part| parts.contains(part)).collect();
            let Some((next_len, next)) = smaller(part_len, parts.len(), &differing, whole).filter(|_| !few) else {
                let known: BTreeSet<Slot> = ours.iter().map(|(slot, _)| *slot).collect();
                let asked: BTreeSet<u32> = parts.into_iter().collect();
                let (mut equal, mut rest) = (Vec::new(), Vec::new());
                for &slot in slots {
                    // Parts that were not asked for at this level lie in one that was equal before.
                    let part = slot.0 / part_len;
                    let differs = asked.contains(&part) && differing.contains(&part);
                    if known.contains(&slot) && !differs { equal.push(slot) } else { rest.push(slot) }
                }
                return Ok((equal, rest));
            };
            (part_len, parts) = (next_len, next);
        }
    }

    /// Answers `CompareSums`.
    pub(crate) fn serve_compare_sums(
        &self,
        sender: u64,
        part_len: u32,
        parts: &[u32],
        sums: &[Fingerprint],
    ) -> Response {
        // Without our side of it everything differs, and is looked at slot by slot.
        let ours = self.shared_terms(sender, self.boot, part_len, parts).unwrap_or_default();
        let differs = |(part, theirs): &(&u32, &Fingerprint)| sum(&ours, **part, part_len) != **theirs;
        Response::ComparedSums { differing: parts.iter().zip(sums).filter(differs).map(|(part, _)| *part).collect() }
    }

    /// A term for each slot of these parts that the node of boot `first` is first for, that the node of boot `other` holds, and
    /// that this node, one of the two, has caught up with; ascending.
    fn shared_terms(&self, first: u64, other: u64, part_len: u32, parts: &[u32]) -> Result<Vec<(Slot, Fingerprint)>> {
        let view = self.view();
        let replicas = self.replicas();
        let shared: Vec<(Slot, ListId)> = {
            let state = self.state();
            let mut arc = None;
            let mut within = false;
            let mut shared = Vec::new();
            for slot in slots_of(parts, part_len, self.slots.count()) {
                if arc != Some(view.arc(slot)) {
                    arc = Some(view.arc(slot));
                    let list = view.replica_list(slot, replicas);
                    let boot = |m: u32| view.member(m).boot;
                    within = list.first().is_some_and(|m| boot(*m) == first) && list.iter().any(|m| boot(*m) == other);
                }
                if within && let Some(list) = state.table.get(slot).filter(|s| s.readable()).map(|s| s.list) {
                    shared.push((slot, list));
                }
            }
            shared
        };
        let contents = |slot| match self.store.evicted_before_s(slot) {
            0 => self.store.fingerprint(slot),
            _ => Ok(EVICTED),
        };
        shared.into_iter().map(|(slot, list)| Ok((slot, term(slot, list, contents(slot)?)))).collect()
    }
}

/// The parts of the `differing` ones of `asked` parts that are to be asked for next, and how long these are; `None` if the
/// slots are to be compared one by one: there are few, or most parts differ, which in a look at the `whole` says something of
/// small parts only.
fn smaller(part_len: u32, asked: usize, differing: &BTreeSet<u32>, whole: bool) -> Option<(u32, Vec<u32>)> {
    let most = (part_len <= FAN_OUT || !whole) && asked > 1 && differing.len() * 2 > asked;
    if most || part_len == 1 || differing.len() * part_len as usize <= SLOTS_FEW {
        return None;
    }
    let next_len = (part_len / FAN_OUT).max(1);
    let pieces = part_len / next_len;
    Some((next_len, differing.iter().flat_map(|part| (0..pieces).map(move |n| part * pieces + n)).collect()))
}

/// The slots of those parts, each once, in ascending order: a stranger may name any parts, in any order.
fn slots_of(parts: &[u32], part_len: u32, count: u32) -> impl Iterator<Item = Slot> {
    let mut parts: Vec<u32> = parts.to_vec();
    parts.sort_unstable();
    parts.dedup();
    let begin = move |part: u32| part.saturating_mul(part_len).min(count);
    parts.into_iter().flat_map(move |part| (begin(part)..begin(part.saturating_add(1))).map(Slot))
}

fn sum(terms: &[(Slot, Fingerprint)], part: u32, part_len: u32) -> Fingerprint {
    let begin = u64::from(part) * u64::from(part_len);
    let end = begin + u64::from(part_len);
    let at = terms.partition_point(|(slot, _)| u64::from(slot.0) < begin);
    let within = terms[at..].iter().take_while(|(slot, _)| u64::from(slot.0) < end);
    within.fold(Fingerprint::EMPTY, |sum, (_, term)| sum.plus(*term))
}

fn term(slot: Slot, list: ListId, contents: Fingerprint) -> Fingerprint {
    let mut bytes = [0; 44];
    bytes[..4].copy_from_slice(&slot.0.to_le_bytes());
    bytes[4..12].copy_from_slice(&list.counter.to_le_bytes());
    bytes[12..20].copy_from_slice(&list.members.to_le_bytes());
    bytes[20..28].copy_from_slice(&list.epoch.to_le_bytes());
    bytes[28..].copy_from_slice(&contents.0.to_le_bytes());
    Fingerprint(xxh3_128(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(slots: &[(u32, u128)]) -> Vec<(Slot, Fingerprint)> {
        let list = ListId { counter: 1, members: 2, epoch: 0 };
        slots.iter().map(|&(n, contents)| (Slot(n), term(Slot(n), list, Fingerprint(contents)))).collect()
    }

    #[test]
    fn a_part_is_its_slots_and_the_whole_is_its_parts() {
        let terms = terms(&[(0, 1), (3, 2), (4, 3), (15, 4)]);
        let whole = sum(&terms, 0, 16);
        let parts = (0..4).map(|part| sum(&terms, part, 4)).fold(Fingerprint::EMPTY, Fingerprint::plus);
        assert_eq!(whole, parts);
        assert_eq!(sum(&terms, 2, 4), Fingerprint::EMPTY, "nothing from 8 to 11");
        assert_eq!(sum(&terms, u32::MAX, u32::MAX), Fingerprint::EMPTY, "far outside");
    }

    #[test]
    fn parts_are_their_slots_whatever_a_stranger_names() {
        let of = |parts: &[u32], part_len| slots_of(parts, part_len, 16).map(|slot| slot.0).collect::<Vec<_>>();
        assert_eq!(of(&[3, 1, 3], 2), [2, 3, 6, 7]);
        assert_eq!(of(&[0], 16), (0..16).collect::<Vec<_>>());
        assert_eq!(of(&[0], u32::MAX), (0..16).collect::<Vec<_>>());
        assert_eq!(of(&[u32::MAX, 9], 2), [0; 0]);
        assert_eq!(of(&[0, 1, 2], 0), [0; 0]);
    }

    /// Sums and slots that one side asks for until it knows these slots of 16,384 apart from the others.
    fn asked_for(slots: &BTreeSet<u32>) -> (usize, usize, usize) {
        let (mut part_len, mut parts, mut sums, mut levels) = (16_384, vec![0_u32], 0, 0);
        loop {
            (sums, levels) = (sums + parts.len(), levels + 1);
            let differs = |part: &u32| slots.iter().any(|slot| slot / part_len == *part);
            let differing: BTreeSet<u32> = parts.iter().copied().filter(differs).collect();
            let Some(next) = smaller(part_len, parts.len(), &differing, true) else {
                return (levels, sums, differing.len() * part_len as usize);
            };
            (part_len, parts) = next;
        }
    }

    #[test]
    fn what_is_asked_for_follows_what_differs() {
        let every = |nth: usize| (0..16_384).step_by(nth).collect::<BTreeSet<u32>>();
        assert_eq!(asked_for(&BTreeSet::new()), (1, 1, 0));
        assert_eq!(asked_for(&BTreeSet::from([9_999])), (3, 1 + 32 + 32, 16));
        assert_eq!(asked_for(&every(327)), (4, 1 + 32 + 1_024 + 51 * 16, 51), "51 of them, in all the large parts");
        assert_eq!(asked_for(&every(1)), (3, 1 + 32 + 1_024, 16_384), "all");
        let half = (0..17).collect();
        assert_eq!(smaller(512, 32, &half, false), None, "after a change most slots differ");
    }

    #[test]
    fn slot_list_and_contents_all_count() {
        let list = ListId { counter: 1, members: 2, epoch: 0 };
        let of = |slot, list, contents| term(Slot(slot), list, Fingerprint(contents));
        let base = of(1, list, 9);
        for other in [
            of(2, list, 9),
            of(1, ListId { counter: 2, ..list }, 9),
            of(1, ListId { members: 3, ..list }, 9),
            of(1, ListId { epoch: 1, ..list }, 9),
            of(1, list, 8),
        ] {
            assert_ne!(base, other);
        }
        // Swapped contents of two slots must not cancel out.
        assert_ne!(of(1, list, 8).plus(of(2, list, 9)), of(1, list, 9).plus(of(2, list, 8)));
    }
}
