//! `SlotTable`: what this node is to each slot's replica list, and the one switch by which a list changes.
//!
//! A node that adopts a new list refuses the old one from then on. A member of both lists stays as it was, if it was a
//! member in every list that may have been between them; everybody else is a newcomer: it stores what it is sent, but
//! answers no read, is no source and its acks count for nothing until it has merged the slot from enough of the
//! caught-up members of the list before, each of which had adopted the new list (docs/architecture.md, "A list changes").
//!
//! "Enough" is what meets every write quorum: R − quorum(R) + 1, the newcomer excluded. So many may lack an acknowledged
//! write, in a list of R and still in one that deaths have made shorter. Where so many are not to be had, it takes all: what
//! every living member of the lists before and of the present one has, caught up or not.
//!
//! Where two rings become one, the lists of either are the lists before: `lineage.rs`.

mod catch_up;
mod change;
mod former_owners;
mod lineage;
mod outstanding;

use std::sync::Arc;

use tokio::time::Instant;

pub(crate) use self::catch_up::CatchUp;
use self::change::{Arcs, Between};
pub(crate) use self::former_owners::Waits;
use self::lineage::{Foreign, Lineage};
use self::outstanding::Outstanding;
use super::record::{Member, NodeId};
use super::reunion::Reunion;
use super::slot::{Slot, SlotSpace};
use super::view::{MemberIndex, Members as ListMembers, RingView};
use crate::data::FixedMap;

/// Names a replica list of one slot in data messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListId {
    /// Counts the changes of the slot's list; 0: the sender is no member and does not know it.
    pub(crate) counter: u64,
    /// Covers (node_id, boot, placed_at) of the members in order, and the rings that have become one.
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

/// Slots for which the table keeps room that it does not need.
const STATES_MIN: usize = 64;

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
    outstanding: Outstanding,
    /// Until then none of the owners before this node has been waited for long enough; `None`: there is none.
    owners_until: Option<Instant>,
    /// What this node kept of the ring's last life, if that counts.
    reunion: Option<Reunion>,
    /// The ring comes back as a whole, whether or not this node was in it: the rule of `reunion.rs` holds. Else this node only
    /// tells what it kept.
    returns: bool,
    lineage: Lineage,
}

