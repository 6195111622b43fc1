//! The command line of `kubectl application`: words in, a command or a message out. Flags are called as kubectl's own are.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::args::{Exit, namespace, object_name};

/// What kubectl takes before a name in place of a space.
const TYPES: [&str; 4] = ["application", "applications", "mapp", "applications.minetto.dev"];

/// See and steer Applications: their children as a live tree, their revisions, rollbacks, pauses, the logs of what fails.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "kubectl application", bin_name = "kubectl application", version, disable_help_subcommand = true)]
pub struct Args {
    /// Which cluster, and where in it.
    #[command(flatten)]
    pub place: Place,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which cluster, and where in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Parser)]
pub struct Place {
    /// Namespace; where absent, the context's own
    #[arg(short, long, value_name = "NAME", value_parser = namespace, global = true)]
    pub namespace: Option<String>,

    /// Context of the kubeconfig; where absent, its current one
    #[arg(long, value_name = "NAME", global = true)]
    pub context: Option<String>,

    /// Kubeconfig file; where absent, `KUBECONFIG`, then ~/.kube/config
    #[arg(long, value_name = "PATH", global = true)]
    pub kubeconfig: Option<PathBuf>,

    /// User to act as
    #[arg(long = "as", value_name = "USER", global = true)]
    pub impersonate: Option<String>,

    /// Group to act as; may be repeated
    #[arg(long = "as-group", value_name = "GROUP", requires = "impersonate", global = true)]
    pub groups: Vec<String>,
}

/// What can be done.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Show an Application and all that belongs to it, as a tree
    Status(Status),
    /// List Applications, and how each is
    #[command(alias = "ls")]
    List(List),
    /// Show the revisions of an Application, and what each has changed
    History(History),
    /// Run an earlier revision in place of what the spec says, or end that
    #[command(alias = "undo")]
    Rollback(Rollback),
    /// Hold changes of the pods back
    Pause(Target),
    /// Roll out what was held back
    Resume(Target),
    /// Print the log of the container that fails
    #[command(alias = "log")]
    Logs(Logs),
}

/// Arguments of `status`.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
pub struct Status {
    /// The Application
    #[arg(value_parser = application)]
    pub name: String,

    /// Go on until the latest spec is rolled out, or has failed, which is exit code 1
    #[arg(short, long)]
    pub watch: bool,

    /// How long to go on at most, such as 5m; 0 for as long as it takes
    #[arg(long, value_name = "DURATION", value_parser = timeout, default_value = "0", requires = "watch")]
    pub timeout: Duration,

    /// Form of what is printed; with --watch, one line of JSON for each change
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    pub output: Option<Output>,
}

/// Arguments of `list`.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
pub struct List {
    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,

    /// Only those with these labels, as kubectl takes them
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,

    /// Form of what is printed
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    pub output: Option<Output>,
}

/// Arguments of `history`.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
pub struct History {
    /// The Application
    #[arg(value_parser = application)]
    pub name: String,

    /// Show the pod template of this revision
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
    pub revision: Option<i64>,

    /// Form of what is printed
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    pub output: Option<Output>,
}

/// Arguments of `rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
pub struct Rollback {
    /// What it is about.
    #[command(flatten)]
    pub target: Target,

    /// Number of the revision, as `history` has it; 0 to run what the spec says again; where absent, the last good one
    /// before that which runs
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(0..))]
    pub to_revision: Option<i64>,
}

/// What is changed, and whether.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
pub struct Target {
    /// The Application
    #[arg(value_parser = application)]
    pub name: String,

    /// Let the server check it, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `logs`.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
pub struct Logs {
    /// The Application
    #[arg(value_parser = application)]
    pub name: String,

    /// Go on as the container writes more
    #[arg(short, long)]
    pub follow: bool,

    /// Lines from the end; -1 for all
    #[arg(long, value_name = "LINES", default_value_t = -1, allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-1..))]
    pub tail: i64,

    /// The log of the container before this one; where absent, that is chosen which tells why it fails
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub previous: Option<bool>,

    /// Begin each line with its time
    #[arg(long)]
    pub timestamps: bool,
}

/// Form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// JSON, for programs
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
    I::Item: Into<OsString> + Clone,
{
    Args::try_parse_from(words).map_err(|error| Exit::of(&error, "error: "))
}

/// Takes a name as kubectl does, with its type before it or without.
fn application(text: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        Some((kind, name)) if TYPES.contains(&kind.to_lowercase().as_str()) => name,
        Some((kind, _)) => return Err(format!("{kind} is no Application; give its name, or application/NAME")),
        None => text,
    };
    object_name(name).map_err(str::to_owned)
}

/// Takes a duration as Go's programs do, 0 included.
fn timeout(text: &str) -> Result<Duration, &'static str> {
    if text == "0" { Ok(Duration::ZERO) } else { crate::args::duration(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::MISUSED;

    fn told(line: &str) -> Result<Args, Exit> {
        parse(["kubectl-application"].into_iter().chain(line.split_whitespace()))
    }

    #[test]
    fn flags_stand_where_kubectl_has_them() {
        let args = told("status application/shop -n demo --watch --timeout=90s --context a").unwrap();
        assert_eq!((args.place.namespace.as_deref(), args.place.context.as_deref()), (Some("demo"), Some("a")));
        let Command::Status(status) = args.command else { panic!("{args:?}") };
        assert_eq!((&*status.name, status.watch, status.timeout), ("shop", true, Duration::from_secs(90)));
        let args = told("-n demo rollback shop --to-revision=0 --dry-run").unwrap();
        let Command::Rollback(rollback) = args.command else { panic!("{args:?}") };
        assert_eq!((rollback.to_revision, rollback.target.dry_run), (Some(0), true));
        let Command::Logs(logs) = told("logs shop -p --tail -1").unwrap().command else { panic!("logs") };
        assert_eq!((logs.previous, logs.tail), (Some(true), -1));
    }

    #[test]
    fn what_makes_no_sense_is_told_in_a_line() {
        for (line, words) in [
            ("status", "were not provided: <NAME>"),
            ("status Shop", "a name has lower-case letters"),
            ("status deployment/shop", "deployment is no Application"),
            ("status shop --timeout 5m", "--watch"),
            ("status shop --watch --timeout soon", "must be a duration"),
            ("list -A -n demo", "cannot be used with"),
            ("rollback shop --to-revision=-1", "-1 is not in 0.."),
            ("statsu shop", "tip: a similar subcommand exists: 'status'"),
            ("list -o yaml", "possible values: json"),
        ] {
            let Err(exit) = told(line) else { panic!("{line} is taken") };
            assert!(exit.message.contains(words) && exit.code == MISUSED, "{line}: {}", exit.message);
            assert_eq!(exit.message.trim_end().lines().count(), 1, "{}", exit.message);
        }
    }

    #[test]
    fn help_is_there_for_each_command_and_is_no_error() {
        for command in ["", "status", "list", "history", "rollback", "pause", "resume", "logs"] {
            let Err(exit) = told(&format!("{command} -h")) else { panic!("{command}") };
            assert!(exit.code == 0 && exit.message.contains("Usage: kubectl application"), "{}", exit.message);
        }
    }
}
