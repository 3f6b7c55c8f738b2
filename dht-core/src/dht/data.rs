//! Data operations: reads, writes, and batches of them.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::Dht;
use crate::config::Consistency;
use crate::data::record::Value;
use crate::env::after;
use crate::error::Result;
use crate::node::{Named, no_result};
use crate::ops::{GetOptions, PutOptions, Versioned, ttl_ms, versioned};
use crate::wire::message::{Action, OpResult, Operation, PutOutcome};

impl Dht {
    /// Stores the JSON of `value` under `key`, for ever.
    ///
    /// # Errors
    /// See [`Dht::put_with`].
    pub async fn put<T: Serialize + ?Sized>(&self, key: impl AsRef<[u8]>, value: &T) -> Result<PutOutcome> {
        self.put_with(key, value, PutOptions::default()).await
    }

    /// Stores the JSON of `value` under `key` for `ttl`.
    ///
    /// # Errors
    /// See [`Dht::put_with`].
    pub async fn put_with_ttl<T: Serialize + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        value: &T,
        ttl: Duration,
    ) -> Result<PutOutcome> {
        self.put_with(key, value, PutOptions { ttl: Some(ttl), ..PutOptions::default() }).await
    }

    /// Stores the JSON of `value` under `key`.
    ///
    /// # Errors
    /// `InvalidValue` if `value` has no JSON form; otherwise as [`Dht::put_value`].
    pub async fn put_with<T: Serialize + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        value: &T,
        options: PutOptions,
    ) -> Result<PutOutcome> {
        self.put_value(key, Value::from_serialize(value)?, options).await
    }

    /// Stores opaque bytes under `key`.
    ///
    /// # Errors
    /// As [`Dht::put_value`].
    pub async fn put_bytes(
        &self,
        key: impl AsRef<[u8]>,
        value: impl Into<Bytes>,
        options: PutOptions,
    ) -> Result<PutOutcome> {
        self.put_value(key, Value::from_bytes(value), options).await
    }

    /// Stores a value of either format under `key`.
    ///
    /// # Errors
    /// `TooLarge`, `InvalidArgument` (ttl 0): nothing was done. `Stopped`: the same, unless the node ended during the call: see
    /// `Error::maybe_applied`, as for those that follow; where it is true the write may be there, now or later. `NotJoined`,
    /// `Overloaded`, `Unreachable`, `Quorum`, `Timeout`; `MemoryFull`, `Storage` if a store takes nothing; `ClockSkew` if a clock is
    /// too far ahead.
    pub async fn put_value(&self, key: impl AsRef<[u8]>, value: Value, options: PutOptions) -> Result<PutOutcome> {
        let action = Action::Put { value, ttl_ms: ttl_ms(options.ttl)? };
        written(self.act(key.as_ref(), action, options.consistency, options.timeout).await?).map(|(outcome, _)| outcome)
    }

    /// The value of `key`, from its JSON; `None` if there is none.
    ///
    /// # Errors
    /// `WrongFormat` if the value is bytes or its JSON no `T`; otherwise as [`Dht::get_versioned`].
    pub async fn get<T: DeserializeOwned>(&self, key: impl AsRef<[u8]>) -> Result<Option<T>> {
        self.get_with(key, GetOptions::default()).await
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Dht::get`].
    pub async fn get_with<T: DeserializeOwned>(&self, key: impl AsRef<[u8]>, options: GetOptions) -> Result<Option<T>> {
        match self.get_versioned(key, options).await? {
            Some(found) => found.value.deserialize().map(Some),
            None => Ok(None),
        }
    }

    /// The bytes of the value of `key`: as they were put, or the JSON's text.
    ///
    /// # Errors
    /// As [`Dht::get_versioned`].
    pub async fn get_bytes(&self, key: impl AsRef<[u8]>, options: GetOptions) -> Result<Option<Bytes>> {
        Ok(self.get_versioned(key, options).await?.map(|found| found.value.bytes))
    }

    /// The value of `key` with its version and expiry; `None` if there is none.
    ///
    /// # Errors
    /// `TooLarge` (the key), `Stopped`, `NotJoined`, `Quorum` if too few caught-up replicas answered, `Timeout` if those
    /// that are missing were silent, `Overloaded` if one has more to do than it can.
    pub async fn get_versioned(&self, key: impl AsRef<[u8]>, options: GetOptions) -> Result<Option<Versioned<Value>>> {
        let key = key.as_ref();
        if let Some(found) = self.get_from_memory(key, options) {
            return found;
        }
        // Boxed: the way through the ring is a future of kilobytes, by which every read would be larger, and be moved.
        Box::pin(self.get_from_ring(key, options)).await
    }

    async fn get_from_ring(&self, key: &[u8], options: GetOptions) -> Result<Option<Versioned<Value>>> {
        let node = self.node()?;
        let begun = node.env.now();
        let level = options.consistency.unwrap_or(node.config.consistency);
        let deadline = after(begun, options.timeout.unwrap_or(node.config.request_timeout));
        let named = Named { name: "get", key, level };
        let key = (0, Bytes::copy_from_slice(key));
        let mut results = node.sampled(named, node.read(std::slice::from_ref(&key), level, deadline)).await;
        let result = results.pop().unwrap_or_else(|| Err(no_result()));
        node.count_lookup(&result, begun);
        Ok(result?.and_then(|record| versioned(record, &node.env)))
    }

    /// What [`Dht::get_versioned`] answers at once, on any thread, because this node has it in memory or refuses;
    /// `None` if others have to be asked, and then nothing was done or counted.
    #[doc(hidden)]
    #[inline]
    pub fn get_from_memory(&self, key: &[u8], options: GetOptions) -> Option<Result<Option<Versioned<Value>>>> {
        let node = match self.node() {
            Ok(node) => node,
            Err(error) => return Some(Err(error)),
        };
        if let Err(error) = node.check_key(key) {
            node.stats.lookup_failed(error.kind());
            return Some(Err(error));
        }
        let count = node.stats.stands_for();
        let begun = (count > 0).then(|| node.env.now());
        let found = match node.read_here(key, options.consistency.unwrap_or(node.config.consistency))? {
            Ok(content) => content.and_then(|content| versioned(content, &node.env)),
            Err(error) => {
                node.stats.lookup_failed(error.kind());
                return Some(Err(error));
            }
        };
        node.stats.found_in_memory(found.is_some(), begun.map(|begun| (node.env.now() - begun, count)));
        Some(Ok(found))
    }

    /// Deletes `key`; true if there was a value.
    ///
    /// # Errors
    /// As [`Dht::put_value`].
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.delete_with(key, GetOptions::default()).await
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Dht::put_value`].
    pub async fn delete_with(&self, key: impl AsRef<[u8]>, options: GetOptions) -> Result<bool> {
        let result = self.act(key.as_ref(), Action::Delete, options.consistency, options.timeout).await?;
        written(result).map(|(_, existed)| existed)
    }

    /// Whether `key` has a value.
    ///
    /// # Errors
    /// As [`Dht::get_versioned`].
    pub async fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.contains_with(key, GetOptions::default()).await
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Dht::contains`].
    pub async fn contains_with(&self, key: impl AsRef<[u8]>, options: GetOptions) -> Result<bool> {
        Ok(self.get_versioned(key, options).await?.is_some())
    }

    /// How long `key` still lives; `None` if it has no value or never expires.
    ///
    /// # Errors
    /// As [`Dht::get_versioned`].
    pub async fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Option<Duration>> {
        let Some(found) = self.get_versioned(key, GetOptions::default()).await? else { return Ok(None) };
        let now_ms = self.0.node.env.wall_ms();
        // Back to the whole milliseconds that it was made of: never more than was given.
        let left = |at: f64| Duration::from_millis(((at * 1000.0).round() as u64).saturating_sub(now_ms));
        Ok(found.expires_at.map(left))
    }

    /// Stores many values, grouped per owner; the results stand in the order of the entries. Of a key that is there
    /// twice the later entry wins.
    ///
    /// # Errors
    /// `InvalidArgument` (ttl 0), `Stopped`: nothing was done. Everything else is told per key.
    pub async fn put_many(
        &self,
        entries: impl IntoIterator<Item = (impl Into<Bytes>, Value)>,
        options: PutOptions,
    ) -> Result<Vec<Result<PutOutcome>>> {
        let ttl_ms = ttl_ms(options.ttl)?;
        let operations =
            entries.into_iter().map(|(key, value)| (key.into(), Action::Put { value, ttl_ms })).collect::<Vec<_>>();
        let results = self.write_many(operations, options.consistency, options.timeout).await?;
        Ok(results.into_iter().map(|result| written(result).map(|(outcome, _)| outcome)).collect())
    }

    /// The values of many keys, in the order asked.
    ///
    /// # Errors
    /// `Stopped`. Everything else is told per key.
    pub async fn get_many(
        &self,
        keys: impl IntoIterator<Item = impl Into<Bytes>>,
        options: GetOptions,
    ) -> Result<Vec<Result<Option<Versioned<Value>>>>> {
        let node = self.node()?;
        let begun = node.env.now();
        let level = options.consistency.unwrap_or(node.config.consistency);
        let deadline = after(begun, options.timeout.unwrap_or(node.config.request_timeout));
        let keys: Vec<(u32, Bytes)> = keys.into_iter().map(|key| (0, key.into())).collect();
        let fits = |(_, key): &&(u32, Bytes)| node.check_key(key).is_ok();
        let checked: Vec<(u32, Bytes)> = keys.iter().filter(fits).cloned().collect();
        let named = Named { name: "get_many", key: checked.first().map_or(&[], |(_, key)| key), level };
        let mut found = node.sampled(named, node.read(&checked, level, deadline)).await.into_iter();
        let result = |(_, key): &(u32, Bytes)| {
            let read = |()| found.next().unwrap_or_else(|| Err(no_result()));
            let result = node.check_key(key).and_then(read);
            node.count_lookup(&result, begun);
            Ok(result?.and_then(|record| versioned(record, &node.env)))
        };
        Ok(keys.iter().map(result).collect())
    }

    /// Deletes many keys; true for each that had a value, in the order given.
    ///
    /// # Errors
    /// `Stopped`: nothing was done. Everything else is told per key.
    pub async fn delete_many(
        &self,
        keys: impl IntoIterator<Item = impl Into<Bytes>>,
        options: GetOptions,
    ) -> Result<Vec<Result<bool>>> {
        let operations = keys.into_iter().map(|key| (key.into(), Action::Delete)).collect::<Vec<_>>();
        let results = self.write_many(operations, options.consistency, options.timeout).await?;
        Ok(results.into_iter().map(|result| written(result).map(|(_, existed)| existed)).collect())
    }

    pub(super) fn operation(&self, key: &[u8], action: Action) -> Result<Operation> {
        let node = &self.0.node;
        node.check_key(key)?;
        action.values().try_for_each(|value| node.check_value(value.bytes.len()))?;
        Ok(Operation { id: node.operation_id(), map: 0, key: Bytes::copy_from_slice(key), action })
    }

    /// Carries out one operation on one key; what failed is an error.
    pub(super) async fn act(
        &self,
        key: &[u8],
        action: Action,
        consistency: Option<Consistency>,
        timeout: Option<Duration>,
    ) -> Result<OpResult> {
        let node = self.node()?;
        let begun = node.env.now();
        let patience = timeout.unwrap_or_else(|| node.config.call_timeout(action.values_len()));
        let deadline = after(begun, patience);
        let result = match self.operation(key, action) {
            Err(error) => OpResult::Failed(error),
            Ok(operation) => self.carry_out(&operation, consistency, deadline).await,
        };
        node.count_store(&result, begun);
        match result {
            OpResult::Failed(error) => Err(error),
            result => Ok(result),
        }
    }

    async fn carry_out(&self, operation: &Operation, consistency: Option<Consistency>, deadline: Instant) -> OpResult {
        let node = &self.0.node;
        match node.put_alone(operation) {
            Some(result) => node.settle_alone(&operation.key, result, deadline).await,
            None => {
                let level = consistency.unwrap_or(node.config.consistency);
                let named = Named { name: operation.action.name(), key: &operation.key, level };
                // Boxed, as for reads.
                let written = Box::pin(node.write(std::slice::from_ref(operation), level, deadline));
                let mut results = node.sampled(named, written).await;
                results.pop().unwrap_or_else(|| OpResult::Failed(no_result()))
            }
        }
    }

    async fn write_many(
        &self,
        actions: Vec<(Bytes, Action)>,
        consistency: Option<Consistency>,
        timeout: Option<Duration>,
    ) -> Result<Vec<OpResult>> {
        let node = self.node()?;
        let begun = node.env.now();
        let mut results: Vec<Option<OpResult>> = Vec::with_capacity(actions.len());
        let mut operations = Vec::with_capacity(actions.len());
        let mut bytes = 0;
        for (key, action) in actions {
            let operation = Operation { id: node.operation_id(), map: 0, key, action };
            match node.check_operation(&operation) {
                Ok(()) => {
                    bytes += operation.action.values_len();
                    operations.push(operation);
                    results.push(None);
                }
                Err(error) => results.push(Some(OpResult::Failed(error))),
            }
        }
        let deadline = after(begun, timeout.unwrap_or_else(|| node.config.call_timeout(bytes)));
        let level = consistency.unwrap_or(node.config.consistency);
        let named = Named { name: "write_many", key: operations.first().map_or(&[], |o| &o.key), level };
        let mut written = node.sampled(named, node.write(&operations, level, deadline)).await.into_iter();
        let result = |refused: Option<OpResult>| {
            let missing = || OpResult::Failed(no_result());
            let result = refused.unwrap_or_else(|| written.next().unwrap_or_else(missing));
            node.count_store(&result, begun);
            result
        };
        Ok(results.into_iter().map(result).collect())
    }
}

pub(super) fn written(result: OpResult) -> Result<(PutOutcome, bool)> {
    match result {
        OpResult::Written { outcome, existed, .. } => Ok((outcome, existed)),
        OpResult::Failed(error) => Err(error),
        OpResult::Misrouted | OpResult::Read { .. } => Err(no_result()),
    }
}
