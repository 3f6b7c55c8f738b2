//! `dht keygen`: a secret for `cluster_key`, or an authority and the certificates of nodes for `tls`. Nothing that is
//! there is written over unless that is asked for, and private keys are for the owner of the file alone.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dht_core::transport::Security;
use dht_core::{Config, Env, Error, ErrorKind, TlsConfig};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::json;

use crate::args::{AuthorityArgs, KeygenArgs, KeygenWhat, NodeKeyArgs};
use crate::failure::Failure;
use crate::output;

/// The subject of every authority that is made here, which its certificates name as their issuer.
const AUTHORITY: &str = "dht authority";

/// Clocks may be apart by this much when a certificate is new.
const BEFORE: Duration = Duration::from_secs(3_600);

const DAY: Duration = Duration::from_secs(86_400);

/// `dht keygen`.
pub(crate) fn run(args: &KeygenArgs, as_json: bool) -> Result<(), Failure> {
    match &args.what {
        None => key(args.out.as_deref(), args.force, as_json),
        Some(KeygenWhat::Ca(args)) => authority(args, as_json),
        Some(KeygenWhat::Node(args)) => node(args, as_json),
    }
}

/// 256 bits of the operating system's randomness.
fn key(out: Option<&Path>, force: bool, as_json: bool) -> Result<(), Failure> {
    let env = Env::system();
    let text: String = (0..4).map(|_| format!("{:016x}", env.random_u64())).collect();
    match out {
        Some(path) => {
            write(path, format!("{text}\n").as_bytes(), Access::Owner, force)?;
            told(&[path.to_owned()], as_json)
        }
        None if as_json => output::line(json!({ "cluster_key": text })),
        None => output::line(text),
    }
}

fn authority(args: &AuthorityArgs, as_json: bool) -> Result<(), Failure> {
    let key = KeyPair::generate().map_err(not_made)?;
    let mut params = params(args.days)?;
    params.distinguished_name = authority_name();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(not_made)?;
    let (ca, private) = (args.dir.join("ca.pem"), args.dir.join("ca.key"));
    make_dir(&args.dir)?;
    write_all(
        &[
            (&private, key.serialize_pem().as_bytes(), Access::Owner),
            (&ca, certificate.pem().as_bytes(), Access::Everyone),
        ],
        args.force,
    )?;
    told(&[ca, private], as_json)
}

fn node(args: &NodeKeyArgs, as_json: bool) -> Result<(), Failure> {
    let (ca, ca_key) = (args.ca.join("ca.pem"), args.ca.join("ca.key"));
    let authority = fs::read_to_string(&ca).map_err(|error| unusable(&ca, "read", error))?;
    let issuer_key = fs::read_to_string(&ca_key).map_err(|error| unusable(&ca_key, "read", error))?;
    let issuer_key = KeyPair::from_pem(&issuer_key)
        .map_err(|error| Error::new(ErrorKind::InvalidArgument, format!("{}: {error}", ca_key.display())))?;
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = authority_name();
    issuer.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let issuer = Issuer::new(issuer, issuer_key);

    let key = KeyPair::generate().map_err(not_made)?;
    let mut params = params(args.days)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, args.node_id.as_str());
    let uri = Ia5String::try_from(Security::certificate_uri(&args.node_id)).map_err(not_made)?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer).map_err(not_made)?;
    let (key, certificate) = (key.serialize_pem(), certificate.pem());
    let place = |tls: &TlsConfig, force| {
        let files = [
            (&tls.key, key.as_bytes(), Access::Owner),
            (&tls.cert, certificate.as_bytes(), Access::Everyone),
            (&tls.ca, authority.as_bytes(), Access::Everyone),
        ];
        write_all(&files, force)
    };
    let tls = files_in(&args.dir);
    none_there([&tls.key, &tls.cert, &tls.ca], args.force)?;
    // The authority may be another one than such as are made here, and what it makes of no use: nothing of that may stay, nor
    // take the place of what is of use. What checks it reads files.
    let trial = Trial::new(&args.dir)?;
    let tried = files_in(&trial.dir);
    place(&tried, false)?;
    let config = Config { node_id: args.node_id.clone(), tls: Some(tried), ..Config::default() };
    Security::of(&config, &Env::system()).map_err(|error| {
        let context = error.context().replace(&*trial.dir.to_string_lossy(), &args.dir.to_string_lossy());
        Error::new(error.kind(), format!("{} makes no certificate of use: {context}", ca.display()))
    })?;
    place(&tls, args.force)?;
    told(&[tls.cert, tls.key, tls.ca], as_json)
}

