//! How a process ends: what is told, and the exit code.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::ErrorKind;
use engine::object;

use super::PREFIX;

/// Exit code of a command that failed while it ran.
pub(crate) const FAILED: u8 = 1;

/// Exit code for arguments that make no sense, as shells and clap have it.
pub(crate) const MISUSED: u8 = 2;

/// Why the process ends before or instead of running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// What to tell; ends in a line break.
    pub message: String,
    /// The exit code; 0 for help and version, which go to stdout.
    pub code: u8,
}

impl Exit {
    /// What came of a command line that is no command: help, or one line that begins with `prefix`.
    pub(crate) fn of(error: &clap::Error, prefix: &str) -> Self {
        let text = error.render().to_string();
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Self { message: text, code: 0 },
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Self { message: text, code: MISUSED },
            _ => Self { message: one_line(&text, prefix), code: MISUSED },
        }
    }

    /// A command of the operator failed; one line tells why, down to the first cause.
    pub fn failed(error: &dyn Error) -> Self {
        Self::problem(&object::chain(error))
    }

    /// Settings that are good one by one and not together; one line tells why.
    pub(super) fn misused(error: &dyn Error) -> Self {
        let message = format!("{PREFIX}{}; see --help\n", object::chain(error));
        Self { message, code: MISUSED }
    }

    /// Something is in the way, as this line tells.
    pub fn problem(line: &str) -> Self {
        Self { message: format!("{PREFIX}{line}\n"), code: FAILED }
    }

    /// Tells it and returns the exit code.
    pub fn report(self) -> ExitCode {
        // Nobody is left to be told that the output is closed.
        let _ = if self.code == 0 {
            io::stdout().write_all(self.message.as_bytes())
        } else {
            io::stderr().write_all(self.message.as_bytes())
        };
        ExitCode::from(self.code)
    }
}

/// clap's many lines as one, which is all that a log of crashed containers shows.
fn one_line(text: &str, prefix: &str) -> String {
    let said = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .take_while(|line| !line.starts_with("Usage:"));
    let mut message = prefix.to_owned();
    for (index, line) in said.enumerate() {
        if index > 0 {
            message.push_str(if line.starts_with("tip:") { "; " } else { " " });
        }
        message.push_str(line.strip_prefix("error: ").unwrap_or(line));
    }
    message.push_str("; see --help\n");
    message
}
