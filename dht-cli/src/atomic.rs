//! The commands that look at the present value of a key.

use std::ffi::OsStr;
use std::time::Duration;

use dht_core::{Expected, Number, PutOptions, Value};
use serde_json::json;

use crate::args::{CasArgs, IncrArgs, LevelArgs, NodeArgs};
use crate::client::{options, with_node};
use crate::failure::Failure;
use crate::output;
use crate::value::{self, Answer, As, Source};

/// `dht cas`.
pub(crate) fn compare_and_swap(args: CasArgs, as_json: bool) -> Result<(), Failure> {
    let stored = Source::typed(args.value).read(As::Fitting)?;
    let expected = match (args.version, args.current) {
        (Some(version), _) => Expected::Version(version),
        (None, Some(text)) => Expected::Value(Source::Text(text).read(As::Fitting)?),
        (None, None) => Expected::Absent,
    };
    let key = value::key_bytes(&args.key);
    let swap = with_node(&args.node, async |remote| {
        let options = PutOptions { ttl: args.ttl, consistency: args.level.level, timeout: None };
        remote.compare_and_swap(key, expected, stored, &options).await
    })?;
    if as_json {
        let mut answer = Answer::about(key);
        answer.swapped = Some(swap.swapped);
        answer.version = swap.version.map(|version| version.to_string());
        if let Some(value) = &swap.value {
            answer.add_value(value)?;
        }
        answer.print()?;
    } else if swap.swapped {
        output::line("swapped")?;
    } else {
        match &swap.value {
            Some(value) => output::line(value::shown(value))?,
            None => output::line("no value")?,
        }
    }
    if swap.swapped { Ok(()) } else { Err(Failure::NotFound { told: true }) }
}

/// `dht incr`.
pub(crate) fn increment(args: &IncrArgs, as_json: bool) -> Result<(), Failure> {
    let by = args.by.parse::<Number>()?;
    let key = value::key_bytes(&args.key);
    let sum = with_node(&args.node, async |remote| remote.increment(key, by, &options(&args.level)).await)?;
    if as_json {
        let sum = Value::from_json_text(sum.to_string())?;
        let mut answer = Answer::about(key);
        answer.add_value(&sum)?;
        return answer.print();
    }
    output::line(sum)
}

/// `dht expire`, and without a ttl `dht persist`.
pub(crate) fn expire(
    key: &OsStr,
    ttl: Option<Duration>,
    level: &LevelArgs,
    node: &NodeArgs,
    as_json: bool,
) -> Result<(), Failure> {
    let done = with_node(node, async |remote| remote.expire(value::key_bytes(key), ttl, &options(level)).await)?;
    if as_json {
        output::line(json!({ "done": done }))?;
    } else if done {
        output::line(if ttl.is_some() { "it will expire" } else { "it will not expire" })?;
    }
    match ttl {
        _ if done => Ok(()),
        // The answer is the same for a key that never expires, and says so to a machine.
        None if !as_json => Err(Failure::NothingExpires),
        _ => Err(Failure::NotFound { told: as_json }),
    }
}
