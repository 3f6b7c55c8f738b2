//! Standard output: what was asked for, and nothing else. `println!` would panic where the reader has gone.

use std::io::{self, Write};

use crate::failure::Failure;

/// Writes bytes as they are and flushes.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::Output)
}

/// Writes one line, or several, and flushes.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    write(format!("{text}\n").as_bytes())
}
