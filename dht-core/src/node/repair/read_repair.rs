//! Read repair: replicas that answered a quorum read with an older version get the newest before the caller does
//! (Dynamo 2007, §5).

use std::sync::Arc;

use tokio::time::Instant;

use crate::error::Error;
use crate::node::Node;
use crate::node::parts::parts;
use crate::node::peers::Peer;
use crate::node::read::Behind;
use crate::ring::list::Agreement;
use crate::store::Ticket;
use crate::wire::message::{Request, Response, StoreItem, StoreResult};

/// A replica that was to get the newest version.
pub(in crate::node) enum Mended {
    /// It has that, or a higher one.
    Yes,
    /// It goes by another list by now.
    Stale,
    /// It could not take it.
    No(Error),
}

impl Node {
    /// Brings the newest records to `peer`, which answered without them, if it still goes by the lists under which it answered:
    /// what it takes counts for these lists only (a write that a newcomer's sources took after it had asked them would be lost
    /// to it). What came of each, in their order.
    pub(in crate::node) async fn mend(
        self: &Arc<Self>,
        peer: &Peer,
        behind: &[Arc<Behind>],
        deadline: Instant,
    ) -> Vec<Mended> {
        if peer.boot == self.boot {
            return self.mend_here(behind, deadline).await;
        }
        let messages = parts(behind.iter().collect(), |behind: &&Arc<Behind>| behind.record.payload_len());
        let sent = messages.into_iter().map(|message| async move {
            let bytes = message.iter().map(|behind| behind.record.payload_len()).sum();
            // A lost message is no reason to wait for the whole call's time: another replica may have it.
            let until = self.attempt_deadline_of(bytes, peer, deadline);
            let item = |b: &&Arc<Behind>| StoreItem { slot: b.slot, list: b.list, record: b.record.clone() };
            let items: Vec<StoreItem> = message.iter().map(item).collect();
            let error = match self.call(peer, Request::Store { items, repair: true }, until, 0).await {
                Ok(Response::Stored { results }) if results.len() == message.len() => {
                    return results.into_iter().map(Mended::from).collect();
                }
                Ok(_) => crate::node::serve::unexpected(peer),
                Err(error) => error,
            };
            message.iter().map(|_| Mended::No(error.clone())).collect::<Vec<_>>()
        });
        futures_util::future::join_all(sent).await.into_iter().flatten().collect()
    }

    async fn mend_here(self: &Arc<Self>, behind: &[Arc<Behind>], deadline: Instant) -> Vec<Mended> {
        let take = |behind: &Arc<Behind>| {
            let stale = || matches!(self.state().table.agree(behind.slot, behind.list, true), Agreement::Stale(_));
            if stale() {
                return Err(Mended::Stale);
            }
            let kept = self.take_in_repaired(behind.slot, behind.record.clone());
            // The list may have changed between the two.
            if stale() {
                return Err(Mended::Stale);
            }
            kept.map(|_| self.store.ticket(behind.slot)).map_err(Mended::No)
        };
        // All of them before the first is waited for: the disk takes them together.
        let taken: Vec<Result<Ticket, Mended>> = behind.iter().map(take).collect();
        let mut mended = Vec::with_capacity(taken.len());
        for ticket in taken {
            mended.push(match ticket {
                Ok(ticket) => ticket.wait_until(deadline).await.map_or_else(Mended::No, |()| Mended::Yes),
                Err(mended) => mended,
            });
        }
        mended
    }
}

impl From<StoreResult> for Mended {
    fn from(result: StoreResult) -> Self {
        match result {
            StoreResult::Stored { .. } | StoreResult::Refused { .. } => Self::Yes,
            StoreResult::Stale { .. } => Self::Stale,
            StoreResult::Failed(error) => Self::No(error),
        }
    }
}
