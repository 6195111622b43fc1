//! The places where a configuration may be found, and the order in which they are tried.
//!
//! All that is read from the process' surroundings passes through [`Environment`].

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Config, Error, kubeconfig, service_account};

/// Where Kubernetes mounts a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Reads a variable.
type Variable = Box<dyn Fn(&str) -> Option<OsString>>;
/// Reads a file.
type Read = Box<dyn Fn(&Path) -> io::Result<Vec<u8>>>;

/// Variables and files.
pub(super) struct Environment {
    variable: Variable,
    read: Read,
    /// The folder with the files `token`, `ca.crt` and `namespace`.
    pub(super) service_account: PathBuf,
}

impl Environment {
    /// Those of this process.
    pub(super) fn real() -> Self {
        Self::new(|name| env::var_os(name), |path| fs::read(path))
    }

    pub(super) fn new(
        variable: impl Fn(&str) -> Option<OsString> + 'static,
        read: impl Fn(&Path) -> io::Result<Vec<u8>> + 'static,
    ) -> Self {
        let (variable, read) = (Box::new(variable), Box::new(read));
        Self { variable, read, service_account: SERVICE_ACCOUNT.into() }
    }

    /// The value of a variable; one that is empty counts as not set.
    pub(super) fn variable(&self, name: &str) -> Option<OsString> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// The content of a file.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        (self.read)(path).map_err(|source| Error::Read { path: path.to_owned(), source })
    }
}

/// See [`Config::find`].
pub(super) fn find(environment: &Environment, explicit: Option<&Path>, context: Option<&str>) -> Result<Config, Error> {
    if let Some(path) = explicit {
        return kubeconfig::load(&[path.to_owned()], context, environment);
    }
    if let Some(list) = environment.variable("KUBECONFIG") {
        let files: Vec<_> = env::split_paths(&list).filter(|path| path != Path::new("")).collect();
        if !files.is_empty() {
            return kubeconfig::load(&files, context, environment);
        }
    }
    let mut tried = vec!["$KUBECONFIG (not set)".to_owned()];

    if context.is_some() {
        tried.push("the service account (it has no contexts, and one is asked for)".to_owned());
    } else {
        match service_account::config(environment) {
            Err(error) if error.is_absent() => tried.push(format!("the service account ({error})")),
            found => return found,
        }
    }

    let Some(home) = environment.variable("HOME") else {
        tried.push("~/.kube/config ($HOME is not set)".to_owned());
        return Err(Error::Nowhere { tried });
    };
    let path = Path::new(&home).join(".kube/config");
    match kubeconfig::load(std::slice::from_ref(&path), context, environment) {
        Err(Error::Read { path: unread, source }) if unread == path && source.kind() == io::ErrorKind::NotFound => {
            tried.push(format!("{} (no such file)", path.display()));
            Err(Error::Nowhere { tried })
        }
        found => found,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::Credential;

    /// An environment of exactly these variables and files.
    pub(crate) fn of(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Environment {
        let variables: HashMap<String, OsString> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
        let files: HashMap<PathBuf, Vec<u8>> =
            files.iter().map(|(path, text)| (path.into(), text.as_bytes().to_vec())).collect();
        Environment::new(
            move |name| variables.get(name).cloned(),
            move |path| files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into()),
        )
    }

    fn minimal(server: &str) -> String {
        format!(
            "current-context: here\n\
             contexts: [{{name: here, context: {{cluster: c}}}}, {{name: there, context: {{cluster: c}}}}]\n\
             clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n"
        )
    }

    const POD: [(&str, &str); 2] = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];

    fn host(config: &Config) -> &str {
        config.server.host().unwrap()
    }

    #[test]
    fn places_are_tried_in_order() {
        let (flag, listed, home) = (minimal("https://flag"), minimal("https://listed"), minimal("https://home"));
        let token = format!("{SERVICE_ACCOUNT}/token");
        let ca = format!("{SERVICE_ACCOUNT}/ca.crt");
        let files: [(&str, &str); 5] =
            [("/flag", &flag), ("/listed", &listed), ("/home/.kube/config", &home), (&token, "t"), (&ca, "pem")];
        let variables = [POD[0], POD[1], ("HOME", "/home"), ("KUBECONFIG", "/listed")];

        let all = of(&variables, &files);
        assert_eq!(host(&find(&all, Some(Path::new("/flag")), None).unwrap()), "flag");
        assert_eq!(host(&find(&all, None, None).unwrap()), "listed");

        let pod = of(&variables[..3], &files);
        assert_eq!(host(&find(&pod, None, None).unwrap()), "10.0.0.1");
        assert_eq!(host(&find(&pod, None, Some("there")).unwrap()), "home");

        let person = of(&variables[2..3], &files);
        assert_eq!(host(&find(&person, None, None).unwrap()), "home");
    }

    #[test]
    fn a_pod_without_a_token_falls_through_to_the_home_directory() {
        let home = minimal("https://home");
        let pod = of(&[POD[0], POD[1], ("HOME", "/home")], &[("/home/.kube/config", &home)]);
        assert_eq!(host(&find(&pod, None, None).unwrap()), "home");
    }

    #[test]
    fn finding_nothing_tells_every_place_that_was_tried() {
        let error = find(&of(&[("HOME", "/home")], &[]), None, None).unwrap_err();
        assert!(error.is_absent());
        let text = error.to_string();
        for place in ["$KUBECONFIG", "KUBERNETES_SERVICE_HOST", "/home/.kube/config"] {
            assert!(text.contains(place), "{place} in {text}");
        }
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there() {
        let home = minimal("https://home");
        let files = [("/home/.kube/config", &*home)];
        let typo = of(&[("HOME", "/home"), ("KUBECONFIG", "/typo")], &files);
        let error = find(&typo, None, None).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /typo");
        assert!(find(&typo, Some(Path::new("/other")), None).is_err());
    }

    #[test]
    fn files_are_merged_and_the_first_wins_for_each_name() {
        let first = "current-context: there\nclusters: [{name: c, cluster: {server: 'https://first'}}]";
        let second = minimal("https://second");
        let listed = of(&[("KUBECONFIG", "/a:/missing:/b")], &[("/a", first), ("/b", &second)]);
        let config = find(&listed, None, None).unwrap();
        assert_eq!(host(&config), "first");
        assert!(matches!(config.credential, Credential::None));
    }
}
