//! What a newcomer still needs before it counts: whom it merged the slot from, and whom it waits for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::former_owners::FormerOwner;
use super::{Incarnate, ListId, SlotState, SlotTable, may_lack};
use crate::ring::record::NodeId;
use crate::ring::reunion::Reunion;
use crate::ring::slot::Slot;

/// Earlier lists that a newcomer may catch up from: more than this many switches during one catch-up and the oldest
/// is dropped, which can only make the catch-up slower.
pub(super) const SOURCES_MAX: usize = 8;

/// Turns of a newcomer of many before it is given up: one message may be lost, and a source be suspected for a moment.
const TURNS_MIN: u32 = 3;

/// After so long with busy sources only, a newcomer holds up no joins: whoever joins may be the help that is needed.
const BUSY_MAX: Duration = Duration::from_secs(60);

/// What a node that is not caught up still needs.
#[derive(Clone, Debug)]
pub(crate) struct CatchUp {
    /// Since when it waits for its sources.
    pub(crate) since: Instant,
    /// How often it has had its turn since, and since a caught-up source last answered.
    turns: u32,
    turns_unanswered: u32,
    /// It was one of so many that each has its turn once in a while.
    of_many: bool,
    /// When a caught-up source last answered.
    pub(crate) source_seen: Option<Instant>,
    /// When it last was held up by what is no fault of its sources, and may last: no room here, or too much to do there.
    pub(crate) held_up: Option<Instant>,
    /// Since when its sources have had too much to do, without one that answered.
    busy_since: Option<Instant>,
    /// Lists before, each with its members; enough members of any one of them make this node caught up.
    pub(crate) sources: SmallVec<[Arc<[Incarnate]>; 1]>,
    /// The present list, enough members of which do as well.
    pub(crate) present: Arc<[Incarnate]>,
    /// This node has been in its own ring's lists all the time, and caught up: it lacks only what other rings had that are one with it now.
    pub(super) stayed: bool,
    /// Those who had the slot in the rings that have become one with this node's: see `lineage.rs`.
    pub(crate) foreign: Arc<[Incarnate]>,
    /// So many caught-up members of a list may lack a write that was acknowledged.
    may_lack: usize,
    /// Caught-up members that the slot was merged from.
    pub(crate) merged: SmallVec<[Incarnate; 2]>,
    /// Members, by their boots, with which that was begun and broke off.
    pub(crate) broke_off: Vec<u64>,
    /// Others that it was merged from, or that have none of it.
    pub(in crate::ring) gathered: Vec<Incarnate>,
    /// Members of the former list, which returned, that it was merged from: see `reunion.rs`.
    pub(crate) reunited: Vec<NodeId>,
    /// The whole ring returns: who is not there yet may still come.
    pub(crate) returns: bool,
    /// Owners before this node that have not said yet that they go by the present list, or that the slot was not merged from since.
    pub(super) owners: Vec<FormerOwner>,
}

impl CatchUp {
    pub(crate) fn new(present: Arc<[Incarnate]>, replicas: usize, returns: bool, now: Instant) -> Self {
        Self {
            since: now,
            turns: 0,
            turns_unanswered: 0,
            of_many: false,
            source_seen: None,
            held_up: None,
            busy_since: None,
            sources: SmallVec::new(),
            present,
            stayed: false,
            foreign: Arc::default(),
            may_lack: may_lack(replicas),
            merged: SmallVec::new(),
            broke_off: Vec::new(),
            gathered: Vec::new(),
            reunited: Vec::new(),
            returns,
            owners: Vec::new(),
        }
    }

