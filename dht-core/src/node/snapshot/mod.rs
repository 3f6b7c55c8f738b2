//! `snapshot`: what this node keeps, in one file, while it goes on serving. `restore`: the records of such a file, brought to
//! the replicas of whatever ring this node is in, as a repair brings them: the higher version wins.
//!
//! Files are read and written by a thread of its own, so that no executor waits for a disk.

mod format;
mod read;
mod restore;
mod write;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{Node, Phase, stopped};
use crate::error::{Error, ErrorKind, Result};
use crate::shapes::SnapshotInfo;
use crate::wire::snapshot::Origin;

/// One file at a time is written or read: each takes a thread and the disk.
#[derive(Default)]
pub(crate) struct Snapshots(Arc<AtomicBool>);

/// The turn of one of them; ends when dropped.
struct Turn(Arc<AtomicBool>);

impl Snapshots {
    /// One is under way, or a restore.
    pub(super) fn busy(&self) -> bool {
        self.0.load(Relaxed)
    }

    fn enter(&self) -> Result<Turn> {
        match self.0.swap(true, Relaxed) {
            false => Ok(Turn(self.0.clone())),
            true => {
                let context = "this node writes or reads a snapshot already; one at a time";
                Err(Error::new(ErrorKind::Overloaded, context))
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

/// Tells the thread, when it is dropped, that nobody waits any more.
#[derive(Default)]
struct Waits(Arc<AtomicBool>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

impl Node {
    /// Writes every record of this node, deletions included, to a new file at `path`.
    ///
    /// # Errors
    /// See `Dht::snapshot`. No file is left then.
    pub(crate) async fn snapshot(self: &Arc<Self>, path: PathBuf) -> Result<SnapshotInfo> {
        if self.is_client() {
            return Err(Error::new(ErrorKind::Unsupported, "a client keeps no records"));
        }
        let turn = self.snapshots.enter()?;
        // Whoever lets go of a slot, and has not seen that, has done so.
        drop(self.state());
        let waits = Waits::default();
        let given_up = waits.0.clone();
        let node = self.clone();
        let origin = Origin {
            cluster: self.config.cluster_name.clone(),
            ring_id: self.ring().id,
            params: self.params,
            node_id: self.node_id.as_str().to_owned(),
            taken_ms: self.env.wall_ms(),
        };
        let nonce = self.env.random_u64();
        let (done, outcome) = tokio::sync::oneshot::channel();
        thread(move || {
            let go_on = || match (node.life.phase(), given_up.load(Relaxed)) {
                (phase, _) if phase.ended() => Err(stopped()),
                // What it hands over it lets go, also of what has not been written yet: a leave waits for no file.
                (Phase::Leaving, _) => Err(leaves()),
                (_, true) => Err(Error::new(ErrorKind::Cancelled, "nobody waits for the snapshot any more")),
                _ => Ok(()),
            };
            let result = write::Job { store: &*node.store, origin, path, nonce }.run(go_on);
            // The next one may begin when this one is known to be over.
            drop((turn, node));
            // Nobody waits if the call was dropped: then there is no file either.
            let _ = done.send(result);
        })?;
        let result = outcome.await;
        drop(waits);
        result.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the snapshot's thread panicked")))
    }
}

fn leaves() -> Error {
    let context = "this node leaves: it lets go of what it hands over, so a snapshot would not have everything";
    Error::new(ErrorKind::Stopped, context)
}

/// Runs `work` where it may block.
fn thread(work: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = std::thread::Builder::new().name("dht-snapshot".to_owned()).spawn(work);
    started.map(|_| ()).map_err(|error| Error::new(ErrorKind::Storage, "no thread to work with").with_source(error))
}
