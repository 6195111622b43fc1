//! An operator as a process: started, looked at through /proc, killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Ticks of a second in /proc: `USER_HZ`, which is 100 on every architecture that Linux has by now.
const TICKS: f64 = 100.0;

/// A program and how it is started.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) name: String,
    program: PathBuf,
}

/// One that runs. Killed when dropped.
pub(crate) struct Running(Child);

impl Peer {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, program) = text.split_once('=').ok_or("NAME=PROGRAM is expected")?;
        Ok(Self { name: name.to_owned(), program: program.into() })
    }

    pub(crate) fn start(&self, kubeconfig: &Path, workers: usize, log: &Path) -> std::io::Result<Running> {
        let workers = workers.to_string();
        let mut command = Command::new(&self.program);
        match self.name.as_str() {
            "ours" => command.args(["run", "--metrics-bind-address=0", "--health-probe-bind-address=0"]).args([
                "--leader-elect=false",
                "--max-concurrent-reconciles",
                &workers,
            ]),
            "controller-runtime" => command.args(["--workers", &workers]),
            _ => command.arg(&workers),
        };
        let log = File::options().create(true).append(true).open(log)?;
        let child = command
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Running(child))
    }
}

impl Running {
    /// Processor time so far, user's and system's, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        cpu(self.0.id()).expect("it runs")
    }

    /// Most memory that was ever resident, in MiB.
    pub(crate) fn peak_memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }
}

/// Processor time of a process so far, user's and system's, in seconds; `None` if there is none of that number.
pub(crate) fn cpu(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in brackets may hold anything; behind it the fields are plain.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u32 = [11, 12].map(|field: usize| fields[field].parse::<u32>().expect("a number")).iter().sum();
    Some(f64::from(ticks) / TICKS)
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