    /// The list is another now: `present` instead of `former`.
    pub(super) fn begin_again(&mut self, present: &Arc<[Incarnate]>, former: &Arc<[Incarnate]>, now: Instant) {
        self.present = present.clone();
        // What was merged was merged before this switch: the sources must have adopted the new list first.
        self.merged.clear();
        self.broke_off.clear();
        self.gathered.clear();
        self.reunited.clear();
        self.wait_from(now);
        if !self.sources.contains(former) && !former.is_empty() {
            if self.sources.len() == SOURCES_MAX {
                self.sources.remove(0);
            }
            self.sources.push(former.clone());
        }
    }

    /// It begins to wait for its sources.
    fn wait_from(&mut self, now: Instant) {
        (self.since, self.source_seen) = (now, None);
        (self.turns, self.turns_unanswered) = (0, 0);
    }

    /// It has had turns enough since it began to wait to be impatient.
    pub(crate) const fn had_its_turns(&self) -> bool {
        !self.of_many || self.turns >= TURNS_MIN
    }

    /// The same, since a caught-up source last answered.
    pub(crate) const fn asked_in_vain(&self) -> bool {
        !self.of_many || self.turns_unanswered >= TURNS_MIN
    }

    /// Fewer than enough members of each list before live, and of those who do too few are in the present one: who came with
    /// this node has no more than it has, newcomers would wait for each other.
    pub(crate) fn bereft(&self, lives: impl Fn(&Incarnate) -> bool) -> bool {
        if self.stayed {
            return false;
        }
        let living = |list: &Arc<[Incarnate]>| list.iter().filter(|m| lives(m)).count();
        let before = |m: &&Incarnate| self.sources.iter().any(|list| list.contains(m));
        let heirs = self.present.iter().filter(|m| lives(m)).filter(before).count();
        self.sources.iter().all(|list| living(list) <= self.may_lack) && heirs <= self.may_lack
    }

    /// It has what its own ring had.
    fn has_own(&self) -> bool {
        let met = |list: &Arc<[Incarnate]>| list.iter().filter(|m| self.merged.contains(m)).count() > self.may_lack;
        (self.stayed || self.sources.iter().any(met) || met(&self.present)) && self.owners.is_empty()
    }

    /// It has what is left of what that member had.
    fn has_of(&self, member: &Incarnate) -> bool {
        self.merged.contains(member) || self.gathered.contains(member)
    }
}

impl SlotTable {
    /// It is the turn of these newcomers. Of `many`, those that had none yet have waited for nobody.
    pub(crate) fn take_turn(&mut self, slots: &[Slot], many: bool, now: Instant) {
        for slot in slots {
            if let Some(catch_up) = self.states.get_mut(slot).and_then(|s| s.catch_up.as_mut()) {
                catch_up.of_many |= many;
                if many && catch_up.turns == 0 {
                    catch_up.since = now;
                }
                catch_up.turns = catch_up.turns.saturating_add(1);
                catch_up.turns_unanswered = catch_up.turns_unanswered.saturating_add(1);
            }
        }
    }

    /// Notes that a caught-up source of the slot answered.
    pub(crate) fn saw_source(&mut self, slot: Slot, now: Instant) {
        if let Some(catch_up) = self.states.get_mut(&slot).and_then(|s| s.catch_up.as_mut()) {
            catch_up.source_seen = Some(now);
            catch_up.turns_unanswered = 0;
            catch_up.busy_since = None;
        }
    }

    /// Sources of these newcomers have more to do than they can, and live. When nobody else answered for long, this holds up
    /// nobody any more.
    pub(crate) fn sources_are_busy(&mut self, slots: &[Slot], now: Instant) {
        self.postpone(slots, now);
        for slot in slots {
            if let Some(catch_up) = self.states.get_mut(slot).and_then(|s| s.catch_up.as_mut()) {
                let since = *catch_up.busy_since.get_or_insert(now);
                if now >= since + BUSY_MAX {
                    catch_up.held_up = Some(now);
                }
            }
        }
    }

