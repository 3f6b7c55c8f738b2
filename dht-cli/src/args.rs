//! What can be typed: commands, flags, their help. Values are judged here as far as their own text allows.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use dht_core::{Consistency, Version};

use crate::settings::ConfigFlags;
use crate::units::{parse_positive_duration, parse_size};

/// Where a node listens, and clients look for it, if nothing else is said.
pub(crate) const DEFAULT_PORT: u16 = 7400;

const AFTER_HELP: &str = "Exit status: 0 done or found; 1 not found (demo: data lost or wrong); 2 wrong usage; \
                          3 an error, told on standard error; 128 + n stopped by signal n.";

/// A distributed hash table: serve a node, talk to one, and watch a ring heal.
#[derive(Debug, Parser)]
#[command(name = "dht", version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Print JSON for machines instead of tables; errors too.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Whether errors are for machines, where the arguments are too wrong to be a [`Cli`].
pub(crate) fn wants_json(args: &[OsString]) -> bool {
    args.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| arg == "--json")
}

/// What clap has against the arguments, in one line and without the usage that it shows to people.
pub(crate) fn what_is_wrong(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or_default();
    let text = text.split("\n\nFor more information").next().unwrap_or_default();
    text.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node until SIGTERM or SIGINT, which make it hand over and leave.
    ///
    /// Prints one line with its address once it serves. Where no seed let it in within request_timeout, the line says
    /// joining instead of serving, and another follows when it has joined. A flag goes before its DHT_* variable, that
    /// before the file, that before the default. The first signal makes the node leave within 10 s; a second one stops it at once.
    Serve(Box<ServeArgs>),
    /// Store a value under a key.
    ///
    /// A VALUE on the command line that is JSON (42, true, '{"a": 1}', '"text"') is stored as that JSON; any other
    /// text is stored as a JSON string. What comes from a file or from standard input is stored as bytes. --bytes and
    /// --json-value say otherwise.
    #[command(override_usage = "dht put [OPTIONS] <KEY> <VALUE | - | --file FILE>")]
    Put(PutArgs),
    /// Print the value of a key: JSON as it was stored and a line end, bytes as they are.
    Get(GetArgs),
    /// Delete a key.
    Delete(DeleteArgs),
    /// Store a value under a key if what is there is as expected: compare and swap.
    ///
    /// Ends with status 1, and prints what is there instead, if it is not. VALUE and the expected value are taken as put
    /// takes a VALUE.
    Cas(CasArgs),
    /// Add to the number under a key, 0 if there is none, and print the sum.
    Incr(IncrArgs),
    /// Let what is under a key live for a time from now.
    Expire(ExpireArgs),
    /// Let what is under a key live for ever.
    ///
    /// Ends with status 1 if there is no value that would have expired.
    Persist(DeleteArgs),
    /// Print all keys that begin with a prefix, in no order, one a line: the key, a tab, the value.
    ///
    /// What is no JSON, or no text, is shown as a JSON string of hexadecimal digits after 0x.
    Scan(ScanArgs),
    /// Print how many keys begin with a prefix.
    Count(CountArgs),
    /// Show the counters and times of a node.
    Stats(StatsArgs),
    /// Show the members of the ring with their share of it, as a node sees them.
    Ring(NodeArgs),
    /// Show which nodes keep a key, its owner first.
    Locate(LocateArgs),
    /// Read a key, or put it, and show what every node did for that and how long it took.
    ///
    /// A step stands below the one that needed it. Served is how long the node worked, on the way the rest of the time
    /// that was waited for it; begun counts from when the step above began. Ends with status 1 if there is no value.
    Trace(TraceArgs),
    /// Show whether a node has joined, and whether the data is fully replicated.
    Health(NodeArgs),
    /// Make a secret for cluster_key; or an authority and certificates for tls.
    ///
    /// Without a command it makes a random key of 256 bits and prints it, or writes it to a file that only its owner can
    /// read. `dht keygen ca` makes an authority, `dht keygen node` the certificate of one node. Without --force nothing is
    /// written over.
    Keygen(KeygenArgs),
    /// Start a ring of processes, store files in it, kill a node, and prove that nothing is lost.
    ///
    /// Every file is stored through one node and read back through another; then a node is killed (SIGKILL), everything
    /// is read while the ring heals and again when it has healed, at level all; a replacement joins, and everything is
    /// read once more. Ends with status 0 only if every byte was right each time. Leaves no process behind.
    Demo(DemoArgs),
    /// Print a script that completes this program's commands and flags in a shell.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// A configuration in TOML or JSON, by the end of its name; see also DHT_* variables.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A file that holds the cluster_key; only its owner should be able to read it.
    #[arg(long, value_name = "FILE", conflicts_with = "cluster_key")]
    pub(crate) cluster_key_file: Option<PathBuf>,
    /// Stop at once when standard input ends, so that no node outlives the program that started it.
    #[arg(long, hide = true)]
    pub(crate) exit_with_stdin: bool,
    #[command(flatten)]
    pub(crate) flags: ConfigFlags,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct KeygenArgs {
    /// Write the key to this file instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(subcommand)]
    pub(crate) what: Option<KeygenWhat>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeygenWhat {
    /// Make an authority: ca.pem, which every node gets, and ca.key, which signs and stays where it is.
    Ca(AuthorityArgs),
    /// Make the certificate of one node or client: node.pem, node.key and a copy of ca.pem.
    Node(NodeKeyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AuthorityArgs {
    /// Where to put it; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// How long it is good for.
    #[arg(long, value_name = "DAYS", default_value_t = 3_650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,
    /// Write over files that are there.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NodeKeyArgs {
    /// Where `dht keygen ca` put the authority.
    #[arg(long, value_name = "DIR")]
    pub(crate) ca: PathBuf,
    /// The node_id that the certificate is for.
    #[arg(long, value_name = "NODE_ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) node_id: String,
    /// Where to put the three files; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// How long it is good for.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,
    /// Write over files that are there.
    #[arg(long)]
    pub(crate) force: bool,
}

/// Which node to talk to.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// The node that does the work, any of the ring.
    #[arg(long, env = "DHT_NODE", value_name = "HOST:PORT", default_value_t = format!("127.0.0.1:{DEFAULT_PORT}"))]
    pub(crate) node: String,
    /// The name of its ring.
    #[arg(long, env = "DHT_CLUSTER_NAME", value_name = "NAME", default_value = "default")]
    pub(crate) cluster_name: String,
    #[command(flatten)]
    pub(crate) secrets: SecretArgs,
    /// How long to wait for the connection, and then for the answer (of a write 1 s more for each MiB over the first):
    /// seconds, or text like 250ms.
    #[arg(long, value_name = "DURATION", value_parser = parse_positive_duration, default_value = "5s")]
    pub(crate) timeout: Duration,
}

/// What a secured ring wants of whoever talks to it.
#[derive(Args)]
pub(crate) struct SecretArgs {
    /// The ring's secret. A flag is seen by other users of the machine: take the variable, or the file.
    #[arg(long, env = "DHT_CLUSTER_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) cluster_key: Option<String>,
    /// A file that holds the ring's secret; it goes before the other two.
    #[arg(long, value_name = "FILE")]
    pub(crate) cluster_key_file: Option<PathBuf>,
    /// Our certificate, PEM; whose it is, it says itself.
    #[arg(long, env = "DHT_TLS_CERT", value_name = "FILE", requires_all = ["tls_key", "tls_ca"])]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, env = "DHT_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The authorities accepted from the node, PEM.
    #[arg(long, env = "DHT_TLS_CA", value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_ca: Option<PathBuf>,
}

impl std::fmt::Debug for SecretArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretArgs(hidden)")
    }
}

#[derive(Debug, Args)]
pub(crate) struct LevelArgs {
    /// How many replicas answer before the call returns; without it a quorum.
    #[arg(long, env = "DHT_CONSISTENCY", value_name = "LEVEL", value_parser = level_parser())]
    pub(crate) level: Option<Consistency>,
}

fn level_parser() -> impl TypedValueParser<Value = Consistency> {
    PossibleValuesParser::new(Consistency::NAMES).try_map(|name| name.parse::<Consistency>())
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["value", "file"]))]
#[command(group = clap::ArgGroup::new("format").args(["bytes", "json_value"]))]
pub(crate) struct PutArgs {
    /// The key.
    pub(crate) key: OsString,
    /// The value, or - for standard input.
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: Option<OsString>,
    /// Store the contents of this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Forget the value after this time: seconds, or text like 1h.
    #[arg(long, value_name = "DURATION", value_parser = parse_positive_duration)]
    pub(crate) ttl: Option<Duration>,
    /// Store the value as bytes, whatever it looks like.
    #[arg(long)]
    pub(crate) bytes: bool,
    /// Store the value as JSON, and refuse it if it is none.
    #[arg(long)]
    pub(crate) json_value: bool,
    #[command(flatten)]
    pub(crate) level: LevelArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The key.
    pub(crate) key: OsString,
    /// Write the value to this file, without a line end, instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) level: LevelArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The key.
    pub(crate) key: OsString,
    #[command(flatten)]
    pub(crate) level: LevelArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("expected").required(true).args(["absent", "version", "current"]))]
