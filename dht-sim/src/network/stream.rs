//! Streams of responses: the sender's task and the reader's end, with credit between them.

use std::sync::Arc;
use std::time::Duration;

use dht_core::Address;
use dht_core::transport::{BoxFuture, Reply, Responses, TransportError};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::Inner;
use super::driver::Serving;
use super::place::{Feed, Part};
use super::queue::{Load, Site};

/// Responses by which the sender of a stream may be ahead of its reader.
pub(super) const WINDOW: usize = 8;

/// Sends the responses as the reader grants credit; ends with them, with the reader, or with the endpoint.
pub(super) fn feed(serving: Serving, call: u64, mut responses: Box<dyn Responses>) {
    let (inner, to) = (serving.0.inner.clone(), serving.0.to);
    let credit = Arc::new(Semaphore::new(WINDOW));
    let granted = credit.clone();
    let entry = Entry { inner: inner.clone(), call };
    let task = async move {
        let _entry = entry;
        let mut index = 0;
        // The semaphore is never closed: a feed without a reader is aborted.
        while let Ok(permit) = granted.acquire().await {
            permit.forget();
            match responses.next().await {
                Some(Ok(reply)) => {
                    let (kind, bytes) = serving.0.encode(&reply);
                    serving.0.send(kind, Load::Item { call, index, bytes });
                    index += 1;
                }
                Some(Err(error)) => return serving.0.send("failed", Load::Failed { call, error }),
                None => return serving.0.send("end", Load::End { call, index }),
            }
        }
    };
    if let Some(task) = inner.spawn(to, task) {
        inner.lock().feeds.insert(call, Feed { credit, task });
    }
}

/// Takes the feed out of the table when its task ends, however it ends.
struct Entry {
    inner: Arc<Inner>,
    call: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.inner.lock().feeds.remove(&self.call);
    }
}

/// The reader's end.
pub(super) struct SimResponses {
    pub(super) inner: Arc<Inner>,
    pub(super) call: u64,
    pub(super) caller: Site,
    pub(super) callee: Site,
    pub(super) address: Address,
    pub(super) parts: mpsc::Receiver<Part>,
    pub(super) idle_max: Duration,
    /// Items read.
    pub(super) read: u64,
    /// Items read for which no credit was given back yet.
    pub(super) owed: usize,
    pub(super) done: bool,
}

impl SimResponses {
    async fn read(&mut self) -> Option<Result<Reply, TransportError>> {
        if self.done {
            return None;
        }
        let part = timeout(self.idle_max, self.parts.recv()).await;
        let broken = || Some(Err(TransportError::Broken(self.address.clone())));
        let next = match part {
            Err(_) => Some(Err(TransportError::Deadline(self.address.clone()))),
            Ok(None) => Some(Err(TransportError::Closed)),
            Ok(Some(Part::Failed(error))) => Some(Err(error)),
            Ok(Some(Part::Item { index, reply })) if index == self.read => Some(Ok(reply)),
            Ok(Some(Part::End { index })) if index == self.read => None,
            // Something before it was lost.
            Ok(Some(Part::Item { .. } | Part::End { .. })) => broken(),
        };
        match &next {
            Some(Ok(_)) => self.grant(),
            _ => self.finish(),
        }
        next
    }

    /// Gives credit back in batches of half a window.
    fn grant(&mut self) {
        self.read += 1;
        self.owed += 1;
        if self.owed * 2 >= WINDOW {
            let count = std::mem::take(&mut self.owed);
            self.inner.send(self.caller, self.callee, "credit", Load::Credit { call: self.call, count });
        }
    }

    fn finish(&mut self) {
        if !std::mem::replace(&mut self.done, true) {
            self.inner.forget_stream(self.call, self.caller, self.callee);
        }
    }
}

impl Responses for SimResponses {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Reply, TransportError>>> {
        Box::pin(self.read())
    }
}

impl Drop for SimResponses {
    fn drop(&mut self) {
        self.finish();
    }
}