    /// What was begun to be brought over for these newcomers from the life `boot` of a source broke off.
    pub(crate) fn broke_off(&mut self, slots: impl IntoIterator<Item = Slot>, boot: u64) {
        for slot in slots {
            if let Some(catch_up) = self.states.get_mut(&slot).and_then(|s| s.catch_up.as_mut())
                && !catch_up.broke_off.contains(&boot)
            {
                catch_up.broke_off.push(boot);
            }
        }
    }

    /// What is to come for these newcomers cannot be kept here: that says nothing of their sources, however long it lasts.
    pub(crate) fn hold_up(&mut self, slots: &[Slot], now: Instant) {
        self.postpone(slots, now);
        for slot in slots {
            if let Some(catch_up) = self.states.get_mut(slot).and_then(|s| s.catch_up.as_mut()) {
                catch_up.held_up = Some(now);
            }
        }
    }

    /// These newcomers have not begun to wait for their sources yet.
    pub(crate) fn postpone(&mut self, slots: &[Slot], now: Instant) {
        for slot in slots {
            if let Some(catch_up) = self.states.get_mut(slot).and_then(|s| s.catch_up.as_mut()) {
                catch_up.wait_from(now);
            }
        }
    }

    /// Notes that a newcomer merged the slot from `source`; true if that makes it caught up.
    pub(crate) fn merged_from(&mut self, slot: Slot, list: ListId, source: &Incarnate) -> bool {
        let Some(state) = self.states.get_mut(&slot).filter(|s| s.list.members == list.members) else { return false };
        let Some(catch_up) = &mut state.catch_up else { return false };
        if !catch_up.merged.contains(source) {
            catch_up.merged.push(source.clone());
        }
        catch_up.hears_out(source);
        let enough = catch_up.has_own() && catch_up.foreign.iter().all(|m| catch_up.has_of(m));
        if enough {
            self.promote(slot);
        }
        enough
    }

    /// A newcomer has what that one had of the slot when it was merged or gathered.
    pub(crate) fn has_of(&self, slot: Slot, source: &Incarnate) -> bool {
        let catch_up = self.states.get(&slot).and_then(|s| s.catch_up.as_ref());
        catch_up.is_some_and(|catch_up| catch_up.has_of(source))
    }

    /// Notes that a newcomer has everything of the slot that `source` has, which goes by the same list and is not caught up,
    /// or holds nothing of it. True if that was not known before.
    pub(crate) fn gathered_from(&mut self, slot: Slot, list: ListId, source: &Incarnate) -> bool {
        if let Some(state) = self.states.get_mut(&slot).filter(|s| s.list.members == list.members)
            && let Some(catch_up) = &mut state.catch_up
        {
            catch_up.hears_out(source);
            if !catch_up.gathered.contains(source) {
                catch_up.gathered.push(source.clone());
                return true;
            }
        }
        false
    }

    /// Ends the catch-up of a newcomer that has what every member of the lists before and of the present one has who
    /// `lives`, caught up or not: nobody is left to wait for. Where rings have become one, what its own had may be there before.
    /// True if that makes it caught up.
    pub(crate) fn gathered_all(&mut self, slot: Slot, list: ListId, lives: impl Fn(&Incarnate) -> bool) -> bool {
        let Some(state) = self.states.get_mut(&slot).filter(|s| s.list.members == list.members) else { return false };
        let Some(catch_up) = state.catch_up.as_ref().filter(|c| !c.returns) else { return false };
        let has_all_left = |m: &Incarnate| catch_up.has_of(m) || !lives(m);
        let former = || catch_up.sources.iter().flat_map(|list| list.iter());
        // If of the lists before nobody is left, that is for `give_up_waiting`.
        let some = catch_up.stayed || former().any(|m| catch_up.has_of(m));
        let all_left = some && former().chain(catch_up.present.iter()).all(has_all_left);
        // What one had who is gone may be with the others of this list by now.
        let all_foreign = catch_up.has_own() && catch_up.foreign.iter().all(|m| catch_up.has_of(m));
        let all = (all_left || all_foreign) && catch_up.foreign.iter().all(has_all_left);
        if all {
            self.promote(slot);
        }
        all
    }

