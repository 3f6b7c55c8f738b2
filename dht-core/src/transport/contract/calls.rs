//! Calls and one-way messages, as they should go.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};

use super::{
    ANSWER_HEAD, Bounds, Pair, USUAL, answer, ask, described, echo, failure, service, silent_or_echo, text, with_pair,
    within_reason,
};
use crate::config::Consistency;
use crate::data::record::{Format, OpId, Value};
use crate::error::ErrorKind;
use crate::transport::{Answer, Call, TransportError};
use crate::wire::encode_call;
use crate::wire::message::{Action, Operation, Request};

/// At once or later, each call gets its own answer.
pub async fn calls_are_answered(make: &impl AsyncFn(Bounds) -> Pair) {
    with_pair(make, USUAL, async |pair| {
        pair.callee.accept(service(|call| match text(&call) {
            "later" => Answer::Later(Box::pin(async move {
                tokio::task::yield_now().await;
                echo(&call)
            })),
            _ => Answer::Now(echo(&call)),
        }));
        for word in ["now", "later", "", "now"] {
            assert_eq!(pair.ask(word).await, Ok(word.to_owned()));
        }
        let head = pair.caller.call(&pair.to(), ask("head"), pair.soon()).await.expect("an answer").head;
        assert_eq!(head, ANSWER_HEAD);
    })
    .await;
}

/// Answers come in whatever order the service finds them.
pub async fn calls_do_not_wait_for_each_other(make: &impl AsyncFn(Bounds) -> Pair) {
    const CALLS: usize = 200;
    with_pair(make, USUAL, async |pair| {
        let held: Mutex<Vec<oneshot::Sender<()>>> = Mutex::default();
        pair.callee.accept(service(move |call| {
            let (release, released) = oneshot::channel();
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            held.push(release);
            if held.len() == CALLS {
                // The last asked is the first answered; each is gone before the next is let go.
                let held = std::mem::take(&mut *held);
                return Answer::Later(Box::pin(async move {
                    for release in held.into_iter().rev() {
                        release.send(()).ok();
                        tokio::task::yield_now().await;
                    }
                    echo(&call)
                }));
            }
            Answer::Later(Box::pin(async move {
                released.await.expect("released");
                echo(&call)
            }))
        }));
        let words: Vec<String> = (0..CALLS).map(|i| format!("call {i}")).collect();
        let order = Mutex::new(Vec::new());
        let answers = join_all(words.iter().enumerate().map(async |(i, word)| {
            let answer = pair.ask(word).await;
            order.lock().unwrap_or_else(PoisonError::into_inner).push(i);
            answer
        }));
        for (word, answer) in words.iter().zip(answers.await) {
            assert_eq!(answer.as_ref(), Ok(word));
        }
        let order = order.into_inner().unwrap_or_else(PoisonError::into_inner);
        assert!(!order.is_sorted(), "answers came in the order of the calls, though they were given in reverse");
    })
    .await;
}

/// At the deadline, not before it, and the next call is none the worse.
pub async fn a_silent_service_ends_in_deadline(make: &impl AsyncFn(Bounds) -> Pair) {
    with_pair(make, USUAL, async |pair| {
        pair.callee.accept(service(silent_or_echo));
        // Where the way there is still being found nothing was sent.
        assert_eq!(pair.ask("hello").await, Ok("hello".to_owned()));
        let deadline = pair.env.now() + Duration::from_millis(50);
        let outcome = pair.caller.call(&pair.to(), ask("silence"), deadline).await;
        assert_eq!(outcome.err(), Some(TransportError::Deadline(pair.to())));
        assert!(pair.env.now() >= deadline, "gave up before the deadline");
        let idle_max = Duration::from_millis(50);
        let mut stream = pair.caller.open(&pair.to(), ask("silence"), idle_max).await.expect("opened");
        assert_eq!(stream.next().await.and_then(Result::err), Some(TransportError::Deadline(pair.to())));
        assert!(stream.next().await.is_none(), "an error ends the stream");
        assert_eq!(pair.ask("hello").await, Ok("hello".to_owned()));
    })
    .await;
}

