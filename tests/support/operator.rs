//! The operator's binary as a process: started, asked, told to end, killed, started again.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::{api, leash, wait_for};

/// Lines of a log that are shown of a test that failed.
const TAIL: usize = 60;

/// Ticks of a second in /proc: `USER_HZ`, which is 100 on every architecture that Linux has by now.
const TICKS: f64 = 100.0;

/// A running operator, or one that has ended and can be started again. Killed when dropped.
pub(crate) struct Operator {
    child: Child,
    program: PathBuf,
    args: Vec<String>,
    variables: Vec<(String, String)>,
    log: PathBuf,
    probes: SocketAddr,
    metrics: SocketAddr,
    debug: SocketAddr,
}

impl Operator {
    /// Starts the binary; its log goes into `folder`.
    pub(crate) fn start(folder: &Path, kubeconfig: &Path, args: &[&str]) -> Self {
        Self::start_in(folder, kubeconfig, args, &[])
    }

    /// The same, in an environment of these variables.
    pub(crate) fn start_in(folder: &Path, kubeconfig: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let log = folder.join(format!("operator-{}-{serial}.log", process::id()));
        let (probes, metrics, debug) = (free_address(), free_address(), free_address());
        let kubeconfig = kubeconfig.to_str().expect("a path in UTF-8");
        let mut all = ["run", "--kubeconfig", kubeconfig].map(str::to_owned).to_vec();
        all.push(format!("--health-probe-bind-address={probes}"));
        all.push(format!("--metrics-bind-address={metrics}"));
        all.push(format!("--debug-bind-address={debug}"));
        all.extend(args.iter().map(ToString::to_string));
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_application-operator"));
        let child = spawn(&program, &all, &variables, &log);
        Self { child, program, args: all, variables, log, probes, metrics, debug }
    }

    /// Starts an operator of another make, which learns of its cluster by `KUBECONFIG` alone, and is never asked anything.
    pub(crate) fn start_other(folder: &Path, kubeconfig: &Path, program: &Path) -> Self {
        let kubeconfig = kubeconfig.to_str().expect("a path in UTF-8");
        let variables = vec![("KUBECONFIG".to_owned(), kubeconfig.to_owned())];
        let (probes, metrics, debug) = (free_address(), free_address(), free_address());
        let log = folder.join("operator-other.log");
        let child = spawn(program, &[], &variables, &log);
        Self { child, program: program.to_owned(), args: Vec::new(), variables, log, probes, metrics, debug }
    }

    /// Starts it again, with the same arguments and log.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.program, &self.args, &self.variables, &self.log);
    }

    #[track_caller]
    pub(crate) fn wait_until_ready(&self) {
        wait_for("the operator to be ready", || (self.probe("/readyz")?.0 == 200).then_some(()));
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Tells it to end with SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Stops it in its tracks with SIGSTOP: its sockets stay open, and nothing of it runs.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let done = Command::new("/bin/sh").args(["-c", r#"kill -s "$0" "$1""#, name, &id]).status().expect("a shell");
        assert!(done.success());
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the operator to end", || self.child.try_wait().expect("it can be waited for"))
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_none()
    }

    /// Processor time so far, user's and system's, in seconds.
    pub(crate) fn processor_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs, on Linux");
        // The name in brackets may hold anything; behind it the fields are plain.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: u32 = [11, 12].map(|field: usize| fields[field].parse::<u32>().expect("a number")).iter().sum();
        f64::from(ticks) / TICKS
    }

    /// All that it has said since it was first started.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the operator's log")
    }

    /// Code and text of an answer from where the kubelet asks; `None` if there is none.
    pub(crate) fn probe(&self, path: &str) -> Option<(u16, String)> {
        ask(self.probes, path)
    }

    /// The metrics as Prometheus sees them.
    pub(crate) fn metrics(&self) -> String {
        ask(self.metrics, "/metrics").expect("metrics").1
    }

    /// What its controllers do just now, as JSON.
    pub(crate) fn controllers(&self) -> String {
        ask(self.debug, "/debug/controllers").expect("what controllers do").1
    }

    /// Where it answers the kubelet.
    pub(crate) fn probe_address(&self) -> SocketAddr {
        self.probes
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows the ends of all logs in `folder`, of them the lines that name `subject`, or those at the very end.
pub(super) fn show_logs(folder: &Path, subject: &str) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with("operator-") {
            continue;
        }
        let log = fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(subject) || line.contains("starting")).collect();
        eprintln!("--- {}", path.display());
        for line in &lines[lines.len().saturating_sub(TAIL)..] {
            eprintln!("{line}");
        }
    }
}

fn spawn(program: &Path, args: &[String], variables: &[(String, String)], log: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(log).expect("a log");
    let mut command = Command::new(program);
    // Nothing of the caller's is to change what it does.
    command
        .args(args)
        .env_clear()
        .envs(variables.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    leash::spawn(&mut command)
}

/// An address that nobody listens on, and that nobody will come upon: it is this process's own part of the loopback
/// network.
pub(crate) fn free_address() -> SocketAddr {
    let [_, high, middle, low] = process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, 64 + high, middle, low);
    let listener = TcpListener::bind((own, 0)).expect("an address of this machine");
    listener.local_addr().expect("an address")
}

fn ask(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let (code, body) = api::parse(&answer)?;
    Some((code, body.as_str().map_or_else(|| body.to_string(), str::to_owned)))
}

/// A moment in which what was under way has long arrived.
pub(crate) fn let_time_pass(time: Duration) {
    thread::sleep(time);
}
