//! What this side has been asked by datagram, so that nothing is carried out twice. Pure: the caller brings the time.
//!
//! A session begins with the first request that proves that its sender got our offer. Each of its slots keeps the last
//! sequence and what became of it: in progress, answered, or answered and forgotten. A request is carried out if its
//! sequence is above its slot's, once; all others are duplicates, or late. Answers that are kept are bounded in number,
//! bytes and age, sequences are not forgotten while the session lives. Sessions end when they were unused for long;
//! one that has ended never begins again, because it is remembered until numbers have counted so far that all offers as old
//! are void: so a duplicate that outlives its session gets an offer, and is not carried out.
//!
//! Cookies need no memory: they are a keyed hash of the session's number and the source, and a session without a live
//! entry costs nothing.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used))]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::super::Reply;
use super::super::misbehaviour::source_of;
use super::super::tcp::by_source::{BySource, counted};
use super::packet::{Header, SessionId};
use super::window::Window;
use crate::data::FixedMap;

/// Peers that ask, at most: about 300 bytes each, and 100 for each slot that they use.
const SESSIONS_MAX: usize = 65_536;

/// Of them, those of one source: half, so that whoever takes all that it gets leaves room for everybody else.
const SHARE_MAX: usize = SESSIONS_MAX / 2;

/// A session unused for so long ends; the other side does not use it beyond [`super::peer::UNUSED_MAX`].
const UNUSED_MAX: Duration = Duration::from_secs(90);

/// The same while more than half of [`SESSIONS_MAX`] are there.
const UNUSED_CROWDED_MAX: Duration = Duration::from_secs(10);

/// An offer holds for so long, whoever else begins and ends sessions meanwhile: longer than a round trip, and with the time
/// between two sweeps shorter than [`UNUSED_CROWDED_MAX`]. What a source was offered before its session began is void when that
/// ends.
const OFFER_AGE_MIN: Duration = Duration::from_secs(3);

/// How long an answer is kept for a repeated request: longer than back-offs, and than most deadlines.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(30);

/// Answers kept at most, and their bytes; a single one may be larger.
/// Words of the window of one-way messages that came: it looks back over 128 of them.
const ONE_WAY_WORDS: usize = 3;

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) answers_max: usize,
    pub(super) bytes_max: usize,
    /// Requests of one session under way.
    pub(super) slots_max: u16,
}

/// All sessions of one transport.
pub(super) struct Sessions {
    limits: Limits,
    key: [u8; 32],
    /// The last number that was offered.
    offered: u64,
    /// No session begins with a number below it, nor with one of `ended`.
    floor: u64,
    /// As many as there may be sessions, at most: beyond, `floor` rises above the lowest.
    ended: BTreeSet<u64>,
    /// What `offered` was at sweeps, and at the last of those that are at least [`OFFER_AGE_MIN`] ago.
    sweeps: VecDeque<(Instant, u64)>,
    aged: u64,
    table: FixedMap<u64, Session>,
    by_source: FixedMap<SocketAddr, u64>,
    /// How many each source has that has a share.
    shares: BySource,
    /// Kept answers, oldest first.
    order: BTreeMap<u64, Kept>,
    stamps: u64,
    bytes: usize,
}

struct Session {
    source: SocketAddr,
    cookie: u64,
    /// Those that were used: each has cost its peer a datagram, whatever its number.
    slots: FixedMap<u16, Slot>,
    one_ways: Window<ONE_WAY_WORDS>,
    /// Requests being carried out, also those that nobody waits for any more.
    serving: usize,
    used: Instant,
}

#[derive(Default)]
struct Slot {
    sequence: u64,
    standing: Standing,
}

#[derive(Default)]
enum Standing {
    #[default]
    Working,
    Answered {
        answer: Answered,
        stamp: u64,
    },
    Forgotten,
}

struct Kept {
    session: u64,
    slot: u16,
    bytes: usize,
    since: Instant,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) enum Answered {
    /// The payload of a datagram.
    Small(Bytes),
    /// A reply of that many bytes, to be collected over TCP.
    Large(Box<Reply>, usize),
}

/// What to do with a request.
#[derive(Debug)]
pub(super) enum Arrival {
    /// It is new: carry it out, or refuse it if so many of this peer's that were under way before are too many; then say
    /// [`Sessions::answered`] or [`Sessions::given_up`].
    Fresh { under_way: usize },
    /// It is being carried out.
    Working,
    /// Again this answer.
    Answered(Answered),
    /// It was carried out and the answer is gone.
    Forgotten,
    /// A later one has taken its slot: nobody waits for it.
    Late,
    /// No such session: offer one.
    Unknown,
}

