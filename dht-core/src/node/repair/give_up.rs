//! Newcomers for which nothing can be waited for: after a while they go on with what is left, and say so.

use std::time::Duration;

use crate::node::{Node, State};
use crate::ring::list::{Incarnate, SlotState};
use crate::ring::members::Members;
use crate::ring::slot::Slot;

/// A newcomer whose sources are dead goes on without them after this, marked degraded.
const HOPELESS_MAX: Duration = Duration::from_secs(1);
/// When a whole ring comes back: a newcomer of it for which nobody has come for so long goes on with what it has kept.
const RETURN_MAX: Duration = Duration::from_secs(10);
/// The same if they live, but none of them has been caught up for so long: they wait for each other.
const STUCK_MAX: Duration = Duration::from_secs(15);
/// While a caught-up source answers, the copy, or the nodes that the list pushed out, may be slow to come: but not for
/// longer than this.
const SOURCE_MAX: Duration = Duration::from_secs(60);

impl Node {
    /// Newcomers that nobody is left for go on with what there is. Of `many`, only those whose turn it was.
    pub(super) fn give_up_on_the_dead(&self, mine: &[Slot], many: bool) {
        let mut state = self.state();
        self.postpone_waiting(&mut state);
        let State { table, members, .. } = &mut *state;
        let all: Vec<Slot> = if many { Vec::new() } else { table.behind().map(|(slot, _)| slot).collect() };
        let given_up = table.give_up_waiting(if many { mine } else { &all }, |slot| self.hopeless(slot, members));
        for &slot in &given_up {
            self.readable.set(slot, table.get(slot).is_some_and(SlotState::readable));
        }
        drop(state);
        if !given_up.is_empty() {
            self.tell_bereft(given_up.len());
            self.progress.step();
        }
    }

    /// A newcomer of the slot need not wait any longer.
    fn hopeless(&self, slot: &SlotState, members: &Members) -> bool {
        let Some(waiting) = &slot.catch_up else { return false };
        let (now, lives) = (self.env.now(), living(members, self.boot));
        // What is left of the copies comes first, else the slot would seem to be empty.
        let mut copies = waiting.sources.iter().flat_map(|list| list.iter()).filter(|m| lives(m));
        let dead = waiting.bereft(&lives) && copies.all(|m| waiting.merged.contains(m));
        let late = now >= waiting.since + SOURCE_MAX && waiting.had_its_turns();
        let silent_for = |most| {
            let seen = waiting.source_seen.unwrap_or(waiting.since);
            now >= seen + most && waiting.asked_in_vain()
        };
        match waiting.source_seen {
            _ if waiting.returns => silent_for(RETURN_MAX) || late,
            _ if dead => now >= waiting.since + HOPELESS_MAX,
            Some(_) => silent_for(STUCK_MAX) || late,
            None => silent_for(STUCK_MAX),
        }
    }

    pub(super) fn tell_bereft(&self, slots: usize) {
        log!(self, warn, slots, "lost too many replicas at once: these slots go on with what is left");
    }
}

/// Whether a member of a list is another node, still in the ring and the same.
pub(super) fn living(members: &Members, me: u64) -> impl Fn(&Incarnate) -> bool + use<'_> {
    move |(node_id, boot)| {
        let known = members.get(node_id).map(|k| k.record());
        *boot != me && known.is_some_and(|r| r.boot == *boot && r.present())
    }
}
