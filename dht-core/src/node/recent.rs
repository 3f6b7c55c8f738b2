//! Which operations this owner applied lately, and under which version: a retry finds its own here, however many
//! others have written the key since. A retry through another owner is recognised by the ids in the record.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::data::FixedMap;
use crate::data::record::{OpId, Version};

/// Operations remembered. At 10,000 a second that is six seconds, three times the default bound of a call.
const OPERATIONS: usize = 65_536;

/// The newest operations of this node as an owner.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Applied>);

#[derive(Default)]
struct Applied {
    versions: FixedMap<OpId, Version>,
    order: VecDeque<OpId>,
}

impl Recent {
    /// The operation has this version now; a restamped one replaces its former version.
    pub(crate) fn applied(&self, id: OpId, version: Version) {
        // Map and queue are changed together without anything between that could panic.
        let mut applied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if applied.versions.insert(id, version).is_some() {
            return;
        }
        applied.order.push_back(id);
        if applied.order.len() > OPERATIONS
            && let Some(oldest) = applied.order.pop_front()
        {
            applied.versions.remove(&oldest);
        }
    }

    pub(crate) fn version_of(&self, id: OpId) -> Option<Version> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).versions.get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered_with_their_last_version() {
        let recent = Recent::default();
        let id = |sequence: u64| OpId { origin: 1, sequence };
        let version = |hlc: u64| Version { hlc, node: 1, boot: 1 };
        for n in 0..=OPERATIONS as u64 {
            recent.applied(id(n), version(n));
        }
        recent.applied(id(7), version(99));
        assert_eq!(recent.version_of(id(0)), None, "the oldest made room");
        assert_eq!(recent.version_of(id(1)), Some(version(1)));
        assert_eq!(recent.version_of(id(7)), Some(version(99)));
    }
}
