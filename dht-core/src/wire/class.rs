//! What a request is to a node that has more to do than it can.

use super::message::Request;

/// Who goes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// Keeps the ring together and costs little: answered however much there is to do, or nodes that are only busy
    /// would be taken for dead.
    Upkeep,
    /// What a coordinator has taken on already: refusing it wastes what was done for it.
    Begun,
    /// A caller waits for it, and can be told to come later.
    Foreground,
    /// Nobody waits for it.
    Background,
}

impl Request {
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Ping { .. }
            | Self::PingFor { .. }
            | Self::Sync { .. }
            | Self::Exchange { .. }
            | Self::Join { .. }
            | Self::Admit { .. }
            | Self::LastLife { .. }
            | Self::Merge { .. }
            | Self::Stabilize { .. }
            | Self::Notify { .. }
            | Self::Lookup { .. }
            | Self::Collect { .. }
            | Self::SealKey { .. } => Class::Upkeep,
            // Only says that somebody catches up.
            Self::Compare { items, .. } if items.is_empty() => Class::Upkeep,
            Self::Store { repair: false, .. } => Class::Begun,
            Self::Apply { .. } | Self::Fetch { .. } | Self::Scan(_) | Self::Describe { .. } => Class::Foreground,
            Self::Store { repair: true, .. }
            | Self::Compare { .. }
            | Self::CompareSums { .. }
            | Self::Versions { .. }
            | Self::Pull { .. } => Class::Background,
        }
    }
}