/// A list change as one node sees it.
pub(crate) struct Switch<'a> {
    pub(crate) slots: SlotSpace,
    pub(crate) me: &'a NodeId,
    /// The digest of the ring's id; 0: it has none.
    pub(crate) ring: u32,
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
        self.lineage.settle(view.rings());
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
            self.outstanding.note(slot, &state);
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
        for (&slot, state) in &mut self.states {
            state.standing = Standing::Newcomer;
            state.catch_up = Some(Box::new(CatchUp::new(present.clone(), replicas, true, now)));
            state.in_sync = false;
            state.changed_at = Some(now);
            self.outstanding.note(slot, state);
        }
    }

    /// Remembers the ring's last life; `holds`: the ring is that one, come back.
    pub(crate) fn reunite(&mut self, reunion: Option<Reunion>, holds: bool) {
        self.reunion = reunion;
        self.returns = holds;
    }

    /// The last life is over for good.
    pub(crate) fn end_reunion(&mut self) {
        self.reunion = None;
        self.returns = false;
    }

    /// What this node kept of the last life counts for nothing; it waits for others as before.
    pub(crate) fn forget_last_life(&mut self) {
        self.reunion = None;
    }

    /// The ring comes back as a whole, and this node is not caught up with all its slots yet.
    pub(crate) fn reunites(&self) -> bool {
        self.returns
    }

    /// What others are told of this node's part in a slot.
    pub(crate) fn told(&self, slot: Slot) -> (ListId, Standing) {
        let kept = || self.reunion.as_ref().is_some_and(|r| r.kept(slot));
        let Some(state) = self.states.get(&slot) else {
            // Others are in the list now, and what this node kept of it counts for them.
            let standing = if self.returns && kept() { Standing::Returned } else { Standing::Outsider };
            return (ListId::UNKNOWN, standing);
        };
        let returned = state.standing == Standing::Newcomer && kept();
        (state.list, if returned { Standing::Returned } else { state.standing })
    }

    /// Forgets all: this node enters another ring. Its data stays in the store.
    pub(crate) fn clear(&mut self) {
        self.states.clear();
        self.outstanding.clear();
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
        let mut foreign = match after_me {
            Some(_) if self.returns => {
                self.lineage.settle(switch.after.rings());
                None
            }
            Some(_) if before_me.is_none() => {
                self.lineage.enter(switch.after.rings());
                None
            }
            Some(_) => {
                let (states, behind) = (&self.states, self.outstanding.behind());
                let lacks = |slot| states.get(slot).is_some_and(SlotState::lacks_foreign);
                self.lineage.meet(switch, || behind.iter().any(lacks))
            }
            None => None,
        };
        let united = !self.returns && switch.after.rings().len() > 1;
        let mut everybody: Option<Foreign> = None;
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
            let held = self.states.get(&slot);
            let lacks = held.is_some_and(SlotState::lacks_foreign);
            let enters = !held.is_some_and(|s| s.listed);
            let foreign = match &mut foreign {
                _ if united && enters => Some(everybody.get_or_insert_with(|| Foreign::all(switch)).list(slot, switch)),
                Some(some) if some.first || lacks => Some(some.list(slot, switch)),
                _ => None,
            };
            let Some(lists) = arc.as_ref().filter(|a| a.differs || a.listed && foreign.is_some()) else { continue };
            if let Some(state) = self.adopt(slot, lists, foreign, switch) {
                changed(slot, state);
            }
        }
    }

    fn adopt(
        &mut self,
        slot: Slot,
        lists: &Arcs,
        foreign: Option<Arc<[Incarnate]>>,
        switch: &Switch<'_>,
    ) -> Option<&SlotState> {
        let held = self.states.get(&slot);
        if held.is_none() && !lists.listed {
            return None;
        }
        // Without a state the counter is unknown: it is learnt from those who know.
        let next = |counter: u64| if counter == 0 || !lists.differs { counter } else { counter + 1 };
        let counter = held.map_or(0, |s| next(s.list.counter));
        let switches = held.map_or(0, |s| s.switches.wrapping_add(1));
        let list = ListId { counter, members: lists.members, epoch: 0 };
        let caught_up = held.is_some_and(|s| s.standing == Standing::CaughtUp);
        let stayed = lists.listed && lists.was_listed && lists.listed_between;
        let stays = stayed && caught_up;
        let (standing, catch_up) = if stays && foreign.is_none() || lists.listed && planted!("joiner_forgotten") {
            (Standing::CaughtUp, None)
        } else if lists.listed {
            let returns = self.returns;
            let replicas = switch.replicas.max(switch.replicas_before);
            let fresh = || Box::new(CatchUp::new(lists.present.clone(), replicas, returns, switch.now));
            let mut catch_up = held.and_then(|s| s.catch_up.clone()).unwrap_or_else(fresh);
            catch_up.begin_again(&lists.present, &lists.former, switch.now);
            catch_up.stayed = stays || stayed && catch_up.stayed;
            if let Some(foreign) = foreign {
                catch_up.foreign = lineage::joined(&catch_up.foreign, foreign);
            }
            let is_me = |node: &Incarnate| node.0 == *switch.me;
            if lists.present.first().is_some_and(is_me) {
                // Not whoever was passed over, as suspected: it would be asked in vain. Where this node led before and was put out
                // meanwhile, who came behind it has.
                let before = match &lists.former_owner {
                    Some(owner) if is_me(owner) && stayed => None,
                    Some(owner) if !is_me(owner) => Some(owner),
                    _ => lists.former.iter().find(|node| !is_me(node)),
                };
                let lives = |node: &Incarnate| {
                    switch.after.member_index(&node.0).is_some_and(|index| switch.after.member(index).boot == node.1)
                };
                catch_up.succeeds(before, lives, switch.now);
                self.owners_until.get_or_insert(switch.now);
            } else {
                catch_up.follows();
            }
            (Standing::Newcomer, Some(catch_up))
        } else if caught_up && (lists.was_listed || lists.former == lists.present) {
            // Only for the list that it has just lost, whatever its name: what is written after that is not its to know.
            (Standing::CaughtUp, None)
        } else {
            (Standing::Outsider, None)
        };
        let (listed, changed_at) = (lists.listed, Some(switch.now));
        let state = SlotState { list, listed, standing, catch_up, in_sync: false, switches, changed_at };
        self.outstanding.note(slot, &state);
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

    /// How many slots this node holds, or has lately held.
    pub(crate) fn len(&self) -> usize {
        self.states.len()
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

    /// Forgets a slot that this node is not listed for.
    pub(crate) fn drop_slot(&mut self, slot: Slot) {
        if self.states.get(&slot).is_some_and(|s| !s.listed) {
            self.states.remove(&slot);
            self.give_back();
        }
    }
}

impl SlotState {
    /// This node may answer reads of the slot.
    pub(crate) fn readable(&self) -> bool {
        self.listed && self.standing == Standing::CaughtUp
    }

    /// It lacks what rings had that have become one with this node's.
    pub(crate) fn lacks_foreign(&self) -> bool {
        self.catch_up.as_ref().is_some_and(|catch_up| !catch_up.foreign.is_empty())
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

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
