//! What a store may keep, and how it makes room.
//!
//! What is counted is memory as the allocator hands it out, not payload (see [`heap`]). `reject` refuses what would
//! exceed the bound. `lru` first evicts: of a few records chosen at random the one whose last use is longest ago
//! (approximated LRU, as Redis does it). When a key was used is kept in a table of bytes beside the records, at two
//! places of one cache line that its hash chooses: a read writes there, without a lock or an allocation. A key looks
//! younger than it is if others have used both of its places since, which is rare (a Bloom filter of two functions that
//! forgets by age).

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::config::Eviction;
use crate::error::{Error, ErrorKind};

/// Records looked at for one eviction: with ten Redis measures nearly true LRU, each costs a look at its slot.
pub(super) const SAMPLES: usize = 8;
/// Of them in one slot: as many as are in a bucket, so that its first places are hardly preferred.
pub(super) const SAMPLES_PER_SLOT: usize = 3;
/// Buckets looked at in one slot for them, before another slot is tried.
pub(super) const BUCKETS_MAX: usize = 21;
/// The clock of uses ticks so often while as much is written as the bound holds. Uses longer ago than 256 ticks look
/// like new ones: by then a record has been a candidate many times.
const TICKS_PER_TURN: u64 = 32;
/// One place for each so many bytes of the bound, down to the next power of two: 2 to 3 % of it. With records of 250 bytes one in twenty then looks younger
/// than it is by the time that it should go; with a quarter of the places it would be every third.
const BYTES_PER_PLACE: u64 = 32;
const PLACES_MAX: u64 = 1 << 30;

const LINE_LEN: usize = 64;

/// Places of one cache line.
#[repr(align(64))]
struct Line([AtomicU8; LINE_LEN]);

/// See the module.
pub(super) struct Limit {
    pub(super) bytes: u64,
    /// With `lru`.
    pub(super) uses: Option<Uses>,
}

impl Limit {
    pub(super) fn new(bytes: u64, eviction: Eviction) -> Self {
        Self { bytes, uses: (eviction == Eviction::Lru).then(|| Uses::new(bytes)) }
    }

    pub(super) fn full(&self, memory: u64, growth: u64) -> Error {
        let bound = self.bytes;
        let evicting = if self.uses.is_some() { " and nothing is left to evict" } else { "" };
        let context = format!(
            "the store has {memory} bytes of memory in use and the record needs {growth} more: max_memory is {bound}{evicting}"
        );
        Error::new(ErrorKind::MemoryFull, context)
    }
}

/// When keys were used, in ticks of a clock that goes with what is written.
pub(super) struct Uses {
    /// A power of two of them.
    lines: Box<[Line]>,
    written: AtomicU64,
    /// A tick is two to the power of this many bytes written.
    tick_bits: u32,
    /// Of the sequence that candidates are drawn by; fixed, so that a simulated run repeats itself.
    draws: AtomicU64,
    evictions: AtomicU64,
}

impl Uses {
    fn new(bytes: u64) -> Self {
        let places = (bytes / BYTES_PER_PLACE).clamp(LINE_LEN as u64, PLACES_MAX);
        let lines = (1 << places.ilog2()) / LINE_LEN as u64;
        let line = |_| Line([const { AtomicU8::new(0) }; LINE_LEN]);
        Self {
            lines: (0..lines).map(line).collect(),
            written: AtomicU64::new(0),
            tick_bits: (bytes / TICKS_PER_TURN).max(1).ilog2(),
            draws: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        }
    }

    pub(super) fn memory(&self) -> u64 {
        heap(size_of_val(&*self.lines))
    }

    /// The key of that hash is used now.
    #[inline]
    pub(super) fn touch(&self, hash: u64) {
        let tick = self.tick();
        for place in self.places(hash) {
            // Most keys in use were used in this tick already: a line that is only read is shared by all cores.
            if place.load(Relaxed) != tick {
                place.store(tick, Relaxed);
            }
        }
    }

    pub(super) fn wrote(&self, bytes: u64) {
        self.written.fetch_add(bytes, Relaxed);
    }

    /// Ticks since the last use, 0 to 255.
    pub(super) fn age(&self, hash: u64) -> u8 {
        let tick = self.tick();
        let [a, b] = self.places(hash).map(|place| tick.wrapping_sub(place.load(Relaxed)));
        a.max(b)
    }

    /// The next of a sequence of numbers that look random (splitmix64, Steele et al. 2014).
    pub(super) fn draw(&self) -> u64 {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.draws.fetch_add(GAMMA, Relaxed).wrapping_add(GAMMA);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(super) fn evicted(&self) {
        self.evictions.fetch_add(1, Relaxed);
    }

    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Relaxed)
    }

    #[inline]
    fn tick(&self) -> u8 {
        (self.written.load(Relaxed) >> self.tick_bits) as u8
    }

    #[inline]
    fn places(&self, hash: u64) -> [&AtomicU8; 2] {
        let Line(line) = &self.lines[(hash >> 12) as usize & (self.lines.len() - 1)];
        [40, 46].map(|shift| &line[(hash >> shift) as usize % LINE_LEN])
    }
}

/// What an allocation of `len` bytes takes from the heap: glibc's pieces are multiples of 16 bytes, eight of which are
/// its own, and at least 32. Other allocators round up differently, by up to a quarter.
pub(super) const fn heap(len: usize) -> u64 {
    let piece = (len + 8 + 15) & !15;
    if piece < 32 { 32 } else { piece as u64 }
}
