//! Calls that run side by side within one task. The first few are polled one after the other whenever the task is woken;
//! `FuturesUnordered`, which keeps a waker of its own for each, also wakes its task once for nothing when it has polled all
//! of them, and for one or two calls that is a good part of what the call itself costs.

use std::future::poll_fn;
use std::task::Poll;

use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::transport::BoxFuture;

/// As many are polled at every wake-up: the replicas of a key, or the owners of a small batch.
const FEW: usize = 8;

/// Running calls; dropping it drops them.
pub(super) struct Calls<'a, T> {
    few: Vec<BoxFuture<'a, T>>,
    many: FuturesUnordered<BoxFuture<'a, T>>,
}

impl<'a, T> Calls<'a, T> {
    pub(super) fn new() -> Self {
        Self { few: Vec::new(), many: FuturesUnordered::new() }
    }

    /// Adds one, which begins with the next `next`.
    pub(super) fn push(&mut self, call: impl Future<Output = T> + Send + 'a) {
        let call = Box::pin(call);
        if self.few.len() < FEW { self.few.push(call) } else { self.many.push(call) }
    }

    /// What the next to end came to; `None` when all have.
    pub(super) async fn next(&mut self) -> Option<T> {
        poll_fn(|context| {
            for at in 0..self.few.len() {
                if let Poll::Ready(ended) = self.few[at].as_mut().poll(context) {
                    // In their order, so that none waits longer because another has ended.
                    drop(self.few.remove(at));
                    return Poll::Ready(Some(ended));
                }
            }
            if self.many.is_empty() {
                return if self.few.is_empty() { Poll::Ready(None) } else { Poll::Pending };
            }
            match self.many.poll_next_unpin(context) {
                Poll::Ready(None) => Poll::Pending,
                other => other,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn each_is_told_when_it_ends_and_the_end_when_all_have() {
        // Fewer, as many, and more than are polled each time.
        for count in [0, 1, FEW, FEW + 1, 3 * FEW] {
            let mut calls = Calls::new();
            let mut answers: Vec<_> = (0..count)
                .map(|number| {
                    let (tell, told) = oneshot::channel();
                    calls.push(async move { (number, told.await) });
                    Some(tell)
                })
                .collect();
            for number in (0..count).rev() {
                assert!(calls.next().now_or_never().is_none(), "none has ended");
                answers[number].take().expect("once").send(number * 7).expect("it waits");
                let ended = calls.next().now_or_never().flatten().expect("one has ended");
                assert_eq!(ended, (number, Ok(number * 7)), "of {count}");
            }
            assert!(calls.next().now_or_never().expect("all have ended").is_none());
        }
    }

    #[test]
    fn nobody_is_woken_for_nothing() {
        struct Counter(AtomicUsize);
        impl Wake for Counter {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let counter = Arc::new(Counter(AtomicUsize::new(0)));
        let waker = Waker::from(counter.clone());
        let mut calls = Calls::new();
        let (tell, told) = oneshot::channel::<()>();
        calls.push(told);
        let mut next = Box::pin(calls.next());
        assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(counter.0.load(Ordering::Relaxed), 0, "it only waits");
        tell.send(()).expect("it waits");
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
    }
}
