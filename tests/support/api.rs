//! The API server over plain HTTP, through `kubectl proxy` on a socket in the cluster's folder: a request costs a
//! millisecond, where kubectl costs a tenth of a second.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cluster::Cluster;
use serde_json::Value;

use super::{leash, wait_for};

/// An API server that was paused answers to nothing.
const ANSWER: Duration = Duration::from_secs(10);

/// Asks as the user that may do everything.
pub(crate) struct Api {
    socket: PathBuf,
    proxy: Child,
}

/// The path of the objects of a kind in a namespace; in all of them, if its name is empty.
pub(crate) fn path(resource: &str, namespace: &str) -> String {
    let version = match resource {
        "applications" => "apis/minetto.dev/v1alpha1",
        "controllerrevisions" | "deployments" | "replicasets" => "apis/apps/v1",
        "jobs" => "apis/batch/v1",
        "endpointslices" => "apis/discovery.k8s.io/v1",
        "poddisruptionbudgets" => "apis/policy/v1",
        "horizontalpodautoscalers" => "apis/autoscaling/v2",
        "ingresses" => "apis/networking.k8s.io/v1",
        "httproutes" => "apis/gateway.networking.k8s.io/v1",
        "events" => "apis/events.k8s.io/v1",
        "leases" => "apis/coordination.k8s.io/v1",
        _ => "api/v1",
    };
    if namespace.is_empty() {
        format!("/{version}/{resource}")
    } else {
        format!("/{version}/namespaces/{namespace}/{resource}")
    }
}

impl Api {
    pub(super) fn start(cluster: &Cluster) -> Self {
        let socket = cluster.folder().join("api.sock");
        let mut kubectl = Command::new(cluster.assets().folder().join("kubectl"));
        kubectl.arg("proxy").arg("--unix-socket").arg(&socket).arg("--kubeconfig").arg(cluster.kubeconfig());
        let proxy = leash::spawn(kubectl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        let api = Self { socket, proxy };
        wait_for("kubectl proxy", || UnixStream::connect(&api.socket).ok());
        api
    }

    /// The object at `path`, if there is one.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        match self.ask("GET", path, &Value::Null) {
            (404, _) => None,
            (code, object) => {
                assert_eq!(code, 200, "{path}: {object}");
                Some(object)
            }
        }
    }

    /// The objects at `path`.
    #[track_caller]
    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        let mut list = self.get(path).unwrap_or_default();
        serde_json::from_value(list["items"].take()).unwrap_or_default()
    }

    /// Sends a request, and returns the code and the body of the answer. A PATCH is a merge patch.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.try_ask(method, path, body).expect("an answer of kubectl proxy")
    }

    /// Sends a request that may not be answered, as the API server may be dead.
    pub(crate) fn try_ask(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        self.send(method, path, kind, body).ok()
    }

    /// Sends a server-side apply.
    #[track_caller]
    pub(crate) fn apply(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send("PATCH", path, "application/apply-patch+yaml", body).expect("an answer of kubectl proxy")
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &Value) -> io::Result<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(ANSWER))?;
        // Version 1.0, so that the answer is as long as the connection.
        let head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {kind}\r\n");
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        parse(&answer).ok_or_else(|| io::Error::other(String::from_utf8_lossy(&answer).into_owned()))
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // It fails only if it is dead already.
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

/// The code and the body of an answer; a body that is no JSON as a string.
pub(super) fn parse(answer: &[u8]) -> Option<(u16, Value)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    let body = &answer[end + 4..];
    let text = || Value::String(String::from_utf8_lossy(body).into_owned());
    Some((code, serde_json::from_slice(body).unwrap_or_else(|_| text())))
}
