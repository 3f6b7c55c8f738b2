//! Brings the records of a snapshot to the replicas of the ring, a block at a time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::read::{Accepts, read};
use super::thread;
use crate::config::Consistency;
use crate::data::record::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::node::Node;
use crate::node::parts::parts;
use crate::node::peers::Peer;
use crate::node::quorum::wanted;
use crate::ring::list::ListId;
use crate::ring::slot::Slot;
use crate::shapes::RestoreInfo;
use crate::wire::message::{Request, Response, StoreItem, StoreResult};

/// Blocks that wait for the ring.
const AHEAD: usize = 2;
/// Before replicas that failed are tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// What the thread that reads says.
enum Part {
    Records(Vec<Record>),
    End(Result<(u64, u64)>),
}

/// One record on its way to its replicas.
struct Restoring {
    slot: Slot,
    record: Record,
    /// Boots of those that have it, or a higher version.
    have: Vec<u64>,
    superseded: bool,
    wanted: usize,
}

impl Node {
    /// Merges the records of the snapshot at `path` into the ring.
    ///
    /// # Errors
    /// See `Dht::restore`.
    pub(crate) async fn restore(self: &Arc<Self>, path: PathBuf) -> Result<RestoreInfo> {
        let turn = self.snapshots.enter()?;
        self.joined_by(self.env.now() + self.config.request_timeout).await?;
        let bounds = self.ring().config;
        let accepts = Accepts {
            cluster: self.config.cluster_name.clone(),
            max_key_size: bounds.max_key_size,
            max_value_size: bounds.max_value_size,
        };
        let (sender, mut parts) = mpsc::channel(AHEAD);
        thread(move || {
            let gone = |_| Error::new(ErrorKind::Cancelled, "nobody waits for the restore any more");
            let end = read(&path, &accepts, |records| sender.blocking_send(Part::Records(records)).map_err(gone));
            drop(turn);
            // Nobody is told if nobody listens.
            let _ = sender.blocking_send(Part::End(end));
        })?;
        let mut sent = false;
        let restored = self.bring_all_back(&mut parts, &mut sent).await;
        // Once something was sent a part may be restored, whatever else fails.
        restored.map_err(|error| if sent { error.unknown_outcome() } else { error })
    }

    /// Brings what the thread reads to the ring; `sent`: whether anything of it may be there.
    async fn bring_all_back(
        self: &Arc<Self>,
        parts: &mut mpsc::Receiver<Part>,
        sent: &mut bool,
    ) -> Result<RestoreInfo> {
        let mut superseded = 0;
        loop {
            match parts.recv().await {
                Some(Part::Records(records)) => superseded += self.bring_back(records, sent).await?,
                Some(Part::End(end)) => {
                    return end.map(|(records, bytes)| RestoreInfo { records, superseded, bytes });
                }
                None => return Err(Error::new(ErrorKind::Internal, "the restore's thread panicked")),
            }
        }
    }

    /// Brings records to a quorum of their replicas; returns how many met a higher version.
    pub(in crate::node) async fn bring_back(self: &Arc<Self>, records: Vec<Record>, sent: &mut bool) -> Result<u64> {
        let bytes = records.iter().map(Record::payload_len).sum();
        let deadline = self.env.now() + self.config.call_timeout(bytes);
        let restoring = |record: Record| {
            let slot = self.slot_of(&record.key);
            Restoring { slot, record, have: Vec::new(), superseded: false, wanted: usize::MAX }
        };
        let mut all: Vec<Restoring> = records.into_iter().map(restoring).collect();
        loop {
            let seen = self.progress.seen();
            let failure = self.bring_round(&mut all, deadline, sent).await;
            if all.iter().all(|r| r.have.len() >= r.wanted) {
                return Ok(all.iter().filter(|r| r.superseded).count() as u64);
            }
            if self.ended() {
                return Err(self.ended_error());
            }
            let failure = failure.unwrap_or_else(|| Error::new(ErrorKind::NotJoined, "no replica is known"));
            let now = self.env.now();
            // Room does not come back by waiting.
            if now >= deadline || failure.kind() == ErrorKind::MemoryFull {
                let context = format!(
                    "too few replicas took what is restored: {}; what was restored stays, and restoring again goes on",
                    failure.context()
                );
                return Err(Error::new(failure.kind(), context).with_source(failure));
            }
            self.progress.since(seen, (now + self.env.jittered(PAUSE)).min(deadline)).await;
        }
    }

