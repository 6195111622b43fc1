//! Who may come in: a certificate for loopback, a token for each user, and the kubeconfig that holds both.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use super::Error;
use crate::user::User;

/// The certificates of a server, and the tokens of those whom it lets in.
pub struct Access {
    /// The authority that vouches for the server, in PEM.
    authority: String,
    pub(super) settings: Arc<ServerConfig>,
    /// Who has which token.
    users: Mutex<BTreeMap<String, User>>,
}

/// A new authority in PEM, and the server's half of TLS with a certificate of its.
fn certified() -> Result<(String, ServerConfig), Error> {
    let mut params = CertificateParams::new([])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "simulator-ca");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let certificate = params.signed_by(&key, &authority)?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut settings = builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?;
    settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((authority.pem(), settings))
}

/// A token that others on this machine can't guess: the port is open to them.
fn token() -> io::Result<String> {
    let mut random = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().fold(String::new(), |mut token, byte| {
        // Writing to a string can't fail.
        let _ = write!(token, "{byte:02x}");
        token
    }))
}

impl Access {
    /// New certificates, and nobody who may come in.
    ///
    /// # Errors
    ///
    /// If no certificate can be made.
    pub fn new() -> Result<Self, Error> {
        let (authority, settings) = certified()?;
        Ok(Self { authority, settings: Arc::new(settings), users: Mutex::default() })
    }

    /// Lets a user in: by this token, which is new.
    ///
    /// # Errors
    ///
    /// If there is no randomness for one.
    pub fn issue(&self, user: User) -> Result<String, Error> {
        let token = token().map_err(Error::Token)?;
        self.users.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), user);
        Ok(token)
    }

    /// Who has the token.
    pub(super) fn user(&self, token: &str) -> Option<User> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Writes a kubeconfig that needs no other file, for nobody's eyes but its owner's.
    ///
    /// # Errors
    ///
    /// If the file can't be written.
    pub fn write(&self, path: &Path, server: SocketAddr, token: &str) -> io::Result<()> {
        let authority = STANDARD.encode(&self.authority);
        let text = format!(
            "\
apiVersion: v1
kind: Config
clusters:
- name: simulator
  cluster:
    server: https://{server}
    certificate-authority-data: {authority}
users:
- name: admin
  user:
    token: {token}
contexts:
- name: simulator
  context:
    cluster: simulator
    user: admin
current-context: simulator
"
        );
        // Anew, so that it has these rights even where there was another.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
    }
}