impl Sessions {
    pub(super) fn new(key: [u8; 32], limits: Limits) -> Self {
        Self {
            limits,
            key,
            offered: 0,
            floor: 1,
            ended: BTreeSet::new(),
            sweeps: VecDeque::new(),
            aged: 0,
            table: FixedMap::default(),
            by_source: FixedMap::default(),
            shares: BySource::default(),
            order: BTreeMap::new(),
            stamps: 0,
            bytes: 0,
        }
    }

    /// A session for `source`, if it proves that it got this; remembered only then. `None` while there is no room for it: an
    /// offer that could not be taken up would keep its asker from going over to TCP.
    pub(super) fn offer(&mut self, source: SocketAddr) -> Option<SessionId> {
        // Its next session takes the place of the one that it has.
        if !self.by_source.contains_key(&source) && !self.has_room(source) {
            return None;
        }
        self.offered += 1;
        Some(SessionId { number: self.offered, cookie: self.cookie(self.offered, source) })
    }

    /// A request came from `source`.
    pub(super) fn arrived(&mut self, source: SocketAddr, header: &Header, now: Instant) -> Arrival {
        let slots_max = self.limits.slots_max;
        if header.slot >= slots_max || header.sequence == 0 {
            return Arrival::Late;
        }
        let Some(session) = self.session(source, header.session, now) else { return Arrival::Unknown };
        let slot = session.slots.entry(header.slot).or_default();
        if header.sequence < slot.sequence {
            return Arrival::Late;
        }
        if header.sequence == slot.sequence {
            return match &slot.standing {
                Standing::Working => Arrival::Working,
                Standing::Answered { answer, .. } => Arrival::Answered(answer.clone()),
                Standing::Forgotten => Arrival::Forgotten,
            };
        }
        let before = std::mem::replace(slot, Slot { sequence: header.sequence, standing: Standing::Working });
        let under_way = session.serving;
        session.serving = under_way.saturating_add(1);
        self.release(&before);
        Arrival::Fresh { under_way }
    }

    /// A one-way message came from `source`: whether to carry it out. `None`: no such session, offer one.
    pub(super) fn one_way(&mut self, source: SocketAddr, header: &Header, now: Instant) -> Option<bool> {
        let session = self.session(source, header.session, now)?;
        Some(header.sequence > 0 && session.one_ways.first(header.sequence))
    }

    /// A request that was `Fresh` has that answer, which is kept for when it is repeated.
    pub(super) fn answered(&mut self, header: &Header, answer: Answered, now: Instant) {
        self.stamps += 1;
        let stamp = self.stamps;
        let bytes = match &answer {
            Answered::Small(payload) => payload.len(),
            Answered::Large(_, len) => *len,
        };
        if !self.settle(header, Standing::Answered { answer, stamp }) {
            return;
        }
        self.bytes += bytes;
        self.order.insert(stamp, Kept { session: header.session.number, slot: header.slot, bytes, since: now });
        while self.order.len() > 1 && (self.order.len() > self.limits.answers_max || self.bytes > self.limits.bytes_max)
        {
            self.forget_oldest();
        }
    }

    /// A request that was `Fresh` will have no answer that could be given twice.
    pub(super) fn given_up(&mut self, header: &Header) {
        self.settle(header, Standing::Forgotten);
    }

    /// A request that was `Fresh` goes on without anybody who will answer it: it stays in progress to whoever repeats
    /// it, but counts no more.
    pub(super) fn unanswered(&mut self, header: &Header) {
        if let Some(session) = self.table.get_mut(&header.session.number) {
            session.serving = session.serving.saturating_sub(1);
        }
    }

    /// The large answer to that request, once.
    pub(super) fn collect(&mut self, id: SessionId, slot: u16, sequence: u64) -> Option<Box<Reply>> {
        let session = self.table.get_mut(&id.number).filter(|session| session.cookie == id.cookie)?;
        let slot = session.slots.get_mut(&slot).filter(|slot| slot.sequence == sequence)?;
        if !matches!(slot.standing, Standing::Answered { answer: Answered::Large(..), .. }) {
            return None;
        }
        let taken = Slot { sequence, standing: std::mem::replace(&mut slot.standing, Standing::Forgotten) };
        self.release(&taken);
        match taken.standing {
            Standing::Answered { answer: Answered::Large(reply, _), .. } => Some(reply),
            _ => None,
        }
    }

