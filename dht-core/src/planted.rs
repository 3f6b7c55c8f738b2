//! Bugs planted on purpose, so that the simulator can prove that its checker sees them (`make planted`). Only in builds with
//! the feature `planted`, and there only the one that was chosen; `docs/guarantees.md` has the table.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Name of each bug, what it does, and the scenario that sees it.
pub const ALL: &[(&str, &str, &str)] = &[
    ("adopt_unverified", "stabilize adopts a nearer node that it has not asked", SMALL),
    ("wrong_interval", "a node claims what follows it, not what precedes it", SMALL),
    ("drop_silent_successor", "one unanswered call forgets the successor", SMALL),
    ("keep_gone", "pointers at nodes that were given up stay", SMALL),
    ("joining_in_lists", "pointers may name nodes that are not members", SMALL),
    ("count_vnodes", "successor lists count positions, not nodes", SMALL),
    ("join_without_successor", "a node becomes a member before it has a successor", SMALL),
    ("rectify_keeps_first", "rectify never replaces a predecessor that answers by a nearer one", SMALL),
    ("no_notify", "the successor is not notified, and the view does not make up for it", SMALL),
    ("forget_graveyard", "nodes that were given up are not looked for", SMALL),
    ("no_refutation", "a node that is said to be dead does not refute it", SMALL),
    ("no_verdict", "a suspect is never given up", SMALL),
    ("no_exchange", "views that differ are not exchanged", SMALL),
    ("old_boot_wins", "a restarted node is taken for its former self", SMALL),
    ("fingers_stay", "fingers beyond the successor are not looked up again", SMALL),
    ("call_outlives_deadline", "an exchange within a call has a deadline of its own", SMALL),
    ("no_catch_up", "a newcomer does not catch up with its slots", SMALL),
    ("fingers_of_one", "with chord routing only the fingers of position 0 are kept", CHORD),
    ("list_without_owner", "the owner that a walk ends at tells a replica list without itself", CHORD),
];

const SMALL: &str = "small_rings";
const CHORD: &str = "chord_rings";

/// 1 + the place in `ALL`; 0: none.
static CHOSEN: AtomicUsize = AtomicUsize::new(0);

/// From now on this bug is there, and no other; none for an unknown name.
pub fn plant(name: &str) -> bool {
    let place = ALL.iter().position(|(bug, ..)| *bug == name).map_or(0, |at| at + 1);
    CHOSEN.store(place, Ordering::Relaxed);
    place > 0
}

pub(crate) fn is(name: &str) -> bool {
    match CHOSEN.load(Ordering::Relaxed) {
        0 => false,
        place => ALL[place - 1].0 == name,
    }
}
