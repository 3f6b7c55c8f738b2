//! An authority for tests: makes certificates of nodes, right ones and wrong ones, in a folder that goes with it.
#![allow(dead_code, reason = "each user uses a part of it")]
#![allow(unreachable_pub, reason = "a module of each test file")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};

/// Whose signature its nodes trust.
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    made: AtomicU64,
}

/// The paths of one node's three files.
#[derive(Clone, Debug)]
pub struct Files {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        static DIRS: AtomicU64 = AtomicU64::new(0);
        let name = format!("dht-authority-{}-{}", std::process::id(), DIRS.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(dir.join("ca.pem"), certificate.pem()).expect("written");
        Self { dir, issuer: Issuer::new(params, key), made: AtomicU64::new(0) }
    }

    /// The files of a node whose certificate is for `node_id`.
    pub fn node(&self, node_id: &str) -> Files {
        self.with(|params| name(params, node_id))
    }

    /// The same with something else in the certificate.
    pub fn with(&self, change: impl FnOnce(&mut CertificateParams)) -> Files {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let files = Files {
            cert: self.dir.join(format!("{number}.pem")),
            key: self.dir.join(format!("{number}.key")),
            ca: self.dir.join("ca.pem"),
        };
        self.write(&files, change);
        files
    }

    /// Writes another certificate and key over those of `files`.
    pub fn write(&self, files: &Files, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(&files.cert, certificate.pem()).expect("written");
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
    }

    /// Where its own certificate is.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// The certificate is for that node.
pub fn name(params: &mut CertificateParams, node_id: &str) {
    let uri = Ia5String::try_from(format!("dht:{node_id}")).expect("ASCII");
    params.subject_alt_names.push(SanType::URI(uri));
}

impl Drop for Authority {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.dir).expect("what was made goes away");
    }
}
