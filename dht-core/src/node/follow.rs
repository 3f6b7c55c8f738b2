//! One operation, followed through the nodes that work for it.
//!
//! A traced operation has an id, drawn where it begins, which every message that it causes carries in its envelope.
//! Each node that answers such a message tells, in the envelope of its answer, how long it took and which steps it
//! needed (`wire/trace.rs`); so whoever began holds the tree in the end. No clock is compared with another.
//!
//! The trace is known by the task that works for the operation (a task-local), not by arguments: what an operation
//! causes cannot forget it, and what goes on in tasks of its own belongs to nobody. Without a trace that is one look
//! per message.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::Either;
use tokio::time::Instant;

use super::Node;
use super::peers::Peer;
use crate::error::{Error, Result};
use crate::logging::TRACE_TARGET;
use crate::ring::record::{Address, NodeId};
use crate::transport::{Answer, Call, Reply, TransportError, call_error};
use crate::wire::limits::SPANS_MAX;
use crate::wire::message::{FetchResult, OpResult, Response, StoreResult};
use crate::wire::trace::{Span, SpanOutcome, Spans};

tokio::task_local! {
    static TRACE: Arc<Trace>;
}

/// The id of what the present task works for; 0 if that is not traced.
pub(crate) fn trace_id() -> u64 {
    TRACE.try_with(|trace| trace.id).unwrap_or(0)
}

/// `work`, for what the present task works for, wherever it is polled.
pub(crate) fn in_this_trace<F: Future>(work: F) -> impl Future<Output = F::Output> {
    match TRACE.try_with(Arc::clone) {
        Ok(trace) => Either::Left(TRACE.scope(trace, work)),
        Err(_) => Either::Right(work),
    }
}

/// The steps of one node for one operation.
pub(crate) struct Trace {
    id: u64,
    begun: Instant,
    steps: Mutex<Steps>,
}

#[derive(Default)]
struct Steps {
    all: Vec<Step>,
    /// Beyond [`SPANS_MAX`].
    left_out: u32,
}

struct Step {
    node_id: NodeId,
    address: Address,
    what: &'static str,
    attempt: u32,
    hedged: bool,
    begun: Instant,
    ended: Option<Ended>,
}

struct Ended {
    took: Duration,
    served_us: Option<u64>,
    outcome: SpanOutcome,
    below: Spans,
}

/// A step under way.
pub(crate) struct Begun {
    trace: Arc<Trace>,
    index: usize,
}

/// What is done.
#[derive(Clone, Copy)]
pub(crate) struct What {
    /// As `Request::kind`.
    pub(crate) kind: &'static str,
    pub(crate) attempt: u32,
    pub(crate) hedged: bool,
}

impl Trace {
    pub(crate) fn new(id: u64, begun: Instant) -> Arc<Self> {
        Arc::new(Self { id, begun, steps: Mutex::default() })
    }

    /// Works for this trace.
    pub(crate) async fn scope<F: Future>(self: &Arc<Self>, work: F) -> F::Output {
        TRACE.scope(self.clone(), work).await
    }

    /// The steps so far, as they are `now`.
    pub(crate) fn report(&self, now: Instant) -> Spans {
        let mut steps = self.steps();
        let served_us = micros(now.saturating_duration_since(self.begun));
        let mut spans = Spans::new(served_us, steps.left_out);
        for step in &mut steps.all {
            let pending = || now.saturating_duration_since(step.begun);
            let ended = step.ended.take().unwrap_or_else(|| Ended {
                took: pending(),
                served_us: None,
                outcome: SpanOutcome::Pending,
                below: Spans::default(),
            });
            spans.push(Span {
                depth: 0,
                node_id: step.node_id.clone(),
                address: step.address.clone(),
                what: Cow::Borrowed(step.what),
                attempt: step.attempt,
                hedged: step.hedged,
                begun_us: micros(step.begun.saturating_duration_since(self.begun)),
                took_us: micros(ended.took),
                served_us: ended.served_us,
                outcome: ended.outcome,
            });
            spans.nest(ended.below);
        }
        spans
    }

