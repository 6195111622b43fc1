//! `cluster down`: asks the process that holds a cluster to end it, and waits until all are gone.

use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::arguments::Which;
use super::up::{POLL, STOP};
use super::{Error, say};
use crate::folder::{self, runs};

/// Longer than a start may take, as a cluster that is starting does not listen.
const PATIENCE: Duration = Duration::from_mins(2);

/// Stops clusters. One that doesn't run is no error.
pub(crate) fn down(which: &Which) -> Result<(), Error> {
    let runs = runs();
    folder::sweep(&runs)?;
    match which {
        Which::Named(name) => {
            folder::check_name(name)?;
            stop(&runs, name)
        }
        Which::All => folder::names(&runs)?.iter().try_for_each(|name| stop(&runs, name)),
    }
}

fn stop(runs: &Path, name: &str) -> Result<(), Error> {
    let folder = runs.join(name);
    if !folder.exists() {
        say(&format!("cluster {name} is not running"));
        return Ok(());
    }
    let request = folder.join(STOP);
    if let Err(error) = File::create(&request) {
        // Unless it has ended meanwhile.
        if folder.exists() {
            return Err(Error::Io(format!("make {}", request.display()), error));
        }
    }
    let start = Instant::now();
    while folder::is_locked(&folder) {
        if start.elapsed() > PATIENCE {
            // Or it would look as if it were still going to end.
            let _ = fs::remove_file(request);
            return Err(Error::Stays(name.to_owned()));
        }
        thread::sleep(POLL);
    }
    folder::sweep(runs)?;
    say(&format!("cluster {name} is stopped"));
    Ok(())
}
