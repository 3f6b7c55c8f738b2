//! One peer as the side that asks sees it: whether datagrams reach it, which requests are under way, when to send again.
//!
//! ```text
//!   Unknown -- a call --> Introducing -- an offer --> Open -- unused for a while --> Unknown
//!                              |                       |
//!                              +-- no offer --> Mute <-+-- silent, or refused over TCP
//!                                                |
//!                                                +-- after a pause, a call --> Introducing
//! ```
//!
//! Requests have slots, as in NFS sessions (RFC 8881 §2.10.6): one request at a time is under way in a slot, each with a
//! higher sequence than the one before. So the other side needs to remember one answer per slot, and knows by the
//! sequence alone what it has carried out before. Invariant: a slot is in `free`, or somebody holds a [`Place`] in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::super::TransportError;
use super::packet::{Header, PacketKind, SessionId};
use super::rtt::RoundTrip;
use super::seal::{Link, Seal};
use crate::ring::record::Address;

/// A session that was not used for so long is not used again: well before the other side forgets it.
pub(super) const UNUSED_MAX: Duration = Duration::from_secs(60);

/// A peer that no datagram came from for so long, though some were sent to it and it answers over TCP, is mute.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// From this attempt on a peer that is silent is looked for over TCP, which says at once if nobody is there.
const CHECK_ATTEMPT: u16 = 2;

/// Between two looks over TCP whether a silent peer is there at all.
const CHECK_PAUSE: Duration = Duration::from_millis(250);

/// Attempts of one request whose times are remembered: round trips are measured up to that many attempts back.
const ATTEMPTS_TIMED: usize = 8;

/// One peer.
pub(super) struct Peer {
    state: Mutex<State>,
    /// An introduction has ended, this way or that.
    settled: Notify,
    /// Slots that we may have under way.
    window_max: usize,
}

struct State {
    path: Path,
    /// Kept while the peer is mute: an answer may still come.
    session: Option<Session>,
    /// Of the session, or of the introduction under way.
    seal: Option<Arc<Seal>>,
    round_trip: RoundTrip,
    slots: Vec<Slot>,
    free: Vec<u16>,
    /// Callers that wait for the introduction.
    waiting: usize,
    one_ways: u64,
    used: Instant,
    /// Something of the session arrived.
    heard: Instant,
    checked: Option<Instant>,
    closed: bool,
}

enum Path {
    Unknown,
    /// `patient`: the first time, when callers wait for it.
    Introducing {
        nonce: u64,
        sent: Instant,
        attempt: u16,
        patient: bool,
    },
    Open,
    Mute {
        until: Instant,
    },
}

#[derive(Clone)]
struct Session {
    id: SessionId,
    to: Link,
    /// Slots that the peer has.
    slots_max: usize,
}

#[derive(Default)]
struct Slot {
    sequence: u64,
    tell: Option<oneshot::Sender<Told>>,
    attempts: u16,
    /// The peer has said that it works on it: its reply takes as long as the work does.
    worked_on: bool,
    sent: [Option<Instant>; ATTEMPTS_TIMED],
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Told {
    /// The bytes of its reply.
    Reply(Bytes),
    /// It was carried out, and the reply is to be collected.
    TooLarge,
    /// Nobody knows whether it was carried out.
    Broken,
}

/// How a message gets to the peer.
pub(super) enum Way {
    Datagram(Place),
    Tcp,
    /// The introduction is under way and worth waiting for.
    Wait(Waiting),
    /// The caller must start it.
    Introduce(u64),
    Blocked(TransportError),
}

/// One request under way; gives its slot up when dropped.
pub(super) struct Place {
    peer: Arc<Peer>,
    pub(super) session: SessionId,
    pub(super) to: Link,
    pub(super) slot: u16,
    pub(super) sequence: u64,
    pub(super) told: oneshot::Receiver<Told>,
}

/// One of the times that a request is sent.
pub(super) struct Attempt {
    pub(super) number: u16,
    /// How long to wait for its answer.
    pub(super) wait: Duration,
    /// Nothing came from the peer since the attempt before: it should be looked for.
    pub(super) silent: bool,
}

/// Somebody who waits for the introduction.
pub(super) struct Waiting(Arc<Peer>);

impl Peer {
    pub(super) fn new(window_max: usize, now: Instant) -> Self {
        let state = State {
            path: Path::Unknown,
            session: None,
            seal: None,
            round_trip: RoundTrip::default(),
            slots: Vec::new(),
            free: Vec::new(),
            waiting: 0,
            one_ways: 0,
            used: now,
            heard: now,
            checked: None,
            closed: false,
        };
        Self { state: Mutex::new(state), settled: Notify::new(), window_max: window_max.min(u16::MAX.into()) }
    }

