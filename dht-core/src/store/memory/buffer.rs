//! Buffers that hold one thing, fit it closely and are shared without allocating: long values that are kept, and key and
//! value of a record that is read.
//!
//! `Bytes` made of a `Vec` is two allocations: the bytes, and 32 bytes for its counter. Short buffers, of which each read of
//! a record makes one, are therefore arrays of a few fixed sizes that carry their counter in front.

use bytes::Bytes;

use super::bound::heap;

type Concat = fn(&[&[u8]; 2]) -> Bytes;

/// Above this a counter apart is less than a tenth, and one more size would save little.
const FIXED_LEN_MAX: usize = 504;

/// In steps of 16, the usual granularity of allocators, from 8: with the counter's 16 bytes in front and the
/// allocator's own 8, an array then fills its piece of the heap.
const FIXED: [Concat; 32] = {
    macro_rules! sizes {
        ($($n:literal)+) => { [$(fixed::<{ 16 * $n + 8 }>),+] };
    }
    sizes!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)
};

/// The parts, one after the other, in a new buffer; its clones allocate nothing.
pub(super) fn concat(parts: [&[u8]; 2]) -> Bytes {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    if len <= FIXED_LEN_MAX {
        return FIXED[(len + 7) / 16](&parts);
    }
    // One more than needed: from a full `Vec`, `Bytes` postpones its counter to the first clone, which is a read's.
    let mut buffer = Vec::with_capacity(len + 1);
    parts.iter().for_each(|part| buffer.extend_from_slice(part));
    buffer.into()
}

/// What a long value, in a buffer made by `own`, takes from the heap.
pub(super) const fn memory(len: usize) -> u64 {
    // The bytes, and apart from them the counter: 40 bytes for a frame that was kept, less for a copy.
    heap(len + 1) + heap(40)
}

fn fixed<const N: usize>(parts: &[&[u8]; 2]) -> Bytes {
    let mut buffer = [0; N];
    let mut len = 0;
    for part in parts {
        buffer[len..][..part.len()].copy_from_slice(part);
        len += part.len();
    }
    let mut bytes = Bytes::from_owner(buffer);
    bytes.truncate(len);
    bytes
}

/// `value` in a buffer that it alone owns and mostly fills; its clones allocate nothing.
///
/// A value that came alone in its frame is the last handle on it and is kept as it is: no second 16 MiB for the time
/// of a copy. A frame's last living value of many is the last handle as well, so that is not enough: the room behind
/// the value must be below an eighth of it, and the room before it below its length, which is what makes
/// `try_reclaim` refuse to grow over it. All else is copied, also what the caller still holds.
pub(super) fn own(value: Bytes) -> Bytes {
    let value = match value.try_into_mut() {
        Ok(mut alone) => {
            let room_behind = alone.capacity() - alone.len();
            let fills = room_behind <= alone.len() / 8 && !alone.try_reclaim(room_behind + 1);
            if fills { alone.freeze() } else { concat([&alone, &[]]) }
        }
        Err(shared) => concat([&shared, &[]]),
    };
    // See `concat`: a frozen full buffer's first clone allocates.
    drop(value.clone());
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_keeps_its_bytes() {
        let bytes: Vec<u8> = (0..600).map(|n| n as u8).collect();
        for len in 0..bytes.len() {
            for cut in [0, len / 2, len] {
                let joined = concat([&bytes[..cut], &bytes[cut..len]]);
                assert_eq!(joined, bytes[..len], "{len} bytes cut at {cut}");
                assert_eq!(joined.clone().as_ptr(), joined.as_ptr(), "a clone shares");
            }
        }
    }
}
