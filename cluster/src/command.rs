//! The command line: clusters that outlive the command that starts them, each under a name.
//!
//! Only what a program may want to read goes to stdout; all else is said on stderr.

mod arguments;
mod down;
mod status;
mod up;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::assets::Assets;
use crate::running::chain;
use crate::{assets, folder, start};
use arguments::Action;

/// A command failed; the line on stderr says why.
const FAILED: u8 = 1;
/// The command line makes no sense.
const USAGE: u8 = 2;
/// This machine lacks what a cluster needs. `build` uses the same number.
const LACKING: u8 = 3;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line makes no sense.
    #[error("{0}\n{usage}", usage = arguments::USAGE)]
    Usage(String),
    /// The cluster did not start.
    #[error(transparent)]
    Start(#[from] start::Error),
    /// The process that holds the cluster did not live.
    #[error("cluster {name} did not start; {} says:\n{tail}", log.display())]
    Supervisor {
        /// The cluster.
        name: String,
        /// What its process has said.
        log: PathBuf,
        /// The end of that.
        tail: String,
    },
    /// Whoever holds it was asked to end it, and did not.
    #[error("cluster {0} does not end; was it started by `cluster up`?")]
    Stays(String),
    /// A file or a process.
    #[error("cannot {0}")]
    Io(String, #[source] io::Error),
}

impl Error {
    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Start(error) if error.why_not().is_some() => LACKING,
            _ => FAILED,
        }
    }
}

impl From<folder::Error> for Error {
    fn from(error: folder::Error) -> Self {
        Self::Start(error.into())
    }
}

impl From<assets::Error> for Error {
    fn from(error: assets::Error) -> Self {
        Self::Start(error.into())
    }
}

/// Runs the command that `arguments` are, and says on stderr why it failed if it does.
pub fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    match arguments::parse(arguments).and_then(act) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("cluster: {}", chain(&error)));
            ExitCode::from(error.code())
        }
    }
}

fn act(action: Action) -> Result<(), Error> {
    match action {
        Action::Up(options) => up::up(&options),
        Action::Run(options) => up::hold(options),
        Action::Down(which) => down::down(&which),
        Action::Status => status::status(),
        Action::Build => print(&Assets::find()?.folder().display()),
        Action::Help => print(&arguments::USAGE),
    }
}

fn print(line: &dyn Display) -> Result<(), Error> {
    writeln!(io::stdout(), "{line}").map_err(|error| Error::Io("print".into(), error))
}

fn say(line: &str) {
    // There is nobody left to tell if it fails.
    let _ = writeln!(io::stderr(), "{line}");
}
