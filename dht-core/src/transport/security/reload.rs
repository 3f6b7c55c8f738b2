//! Certificates that may change on the disk while the node runs. At a handshake, and at most once in an interval, the
//! files are looked at; what has changed and is right is used from then on, what is wrong is told once and left alone.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::certificates::{Files, Identity};
use super::verify::certified_configs;
use super::{Protocol, TlsEnds, provider, without_resumption};
use crate::config::TlsConfig;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::NodeId;

/// The certificate of one node and whom it trusts.
pub(super) struct Certificates {
    paths: TlsConfig,
    node_id: NodeId,
    protocol: Protocol,
    env: Env,
    interval: Duration,
    present: Mutex<Present>,
}

struct Present {
    ends: TlsEnds,
    /// Of the files when they were looked at last, in use or not.
    seen: Option<[u8; 32]>,
    looked: Instant,
}

impl Certificates {
    /// Reads and checks the files.
    ///
    /// # Errors
    /// `Config`; see `certificates.rs`.
    pub(super) fn load(
        paths: &TlsConfig,
        node_id: NodeId,
        protocol: Protocol,
        env: &Env,
        interval: Duration,
    ) -> Result<Self> {
        let files = Files::read(paths)?;
        let ends = ends(files.identity(paths, &node_id, env)?, protocol, env)?;
        let present = Present { ends, seen: Some(files.digest()), looked: env.now() };
        let (paths, env) = (paths.clone(), env.clone());
        Ok(Self { paths, node_id, protocol, env, interval, present: Mutex::new(present) })
    }

    /// What is to be used now.
    pub(super) fn ends(&self) -> TlsEnds {
        // Replaced whole, so valid in every state.
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.env.now();
        if now.saturating_duration_since(present.looked) >= self.interval {
            present.looked = now;
            // Three small files, every few seconds, and only when a connection is made.
            self.look(&mut present);
        }
        present.ends.clone()
    }

    fn look(&self, present: &mut Present) {
        let files = Files::read(&self.paths);
        let seen = files.as_ref().ok().map(Files::digest);
        if seen == present.seen {
            return;
        }
        present.seen = seen;
        let renewed = files
            .and_then(|files| files.identity(&self.paths, &self.node_id, &self.env))
            .and_then(|identity| ends(identity, self.protocol, &self.env));
        match renewed {
            Ok(ends) => {
                present.ends = ends;
                tracing::info!(cert = %self.paths.cert.display(), "uses the new certificates");
            }
            Err(error) => tracing::warn!(%error, "keeps the certificates that it has"),
        }
    }
}

fn ends(identity: Identity, protocol: Protocol, env: &Env) -> Result<TlsEnds> {
    certified_configs(provider(), &identity.own, identity.roots, env)
        .map(|ends| without_resumption(ends, protocol))
        .map_err(|error| Error::new(ErrorKind::Config, format!("tls: {error}")))
}
