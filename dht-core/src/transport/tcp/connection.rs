//! One multiplexed connection: who waits for what on it, and its end.
//!
//! Invariant: a waiter in the table is told exactly once, by its answer or by the connection's end; who gives up
//! takes itself out. Once `ended` is set, nothing enters the table any more.

use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::super::TransportError;
use super::super::misbehaviour::{Misbehaviour, source_of};
use super::by_source::counted;
use super::channel::Sink;
use super::counters::Counters;
use super::outbound::{Flushed, Outbound, Progress, Unqueued, Weight};
use super::stream::StreamEvent;
use crate::data::FixedMap;
use crate::env::Env;
use crate::ring::record::Address;
use crate::wire::class::Class;
use crate::wire::frame::{FrameKind, HEADER_LEN, Header};

/// A connection on which calls have ended unanswered for so long, and on which nothing at all arrived meanwhile, is given
/// up: after a partition a fresh dial works at once, an old connection may take minutes. Most calls are shorter, so it
/// takes several of them.
const STALL_MIN: Duration = Duration::from_secs(2);
/// A call that was missed so long before another one was begun says nothing of the time between.
const APART_MAX_MS: u64 = 10_000;

/// Who looks so late whether an answer came in time was kept from it, and others were kept from reading.
const LATE_MAX: Duration = Duration::from_millis(250);

/// An accepted connection is given so long for its first request.
const NEW_MS: u64 = 1_000;

/// System calls in a row that whoever queued a frame makes for the others before the writer task takes over.
const OWN_ROUNDS: usize = 2;

/// The same for the writer task before it lets others run.
const WRITER_ROUNDS: usize = 16;

/// One open connection.
pub(super) struct Connection {
    /// Tells connections of one transport apart; grows.
    pub(super) serial: u64,
    /// As dialled, or the peer's end of an accepted connection.
    pub(super) peer: Address,
    /// Which life of the peer this leads to, as it said itself; 0: nobody asked.
    boot: u64,
    /// True if we dialled.
    pub(super) dialled: bool,
    /// Who dialled us.
    accepted_from: Option<IpAddr>,
    sink: Sink,
    outbound: Outbound,
    waiting: Mutex<Waiting>,
    waiting_max: usize,
    /// Requests of the peer being carried out; of those that outlive the connection too.
    serving: Arc<AtomicUsize>,
    /// Milliseconds of uptime: last used by us, or begun; last heard from the peer; and last told something whole by it, 0: never.
    used_ms: AtomicU64,
    heard_ms: AtomicU64,
    /// It ends with a reset when the last holder lets go of it.
    is_reset: AtomicBool,
    told_ms: AtomicU64,
    /// Bytes read.
    received: AtomicU64,
    /// Whose large frame is being read.
    reading: AtomicU64,
    /// When the first of the calls began that ended unanswered since; holds unless something was heard later. 0: none.
    missed_since_ms: AtomicU64,
    pub(super) counters: Arc<Counters>,
    pub(super) env: Env,
}

#[derive(Default)]
struct Waiting {
    ended: Option<TransportError>,
    /// The peer takes no new requests here.
    retired: bool,
    table: FixedMap<u64, Waiter>,
}

/// Who waits for frames of one request id.
pub(super) enum Waiter {
    Call(oneshot::Sender<Result<Bytes, TransportError>>),
    Stream(mpsc::Sender<StreamEvent>),
}

/// What became of a call that was handed to a connection.
pub(super) enum Called {
    /// The payload of the response, or why there is none.
    Done(Result<Bytes, TransportError>),
    /// The connection had ended before: certainly not sent, to be tried on another one.
    Unsent(Bytes),
}

impl Connection {
    /// As many may wait for answers as frames may wait in `outbound`.
    pub(super) fn new(
        serial: u64,
        peer: Address,
        dialled: bool,
        sink: Sink,
        outbound: Outbound,
        counters: Arc<Counters>,
        env: Env,
    ) -> Self {
        let now = AtomicU64::new(env.uptime_ms());
        let from: Option<SocketAddr> = if dialled { None } else { peer.as_str().parse().ok() };
        Self {
            serial,
            peer,
            boot: 0,
            dialled,
            accepted_from: from.map(|from| source_of(from.ip())),
            sink,
            waiting_max: outbound.len_max(),
            outbound,
            waiting: Mutex::default(),
            serving: Arc::default(),
            heard_ms: AtomicU64::new(now.load(Relaxed)),
            is_reset: AtomicBool::new(false),
            told_ms: AtomicU64::new(0),
            used_ms: now,
            received: AtomicU64::new(0),
            reading: AtomicU64::new(0),
            missed_since_ms: AtomicU64::new(0),
            counters,
            env,
        }
    }

