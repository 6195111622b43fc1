//! The operator's whole life in virtual time: on the simulator, with the controllers behind it, and a seed.
//!
//! All runs on one thread whose clock stands still until nobody has anything to do, and then leaps to the next moment at which
//! somebody has. An hour takes as long as what happens in it.

use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use application_operator::args::{self, Command};
use application_operator::run::{self, Surroundings};
use bytes::Bytes;
use engine::transport::{self, Service};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::{Controllers, Simulator};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower::ServiceExt as _;

/// The collection of Applications of the one namespace.
const APPLICATIONS: &str = "/apis/minetto.dev/v1alpha1/namespaces/default/applications";

/// Longer than anything takes here, in virtual time.
const PATIENCE: Duration = Duration::from_mins(10);

/// A cluster with an operator in it.
struct Life {
    simulator: Simulator,
    service: Service,
    /// What the operator has asked for, one request a line.
    asked: Arc<Mutex<Vec<String>>>,
    operator: Mutex<Option<JoinHandle<()>>>,
}

/// Runs a life from its seed on.
fn live<F: Future<Output = ()>>(seed: u64, story: impl FnOnce(Arc<Life>) -> F) -> Arc<Life> {
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
        let (service, asked, operator) = (simulator.service(), Arc::default(), Mutex::default());
        let life = Life { service, simulator: simulator.clone(), asked, operator };
        let life = Arc::new(life);
        let definition: Value = serde_saphyr::from_str(include_str!("../crds/10-application.yaml")).expect("YAML");
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let (code, answer) = life.ask("POST", definitions, "application/json", &definition).await;
        assert_eq!(code, 201, "{answer}");
        let controllers = tokio::spawn(async move { simulator.run(Controllers::new(seed)).await });
        life.start_operator();
        story(life.clone()).await;
        life.kill_operator();
        controllers.abort();
        life
    })
}

async fn operate(service: Service) {
    let words = [
        "application-operator",
        "run",
        "--leader-elect=false",
        "--metrics-bind-address=0",
        "--health-probe-bind-address=0",
        "--log-level=error",
    ];
    let Ok(parsed) = args::parse(words) else { panic!("such arguments") };
    let Command::Run(run) = parsed.command else { panic!("run") };
    run::act(&run, Surroundings::alone(service)).await.expect("it runs");
}

impl Life {
    fn start_operator(&self) {
        *self.operator.lock().expect("no panic") = Some(tokio::spawn(operate(self.heard())));
    }

    fn kill_operator(&self) {
        if let Some(operator) = self.operator.lock().expect("no panic").take() {
            operator.abort();
        }
    }

    /// The simulator's seam, with an ear at it.
    fn heard(&self) -> Service {
        let (service, asked) = (self.service.clone(), self.asked.clone());
        Service::new(tower::service_fn(move |request: transport::Request| {
            let body = String::from_utf8_lossy(request.body());
            let line = timeless(&format!("{} {} {body}", request.method(), request.uri()));
            asked.lock().expect("no panic").push(line);
            service.clone().oneshot(request)
        }))
    }

