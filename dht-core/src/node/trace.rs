//! `lookup_trace`: a lookup that tells whom it asked. The walk is that of an operation, or `find_successor`'s
//! where operations do not walk; here it is only watched.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::lookup::Watch;
use super::peers::Peer;
use super::{Node, stopped};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::id::IdSpace;
use crate::ring::vnode::Pointer;
use crate::shapes::{Hop, HopNode, HopOutcome, LookupTrace};

/// Writes down each step of a walk.
struct Hops {
    ids: IdSpace,
    all: Vec<Hop>,
}

impl Watch for Hops {
    fn asked(&mut self, pointer: &Pointer, peer: &Peer, took: Duration, outcome: HopOutcome) {
        let node = HopNode { id: peer.node_id.as_str().to_owned(), address: peer.address.as_str().to_owned() };
        let (position, took) = (self.ids.hex(pointer.id), took.as_secs_f64());
        self.all.push(Hop { node, position, took, outcome });
    }
}

impl Node {
    /// The way to the owner of `key`, whose length was checked.
    ///
    /// # Errors
    /// `NotJoined`, `Stopped`, and as [`Node::find_successor`].
    pub(crate) async fn lookup_trace(self: &Arc<Self>, key: &[u8], deadline: Instant) -> Result<LookupTrace> {
        let begun = self.env.now();
        self.joined_by(deadline).await?;
        let key_id = self.key_id(key);
        let slot = self.slots.of(key_id);
        let target = self.slots.last_id(slot);
        let named = {
            let view = self.view();
            view.replica_list(slot, 1).first().map(|m| view.member(*m).node_id.clone())
        };
        let mut hops = Hops { ids: self.ids, all: Vec::new() };
        let found = match self.walks() {
            true => self.find_owner(target, deadline, &mut hops).await.map(|owner| owner.pointer),
            false => self.find_successor(target, deadline, &mut hops).await,
        };
        // To a node that ended on the way everybody was silent.
        let owner = found.map_err(|error| if self.ended() { stopped().with_source(error) } else { error })?;
        let unknown =
            || Error::new(ErrorKind::Unreachable, format!("nothing is known of the owner, {}", owner.node_id));
        Ok(LookupTrace {
            key_id: self.ids.hex(key_id),
            slot: slot.0,
            target: self.ids.hex(target),
            owner: self.pointed(&owner).ok_or_else(unknown)?,
            hops: hops.all,
            one_hop: named.as_ref() == Some(&owner.node_id),
            took: (self.env.now() - begun).as_secs_f64(),
        })
    }
}
