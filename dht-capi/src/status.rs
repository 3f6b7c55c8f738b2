//! `dht_status`: the numbers of the errors, the same in every language and never reused.

use std::ffi::{CStr, c_char};

use dht_core::ErrorKind;

use crate::boundary::contained;

/// What became of a call: 0 or what went wrong. More may be added; none changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum dht_status {
    /// It succeeded.
    DHT_OK = 0,
    /// There is no such key, where a language has no other way to say so (Rust answers `None`). Nothing to repair.
    DHT_NOT_FOUND = 1,
    /// An argument is outside what the operation takes. Correct the call; repeating it fails again.
    DHT_INVALID_ARGUMENT = 2,
    /// The configuration is wrong; the text names key, value and bound. Correct it and make the node again.
    DHT_CONFIG = 3,
    /// The node was not started. Call `start` first.
    DHT_NOT_STARTED = 4,
    /// The node was stopped or has left; a handle is never restarted. Make a new one.
    DHT_STOPPED = 5,
    /// The node did not get into a ring within the deadline; it keeps trying. Call again later, or check the seeds.
    DHT_NOT_JOINED = 6,
    /// The deadline passed. Where `maybe_applied` is true, read before deciding to write again.
    DHT_TIMEOUT = 7,
    /// Fewer replicas answered than the level needs. Try again, take a lower level, or bring nodes back.
    DHT_QUORUM = 8,
    /// A queue is full here or at the peer. Wait a little and send less at once; nothing was queued.
    DHT_OVERLOADED = 9,
    /// The ring has other immutable parameters, or another name; the text says both values. Configure this node alike.
    DHT_INCOMPATIBLE_RING = 10,
    /// No position is left for this node (take more `hash_bits`, or fewer `virtual_nodes`), or the ring has `max_table_nodes`; the text says which.
    DHT_RING_FULL = 11,
    /// Key or value is longer than `max_key_size` or `max_value_size`. Split it, or raise the limit on all nodes.
    DHT_TOO_LARGE = 12,
    /// The value cannot be stored in the format asked for, such as NaN in JSON. Change the value.
    DHT_INVALID_VALUE = 13,
    /// The stored value has another format than the one asked for. Read it as bytes.
    DHT_WRONG_FORMAT = 14,
    /// An address cannot be bound or resolved. Choose another address or port, or check the name service.
    DHT_ADDRESS = 15,
    /// No peer answered at the address. Check that it runs and that the network lets us through; then try again.
    DHT_UNREACHABLE = 16,
    /// The node would be open to anyone who reaches its port. The text says which ways out exist.
    DHT_INSECURE = 17,
    /// The peer does not prove that it belongs to the ring, or we do not to it. Check keys and certificates.
    DHT_AUTH = 18,
    /// `max_memory` is used up and the policy is to refuse. Delete, raise it, or let it evict.
    DHT_MEMORY_FULL = 19,
    /// The disk failed or is full. Mend it and restart the node; the replicas keep the data meanwhile.
    DHT_STORAGE = 20,
    /// Clocks differ by more than `max_clock_offset`; the text says both. Set the clock, then join again.
    DHT_CLOCK_SKEW = 21,
    /// This release, or the peer's, does not have the feature. Leave the key at its default, or upgrade.
    DHT_UNSUPPORTED = 22,
    /// The process was forked after the node was made: it is the parent's. Make and start a node in the child instead.
    DHT_FORKED = 23,
    /// The caller gave the call up. Where `maybe_applied` is true, read before deciding to write again.
    DHT_CANCELLED = 24,
    /// A blocking call was made from inside a callback of the library. Make it from another thread.
    DHT_REENTRANT = 25,
    /// A live node has this node_id. Choose another, or stop the other node first.
    DHT_NODE_ID_IN_USE = 26,
    /// A defect of this library. Report it with its text; the node may be restarted.
    DHT_INTERNAL = 27,
}

/// Written once, so that no number is forgotten in one of the directions.
macro_rules! names {
    ($($kind:ident $status:ident $name:literal,)+) => {
        impl From<ErrorKind> for dht_status {
            fn from(kind: ErrorKind) -> Self {
                match kind {
                    $(ErrorKind::$kind => Self::$status,)+
                    // A kind that this file does not know; the tests see to it that there is none.
                    _ => Self::DHT_INTERNAL,
                }
            }
        }

        fn name(status: i32) -> &'static CStr {
            match status {
                0 => c"OK",
                $(n if n == dht_status::$status as i32 => $name,)+
                _ => c"UNKNOWN",
            }
        }
    };
}

names! {
    NotFound DHT_NOT_FOUND c"NOT_FOUND",
    InvalidArgument DHT_INVALID_ARGUMENT c"INVALID_ARGUMENT",
    Config DHT_CONFIG c"CONFIG",
    NotStarted DHT_NOT_STARTED c"NOT_STARTED",
    Stopped DHT_STOPPED c"STOPPED",
    NotJoined DHT_NOT_JOINED c"NOT_JOINED",
    Timeout DHT_TIMEOUT c"TIMEOUT",
    Quorum DHT_QUORUM c"QUORUM",
    Overloaded DHT_OVERLOADED c"OVERLOADED",
    IncompatibleRing DHT_INCOMPATIBLE_RING c"INCOMPATIBLE_RING",
    RingFull DHT_RING_FULL c"RING_FULL",
    TooLarge DHT_TOO_LARGE c"TOO_LARGE",
    InvalidValue DHT_INVALID_VALUE c"INVALID_VALUE",
    WrongFormat DHT_WRONG_FORMAT c"WRONG_FORMAT",
    Address DHT_ADDRESS c"ADDRESS",
    Unreachable DHT_UNREACHABLE c"UNREACHABLE",
    Insecure DHT_INSECURE c"INSECURE",
    Auth DHT_AUTH c"AUTH",
    MemoryFull DHT_MEMORY_FULL c"MEMORY_FULL",
    Storage DHT_STORAGE c"STORAGE",
    ClockSkew DHT_CLOCK_SKEW c"CLOCK_SKEW",
    Unsupported DHT_UNSUPPORTED c"UNSUPPORTED",
    Forked DHT_FORKED c"FORKED",
    Cancelled DHT_CANCELLED c"CANCELLED",
    Reentrant DHT_REENTRANT c"REENTRANT",
    NodeIdInUse DHT_NODE_ID_IN_USE c"NODE_ID_IN_USE",
    Internal DHT_INTERNAL c"INTERNAL",
}

/// The name of a status without the prefix: "NOT_FOUND", "OK" for 0, "UNKNOWN" for a number that is none. Static: not
/// to be freed. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn dht_status_name(status: i32) -> *const c_char {
    contained(c"INTERNAL", || name(status)).as_ptr()
}
