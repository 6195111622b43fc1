//! The process: arguments in, exit code out.

use std::process::ExitCode;

use application_operator::args::{self, Command, Exit};
use application_operator::{manifests, preview, run};

fn main() -> ExitCode {
    let failed = |error: &dyn std::error::Error| Exit::failed(error);
    let done = args::parse(std::env::args_os()).and_then(|args| match args.command {
        Command::Run(args) => run::run(&args).map(|()| ExitCode::SUCCESS).map_err(|error| failed(&error)),
        Command::Manifests(to) => {
            let pages = || manifests::deliver(&to.image, to.watch_secrets, to.output_dir.as_deref());
            let delivered = if to.reference { manifests::deliver_reference() } else { pages() };
            delivered.map(|()| ExitCode::SUCCESS).map_err(|error| failed(&error))
        }
        Command::Plan(args) => preview::preview(&args).map_err(|error| failed(&error)),
    });
    done.unwrap_or_else(Exit::report)
}
