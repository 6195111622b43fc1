//! The audit log as a file: a line of JSON for each request that the server has answered, and not the port before it. A watch is
//! answered when it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::audit::Entry;
use crate::service::Simulator;

/// A file to which requests are added once they are answered: a watch when it ends. Questions of health, and what is refused
/// since nobody knows its token (401) or its body is too long (413), are left out.
#[derive(Debug)]
pub struct Log {
    file: Mutex<File>,
}

impl Log {
    /// Adds to the file at `path`, which nobody but its owner may read, and makes it if need be.
    ///
    /// # Errors
    ///
    /// If it can't be written to.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self { file: Mutex::new(file) })
    }

    fn add(&self, line: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever reads it misses what could not be written; the request is answered all the same.
        let _ = file.write_all(line.as_bytes());
    }
}

/// A request that is entered when this is dropped.
pub(super) struct Pending {
    pub(super) log: Arc<Log>,
    pub(super) simulator: Simulator,
    pub(super) entry: Entry,
    /// The code of the answer; `None` as long as there is none, and for ever if the client has left before.
    pub(super) code: Option<u16>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(code) = self.code {
            self.log.add(&format!("{}\n", self.entry.render(code, self.simulator.now())));
        }
    }
}