/// Up to the last byte, both ways; one more is refused before it is sent.
pub async fn messages_up_to_the_bound_pass(make: &impl AsyncFn(Bounds) -> Pair) {
    let bounds = Bounds { frame_max: 1 << 20, ..USUAL };
    with_pair(make, bounds, async |pair| {
        pair.callee.accept(service(|call| match &call.body {
            Request::Apply { operations, .. } => Answer::Now(answer(&value_sum(operations))),
            _ => {
                let len = text(&call).parse().expect("a length");
                Answer::Now(answer(&"x".repeat(len)))
            }
        }));
        let empty = encode_call(&put(0)).len();
        for len in [1_000, 100_000, 300_000, bounds.frame_max - empty - 20] {
            let outcome = pair.caller.call(&pair.to(), put(len), pair.soon()).await.expect("an answer");
            let Request::Apply { operations, .. } = put(len).body else { unreachable!("see put") };
            assert_eq!(described(outcome), value_sum(&operations), "{len} bytes");
        }
        let mut len = bounds.frame_max - empty - 20;
        while encode_call(&put(len)).len() < bounds.frame_max {
            len += 1;
        }
        assert!(pair.caller.call(&pair.to(), put(len), pair.soon()).await.is_ok(), "exactly the bound");
        let error = pair.caller.call(&pair.to(), put(len + 1), pair.soon()).await.expect_err("beyond the bound");
        assert_eq!(error, TransportError::TooLarge { len: bounds.frame_max + 1, bound: bounds.frame_max });
        assert!(error.not_sent());
        for len in [100_000, 1_000_000] {
            assert_eq!(pair.ask(&len.to_string()).await.map(|json| json.len()), Ok(len));
        }
        let outcome = pair.caller.call(&pair.to(), ask(&bounds.frame_max.to_string()), pair.soon()).await;
        assert_eq!(failure(&outcome.expect("a failure as answer")), Some(ErrorKind::TooLarge));
        assert_eq!(pair.ask("5").await, Ok("xxxxx".to_owned()));
    })
    .await;
}

/// They arrive as they were sent, and nothing comes back.
pub async fn one_way_messages_arrive(make: &impl AsyncFn(Bounds) -> Pair) {
    with_pair(make, USUAL, async |pair| {
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        pair.callee.accept(service(move |call| {
            drop(arrived.send(call.clone()));
            if text(&call) == "answered" { Answer::Now(echo(&call)) } else { Answer::Nothing }
        }));
        for word in ["first", "answered", "last"] {
            pair.caller.send(&pair.to(), ask(word));
            assert_eq!(within_reason(arrivals.recv()).await, Some(ask(word)));
        }
        pair.caller.send(&pair.nobody, ask("lost"));
    })
    .await;
}

/// Every counter moves, on the side where it should.
pub async fn traffic_is_counted(make: &impl AsyncFn(Bounds) -> Pair) {
    with_pair(make, USUAL, async |pair| {
        pair.callee.accept(service(silent_or_echo));
        assert_eq!(pair.ask("hello").await, Ok("hello".to_owned()));
        let before = [&pair.caller, &pair.callee].map(|t| t.traffic());
        for _ in 0..10 {
            assert_eq!(pair.ask("hello").await, Ok("hello".to_owned()));
        }
        for (before, now) in before.into_iter().zip([&pair.caller, &pair.callee].map(|t| t.traffic())) {
            assert_eq!(
                (now.messages_sent - before.messages_sent, now.messages_received - before.messages_received),
                (10, 10)
            );
            assert!(now.bytes_sent >= before.bytes_sent + 50 && now.bytes_received >= before.bytes_received + 50);
            assert!(now.connections >= 1);
            assert_eq!(now.network_errors, 0);
        }
        assert!(pair.caller.call(&pair.nobody, ask("?"), pair.soon()).await.is_err());
        assert_eq!(pair.caller.traffic().network_errors, 1);
    })
    .await;
}

/// A request with a value of `len` bytes.
fn put(len: usize) -> Call {
    let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
    let action = Action::Put { value: Value { format: Format::Bytes, bytes: bytes.into() }, ttl_ms: 0 };
    let operation = Operation { id: OpId { origin: 1, sequence: 1 }, map: 0, key: Bytes::from_static(b"k"), action };
    let body = Request::Apply { operations: vec![operation], level: Consistency::One, relay: false, rings: 0 };
    Call { head: ask("").head, body }
}

/// Length and checksum of the values.
fn value_sum(operations: &[Operation]) -> String {
    let sum = |operation: &Operation| match &operation.action {
        Action::Put { value, .. } => format!("{} {:x}", value.bytes.len(), crc32fast::hash(&value.bytes)),
        _ => String::new(),
    };
    operations.iter().map(sum).collect()
}
