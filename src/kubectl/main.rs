//! The plugin's process: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    application_operator::kubectl::run(std::env::args_os())
}
