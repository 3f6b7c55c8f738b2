//! What a newcomer takes in of that which its sources offer: each slot from one of them, the most urgent first, at the pace
//! that all repair keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::catch_up::Needs;
use super::pace::SLICE;
use super::reconcile::{Differing, Direction};
use super::share::{Tried, share_out};
use crate::data::fingerprint::Fingerprint;
use crate::node::Node;
use crate::node::peers::Peer;
use crate::ring::list::CatchUp;
use crate::ring::slot::Slot;
use crate::wire::message::CompareResult;

/// The slots of one peer that can be caught up from it, by what that takes.
#[derive(Default)]
pub(super) struct Offers {
    pub(super) equal: Vec<Slot>,
    /// Nothing of them is here yet.
    pub(super) empty: Vec<Slot>,
    pub(super) differing: Vec<Differing>,
    /// Those of them that the peer is no more caught up with than this node, but has kept from the last life.
    pub(super) returned: BTreeSet<Slot>,
    /// Slots that the peer goes by the same list for without being caught up, for `gather.rs`.
    pub(super) uncounted: Vec<Slot>,
}

impl Offers {
    /// Where the slot belongs by what `theirs` has of it, and this side `ours`.
    pub(super) fn sort(&mut self, slot: Slot, ours: Fingerprint, theirs: &CompareResult) {
        match theirs.fingerprint {
            theirs if ours == theirs => self.equal.push(slot),
            _ if ours == Fingerprint::EMPTY => self.empty.push(slot),
            _ => self.differing.push((slot, theirs.evicted_before_s)),
        }
    }

    /// Slots of which something has to be brought over.
    fn lacking(&self) -> impl Iterator<Item = Slot> {
        self.empty.iter().copied().chain(self.differing.iter().map(|(slot, _)| *slot))
    }

    /// The same that caught-up peers offer: all of these have the same of it.
    fn alike(&self) -> impl Iterator<Item = Slot> {
        self.lacking().filter(|slot| !self.returned.contains(slot))
    }

    fn part(&self, keep: impl Fn(Slot) -> bool) -> Self {
        Self {
            empty: self.empty.iter().copied().filter(|slot| keep(*slot)).collect(),
            differing: self.differing.iter().copied().filter(|(slot, _)| keep(*slot)).collect(),
            ..Self::default()
        }
    }
}

impl Node {
    /// Takes in what is offered, each slot from one peer, those with the fewest copies first; then asks the others whether they
    /// have more.
    pub(super) async fn bring(self: &Arc<Self>, offers: &[(Offers, Peer)], needs: &mut BTreeMap<Slot, Needs>) {
        for (offers, peer) in offers {
            self.merged(peer, &offers.equal, &offers.returned, needs);
        }
        let tried: BTreeMap<(Slot, u64), Tried> = {
            let state = self.state();
            let catch_ups = needs.keys().filter_map(|slot| Some((*slot, state.table.get(*slot)?.catch_up.as_deref()?)));
            let of = |(slot, catch_up): (Slot, &CatchUp)| {
                let in_vain = catch_up.broke_off.iter().map(|boot| ((slot, *boot), Tried::InVain));
                let merged = catch_up.merged.iter().map(|(_, boot)| ((slot, *boot), Tried::Merged));
                let owners = catch_up.owners_waited_for().map(|boot| ((slot, boot), Tried::WaitedFor));
                owners.chain(in_vain).chain(merged).collect::<Vec<_>>()
            };
            catch_ups.flat_map(of).collect()
        };
        let alike: Vec<BTreeSet<Slot>> = offers.iter().map(|(offers, _)| offers.alike().collect()).collect();
        let dealt = share_out(&alike, |slot, index| {
            let tried = offers.get(index).and_then(|(_, peer)| tried.get(&(slot, peer.boot)));
            tried.copied().unwrap_or(Tried::Not)
        });
        let until = Some(self.env.now() + SLICE);
        let (mut here, mut left) = (BTreeSet::new(), Vec::new());
        for urgent in [true, false] {
            let needs = &*needs;
            let work = offers.iter().enumerate().map(|(index, (offers, peer))| {
                let mine = offers.part(|slot| {
                    let last_copy = needs.get(&slot).is_some_and(|n| n.caught_up.len() <= 1);
                    last_copy == urgent && dealt.get(&slot).is_none_or(|from| *from == index)
                });
                async move { self.catch_up_from(peer, &mine, &offers.returned, needs, until).await }
            });
            for (some, rest) in futures_util::future::join_all(work).await {
                here.extend(some);
                left.extend(rest);
            }
        }
        self.count_the_others(offers, &here, needs).await;
        if self.is_past(until) {
            // The copies take their time: these have not been waited for in vain.
            left.extend(here);
            self.state().table.postpone(&left, self.env.now());
        }
    }

