//! `Error` and `ErrorKind`: what a caller can act upon.
//!
//! One public error for every operation. Its kind is numbered, and the number is the contract with the other
//! languages: C returns it, Python and Go map it once to a class or a value. A number is never reused.

use std::fmt;
use std::sync::Arc;

/// The result of every fallible operation of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed, and whether it may have taken effect all the same.
///
/// One pointer wide, cheap to clone. `{}` prints `KIND_NAME: context`, `{:#}` adds the chain of causes.
///
/// ```
/// use dht_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Timeout, "put of 3 bytes: 1 of 2 acks within 2s").unknown_outcome();
/// assert_eq!(error.code(), 7);
/// assert!(error.maybe_applied());
/// assert!(error.to_string().starts_with("TIMEOUT: put of 3 bytes"));
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    context: String,
    maybe_applied: bool,
    out_of_time: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error that changed nothing. `context` says what was attempted and which value was in the way; the
    /// kind's name is printed before it, so it is not repeated there.
    #[must_use]
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, context: context.into(), maybe_applied: false, out_of_time: false, source: None }))
    }

    /// Keeps `source` as the cause, shown by `{:#}` and by [`std::error::Error::source`].
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Marks the outcome as unknown: the operation may have been applied, or may still be.
    #[must_use]
    pub fn unknown_outcome(mut self) -> Self {
        self.0.maybe_applied = true;
        self
    }

    /// Of a question: whatever became of it, nothing was changed.
    pub(crate) fn of_a_question(mut self) -> Self {
        self.0.maybe_applied = false;
        self
    }

    /// Marks that only the time was over for whoever says so: somebody with more time left may try again.
    pub(crate) fn out_of_time(mut self) -> Self {
        self.0.out_of_time = true;
        self
    }

    pub(crate) fn was_out_of_time(&self) -> bool {
        self.0.out_of_time
    }

    /// What the caller can act upon.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was attempted and what was in the way, without the kind's name.
    #[must_use]
    pub fn context(&self) -> &str {
        &self.0.context
    }

    /// True where the outcome is unknown; false means that nothing was changed.
    #[must_use]
    pub fn maybe_applied(&self) -> bool {
        self.0.maybe_applied
    }

    /// The number of [`Error::kind`], 1 or more.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.0.kind.code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind.name())?;
        if !self.0.context.is_empty() {
            write!(f, ": {}", self.0.context)?;
        }
        if self.0.maybe_applied {
            f.write_str(" (it may have been applied)")?;
        }
        if f.alternate() {
            let mut cause = std::error::Error::source(self);
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("context", &self.0.context);
        debug.field("maybe_applied", &self.0.maybe_applied);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// Written once, so that variant, number and name cannot drift apart.
macro_rules! error_kinds {
    ($($(#[$doc:meta])+ $variant:ident = $code:literal, $name:literal;)+) => {
        /// What went wrong, as far as a caller can act upon it. The numbers and names are the same in every language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum ErrorKind {
            $($(#[$doc])+ $variant = $code,)+
        }

        impl ErrorKind {
            /// Every kind, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in upper snake case, as C and the texts of errors show it: `"NOT_FOUND"`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The kind of a number; `None` for 0 (success) and for numbers that are not in use.
            #[must_use]
            pub const fn from_code(code: i32) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

error_kinds! {
    /// There is no such key, where a language has no other way to say so (Rust answers `None`). Nothing to repair.
    NotFound = 1, "NOT_FOUND";
    /// An argument is outside what the operation takes. Correct the call; repeating it fails again.
    InvalidArgument = 2, "INVALID_ARGUMENT";
    /// The configuration is wrong; the text names key, value and bound. Correct it and make the node again.
    Config = 3, "CONFIG";
    /// The node was not started. Call `start` first.
    NotStarted = 4, "NOT_STARTED";
    /// The node was stopped or has left; a handle is never restarted. Make a new one.
    Stopped = 5, "STOPPED";
    /// The node did not get into a ring within the deadline; it keeps trying. Call again later, or check the seeds.
    NotJoined = 6, "NOT_JOINED";
    /// The deadline passed. Where `maybe_applied` is true, read before deciding to write again.
    Timeout = 7, "TIMEOUT";
    /// Fewer replicas answered than the level needs. Try again, take a lower level, or bring nodes back.
    Quorum = 8, "QUORUM";
    /// A queue is full here or at the peer. Wait a little and send less at once; nothing was queued.
    Overloaded = 9, "OVERLOADED";
    /// The ring has other immutable parameters, or another name; the text says both values. Configure this node alike.
    IncompatibleRing = 10, "INCOMPATIBLE_RING";
    /// No position is left for this node (take more `hash_bits`, or fewer `virtual_nodes`), or the ring has `max_table_nodes`; the text says which.
    RingFull = 11, "RING_FULL";
    /// Key or value is longer than `max_key_size` or `max_value_size`. Split it, or raise the limit on all nodes.
    TooLarge = 12, "TOO_LARGE";
    /// The value cannot be stored in the format asked for, such as NaN in JSON. Change the value.
    InvalidValue = 13, "INVALID_VALUE";
    /// The stored value has another format than the one asked for. Read it as bytes.
    WrongFormat = 14, "WRONG_FORMAT";
    /// An address cannot be bound or resolved. Choose another address or port, or check the name service.
    Address = 15, "ADDRESS";
    /// No peer answered at the address. Check that it runs and that the network lets us through; then try again.
    Unreachable = 16, "UNREACHABLE";
    /// The node would be open to anyone who reaches its port. The text says which ways out exist.
    Insecure = 17, "INSECURE";
    /// The peer does not prove that it belongs to the ring, or we do not to it. Check keys and certificates.
    Auth = 18, "AUTH";
    /// `max_memory` is used up and the policy is to refuse. Delete, raise it, or let it evict.
    MemoryFull = 19, "MEMORY_FULL";
    /// The disk failed or is full. Mend it and restart the node; the replicas keep the data meanwhile.
    Storage = 20, "STORAGE";
    /// Clocks differ by more than `max_clock_offset`; the text says both. Set the clock, then join again.
    ClockSkew = 21, "CLOCK_SKEW";
    /// This release, or the peer's, does not have the feature. Leave the key at its default, or upgrade.
    Unsupported = 22, "UNSUPPORTED";
    /// The process was forked after the node was made: it is the parent's. Make and start a node in the child instead.
    Forked = 23, "FORKED";
    /// The caller gave the call up. Where `maybe_applied` is true, read before deciding to write again.
    Cancelled = 24, "CANCELLED";
    /// A blocking call was made from inside a callback of the library. Make it from another thread.
    Reentrant = 25, "REENTRANT";
    /// A live node has this node_id. Choose another, or stop the other node first.
    NodeIdInUse = 26, "NODE_ID_IN_USE";
    /// A defect of this library. Report it with its text; the node may be restarted.
    Internal = 27, "INTERNAL";
}

impl ErrorKind {
    /// The number, 1 or more; 0 is success in C.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract, written a second time on purpose: a change of a number or name must fail here.
    const TABLE: [(i32, &str, ErrorKind); 27] = [
        (1, "NOT_FOUND", ErrorKind::NotFound),
        (2, "INVALID_ARGUMENT", ErrorKind::InvalidArgument),
        (3, "CONFIG", ErrorKind::Config),
        (4, "NOT_STARTED", ErrorKind::NotStarted),
        (5, "STOPPED", ErrorKind::Stopped),
        (6, "NOT_JOINED", ErrorKind::NotJoined),
        (7, "TIMEOUT", ErrorKind::Timeout),
        (8, "QUORUM", ErrorKind::Quorum),
        (9, "OVERLOADED", ErrorKind::Overloaded),
        (10, "INCOMPATIBLE_RING", ErrorKind::IncompatibleRing),
        (11, "RING_FULL", ErrorKind::RingFull),
        (12, "TOO_LARGE", ErrorKind::TooLarge),
        (13, "INVALID_VALUE", ErrorKind::InvalidValue),
        (14, "WRONG_FORMAT", ErrorKind::WrongFormat),
        (15, "ADDRESS", ErrorKind::Address),
        (16, "UNREACHABLE", ErrorKind::Unreachable),
        (17, "INSECURE", ErrorKind::Insecure),
        (18, "AUTH", ErrorKind::Auth),
        (19, "MEMORY_FULL", ErrorKind::MemoryFull),
        (20, "STORAGE", ErrorKind::Storage),
        (21, "CLOCK_SKEW", ErrorKind::ClockSkew),
        (22, "UNSUPPORTED", ErrorKind::Unsupported),
        (23, "FORKED", ErrorKind::Forked),
        (24, "CANCELLED", ErrorKind::Cancelled),
        (25, "REENTRANT", ErrorKind::Reentrant),
        (26, "NODE_ID_IN_USE", ErrorKind::NodeIdInUse),
        (27, "INTERNAL", ErrorKind::Internal),
    ];

    #[test]
    fn numbers_and_names_are_the_contract() {
        for (code, name, kind) in TABLE {
            assert_eq!((kind.code(), kind.name()), (code, name));
            assert_eq!(ErrorKind::from_code(code), Some(kind));
            assert_eq!(Error::new(kind, "").code(), code);
        }
        assert_eq!(ErrorKind::ALL, TABLE.map(|(_, _, kind)| kind));
        for unused in [i32::MIN, -1, 0, 28, i32::MAX] {
            assert_eq!(ErrorKind::from_code(unused), None);
        }
    }

    #[test]
    fn text_causes_and_size() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::new(ErrorKind::Storage, "slot 7").with_source(cause).unknown_outcome();
        assert_eq!(error.to_string(), "STORAGE: slot 7 (it may have been applied)");
        assert_eq!(format!("{error:#}"), "STORAGE: slot 7 (it may have been applied): disk on fire");
        assert_eq!(Error::new(ErrorKind::Stopped, "").to_string(), "STOPPED");
        assert!(!Error::new(ErrorKind::Stopped, "").maybe_applied());
        let copy = error.clone();
        assert_eq!((copy.kind(), copy.context(), copy.maybe_applied()), (ErrorKind::Storage, "slot 7", true));
        assert!(std::error::Error::source(&copy).is_some());
        assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
    }
}
