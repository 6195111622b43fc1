//! How the sender of a request says who it is, beside a client certificate.

use std::fmt;
use std::path::PathBuf;

use super::{Login, Secret, Source};

/// What identifies the sender of a request, beside a client certificate.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Credential {
    /// Nothing.
    #[default]
    None,
    /// A bearer token.
    Token(Source),
    /// A name and a password.
    Basic(Login),
    /// A command that tells a token, a client certificate, or both.
    Exec(Exec),
}

/// A command that is run for a credential (`client.authentication.k8s.io`).
#[derive(Clone)]
pub struct Exec {
    /// The version of the protocol that the command speaks.
    pub version: ExecVersion,
    /// The program: a path, or a name that is looked for in `$PATH`.
    pub command: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables that it sees beside those of this process.
    pub env: Vec<(String, Secret)>,
    /// What to tell a person who does not have the program.
    pub install_hint: Option<String>,
    /// Whether it may ask a person something.
    pub interactive: ExecInteractive,
    /// What it is told of the cluster, as the protocol's `spec.cluster`; absent unless it wants to be told.
    pub cluster: Option<serde_json::Value>,
}

/// A version of `client.authentication.k8s.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecVersion {
    /// `v1beta1`.
    V1Beta1,
    /// `v1`.
    V1,
}

/// Whether a command may use this process' standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecInteractive {
    /// It does not ask.
    Never,
    /// It asks if that is a terminal.
    IfAvailable,
    /// It can't do without.
    Always,
}

impl ExecVersion {
    /// As it stands in `apiVersion`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1Beta1 => "client.authentication.k8s.io/v1beta1",
            Self::V1 => "client.authentication.k8s.io/v1",
        }
    }
}

impl fmt::Debug for Exec {
    /// Arguments may hold secrets: only their number is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, command, args, env, interactive, .. } = self;
        let names: Vec<&str> = env.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Exec")
            .field("version", version)
            .field("command", command)
            .field("args", &args.len())
            .field("env", &names)
            .field("interactive", interactive)
            .finish_non_exhaustive()
    }
}
