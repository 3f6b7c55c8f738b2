//! A look at an encoded message before it is decoded: which body it has, and how many elements.
//!
//! Protobuf lets two bytes stand for an empty element of a repeated message, for which a decoder allocates the whole
//! structure; 16 MiB of them would become gigabytes. So the elements are counted first, without allocating. All
//! other fields decode into a slice of the frame, a string of its own length, or a number.

use super::error::WireError;
use super::limits::{
    DIGEST_LEN_MIN, ITEMS_MAX, PAST_MAX, POINTERS_MAX, RECORD_LEN_MIN, RECORDS_MAX, SPAN_LEN_MIN, SPANS_MAX,
};

/// Envelope fields below, bodies from here on.
const BODY_TAG_MIN: u32 = 16;

/// The bound of one repeated field of a body.
pub(super) struct Repeated {
    field: u32,
    what: &'static str,
    count_max: usize,
    /// Bytes that every valid element has.
    len_min: usize,
}

/// The body of an encoded call or reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Body<'a> {
    pub(super) tag: u32,
    bytes: &'a [u8],
}

impl<'a> Body<'a> {
    /// The one body of `message`.
    pub(super) fn find(message: &'a [u8]) -> Result<Self, WireError> {
        let mut found: Option<Self> = None;
        let mut rest = message;
        while let Some(field) = Field::next(&mut rest)? {
            let Some(bytes) = field.bytes else { continue };
            if field.tag < BODY_TAG_MIN {
                continue;
            }
            if let Some(first) = found {
                return Err(WireError::TwoBodies { first: first.tag, second: field.tag });
            }
            found = Some(Body { tag: field.tag, bytes });
        }
        found.ok_or(WireError::Missing { what: "body" })
    }

    /// Counts the elements of the body's repeated fields against `bounds`.
    pub(super) fn check(&self, bounds: &[Repeated]) -> Result<(), WireError> {
        // No body has more than four.
        let mut counts = [0_usize; 4];
        let mut rest = self.bytes;
        while let Some(field) = Field::next(&mut rest)? {
            let bound = bounds.iter().zip(&mut counts).find(|(bound, _)| bound.field == field.tag);
            let (Some((bound, count)), Some(bytes)) = (bound, field.bytes) else { continue };
            let (what, max, min) = (bound.what, bound.count_max, bound.len_min);
            *count = count.saturating_add(1);
            if *count > max {
                return Err(WireError::TooMany { what, count: *count, max });
            }
            if bytes.len() < min {
                return Err(WireError::TooShort { what, len: bytes.len(), min });
            }
        }
        Ok(())
    }
}

const fn records(field: u32) -> Repeated {
    Repeated { field, what: "node record", count_max: RECORDS_MAX, len_min: RECORD_LEN_MIN }
}

const fn pointers(field: u32) -> Repeated {
    Repeated { field, what: "pointer", count_max: POINTERS_MAX, len_min: 3 }
}

/// Nodes past the target of a lookup, or replicas of its slot.
const fn few_pointers(field: u32) -> Repeated {
    Repeated { field, what: "pointer", count_max: PAST_MAX, len_min: 3 }
}

const fn items(field: u32) -> Repeated {
    Repeated { field, what: "item", count_max: ITEMS_MAX, len_min: 0 }
}

/// The repeated fields of the request of that tag.
pub(super) fn request_bounds(tag: u32) -> &'static [Repeated] {
    match tag {
        16 => const { &[records(2)] },
        33 | 36 => const { &[records(1)] },
        21 => const { &[records(3)] },
        23 => const { &[pointers(1)] },
        25 | 26 | 27 | 30 => const { &[items(1)] },
        _ => &[],
    }
}

/// The repeated fields of the response of that tag.
pub(super) fn response_bounds(tag: u32) -> &'static [Repeated] {
    const DIGESTS: Repeated =
        Repeated { field: 1, what: "node digest", count_max: RECORDS_MAX, len_min: DIGEST_LEN_MIN };
    match tag {
        16 => const { &[records(2)] },
        18 => &[DIGESTS],
        33 | 36 => const { &[records(1)] },
        19 => const { &[records(4)] },
        22 => const { &[pointers(1), records(4)] },
        24 => const { &[pointers(2), records(3), few_pointers(4), few_pointers(5)] },
        25 => const { &[items(1), records(2)] },
        26 | 27 | 30 | 35 => const { &[items(1)] },
        _ => &[],
    }
}

/// Counts the records of a block of a snapshot.
pub(super) fn check_items(bytes: &[u8]) -> Result<(), WireError> {
    Body { tag: 0, bytes }.check(const { &[items(1)] })
}

/// Counts the steps that the envelope of an answer tells.
pub(super) fn check_spans(bytes: &[u8]) -> Result<(), WireError> {
    const SPANS: Repeated = Repeated { field: 3, what: "span", count_max: SPANS_MAX, len_min: SPAN_LEN_MIN };
    Body { tag: 0, bytes }.check(&[SPANS])
}

/// One field of a protobuf message.
struct Field<'a> {
    tag: u32,
    /// What a length-delimited field holds; `None` for numbers.
    bytes: Option<&'a [u8]>,
}

impl<'a> Field<'a> {
    /// Takes the next field off `rest`; `None` at the end.
    fn next(rest: &mut &'a [u8]) -> Result<Option<Self>, WireError> {
        if rest.is_empty() {
            return Ok(None);
        }
        let key = varint(rest)?;
        let tag = u32::try_from(key >> 3).map_err(|_| malformed("a field number above 2^29"))?;
        let bytes = match key & 7 {
            0 => varint(rest).map(|_| None)?,
            1 => take(rest, 8).map(|_| None)?,
            2 => {
                let len = usize::try_from(varint(rest)?).map_err(|_| malformed("a length above 2^64"))?;
                Some(take(rest, len)?)
            }
            5 => take(rest, 4).map(|_| None)?,
            // Groups (3, 4) nest without lengths and left the language long ago.
            _ => return Err(malformed("a wire type other than 0, 1, 2, 5")),
        };
        Ok(Some(Self { tag, bytes }))
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], WireError> {
    let (taken, after) = rest.split_at_checked(len).ok_or_else(|| malformed("a field runs past the end"))?;
    *rest = after;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or_else(|| malformed("a number runs past the end"))?;
        *rest = after;
        value |= u64::from(byte & 0x7f).wrapping_shl(shift);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(malformed("a number of more than 10 bytes"))
}

fn malformed(reason: &str) -> WireError {
    WireError::Malformed { reason: reason.to_owned() }
}
