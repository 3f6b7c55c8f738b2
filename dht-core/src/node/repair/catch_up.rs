//! A newcomer catches up: it merges its slot from enough caught-up members of the list before, each of which must have
//! adopted the new list, so that none of them acknowledges under the old one any more (docs/architecture.md, "A list changes").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bring::Offers;
use super::reconcile::Compared;
use super::round::Left;
use crate::data::fingerprint::Fingerprint;
use crate::node::peers::Peer;
use crate::node::{Node, Phase, State};
use crate::ring::list::{CatchUp, Incarnate, ListId, SlotState, Standing};
use crate::ring::record::Verdict;
use crate::ring::slot::Slot;

/// What one pass needs to know of one slot.
pub(super) struct Needs {
    /// Our list when the pass began, and how often it had been switched: what is merged counts for this one only.
    pub(super) list: ListId,
    pub(super) switches: u32,
    /// Present nodes that the list has pushed out. Until all of them go by it, one that a death brings back could
    /// take itself for a member all along, and miss what was written without it.
    pub(super) pushed_out: BTreeSet<u64>,
    /// Where a whole ring comes back: members of the list that did not answer in this pass, and who of those that did is
    /// caught up. While there may be one, what the last life left does not count.
    unheard: BTreeSet<u64>,
    pub(super) caught_up: BTreeSet<u64>,
    /// Somebody returned with what it kept of the last life of the ring: that is for its rule to judge.
    pub(super) returning: bool,
}

impl Node {
    /// One pass over newcomer slots.
    pub(super) async fn catch_up(self: &Arc<Self>) -> Left {
        let returns = {
            let mut state = self.state();
            self.postpone_waiting(&mut state);
            state.table.stop_waiting_for_owners(self.env.now());
            state.table.reunites()
        };
        let silent = if returns { self.compare_last_lives().await } else { BTreeSet::new() };
        self.meet_rings().await;
        let (slots, others) = self.whose_turn();
        let (mut plan, mut needs) = self.catch_up_plan(&slots);
        // They count as not heard.
        plan.retain(|peer, _| !silent.contains(&peer.boot));
        needs.values_mut().for_each(|needs| needs.unheard.extend(&silent));
        let ask = |(peer, slots): (Peer, Vec<Slot>)| async move {
            let compared = self.compare(&peer, &slots).await;
            (peer, slots, compared)
        };
        let (mut offers, mut answered) = (Vec::new(), false);
        for (peer, slots, compared) in futures_util::future::join_all(plan.into_iter().map(ask)).await {
            match compared {
                Ok(compared) => {
                    answered = true;
                    offers.push((self.weigh(&peer, compared, &mut needs).await, peer));
                }
                Err(error) => {
                    self.note_busy(&error, &slots);
                    log!(self, debug, peer = %peer.node_id, %error, "cannot catch up from it yet");
                }
            }
        }
        let mut uncounted = Vec::new();
        for (offers, peer) in &mut offers {
            uncounted.push((peer.clone(), std::mem::take(&mut offers.uncounted)));
        }
        self.bring(&offers, &mut needs).await;
        self.go_on_with_what_is_kept(&needs);
        self.gather(uncounted, &needs).await;
        self.give_up_on_the_dead(&slots, others != Left::Nothing);
        let left = self.state().table.behind_len() > 0;
        // Before it is in its lists it has nothing to catch up with, and that means nothing.
        if !left && matches!(self.life.phase(), Phase::Active | Phase::Leaving) {
            let mut state = self.state();
            state.table.end_reunion();
            state.lives_compared.clear();
        }
        if !left && self.was_joining() {
            self.release_admissions();
        }
        // Whoever has no room, or has too much to do, is not asked again at once.
        let goes_on = answered && !self.state().no_room;
        if others == Left::Turns && goes_on { others } else { Left::some(left) }
    }

    /// The newcomer slots of this pass, and which are left. Of many, those that had no turn yet begin to wait for their sources now.
    fn whose_turn(&self) -> (Vec<Slot>, Left) {
        let mut state = self.state();
        let mut round = std::mem::take(&mut state.catching_up);
        let due = |first, most| self.to_catch_up(&state, first).take(most).map(|(slot, _)| slot).collect();
        let (slots, left) = round.turn(due);
        state.catching_up = round;
        state.table.take_turn(&slots, left != Left::Nothing, self.env.now());
        (slots, left)
    }

