//! The one conversation that all repair consists of: compare slots with a peer, then bring over what is newer, from
//! there to here or from here to there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::pace::{Pace, carried_len};
use crate::data::fingerprint::Fingerprint;
use crate::data::hlc;
use crate::data::parts::{keep_listed, sums_of};
use crate::data::record::{KeyDigest, Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::node::Node;
use crate::node::peers::Peer;
use crate::ring::list::ListId;
use crate::ring::slot::Slot;
use crate::transport::{Reply, TransportError, call_error};
use crate::wire::limits::{DIGESTS_MAX, ITEMS_MAX, SLOTS_MAX};
use crate::wire::message::{CompareItem, CompareResult, PullItem, Request, Response, StoreItem, StoreResult};

/// Payload of one message of records.
pub(crate) const BATCH_BYTES: usize = 256 << 10;
/// Slots of one peer reconciled at a time.
const PARALLEL: usize = 8;
/// Slots copied by one request at first, then as many as have a portion (`Pace::portion`): what is begun is not broken off,
/// so that nothing is on its way in vain.
const PULL_SLOTS: usize = 16;
/// What one entry of a list of versions takes on the way.
const VERSION_LEN: usize = 40;
/// A bulk stream without an item for this long is broken.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// Which way records go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Here,
    There,
    Both,
    /// To here, and only what is newer of what is here.
    Renewal,
}

/// One slot compared with one peer.
pub(crate) struct Compared {
    pub(crate) slot: Slot,
    /// Our side when it was compared.
    pub(crate) ours: Fingerprint,
    pub(crate) theirs: CompareResult,
}

/// A slot that differs at a peer, and what may have been evicted there (`CompareResult::evicted_before_s`).
pub(crate) type Differing = (Slot, u32);

/// What a peer has in a slot, and which parts of it that is; `None`: all.
type Versions = (Vec<(KeyDigest, Version)>, Option<Vec<u32>>);

impl Node {
    /// Asks `peer` for its side of `slots`; what it does not know counts as different.
    pub(crate) async fn compare(&self, peer: &Peer, slots: &[Slot]) -> Result<Vec<Compared>> {
        let mut compared = Vec::with_capacity(slots.len());
        for chunk in slots.chunks(SLOTS_MAX) {
            let mut items = Vec::with_capacity(chunk.len());
            for &slot in chunk {
                let fingerprint = self.store.fingerprint(slot)?;
                let unknown = ListId::UNKNOWN;
                let list = self.state().table.list(slot).unwrap_or(unknown);
                items.push(CompareItem { slot, list, fingerprint });
            }
            let ours: Vec<Fingerprint> = items.iter().map(|i| i.fingerprint).collect();
            // A lost message costs a moment, not a whole call's time: the next pass asks again.
            let until = self.attempt_deadline(peer, self.env.now() + self.config.request_timeout);
            let Response::Compared { results } = self.call(peer, Request::Compare { items }, until, 0).await? else {
                return Err(crate::node::serve::unexpected(peer));
            };
            if results.len() != chunk.len() {
                return Err(crate::node::serve::unexpected(peer));
            }
            let sides = chunk.iter().zip(ours).zip(results);
            compared.extend(sides.map(|((&slot, ours), theirs)| Compared { slot, ours, theirs }));
        }
        Ok(compared)
    }

    /// Brings over what is newer in each of `slots`, but for what may have been evicted where it would go, and begins with
    /// none of them after `until`; returns those of which that succeeded, and those it did not begin with.
    pub(crate) async fn reconcile(
        self: &Arc<Self>,
        peer: &Peer,
        slots: &[Differing],
        direction: Direction,
        until: Option<Instant>,
    ) -> (Vec<Slot>, Vec<Slot>) {
        let one = |differing: Differing| async move {
            let result = match self.is_past(until) {
                true => Ok(false),
                false => self.reconcile_slot(peer, differing, direction).await.map(|()| true),
            };
            (differing.0, result)
        };
        let mut running = futures_util::stream::iter(slots.iter().copied().map(one)).buffer_unordered(PARALLEL);
        let (mut done, mut left) = (Vec::new(), Vec::new());
        while let Some((slot, result)) = running.next().await {
            match result {
                Ok(true) => done.push(slot),
                Ok(false) => left.push(slot),
                Err(error) => {
                    log!(self, debug, peer = %peer.node_id, ?slot, %error, "not reconciled yet");
                }
            }
        }
        done.sort_unstable();
        (done, left)
    }

