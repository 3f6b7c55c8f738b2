//! What the answer to a traced call tells of the node that gave it: how long it took there, and whom it asked.

use std::borrow::Cow;

use super::limits::{SPANS_LEN_MAX, SPANS_MAX};
use super::message::Request;
use crate::error::ErrorKind;
use crate::ring::record::{Address, NodeId};

/// What came of one step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpanOutcome {
    /// It was done.
    Done,
    /// It was still under way when the step that needed it ended.
    Pending,
    /// The node does not own the key as it sees the ring.
    Misrouted,
    /// The node knows another replica list.
    Stale,
    /// The node is a newcomer that has not caught up.
    NotReady,
    /// The node has a higher version.
    Refused,
    /// It ended with an error.
    Failed(ErrorKind),
}

/// One step of a traced operation, as the node that took it, or asked for it, saw it. All times are durations on one
/// node's clock, in microseconds.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    /// 0: a step of the node that answers; one more for every node between.
    pub(crate) depth: u32,
    /// Who took the step.
    pub(crate) node_id: NodeId,
    pub(crate) address: Address,
    /// The kind of the request, as `Request::kind` has it.
    pub(crate) what: Cow<'static, str>,
    /// 0 at the first try.
    pub(crate) attempt: u32,
    /// Asked in addition, because others had not answered yet.
    pub(crate) hedged: bool,
    /// Since the step above it began.
    pub(crate) begun_us: u64,
    /// Until it ended for who asked.
    pub(crate) took_us: u64,
    /// Of that, at the node that took the step; `None` if it did not say.
    pub(crate) served_us: Option<u64>,
    pub(crate) outcome: SpanOutcome,
}

impl Span {
    /// Bytes on the wire, at most.
    pub(crate) fn len_max(&self) -> usize {
        let texts = [self.node_id.as_str(), self.address.as_str(), &self.what];
        texts.iter().fold(64, |len, text| len.saturating_add(text.len()))
    }
}

/// The steps below one traced call, each right before those that it needed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Spans {
    /// From the call's arrival to its answer.
    pub(crate) served_us: u64,
    /// Steps that did not fit.
    pub(crate) left_out: u32,
    all: Vec<Span>,
    len: usize,
}

impl Spans {
    /// No steps yet.
    pub(crate) fn new(served_us: u64, left_out: u32) -> Self {
        Self { served_us, left_out, ..Self::default() }
    }

    /// Adds a step while there is room; else it is only counted.
    pub(crate) fn push(&mut self, span: Span) {
        let len = self.len.saturating_add(span.len_max());
        if self.all.len() >= SPANS_MAX || len > SPANS_LEN_MAX {
            self.left_out = self.left_out.saturating_add(1);
        } else {
            self.len = len;
            self.all.push(span);
        }
    }

    /// Adds what a node told of its own call, one deeper.
    pub(crate) fn nest(&mut self, below: Self) {
        self.left_out = self.left_out.saturating_add(below.left_out);
        for span in below.all {
            self.push(Span { depth: span.depth.saturating_add(1), ..span });
        }
    }

    pub(crate) fn all(&self) -> &[Span] {
        &self.all
    }

    pub(crate) fn into_all(self) -> Vec<Span> {
        self.all
    }
}

/// The name of a kind of request: one that this release knows costs no memory.
pub(super) fn kind_named(text: &str) -> Cow<'static, str> {
    match Request::KINDS.iter().find(|kind| **kind == text) {
        Some(kind) => Cow::Borrowed(*kind),
        None => Cow::Owned(text.to_owned()),
    }
}