pub(crate) struct CasArgs {
    /// The key.
    pub(crate) key: OsString,
    /// The new value, or - for standard input.
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: OsString,
    /// Expect no value.
    #[arg(long)]
    pub(crate) absent: bool,
    /// Expect a value of this version.
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<Version>,
    /// Expect this value; not from standard input.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true, value_parser = no_input_parser())]
    pub(crate) current: Option<OsString>,
    /// Forget the value after this time: seconds, or text like 1h.
    #[arg(long, value_name = "DURATION", value_parser = parse_positive_duration)]
    pub(crate) ttl: Option<Duration>,
    #[command(flatten)]
    pub(crate) level: LevelArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Standard input has one end, and the new value may be what comes from there.
fn no_input_parser() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new().try_map(|text| {
        if text == "-" { Err("standard input is for the new value; the text - is written '\"-\"'") } else { Ok(text) }
    })
}

#[derive(Debug, Args)]
pub(crate) struct IncrArgs {
    /// The key.
    pub(crate) key: OsString,
    /// What to add: an integer, or a number with a fraction or an exponent, which makes the value a float.
    #[arg(allow_negative_numbers = true, default_value = "1")]
    pub(crate) by: String,
    #[command(flatten)]
    pub(crate) level: LevelArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExpireArgs {
    /// The key.
    pub(crate) key: OsString,
    /// How long: seconds, or text like 1h.
    #[arg(value_name = "DURATION", value_parser = parse_positive_duration)]
    pub(crate) ttl: Duration,
    #[command(flatten)]
    pub(crate) level: LevelArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// What the keys begin with; without it all keys.
    #[arg(default_value = "")]
    pub(crate) prefix: OsString,
    /// Print only the keys.
    #[arg(long)]
    pub(crate) keys: bool,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CountArgs {
    /// What the keys begin with; without it all keys.
    #[arg(default_value = "")]
    pub(crate) prefix: OsString,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LocateArgs {
    /// The key.
    pub(crate) key: OsString,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// The key.
    pub(crate) key: OsString,
    /// Store this value, or - for standard input, instead of reading; taken as put takes a VALUE.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    pub(crate) put: Option<OsString>,
    #[command(flatten)]
    pub(crate) level: LevelArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Print them, with health and members, as text in Prometheus' exposition format; --json is then for errors only.
    #[arg(long)]
    pub(crate) prometheus: bool,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The tree to store; without it the standard library of this machine's Python.
    #[arg(long, value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,
    /// Nodes to start, each a process of its own.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=64))]
    pub(crate) nodes: u16,
    /// Copies of each file; at least 2, since a node is killed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=64))]
    pub(crate) replication: u16,
    /// Store at most so many files.
    #[arg(long, value_name = "COUNT", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_files: u64,
    /// Store at most so many bytes, or text like 64MiB.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "128MiB")]
    pub(crate) max_bytes: u64,
    /// Decides which node stores, which reads and which is killed; without it by chance, and printed.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(args: &[&str]) -> Result<Command, clap::error::ErrorKind> {
        let args = std::iter::once("dht").chain(args.iter().copied());
        Cli::try_parse_from(args).map(|cli| cli.command).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn values_of_put() {
        let Ok(Command::Put(put)) = parse(&["put", "k", "-5", "--ttl", "1.5", "--level", "all", "--bytes"]) else {
            panic!("not a put")
        };
        assert_eq!(put.value.as_deref(), Some("-5".as_ref()));
        assert_eq!((put.ttl, put.level.level), (Some(Duration::from_millis(1_500)), Some(Consistency::All)));
        assert!(put.bytes && !put.json_value);
        assert!(
            matches!(parse(&["put", "k", "-"]), Ok(Command::Put(put)) if put.value.as_deref() == Some("-".as_ref()))
        );
        assert!(matches!(parse(&["put", "k", "--file", "f"]), Ok(Command::Put(put)) if put.value.is_none()));
    }

    #[test]
    fn wrong_usage_is_refused() {
        use clap::error::ErrorKind as Kind;
        for (args, kind) in [
            (&["put", "k"][..], Kind::MissingRequiredArgument),
            (&["put", "k", "v", "--file", "f"], Kind::ArgumentConflict),
            (&["put", "k", "v", "--bytes", "--json-value"], Kind::ArgumentConflict),
            (&["put", "k", "v", "--ttl", "0"], Kind::ValueValidation),
            (&["put", "k", "v", "--ttl", "soon"], Kind::ValueValidation),
            (&["cas", "k", "v"], Kind::MissingRequiredArgument),
            (&["cas", "k", "v", "--absent", "--current", "1"], Kind::ArgumentConflict),
            (&["cas", "k", "v", "--version", "1"], Kind::ValueValidation),
            (&["cas", "k", "v", "--current", "-"], Kind::ValueValidation),
            (&["expire", "k"], Kind::MissingRequiredArgument),
            (&["expire", "k", "0"], Kind::ValueValidation),
            (&["get", "k", "--level", "most"], Kind::InvalidValue),
            (&["get"], Kind::MissingRequiredArgument),
            (&["stats", "--timeout", "0"], Kind::ValueValidation),
            (&["demo", "--replication", "1"], Kind::ValueValidation),
            (&["demo", "--nodes", "1"], Kind::ValueValidation),
            (&["demo", "--max-bytes", "much"], Kind::ValueValidation),
            (&["serve", "--no-such-key", "1"], Kind::UnknownArgument),
            (&["completion", "cobol"], Kind::InvalidValue),
            (&["fly"], Kind::InvalidSubcommand),
        ] {
            assert_eq!(parse(args).err(), Some(kind), "{args:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        for (args, text) in [
            (&["get", "--json"][..], "the following required arguments were not provided: <KEY>"),
            (&["--json", "stats", "--timeout", "0"], "invalid value '0' for '--timeout <DURATION>': "),
            (&["--json", "stets"], "unrecognized subcommand 'stets' tip: a similar subcommand exists: 'stats'"),
        ] {
            let args: Vec<OsString> = std::iter::once(&"dht").chain(args).map(OsString::from).collect();
            assert!(wants_json(&args), "{args:?}");
            let told = Cli::try_parse_from(&args).map_err(|error| what_is_wrong(&error)).expect_err("wrong");
            assert!(told.starts_with(text) && !told.contains("Usage") && !told.contains("For more"), "{told}");
        }
        for args in [&["dht", "get"][..], &["dht", "get", "--", "--json", "x"], &["--json", "get"]] {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            assert!(!wants_json(&args), "{args:?}");
        }
    }

    #[test]
    fn json_is_global() {
        for args in [["dht", "--json", "stats"], ["dht", "stats", "--json"]] {
            assert!(Cli::try_parse_from(args).is_ok_and(|cli| cli.json));
        }
    }
}
