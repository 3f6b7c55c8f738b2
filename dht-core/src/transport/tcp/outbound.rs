//! The sending end's queue: whole frames wait here and leave together.
//!
//! One party writes at a time. Who has just queued a frame on a quiet connection writes it at once, without a task
//! switch; on a busy one the writer task takes all that has gathered in one system call. What the socket does not
//! take stays in front of the queue, so frames never overtake each other.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::Notify;

use super::super::load::{BEGUN_FACTOR, Load};
use super::channel::{Sink, Written};
use super::counters::Counters;
use super::stream::ITEM_BYTES_PER_S;
use crate::wire::class::Class;
use crate::wire::message::Request;

/// Bytes that may wait, whatever their number: what a peer that stopped reading can pin. A single frame may be
/// longer: a request if nothing else waits, an answer while there is any room.
const QUEUED_BYTES_MAX: usize = 64 << 20;

/// Answers and control frames may use this many times the room of requests: they are bounded by what the peer may
/// ask, and dropping one would break a promise. So may what keeps the ring together, which is little.
const PRIORITY_FACTOR: usize = 4;

/// Stream items wait while more than this is queued: enough to keep a socket busy. Who has more waiting is the first that
/// is given no more to do when too much waits in all.
const STREAM_BYTES_MAX: usize = 1 << 20;

/// So much holds up no stream item, however long that is: else answers could hold it up for ever, and it those behind it.
/// An answer or a control frame that is no longer is bounded by the number of frames alone.
const LITTLE: usize = STREAM_BYTES_MAX / 16;

/// A peer that takes nothing of what waits for it for so long is gone, or might as well be.
const STUCK_MAX: Duration = Duration::from_secs(120);

/// A queue of frames towards one peer.
pub(super) struct Outbound {
    queue: Mutex<Queue>,
    /// Wakes the writer task.
    ready: Notify,
    /// Wakes the stream that waits for room.
    room: Notify,
    /// Streams wait one behind the other, so that small items do not for ever take the room that a large one waits for.
    turn: tokio::sync::Mutex<()>,
    len_max: usize,
    /// Knows what waits in all.
    load: Arc<Load>,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    /// Taken from `frames` by a writer and not wholly written; goes first.
    batch: VecDeque<Bytes>,
    /// On a sealed connection: sealed and not wholly written; goes before everything.
    sealed: BytesMut,
    /// Frames and bytes in both, and in the hands of a writer.
    len: usize,
    bytes: usize,
    /// Bytes that were written, ever, and what they were when `progress` saw them change, with the uptime in milliseconds.
    written: u64,
    seen: Option<(u64, u64)>,
    writing: bool,
    room_wanted: bool,
    closed: bool,
}

/// What a frame is, to the bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Weight {
    /// A request: the first to be refused.
    Ordinary,
    /// A request that others wait for, of those that were taken on.
    Begun,
    /// An answer or a control frame, or a request that keeps the ring together.
    Priority,
}

impl Weight {
    pub(super) fn of(request: &Request) -> Self {
        Self::of_class(request.class())
    }

    pub(super) fn of_class(class: Class) -> Self {
        match class {
            Class::Upkeep => Self::Priority,
            Class::Begun => Self::Begun,
            Class::Foreground | Class::Background => Self::Ordinary,
        }
    }

    /// How much there may be of it and all others together, where of ordinary ones there may be `ordinary`.
    pub(super) fn room(self, ordinary: usize) -> usize {
        let factor = match self {
            Self::Ordinary => 1,
            Self::Begun => BEGUN_FACTOR,
            Self::Priority => PRIORITY_FACTOR,
        };
        ordinary.saturating_mul(factor)
    }
}

/// Why a frame was not queued.
#[derive(Debug)]
pub(super) enum Unqueued {
    /// No room.
    Full,
    /// The connection has ended; the frame may go another way.
    Closed(Bytes),
}

/// What became of what waits for a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// Nothing of it was taken for too long.
    Stuck,
    /// Little was taken since the last look, or nobody knows.
    Slow,
    /// As much was taken as of something large that is under way.
    Flows,
}

/// How far a flush got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flushed {
    /// Nothing is queued.
    All,
    /// The rounds were used up.
    Some,
    /// The socket takes no more now.
    Blocked,
    /// Somebody else is writing and will see to it.
    Busy,
}

