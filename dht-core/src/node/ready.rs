//! Waiting for a node: until it is in a ring, and until it is ready there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::peers::Peer;
use super::{Node, Phase};
use crate::error::{Error, ErrorKind, Result};
use crate::wire::message::{Request, Response};

/// Between two looks of `wait_ready` at what no event tells of.
const READY_LOOK: Duration = Duration::from_millis(50);

impl Node {
    /// Waits until this node is in a ring, at most until `deadline`.
    pub(crate) async fn joined_by(&self, deadline: Instant) -> Result<()> {
        if self.life.phase().serves() {
            return Ok(());
        }
        let settled = self.life.wait_for(|phase| phase.serves() || phase.ended());
        match tokio::time::timeout_at(deadline, settled).await {
            Ok(phase) if phase.serves() => Ok(()),
            Ok(_) => Err(self.ended_error()),
            Err(_) => Err(Error::new(ErrorKind::NotJoined, "this node is in no ring yet")),
        }
    }

    /// Waits until this node is joined, caught up, and of one view with the next node on the ring.
    pub(crate) async fn wait_ready(self: &Arc<Self>, deadline: Instant) -> Result<()> {
        loop {
            let seen = self.progress.seen();
            if self.ended() {
                return Err(self.ended_error());
            }
            if self.ready() && self.agrees_with_neighbours(deadline).await {
                return Ok(());
            }
            let now = self.env.now();
            if now >= deadline {
                let health = self.health();
                let context = format!("not ready: joined {}, handed over {}", health.joined, health.handed_over);
                return Err(Error::new(ErrorKind::Timeout, context));
            }
            self.progress.since(seen, deadline.min(now + READY_LOOK)).await;
        }
    }

    /// Joined, of one view with the next node, and all own slots caught up.
    pub(crate) fn ready(&self) -> bool {
        let joined = self.life.phase() == Phase::Active;
        joined && self.state().table.slots_where(|s| s.catch_up.is_some()).is_empty()
    }

    /// The next and the previous node on the ring know the same nodes as this one.
    async fn agrees_with_neighbours(&self, deadline: Instant) -> bool {
        let view = self.view();
        let neighbours: Vec<Peer> = {
            let state = self.state();
            let Some(id) = state.vnodes.first().map(|v| v.id) else { return true };
            let Some(me) = view.member_index(&self.node_id) else { return false };
            let next = view.distinct_after(id, Some(me), 1).first().copied();
            let previous = view.distinct_before(id, Some(me)).copied();
            next.into_iter().chain(previous).map(|p| Peer::from(view.member(p.member))).collect()
        };
        for peer in neighbours {
            let until = deadline.min(self.deadline_for_maintenance());
            let call = self.calling(Request::Ping { boot: peer.boot, records: Vec::new() }, until, 0);
            match self.transport.call(&peer.address, call, until).await {
                Ok(reply) => {
                    let theirs = reply.head.view;
                    if let Ok(Response::Pong { records }) = self.accept_reply(&peer, reply) {
                        // It will not tell these again.
                        self.learn_from(peer.boot, &records);
                    }
                    if theirs != self.view().fingerprint() {
                        self.disagrees(&peer.node_id);
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
        true
    }
}
