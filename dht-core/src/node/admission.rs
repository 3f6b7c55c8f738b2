//! How many may enter at a time: a member lets a joiner in when all its own slots are caught up, and in small rings the
//! next one only when that one has caught up, is gone, or has been silent for long. So every list change finds a
//! caught-up list before it; but slots that wait since many nodes were lost at once hold up nobody, least of all those
//! that come back or instead.
//!
//! A large ring lets in some at once, of which two rarely share a slot; where they do, calls of that slot may have to
//! wait until one of them has caught up, as after a death.

use std::time::Duration;

use tokio::time::Instant;

use super::{Node, State};
use crate::ring::record::NodeId;
use crate::wire::message::Response;

/// A joiner that has not been heard of for this long after it was let in holds nobody up any more.
const SILENT_MAX: Duration = Duration::from_secs(5);
/// How often one that waits for its turn looks for what nothing tells of.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Members for each that may enter at the same time. A list of three then has 3/16 newcomers on average, and more than one
/// in one slot of sixty (Poisson).
const MEMBERS_PER_JOINER: usize = 16;

/// Who is being let in.
#[derive(Default)]
pub(crate) struct Admission(Vec<Pending>);

struct Pending {
    node_id: NodeId,
    boot: u64,
    since: Instant,
}

impl Admission {
    /// Whether this one may enter now, as one of `most`.
    fn grant(&mut self, node_id: &NodeId, boot: u64, most: usize, now: Instant) -> bool {
        self.0.retain(|p| now.duration_since(p.since) < SILENT_MAX && (p.boot, &p.node_id) != (boot, node_id));
        let granted = self.0.len() < most;
        if granted {
            self.0.push(Pending { node_id: node_id.clone(), boot, since: now });
        }
        granted
    }

    fn release(&mut self, boot: u64) {
        self.0.retain(|p| p.boot != boot);
    }
}

impl Node {
    /// Answers `Admit`.
    pub(crate) fn serve_admit(&self, node_id: &NodeId, boot: u64) -> Response {
        let now = self.env.now();
        let mut state = self.state();
        // One that waits for the rest of its ring to come back lets in whoever comes, and all at once.
        if state.table.reunites() {
            return Response::Admitted { granted: true };
        }
        let settled = self.is_settled(&state);
        let State { admission, members, .. } = &mut *state;
        admission.0.retain(|pending| members.get(&pending.node_id).is_none_or(|known| known.record().present()));
        let most = (self.view().members().len() / MEMBERS_PER_JOINER).max(1);
        let granted = settled && admission.grant(node_id, boot, most, now);
        Response::Admitted { granted }
    }

    /// The same, as soon as it is this one's turn; not granted if it is not long before the `deadline`: a refusal that
    /// comes too late looks like silence.
    pub(crate) async fn serve_admit_in_turn(&self, node_id: &NodeId, boot: u64, deadline: Instant) -> Response {
        let begun = self.env.now();
        let deadline = begun + deadline.saturating_duration_since(begun) / 2;
        loop {
            let seen = self.progress.seen();
            let answer = self.serve_admit(node_id, boot);
            let now = self.env.now();
            if matches!(answer, Response::Admitted { granted: true }) || now >= deadline {
                return answer;
            }
            // What is not told by a step, such as a silent joiner, is looked at now and then.
            self.progress.since(seen, deadline.min(now + LOOK_AGAIN)).await;
        }
    }

    /// That one is done, or asks again later.
    pub(crate) fn serve_release(&self, boot: u64) -> Response {
        self.state().admission.release(boot);
        self.progress.step();
        Response::Admitted { granted: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_until_released_or_silent() {
        let env = crate::env::Env::simulated(1, 0);
        let (a, b) = (NodeId::new("a"), NodeId::new("b"));
        let mut admission = Admission::default();
        assert!(admission.grant(&a, 1, 1, env.now()));
        assert!(admission.grant(&a, 1, 1, env.now()), "asking again is no second joiner");
        assert!(!admission.grant(&b, 2, 1, env.now()));
        admission.release(2);
        assert!(!admission.grant(&b, 2, 1, env.now()), "only the one that was let in releases");
        admission.release(1);
        assert!(admission.grant(&b, 2, 1, env.now()));
        tokio::time::advance(SILENT_MAX).await;
        assert!(admission.grant(&a, 1, 1, env.now()), "a silent joiner is passed over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_ring_lets_in_some_at_a_time() {
        let env = crate::env::Env::simulated(1, 0);
        let (a, b, c) = (NodeId::new("a"), NodeId::new("b"), NodeId::new("c"));
        let mut admission = Admission::default();
        assert!(admission.grant(&a, 1, 2, env.now()) && admission.grant(&b, 2, 2, env.now()));
        assert!(!admission.grant(&c, 3, 2, env.now()));
        assert!(admission.grant(&a, 1, 2, env.now()), "it is in already");
        admission.release(2);
        assert!(admission.grant(&c, 3, 2, env.now()));
    }
}
