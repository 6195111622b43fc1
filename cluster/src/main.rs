//! The command line: `cluster up`, `cluster down` and so on.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    cluster::command::run(env::args().skip(1))
}
