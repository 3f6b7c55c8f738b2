//! Which connection leads where, and which of them may stay open.
//!
//! A route is an address and a lane. Callers that need a route at the same time share one dial. After a failed dial
//! the next callers are refused at once for a moment, so that neither they nor the peer drown in dials.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::TransportError;
use super::by_source::BySource;
use super::connection::Connection;
use super::outbound::Weight;
use crate::data::FixedMap;
use crate::ring::record::Address;

/// How long a failed dial answers for the next ones; jittered.
pub(super) const REDIAL_PAUSE: Duration = Duration::from_millis(50);

/// A connection that nobody used for so long is closed by who dialled it...
const IDLE_MAX: Duration = Duration::from_secs(60);

/// ...and later by the other side, so that a request never meets a connection being closed.
const IDLE_ACCEPTED_MAX: Duration = Duration::from_secs(90);

/// A quiet connection on which one message has been under way for so long is closed: one of 1 GiB would come at 3.6
/// MB/s, and no call waits for it any more.
const TRICKLE_MAX: Duration = Duration::from_secs(300);

/// What a connection carries, so that bulk never holds up calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lane {
    /// Calls and one-way messages.
    Calls,
    /// Streams and large messages.
    Bulk,
}

/// The connections of one transport.
pub(super) struct Pool {
    inner: Mutex<Inner>,
    connections_max: usize,
    /// Of them, those that one source may open.
    share_max: usize,
    waiters_max: usize,
}

#[derive(Default)]
struct Inner {
    closed: bool,
    /// By lane.
    routes: [FixedMap<Address, Route>; 2],
    /// Every open connection, by serial.
    open: FixedMap<u64, Arc<Connection>>,
    /// How many of them each source opened.
    by_source: BySource,
    /// Places held for connections that are about to be open, which count in both.
    reserved: usize,
}

/// A place for one connection; given back when it is dropped unused.
pub(super) struct Reserved<'a> {
    pool: &'a Pool,
    source: Option<IpAddr>,
}

enum Route {
    Dialling(Vec<DialWaiter>),
    Open(Arc<Connection>),
    Failed { until: Instant, error: TransportError },
}

/// What waits for a dial.
pub(super) enum DialWaiter {
    Caller(oneshot::Sender<Result<Arc<Connection>, TransportError>>),
    /// A one-way frame: sent if the dial works out.
    Frame(Bytes, Weight),
}

/// How a caller gets to its peer.
pub(super) enum Way {
    /// This way.
    Open(Arc<Connection>),
    /// A dial is under way.
    Wait,
    /// The caller must start the dial that everybody waits for, this waiter included.
    Dial,
    /// Not at all.
    Blocked(TransportError),
}

impl Pool {
    pub(super) fn new(connections_max: usize, waiters_max: usize) -> Self {
        // Half, so that whoever takes all that it gets leaves room for everybody else.
        let share_max = connections_max.div_ceil(2);
        Self { inner: Mutex::default(), connections_max, share_max, waiters_max }
    }

    /// The way to `to`, for something of that weight. `waiter` is made only if there is something to wait for.
    pub(super) fn way(
        &self,
        to: &Address,
        lane: Lane,
        weight: Weight,
        now: Instant,
        waiter: impl FnOnce() -> DialWaiter,
    ) -> Way {
        let waiters_max = weight.room(self.waiters_max);
        let mut inner = self.lock();
        if inner.closed {
            return Way::Blocked(TransportError::Closed);
        }
        match inner.routes[lane as usize].get_mut(to) {
            Some(Route::Open(connection)) if connection.usable() => return Way::Open(connection.clone()),
            Some(Route::Failed { until, error }) if now < *until => return Way::Blocked(error.clone()),
            Some(Route::Dialling(waiters)) => {
                // Callers that gave up make room for those who did not.
                if waiters.len() >= waiters_max {
                    waiters.retain(|w| !matches!(w, DialWaiter::Caller(tell) if tell.is_closed()));
                }
                if waiters.len() >= waiters_max {
                    return Way::Blocked(TransportError::Overloaded(to.clone()));
                }
                waiters.push(waiter());
                return Way::Wait;
            }
            _ => {}
        }
        inner.routes[lane as usize].insert(to.clone(), Route::Dialling(vec![waiter()]));
        Way::Dial
    }