    /// What this node remembers of the last life, where its rule holds.
    fn held_reunion(&self) -> Option<&Reunion> {
        self.reunion.as_ref().filter(|_| self.returns)
    }

    /// In a ring that comes back: those of the slot's former list.
    pub(crate) fn former_list(&self, slot: Slot) -> impl Iterator<Item = &NodeId> {
        self.held_reunion().into_iter().flat_map(move |r| r.former_list(slot))
    }

    /// In a ring that comes back: what that member of the former list kept has not been merged yet.
    pub(crate) fn wants_reunion_with(&self, slot: Slot, source: &NodeId) -> bool {
        let catch_up = self.states.get(&slot).and_then(|s| s.catch_up.as_ref());
        let merged = catch_up.is_none_or(|c| c.reunited.contains(source));
        !merged && self.held_reunion().is_some_and(|r| r.was_in(slot, source))
    }

    /// Notes that a newcomer of a ring that comes back merged the slot from `source`, which returned; true if that makes
    /// it caught up.
    pub(crate) fn reunited_with(&mut self, slot: Slot, list: ListId, source: &NodeId) -> bool {
        let holds = self.returns;
        let Some(reunion) = self.reunion.as_ref().filter(|r| holds && r.was_in(slot, source)) else { return false };
        let Some(state) = self.states.get_mut(&slot).filter(|s| s.list.members == list.members) else { return false };
        let Some(catch_up) = &mut state.catch_up else { return false };
        if !catch_up.reunited.contains(source) {
            catch_up.reunited.push(source.clone());
        }
        let whole = reunion.is_whole(slot, catch_up.reunited.len());
        if whole {
            self.promote(slot);
        }
        whole
    }

    /// In a ring that comes back: what this node has kept, with what it merged already, is enough. True if that makes it caught
    /// up.
    pub(crate) fn kept_enough(&mut self, slot: Slot, list: ListId) -> bool {
        let holds = self.returns;
        let Some(reunion) = self.reunion.as_ref().filter(|r| holds && r.kept(slot)) else { return false };
        let Some(state) = self.states.get_mut(&slot).filter(|s| s.list.members == list.members) else { return false };
        let enough = state.catch_up.as_ref().is_some_and(|c| reunion.is_whole(slot, c.reunited.len()));
        if enough {
            self.promote(slot);
        }
        enough
    }

    /// A newcomer of a ring that comes back has merged the slot from every member that is caught up (by boot), and all have
    /// been heard: what was acknowledged in this life, was so by some of them. True if that makes it caught up.
    pub(crate) fn merged_from_all(&mut self, slot: Slot, list: ListId, caught_up: &BTreeSet<u64>) -> bool {
        let Some(state) = self.states.get_mut(&slot).filter(|s| s.list.members == list.members) else { return false };
        let Some(catch_up) = state.catch_up.as_ref().filter(|c| c.returns) else { return false };
        let merged = |boot: &u64| catch_up.merged.iter().any(|(_, merged)| merged == boot);
        let all = !caught_up.is_empty() && caught_up.iter().all(merged) && catch_up.owners.is_empty();
        if all {
            self.promote(slot);
        }
        all
    }

    /// Ends the catch-up of those of these newcomers for whom nothing can be waited for. Returns them; what they may have missed
    /// is no longer promised.
    pub(crate) fn give_up_waiting(&mut self, slots: &[Slot], hopeless: impl Fn(&SlotState) -> bool) -> Vec<Slot> {
        let behind = |slot: &&Slot| self.states.get(*slot).is_some_and(|s| s.catch_up.is_some() && hopeless(s));
        let given_up: Vec<Slot> = slots.iter().filter(behind).copied().collect();
        for &slot in &given_up {
            self.promote(slot);
        }
        given_up
    }
}
