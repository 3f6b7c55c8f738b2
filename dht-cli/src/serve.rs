//! `dht serve`: one node in this process, until it is told to go.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use dht_core::{Config, Dht, Error, ErrorKind, TRACE_TARGET};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::ServeArgs;
use crate::client::no_runtime;
use crate::failure::Failure;
use crate::signals::Signals;
use crate::{output, settings};

/// How long a node may take to hand over its data when it leaves.
const LEAVE_MAX: Duration = Duration::from_secs(10);
/// How often a node that was still joining is asked whether it has joined: it sends no word.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// The state of a node that is in no ring yet.
const JOINING: &str = "joining";

/// `dht serve`.
pub(crate) fn run(args: &ServeArgs, as_json: bool) -> Result<(), Failure> {
    let mut config = settings::resolve(args.config.as_deref(), std::env::vars_os(), &args.flags)?;
    if let Some(path) = &args.cluster_key_file {
        config.cluster_key = Some(settings::secret_in(path)?);
    }
    // Before the runtime, whose threads the configuration decides.
    config.validate()?;
    if let Some(wanted) = wanted_events(&config) {
        let all = tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG).with_writer(std::io::stderr).finish();
        // Standard output is for the lines that others read. A second subscriber cannot be: this is the program.
        let _ = all.with(wanted).try_init();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.worker_count())
        .enable_all()
        .build()
        .map_err(no_runtime)?;
    let result = runtime.block_on(Box::pin(serve(config, args.exit_with_stdin, as_json)));
    // A thread that waits for standard input would hold up an orderly end for ever.
    runtime.shutdown_background();
    result
}

/// What is written to standard error, if anything: what nodes log, and what they trace.
fn wanted_events(config: &Config) -> Option<Targets> {
    let logs = if config.enable_logging { LevelFilter::INFO } else { LevelFilter::OFF };
    let traces = if config.trace_sample > 0 { LevelFilter::DEBUG } else { LevelFilter::OFF };
    let wanted = Targets::new().with_default(logs).with_target(TRACE_TARGET, traces);
    (config.enable_logging || config.trace_sample > 0).then_some(wanted)
}

async fn serve(config: Config, exit_with_stdin: bool, as_json: bool) -> Result<(), Failure> {
    // Before the start: a signal that comes meanwhile must not be the end of the process.
    let mut signals = Signals::new()?;
    let mut input_ended = Box::pin(end_of_input(exit_with_stdin));
    let dht = tokio::select! {
        biased;
        // Nothing was served, so there is nothing to leave.
        _ = signals.next() => return Ok(()),
        () = &mut input_ended => return Ok(()),
        started = Dht::start(config) => started?,
    };
    let result = until_told_to_go(&dht, &mut signals, input_ended, as_json).await;
    dht.stop().await;
    result
}

async fn until_told_to_go(
    dht: &Dht,
    signals: &mut Signals,
    mut input_ended: impl Future<Output = ()> + Unpin,
    as_json: bool,
) -> Result<(), Failure> {
    let state = announce(dht, as_json)?;
    tokio::select! {
        biased;
        _ = signals.next() => {}
        () = &mut input_ended => return Ok(()),
        reason = dht.ended() => return reason.map_or(Ok(()), |reason| Err(reason.into())),
        never = announce_again(dht, &state, as_json) => match never {},
    }
    tokio::select! {
        biased;
        second = signals.next() => Err(Failure::Interrupted(second)),
        () = &mut input_ended => Ok(()),
        left = dht.leave(LEAVE_MAX) => Ok(left?),
    }
}

/// The line that whoever started this process reads the address from, and the state that it tells: a node that no seed let
/// in yet serves nobody.
fn announce(dht: &Dht, as_json: bool) -> Result<String, Failure> {
    let (node, address) = (dht.node_info()?, dht.address());
    let line = if as_json {
        let pid = std::process::id();
        json!({"node_id": node.id, "address": address, "state": node.state, "pid": pid}).to_string()
    } else {
        let what = if node.state == JOINING { JOINING } else { "serving" };
        format!("dht: {what} {} at {address}", node.id)
    };
    output::line(line).map_err(|failure| match failure {
        // A reader that has gone is fine where the output was all; here the work only begins, and nobody knows of it.
        Failure::Output(error) => {
            Error::new(ErrorKind::Internal, "the address cannot be printed").with_source(error).into()
        }
        other => other,
    })?;
    Ok(node.state)
}

/// Announces a node that was joining once more when it has joined.
async fn announce_again(dht: &Dht, announced: &str, as_json: bool) -> Infallible {
    if announced == JOINING {
        while dht.node_info().is_ok_and(|node| node.state == JOINING) {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        // The address is known by now: who has read it may have gone, and a node that has ended tells why itself.
        let _ = announce(dht, as_json);
    }
    std::future::pending().await
}

/// Ready when standard input has ended; never, if nobody cares.
async fn end_of_input(matters: bool) {
    if !matters {
        return std::future::pending().await;
    }
    let mut input = tokio::io::stdin();
    let mut buffer = [0; 64];
    // An error ends it as well: there will be no more input.
    while input.read(&mut buffer).await.is_ok_and(|len| len > 0) {}
}
