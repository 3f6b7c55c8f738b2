//! Requests that come in on one connection: what the service answers at once leaves from the reader, what waits or
//! streams becomes a task of the connection, and what exceeds the bounds is answered `Overloaded`.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::panic,
        clippy::unreachable
    )
)]

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};

use super::super::load::room;
use super::super::turn::{Due, FULL, PANICKED, STREAMED, TOO_LATE, Turn, Work};
use super::super::{Answer, Reply};
use super::connection::Connection;
use super::reader::Violation;
use super::shared::Shared;
use super::stream::{STREAM_CREDIT, send_stream};
use super::tasks::report;
use crate::data::FixedMap;
use crate::error::{Error, ErrorKind};
use crate::wire::class::Class;
use crate::wire::codec::{decode_call, encode_reply_framed};
use crate::wire::error::WireError;
use crate::wire::frame::FrameKind;
use crate::wire::message::{Head, Response};

/// Said when no more of a peer's requests are carried out for now.
const FULL_OF_ITS: &str = "too many requests of this peer are under way";

/// Said when the answers to earlier requests leave no room for more.
const UNTAKEN: &str = "the answers that wait for this peer leave no room for more";

/// How long a request goes on after its connection has ended: longer than most deadlines.
const ORPHAN_AGE_MAX: Duration = Duration::from_secs(60);

/// What one connection's peer has asked and what became of it. Owned by the connection's reader.
pub(super) struct Requests {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    /// Each gives the request id of its stream, if it is one.
    tasks: JoinSet<Option<u64>>,
    streams: FixedMap<u64, Sending>,
    /// When the last bytes came in, and whether the first request among them has been looked at.
    arrived: Instant,
    behind: bool,
    /// Answers were queued and not flushed.
    answered: bool,
}

/// One stream being sent.
struct Sending {
    credit: Arc<Semaphore>,
    task: AbortHandle,
}

impl Requests {
    pub(super) fn new(shared: Arc<Shared>, connection: Arc<Connection>) -> Self {
        let arrived = shared.env.now();
        let (tasks, streams) = (JoinSet::new(), FixedMap::default());
        Self { shared, connection, tasks, streams, arrived, behind: false, answered: false }
    }

    /// Bytes came in.
    pub(super) fn arrived(&mut self, now: Instant) {
        (self.arrived, self.behind) = (now, false);
    }

    /// A request of any kind.
    pub(super) fn request(&mut self, kind: FrameKind, id: u64, payload: Bytes) -> Result<(), Violation> {
        let mut replies = Replies {
            connection: Arc::downgrade(&self.connection),
            id,
            open: kind == FrameKind::Open,
            head: Head {
                ring_id: None,
                sender: self.shared.hello.boot,
                deadline_ms: 0,
                trace_id: 0,
                attempt: 0,
                view: 0,
                clock: 0,
            },
            len_max: self.shared.frame_max(),
        };
        let len = payload.len();
        let call = match decode_call(payload) {
            Ok(call) => call,
            Err(WireError::UnknownKind { tag, head }) => {
                replies.to(&head);
                let text = format!("request {tag} is unknown to this release");
                return self.refuse(kind, &replies, ErrorKind::Unsupported, &text);
            }
            Err(error) => return Err(error.into()),
        };
        replies.to(&call.head);
        if replies.open && self.streams.contains_key(&id) {
            return Err(Violation::Protocol("a stream's request id is used twice"));
        }
        let Some(service) = self.shared.service() else {
            return self.refuse(kind, &replies, ErrorKind::Unreachable, "nothing answers requests here");
        };
        self.reap();
        let class = call.body.class();
        if self.full(class) {
            return self.refuse(kind, &replies, ErrorKind::Overloaded, FULL_OF_ITS);
        }
        let turn = Turn { arrived: self.arrived, deadline_ms: call.head.deadline_ms, class, len };
        let now = if std::mem::replace(&mut self.behind, true) { self.shared.env.now() } else { self.arrived };
        let (busy, now_ms) = (now.saturating_duration_since(self.arrived), self.shared.env.uptime_ms_at(now));
        match kind {
            FrameKind::Request if self.shared.load.hopeless(class, now_ms) => {
                return self.refuse(kind, &replies, ErrorKind::Overloaded, TOO_LATE);
            }
            FrameKind::Request if turn.must_wait(&self.shared.load, busy, now_ms) => {
                return self.later(replies, turn, Work::Serve(service, Box::new(call)));
            }
            FrameKind::Open => {
                if let Due::Refused(why) = turn.due(&self.shared.load, &self.shared.env) {
                    return self.refuse(kind, &replies, ErrorKind::Overloaded, why);
                }
            }
            _ => {}
        }
        match service.serve(call) {
            answer if kind == FrameKind::OneWay => self.one_way(turn, answer),
            Answer::Now(reply) => self.answered |= replies.send(&self.connection, &reply),
            Answer::Later(answer) => return self.later(replies, turn, Work::Finish(answer)),
            Answer::Stream(responses) if replies.open => {
                let Some(mut taken) = self.shared.load.take(class, len) else {
                    return self.refuse(kind, &replies, ErrorKind::Overloaded, FULL);
                };
                taken.begin();
                let credit = Arc::new(Semaphore::new(STREAM_CREDIT));
                let (serving, sending) = (self.connection.serve(), send_stream(replies, responses, credit.clone()));
                let task = self.tasks.spawn(async move {
                    sending.await;
                    drop((serving, taken));
                    Some(id)
                });
                self.streams.insert(id, Sending { credit, task });
            }
            Answer::Stream(_) => {
                return self.refuse(kind, &replies, ErrorKind::Unsupported, STREAMED);
            }
            Answer::Nothing => {}
        }
        Ok(())
    }

