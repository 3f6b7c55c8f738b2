//! Repair: newcomers catch up, losers hand over, members are compared. One task does all of it, woken by every list
//! change and by every write that missed a replica, and looks at everything once in a while.

mod anti_entropy;
mod bring;
mod catch_up;
mod copy;
mod gather;
mod give_up;
mod graves;
mod hand_over;
mod hold;
mod lacking;
mod pace;
mod read_repair;
mod reconcile;
mod round;
mod share;
mod sift;
mod sweep;
mod unite;
mod without_disk;

pub(crate) use copy::BATCH_BYTES;
pub(in crate::node) use graves::{Graves, forgot};
pub(in crate::node) use hand_over::Offer;
pub(in crate::node) use pace::{Pace, carried_len};
pub(in crate::node) use read_repair::Mended;
pub(in crate::node) use round::Round;
pub(crate) use sweep::sweep;
pub(crate) use without_disk::stop_without_disk;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use self::round::Left;
use super::Node;
use crate::wire::message::Request;

/// Between two passes while something is left to do.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// The same while many nodes are missing, or a store has no room: what is left has to wait, and each pass compares it all.
const PAUSE_HELD_MAX: Duration = Duration::from_secs(5);
/// Between two comparisons of everything this node owns with its replicas.
const FULL_PERIOD: Duration = Duration::from_secs(30);
/// Between two signs of a node that catches up: three of them may be lost (`graves.rs`, `RETURN_MAX`).
const SIGN_PERIOD: Duration = Duration::from_secs(15);

/// Repairs for life.
pub(crate) async fn repair(node: Arc<Node>) {
    let mut full_at = node.env.now() + node.env.jittered(FULL_PERIOD);
    let mut pause = PAUSE_MIN;
    loop {
        let full = node.env.now() >= full_at;
        if full {
            full_at = node.env.now() + node.env.jittered(FULL_PERIOD);
        }
        let begun = node.env.now();
        let left = node.repair_pass(full).await;
        let held_until = node.held_until(&node.state());
        let no_room = {
            let mut state = node.state();
            // It is known of the whole round only when that is over.
            if left == Left::Turns { state.no_room } else { std::mem::take(&mut state.no_room) }
        };
        if node.env.now() - begun > PAUSE_MAX && held_until.is_none() && !no_room && left != Left::InVain {
            // It had much to do.
            pause = PAUSE_MIN;
        }
        let until = match left {
            Left::Nothing => full_at,
            Left::InVain | Left::Some => node.env.now() + node.env.jittered(pause),
            Left::Turns => node.env.now(),
        };
        // The moment at which it goes on is not slept through.
        let until = held_until.map_or(until, |end| until.min(end));
        let pause_max = if held_until.is_some() || no_room { PAUSE_HELD_MAX } else { PAUSE_MAX };
        pause = match left {
            Left::Nothing => PAUSE_MIN,
            Left::InVain | Left::Some => (pause * 2).min(pause_max),
            Left::Turns => pause,
        };
        if tokio::time::timeout_at(until, node.repair_wanted.notified()).await.is_ok() {
            pause = PAUSE_MIN;
            // News comes in bunches; one breath makes one pass of them.
            tokio::time::sleep(PAUSE_MIN / 4).await;
        }
    }
}

/// While this node catches up its sources hear so often enough, however long one copy takes, and so do those of a list in which a
/// replica has lacked something since the last look: they keep deletions meanwhile. What is made good at once is told to nobody.
pub(crate) async fn tell_sources(node: Arc<Node>) {
    let mut before = BTreeSet::new();
    loop {
        // Before the first deletion that somebody missed may be forgotten it was looked at twice.
        let grace = node.ring().config.tombstone_grace;
        let period = (grace / 4).clamp(PAUSE_MIN, SIGN_PERIOD);
        tokio::time::sleep(node.env.jittered(period)).await;
        let lacking = node.lacking();
        let late = node.company_in(lacking.intersection(&before).copied());
        before = lacking;
        if !late.is_empty() {
            node.state().graves.somebody_catches_up(node.env.now());
        }
        for peer in node.sources().into_iter().chain(late).collect::<BTreeSet<_>>() {
            node.tell(&peer.address, Request::Compare { items: Vec::new(), catching_up: true, durable: false });
        }
    }
}

impl Node {
    /// One look at everything, but for slots that have their turn later, and for what others should hold until those had theirs.
    async fn repair_pass(self: &Arc<Self>, full: bool) -> Left {
        if self.is_client() || self.life.phase().ended() {
            return Left::Nothing;
        }
        if full {
            self.become_one();
        }
        let catching_up = if planted!("no_catch_up") { Left::Nothing } else { self.catch_up().await };
        let comparing = self.compare_replicas(full && self.config.backup_replicas).await;
        match catching_up.max(comparing) {
            Left::Turns => Left::Turns,
            left => left.max(Left::some(self.hand_over().await)),
        }
    }
}
