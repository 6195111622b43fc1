//! A process group that dies with the process that started it, however that one dies.
//!
//! Its leader is a shell that reads a pipe whose other end this process holds. When this process
//! exits, panics or is killed, the pipe closes, the shell reads the end and kills its whole group.
//!
//! No process slips through: one that is being started has the pipe open until it runs its
//! program, and by then it is in the group.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Outlives a stray signal to the group, so as not to leave the rest behind.
const SCRIPT: &str = "trap '' HUP INT TERM; read -r _; kill -s KILL 0";

/// A group of processes, killed when dropped.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Child,
    /// Nothing is ever written to it. The standard library makes it close on `exec`, so no other
    /// child holds it open.
    leash: Option<ChildStdin>,
}

impl Group {
    /// Starts the group's leader, which keeps `lock` as all of the group do.
    pub(crate) fn start(lock: File) -> io::Result<Self> {
        let mut leader = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(lock)
            .stderr(Stdio::null())
            .spawn()?;
        let leash = leader.stdin.take();
        Ok(Self { leader, leash })
    }

    /// Starts a process of the group; it keeps `lock`, as its stdin, which it doesn't read.
    pub(crate) fn spawn(&self, command: &mut Command, lock: File) -> io::Result<Child> {
        let group = i32::try_from(self.leader.id()).map_err(io::Error::other)?;
        command.process_group(group).stdin(lock).spawn()
    }

    /// Kills all of the group. Those that spawned them should still wait for them.
    pub(crate) fn kill(&mut self) {
        drop(self.leash.take());
        // The leader dies with the others; it fails to be waited for only if it has been already.
        let _ = self.leader.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn dropping_the_group_kills_its_processes() {
        let path = std::env::temp_dir().join(format!("cluster-group-{}", std::process::id()));
        let lock = File::create(&path).unwrap();
        let group = Group::start(lock.try_clone().unwrap()).unwrap();
        let mut child = group.spawn(Command::new("sleep").arg("60"), lock).unwrap();

        drop(group);

        assert_eq!(child.wait().unwrap().signal(), Some(9));
        fs::remove_file(path).unwrap();
    }
}