    async fn ask(&self, method: &str, uri: &str, content: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = http::Request::builder().method(method).uri(uri).header("user-agent", "test/1");
        let request = request.header("content-type", content).body(body).expect("a request");
        let response = self.service.clone().oneshot(request).await.expect("an answer");
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (code, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn create(&self, name: &str, image: &str) {
        let body = json!({
            "apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "metadata": {"name": name},
            "spec": {"image": image, "port": 80, "replicas": 2, "progressDeadlineSeconds": 120},
        });
        let (code, answer) = self.ask("POST", APPLICATIONS, "application/json", &body).await;
        assert_eq!(code, 201, "{answer}");
    }

    async fn get(&self, uri: &str) -> Value {
        self.ask("GET", uri, "", &Value::Null).await.1
    }

    async fn list(&self, uri: &str) -> Vec<Value> {
        self.get(uri).await["items"].as_array().cloned().expect("a list")
    }

    /// Waits until something holds, and says how long that took.
    async fn wait(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
        let started = Instant::now();
        while !holds().await {
            assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
            sleep(Duration::from_millis(100)).await;
        }
        started.elapsed()
    }

    async fn wait_for_ready(&self, names: &[String]) -> Duration {
        self.wait("every Application to be ready", async || {
            let all = self.list(APPLICATIONS).await;
            let of = |name: &String| all.iter().find(|one| one["metadata"]["name"] == **name);
            names.iter().all(|name| of(name).is_some_and(|one| condition(one, "Ready")[0] == "True"))
        })
        .await
    }

    /// Every change of the cluster, without what the operator takes from a clock of its own.
    fn changes(&self) -> Vec<String> {
        self.simulator.look(|server| {
            let changes = server.state().history.since(0);
            changes.map(|change| timeless(&format!("{:?} {}", change.place, change.new))).collect()
        })
    }
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

fn condition(object: &Value, kind: &str) -> [String; 2] {
    let found = object["status"]["conditions"].as_array().into_iter().flatten().find(|one| one["type"] == kind);
    ["status", "reason"].map(|name| found.map_or("", |one| one[name].as_str().unwrap_or_default()).to_owned())
}

fn hash(lines: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    lines.hash(&mut hasher);
    hasher.finish()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("app-{number:03}")).collect()
}

/// A hundred Applications, children that somebody deletes, an image that can't be pulled and is mended, and the end.
async fn story(life: Arc<Life>) {
    // An operator that finds them all at once takes them in no order: its caches are hash maps.
    sleep(Duration::from_secs(1)).await;
    let names = names(100);
    for name in &names {
        life.create(name, "nginx").await;
    }
    let took = life.wait_for_ready(&names).await;
    assert!(took < Duration::from_secs(30), "{took:?}");

    for name in &names[..10] {
        let uri = format!("/apis/apps/v1/namespaces/default/deployments/{name}-deployment");
        let before = life.get(&uri).await["metadata"]["uid"].clone();
        assert_eq!(life.ask("DELETE", &uri, "", &Value::Null).await.0, 200);
        let took = life.wait("the Deployment to be back", async || {
            let uid = life.get(&uri).await["metadata"]["uid"].clone();
            uid.is_string() && uid != before
        });
        let took = took.await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    life.wait_for_ready(&names).await;

    let bad = format!("{APPLICATIONS}/{}", names[0]);
    let merge = "application/merge-patch+json";
    let (code, answer) = life.ask("PATCH", &bad, merge, &json!({"spec": {"image": "nginx:missing"}})).await;
    assert_eq!(code, 200, "{answer}");
    life.wait("the failure to be told", async || {
        let failure = life.get(&bad).await["status"]["failure"].clone();
        failure["reason"] == "ImagePullBackOff" || failure["reason"] == "ErrImagePull"
    })
    .await;
    life.wait("the deadline", async || condition(&life.get(&bad).await, "Progressing")[0] == "False").await;
    let (code, answer) = life.ask("PATCH", &bad, merge, &json!({"spec": {"image": "nginx:1.29"}})).await;
    assert_eq!(code, 200, "{answer}");
    life.wait_for_ready(&names).await;

    for name in &names {
        assert_eq!(life.ask("DELETE", &format!("{APPLICATIONS}/{name}"), "", &Value::Null).await.0, 200);
    }
    life.wait("everything to be gone", async || {
        let mut left = 0;
        for uri in ["/apis/apps/v1/deployments", "/apis/apps/v1/replicasets", "/api/v1/pods", "/api/v1/services"] {
            left += life.list(uri).await.len();
        }
        left == 0
    })
    .await;
}

#[test]
fn a_hundred_applications_live_and_die_in_virtual_time_and_the_same_seed_gives_the_same_life() {
    let lives = [live(11, story), live(11, story)];
    let changes = lives.each_ref().map(|life| life.changes());
    let asked = lives.each_ref().map(|life| life.asked.lock().expect("no panic").clone());
    for lines in [&changes, &asked] {
        let first = lines[0].iter().zip(&lines[1]).position(|(a, b)| a != b);
        let shown = first.map(|place| (place, &lines[0][place], &lines[1][place]));
        assert_eq!(hash(&lines[0]), hash(&lines[1]), "{} and {} lines: {shown:#?}", lines[0].len(), lines[1].len());
    }
}

/// A fleet of 40 whose pods need half a minute each to be available, and an operator of another version than the one that
/// made them: then every Deployment is as that one rendered it.
async fn upgrade(life: Arc<Life>) {
    const FLEET: usize = 40;
    const AT_A_TIME: usize = 10;
    let (merge, deployments) = ("application/merge-patch+json", "/apis/apps/v1/namespaces/default/deployments");
    let slow = json!({"spec": {"minReadySeconds": 30}});
    let names = names(FLEET);
    for name in &names {
        life.create(name, "nginx").await;
        assert_eq!(life.ask("PATCH", &format!("{APPLICATIONS}/{name}"), merge, &slow).await.0, 200);
    }
    life.wait_for_ready(&names).await;
    life.kill_operator();
    for name in &names {
        let former = json!({
            "metadata": {"annotations": {"minetto.dev/applied-hash": "a-former-version", "minetto.dev/revision": null}},
            "spec": {"template": {"spec": {"automountServiceAccountToken": true}}},
        });
        let uri = format!("{deployments}/{name}-deployment");
        assert_eq!(life.ask("PATCH", &uri, merge, &former).await.0, 200);
    }
    let is_rolled_out = |deployment: &Value| {
        let status = &deployment["status"];
        status["observedGeneration"] == deployment["metadata"]["generation"]
            && [&status["updatedReplicas"], &status["replicas"], &status["availableReplicas"]]
                .iter()
                .all(|count| **count == deployment["spec"]["replicas"])
    };
    let is_new = |deployment: &Value| deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] == false;
    life.wait("the former pods", async || life.list(deployments).await.iter().all(is_rolled_out)).await;

    life.start_operator();
    sleep(Duration::from_secs(5)).await;
    let count = async || {
        let all = life.list(deployments).await;
        let new = all.iter().filter(|deployment| is_new(deployment));
        (new.clone().count(), new.filter(|deployment| !is_rolled_out(deployment)).count())
    };
    assert_eq!(count().await, (AT_A_TIME, AT_A_TIME), "as many as may be are under way, and no more");
    let all = life.list(APPLICATIONS).await;
    assert!(all.iter().filter(|one| condition(one, "Ready")[0] == "True").count() >= FLEET - AT_A_TIME);

    // Nobody who wishes for something waits.
    life.create("new", "nginx").await;
    let waiting = life.list(deployments).await.into_iter().rfind(|one| !is_new(one)).expect("one that waits");
    let changed = waiting["metadata"]["labels"]["app"].as_str().expect("a label").to_owned();
    let change = json!({"spec": {"image": "nginx:1.29"}});
    assert_eq!(life.ask("PATCH", &format!("{APPLICATIONS}/{changed}"), merge, &change).await.0, 200);
    sleep(Duration::from_secs(1)).await;
    let made = life.get(&format!("{deployments}/new-deployment")).await;
    assert!(is_new(&made), "{made}");
    let made = life.get(&format!("{deployments}/{changed}-deployment")).await;
    assert_eq!(made["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:1.29");

    let started = Instant::now();
    loop {
        let (new, under_way) = count().await;
        // Those two are beside the count.
        assert!(under_way <= AT_A_TIME + 2, "{under_way} at a time");
        if new == FLEET + 1 && under_way == 0 {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for the whole fleet: {new} of {FLEET}");
        sleep(Duration::from_secs(1)).await;
    }
    assert!(started.elapsed() > Duration::from_secs(90), "four rounds of half a minute each");
    life.wait_for_ready(&names).await;
}

#[test]
fn a_version_that_renders_pods_otherwise_replaces_those_of_ten_applications_at_a_time_and_keeps_no_user_waiting() {
    live(7, upgrade);
}
