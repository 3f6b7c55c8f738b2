//! The files of mutual TLS: read, held against each other, and read for whom they are.
//!
//! A certificate is for the nodes that its subject alternative names of type URI name, as `dht:` and the node_id, with
//! all but letters, digits and `-._~` percent-encoded (RFC 3986 §2.1). Its other names mean nothing here.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use webpki::EndEntityCert;

use super::provider;
use super::verify::{Listeners, Trust};
use crate::config::TlsConfig;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::NodeId;

/// Longer files are no certificates.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Before the node_id in a certificate.
const SCHEME: &str = "dht:";

/// The bytes of the three files.
pub(super) struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Vec<u8>,
}

/// What they hold, checked.
pub(super) struct Identity {
    pub(super) own: CertifiedKey,
    pub(super) roots: Arc<RootCertStore>,
}

impl Files {
    pub(super) fn read(paths: &TlsConfig) -> Result<Self> {
        Ok(Self {
            cert: read("tls.cert", &paths.cert)?,
            key: read("tls.key", &paths.key)?,
            ca: read("tls.ca", &paths.ca)?,
        })
    }

    /// Tells contents apart.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [&self.cert, &self.key, &self.ca] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// Reads them and checks that they are for `node_id` and that a peer with the same `ca` accepts them now.
    pub(super) fn identity(&self, paths: &TlsConfig, node_id: &NodeId, env: &Env) -> Result<Identity> {
        let chain = chain(&self.cert, &paths.cert)?;
        let wrong = |key, path, reason: &dyn std::fmt::Display| wrong(key, path, reason);
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| wrong("tls.key", &paths.key, &no_pem("private key", &error)))?;
        let key = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| wrong("tls.key", &paths.key, &"a key of a kind that is not supported"))?;
        let own = CertifiedKey::new(chain, key);
        own.keys_match()
            .map_err(|_| wrong("tls.key", &paths.key, &"it is not the key of the certificate in tls.cert"))?;
        let roots = Arc::new(self.roots(&paths.ca)?);
        accepted(&own, &roots, env).map_err(|error| {
            wrong("tls.cert", &paths.cert, &format_args!("peers with this tls.ca would not accept it: {error}"))
        })?;
        let names = own.cert.first().map(named).unwrap_or_default();
        if !names.iter().any(|name| name == node_id.as_str()) {
            let is_for = if names.is_empty() { "no node".to_owned() } else { format!("{names:?}") };
            let reason = format!(
                "it is for {is_for}, and node_id is {:?}: the certificate needs a subject alternative name URI:{}",
                node_id.as_str(),
                uri(node_id.as_str())
            );
            return Err(wrong("tls.cert", &paths.cert, &reason));
        }
        Ok(Identity { own, roots })
    }

    fn roots(&self, path: &Path) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for authority in chain(&self.ca, path).map_err(|_| wrong("tls.ca", path, &"no certificate in PEM"))? {
            roots.add(authority).map_err(|error| wrong("tls.ca", path, &error))?;
        }
        Ok(roots)
    }
}

/// The one node that the certificate in `paths.cert` is for.
pub(super) fn only_name(paths: &TlsConfig) -> Result<String> {
    let chain = chain(&read("tls.cert", &paths.cert)?, &paths.cert)?;
    let mut names = chain.first().map(named).unwrap_or_default();
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => Ok(name),
        (Some(_), false) => Err(wrong("tls.cert", &paths.cert, &"it is for several nodes: set node_id to one of them")),
        (None, _) => {
            let reason = "it names no node: it needs a subject alternative name URI:dht:<node_id>";
            Err(wrong("tls.cert", &paths.cert, &reason))
        }
    }
}

/// The nodes that a certificate names.
pub(super) fn named(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(parsed) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    parsed.valid_uri_names().filter_map(|uri| decoded(uri.strip_prefix(SCHEME)?)).collect()
}

/// How a certificate names a node.
pub(super) fn uri(node_id: &str) -> String {
    let mut uri = SCHEME.to_owned();
    for byte in node_id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Whether peers would accept it from us as a dialler and as a listener.
fn accepted(own: &CertifiedKey, roots: &Arc<RootCertStore>, env: &Env) -> std::result::Result<(), String> {
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_millis(env.wall_ms()));
    let (end, between) = own.cert.split_first().ok_or("no certificate")?;
    let algorithms = provider().signature_verification_algorithms;
    let nobody = ServerName::try_from("dht.invalid").map_err(|error| error.to_string())?;
    Listeners { trust: Trust::SignedBy(roots.clone()), algorithms }
        .verify_server_cert(end, between, &nobody, &[], now)
        .map_err(|error| format!("as a listener: {error}"))?;
    WebPkiClientVerifier::builder_with_provider(roots.clone(), provider())
        .build()
        .map_err(|error| error.to_string())?
        .verify_client_cert(end, between, now)
        .map_err(|error| format!("as a dialler: {error}"))?;
    Ok(())
}

fn chain(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let chain: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(wrong("tls.cert", path, &"no certificate in PEM")),
        Err(error) => Err(wrong("tls.cert", path, &no_pem("certificate", &error))),
    }
}

/// Without the text of `error`, which shows lines of the file: of a key whose line ends were lost, the key.
fn no_pem(what: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => format!("no {what} in PEM"),
        _ => format!("no {what} in PEM that can be read: is each line of it on a line of its own?"),
    }
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| wrong(key, path, &format_args!("cannot be read: {error}")))?;
    if bytes.len() as u64 > FILE_LEN_MAX {
        return Err(wrong(key, path, &"longer than 1 MiB"));
    }
    Ok(bytes)
}

fn wrong(key: &str, path: &Path, reason: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Config, format!("{key} = {:?}: {reason}", path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_id_has_a_uri_and_comes_back_from_it() {
        for (node_id, wanted) in
            [("a-1.b_c~", "dht:a-1.b_c~"), ("rack 1/ä", "dht:rack%201%2F%C3%A4"), ("%41", "dht:%2541")]
        {
            assert_eq!(uri(node_id), wanted);
            assert_eq!(decoded(&wanted[4..]).as_deref(), Some(node_id));
        }
        for wrong in ["%", "%4", "%zz", "%ff", "%+1"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }
}
