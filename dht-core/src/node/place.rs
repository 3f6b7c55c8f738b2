//! Where this node's positions lie, and whether a ring has room for another node.

use super::{Node, State};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::NodeRecord;

impl Node {
    /// Chooses our positions for the ring as it is known, in which we must not be active. True if they changed: then
    /// whoever knows our record must hear of it.
    pub(super) fn choose_positions(&self, state: &mut State) -> bool {
        let choices = self.choices(state, state.members.own());
        let changed = choices != state.members.own().choices;
        if changed {
            state.members.declare(|me| me.choices = choices, self.env.now());
            state.reset_vnodes();
        }
        changed
    }

    /// What `record` chooses in this ring. Nothing without consistent hashing: there positions are as in the paper.
    fn choices(&self, state: &State, record: &NodeRecord) -> Vec<u8> {
        if self.params.consistent_hashing { state.members.choices_for(record) } else { Vec::new() }
    }

    /// Whether a joining node would find a position, choosing as it will.
    pub(super) fn refuse_if_full(&self, record: &NodeRecord) -> Result<()> {
        let state = self.state();
        let bound = self.config.max_table_nodes;
        let known = state.members.get(&record.node_id).is_some_and(|known| known.record().present());
        let count = state.members.others_len() + usize::from(state.members.own().present());
        if !known && count >= bound {
            let context = format!("the ring has {count} nodes: max_table_nodes of {} is {bound}", self.node_id);
            return Err(Error::new(ErrorKind::RingFull, context));
        }
        // Where the first candidates have room, chosen ones do, since free ones are preferred: no need to choose.
        let mut record = NodeRecord { choices: Vec::new(), ..record.clone() };
        if state.members.has_room_for(&record) {
            return Ok(());
        }
        record.choices = self.choices(&state, &record);
        if state.members.has_room_for(&record) { Ok(()) } else { Err(self.ring_full(&record)) }
    }

    pub(super) fn ring_full(&self, record: &NodeRecord) -> Error {
        let context = format!(
            "the ring has no position left for {} in 2^{} ids; use more hash_bits or fewer virtual_nodes",
            record.node_id, self.params.hash_bits
        );
        Error::new(ErrorKind::RingFull, context)
    }
}
