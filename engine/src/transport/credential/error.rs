//! Why there is no credential to send. No text here quotes what a file or a command says, for secrets stand there.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::super::Error;

/// Why there is no credential to send.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{from} is {problem}")]
    Token { from: String, problem: &'static str },
    #[error("cannot use what was read")]
    Unusable(#[source] Box<Error>),
    #[error("the command {} of the kubeconfig's exec was not found{}", command.display(), hinted(hint.as_deref()))]
    NotFound { command: PathBuf, hint: Option<String> },
    #[error("the command {} of the kubeconfig's exec cannot be run", command.display())]
    Run {
        command: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the command {} of the kubeconfig's exec needs a terminal to ask for something, and there is none", command.display())]
    NoTerminal { command: PathBuf },
    #[error("the command {} of the kubeconfig's exec ended with {status}{}", command.display(), hinted(hint.as_deref()))]
    Exit { command: PathBuf, status: ExitStatus, hint: Option<String> },
    #[error("the command {} of the kubeconfig's exec did not end within {limit:?}", command.display())]
    Late { command: PathBuf, limit: Duration },
    #[error("the command {} of the kubeconfig's exec {problem}", command.display())]
    Answer { command: PathBuf, problem: String },
    #[error("reading it went wrong in a way that it should not")]
    Panicked,
}

fn hinted(hint: Option<&str>) -> String {
    hint.map(|hint| format!(": {}", hint.trim())).unwrap_or_default()
}
