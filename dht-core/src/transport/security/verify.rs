//! What TLS is told to make of the other side's key or certificate.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, RootCertStore, ServerConfig, SignatureScheme,
};

use crate::env::Env;

/// Both ends with a key pair that is made now: the listener's, which the dialler takes as it is.
pub(super) fn raw_configs(provider: Arc<CryptoProvider>, env: &Env) -> Result<(ClientConfig, ServerConfig), Error> {
    let pair = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8());
    let pair = pair.map_err(|_| Error::General("no key pair".to_owned()))?;
    let key = PrivatePkcs8KeyDer::from(pair.as_ref().to_vec());
    let key = provider.key_provider.load_private_key(key.into())?;
    let public = key.public_key().ok_or(Error::General("no public key".to_owned()))?.to_vec();
    let shown = Arc::new(CertifiedKey::new(vec![public.into()], key));
    let algorithms = provider.signature_verification_algorithms;
    let client = client(provider.clone(), env)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Listeners { trust: Trust::AnyKey, algorithms }))
        .with_no_client_auth();
    let server = server(provider, env)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(shown)));
    Ok((client, server))
}

/// Both ends with `own`, which want the other's to be signed by one of `roots`.
pub(super) fn certified_configs(
    provider: Arc<CryptoProvider>,
    own: &CertifiedKey,
    roots: Arc<RootCertStore>,
    env: &Env,
) -> Result<(ClientConfig, ServerConfig), Error> {
    let own = Arc::new(rustls::sign::SingleCertAndKey::from(own.clone()));
    let algorithms = provider.signature_verification_algorithms;
    let of_clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let client = client(provider.clone(), env)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Listeners { trust: Trust::SignedBy(roots), algorithms }))
        .with_client_cert_resolver(own.clone());
    let server = server(provider, env)?.with_client_cert_verifier(of_clients).with_cert_resolver(own);
    Ok((client, server))
}

type ClientBuilder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;
type ServerBuilder = rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>;

fn client(provider: Arc<CryptoProvider>, env: &Env) -> Result<ClientBuilder, Error> {
    let clock = Arc::new(Clock(env.clone()));
    ClientConfig::builder_with_details(provider, clock).with_protocol_versions(&[&TLS13])
}

fn server(provider: Arc<CryptoProvider>, env: &Env) -> Result<ServerBuilder, Error> {
    let clock = Arc::new(Clock(env.clone()));
    ServerConfig::builder_with_details(provider, clock).with_protocol_versions(&[&TLS13])
}

/// The wall clock of everything else, for the dates in certificates.
struct Clock(Env);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.wall_ms())))
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// What a dialler makes of whom it reached. Which node that is, is not found out here: the hello says it, and a
/// certificate or proofs of the cluster's key are held against that.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) trust: Trust,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

/// Whom a dialler takes, if the other side has the private half of what it shows.
#[derive(Debug)]
pub(super) enum Trust {
    /// Every bare key.
    AnyKey,
    /// Every certificate that a root of ours stands behind, whatever was dialled.
    SignedBy(Arc<RootCertStore>),
}

impl ServerCertVerifier for Listeners {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Trust::SignedBy(roots) = &self.trust {
            let cert = ParsedCertificate::try_from(end_entity)?;
            verify_server_cert_signed_by_trust_anchor(&cert, roots, intermediates, now, self.algorithms.all)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.trust {
            Trust::AnyKey => {
                let key = SubjectPublicKeyInfoDer::from(cert.as_ref());
                verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
            }
            Trust::SignedBy(_) => verify_tls13_signature(message, cert, signature, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        matches!(self.trust, Trust::AnyKey)
    }
}
