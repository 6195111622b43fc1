//! Processes that die with this one, however it dies.
//!
//! They are a process group, whose leader reads a pipe that only this process holds open, and kills the group at its end.

use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

/// Outlives a stray signal to the group, so as not to leave the rest behind.
const SCRIPT: &str = "trap '' HUP INT TERM; read -r _; kill -s KILL 0";

struct Leash {
    group: i32,
    /// Nothing is ever written to it.
    _pipe: ChildStdin,
}

/// Starts a process on the leash.
pub(super) fn spawn(command: &mut Command) -> Child {
    static LEASH: OnceLock<Leash> = OnceLock::new();
    let leash = LEASH.get_or_init(|| {
        // Nobody waits for it: it outlives this process by a moment, and that is what it is for.
        #[allow(clippy::zombie_processes)]
        let mut leader = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let pipe = leader.stdin.take().expect("a pipe");
        Leash { group: i32::try_from(leader.id()).expect("a process id"), _pipe: pipe }
    });
    command.process_group(leash.group).spawn().expect("the program can be started")
}
