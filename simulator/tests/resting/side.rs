//! The two control planes: how they are asked, and how they are looked at.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use engine::config::Config;
use engine::transport::{self, Service};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use simulator::{Answer, Request, World};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::normal;
use crate::scenario::{Deed, RESOURCES, uri};

/// The annotation by which the simulator's kubelet is told what becomes of a pod. On the real side, whose nodes have every pod
/// ready at once, this test takes readiness away from a pod that has it.
pub(crate) const UNREADY: &str = "simulator/fate";

/// Longer than anything takes that comes to rest: the longest wait in a scenario is a deadline of seconds.
const LONG: Duration = Duration::from_mins(2);

/// Between two looks for a service account.
const MOMENT: Duration = Duration::from_millis(50);

/// One of the two.
pub(crate) trait Side {
    /// Code and document.
    fn ask(&mut self, method: &str, uri: &str, content: &str, body: &Value) -> (u16, Value);
}

/// A real control plane.
#[derive(Clone)]
pub(crate) struct Real {
    runtime: Arc<Runtime>,
    service: Service,
}

/// The simulator and its controllers, in a world of the scenario's own.
pub(crate) struct Simulated {
    world: World,
}

impl Real {
    pub(crate) fn new(kubeconfig: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = Arc::new(runtime.expect("a runtime"));
        let config = Config::from_kubeconfig(kubeconfig, None).expect("the cluster's kubeconfig");
        let service = {
            let _entered = runtime.enter();
            transport::connect(&config).expect("a usable configuration")
        };
        Self { runtime, service }
    }

    /// Waits until pods may be created in a namespace: a controller makes their service account, which the simulator's need not.
    pub(crate) fn wait_for_account(&mut self, space: &str) {
        let uri = format!("/api/v1/namespaces/{space}/serviceaccounts/default");
        while self.ask("GET", &uri, "", &Value::Null).0 != 200 {
            thread::sleep(MOMENT);
        }
    }
}

impl Side for Real {
    fn ask(&mut self, method: &str, uri: &str, content: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = http::Request::builder().method(method).uri(uri).header("content-type", content);
        let request = request.body(body).expect("a request");
        self.runtime.block_on(async {
            let response = self.service.clone().oneshot(request).await.expect("an answer");
            let code = response.status().as_u16();
            let body = response.into_body().collect().await.expect("a body").to_bytes();
            (code, serde_json::from_slice(&body).unwrap_or_default())
        })
    }
}

impl Simulated {
    pub(crate) fn new() -> Self {
        Self { world: World::new(7, Timestamp::UNIX_EPOCH) }
    }

    /// Lets everything come to rest, and looks at it.
    pub(crate) fn rest(&mut self, space: &str) -> Value {
        self.world.pass(LONG);
        let rest = look(self, space);
        self.world.pass(LONG);
        assert_eq!(look(self, space), rest, "it does not come to rest");
        rest
    }
}

impl Side for Simulated {
    fn ask(&mut self, method: &str, uri: &str, content: &str, body: &Value) -> (u16, Value) {
        let mut request = Request::new(method, uri);
        content.clone_into(&mut request.content_type);
        "resting".clone_into(&mut request.user_agent);
        if !body.is_null() {
            request.body = body.to_string().into_bytes();
        }
        match self.world.handle(&request) {
            Answer::Document { code, body, .. } => (code, body),
            Answer::Watch(_) => panic!("a document"),
        }
    }
}

/// Carries out a deed, and says whether that went well. What meets another's write is tried again.
pub(crate) fn carry_out(side: &mut dyn Side, space: &str, deed: &Deed) -> bool {
    loop {
        let path = filled(side, space, &deed.path);
        let Some((path, body)) = path.zip(filled(side, space, &deed.body.to_string())) else { return false };
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let (code, answer) = side.ask(deed.method, &uri(space, &path), deed.content, &body);
        if !(code == 409 && answer["reason"] == "Conflict") {
            let is_done = (200..300).contains(&code);
            if !is_done {
                eprintln!("{} {path}: {answer}", deed.method);
            }
            return is_done;
        }
    }
}

/// A text with what its placeholders stand for.
fn filled(side: &mut dyn Side, space: &str, text: &str) -> Option<String> {
    let mut text = text.to_owned();
    while let Some((before, rest)) = text.split_once("$uid(").map(|(before, rest)| (before.to_owned(), rest.to_owned()))
    {
        let (path, after) = rest.split_once(')')?;
        let (_, object) = side.ask("GET", &uri(space, path), "", &Value::Null);
        text = format!("{before}{}{after}", object["metadata"]["uid"].as_str()?);
    }
    while let Some((before, rest)) =
        text.split_once("$name(").map(|(before, rest)| (before.to_owned(), rest.to_owned()))
    {
        let (query, after) = rest.split_once(')')?;
        let (resource, label) = query.split_once('?')?;
        let path = format!("{resource}?labelSelector={}", label.replace('=', "%3D"));
        let (_, list) = side.ask("GET", &uri(space, &path), "", &Value::Null);
        let mut items = list["items"].as_array()?.iter();
        let first = items.find(|item| item["metadata"]["deletionTimestamp"].is_null())?;
        text = format!("{before}{}{after}", first["metadata"]["name"].as_str()?);
    }
    Some(text)
}

/// Everything that there is in a namespace, without what must differ.
pub(crate) fn look(side: &mut dyn Side, space: &str) -> Value {
    let (code, namespace) = side.ask("GET", &format!("/api/v1/namespaces/{space}"), "", &Value::Null);
    let mut lists = Vec::new();
    for (resource, _) in RESOURCES.iter().filter(|(resource, _)| *resource != "namespaces") {
        let (_, list) = side.ask("GET", &uri(space, resource), "", &Value::Null);
        let items = list["items"].as_array().cloned().unwrap_or_default();
        if *resource == "pods" {
            items.iter().filter(|pod| is_to_be_unready(pod)).for_each(|pod| make_unready(side, space, pod));
        }
        lists.push(((*resource).to_owned(), items));
    }
    normal::state(if code == 404 { &Value::Null } else { &namespace }, &lists)
}

/// Whether a pod is ready that is not to be. The simulator's kubelet sees to its own.
fn is_to_be_unready(pod: &Value) -> bool {
    pod["metadata"]["annotations"][UNREADY] == "never-ready" && normal::is_ready(pod)
}

fn make_unready(side: &mut dyn Side, space: &str, pod: &Value) {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten().cloned().map(|mut condition| {
        if condition["type"] == "Ready" || condition["type"] == "ContainersReady" {
            condition["status"] = "False".into();
        }
        condition
    });
    let patch = json!({"status": {"conditions": conditions.collect::<Vec<_>>()}});
    let place = format!("pods/{}/status", pod["metadata"]["name"].as_str().expect("a name"));
    let (code, answer) = side.ask("PATCH", &uri(space, &place), "application/merge-patch+json", &patch);
    assert_eq!(code, 200, "{answer}");
}
