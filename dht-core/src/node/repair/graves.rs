//! When a deletion may be forgotten: not while somebody who was given up may come back with the value that it hides
//! (docs/decisions.md, "Tombstones"). Pure tally over `now`.

use std::time::Duration;

use tokio::time::Instant;

use crate::ring::list::quorum;
use crate::ring::members::{GRAVEYARD_AGE_MAX, Known, Members};
use crate::ring::record::{NodeId, NodeState, Verdict};

/// For so long after the last sign of somebody who may bring back what was deleted: one asks more often than that.
const RETURN_MAX: Duration = Duration::from_secs(60);
/// So many graces a deletion is kept at most, whoever is missing: a ring whose nodes are killed every day and never come back
/// under their names would else keep all deletions of a week.
const HELD_MAX: u32 = 24;

/// Of these, some graces are for what was deleted while the missing one was not yet given up.
const GIVEN_UP_WITHIN: u32 = 3;

/// After how long one that is missing is forgotten: all that was deleted since it went is kept until then.
fn kept_for(grace: Duration) -> Duration {
    grace.saturating_mul(HELD_MAX - GIVEN_UP_WITHIN).min(GRAVEYARD_AGE_MAX)
}

/// How long ago that node was given up, if deletions of what it held, before it went, may be forgotten here, so that it is
/// better not to come back with it.
///
/// Only as this node has seen it: it heard that life of the node itself, and has not heard of it since it was given up that long
/// ago. And only where so few are missing, or went about when it did, that each record with a quorum of `replicas` copies is
/// still somewhere: what the missing one holds may be the last copy of it otherwise.
pub(in crate::node) fn forgot(
    members: &Members,
    node_id: &NodeId,
    grace: Duration,
    replicas: usize,
    now: Instant,
) -> Option<Duration> {
    let known = members.get(node_id).filter(|known| !known.record().present()).or_else(|| members.buried(node_id))?;
    let apart = |one: Instant, other: Instant| one.max(other) - one.min(other);
    let with_it = members.all_buried().filter(|other| apart(other.since, known.since) < GRAVEYARD_AGE_MAX);
    let missing = members.gone().chain(with_it).filter(|other| may_return(other)).count();
    let given_up = now.saturating_duration_since(known.since);
    let is_forgotten =
        may_return(known) && known.heard.is_some() && given_up >= kept_for(grace) && missing < quorum(replicas);
    is_forgotten.then_some(given_up)
}

/// It copies, and hears of no deletions yet.
fn joins(known: &Known) -> bool {
    known.record().present() && known.record().state == NodeState::Joining
}

fn may_return(known: &Known) -> bool {
    let record = known.record();
    record.verdict == Verdict::Dead && record.state != NodeState::Left && record.vnodes > 0
}

/// Whether somebody may bring back what was deleted, and when that was last so: who is missing, who is joining, who is a
/// member again and asks for what it lacks, and who is known to have missed something.
#[derive(Debug, Default)]
pub(in crate::node) struct Graves {
    seen_at: Option<Instant>,
}

impl Graves {
    /// A member asks as one who has not caught up, or lacks something that others have.
    pub(in crate::node) fn somebody_catches_up(&mut self, now: Instant) {
        self.seen_at = Some(now);
    }

