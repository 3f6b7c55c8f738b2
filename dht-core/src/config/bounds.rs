//! The table of keys and what each may hold. Checks, parsers and error texts all read it, so that the bound a user is
//! told is the bound that is applied.

use std::fmt;
use std::time::Duration;

use super::Config;
use super::kinds::{Consistency, Durability, Eviction, HashFunction, NetworkProtocol, Routing};
use super::text::{ShowDuration, ShowSize};
use crate::error::{Error, ErrorKind};

/// What a key may hold; prints as the end of «key = value: …».
pub(super) enum Bound {
    /// Inclusive.
    Int(u64, u64),
    /// Bytes, inclusive.
    Size(u64, u64),
    /// Inclusive.
    Time(Duration, Duration),
    Flag,
    OneOf(&'static [&'static str]),
    /// Bytes of UTF-8, inclusive.
    Text(usize, usize),
    Host,
    /// "host:port" or nothing.
    Advertise,
    /// At most so many "host:port".
    Endpoints(usize),
    Path,
    Tls,
}

/// Below this a period is a busy loop; above it the ring would not notice a failure in any useful time.
const PERIOD: Bound = Bound::Time(Duration::from_millis(10), Duration::from_secs(3_600));

/// In the order of the documentation.
const TABLE: &[(&str, Bound)] = &[
    ("node_id", Bound::Text(0, 255)),
    ("address", Bound::Host),
    ("port", Bound::Int(0, 65_535)),
    ("advertise", Bound::Advertise),
    ("seeds", Bound::Endpoints(1_000)),
    ("cluster_name", Bound::Text(1, 255)),
    ("hash_function", Bound::OneOf(HashFunction::NAMES)),
    ("hash_bits", Bound::Int(1, 256)),
    ("slot_bits", Bound::Int(0, 20)),
    ("replication_factor", Bound::Int(1, 64)),
    ("min_replicas", Bound::Int(1, 64)),
    ("consistency", Bound::OneOf(Consistency::NAMES)),
    ("successor_list_size", Bound::Int(1, 128)),
    ("virtual_nodes", Bound::Int(0, 200)),
    ("consistent_hashing", Bound::Flag),
    ("backup_replicas", Bound::Flag),
    ("repair_rate", Bound::Size(0, 1 << 40)),
    ("stabilize_interval", PERIOD),
    ("fix_finger_interval", PERIOD),
    ("check_predecessor", PERIOD),
    ("heartbeat_interval", PERIOD),
    ("request_timeout", Bound::Time(Duration::from_millis(1), Duration::from_secs(3_600))),
    ("max_retries", Bound::Int(0, 100)),
    ("buffer_size", Bound::Int(1, 1 << 20)),
    ("max_connections", Bound::Int(1, 65_536)),
    ("network_protocol", Bound::OneOf(NetworkProtocol::NAMES)),
    ("enable_logging", Bound::Flag),
    ("enable_metrics", Bound::Flag),
    ("routing", Bound::OneOf(Routing::NAMES)),
    ("max_table_nodes", Bound::Int(1, 10_000_000)),
    ("data_dir", Bound::Path),
    ("durability", Bound::OneOf(Durability::NAMES)),
    ("max_memory", Bound::Size(64 << 10, 1 << 50)),
    ("eviction", Bound::OneOf(Eviction::NAMES)),
    // The length of a key is a 16-bit matter in every format we know of; values are held whole in memory.
    ("max_key_size", Bound::Size(1, 64 << 10)),
    ("max_value_size", Bound::Size(1, 1 << 30)),
    ("tombstone_grace", Bound::Time(Duration::from_millis(100), Duration::from_secs(30 * 86_400))),
    ("max_clock_offset", Bound::Time(Duration::from_millis(1), Duration::from_secs(3_600))),
    ("cluster_key", Bound::Text(1, 1_024)),
    ("tls", Bound::Tls),
    ("allow_insecure", Bound::Flag),
    ("zone", Bound::Text(0, 255)),
    ("worker_threads", Bound::Int(0, 1_024)),
    ("trace_sample", Bound::Int(0, 1_000_000_000)),
];

const KEYS: [&str; TABLE.len()] = {
    let mut keys = [""; TABLE.len()];
    let mut i = 0;
    while i < keys.len() {
        keys[i] = TABLE[i].0;
        i += 1;
    }
    keys
};

/// What the parts of `tls` may hold; they are no keys of their own in files.
const PARTS: &[(&str, Bound)] = &[("tls.cert", Bound::Path), ("tls.key", Bound::Path), ("tls.ca", Bound::Path)];

impl Config {
    /// Every key, in the order of the documentation. [`Config::set`] takes each, and the three parts of `tls`.
    pub const KEYS: &'static [&'static str] = &KEYS;
}

/// The bound of a key or of a part of `tls`; `None` if there is no such key.
pub(super) fn bound(key: &str) -> Option<&'static Bound> {
    TABLE.iter().chain(PARTS).find(|(name, _)| *name == key).map(|(_, bound)| bound)
}

/// The one shape of an error about one key: «key = value: bound».
pub(super) fn out_of_bound(key: &str, value: impl fmt::Display) -> Error {
    match bound(key) {
        Some(bound) => Error::new(ErrorKind::Config, format!("{key} = {value}: {bound}")),
        None => unknown_key(key),
    }
}

/// Names the key, and the nearest one that exists if a typing error may have made the difference.
pub(super) fn unknown_key(key: &str) -> Error {
    let nearest = KEYS.iter().map(|name| (edits(key, name), *name)).min();
    let hint = match nearest {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => {
            format!("; did you mean {name}?")
        }
        _ => String::new(),
    };
    Error::new(ErrorKind::Config, format!("unknown key {}{hint}", super::text::quoted(key)))
}

/// Levenshtein distance, after a cut: longer texts than any key are no typing errors.
fn edits(typed: &str, key: &str) -> usize {
    let typed: Vec<u8> = typed.bytes().take(64).collect();
    let mut row: Vec<usize> = (0..=key.len()).collect();
    for (i, a) in typed.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in key.bytes().enumerate() {
            let replaced = diagonal + usize::from(*a != b);
            diagonal = std::mem::replace(&mut row[j + 1], 0);
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[key.len()]
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Int(low, high) => write!(f, "must be between {low} and {high}"),
            Self::Size(low, high) => {
                write!(f, "must be between {} and {} (bytes, or text like 4KiB)", ShowSize(low), ShowSize(high))
            }
            Self::Time(low, high) => write!(
                f,
                "must be between {} and {} (seconds, or text like 250ms)",
                ShowDuration(low),
                ShowDuration(high)
            ),
            Self::Flag => f.write_str("must be true or false"),
            Self::OneOf(names) => write!(f, "must be one of {}", names.join(", ")),
            Self::Text(0, high) => write!(f, "must be text of at most {high} bytes"),
            Self::Text(low, high) => write!(f, "must be text of {low} to {high} bytes"),
            Self::Host => f.write_str("must be an IP address or a host name, without a port"),
            Self::Advertise => {
                f.write_str("must be \"host:port\" that others can dial (IPv6 in brackets, port 1 to 65535), or empty")
            }
            Self::Endpoints(high) => {
                write!(f, "must be a list of at most {high} times \"host:port\" (IPv6 in brackets, port 1 to 65535)")
            }
            Self::Path => f.write_str("must be a path, not empty"),
            Self::Tls => f.write_str("must be a table of three paths: cert, key, ca"),
        }
    }
}
