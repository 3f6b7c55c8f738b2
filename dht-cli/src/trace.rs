//! `dht trace`: what every node did for one operation, as a tree with times.

use std::time::Duration;

use comfy_table::Table;
use dht_core::{Error, ErrorKind, OperationTrace, PutOptions, TraceSpan};
use serde_json::json;

use crate::args::TraceArgs;
use crate::client::{options, with_node};
use crate::failure::Failure;
use crate::units::show_duration;
use crate::value::{self, As, Source};
use crate::{output, table};

/// `dht trace`.
pub(crate) fn trace(args: TraceArgs, as_json: bool) -> Result<(), Failure> {
    let key = value::key_bytes(&args.key);
    let put = args.put.map(|text| Source::typed(text).read(As::Fitting)).transpose()?;
    let trace = with_node(&args.node, async |remote| match put {
        Some(value) => {
            let options = PutOptions { consistency: args.level.level, ..PutOptions::default() };
            remote.trace_put(key, value, &options).await
        }
        None => remote.trace_get(key, &options(&args.level)).await,
    })?;
    if as_json {
        output::line(json!(trace))?
    } else {
        output::line(shown(&trace))?
    }
    match failed(&trace) {
        Some(error) => Err(error.into()),
        None if trace.found => Ok(()),
        None => Err(Failure::NotFound { told: true }),
    }
}

/// The error of the operation, as if it had not been traced.
fn failed(trace: &OperationTrace) -> Option<Error> {
    let name = trace.error.as_ref()?;
    let kind = ErrorKind::ALL.iter().find(|kind| kind.name() == name).copied().unwrap_or(ErrorKind::Unsupported);
    let error = Error::new(kind, trace.message.clone());
    Some(if trace.maybe_applied { error.unknown_outcome() } else { error })
}

fn shown(trace: &OperationTrace) -> String {
    let outcome = match (&trace.error, trace.operation.as_str(), trace.found) {
        (Some(error), ..) => error.as_str(),
        (None, "get", true) => "found",
        (None, "get", false) => "no value",
        (None, ..) => "done",
    };
    let OperationTrace { trace_id, operation, level, took, left_out, .. } = trace;
    let left_out = match left_out {
        0 => String::new(),
        count => format!("; {count} more steps"),
    };
    format!("{}\n{operation} at {level}: {outcome} in {}; trace {trace_id}{left_out}", steps(&trace.spans), time(*took))
}

/// A row for each step, in the order in which they began.
fn steps(spans: &[TraceSpan]) -> Table {
    let mut table = table::new(&["step", "node", "address", "outcome", "begun", "took", "served", "on the way"]);
    for span in spans {
        let indent = "  ".repeat(span.depth as usize);
        let attempt = if span.attempt > 0 { format!(", try {}", span.attempt + 1) } else { String::new() };
        let hedged = if span.hedged { ", hedged" } else { "" };
        let unknown = |seconds: Option<f64>| seconds.map_or_else(|| "?".to_owned(), time);
        table.add_row([
            format!("{indent}{}{attempt}{hedged}", span.what),
            span.node.id.clone(),
            span.node.address.clone(),
            span.outcome.clone(),
            time(span.begun),
            time(span.took),
            unknown(span.served),
            unknown(span.on_the_way),
        ]);
    }
    table::align_right(&mut table, 4);
    table
}

fn time(seconds: f64) -> String {
    // A node of another release may say anything.
    Duration::try_from_secs_f64(seconds).map_or_else(|_| "?".to_owned(), show_duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(depth: u32, id: &str, what: &str, outcome: &str) -> serde_json::Value {
        let served = (outcome == "done").then_some(0.001);
        json!({
            "depth": depth, "node": {"id": id, "address": "h:1"}, "what": what, "attempt": depth, "hedged": depth > 0,
            "begun": 0.0, "took": 0.0035, "served": served, "on_the_way": served, "outcome": outcome,
        })
    }

    #[test]
    fn steps_stand_below_those_that_needed_them() {
        let spans: Vec<TraceSpan> =
            serde_json::from_value(json!([step(0, "a", "apply", "done"), step(1, "b", "store", "pending"),]))
                .expect("the shape of a step");
        let told = steps(&spans).to_string();
        let line = |what: &str| told.lines().find(|line| line.contains(what)).expect("a row").to_owned();
        assert!(line("apply").contains("│ apply ") && line("apply").contains("1.00 ms"), "{told}");
        assert!(line("store").contains("│   store, try 2, hedged "), "{told}");
        assert!(line("store").contains("3.50 ms") && line("store").contains(" ? "), "{told}");
    }

    #[test]
    fn the_error_of_the_operation_is_told() {
        let trace = |error: Option<&str>| OperationTrace {
            trace_id: "1".into(),
            operation: "put".into(),
            key_id: String::new(),
            level: "all".into(),
            took: f64::INFINITY,
            found: false,
            version: None,
            error: error.map(str::to_owned),
            message: "2 of 3".into(),
            maybe_applied: true,
            spans: Vec::new(),
            left_out: 3,
        };
        let error = failed(&trace(Some("QUORUM"))).expect("an error");
        assert_eq!(error.to_string(), "QUORUM: 2 of 3 (it may have been applied)");
        assert_eq!(failed(&trace(Some("OF_LATER"))).map(|error| error.kind()), Some(ErrorKind::Unsupported));
        assert!(failed(&trace(None)).is_none());
        let told = shown(&trace(Some("QUORUM")));
        assert!(told.ends_with("put at all: QUORUM in ?; trace 1; 3 more steps"), "{told}");
    }
}
