//! `snapshot` and `restore`: the records of one node in a file, and back into a ring.

use std::path::PathBuf;

use super::Dht;
use crate::error::Result;
use crate::shapes::{RestoreInfo, SnapshotInfo};

impl Dht {
    /// Writes every record that this node keeps to a new file at `path`, while it goes on serving: values, deletions,
    /// versions, expiries, operation ids. Each record is as it was at some moment of the call; what was acknowledged by
    /// this node before the call is in it, at that version or a higher one. The file is whole and synced, or not there;
    /// on Unix it is readable for its owner alone.
    ///
    /// It holds this node's part of the ring: with as many nodes as `replication_factor`, or fewer, that is everything; else
    /// take one from each node. Takes as long as it takes; dropping the future gives it up.
    ///
    /// # Errors
    /// `InvalidArgument` if something is at `path` already, which stays, or `path` names no file; `Storage` if the file
    /// cannot be written or the store not be read; `Unsupported` on a client; `Overloaded` while another snapshot or restore
    /// of this node is under way; `Stopped`, also as soon as it leaves. No file is left then.
    pub async fn snapshot(&self, path: impl Into<PathBuf>) -> Result<SnapshotInfo> {
        self.node()?.snapshot(path.into()).await
    }

    /// Brings the records of the snapshot at `path` into the ring of this node, which may have other members, positions and
    /// hash parameters than the one it was taken of. As a repair does, it merges by version: what is newer in the ring
    /// stays, what has expired or was deleted in the snapshot is so in the ring, unless it is newer there. Each record is on a
    /// quorum of its replicas before the next ones are read, and on all of them after the next repair.
    ///
    /// The whole file is checked before anything of it is restored. A deletion is remembered for `tombstone_grace` only: what
    /// was deleted after the snapshot, and longer ago than that, comes back. Takes as long as it takes; dropping the future
    /// gives it up, and what was restored stays. Restoring again does no harm.
    ///
    /// # Errors
    /// `InvalidArgument` if the file is no snapshot; `Storage` if it cannot be read, is damaged, or of a newer release;
    /// `IncompatibleRing` if it is of another `cluster_name`; `TooLarge` if a key or value exceeds the bounds of this ring;
    /// `Overloaded` while another snapshot or restore of this node is under way; `NotJoined`: nothing was restored.
    /// `Storage`, `Overloaded`, `NotJoined`, `Unreachable`, `Timeout`, `MemoryFull` if a quorum of some record's replicas did not
    /// take it within the time of a call, and `Stopped`: a part may be restored. Of a kind that is in both lists
    /// `Error::maybe_applied` tells.
    pub async fn restore(&self, path: impl Into<PathBuf>) -> Result<RestoreInfo> {
        self.node()?.restore(path.into()).await
    }
}
