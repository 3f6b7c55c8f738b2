//! What every transport must do, as checks to run on each.
//!
//! A check gets a factory of two transports that can reach each other, on one single-threaded runtime of its own. It
//! sleeps on no real time and passes on a paused clock as well. After each check both ends are closed, and not one
//! task more may be alive than before: so a factory that needs tasks of its own ends them with its transports.

#![doc(hidden)]

#[cfg(test)]
mod begun;
mod calls;
mod limits;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::pending;
use tokio::time::Instant;

#[cfg(test)]
pub(crate) use self::begun::what_was_begun_gets_through_between_full_nodes;
pub use self::calls::*;
pub use self::limits::*;
pub use self::streams::*;
use super::{Answer, BoxFuture, Call, Reply, Responses, Service, Transport, TransportError};
use crate::env::Env;
use crate::error::ErrorKind;
use crate::ring::record::Address;
use crate::wire::message::{Head, Request, Response, Topic};

/// Bounds that a factory gives both its transports.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Calls under way, frames queued, requests carried out: each at most this, per peer.
    pub buffer_size: usize,
    /// Longest message in bytes.
    pub frame_max: usize,
}

/// Two transports that can reach each other; neither accepts yet.
pub struct Pair {
    /// Asks.
    pub caller: Arc<dyn Transport>,
    /// Answers.
    pub callee: Arc<dyn Transport>,
    /// Where nobody listens.
    pub nobody: Address,
    /// The clock of both.
    pub env: Env,
}

/// Gives the names of all checks to a macro: one list for all transports.
macro_rules! each_check {
    ($with:ident) => {
        $with! {
            calls_are_answered
            calls_do_not_wait_for_each_other
            a_silent_service_ends_in_deadline
            nobody_there_is_refused
            messages_up_to_the_bound_pass
            streams_keep_order_and_end
            a_stream_tells_how_it_ends
            a_slow_reader_holds_its_stream_back
            a_stream_does_not_hold_up_calls
            a_dropped_stream_is_cancelled
            one_way_messages_arrive
            overload_is_told_at_once
            dropped_calls_leave_nothing
            closing_ends_everything
            a_peer_that_closes_breaks_calls
            traffic_is_counted
        }
    };
}
#[cfg(test)]
pub(crate) use each_check;

macro_rules! in_turn {
    ($($check:ident)+) => {
        /// Runs every check.
        pub async fn all(make: &impl AsyncFn(Bounds) -> Pair) {
            $($check(make).await;)+
        }
    };
}

each_check!(in_turn);

/// Room enough for everything that a check does on purpose.
const USUAL: Bounds = Bounds { buffer_size: 1_024, frame_max: 1 << 20 };

/// Of every answer that a service of ours gives.
const ANSWER_HEAD: Head = Head { ring_id: None, sender: 2, deadline_ms: 0, trace_id: 3, attempt: 0, view: 4, clock: 0 };

/// Runs a check on a fresh pair and sees that nothing is left of it.
async fn with_pair(make: &impl AsyncFn(Bounds) -> Pair, bounds: Bounds, check: impl AsyncFnOnce(&Pair)) {
    let metrics = tokio::runtime::Handle::current().metrics();
    let alive = metrics.num_alive_tasks();
    let pair = make(bounds).await;
    check(&pair).await;
    pair.caller.close().await;
    pair.callee.close().await;
    assert!(metrics.num_alive_tasks() <= alive, "{} tasks are left", metrics.num_alive_tasks() - alive);
}

impl Pair {
    fn to(&self) -> Address {
        self.callee.local_address()
    }

    /// A deadline that no check should come near to.
    fn soon(&self) -> Instant {
        self.env.now() + Duration::from_secs(60)
    }

    async fn ask(&self, word: &str) -> Result<String, TransportError> {
        self.caller.call(&self.to(), ask(word), self.soon()).await.map(described)
    }

    async fn open(&self, word: &str) -> Box<dyn Responses> {
        self.caller.open(&self.to(), ask(word), Duration::from_secs(60)).await.expect("opened")
    }
}

fn ask(word: &str) -> Call {
    let head = Head { ring_id: None, sender: 1, deadline_ms: 60_000, trace_id: 2, attempt: 0, view: 3, clock: 0 };
    Call { head, body: Request::Describe { topic: Topic::Locate, key: Bytes::copy_from_slice(word.as_bytes()) } }
}

fn text(call: &Call) -> &str {
    match &call.body {
        Request::Describe { key, .. } => std::str::from_utf8(key).expect("text"),
        _ => "",
    }
}

fn answer(json: &str) -> Reply {
    Reply::new(ANSWER_HEAD, Response::Described { json: json.to_owned() })
}

fn echo(call: &Call) -> Reply {
    answer(text(call))
}

fn described(reply: Reply) -> String {
    match reply.body {
        Response::Described { json } => json,
        other => panic!("unexpected answer {other:?}"),
    }
}

fn failure(reply: &Reply) -> Option<ErrorKind> {
    match &reply.body {
        Response::Failure(error) => Some(error.kind()),
        _ => None,
    }
}

fn silent_or_echo(call: Call) -> Answer {
    if text(&call) == "silence" { Answer::Nothing } else { Answer::Now(echo(&call)) }
}

/// A hang is a failure; on a paused clock this costs no time.
async fn within_reason<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("did not happen within 30 s")
}

struct Script<F>(F);

impl<F: Fn(Call) -> Answer + Send + Sync + 'static> Service for Script<F> {
    fn serve(&self, call: Call) -> Answer {
        (self.0)(call)
    }
}

fn service(script: impl Fn(Call) -> Answer + Send + Sync + 'static) -> Arc<dyn Service> {
    Arc::new(Script(script))
}

/// What `Responses::next` gives.
type Next<'a> = BoxFuture<'a, Option<Result<Reply, TransportError>>>;

/// Has nothing to say and does not end.
struct Endless;

impl Responses for Endless {
    fn next(&mut self) -> Next<'_> {
        Box::pin(pending())
    }
}
