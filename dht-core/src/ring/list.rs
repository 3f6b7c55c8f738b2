//! `SlotTable`: what this node is to each slot's replica list, and the one switch by which a list changes.
//!
//! A node that adopts a new list refuses the old one from then on. A member of both lists stays as it was, if it was a
//! member in every list that may have been between them; everybody else is a newcomer: it stores what it is sent, but
//! answers no read, is no source and its acks count for nothing until it has merged the slot from enough of the
//! caught-up members of the list before, each of which had adopted the new list (DESIGN.md §4, list change).
//!
//! "Enough" is what meets every write quorum: R − quorum(R) + 1, the newcomer excluded. So many may lack an acknowledged
//! write, in a list of R and still in one that deaths have made shorter. Where so many are not to be had, it takes all: what
//! every living member of the lists before and of the present one has, caught up or not.

use std::collections::BTreeSet;
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::record::{Member, NodeId, NodeRecord};
use super::reunion::Reunion;
use super::slot::{Slot, SlotSpace};
use super::view::{MemberIndex, Members as ListMembers, RingView};
use crate::data::FixedMap;

/// Names a replica list of one slot in data messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListId {
    /// Counts the changes of the slot's list; 0: the sender is no member and does not know it.
    pub(crate) counter: u64,
    /// Covers (node_id, boot, placed_at) of the members in order.
    pub(crate) members: u64,
    /// Reserved for consensus: always 0.
    pub(crate) epoch: u64,
}

/// What the receiver is to a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Not in the list, and was not caught up when it last was.
    Outsider,
    /// In the list, not caught up.
    Newcomer,
    /// Caught up: as a member, or when the list that it lost ended.
    CaughtUp,
    /// A newcomer that has kept what it held when the ring's last life ended: only ever told to others.
    Returned,
}

impl ListId {
    /// Of a sender that knows no list of the slot.
    pub(crate) const UNKNOWN: Self = Self { counter: 0, members: 0, epoch: 0 };
}

/// A node at one boot.
pub(crate) type Incarnate = (NodeId, u64);

/// Earlier lists that a newcomer may catch up from: more than this many switches during one catch-up and the oldest
/// is dropped, which can only make the catch-up slower.
const SOURCES_MAX: usize = 8;

/// Slots for which the table keeps room that it does not need.
const STATES_MIN: usize = 64;

/// What a node that is not caught up still needs.
#[derive(Clone, Debug)]
pub(crate) struct CatchUp {
    /// Since when it is a newcomer.
    pub(crate) since: Instant,
    /// When a caught-up source last answered.
    pub(crate) source_seen: Option<Instant>,
    /// When what came for it could last not be kept.
    pub(crate) not_kept: Option<Instant>,
    /// Lists before, each with its members; enough members of any one of them make this node caught up.
    pub(crate) sources: SmallVec<[Arc<[Incarnate]>; 1]>,
    /// The present list, enough members of which do as well.
    pub(crate) present: Arc<[Incarnate]>,
    /// So many caught-up members of a list may lack a write that was acknowledged.
    may_lack: usize,
    /// Caught-up members that the slot was merged from.
    pub(crate) merged: SmallVec<[Incarnate; 2]>,
    /// Others that it was merged from, or that have none of it.
    gathered: SmallVec<[Incarnate; 2]>,
    /// Members of the former list, which returned, that it was merged from: see `reunion.rs`.
    pub(crate) reunited: SmallVec<[NodeId; 2]>,
    /// The whole ring returns: who is not there yet may still come.
    pub(crate) returns: bool,
}

/// What this node is to one slot.
#[derive(Clone, Debug)]
pub(crate) struct SlotState {
    pub(crate) list: ListId,
    /// This node is in the list.
    pub(crate) listed: bool,
    pub(crate) standing: Standing,
    pub(crate) catch_up: Option<Box<CatchUp>>,
    /// Every member of the list was seen caught up and with equal contents since the list last changed. Only kept up
    /// by the first member.
    pub(crate) in_sync: bool,
    /// How often this node has switched the list since it began to hold the slot.
    pub(crate) switches: u32,
    /// When it last did; `None`: never.
    pub(crate) changed_at: Option<Instant>,
}

