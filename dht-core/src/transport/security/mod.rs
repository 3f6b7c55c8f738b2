//! Who may talk: a `cluster_key` that both ends prove to know, certificates that both ends check, or both.
//!
//! Either way connections are TLS 1.3 and nothing older. Which of the three is meant is agreed by the protocol name in
//! the TLS handshake (ALPN), so that two ends that are secured differently learn just that. With a key alone TLS itself
//! proves nothing: it only makes a channel, with keys that live as long as the process, and what is proven is bound to
//! that channel (`keys.rs`). Certificates name the node that may show them (`certificates.rs`).

mod certificates;
mod keys;
mod reload;
mod session;
#[cfg(test)]
pub(super) mod testing;
mod verify;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{ClientConnection, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::server::{NoServerSessionStorage, ServerConnection};
use rustls::{ClientConfig, ServerConfig};

use self::certificates::named;
use self::keys::ClusterKeys;
pub(super) use self::keys::{PROOFS_LEN_MAX, Role};
use self::reload::Certificates;
pub(super) use self::session::{Opening, Session, shake_hands};
use crate::config::Config;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::NodeId;

/// How often certificates are looked at anew: at a handshake, at most once in this time.
const RELOAD_INTERVAL: Duration = Duration::from_secs(2);

/// The security of one node's connections: what it proves, and what it wants proven.
pub struct Security {
    protocol: Protocol,
    keys: Option<ClusterKeys>,
    ends: Ends,
}

/// What is agreed by ALPN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Protocol {
    Key,
    Tls,
    Both,
}

enum Ends {
    /// Nobody's certificate matters.
    Raw(TlsEnds),
    Certified(Box<Certificates>),
}

/// Both ends of TLS as one node plays them.
#[derive(Clone)]
struct TlsEnds {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Security {
    /// What `config` asks for; `None` without `cluster_key` and `tls`. Stretching the key takes some hundredths of a
    /// second on purpose.
    ///
    /// # Errors
    /// `Config` for certificates that cannot be read or do not fit each other, or `node_id`; the text names the file.
    pub fn of(config: &Config, env: &Env) -> Result<Option<Arc<Self>>> {
        Self::checked_every(config, env, RELOAD_INTERVAL)
    }

    fn checked_every(config: &Config, env: &Env, reload_interval: Duration) -> Result<Option<Arc<Self>>> {
        let keys = config.cluster_key.as_ref().map(|secret| ClusterKeys::new(secret, &config.cluster_name));
        let protocol = match (&keys, &config.tls) {
            (None, None) => return Ok(None),
            (Some(_), None) => Protocol::Key,
            (None, Some(_)) => Protocol::Tls,
            (Some(_), Some(_)) => Protocol::Both,
        };
        let ends = match &config.tls {
            None => Ends::Raw(raw_ends(protocol, env)?),
            Some(files) => {
                let node_id = NodeId::new(&config.node_id);
                Ends::Certified(Box::new(Certificates::load(files, node_id, protocol, env, reload_interval)?))
            }
        };
        Ok(Some(Arc::new(Self { protocol, keys, ends })))
    }

    /// Whose certificate `config` has, for a node without a `node_id` of its own; `None` without `tls`.
    ///
    /// # Errors
    /// `Config` if the certificate cannot be read, or names no node, or several.
    pub fn certified_name(config: &Config) -> Result<Option<String>> {
        config.tls.as_ref().map(certificates::only_name).transpose()
    }

    /// How the certificate of `node_id` names it: as a subject alternative name of type URI.
    #[must_use]
    pub fn certificate_uri(node_id: &str) -> String {
        certificates::uri(node_id)
    }

    /// A new session as the side that dialled.
    pub(super) fn dial(&self) -> std::result::Result<rustls::Connection, rustls::Error> {
        // Who answers is shown by its certificate or its proof, never by the name or address that was dialled.
        let nobody = ServerName::try_from("dht.invalid").map_err(|e| rustls::Error::General(e.to_string()))?;
        Ok(ClientConnection::new(self.ends().client, nobody)?.into())
    }

