//! Read repair: replicas that answered a quorum read with an older version get the newest before the caller does
//! (Dynamo 2007, §5).

use std::sync::Arc;

use tokio::time::Instant;

use crate::error::Error;
use crate::node::Node;
use crate::node::peers::Peer;
use crate::node::read::Behind;
use crate::ring::list::Agreement;
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
    /// Brings the newest record to `peer`, which answered without it, if it still goes by the list under which it answered: what
    /// it takes counts for that list only (a write that a newcomer's sources took after it had asked them would be lost to it).
    pub(in crate::node) async fn mend(self: &Arc<Self>, peer: &Peer, behind: &Behind, deadline: Instant) -> Mended {
        let (slot, list, record) = (behind.slot, behind.list, behind.record.clone());
        let item = StoreItem { slot, list, record };
        let answer = if peer.boot == self.boot {
            let stale = || matches!(self.state().table.agree(slot, list, true), Agreement::Stale(_));
            if stale() {
                return Mended::Stale;
            }
            let kept = self.take_in_repaired(slot, item.record).map(|_| self.store.ticket(slot));
            // The list may have changed between the two.
            if stale() {
                return Mended::Stale;
            }
            return match kept {
                Ok(ticket) => ticket.wait_until(deadline).await.map_or_else(Mended::No, |()| Mended::Yes),
                Err(error) => Mended::No(error),
            };
        } else {
            // A lost message is no reason to wait for the whole call's time: another replica may have it.
            let until = self.attempt_deadline_of(item.record.payload_len(), peer, deadline);
            self.call(peer, Request::Store { items: vec![item], repair: true }, until, 0).await
        };
        match answer {
            Ok(Response::Stored { results }) => match results.into_iter().next() {
                Some(StoreResult::Stored { .. } | StoreResult::Refused { .. }) => Mended::Yes,
                Some(StoreResult::Stale { .. }) => Mended::Stale,
                Some(StoreResult::Failed(error)) => Mended::No(error),
                None => Mended::No(crate::node::serve::unexpected(peer)),
            },
            Ok(_) => Mended::No(crate::node::serve::unexpected(peer)),
            Err(error) => Mended::No(error),
        }
    }
}