/// How a data message's list compares to ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Agreement {
    /// The same list, and this node is in it; `counts`: it is caught up.
    Same { counts: bool },
    /// Another list: ours, or what comes nearest to it.
    Stale(ListId),
}

/// The slots that this node holds or has lately held.
#[derive(Debug, Default)]
pub(crate) struct SlotTable {
    states: FixedMap<Slot, SlotState>,
    reunion: Option<Reunion>,
}

/// A list change as one node sees it.
pub(crate) struct Switch<'a> {
    pub(crate) slots: SlotSpace,
    pub(crate) me: &'a NodeId,
    pub(crate) before: &'a RingView,
    pub(crate) after: &'a RingView,
    pub(crate) replicas_before: usize,
    pub(crate) replicas: usize,
    /// Nodes that came and went between the two views.
    pub(crate) missed: &'a [Arc<Member>],
    pub(crate) now: Instant,
}

impl SlotTable {
    /// Founds a ring: every slot is this node's, and empty or its own.
    pub(crate) fn found(&mut self, slots: SlotSpace, view: &RingView, replicas: usize) {
        self.hold(slots, view, replicas, |_| true);
    }

    /// Holds what `me` has in `view`, as if it had never been otherwise.
    pub(crate) fn assume(&mut self, slots: SlotSpace, view: &RingView, replicas: usize, me: MemberIndex) {
        self.hold(slots, view, replicas, |list| list.contains(&me));
    }

    fn hold(&mut self, slots: SlotSpace, view: &RingView, replicas: usize, held: impl Fn(&ListMembers) -> bool) {
        let mut arc = None;
        let mut fingerprint: Option<u64> = None;
        for slot in slots.iter() {
            if arc != Some(view.arc(slot)) {
                arc = Some(view.arc(slot));
                let list = view.replica_list(slot, replicas);
                fingerprint = held(&list).then(|| view.list_fingerprint(&list));
            }
            let Some(members) = fingerprint else { continue };
            let list = ListId { counter: 1, members, epoch: 0 };
            let standing = Standing::CaughtUp;
            let (catch_up, changed_at) = (None, None);
            let state = SlotState { list, listed: true, standing, catch_up, in_sync: true, switches: 0, changed_at };
            self.states.insert(slot, state);
        }
    }

    /// Holds every slot as a newcomer of a ring that forms again with this node, `present`, alone.
    pub(crate) fn return_to(
        &mut self,
        slots: SlotSpace,
        view: &RingView,
        replicas: usize,
        present: &[Incarnate],
        now: Instant,
    ) {
        self.found(slots, view, replicas);
        let present: Arc<[Incarnate]> = present.into();
        for state in self.states.values_mut() {
            state.standing = Standing::Newcomer;
            state.catch_up = Some(Box::new(CatchUp::new(present.clone(), replicas, true, now)));
            state.in_sync = false;
            state.changed_at = Some(now);
        }
    }

    /// Remembers the ring's last life; `holds`: the ring is that one, come back.
    pub(crate) fn reunite(&mut self, reunion: Option<Reunion>, holds: bool) {
        self.reunion = reunion;
        if let Some(reunion) = &mut self.reunion {
            reunion.holds = holds;
        }
    }

    /// The last life is over for good.
    pub(crate) fn end_reunion(&mut self) {
        self.reunion = None;
    }

    /// The ring comes back as a whole, and this node is not caught up with all its slots yet.
    pub(crate) fn reunites(&self) -> bool {
        self.reunion.as_ref().is_some_and(|reunion| reunion.holds)
    }

    /// What others are told of this node's part in a slot.
    pub(crate) fn told(&self, slot: Slot) -> (ListId, Standing) {
        let Some(state) = self.states.get(&slot) else { return (ListId::UNKNOWN, Standing::Outsider) };
        let returned = state.standing == Standing::Newcomer && self.reunion.as_ref().is_some_and(|r| r.kept(slot));
        (state.list, if returned { Standing::Returned } else { state.standing })
    }

    /// Forgets all: this node enters another ring. Its data stays in the store.
    pub(crate) fn clear(&mut self) {
        self.states.clear();
    }