    /// The way for one request. `patient`: the caller would wait for an introduction.
    pub(super) fn way(self: &Arc<Self>, to: &Address, now: Instant, patient: bool, nonce: impl FnOnce() -> u64) -> Way {
        let mut state = self.lock();
        if state.closed {
            return Way::Blocked(TransportError::Closed);
        }
        state.forget_unused(now);
        state.used = now;
        match (&state.path, state.session.clone()) {
            (Path::Open, Some(session)) => match state.take_slot(self.window_max.min(session.slots_max)) {
                Some((slot, sequence, told)) => Way::Datagram(Place {
                    peer: self.clone(),
                    session: session.id,
                    to: session.to,
                    slot,
                    sequence,
                    told,
                }),
                None => Way::Blocked(TransportError::Overloaded(to.clone())),
            },
            (Path::Introducing { patient: true, .. }, _) if patient => {
                if state.waiting >= self.window_max {
                    return Way::Blocked(TransportError::Overloaded(to.clone()));
                }
                state.waiting += 1;
                Way::Wait(Waiting(self.clone()))
            }
            (Path::Introducing { .. }, _) => Way::Tcp,
            (Path::Mute { until }, _) if now < *until => Way::Tcp,
            (path, _) => {
                let (nonce, patient) = (nonce(), !matches!(path, Path::Mute { .. }));
                state.path = Path::Introducing { nonce, sent: now, attempt: 0, patient };
                Way::Introduce(nonce)
            }
        }
    }

    /// Session, address and number for a one-way message, if datagrams reach the peer.
    pub(super) fn one_way(&self, now: Instant) -> Option<(SessionId, Link, u64)> {
        let mut state = self.lock();
        state.forget_unused(now);
        let (Path::Open, Some(session)) = (&state.path, state.session.clone()) else { return None };
        state.used = now;
        state.one_ways += 1;
        Some((session.id, session.to, state.one_ways))
    }

    /// Whether the introduction with that nonce is still wanted; its next attempt leaves now.
    pub(super) fn introducing(&self, now: Instant, wanted: u64, next: u16) -> bool {
        match &mut self.lock().path {
            Path::Introducing { nonce, sent, attempt, .. } if *nonce == wanted => {
                (*sent, *attempt) = (now, next);
                true
            }
            _ => false,
        }
    }

    /// The introduction with that nonce has got this key.
    pub(super) fn seal_with(&self, wanted: u64, seal: &Arc<Seal>) {
        let mut state = self.lock();
        if matches!(state.path, Path::Introducing { nonce, .. } if nonce == wanted) {
            state.seal = Some(seal.clone());
        }
    }

    /// The key of that number, if it is the present one.
    pub(super) fn seal(&self, id: u64) -> Option<Arc<Seal>> {
        self.lock().seal.clone().filter(|seal| seal.id() == id)
    }

    /// The number of the present key.
    pub(super) fn sealed(&self) -> Option<u64> {
        self.lock().seal.as_ref().map(|seal| seal.id())
    }

    /// The peer does not know the session's key any more: what it was asked has no answer, and the next one asks for
    /// another key.
    pub(super) fn forgotten(&self) {
        let broken = {
            let mut state = self.lock();
            if !matches!(state.path, Path::Introducing { .. }) {
                state.path = Path::Unknown;
                state.seal = None;
            }
            state.forget_session()
        };
        tell_all(broken);
    }

    /// Done when no introduction is under way.
    pub(super) async fn settled(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            // From here on a wake-up is not missed.
            settled.as_mut().enable();
            if !matches!(self.lock().path, Path::Introducing { .. }) {
                return;
            }
            settled.await;
        }
    }

