//! The command line: words and environment variables in, settings or an exit message out.
//!
//! Every setting of `run` is a flag and an environment variable, `APPLICATION_OPERATOR_` and the
//! flag's name; the flag wins. Neither files nor the network are touched here.

mod allowances;
mod election;
mod exit;
mod plan;
mod value;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use clap::{ArgAction, Parser, Subcommand, ValueEnum};

pub use self::allowances::Allowances;
pub use self::election::Election;
pub use self::exit::Exit;
pub(crate) use self::exit::{FAILED, MISUSED};
pub use self::plan::{Output, Plan};
pub use self::value::Address;
pub(crate) use self::value::{duration, namespace, object_name};
use crate::manifests;

/// How a line on standard error begins.
const PREFIX: &str = "application-operator: ";

/// Turns an Application into a running, reachable, healed application on Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "application-operator", version, disable_help_subcommand = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[allow(clippy::large_enum_variant)] // There is one, once.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the operator until it is told to stop
    Run(Run),
    /// Print the manifests that `kubectl apply -f` needs to run the operator in a cluster
    Manifests(Manifests),
    /// Print what the operator would do about the Applications in a file, and do nothing
    Plan(Plan),
}

/// Settings of `run`.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
pub struct Run {
    /// Kubeconfig file; where absent: `KUBECONFIG`, then the pod's service account, then
    /// ~/.kube/config
    #[arg(long, value_name = "PATH", env = "APPLICATION_OPERATOR_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig; where absent, its current one
    #[arg(long, value_name = "NAME", env = "APPLICATION_OPERATOR_CONTEXT")]
    pub context: Option<String>,

    /// Namespace to look after; may be repeated, or list several with commas; where absent, all
    #[arg(
        long = "namespace",
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = value::namespace,
        env = "APPLICATION_OPERATOR_NAMESPACE"
    )]
    pub namespaces: Vec<String>,

    /// Applications that are worked on at the same time
    //
    // Ten keep an API server busy without being noticed; past 1000 the queue is no longer what waits.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..=1000),
        env = "APPLICATION_OPERATOR_MAX_CONCURRENT_RECONCILES"
    )]
    pub max_concurrent_reconciles: u16,

    /// Applications whose pods are replaced at the same time where this version renders them otherwise than the last one; 0
    /// for no limit
    //
    // Few enough that pods which don't start are a nuisance and no outage; a fleet of a thousand, each a minute, takes two
    // hours.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, env = "APPLICATION_OPERATOR_MAX_CONCURRENT_RESTARTS")]
    pub max_concurrent_restarts: u16,

    /// Where metrics are served: IP:PORT, :PORT for all addresses, 0 for nowhere
    //
    // Metrics have no authentication, so they leave the machine only where somebody says so.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080",
        env = "APPLICATION_OPERATOR_METRICS_BIND_ADDRESS"
    )]
    pub metrics_bind_address: Address,

    /// Where /healthz and /readyz are served, in the same form
    //
    // The kubelet asks from outside the pod.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = ":8081",
        env = "APPLICATION_OPERATOR_HEALTH_PROBE_BIND_ADDRESS"
    )]
    pub health_probe_bind_address: Address,

    /// Where /debug/controllers is served, in the same form: what workers and caches do just now
    //
    // It has names of objects and no authentication, so that it is for this machine alone, where somebody asks for it.
    #[arg(long, value_name = "ADDRESS", default_value = "0", env = "APPLICATION_OPERATOR_DEBUG_BIND_ADDRESS")]
    pub debug_bind_address: Address,

    /// Which replica acts.
    #[command(flatten)]
    pub election: Election,

    /// What Applications may reach.
    #[command(flatten)]
    pub allowances: Allowances,

    /// Replace pods of Applications that ask for it when a Secret that they refer to changes, too; needs the role that
    /// `manifests --watch-secrets` prints
    #[arg(
        long,
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "APPLICATION_OPERATOR_WATCH_SECRETS"
    )]
    pub watch_secrets: bool,

    /// Form of the log on stderr
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t = LogFormat::Text,
        env = "APPLICATION_OPERATOR_LOG_FORMAT"
    )]
    pub log_format: LogFormat,

    /// What is logged: off, error, warn, info, debug, trace, or target=level,…
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        value_parser = value::log_level,
        env = "APPLICATION_OPERATOR_LOG_LEVEL"
    )]
    pub log_level: String,
}

/// Settings of `manifests`.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
pub struct Manifests {
    /// Image that the operator's Deployment runs
    #[arg(
        long,
        value_name = "REFERENCE",
        default_value = manifests::IMAGE,
        value_parser = NonEmptyStringValueParser::new(),
        env = "APPLICATION_OPERATOR_IMAGE"
    )]
    pub image: String,

    /// Let the operator read Secrets, and tell it to look at those that Applications refer to
    #[arg(
        long,
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "APPLICATION_OPERATOR_WATCH_SECRETS"
    )]
    pub watch_secrets: bool,

    /// Write one file each into this folder instead of printing
    #[arg(long, value_name = "DIR", env = "APPLICATION_OPERATOR_OUTPUT_DIR")]
    pub output_dir: Option<PathBuf>,

    /// Print the page on every field of an Application, docs/reference.md, instead
    #[arg(long, conflicts_with = "output_dir")]
    pub reference: bool,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// Reads the words of a command line, the first of which is the program's name.
///
/// # Errors
///
/// If they make no sense, or ask for help or the version.
pub fn parse<I>(words: I) -> Result<Args, Exit>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    // Where 2 says that something would change, it can't say this as well.
    let code = if words.get(1).is_some_and(|word| word == "plan") { FAILED } else { MISUSED };
    let mut args = Args::try_parse_from(words).map_err(|error| match Exit::of(&error, PREFIX) {
        Exit { message, code: MISUSED } => Exit { message, code },
        help => help,
    })?;
    if let Command::Run(run) = &mut args.command {
        // An empty variable is how a manifest says "nothing special".
        run.namespaces.retain(|namespace| !namespace.is_empty());
        run.namespaces.sort_unstable();
        run.namespaces.dedup();
        let Election { leader_elect_resource_namespace: namespace, .. } = &mut run.election;
        *namespace = namespace.take().filter(|namespace| !namespace.is_empty());
        run.election.timing().map_err(|error| Exit::misused(&error))?;
    }
    Ok(args)
}

#[cfg(test)]
mod tests;
