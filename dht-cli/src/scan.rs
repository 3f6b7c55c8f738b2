//! The commands on all keys of a prefix.

use std::ops::ControlFlow;

use serde_json::json;

use crate::args::{CountArgs, ScanArgs};
use crate::client::with_node;
use crate::failure::Failure;
use crate::output;
use crate::value::{self, Answer};

/// `dht scan`: each key as soon as it is found, as long as somebody takes it.
pub(crate) fn scan(args: &ScanArgs, as_json: bool) -> Result<(), Failure> {
    let mut told = Ok(());
    with_node(&args.node, async |remote| {
        let prefix = value::key_bytes(&args.prefix);
        remote
            .scan(prefix, !args.keys, |key, found| {
                told = match (as_json, args.keys) {
                    (true, true) => Answer::about(&key).print(),
                    (true, false) => {
                        let mut answer = Answer::about(&key);
                        answer.version = Some(found.version.to_string());
                        answer.expires_at = Some(found.expires_at);
                        answer.add_value(&found.value).map_err(Failure::from).and_then(|()| answer.print())
                    }
                    (false, true) => output::line(value::shown_key(&key)),
                    (false, false) => {
                        output::line(format_args!("{}\t{}", value::shown_key(&key), value::shown(&found.value)))
                    }
                };
                if told.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .await
    })?;
    told
}

/// `dht count`.
pub(crate) fn count(args: &CountArgs, as_json: bool) -> Result<(), Failure> {
    let prefix = value::key_bytes(&args.prefix);
    let count =
        with_node(&args.node, async |remote| remote.scan(prefix, false, |_, _| ControlFlow::Continue(())).await)?;
    if as_json { output::line(json!({ "count": count })) } else { output::line(count) }
}
