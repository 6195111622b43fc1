//! Settings of `plan`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use super::allowances::Allowances;
use super::value;

/// What `plan --help` says at its end.
const AFTER_HELP: &str = "Nothing is written to the cluster: it is asked by reads and by trials (dryRun=All) alone.\n\n\
    Exit codes: 0 nothing would change, 2 something would, 1 something is in the way (and unlike elsewhere, also that the \
    command line makes no sense)";

/// Settings of `plan`.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(after_help = AFTER_HELP)]
pub struct Plan {
    /// File or folder with Applications, - for standard input; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Ask no cluster: show what would be created where there is nothing
    #[arg(long)]
    pub offline: bool,

    /// Form of what is printed
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    pub output: Output,

    /// Namespace of those Applications that name none; where absent, the context's own
    #[arg(short, long, value_name = "NAME", value_parser = value::namespace)]
    pub namespace: Option<String>,

    /// Kubeconfig file; where absent: `KUBECONFIG`, then the pod's service account, then ~/.kube/config
    #[arg(long, value_name = "PATH", env = "APPLICATION_OPERATOR_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig; where absent, its current one
    #[arg(long, value_name = "NAME", env = "APPLICATION_OPERATOR_CONTEXT")]
    pub context: Option<String>,

    /// Take it that Applications are applied by `kubectl apply --server-side --force-conflicts`, or by a tool that does the
    /// same; where absent, by `kubectl apply`
    #[arg(long)]
    pub server_side: bool,

    /// Who applies the Applications, with --server-side
    #[arg(long, value_name = "NAME", default_value = "kubectl", requires = "server_side")]
    pub field_manager: String,

    /// What the operator was told to allow.
    #[command(flatten)]
    pub allowances: Allowances,
}

/// Form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Differences and a summary for people
    Text,
    /// One JSON document
    Json,
}
