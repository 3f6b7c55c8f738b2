//! Sealed datagrams: where connections are secured, so is every datagram. `docs/wire.md`, "Sealed datagrams", draws it.
//!
//! Whoever asks gets a key over a connection, where both ends have shown who they are: the key is for these two and
//! nobody else, and goes with the session. Both directions use it, told apart in the nonce, and number their datagrams:
//! no number is used twice, also not for what is sent again. What comes is opened first and then held against the
//! numbers that came before, so nothing that was seen on the way can be said once more.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use bytes::{Buf, BufMut};

use super::packet::{DATAGRAM_MAX, Datagram, PacketError};
use super::window::Window;
use crate::data::FixedMap;
use crate::env::Env;
use crate::wire::PROTOCOL_VERSION;
use crate::wire::message::SealingKey;

/// The first two bytes; those of a frame and of a datagram that is not sealed are others.
const MAGIC: u16 = 0xd47c;

/// Magic, version, direction, key id, number.
const FRONT_LEN: usize = 20;

/// Behind what is sealed.
const TAG_LEN: usize = 16;

/// What a seal takes of the room of a datagram.
pub(super) const SEAL_LEN: usize = FRONT_LEN + TAG_LEN;

/// Datagrams after which a key is changed when nothing is under way, at any rate, and beyond which it seals nothing:
/// with the 75 blocks of each this stays far below what AES-GCM may encrypt (NIST SP 800-38D; RFC 9001 §B.1).
const SPENT: u64 = 1 << 30;
const WORN_OUT: u64 = 1 << 31;
const USED_UP: u64 = 1 << 32;

/// Words of the window of numbers that came: it looks back over 2,048 of them.
const RECEIVED_WORDS: usize = 33;

/// Keys given away, at most; about 900 bytes each.
const KEYS_MAX: usize = 65_536;

/// A key that opened nothing for so long is forgotten; whoever asks does not use it beyond [`super::peer::UNUSED_MAX`].
const UNUSED_MAX: Duration = Duration::from_secs(90);

/// The same while there are [`KEYS_MAX`].
const UNUSED_CROWDED_MAX: Duration = Duration::from_secs(10);

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Direction {
    Asks = 0,
    Answers = 1,
}

/// One end of a key that two nodes share.
pub(super) struct Seal {
    id: u64,
    key: LessSafeKey,
    sends: Direction,
    next: AtomicU64,
    received: Mutex<Window<RECEIVED_WORDS>>,
    /// Milliseconds of uptime.
    used_ms: AtomicU64,
}

/// Where datagrams go, and what seals them.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) address: SocketAddr,
    pub(super) seal: Option<Arc<Seal>>,
}

impl Seal {
    pub(super) fn new(id: u64, key: &SealingKey, sends: Direction, env: &Env) -> Option<Arc<Self>> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).ok()?);
        let used_ms = AtomicU64::new(env.uptime_ms());
        Some(Arc::new(Self { id, key, sends, next: AtomicU64::new(0), received: Mutex::default(), used_ms }))
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Better changed when that disturbs nobody, and at any rate.
    pub(super) fn spent(&self) -> (bool, bool) {
        let next = self.next.load(Relaxed);
        (next >= SPENT, next >= WORN_OUT)
    }

    /// `None` if it becomes too long for a datagram, or the key is used up.
    pub(super) fn close(&self, datagram: &Datagram) -> Option<Datagram> {
        let number = self.next.fetch_add(1, Relaxed).saturating_add(1);
        if number >= USED_UP {
            return None;
        }
        let plain = datagram.as_bytes();
        let mut sealed = [0; DATAGRAM_MAX];
        let (front, rest) = sealed.split_at_mut_checked(FRONT_LEN)?;
        let mut fields = &mut *front;
        fields.put_u16(MAGIC);
        fields.put_u8(PROTOCOL_VERSION);
        fields.put_u8(self.sends as u8);
        fields.put_u64(self.id);
        fields.put_u64(number);
        let (body, tag) = rest.split_at_mut_checked(plain.len())?;
        body.copy_from_slice(plain);
        let made = self.key.seal_in_place_separate_tag(nonce(self.sends, number), Aad::from(&*front), body).ok()?;
        tag.get_mut(..TAG_LEN)?.copy_from_slice(made.as_ref());
        Some(Datagram::of(sealed, FRONT_LEN + plain.len() + TAG_LEN))
    }

    /// What was sealed, if it is right and came for the first time.
    pub(super) fn open<'a>(&self, front: Front, datagram: &'a mut [u8], env: &Env) -> Result<&'a [u8], PacketError> {
        let (aad, body) = datagram.split_at_mut_checked(FRONT_LEN).ok_or(PacketError::Seal)?;
        let nonce = nonce(front.direction, front.number);
        let plain = self.key.open_in_place(nonce, Aad::from(&*aad), body).map_err(|_| PacketError::Seal)?;
        let first = self.received.lock().unwrap_or_else(PoisonError::into_inner).first(front.number);
        if !first {
            return Err(PacketError::Replayed);
        }
        self.used_ms.store(env.uptime_ms(), Relaxed);
        Ok(plain)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({:x})", self.id)
    }
}

