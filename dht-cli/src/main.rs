//! The `dht` program: see the library of this crate.

use std::process::ExitCode;

/// A node allocates small pieces on one thread and frees them on another, in bursts; mimalloc serves that better than glibc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(dht_cli::run(std::env::args_os(), &dht_cli::Program::ThisExecutable))
}
