//! `plan`: files with Applications in, what the operator would do about them out. Nothing is written to any cluster.
//!
//! What the operator wishes is asked of the same [`plan`](crate::plan) as in [`reconcile`](crate::reconcile); what the
//! API server makes of it, the server is asked itself, by trials that it does not keep.

pub mod course;
pub mod diff;
pub mod effect;
pub mod forecast;
pub mod input;
pub mod live;
pub mod report;
pub mod schema;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use engine::config::Config;
use engine::transport;
use futures_util::future::join_all;

use self::forecast::Forecast;
use self::input::Input;
use self::live::{Cluster, Manner};
use self::report::Report;
use crate::args::{Exit, Output, Plan};
use crate::log;
use crate::observe::Namespace;
use crate::run::FIELD_MANAGER;

/// Exit code where something would change, as `terraform plan -detailed-exitcode` has it.
const CHANGES: u8 = 2;

/// Exit code where something is in the way.
const PROBLEMS: u8 = 1;

/// Applications that are asked about at the same time. Each is some ten requests one after the other.
const AT_ONCE: usize = 8;

/// What files in a folder end with that are read, as kubectl has it.
const ENDINGS: [&str; 3] = ["json", "yaml", "yml"];

/// Stands for standard input.
const STDIN: &str = "-";

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file can't be read.
    #[error("cannot read {file}")]
    Read {
        /// The file, or what stands for standard input.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// A folder has no file that is read.
    #[error("{} has no file that ends in .yaml, .yml or .json", .0.display())]
    EmptyFolder(PathBuf),
    /// What stands in a file is of no use.
    #[error(transparent)]
    Input(#[from] input::Error),
    /// No cluster to talk to.
    #[error("no usable configuration of a cluster; --offline plans without one")]
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
}

/// Prints what would become of the Applications in the files that `args` names. Returns 0 if nothing would change, 2 if
/// something would, and 1 if something is in the way, which is then told on standard error.
///
/// # Errors
///
/// Any [`Error`]; nothing is printed then.
pub fn preview(args: &Plan) -> Result<ExitCode, Error> {
    let texts = texts(&args.files)?;
    let mut input = Input::read(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))?;
    let allowed = args.allowances.allowed();
    let forecasts = if args.offline {
        input.settle_namespaces(args.namespace.as_deref(), "default")?;
        let enforces = |name: &str| input.namespaces.get(name).is_some_and(Namespace::enforces_restricted);
        let applications = input.applications.iter();
        applications.map(|given| Forecast::offline(given, &allowed, enforces(&given.key.namespace))).collect()
    } else {
        log::warnings();
        let config = Config::find(args.kubeconfig.as_deref(), args.context.as_deref()).map_err(Error::Config)?;
        input.settle_namespaces(args.namespace.as_deref(), &config.default_namespace)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Start)?;
        runtime.block_on(async {
            let cluster = cluster(args, &config)?;
            let mut forecasts = Vec::new();
            for some in input.applications.chunks(AT_ONCE) {
                let asked = some.iter().map(|given| cluster.forecast(given, &input.namespaces, &allowed));
                forecasts.extend(join_all(asked).await);
            }
            Ok::<_, Error>(forecasts)
        })?
    };
    let report = Report::new(forecasts, input.skipped);
    let mut out = anstream::stdout().lock();
    let written = match args.output {
        Output::Text => report.text(&mut out),
        Output::Json => report.json(&mut out),
    };
    match written {
        // The reader has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.map_err(Error::Output)?,
    }
    for problem in report.problems() {
        let _ = Exit::problem(&problem).report();
    }
    Ok(match (report.summary.problems, report.summary.changes) {
        (0, false) => ExitCode::SUCCESS,
        (0, true) => CHANGES.into(),
        _ => PROBLEMS.into(),
    })
}

fn cluster(args: &Plan, config: &Config) -> Result<Cluster, Error> {
    let user_agent = format!("{FIELD_MANAGER}/{} plan", env!("CARGO_PKG_VERSION"));
    let options = transport::Options::default().user_agent(user_agent);
    let service = transport::connect_with(config, options).map_err(Error::Transport)?;
    // It is needed until the process ends.
    let manager: &'static str = args.field_manager.clone().leak();
    let manner = if args.server_side { Manner::ServerSide } else { Manner::ClientSide };
    Ok(Cluster::new(service, manager, manner))
}

/// Names and contents of the files; of a folder, those that stand right in it.
fn texts(files: &[PathBuf]) -> Result<Vec<(String, String)>, Error> {
    let mut texts = Vec::new();
    for path in files {
        let name = path.display().to_string();
        if name == STDIN {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text);
            read.map_err(|source| Error::Read { file: "standard input".to_owned(), source })?;
            texts.push(("standard input".to_owned(), text));
            continue;
        }
        let unread = |source| Error::Read { file: name.clone(), source };
        if path.is_dir() {
            let listed = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unread)?;
            let mut members: Vec<PathBuf> =
                listed.into_iter().map(|entry| entry.path()).filter(|path| is_read(path)).collect();
            if members.is_empty() {
                return Err(Error::EmptyFolder(path.clone()));
            }
            members.sort();
            texts.extend(self::texts(&members)?);
        } else {
            texts.push((name.clone(), fs::read_to_string(path).map_err(unread)?));
        }
    }
    Ok(texts)
}

fn is_read(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}
