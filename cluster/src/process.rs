//! One component as a process: started again and again, paused, killed, and its log.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::Component;
use crate::folder::Folder;
use crate::reaper::Group;

/// Enough for the message and what led to it; the whole log is in the folder.
const TAIL: usize = 15;

/// A component that can be started, with the process if it has been.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) component: Component,
    pub(crate) program: PathBuf,
    pub(crate) flags: Vec<String>,
    pub(crate) log: PathBuf,
    child: Option<Child>,
    paused: bool,
}

impl Process {
    pub(crate) fn new(component: Component, program: PathBuf, flags: Vec<String>, log: PathBuf) -> Self {
        Self { component, program, flags, log, child: None, paused: false }
    }

    /// Starts it, appending to its log.
    pub(crate) fn start(&mut self, group: &Group, folder: &Folder) -> io::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.flags)
            // Nothing of the caller's is to change what it does: etcd reads every flag from there.
            .env_clear()
            .env("HOME", folder.path())
            .current_dir(folder.path())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.paused = false;
        self.child = Some(group.spawn(&mut command, folder.share_lock()?)?);
        Ok(())
    }

    /// Kills it, paused or not, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// How it has ended, if it has done so by itself.
    pub(crate) fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), Child::try_wait)
    }

    /// Waits until whoever kills it has done so.
    pub(crate) fn wait(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails only if it is gone already.
            let _ = child.wait();
        }
    }

    /// Whether it can be expected to answer.
    pub(crate) fn is_awake(&self) -> bool {
        self.child.is_some() && !self.paused
    }

    /// Stops it in its tracks, or lets it go on.
    pub(crate) fn pause(&mut self, paused: bool) -> io::Result<()> {
        let Some(child) = &self.child else {
            return Err(io::Error::other("it is not running"));
        };
        signal(child.id(), if paused { "STOP" } else { "CONT" })?;
        self.paused = paused;
        Ok(())
    }

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        tail(&fs::read(&self.log).unwrap_or_default())
    }
}

/// Sends a signal with the shell's `kill`: the standard library knows only SIGKILL.
pub(crate) fn signal(pid: u32, name: &str) -> io::Result<()> {
    let status = Command::new("/bin/sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "kill", name, &pid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("cannot send {name} to process {pid}"))) }
}

/// The last lines of a log.
pub(crate) fn tail(log: &[u8]) -> String {
    let log = String::from_utf8_lossy(log);
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines() {
        let log = "early\n".repeat(TAIL) + &"late\n".repeat(TAIL);
        assert_eq!(tail(log.as_bytes()).lines().collect::<Vec<_>>(), ["late"; TAIL]);
    }

    #[test]
    fn a_signal_to_nobody_is_an_error() {
        // No system has as many processes.
        assert!(signal(u32::MAX >> 1, "STOP").is_err());
    }
}
