//! When a request is carried out, and when not any more.
//!
//! On a node that is not busy requests are served as they are read. Beyond a slice of time, and in an overload, each
//! becomes a task instead: then everybody who reads gets on, what was read waits in one queue, that of the executor,
//! and what waited for too long when its turn comes is refused or dropped unseen.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::panic,
        clippy::unreachable
    )
)]

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::load::{Load, SLICE};
use super::{Answer, BoxFuture, Call, Reply, Service};
use crate::env::Env;
use crate::wire::class::Class;

/// Said when there is no room on this node.
pub(super) const FULL: &str = "too many requests are under way on this node";

/// Said when a request had to wait for too long.
pub(super) const TOO_LATE: &str = "this node has more to do than it can";

/// Said when one answer was asked for.
pub(super) const STREAMED: &str = "this request is answered by a stream";

/// Said when the service panicked.
pub(super) const PANICKED: &str = "the request made the service panic";

/// What a request that waits is known by.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    /// When it was read.
    pub(super) arrived: Instant,
    /// How long its caller waits from then on; 0: nobody knows.
    pub(super) deadline_ms: u32,
    pub(super) class: Class,
    /// Bytes of its message.
    pub(super) len: usize,
}

/// What is to be done about a request.
pub(super) enum Work {
    /// The service has not seen it yet.
    Serve(Arc<dyn Service>, Box<Call>),
    /// What the service left to do.
    Finish(BoxFuture<'static, Reply>),
}

/// What becomes of a request whose turn has come.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Due {
    Now,
    /// It waited for too long; the text says so.
    Refused(&'static str),
    /// Nobody waits for it any more.
    Expired,
}

impl Turn {
    /// Whether a request that was just read is to queue behind what others wait for; `busy`: how long this reader has
    /// kept the others waiting.
    pub(super) fn must_wait(&self, load: &Load, busy: Duration, now_ms: u64) -> bool {
        self.class != Class::Upkeep && (busy > SLICE || load.overloaded(now_ms))
    }

    /// Whether it is still to be carried out.
    pub(super) fn due(&self, load: &Load, env: &Env) -> Due {
        let now = env.now();
        let waited = now.saturating_duration_since(self.arrived);
        if self.deadline_ms > 0 && waited >= Duration::from_millis(self.deadline_ms.into()) {
            Due::Expired
        } else if load.worthwhile(self.class, waited, env.uptime_ms_at(now)) {
            Due::Now
        } else {
            Due::Refused(TOO_LATE)
        }
    }
}

impl Work {
    /// The answer, which is no `Answer::Later`.
    pub(super) async fn done(self) -> Answer {
        let answer = match self {
            Self::Serve(service, call) => service.serve(*call),
            Self::Finish(answer) => Answer::Later(answer),
        };
        match answer {
            Answer::Later(answer) => Answer::Now(answer.await),
            answer => answer,
        }
    }
}
