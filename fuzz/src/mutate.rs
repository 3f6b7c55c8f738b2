//! Mutations, all of them decided by a seed: what is tried where libFuzzer is not.

/// SplitMix64 (Steele et al. 2014): as good as any here, and a page shorter than a crate.
pub struct Chance(u64);

impl Chance {
    /// The same numbers for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`; 0 of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % (bound.max(1) as u64)) as usize
    }
}

/// Numbers at the edges of what the formats have.
const EDGES: &[&[u8]] = &[
    &[0],
    &[0x7f],
    &[0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    &[0xff; 8],
    &[0, 0, 0, 0, 0, 0, 0, 0x80],
    b"\"",
    b"[",
    b"{\"",
    b"1e999",
    b"\\u0000",
];

/// Another input made of `seed`, perhaps with a piece of `other`; at most `len_max` bytes.
#[must_use]
pub fn mutated(chance: &mut Chance, seed: &[u8], other: &[u8], len_max: usize) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(data.len() + 1);
        let end = at + chance.below((data.len() - at).min(64) + 1);
        match chance.below(8) {
            0 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << chance.below(8);
                }
            }
            1 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte = chance.below(256) as u8;
                }
            }
            2 => drop(data.drain(at..end)),
            3 => {
                let piece = data[at..end].to_vec();
                data.splice(at..at, piece);
            }
            4 => {
                let edge = EDGES[chance.below(EDGES.len())];
                let end = (at + edge.len() * chance.below(2)).min(data.len());
                data.splice(at..end, edge.iter().copied());
            }
            5 => {
                let from = chance.below(other.len() + 1);
                let piece = &other[from..from + chance.below(other.len() - from + 1)];
                data.splice(at..end, piece.iter().copied());
            }
            6 => data.truncate(at),
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte = byte.wrapping_add([1, 255, 16, 240][chance.below(4)]);
                }
            }
        }
    }
    data.truncate(len_max);
    data
}
