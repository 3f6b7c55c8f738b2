//! Read repair: replicas that answered a quorum read with an older version get the newest before the caller does
//! (Dynamo 2007, §5).

use std::sync::Arc;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::node::Node;
use crate::node::read::Behind;
use crate::ring::list::ListId;
use crate::wire::message::{Request, Response, StoreItem, StoreResult};

impl Node {
    /// Brings the newest record to all that answered without it.
    ///
    /// # Errors
    /// What the first replica that could not take it said; the record is unharmed.
    pub(in crate::node) async fn mend(self: &Arc<Self>, behind: &Behind, deadline: Instant) -> Result<()> {
        let record = &behind.record;
        for peer in &behind.peers {
            if peer.boot == self.boot {
                self.take_in_repaired(behind.slot, record.clone())?;
                self.store.ticket(behind.slot).wait().await?;
                continue;
            }
            // A repair merges whatever the lists are.
            let list = ListId::UNKNOWN;
            let items = vec![StoreItem { slot: behind.slot, list, record: record.clone() }];
            match self.call(peer, Request::Store { items, repair: true }, deadline, 0).await? {
                Response::Stored { results } => match results.into_iter().next() {
                    Some(StoreResult::Stored { .. } | StoreResult::Refused { .. }) => {}
                    Some(StoreResult::Failed(error)) => return Err(error),
                    _ => return Err(Error::new(ErrorKind::Quorum, format!("{} did not take a repair", peer.node_id))),
                },
                _ => return Err(crate::node::serve::unexpected(peer)),
            }
        }
        Ok(())
    }
}