    /// A node that was one of the first of its ring held most of its slots once.
    fn give_back(&mut self) {
        if self.states.capacity() > STATES_MIN && self.states.len() < self.states.capacity() / 8 {
            self.states.shrink_to(2 * self.states.len());
        }
    }

    /// Adopts the lists of a new view; calls `changed` with each slot whose list is another now and what this node is
    /// to it.
    pub(crate) fn switch(&mut self, switch: &Switch<'_>, mut changed: impl FnMut(Slot, &SlotState)) {
        let before_me = switch.before.member_index(switch.me);
        let after_me = switch.after.member_index(switch.me);
        if before_me.is_none() && after_me.is_none() && self.states.is_empty() {
            return;
        }
        let between = Between::new(switch);
        let mut arc: Option<Arcs> = None;
        // Of all others this node had no part and gets none.
        let mut concerned: Vec<Slot> = self.states.keys().copied().collect();
        concerned.extend(after_me.into_iter().flat_map(|me| switch.after.slots_of(me, switch.replicas)));
        concerned.sort_unstable();
        concerned.dedup();
        for slot in concerned {
            let between_arc = between.0.as_ref().and_then(|view| view.arc(slot));
            let starts = (switch.before.arc(slot), switch.after.arc(slot), between_arc);
            if arc.as_ref().is_none_or(|a| a.starts != starts) {
                arc = Some(Arcs::new(switch, &between, slot, starts));
            }
            let Some(lists) = arc.as_ref().filter(|a| a.differs) else { continue };
            if let Some(state) = self.adopt(slot, lists, switch) {
                changed(slot, state);
            }
        }
    }

    fn adopt(&mut self, slot: Slot, lists: &Arcs, switch: &Switch<'_>) -> Option<&SlotState> {
        let held = self.states.get(&slot);
        if held.is_none() && !lists.listed {
            return None;
        }
        // Without a state the counter is unknown: it is learnt from those who know.
        let counter = held.map_or(0, |s| if s.list.counter == 0 { 0 } else { s.list.counter + 1 });
        let switches = held.map_or(0, |s| s.switches.wrapping_add(1));
        let list = ListId { counter, members: lists.members, epoch: 0 };
        let caught_up = held.is_some_and(|s| s.standing == Standing::CaughtUp);
        let stays = lists.listed && lists.was_listed && lists.listed_between && caught_up;
        let (standing, catch_up) = if stays || lists.listed && planted!("joiner_forgotten") {
            (Standing::CaughtUp, None)
        } else if lists.listed {
            let returns = self.reunion.as_ref().is_some_and(|reunion| reunion.holds);
            let replicas = switch.replicas.max(switch.replicas_before);
            let fresh = || Box::new(CatchUp::new(lists.present.clone(), replicas, returns, switch.now));
            let mut catch_up = held.and_then(|s| s.catch_up.clone()).unwrap_or_else(fresh);
            catch_up.present = lists.present.clone();
            // What was merged was merged before this switch: the sources must have adopted the new list first.
            catch_up.merged.clear();
            catch_up.gathered.clear();
            catch_up.reunited.clear();
            (catch_up.since, catch_up.source_seen) = (switch.now, None);
            if !catch_up.sources.contains(&lists.former) && !lists.former.is_empty() {
                if catch_up.sources.len() == SOURCES_MAX {
                    catch_up.sources.remove(0);
                }
                catch_up.sources.push(lists.former.clone());
            }
            (Standing::Newcomer, Some(catch_up))
        } else if caught_up && lists.was_listed {
            // Only for the list that it has just lost: what is written after that is not its to know.
            (Standing::CaughtUp, None)
        } else {
            (Standing::Outsider, None)
        };
        let (listed, changed_at) = (lists.listed, Some(switch.now));
        let state = SlotState { list, listed, standing, catch_up, in_sync: false, switches, changed_at };
        self.states.insert(slot, state);
        self.states.get(&slot)
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&SlotState> {
        self.states.get(&slot)
    }

    /// Slots in ascending order, so that a seeded run repeats itself.
    pub(crate) fn slots_where(&self, keep: impl Fn(&SlotState) -> bool) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self.states.iter().filter(|(_, s)| keep(s)).map(|(slot, _)| *slot).collect();
        slots.sort_unstable();
        slots
    }

