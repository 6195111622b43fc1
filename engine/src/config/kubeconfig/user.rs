//! A kubeconfig's entry of a user: who sends requests, and in whose name.

use super::document::{Cluster, User};
use super::{Entry, invalid};
use crate::config::environment::Environment;
use crate::config::{Credential, Error, Identity, Impersonation, Login, Source};

impl Entry<User> {
    pub(super) fn identity(&self, environment: &Environment) -> Result<Option<Identity>, Error> {
        let user = &self.value;
        let (data, path) = (&user.client_certificate_data, &user.client_certificate);
        let chain = self.source("client-certificate", data.as_ref(), path.as_deref(), environment)?;
        let key = self.source("client-key", user.client_key_data.as_ref(), user.client_key.as_deref(), environment)?;
        match (chain, key) {
            (None, None) => Ok(None),
            (Some(certificate_chain), Some(key)) => Ok(Some(Identity { certificate_chain, key })),
            (Some(_), None) => Err(invalid(&self.title, "has a client-certificate but no client-key")),
            (None, Some(_)) => Err(invalid(&self.title, "has a client-key but no client-certificate")),
        }
    }

    /// A token file wins over a token, and whatever stands here over a command, as it does for kubectl.
    pub(super) fn credential(
        &self,
        cluster: &Entry<Cluster>,
        environment: &Environment,
        has_identity: bool,
    ) -> Result<Credential, Error> {
        let user = &self.value;
        if user.auth_provider {
            return Err(Error::Unsupported {
                entry: self.title.clone(),
                field: "auth-provider",
                instead: "Kubernetes 1.26 removed it; use exec with the provider's credential plugin",
            });
        }
        let token = match (&user.token_file, &user.token) {
            (Some(path), _) => Some(Source::File(self.folder.join(path))),
            (None, Some(token)) => Some(Source::Inline(token.clone())),
            (None, None) => None,
        };
        let login = match (&user.username, &user.password) {
            (None, None) => None,
            (Some(name), _) if name.contains(':') => {
                return Err(invalid(
                    &self.title,
                    "its username has a colon in it, which basic authentication cannot say",
                ));
            }
            (username, password) => Some(Login {
                username: username.clone().unwrap_or_default(),
                password: password.clone().unwrap_or_else(|| Vec::new().into()),
            }),
        };
        // Checked even where it isn't used, as kubectl does.
        let exec = user.exec.as_ref().map(|exec| self.exec(exec, cluster, environment)).transpose()?;
        match (token, login, exec) {
            (Some(_), Some(_), _) => {
                Err(invalid(&self.title, "has both a token and a username or password; only one is allowed"))
            }
            (Some(token), None, _) => Ok(Credential::Token(token)),
            (None, Some(login), _) => Ok(Credential::Basic(login)),
            (None, None, Some(exec)) if !has_identity => Ok(Credential::Exec(exec)),
            (None, None, _) => Ok(Credential::None),
        }
    }

    pub(super) fn impersonation(&self) -> Result<Option<Impersonation>, Error> {
        let user = &self.value;
        let groups = user.impersonated_groups.clone().unwrap_or_default();
        let extra: Vec<_> = user.impersonated_extra.clone().unwrap_or_default().into_iter().collect();
        let uid = user.impersonated_uid.clone();
        match &user.impersonated {
            Some(name) => Ok(Some(Impersonation { user: name.clone(), uid, groups, extra })),
            None if uid.is_some() || !groups.is_empty() || !extra.is_empty() => {
                Err(invalid(&self.title, "has as-uid, as-groups or as-user-extra without as"))
            }
            None => Ok(None),
        }
    }
}
