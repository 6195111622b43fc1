//! Reads the command line. Pure.

use super::Error;
use crate::{Components, Options};

pub(crate) const USAGE: &str = "\
usage: cluster up [--name NAME] [--nodes N] [--components full|api]
       cluster down [--name NAME | --all]
       cluster status
       cluster build";

/// The name of a cluster whose user has none in mind.
pub(crate) const NAME: &str = "default";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a cluster that stays, unless it is there.
    Up(Options),
    /// Be the process that holds it.
    Run(Options),
    /// Stop clusters.
    Down(Which),
    /// List clusters.
    Status,
    /// Build the programs.
    Build,
    /// Say how to use this.
    Help,
}

/// Which clusters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those that `cluster up` has started.
    All,
    /// One.
    Named(String),
}

pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Action, Error> {
    let Some(command) = arguments.next() else {
        return Err(Error::Usage("which command?".into()));
    };
    let action = match command.as_str() {
        "up" => return Ok(Action::Up(options(arguments)?)),
        "run" => return Ok(Action::Run(options(arguments)?)),
        "down" => return Ok(Action::Down(which(arguments)?)),
        "status" => Action::Status,
        "build" => Action::Build,
        "help" | "--help" | "-h" => Action::Help,
        _ => return Err(Error::Usage(format!("there is no command {command:?}"))),
    };
    match arguments.next() {
        Some(argument) => Err(unknown(&argument)),
        None => Ok(action),
    }
}

/// Turns options back into the command line that [`parse`] reads.
pub(crate) fn render(command: &str, options: &Options) -> Vec<String> {
    let components = match options.components {
        Components::Full => "full",
        Components::ApiOnly => "api",
    };
    let nodes = options.nodes.to_string();
    let words = [command, "--name", name(options), "--nodes", &nodes, "--components", components];
    words.map(str::to_owned).into()
}

pub(crate) fn name(options: &Options) -> &str {
    options.name.as_deref().unwrap_or(NAME)
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, Error> {
    let mut options = Options { name: Some(NAME.to_owned()), ..Options::default() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--name" => options.name = Some(value(&argument, arguments.next())?),
            "--nodes" => {
                let number = value(&argument, arguments.next())?;
                options.nodes =
                    number.parse().map_err(|_| Error::Usage(format!("{number:?} is no number of nodes")))?;
            }
            "--components" => {
                options.components = match value(&argument, arguments.next())?.as_str() {
                    "full" => Components::Full,
                    "api" => Components::ApiOnly,
                    other => return Err(Error::Usage(format!("{other:?} is neither full nor api"))),
                };
            }
            _ => return Err(unknown(&argument)),
        }
    }
    Ok(options)
}

fn which(mut arguments: impl Iterator<Item = String>) -> Result<Which, Error> {
    let mut which = Which::Named(NAME.to_owned());
    while let Some(argument) = arguments.next() {
        which = match argument.as_str() {
            "--all" => Which::All,
            "--name" => Which::Named(value(&argument, arguments.next())?),
            _ => return Err(unknown(&argument)),
        };
    }
    Ok(which)
}

fn value(name: &str, value: Option<String>) -> Result<String, Error> {
    value.ok_or_else(|| Error::Usage(format!("{name} needs a value")))
}

fn unknown(argument: &str) -> Error {
    Error::Usage(format!("there is no argument {argument:?} here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Action, Error> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_survive_being_rendered_for_the_supervisor() {
        for line in ["up", "up --name blue --nodes 3 --components api"] {
            let Ok(Action::Up(options)) = read(line) else { panic!("{line}") };
            let run = parse(render("run", &options).into_iter()).unwrap();
            assert_eq!(run, Action::Run(options));
        }
    }

    #[test]
    fn down_stops_the_default_cluster_unless_told_otherwise() {
        let named = |name: &str| Action::Down(Which::Named(name.into()));
        assert_eq!(read("down").unwrap(), named("default"));
        assert_eq!(read("down --name blue").unwrap(), named("blue"));
        assert_eq!(read("down --all").unwrap(), Action::Down(Which::All));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["", "fly", "up --nodes many", "up --name", "status now", "up --components no"] {
            assert!(matches!(read(line), Err(Error::Usage(_))), "{line}");
        }
    }
}