impl Outbound {
    /// At most `len_max` ordinary frames wait; their bytes count in `load`.
    pub(super) fn new(len_max: usize, load: Arc<Load>) -> Self {
        let (ready, room, turn) = (Notify::new(), Notify::new(), tokio::sync::Mutex::default());
        Self { queue: Mutex::default(), ready, room, turn, len_max, load }
    }

    /// Ordinary frames that may wait.
    pub(super) fn len_max(&self) -> usize {
        self.len_max
    }

    /// Queues a frame; something must `flush` or `wake_writer` afterwards.
    pub(super) fn push(&self, frame: Bytes, weight: Weight) -> Result<(), Unqueued> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(Unqueued::Closed(frame));
        }
        let room = weight.room(QUEUED_BYTES_MAX);
        let too_much = match weight {
            // A short one says that there is no room for more, or lets the peer go on.
            Weight::Priority => frame.len() > LITTLE && queue.bytes >= room,
            Weight::Ordinary | Weight::Begun => queue.len > 0 && queue.bytes + frame.len() > room,
        };
        if too_much || queue.len >= weight.room(self.len_max) {
            return Err(Unqueued::Full);
        }
        queue.add(frame, &self.load);
        Ok(())
    }

    /// Queues a stream item as soon as there is room and those that came before it have got theirs. False if the connection
    /// has ended.
    pub(super) async fn push_when_room(&self, frame: Bytes) -> bool {
        let _turn = self.turn.lock().await;
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // From here on a wake-up is not missed.
            room.as_mut().enable();
            {
                let mut queue = self.lock();
                if queue.closed {
                    return false;
                }
                if queue.len < self.len_max && (queue.bytes <= LITTLE || queue.bytes + frame.len() <= STREAM_BYTES_MAX)
                {
                    queue.add(frame, &self.load);
                    return true;
                }
                queue.room_wanted = true;
            }
            room.await;
        }
    }

    /// True while the peer takes its answers too slowly to be given more to do. What keeps the ring together may wait in
    /// greater number, but its answers tell of whole rings: their bytes have the same bound.
    pub(super) fn congested(&self, weight: Weight) -> bool {
        let queue = self.lock();
        let much = queue.bytes >= QUEUED_BYTES_MAX || queue.bytes > STREAM_BYTES_MAX && self.load.backlogged();
        much || queue.len >= weight.room(self.len_max)
    }

    /// What was taken of what waits. Who asks brings the uptime, every few seconds: queues keep no time of their own.
    pub(super) fn progress(&self, now_ms: u64) -> Progress {
        let mut queue = self.lock();
        let waits = queue.len > 0 || !queue.sealed.is_empty();
        let Some((before, since_ms)) = queue.seen.filter(|_| waits) else {
            queue.seen = waits.then_some((queue.written, now_ms));
            return Progress::Slow;
        };
        let passed_ms = now_ms.saturating_sub(since_ms);
        match queue.written.wrapping_sub(before) {
            0 if Duration::from_millis(passed_ms) >= STUCK_MAX => Progress::Stuck,
            0 => Progress::Slow,
            taken => {
                queue.seen = Some((queue.written, now_ms));
                let flows = taken >= ITEM_BYTES_PER_S.saturating_mul(passed_ms) / 1000;
                if flows { Progress::Flows } else { Progress::Slow }
            }
        }
    }

    /// Writes what is queued, in at most `rounds` system calls.
    pub(super) fn flush(&self, sink: &Sink, rounds: usize, counters: &Counters) -> io::Result<Flushed> {
        let mut queue = self.lock();
        if queue.writing {
            return Ok(Flushed::Busy);
        }
        let mut batch = std::mem::take(&mut queue.batch);
        let mut sealed = std::mem::take(&mut queue.sealed);
        let mut outcome = Ok(Flushed::Some);
        for _ in 0..rounds {
            if batch.is_empty() {
                std::mem::swap(&mut batch, &mut queue.frames);
            }
            if batch.is_empty() && sealed.is_empty() {
                outcome = Ok(Flushed::All);
                break;
            }
            queue.writing = true;
            drop(queue);
            let written = sink.write(&batch, &mut sealed);
            queue = self.lock();
            match written {
                Ok(Written { taken, sent, blocked }) => {
                    let frames = consume(&mut batch, taken);
                    counters.sent(frames, sent);
                    queue.len -= frames;
                    queue.bytes -= taken;
                    queue.written += sent as u64;
                    self.load.unqueue(taken);
                    if blocked {
                        outcome = Ok(Flushed::Blocked);
                        break;
                    }
                }
                Err(error) => {
                    let blocked = error.kind() == io::ErrorKind::WouldBlock;
                    outcome = if blocked { Ok(Flushed::Blocked) } else { Err(error) };
                    break;
                }
            }
        }
        if matches!(outcome, Ok(Flushed::Some)) && batch.is_empty() && sealed.is_empty() && queue.frames.is_empty() {
            outcome = Ok(Flushed::All);
        }
        queue.writing = false;
        queue.batch = batch;
        queue.sealed = sealed;
        if queue.closed {
            queue.drain(&self.load);
        }
        let wake = std::mem::take(&mut queue.room_wanted);
        drop(queue);
        if wake {
            self.room.notify_waiters();
        }
        outcome
    }

    #[cfg(test)]
    pub(super) fn sealed_room(&self) -> usize {
        self.lock().sealed.capacity()
    }

    /// Leaves writing to the writer task.
    pub(super) fn wake_writer(&self) {
        self.ready.notify_one();
    }

    /// Waits until the writer task is wanted. False if the connection has ended.
    pub(super) async fn wanted(&self) -> bool {
        self.ready.notified().await;
        !self.lock().closed
    }

    /// Refuses frames from now on, and drops those that wait: requests that outlive the connection keep it. Wakes all who
    /// wait here.
    pub(super) fn close(&self) {
        {
            let mut queue = self.lock();
            queue.closed = true;
            // Else by who writes, when it is done.
            if !queue.writing {
                queue.drain(&self.load);
            }
        }
        self.ready.notify_one();
        self.room.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that holds the lock can panic between two changes that belong together.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.load.unqueue(self.lock().bytes);
    }
}

