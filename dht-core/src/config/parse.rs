//! Reading a [`Config`] from files, variables and flags. Types are judged here, bounds in `check.rs`, since a later
//! layer may still replace a value. Texts of errors never repeat `cluster_key`, which is why the parsers' own errors,
//! which quote what they read, are not kept as sources.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use super::bounds::{out_of_bound, unknown_key};
use super::text::{cut, parse_duration, parse_size, quoted};
use super::{Config, Secret, TlsConfig};
use crate::error::{Error, ErrorKind, Result};

/// A configuration has a few kilobytes; more is the wrong file.
const FILE_MAX: u64 = 1 << 20;
/// Wrong keys named in one error.
const NAMED_MAX: usize = 5;
/// Variables of the `dht` program that name no key: which node its client commands talk to.
const NO_KEYS: &[&str] = &["DHT_NODE"];
/// Whose fault a variable is that nobody wrote, and the way out.
const SERVICE_LINK: &str = " (Kubernetes sets such variables for a Service of that name; enableServiceLinks: false in the \
                            spec of the pod keeps them out)";

impl Config {
    /// Reads a JSON object; keys left out keep their default.
    ///
    /// # Errors
    /// `Config`, with the line, for text that is no JSON object, for an unknown key (named) and for a value of the
    /// wrong type (with key, value and bound). Bounds are left to [`Config::validate`].
    pub fn from_json(text: &str) -> Result<Self> {
        // serde would take a list as well, as the values of the fields in order.
        if text.trim_start().starts_with('[') {
            let line = 1 + text.bytes().take_while(|b| *b != b'[').filter(|b| *b == b'\n').count();
            return Err(located(&[], line, || format!("line {line}: not a configuration in JSON: must be an object")));
        }
        serde_json::from_str(text).map_err(|error| {
            let wrong = match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
                Ok(map) => wrong_keys(map, |key, value| {
                    Self::deserialize(serde_json::Value::from_iter([(key, value)])).is_ok()
                }),
                Err(_) => Vec::new(),
            };
            // The text of serde_json's error ends with the position already.
            located(&wrong, error.line(), || format!("not a configuration in JSON: {error}"))
        })
    }

    /// Reads a TOML document; keys left out keep their default.
    ///
    /// # Errors
    /// As [`Config::from_json`].
    pub fn from_toml(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            let wrong = match text.parse::<toml::Table>() {
                Ok(table) => wrong_keys(table, |key, value| {
                    Self::deserialize(toml::Value::Table(toml::Table::from_iter([(key, value)]))).is_ok()
                }),
                Err(_) => Vec::new(),
            };
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(start).filter(|b| *b == b'\n').count();
            located(&wrong, line, || format!("line {line}: not a configuration in TOML: {}", error.message()))
        })
    }

    /// Reads a file by its extension, `.toml` or `.json`; at most 1 MiB. Blocks: call it before starting a node.
    ///
    /// # Errors
    /// `Config` with the path, and the line where there is one: as [`Config::from_json`], and for another extension
    /// and for a file that cannot be read.
    pub fn from_file(path: &Path) -> Result<Self> {
        let failed = |what: &dyn fmt::Display| Error::new(ErrorKind::Config, format!("{}: {what}", path.display()));
        let parse = match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Self::from_json,
            Some("toml") => Self::from_toml,
            _ => {
                return Err(failed(&"the name of a configuration file must end in .toml or .json"));
            }
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text))
            .map_err(|error| failed(&"cannot be read").with_source(error))?;
        if text.len() as u64 > FILE_MAX {
            return Err(failed(&"longer than 1 MiB, which is no configuration"));
        }
        parse(&text).map_err(|error| failed(&error.context()))
    }

    /// Takes over every variable whose name begins with `DHT_`, as from [`std::env::vars`]; others are ignored.
    ///
    /// `DHT_NODE_ID` is `node_id` and so on for every key, lists are comma separated, and `DHT_TLS_CERT`,
    /// `DHT_TLS_KEY`, `DHT_TLS_CA` are the parts of `tls`. Texts are those of [`Config::set`]. `DHT_NODE`, which is for
    /// the client commands of the `dht` program, is passed over; a program with other `DHT_*` variables of its own must
    /// take them out before. The library never calls this by itself.
    ///
    /// Beside a Service called `dht`, Kubernetes gives every pod such variables (`DHT_PORT=tcp://…`), unless its spec has
    /// `enableServiceLinks: false`.
    ///
    /// # Errors
    /// `Config` naming the variable, for an unknown one or a wrong text; `self` is then unchanged.
    pub fn apply_env(&mut self, vars: impl Iterator<Item = (String, String)>) -> Result<()> {
        // Sorted: DHT_TLS comes before its parts, and the first of several errors is always the same one.
        let ours = |name: &str| name.starts_with("DHT_") && !NO_KEYS.contains(&name);
        let vars: BTreeMap<_, _> = vars.filter(|(name, _)| ours(name)).collect();
        let mut next = self.clone();
        for (name, text) in vars {
            let mut key = name["DHT_".len()..].to_ascii_lowercase();
            if let Some(part) = key.strip_prefix("tls_") {
                key = format!("tls.{part}");
            }
            // Only the documented spelling: DHT_node_id is a mistake on every system that tells cases apart.
            if name.bytes().any(|b| b.is_ascii_lowercase()) {
                return Err(Error::new(ErrorKind::Config, format!("variable {name}: must be in capitals")));
            }
            next.set(&key, &text).map_err(|error| {
                let hint = if is_service_link(&name, &text) { SERVICE_LINK } else { "" };
                Error::new(error.kind(), format!("variable {name}: {}{hint}", error.context()))
            })?;
        }
        *self = next;
        Ok(())
    }

    /// Sets one key from text, as variables and command line flags give it.
    ///
    /// Durations and sizes as in files, flags as true, false, 1 or 0, `seeds` comma separated, `tls` as a JSON object
    /// or by its parts `tls.cert`, `tls.key`, `tls.ca`. The empty text unsets what can be unset, except
    /// `cluster_key`: an empty secret is a mistake that must not pass unseen.
    ///
    /// # Errors
    /// `Config` for an unknown key and for text of the wrong type; `self` is then unchanged. Bounds are left to
    /// [`Config::validate`].
    pub fn set(&mut self, key: &str, text: &str) -> Result<()> {
        match key {
            "node_id" => self.node_id = text.to_owned(),
            "address" => self.address = text.trim().to_owned(),
            "port" => self.port = parsed(key, text)?,
            "advertise" => self.advertise = text.trim().to_owned(),
            "seeds" => self.seeds = list(text),
            "cluster_name" => self.cluster_name = text.to_owned(),
            "hash_function" => self.hash_function = parsed(key, text)?,
            "hash_bits" => self.hash_bits = parsed(key, text)?,
            "slot_bits" => self.slot_bits = parsed(key, text)?,
            "replication_factor" => self.replication_factor = parsed(key, text)?,
            "min_replicas" => self.min_replicas = parsed(key, text)?,
            "consistency" => self.consistency = parsed(key, text)?,
            "successor_list_size" => self.successor_list_size = parsed(key, text)?,
            "virtual_nodes" => self.virtual_nodes = unless_empty(text, || parsed(key, text))?,
            "consistent_hashing" => self.consistent_hashing = flag(key, text)?,
            "backup_replicas" => self.backup_replicas = flag(key, text)?,
            "repair_rate" => self.repair_rate = by(parse_size, key, text)?,
            "stabilize_interval" => self.stabilize_interval = by(parse_duration, key, text)?,
            "fix_finger_interval" => self.fix_finger_interval = by(parse_duration, key, text)?,
            "check_predecessor" => self.check_predecessor = by(parse_duration, key, text)?,
            "heartbeat_interval" => self.heartbeat_interval = by(parse_duration, key, text)?,
            "request_timeout" => self.request_timeout = by(parse_duration, key, text)?,
            "max_retries" => self.max_retries = parsed(key, text)?,
            "buffer_size" => self.buffer_size = parsed(key, text)?,
            "max_connections" => self.max_connections = parsed(key, text)?,
            "network_protocol" => self.network_protocol = parsed(key, text)?,
            "enable_logging" => self.enable_logging = flag(key, text)?,
            "enable_metrics" => self.enable_metrics = flag(key, text)?,
            "routing" => self.routing = parsed(key, text)?,
            "max_table_nodes" => self.max_table_nodes = parsed(key, text)?,
            "data_dir" => self.data_dir = (!text.is_empty()).then(|| PathBuf::from(text)),
            "durability" => self.durability = parsed(key, text)?,
            "max_memory" => self.max_memory = unless_empty(text, || by(parse_size, key, text))?,
            "eviction" => self.eviction = parsed(key, text)?,
            "max_key_size" => self.max_key_size = by(parse_usize, key, text)?,
            "max_value_size" => self.max_value_size = by(parse_usize, key, text)?,
            "tombstone_grace" => self.tombstone_grace = by(parse_duration, key, text)?,
            "max_clock_offset" => self.max_clock_offset = by(parse_duration, key, text)?,
            "cluster_key" => self.cluster_key = Some(Secret::new(text)),
            "tls" => self.tls = unless_empty(text, || by(parse_tls, key, text))?,
            "tls.cert" => self.tls.get_or_insert_default().cert = PathBuf::from(text),
            "tls.key" => self.tls.get_or_insert_default().key = PathBuf::from(text),
            "tls.ca" => self.tls.get_or_insert_default().ca = PathBuf::from(text),
            "allow_insecure" => self.allow_insecure = flag(key, text)?,
            "zone" => self.zone = text.to_owned(),
            "worker_threads" => self.worker_threads = parsed(key, text)?,
            "trace_sample" => self.trace_sample = parsed(key, text)?,
            _ => return Err(unknown_key(key)),
        }
        Ok(())
    }
}

