//! Why there is no configuration, in words for the person who has to mend it.

use std::io;
use std::path::PathBuf;

/// Why there is no configuration.
///
/// `Display` is one line and names the file and the entry; an operating system's reason is the
/// [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },

    /// A file is no YAML, or YAML of another form than a kubeconfig's.
    ///
    /// The parser's own message is left out, because it may quote what stands there, and secrets stand there.
    #[error("{} is not a kubeconfig: see line {line}, column {column}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1; 0 where unknown.
        line: u64,
        /// Column, from 1; 0 where unknown.
        column: u64,
    },

    /// No context was asked for, and no file has a current one.
    #[error("{files} has no current-context; its contexts are: {contexts}")]
    NoContext {
        /// The files that were read.
        files: String,
        /// The contexts to choose from, or `none`.
        contexts: String,
    },

    /// A name refers to nothing.
    #[error("{wanted_by} names the {kind} {name:?}, which {files} does not have")]
    Unknown {
        /// What is looked for: context, cluster or user.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where that name comes from.
        wanted_by: String,
        /// The files that were read.
        files: String,
    },

    /// A file asks for something that this client cannot do.
    #[error("{entry} uses {field}, which is not supported: {instead}")]
    Unsupported {
        /// Which cluster or user, in which file.
        entry: String,
        /// The field.
        field: &'static str,
        /// What to do.
        instead: &'static str,
    },

    /// An entry contradicts itself, lacks something, or holds what cannot be decoded.
    #[error("{entry}: {problem}")]
    Invalid {
        /// Which cluster or user, in which file.
        entry: String,
        /// What is wrong.
        problem: String,
    },

    /// The process does not run in a pod.
    #[error("not in a cluster: the environment variable {variable} is not set")]
    NotInCluster {
        /// The variable that a pod would have.
        variable: &'static str,
    },

    /// There is no configuration in any of the usual places.
    #[error("no cluster is configured; tried: {}", tried.join("; "))]
    Nowhere {
        /// The places, each with the reason why it did not serve.
        tried: Vec<String>,
    },
}

impl Error {
    /// Returns true if nothing was configured, rather than something wrong.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::NotInCluster { .. } | Self::Nowhere { .. } => true,
            Self::Read { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}
