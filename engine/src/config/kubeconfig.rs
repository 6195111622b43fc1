//! Kubeconfig files: YAML enters, the [`Config`] of one context leaves.
//!
//! Several files count as one, in which the first wins for each name. A relative path means one beside the file that
//! holds it. What cannot be done as the file says is an error that names the field, never a silent difference.

mod document;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::document::{Cluster, Context, Document, User};
use super::environment::Environment;
use super::{Config, Credential, Error, Identity, Secret, Tls};

/// What the files hold, merged.
#[derive(Default)]
struct Kubeconfig {
    files: Vec<PathBuf>,
    current: Option<String>,
    contexts: BTreeMap<String, Entry<Context>>,
    clusters: BTreeMap<String, Entry<Cluster>>,
    users: BTreeMap<String, Entry<User>>,
}

/// One entry of a file.
struct Entry<T> {
    /// For messages: `user "admin" in /home/…`.
    title: String,
    /// The folder that relative paths start from.
    folder: PathBuf,
    value: T,
}

/// The configuration of `context`, or of the current one, in `files`. Of several files those that do not exist are
/// passed over, as long as one exists.
pub(super) fn load(files: &[PathBuf], context: Option<&str>, environment: &Environment) -> Result<Config, Error> {
    let mut merged = Kubeconfig::default();
    let mut absent = None;
    for file in files {
        match environment.read(file) {
            Ok(text) => merged.add(file, &text)?,
            Err(error) if error.is_absent() => absent = absent.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    match absent {
        Some(error) if merged.files.is_empty() => Err(error),
        _ => merged.config(context, environment),
    }
}

impl Kubeconfig {
    fn add(&mut self, file: &Path, text: &[u8]) -> Result<(), Error> {
        let document =
            Document::parse(text).map_err(|(line, column)| Error::Syntax { path: file.to_owned(), line, column })?;
        self.current = self.current.take().or(document.current_context);
        insert(&mut self.contexts, "context", file, document.contexts);
        insert(&mut self.clusters, "cluster", file, document.clusters);
        insert(&mut self.users, "user", file, document.users);
        self.files.push(file.to_owned());
        Ok(())
    }

    fn config(mut self, context: Option<&str>, environment: &Environment) -> Result<Config, Error> {
        let files = self.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
        let (name, wanted_by) = match (context, self.current.take()) {
            (Some(name), _) => (name.to_owned(), "the command".to_owned()),
            (None, Some(name)) => (name, "current-context".to_owned()),
            (None, None) => {
                let contexts = self.contexts.into_keys().collect::<Vec<_>>().join(", ");
                return Err(Error::NoContext { files, contexts });
            }
        };
        let unknown = |kind, name: &str, wanted_by: &str| Error::Unknown {
            kind,
            name: name.to_owned(),
            wanted_by: wanted_by.to_owned(),
            files: files.clone(),
        };
        let context = self.contexts.remove(&name).ok_or_else(|| unknown("context", &name, &wanted_by))?;
        let Context { cluster, user, namespace } = context.value;
        let Some(cluster) = cluster else {
            return Err(invalid(&context.title, "names no cluster"));
        };
        let cluster = self.clusters.remove(&cluster).ok_or_else(|| unknown("cluster", &cluster, &context.title))?;
        let user = match user {
            None => None,
            Some(user) => Some(self.users.remove(&user).ok_or_else(|| unknown("user", &user, &context.title))?),
        };

        let server = cluster.server()?;
        let mut tls = cluster.tls(environment)?;
        let mut credential = Credential::None;
        if let Some(user) = user {
            user.refuse_unsupported()?;
            tls.identity = user.identity(environment)?;
            credential = user.credential();
            let identified = tls.identity.is_some() || !matches!(credential, Credential::None);
            if identified && server.scheme_str() == Some("http") {
                return Err(invalid(
                    &user.title,
                    "its credentials would travel unencrypted, since the server is an http:// one",
                ));
            }
        }
        let default_namespace = namespace.unwrap_or_else(|| "default".to_owned());
        let disable_compression = cluster.value.disable_compression;
        Ok(Config { server, default_namespace, tls, credential, disable_compression })
    }
}

fn insert<T>(
    into: &mut BTreeMap<String, Entry<T>>,
    kind: &str,
    file: &Path,
    named: impl IntoIterator<Item = (String, T)>,
) {
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    for (name, value) in named {
        let title = format!("{kind} {name:?} in {}", file.display());
        into.entry(name).or_insert(Entry { title, folder: folder.clone(), value });
    }
}

fn invalid(entry: &str, problem: impl Into<String>) -> Error {
    Error::Invalid { entry: entry.to_owned(), problem: problem.into() }
}

impl<T> Entry<T> {
    fn unsupported(&self, used: bool, field: &'static str) -> Result<(), Error> {
        if used { Err(Error::Unsupported { entry: self.title.clone(), field }) } else { Ok(()) }
    }

    /// The bytes of a field that stands in the file (`<field>-data`, which wins, as it does for kubectl) or in another.
    fn bytes(
        &self,
        field: &str,
        data: Option<&Secret>,
        path: Option<&str>,
        environment: &Environment,
    ) -> Result<Option<Vec<u8>>, Error> {
        if let Some(data) = data {
            // In block scalars base64 is wrapped.
            let joined: Vec<u8> = data.expose().iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            let decoded = STANDARD.decode(joined);
            return decoded.map(Some).map_err(|_| invalid(&self.title, format!("{field}-data is not base64")));
        }
        path.map(|path| environment.read(&self.folder.join(path))).transpose()
    }
}

impl Entry<Cluster> {
    fn server(&self) -> Result<http::Uri, Error> {
        let Some(server) = &self.value.server else {
            return Err(invalid(&self.title, "has no server"));
        };
        let uri: http::Uri = server.parse().map_err(|_| invalid(&self.title, "its server is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(invalid(&self.title, "its server must begin with https:// or http://"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(invalid(&self.title, "its server URL must not carry a user name or password"));
        }
        Ok(uri)
    }

    fn tls(&self, environment: &Environment) -> Result<Tls, Error> {
        let cluster = &self.value;
        self.unsupported(cluster.proxy_url.is_some(), "proxy-url")?;
        let authority = self.bytes(
            "certificate-authority",
            cluster.certificate_authority_data.as_ref(),
            cluster.certificate_authority.as_deref(),
            environment,
        )?;
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
}

impl Entry<User> {
    fn refuse_unsupported(&self) -> Result<(), Error> {
        let user = &self.value;
        for (used, field) in [
            (user.exec, "exec"),
            (user.auth_provider, "auth-provider"),
            (user.username.is_some(), "username"),
            (user.password.is_some(), "password"),
            (user.impersonates, "as (impersonation)"),
        ] {
            self.unsupported(used, field)?;
        }
        Ok(())
    }

    fn identity(&self, environment: &Environment) -> Result<Option<Identity>, Error> {
        let user = &self.value;
        let certificate_chain = self.bytes(
            "client-certificate",
            user.client_certificate_data.as_ref(),
            user.client_certificate.as_deref(),
            environment,
        )?;
        let key = self.bytes("client-key", user.client_key_data.as_ref(), user.client_key.as_deref(), environment)?;
        match (certificate_chain, key) {
            (None, None) => Ok(None),
            (Some(certificate_chain), Some(key)) => Ok(Some(Identity { certificate_chain, key: key.into() })),
            (Some(_), None) => Err(invalid(&self.title, "has a client-certificate but no client-key")),
            (None, Some(_)) => Err(invalid(&self.title, "has a client-key but no client-certificate")),
        }
    }

    /// A token file wins over a token, as it does for kubectl.
    fn credential(&self) -> Credential {
        match (&self.value.token_file, &self.value.token) {
            (Some(path), _) => Credential::TokenFile(self.folder.join(path)),
            (None, Some(token)) => Credential::Token(token.clone()),
            (None, None) => Credential::None,
        }
    }
}

#[cfg(test)]
mod tests;
