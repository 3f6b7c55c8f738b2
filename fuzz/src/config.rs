//! Configurations from files, variables and flags.

use dht_core::{Config, Error, ErrorKind};

use crate::bytes_of::first;

/// The first byte says how the rest is read: JSON, TOML, or lines of key=text.
pub(crate) fn config(data: &[u8]) {
    let (how, text) = first(data);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let read = match how % 3 {
        0 => Config::from_json(text),
        1 => Config::from_toml(text),
        _ => set(text),
    };
    match read {
        Ok(config) => valid(&config),
        Err(error) => told(&error),
    }
}

fn set(text: &str) -> Result<Config, Error> {
    let mut config = Config::default();
    let pairs: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('=')).collect();
    for (key, text) in &pairs {
        let before = config.clone();
        if let Err(error) = config.set(key, text) {
            told(&error);
            assert_eq!(config, before, "changed by a text that was refused");
        }
    }
    let variables = pairs.iter().map(|(key, text)| (format!("DHT_{}", key.to_ascii_uppercase()), (*text).to_owned()));
    config.apply_env(variables)?;
    Ok(config)
}

/// A valid configuration is read back as it was written; the secret is not written.
fn valid(config: &Config) {
    if let Err(error) = config.validate() {
        return told(&error);
    }
    let written = serde_json::to_string(config).expect("a configuration has a JSON form");
    let config = Config { cluster_key: None, ..config.clone() };
    let again = Config::from_json(&written).map(|again| Config { cluster_key: None, ..again });
    assert_eq!(again.as_ref().map_err(ToString::to_string), Ok(&config), "{written}");
}

fn told(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::Unsupported | ErrorKind::Insecure), "{error}");
    let len = error.context().len();
    assert!((1..10_000).contains(&len), "an error of {len} bytes");
}
