//! Runs `kubectl` as a user of the cluster.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

/// The program, and where it may keep what it has learned of the API server.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    cache: PathBuf,
}

impl Kubectl {
    /// `program`, which keeps in `folder` what it has learned.
    pub fn new(program: PathBuf, folder: &Path) -> Self {
        Self { program, cache: folder.join("kubectl-cache") }
    }

    /// Where the program is.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs it to its end, with `stdin` as its input.
    ///
    /// # Errors
    ///
    /// If it can't be run. If it ran and failed, its status says so.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        kubeconfig: &Path,
        args: impl IntoIterator<Item = A>,
        stdin: &str,
    ) -> io::Result<Output> {
        let mut child = Command::new(&self.program)
            .args(args)
            .env("KUBECONFIG", kubeconfig)
            // The caller's home is none of a test's business.
            .env("KUBECACHEDIR", &self.cache)
            .env("KUBERC", "off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pipe = child.stdin.take();
        thread::scope(|scope| {
            // On a thread of its own: it answers to the first objects before it has read the last.
            scope.spawn(|| {
                // If it stops reading, it says itself why.
                pipe.and_then(|mut pipe| pipe.write_all(stdin.as_bytes()).err())
            });
            child.wait_with_output()
        })
    }
}
