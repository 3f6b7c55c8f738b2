//! Bugs planted on purpose, so that the simulator can prove that its checker sees them (`make planted`). Only in builds with
//! the feature `planted`, and there only the one that was chosen; `docs/guarantees.md` has the table.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bugs in the ring: the name of each, and what it does.
pub const RING: &[(&str, &str)] = &[
    ("adopt_unverified", "stabilize adopts a nearer node that it has not asked"),
    ("wrong_interval", "a node claims what follows it, not what precedes it"),
    ("drop_silent_successor", "one unanswered call forgets the successor"),
    ("keep_gone", "pointers at nodes that were given up stay"),
    ("joining_in_lists", "pointers may name nodes that are not members"),
    ("count_vnodes", "successor lists count positions, not nodes"),
    ("join_without_successor", "a node becomes a member before it has a successor"),
    ("rectify_keeps_first", "rectify never replaces a predecessor that answers by a nearer one"),
    ("no_notify", "the successor is not notified, and the view does not make up for it"),
    ("forget_graveyard", "nodes that were given up are not looked for"),
    ("no_refutation", "a node that is said to be dead does not refute it"),
    ("no_verdict", "a suspect is never given up"),
    ("no_exchange", "views that differ are not exchanged"),
    ("old_boot_wins", "a restarted node is taken for its former self"),
    ("fingers_stay", "fingers beyond the successor are not looked up again"),
    ("call_outlives_deadline", "an exchange within a call has a deadline of its own"),
    ("no_catch_up", "a newcomer does not catch up with its slots"),
];

/// Bugs in what is kept and told.
pub const DATA: &[(&str, &str)] = &[
    ("ack_early", "a write is acknowledged by one replica"),
    ("joiner_forgotten", "who comes into a list takes itself for caught up"),
    ("no_line", "operations of one key do not wait for each other"),
    ("no_look_first", "what depends on the present value decides without a quorum read"),
    ("former_owner_decides", "who lost a slot while an operation waited still decides it"),
    ("retry_blind", "a retry does not look for its operation id"),
    ("retry_forgotten", "replicas do not remember what they stored for other owners"),
    ("value_blind", "a compare-and-swap by value takes any value"),
    ("delete_keeps", "a delete leaves what was there"),
    ("lower_version_taken", "a replica takes a lower version"),
    ("tombstone_early", "tombstones are forgotten at the next sweep"),
    ("expired_lives", "what has expired is still told"),
    ("delete_denies", "a delete that found nothing says that there was a value"),
    ("swap_blind", "a compare-and-swap by version takes any value"),
    ("absent_blind", "a compare-and-swap by absence takes what is there"),
    ("told_after", "a get-and-put tells what it wrote instead of what was there"),
    ("increment_from_zero", "an increment forgets what it adds to"),
    ("ttl_forgotten", "a value with a time to live stays for ever"),
    ("first_answer", "a quorum read tells what answered first, not the newest"),
    ("copy_short", "a copy leaves out the last record of each part"),
    ("fingerprint_blind", "fingerprints do not cover versions"),
    ("ttl_renewed", "a repair gives a value a minute more"),
    ("hand_over_blind", "a slot is let go although others lack some of it"),
];

/// The same, but no scenario sees them within a few dozen seeds yet: planted only by name.
pub const OPEN: &[(&str, &str)] = &[
    ("missed_not_marked", "a write that missed a replica is not repaired"),
    ("acks_of_any_list", "acknowledgements of different lists add up"),
    ("newcomer_acks", "a newcomer's acknowledgements and answers count"),
    ("newcomer_reads", "a node answers reads before it has caught up"),
    ("source_not_caught_up", "a newcomer catches up from newcomers"),
    ("source_of_old_list", "a newcomer catches up from who has not adopted the list"),
    ("stale_list_taken", "a replica takes writes of any list"),
    ("list_change_forgotten", "a retry is carried out although those who remember its first try may be gone"),
    ("graves_ignored", "tombstones are forgotten although somebody may come back with the value"),
    ("late_attempt", "an attempt that comes twice is carried out although the first found nothing to do"),
    ("no_read_repair", "replicas that differ are not repaired before the answer"),
    ("clock_of_its_own", "versions of others do not move the clock that stamps"),
    ("deaths_believed", "a death that somebody tells of is believed without asking the node"),
    ("lost_message_displaces", "whoever answers takes the place of a nearer node that was silent once"),
    ("dirty_told", "a failed swap tells a value that only its owner has"),
    ("denied_elsewhere", "that nothing was done is told although another owner may have done it"),
    ("any_life_answers", "a copy counts although its source was started anew while it was made"),
    ("never_renewed", "who cannot let go of a slot hears of no deletions"),
    ("former_owner_restamps", "who lost a slot stamps its writes above those of the new owner"),
    ("batch_overtakes", "entries of one key in one batch may overtake each other"),
    ("let_go_early", "a slot is let go before it is on the disks of others"),
    ("last_life_trusted", "what is kept counts although the ring went on without it"),
    ("alone_blind", "the first of a ring that comes back decides without the others"),
    ("half_is_whole", "half of a slot's former replicas are enough in a ring that comes back"),
    ("owner_not_heard", "a new owner stamps before it has heard the clock of the owner before"),
    ("refused_try_counts", "a try that was refused counts as carried out"),
    ("misrouted_denies", "who has begun a write says that another node owns the key"),
    ("failure_denied", "a write without a quorum says that nothing was done"),
];

/// Bugs in chord routing.
pub const CHORD: &[(&str, &str)] = &[
    ("fingers_of_one", "with chord routing only the fingers of position 0 are kept"),
    ("list_without_owner", "the owner that a walk ends at tells a replica list without itself"),
];

/// 1 + the place in `RING`, `DATA`, `OPEN` and `CHORD`; 0: none.
static CHOSEN: AtomicUsize = AtomicUsize::new(0);

/// From now on this bug is there, and no other; none for an unknown name.
pub fn plant(name: &str) -> bool {
    let place = all().position(|bug| bug == name).map_or(0, |at| at + 1);
    CHOSEN.store(place, Ordering::Relaxed);
    place > 0
}

pub(crate) fn is(name: &str) -> bool {
    match CHOSEN.load(Ordering::Relaxed) {
        0 => false,
        place => all().nth(place - 1) == Some(name),
    }
}

fn all() -> impl Iterator<Item = &'static str> {
    RING.iter().chain(DATA).chain(OPEN).chain(CHORD).map(|(bug, _)| *bug)
}
