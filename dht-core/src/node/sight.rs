//! `min_replicas`: whether enough of a slot's replicas are in sight for its keys to be written here.

use super::Node;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::slot::Slot;
use crate::ring::view::RingView;

impl Node {
    /// Refuses writes of a slot of whose list too few are in sight: members of this side of the ring that are not
    /// suspected and take writes, newcomers among them.
    ///
    /// # Errors
    /// `Quorum`, with how many are in sight and how many `min_replicas` asks for. Nothing was done.
    pub(super) fn enough_in_sight(&self, view: &RingView, slot: Slot) -> Result<()> {
        let wanted = self.config.min_replicas;
        if wanted <= 1 {
            return Ok(());
        }
        let list = view.replica_list(slot, self.replicas());
        let in_sight = list.iter().filter(|m| view.member(**m).takes_writes()).count();
        if in_sight >= wanted {
            return Ok(());
        }
        let context =
            format!("{in_sight} replicas of the key are in sight of {}: min_replicas is {wanted}", self.node_id);
        Err(Error::new(ErrorKind::Quorum, context))
    }
}
