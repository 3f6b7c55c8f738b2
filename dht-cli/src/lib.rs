//! The `dht` program as a library, so that other packages can offer the same command: [`run`] is all of it.
//!
//! `args` is what can be typed; `serve` runs a node (`settings` lays flags, variables, file and defaults over each
//! other); `client`, `atomic`, `scan`, `trace` and `describe` talk to a running
//! node; `keygen` makes secrets and certificates; `demo` starts a ring of processes, kills one and proves that
//! nothing is lost. Results go to standard output, everything else to standard error.

mod args;
mod atomic;
mod client;
mod demo;
mod describe;
mod failure;
mod keygen;
mod output;
mod scan;
mod serve;
mod settings;
mod signals;
mod table;
mod trace;
mod units;
mod value;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use failure::Failure;

/// What `dht demo` starts as its nodes, followed by `serve` and its flags.
#[derive(Clone, Debug, Default)]
pub enum Program {
    /// The executable of this process.
    #[default]
    ThisExecutable,
    /// Another one, such as an interpreter, with the arguments that make it this program (`-m dht`).
    Command {
        /// The executable.
        path: PathBuf,
        /// What stands before `serve`.
        leading: Vec<OsString>,
    },
}

/// Runs the program; the first of `args` is its own name. Blocks until it is done, and takes over the process's
/// handling of SIGINT and SIGTERM where it waits for them (`serve`, `demo`).
///
/// Returns the exit status: 0 done or found, 1 not found (of a demo: data lost or wrong), 2 wrong usage, 3 an error,
/// which was told on standard error, 128 + n stopped by signal n.
pub fn run(args: impl IntoIterator<Item = OsString>, program: &Program) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && args::wants_json(&args) => {
            let failure = Failure::Usage(args::what_is_wrong(&error));
            failure.tell(true);
            return failure.status();
        }
        Err(error) => {
            // Nowhere is left to tell that it could not be told.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(failure::USAGE);
        }
    };
    let json = cli.json;
    match dispatch(cli, program) {
        Ok(()) => 0,
        Err(failure) => {
            failure.tell(json);
            failure.status()
        }
    }
}

fn dispatch(cli: Cli, program: &Program) -> Result<(), Failure> {
    let json = cli.json;
    match cli.command {
        Command::Serve(args) => serve::run(&args, json),
        Command::Put(args) => client::put(args, json),
        Command::Get(args) => client::get(&args, json),
        Command::Delete(args) => client::delete(&args, json),
        Command::Cas(args) => atomic::compare_and_swap(args, json),
        Command::Incr(args) => atomic::increment(&args, json),
        Command::Expire(args) => atomic::expire(&args.key, Some(args.ttl), &args.level, &args.node, json),
        Command::Persist(args) => atomic::expire(&args.key, None, &args.level, &args.node, json),
        Command::Scan(args) => scan::scan(&args, json),
        Command::Count(args) => scan::count(&args, json),
        Command::Stats(args) => describe::statistics(&args, json),
        Command::Ring(args) => describe::ring(&args, json),
        Command::Locate(args) => describe::locate(&args, json),
        Command::Trace(args) => trace::trace(args, json),
        Command::Health(args) => describe::health(&args, json),
        Command::Keygen(args) => keygen::run(&args, json),
        Command::Demo(args) => demo::run(args, program, json),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "dht", &mut script);
            output::write(&script)
        }
    }
}
