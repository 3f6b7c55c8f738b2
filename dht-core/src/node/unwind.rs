//! The check that unwinds loopy rings: pointers that agree with each other and yet go round the ring more than once, which
//! stabilize alone never mends (Liben-Nowell, Balakrishnan and Karger 2002, *Observations on the Dynamic Evolution of
//! Peer-to-Peer Networks*; Stoica et al. 2003, §IV.E).
//!
//! A walk that begins at a position's successor looks for the owner of the position itself, so it goes round the ring. In a
//! ring that goes round once its owner is this node; in another the walk meets a node of the other turn, which names its
//! own successor, and if that one is nearer than ours, it is asked and becomes it. (For id + 1, the successor would answer
//! that it is the owner itself.) Only nodes that find owners by walking check: the others have their pointers from the view.

use std::sync::Arc;

use super::Node;
use crate::ring::frontier::Frontier;
use crate::ring::id::Id;
use crate::ring::route::Route;
use crate::ring::vnode::Pointer;

/// Periods of stabilize between two checks, one position each in turn: a safeguard, and its walk costs as much as a lookup.
const PERIODS: u32 = 30;

/// Checks for life.
pub(crate) async fn unwind(node: Arc<Node>) {
    let mut turn = 0usize;
    loop {
        tokio::time::sleep(node.env.jittered(node.config.stabilize_interval * PERIODS)).await;
        turn = (turn + 1) % node.state().vnodes.len().max(1);
        if let Some((id, nearer)) = node.other_turn(turn).await {
            log!(node, warn, nearer = %nearer.node_id, "the ring goes round more than once; unwinding it");
            node.stabilize_with(turn, id, nearer).await;
        }
    }
}

impl Node {
    /// A node nearer than the successor of that position, found by a walk round the ring; and the position.
    async fn other_turn(self: &Arc<Self>, index: usize) -> Option<(Id, Pointer)> {
        let vnode = self.state().vnodes.get(index).cloned()?;
        let successor = vnode.successors.first()?;
        let begin = Route { pointers: vec![successor.clone()], ..Route::default() };
        let frontier = Frontier::new(self.ids, vnode.id, self.node_id.clone(), false, begin);
        let deadline = self.env.now() + self.config.request_timeout;
        // A walk that fails says nothing; there is a next one.
        let found = self.walk(frontier, vnode.id, deadline, &mut ()).await.ok()?.pointer;
        vnode.unwound_by(&self.node_id, &found).then_some((vnode.id, found))
    }
}