    /// The introduction with that nonce was in vain; nothing but TCP is tried until then.
    pub(super) fn mute(&self, wanted: u64, until: Instant) {
        {
            let mut state = self.lock();
            // An offer may have come this instant.
            if !matches!(state.path, Path::Introducing { nonce, .. } if nonce == wanted) {
                return;
            }
            state.path = Path::Mute { until };
        }
        self.settled.notify_waiters();
    }

    /// Nobody listens at the peer's address any more: what it was asked has no answer.
    pub(super) fn refused(&self, until: Instant) {
        let broken = {
            let mut state = self.lock();
            state.path = Path::Mute { until };
            state.forget_session()
        };
        self.settled.notify_waiters();
        tell_all(broken);
    }

    /// An offer of a session came from `from`.
    pub(super) fn offered(&self, from: Link, header: &Header, id: SessionId, now: Instant) -> bool {
        let broken = {
            let mut state = self.lock();
            match state.path {
                Path::Introducing { nonce, sent, attempt, .. }
                    if header.session == (SessionId { number: 0, cookie: nonce }) =>
                {
                    if header.attempt == attempt {
                        state.round_trip.sample(now.saturating_duration_since(sent));
                    }
                }
                // It answers a request of a session that the peer does not know any more.
                _ if state.session.as_ref().is_some_and(|known| known.id == header.session) => {}
                _ => return false,
            }
            let broken = state.forget_session();
            state.session = Some(Session { id, to: from, slots_max: header.slot.into() });
            state.path = Path::Open;
            (state.heard, state.used) = (now, now);
            broken
        };
        self.settled.notify_waiters();
        tell_all(broken);
        true
    }

    /// An answer came from the peer. False if it belongs to nothing that is under way: a late duplicate, or a forgery.
    pub(super) fn answered(&self, header: &Header, payload: &[u8], now: Instant) -> bool {
        let told = {
            let mut state = self.lock();
            if state.session.as_ref().is_none_or(|known| known.id != header.session) {
                return false;
            }
            let Some(slot) = state.slots.get_mut(usize::from(header.slot)) else { return false };
            if slot.sequence != header.sequence || slot.tell.is_none() || header.attempt >= slot.attempts {
                return false;
            }
            let sent = slot.sent.get(usize::from(header.attempt) % ATTEMPTS_TIMED).copied().flatten();
            let recent = usize::from(slot.attempts - header.attempt) <= ATTEMPTS_TIMED;
            let tell = if header.kind == PacketKind::Working { None } else { slot.tell.take() };
            // That it works on it is said at once, so that is a round trip; what comes of it then is none.
            let prompt = header.kind == PacketKind::Working || !slot.worked_on;
            slot.worked_on |= header.kind == PacketKind::Working;
            if let Some(sent) = sent.filter(|_| recent && prompt) {
                state.round_trip.sample(now.saturating_duration_since(sent));
            }
            state.heard = now;
            // It was taken to be mute too soon.
            if matches!(state.path, Path::Mute { .. }) {
                state.path = Path::Open;
            }
            tell
        };
        if let Some(tell) = told {
            let told = match header.kind {
                PacketKind::Reply => Told::Reply(Bytes::copy_from_slice(payload)),
                PacketKind::TooLarge => Told::TooLarge,
                _ => Told::Broken,
            };
            // A caller that is gone needs no answer.
            drop(tell.send(told));
        }
        true
    }

    /// Whether to look over TCP if a silent peer is there: not if that has just been done.
    pub(super) fn begin_check(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let due = state.checked.is_none_or(|checked| now.saturating_duration_since(checked) >= CHECK_PAUSE);
        if due {
            state.checked = Some(now);
        }
        due
    }

    /// The peer is there over TCP; if it has been silent for long all the same, datagrams are not what reaches it.
    pub(super) fn there(&self, now: Instant, mute_until: Instant) {
        let mut state = self.lock();
        if matches!(state.path, Path::Open) && now.saturating_duration_since(state.heard) >= SILENCE_MAX {
            // Requests under way wait on: an answer may still come.
            state.path = Path::Mute { until: mute_until };
        }
    }

