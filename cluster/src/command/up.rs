//! `cluster up`: starts a process that holds a cluster, and says how to use the cluster.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{Error, arguments, print, say};
use crate::assets::Assets;
use crate::folder::{self, runs};
use crate::process::tail;
use crate::start::READY;
use crate::{Cluster, Options};

/// The file that `cluster down` makes to ask for the end. A signal would need a process id, which
/// another process may have by then.
pub(crate) const STOP: &str = "stop";

/// Unnoticed by whoever waits, and next to nothing for a process that does it all day.
pub(crate) const POLL: Duration = Duration::from_millis(100);

/// Starts the cluster unless it runs, and waits until it is ready.
pub(crate) fn up(options: &Options) -> Result<(), Error> {
    let name = arguments::name(options);
    folder::check_name(name)?;
    // Here, where its progress can be seen.
    let assets = Assets::find()?;
    assets.require(options.components.list())?;

    let runs = runs();
    let folder = runs.join(name);
    let _turn = wait_for_turn(&runs, name)?;
    let mut supervisor = None;
    while !is_ready(&folder) {
        match &mut supervisor {
            Some(supervisor) => check(supervisor, &runs, name)?,
            None if folder::is_locked(&folder) => {} // It is starting or ending.
            None => supervisor = Some(spawn(&runs, name, options)?),
        }
        thread::sleep(POLL);
    }

    let server = fs::read_to_string(folder.join(READY)).unwrap_or_default();
    let down = match name {
        arguments::NAME => "make cluster-down".to_owned(),
        _ => format!("cargo run --package cluster -- down --name {name}"),
    };
    say(&format!("cluster {name} is up at {server}, with its logs in {}", folder.display()));
    say(&format!("kubectl:  export PATH={}:\"$PATH\"", quote(assets.folder())));
    say(&format!("to stop:  {down}"));
    print(&format!("export KUBECONFIG={}", quote(&folder.join("kubeconfig"))))
}

/// Is the process that [`up`] starts: holds the cluster until asked to stop.
pub(crate) fn hold(options: Options) -> Result<(), Error> {
    let cluster = Cluster::start(options)?;
    let folder = cluster.folder().to_owned();
    // If somebody removes all that was built, the cluster can't be asked any more.
    while folder.exists() && !folder.join(STOP).exists() {
        thread::sleep(POLL);
    }
    cluster.stop();
    Ok(())
}

/// Whether the cluster can be used.
pub(crate) fn is_ready(folder: &Path) -> bool {
    folder.join(READY).exists() && !folder.join(STOP).exists() && folder::is_locked(folder)
}

/// Of two that want the same cluster, the second one finds that of the first.
fn wait_for_turn(runs: &Path, name: &str) -> Result<File, Error> {
    let path = runs.join(format!("{name}.up"));
    fs::create_dir_all(runs)
        .and_then(|()| File::create(&path))
        .and_then(|turn| turn.lock().map(|()| turn))
        .map_err(|error| Error::Io(format!("lock {}", path.display()), error))
}

fn spawn(runs: &Path, name: &str, options: &Options) -> Result<Child, Error> {
    let start = || -> io::Result<Child> {
        let log = File::create(log(runs, name))?;
        Command::new(env::current_exe()?)
            .args(arguments::render("run", options))
            // Of its own, so that it outlives Ctrl-C in the terminal.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    };
    start().map_err(|error| Error::Io(format!("start cluster {name}"), error))
}

fn check(supervisor: &mut Child, runs: &Path, name: &str) -> Result<(), Error> {
    if let Ok(None) = supervisor.try_wait() {
        return Ok(());
    }
    let log = log(runs, name);
    let tail = tail(&fs::read(&log).unwrap_or_default());
    Err(Error::Supervisor { name: name.to_owned(), log, tail })
}

/// Beside the cluster's folder: it outlives the cluster.
fn log(runs: &Path, name: &str) -> PathBuf {
    runs.join(format!("{name}.log"))
}

/// For a shell's `eval`.
fn quote(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_to_the_shell() {
        assert_eq!(quote(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