    /// The same, to that life of the peer.
    pub(super) fn to(self, boot: u64) -> Self {
        Self { boot, ..self }
    }

    /// Sends an encoded request frame and waits for its response.
    pub(super) async fn call(self: &Arc<Self>, id: u64, frame: Bytes, weight: Weight, deadline: Instant) -> Called {
        let (started_ms, received) = (self.touch(), self.received());
        let (tell, told) = oneshot::channel();
        let alone = match self.enter(id, weight, Waiter::Call(tell)) {
            Ok(count) => count == 1,
            Err(Some(error)) => return Called::Done(Err(error)),
            Err(None) => return Called::Unsent(frame),
        };
        let mut place = Place { connection: self, id, vacated: false };
        match self.outbound.push(frame, weight) {
            Ok(()) => self.flush(alone),
            Err(Unqueued::Full) => return Called::Done(Err(TransportError::Overloaded(self.peer.clone()))),
            Err(Unqueued::Closed(frame)) => return Called::Unsent(frame),
        }
        let answer = match timeout_at(deadline, told).await {
            Ok(Ok(answer)) => answer,
            // The table was dropped without a word: cannot happen while `end` tells everyone, but is no reason to panic.
            Ok(Err(_)) => Err(TransportError::Broken(self.peer.clone())),
            Err(_) => {
                self.missed(started_ms, deadline);
                let to = self.peer.clone();
                // What its machine has taken says nothing of it, what it has sent does.
                let late = self.received() != received && self.boot != 0;
                return Called::Done(Err(match late {
                    true => TransportError::Late { to, boot: self.boot },
                    false => TransportError::Deadline(to),
                }));
            }
        };
        place.vacated = true;
        Called::Done(answer)
    }

    /// Sends a frame that nobody waits for; it is lost if there is no room.
    pub(super) fn send(&self, frame: Bytes, weight: Weight) -> Result<(), TransportError> {
        self.touch();
        match self.outbound.push(frame, weight) {
            Ok(()) => {
                // The lock is let go first: a write that fails ends the connection, which takes it again.
                let alone = self.lock().table.is_empty();
                self.flush(alone);
                Ok(())
            }
            Err(Unqueued::Full) => Err(TransportError::Overloaded(self.peer.clone())),
            Err(Unqueued::Closed(_)) => Err(TransportError::Broken(self.peer.clone())),
        }
    }

    /// Sends a request whose responses go to `events`. `Err(None)`: not sent, the connection had ended; the frame is
    /// left in `frame`.
    pub(super) fn open(
        &self,
        id: u64,
        frame: &mut Bytes,
        weight: Weight,
        events: mpsc::Sender<StreamEvent>,
    ) -> Result<(), Option<TransportError>> {
        self.touch();
        self.enter(id, weight, Waiter::Stream(events))?;
        match self.outbound.push(std::mem::take(frame), weight) {
            Ok(()) => {
                self.flush(true);
                Ok(())
            }
            Err(Unqueued::Full) => {
                self.leave(id);
                Err(Some(TransportError::Overloaded(self.peer.clone())))
            }
            Err(Unqueued::Closed(unsent)) => {
                self.leave(id);
                *frame = unsent;
                Err(None)
            }
        }
    }

    /// Queues an answer; `flush` follows, and `touch` unless its request came in just now. False if there is no room: for a long one while others wait, for a short one
    /// only behind very many.
    pub(super) fn answer(&self, frame: Bytes) -> bool {
        // Where the connection has ended nobody waits for it.
        !matches!(self.outbound.push(frame, Weight::Priority), Err(Unqueued::Full))
    }

    /// Queues and sends a frame of ours that must not be lost (credit, cancel, end of a stream). A peer that takes so little
    /// that there is no room for it loses the connection.
    pub(super) fn control(&self, kind: FrameKind, id: u64, payload: &[u8]) {
        match control_frame(kind, id, payload) {
            Ok(frame) => {
                if !self.answer(frame) {
                    self.unstick();
                }
            }
            Err(error) => event!(error, %error, "a control frame is too long"),
        }
        self.flush(true);
    }

