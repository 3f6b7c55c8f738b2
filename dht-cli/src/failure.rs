//! Why the program ends with another status than 0, and how that is told.

use std::io::{self, Write};

use dht_core::{Error, ErrorKind};
use serde_json::json;

/// The status of wrong usage, as clap has it.
pub(crate) const USAGE: u8 = 2;

/// Anything but success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The key does not exist. With `told`, the answer on standard output says so already.
    NotFound { told: bool },
    /// There is no key that would expire.
    NothingExpires,
    /// The demo went to its end, and data was lost or wrong.
    DataWrong,
    /// The arguments are wrong, as this text says, and it is told to a machine; to people clap tells it.
    Usage(String),
    /// Ended by the signal of this number before the work was done.
    Interrupted(u8),
    /// The work failed.
    Error(Error),
    /// The result could not be written.
    Output(io::Error),
}

impl Failure {
    /// The exit status of the process.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::NotFound { .. } | Self::NothingExpires | Self::DataWrong => 1,
            Self::Usage(_) => USAGE,
            Self::Error(_) => 3,
            // Whoever reads a part of a result and goes away, as `head` does, has what it wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) => 3,
            Self::Interrupted(signal) => 128_u8.saturating_add(*signal),
        }
    }

    /// Writes one line to standard error: text for people, a JSON object for machines.
    pub(crate) fn tell(&self, as_json: bool) {
        let (name, code, text, maybe_applied) = match self {
            Self::NotFound { told: true } => return,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return,
            Self::NotFound { told: false } => ("NOT_FOUND", 1, "the key does not exist".to_owned(), false),
            Self::NothingExpires => ("NOT_FOUND", 1, "the key never expires, or does not exist".to_owned(), false),
            Self::DataWrong => ("DATA_WRONG", 1, "data was lost or wrong, see above".to_owned(), false),
            Self::Usage(text) => {
                let kind = ErrorKind::InvalidArgument;
                (kind.name(), kind.code(), text.clone(), false)
            }
            Self::Interrupted(signal) => ("INTERRUPTED", self.status().into(), format!("by signal {signal}"), true),
            Self::Output(error) => ("OUTPUT", 3, format!("the result cannot be written: {error}"), false),
            Self::Error(error) => {
                let name = error.kind().name();
                let text = format!("{error:#}");
                let text = text.strip_prefix(name).unwrap_or(&text).trim_start_matches(": ").to_owned();
                (name, error.code(), text, error.maybe_applied())
            }
        };
        let line = if as_json {
            json!({"error": name, "code": code, "message": text, "maybe_applied": maybe_applied}).to_string()
        } else if text.is_empty() {
            format!("dht: {name}")
        } else {
            format!("dht: {name}: {text}")
        };
        // Nowhere is left to tell that it could not be told; the status still does.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_status() {
        let broken_pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        for (failure, status) in [
            (Failure::NotFound { told: true }, 1),
            (Failure::NothingExpires, 1),
            (Failure::DataWrong, 1),
            (Failure::Usage(String::new()), 2),
            (Failure::Error(Error::new(ErrorKind::Quorum, "")), 3),
            (Failure::Output(broken_pipe), 0),
            (Failure::Output(io::Error::other("disk full")), 3),
            (Failure::Interrupted(2), 130),
            (Failure::Interrupted(15), 143),
        ] {
            assert_eq!(failure.status(), status, "{failure:?}");
        }
    }
}
