//! Where the API server is and who we are to it.
//!
//! Kubeconfig files or a pod's service account enter, a [`Config`] leaves. This module opens no socket and parses no
//! certificate: PEM stays bytes, and a file stays a path, since its content changes while the process runs.

mod credential;
mod environment;
mod error;
mod impersonation;
mod kubeconfig;
mod proxy;
mod secret;
mod service_account;
mod source;
mod url;

use std::path::Path;

pub use self::credential::{Credential, Exec, ExecInteractive, ExecVersion};
pub use self::error::Error;
pub use self::impersonation::Impersonation;
pub use self::proxy::{Login, Proxy, ProxyProtocol};
pub use self::secret::Secret;
pub use self::source::Source;

use self::environment::Environment;

/// A cluster, and an identity in it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Scheme and authority of the API server, and the path below which it is served, if any.
    pub server: http::Uri,
    /// The namespace for requests that name none; `default` where nothing says otherwise.
    pub default_namespace: String,
    /// How the server and, with a certificate, the client prove who they are.
    pub tls: Tls,
    /// What each request carries to say who sends it.
    pub credential: Credential,
    /// In whose name requests are sent, where that is not the sender's.
    pub impersonation: Option<Impersonation>,
    /// What every connection goes through: the `proxy-url` of a kubeconfig, else what `HTTPS_PROXY`, `HTTP_PROXY` and
    /// `NO_PROXY` say of this server.
    pub proxy: Option<Proxy>,
    /// Whether responses are asked for uncompressed, which costs less time and more traffic.
    pub disable_compression: bool,
}

/// How a connection is secured.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Certificates (PEM, any number) that the server's must descend from; the system's where absent.
    pub authority: Option<Source>,
    /// Accepts every server certificate, and so every impostor.
    pub insecure_skip_verify: bool,
    /// The name that the server's certificate must carry, where it is not the server's address.
    pub server_name: Option<String>,
    /// A certificate that identifies the client.
    pub identity: Option<Identity>,
}

/// A client certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate and those that vouch for it (PEM).
    pub certificate_chain: Source,
    /// The private key (PEM).
    pub key: Source,
}

impl Config {
    /// The configuration that the process was given: the file `kubeconfig`, else the files that `$KUBECONFIG` lists,
    /// else the pod's service account, else `~/.kube/config`.
    ///
    /// `context` picks one of a kubeconfig's contexts in place of its current one. A service account has no contexts,
    /// so it is passed over where a context is asked for.
    ///
    /// # Errors
    ///
    /// If there is none of these, or the first that is there cannot be used.
    pub fn find(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self, Error> {
        environment::find(&Environment::real(), kubeconfig, context)
    }

    /// The configuration that a kubeconfig file gives for `context`, or for its current context.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or understood, names something that it does not contain, or needs something that is
    /// not supported.
    pub fn from_kubeconfig(path: &Path, context: Option<&str>) -> Result<Self, Error> {
        kubeconfig::load(&[path.to_owned()], context, &Environment::real())
    }

    /// The configuration that Kubernetes gives to a pod.
    ///
    /// # Errors
    ///
    /// If the process does not run in a pod, or its pod has no service account's token.
    pub fn in_cluster() -> Result<Self, Error> {
        service_account::config(&Environment::real())
    }
}

/// The configuration of a server that asks nobody who they are, through the proxy that the environment has for it.
#[cfg(feature = "otlp")]
pub(crate) fn of_server(server: http::Uri, tls: Tls) -> Result<Config, Error> {
    let proxy = Proxy::of_environment(&Environment::real(), &server)?;
    let (credential, impersonation) = (Credential::None, None);
    let default_namespace = String::new();
    Ok(Config { server, default_namespace, tls, credential, impersonation, proxy, disable_compression: true })
}

/// The configuration of a kubeconfig's text, in a world without other files or variables.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn from_text(text: &[u8]) -> Result<Config, Error> {
    from_text_in(text, |_| None)
}

/// [`from_text`], in a world that has variables.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn from_text_in(
    text: &[u8],
    variable: impl Fn(&str) -> Option<std::ffi::OsString> + 'static,
) -> Result<Config, Error> {
    let (path, text) = (Path::new("/config"), text.to_vec());
    let absent = || std::io::ErrorKind::NotFound.into();
    let read = move |asked: &Path| if asked == path { Ok(text.clone()) } else { Err(absent()) };
    kubeconfig::load(&[path.to_owned()], None, &Environment::new(variable, read))
}
