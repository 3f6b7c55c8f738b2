//! The `dht` command, for `python -m dht`.

use std::ffi::OsString;
use std::path::PathBuf;

use dht_cli::Program;
use pyo3::prelude::*;

/// Runs the `dht` program with `arguments` (the first is its own name) and returns its exit status. The nodes that it
/// starts are `interpreter -m dht`.
#[pyfunction]
pub(crate) fn run(py: Python<'_>, arguments: Vec<OsString>, interpreter: PathBuf) -> u8 {
    let program = Program::Command { path: interpreter, leading: vec!["-m".into(), "dht".into()] };
    py.detach(|| dht_cli::run(arguments, &program))
}
