//! Users, their tokens, and the files that tell the API server and its clients about them.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The user that may do everything.
pub(crate) const ADMIN: &str = "admin";

/// A user that proves who it is by a token.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) token: String,
}

impl User {
    /// Makes a user with a token that others on this machine can't guess: the port is open to them.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let mut random = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let mut token = String::new();
        for byte in random {
            // Writing to a string can't fail.
            let _ = write!(token, "{byte:02x}");
        }
        Ok(Self { name: name.to_owned(), token })
    }

    /// Where its kubeconfig is in the cluster's folder.
    pub(crate) fn kubeconfig(&self) -> String {
        if self.name == ADMIN { "kubeconfig".into() } else { format!("kubeconfig-{}", self.name) }
    }
}

/// The content of the API server's `--token-auth-file`: token, user, uid, groups.
pub(crate) fn tokens(users: &[User]) -> String {
    users.iter().fold(String::new(), |mut file, User { name, token }| {
        let groups = if name == ADMIN { ",system:masters" } else { "" };
        let _ = writeln!(file, "{token},{name},{name}{groups}");
        file
    })
}

/// A kubeconfig that needs no other file, so that it can be copied anywhere.
///
/// `certificate` is the API server's own one in PEM, with the authority that it made to sign it.
pub(crate) fn render(server: &str, certificate: &str, user: &User) -> String {
    let User { name, token } = user;
    let authority = STANDARD.encode(certificate);
    format!(
        "\
apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: {name}
  user:
    token: {token}
contexts:
- name: local
  context:
    cluster: local
    user: {name}
current-context: local
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> User {
        User { name: name.into(), token: format!("{name}-token") }
    }

    #[test]
    fn only_admin_is_in_a_group() {
        assert_eq!(
            tokens(&[user(ADMIN), user("limited")]),
            "admin-token,admin,admin,system:masters\nlimited-token,limited,limited\n"
        );
    }

    #[test]
    fn a_kubeconfig_holds_the_certificate_and_the_token() {
        let config = render("https://127.0.0.1:1", "PEM", &user("limited"));
        assert!(config.contains("    server: https://127.0.0.1:1\n"));
        assert!(config.contains("    certificate-authority-data: UEVN\n"));
        assert!(config.contains("    token: limited-token\n"));
    }

    #[test]
    fn tokens_are_random() {
        let (first, second) = (User::new("a").unwrap(), User::new("a").unwrap());
        assert_eq!(first.token.len(), 32);
        assert_ne!(first.token, second.token);
    }
}
