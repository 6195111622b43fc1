//! A cluster and an operator in it, in virtual time: what happens to them, and what is seen of it.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use application_operator::args::{self, Command};
use application_operator::run::{self, Surroundings};
use bytes::Bytes;
use engine::transport::{self, Service};
use http_body_util::{BodyExt as _, Full};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::{Controllers, Simulator};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower::ServiceExt as _;

/// The collection of Applications of the one namespace.
pub(crate) const APPLICATIONS: &str = "/apis/minetto.dev/v1alpha1/namespaces/default/applications";

/// Longer than anything takes here, in virtual time.
pub(crate) const PATIENCE: Duration = Duration::from_mins(10);

/// A cluster with an operator in it.
pub(crate) struct Life {
    pub(crate) simulator: Simulator,
    service: Service,
    /// What the operator has asked for, one request a line.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    /// How the path begins of what comes to no end when it is written, as where a webhook hangs.
    pub(crate) hanging: Arc<Mutex<Option<&'static str>>>,
    /// Arguments of the operator.
    flags: &'static [&'static str],
    operator: Mutex<Option<JoinHandle<()>>>,
}

/// Runs a life from its seed on, with an operator that is told so much.
pub(crate) fn live<F: Future<Output = ()>>(
    seed: u64,
    flags: &'static [&'static str],
    story: impl FnOnce(Arc<Life>) -> F,
) -> Arc<Life> {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let started = Instant::now();
        let clock = move || {
            let passed = SignedDuration::try_from(started.elapsed()).expect("not for ever");
            Timestamp::UNIX_EPOCH.saturating_add(passed).expect("not for ever")
        };
        let simulator = Simulator::new(seed, Arc::new(clock));
        let life = Arc::new(Life {
            service: simulator.service(),
            simulator: simulator.clone(),
            asked: Arc::default(),
            hanging: Arc::default(),
            flags,
            operator: Mutex::default(),
        });
        let definition: Value = serde_saphyr::from_str(include_str!("../../crds/10-application.yaml")).expect("YAML");
        life.define(&definition).await;
        let controllers = tokio::spawn(async move { simulator.run(Controllers::new(seed)).await });
        life.start_operator();
        story(life.clone()).await;
        life.kill_operator();
        controllers.abort();
        life
    })
}

async fn operate(service: Service, flags: &[&str]) {
    let mut words = vec![
        "application-operator",
        "run",
        "--leader-elect=false",
        "--metrics-bind-address=0",
        "--health-probe-bind-address=0",
        "--log-level=error",
    ];
    words.extend(flags);
    let Ok(parsed) = args::parse(words) else { panic!("such arguments") };
    let Command::Run(run) = parsed.command else { panic!("run") };
    run::act(&run, Surroundings::alone(service)).await.expect("it runs");
}

impl Life {
    pub(crate) fn start_operator(&self) {
        let operator = tokio::spawn(operate(self.heard(), self.flags));
        *self.operator.lock().expect("no panic") = Some(operator);
    }

    pub(crate) fn kill_operator(&self) {
        if let Some(operator) = self.operator.lock().expect("no panic").take() {
            operator.abort();
        }
    }

    /// The simulator's seam, with an ear at it.
    fn heard(&self) -> Service {
        let (service, asked, hanging) = (self.service.clone(), self.asked.clone(), self.hanging.clone());
        Service::new(tower::service_fn(move |request: transport::Request| {
            let body = String::from_utf8_lossy(request.body());
            let line = timeless(&format!("{} {} {body}", request.method(), request.uri()));
            asked.lock().expect("no panic").push(line);
            let hangs = hanging.lock().expect("no panic").is_some_and(|start| request.uri().path().starts_with(start));
            let hangs = hangs && request.method() != http::Method::GET;
            let service = service.clone();
            async move { if hangs { Ok(timed_out().await) } else { service.oneshot(request).await } }
        }))
    }

    pub(crate) async fn define(&self, definition: &Value) {
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let (code, answer) = self.ask("POST", definitions, "application/json", definition).await;
        assert_eq!(code, 201, "{answer}");
    }

