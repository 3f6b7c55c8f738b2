//! The life of a node: joining → active → (leaving → left) → stopped, never back.

/// Where in its life a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    /// In no ring, or not yet in any replica list.
    Joining,
    /// In the ring (a client: has a view).
    Active,
    /// Hands over.
    Leaving,
    /// Said goodbye.
    Left,
    /// Ended without a goodbye.
    Stopped,
}

impl Phase {
    /// Data calls work.
    pub(crate) fn serves(self) -> bool {
        matches!(self, Self::Active | Self::Leaving)
    }

    /// Nothing works any more.
    pub(crate) fn ended(self) -> bool {
        matches!(self, Self::Left | Self::Stopped)
    }
}
