//! The two servers, side by side.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::config::Config;
use engine::transport::{self, Options, Service};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use simulator::Simulator;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::normal::{Normal, is_generated};
use crate::operation::{Operation, RESOURCES, root};

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks at whether a definition has effect.
const PAUSE: Duration = Duration::from_millis(50);

/// The name of the object by which a watch knows that all has been told.
const LAST: &str = "zz-last";

/// The watches that begin with what is there.
const INITIAL: [&str; 2] = ["", "&labelSelector=x"];

/// The real server and the simulator.
pub(crate) struct Pair {
    runtime: Runtime,
    real: Service,
    simulator: Service,
}

/// One server during one sequence.
struct Side {
    service: Service,
    space: String,
    normal: Normal,
    /// Versions and uid of each object, as they were last seen.
    known: HashMap<String, (Vec<String>, String)>,
    /// The last version of any of them.
    last: String,
    /// Where the last page of each list ended.
    pages: HashMap<String, String>,
}

impl Pair {
    pub(crate) fn new(kubeconfig: &Path, definitions: &[Value]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let config = Config::from_kubeconfig(kubeconfig, None).expect("the cluster's kubeconfig");
        let real = {
            let _entered = runtime.enter();
            let options = Options::default().user_agent("fidelity/1");
            transport::connect_with(&config, options).expect("a usable configuration")
        };
        let simulator = Simulator::new(1, Arc::new(Timestamp::now)).service();
        let pair = Self { runtime, real, simulator };
        for definition in definitions {
            pair.define(definition);
        }
        pair
    }

    /// Teaches both servers a definition.
    fn define(&self, definition: &Value) {
        for server in [&self.real, &self.simulator] {
            self.runtime.block_on(define(server, definition));
        }
    }

    /// How both refuse a definition: the code, and of each cause the reason and the field.
    pub(crate) fn refusals(&self, definition: &Value) -> [Value; 2] {
        [&self.real, &self.simulator].map(|server| {
            let sent = send(server, "POST", DEFINITIONS, "application/json", definition);
            let (code, answer) = self.runtime.block_on(sent);
            let causes = answer["details"]["causes"].as_array();
            let causes = causes.into_iter().flatten().map(|cause| json!([cause["reason"], cause["field"]]));
            json!([code, causes.collect::<Vec<_>>()])
        })
    }

    /// Where the two differ if a definition becomes stricter between `before` and `after`: then it refuses `probe`.
    pub(crate) fn differ_across(
        &self,
        space: &str,
        [loose, strict]: [&Value; 2],
        probe: &Operation,
        [before, after]: [&[Operation]; 2],
    ) -> Option<String> {
        self.define(loose);
        self.runtime.block_on(async {
            let mut sides = [Side::new(&self.real, space).await, Side::new(&self.simulator, space).await];
            if let Some(difference) = compare(&mut sides, before).await {
                return Some(difference);
            }
            for side in &mut sides {
                side.tighten(strict, probe).await;
            }
            compare(&mut sides, after).await
        })
    }

    /// What the real server answers to a GET.
    pub(crate) fn ask_real(&self, uri: &str) -> Value {
        let (code, answer) = self.runtime.block_on(send(&self.real, "GET", uri, "", &Value::Null));
        assert_eq!(code, 200, "{answer}");
        answer
    }

    /// Where the two differ; `None` if they don't.
    pub(crate) fn differ(&self, space: &str, operations: &[Operation]) -> Option<String> {
        self.runtime.block_on(async {
            let mut sides = [Side::new(&self.real, space).await, Side::new(&self.simulator, space).await];
            if let Some(difference) = compare(&mut sides, operations).await {
                return Some(difference);
            }
            let [mut real, mut simulated] = sides;
            for (resource, _) in RESOURCES.iter().filter(|(name, _)| *name != "namespaces") {
                if !operations.iter().any(|operation| operation.resource() == *resource) {
                    continue;
                }
                let (a, b) = (real.events(resource).await, simulated.events(resource).await);
                if a != b {
                    return Some(explain(&format!("the watch of {resource}"), &a, &b));
                }
                for query in INITIAL {
                    let (a, b) = (real.initial(resource, query).await, simulated.initial(resource, query).await);
                    if a != b {
                        return Some(explain(&format!("the watch of {resource} with {query}"), &a, &b));
                    }
                }
            }
            None
        })
    }
}

