//! A loser hands over: a slot that this node is not (or no longer) listed for is kept until every record of it is
//! present, at that version or above, on all current replicas, all of them caught up. Only then it is deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::pace::SLICE;
use super::reconcile::{Compared, Direction};
use crate::data::fingerprint::Fingerprint;
use crate::node::peers::Peer;
use crate::node::{Node, Phase};
use crate::ring::list::Standing;
use crate::ring::slot::Slot;

/// How often a slot that cannot be let go is brought up to date, at least, and how often before a deletion is forgotten, so
/// that each of a list's members is asked in time.
const RENEWAL_PERIOD_MAX: Duration = Duration::from_secs(60);
const RENEWALS_IN_A_GRACE: u32 = 8;

/// A slot being handed over, to the members of one list: our contents when it was compared, and who is known to have them.
///
/// What was confirmed holds on in the next passes while neither changes: a member of a list drops nothing, and who comes back
/// makes another list.
pub(in crate::node) struct Offer {
    /// Fingerprint of the list.
    list: u64,
    members: BTreeSet<Peer>,
    ours: Option<Fingerprint>,
    confirmed: BTreeSet<Peer>,
}

impl Node {
    /// One pass over everything that others should hold; true if some of it is left.
    pub(super) async fn hand_over(self: &Arc<Self>) -> bool {
        let mut offers = self.offers();
        let mut by_peer: BTreeMap<Peer, Vec<Slot>> = BTreeMap::new();
        for (slot, offer) in &offers {
            for peer in offer.members.difference(&offer.confirmed) {
                by_peer.entry(peer.clone()).or_default().push(*slot);
            }
        }
        let until = self.env.now() + SLICE;
        for (peer, slots) in by_peer {
            for (slot, ours) in self.offer_to(&peer, &slots, until).await {
                let Some(offer) = offers.get_mut(&slot) else { continue };
                // Only what every member confirmed of one and the same state of ours may go.
                if *offer.ours.get_or_insert(ours) == ours {
                    offer.confirmed.insert(peer.clone());
                }
            }
        }
        offers.retain(|slot, offer| {
            let all = !offer.members.is_empty() && offer.members == offer.confirmed;
            !(all && self.let_go(*slot, offer.ours.unwrap_or_default()))
        });
        let left = !offers.is_empty();
        self.renew(&offers).await;
        self.state().offers = offers;
        left
    }

    /// What cannot be let go for long gets what is newer of it: this node is in no list, so nobody tells it of deletions, and
    /// once these are forgotten it would bring back what they hide.
    async fn renew(self: &Arc<Self>, kept: &BTreeMap<Slot, Offer>) {
        let now = self.env.now();
        let period = RENEWAL_PERIOD_MAX.min(self.ring().config.tombstone_grace / RENEWALS_IN_A_GRACE);
        let mut due: BTreeMap<Peer, Vec<(Slot, u32)>> = BTreeMap::new();
        {
            let mut state = self.state();
            state.renewed.retain(|slot, _| kept.contains_key(slot));
            for (&slot, Offer { members, .. }) in kept {
                let (at, turn) = state.renewed.entry(slot).or_insert((now, 0));
                if now < *at + period || planted!("never_renewed") {
                    continue;
                }
                (*at, *turn) = (now, *turn + 1);
                // One after the other: one may be the reason why it cannot be let go.
                if let Some(peer) = members.iter().nth(*turn % members.len().max(1)) {
                    due.entry(peer.clone()).or_default().push((slot, 0));
                }
            }
        }
        for (peer, slots) in due {
            self.reconcile(&peer, &slots, Direction::Renewal, Some(now + SLICE)).await;
        }
    }