    /// Whom to ask about which of these slots: members of the lists before and of the present one, and who would enter it next.
    fn catch_up_plan(&self, slots: &[Slot]) -> (BTreeMap<Peer, Vec<Slot>>, BTreeMap<Slot, Needs>) {
        let (mut plan, mut needs) = (BTreeMap::<Peer, Vec<Slot>>::new(), BTreeMap::new());
        let view = self.view();
        let replicas = self.replicas();
        let state = self.state();
        let unmet = state.table.rings_to_meet().next().is_some();
        for &slot in slots {
            let Some(held) = state.table.get(slot) else { continue };
            let Some(catch_up) = &held.catch_up else { continue };
            if unmet && held.lacks_foreign() {
                continue;
            }
            let beyond = view.list_and_heirs(slot, replicas);
            let listed: BTreeSet<u64> = beyond.iter().take(replicas).map(|m| view.member(*m).boot).collect();
            let near = beyond.iter().map(|m| (view.member(*m).node_id.clone(), view.member(*m).boot));
            let asked: BTreeSet<Incarnate> = catch_up
                .sources
                .iter()
                .chain([&catch_up.foreign])
                .flat_map(|l| l.iter().cloned())
                .chain(near)
                .collect();
            // Where a whole ring comes back: who kept it need not be near.
            for node_id in state.table.former_list(slot).filter(|node_id| !asked.iter().any(|(id, _)| id == *node_id)) {
                let known = state.members.get(node_id).map(|k| k.record());
                if let Some(record) =
                    known.filter(|r| r.present() && r.verdict == Verdict::Alive && r.boot != self.boot)
                {
                    plan.entry(Peer::from(record)).or_default().push(slot);
                }
            }
            let (mut pushed_out, mut unheard) = (BTreeSet::new(), BTreeSet::new());
            for (node_id, boot) in asked {
                let known = state.members.get(&node_id).map(|k| k.record());
                let Some(record) = known.filter(|r| r.boot == boot && r.present() && boot != self.boot) else {
                    continue;
                };
                if !listed.contains(&boot) {
                    pushed_out.insert(boot);
                }
                unheard.extend(listed.contains(&boot).then_some(boot));
                if record.verdict == Verdict::Alive {
                    plan.entry(Peer::from(record)).or_default().push(slot);
                }
            }
            let (list, switches) = (held.list, held.switches);
            let (caught_up, returning) = (BTreeSet::new(), false);
            needs.insert(slot, Needs { list, switches, pushed_out, unheard, caught_up, returning });
        }
        (plan, needs)
    }

    /// Whom this node catches up from.
    pub(super) fn sources(&self) -> Vec<Peer> {
        let slots: Vec<Slot> = {
            let view = self.view();
            let state = self.state();
            let mut last = None;
            let mut slots = Vec::new();
            for (slot, held) in self.to_catch_up(&state, Slot(0)) {
                // Slots next to each other mostly have the same, but for what each node kept of the ring's last life.
                let Some(CatchUp { sources, foreign, .. }) = held.catch_up.as_deref() else { continue };
                let lists = Some((view.arc(slot), sources, foreign));
                if lists != last || state.table.reunites() {
                    slots.push(slot);
                    last = lists;
                }
            }
            slots
        };
        self.catch_up_plan(&slots).0.into_keys().collect()
    }

