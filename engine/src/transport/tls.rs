//! Whom to believe and how to prove who we are: PEM enters, rustls' settings leave.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use super::error::Cause;
use super::unverified::Unverified;
use super::{Error, pem};
use crate::config::{Config, Secret, Tls};

/// What connections are made with, and what it was made of.
pub(super) struct Settings {
    /// Rises with each change.
    pub(super) generation: u64,
    pub(super) client: Arc<ClientConfig>,
    pub(super) pems: Pems,
}

/// Certificates and keys in PEM.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pems {
    /// Certificates that the server's must descend from; the system's where absent.
    pub(super) authority: Option<Secret>,
    /// The client's certificate chain, and its key.
    pub(super) identity: Option<(Secret, Secret)>,
}

/// What never changes about whom to believe.
pub(super) struct Trust {
    // Named here, so that no default has to be installed for the process.
    provider: Arc<CryptoProvider>,
    insecure_skip_verify: bool,
    /// The system's authorities, read once; empty where the configuration names its own.
    system: RootCertStore,
}

impl Trust {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let insecure_skip_verify = config.tls.insecure_skip_verify;
        if insecure_skip_verify {
            tracing::warn!(
                server = %config.server,
                "the server's certificate is not verified (insecure-skip-tls-verify): anybody can pose as it"
            );
        }
        let mut system = RootCertStore::empty();
        let is_plain = config.server.scheme_str() == Some("http");
        if config.tls.authority.is_none() && !insecure_skip_verify && !is_plain {
            let found = rustls_native_certs::load_native_certs();
            // A system's bundle may hold certificates of forms long since forbidden; the rest is still of use.
            let (added, _) = system.add_parsable_certificates(found.certs);
            if added == 0 {
                let reason = "it names none, and the system has none";
                return Err(setting("certificate authority")(reason));
            }
        }
        Ok(Self { provider: Arc::new(ring::default_provider()), insecure_skip_verify, system })
    }

    /// Settings for connections that are made from now on.
    pub(super) fn settings(&self, pems: Pems, generation: u64) -> Result<Settings, Error> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(setting("cipher suites"))?;
        let builder = if self.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(self.provider.clone())))
        } else {
            builder.with_root_certificates(self.authorities(pems.authority.as_ref())?)
        };
        let client = match &pems.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = pem::certificates(chain.expose()).map_err(setting("client certificate"))?;
                let key = pem::private_key(key.expose()).map_err(setting("client key"))?;
                builder.with_client_auth_cert(chain, key).map_err(setting("client certificate"))?
            }
        };
        Ok(Settings { generation, client: Arc::new(client), pems })
    }

    fn authorities(&self, authority: Option<&Secret>) -> Result<RootCertStore, Error> {
        let Some(authority) = authority else { return Ok(self.system.clone()) };
        let mut store = RootCertStore::empty();
        for certificate in pem::certificates(authority.expose()).map_err(setting("certificate authority"))? {
            store.add(certificate).map_err(setting("certificate authority"))?;
        }
        Ok(store)
    }
}

/// The name that the server's certificate must carry, where it is another than the address'.
pub(super) fn server_name(tls: &Tls) -> Result<Option<ServerName<'static>>, Error> {
    let name = tls.server_name.clone().map(ServerName::try_from);
    name.transpose().map_err(setting("TLS server name"))
}

pub(super) fn setting<E: Into<Cause>>(setting: &'static str) -> impl Fn(E) -> Error {
    move |error| Error::Setting { setting, source: error.into() }
}