    /// A new session as the side that listens.
    pub(super) fn answer(&self) -> std::result::Result<rustls::Connection, rustls::Error> {
        Ok(ServerConnection::new(self.ends().server)?.into())
    }

    /// Whether the session is what both sides wanted; to be asked once its handshake is over.
    pub(super) fn agreed(&self, session: &Session) -> bool {
        session.protocol().as_deref() == Some(self.protocol.name())
    }

    /// Whether whoever is at the other end may say that it is `claimed`; else why not.
    pub(super) fn may_claim(&self, session: &Session, claimed: &NodeId) -> std::result::Result<(), String> {
        if self.protocol == Protocol::Key {
            return Ok(());
        }
        let names = session.peer_certificate().map(|der| named(&der)).unwrap_or_default();
        if names.iter().any(|name| name == claimed.as_str()) {
            return Ok(());
        }
        let shown = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let shown = if shown.is_empty() { "no node_id".to_owned() } else { format!("node_id {shown}") };
        Err(format!("the peer says that its node_id is {:?}, its certificate is for {shown}", claimed.as_str()))
    }

    /// True if hellos are followed by proofs.
    pub(super) fn proves(&self) -> bool {
        self.keys.is_some()
    }

    /// Proofs with every key of ours, in the order of the configuration.
    pub(super) fn proofs(&self, session: &Session, role: Role, hellos: &[&[u8]]) -> Vec<u8> {
        let Some((keys, channel)) = self.keys.as_ref().zip(session.channel()) else { return Vec::new() };
        keys.prove_all(role, &channel, hellos)
    }

    /// Which key of ours, by its place, one of the proofs was made with.
    pub(super) fn proven(&self, session: &Session, role: Role, hellos: &[&[u8]], proofs: &[u8]) -> Option<usize> {
        let (keys, channel) = self.keys.as_ref().zip(session.channel())?;
        keys.find(role, &channel, hellos, proofs)
    }

    /// A proof with that key.
    pub(super) fn proof(&self, session: &Session, role: Role, hellos: &[&[u8]], key: usize) -> Vec<u8> {
        let Some((keys, channel)) = self.keys.as_ref().zip(session.channel()) else { return Vec::new() };
        keys.prove(role, &channel, hellos, key)
    }

    /// What this node is secured with, in the words of the configuration.
    pub(super) fn words(&self) -> &'static str {
        match self.protocol {
            Protocol::Key => "cluster_key",
            Protocol::Tls => "tls",
            Protocol::Both => "cluster_key and tls",
        }
    }

    fn ends(&self) -> TlsEnds {
        match &self.ends {
            Ends::Raw(ends) => ends.clone(),
            Ends::Certified(certificates) => certificates.ends(),
        }
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Security({})", self.words())
    }
}

impl Protocol {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Key => b"dht/1 key",
            Self::Tls => b"dht/1 tls",
            Self::Both => b"dht/1 key tls",
        }
    }
}

/// The cryptography of all sessions: passed on explicitly, so that a program that embeds us may have another default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Sessions begin from nothing: a ticket would let a certificate outlive its authority, and early data be replayed.
fn without_resumption(mut ends: (ClientConfig, ServerConfig), protocol: Protocol) -> TlsEnds {
    let alpn = vec![protocol.name().to_vec()];
    ends.0.resumption = Resumption::disabled();
    ends.0.enable_sni = false;
    ends.0.alpn_protocols.clone_from(&alpn);
    ends.1.session_storage = Arc::new(NoServerSessionStorage {});
    ends.1.send_tls13_tickets = 0;
    ends.1.alpn_protocols = alpn;
    TlsEnds { client: Arc::new(ends.0), server: Arc::new(ends.1) }
}

/// TLS with a key pair that is made now and known to nobody.
fn raw_ends(protocol: Protocol, env: &Env) -> Result<TlsEnds> {
    let failed =
        |error: &dyn fmt::Display| Error::new(ErrorKind::Internal, format!("no key pair for connections: {error}"));
    verify::raw_configs(provider(), env).map(|ends| without_resumption(ends, protocol)).map_err(|error| failed(&error))
}