    /// How old a deletion has to be to be forgotten now.
    pub(in crate::node) fn age_min(&mut self, members: &Members, grace: Duration, now: Instant) -> Duration {
        if members.gone().any(may_return) || members.others().any(joins) {
            self.seen_at = Some(now);
        }
        let held = self.seen_at.is_some_and(|at| now < at + RETURN_MAX);
        if held && !planted!("graves_ignored") { grace.saturating_mul(HELD_MAX) } else { grace }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;
    use crate::ring::id::IdSpace;
    use crate::ring::record::{NodeRecord, test_record};
    use crate::ring::slot::SlotSpace;

    #[test]
    fn a_deletion_is_kept_longer_while_somebody_may_come_back() {
        let ids = IdSpace::new(64).expect("64 bits are in range");
        let (start, grace) = (Env::simulated(1, 1).now(), Duration::from_secs(100));
        let mut members = Members::new("graves", ids, SlotSpace::new(ids, 4), test_record("me"), start);
        let mut graves = Graves::default();
        assert_eq!(graves.age_min(&members, grace, start), grace, "nobody is missing");
        members.merge(&test_record("a"), start);
        let left = NodeRecord { state: NodeState::Left, ..test_record("b") };
        members.merge(&left, start);
        assert_eq!(graves.age_min(&members, grace, start), grace, "one lives, one has handed over and left");
        let boot = test_record("a").boot;
        members.judge(&test_record("a").node_id, boot, Verdict::Dead, start);
        assert_eq!(graves.age_min(&members, grace, start), grace * HELD_MAX);
        let back = start + Duration::from_secs(500);
        members.merge(&NodeRecord { boot: boot + 1, ..test_record("a") }, back);
        assert_eq!(graves.age_min(&members, grace, back), grace, "it was last missing long ago");
        let mut graves = Graves { seen_at: Some(back) };
        assert_eq!(graves.age_min(&members, grace, back + RETURN_MAX / 2), grace * HELD_MAX, "it is catching up");
        assert_eq!(graves.age_min(&members, grace, back + RETURN_MAX), grace);
        graves.somebody_catches_up(back + RETURN_MAX);
        assert_eq!(graves.age_min(&members, grace, back + RETURN_MAX), grace * HELD_MAX, "it is still catching up");
        let long = back + RETURN_MAX * 10;
        assert_eq!(graves.age_min(&members, grace, long), grace);
        members.merge(&NodeRecord { state: NodeState::Joining, ..test_record("d") }, long);
        assert_eq!(graves.age_min(&members, grace, long), grace * HELD_MAX, "what it copies may be deleted meanwhile");
    }

    #[test]
    fn who_was_missing_for_as_long_as_deletions_are_kept_is_forgotten() {
        let ids = IdSpace::new(64).expect("64 bits are in range");
        let (start, grace) = (Env::simulated(1, 1).now(), Duration::from_secs(100));
        let mut members = Members::new("graves", ids, SlotSpace::new(ids, 4), test_record("me"), start);
        let (a, boot) = (NodeId::new("a"), test_record("a").boot);
        members.merge(&test_record("a"), start);
        members.merge(&NodeRecord { state: NodeState::Left, ..test_record("b") }, start);
        let asked = |members: &Members, name, replicas, at| {
            forgot(members, &NodeId::new(name), grace, replicas, start + at).is_some()
        };
        let kept = grace * (HELD_MAX - GIVEN_UP_WITHIN);
        assert!(!asked(&members, "a", 3, kept), "it lives");
        members.judge(&a, boot, Verdict::Dead, start);
        assert!(
            !asked(&members, "a", 3, kept),
            "this node never heard of that life itself: it may have gone with the whole ring"
        );
        members.merge(&NodeRecord { boot: boot + 1, ..test_record("a") }, start);
        members.heard(&a, start);
        members.judge(&a, boot + 1, Verdict::Dead, start);
        assert!(!asked(&members, "a", 3, kept - Duration::from_secs(1)));
        assert!(asked(&members, "a", 3, kept));
        assert!(!asked(&members, "a", 1, kept), "it may have the only copy");
        assert!(!asked(&members, "b", 3, kept), "it handed over what it had");
        assert!(!asked(&members, "c", 3, kept), "nothing is known of it");
        members.merge(&test_record("d"), start);
        members.judge(&NodeId::new("d"), test_record("d").boot, Verdict::Dead, start);
        assert!(!asked(&members, "a", 3, kept), "the two may have the last copies of something");
        assert!(asked(&members, "a", 5, kept));
        // Looked for no more, and known nevertheless; so are those who went when it did.
        let later = GRAVEYARD_AGE_MAX * 2;
        members.bury(start + later);
        assert!(members.gone().next().is_none() && asked(&members, "a", 5, later) && !asked(&members, "a", 3, later));
        assert_eq!(forgot(&members, &a, grace, 5, start + later), Some(later), "since it was given up");
        members.merge(&NodeRecord { boot: boot + 2, incarnation: 9, ..test_record("a") }, start + later);
        assert!(!asked(&members, "a", 5, later), "it is back");
        assert_eq!(kept_for(GRAVEYARD_AGE_MAX), GRAVEYARD_AGE_MAX, "and not longer than the missing are known");
    }
}
