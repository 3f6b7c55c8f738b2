//! One key being read: who was asked, what they said, and how far it is.

use std::collections::BTreeSet;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::data::record::{OpId, Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::node::peers::Peer;
use crate::node::quorum::Tally;
use crate::node::shown;
use crate::ring::record::NodeRecord;
use crate::ring::slot::Slot;

/// How far the read of a key is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Too few replicas have answered.
    Asking,
    /// Enough have, and they may differ.
    Counted,
    /// All that counted have the newest version.
    Mended,
}

/// See the module.
pub(super) struct Reading {
    pub(super) slot: Slot,
    pub(super) map: u32,
    pub(super) key: Bytes,
    /// An operation on the key that is asked for, and the highest version under which a replica stored it.
    pub(super) operation: Option<OpId>,
    pub(super) stored_as: Option<Version>,
    /// Whom the walk of this round found to keep the slot; empty without walks.
    pub(super) walked: Vec<NodeRecord>,
    pub(super) tally: Tally,
    /// The highest counter of its list that a replica named when they did not agree on it; 0: they did.
    pub(super) counter: u64,
    /// The newest record seen, and who answered with what.
    pub(super) newest: Option<Record>,
    pub(super) answers: Vec<(Peer, Option<Version>)>,
    pub(super) asked: BTreeSet<u64>,
    /// Replicas asked that have not answered yet.
    pub(super) waiting: usize,
    pub(super) wanted: usize,
    pub(super) stage: Stage,
    pub(super) failure: Option<Error>,
    /// A replica has more to do than it can.
    pub(super) refused: bool,
    /// A replica did not answer within its attempt: the value may be long, so the next attempts take longer.
    pub(super) slow: bool,
    /// Replicas that lack the newest version and could not be brought to it, and why the first of them; others may have it.
    pub(super) unfit: SmallVec<[u64; 2]>,
    pub(super) not_mended: Option<Error>,
    /// How many others there are in the list.
    pub(super) fit: usize,
}

impl Reading {
    /// The record of `key`, and an `operation` on it that is looked for.
    pub(super) fn of(slot: Slot, map: u32, key: &Bytes, operation: Option<OpId>) -> Self {
        Self {
            slot,
            map,
            key: key.clone(),
            operation,
            stored_as: None,
            walked: Vec::new(),
            tally: Tally::default(),
            counter: 0,
            newest: None,
            answers: Vec::new(),
            asked: BTreeSet::new(),
            waiting: 0,
            wanted: 0,
            stage: Stage::Asking,
            failure: None,
            refused: false,
            slow: false,
            unfit: SmallVec::new(),
            not_mended: None,
            fit: 0,
        }
    }

    /// Enough replicas have answered, and could be brought to the newest version so far.
    pub(super) fn is_done(&self) -> bool {
        self.stage != Stage::Asking
    }

    /// Too few replicas are left that could be brought to the newest version.
    pub(super) fn is_hopeless(&self) -> bool {
        self.not_mended.is_some() && self.fit < self.wanted
    }

    pub(super) fn overloaded(&self) -> bool {
        !self.is_done() && self.failure.as_ref().is_some_and(|error| error.kind() == ErrorKind::Overloaded)
    }

    pub(super) fn into_result(self) -> Result<(Option<Record>, Option<Version>)> {
        if self.is_done() {
            return Ok((self.newest, self.stored_as));
        }
        if let Some(error) = self.not_mended.map(Error::of_a_question) {
            let context =
                format!("the newest version of {} could not be brought to a quorum: {error}", shown(&self.key));
            return Err(Error::new(ErrorKind::Quorum, context).with_source(error));
        }
        let acks = self.tally.best().map_or(0, |(_, n)| n);
        // That somebody was asked once more when the time was over is no silence: what was said before counts.
        let silent = self.failure.as_ref().map_or(self.waiting > 0, |error| error.kind() == ErrorKind::Timeout);
        let cause = self.failure.map_or_else(|| "no replica is known".to_owned(), |e| e.of_a_question().to_string());
        let context = format!(
            "{acks} replicas answered for {}, the level asks for {}: {cause}",
            shown(&self.key),
            self.wanted.max(1)
        );
        let kind = match (self.refused, silent) {
            (true, _) => ErrorKind::Overloaded,
            (false, true) => ErrorKind::Timeout,
            (false, false) => ErrorKind::Quorum,
        };
        Err(Error::new(kind, context))
    }
}
