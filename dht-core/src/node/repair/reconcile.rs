//! The one conversation that all repair consists of: compare slots with a peer, then bring over what is newer, from
//! there to here or from here to there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::copy::of_that_life;
use super::lacking::{Versions, by_digest, lacks};
use crate::data::fingerprint::Fingerprint;
use crate::data::parts::{keep_listed, sums_of};
use crate::data::record::{KeyDigest, Version};
use crate::error::{ErrorKind, Result};
use crate::node::Node;
use crate::node::peers::Peer;
use crate::ring::list::ListId;
use crate::ring::slot::Slot;
use crate::wire::limits::{DIGESTS_MAX, SLOTS_MAX};
use crate::wire::message::{CompareItem, CompareResult, PullItem, Request, Response};

/// Slots of one peer reconciled at a time.
const PARALLEL: usize = 8;
/// What one entry of a list of versions takes on the way.
const VERSION_LEN: usize = 40;
/// A bulk stream without an item for this long is broken.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(5);

/// A disk may take its time.
const DISK_MAX: Duration = Duration::from_secs(5);

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
type Listed = (Vec<(KeyDigest, Version)>, Option<Vec<u32>>);

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
            let request = Request::Compare { items, catching_up: self.catches_up(chunk), durable: false };
            let Response::Compared { results } = self.call(peer, request, until, 0).await? else {
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

    /// Waits until what was merged into `slots` at `peer` by now outlives a crash there.
    ///
    /// # Errors
    /// As of any call.
    pub(super) async fn durable_at(&self, peer: &Peer, slots: &[Slot]) -> Result<()> {
        for chunk in slots.chunks(SLOTS_MAX) {
            let item =
                |slot: &Slot| CompareItem { slot: *slot, list: ListId::UNKNOWN, fingerprint: Fingerprint::EMPTY };
            let items = chunk.iter().map(item).collect();
            let until = self.env.now() + self.config.request_timeout.max(DISK_MAX);
            self.call(peer, Request::Compare { items, catching_up: false, durable: true }, until, 0).await?;
        }
        Ok(())
    }

    /// This node may hold what was deleted while it did not hear of it, until it has caught up with these slots.
    fn catches_up(&self, slots: &[Slot]) -> bool {
        let state = self.state();
        slots.iter().any(|slot| state.table.get(*slot).is_some_and(|slot| slot.catch_up.is_some()))
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
                    self.note_busy(&error, &[slot]);
                    if error.kind() == ErrorKind::MemoryFull {
                        self.state().no_room_for.insert((slot, peer.boot));
                    }
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
        let (theirs, ours) = (by_digest(theirs), by_digest(ours));
        // Asked for after the list: what was evicted since then is still in it.
        let evicted_here = self.store.evicted_before_s(slot);
        let differs = |(digest, versions): &(&KeyDigest, &Versions)| ours.get(digest).is_some_and(|v| v != *versions);
        self.stats.conflicts_resolved.add(theirs.iter().filter(differs).count() as u64);
        let mut no_room = None;
        if direction != Direction::There {
            let newer = |(digest, versions): &(&KeyDigest, &Versions)| lacks(&ours, digest, versions, evicted_here);
            let wanted = theirs.iter().filter(newer).map(|(digest, _)| *digest);
            let (renewed, new): (Vec<KeyDigest>, Vec<KeyDigest>) = wanted.partition(|digest| ours.contains_key(digest));
            // First, and behind what has no room too, what is newer of what is here: there may be deletions, which need none
            // and would be forgotten before there is room.
            for digests in renewed.chunks(DIGESTS_MAX) {
                let keep = |slot, record| match self.keep_copied(slot, record, &[slot]) {
                    Err(error) if error.kind() == ErrorKind::MemoryFull => {
                        no_room.get_or_insert(error);
                        Ok(())
                    }
                    kept => kept,
                };
                let items = vec![PullItem { slot, digests: digests.to_vec() }];
                self.pull(peer, items, Some(&self.pace), keep).await?;
            }
            for digests in new.chunks(DIGESTS_MAX).take_while(|_| direction != Direction::Renewal) {
                let items = vec![PullItem { slot, digests: digests.to_vec() }];
                let keep = |slot, record| self.keep_copied(slot, record, &[slot]);
                match self.pull(peer, items, Some(&self.pace), keep).await {
                    Err(error) if error.kind() == ErrorKind::MemoryFull => {
                        no_room.get_or_insert(error);
                        break;
                    }
                    pulled => pulled?,
                };
            }
        }
        if matches!(direction, Direction::There | Direction::Both) {
            let newer = |(digest, versions): &(&KeyDigest, &Versions)| lacks(&theirs, digest, versions, evicted_there);
            let lacking: Vec<KeyDigest> = ours.iter().filter(newer).map(|(d, _)| *d).collect();
            self.push(peer, slot, &lacking).await?;
        }
        // A renewal is done with what there is room for.
        no_room.filter(|_| direction != Direction::Renewal).map_or(Ok(()), Err)
    }

    /// What `peer` has in the slot, or in those parts of it that it listed, since their sums differ from these.
    async fn versions_of(&self, peer: &Peer, slot: Slot, parts: Vec<u64>) -> Result<Listed> {
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
            compared.into_iter().partition(|c| [c.ours, Fingerprint::EMPTY].contains(&c.theirs.fingerprint));
        let differing: Vec<Differing> = differing.iter().map(|c| (c.slot, c.theirs.evicted_before_s)).collect();
        here.extend(equal.iter().map(|c| c.slot));
        here.extend(self.reconcile(peer, &differing, Direction::Here, until).await.0);
        Ok(here)
    }
}
