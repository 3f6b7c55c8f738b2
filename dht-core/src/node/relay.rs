//! Coordinating for somebody who is no node, or cannot reach the owner: operations of any kind on any key, as if called here.

use std::sync::Arc;

use futures_util::future::join;
use tokio::time::Instant;

use super::attempts::{Origin, finish};
use super::follow::trace_id;
use super::scan::{WIDTH_MIN, Wanted};
use super::{Named, Node};
use crate::config::Consistency;
use crate::error::{Error, ErrorKind};
use crate::ring::slot::Slot;
use crate::wire::message::{Action, OpResult, Operation, Response, ScanFrom, Scanning};

impl Node {
    /// Answers a relayed `Apply`: reads and writes run side by side, results in the order of the operations.
    pub(super) async fn relay(
        self: &Arc<Self>,
        operations: Vec<Operation>,
        level: Consistency,
        deadline: Instant,
        origin: Origin,
    ) -> Response {
        let begun = self.env.now();
        let mut results: Vec<Option<OpResult>> = operations.iter().map(|_| None).collect();
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for (index, operation) in operations.iter().enumerate() {
            match self.check_operation(operation) {
                Err(error) => results[index] = Some(OpResult::Failed(error)),
                Ok(()) if matches!(operation.action, Action::Get) => reads.push(index),
                Ok(()) => writes.push(index),
            }
        }
        let keys: Vec<_> = reads.iter().map(|&i| (operations[i].map, operations[i].key.clone())).collect();
        let batch: Vec<Operation> = writes.iter().map(|&i| operations[i].clone()).collect();
        let done = join(self.read(&keys, level, deadline), self.write_for(origin, &batch, level, deadline));
        // A caller that is no node counts as this node's own; what another node passes on is followed there, or not.
        let (found, written) = if origin.passed_on || trace_id() != 0 {
            done.await
        } else {
            self.sampled(named(&operations, level), done).await
        };
        for (index, record) in reads.into_iter().zip(found) {
            self.count_lookup(&record, begun);
            results[index] = Some(match record {
                Ok(record) => OpResult::Read { record },
                Err(error) => OpResult::Failed(error),
            });
        }
        for (index, result) in writes.into_iter().zip(written) {
            self.count_store(&result, begun);
            results[index] = Some(result);
        }
        Response::Applied { results: finish(results), records: Vec::new() }
    }

    /// Answers a relayed `Scan`: one page of the ring from its first slot on, at level quorum.
    pub(crate) async fn relay_scan(
        self: &Arc<Self>,
        scanning: Scanning,
        deadline: Instant,
    ) -> crate::error::Result<Response> {
        let slot = self.known_slot(scanning.items.first().map_or(Slot(0), |(slot, _)| *slot))?;
        let (map, prefix, want) = (scanning.map, scanning.prefix, scanning.want);
        let what = Wanted { map, prefix, want, level: Consistency::Quorum };
        let from = ScanFrom { slot, after: scanning.after };
        let page = self.scan_page(&what, from, WIDTH_MIN, deadline).await?;
        let records = page.records.into_iter().map(|record| (self.slot_of(&record.key), record)).collect();
        Ok(Response::Scanned { slots: Vec::new(), records, next: page.next })
    }

    /// What a local caller's arguments are checked for, too.
    pub(crate) fn check_operation(&self, operation: &Operation) -> crate::error::Result<()> {
        self.check_key(&operation.key)?;
        operation.action.values().try_for_each(|value| self.check_value(value.bytes.len()))
    }

    pub(crate) fn check_key(&self, key: &[u8]) -> crate::error::Result<()> {
        let bound = self.ring.load().config.max_key_size;
        if key.len() <= bound {
            return Ok(());
        }
        let context = format!("the key has {} bytes: max_key_size is {bound}", key.len());
        Err(Error::new(ErrorKind::TooLarge, context))
    }

    pub(crate) fn check_value(&self, len: usize) -> crate::error::Result<()> {
        let bound = self.ring.load().config.max_value_size;
        if len <= bound {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooLarge, format!("the value has {len} bytes: max_value_size is {bound}")))
    }

    /// Counts one key read.
    pub(crate) fn count_lookup(
        &self,
        result: &crate::error::Result<Option<crate::data::record::Record>>,
        begun: Instant,
    ) {
        match result {
            Ok(record) => {
                self.stats.found(record.as_ref().is_some_and(|r| r.lives(|| self.env.wall_ms())));
                self.stats.lookup_times.record(self.env.now() - begun, 1);
            }
            Err(error) => self.stats.lookup_failed(error.kind()),
        }
    }

    /// Counts one key written.
    pub(crate) fn count_store(&self, result: &OpResult, begun: Instant) {
        match result {
            OpResult::Failed(error) => {
                self.stats.stores_failed.add(1);
                self.stats.error(error.kind());
            }
            _ => {
                self.stats.stores_successful.add(1);
                self.stats.store_times.record(self.env.now() - begun, 1);
            }
        }
    }
}

/// As a local call of the same is named in logs.
fn named(operations: &[Operation], level: Consistency) -> Named<'_> {
    let reads = operations.iter().all(|operation| matches!(operation.action, Action::Get));
    let name = match operations {
        [one] => one.action.name(),
        _ if reads => "get_many",
        _ => "write_many",
    };
    Named { name, key: operations.first().map_or(&[], |operation| &operation.key), level }
}
