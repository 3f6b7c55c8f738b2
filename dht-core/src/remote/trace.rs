//! Traced operations: the node that is called is the first step, and below it is what it needed.

use bytes::Bytes;

use super::{Remote, not_that};
use crate::config::Consistency;
use crate::data::record::Value;
use crate::dht::operation_trace;
use crate::env::after;
use crate::error::Result;
use crate::node::{Named, Peer, Trace, What};
use crate::ops::{GetOptions, PutOptions, ttl_ms, versioned};
use crate::ring::record::NodeId;
use crate::shapes::OperationTrace;
use crate::wire::message::{Action, OpResult, Operation, Request, Response};

impl Remote {
    /// As `Dht::trace_get`; without a level in `options` it is `quorum`.
    ///
    /// # Errors
    /// None but those that come before the call: what the operation ended with is in the answer.
    pub async fn trace_get(&self, key: &[u8], options: &GetOptions) -> Result<OperationTrace> {
        let timeout = options.timeout.unwrap_or(self.0.timeout);
        self.trace(key, Action::Get, options.consistency, timeout).await
    }

    /// As `Dht::trace_put`; without a level in `options` it is `quorum`.
    ///
    /// # Errors
    /// `InvalidArgument` (ttl 0): nothing was done.
    pub async fn trace_put(&self, key: &[u8], value: Value, options: &PutOptions) -> Result<OperationTrace> {
        let timeout = options.timeout.unwrap_or_else(|| self.timeout(value.bytes.len()));
        let action = Action::Put { value, ttl_ms: ttl_ms(options.ttl)? };
        self.trace(key, action, options.consistency, timeout).await
    }

    async fn trace(
        &self,
        key: &[u8],
        action: Action,
        level: Option<Consistency>,
        timeout: std::time::Duration,
    ) -> Result<OperationTrace> {
        let env = &self.0.env;
        let (id, level) = (env.random_u64().max(1), level.unwrap_or(Consistency::Quorum));
        let named = Named { name: action.name(), key, level };
        let operation = Operation { id: self.operation_id(), map: 0, key: Bytes::copy_from_slice(key), action };
        let request = Request::Apply { operations: vec![operation], level, relay: true, rings: 0 };
        let writes = super::writes(&request);
        let begun = env.now();
        let trace = Trace::new(id, begun);
        // The name of the node is not known here; its address is what the caller knows it by.
        let node = Peer { node_id: NodeId::new(self.0.node.as_str()), boot: 0, address: self.0.node.clone() };
        let step = trace.begin(&node, What { kind: request.kind(), attempt: 0, hedged: false }, begun);
        let mut answer = self.ask(request, after(begun, timeout), id).await;
        let now = env.now();
        if let Some(step) = step {
            step.answered(now, &mut answer);
        }
        let told = answer.map_err(|error| super::failure(error, writes)).and_then(|reply| match reply.body {
            Response::Applied { results, .. } => match results.into_iter().next() {
                Some(OpResult::Failed(error)) => Err(error),
                Some(OpResult::Written { outcome, .. }) => Ok((true, Some(outcome.version.to_string()))),
                Some(OpResult::Read { record }) => {
                    let version = record.as_ref().map(|record| record.version.to_string());
                    Ok((record.is_some_and(|record| versioned(record, env).is_some()), version))
                }
                Some(other) => Err(not_that(other)),
                None => Err(super::unexpected()),
            },
            Response::Failure(error) => Err(error),
            _ => Err(super::unexpected()),
        });
        Ok(operation_trace(id, named, String::new(), told, trace.report(now)))
    }
}