    /// Counts the peers that have no more of the slots that are `here` now.
    async fn count_the_others(
        self: &Arc<Self>,
        offers: &[(Offers, Peer)],
        here: &BTreeSet<Slot>,
        needs: &mut BTreeMap<Slot, Needs>,
    ) {
        let lacks = |slot: &Slot, peer: &Peer| {
            let state = self.state();
            let catch_up = state.table.get(*slot).and_then(|s| s.catch_up.as_ref());
            catch_up.is_some_and(|c| c.merged.iter().all(|(_, merged)| *merged != peer.boot))
        };
        let asked = offers.iter().filter_map(|(offers, peer)| {
            let slots: Vec<Slot> = offers.alike().filter(|slot| here.contains(slot) && lacks(slot, peer)).collect();
            (!slots.is_empty()).then_some((peer, slots))
        });
        let ask = |(peer, slots): (_, Vec<Slot>)| async move { (peer, self.compare(peer, &slots).await) };
        for (peer, compared) in futures_util::future::join_all(asked.map(ask)).await {
            // What differs, and who does not answer, is for the next pass.
            if let Ok(compared) = compared {
                let offers = self.weigh(peer, compared, needs).await;
                self.merged(peer, &offers.equal, &offers.returned, needs);
            }
        }
    }

    /// All of those slots were begun with but what is `left`, and what is not `here` broke off.
    fn broke_off(&self, peer: &Peer, all: impl ExactSizeIterator<Item = Slot>, here: &[Slot], left: &[Slot]) {
        if all.len() == here.len() + left.len() {
            return;
        }
        let ended: BTreeSet<Slot> = here.iter().chain(left).copied().collect();
        let broke_off: Vec<Slot> = all.filter(|slot| !ended.contains(slot)).collect();
        self.state().table.broke_off(broke_off, peer.boot);
    }

    /// Returns the slots of which everything is here then, and those for which there was no time.
    async fn catch_up_from(
        self: &Arc<Self>,
        peer: &Peer,
        offers: &Offers,
        returned: &BTreeSet<Slot>,
        needs: &BTreeMap<Slot, Needs>,
        until: Option<Instant>,
    ) -> (Vec<Slot>, Vec<Slot>) {
        let mut here = Vec::new();
        let pulled = self.pull_slots(peer, &offers.empty, until, |slots| {
            self.merged(peer, slots, returned, needs);
            here.extend_from_slice(slots);
        });
        let mut left = match pulled.await {
            Ok(left) => left.to_vec(),
            Err(error) => {
                self.broke_off(peer, offers.empty.iter().copied(), &here, &[]);
                self.note_busy(&error, &offers.empty);
                log!(self, debug, peer = %peer.node_id, %error, "catch-up broke off");
                Vec::new()
            }
        };
        let (reconciled, rest) = self.reconcile(peer, &offers.differing, Direction::Here, until).await;
        self.broke_off(peer, offers.differing.iter().map(|(slot, _)| *slot), &reconciled, &rest);
        self.merged(peer, &reconciled, returned, needs);
        here.extend(reconciled);
        left.extend(rest);
        (here, left)
    }
}
