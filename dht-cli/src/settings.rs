//! The configuration of `dht serve`: flag, then `DHT_*` variable, then file, then default. There is a flag for every
//! key of the configuration, made from the list of keys.

use std::ffi::OsString;
use std::path::Path;

use clap::{Arg, ArgMatches, Command, FromArgMatches};
use dht_core::{Config, Error, ErrorKind, Result, Secret};

use crate::args::DEFAULT_PORT;

/// The flags given for keys of the configuration: key and text, in the order of the documentation.
#[derive(Clone, Default)]
pub(crate) struct ConfigFlags(Vec<(&'static str, String)>);

impl std::fmt::Debug for ConfigFlags {
    /// Only the keys: one of the texts may be the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

/// The default, the file, the variables and the flags, laid over each other in this order. Bounds are left to the
/// start of the node.
pub(crate) fn resolve(
    file: Option<&Path>,
    vars: impl Iterator<Item = (OsString, OsString)>,
    flags: &ConfigFlags,
) -> Result<Config> {
    let mut config = match file {
        Some(path) => Config::from_file(path)?,
        None => Config::default(),
    };
    if !file.is_some_and(names_port) {
        config.port = DEFAULT_PORT;
    }
    config.apply_env(variables(vars)?.into_iter())?;
    for (key, text) in &flags.0 {
        let in_flag =
            |error: Error| Error::new(error.kind(), format!("flag --{}: {}", flag_name(key), error.context()));
        config.set(key, text).map_err(in_flag)?;
    }
    Ok(config)
}

/// The secret that a file holds, without the space around it.
pub(crate) fn secret_in(path: &Path) -> Result<Secret> {
    let failed = |reason: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Config, format!("cluster key file {}: {reason}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error).with_source(error))?;
    match text.trim() {
        "" => Err(failed(&"empty")),
        secret => Ok(Secret::new(secret)),
    }
}

/// Whether a file that was read as a configuration sets the port; a program that serves has another default.
fn names_port(path: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    let in_json = || serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|file| file.get("port").is_some());
    text.parse::<toml::Table>().is_ok_and(|file| file.contains_key("port")) || in_json()
}

fn variables(vars: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for (name, value) in vars {
        // A name that is no text is none of ours.
        let Some(name) = name.to_str() else { continue };
        if !name.starts_with("DHT_") {
            continue;
        }
        let value =
            value.into_string().map_err(|_| Error::new(ErrorKind::Config, format!("variable {name}: not UTF-8")))?;
        texts.push((name.to_owned(), value));
    }
    Ok(texts)
}

/// All keys, and the parts of `tls`, which have a name of their own only outside of files.
fn keys() -> impl Iterator<Item = &'static str> {
    Config::KEYS.iter().copied().chain(["tls.cert", "tls.key", "tls.ca"])
}

fn flag_name(key: &str) -> String {
    key.replace(['_', '.'], "-")
}

impl clap::Args for ConfigFlags {
    fn augment_args(command: Command) -> Command {
        let defaults = defaults();
        keys().fold(command, |command, key| {
            let flag = Arg::new(key)
                .long(flag_name(key))
                .value_name(value_name(key))
                .help(help(key, &defaults))
                .help_heading("Configuration");
            command.arg(flag)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ConfigFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = keys().filter_map(|key| Some((key, matches.get_one::<String>(key)?.clone()))).collect();
        Ok(())
    }
}

fn value_name(key: &str) -> String {
    key.rsplit(['_', '.']).next().unwrap_or(key).to_ascii_uppercase()
}

/// What the defaults look like in a file, so that the help cannot tell others than apply.
fn defaults() -> serde_json::Value {
    let served = Config { port: DEFAULT_PORT, ..Config::default() };
    serde_json::to_value(served).unwrap_or_default()
}

fn help(key: &str, defaults: &serde_json::Value) -> String {
    let text = HELP.iter().find(|(name, _)| *name == key).map_or("", |(_, text)| text);
    let default = match defaults.get(key) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) if text.is_empty() => String::new(),
        Some(serde_json::Value::Array(items)) if items.is_empty() => String::new(),
        Some(serde_json::Value::String(text)) => format!(" [default: {text}]"),
        Some(value) => format!(" [default: {value}]"),
    };
    format!("{text}{default}")
}

/// One line for each key; the whole story is in the documentation of the configuration.
const HELP: &[(&str, &str)] = &[
    ("node_id", "Name of this node; drawn at random if empty"),
    ("address", "IP address or host name to bind"),
    ("port", "Port to bind; 0: chosen by the system"),
    ("advertise", "HOST:PORT that others dial; empty: what is bound, for 0.0.0.0 the address towards a seed"),
    ("seeds", "Members to join through, HOST:PORT, comma separated; none: found a ring"),
    ("cluster_name", "Name of the ring; others are refused"),
    ("hash_function", "fnv1, fnv1a, crc32, md5, sha1, sha256 or consistent"),
    ("hash_bits", "Bits of an id, 1 to 256"),
    ("slot_bits", "The key space is cut into 2^slot_bits slots, 0 to 20"),
    ("replication_factor", "Copies on distinct nodes, 1 to 64"),
    ("min_replicas", "With fewer replicas in sight than this, writes fail"),
    ("consistency", "Default level of calls: one, quorum or all"),
    ("successor_list_size", "Distinct successors each position knows, 1 to 128"),
    ("virtual_nodes", "Positions of this node, 0 to 200; 0: a client"),
    ("consistent_hashing", "false: one position and raw digests"),
    ("backup_replicas", "false: no repair in the background"),
    ("repair_rate", "Bytes per second moved for repair, or text like 64MiB; 0: no limit"),
    ("stabilize_interval", "Period of stabilize: seconds, or text like 250ms"),
    ("fix_finger_interval", "Period of fix_fingers"),
    ("check_predecessor", "Period of check_predecessor"),
    ("heartbeat_interval", "Period of heartbeats"),
    ("request_timeout", "Bounds a call with its retries; of a write 1 s more for each MiB over the first"),
    ("max_retries", "Further attempts inside one call, 0 to 100"),
    ("buffer_size", "Messages queued per peer"),
    ("max_connections", "Open connections; beyond it the idlest is closed"),
    ("network_protocol", "tcp or udp"),
    ("enable_logging", "Whether the node logs: true or false"),
    ("enable_metrics", "Whether histograms are kept: true or false"),
    ("routing", "one_hop or chord"),
    ("max_table_nodes", "Node records kept"),
    ("data_dir", "Directory that keeps data and identity"),
    ("durability", "When a write is on disk: none, interval or always"),
    ("max_memory", "Bytes of records this node keeps, or text like 512MiB"),
    ("eviction", "What makes room when max_memory is used up: reject or lru"),
    ("max_key_size", "Longest key in bytes, or text like 4KiB"),
    ("max_value_size", "Longest value in bytes, or text like 16MiB"),
    ("tombstone_grace", "How long a deletion is remembered at least"),
    ("max_clock_offset", "Largest accepted difference between clocks"),
    ("cluster_key", "Secret shared by all nodes; a flag is seen by other users of the machine, the variable is not"),
    ("tls", "Mutual TLS, as JSON: {\"cert\", \"key\", \"ca\"}"),
    ("tls.cert", "Certificate chain of this node, PEM"),
    ("tls.key", "Private key of the certificate, PEM"),
    ("tls.ca", "Authorities accepted from peers, PEM"),
    ("allow_insecure", "Permits a bind to other than loopback without key and TLS"),
    ("zone", "Replicas go to distinct zones first"),
    ("worker_threads", "Threads; 0: as many as cores, at most 4"),
    ("trace_sample", "One in so many operations is traced, to standard error; 0: none"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn flags(args: &[&str]) -> ConfigFlags {
        let args = ["dht", "serve"].iter().chain(args);
        match Cli::try_parse_from(args).map(|cli| cli.command) {
            Ok(Command::Serve(serve)) => serve.flags,
            other => panic!("{other:?}"),
        }
    }

    fn vars(vars: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
        let vars: Vec<_> = vars.iter().map(|(name, value)| (name.into(), value.into())).collect();
        vars.into_iter()
    }

    /// A file in a directory of its own, removed at the end.
    struct File(std::path::PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let unique = dht_core::Env::system().random_u64();
            let dir = std::env::temp_dir().join(format!("dht-settings-{unique:x}"));
            std::fs::create_dir(&dir).expect("a temporary directory");
            let path = dir.join(name);
            std::fs::write(&path, text).expect("a temporary file");
            Self(path)
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(self.0.parent().expect("made by new"));
        }
    }

    #[test]
    fn every_key_has_a_flag_and_a_line_of_help() {
        let names: Vec<_> = HELP.iter().map(|(name, _)| *name).collect();
        let mut expected: Vec<_> = keys().collect();
        for key in &expected {
            assert!(names.contains(key), "{key} has no help");
        }
        expected.sort_unstable();
        let mut sorted = names;
        sorted.sort_unstable();
        assert_eq!(sorted, expected);
        let given = flags(&["--hash-bits", "64", "--tls-cert", "c.pem", "--node-id=-x-", "--seeds", ""]);
        assert_eq!(given.0.len(), 4);
    }

    #[test]
    fn flag_over_variable_over_file_over_default() {
        let file = File::new("c.toml", "hash_bits = 32\nslot_bits = 3\nreplication_factor = 5\nport = 0\n");
        let environment = [("DHT_HASH_BITS", "64"), ("DHT_SLOT_BITS", "4"), ("DHT_NODE", "a:1"), ("HOME", "/")];
        let config = resolve(Some(&file.0), vars(&environment), &flags(&["--hash-bits", "128"])).expect("valid");
        assert_eq!((config.hash_bits, config.slot_bits, config.replication_factor), (128, 4, 5));
        assert_eq!((config.max_retries, config.port), (3, 0));
    }

    #[test]
    fn the_port_has_its_own_default() {
        let silent = File::new("c.json", "{\"hash_bits\": 32}");
        let spoken = File::new("d.json", "{\"port\": 0}");
        for (file, environment, args, port) in [
            (None, &[][..], &[][..], 7400),
            (Some(&silent), &[], &[], 7400),
            (Some(&spoken), &[], &[], 0),
            (Some(&spoken), &[("DHT_PORT", "7")], &[], 7),
            (None, &[("DHT_PORT", "7")], &["--port", "0"], 0),
        ] {
            let config = resolve(file.map(|file| file.0.as_path()), vars(environment), &flags(args)).expect("valid");
            assert_eq!(config.port, port, "{environment:?} {args:?}");
        }
    }

    #[test]
    fn errors_name_where_the_value_came_from() {
        let cases = [
            (resolve(None, vars(&[]), &flags(&["--hash-bits", "many"])), "flag --hash-bits: hash_bits = \"many\""),
            (resolve(None, vars(&[("DHT_HASH_BITS", "x")]), &flags(&[])), "variable DHT_HASH_BITS"),
            (resolve(None, vars(&[("DHT_HUSH", "x")]), &flags(&[])), "variable DHT_HUSH"),
            (resolve(Some(Path::new("/nowhere/c.toml")), vars(&[]), &flags(&[])), "/nowhere/c.toml"),
        ];
        for (result, text) in cases {
            let error = result.expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.context().contains(text), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn variables_that_are_no_text() {
        use std::os::unix::ffi::OsStringExt;
        let bad = || OsString::from_vec(vec![b'D', 0xff]);
        assert!(resolve(None, std::iter::once((bad(), "x".into())), &flags(&[])).is_ok());
        let error = resolve(None, std::iter::once(("DHT_ZONE".into(), bad())), &flags(&[])).expect_err("not UTF-8");
        assert!(error.context().contains("DHT_ZONE"), "{error}");
    }
}