impl Queue {
    fn add(&mut self, frame: Bytes, load: &Load) {
        self.len += 1;
        self.bytes += frame.len();
        load.queue(frame.len());
        self.frames.push_back(frame);
    }

    fn drain(&mut self, load: &Load) {
        load.unqueue(std::mem::take(&mut self.bytes));
        self.len = 0;
        (self.frames, self.batch, self.sealed) = Default::default();
    }
}

/// Drops the first `bytes` bytes of the batch; how many frames are gone whole.
pub(super) fn consume(batch: &mut VecDeque<Bytes>, mut bytes: usize) -> usize {
    let mut frames = 0;
    while let Some(front) = batch.front_mut() {
        if front.len() > bytes {
            front.advance(bytes);
            break;
        }
        bytes -= front.len();
        batch.pop_front();
        frames += 1;
    }
    frames
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_immediate;

    use super::*;

    fn outbound(load: &Arc<Load>) -> Outbound {
        Outbound::new(64, load.clone())
    }

    fn push(to: &Outbound, len: usize) {
        to.push(vec![0; len].into(), Weight::Priority).expect("room");
    }

    #[test]
    fn when_much_waits_in_all_whoever_has_much_waiting_gets_no_more_to_do() {
        let load = Load::new(64);
        let (much, little) = (outbound(&load), outbound(&load));
        push(&much, STREAM_BYTES_MAX + 1);
        push(&little, STREAM_BYTES_MAX);
        assert!(!much.congested(Weight::Ordinary) && !little.congested(Weight::Ordinary), "there is room in all");
        let others: Vec<_> = (0..4).map(|_| outbound(&load)).collect();
        for other in &others {
            push(other, QUEUED_BYTES_MAX - 1);
        }
        assert!(load.backlogged());
        assert!(much.congested(Weight::Ordinary) && !little.congested(Weight::Ordinary));
        // What a connection had waiting does not count when it has ended, however long somebody keeps it.
        others[0].close();
        assert!(!load.backlogged() && !much.congested(Weight::Ordinary));
        push(&little, QUEUED_BYTES_MAX);
        assert!(load.backlogged());
        drop((others, little));
        assert!(!load.backlogged());
        load.queue(1);
        drop(much);
        load.unqueue(1);
        assert_eq!(load.queued(), 0);
    }

    #[test]
    fn upkeep_may_have_more_answers_waiting_but_not_more_bytes() {
        let load = Load::new(64);
        let congested = |to: &Outbound| (to.congested(Weight::Ordinary), to.congested(Weight::Priority));
        let (many, much, others) = (outbound(&load), outbound(&load), outbound(&load));
        (0..64).for_each(|_| push(&many, 1));
        assert_eq!(congested(&many), (true, false));
        (64..256).for_each(|_| push(&many, 1));
        assert_eq!(congested(&many), (true, true));
        push(&much, QUEUED_BYTES_MAX - 1);
        assert_eq!(congested(&much), (false, false));
        push(&much, 1);
        assert_eq!(congested(&much), (true, true));
        let little = outbound(&load);
        push(&little, STREAM_BYTES_MAX + 1);
        push(&others, QUEUED_BYTES_MAX * 3);
        assert!(load.backlogged());
        assert_eq!(congested(&little), (true, true));
    }

    #[test]
    fn answers_have_room_while_less_waits_and_short_ones_by_their_number() {
        let load = Load::new(64);
        let (outbound, behind) = (outbound(&load), outbound(&load));
        let room = QUEUED_BYTES_MAX * PRIORITY_FACTOR;
        let full = |len| matches!(outbound.push(vec![0; len].into(), Weight::Priority), Err(Unqueued::Full));
        push(&behind, 1);
        push(&behind, room + 1);
        push(&outbound, room + 1);
        assert!(full(LITTLE + 1) && !full(LITTLE), "a refusal, or credit");
        (2..64 * PRIORITY_FACTOR).for_each(|_| push(&outbound, 0));
        assert!(full(0), "as many as may");
    }

    #[tokio::test]
    async fn a_large_item_gets_room_before_small_ones_that_came_later() {
        let load = Load::new(64);
        let outbound = outbound(&load);
        let taken_but = |len| {
            outbound.lock().drain(&load);
            push(&outbound, len);
            outbound.room.notify_waiters();
        };
        push(&outbound, STREAM_BYTES_MAX);
        let items = [2 * STREAM_BYTES_MAX, 1, 1].map(|len| Box::pin(outbound.push_when_room(vec![0; len].into())));
        let [mut large, mut small, mut last] = items;
        for waits in [&mut large, &mut small, &mut last] {
            assert_eq!(poll_immediate(waits).await, None);
        }
        taken_but(LITTLE + 1);
        assert_eq!(poll_immediate(&mut large).await, None, "too much waits");
        assert_eq!(poll_immediate(&mut small).await, None, "its turn is later");
        taken_but(LITTLE);
        assert_eq!(poll_immediate(&mut large).await, Some(true));
        assert_eq!(poll_immediate(&mut small).await, None, "there is no room");
        taken_but(1);
        assert_eq!(poll_immediate(&mut small).await, Some(true));
        outbound.close();
        assert_eq!(poll_immediate(&mut last).await, Some(false), "the connection has ended");
    }

    #[test]
    fn a_queue_is_stuck_when_nothing_was_taken_for_two_minutes() {
        let outbound = outbound(&Load::new(64));
        let stuck = |now_ms| outbound.progress(now_ms) == Progress::Stuck;
        assert!(!stuck(0) && !stuck(500_000), "nothing waits");
        push(&outbound, 10);
        assert!(!stuck(1_000) && !stuck(120_999));
        assert!(stuck(121_000));
        outbound.lock().written += 1;
        assert!(!stuck(121_000) && !stuck(240_999), "something was taken");
        assert!(stuck(241_000));
        outbound.close();
        assert!(!stuck(500_000));
    }

    #[test]
    fn what_is_taken_as_fast_as_a_large_item_flows() {
        let outbound = outbound(&Load::new(64));
        let after = |now_ms, taken| {
            outbound.lock().written += taken;
            outbound.progress(now_ms)
        };
        push(&outbound, 10);
        assert_eq!(after(0, 1 << 20), Progress::Slow, "nobody knows since when");
        assert_eq!(after(5_000, 5 * ITEM_BYTES_PER_S), Progress::Flows);
        assert_eq!(after(10_000, 5 * ITEM_BYTES_PER_S - 1), Progress::Slow);
        assert_eq!(after(15_000, 0), Progress::Slow);
        assert_eq!(after(20_000, 5 * ITEM_BYTES_PER_S), Progress::Slow, "it came to a stop in between");
        assert_eq!(after(25_000, 5 * ITEM_BYTES_PER_S), Progress::Flows);
    }
}
