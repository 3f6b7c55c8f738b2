//! One join at a time: a member lets a joiner in when all its own slots are caught up, and the next one only when that
//! one has caught up, is gone, or has been silent for long. So every list change finds a caught-up list before it; but
//! slots that wait since many nodes were lost at once hold up nobody, least of all those that come back or instead.

use std::time::Duration;

use tokio::time::Instant;

use super::Node;
use crate::ring::record::NodeId;
use crate::wire::message::Response;

/// A joiner that has not been heard of for this long after it was let in holds nobody up any more.
const SILENT_MAX: Duration = Duration::from_secs(5);

/// Who is being let in.
#[derive(Default)]
pub(crate) struct Admission(Option<Pending>);

struct Pending {
    node_id: NodeId,
    boot: u64,
    since: Instant,
}

impl Admission {
    /// Whether this one may enter now.
    fn grant(&mut self, node_id: &NodeId, boot: u64, now: Instant) -> bool {
        match &self.0 {
            Some(p) if (p.boot, &p.node_id) != (boot, node_id) && now.duration_since(p.since) < SILENT_MAX => false,
            _ => {
                self.0 = Some(Pending { node_id: node_id.clone(), boot, since: now });
                true
            }
        }
    }

    fn release(&mut self, boot: u64) {
        self.0.take_if(|p| p.boot == boot);
    }
}

impl Node {
    /// Answers `Admit`.
    pub(crate) fn serve_admit(&self, node_id: &NodeId, boot: u64, release: bool) -> Response {
        let now = self.env.now();
        let mut state = self.state();
        if release {
            state.admission.release(boot);
            return Response::Admitted { granted: false };
        }
        let gone = |pending: &Pending| state.members.get(&pending.node_id).is_some_and(|k| !k.record().present());
        let abandoned = state.admission.0.as_ref().is_some_and(gone);
        if abandoned {
            state.admission.0 = None;
        }
        // One that waits for the rest of its ring to come back lets in whoever comes, and all at once.
        if state.table.reunites() {
            return Response::Admitted { granted: true };
        }
        let settled = self.to_catch_up(&state).is_empty();
        let granted = settled && state.admission.grant(node_id, boot, now);
        Response::Admitted { granted }
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
        assert!(admission.grant(&a, 1, env.now()));
        assert!(admission.grant(&a, 1, env.now()), "asking again is no second joiner");
        assert!(!admission.grant(&b, 2, env.now()));
        admission.release(2);
        assert!(!admission.grant(&b, 2, env.now()), "only the one that was let in releases");
        admission.release(1);
        assert!(admission.grant(&b, 2, env.now()));
        tokio::time::advance(SILENT_MAX).await;
        assert!(admission.grant(&a, 1, env.now()), "a silent joiner is passed over");
    }
}