    /// The receiver of a stream takes more. An unknown id is a stream that has just ended.
    pub(super) fn credit(&mut self, id: u64, payload: &[u8]) -> Result<(), Violation> {
        let items = match payload.try_into().map(u32::from_be_bytes) {
            Ok(items) if items > 0 => items as usize,
            _ => return Err(Violation::Protocol("credit is four bytes, more than 0")),
        };
        if let Some(stream) = self.streams.get(&id) {
            if stream.credit.available_permits().saturating_add(items) > STREAM_CREDIT {
                return Err(Violation::Protocol("more credit than was used"));
            }
            stream.credit.add_permits(items);
        }
        Ok(())
    }

    /// Nobody wants the rest of a stream; other requests are carried out all the same.
    pub(super) fn cancel(&mut self, id: u64) {
        if let Some(stream) = self.streams.remove(&id) {
            stream.task.abort();
        }
    }

    /// True if answers were queued since the last time.
    pub(super) fn take_answered(&mut self) -> bool {
        std::mem::take(&mut self.answered)
    }

    /// The connection has ended: streams stop, and other requests go on for a while, unless the transport is closed or
    /// too many do already. Whoever asked may have asked again elsewhere by then.
    pub(super) async fn finish(mut self) {
        for stream in self.streams.values() {
            stream.task.abort();
        }
        self.reap();
        // Its descriptor counts nowhere any more.
        let peer = self.connection.peer.clone();
        drop(self.connection);
        let closed = self.shared.closed();
        let over = sleep(self.shared.env.jittered(ORPHAN_AGE_MAX));
        tokio::pin!(closed, over);
        let orphans = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        let Ok(_places) = self.shared.orphans.clone().try_acquire_many_owned(orphans) else {
            event!(debug, %peer, orphans, "requests of a connection that ended are given up");
            return self.tasks.shutdown().await;
        };
        loop {
            tokio::select! {
                biased;
                () = &mut closed => break,
                () = &mut over => break,
                ended = self.tasks.join_next() => match ended {
                    Some(ended) => report(ended),
                    None => return,
                },
            }
        }
        self.tasks.shutdown().await;
    }

    /// No more of this peer's requests, which may have too many, or not take its answers.
    fn full(&self, class: Class) -> bool {
        self.tasks.len() >= room(class, self.shared.buffer_size) || self.connection.congested(class)
    }

    /// A request that a task carries out when its turn comes.
    fn later(&mut self, replies: Replies, turn: Turn, work: Work) -> Result<(), Violation> {
        let Some(mut taken) = self.shared.load.take(turn.class, turn.len) else {
            return self.refuse(FrameKind::Request, &replies, ErrorKind::Overloaded, FULL);
        };
        let (serving, shared) = (self.connection.serve(), self.shared.clone());
        self.tasks.spawn(async move {
            taken.begin();
            let due = match turn.due(&shared.load, &shared.env) {
                // What had its turn before may have had long answers. What the service has begun goes on.
                Due::Now if matches!(work, Work::Serve(..)) && replies.congested(turn.class) => Due::Refused(UNTAKEN),
                due => due,
            };
            let answer = match due {
                Due::Now => Ok(work.done().await),
                Due::Refused(why) => Err((ErrorKind::Overloaded, why)),
                Due::Expired => Ok(Answer::Nothing),
            };
            // Else it has ended meanwhile, and nobody waits.
            if let Some(connection) = replies.connection.upgrade() {
                let answered = match answer {
                    Ok(Answer::Now(reply)) => replies.send(&connection, &reply),
                    Ok(Answer::Nothing) => false,
                    Ok(_) => replies.refuse(&connection, ErrorKind::Unsupported, STREAMED),
                    Err((kind, why)) => replies.refuse(&connection, kind, why),
                };
                if answered {
                    connection.touch();
                    connection.flush(serving.alone());
                }
            }
            drop((serving, taken));
            None
        });
        Ok(())
    }