    /// A step begins; `None` if there were too many.
    pub(crate) fn begin(self: &Arc<Self>, peer: &Peer, what: What, now: Instant) -> Option<Begun> {
        let mut steps = self.steps();
        if steps.all.len() >= SPANS_MAX {
            steps.left_out = steps.left_out.saturating_add(1);
            return None;
        }
        let (node_id, address) = (peer.node_id.clone(), peer.address.clone());
        let What { kind: what, attempt, hedged } = what;
        steps.all.push(Step { node_id, address, what, attempt, hedged, begun: now, ended: None });
        Some(Begun { trace: self.clone(), index: steps.all.len() - 1 })
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        // A list of steps is valid after every change.
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun {
    /// What came of a call.
    pub(crate) fn answered(self, now: Instant, answer: &mut std::result::Result<Reply, TransportError>) {
        let (outcome, below) = match answer {
            Ok(reply) => (outcome(&reply.body), reply.trace.take()),
            Err(error) => (SpanOutcome::Failed(call_error(error.clone()).kind()), None),
        };
        let served_us = below.as_ref().map(|below| below.served_us);
        self.end(now, outcome, served_us, below.map(|below| *below).unwrap_or_default());
    }

    fn end(self, now: Instant, outcome: SpanOutcome, served_us: Option<u64>, below: Spans) {
        let mut steps = self.trace.steps();
        if let Some(step) = steps.all.get_mut(self.index) {
            let took = now.saturating_duration_since(step.begun);
            // What a node says of itself is not more than what was waited for it.
            let served_us = served_us.map(|us| us.min(micros(took)));
            step.ended = Some(Ended { took, served_us, outcome, below });
        }
    }
}

impl Node {
    /// A call to `peer` begins, of the operation that this task works for.
    pub(crate) fn begin_step(&self, peer: &Peer, what: What, now: Instant) -> Option<Begun> {
        TRACE.try_with(Arc::clone).ok()?.begin(peer, what, now)
    }

    /// Work of this node that would be a call to any other: a step of its own, with what it needs below it.
    pub(crate) async fn step_here<T>(
        &self,
        what: What,
        outcome: impl FnOnce(&T) -> SpanOutcome,
        work: impl Future<Output = T>,
    ) -> T {
        let Ok(above) = TRACE.try_with(Arc::clone) else { return work.await };
        let begun = self.env.now();
        let inner = Trace::new(above.id, begun);
        let step = above.begin(&self.as_peer(), what, begun);
        let result = inner.scope(work).await;
        if let Some(step) = step {
            let now = self.env.now();
            let below = inner.report(now);
            step.end(now, outcome(&result), Some(below.served_us), below);
        }
        result
    }

    /// Answers a call that is traced: the answer tells what was done for it.
    pub(super) fn serve_traced(&self, call: Call, serve: impl FnOnce(Call) -> Answer) -> Answer {
        let (id, kind) = (call.head.trace_id, call.body.kind());
        let trace = Trace::new(id, self.env.now());
        let done = {
            let (trace, env, own) = (trace.clone(), self.env.clone(), self.node_id.clone());
            let tell = self.config.trace_sample > 0;
            move |mut reply: Reply| {
                let spans = trace.report(env.now());
                if tell {
                    let (served_us, outcome) = (spans.served_us, shown(outcome(&reply.body)));
                    tracing::debug!(target: TRACE_TARGET, node = %own, trace = %hex(id), kind, served_us, outcome, "served");
                }
                reply.trace = Some(Box::new(spans));
                reply
            }
        };
        match TRACE.sync_scope(trace.clone(), || serve(call)) {
            Answer::Now(reply) => Answer::Now(done(reply)),
            Answer::Later(reply) => Answer::Later(Box::pin(async move { done(trace.scope(reply).await) })),
            // Streams carry bulk, which no operation waits for.
            other @ (Answer::Stream(_) | Answer::Nothing) => other,
        }
    }
}

/// As logs and shapes show a trace's id.
pub(crate) fn hex(id: u64) -> String {
    format!("{id:016x}")
}

/// As logs and shapes name an outcome.
pub(crate) fn shown(outcome: SpanOutcome) -> &'static str {
    match outcome {
        SpanOutcome::Done => "done",
        SpanOutcome::Pending => "pending",
        SpanOutcome::Misrouted => "misrouted",
        SpanOutcome::Stale => "stale",
        SpanOutcome::NotReady => "not_ready",
        SpanOutcome::Refused => "refused",
        SpanOutcome::Failed(kind) => kind.name(),
    }
}

/// What came of a step whose result is an answer.
pub(crate) fn outcome_of(answer: &Result<Response>) -> SpanOutcome {
    match answer {
        Ok(response) => outcome(response),
        Err(error) => SpanOutcome::Failed(error.kind()),
    }
}

/// What an answer comes to: of several results the first that is not as asked.
pub(crate) fn outcome(response: &Response) -> SpanOutcome {
    let first = match response {
        Response::Applied { results, .. } => results.iter().find_map(of_operation),
        Response::Stored { results } => results.iter().find_map(of_store),
        Response::Fetched { results } => results.iter().find_map(of_fetch),
        Response::Failure(error) => Some(failed(error)),
        _ => None,
    };
    first.unwrap_or(SpanOutcome::Done)
}

/// The same of operations that were carried out here.
pub(crate) fn outcome_of_all(results: &[OpResult]) -> SpanOutcome {
    results.iter().find_map(of_operation).unwrap_or(SpanOutcome::Done)
}

fn of_operation(result: &OpResult) -> Option<SpanOutcome> {
    match result {
        OpResult::Written { .. } | OpResult::Read { .. } => None,
        OpResult::Misrouted => Some(SpanOutcome::Misrouted),
        OpResult::Failed(error) => Some(failed(error)),
    }
}

fn of_store(result: &StoreResult) -> Option<SpanOutcome> {
    match result {
        StoreResult::Stored { .. } => None,
        StoreResult::Refused { .. } => Some(SpanOutcome::Refused),
        StoreResult::Stale { .. } => Some(SpanOutcome::Stale),
        StoreResult::Failed(error) => Some(failed(error)),
    }
}

fn of_fetch(result: &FetchResult) -> Option<SpanOutcome> {
    match result {
        FetchResult::Found { .. } => None,
        FetchResult::NotReady { .. } => Some(SpanOutcome::NotReady),
        FetchResult::Stale { .. } => Some(SpanOutcome::Stale),
        FetchResult::Failed(error) => Some(failed(error)),
    }
}

fn failed(error: &Error) -> SpanOutcome {
    SpanOutcome::Failed(error.kind())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
