//! The transport of a node under test: it answers, but dials nobody, and counts what it answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use dht_core::Address;
use dht_core::transport::{
    Answer, BoxFuture, Call, MisdeedCounts, Reply, Responses, Service, Traffic, Transport, TransportError,
};
use tokio::time::Instant;

/// The transport under test, which dials nobody: an input must not reach other machines.
pub(crate) struct Deaf<T> {
    pub(crate) transport: T,
    /// Messages that the node was given to act upon.
    pub(crate) asked: Arc<AtomicU64>,
}

/// A service, counted.
struct Counted {
    service: Arc<dyn Service>,
    asked: Arc<AtomicU64>,
}

impl Service for Counted {
    fn serve(&self, call: Call) -> Answer {
        self.asked.fetch_add(1, Relaxed);
        self.service.serve(call)
    }
}

impl<T: Transport> Transport for Deaf<T> {
    fn call(&self, to: &Address, _: Call, _: Instant) -> BoxFuture<'static, Result<Reply, TransportError>> {
        Box::pin(std::future::ready(Err(TransportError::Refused(to.clone()))))
    }

    fn open(
        &self,
        to: &Address,
        _: Call,
        _: Duration,
    ) -> BoxFuture<'static, Result<Box<dyn Responses>, TransportError>> {
        Box::pin(std::future::ready(Err(TransportError::Refused(to.clone()))))
    }

    fn send(&self, _: &Address, _: Call) {}

    fn resolve(&self, endpoint: &str) -> BoxFuture<'static, dht_core::Result<Vec<Address>>> {
        Box::pin(std::future::ready(Ok(vec![Address::new(endpoint)])))
    }

    fn accept(&self, service: Arc<dyn Service>) {
        self.transport.accept(Arc::new(Counted { service, asked: self.asked.clone() }));
    }

    fn local_address(&self) -> Address {
        self.transport.local_address()
    }

    fn traffic(&self) -> Traffic {
        self.transport.traffic()
    }

    fn misdeeds(&self) -> MisdeedCounts {
        self.transport.misdeeds()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.transport.close()
    }
}