    /// Whatever a service makes of a one-way message, nothing goes back; it is lost if there is no room.
    fn one_way(&mut self, turn: Turn, answer: Answer) {
        if let Answer::Later(answer) = answer
            && let Some(mut taken) = self.shared.load.take(turn.class, turn.len)
        {
            taken.begin();
            let serving = self.connection.serve();
            self.tasks.spawn(async move {
                answer.await;
                drop((serving, taken));
                None
            });
        }
    }

    fn refuse(&mut self, kind: FrameKind, replies: &Replies, error: ErrorKind, text: &str) -> Result<(), Violation> {
        if kind != FrameKind::OneWay {
            self.answered |= replies.refuse(&self.connection, error, text);
        }
        Ok(())
    }

    /// Forgets ended tasks.
    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            match ended {
                Ok(Some(id)) => drop(self.streams.remove(&id)),
                Ok(None) => {}
                Err(_) => {
                    report(ended);
                    // It does not say which stream it was.
                    self.streams.retain(|_, stream| !stream.task.is_finished());
                }
            }
        }
    }
}

/// Where the answers to one request go.
pub(super) struct Replies {
    /// What goes on after its end does not keep its descriptor.
    connection: Weak<Connection>,
    id: u64,
    open: bool,
    /// Of the answers that the transport makes itself.
    head: Head,
    len_max: usize,
}

impl Replies {
    /// Sends an item of a stream when there is room for it. False if the connection has ended.
    pub(super) async fn item(&self, reply: &Reply) -> bool {
        let item = self.encode(FrameKind::StreamItem, reply);
        match self.connection.upgrade() {
            Some(connection) => connection.stream_item(item).await,
            None => false,
        }
    }

    /// A failure as an item of a stream; its end follows.
    pub(super) fn fail(&self, kind: ErrorKind, text: &str) {
        let item = self.encode(FrameKind::StreamItem, &self.failure(kind, text));
        if let Some(connection) = self.connection.upgrade()
            && !connection.answer(item)
        {
            connection.unstick();
        }
    }

    /// The end of a stream.
    pub(super) fn end(&self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.control(FrameKind::StreamEnd, self.id, &[]);
        }
    }

    fn congested(&self, class: Class) -> bool {
        self.connection.upgrade().is_some_and(|connection| connection.congested(class))
    }

    /// A whole frame; a reply that no frame can carry becomes a failure that says so.
    fn encode(&self, kind: FrameKind, reply: &Reply) -> Bytes {
        encode_reply_framed(reply, kind, self.id, self.len_max)
            .or_else(|error| {
                // What it answers was carried out.
                let error = Error::new(ErrorKind::TooLarge, format!("the answer does not fit: {error}"));
                encode_reply_framed(&self.failed(error.unknown_outcome()), kind, self.id, usize::MAX)
            })
            .unwrap_or_default()
    }

    /// A reply that the transport makes itself.
    fn failure(&self, kind: ErrorKind, text: &str) -> Reply {
        self.failed(Error::new(kind, text))
    }

    fn failed(&self, error: Error) -> Reply {
        Reply::new(self.head, Response::Failure(error))
    }

    /// Queues the one reply, or in place of a long one for which there is no room a failure that says so. A peer that takes
    /// so little that there is none for that either loses the connection. True: something is to be flushed.
    fn send(&self, connection: &Connection, reply: &Reply) -> bool {
        let said = self.queue(connection, reply) || {
            let untaken = Error::new(ErrorKind::Overloaded, UNTAKEN).unknown_outcome();
            self.queue(connection, &self.failed(untaken))
        };
        if !said {
            connection.unstick();
        }
        said
    }

    /// Queues a refusal. Behind so many answers that there is no room for it, it is left unsaid: whoever asked has given up
    /// before it would come. True: something is to be flushed.
    fn refuse(&self, connection: &Connection, kind: ErrorKind, text: &str) -> bool {
        self.queue(connection, &self.failure(kind, text))
    }

    /// Queues the one reply, as a stream of one if a stream was asked for; false if there is no room for it.
    fn queue(&self, connection: &Connection, reply: &Reply) -> bool {
        if !self.open {
            return connection.answer(self.encode(FrameKind::Response, reply));
        }
        let queued = connection.answer(self.encode(FrameKind::StreamItem, reply));
        if queued {
            connection.control(FrameKind::StreamEnd, self.id, &[]);
        }
        queued
    }

    /// Answers carry the trace of their request.
    fn to(&mut self, request: &Head) {
        self.head = Head { trace_id: request.trace_id, attempt: request.attempt, ..self.head };
    }
}

impl Drop for Replies {
    /// A service that panics is a defect, which the asker learns at once and not by waiting for its deadline. What it had done
    /// before nobody knows.
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(connection) = self.connection.upgrade()
            && self.send(&connection, &self.failed(Error::new(ErrorKind::Internal, PANICKED).unknown_outcome()))
        {
            connection.flush(true);
        }
    }
}

impl From<WireError> for Violation {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}
