//! Waiting for a node: until it is in a ring, and until it is ready there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::peers::Peer;
use super::{Node, Phase};
use crate::error::{Error, ErrorKind, Result};
use crate::wire::message::{Request, Response};

/// Between two looks of `wait_ready` at what no event tells of.
const READY_LOOK: Duration = Duration::from_millis(50);

/// Why a node is not ready.
enum Lacks {
    /// It is in no ring, as this text says.
    Ring(String),
    /// So many of its slots have not caught up.
    Slots(usize),
    /// It is not in its own view: whoever gave it up has not heard yet that it lives.
    Itself,
    /// This neighbour knows other nodes.
    SameView(Peer),
    /// This neighbour does not answer, as this text says.
    Answer(Peer, String),
}

impl Lacks {
    fn of_neighbour(&self) -> bool {
        matches!(self, Self::SameView(_) | Self::Answer(..))
    }
}

impl fmt::Display for Lacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring(text) => f.write_str(text),
            Self::Slots(1) => f.write_str("1 slot has not caught up"),
            Self::Slots(count) => write!(f, "{count} slots have not caught up"),
            Self::Itself => f.write_str("this node takes itself for gone, since others do"),
            Self::SameView(peer) => {
                write!(f, "its neighbour {} at {} knows other nodes than it does", peer.node_id, peer.address)
            }
            Self::Answer(peer, why) => {
                write!(f, "its neighbour {} at {} does not answer: {why}", peer.node_id, peer.address)
            }
        }
    }
}

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
            Err(_) => Err(self.not_joined()),
        }
    }

    /// Waits until this node is joined, caught up, and of one view with the next node on the ring.
    pub(crate) async fn wait_ready(self: &Arc<Self>, deadline: Instant) -> Result<()> {
        let mut lacked = None;
        loop {
            let seen = self.progress.seen();
            if self.ended() {
                return Err(self.ended_error());
            }
            let lacks = match self.lacks() {
                // At the deadline no neighbour has time to answer: what was seen before says more.
                None if self.env.now() >= deadline && lacked.as_ref().is_some_and(Lacks::of_neighbour) => lacked.take(),
                None => self.lacks_of_neighbours(deadline).await,
                lacks => lacks,
            };
            let Some(lacks) = lacks else { return Ok(()) };
            let now = self.env.now();
            if now >= deadline {
                return Err(Error::new(ErrorKind::Timeout, format!("not ready: {lacks}")));
            }
            lacked = Some(lacks);
            self.progress.since(seen, deadline.min(now + READY_LOOK)).await;
        }
    }

    /// Why this node is not joined and caught up, if it is not.
    fn lacks(&self) -> Option<Lacks> {
        match self.life.phase() {
            Phase::Active => match self.state().table.behind_len() {
                0 => None,
                behind => Some(Lacks::Slots(behind)),
            },
            Phase::Joining => Some(Lacks::Ring(self.in_no_ring())),
            Phase::Leaving | Phase::Left | Phase::Stopped => Some(Lacks::Ring("this node leaves".to_owned())),
        }
    }

    /// Why the next and the previous node on the ring are not known to know the same nodes as this one.
    async fn lacks_of_neighbours(&self, deadline: Instant) -> Option<Lacks> {
        let view = self.view();
        let neighbours: Vec<Peer> = {
            let state = self.state();
            let id = state.vnodes.first().map(|v| v.id)?;
            let Some(me) = view.member_index(&self.node_id) else { return Some(Lacks::Itself) };
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
                        return Some(Lacks::SameView(peer));
                    }
                }
                Err(error) => return Some(Lacks::Answer(peer, error.to_string())),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::record::{Address, NodeId};

    #[test]
    fn each_reason_has_its_text() {
        let peer = || Peer { node_id: NodeId::new("b"), boot: 1, address: Address::new("127.0.0.1:7") };
        for (lacks, text) in [
            (Lacks::Slots(1), "1 slot has not caught up"),
            (Lacks::Slots(7), "7 slots have not caught up"),
            (Lacks::SameView(peer()), "its neighbour b at 127.0.0.1:7 knows other nodes than it does"),
            (Lacks::Answer(peer(), "refused".into()), "its neighbour b at 127.0.0.1:7 does not answer: refused"),
        ] {
            assert_eq!(lacks.to_string(), text);
        }
    }
}
