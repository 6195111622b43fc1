//! Whom to believe and how to prove who we are: a [`Config`]'s PEM enters, rustls' settings leave.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use super::error::Cause;
use super::unverified::Unverified;
use super::{Error, pem};
use crate::config::{Config, Identity, Tls};

/// Settings for connections to `config`'s server.
pub(super) fn settings(config: &Config) -> Result<ClientConfig, Error> {
    let tls = &config.tls;
    // Named here, so that no default has to be installed for the process.
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(setting("cipher suites"))?;
    let builder = if tls.insecure_skip_verify {
        tracing::warn!(
            server = %config.server,
            "the server's certificate is not verified (insecure-skip-tls-verify): anybody can pose as it"
        );
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider.clone())))
    } else {
        builder.with_root_certificates(authorities(config)?)
    };
    match &tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let Identity { certificate_chain, key } = identity;
            let chain = pem::certificates(certificate_chain).map_err(setting("client certificate"))?;
            let key = pem::private_key(key.expose()).map_err(setting("client key"))?;
            builder.with_client_auth_cert(chain, key).map_err(setting("client certificate"))
        }
    }
}

/// The name that the server's certificate must carry, where it is another than the address'.
pub(super) fn server_name(tls: &Tls) -> Result<Option<ServerName<'static>>, Error> {
    let name = tls.server_name.clone().map(ServerName::try_from);
    name.transpose().map_err(setting("TLS server name"))
}

fn authorities(config: &Config) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    if let Some(authority) = &config.tls.authority {
        for certificate in pem::certificates(authority).map_err(setting("certificate authority"))? {
            store.add(certificate).map_err(setting("certificate authority"))?;
        }
    } else if config.server.scheme_str() != Some("http") {
        let found = rustls_native_certs::load_native_certs();
        // A system's bundle may hold certificates of forms long since forbidden; the rest is still of use.
        let (added, _) = store.add_parsable_certificates(found.certs);
        if added == 0 {
            let reason = "it names none, and the system has none";
            return Err(setting("certificate authority")(reason));
        }
    }
    Ok(store)
}

fn setting<E: Into<Cause>>(setting: &'static str) -> impl Fn(E) -> Error {
    move |error| Error::Setting { setting, source: error.into() }
}