/// Where definitions are.
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Teaches a server a definition, and waits until it knows it.
async fn define(server: &Service, definition: &Value) {
    let (code, answer) = send(server, "POST", DEFINITIONS, "application/json", definition).await;
    assert!(matches!(code, 201 | 409), "{answer}");
    let spec = &definition["spec"];
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    let version = word(&spec["versions"][0]["name"]);
    let resource = format!("/apis/{}/{version}/{}", word(&spec["group"]), word(&spec["names"]["plural"]));
    let started = std::time::Instant::now();
    while send(server, "GET", &resource, "", &Value::Null).await.0 != 200 {
        assert!(started.elapsed() < PATIENCE, "the definition has no effect");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Carries the same out on both sides, and says where they first differ.
async fn compare([real, simulated]: &mut [Side; 2], operations: &[Operation]) -> Option<String> {
    for (number, operation) in operations.iter().enumerate() {
        let (a, b) = (real.carry_out(operation).await, simulated.carry_out(operation).await);
        if a != b && !is_same_refusal(&a, &b) {
            return Some(explain(&format!("operation {number}, {} {}", operation.method, operation.path), &a, &b));
        }
    }
    None
}

/// Whether both refuse to apply for the same faults of its fields, in whatever order. The real server goes through the fields of a
/// map in none, up to the first that the schema does not have: where it met one, it may not have come to all that the simulator
/// tells.
fn is_same_refusal(real: &Value, simulated: &Value) -> bool {
    let refused = |answer: &Value| -> Option<(String, BTreeSet<String>)> {
        let (about, faults) = answer[2]["message"].as_str()?.split_once("): ")?;
        let is_apply = answer[0] == 500 && about.starts_with("failed to create typed patch object");
        let faults = faults.trim_start_matches("errors:\n").split('\n').map(|line| line.trim_start().to_owned());
        is_apply.then(|| (about.to_owned(), faults.collect()))
    };
    let (Some((about, met)), Some((other, all))) = (refused(real), refused(simulated)) else { return false };
    let stopped = met.iter().any(|fault| fault.ends_with("field not declared in schema"));
    about == other && if stopped { met.is_subset(&all) } else { met == all }
}

/// The two answers, and the lines in which they differ.
fn explain(what: &str, real: &Value, simulated: &Value) -> String {
    let lines = |value: &Value| -> Vec<String> {
        serde_json::to_string_pretty(value).expect("JSON").lines().map(str::to_owned).collect()
    };
    let (a, b) = (lines(real), lines(simulated));
    let only = |of: &[String], other: &[String], sign: &str| -> Vec<String> {
        let lines = of.iter().filter(|line| !other.contains(line)).take(12);
        lines.map(|line| format!("{sign} {line}")).collect()
    };
    let lines = [only(&a, &b, "real     "), only(&b, &a, "simulated")].concat().join("\n");
    format!("{what}:\n{lines}\nreal:      {real}\nsimulated: {simulated}")
}

impl Side {
    async fn new(service: &Service, space: &str) -> Self {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}});
        let (code, answer) = send(service, "POST", "/api/v1/namespaces", "application/json", &body).await;
        assert_eq!(code, 201, "{answer}");
        let (known, normal) = (HashMap::new(), Normal::default());
        let (last, pages) = ("0".to_owned(), HashMap::new());
        Self { service: service.clone(), space: space.to_owned(), normal, known, last, pages }
    }

    /// Makes a definition stricter, and waits until it refuses `probe`, which is a dry run.
    async fn tighten(&mut self, definition: &Value, probe: &Operation) {
        let name = definition["metadata"]["name"].as_str().expect("a name");
        let patch = json!({"spec": {"versions": definition["spec"]["versions"]}});
        let uri = format!("{DEFINITIONS}/{name}");
        let (code, answer) = send(&self.service, "PATCH", &uri, "application/merge-patch+json", &patch).await;
        assert_eq!(code, 200, "{answer}");
        let started = std::time::Instant::now();
        while send(&self.service, &probe.method, &probe.uri(&self.space), &probe.content, &probe.body).await.0 != 422 {
            assert!(started.elapsed() < PATIENCE, "the definition has no effect");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Makes a request, and returns code and answer without what must differ.
    async fn carry_out(&mut self, operation: &Operation) -> Value {
        let object = operation.object();
        let body = self.fill(&object, &operation.body.to_string());
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let uri = self.fill(&object, &operation.uri(&self.space));
        let (code, warnings, answer) = ask(&self.service, &operation.method, &uri, &operation.content, &body).await;
        if code < 300 && answer["metadata"]["uid"].is_string() {
            let text = |name: &str| answer["metadata"][name].as_str().unwrap_or_default().to_owned();
            let object = format!("{}/{}", operation.resource(), text("name"));
            let (versions, uid) = self.known.entry(object).or_default();
            versions.push(text("resourceVersion"));
            // A dry run makes no version: what it answers may be 1, which a compaction takes away.
            if !operation.query.contains("dryRun") {
                self.last = text("resourceVersion");
            }
            *uid = text("uid");
        }
        if let Some(token) = answer["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
            self.pages.insert(operation.resource().to_owned(), token.to_owned());
        }
        // Differences that are known: who is refused is not warned, and others are of unknown fields alone.
        let is_known = |warning: &String| code < 300 && warning.contains("unknown field");
        let warnings: Vec<String> = warnings.into_iter().filter(is_known).collect();
        json!([code, warnings, self.normal.answer(&answer)])
    }

    fn fill(&self, object: &str, text: &str) -> String {
        let (versions, uid) = self.known.get(object).cloned().unwrap_or_default();
        let version = |back: usize| versions.len().checked_sub(back).and_then(|place| versions.get(place));
        let present = version(1).cloned().unwrap_or_else(|| "1".into());
        let old = versions.iter().rev().find(|old| **old != present).cloned().unwrap_or_else(|| "1".into());
        let uid = if uid.is_empty() { "00000000-0000-4000-8000-000000000000" } else { &uid };
        let page = self.pages.get(object.split('/').next().unwrap_or_default());
        let text = text.replace("$any", &self.last).replace("$continue", page.map_or("", String::as_str));
        text.replace("$rv", &present).replace("$old", &old).replace("$uid", uid).replace("$space", &self.space)
    }

    /// Everything that has happened to a resource in the namespace, as a watch from its beginning tells it.
    async fn events(&mut self, resource: &str) -> Value {
        let collection = format!("{}{resource}", root(resource, &self.space));
        let (_, namespace) =
            send(&self.service, "GET", &format!("/api/v1/namespaces/{}", self.space), "", &Value::Null).await;
        // The namespace's own version is from before anything in it, unless the sequence has changed it.
        let version = self.known.get(&format!("namespaces/{}", self.space)).map_or_else(
            || namespace["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned(),
            |(versions, _)| versions[0].clone(),
        );
        let last = crate::grammar::smallest(resource, LAST);
        let (code, answer) = send(&self.service, "POST", &collection, "application/json", &last).await;
        if code != 201 {
            return json!([code, self.normal.answer(&answer)]);
        }
        let uri = format!("{collection}?watch=1&resourceVersion={version}&timeoutSeconds=60");
        let is_last = |event: &Value| event["object"]["metadata"]["name"] == LAST || event["type"] == "ERROR";
        let mut events = self.watch(&uri, is_last).await;
        let name = |event: &Value| event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let names: Vec<String> = events.iter().map(name).collect();
        if names.iter().filter(|name| is_generated(name)).collect::<HashSet<_>>().len() > 1 {
            // What befalls several objects at a time does so in the order of their names, which is another on each side where
            // the server made them.
            events.sort_by_key(|event| names.iter().position(|other| *other == name(event)));
        }
        self.shown(&events).into()
    }

    /// What is there of a resource, as a watch tells it that begins with that.
    async fn initial(&mut self, resource: &str, query: &str) -> Value {
        let collection = format!("{}{resource}", root(resource, &self.space));
        let options = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let uri = format!("{collection}?{options}&timeoutSeconds=60{query}");
        let events = self.watch(&uri, |event| event["type"] == "BOOKMARK" || event["type"] == "ERROR").await;
        let mut events = self.shown(&events);
        // Names that the server made have another order on each side.
        events.sort_by_key(|event| event[1]["metadata"]["name"].to_string());
        events.into()
    }

    /// Events without what must differ.
    fn shown(&mut self, events: &[Value]) -> Vec<Value> {
        events.iter().map(|event| json!([event["type"], self.normal.answer(&event["object"])])).collect()
    }

    /// The events of a watch up to one.
    async fn watch(&self, uri: &str, is_last: impl Fn(&Value) -> bool) -> Vec<Value> {
        let request = http::Request::get(uri).body(Bytes::new()).expect("a request");
        let response = self.service.clone().oneshot(request).await.expect("an answer");
        let (mut body, mut text, mut events) = (response.into_body(), Vec::new(), Vec::new());
        loop {
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("the watch tells the last event");
            let frame = frame.expect("the watch goes on").expect("a frame");
            text.extend_from_slice(&frame.into_data().unwrap_or_default());
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                let mut event: Value = serde_json::from_slice(&line).expect("an event");
                if event["type"] == "BOOKMARK" {
                    // Other things happen on the real server at the same time.
                    event["object"]["metadata"]["resourceVersion"] = Value::Null;
                }
                let is_last = is_last(&event);
                events.push(event);
                if is_last {
                    return events;
                }
            }
        }
    }
}

/// Code and answer.
async fn send(service: &Service, method: &str, uri: &str, content: &str, body: &Value) -> (u16, Value) {
    let (code, _, answer) = ask(service, method, uri, content, body).await;
    (code, answer)
}

/// Code, warnings and answer.
async fn ask(service: &Service, method: &str, uri: &str, content: &str, body: &Value) -> (u16, Vec<String>, Value) {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let request = http::Request::builder().method(method).uri(uri).header("user-agent", "fidelity/1");
    let content = if content.is_empty() { "application/json" } else { content };
    let request = request.header("content-type", content).body(body).expect("a request");
    let response = service.clone().oneshot(request).await.expect("an answer");
    let code = response.status().as_u16();
    let warnings = response.headers().get_all("warning").iter().map(|value| format!("{value:?}"));
    // A difference that is known: no kind has warnings of its own.
    let warnings = warnings.filter(|warning| warning.contains("unknown field")).collect();
    let body = tokio::time::timeout(PATIENCE, response.into_body().collect()).await.expect("an answer in time");
    let body = body.expect("a body").to_bytes();
    let value = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
    (code, warnings, value)
}
