//! Records on their way for repair: pulled from a peer, or pushed to it, at the pace that all repair keeps.

use tokio::time::Instant;

use super::pace::{Pace, carried_len};
use super::reconcile::IDLE_MAX;
use crate::data::record::{KeyDigest, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::node::Node;
use crate::node::peers::Peer;
use crate::ring::list::ListId;
use crate::ring::slot::Slot;
use crate::transport::{Reply, TransportError, call_error};
use crate::wire::limits::ITEMS_MAX;
use crate::wire::message::{PullItem, Request, Response, StoreItem, StoreResult};

/// Payload of one message of records.
pub(crate) const BATCH_BYTES: usize = 256 << 10;
/// Slots copied by one request at first, then as many as have a portion (`Pace::portion`): what is begun is not broken off,
/// so that nothing is on its way in vain.
const PULL_SLOTS: usize = 16;

impl Node {
    /// Copies everything in `slots` from `peer`, some at a time, and tells `copied` of each time; asks for none after `until`.
    /// Returns those it did not ask for.
    pub(super) async fn pull_slots<'a>(
        &self,
        peer: &Peer,
        slots: &'a [Slot],
        until: Option<Instant>,
        mut copied: impl FnMut(&[Slot]),
    ) -> Result<&'a [Slot]> {
        let (mut rest, mut count) = (slots, PULL_SLOTS);
        while !rest.is_empty() && !self.is_past(until) {
            let (some, others) = rest.split_at(count.min(rest.len()));
            let items = some.iter().map(|&slot| PullItem { slot, digests: Vec::new() }).collect();
            // What cannot be kept here now, is as little kept of those after them.
            let keep = |slot, record| self.keep_copied(slot, record, rest);
            let bytes = self.pull(peer, items, Some(&self.pace), keep).await?;
            copied(some);
            rest = others;
            count = (some.len() * self.pace.portion() / bytes.max(1)).clamp(1, ITEMS_MAX.min(some.len() * 4));
        }
        Ok(rest)
    }

    /// Takes in what `peer` has of some keys, at once: an operation waits for it.
    pub(in crate::node) async fn fetch_newer(&self, peer: &Peer, wanted: Vec<(Slot, KeyDigest)>) -> Result<()> {
        let items = wanted.into_iter().map(|(slot, digest)| PullItem { slot, digests: vec![digest] }).collect();
        let keep = |slot, record: Record| {
            self.hlc.observe(record.version.hlc);
            // A few, and others have them all: they make no store larger for long.
            self.store.merge_beyond_bound(slot, record).map(|_| ())
        };
        self.pull(peer, items, None, keep).await.map(|_| ())
    }

    /// Asks `peer` for these records and hands each to `keep`, until that fails; at the rate of `pace`; without one an
    /// operation waits for them. Returns how
    /// many bytes of records came.
    pub(super) async fn pull(
        &self,
        peer: &Peer,
        items: Vec<PullItem>,
        pace: Option<&Pace>,
        mut keep: impl FnMut(Slot, Record) -> Result<()>,
    ) -> Result<usize> {
        let turn = || async {
            if let Some(pace) = pace {
                pace.turn(&self.env).await;
            }
        };
        turn().await;
        let mut stream = self.open(peer, Request::Pull { items, urgent: pace.is_none() }, IDLE_MAX).await?;
        let mut bytes = 0;
        while let Some(reply) = stream.next().await {
            match of_that_life(peer, reply)? {
                Response::Records { mut items } => {
                    if planted!("copy_short") {
                        items.pop();
                    }
                    let len = carried_len(items.iter().map(|(_, record)| record));
                    bytes += len;
                    if let Some(pace) = pace {
                        pace.moved(len, self.env.now());
                    }
                    items.into_iter().try_for_each(|(slot, record)| keep(slot, record))?;
                    // What comes next is sent when this is taken.
                    turn().await;
                }
                Response::Failure(error) => return Err(error),
                _ => return Err(crate::node::serve::unexpected(peer)),
            }
        }
        Ok(bytes)
    }

    /// Takes in a record of a copy; if that is not possible, notes so of these slots.
    pub(super) fn keep_copied(&self, slot: Slot, record: Record, wanted: &[Slot]) -> Result<()> {
        let taken = self.take_in_repaired(slot, record).map(|_| ());
        taken.inspect_err(|error| self.note_not_kept(error, wanted))
    }

    /// Brings these records to `peer`; once it has no room, only deletions, which need none.
    pub(super) async fn push(&self, peer: &Peer, slot: Slot, digests: &[KeyDigest]) -> Result<()> {
        let mut rest = digests;
        let mut no_room = None;
        while !rest.is_empty() {
            self.pace.turn(&self.env).await;
            let some = &rest[..rest.len().min(ITEMS_MAX)];
            let (mut records, dealt_with) = self.store.records(slot, some, BATCH_BYTES)?;
            rest = &rest[dealt_with.clamp(1, some.len())..];
            if no_room.is_some() {
                records.retain(|record| record.value.is_none());
                if records.is_empty() {
                    continue;
                }
            }
            let list = ListId::UNKNOWN;
            self.pace.moved(carried_len(&records), self.env.now());
            let items: Vec<StoreItem> = records.into_iter().map(|record| StoreItem { slot, list, record }).collect();
            let bytes: usize = items.iter().map(|i| i.record.payload_len()).sum();
            let deadline = self.env.now() + self.config.call_timeout(bytes);
            self.stats.replications_sent.add(items.len() as u64);
            let Response::Stored { results } =
                self.call(peer, Request::Store { items, repair: true }, deadline, 0).await?
            else {
                return Err(crate::node::serve::unexpected(peer));
            };
            for result in results {
                match result {
                    StoreResult::Stored { .. } | StoreResult::Refused { .. } => {}
                    StoreResult::Failed(error) if error.kind() == ErrorKind::MemoryFull => {
                        self.note_no_room(&error);
                        no_room.get_or_insert(error);
                    }
                    StoreResult::Failed(error) => return Err(error),
                    StoreResult::Stale { .. } => {
                        return Err(Error::new(ErrorKind::Internal, "a repair cannot be stale"));
                    }
                }
            }
        }
        no_room.map_or(Ok(()), Err)
    }

    /// A store has no room for a repair: that is tried again after a while.
    fn note_no_room(&self, error: &Error) {
        if error.kind() == ErrorKind::MemoryFull {
            self.state().no_room = true;
        }
    }

    /// A source that has more to do than it can lives: a newcomer of these slots has not waited for it in vain.
    pub(super) fn note_busy(&self, error: &Error, slots: &[Slot]) {
        if error.kind() == ErrorKind::Overloaded {
            self.state().table.sources_are_busy(slots, self.env.now());
        }
    }

    /// This node's own store did not take in a part of these slots. A newcomer goes on waiting until it does, however long,
    /// rather than do without what it lacks.
    fn note_not_kept(&self, error: &Error, slots: &[Slot]) {
        self.note_no_room(error);
        self.state().table.hold_up(slots, self.env.now());
    }
}

/// What the node said that was asked: one that was started anew at its address has another past.
pub(super) fn of_that_life(peer: &Peer, reply: std::result::Result<Reply, TransportError>) -> Result<Response> {
    let reply = reply.map_err(call_error)?;
    if reply.head.sender == peer.boot || planted!("any_life_answers") {
        return Ok(reply.body);
    }
    let context = format!("{} at {} was started anew meanwhile", peer.node_id, peer.address);
    Err(Error::new(ErrorKind::Unreachable, context))
}
