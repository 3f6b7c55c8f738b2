//! Names of kinds of messages, for traces and metrics: one per variant, the same as in `docs/wire.md`.

use super::message::{Request, Response};

impl Request {
    /// The name of the kind, in snake case.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ping { .. } => "ping",
            Self::PingFor { .. } => "ping_for",
            Self::Sync { .. } => "sync",
            Self::Exchange { .. } => "exchange",
            Self::Join { .. } => "join",
            Self::Admit { .. } => "admit",
            Self::Merge { .. } => "merge",
            Self::Stabilize { .. } => "stabilize",
            Self::Notify { .. } => "notify",
            Self::Lookup { .. } => "lookup",
            Self::Apply { .. } => "apply",
            Self::Store { .. } => "store",
            Self::Fetch { .. } => "fetch",
            Self::Compare { .. } => "compare",
            Self::CompareSums { .. } => "compare_sums",
            Self::Versions { .. } => "versions",
            Self::Pull { .. } => "pull",
            Self::Describe { .. } => "describe",
            Self::Collect { .. } => "collect",
        }
    }
}

impl Response {
    /// The name of the kind, in snake case.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pong { .. } => "pong",
            Self::Probed { .. } => "probed",
            Self::Synced { .. } => "synced",
            Self::Exchanged { .. } => "exchanged",
            Self::Welcome { .. } => "welcome",
            Self::Admitted { .. } => "admitted",
            Self::Neighbours { .. } => "neighbours",
            Self::Route { .. } => "route",
            Self::Applied { .. } => "applied",
            Self::Stored { .. } => "stored",
            Self::Fetched { .. } => "fetched",
            Self::Compared { .. } => "compared",
            Self::ComparedSums { .. } => "compared_sums",
            Self::Versions { .. } => "versions",
            Self::Records { .. } => "records",
            Self::Described { .. } => "described",
            Self::Failure(_) => "failure",
        }
    }
}
