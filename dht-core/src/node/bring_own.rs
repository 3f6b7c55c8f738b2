//! What a node was told before it joined is in the ring when it has: a node that served alone, or in a ring of which nobody else is
//! there, takes it along.

use std::sync::Arc;

use super::Node;
use super::parts::BYTES_MAX;
use crate::data::record::{KeyDigest, Record};
use crate::error::Result;
use crate::ring::slot::Slot;

impl Node {
    /// Brings every record that is here to a quorum of those who keep its slot, before this node is in their lists: a read that asks only
    /// them would not see it, and who adds to a value would begin anew. What takes too long follows when it has joined, as at any hand-over.
    pub(super) async fn bring_own(self: &Arc<Self>) {
        if let Err(error) = self.bring_slots().await {
            log!(self, info, %error, "what was written here before the join follows it");
        }
    }

    async fn bring_slots(self: &Arc<Self>) -> Result<()> {
        let until = self.env.now() + self.config.request_timeout;
        let (mut some, mut bytes) = (Vec::new(), 0);
        for slot in self.store.occupied()? {
            let mut digests: Vec<KeyDigest> =
                self.store.versions(slot)?.into_iter().map(|(digest, _)| digest).collect();
            while !digests.is_empty() {
                let (records, dealt_with) = self.next_of(slot, &digests)?;
                digests.drain(..dealt_with);
                bytes += records.iter().map(Record::payload_len).sum::<usize>();
                some.extend(records);
                if bytes >= BYTES_MAX {
                    bytes = 0;
                    self.bring_back(std::mem::take(&mut some), &mut false).await?;
                }
                if self.env.now() >= until {
                    log!(self, info, "much was written here before the join: the rest follows it");
                    return Ok(());
                }
            }
        }
        self.bring_back(some, &mut false).await.map(|_| ())
    }

    fn next_of(&self, slot: Slot, digests: &[KeyDigest]) -> Result<(Vec<Record>, usize)> {
        let (records, dealt_with) = self.store.records(slot, digests, BYTES_MAX)?;
        // At least one is, of some.
        Ok((records, dealt_with.max(1)))
    }
}
