//! The process: arguments in, exit code out.

use std::process::ExitCode;

use application_operator::args::{self, Command, Exit};
use application_operator::{manifests, run};

fn main() -> ExitCode {
    let done = args::parse(std::env::args_os()).and_then(|args| match args.command {
        Command::Run(args) => run::run(&args).map_err(|error| Exit::failed(&error)),
        Command::Manifests(to) => {
            manifests::deliver(&to.image, to.output_dir.as_deref()).map_err(|error| Exit::failed(&error))
        }
    });
    done.map_or_else(Exit::report, |()| ExitCode::SUCCESS)
}
