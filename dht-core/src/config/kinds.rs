//! The values of keys that choose one of a few, and the two grouped ones: the secret and the TLS files.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// An enum whose variants have one text each, the same in files, in variables and on the wire of the bindings.
macro_rules! text_enum {
    ($(#[$doc:meta])+ $name:ident { $($(#[$variant_doc:meta])+ $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])+ #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The texts of [`Self::ALL`].
            pub const NAMES: &'static [&'static str] = &[$($text),+];

            /// The text of this value, as configuration files write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Takes exactly the texts of [`Self::NAMES`]; anything else is of kind `Config`.
            fn from_str(text: &str) -> Result<Self, Error> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(Error::new(
                        ErrorKind::Config,
                        format!("{} must be one of {}", super::text::quoted(text), Self::NAMES.join(", ")),
                    )),
                }
            }
        }
    };
}

text_enum! {
    /// How the bytes of a key become its id.
    HashFunction {
        /// FNV-1, 64 bits: only for compatibility with data placed by it.
        Fnv1 = "fnv1",
        /// FNV-1a, 64 bits: small and quick for very short keys.
        Fnv1a = "fnv1a",
        /// CRC-32 (IEEE): 32 bits, so at most 2³² different ids.
        Crc32 = "crc32",
        /// MD5, 128 bits: placement only, no protection against made-up collisions.
        Md5 = "md5",
        /// SHA-1, 160 bits: the function of the Chord paper.
        Sha1 = "sha1",
        /// SHA-256, 256 bits: nobody can choose keys that crowd one node. The default.
        Sha256 = "sha256",
        /// XXH3-128: the fastest, meant for placement where keys are not chosen by an adversary.
        Consistent = "consistent",
    }
}

text_enum! {
    /// How many replicas answer before a call returns; counted over the replicas this side of the ring can see.
    Consistency {
        /// One replica: fastest, may read old data, a write may be lost with the node that took it.
        One = "one",
        /// A majority: a read sees every quorum write completed before it began. The default.
        Quorum = "quorum",
        /// Every replica: survives the most failures, waits for the slowest.
        All = "all",
    }
}

text_enum! {
    /// What carries the messages.
    NetworkProtocol {
        /// One multiplexed connection per pair of nodes that talk.
        Tcp = "tcp",
        /// Datagrams, for thousands of peers without connection state.
        Udp = "udp",
    }
}

text_enum! {
    /// Who knows whom.
    Routing {
        /// Every node knows every node: one hop per call.
        OneHop = "one_hop",
        /// Operations walk along fingers: O(log N) hops.
        Chord = "chord",
    }
}

text_enum! {
    /// When an acknowledged write is on the disk of the node that acknowledged it.
    Durability {
        /// Whenever the system writes it: survives the end of the process, not that of the machine, which may damage the file.
        None = "none",
        /// Within a short interval; a crash of the machine loses at most that on this node.
        Interval = "interval",
        /// Before it is acknowledged.
        Always = "always",
    }
}

text_enum! {
    /// What happens to a write when `max_memory` is used up.
    Eviction {
        /// The write is refused with `MemoryFull`.
        Reject = "reject",
        /// The least recently used records make room.
        Lru = "lru",
    }
}

/// The files of mutual TLS, all PEM, all three required. Reading them is left to `start`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate chain of this node, its own certificate first.
    pub cert: PathBuf,
    /// The private key that belongs to `cert`.
    pub key: PathBuf,
    /// The authorities whose certificates are accepted from peers.
    pub ca: PathBuf,
}

/// A shared secret. It appears in no `Debug` text, in no error, and has no `Serialize`.
///
/// `==` takes a time that depends on the texts: it is for comparing configurations, not for proving knowledge.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text of a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The one or more keys that the text holds, separated by commas, without the space around them.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').map(str::trim)
    }

    /// The secret itself. The long name is for reviewers: whoever calls this must not print it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}
