//! What a request is to a node that has more to do than it can.

use super::message::Request;
use crate::ring::list::ListId;

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
            Self::Store { repair: false, .. } | Self::Pull { urgent: true, .. } => Class::Begun,
            // Writes wait until who owned the slot before has said that it goes by the new list.
            Self::Compare { catching_up: true, .. } => Class::Begun,
            // Of a read that mends before it answers; other repairs are of no list.
            Self::Store { items, .. } if items.iter().any(|item| item.list != ListId::UNKNOWN) => Class::Begun,
            Self::Apply { .. } | Self::Fetch { .. } | Self::Scan(_) | Self::Describe { .. } => Class::Foreground,
            Self::Store { repair: true, .. }
            | Self::Compare { .. }
            | Self::CompareSums { .. }
            | Self::Versions { .. }
            | Self::Pull { .. } => Class::Background,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::fingerprint::Fingerprint;
    use crate::data::record::Record;
    use crate::ring::slot::Slot;
    use crate::wire::message::{CompareItem, StoreItem};

    #[test]
    fn what_an_operation_waits_for_goes_before_what_nobody_waits_for() {
        let pull = |urgent| Request::Pull { items: Vec::new(), urgent }.class();
        assert_eq!((pull(true), pull(false)), (Class::Begun, Class::Background));
        let compare = |catching_up| {
            let items = vec![CompareItem { slot: Slot(0), list: ListId::UNKNOWN, fingerprint: Fingerprint::default() }];
            Request::Compare { items, catching_up, durable: false }.class()
        };
        assert_eq!((compare(true), compare(false)), (Class::Begun, Class::Background));
        let store = |list, repair| {
            let (version, operations) = Default::default();
            let record = Record { map: 0, key: "k".into(), value: None, version, expires_at_ms: 0, operations };
            let item = StoreItem { slot: Slot(0), list, record };
            Request::Store { items: vec![item], repair }.class()
        };
        let list = ListId { counter: 1, members: 2, epoch: 3 };
        assert_eq!((store(list, false), store(list, true)), (Class::Begun, Class::Begun));
        assert_eq!(store(ListId::UNKNOWN, true), Class::Background);
    }
}
