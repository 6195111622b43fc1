//! The operator's binary on a cluster, real or simulated, as the tests see both. Each test has a namespace of its own.
//!
//! The tests of one file share a cluster, which dies with their process. The operator runs as the service account that
//! `crds/` makes for it, so that each of these tests is a test of its permissions too.

#![allow(dead_code, unused_imports)] // Each file of tests uses a part of it.

mod api;
mod audit;
mod fleet;
mod gateway;
mod leash;
mod operator;
mod pods;
mod wish;

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
pub(crate) use testbed::Admin as Api;
use testbed::{Component, Components, Options, Server};

pub(crate) use self::api::path;
pub(crate) use self::audit::Request;
pub(crate) use self::fleet::for_each;
pub(crate) use self::gateway::install_gateway_api;
pub(crate) use self::operator::{Operator, let_time_pass};
pub(crate) use self::pods::report_ready;
pub(crate) use self::wish::{Children, faults};

/// Many times what anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Short against what is measured.
const POLL: Duration = Duration::from_millis(20);

/// Objects of a kind that are shown of a test that failed.
const SHOWN: usize = 10;

/// The former operator's finalizer.
pub(crate) const FORMER_FINALIZER: &str = "minetto.dev/application_controller_finalizer";

/// The user that the operator is.
pub(crate) const OPERATOR: &str = "system:serviceaccount:application-operator-system:application-operator";

/// Looks until there is something to be seen.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        thread::sleep(POLL);
    }
}

/// Looks until nothing is amiss, and says what was if that never comes.
#[track_caller]
pub(crate) fn wait_until_good(what: &str, mut look: impl FnMut() -> Vec<String>) {
    let start = Instant::now();
    loop {
        let amiss = look();
        if amiss.is_empty() {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}: {}", amiss.join("; "));
        thread::sleep(POLL);
    }
}

/// A cluster, and how to reach it.
pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) cluster: Server,
}

impl World {
    /// A cluster in which `crds/` is applied; `None`, said loudly, where this machine can't run one.
    pub(crate) fn start(options: Options) -> Option<Self> {
        let collects_garbage = options.components == Components::Full;
        let world = Self::bare(options)?;
        world.install();
        if collects_garbage && !testbed::is_simulated() {
            // It learns of a new resource within half a minute, or when it starts.
            world.cluster.restart(Component::ControllerManager).expect("it has one");
        }
        Some(world)
    }

    /// A cluster that has never heard of Applications.
    pub(crate) fn bare(options: Options) -> Option<Self> {
        let cluster = testbed::start_or_say(options)?;
        Some(Self { api: cluster.admin().clone(), cluster })
    }

    /// The cluster that all tests of this process share.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<World>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Options::default())).as_ref()
    }

    /// The shared cluster with an operator that looks after all of it.
    pub(crate) fn operated() -> Option<&'static Self> {
        static RUNNING: OnceLock<Operator> = OnceLock::new();
        let world = Self::shared()?;
        RUNNING.get_or_init(|| world.operator(&[]));
        Some(world)
    }

    /// Applies `crds/`, as the README says.
    pub(crate) fn install(&self) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
        if testbed::is_simulated() {
            let mut files: Vec<_> = fs::read_dir(folder).expect("a folder").flatten().map(|file| file.path()).collect();
            files.sort();
            for file in files {
                self.cluster.apply(&fs::read_to_string(file).expect("a manifest"));
            }
        } else {
            self.cluster.kubectl_ok(&["apply", "-f", folder]);
        }
        self.api.wait_until_established("applications.minetto.dev");
    }

    /// The kubeconfig of the operator's service account.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        let file = self.cluster.folder().join("kubeconfig-operator");
        if !file.exists() {
            let token = self.cluster.account_token("application-operator-system", "application-operator");
            let admin = fs::read_to_string(self.cluster.kubeconfig()).expect("the admin's kubeconfig");
            // Written beside and renamed, as other tests may look for it now.
            let draft = self.cluster.folder().join(format!("{:?}", thread::current().id()));
            fs::write(&draft, admin.replace(self.cluster.token(), &token)).expect("a file in the cluster's folder");
            fs::rename(draft, &file).expect("a file in the cluster's folder");
        }
        file
    }

    /// A ready operator.
    pub(crate) fn operator(&self, args: &[&str]) -> Operator {
        let operator = self.operator_as(&self.kubeconfig(), args);
        operator.wait_until_ready();
        operator
    }

    /// An operator that may never get ready.
    pub(crate) fn operator_as(&self, kubeconfig: &Path, args: &[&str]) -> Operator {
        Operator::start(self.cluster.folder(), kubeconfig, args)
    }

    /// A ready operator in an environment of these variables.
    pub(crate) fn operator_in(&self, args: &[&str], variables: &[(&str, &str)]) -> Operator {
        let operator = Operator::start_in(self.cluster.folder(), &self.kubeconfig(), args, variables);
        operator.wait_until_ready();
        operator
    }

    /// Gives all nodes the label by which the guide's examples choose one, as a kubelet does; the simulator's has it.
    pub(crate) fn label_nodes(&self) {
        if !testbed::is_simulated() {
            self.cluster.kubectl_ok(&["label", "nodes", "--all", "--overwrite", "kubernetes.io/os=linux"]);
        }
    }

    /// A namespace that is deleted by nobody.
    pub(crate) fn space(&self, name: &str) -> Space<'_> {
        self.api.create("/api/v1/namespaces", &json!({"metadata": {"name": name}}));
        Space { world: self, name: name.to_owned() }
    }
}

