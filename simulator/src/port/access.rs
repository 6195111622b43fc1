//! Who may come in: a certificate for loopback, a token, and the kubeconfig that holds both.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use super::Error;

/// What a client has to know.
pub(super) struct Access {
    /// The authority that vouches for the server, in PEM.
    authority: String,
    /// By which the client proves that it has read the kubeconfig.
    pub(super) token: String,
}

/// New certificates and a new token, and the server's half of TLS.
pub(super) fn make() -> Result<(Access, ServerConfig), Error> {
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
    Ok((Access { authority: authority.pem(), token: token().map_err(Error::Token)? }, settings))
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
    /// Writes a kubeconfig that needs no other file, for nobody's eyes but its owner's.
    pub(super) fn write(&self, path: &Path, server: SocketAddr) -> io::Result<()> {
        let Self { authority, token } = self;
        let authority = STANDARD.encode(authority);
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