    /// Slots with contents or a past here that this node is not listed for, with what was confirmed of them in passes before.
    fn offers(&self) -> BTreeMap<Slot, Offer> {
        let view = self.view();
        let replicas = self.replicas();
        let joining = self.state().members.own().state == crate::ring::record::NodeState::Joining;
        if joining || view.members().is_empty() {
            // What a joining node has copied ahead is about to become its own.
            return BTreeMap::new();
        }
        let occupied = self.store.occupied().unwrap_or_default();
        let mut state = self.state();
        let mut before = std::mem::take(&mut state.offers);
        let unlisted = |slot: &Slot| state.table.get(*slot).is_none_or(|s| !s.listed);
        let lost = state.table.slots_where(|s| !s.listed);
        let slots: BTreeSet<Slot> = occupied.into_iter().filter(unlisted).chain(lost).collect();
        let offer = |slot: Slot| {
            let listed = view.replica_list(slot, replicas);
            let list = view.list_fingerprint(&listed);
            let same = |offer: &Offer| offer.list == list && self.store.fingerprint(slot).ok() == offer.ours;
            if let Some(offer) = before.remove(&slot).filter(same) {
                return (slot, offer);
            }
            let members = listed.iter().map(|m| Peer::from(view.member(*m))).filter(|p| p.boot != self.boot).collect();
            (slot, Offer { list, members, ours: None, confirmed: BTreeSet::new() })
        };
        slots.into_iter().map(offer).collect()
    }

    /// Brings to `peer` what it lacks, and begins with no slot after `until`; returns the slots of which it then has
    /// everything, and what that was.
    async fn offer_to(self: &Arc<Self>, peer: &Peer, slots: &[Slot], until: Instant) -> Vec<(Slot, Fingerprint)> {
        let Ok(compared) = self.compare(peer, slots).await else { return Vec::new() };
        let (mut has_all, mut lacking, mut strangers) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut differing = Vec::new();
        let view = self.view();
        let replicas = self.replicas();
        for Compared { slot, ours, theirs } in compared {
            let members = view.list_fingerprint(&view.replica_list(slot, replicas));
            if theirs.list.members != members {
                strangers.push(slot);
            } else if ours == theirs.fingerprint || ours == Fingerprint::EMPTY || planted!("hand_over_blind") {
                if theirs.standing == Standing::CaughtUp {
                    has_all.push((slot, ours));
                }
            } else {
                lacking.insert(slot, (ours, theirs.standing));
                differing.push((slot, theirs.evicted_before_s));
            }
        }
        if !strangers.is_empty() {
            let _ = self.sync(peer, &strangers).await;
        }
        for slot in self.reconcile(peer, &differing, Direction::There, Some(until)).await.0 {
            // What changed here meanwhile shows in the fingerprint when the slot is let go.
            if let Some((ours, Standing::CaughtUp)) = lacking.get(&slot) {
                has_all.push((slot, *ours));
            }
        }
        // What is on this disk is let go when it is on that one, not only on its way there.
        if self.store.persistent() && !has_all.is_empty() && !planted!("let_go_early") {
            let slots: Vec<Slot> = has_all.iter().map(|(slot, _)| *slot).collect();
            if let Err(error) = self.durable_at(peer, &slots).await {
                log!(self, debug, peer = %peer.node_id, %error, "does not say yet that it keeps what it was brought");
                return Vec::new();
            }
        }
        has_all
    }

    /// Deletes a slot that others have; false if it changed meanwhile, or is to be in a snapshot first.
    fn let_go(&self, slot: Slot, handed_over: Fingerprint) -> bool {
        let mut state = self.state();
        // Who leaves waits for no snapshot: that fails. One that begins after this look waits for the lock before it lists the slots.
        if self.snapshots.busy() && self.life.phase() == Phase::Active {
            return false;
        }
        if state.table.get(slot).is_some_and(|s| s.listed) {
            return true;
        }
        let removed = self.store.remove_slot(slot, handed_over);
        if matches!(removed, Ok(true)) {
            state.table.drop_slot(slot);
        }
        drop(state);
        self.progress.step();
        removed.unwrap_or(false)
    }
}
