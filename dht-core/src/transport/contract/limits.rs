//! Refusal, overload, giving up, and the end of a transport.

use std::time::Duration;

use futures_util::future::{join_all, pending, poll_immediate};
use tokio::sync::mpsc;

use super::{
    Bounds, Endless, Pair, USUAL, ask, echo, failure, service, silent_or_echo, text, with_pair, within_reason,
};
use crate::error::ErrorKind;
use crate::transport::{Answer, TransportError};

/// Nobody at the address, or nobody who accepts yet.
pub async fn nobody_there_is_refused(make: &impl AsyncFn(Bounds) -> Pair) {
    with_pair(make, USUAL, async |pair| {
        let call = || pair.caller.call(&pair.nobody, ask("?"), pair.soon());
        let outcomes = join_all((0..5).map(|_| call())).await;
        for outcome in outcomes.into_iter().chain([call().await]) {
            let error = outcome.expect_err("nobody is there");
            assert_eq!(error, TransportError::Refused(pair.nobody.clone()));
            assert!(error.not_sent());
        }
        let opened = pair.caller.open(&pair.nobody, ask("?"), Duration::from_secs(60)).await;
        assert_eq!(opened.err(), Some(TransportError::Refused(pair.nobody.clone())));
        assert_eq!(pair.ask("too early").await, Err(TransportError::Refused(pair.to())));
        pair.callee.accept(service(silent_or_echo));
        // A transport may refuse for a moment longer, so as not to dial in a storm.
        let mut outcome = pair.ask("hello").await;
        for _ in 0..100 {
            if outcome.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                outcome = pair.ask("hello").await;
            }
        }
        assert_eq!(outcome, Ok("hello".to_owned()));
    })
    .await;
}

/// More calls than the bound: the surplus is told so long before its deadline, the others are not harmed.
pub async fn overload_is_told_at_once(make: &impl AsyncFn(Bounds) -> Pair) {
    let bounds = Bounds { buffer_size: 8, ..USUAL };
    with_pair(make, bounds, async |pair| {
        let (release, released) = tokio::sync::watch::channel(false);
        pair.callee.accept(service(move |call| {
            if text(&call) != "wait" {
                return Answer::Now(echo(&call));
            }
            let mut released = released.clone();
            Answer::Later(Box::pin(async move {
                drop(released.wait_for(|released| *released).await);
                echo(&call)
            }))
        }));
        assert_eq!(pair.ask("hello").await, Ok("hello".to_owned()));
        let (refuse, mut refusals) = mpsc::unbounded_channel();
        let calls = join_all((0..4 * bounds.buffer_size).map(async |_| {
            let refused = match pair.caller.call(&pair.to(), ask("wait"), pair.soon()).await {
                Ok(reply) => failure(&reply) == Some(ErrorKind::Overloaded),
                Err(error) => matches!(error, TransportError::Overloaded(_)),
            };
            if refused {
                refuse.send(()).ok();
            }
            refused
        }));
        let releaser = async {
            for _ in 0..2 * bounds.buffer_size {
                refusals.recv().await;
            }
            release.send_replace(true);
        };
        // Half of the deadline that the calls have: a refusal must not wait for it.
        let (outcomes, ()) = within_reason(async { tokio::join!(calls, releaser) }).await;
        assert!(outcomes.contains(&false), "none was carried out");
        assert_eq!(pair.ask("hello").await, Ok("hello".to_owned()));
    })
    .await;
}

/// A call that nobody waits for any more does not count against the bound.
pub async fn dropped_calls_leave_nothing(make: &impl AsyncFn(Bounds) -> Pair) {
    let bounds = Bounds { buffer_size: 8, ..USUAL };
    with_pair(make, bounds, async |pair| {
        pair.callee.accept(service(silent_or_echo));
        assert_eq!(pair.ask("hello").await, Ok("hello".to_owned()));
        for _ in 0..4 {
            let calls = (0..bounds.buffer_size).map(|_| pair.caller.call(&pair.to(), ask("silence"), pair.soon()));
            for call in calls.collect::<Vec<_>>() {
                assert!(poll_immediate(call).await.is_none());
            }
            assert_eq!(pair.ask("hello").await, Ok("hello".to_owned()));
        }
    })
    .await;
}

/// Calls, streams and later calls end with `Closed`; the address is free of us.
pub async fn closing_ends_everything(make: &impl AsyncFn(Bounds) -> Pair) {
    with_pair(make, USUAL, async |pair| {
        pair.callee.accept(service(|call| match text(&call) {
            "stream" => Answer::Stream(Box::new(Endless)),
            _ => silent_or_echo(call),
        }));
        pair.caller.accept(service(silent_or_echo));
        assert_eq!(pair.ask("hello").await, Ok("hello".to_owned()));
        let mut stream = pair.open("stream").await;
        let mut call = pair.caller.call(&pair.to(), ask("silence"), pair.soon());
        assert!(poll_immediate(&mut call).await.is_none());
        tokio::join!(pair.caller.close(), pair.caller.close());
        assert_eq!(within_reason(call).await.err(), Some(TransportError::Closed));
        assert_eq!(within_reason(stream.next()).await.and_then(Result::err), Some(TransportError::Closed));
        assert!(stream.next().await.is_none());
        assert_eq!(pair.ask("hello").await, Err(TransportError::Closed));
        let opened = pair.caller.open(&pair.to(), ask("stream"), Duration::from_secs(60)).await;
        assert_eq!(opened.err(), Some(TransportError::Closed));
        pair.caller.send(&pair.to(), ask("hello"));
        assert_eq!(pair.caller.traffic().connections, 0);
        let back = pair.callee.call(&pair.caller.local_address(), ask("hello"), pair.soon()).await;
        assert_eq!(back.err(), Some(TransportError::Refused(pair.caller.local_address())));
        pair.caller.close().await;
    })
    .await;
}

/// Long before the deadline.
pub async fn a_peer_that_closes_breaks_calls(make: &impl AsyncFn(Bounds) -> Pair) {
    with_pair(make, USUAL, async |pair| {
        let (asked, mut was_asked) = mpsc::unbounded_channel();
        pair.callee.accept(service(move |call| {
            asked.send(()).ok();
            match text(&call) {
                "stream" => Answer::Stream(Box::new(Endless)),
                _ => Answer::Later(Box::pin(pending())),
            }
        }));
        let mut stream = pair.open("stream").await;
        let call = pair.caller.call(&pair.to(), ask("never"), pair.soon());
        let close = async {
            was_asked.recv().await;
            was_asked.recv().await;
            pair.callee.close().await;
        };
        let (outcome, ()) = within_reason(async { tokio::join!(call, close) }).await;
        assert_eq!(outcome.err(), Some(TransportError::Broken(pair.to())));
        assert_eq!(within_reason(stream.next()).await.and_then(Result::err), Some(TransportError::Broken(pair.to())));
    })
    .await;
}