    /// Sorts what a peer answered; brings it to our records where it goes by another list.
    pub(super) async fn weigh(
        &self,
        peer: &Peer,
        compared: Vec<Compared>,
        needs: &mut BTreeMap<Slot, Needs>,
    ) -> Offers {
        let (mut offers, mut strangers) = (Offers::default(), Vec::new());
        for Compared { slot, ours, theirs } in compared {
            let Some(needs) = needs.get_mut(&slot) else { continue };
            if theirs.list.members == 0 {
                // It holds no part of the slot and knows no list of it.
                needs.pushed_out.remove(&peer.boot);
                let mut state = self.state();
                self.note_adoption(&mut state, slot, needs, peer, theirs.fingerprint != Fingerprint::EMPTY);
                // But it may have kept what it held of it in the last life of the ring.
                needs.returning |= theirs.standing == Standing::Returned;
                if theirs.standing != Standing::Returned || !state.table.wants_reunion_with(slot, &peer.node_id) {
                    offers.uncounted.push(slot);
                    continue;
                }
                offers.returned.insert(slot);
                offers.sort(slot, ours, &theirs);
                continue;
            }
            if theirs.list.members != needs.list.members && !planted!("source_of_old_list") {
                strangers.push(slot);
                continue;
            }
            needs.pushed_out.remove(&peer.boot);
            // A newcomer counts for nothing yet, so it may learn the counter from anybody.
            let mut state = self.state();
            if state.table.raise_counter(slot, theirs.list) {
                needs.list.counter = theirs.list.counter;
            }
            needs.unheard.remove(&peer.boot);
            self.note_adoption(&mut state, slot, needs, peer, true);
            needs.returning |= theirs.standing == Standing::Returned;
            match theirs.standing {
                Standing::CaughtUp => {
                    needs.caught_up.insert(peer.boot);
                }
                Standing::Returned if state.table.wants_reunion_with(slot, &peer.node_id) => {
                    offers.returned.insert(slot);
                }
                Standing::Newcomer if planted!("source_not_caught_up") => {}
                Standing::Returned | Standing::Newcomer | Standing::Outsider => {
                    offers.uncounted.push(slot);
                    continue;
                }
            }
            // What returned is waited for no longer because it is there: it may never be enough.
            if theirs.standing == Standing::CaughtUp {
                state.table.saw_source(slot, self.env.now());
            }
            offers.sort(slot, ours, &theirs);
        }
        if !strangers.is_empty() {
            // Whether or not they agree now: the next pass finds out.
            let _ = self.sync(peer, &strangers).await;
        }
        offers
    }

    /// Notes that `peer` goes by the list that this pass began with, where that is still ours.
    fn note_adoption(&self, state: &mut State, slot: Slot, needs: &Needs, peer: &Peer, keeps: bool) {
        let node = (peer.node_id.clone(), peer.boot);
        if !self.switched_since(state, slot, needs) && state.table.adopted_by(slot, &node, keeps, self.env.now()) {
            self.progress.step();
        }
    }

    /// Notes what was merged from `peer`; slots that are caught up thereby answer reads from now on.
    pub(super) fn merged(&self, peer: &Peer, slots: &[Slot], returned: &BTreeSet<Slot>, needs: &BTreeMap<Slot, Needs>) {
        let mut state = self.state();
        let source = (peer.node_id.clone(), peer.boot);
        for slot in slots {
            let Some(needs) = needs.get(slot).filter(|needs| needs.pushed_out.is_empty()) else { continue };
            let switched = self.switched_since(&state, *slot, needs);
            let caught_up = match returned.contains(slot) {
                _ if switched => false,
                false => {
                    state.table.merged_from(*slot, needs.list, &source)
                        || needs.unheard.is_empty() && state.table.merged_from_all(*slot, needs.list, &needs.caught_up)
                }
                true if !needs.caught_up.is_empty() || !needs.unheard.is_empty() => false,
                true => state.table.reunited_with(*slot, needs.list, &peer.node_id),
            };
            if caught_up {
                self.readable.set(*slot, state.table.get(*slot).is_some_and(SlotState::readable));
            }
        }
        drop(state);
        self.progress.step();
    }

    /// Slots of a ring that comes back of which this node alone has kept enough: there is nobody to merge them from.
    fn go_on_with_what_is_kept(&self, needs: &BTreeMap<Slot, Needs>) {
        let mut state = self.state();
        if !self.company_has_told(&state) {
            return;
        }
        let mut some = false;
        for (&slot, needs) in needs {
            let nobody = needs.caught_up.is_empty() && needs.unheard.is_empty() && needs.pushed_out.is_empty();
            if nobody && !self.switched_since(&state, slot, needs) && state.table.kept_enough(slot, needs.list) {
                self.readable.set(slot, state.table.get(slot).is_some_and(SlotState::readable));
                some = true;
            }
        }
        drop(state);
        if some {
            self.progress.step();
        }
    }

    /// The slot's list changed since the pass began: a source may have acknowledged under the list before meanwhile.
    pub(super) fn switched_since(&self, state: &State, slot: Slot, needs: &Needs) -> bool {
        state.table.get(slot).is_none_or(|s| s.switches != needs.switches)
    }

    /// True once after each join, when it is time to let the next one in.
    fn was_joining(&self) -> bool {
        std::mem::take(&mut self.state().admitted)
    }
}