    /// Queues an item of a stream when there is room and sends it. False if the connection has ended, as it does when
    /// nothing was taken for long (`Pool::stuck`).
    pub(super) async fn stream_item(&self, frame: Bytes) -> bool {
        let queued = self.outbound.push_when_room(frame).await;
        self.touch();
        self.flush(true);
        queued
    }

    /// Sends what is queued: at once, or together with what else is about to come.
    pub(super) fn flush(&self, at_once: bool) {
        if !at_once {
            return self.outbound.wake_writer();
        }
        match self.outbound.flush(&self.sink, OWN_ROUNDS, &self.counters) {
            Ok(Flushed::All | Flushed::Busy) => {}
            Ok(Flushed::Some | Flushed::Blocked) => self.outbound.wake_writer(),
            Err(error) => self.broke(&error),
        }
    }

    /// The writer task: sends what others leave to it, until the connection ends.
    pub(super) async fn write(&self) {
        while self.outbound.wanted().await {
            // Callers that were woken together queue their frames now, and one system call carries them all.
            tokio::task::yield_now().await;
            loop {
                match self.outbound.flush(&self.sink, WRITER_ROUNDS, &self.counters) {
                    Ok(Flushed::All | Flushed::Busy) => break,
                    Ok(Flushed::Some) => tokio::task::yield_now().await,
                    Ok(Flushed::Blocked) => {
                        if let Err(error) = self.sink.socket().writable().await {
                            return self.broke(&error);
                        }
                        // It was full: the peer's machine has taken something since, which is as good as a word.
                        self.heard();
                    }
                    Err(error) => return self.broke(&error),
                }
                if self.ended().is_some() {
                    return;
                }
            }
        }
    }

    /// Gives a waiter what arrived for it: takes it out for good if `take` says so.
    pub(super) fn waiter<T>(&self, id: u64, with: impl FnOnce(&mut Waiter) -> T) -> Option<T> {
        self.lock().table.get_mut(&id).map(with)
    }

    /// Takes a waiter out.
    pub(super) fn leave(&self, id: u64) -> Option<Waiter> {
        self.lock().table.remove(&id)
    }

    /// Ends the connection: everybody who waits is told `why`, the socket is shut down, and its tasks end by that.
    /// Only the first reason counts.
    pub(super) fn end(&self, why: TransportError) {
        let told = {
            let mut waiting = self.lock();
            if waiting.ended.is_some() {
                return;
            }
            waiting.ended = Some(why.clone());
            std::mem::take(&mut waiting.table)
        };
        self.shut();
        for waiter in told.into_values() {
            match waiter {
                // A caller that is gone needs no answer.
                Waiter::Call(tell) => drop(tell.send(Err(why.clone()))),
                // The stream sees that its sender is gone and asks `ended` why.
                Waiter::Stream(_) => {}
            }
        }
    }

    /// Ends the connection, but for the system calls, which are left to `shut`, if nobody waits for anything in either
    /// direction. Whoever comes later finds it ended before anything was sent, and takes another one.
    pub(super) fn end_if_quiet(&self) -> bool {
        let mut waiting = self.lock();
        let quiet = waiting.ended.is_none() && waiting.table.is_empty() && self.serving() == 0;
        if quiet {
            waiting.ended = Some(TransportError::Broken(self.peer.clone()));
        }
        quiet
    }

    /// What is left to do for a connection that has ended.
    pub(super) fn shut(&self) {
        // A last answer may still be queued; what the socket does not take now is lost, as in a crash.
        if let Err(error) = self.outbound.flush(&self.sink, OWN_ROUNDS, &self.counters) {
            event!(trace, peer = %self.peer, %error, "not flushed");
        }
        self.outbound.close();
        // An end in order would have to be acknowledged, behind all that is on its way.
        let how = if self.is_reset.load(Relaxed) { std::net::Shutdown::Read } else { std::net::Shutdown::Both };
        if let Err(error) = SockRef::from(self.sink.socket()).shutdown(how) {
            event!(trace, peer = %self.peer, %error, "was not connected any more");
        }
    }

