//! How the operator fares with a fleet that no API server on this machine would hold: a server that knows nothing but a list
//! of N converged Applications and their children, and the operator's own program beside it.
//!
//! `scale OPERATOR [N]` prints a line of JSON: seconds until each was looked at once, processor seconds and memory for that.
//! `scale fairness` prints how many keys of one noisy namespace are handed out before those of a hundred quiet ones.

#[path = "../benches/fleet/mod.rs"]
mod fleet;

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use application_operator::observe::Kind;
use engine::backoff::Schedule;
use engine::object::Key;
use engine::queue::{Bucket, Limits, Queue, Verdict};
use engine::trigger::Reason;
use serde_json::{Value, json};

/// What a list is asked for by pages of.
const PAGE: usize = 500;

/// Longer than any fleet takes that is worth measuring.
const PATIENCE: Duration = Duration::from_mins(10);

/// Objects by the plural of their kind, as JSON.
struct Fleet(Vec<(&'static str, Vec<String>)>);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let operator = arguments.next().ok_or("which program?")?;
    if operator == "fairness" {
        writeln!(std::io::stdout(), "{:#}", fairness())?;
        return Ok(());
    }
    let count: u32 = arguments.next().map_or(Ok(20_000), |count| count.parse())?;
    let all = |object: &dyn Fn(usize) -> Option<Value>| {
        (0..count as usize).filter_map(object).map(|object| object.to_string()).collect::<Vec<_>>()
    };
    let fleet = Fleet(vec![
        ("applications", all(&|number| Some(fleet::application(number)))),
        ("deployments", all(&|number| fleet::child(number, Kind::Deployment))),
        ("services", all(&|number| fleet::child(number, Kind::Service))),
        ("pods", all(&|number| Some(fleet::pod(number)))),
    ]);
    let bytes: usize = fleet.0.iter().flat_map(|(_, objects)| objects).map(String::len).sum();
    let server = TcpListener::bind("127.0.0.1:0")?;
    let address = server.local_addr()?;
    let fleet = Arc::new(fleet);
    thread::spawn(move || {
        for connection in server.incoming().flatten() {
            let fleet = fleet.clone();
            thread::spawn(move || serve(connection, &fleet));
        }
    });

    let kubeconfig = env::temp_dir().join(format!("scale-{}", std::process::id()));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "scale",
        "clusters": [{"name": "scale", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "scale", "user": {}}],
        "contexts": [{"name": "scale", "context": {"cluster": "scale", "user": "scale"}}],
    });
    fs::write(&kubeconfig, config.to_string())?;
    let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let started = Instant::now();
    let running = Running(
        Command::new(operator)
            .args(["run", "--leader-elect=false", "--health-probe-bind-address=0", "--kubeconfig"])
            .arg(&kubeconfig)
            .arg(format!("--metrics-bind-address={metrics}"))
            .stderr(Stdio::null())
            .spawn()?,
    );
    loop {
        let reconciled = reconciled(&metrics.to_string()).unwrap_or(0.0);
        if reconciled >= f64::from(count) {
            break;
        }
        if started.elapsed() > PATIENCE {
            return Err(format!("{reconciled} of {count} in {PATIENCE:?}").into());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let seconds = started.elapsed().as_secs_f64();
    let (peak, resident, cpu) = running.costs()?;
    fs::remove_file(kubeconfig)?;
    writeln!(
        std::io::stdout(),
        "{}",
        json!({
            "applications": count, "bytes sent": bytes, "seconds": seconds, "processor seconds": cpu,
            "peak MiB": peak / 1024.0, "MiB": resident / 1024.0, "bytes an Application": peak * 1024.0 / f64::from(count),
        })
    )?;
    Ok(())
}

/// What the queue hands out of a noisy namespace that has filled it while a hundred quiet ones have one change each. Counted,
/// in keys: a worker's time for one of them is what one waits for it.
fn fairness() -> Value {
    const NOISY: usize = 100_000;
    const QUIET: usize = 100;
    let per_key = Schedule::new(Duration::from_millis(5), Duration::from_mins(1));
    let queue = Queue::new(Limits { per_key, overall: Bucket::new(10, 100) });
    for number in 0..NOISY {
        queue.add(Key::new("noisy", format!("application-{number}")), Reason::Updated);
    }
    for number in 0..QUIET {
        queue.add(Key::new(format!("quiet-{number}"), "application"), Reason::Updated);
    }
    let (mut handed_out, mut last) = (0, 0);
    let mut taken = queue.try_take();
    while let Some(key) = taken {
        handed_out += 1;
        if &*key.key().namespace != "noisy" {
            last = handed_out;
        }
        taken = key.next(Verdict::Done);
    }
    json!({
        "keys of the noisy namespace that wait": NOISY,
        "quiet namespaces, with a key each": QUIET,
        "keys handed out until the last quiet one had its turn": last,
        "… in a queue that is first in, first out": NOISY + QUIET,
    })
}

/// Ends with this value.
struct Running(Child);

impl Running {
    /// The most memory so far and the present, in KiB, and processor seconds.
    fn costs(&self) -> Result<(f64, f64, f64), Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let memory = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).ok_or("a size")
        };
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let fields = stat.rsplit_once(')').ok_or("a name")?.1;
        // User and system time, in hundredths of a second: `man proc_pid_stat`.
        let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        Ok((memory("VmHWM:")?, memory("VmRSS:")?, ticks / 100.0))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How often a reconcile has ended, as the operator's metrics tell.
fn reconciled(address: &str) -> Option<f64> {
    let mut connection = TcpStream::connect(address).ok()?;
    write!(connection, "GET /metrics HTTP/1.1\r\nhost: scale\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    connection.read_to_string(&mut text).ok()?;
    let counts = text.lines().filter(|line| line.starts_with("controller_runtime_reconcile_total"));
    Some(counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
}

fn serve(mut connection: TcpStream, fleet: &Fleet) -> Option<()> {
    let mut reader = BufReader::new(connection.try_clone().ok()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let target = line.split(' ').nth(1)?.to_owned();
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).ok()?;
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let (status, body) = if query.contains("sendInitialEvents") {
            ("422 Unprocessable Entity", "{}".to_owned())
        } else if query.contains("watch=1") {
            write!(connection, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").ok()?;
            // Nothing ever happens.
            thread::sleep(PATIENCE);
            return None;
        } else {
            ("200 OK", fleet.page(path, query))
        };
        write!(
            connection,
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
    }
}

impl Fleet {
    fn page(&self, path: &str, query: &str) -> String {
        let plural = path.rsplit('/').next().unwrap_or_default();
        let objects =
            self.0.iter().find(|(name, _)| *name == plural).map(|(_, objects)| &objects[..]).unwrap_or_default();
        let token = query.split('&').find_map(|pair| pair.strip_prefix("continue="));
        let from: usize = token.and_then(|token| token.parse().ok()).unwrap_or(0);
        let to = objects.len().min(from + PAGE);
        let token = if to < objects.len() { format!(r#","continue":"{to}""#) } else { String::new() };
        format!(r#"{{"metadata":{{"resourceVersion":"900000"{token}}},"items":[{}]}}"#, objects[from..to].join(","))
    }
}
