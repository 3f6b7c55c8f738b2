//! Bugs planted on purpose, so that the simulator can prove that its checker sees them (`make planted`). Only in builds with
//! the feature `planted`, and there only the one that was chosen; `docs/guarantees.md` has the table.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Name of each bug, and what it does.
pub const ALL: &[(&str, &str)] = &[
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

/// 1 + the place in `ALL`; 0: none.
static CHOSEN: AtomicUsize = AtomicUsize::new(0);

/// From now on this bug is there, and no other; none for an unknown name.
pub fn plant(name: &str) -> bool {
    let place = ALL.iter().position(|(bug, _)| *bug == name).map_or(0, |at| at + 1);
    CHOSEN.store(place, Ordering::Relaxed);
    place > 0
}

pub(crate) fn is(name: &str) -> bool {
    match CHOSEN.load(Ordering::Relaxed) {
        0 => false,
        place => ALL[place - 1].0 == name,
    }
}
