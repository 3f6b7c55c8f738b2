//! `dht put`, `get`, `delete`: one call through a running node.

use std::future::Future;

use dht_core::{Config, Error, ErrorKind, Format, GetOptions, PutOptions, Remote, Secret, TlsConfig};

use crate::args::{DeleteArgs, GetArgs, LevelArgs, NodeArgs, PutArgs};
use crate::failure::Failure;
use crate::output;
use crate::settings;
use crate::value::{self, Answer, As, Source};

/// Runs `work` with a connection to the node, on a runtime of one thread.
pub(crate) fn with_node<T, F>(args: &NodeArgs, work: impl FnOnce(Remote) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Error>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_runtime)?;
    let result = runtime.block_on(async {
        let remote = Remote::connect_with(&args.node, &secured(args)?, args.timeout).await?;
        work(remote).await
    });
    // The answer is here; whatever the connection still does has no one waiting for it.
    runtime.shutdown_background();
    Ok(result?)
}

/// What the ring wants to be shown.
fn secured(args: &NodeArgs) -> Result<Config, Error> {
    let secrets = &args.secrets;
    let from_file = secrets.cluster_key_file.as_deref().map(settings::secret_in).transpose()?;
    let cluster_key = from_file.or_else(|| secrets.cluster_key.as_ref().map(Secret::new));
    let tls = match (&secrets.tls_cert, &secrets.tls_key, &secrets.tls_ca) {
        (Some(cert), Some(key), Some(ca)) => Some(TlsConfig { cert: cert.clone(), key: key.clone(), ca: ca.clone() }),
        _ => None,
    };
    let config = Config { cluster_name: args.cluster_name.clone(), cluster_key, tls, ..Config::default() };
    config.validate()?;
    Ok(config)
}

/// The machine does not give what a runtime needs.
pub(crate) fn no_runtime(error: std::io::Error) -> Failure {
    Failure::Error(Error::new(ErrorKind::Internal, "the runtime cannot be started").with_source(error))
}

/// `dht put`.
pub(crate) fn put(args: PutArgs, as_json: bool) -> Result<(), Failure> {
    let form = match (args.bytes, args.json_value) {
        (true, _) => As::Bytes,
        (false, true) => As::Json,
        (false, false) => As::Fitting,
    };
    let source = match (args.file, args.value) {
        (Some(path), _) => Source::File(path),
        (None, Some(text)) => Source::typed(text),
        (None, None) => {
            return Err(Error::new(ErrorKind::InvalidArgument, "neither a value nor a file was given").into());
        }
    };
    let stored = source.read(form)?;
    let outcome = with_node(&args.node, async |remote| {
        let options = PutOptions { ttl: args.ttl, consistency: args.level.level, timeout: None };
        remote.put(value::key_bytes(&args.key), stored, &options).await
    })?;
    if as_json {
        return output::line(serde_json::to_string(&outcome).map_err(|error| Failure::Output(error.into()))?);
    }
    let degraded = if outcome.degraded { ", fewer than the replication factor" } else { "" };
    output::line(format_args!("stored: {} of {} replicas acknowledged{degraded}", outcome.acks, outcome.set_size))
}

/// `dht get`.
pub(crate) fn get(args: &GetArgs, as_json: bool) -> Result<(), Failure> {
    let key = value::key_bytes(&args.key);
    let found = with_node(&args.node, async |remote| remote.get(key, &options(&args.level)).await)?;
    let mut answer = Answer::about(key);
    answer.found = Some(found.is_some());
    let Some(found) = found else {
        if as_json {
            answer.print()?;
        }
        return Err(Failure::NotFound { told: as_json });
    };
    match &args.output {
        Some(path) => value::write_file(path, &found.value)?,
        None if as_json => answer.add_value(&found.value)?,
        None => {
            output::write(&found.value.bytes)?;
            // A line end after bytes would be taken for a part of them.
            return if found.value.format == Format::Json { output::line("") } else { Ok(()) };
        }
    }
    if !as_json {
        return Ok(());
    }
    answer.version = Some(found.version.to_string());
    answer.expires_at = Some(found.expires_at);
    answer.print()
}

/// `dht delete`.
pub(crate) fn delete(args: &DeleteArgs, as_json: bool) -> Result<(), Failure> {
    let key = value::key_bytes(&args.key);
    let deleted = with_node(&args.node, async |remote| remote.delete(key, &options(&args.level)).await)?;
    if as_json {
        let mut answer = Answer::about(key);
        answer.deleted = Some(deleted);
        answer.print()?;
    } else if deleted {
        output::line("deleted")?;
    }
    if deleted { Ok(()) } else { Err(Failure::NotFound { told: as_json }) }
}

/// The connection's own timeout is that of its calls too.
pub(crate) fn options(level: &LevelArgs) -> GetOptions {
    GetOptions { consistency: level.level, timeout: None }
}