    pub(super) fn is_past(&self, until: Option<Instant>) -> bool {
        until.is_some_and(|until| self.env.now() >= until)
    }

    async fn reconcile_slot(&self, peer: &Peer, (slot, evicted_there): Differing, direction: Direction) -> Result<()> {
        let mut ours = self.store.versions(slot)?;
        let sums = sums_of(&ours);
        let parts = sums.len();
        let (theirs, listed) = self.versions_of(peer, slot, sums).await?;
        if let Some(listed) = listed {
            keep_listed(&mut ours, &listed, parts);
        }
        let theirs: BTreeMap<KeyDigest, Version> = theirs.into_iter().collect();
        let ours: BTreeMap<KeyDigest, Version> = ours.into_iter().collect();
        // Asked for after the list: what was evicted since then is still in it.
        let evicted_here = self.store.evicted_before_s(slot);
        let differs = |(digest, version): &(&KeyDigest, &Version)| ours.get(digest).is_some_and(|v| v != *version);
        self.stats.conflicts_resolved.add(theirs.iter().filter(differs).count() as u64);
        if direction != Direction::There {
            let newer = |(digest, version): &(&KeyDigest, &Version)| {
                let concerned = direction != Direction::Renewal || ours.contains_key(*digest);
                concerned && lacks(&ours, digest, version, evicted_here)
            };
            let wanted: Vec<KeyDigest> = theirs.iter().filter(newer).map(|(d, _)| *d).collect();
            for digests in wanted.chunks(DIGESTS_MAX) {
                let items = vec![PullItem { slot, digests: digests.to_vec() }];
                let keep = |slot, record| match self.keep_copied(slot, record, &[slot]) {
                    // Behind what has no room there may be deletions, which need none.
                    Err(_) if direction == Direction::Renewal => Ok(()),
                    kept => kept,
                };
                self.pull(peer, items, Some(&self.pace), keep).await?;
            }
        }
        if matches!(direction, Direction::There | Direction::Both) {
            let newer = |(digest, version): &(&KeyDigest, &Version)| lacks(&theirs, digest, version, evicted_there);
            let lacking: Vec<KeyDigest> = ours.iter().filter(newer).map(|(d, _)| *d).collect();
            self.push(peer, slot, &lacking).await?;
        }
        Ok(())
    }

    /// What `peer` has in the slot, or in those parts of it that it listed, since their sums differ from these.
    async fn versions_of(&self, peer: &Peer, slot: Slot, parts: Vec<u64>) -> Result<Versions> {
        self.pace.turn(&self.env).await;
        let mut stream = self.open(peer, Request::Versions { slot, parts }, IDLE_MAX).await?;
        let (mut all, mut some) = (Vec::new(), None);
        while let Some(reply) = stream.next().await {
            match of_that_life(peer, reply)? {
                Response::Versions { entries, listed } => {
                    some = some.or(listed);
                    self.pace.moved(entries.len() * VERSION_LEN, self.env.now());
                    all.extend(entries);
                }
                Response::Failure(error) => return Err(error),
                _ => return Err(crate::node::serve::unexpected(peer)),
            }
        }
        Ok((all, some))
    }

