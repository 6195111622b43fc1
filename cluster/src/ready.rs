//! Waits for a cluster to be ready, and says what was missing if it never is.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use crate::Component;
use crate::flags::Layout;
use crate::kubectl::Kubectl;
use crate::processes::{self, Processes};

/// Twenty times what a start takes on two cores; one that takes longer never ends.
const PATIENCE: Duration = Duration::from_secs(90);

/// Short against a start's few seconds; a look with kubectl costs a tenth of a second of work, which
/// the API server could use meanwhile.
const POLL: Duration = Duration::from_millis(50);

/// A component that is paused answers to nothing; the next look may find it resumed.
const ANSWER: &str = "--request-timeout=5s";

/// Why a cluster is not ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A component ended meanwhile.
    #[error(transparent)]
    Process(#[from] processes::Error),
    /// All of them run, but it took too long.
    #[error(
        "{what} not ready after {} s: {seen}\nlast words of {component}:\n{tail}",
        PATIENCE.as_secs()
    )]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// What was seen instead.
        seen: String,
        /// The component that should have made it ready.
        component: Component,
        /// The end of its log.
        tail: String,
    },
}

/// Waits until the API server has made its certificate.
pub(crate) fn certificate(processes: &mut Processes, layout: &Layout) -> Result<(), Error> {
    wait(processes, Component::ApiServer, "certificate", || {
        // It listens once it has written the whole file.
        listens(layout.server_port)?;
        fs::metadata(layout.certificate()).map(drop).map_err(|error| error.to_string())
    })
}

/// Waits until etcd listens.
pub(crate) fn etcd(processes: &mut Processes, layout: &Layout) -> Result<(), Error> {
    wait(processes, Component::Etcd, "etcd", || listens(layout.etcd_port))
}

/// Waits until the API server and its data answer.
pub(crate) fn api_server(processes: &mut Processes, layout: &Layout, kubectl: &Kubectl) -> Result<(), Error> {
    let query = ["get", "--raw", "/readyz", ANSWER];
    wait(processes, Component::ApiServer, "API server", || {
        listens(layout.server_port)?;
        ask(kubectl, layout, &query, |answer| answer == "ok")
    })
}

/// Waits until KWOK has made every node ready.
pub(crate) fn nodes(processes: &mut Processes, layout: &Layout, kubectl: &Kubectl) -> Result<(), Error> {
    let ready = "{range .items[*]}{.status.conditions[?(@.type=='Ready')].status},{end}";
    let query = ["get", "nodes", ANSWER, "-o", &format!("jsonpath={ready}")];
    wait(processes, Component::Kwok, "nodes", || {
        ask(kubectl, layout, &query, |answer| answer.split_terminator(',').all(|s| s == "True"))
    })
}

/// Waits until pods can be created in the namespace `default`.
pub(crate) fn service_account(processes: &mut Processes, layout: &Layout, kubectl: &Kubectl) -> Result<(), Error> {
    let query = ["get", "serviceaccount", "default", "-n", "default", ANSWER];
    wait(processes, Component::ControllerManager, "service account", || ask(kubectl, layout, &query, |_| true))
}

/// Asks again and again until `look` has nothing to complain of.
fn wait(
    processes: &mut Processes,
    component: Component,
    what: &'static str,
    mut look: impl FnMut() -> Result<(), String>,
) -> Result<(), Error> {
    let start = Instant::now();
    loop {
        // First the look: what is ready in the end counts, not what it took.
        let Err(seen) = look() else { return Ok(()) };
        processes.check()?;
        if start.elapsed() > PATIENCE {
            let tail = processes.tail(component);
            return Err(Error::TimedOut { what, seen, component, tail });
        }
        thread::sleep(POLL);
    }
}

fn listens(port: u16) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, POLL).map(drop).map_err(|error| error.to_string())
}

fn ask(kubectl: &Kubectl, layout: &Layout, query: &[&str], expected: impl Fn(&str) -> bool) -> Result<(), String> {
    let answer = kubectl.run(&layout.kubeconfig(), query, "");
    let Output { status, stdout, stderr } = answer.map_err(|error| error.to_string())?;
    let stdout = String::from_utf8_lossy(&stdout);
    if status.success() && expected(&stdout) {
        return Ok(());
    }
    Err(format!("{stdout}{}", String::from_utf8_lossy(&stderr)).trim_end().to_owned())
}