/// The namespace of one test.
pub(crate) struct Space<'w> {
    pub(crate) world: &'w World,
    pub(crate) name: String,
}

impl Space<'static> {
    /// A namespace in the shared cluster, which no operator looks after yet.
    pub(crate) fn new(name: &str) -> Option<Self> {
        World::shared().map(|world| world.space(name))
    }

    /// A namespace in the shared cluster, which its operator looks after.
    pub(crate) fn operated(name: &str) -> Option<Self> {
        World::operated().map(|world| world.space(name))
    }
}

impl Space<'_> {
    /// The same, for a test that runs kubectl; `None`, said loudly, where there is none.
    pub(crate) fn with_kubectl(self) -> Option<Self> {
        testbed::has_kubectl().then_some(self)
    }

    /// An operator for this namespace alone.
    pub(crate) fn operator(&self) -> Operator {
        self.world.operator(&["--namespace", &self.name])
    }

    /// What kubectl prints when it is run in this namespace.
    #[track_caller]
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.world.cluster.kubectl_ok(&[&["-n", &self.name], args].concat())
    }

    /// What kubectl says when it is refused.
    #[track_caller]
    pub(crate) fn kubectl_refused(&self, args: &[&str]) -> String {
        let output = self.world.cluster.kubectl([&["-n", &self.name], args].concat()).expect("kubectl can be run");
        assert!(!output.status.success(), "{args:?} was not refused");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// An object of this namespace, if there is one.
    #[track_caller]
    pub(crate) fn get(&self, resource: &str, name: &str) -> Option<Value> {
        self.world.api.get(&format!("{}/{name}", path(resource, &self.name)))
    }

    /// The objects of this namespace.
    #[track_caller]
    pub(crate) fn list(&self, resource: &str) -> Vec<Value> {
        self.world.api.list(&path(resource, &self.name))
    }

    /// Creates an object as `kubectl create` does.
    #[track_caller]
    pub(crate) fn create(&self, resource: &str, object: &Value) -> Value {
        self.create_as("kubectl-create", resource, object)
    }

    /// Creates an object as a program does that names itself so.
    #[track_caller]
    pub(crate) fn create_as(&self, who: &str, resource: &str, object: &Value) -> Value {
        let path = format!("{}?fieldManager={who}", path(resource, &self.name));
        self.world.api.create(&path, object)
    }

    /// Creates an Application.
    #[track_caller]
    pub(crate) fn application(&self, name: &str, spec: &Value) -> Value {
        let application = json!({
            "apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "metadata": {"name": name}, "spec": spec,
        });
        self.create("applications", &application)
    }

    /// Merges a change into an object, as `kubectl edit` does; lists are replaced as a whole.
    #[track_caller]
    pub(crate) fn edit(&self, resource: &str, name: &str, change: &Value) -> Value {
        let path = format!("{}/{name}?fieldManager=kubectl-edit", path(resource, &self.name));
        let (code, edited) = self.world.api.ask("PATCH", &path, change);
        assert_eq!(code, 200, "{edited}");
        edited
    }

    /// Applies an object with force, as `kubectl apply --server-side --force-conflicts` does.
    #[track_caller]
    pub(crate) fn apply_as(&self, who: &str, resource: &str, name: &str, object: &Value) -> Value {
        let path = format!("{}/{name}?fieldManager={who}&force=true", path(resource, &self.name));
        let (code, applied) = self.world.api.apply(&path, object);
        assert!(matches!(code, 200 | 201), "{applied}");
        applied
    }

    /// Deletes an object, in the background as kubectl does.
    #[track_caller]
    pub(crate) fn delete(&self, resource: &str, name: &str) {
        let path = format!("{}/{name}", path(resource, &self.name));
        let (code, said) = self.world.api.ask("DELETE", &path, &json!({"propagationPolicy": "Background"}));
        assert!(matches!(code, 200 | 202), "{said}");
    }

    /// Both children of an Application.
    pub(crate) fn children(&self, application: &str) -> Children {
        Children {
            deployment: self.get("deployments", &format!("{application}-deployment")),
            service: self.get("services", &format!("{application}-service")),
        }
    }

    /// Waits until the children of an Application are as it says.
    #[track_caller]
    pub(crate) fn wait_until_converged(&self, application: &str) {
        wait_until_good(&format!("{application} to converge"), || {
            let wish = self.get("applications", application).expect("the Application");
            faults(&wish, &self.children(application))
        });
    }

    /// Waits until an Application is as the closure says, which looks at its status.
    #[track_caller]
    pub(crate) fn wait_for_status(&self, application: &str, what: &str, good: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let seen = self.get("applications", application).expect("the Application");
            if seen["metadata"]["generation"] == seen["status"]["observedGeneration"] && good(&seen) {
                return seen;
            }
            let status = &seen["status"];
            assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {application} {what}: {status:#}");
            thread::sleep(POLL);
        }
    }

    /// Waits until an Application is ready in its latest generation, and its children are as it says.
    #[track_caller]
    pub(crate) fn wait_until_ready(&self, application: &str) -> Value {
        let seen = self.wait_for_status(application, "to be ready", |seen| reason(seen, "Ready").0 == "True");
        self.wait_until_converged(application);
        seen
    }

    /// Requests for objects of this namespace that the operator has sent so far and that may change something, but for
    /// those about events.
    pub(crate) fn writes(&self) -> Vec<Request> {
        let requests = self.world.requests().into_iter();
        requests.filter(|request| request.is_write_of(OPERATOR) && request.namespace == self.name).collect()
    }

    /// How often the operator has tried to write an object.
    pub(crate) fn writes_of(&self, name: &str) -> usize {
        self.writes().iter().filter(|write| write.name == name).count()
    }

    /// Waits for a warning about an Application.
    #[track_caller]
    pub(crate) fn wait_for_warning(&self, application: &str, reason: &str) {
        wait_until_good(&format!("a warning {reason}"), || {
            let mut events = self.list("events");
            events.retain(|event| {
                event["regarding"]["kind"] == "Application" && event["regarding"]["name"] == application
            });
            let is_told = events.iter().any(|event| event["type"] == "Warning" && event["reason"] == reason);
            if is_told { vec![] } else { events.iter().map(Value::to_string).collect() }
        });
    }
}