fn files_in(dir: &Path) -> TlsConfig {
    TlsConfig { cert: dir.join("node.pem"), key: dir.join("node.key"), ca: dir.join("ca.pem") }
}

/// A directory below `parent`, which is made if it is not there. At the end it is gone, and so is what it was made in if
/// nothing else is there.
struct Trial {
    dir: PathBuf,
    made: Option<PathBuf>,
}

impl Trial {
    fn new(parent: &Path) -> Result<Self, Failure> {
        let made = (!parent.exists()).then(|| parent.to_owned());
        let trial = Self { dir: parent.join(format!(".keygen-{:016x}", Env::system().random_u64())), made };
        make_dir(&trial.dir)?;
        Ok(trial)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // Where that fails, the directory cannot be written to any more, which is told of the files.
        let _ = fs::remove_dir_all(&self.dir);
        if let Some(parent) = &self.made {
            let _ = fs::remove_dir(parent);
        }
    }
}

fn authority_name() -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, AUTHORITY);
    name
}

/// Good from a little before now, for `days`.
fn params(days: u32) -> Result<CertificateParams, Failure> {
    let now = Duration::from_millis(Env::system().wall_ms());
    let mut params = CertificateParams::new(Vec::new()).map_err(not_made)?;
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(BEFORE);
    params.not_after = epoch + (now + DAY * days);
    Ok(params)
}

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Owner,
    Everyone,
}

/// All or none, unless it is over files that were there.
fn write_all(files: &[(&PathBuf, &[u8], Access)], force: bool) -> Result<(), Failure> {
    none_there(files.iter().map(|(path, ..)| *path), force)?;
    for (done, (path, bytes, access)) in files.iter().enumerate() {
        write(path, bytes, *access, force).inspect_err(|_| {
            for (path, ..) in &files[..done] {
                // That they could not be written either is what is told.
                let _ = fs::remove_file(path);
            }
        })?;
    }
    Ok(())
}

fn none_there<'a>(paths: impl IntoIterator<Item = &'a PathBuf>, force: bool) -> Result<(), Failure> {
    match paths.into_iter().find(|path| !force && path.exists()) {
        Some(path) => Err(exists(path)),
        None => Ok(()),
    }
}

fn write(path: &Path, bytes: &[u8], access: Access, force: bool) -> Result<(), Failure> {
    if force {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(unusable(path, "replaced", error).into());
            }
            _ => {}
        }
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if access == Access::Owner { 0o600 } else { 0o644 });
    #[cfg(not(unix))]
    let _ = access;
    let written = options.open(path).and_then(|mut file| {
        let whole = file.write_all(bytes).and_then(|()| file.sync_all());
        // A part of a key or certificate is of no use, and would be in the way of the next try.
        whole.inspect_err(|_| drop(fs::remove_file(path)))
    });
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => Err(unusable(path, "written", error).into()),
        Ok(()) => Ok(()),
    }
}

fn make_dir(dir: &Path) -> Result<(), Failure> {
    Ok(fs::create_dir_all(dir).map_err(|error| unusable(dir, "made", error))?)
}

fn told(paths: &[PathBuf], as_json: bool) -> Result<(), Failure> {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    if as_json {
        output::line(json!({ "written": names }))
    } else {
        output::line(format!("wrote {}", names.join(", ")))
    }
}

fn exists(path: &Path) -> Failure {
    let text = format!("{} is there already; --force replaces it", path.display());
    Error::new(ErrorKind::InvalidArgument, text).into()
}

fn unusable(path: &Path, what: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{} cannot be {what}: {error}", path.display())).with_source(error)
}

fn not_made(error: impl std::fmt::Display) -> Failure {
    Error::new(ErrorKind::InvalidArgument, format!("no certificate can be made: {error}")).into()
}