/// What is not sealed of a sealed datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Front {
    pub(super) direction: Direction,
    pub(super) key: u64,
    number: u64,
}

impl Front {
    pub(super) fn decode(datagram: &[u8]) -> Result<Self, PacketError> {
        let len = datagram.len();
        if !(SEAL_LEN..=DATAGRAM_MAX).contains(&len) {
            return Err(PacketError::Length(len));
        }
        // As long as what is read from it.
        let mut fields = datagram.get(..FRONT_LEN).ok_or(PacketError::Length(len))?;
        let (magic, version, direction) = (fields.get_u16(), fields.get_u8(), fields.get_u8());
        if magic != MAGIC {
            return Err(PacketError::Magic(magic));
        }
        if version != PROTOCOL_VERSION {
            return Err(PacketError::Version(version));
        }
        let direction = match direction {
            0 => Direction::Asks,
            1 => Direction::Answers,
            _ => return Err(PacketError::Seal),
        };
        Ok(Self { direction, key: fields.get_u64(), number: fields.get_u64() })
    }
}

/// Never the same twice: a key has two directions, and each counts up.
fn nonce(direction: Direction, number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    let (first, last) = bytes.split_at_mut(NONCE_LEN - 8);
    first.copy_from_slice(&[direction as u8, 0, 0, 0]);
    last.copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// The keys that were given to those who ask.
#[derive(Default)]
pub(super) struct Keys(Mutex<FixedMap<u64, Arc<Seal>>>);

impl Keys {
    /// A new key; `None` if too many are in use.
    pub(super) fn issue(&self, env: &Env) -> Option<(u64, SealingKey)> {
        let (id, key) = (env.random_u64().max(1), SealingKey::random(env));
        let seal = Seal::new(id, &key, Direction::Answers, env)?;
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            forget(&mut keys, env, UNUSED_CROWDED_MAX);
        }
        if keys.len() >= KEYS_MAX || keys.contains_key(&id) {
            return None;
        }
        keys.insert(id, seal);
        Some((id, key))
    }

    pub(super) fn get(&self, id: u64) -> Option<Arc<Seal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(super) fn sweep(&self, env: &Env) {
        forget(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), env, UNUSED_MAX);
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn forget(keys: &mut FixedMap<u64, Arc<Seal>>, env: &Env, unused_max: Duration) {
    let now_ms = env.uptime_ms();
    keys.retain(|_, seal| Duration::from_millis(now_ms.saturating_sub(seal.used_ms.load(Relaxed))) < unused_max);
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Format, Header};
    use super::*;

    fn pair() -> (Arc<Seal>, Arc<Seal>, Env) {
        let env = Env::system();
        let key = SealingKey::random(&env);
        let end = |sends| Seal::new(7, &key, sends, &env).expect("a key");
        (end(Direction::Asks), end(Direction::Answers), env)
    }

    fn datagram() -> Datagram {
        Format::new("test").encode(&Header::introduction(1, 2), &[]).expect("short")
    }

    fn opened(by: &Seal, mut bytes: Vec<u8>, env: &Env) -> Result<Vec<u8>, PacketError> {
        let front = Front::decode(&bytes)?;
        by.open(front, &mut bytes, env).map(<[u8]>::to_vec)
    }

    #[test]
    fn what_was_sealed_is_opened_once_and_by_the_other_end_alone() {
        let (asks, answers, env) = pair();
        let sealed = asks.close(&datagram()).expect("it fits").as_bytes().to_vec();
        assert_eq!(sealed.len(), datagram().as_bytes().len() + SEAL_LEN);
        assert_eq!(opened(&answers, sealed.clone(), &env).as_deref(), Ok(datagram().as_bytes()));
        assert_eq!(opened(&answers, sealed.clone(), &env), Err(PacketError::Replayed));
        let (_, stranger, _) = pair();
        assert_eq!(opened(&stranger, sealed.clone(), &env), Err(PacketError::Seal));
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(opened(&answers, changed, &env).is_err(), "bit {bit}");
        }
        // Nothing of what was tried uses a number up.
        let again = asks.close(&datagram()).expect("it fits").as_bytes().to_vec();
        assert_ne!(again, sealed);
        assert!(opened(&answers, again, &env).is_ok());
    }

    #[test]
    fn a_key_that_is_used_up_seals_nothing() {
        let (asks, ..) = pair();
        assert_eq!(asks.spent(), (false, false));
        asks.next.store(WORN_OUT, Relaxed);
        assert_eq!(asks.spent(), (true, true));
        asks.next.store(USED_UP - 1, Relaxed);
        assert!(asks.close(&datagram()).is_none());
        assert!(asks.close(&datagram()).is_none(), "and does not begin anew");
    }
}