    /// Sends each record to those of its replicas that do not have it; what went wrong with one of them.
    async fn bring_round(self: &Arc<Self>, all: &mut [Restoring], deadline: Instant, sent: &mut bool) -> Option<Error> {
        let mut failure = None;
        let mut by_peer: BTreeMap<Peer, Vec<usize>> = BTreeMap::new();
        let unfinished = |r: &Restoring| r.have.len() < r.wanted;
        let slots = all.iter().filter(|r| unfinished(r)).map(|r| r.slot);
        let (lists, lost) = self.peers_of(slots, deadline).await;
        failure = failure.or(lost);
        for (index, restoring) in all.iter_mut().enumerate().filter(|(_, r)| unfinished(r)) {
            let Some(list) = lists.get(&restoring.slot) else { continue };
            restoring.wanted = wanted(Consistency::Quorum, list.len()).max(1);
            // Who is no replica any more does not count.
            restoring.have.retain(|boot| list.iter().any(|peer| peer.boot == *boot));
            for peer in list.iter().filter(|peer| !restoring.have.contains(&peer.boot)) {
                by_peer.entry(peer.clone()).or_default().push(index);
            }
        }
        let mut running = FuturesUnordered::new();
        for (peer, indices) in by_peer {
            for message in parts(indices, |&i| all[i].record.payload_len()) {
                let items: Vec<StoreItem> = message
                    .iter()
                    .map(|&i| StoreItem { slot: all[i].slot, list: ListId::UNKNOWN, record: all[i].record.clone() })
                    .collect();
                let (node, peer) = (self.clone(), peer.clone());
                *sent = true;
                running.push(async move {
                    let taken = node.give(&peer, items, deadline).await;
                    (peer, message, taken)
                });
            }
        }
        while let Some((peer, message, taken)) = running.next().await {
            let results = match taken {
                Ok(results) if results.len() == message.len() => results,
                Ok(_) => {
                    failure = Some(crate::node::serve::unexpected(&peer));
                    continue;
                }
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            for (index, result) in message.into_iter().zip(results) {
                let restoring = &mut all[index];
                match result {
                    StoreResult::Stored { .. } => restoring.have.push(peer.boot),
                    StoreResult::Refused { .. } => {
                        restoring.have.push(peer.boot);
                        restoring.superseded = true;
                    }
                    StoreResult::Stale { .. } => {}
                    StoreResult::Failed(error) => failure = Some(error),
                }
            }
        }
        // A replica that was not reached is brought to the same by the repair.
        for restoring in all.iter().filter(|r| lists.get(&r.slot).is_some_and(|list| r.have.len() < list.len())) {
            self.mark_dirty(restoring.slot);
        }
        failure
    }

    /// The replicas of each slot; of those that a walk did not find, why.
    async fn peers_of(
        self: &Arc<Self>,
        slots: impl Iterator<Item = Slot>,
        deadline: Instant,
    ) -> (BTreeMap<Slot, Vec<Peer>>, Option<Error>) {
        let (mut lists, mut failure) = (BTreeMap::new(), None);
        if self.walks() {
            for (slot, found) in self.find_owners(slots, deadline).await {
                match found {
                    Ok(owner) => drop(lists.insert(slot, owner.replicas.iter().map(Peer::from).collect())),
                    Err(error) => failure = Some(error),
                }
            }
            return (lists, failure);
        }
        let (view, replicas) = (self.view(), self.replicas());
        for slot in slots {
            let list = || view.replica_list(slot, replicas).iter().map(|m| Peer::from(view.member(*m))).collect();
            lists.entry(slot).or_insert_with(list);
        }
        lists.retain(|_, list: &mut Vec<Peer>| !list.is_empty());
        (lists, failure)
    }

    /// Keeps records here, or lets `peer` keep them.
    async fn give(self: &Arc<Self>, peer: &Peer, items: Vec<StoreItem>, deadline: Instant) -> Result<Vec<StoreResult>> {
        if peer.boot != self.boot {
            let bytes = items.iter().map(|item| item.record.payload_len()).sum();
            let until = self.attempt_deadline_of(bytes, peer, deadline);
            return match self.call(peer, Request::Store { items, repair: true }, until, 0).await? {
                Response::Stored { results } => Ok(results),
                _ => Err(crate::node::serve::unexpected(peer)),
            };
        }
        let mut results = Vec::with_capacity(items.len());
        for StoreItem { slot, record, .. } in items {
            let taken = self.take_in_repaired(slot, record);
            self.store.ticket(slot).wait().await?;
            results.push(match taken {
                Ok(None) => StoreResult::Stored { counts: false },
                Ok(Some(present)) => StoreResult::Refused { present },
                Err(error) => StoreResult::Failed(error),
            });
        }
        Ok(results)
    }
}
