//! Operations that are followed from here on: on demand, and one in `trace_sample`, which become spans and events of
//! `tracing` (target "dht::trace", level debug).

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tracing::Instrument;

use super::Node;
use super::follow::{Trace, hex, shown};
use crate::config::Consistency;
use crate::logging::TRACE_TARGET;
use crate::shapes::{HopNode, TraceSpan};
use crate::wire::trace::{Span, Spans};

/// How often an operation is followed, and who it is in logs: never by its key or value.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    /// put, get, …
    pub(crate) name: &'static str,
    /// Of a batch the first one.
    pub(crate) key: &'a [u8],
    pub(crate) level: Consistency,
}

impl Node {
    /// Runs an operation of a caller of this node; one in `trace_sample` is followed, if somebody listens.
    pub(crate) async fn sampled<T>(&self, named: Named<'_>, work: impl Future<Output = T>) -> T {
        if !self.samples() {
            return work.await;
        }
        self.followed(self.env.random_u64().max(1), named, work).await.0
    }

    fn samples(&self) -> bool {
        let sample = u64::from(self.config.trace_sample);
        sample > 0
            && self.sampled.fetch_add(1, Relaxed).is_multiple_of(sample)
            && tracing::enabled!(target: TRACE_TARGET, tracing::Level::DEBUG)
    }

    /// Runs an operation under that trace id, and tells what it took.
    pub(crate) async fn followed<T>(&self, id: u64, named: Named<'_>, work: impl Future<Output = T>) -> (T, Spans) {
        // The first digits of the key's id: enough to find it again, and no key.
        let key_id = || self.ids.hex(self.key_id(named.key)).chars().take(8).collect::<String>();
        let (op, level, hex) = (named.name, named.level, hex(id));
        let span = tracing::debug_span!(target: TRACE_TARGET, "operation", op, key = key_id(), %level, trace = %hex);
        let trace = Trace::new(id, self.env.now());
        let result = trace.scope(work).instrument(span.clone()).await;
        let spans = trace.report(self.env.now());
        span.in_scope(|| {
            tell_hops(op, &hex, &spans);
            tracing::debug!(
                target: TRACE_TARGET, trace = %hex, op, key = key_id(), %level, took_us = spans.served_us,
                left_out = spans.left_out, "done"
            );
        });
        (result, spans)
    }
}

/// Each says whose hop it is: not every subscriber knows of spans.
fn tell_hops(op: &str, trace: &str, spans: &Spans) {
    for span in spans.all() {
        let Span { depth, node_id, address, what, attempt, hedged, begun_us, took_us, served_us, outcome } = span;
        let (what, outcome) = (what.as_ref(), shown(*outcome));
        tracing::debug!(
            target: TRACE_TARGET, %trace, op, depth, node = %node_id, %address, what, attempt, hedged, begun_us, took_us,
            served_us, outcome, "hop"
        );
    }
}

/// The shape of a step.
pub(crate) fn trace_span(span: Span) -> TraceSpan {
    let seconds = |us: u64| Duration::from_micros(us).as_secs_f64();
    TraceSpan {
        depth: span.depth,
        node: HopNode { id: span.node_id.as_str().to_owned(), address: span.address.as_str().to_owned() },
        what: span.what.into_owned(),
        attempt: span.attempt,
        hedged: span.hedged,
        begun: seconds(span.begun_us),
        took: seconds(span.took_us),
        served: span.served_us.map(seconds),
        on_the_way: span.served_us.map(|served| seconds(span.took_us.saturating_sub(served))),
        outcome: shown(span.outcome).to_owned(),
    }
}
