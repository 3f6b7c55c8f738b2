//! The transport of a node under test: it answers, but dials nobody.

use std::sync::Arc;
use std::time::Duration;

use dht_core::Address;
use dht_core::transport::{
    BoxFuture, Call, MisdeedCounts, Reply, Responses, Service, Traffic, Transport, TransportError,
};
use tokio::time::Instant;

/// The transport under test, which dials nobody: an input must not reach other machines.
pub(crate) struct Deaf<T>(pub(crate) T);

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
        self.0.accept(service);
    }

    fn local_address(&self) -> Address {
        self.0.local_address()
    }

    fn traffic(&self) -> Traffic {
        self.0.traffic()
    }

    fn misdeeds(&self) -> MisdeedCounts {
        self.0.misdeeds()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.0.close()
    }
}