    pub(crate) async fn ask(&self, method: &str, uri: &str, content: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = http::Request::builder().method(method).uri(uri).header("user-agent", "test/1");
        let request = request.header("content-type", content).body(body).expect("a request");
        let response = self.service.clone().oneshot(request).await.expect("an answer");
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (code, serde_json::from_slice(&body).unwrap_or_default())
    }

    pub(crate) async fn create(&self, name: &str, image: &str) {
        self.create_with(name, &json!({"image": image, "port": 80, "replicas": 2, "progressDeadlineSeconds": 120}))
            .await;
    }

    pub(crate) async fn create_with(&self, name: &str, spec: &Value) {
        let body = json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "metadata": {"name": name},
            "spec": spec});
        let (code, answer) = self.ask("POST", APPLICATIONS, "application/json", &body).await;
        assert_eq!(code, 201, "{answer}");
    }

    /// Merges `change` into what is there.
    pub(crate) async fn merge(&self, uri: &str, change: &Value) {
        let (code, answer) = self.ask("PATCH", uri, "application/merge-patch+json", change).await;
        assert_eq!(code, 200, "{answer}");
    }

    pub(crate) async fn get(&self, uri: &str) -> Value {
        self.ask("GET", uri, "", &Value::Null).await.1
    }

    pub(crate) async fn list(&self, uri: &str) -> Vec<Value> {
        self.get(uri).await["items"].as_array().cloned().expect("a list")
    }

    /// Waits until something holds, and says how long that took: to a second, and at first to a tenth of one.
    pub(crate) async fn wait(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
        let started = Instant::now();
        while !holds().await {
            let waited = started.elapsed();
            assert!(waited < PATIENCE, "waited in vain for {what}");
            sleep(if waited < Duration::from_secs(2) { Duration::from_millis(100) } else { Duration::from_secs(1) })
                .await;
        }
        started.elapsed()
    }

    pub(crate) async fn wait_for_ready(&self, names: &[String]) -> Duration {
        self.wait("every Application to be ready", async || {
            let all = self.list(APPLICATIONS).await;
            let of = |name: &String| all.iter().find(|one| one["metadata"]["name"] == **name);
            names.iter().all(|name| of(name).is_some_and(|one| condition(one, "Ready")[0] == "True"))
        })
        .await
    }

    /// Every change of the cluster, without what the operator takes from a clock of its own.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.simulator.look(|server| {
            let changes = server.state().history.since(0);
            changes.map(|change| timeless(&format!("{:?} {}", change.place, change.new))).collect()
        })
    }
}

/// What the API server says of a write that takes longer than it waits: 34 s.
async fn timed_out() -> transport::Response {
    sleep(Duration::from_secs(34)).await;
    let body = json!({"kind": "Status", "status": "Failure", "code": 504, "reason": "Timeout",
        "message": "Timeout: request did not complete within requested timeout - context deadline exceeded"});
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed_unsync();
    http::Response::builder().status(504).body(body).expect("a response")
}

/// A text without the moments of this century, which are those of the machine: virtual time begins in 1970. Names of events
/// end with such a moment, in hexadecimal digits.
fn timeless(text: &str) -> String {
    let mut parts = text.split('.');
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        named = if digits < 15 { named + "." + part } else { named + &part[digits..] };
    }
    let text = named;
    let mut parts = text.split("\"20");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_time = part.as_bytes().get(2) == Some(&b'-') && part.as_bytes().get(8) == Some(&b'T');
        let rest = if is_time { part.find('"').map_or("", |end| &part[end..]) } else { part };
        result += if is_time { "\"time" } else { "\"20" };
        result += rest;
    }
    result
}

/// Status, reason and message of a condition.
pub(crate) fn condition<'o>(object: &'o Value, kind: &str) -> [&'o str; 3] {
    let found = object["status"]["conditions"].as_array().into_iter().flatten().find(|one| one["type"] == kind);
    ["status", "reason", "message"].map(|name| found.and_then(|one| one[name].as_str()).unwrap_or_default())
}

pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("app-{number:03}")).collect()
}
