//! Ids: points on the Chord circle, unsigned numbers below 2^m, and the arithmetic modulo 2^m on them.
//!
//! An [`Id`] is a fixed-width `Copy` number whatever m is, so that comparing two never depends on a length; the
//! [`IdSpace`] knows m and everything that wraps. Invariant: an id that an `IdSpace` hands out is in that space, and
//! what comes from outside enters through [`IdSpace::parse_hex`] or is checked with [`IdSpace::contains`].
//! Source: Stoica et al. 2003, §IV (identifier circle, finger starts, intervals).

use std::fmt;

/// A point on the ring: an unsigned number below 2^m, of which `Ord` is the numeric order.
///
/// It does not know its own m; [`IdSpace`] does.
// The derived order compares `hi` first: the fields stay in this order.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Id {
    hi: u128,
    lo: u128,
}

impl Id {
    /// The id 0, present in every space.
    pub const ZERO: Self = Self { hi: 0, lo: 0 };

    const ONE: Self = Self { hi: 0, lo: 1 };
    const ALL_ONES: Self = Self { hi: u128::MAX, lo: u128::MAX };

    /// The number in 32 bytes, most significant first, whatever m is.
    #[inline]
    pub const fn to_be_bytes(self) -> [u8; 32] {
        let (hi, lo) = (self.hi.to_be_bytes(), self.lo.to_be_bytes());
        let mut bytes = [0; 32];
        let (left, right) = bytes.split_at_mut(16);
        left.copy_from_slice(&hi);
        right.copy_from_slice(&lo);
        bytes
    }

    /// Reads what [`Id::to_be_bytes`] wrote. Bytes of a stranger may be no id of our ring: check them with
    /// [`IdSpace::contains`].
    #[inline]
    pub const fn from_be_bytes(bytes: [u8; 32]) -> Self {
        let (mut hi, mut lo) = ([0; 16], [0; 16]);
        let (left, right) = bytes.split_at(16);
        hi.copy_from_slice(left);
        lo.copy_from_slice(right);
        Self { hi: u128::from_be_bytes(hi), lo: u128::from_be_bytes(lo) }
    }

    /// `self * 2^places`; what leaves the 256 bits is gone, all of it from 256 places on.
    #[inline]
    pub(super) const fn shift_left(self, places: u32) -> Self {
        match places {
            0 => self,
            1..128 => Self { hi: self.hi << places | self.lo >> (128 - places), lo: self.lo << places },
            128..256 => Self { hi: self.lo << (places - 128), lo: 0 },
            _ => Self::ZERO,
        }
    }

    /// `self / 2^places`, rounded down; zero from 256 places on.
    #[inline]
    pub(super) const fn shift_right(self, places: u32) -> Self {
        match places {
            0 => self,
            1..128 => Self { hi: self.hi >> places, lo: self.lo >> places | self.hi << (128 - places) },
            128..256 => Self { hi: 0, lo: self.hi >> (places - 128) },
            _ => Self::ZERO,
        }
    }

    /// The bits that are set in either.
    #[inline]
    pub(super) const fn or(self, other: Self) -> Self {
        Self { hi: self.hi | other.hi, lo: self.lo | other.lo }
    }

    /// The lowest 32 bits.
    #[inline]
    pub(super) const fn low_u32(self) -> u32 {
        self.lo as u32
    }

    /// The number `low`.
    #[inline]
    pub(super) const fn from_u32(low: u32) -> Self {
        Self { hi: 0, lo: low as u128 }
    }

    const fn and(self, other: Self) -> Self {
        Self { hi: self.hi & other.hi, lo: self.lo & other.lo }
    }

    const fn add(self, other: Self) -> Self {
        let (lo, carry) = self.lo.overflowing_add(other.lo);
        Self { hi: self.hi.wrapping_add(other.hi).wrapping_add(carry as u128), lo }
    }

    const fn sub(self, other: Self) -> Self {
        let (lo, borrow) = self.lo.overflowing_sub(other.lo);
        Self { hi: self.hi.wrapping_sub(other.hi).wrapping_sub(borrow as u128), lo }
    }
}

impl fmt::Debug for Id {
    /// `Id(2f)`: hex without leading zeros, as the width is the space's to know ([`IdSpace::hex`]).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hi {
            0 => write!(f, "Id({:x})", self.lo),
            hi => write!(f, "Id({hi:x}{:032x})", self.lo),
        }
    }
}

/// The circle of the ids 0 ..= 2^m - 1, for one m in 1..=256; its arithmetic is modulo 2^m.
///
/// Methods that take ids expect ids of this space; they answer with ids of this space in any case.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdSpace {
    bits: u16,
}

impl IdSpace {
    /// The space of `bits`-bit ids; `None` unless `bits` is 1..=256.
    pub(crate) const fn new(bits: u16) -> Option<Self> {
        match bits {
            1..=256 => Some(Self { bits }),
            _ => None,
        }
    }