    /// Forgets old answers and unused sessions.
    pub(super) fn sweep(&mut self, now: Instant) {
        while let Some((_, oldest)) = self.order.first_key_value()
            && now.saturating_duration_since(oldest.since) >= ANSWER_AGE_MAX
        {
            self.forget_oldest();
        }
        self.sweeps.push_back((now, self.offered));
        while let Some(&(at, offered)) = self.sweeps.front()
            && now.saturating_duration_since(at) >= OFFER_AGE_MIN
        {
            self.aged = offered;
            self.sweeps.pop_front();
        }
        let max = if self.table.len() > SESSIONS_MAX / 2 { UNUSED_CROWDED_MAX } else { UNUSED_MAX };
        let over = |session: &Session| session.serving == 0 && now.saturating_duration_since(session.used) >= max;
        let ended: Vec<u64> = self.table.iter().filter(|(_, s)| over(s)).map(|(number, _)| *number).collect();
        for number in ended {
            self.end(number);
        }
    }

    /// Sessions that live, answers that are kept, and their bytes.
    pub(super) fn sizes(&self) -> (usize, usize, usize) {
        (self.table.len(), self.order.len(), self.bytes)
    }

    /// The live session of that name, which begins now if its offer proves to have been received.
    fn session(&mut self, source: SocketAddr, id: SessionId, now: Instant) -> Option<&mut Session> {
        if !self.table.contains_key(&id.number) {
            let open = (self.floor..=self.offered).contains(&id.number) && !self.ended.contains(&id.number);
            if !open || self.cookie(id.number, source) != id.cookie {
                return None;
            }
            // One per source: whoever introduces itself anew has begun anew.
            if let Some(former) = self.by_source.get(&source).copied() {
                // A datagram of an offer from before that came late.
                if id.number < former {
                    return None;
                }
                self.end(former);
                // It may itself be too old by now.
                if id.number < self.floor {
                    return None;
                }
            }
            if !self.has_room(source) {
                return None;
            }
            if let Some(ip) = share_of(source) {
                self.shares.add(ip);
            }
            self.by_source.insert(source, id.number);
            let slots = FixedMap::default();
            let one_ways = Window::default();
            self.table.insert(id.number, Session { source, cookie: id.cookie, slots, one_ways, serving: 0, used: now });
        }
        let session = self.table.get_mut(&id.number)?;
        if session.source != source || session.cookie != id.cookie {
            return None;
        }
        session.used = now;
        Some(session)
    }

    /// Whether one more session may begin.
    fn has_room(&self, source: SocketAddr) -> bool {
        let share = share_of(source).map_or(0, |ip| self.shares.count(ip));
        self.table.len() < SESSIONS_MAX && share < SHARE_MAX
    }

    /// Ends a session for good.
    fn end(&mut self, number: u64) {
        let Some(session) = self.table.remove(&number) else { return };
        for slot in session.slots.values() {
            self.release(slot);
        }
        if let Some(ip) = share_of(session.source) {
            self.shares.remove(ip);
        }
        if self.by_source.get(&session.source) == Some(&number) {
            self.by_source.remove(&session.source);
        }
        self.ended.insert(number);
        // Not above offers that may still be on their way: who ends sessions quickly would void those of everybody.
        self.floor = self.floor.max(number.min(self.aged) + 1);
        while let Some(&lowest) = self.ended.first()
            && (lowest < self.floor || self.ended.len() > SESSIONS_MAX)
        {
            self.ended.pop_first();
            self.floor = self.floor.max(lowest + 1);
        }
    }

    /// Notes what became of a request, if its slot is still its own.
    fn settle(&mut self, header: &Header, standing: Standing) -> bool {
        let Some(session) = self.table.get_mut(&header.session.number) else { return false };
        session.serving = session.serving.saturating_sub(1);
        match session.slots.get_mut(&header.slot) {
            Some(slot) if slot.sequence == header.sequence => {
                slot.standing = standing;
                true
            }
            _ => false,
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, kept)) = self.order.pop_first() else { return };
        self.bytes -= kept.bytes;
        let slot = self.table.get_mut(&kept.session).and_then(|s| s.slots.get_mut(&kept.slot));
        if let Some(slot) = slot {
            slot.standing = Standing::Forgotten;
        }
    }

    /// A slot's answer is not kept any more.
    fn release(&mut self, slot: &Slot) {
        if let Standing::Answered { stamp, .. } = &slot.standing
            && let Some(kept) = self.order.remove(stamp)
        {
            self.bytes -= kept.bytes;
        }
    }

    /// A keyed hash, of which half is kept: to guess it takes 2^63 datagrams.
    fn cookie(&self, number: u64, source: SocketAddr) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(number.to_be_bytes());
        match source.ip() {
            IpAddr::V4(ip) => hash.update(ip.to_ipv6_mapped().octets()),
            IpAddr::V6(ip) => hash.update(ip.octets()),
        }
        hash.update(source.port().to_be_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }
}

/// Whose share a session from there counts in, if it has one.
fn share_of(source: SocketAddr) -> Option<IpAddr> {
    counted(source_of(source.ip()))
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
