//! A kubeconfig's entry of a cluster: where the server is, through what, and whom to believe.

use serde_json::{Value, json};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::document::Cluster;
use super::{Entry, invalid};
use crate::config::environment::Environment;
use crate::config::{Error, Proxy, Source, Tls, url};

/// The extension of a cluster that is handed to commands that tell credentials.
const EXEC_EXTENSION: &str = "client.authentication.k8s.io/exec";

impl Entry<Cluster> {
    pub(super) fn server(&self) -> Result<http::Uri, Error> {
        let Some(server) = &self.value.server else {
            return Err(invalid(&self.title, "has no server"));
        };
        let uri = url::parse("its server", server).map_err(|problem| invalid(&self.title, problem))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(invalid(&self.title, "its server must begin with https:// or http://"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(invalid(&self.title, "its server URL must not carry a user name or password"));
        }
        Ok(uri)
    }

    /// The proxy of this cluster, else that of the environment.
    pub(super) fn proxy(&self, environment: &Environment, server: &http::Uri) -> Result<Option<Proxy>, Error> {
        match &self.value.proxy_url {
            Some(url) => Proxy::parse("its proxy-url", url).map(Some).map_err(|problem| invalid(&self.title, problem)),
            None => Proxy::of_environment(environment, server),
        }
    }

    pub(super) fn tls(&self, environment: &Environment) -> Result<Tls, Error> {
        let cluster = &self.value;
        let authority = self.authority(environment)?;
        if cluster.insecure_skip_tls_verify && authority.is_some() {
            let problem = "certificate-authority and insecure-skip-tls-verify exclude each other";
            return Err(invalid(&self.title, problem));
        }
        Ok(Tls {
            authority,
            insecure_skip_verify: cluster.insecure_skip_tls_verify,
            server_name: cluster.tls_server_name.clone(),
            identity: None,
        })
    }

    fn authority(&self, environment: &Environment) -> Result<Option<Source>, Error> {
        let (data, path) = (&self.value.certificate_authority_data, &self.value.certificate_authority);
        self.source("certificate-authority", data.as_ref(), path.as_deref(), environment)
    }

    /// The cluster as `spec.cluster` of an `ExecCredential` has it.
    pub(super) fn info(&self, environment: &Environment) -> Result<Value, Error> {
        let cluster = &self.value;
        let authority = match self.authority(environment)? {
            None => None,
            Some(Source::Inline(bytes)) => Some(STANDARD.encode(bytes.expose())),
            Some(Source::File(path)) => Some(STANDARD.encode(environment.read(&path)?)),
        };
        let extension = cluster.extensions.iter().flatten().find(|extension| extension.name == EXEC_EXTENSION);
        let mut info = json!({
            "server": cluster.server,
            "tls-server-name": cluster.tls_server_name,
            "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify.then_some(true),
            "certificate-authority-data": authority,
            "proxy-url": cluster.proxy_url,
            "disable-compression": cluster.disable_compression.then_some(true),
            "config": extension.map(|extension| &extension.extension),
        });
        if let Some(fields) = info.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        Ok(info)
    }
}
