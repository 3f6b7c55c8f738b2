//! The peers that this side asks, by the address that is dialled and by the one that answers come from.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::peer::Peer;
use crate::data::FixedMap;
use crate::ring::record::Address;

/// Peers known at once, about 300 bytes each; the ones beyond are reached over TCP.
const PEERS_MAX: usize = 65_536;

/// All peers of one transport.
pub(super) struct Peers {
    inner: Mutex<Inner>,
    window_max: usize,
}

#[derive(Default)]
struct Inner {
    closed: bool,
    dialled: FixedMap<Address, Arc<Peer>>,
    sources: FixedMap<SocketAddr, Arc<Peer>>,
}

impl Peers {
    pub(super) fn new(window_max: usize) -> Self {
        Self { inner: Mutex::default(), window_max }
    }

    /// The peer at `to`; `None` if there are too many.
    pub(super) fn at(&self, to: &Address, now: Instant) -> Option<Arc<Peer>> {
        let mut inner = self.lock();
        if let Some(peer) = inner.dialled.get(to) {
            return Some(peer.clone());
        }
        if inner.dialled.len() >= PEERS_MAX {
            return None;
        }
        let peer = Arc::new(Peer::new(self.window_max, now));
        if inner.closed {
            peer.close();
        } else {
            inner.dialled.insert(to.clone(), peer.clone());
        }
        Some(peer)
    }

    /// The peer at `to`, if it is known.
    pub(super) fn known(&self, to: &Address) -> Option<Arc<Peer>> {
        self.lock().dialled.get(to).cloned()
    }

    /// From now on what comes from `source` is `peer`'s. False if it is another's: two names of one address.
    pub(super) fn attach(&self, source: SocketAddr, peer: &Arc<Peer>) -> bool {
        let mut inner = self.lock();
        if inner.closed {
            return false;
        }
        Arc::ptr_eq(inner.sources.entry(source).or_insert_with(|| peer.clone()), peer)
    }

    /// Whose answers come from there.
    pub(super) fn from(&self, source: SocketAddr) -> Option<Arc<Peer>> {
        self.lock().sources.get(&source).cloned()
    }

    /// Forgets those of whom nothing is known.
    pub(super) fn sweep(&self, now: Instant) {
        let mut inner = self.lock();
        let Inner { dialled, sources, .. } = &mut *inner;
        dialled.retain(|_, peer| !peer.idle(now));
        sources.retain(|_, peer| !peer.idle(now));
    }

    /// Peers with an open session.
    pub(super) fn open(&self) -> usize {
        self.lock().dialled.values().filter(|peer| peer.open()).count()
    }

    /// Tells every caller that the transport is closed.
    pub(super) fn close(&self) {
        let dialled = {
            let mut inner = self.lock();
            inner.closed = true;
            inner.sources.clear();
            std::mem::take(&mut inner.dialled)
        };
        for peer in dialled.into_values() {
            peer.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under the lock is a single one, so a poisoned lock loses nothing.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
