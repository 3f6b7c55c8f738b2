//! Read repair: what differs between the replicas of a read is mended before the answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::reading::{Reading, Stage};
use crate::data::record::Record;
use crate::error::{Error, ErrorKind};
use crate::node::Node;
use crate::node::peers::Peer;
use crate::node::repair::Mended;
use crate::ring::list::ListId;
use crate::ring::slot::Slot;

/// The newest version of a key, which not all replicas have that answered, and the list by which these go.
pub(in crate::node) struct Behind {
    pub(in crate::node) slot: Slot,
    pub(in crate::node) list: ListId,
    pub(in crate::node) record: Record,
}

impl Node {
    /// Before the answer, the newest version is on as many replicas as the level asks for: the next read cannot see
    /// an older one (ABD, Attiya et al. 1995). What could not be brought to that is not done any more: its other replicas are
    /// asked then, which may have it. Returns whether that has to wait a little, and notes who goes by another list by now.
    pub(super) async fn repair_read(
        self: &Arc<Self>,
        readings: &mut [Reading],
        stale: &mut BTreeMap<Peer, Vec<Slot>>,
        deadline: Instant,
    ) -> bool {
        let mut pauses = false;
        let mut lacking: BTreeMap<Peer, Vec<(usize, Arc<Behind>)>> = BTreeMap::new();
        for (index, reading) in readings.iter_mut().enumerate().filter(|(_, r)| r.stage == Stage::Counted) {
            let (Some(record), Some((list, _))) = (reading.newest.clone(), reading.tally.best()) else { continue };
            // Of those that answered by another list nothing is needed.
            let lacks = |(peer, version): &&(Peer, Option<_>)| {
                *version != Some(record.version) && reading.tally.has(peer.boot, list)
            };
            let peers: Vec<Peer> = reading.answers.iter().filter(lacks).map(|(peer, _)| peer.clone()).collect();
            let behind = Arc::new(Behind { slot: reading.slot, list, record });
            reading.stage = Stage::Mended;
            for peer in peers {
                lacking.entry(peer).or_default().push((index, behind.clone()));
            }
        }
        let mends = lacking.into_iter().map(|(peer, lacking)| async move {
            let (indices, behind): (Vec<usize>, Vec<Arc<Behind>>) = lacking.into_iter().unzip();
            let mended = self.mend(&peer, &behind, deadline).await;
            (peer, indices.into_iter().zip(mended))
        });
        for (peer, mended) in futures_util::future::join_all(mends).await {
            for (index, mended) in mended {
                let reading = &mut readings[index];
                match mended {
                    Mended::Yes => continue,
                    Mended::Stale => {
                        let context = format!("{} went over to another replica list meanwhile", peer.node_id);
                        reading.failure = Some(Error::new(ErrorKind::Quorum, context));
                        if peer.boot != self.boot {
                            stale.entry(peer.clone()).or_default().push(reading.slot);
                        }
                        pauses = true;
                    }
                    Mended::No(error) => {
                        let lasts = matches!(error.kind(), ErrorKind::MemoryFull | ErrorKind::Storage);
                        if lasts || reading.fit > reading.wanted {
                            reading.fit = reading.fit.saturating_sub(1);
                            reading.unfit.push(peer.boot);
                            reading.not_mended.get_or_insert(error);
                        } else {
                            // Nobody else is left to ask: it may do better the next time.
                            reading.failure = Some(error);
                            pauses = true;
                        }
                    }
                }
                reading.stage = Stage::Asking;
            }
        }
        pauses
    }
}
