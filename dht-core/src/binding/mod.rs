//! What every binding needs and no Rust program does: one runtime for the process, blocking calls, the life of a handle
//! that exists before its node, forked children, and the JSON of options, entries and answers.
//!
//! Invariants: a call in a forked child never touches the runtime, its locks or its threads; the runtime's threads are
//! gone when the last node of the process has ended.

mod fork;
mod handle;
pub mod json;
mod runtime;

#[cfg(test)]
mod tests;

pub use fork::{Home, count_forks, note_fork};
pub use handle::{NodeHandle, Running};
pub use runtime::{Effect, Lease, TICK, Tick};

pub use crate::config::text::parse_duration;

use crate::error::{Error, ErrorKind, Result};

/// The addresses in `text`, "host:port" separated by commas, spaces around them ignored.
///
/// # Errors
/// `InvalidArgument` if there is none.
pub fn addresses(text: &str) -> Result<Vec<String>> {
    let all: Vec<String> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if all.is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "no address to join was given"));
    }
    Ok(all)
}