    /// The list that a data message for `slot` goes by, as this node sees it; `None` if it has no part in it.
    pub(crate) fn list(&self, slot: Slot) -> Option<ListId> {
        self.states.get(&slot).map(|s| s.list)
    }

    /// Compares a data message's list to ours. A newcomer learns its counter here; a reader that is no member
    /// (counter 0) is only held to the members.
    pub(crate) fn agree(&mut self, slot: Slot, theirs: ListId, write: bool) -> Agreement {
        let Some(state) = self.states.get_mut(&slot).filter(|s| s.listed) else {
            return Agreement::Stale(self.list(slot).unwrap_or(ListId::UNKNOWN));
        };
        if state.list.members == theirs.members {
            if state.list.counter == 0 && theirs.counter != 0 {
                state.list.counter = theirs.counter;
            }
            if state.list.counter == theirs.counter || (theirs.counter == 0 && !write) {
                let counts = state.standing == Standing::CaughtUp || planted!("newcomer_acks");
                return Agreement::Same { counts };
            }
        }
        if write && planted!("stale_list_taken") {
            return Agreement::Same { counts: state.standing == Standing::CaughtUp };
        }
        Agreement::Stale(state.list)
    }

    /// Takes over a higher counter for the same members from a node whose records are all known here: what this node
    /// missed between is in those records and was weighed when they were merged.
    /// Returns whether it did.
    pub(crate) fn raise_counter(&mut self, slot: Slot, theirs: ListId) -> bool {
        if let Some(state) = self.states.get_mut(&slot)
            && state.list.members == theirs.members
            && state.list.counter < theirs.counter
        {
            state.list.counter = theirs.counter;
            return true;
        }
        false
    }

    /// Notes that a caught-up source of the slot answered.
    pub(crate) fn saw_source(&mut self, slot: Slot, now: Instant) {
        if let Some(catch_up) = self.states.get_mut(&slot).and_then(|s| s.catch_up.as_mut()) {
            catch_up.source_seen = Some(now);
        }
    }

    /// What comes for these newcomers cannot be kept here: that is no fault of their sources, however long it lasts.
    pub(crate) fn cannot_keep(&mut self, slots: &[Slot], now: Instant) {
        self.postpone(slots, now);
        for slot in slots {
            if let Some(catch_up) = self.states.get_mut(slot).and_then(|s| s.catch_up.as_mut()) {
                catch_up.not_kept = Some(now);
            }
        }
    }

