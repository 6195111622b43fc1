//! Kubeconfig files: YAML enters, the [`Config`] of one context leaves.
//!
//! Several files count as one, in which the first wins for each name. A relative path means one beside the file that
//! holds it. What cannot be done as the file says is an error that names the field, never a silent difference.

mod cluster;
mod document;
mod exec;
mod user;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::document::{Cluster, Context, Document, User};
use super::environment::Environment;
use super::{Config, Credential, Error, Secret, Source};

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
                let contexts = if contexts.is_empty() { "none".to_owned() } else { contexts };
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
        let (mut credential, mut impersonation) = (Credential::None, None);
        if let Some(user) = user {
            tls.identity = user.identity(environment)?;
            credential = user.credential(&cluster, environment, tls.identity.is_some())?;
            impersonation = user.impersonation()?;
            let identified = tls.identity.is_some() || !matches!(credential, Credential::None);
            if identified && server.scheme_str() == Some("http") {
                return Err(invalid(
                    &user.title,
                    "its credentials would travel unencrypted, since the server is an http:// one",
                ));
            }
        }
        let proxy = cluster.proxy(environment, &server)?;
        Ok(Config {
            server,
            default_namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            tls,
            credential,
            impersonation,
            proxy,
            disable_compression: cluster.value.disable_compression,
        })
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
    /// What a field holds that stands in the file (`<field>-data`, which wins, as it does for kubectl) or names another,
    /// which must be there. Its content is read by those who use it, since it changes.
    fn source(
        &self,
        field: &str,
        data: Option<&Secret>,
        path: Option<&str>,
        environment: &Environment,
    ) -> Result<Option<Source>, Error> {
        if let Some(data) = data {
            // In block scalars base64 is wrapped.
            let joined: Vec<u8> = data.expose().iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            let decoded = STANDARD.decode(joined);
            let decoded = decoded.map_err(|_| invalid(&self.title, format!("{field}-data is not base64")))?;
            return Ok(Some(Source::Inline(decoded.into())));
        }
        let Some(path) = path.map(|path| self.folder.join(path)) else { return Ok(None) };
        environment.read(&path)?;
        Ok(Some(Source::File(path)))
    }
}

#[cfg(test)]
mod tests;
