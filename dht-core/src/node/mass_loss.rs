//! Many nodes lost at once are most often not gone: a switch, a rack or a link is, and they come back with their data.
//! Copying all that they held would load the nodes that are left when they can bear it least, for copies that are thrown
//! away later. So re-replication is held for a while (docs/decisions.md, "What waits after the loss of many nodes at
//! once?"); pure tally over `now`.
//!
//! Verdicts on nodes lost at once come one by one, and small slots are copied between the first and the last. So once one
//! node is given up the suspects count as well; if they refute, the hold ends before anybody was told of it.
//!
//! Invariant: a hold never lasts longer than `HOLD_MAX`, however many are lost during it, and one loss is part of one
//! hold only, unless nodes came back in between. What must not wait is for `waits` to say.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::ring::list::{CatchUp, Incarnate};
use crate::ring::record::NodeId;

/// The longest that re-replication waits.
pub(crate) const HOLD_MAX: Duration = Duration::from_secs(60);
/// In smaller rings a few nodes are a large part, and there is little to copy.
const RING_MIN: usize = 10;
/// More than one node in so many: 20 %.
const LOST_PART: usize = 5;
/// The detection window is at least this long.
const WINDOW_MIN: Duration = Duration::from_secs(10);
/// Copies of a slot that are enough to wait for the rest.
const COPIES_ENOUGH: usize = 2;

/// Losses within this time count as one. The verdicts on nodes lost at one moment lie apart by what the detector may take
/// for one of them more than for another: the probes of a round or two until somebody suspects it, then up to
/// `silent_max`, where others wait only a period since the address refuses. Probes take less than `silent_max` (4
/// periods and more), so twice that covers both; 10 s in a ring of ten to seventeen nodes, 24 s in one of a thousand.
pub(crate) fn window(silent_max: Duration) -> Duration {
    WINDOW_MIN.max(silent_max * 2)
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct MassLoss {
    /// Nodes given up lately and not back, by age.
    losses: VecDeque<Loss>,
    hold: Option<Hold>,
    /// Re-replication was held when it was last asked for.
    was_held: bool,
    off: bool,
}

#[derive(Debug)]
struct Loss {
    node_id: NodeId,
    at: Instant,
    /// Nodes in the ring just before.
    of: usize,
}

#[derive(Debug)]
struct Hold {
    until: Instant,
    /// Nodes in the ring when the window began.
    of: usize,
    /// So many were given up that it was told; before, some are only suspected.
    told: bool,
}

/// What one look at the losses changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Re-replication is held for so long: so many were given up of so many.
    Began { lost: usize, of: usize, held_for: Duration },
    /// So many came back that it goes on; these are still missing.
    Ended { missing: usize },
}

/// How the ring changed from one view to the next.
pub(crate) struct Turnover<'a> {
    /// Given up, not left.
    pub(crate) lost: &'a [NodeId],
    /// In the ring again, or for the first time.
    pub(crate) came: &'a [NodeId],
    /// Nodes in the ring before.
    pub(crate) of: usize,
    /// In the ring still, but suspected.
    pub(crate) suspects: usize,
}

impl MassLoss {
    /// Takes note of a new view.
    pub(crate) fn observe(
        &mut self,
        turnover: &Turnover<'_>,
        replicas: usize,
        window: Duration,
        now: Instant,
    ) -> Option<Change> {
        self.expire(now);
        self.losses.retain(|loss| !turnover.came.contains(&loss.node_id));
        if self.hold.is_none() {
            self.losses.retain(|loss| now.duration_since(loss.at) < window);
        }
        let of = turnover.of;
        self.losses.extend(turnover.lost.iter().map(|id| Loss { node_id: id.clone(), at: now, of }));
        let lost = self.losses.len();
        let missing = if lost == 0 { 0 } else { lost + turnover.suspects };
        if let Some(hold) = self.hold.take_if(|hold| !is_mass(missing, hold.of, replicas)) {
            return hold.told.then_some(Change::Ended { missing });
        }
        if self.hold.is_none() && !self.off {
            let of = self.losses.front()?.of;
            self.hold = is_mass(missing, of, replicas).then_some(Hold { until: now + HOLD_MAX, of, told: false });
        }
        let hold = self.hold.as_mut().filter(|hold| !hold.told && is_mass(lost, hold.of, replicas))?;
        hold.told = true;
        Some(Change::Began { lost, of: hold.of, held_for: hold.until - now })
    }

    /// True if a hold has just run out. What was lost until then is part of it and begins no other.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let expired = self.hold.take_if(|hold| now >= hold.until).is_some();
        if expired {
            self.losses.clear();
        }
        expired
    }

    /// Until when re-replication is held, if it is.
    pub(crate) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.hold.as_ref().map(|hold| hold.until).filter(|until| now < *until)
    }

    /// Re-replication is held, or was so until now.
    pub(crate) fn held_since_last_asked(&mut self, now: Instant) -> bool {
        let held = self.held_until(now).is_some();
        std::mem::replace(&mut self.was_held, held) || held
    }

    /// This node enters another ring.
    pub(crate) fn clear(&mut self) {
        *self = Self { off: self.off, ..Self::default() };
    }

    /// For tests that show what the hold is good for: from now on nothing is held.
    pub(crate) fn switch_off(&mut self) {
        self.off = true;
        self.clear();
    }
}

fn is_mass(lost: usize, of: usize, replicas: usize) -> bool {
    of >= RING_MIN && lost > replicas && lost * LOST_PART > of
}

/// What is known of a node that should have a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It answers.
    Alive,
    /// Suspected, restarted, or not known: its copy is not to be relied on.
    Doubtful,
    /// Hands over, and ends only when all members have caught up.
    Leaving,
    /// Given up.
    Dead,
}

/// Whether the newcomer of boot `me` waits while re-replication is held: a death made it a newcomer, and two copies live
/// without its own; nor does a node that leaves wait for it. For a slot down to one copy the first newcomer of the list makes the second at once; the others
/// count that one and wait.
pub(crate) fn waits(catch_up: &CatchUp, me: u64, fate: impl Fn(&Incarnate) -> Fate) -> bool {
    let had = |what: Fate| catch_up.sources.iter().flat_map(|list| list.iter()).any(|m| fate(m) == what);
    let first_at = catch_up.present.iter().position(|m| m.1 == me).unwrap_or(0);
    // Who was in all lists since this node is a newcomer has a copy, or became a newcomer before it and goes by this rule.
    let has_copy = |m: &Incarnate| catch_up.sources.iter().all(|list| list.contains(m));
    let counts = |&(at, m): &(usize, &Incarnate)| m.1 != me && (at < first_at || has_copy(m)) && fate(m) == Fate::Alive;
    // What another ring had, nobody of this one need have.
    had(Fate::Dead)
        && catch_up.foreign.is_empty()
        && !had(Fate::Leaving)
        && catch_up.present.iter().enumerate().filter(counts).count() >= COPIES_ENOUGH
}

#[cfg(test)]
#[path = "mass_loss_tests.rs"]
mod tests;
