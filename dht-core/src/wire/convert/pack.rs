//! Packed arrays: fixed-width elements in one field. What protobuf calls packed fixed32 and fixed64 is
//! little-endian; digests, fingerprints, ids and operation ids are bytes, most significant first.

use bytes::{BufMut, Bytes, BytesMut};

use super::Result;
use crate::wire::error::WireError;

/// `elements`, `N` bytes each.
pub(super) fn pack<const N: usize>(elements: impl ExactSizeIterator<Item = [u8; N]>) -> Bytes {
    let mut packed = BytesMut::with_capacity(elements.len().saturating_mul(N));
    elements.for_each(|element| packed.put_slice(&element));
    packed.freeze()
}

/// The elements of an array that has at most `max`.
pub(super) fn unpack<'a, const N: usize>(what: &'static str, bytes: &'a Bytes, max: usize) -> Result<&'a [[u8; N]]> {
    let (elements, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(WireError::Uneven { what, len: bytes.len(), wanted: format!("a multiple of {N}") });
    }
    if elements.len() > max {
        return Err(WireError::TooMany { what, count: elements.len(), max });
    }
    Ok(elements)
}

/// The elements of an array that has `count`.
pub(super) fn unpack_exact<'a, const N: usize>(
    what: &'static str,
    bytes: &'a Bytes,
    count: usize,
) -> Result<&'a [[u8; N]]> {
    // An array longer than its companion is uneven, not too many.
    let elements = unpack(what, bytes, usize::MAX)?;
    if elements.len() == count {
        Ok(elements)
    } else {
        Err(WireError::Uneven { what, len: elements.len(), wanted: count.to_string() })
    }
}
