//! What goes wrong, in one line for whoever typed the command.

use std::io;

use engine::api;
use engine::object::chain;
use engine::transport;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No selector of labels.
    #[error("can't select by labels")]
    Selector(#[source] api::SelectorError),
    /// What can't be told in YAML.
    #[error("can't write YAML")]
    Yaml(#[source] serde_saphyr::SerializeError),
    /// No cluster to talk to.
    #[error("no usable configuration of a cluster")]
    Config(#[source] engine::config::Error),
    /// The cluster's certificates or keys can't be used.
    #[error("the configuration of the cluster can't be used")]
    Transport(#[source] transport::Error),
    /// The runtime can't be started.
    #[error("can't start")]
    Start(#[source] io::Error),
    /// The output was closed or is full.
    #[error("cannot write to the output")]
    Output(#[source] io::Error),
    /// The cluster has never heard of Applications.
    #[error("the cluster does not know Applications: its administrator has to install application-operator first")]
    Unknown,
    /// There is no such Application.
    #[error("application \"{name}\" not found in namespace {namespace}")]
    NotFound {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The server refuses it, for want of rights mostly; these are its words.
    #[error("{}", .0.message)]
    Refused(api::Status),
    /// The server can't be asked.
    #[error("can't {what}")]
    Unavailable {
        /// What was to be done.
        what: String,
        /// What went wrong.
        #[source]
        source: api::Error,
    },
    /// What was asked for can't be done as things are.
    #[error("{0}")]
    Impossible(String),
    /// It did not come to its end in time.
    #[error("timed out after {waited} waiting for the rollout of {name}: {last}")]
    TimedOut {
        /// How long it was waited for.
        waited: String,
        /// The Application.
        name: String,
        /// How far it is.
        last: String,
    },
    /// The rollout has failed.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// What came of a request to do `what`.
    pub fn of(what: impl Into<String>, source: api::Error) -> Self {
        match source.status() {
            Some(status) if !source.is_unavailable() && !status.message.is_empty() => Self::Refused(status.clone()),
            _ => Self::Unavailable { what: what.into(), source },
        }
    }

    /// All of it in a line, as kubectl begins such a line.
    pub fn line(&self) -> String {
        let prefix = match self {
            Self::Refused(status) if status.code == 403 => "error: forbidden",
            Self::Refused(_) => "error: refused by the server",
            _ => "error",
        };
        format!("{prefix}: {}", super::text::printable(&chain(self)))
    }
}
