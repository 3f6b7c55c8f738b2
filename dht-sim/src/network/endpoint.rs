//! One endpoint of the network, as a node sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dht_core::transport::{BoxFuture, Call, Reply, Responses, Service, Traffic, Transport, TransportError};
use dht_core::{Address, Error, ErrorKind, wire};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::Inner;
use super::place::Waiter;
use super::queue::Site;
use super::stream::{SimResponses, WINDOW};

/// A [`Transport`] over the simulated network. It listens until it is closed, crashed, or the network is dropped.
pub struct SimTransport {
    inner: Arc<Inner>,
    site: Site,
    address: Address,
}

impl SimTransport {
    pub(super) fn new(inner: Arc<Inner>, site: Site, address: Address) -> Self {
        Self { inner, site, address }
    }
}

impl Transport for SimTransport {
    fn call(&self, to: &Address, call: Call, deadline: Instant) -> BoxFuture<'static, Result<Reply, TransportError>> {
        let (inner, site, to) = (self.inner.clone(), self.site, to.clone());
        Box::pin(async move {
            if deadline <= inner.env.now() {
                return Err(TransportError::Deadline(to));
            }
            let (waiter, response) = oneshot::channel();
            let id = inner.request(site, &to, &call, Some(Waiter::Call(waiter)))?;
            drop(call);
            let _abandoned = Abandon { inner: &inner, id };
            match timeout_at(deadline, response).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(TransportError::Closed),
                Err(_) => Err(TransportError::Deadline(to)),
            }
        })
    }

    fn open(
        &self,
        to: &Address,
        call: Call,
        idle_max: Duration,
    ) -> BoxFuture<'static, Result<Box<dyn Responses>, TransportError>> {
        let (inner, caller, address) = (self.inner.clone(), self.site, to.clone());
        Box::pin(async move {
            // Room for a window of items, the end, and an error.
            let (waiter, parts) = mpsc::channel(WINDOW + 2);
            let call = inner.request(caller, &address, &call, Some(Waiter::Stream(waiter)))?;
            let (callee, listens) = {
                let mut state = inner.lock();
                let callee = state.site_of(&address);
                (callee, state.is_up(callee))
            };
            let mut responses =
                SimResponses { inner, call, caller, callee, address, parts, idle_max, read: 0, owed: 0, done: false };
            // Where nobody listens a connection cannot be made, so it is `open` that fails.
            if !listens && let Some(Err(error)) = responses.next().await {
                return Err(error);
            }
            Ok(Box::new(responses) as Box<dyn Responses>)
        })
    }

    fn send(&self, to: &Address, call: Call) {
        // One way and may be lost, by contract: full queues and oversize are losses too.
        drop(self.inner.request(self.site, to, &call, None));
    }

    fn resolve(&self, endpoint: &str) -> BoxFuture<'static, Result<Vec<Address>, Error>> {
        let named = self.inner.lock().names.get(endpoint).cloned();
        let found = match named {
            Some(Some(addresses)) => Ok(addresses),
            Some(None) => return Box::pin(std::future::pending()),
            None if endpoint.parse::<SocketAddr>().is_ok() => Ok(vec![Address::new(endpoint)]),
            None => Err(Error::new(ErrorKind::Address, format!("{endpoint} does not resolve"))),
        };
        Box::pin(std::future::ready(found))
    }

    fn accept(&self, service: Arc<dyn Service>) {
        let mut state = self.inner.lock();
        let replaced =
            if state.is_up(self.site) { state.place(self.site).service.replace(service) } else { Some(service) };
        // Outside the lock: a service may own what calls the network when dropped.
        drop(state);
        drop(replaced);
    }

    fn local_address(&self) -> Address {
        self.address.clone()
    }

    fn traffic(&self) -> Traffic {
        self.inner.lock().place(self.site).traffic
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        // At once, not when first polled: the caller may drop the future.
        let mut remains = self.inner.take_down(self.site, false);
        Box::pin(async move { remains.tasks.shutdown().await })
    }
}

impl Inner {
    /// Sends a request; gives its number.
    fn request(&self, from: Site, to: &Address, call: &Call, waiter: Option<Waiter>) -> Result<u64, TransportError> {
        let bytes = wire::encode_call(call);
        let mut state = self.lock();
        let id = state.request(self.now_ns(), from, to, call.body.kind(), bytes, waiter)?;
        state.wake_driver(&self.driver);
        Ok(id)
    }
}

/// A call that is dropped before its response takes itself out of the table.
struct Abandon<'a> {
    inner: &'a Inner,
    id: u64,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        drop(self.inner.lock().end_call(self.id));
    }
}
