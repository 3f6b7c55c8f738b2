//! `trace_get`, `trace_put`: one operation that tells what every node did for it.

use bytes::Bytes;

use super::Dht;
use super::data::written;
use crate::data::record::{Record, Value};
use crate::env::after;
use crate::error::Result;
use crate::node::{Named, no_result, trace_hex, trace_span};
use crate::ops::{GetOptions, PutOptions, ttl_ms};
use crate::shapes::OperationTrace;
use crate::wire::message::{Action, OpResult};
use crate::wire::trace::Spans;

impl Dht {
    /// Reads `key` as [`Dht::get_versioned`] does, by messages also where this node could answer from memory, and tells
    /// what each node did for it and how long that took. An operation that fails is told in `OperationTrace::error`, with
    /// its way. Nodes of older releases show only how long they were waited for.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use dht_core::{Config, Dht, GetOptions};
    ///
    /// let node = Dht::start(Config::default()).await?;
    /// node.put("greeting", &"hello").await?;
    /// let trace = node.trace_get("greeting", GetOptions::default()).await?;
    /// assert!(trace.found);
    /// assert_eq!((trace.spans[0].what.as_str(), trace.spans[0].node.id.clone()), ("fetch", node.node_id()));
    /// # node.stop().await;
    /// # Ok::<(), dht_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `TooLarge` (the key), `Stopped`.
    pub async fn trace_get(&self, key: impl AsRef<[u8]>, options: GetOptions) -> Result<OperationTrace> {
        let key = key.as_ref();
        let node = self.node()?;
        node.check_key(key)?;
        let begun = node.env.now();
        let level = options.consistency.unwrap_or(node.config.consistency);
        let deadline = after(begun, options.timeout.unwrap_or(node.config.request_timeout));
        let named = Named { name: "get", key, level };
        let id = node.env.random_u64().max(1);
        let keys = [(0, Bytes::copy_from_slice(key))];
        let (mut results, spans) = node.followed(id, named, node.read(&keys, level, deadline)).await;
        let result = results.pop().unwrap_or_else(|| Err(no_result()));
        node.count_lookup(&result, begun);
        let live = |record: &Record| record.lives(|| node.env.wall_ms());
        let told = result.map(|record| match record {
            Some(record) => (live(&record), Some(record.version.to_string())),
            None => (false, None),
        });
        Ok(operation_trace(id, named, node.ids.hex(node.key_id(key)), told, spans))
    }

    /// Stores `value` under `key` as [`Dht::put_value`] does, and tells what each node did for it; see
    /// [`Dht::trace_get`]. Where the operation failed, its error says whether it may have been applied.
    ///
    /// # Errors
    /// `TooLarge`, `InvalidArgument` (ttl 0), `Stopped`: nothing was done.
    pub async fn trace_put(&self, key: impl AsRef<[u8]>, value: Value, options: PutOptions) -> Result<OperationTrace> {
        let key = key.as_ref();
        let node = self.node()?;
        let begun = node.env.now();
        let action = Action::Put { value, ttl_ms: ttl_ms(options.ttl)? };
        let patience = options.timeout.unwrap_or_else(|| node.config.call_timeout(action.values_len()));
        let deadline = after(begun, patience);
        let level = options.consistency.unwrap_or(node.config.consistency);
        let operation = self.operation(key, action)?;
        let named = Named { name: "put", key, level };
        let id = node.env.random_u64().max(1);
        let writing = node.write(std::slice::from_ref(&operation), level, deadline);
        let (mut results, spans) = node.followed(id, named, writing).await;
        let result = results.pop().unwrap_or_else(|| OpResult::Failed(no_result()));
        node.count_store(&result, begun);
        let told = written(result).map(|(outcome, _)| (true, Some(outcome.version.to_string())));
        Ok(operation_trace(id, named, node.ids.hex(node.key_id(key)), told, spans))
    }
}

/// The shape of a traced operation. `told`: whether there is a value, and the version.
pub(crate) fn operation_trace(
    id: u64,
    Named { name, key: _, level }: Named<'_>,
    key_id: String,
    told: Result<(bool, Option<String>)>,
    spans: Spans,
) -> OperationTrace {
    let (found, version, error) = match told {
        Ok((found, version)) => (found, version, None),
        Err(error) => (false, None, Some(error)),
    };
    OperationTrace {
        trace_id: trace_hex(id),
        operation: name.to_owned(),
        key_id,
        level: level.to_string(),
        took: std::time::Duration::from_micros(spans.served_us).as_secs_f64(),
        found,
        version,
        error: error.as_ref().map(|error| error.kind().name().to_owned()),
        message: error.as_ref().map_or_else(String::new, |error| error.context().to_owned()),
        maybe_applied: error.is_some_and(|error| error.maybe_applied()),
        left_out: spans.left_out,
        spans: spans.into_all().into_iter().map(trace_span).collect(),
    }
}
