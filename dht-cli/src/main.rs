//! The `dht` program: see the library of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(dht_cli::run(std::env::args_os(), &dht_cli::Program::ThisExecutable))
}
