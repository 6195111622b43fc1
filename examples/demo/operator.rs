//! The operator as a process: ends when it is told to, and when the demo is gone, however that one went.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Runs its arguments until its own input ends, which it does when whoever holds the other end is gone.
const LEASH: &str = r#"
    exec 3<&0
    "$@" </dev/null 3<&- &
    operator=$!
    { read -r _ <&3; kill "$operator"; } 2>/dev/null &
    wait "$operator"
    code=$?
    kill "$!" 2>/dev/null
    exit "$code"
"#;

/// How long it may take to finish what it is doing. With nothing to do it is gone in milliseconds.
const FAREWELL: Duration = Duration::from_secs(5);

/// As much of a log as fits on a screen.
const TAIL: usize = 20;

/// The running operator.
pub(crate) struct Operator {
    leash: Child,
    log: PathBuf,
}

impl Operator {
    /// Starts the operator that was built with this program.
    pub(crate) fn start(kubeconfig: &Path, log: &Path) -> io::Result<Self> {
        let file = File::create(log)?;
        // `examples/demo` and `application-operator` are built into one folder.
        let built = env::current_exe()?.parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        let program = built.join("application-operator");
        if !program.exists() {
            return Err(io::Error::other(format!("{} is not there: run `make demo`", program.display())));
        }
        let leash = Command::new("/bin/sh")
            .args(["-c", LEASH, "sh"])
            .arg(program)
            // The demo needs no probes, and their ports may be taken.
            .args(["run", "--metrics-bind-address=0", "--health-probe-bind-address=0", "--kubeconfig"])
            .arg(kubeconfig)
            // Of its own, so that Ctrl-C in the terminal is the demo's to handle.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Self { leash, log: log.to_owned() })
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.leash.try_wait().ok().flatten()
    }

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!("\nThe operator's log ends with:\n{}", lines[lines.len().saturating_sub(TAIL)..].join("\n"))
    }

    /// Tells it to end, and waits until it has.
    pub(crate) fn stop(mut self) {
        drop(self.leash.stdin.take());
        let begin = Instant::now();
        while self.ended().is_none() && begin.elapsed() < FAREWELL {
            sleep(Duration::from_millis(10));
        }
    }
}