    /// Copies from `peer` what is newer there: all of the slots of which nothing is here, of the others what differs. Begins
    /// with nothing after `until`. Returns the slots of which everything is here then.
    pub(crate) async fn bring_over(
        self: &Arc<Self>,
        peer: &Peer,
        slots: &[Slot],
        until: Option<Instant>,
    ) -> Result<Vec<Slot>> {
        let (mut empty, mut filled) = (Vec::new(), Vec::new());
        for &slot in slots {
            let kept = self.store.fingerprint(slot)? != Fingerprint::EMPTY;
            if kept { &mut filled } else { &mut empty }.push(slot);
        }
        let mut here = Vec::new();
        self.pull_slots(peer, &empty, until, |slots| here.extend_from_slice(slots)).await?;
        let compared = self.compare(peer, &filled).await?;
        let (equal, differing): (Vec<Compared>, Vec<Compared>) =
            compared.into_iter().partition(|c| c.ours == c.theirs.fingerprint);
        let differing: Vec<Differing> = differing.iter().map(|c| (c.slot, c.theirs.evicted_before_s)).collect();
        here.extend(equal.iter().map(|c| c.slot));
        here.extend(self.reconcile(peer, &differing, Direction::Here, until).await.0);
        Ok(here)
    }

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

    /// Asks `peer` for these records and hands each to `keep`, until that fails; at the rate of `pace`, if any. Returns how
    /// many bytes of records came.
    async fn pull(
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
        let mut stream = self.open(peer, Request::Pull { items }, IDLE_MAX).await?;
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
    fn keep_copied(&self, slot: Slot, record: Record, wanted: &[Slot]) -> Result<()> {
        let taken = self.take_in_repaired(slot, record).map(|_| ());
        taken.inspect_err(|error| self.note_not_kept(error, wanted))
    }

    async fn push(&self, peer: &Peer, slot: Slot, digests: &[KeyDigest]) -> Result<()> {
        let mut rest = digests;
        while !rest.is_empty() {
            self.pace.turn(&self.env).await;
            let some = &rest[..rest.len().min(ITEMS_MAX)];
            let (records, dealt_with) = self.store.records(slot, some, BATCH_BYTES)?;
            rest = &rest[dealt_with.clamp(1, some.len())..];
            let list = ListId::UNKNOWN;
            self.pace.moved(carried_len(&records), self.env.now());
            let items: Vec<StoreItem> = records.into_iter().map(|record| StoreItem { slot, list, record }).collect();
            let bytes: usize = items.iter().map(|i| i.record.payload_len()).sum();
            let deadline = self.env.now() + self.config.call_timeout(bytes);
            self.stats.replications_sent.add(items.len() as u64);
            match self.call(peer, Request::Store { items, repair: true }, deadline, 0).await? {
                Response::Stored { results } => {
                    let refused = results.into_iter().find_map(|r| match r {
                        StoreResult::Failed(error) => Some(error),
                        StoreResult::Stale { .. } => Some(Error::new(ErrorKind::Internal, "a repair cannot be stale")),
                        StoreResult::Stored { .. } | StoreResult::Refused { .. } => None,
                    });
                    if let Some(error) = refused {
                        self.note_no_room(&error);
                        return Err(error);
                    }
                }
                _ => return Err(crate::node::serve::unexpected(peer)),
            }
        }
        Ok(())
    }

    /// A store has no room for a repair: that is tried again after a while.
    fn note_no_room(&self, error: &Error) {
        if error.kind() == ErrorKind::MemoryFull {
            self.state().no_room = true;
        }
    }

    /// This node's own store did not take in a part of these slots. A newcomer goes on waiting until it does, however long,
    /// rather than do without what it lacks.
    fn note_not_kept(&self, error: &Error, slots: &[Slot]) {
        self.note_no_room(error);
        self.state().table.cannot_keep(slots, self.env.now());
    }
}

/// What the node said that was asked: one that was started anew at its address has another past.
fn of_that_life(peer: &Peer, reply: std::result::Result<Reply, TransportError>) -> Result<Response> {
    let reply = reply.map_err(call_error)?;
    if reply.head.sender == peer.boot || planted!("any_life_answers") {
        return Ok(reply.body);
    }
    let context = format!("{} at {} was started anew meanwhile", peer.node_id, peer.address);
    Err(Error::new(ErrorKind::Unreachable, context))
}

/// Whether a record is older or missing there, and not because it was evicted.
fn lacks(there: &BTreeMap<KeyDigest, Version>, digest: &KeyDigest, version: &Version, evicted_before_s: u32) -> bool {
    match there.get(digest) {
        Some(present) => present < version,
        None => hlc::wall_ms(version.hlc) / 1_000 >= u64::from(evicted_before_s),
    }
}