    /// m, 1..=256.
    #[inline]
    pub(crate) const fn bits(self) -> u16 {
        self.bits
    }

    /// The greatest id, 2^m - 1.
    #[inline]
    pub(crate) const fn max(self) -> Id {
        Id::ALL_ONES.shift_right(self.unused_bits())
    }

    /// Whether `id` is below 2^m.
    #[inline]
    pub(crate) fn contains(self, id: Id) -> bool {
        id <= self.max()
    }

    /// The top m bits of `digest` read big-endian. One of fewer than m bits is padded with zero bits on the right;
    /// an empty one is id 0.
    #[cfg_attr(not(test), expect(dead_code, reason = "the digests of keys come padded; tests make ids with it"))]
    #[inline]
    #[allow(clippy::wrong_self_convention, reason = "an id, from a digest, in this space")]
    pub(crate) fn from_digest(self, digest: &[u8]) -> Id {
        let mut padded = [0; 32];
        match digest.len() {
            // The digests of sha256 and sha1: a known length makes the copy a few register moves.
            32 => padded.copy_from_slice(digest),
            20 => padded[..20].copy_from_slice(digest),
            len => {
                let len = len.min(32);
                padded[..len].copy_from_slice(&digest[..len]);
            }
        }
        self.cut_padded_digest(padded)
    }

    /// [`IdSpace::from_digest`] of a digest that already has its zero bytes on the right.
    #[inline]
    pub(super) const fn cut_padded_digest(self, padded: [u8; 32]) -> Id {
        Id::from_be_bytes(padded).shift_right(self.unused_bits())
    }

    /// `a + b` modulo 2^m.
    #[inline]
    pub(crate) const fn wrapping_add(self, a: Id, b: Id) -> Id {
        a.add(b).and(self.max())
    }

    /// `a - b` modulo 2^m.
    #[inline]
    pub(crate) const fn wrapping_sub(self, a: Id, b: Id) -> Id {
        a.sub(b).and(self.max())
    }

    /// `id + 2^k` modulo 2^m: where the finger of index `k`, 0..m, starts. From `k` = m on it is `id` itself, as
    /// 2^k is then 0 modulo 2^m.
    #[inline]
    pub(crate) const fn add_power_of_two(self, id: Id, k: u16) -> Id {
        self.wrapping_add(id, Id::ONE.shift_left(k as u32))
    }

    /// The next id clockwise; after the greatest comes 0.
    #[inline]
    pub(crate) const fn successor_of(self, id: Id) -> Id {
        self.wrapping_add(id, Id::ONE)
    }

    /// How many steps clockwise lead from `from` to `to`; 0 if they are equal.
    #[inline]
    pub(crate) const fn distance(self, from: Id, to: Id) -> Id {
        self.wrapping_sub(to, from)
    }

    /// Lower-case hex, ceil(m/4) digits: the form ids have outside.
    pub(crate) fn hex(self, id: Id) -> String {
        let digits = format!("{:032x}{:032x}", id.hi, id.lo);
        digits[64 - self.hex_digits()..].to_owned()
    }

    /// Reads what [`IdSpace::hex`] wrote, in either case; `None` if it has another length, holds anything but hex
    /// digits, or names a number of 2^m or more.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "ids enter from outside only on the wire so far; tests read them")
    )]
    pub(crate) fn parse_hex(self, text: &str) -> Option<Id> {
        if text.len() != self.hex_digits() {
            return None;
        }
        // Digit by digit: `from_str_radix` would take a leading sign.
        let id = text.chars().try_fold(Id::ZERO, |id, digit| {
            let digit = digit.to_digit(16)?;
            Some(id.shift_left(4).or(Id::from_u32(digit)))
        })?;
        self.contains(id).then_some(id)
    }

    const fn hex_digits(self) -> usize {
        self.bits.div_ceil(4) as usize
    }

    const fn unused_bits(self) -> u32 {
        256 - self.bits as u32
    }
}

/// A stretch of the circle, clockwise from one id to another. With equal ends it goes once round.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    after: Id,
    end: Id,
    end_included: bool,
}

impl Span {
    /// `(after, before)`: neither end. With equal ends: every id but that one.
    #[inline]
    pub(crate) const fn open(after: Id, before: Id) -> Self {
        Self { after, end: before, end_included: false }
    }

    /// `(after, last]`: the first end is out, the second is in. With equal ends: every id.
    #[inline]
    pub(crate) const fn half_open(after: Id, last: Id) -> Self {
        Self { after, end: last, end_included: true }
    }

    /// Whether `id` lies on the stretch.
    #[inline]
    pub(crate) fn contains(&self, id: Id) -> bool {
        if id == self.end {
            return self.end_included;
        }
        if self.after < self.end {
            self.after < id && id < self.end
        } else {
            // Across zero, or once round; then `after` equals `end`, which is dealt with above.
            self.after < id || id < self.end
        }
    }
}

#[cfg(test)]
#[path = "id_tests.rs"]
mod tests;