/// Whether a variable is one of those that Kubernetes makes of a Service: `…_SERVICE_HOST`, `…_SERVICE_PORT` with or without
/// a name behind it, and what Docker's links once were, `…_PORT` and `…_PORT_7400_TCP` with more behind it.
fn is_service_link(name: &str, text: &str) -> bool {
    let numbered = |(_, port): (&str, &str)| port.starts_with(|c: char| c.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && text.contains("://"))
        || name.split_once("_PORT_").is_some_and(numbered)
}

fn parsed<T: FromStr>(key: &str, text: &str) -> Result<T> {
    by(|text| text.trim().parse().ok(), key, text)
}

fn flag(key: &str, text: &str) -> Result<bool> {
    let parse = |text: &str| match text.trim() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    };
    by(parse, key, text)
}

fn by<T>(parse: impl FnOnce(&str) -> Option<T>, key: &str, text: &str) -> Result<T> {
    parse(text).ok_or_else(|| out_of_bound(key, quoted(text)))
}

fn unless_empty<T>(text: &str, parse: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    if text.trim().is_empty() { Ok(None) } else { parse().map(Some) }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn parse_usize(text: &str) -> Option<usize> {
    usize::try_from(parse_size(text)?).ok()
}

fn parse_tls(text: &str) -> Option<TlsConfig> {
    text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok())?
}

/// Which keys a parser stumbled over. Its own error tells the line but not the key, so each entry is tried alone.
fn wrong_keys<V: Clone + fmt::Display>(
    entries: impl IntoIterator<Item = (String, V)>,
    is_right: impl Fn(String, V) -> bool,
) -> Vec<Error> {
    let mut wrong = Vec::new();
    for (key, value) in entries {
        if wrong.len() == NAMED_MAX {
            break;
        }
        if is_right(key.clone(), value.clone()) {
            continue;
        }
        wrong.push(match key.as_str() {
            "cluster_key" => out_of_bound(&key, "(hidden)"),
            _ => out_of_bound(&key, cut(&value.to_string())),
        });
    }
    wrong
}

fn located(wrong: &[Error], line: usize, otherwise: impl FnOnce() -> String) -> Error {
    let texts: Vec<_> = wrong.iter().map(Error::context).collect();
    let text = match texts.as_slice() {
        [] => otherwise(),
        [one] => format!("line {line}: {one}"),
        // The parser stopped at the first in the file; which of them that was is not known.
        many => format!("{} (the first at line {line})", many.join("; ")),
    };
    Error::new(ErrorKind::Config, text)
}
