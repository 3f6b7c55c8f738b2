//! Streams: order, end, credit, cancelling.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::future::join_all;
use tokio::sync::mpsc;

use super::{
    Bounds, Next, Pair, USUAL, answer, ask, described, echo, failure, service, text, with_pair, within_reason,
};
use crate::error::ErrorKind;
use crate::ring::record::Address;
use crate::transport::{Answer, Responses, TransportError};

/// All of them, in order, then the end; several at once do not mix.
pub async fn streams_keep_order_and_end(make: &impl AsyncFn(Bounds) -> Pair) {
    with_pair(make, USUAL, async |pair| {
        pair.callee.accept(service(|call| {
            let items = text(&call).parse().expect("a count");
            Answer::Stream(Box::new(Counted { left: items, given: 0, len: 0 }))
        }));
        let streams = [0, 1, 4, 5, 100, 37].map(|count: usize| {
            let pair = &pair;
            async move {
                let word = count.to_string();
                let mut stream = pair.open(&word).await;
                for i in 0..count {
                    let item = stream.next().await.expect("not the end yet").expect("an item");
                    assert_eq!(described(item), i.to_string(), "of {count}");
                }
                assert!(stream.next().await.is_none(), "the end of {count}");
                assert!(stream.next().await.is_none(), "still the end of {count}");
            }
        });
        join_all(streams).await;
        let outcome = pair.caller.call(&pair.to(), ask("3"), pair.soon()).await.expect("a failure as answer");
        assert_eq!(failure(&outcome), Some(ErrorKind::Unsupported), "a stream is no answer to a call");
    })
    .await;
}

/// A single answer is a stream of one; an error at the sender reaches the receiver, then nothing more comes.
pub async fn a_stream_tells_how_it_ends(make: &impl AsyncFn(Bounds) -> Pair) {
    with_pair(make, USUAL, async |pair| {
        pair.callee.accept(service(|call| match text(&call) {
            "fail" => Answer::Stream(Box::new(Failing(4))),
            "later" => Answer::Later(Box::pin(async move { echo(&call) })),
            _ => Answer::Now(echo(&call)),
        }));
        for word in ["now", "later"] {
            let mut stream = pair.open(word).await;
            assert_eq!(described(stream.next().await.expect("one item").expect("no error")), word);
            assert!(stream.next().await.is_none());
        }
        let mut stream = pair.open("fail").await;
        for _ in 0..4 {
            assert!(failure(&stream.next().await.expect("an item").expect("no error")).is_none());
        }
        match stream.next().await {
            Some(Ok(reply)) => assert_eq!(failure(&reply), Some(ErrorKind::Unreachable)),
            Some(Err(error)) => assert!(matches!(error, TransportError::Broken(_)), "{error}"),
            None => panic!("a stream that broke off looks complete"),
        }
        assert!(stream.next().await.is_none());
    })
    .await;
}

/// The sender is at no time more than a window ahead of the receiver.
pub async fn a_slow_reader_holds_its_stream_back(make: &impl AsyncFn(Bounds) -> Pair) {
    const ITEMS: usize = 100;
    const WINDOW: usize = 16;
    with_pair(make, USUAL, async |pair| {
        let given = Arc::new(AtomicUsize::new(0));
        let counter = given.clone();
        pair.callee.accept(service(move |call| match text(&call) {
            "stream" => Answer::Stream(Box::new(Watched { left: ITEMS, given: counter.clone() })),
            _ => Answer::Now(echo(&call)),
        }));
        let mut stream = pair.open("stream").await;
        for taken in 0..ITEMS {
            // Time enough for a sender that does not wait to run away.
            for _ in 0..if taken < 3 { 50 } else { 2 } {
                assert_eq!(pair.ask("tick").await, Ok("tick".to_owned()));
            }
            let ahead = given.load(SeqCst).saturating_sub(taken);
            assert!(ahead <= WINDOW, "{ahead} items ahead after {taken}");
            stream.next().await.expect("an item").expect("no error");
        }
        assert!(stream.next().await.is_none());
    })
    .await;
}

/// Calls pass by a stream of large items, read or not.
pub async fn a_stream_does_not_hold_up_calls(make: &impl AsyncFn(Bounds) -> Pair) {
    with_pair(make, Bounds { frame_max: 4 << 20, ..USUAL }, async |pair| {
        pair.callee.accept(service(|call| match text(&call) {
            "stream" => Answer::Stream(Box::new(Counted { left: 100, given: 0, len: 1 << 20 })),
            _ => Answer::Now(echo(&call)),
        }));
        let mut unread = pair.open("stream").await;
        let mut stream = pair.open("stream").await;
        for _ in 0..20 {
            stream.next().await.expect("an item").expect("no error");
            assert_eq!(pair.ask("tick").await, Ok("tick".to_owned()));
        }
        assert!(unread.next().await.expect("an item").is_ok());
    })
    .await;
}

/// Whoever made the stream learns that nobody wants it any more.
pub async fn a_dropped_stream_is_cancelled(make: &impl AsyncFn(Bounds) -> Pair) {
    with_pair(make, USUAL, async |pair| {
        let (gone, mut was_gone) = mpsc::unbounded_channel();
        pair.callee.accept(service(move |_| Answer::Stream(Box::new(Dropped { gone: gone.clone() }))));
        for items in [0, 1, 7] {
            let mut stream = pair.open("stream").await;
            for _ in 0..items {
                stream.next().await.expect("an item").expect("no error");
            }
            drop(stream);
            within_reason(was_gone.recv()).await.expect("told");
        }
    })
    .await;
}

/// Counts up, in items of at least `len` bytes.
struct Counted {
    left: usize,
    given: usize,
    len: usize,
}

impl Responses for Counted {
    fn next(&mut self) -> Next<'_> {
        Box::pin(async move {
            self.left = self.left.checked_sub(1)?;
            self.given += 1;
            Some(Ok(answer(&format!("{}{}", " ".repeat(self.len), self.given - 1))))
        })
    }
}

/// Gives so many items, then an error.
struct Failing(usize);

impl Responses for Failing {
    fn next(&mut self) -> Next<'_> {
        Box::pin(async move {
            let more = self.0.checked_sub(1);
            self.0 = more.unwrap_or(0);
            Some(more.map(|_| answer("")).ok_or_else(|| TransportError::Broken(Address::new("elsewhere:1"))))
        })
    }
}

/// Shows how far it is.
struct Watched {
    left: usize,
    given: Arc<AtomicUsize>,
}

impl Responses for Watched {
    fn next(&mut self) -> Next<'_> {
        Box::pin(async move {
            self.left = self.left.checked_sub(1)?;
            self.given.fetch_add(1, SeqCst);
            Some(Ok(answer("")))
        })
    }
}

/// Says when it is dropped.
struct Dropped {
    gone: mpsc::UnboundedSender<()>,
}

impl Responses for Dropped {
    fn next(&mut self) -> Next<'_> {
        Box::pin(async { Some(Ok(answer(""))) })
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.gone.send(()).ok();
    }
}
