//! Delivers: one task for the whole network, which sleeps until the next parcel is due.

use std::sync::Arc;

use bytes::Bytes;
use dht_core::transport::{Answer, Reply, TransportError};
use dht_core::wire::message::{Head, Response};
use dht_core::{Error, ErrorKind, wire};
use tokio::time::sleep_until;

use super::place::{Part, Waiter};
use super::queue::{Load, Manner, Parcel, Site};
use super::state::State;
use super::{Inner, stream};

/// Never ends; the network's owner aborts it.
pub(super) async fn drive(inner: Arc<Inner>) {
    loop {
        let now_ns = inner.now_ns();
        while let Some((sequence, parcel)) = inner.pop_due(now_ns) {
            deliver(&inner, now_ns, sequence, parcel);
        }
        let wakes_ns = {
            let mut state = inner.lock();
            state.driver_wakes_ns = state.queue.next_due_ns().unwrap_or(u64::MAX);
            state.driver_wakes_ns
        };
        if wakes_ns == u64::MAX {
            inner.driver.notified().await;
        } else {
            tokio::select! {
                biased;
                () = inner.driver.notified() => {}
                () = sleep_until(inner.instant(wakes_ns)) => {}
            }
        }
        inner.lock().driver_wakes_ns = 0;
    }
}

fn deliver(inner: &Arc<Inner>, now_ns: u64, sequence: u64, parcel: Parcel) {
    let mut state = inner.lock();
    let paused_until_ns = state.place(parcel.to).paused_until_ns;
    if paused_until_ns > now_ns {
        return state.queue.push_again(paused_until_ns, sequence, parcel);
    }
    if state.severed(&parcel) {
        return state.lose(now_ns, parcel, "cut off");
    }
    if let Load::Request { .. } = parcel.load {
        drop(state);
        return deliver_request(inner, now_ns, parcel);
    }
    if !state.is_up(parcel.to) {
        return state.lose(now_ns, parcel, "nobody there");
    }
    state.arrived(now_ns, &parcel);
    match parcel.load {
        Load::Request { .. } => {}
        Load::Response { call, bytes } => {
            let Some(pending) = state.end_call(call) else { return };
            drop(state);
            if let Waiter::Call(waiter) = pending.waiter {
                // A caller that gave up has no use for it.
                drop(waiter.send(Ok(decoded(parcel.kind, bytes))));
            }
        }
        Load::Failed { call, error } => {
            state.place(parcel.to).traffic.network_errors += 1;
            if let Some(pending) = state.end_call(call) {
                pending.waiter.fail(error);
            }
        }
        Load::Item { call, index, bytes } => {
            state.tell(call, Part::Item { index, reply: decoded(parcel.kind, bytes) });
        }
        Load::End { call, index } => state.tell(call, Part::End { index }),
        Load::Credit { call, count } => {
            if let Some(feed) = state.feeds.get(&call) {
                feed.credit.add_permits(count);
            }
        }
        Load::Cancel { call } => state.cancel(call),
    }
}

fn deliver_request(inner: &Arc<Inner>, now_ns: u64, parcel: Parcel) {
    let service = {
        let mut state = inner.lock();
        let up = state.is_up(parcel.to) && !state.rejects.contains(&(parcel.from.place, parcel.to.place));
        let service = up.then(|| state.place(parcel.to).service.clone()).flatten();
        let Some(service) = service else {
            refuse(&mut state, now_ns, parcel);
            return state.wake_driver(&inner.driver);
        };
        state.arrived(now_ns, &parcel);
        service
    };
    let Parcel { number, from, to, kind, load: Load::Request { manner, bytes } } = parcel else { return };
    // Every message here was encoded by this build, so bytes that do not decode are its bug, and the run must fail: the
    // codec's, or the sender's that broke a bound of the protocol.
    let call = match wire::decode_call(bytes) {
        Ok(call) => call,
        Err(error) => panic!("message #{number}, a {kind}, does not decode: {error}"),
    };
    let answering = Answering { inner: inner.clone(), from, to, manner, head: call.head };
    if !inner.lock().begin_serving(from, to) {
        return answering.fail(ErrorKind::Overloaded, "too many requests of this peer are under way");
    }
    let serving = Serving(answering);
    match service.serve(call) {
        Answer::Now(reply) => serving.0.reply(&reply),
        Answer::Nothing => drop(serving),
        // If the endpoint went meanwhile nobody waits for the answer.
        Answer::Later(reply) => drop(inner.spawn(to, async move { serving.0.reply(&reply.await) })),
        Answer::Stream(responses) => match manner {
            Manner::Open(call) => stream::feed(serving, call, responses),
            _ => serving.0.fail(ErrorKind::Unsupported, "this request is answered by a stream"),
        },
    }
}

fn refuse(state: &mut State, now_ns: u64, parcel: Parcel) {
    let (from, to) = (parcel.from, parcel.to);
    let call = match parcel.load {
        Load::Request { manner: Manner::Call(call) | Manner::Open(call), .. } => Some(call),
        _ => None,
    };
    let place = state.place(to);
    let (silent, address) = (place.silent, place.address.clone());
    state.lose(now_ns, parcel, "nobody there");
    if let Some(call) = call.filter(|_| !silent) {
        let error = TransportError::Refused(address);
        state.send(now_ns, to, from, "refused", Load::Failed { call, error });
    }
}

fn decoded(kind: &str, bytes: Bytes) -> Reply {
    wire::decode_reply(bytes).unwrap_or_else(|error| panic!("a {kind} does not decode: {error}"))
}

/// Where the answers to one request go.
pub(super) struct Answering {
    pub(super) inner: Arc<Inner>,
    /// Who asked.
    pub(super) from: Site,
    /// Who answers.
    pub(super) to: Site,
    manner: Manner,
    /// The request's.
    head: Head,
}

impl Answering {
    /// The only answer; a stream of one if a stream was asked for.
    fn reply(&self, reply: &Reply) {
        let (kind, bytes) = self.encode(reply);
        match self.manner {
            Manner::OneWay | Manner::Copy(None) => {}
            Manner::Call(call) | Manner::Copy(Some(call)) => self.send(kind, Load::Response { call, bytes }),
            Manner::Open(call) => {
                self.send(kind, Load::Item { call, index: 0, bytes });
                self.send("end", Load::End { call, index: 1 });
            }
        }
    }

    /// Sends to whoever asked, if the endpoint is still there.
    pub(super) fn send(&self, kind: &'static str, load: Load) {
        self.inner.send(self.to, self.from, kind, load);
    }

    /// A reply over the bound becomes a failure that says so.
    pub(super) fn encode(&self, reply: &Reply) -> (&'static str, Bytes) {
        let bytes = wire::encode_reply(reply);
        let bound = self.inner.lock().config.message_len_max;
        if bytes.len() <= bound {
            return (reply.body.kind(), bytes);
        }
        let text = format!("an answer of {} bytes exceeds the bound of {bound}", bytes.len());
        let failure = self.failure(ErrorKind::TooLarge, &text);
        (failure.body.kind(), wire::encode_reply(&failure))
    }

    fn fail(&self, kind: ErrorKind, text: &str) {
        self.reply(&self.failure(kind, text));
    }

    /// A reply that the network makes itself.
    fn failure(&self, kind: ErrorKind, text: &str) -> Reply {
        Reply::new(self.head, Response::Failure(Error::new(kind, text)))
    }
}

/// A request being answered; dropping it makes room for another.
pub(super) struct Serving(pub(super) Answering);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.inner.lock().end_serving(self.0.from, self.0.to);
    }
}
