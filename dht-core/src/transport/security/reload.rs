//! Certificates that may change on the disk while the node runs. At a handshake, and at most once in an interval, the
//! files are looked at; what has changed and is right is used from then on. What is wrong is told once, and tried again each
//! time: a certificate whose time has not come yet, or files of which one is still to be written, will be right.

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
    /// Of the files in use.
    used: [u8; 32],
    /// What the log says of already: files that are wrong, or `Some(None)` for none that can be read.
    told: Option<Option<[u8; 32]>>,
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
        let present = Present { ends, used: files.digest(), told: None, looked: env.now() };
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
        if seen == Some(present.used) {
            present.told = None;
            return;
        }
        let renewed = files
            .and_then(|files| Ok((files.digest(), files.identity(&self.paths, &self.node_id, &self.env)?)))
            .and_then(|(used, identity)| Ok((used, ends(identity, self.protocol, &self.env)?)));
        match renewed {
            Ok((used, ends)) => {
                (present.ends, present.used, present.told) = (ends, used, None);
                event!(info, cert = %self.paths.cert.display(), "uses the new certificates");
            }
            Err(error) => {
                if present.told.replace(seen) != Some(seen) {
                    event!(warn, %error, "keeps the certificates that it has");
                }
            }
        }
    }
}

fn ends(identity: Identity, protocol: Protocol, env: &Env) -> Result<TlsEnds> {
    certified_configs(provider(), &identity.own, identity.roots, env)
        .map(|ends| without_resumption(ends, protocol))
        .map_err(|error| Error::new(ErrorKind::Config, format!("tls: {error}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::testing::{Authority, name};
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn a_certificate_whose_time_comes_later_is_used_then() {
        let (authority, mut interval) = (Authority::new(), tokio::time::interval(INTERVAL));
        // A minute before the new certificate is good.
        let begins = rcgen::date_time_ymd(2030, 1, 1);
        let env = Env::simulated(1, (begins.unix_timestamp() as u64 - 60) * 1_000);
        let files = authority.node("a");
        let load = Certificates::load(&files.clone().into(), NodeId::new("a"), Protocol::Tls, &env, INTERVAL);
        let certificates = load.expect("right files");
        let first = certificates.ends();
        let same = |ends: &TlsEnds| Arc::ptr_eq(&ends.server, &first.server);
        authority.write(&files, |params| {
            name(params, "a");
            params.not_before = begins;
        });
        for _ in 0..29 {
            interval.tick().await;
            assert!(same(&certificates.ends()), "its time has not come");
        }
        let told = || certificates.present.lock().expect("no panic").told;
        assert!(told().is_some_and(|digest| digest.is_some()), "and that is told");
        for _ in 0..3 {
            interval.tick().await;
        }
        assert!(!same(&certificates.ends()), "its time has come");
        assert_eq!(told(), None);
    }
}
