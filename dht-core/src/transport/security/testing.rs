//! What tests of secured transports share.

use std::sync::Arc;
use std::time::Duration;

use super::Security;
use crate::config::{Config, Secret, TlsConfig};
use crate::env::Env;
use crate::error::Result;

#[path = "../../../tests/common/authority.rs"]
mod authority;

pub(in crate::transport) use self::authority::{Authority, Files, name};

impl From<Files> for TlsConfig {
    fn from(Files { cert, key, ca }: Files) -> Self {
        Self { cert, key, ca }
    }
}

/// A node of the cluster "test" with that key.
pub(in crate::transport) fn with_key(key: &str) -> Config {
    Config { cluster_name: "test".to_owned(), cluster_key: Some(Secret::new(key)), ..Config::default() }
}

/// The same with certificates.
pub(in crate::transport) fn with_tls(node_id: &str, files: &Files) -> Config {
    let (cluster_name, node_id) = ("test".to_owned(), node_id.to_owned());
    Config { cluster_name, node_id, tls: Some(files.clone().into()), ..Config::default() }
}

pub(in crate::transport) fn secured(config: &Config) -> Option<Arc<Security>> {
    loaded(config).expect("right files")
}

/// Looks at its files at every handshake.
pub(in crate::transport) fn loaded(config: &Config) -> Result<Option<Arc<Security>>> {
    Security::checked_every(config, &Env::system(), Duration::ZERO)
}
