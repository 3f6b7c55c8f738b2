//! What one client may rely on, whatever others do (Terry et al., "Session guarantees for weakly consistent replicated
//! data", 1994), told from the versions that it saw.

use dht_core::Version;

use super::{Operation, Rule};
use crate::FixedMap;

/// The highest versions that a client has read and written.
#[derive(Clone, Copy, Default)]
struct Session {
    read: Option<Version>,
    written: Option<Version>,
}

/// Checks one key.
pub fn check(operations: &[Operation], report: &mut dyn FnMut(Rule, String)) {
    let mut sessions: FixedMap<u32, Session> = FixedMap::default();
    for operation in operations.iter().filter(|o| !o.peeks()) {
        let Some(told) = operation.told() else { continue };
        let Some(version) = told.version else { continue };
        let session = sessions.entry(operation.client).or_default();
        let mut above = |known: Option<Version>, rule: Rule| {
            if known.is_some_and(|known| version < known || told.changed && version == known) {
                let known = known.unwrap_or_default();
                report(rule, format!("{operation:?} has {version}, its client knew {known}"));
            }
        };
        if told.changed {
            above(session.read, Rule::WritesFollowReads);
            above(session.written, Rule::MonotonicWrites);
            session.written = session.written.max(Some(version));
        } else {
            above(session.read, Rule::MonotonicReads);
            above(session.written, Rule::ReadYourWrites);
            session.read = session.read.max(Some(version));
        }
    }
}