    /// Ends the connection because the peer does not take its answers.
    fn deaf(&self) {
        event!(debug, peer = %self.peer, "does not read its answers");
        self.counters.network_error();
        self.counters.misdeeds.note(Misbehaviour::Deaf, &self.culprit());
        self.end(TransportError::Broken(self.peer.clone()));
    }

    /// Ends the connection because of an error of the socket.
    pub(super) fn broke(&self, error: &dyn std::fmt::Display) {
        if self.ended().is_none() {
            event!(debug, peer = %self.peer, %error, "connection broke");
            self.counters.network_error();
            self.end(TransportError::Broken(self.peer.clone()));
        }
    }

    /// Why the connection ended, if it has.
    pub(super) fn ended(&self) -> Option<TransportError> {
        self.lock().ended.clone()
    }

    /// No new requests go this way; those under way do.
    pub(super) fn retire(&self) {
        self.lock().retired = true;
    }

    /// True if it takes new requests.
    pub(super) fn usable(&self) -> bool {
        let waiting = self.lock();
        waiting.ended.is_none() && !waiting.retired
    }

    /// True if the peer takes its answers too slowly to be given more of that class to do.
    pub(super) fn congested(&self, class: Class) -> bool {
        self.outbound.congested(Weight::of_class(class))
    }

    /// True if the peer has taken nothing of what waits for it for too long; to be asked every few seconds. While it takes
    /// as much as of something large that is under way, that counts as use.
    pub(super) fn stuck(&self, now_ms: u64) -> bool {
        match self.outbound.progress(now_ms) {
            Progress::Stuck => true,
            Progress::Slow => false,
            Progress::Flows => {
                self.used_ms.store(now_ms, Relaxed);
                false
            }
        }
    }

    /// Ends a connection whose peer does not take what waits for it.
    pub(super) fn unstick(&self) {
        if self.dialled { self.broke(&"takes nothing") } else { self.deaf() }
    }

    /// A request of the peer begins; it lasts as long as the guard.
    pub(super) fn serve(&self) -> Serving {
        self.serving.fetch_add(1, Relaxed);
        Serving(self.serving.clone())
    }

    /// Requests of the peer being carried out.
    pub(super) fn serving(&self) -> usize {
        self.serving.load(Relaxed)
    }

    /// True if nobody waits for anything in either direction.
    pub(super) fn quiet(&self) -> bool {
        self.serving() == 0 && self.lock().table.is_empty()
    }

    /// Uptime in milliseconds when a whole message last went either way, or much of one that is long to the peer: bytes that
    /// trickle in do not count.
    pub(super) fn used_ms(&self) -> u64 {
        self.used_ms.load(Relaxed).max(self.told_ms.load(Relaxed))
    }

    /// Uptime in milliseconds when anything last went either way.
    pub(super) fn moved_ms(&self) -> u64 {
        self.used_ms().max(self.heard_ms.load(Relaxed))
    }

    /// A whole frame came in.
    pub(super) fn told(&self) {
        self.told_ms.store(self.env.uptime_ms().max(1), Relaxed);
    }

    /// True if it was accepted a moment ago, and its first request is on its way: its end would leave the peer in doubt of that,
    /// and newcomers would push each other out.
    pub(super) fn new_here(&self) -> bool {
        let untold = !self.dialled && self.told_ms.load(Relaxed) == 0;
        untold && self.env.uptime_ms().saturating_sub(self.used_ms()) < NEW_MS
    }

    /// Where it came from, if that counts towards the share of one source: nothing for connections of ours.
    pub(super) fn source(&self) -> Option<IpAddr> {
        self.accepted_from.and_then(counted)
    }

    /// Whom to blame for what comes in.
    pub(super) fn culprit(&self) -> String {
        self.accepted_from.map_or_else(|| self.peer.to_string(), |source| source.to_string())
    }

    /// Bytes came in; that is now.
    pub(super) fn heard(&self) -> Instant {
        let now = self.env.now();
        self.heard_ms.store(self.env.uptime_ms_at(now), Relaxed);
        now
    }

    /// So many were read; that is now. Only its reader calls this.
    pub(super) fn took_in(&self, bytes: usize) -> Instant {
        self.received.store(self.received().wrapping_add(bytes as u64), Relaxed);
        self.heard()
    }

