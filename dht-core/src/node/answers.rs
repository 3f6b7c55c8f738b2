//! What the replicas say to the writes of one round, as it comes in.
//!
//! Invariant: every [`Parcel`] is answered once, at the latest when it is dropped; so whoever waits waits for no one who
//! is gone. Nothing here waits for a clock: a parcel's message has a deadline.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use smallvec::SmallVec;

use super::peers::Peer;
use super::tasks::Tail;
use crate::data::record::Version;
use crate::ring::list::ListId;
use crate::ring::slot::Slot;
use crate::wire::message::StoreResult;

/// Which writes of a round went to one replica, each with its slot and the version that was sent.
pub(crate) type Sent = SmallVec<[(usize, Slot, Version, ListId); 1]>;

/// One replica's answer; `None` if it gave none that fits.
pub(crate) struct Answered {
    pub(crate) peer: Arc<Peer>,
    pub(crate) sent: Sent,
    pub(crate) results: Option<SmallVec<[StoreResult; 1]>>,
}

/// The answers to one round.
#[derive(Default)]
pub(crate) struct Answers(Mutex<State>);

#[derive(Default)]
struct State {
    come: VecDeque<Answered>,
    outstanding: usize,
    waits: Option<Waker>,
    /// Nobody reads them any more.
    closed: bool,
    /// Held until the last parcel is answered.
    tail: Option<Tail>,
}

/// Writes on their way to one replica, and where its answer goes.
pub(crate) struct Parcel {
    answers: Arc<Answers>,
    peer: Arc<Peer>,
    sent: Sent,
}

impl Answers {
    /// Some writes go to `peer`.
    pub(crate) fn expect(self: &Arc<Self>, peer: Arc<Peer>, sent: Sent) -> Parcel {
        self.state().outstanding += 1;
        Parcel { answers: self.clone(), peer, sent }
    }

    /// The next answer; `None` when all have come.
    pub(crate) async fn next(&self) -> Option<Answered> {
        poll_fn(|context| {
            let mut state = self.state();
            match state.come.pop_front() {
                Some(answered) => Poll::Ready(Some(answered)),
                None if state.outstanding == 0 => Poll::Ready(None),
                None => {
                    state.waits = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Nobody reads them any more: what has come and was not read, and whether more will.
    pub(crate) fn close(&self) -> (VecDeque<Answered>, bool) {
        let mut state = self.state();
        state.closed = true;
        (std::mem::take(&mut state.come), state.outstanding > 0)
    }

    /// Keeps `tail` until the last answer.
    pub(crate) fn hold(&self, tail: Tail) {
        let mut state = self.state();
        if state.outstanding > 0 {
            state.tail = Some(tail);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A queue and a count that change together without anything between that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parcel {
    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    /// The replica has answered. The answer comes back if nobody reads it any more.
    pub(crate) fn answer(mut self, results: Option<SmallVec<[StoreResult; 1]>>) -> Option<Answered> {
        self.deliver(results)
    }

    fn deliver(&mut self, results: Option<SmallVec<[StoreResult; 1]>>) -> Option<Answered> {
        let sent = std::mem::take(&mut self.sent);
        if sent.is_empty() {
            return None;
        }
        let answered = Answered { peer: self.peer.clone(), sent, results };
        let (left, waits, _tail) = {
            let mut state = self.answers.state();
            state.outstanding -= 1;
            let tail = if state.outstanding == 0 { state.tail.take() } else { None };
            let left = match state.closed {
                true => Some(answered),
                false => {
                    state.come.push_back(answered);
                    None
                }
            };
            (left, state.waits.take(), tail)
        };
        if let Some(waits) = waits {
            waits.wake();
        }
        left
    }
}

impl Drop for Parcel {
    /// It got lost with whatever carried it.
    fn drop(&mut self) {
        self.deliver(None);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::super::tasks::Tails;
    use super::*;
    use crate::ring::record::{Address, NodeId};

    fn peer() -> Arc<Peer> {
        Arc::new(Peer { node_id: NodeId::new("p"), boot: 1, address: Address::new("127.0.0.1:1") })
    }

    fn one() -> Sent {
        let version = Version { hlc: 1, node: 1, boot: 1 };
        Sent::from_iter([(0, Slot(0), version, ListId { counter: 1, members: 1, epoch: 0 })])
    }

    #[test]
    fn a_lost_parcel_is_an_answer_and_the_last_one_ends_it() {
        let answers = Arc::new(Answers::default());
        let (first, second) = (answers.expect(peer(), one()), answers.expect(peer(), one()));
        assert!(answers.next().now_or_never().is_none(), "two are on their way");
        drop(first);
        let lost = answers.next().now_or_never().flatten().expect("it is known to be lost");
        assert!(lost.results.is_none() && lost.sent.len() == 1);
        let counts = SmallVec::from_iter([StoreResult::Stored { counts: true }]);
        assert!(second.answer(Some(counts)).is_none(), "it is for whoever waits");
        assert!(answers.next().now_or_never().flatten().is_some());
        assert!(answers.next().now_or_never().expect("none is on its way").is_none());
    }

    #[test]
    fn what_comes_after_the_end_goes_back_and_frees_the_tail() {
        let (answers, tails) = (Arc::new(Answers::default()), Tails::new(1));
        let (first, second) = (answers.expect(peer(), one()), answers.expect(peer(), one()));
        drop(first);
        let (unread, more) = answers.close();
        assert!(unread.len() == 1 && more);
        answers.hold(tails.enter().expect("there is room"));
        assert!(tails.enter().is_none());
        assert!(second.answer(None).is_some(), "nobody reads it");
        assert_eq!(tails.len(), 0);
        answers.hold(tails.enter().expect("there is room again"));
        assert_eq!(tails.len(), 0, "nothing is on its way that it could wait for");
    }
}