    /// Takes in a connection without a place of its own.
    #[cfg(test)]
    pub(super) fn insert(&self, connection: &Arc<Connection>) -> Result<Option<Arc<Connection>>, TransportError> {
        let (place, pushed_out) = self.reserve(connection.source(), &connection.peer)?;
        self.fill(place, connection)?;
        Ok(pushed_out)
    }

    /// A place for a connection of `source` from or to `peer`; if there is none, the idlest one goes, of the same source if
    /// that has its share. `Err(NoRoom)` if all are in use. The connection that was pushed out is given back, to be
    /// shut outside the lock.
    pub(super) fn reserve(
        &self,
        source: Option<IpAddr>,
        peer: &Address,
    ) -> Result<(Reserved<'_>, Option<Arc<Connection>>), TransportError> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(TransportError::Closed);
        }
        let mut pushed_out = None;
        let has_share = source.is_some_and(|source| inner.by_source.count(source) >= self.share_max);
        if has_share || inner.open.len() + inner.reserved >= self.connections_max {
            let idlest = inner.end_idlest(|c| !has_share || c.source() == source);
            pushed_out = Some(idlest.ok_or_else(|| TransportError::NoRoom(peer.clone()))?);
        }
        inner.reserved += 1;
        if let Some(source) = source {
            inner.by_source.add(source);
        }
        Ok((Reserved { pool: self, source }, pushed_out))
    }

    /// Takes in a connection for which `place` was reserved, of the same source.
    pub(super) fn fill(&self, place: Reserved<'_>, connection: &Arc<Connection>) -> Result<(), TransportError> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(TransportError::Closed);
        }
        inner.reserved -= 1;
        inner.open.insert(connection.serial, connection.clone());
        // What it stood for among the source's is the connection's now.
        std::mem::forget(place);
        Ok(())
    }

    /// The quiet connection on which nothing whole went either way for longest, ended: to be shut outside the lock.
    pub(super) fn end_idlest(&self) -> Option<Arc<Connection>> {
        self.lock().end_idlest(|_| true)
    }

    /// Ends a dial: from now on `route` is how to get there. The frames and callers that waited are given back.
    pub(super) fn settle(
        &self,
        to: &Address,
        lane: Lane,
        outcome: Result<&Arc<Connection>, (&TransportError, Instant)>,
    ) -> Vec<DialWaiter> {
        let mut inner = self.lock();
        let route = match outcome {
            Ok(connection) => Route::Open(connection.clone()),
            Err((error, until)) => Route::Failed { until, error: error.clone() },
        };
        let waiters = match inner.routes[lane as usize].insert(to.clone(), route) {
            Some(Route::Dialling(waiters)) => waiters,
            _ => Vec::new(),
        };
        if inner.closed {
            inner.routes[lane as usize].remove(to);
        }
        waiters
    }

    /// Forgets an ended connection.
    pub(super) fn remove(&self, connection: &Arc<Connection>) {
        self.lock().forget(connection);
    }

    /// Forgets old refusals and ways that have ended; ends what has been idle for too long, to be shut outside the lock.
    pub(super) fn sweep(&self, now: Instant, uptime_ms: u64) -> Vec<Arc<Connection>> {
        let mut inner = self.lock();
        for routes in &mut inner.routes {
            routes.retain(|_, route| match route {
                Route::Dialling(_) => true,
                // One that ended before its dial was settled has left its route behind.
                Route::Open(connection) => connection.ended().is_none(),
                Route::Failed { until, .. } => *until > now,
            });
        }
        let idle = |connection: &Connection| {
            let max = if connection.dialled { IDLE_MAX } else { IDLE_ACCEPTED_MAX };
            let since = |ms: u64| Duration::from_millis(uptime_ms.saturating_sub(ms));
            let idle = since(connection.moved_ms()) >= max || since(connection.used_ms()) >= TRICKLE_MAX;
            idle && connection.end_if_quiet()
        };
        let idle: Vec<_> = inner.open.values().filter(|c| idle(c)).cloned().collect();
        for connection in &idle {
            inner.forget(connection);
        }
        idle
    }

    /// Those whose peers take nothing, to be ended outside the lock. Where one takes much, that is noted as use.
    pub(super) fn stuck(&self, uptime_ms: u64) -> Vec<Arc<Connection>> {
        self.lock().open.values().filter(|connection| connection.stuck(uptime_ms)).cloned().collect()
    }

    /// Nothing is taken in any more; gives back every connection, to be ended outside the lock. Callers that wait
    /// for a dial are told.
    pub(super) fn close(&self) -> Vec<Arc<Connection>> {
        let (open, routes) = {
            let mut inner = self.lock();
            inner.closed = true;
            (std::mem::take(&mut inner.open), std::mem::take(&mut inner.routes))
        };
        for waiter in routes.into_iter().flat_map(FixedMap::into_values).filter_map(|route| match route {
            Route::Dialling(waiters) => Some(waiters),
            _ => None,
        }) {
            tell_all(waiter, &Err(TransportError::Closed));
        }
        open.into_values().collect()
    }

    /// Open connections, both directions.
    pub(super) fn count(&self) -> usize {
        self.lock().open.len()
    }

    #[cfg(test)]
    pub(super) fn routes(&self) -> usize {
        self.lock().routes.iter().map(FixedMap::len).sum()
    }

    #[cfg(test)]
    pub(super) fn open(&self) -> Vec<Arc<Connection>> {
        self.lock().open.values().cloned().collect()
    }

    #[cfg(test)]
    pub(super) fn all_in_use(&self) -> bool {
        self.lock().open.values().all(|connection| !connection.quiet())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under the lock is a single one, so a poisoned lock loses nothing.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The quiet connection among those that `may_go` on which nothing whole went either way for longest, ended and forgotten.
    /// Whose first request is on its way stays.
    fn end_idlest(&mut self, may_go: impl Fn(&Connection) -> bool) -> Option<Arc<Connection>> {
        loop {
            let quiet = self.open.values().filter(|c| c.quiet() && !c.new_here() && may_go(c));
            let idlest = quiet.min_by_key(|c| (c.used_ms(), c.serial)).cloned()?;
            let ended = idlest.end_if_quiet();
            if ended || idlest.ended().is_some() {
                self.forget(&idlest);
            }
            // Else somebody has just begun to use it, and another one goes.
            if ended {
                return Some(idlest);
            }
        }
    }

    fn forget(&mut self, connection: &Arc<Connection>) {
        if self.open.remove(&connection.serial).is_some()
            && let Some(source) = connection.source()
        {
            self.by_source.remove(source);
        }
        for routes in &mut self.routes {
            // A newer connection may have taken the route.
            if let Some(Route::Open(open)) = routes.get(&connection.peer)
                && open.serial == connection.serial
            {
                routes.remove(&connection.peer);
            }
        }
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut inner = self.pool.lock();
        inner.reserved -= 1;
        if let Some(source) = self.source {
            inner.by_source.remove(source);
        }
    }
}

/// Passes the outcome of a dial on; frames go out or are lost.
pub(super) fn tell_all(waiters: Vec<DialWaiter>, outcome: &Result<Arc<Connection>, TransportError>) {
    for waiter in waiters {
        match (waiter, outcome) {
            // A caller that is gone needs no answer.
            (DialWaiter::Caller(tell), _) => drop(tell.send(outcome.clone())),
            (DialWaiter::Frame(frame, weight), Ok(connection)) => {
                if let Err(error) = connection.send(frame, weight) {
                    event!(trace, %error, "a one-way message is lost");
                }
            }
            (DialWaiter::Frame(..), Err(error)) => event!(trace, %error, "a one-way message is lost"),
        }
    }
}
