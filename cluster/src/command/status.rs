//! `cluster status`: lists clusters.

use std::fs;

use super::up::is_ready;
use super::{Error, print, say};
use crate::folder::{self, runs};
use crate::start::READY;

/// Prints a line for each cluster that runs, those of tests too.
pub(crate) fn status() -> Result<(), Error> {
    let runs = runs();
    folder::sweep(&runs)?;
    let names = folder::all_names(&runs)?;
    if names.is_empty() {
        say("no cluster is running");
    }
    for name in names {
        let folder = runs.join(&name);
        let state = if is_ready(&folder) { "ready" } else { "starting or ending" };
        let server = fs::read_to_string(folder.join(READY)).unwrap_or_default();
        print(&format!("{name}\t{state}\t{server}\t{}", folder.display()))?;
    }
    Ok(())
}
