//! Cutting batches into messages: bounded in items, as the codec demands, and in bytes, so that no message holds up
//! a connection for long.

use crate::wire::limits::ITEMS_MAX;

/// Payload of one message of several items; a single larger item goes alone.
pub(crate) const BYTES_MAX: usize = 1 << 20;

/// Splits `items` into runs of at most [`ITEMS_MAX`] items and [`BYTES_MAX`] bytes, in order.
pub(crate) fn parts<T>(items: Vec<T>, bytes_of: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let more = bytes_of(&item);
        match parts.last_mut() {
            Some(part) if part.len() < ITEMS_MAX && bytes + more <= BYTES_MAX => {
                bytes += more;
                part.push(item);
            }
            _ => {
                bytes = more;
                parts.push(vec![item]);
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_bounded_and_keep_the_order() {
        let lens = |items: Vec<usize>| parts(items, |n| *n).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lens(Vec::new()), [0; 0]);
        assert_eq!(lens(vec![1; 2 * ITEMS_MAX + 1]), [ITEMS_MAX, ITEMS_MAX, 1]);
        assert_eq!(lens(vec![BYTES_MAX, 1, BYTES_MAX - 1, 1]), [1, 2, 1]);
        assert_eq!(lens(vec![3 * BYTES_MAX, 3 * BYTES_MAX]), [1, 1], "a larger item goes alone");
        let all: Vec<usize> = (0..5000).collect();
        assert_eq!(parts(all.clone(), |n| *n).concat(), all);
    }
}