    /// True if a session with the peer is open.
    pub(super) fn open(&self) -> bool {
        matches!(self.lock().path, Path::Open)
    }

    /// True if nothing is lost by forgetting it.
    pub(super) fn idle(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.forget_unused(now);
        let nothing_known = match state.path {
            Path::Unknown => true,
            Path::Mute { until } => until <= now,
            Path::Introducing { .. } | Path::Open => false,
        };
        nothing_known && state.waiting == 0 && state.free.len() == state.slots.len()
    }

    /// Callers are told that the transport is closed.
    pub(super) fn close(&self) {
        {
            let mut state = self.lock();
            state.closed = true;
            state.path = Path::Unknown;
            for slot in &mut state.slots {
                slot.tell = None;
            }
        }
        self.settled.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is complete before anything can panic, so a poisoned lock loses nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_unused(&mut self, now: Instant) {
        let unused = now.saturating_duration_since(self.used) >= UNUSED_MAX;
        let (spent, worn_out) = self.seal.as_ref().map_or((false, false), |seal| seal.spent());
        let quiet = self.free.len() == self.slots.len();
        if matches!(self.path, Path::Open) && (worn_out || quiet && (unused || spent)) {
            self.path = Path::Unknown;
            self.seal = None;
            tell_all(self.forget_session());
        }
    }

    /// Sequences begin anew; gives back those whose requests belong to the session that is over.
    fn forget_session(&mut self) -> Vec<oneshot::Sender<Told>> {
        self.session = None;
        self.free.clear();
        self.one_ways = 0;
        std::mem::take(&mut self.slots).into_iter().filter_map(|slot| slot.tell).collect()
    }

    fn take_slot(&mut self, slots_max: usize) -> Option<(u16, u64, oneshot::Receiver<Told>)> {
        // The lowest that are free are used again first, so a quiet peer needs few.
        let number = match self.free.pop() {
            Some(free) => free,
            None if self.slots.len() < slots_max => {
                let number = u16::try_from(self.slots.len()).ok()?;
                self.slots.push(Slot::default());
                number
            }
            None => return None,
        };
        let (tell, told) = oneshot::channel();
        let slot = self.slots.get_mut(usize::from(number))?;
        *slot = Slot { sequence: slot.sequence + 1, tell: Some(tell), ..Slot::default() };
        Some((number, slot.sequence, told))
    }
}

impl Place {
    /// Another attempt leaves now. `None`: what became of the request has been told.
    pub(super) fn attempt(&self, now: Instant) -> Option<Attempt> {
        let mut state = self.peer.lock();
        let round_trip = state.round_trip;
        if !state.has(self) {
            return None;
        }
        let heard = state.heard;
        let slot = state.slots.get_mut(usize::from(self.slot))?;
        let attempt = slot.attempts;
        let before = slot.sent.get(usize::from(attempt.wrapping_sub(1)) % ATTEMPTS_TIMED).copied().flatten();
        let silent = attempt >= CHECK_ATTEMPT && before.is_none_or(|before| heard < before);
        slot.attempts = attempt.saturating_add(1);
        if let Some(sent) = slot.sent.get_mut(usize::from(attempt) % ATTEMPTS_TIMED) {
            *sent = Some(now);
        }
        Some(Attempt { number: attempt, wait: round_trip.timeout(attempt), silent })
    }

    /// Whom it is asked of.
    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl State {
    /// Whether the slot is still that request's.
    fn has(&self, place: &Place) -> bool {
        let same_session = self.session.as_ref().is_some_and(|session| session.id == place.session);
        same_session && self.slots.get(usize::from(place.slot)).is_some_and(|slot| slot.sequence == place.sequence)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.peer.lock();
        if state.has(self)
            && let Some(slot) = state.slots.get_mut(usize::from(self.slot))
        {
            slot.tell = None;
            state.free.push(self.slot);
        }
    }
}

impl Waiting {
    pub(super) async fn settled(&self) {
        self.0.settled().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waiting = state.waiting.saturating_sub(1);
    }
}

fn tell_all(broken: Vec<oneshot::Sender<Told>>) {
    for tell in broken {
        // A caller that is gone needs no answer.
        drop(tell.send(Told::Broken));
    }
}

#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