    /// These newcomers have not begun to wait for their sources yet.
    pub(crate) fn postpone(&mut self, slots: &[Slot], now: Instant) {
        for slot in slots {
            if let Some(catch_up) = self.states.get_mut(slot).and_then(|s| s.catch_up.as_mut()) {
                (catch_up.since, catch_up.source_seen) = (now, None);
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
        let merged = &catch_up.merged;
        let met = |list: &Arc<[Incarnate]>| list.iter().filter(|m| merged.contains(m)).count() > catch_up.may_lack;
        let enough = catch_up.sources.iter().any(met) || met(&catch_up.present);
        if enough {
            state.promote();
        }
        enough
    }

    /// Notes that a newcomer has everything of the slot that `source` has, which goes by the same list and is not caught up,
    /// or holds nothing of it.
    pub(crate) fn gathered_from(&mut self, slot: Slot, list: ListId, source: &Incarnate) {
        if let Some(state) = self.states.get_mut(&slot).filter(|s| s.list.members == list.members)
            && let Some(catch_up) = &mut state.catch_up
            && !catch_up.gathered.contains(source)
        {
            catch_up.gathered.push(source.clone());
        }
    }

    /// Ends the catch-up of a newcomer that has what every member of the lists before and of the present one has who
    /// `lives`, caught up or not: nobody is left to wait for. True if that makes it caught up.
    pub(crate) fn gathered_all(&mut self, slot: Slot, list: ListId, lives: impl Fn(&Incarnate) -> bool) -> bool {
        let Some(state) = self.states.get_mut(&slot).filter(|s| s.list.members == list.members) else { return false };
        let Some(catch_up) = state.catch_up.as_ref().filter(|c| !c.returns) else { return false };
        let has = |m: &Incarnate| catch_up.merged.contains(m) || catch_up.gathered.contains(m);
        let former = || catch_up.sources.iter().flat_map(|list| list.iter());
        // If of the lists before nobody is left, that is for `give_up_waiting`.
        let all = former().any(has) && former().chain(catch_up.present.iter()).all(|m| has(m) || !lives(m));
        if all {
            state.promote();
        }
        all
    }

    /// In a ring that comes back: what that member of the former list kept has not been merged yet.
    pub(crate) fn wants_reunion_with(&self, slot: Slot, source: &NodeId) -> bool {
        let catch_up = self.states.get(&slot).and_then(|s| s.catch_up.as_ref());
        let merged = catch_up.is_none_or(|c| c.reunited.contains(source));
        !merged && self.reunion.as_ref().is_some_and(|r| r.holds && r.was_in(slot, source))
    }

    /// Notes that a newcomer of a ring that comes back merged the slot from `source`, which returned; true if that makes
    /// it caught up.
    pub(crate) fn reunited_with(&mut self, slot: Slot, list: ListId, source: &NodeId) -> bool {
        let Some(reunion) = self.reunion.as_ref().filter(|r| r.holds && r.was_in(slot, source)) else { return false };
        let Some(state) = self.states.get_mut(&slot).filter(|s| s.list.members == list.members) else { return false };
        let Some(catch_up) = &mut state.catch_up else { return false };
        if !catch_up.reunited.contains(source) {
            catch_up.reunited.push(source.clone());
        }
        let whole = reunion.is_whole(slot, catch_up.reunited.len());
        if whole {
            state.promote();
        }
        whole
    }

    /// A newcomer of a ring that comes back has merged the slot from every member that is caught up (by boot), and all have
    /// been heard: what was acknowledged in this life, was so by some of them. True if that makes it caught up.
    pub(crate) fn merged_from_all(&mut self, slot: Slot, list: ListId, caught_up: &BTreeSet<u64>) -> bool {
        let Some(state) = self.states.get_mut(&slot).filter(|s| s.list.members == list.members) else { return false };
        let Some(catch_up) = state.catch_up.as_ref().filter(|c| c.returns) else { return false };
        let merged = |boot: &u64| catch_up.merged.iter().any(|(_, merged)| merged == boot);
        let all = !caught_up.is_empty() && caught_up.iter().all(merged);
        if all {
            state.promote();
        }
        all
    }

    /// Ends the catch-up of newcomers for whom nothing can be waited for. Returns them; what they may have missed is no
    /// longer promised.
    pub(crate) fn give_up_waiting(&mut self, hopeless: impl Fn(&SlotState) -> bool) -> Vec<Slot> {
        let slots = self.slots_where(|s| s.catch_up.is_some() && hopeless(s));
        for slot in &slots {
            if let Some(state) = self.states.get_mut(slot) {
                state.promote();
            }
        }
        slots
    }

    pub(crate) fn set_in_sync(&mut self, slot: Slot, list: ListId, in_sync: bool) {
        if let Some(state) = self.states.get_mut(&slot).filter(|s| s.list == list) {
            state.in_sync = in_sync;
        }
    }

    /// Forgets a slot that this node is not listed for.
    pub(crate) fn drop_slot(&mut self, slot: Slot) {
        if self.states.get(&slot).is_some_and(|s| !s.listed) {
            self.states.remove(&slot);
            self.give_back();
        }
    }
}

impl CatchUp {
    pub(crate) fn new(present: Arc<[Incarnate]>, replicas: usize, returns: bool, now: Instant) -> Self {
        Self {
            since: now,
            source_seen: None,
            not_kept: None,
            sources: SmallVec::new(),
            present,
            may_lack: may_lack(replicas),
            merged: SmallVec::new(),
            gathered: SmallVec::new(),
            reunited: SmallVec::new(),
            returns,
        }
    }

    /// Fewer than enough members of each list before live, and of those who do too few are in the present one: who came with
    /// this node has no more than it has, newcomers would wait for each other.
    pub(crate) fn bereft(&self, lives: impl Fn(&Incarnate) -> bool) -> bool {
        let living = |list: &Arc<[Incarnate]>| list.iter().filter(|m| lives(m)).count();
        let before = |m: &&Incarnate| self.sources.iter().any(|list| list.contains(m));
        let heirs = self.present.iter().filter(|m| lives(m)).filter(before).count();
        self.sources.iter().all(|list| living(list) <= self.may_lack) && heirs <= self.may_lack
    }
}

impl SlotState {
    /// This node may answer reads of the slot.
    pub(crate) fn readable(&self) -> bool {
        self.listed && self.standing == Standing::CaughtUp
    }

    fn promote(&mut self) {
        self.standing = Standing::CaughtUp;
        self.catch_up = None;
        self.list.counter = self.list.counter.max(1);
    }
}

/// Members that a level `quorum` asks for, of a list of `len`.
pub(crate) fn quorum(len: usize) -> usize {
    len / 2 + 1
}

/// How many caught-up members of a list, with `replicas` copies in a whole one, may lack a write that a quorum acknowledged. A
/// list that a death has made shorter has lost one that had it, and not one that had not.
pub(crate) fn may_lack(replicas: usize) -> usize {
    replicas - quorum(replicas)
}

/// The members of a list by identity.
pub(crate) fn incarnates(view: &RingView, list: &ListMembers) -> Arc<[Incarnate]> {
    let of = |record: &NodeRecord| (record.node_id.clone(), record.boot);
    list.iter().map(|&m| of(view.member(m))).collect()
}

/// The ring with everybody who may have been in it between two views: the longest that a list can have been without
/// this node. Only needed when some came and some went, since then their order is unknown.
struct Between(Option<RingView>);

impl Between {
    fn new(switch: &Switch<'_>) -> Self {
        let gone: Vec<&Arc<Member>> = switch.before.lacking_in(switch.after).collect();
        let came = switch.after.lacking_in(switch.before).next().is_some() || !switch.missed.is_empty();
        let went = !gone.is_empty() || !switch.missed.is_empty();
        if !(came && went) {
            return Self(None);
        }
        let passed = switch.missed.iter().map(|m| {
            let mut record = m.record.clone();
            record.state = super::record::NodeState::Active;
            record.verdict = super::record::Verdict::Alive;
            Arc::new(Member { record, positions: m.positions.clone() })
        });
        let all: Vec<Arc<Member>> = switch.after.members().iter().chain(gone).cloned().chain(passed).collect();
        Self(Some(RingView::derive(switch.slots.ids(), switch.slots, all.iter())))
    }
}

/// The arcs of one slot before, after and between.
type Starts = (Option<usize>, Option<usize>, Option<usize>);

/// The lists before and after of a run of slots that share them.
struct Arcs {
    starts: Starts,
    differs: bool,
    members: u64,
    listed: bool,
    was_listed: bool,
    listed_between: bool,
    former: Arc<[Incarnate]>,
    present: Arc<[Incarnate]>,
}

impl Arcs {
    fn new(switch: &Switch<'_>, between: &Between, slot: Slot, starts: Starts) -> Self {
        let before = switch.before.replica_list(slot, switch.replicas_before);
        let after = switch.after.replica_list(slot, switch.replicas);
        let members = switch.after.list_fingerprint(&after);
        let is_me = |view: &RingView, list: &ListMembers| list.iter().any(|&m| view.member(m).node_id == *switch.me);
        let was_listed = is_me(switch.before, &before) && never_out(switch);
        let listed = is_me(switch.after, &after);
        let listed_between = match &between.0 {
            Some(view) => is_me(view, &view.replica_list(slot, switch.replicas.min(switch.replicas_before))),
            None => true,
        };
        // A list that went and came back looks the same, but has been without this node.
        let returned = was_listed && listed && !listed_between;
        let differs = returned || members != switch.before.list_fingerprint(&before);
        Self {
            starts,
            differs,
            members,
            listed,
            was_listed,
            listed_between,
            former: incarnates(switch.before, &before),
            present: incarnates(switch.after, &after),
        }
    }
}

/// This node was in the lists all the time: it neither restarted nor had to refute its death, which put it out of the
/// others' lists although never out of its own view.
fn never_out(switch: &Switch<'_>) -> bool {
    let placed = |view: &RingView| {
        let record = view.member(view.member_index(switch.me)?);
        Some((record.boot, record.placed_at))
    };
    placed(switch.before) == placed(switch.after) || placed(switch.after).is_none()
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
