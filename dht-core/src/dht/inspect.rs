//! What tests and the checker of a simulator look at: no part of the interface.

use super::Dht;
use crate::node::{Inspection, Pointers};
use crate::ring::record::NodeId;

impl Dht {
    /// What the checker of a simulator looks at.
    #[doc(hidden)]
    pub fn inspect(&self) -> Inspection {
        self.0.node.inspect()
    }

    /// Chord's pointers of each position, for the checker of a simulator; `None` while this node is no member.
    #[doc(hidden)]
    pub fn pointers(&self) -> Option<Vec<Pointers>> {
        self.0.node.pointers()
    }

    /// Whether that life of that node is in this node's view.
    #[doc(hidden)]
    pub fn sees(&self, node_id: &NodeId, boot: u64) -> bool {
        self.0.node.sees(node_id, boot)
    }

    /// Fingerprint and number of the members of this node's view.
    #[doc(hidden)]
    pub fn view(&self) -> (u64, usize) {
        let view = self.0.node.view();
        (view.fingerprint(), view.members().len())
    }

    /// Through what this node tries to find a ring: the configured seeds and those of explicit joins.
    #[doc(hidden)]
    pub fn seeds(&self) -> Vec<String> {
        self.0.node.seeds()
    }

    /// How many others this node would find again if it were started anew; `None` if it was not written yet.
    #[doc(hidden)]
    pub fn remembers(&self) -> Option<usize> {
        self.0.node.remembers()
    }

    /// Whether what this node found in its `data_dir` was older than its last life.
    #[doc(hidden)]
    pub fn is_outdated(&self) -> bool {
        self.0.node.is_outdated()
    }

    /// For tests that show what it is good for: from now on this node replaces lost copies at once, however many were lost.
    #[doc(hidden)]
    pub fn switch_off_mass_loss_guard(&self) {
        self.0.node.switch_off_mass_loss_guard();
    }
}
