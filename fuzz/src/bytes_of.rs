//! Takes an input apart.

/// The first byte and the rest; 0 of nothing.
pub(crate) fn first(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}
