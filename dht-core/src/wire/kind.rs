//! Names of kinds of messages, for traces and metrics: one per variant, the same as in `docs/wire.md`.

use super::message::{Request, Response};

/// A variant without a name does not compile, so [`Request::KINDS`] and [`Response::KINDS`] are complete.
macro_rules! kinds {
    ($message:ident: $($variant:ident => $name:literal,)+) => {
        impl $message {
            /// The name of every kind.
            pub const KINDS: &'static [&'static str] = &[$($name),+];

            /// The name of the kind, in snake case.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name,)+ }
            }
        }
    };
}

kinds! { Request:
    Ping => "ping",
    PingFor => "ping_for",
    Sync => "sync",
    Exchange => "exchange",
    Join => "join",
    Admit => "admit",
    LastLife => "last_life",
    Merge => "merge",
    Stabilize => "stabilize",
    Notify => "notify",
    Lookup => "lookup",
    Apply => "apply",
    Store => "store",
    Fetch => "fetch",
    Compare => "compare",
    CompareSums => "compare_sums",
    Versions => "versions",
    Pull => "pull",
    Scan => "scan",
    Describe => "describe",
    Collect => "collect",
    SealKey => "seal_key",
}

kinds! { Response:
    Pong => "pong",
    Probed => "probed",
    Synced => "synced",
    Exchanged => "exchanged",
    Welcome => "welcome",
    LastLife => "last_life",
    Admitted => "admitted",
    Neighbours => "neighbours",
    Route => "route",
    Applied => "applied",
    Stored => "stored",
    Fetched => "fetched",
    Compared => "compared",
    ComparedSums => "compared_sums",
    Versions => "versions",
    Records => "records",
    Scanned => "scanned",
    Described => "described",
    SealKey => "seal_key",
    Failure => "failure",
}