impl Drop for Space<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert_eq!(self.world.forbidden(), Vec::<String>::new(), "the operator lacks a permission");
            return;
        }
        eprintln!("--- namespace {}", self.name);
        for resource in ["applications", "deployments", "services"] {
            // The API server may be what failed, and a second panic would hide the first.
            let answer = self.world.api.try_ask("GET", &path(resource, &self.name), &Value::Null);
            let objects: Option<Vec<Value>> =
                answer.and_then(|(_, mut list)| serde_json::from_value(list.get_mut("items")?.take()).ok());
            for mut object in objects.unwrap_or_default().into_iter().take(SHOWN) {
                object["metadata"]["managedFields"] = Value::Null;
                eprintln!("{resource}: {object}");
            }
        }
        operator::show_logs(self.world.cluster.folder(), &self.name);
    }
}

/// Status, reason and message of a condition; empty where there is none.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> (&'a str, &'a str, &'a str) {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let condition = conditions.iter().find(|condition| condition["type"] == kind);
    let field = |field: &str| condition.and_then(|condition| condition[field].as_str()).unwrap_or_default();
    (field("status"), field("reason"), field("message"))
}

/// Status and reason of a condition.
pub(crate) fn reason<'a>(object: &'a Value, kind: &str) -> (&'a str, &'a str) {
    let (status, reason, _) = condition(object, kind);
    (status, reason)
}

/// The uid of an object.
#[track_caller]
pub(crate) fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().expect("a uid").to_owned()
}

/// Says what was measured; `cargo test -- --nocapture` shows it.
pub(crate) fn record(what: &str, measured: impl Debug) {
    eprintln!("MEASURED {what}: {measured:?}");
}
