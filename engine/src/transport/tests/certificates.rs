//! Certificates made for a test, and the TLS settings of servers that show them.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::transport::pem;

/// Vouches for others.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(super) struct Certified {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `name`, a host name or an address.
    pub(super) fn certify(&self, name: &str) -> Certified {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Certified { certificate, key: key.serialize_pem() }
    }
}

/// A certificate that vouches for itself, as an authority's or not.
pub(super) fn self_signed(name: &str, authority: bool) -> Certified {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    Certified { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

/// A server that shows `certified` and speaks `protocols`.
pub(super) fn server(certified: &Certified, protocols: &[&str]) -> ServerConfig {
    settings(certified, protocols, None)
}

/// A server that insists on a client certificate of `clients`.
pub(super) fn strict(certified: &Certified, clients: &Authority) -> ServerConfig {
    settings(certified, &["h2"], Some(clients))
}

fn settings(certified: &Certified, protocols: &[&str], clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = pem::certificates(certified.certificate.as_bytes()).unwrap();
    let key = pem::private_key(certified.key.as_bytes()).unwrap();
    let mut settings = builder.with_single_cert(chain, key).unwrap();
    settings.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    settings
}