    /// A large frame of which a part was read is that call's or stream's; 0: of none.
    pub(super) fn note_reading(&self, id: u64) {
        self.reading.store(id, Relaxed);
    }

    /// What was noted last.
    pub(super) fn reading(&self) -> u64 {
        self.reading.load(Relaxed)
    }

    /// Bytes read so far, whole frames or not.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// What began to be waited for at `started_ms`, and lasted until its deadline, did not come.
    pub(super) fn missed(&self, started_ms: u64, deadline: Instant) {
        let now = self.env.now();
        // Where this process stood still the peer may have said much meanwhile that nobody has read yet.
        if now.saturating_duration_since(deadline) >= LATE_MAX {
            return;
        }
        let heard_ms = self.heard_ms.load(Relaxed);
        let since_ms = match self.missed_since_ms.load(Relaxed) {
            // Something else came meanwhile: the silence is younger than the wait.
            _ if heard_ms > started_ms => heard_ms,
            // Calls further apart than this say nothing of the time between them.
            known_ms if known_ms > 0 && known_ms >= heard_ms && started_ms.saturating_sub(known_ms) < APART_MAX_MS => {
                known_ms.min(started_ms)
            }
            _ => {
                // Two at the same moment may each take their own start, and one later miss does more.
                self.missed_since_ms.store(started_ms.max(1), Relaxed);
                started_ms
            }
        };
        let silent = Duration::from_millis(self.env.uptime_ms_at(now).saturating_sub(since_ms));
        if silent >= STALL_MIN && !self.unread() {
            self.forget_unsent();
            self.broke(&"stalled");
        }
    }

    /// The kernel would go on sending what it has for minutes after the end, to a machine that may be cut off or suspended: by the time it
    /// comes, others have carried it out. It is reset instead.
    fn forget_unsent(&self) {
        match SockRef::from(self.sink.socket()).set_linger(Some(Duration::ZERO)) {
            Ok(()) => self.is_reset.store(true, Relaxed),
            Err(error) => event!(debug, peer = %self.peer, %error, "what was sent may come late"),
        }
    }

    /// Something has come, or its end, that the reader has not looked at yet.
    fn unread(&self) -> bool {
        let mut one = [MaybeUninit::uninit()];
        SockRef::from(self.sink.socket()).peek(&mut one).is_ok()
    }

    /// Room for sealed bytes on their way.
    #[cfg(test)]
    pub(super) fn sealed_room(&self) -> usize {
        self.outbound.sealed_room()
    }

    /// It is being used; that is now.
    pub(super) fn touch(&self) -> u64 {
        let now_ms = self.env.uptime_ms();
        self.used_ms.store(now_ms, Relaxed);
        now_ms
    }

    /// How many wait now, this one included; `Err(None)` if the connection has ended.
    fn enter(&self, id: u64, weight: Weight, waiter: Waiter) -> Result<usize, Option<TransportError>> {
        let mut waiting = self.lock();
        if waiting.ended.is_some() || waiting.retired {
            return Err(None);
        }
        if waiting.table.len() >= weight.room(self.waiting_max) {
            return Err(Some(TransportError::Overloaded(self.peer.clone())));
        }
        waiting.table.insert(id, waiter);
        Ok(waiting.table.len())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The table is valid in every state, so a poisoned lock loses nothing.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's place in the table, given up when the caller goes.
struct Place<'a> {
    connection: &'a Connection,
    id: u64,
    vacated: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.vacated {
            self.connection.leave(self.id);
        }
    }
}

/// One request of the peer under way. It does not keep the connection, and with it a file descriptor.
pub(super) struct Serving(Arc<AtomicUsize>);

impl Serving {
    /// True if no other is under way.
    pub(super) fn alone(&self) -> bool {
        self.0.load(Relaxed) == 1
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn control_frame(kind: FrameKind, id: u64, payload: &[u8]) -> Result<Bytes, crate::wire::error::WireError> {
    let header = Header::of(kind, id, payload, CONTROL_LEN_MAX)?;
    let mut frame = Vec::with_capacity(HEADER_LEN + payload.len());
    frame.extend_from_slice(&header.encode());
    frame.extend_from_slice(payload);
    Ok(frame.into())
}

/// Payload bytes of credit, cancel and end frames.
const CONTROL_LEN_MAX: usize = 4;
