//! The end of a node: told to stop, or by itself for a reason that its calls are told from then on.

use std::time::Duration;

use super::{Node, Phase};
use crate::error::{Error, ErrorKind};

/// How long a stop waits for the disk.
const CLOSE_MAX: Duration = Duration::from_millis(800);

impl Node {
    /// Ends all tasks and the transport, without a goodbye: to the ring, a crash. Idempotent.
    pub(crate) async fn shut_down(&self, last: Phase) {
        if self.store.persistent()
            && let Some(facts) = self.facts()
        {
            // Closing waits for it.
            drop(self.store.remember(facts.encode()));
        }
        self.life.enter(last);
        // Calls that wait for others have nothing to wait for any more.
        self.progress.step();
        self.tasks.abort();
        self.transport.close().await;
        let closed = self.store.close();
        if !closed.is_ready() && tokio::time::timeout(CLOSE_MAX, closed.wait()).await.is_err() {
            log!(self, warn, "the disk is slow: its last writes go on");
        }
    }

    /// As `shut_down`, for a reason of the node's own.
    pub(super) async fn stop_by_itself(&self, reason: Error) {
        // The first reason counts.
        let _ = self.stopped_for.set(reason);
        self.shut_down(Phase::Stopped).await;
    }

    /// Left or stopped.
    pub(crate) fn ended(&self) -> bool {
        self.life.phase().ended()
    }

    /// It has left and was not stopped before.
    pub(crate) fn has_left(&self) -> bool {
        self.life.phase() == Phase::Left
    }

    /// Waits for the node's end; why, if nobody told it to end.
    pub(crate) async fn has_ended(&self) -> Option<Error> {
        self.life.wait_for(Phase::ended).await;
        self.stopped_for.get().cloned()
    }

    /// What calls are told when the node has ended.
    pub(crate) fn ended_error(&self) -> Error {
        match self.stopped_for.get() {
            Some(reason) => {
                Error::new(ErrorKind::Stopped, format!("this node has stopped: {reason}")).with_source(reason.clone())
            }
            None => stopped(),
        }
    }
}

/// The error of every call after the end of a node.
pub(crate) fn stopped() -> Error {
    Error::new(ErrorKind::Stopped, "this node was stopped or has left; start a new one")
}
