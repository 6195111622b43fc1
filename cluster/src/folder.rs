//! The folder of one cluster, and the lock by which others tell whether it is in use.
//!
//! Every process of a cluster holds the lock: it is an open file that they inherit. So the lock is
//! free once the last of them is gone, even if nobody lived to clean up. What dead clusters have
//! left is removed when the next one starts, and can be looked at until then.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::{process, thread};

use crate::assets::home;

/// The file in each folder that its cluster has locked.
const LOCK: &str = "lock";

/// How the names of clusters begin that nobody has named. Names that are given may not.
const UNNAMED: &str = "test-";

/// Why there is no folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A cluster of this name is running.
    #[error("cluster {0} is already running")]
    InUse(String),
    /// The name can't be that of a folder.
    #[error("{0:?} can't be a cluster's name: use letters, digits and '-', but not {UNNAMED:?}")]
    BadName(String),
    /// The file system refused.
    #[error("cannot use {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

/// The folder with a folder for each cluster.
pub fn runs() -> PathBuf {
    home().join("run")
}

/// A claimed folder: removed when dropped, so drop it after the processes that use it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    /// Makes an empty folder in `runs`, of this name or of one that nobody has.
    ///
    /// # Errors
    ///
    /// If the name is in use or is none, or the file system refuses.
    pub fn claim(runs: &Path, name: Option<&str>) -> Result<Self, Error> {
        let _guard = guard(runs)?;
        remove_unlocked(runs)?;
        if let Some(name) = name {
            check_name(name)?;
            return Self::create(runs.join(name))?.ok_or_else(|| Error::InUse(name.to_owned()));
        }
        let mut number = 0_u32;
        loop {
            let path = runs.join(format!("{UNNAMED}{}-{number}", process::id()));
            if let Some(folder) = Self::create(path)? {
                return Ok(folder);
            }
            number += 1;
        }
    }

    fn create(path: PathBuf) -> Result<Option<Self>, Error> {
        // It holds tokens that allow everything, so others may not look into it.
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(Error::Io(path, error)),
        }
        let lock = File::create_new(path.join(LOCK))
            .and_then(|lock| lock.lock().map(|()| lock))
            .map_err(|error| Error::Io(path.clone(), error))?;
        Ok(Some(Self { path, lock }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One more handle that keeps the lock, for a process of the cluster.
    pub(crate) fn share_lock(&self) -> io::Result<File> {
        self.lock.try_clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let path = self.path.display();
        if thread::panicking() {
            // The next cluster that starts removes it.
            eprintln!("the cluster's logs are in {path}");
            return;
        }
        // One that is half removed would look to a sweep as if it were dead.
        let _guard = self.path.parent().map(guard);
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                eprintln!("cannot remove {path}: {error}");
            }
            _ => {}
        }
    }
}

/// Removes the folders of clusters whose processes are all gone.
pub(crate) fn sweep(runs: &Path) -> Result<(), Error> {
    let _guard = guard(runs)?;
    remove_unlocked(runs)
}

/// Keeps others from sweeping a folder that exists but isn't locked yet.
fn guard(runs: &Path) -> Result<File, Error> {
    let fail = |error| Error::Io(runs.to_owned(), error);
    fs::create_dir_all(runs).map_err(fail)?;
    let guard = OpenOptions::new().write(true).create(true).truncate(false).open(runs.join(LOCK)).map_err(fail)?;
    guard.lock().map_err(fail)?;
    Ok(guard)
}

fn remove_unlocked(runs: &Path) -> Result<(), Error> {
    let fail = |error| Error::Io(runs.to_owned(), error);
    for entry in runs.read_dir().map_err(fail)? {
        let folder = entry.map_err(fail)?.path();
        if folder.is_dir() && !is_locked(&folder) {
            fs::remove_dir_all(&folder).map_err(|error| Error::Io(folder, error))?;
        }
    }
    Ok(())
}

/// Whether a process of the folder's cluster is alive.
pub(crate) fn is_locked(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// The names of the clusters that have been given one.
pub(crate) fn names(runs: &Path) -> Result<Vec<String>, Error> {
    let mut names = all_names(runs)?;
    names.retain(|name| !name.starts_with(UNNAMED));
    Ok(names)
}

/// The names of all clusters.
pub(crate) fn all_names(runs: &Path) -> Result<Vec<String>, Error> {
    let entries = runs.read_dir().map_err(|error| Error::Io(runs.to_owned(), error))?;
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// A name is a folder, and what follows `test-` is for those without a name.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let good = name.chars().all(allowed) && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if good && name != LOCK && !name.starts_with(UNNAMED) { Ok(()) } else { Err(Error::BadName(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let runs = std::env::temp_dir().join(format!("cluster-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&runs);
        runs
    }

    #[test]
    fn a_name_is_claimed_once_and_free_again_after_drop() {
        let runs = scratch("claim");
        let folder = Folder::claim(&runs, Some("blue")).unwrap();
        assert!(matches!(Folder::claim(&runs, Some("blue")), Err(Error::InUse(_))));

        drop(folder);
        let folder = Folder::claim(&runs, Some("blue")).unwrap();
        assert!(is_locked(folder.path()));
        drop(folder);
        fs::remove_dir_all(runs).unwrap();
    }

    #[test]
    fn clusters_without_a_name_get_different_folders() {
        let runs = scratch("unnamed");
        let first = Folder::claim(&runs, None).unwrap();
        let second = Folder::claim(&runs, None).unwrap();
        assert_ne!(first.path(), second.path());
        drop((first, second));
        fs::remove_dir_all(runs).unwrap();
    }

    #[test]
    fn the_next_claim_sweeps_what_a_dead_cluster_left_and_spares_a_live_one() {
        let runs = scratch("sweep");
        let live = Folder::claim(&runs, Some("live")).unwrap();
        fs::create_dir(runs.join("dead")).unwrap();
        fs::write(runs.join("dead").join(LOCK), "").unwrap();

        drop(Folder::claim(&runs, None).unwrap());

        assert!(!runs.join("dead").exists());
        assert!(live.path().exists());
        drop(live);
        fs::remove_dir_all(runs).unwrap();
    }

    #[test]
    fn a_name_cannot_leave_the_folder_of_clusters() {
        for name in ["", "..", "a/b", "-x", "lock", "test-1"] {
            assert!(matches!(check_name(name), Err(Error::BadName(_))), "{name}");
        }
        check_name("blue-2").unwrap();
    }
}
