//! What there is of the sample, as watches of the demo's own bring it: the engine's reflectors and caches again, in another
//! process than the operator's.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;

use application_operator::application::{Application, ConditionType, Failure};
use application_operator::observe::{Deployment, Service};
use engine::api::{Client, Entry};
use engine::config::Config;
use engine::object::{Key, Metadata, Object, Resource};
use engine::reflector::Reflector;
use engine::store::{self, Change, Reader};
use engine::transport;
use serde::Deserialize;
use tokio::runtime::Runtime;

/// The sample's namespace.
pub(crate) const NAMESPACE: &str = "application-sample";
/// The sample's name.
pub(crate) const APPLICATION: &str = "application-sample";
/// The name of its Deployment.
pub(crate) const DEPLOYMENT: &str = "application-sample-deployment";
/// The name of its Service.
const SERVICE: &str = "application-sample-service";

/// The collection of a resource in the sample's namespace; `version` is the path of its group version.
pub(crate) fn collection(version: &str, plural: &str) -> String {
    format!("{version}/namespaces/{NAMESPACE}/{plural}")
}

/// Something that the story waits for.
pub(crate) enum Event {
    /// A cache has changed.
    Changed,
    /// Somebody wants the demo to end.
    Interrupted,
}

/// The part of a pod that is shown.
#[derive(Deserialize)]
pub(crate) struct Pod {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    pub(crate) status: PodStatus,
}

/// The part of a pod's status that is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodStatus {
    pub(crate) phase: String,
    pub(crate) conditions: Vec<PodCondition>,
}

/// A condition of a pod.
#[derive(Deserialize)]
pub(crate) struct PodCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl Object for Pod {
    const RESOURCE: Resource = Resource { group: "", version: "v1", kind: "Pod", plural: "pods" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Pod {
    /// What `kubectl get pods` would say, in words.
    pub(crate) fn state(&self) -> String {
        let ready =
            self.status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True");
        match (self.metadata.is_terminating(), ready) {
            (true, _) => "Terminating".to_owned(),
            (false, true) => format!("{}, ready", self.status.phase),
            (false, false) => self.status.phase.clone(),
        }
    }
}

/// The caches.
pub(crate) struct World {
    applications: Reader<Application>,
    deployments: Reader<Deployment>,
    pods: Reader<Pod>,
    services: Reader<Service>,
    times: Arc<Mutex<Times>>,
}

/// When something came in, to be told from each other by milliseconds: the story itself is busy with kubectl then.
#[derive(Clone, Copy, Default)]
pub(crate) struct Times {
    /// The Application, for the first time.
    pub(crate) created: Option<Instant>,
    /// The Application said that it is ready, for the first time since it was created or its Deployment was deleted.
    pub(crate) ready: Option<Instant>,
    /// The Deployment was gone.
    pub(crate) gone: Option<Instant>,
    /// The Deployment was back.
    pub(crate) back: Option<Instant>,
}

impl Times {
    fn of_application(&mut self, change: &Change<Application>) {
        let now = Instant::now();
        self.created = self.created.or(Some(now));
        if valid(change.new.clone()).is_some_and(|application| says_ready(&application)) {
            self.ready = self.ready.or(Some(now));
        }
    }

    fn of_deployment(&mut self, change: &Change<Deployment>) {
        let now = Instant::now();
        if change.new.is_none() {
            *self = Self { gone: Some(now), back: None, ready: None, ..*self };
        } else if change.old.is_none() && self.gone.is_some() {
            self.back = Some(now);
        }
    }
}

impl World {
    /// Begins to watch; `events` says when there is something new.
    pub(crate) fn watch(
        runtime: &Runtime,
        kubeconfig: &Path,
        events: &mpsc::Sender<Event>,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let config = Config::from_kubeconfig(kubeconfig, None)?;
        let _inside = runtime.enter();
        let client = Client::new(transport::connect(&config)?, "demo");
        let times = Arc::<Mutex<Times>>::default();
        let (of_application, of_deployment) = (times.clone(), times.clone());
        Ok(Self {
            applications: cache(runtime, &client, events, move |change| lock(&of_application).of_application(change)),
            deployments: cache(runtime, &client, events, move |change| lock(&of_deployment).of_deployment(change)),
            pods: cache(runtime, &client, events, |_| ()),
            services: cache(runtime, &client, events, |_| ()),
            times,
        })
    }

    /// The sample.
    pub(crate) fn application(&self) -> Option<Arc<Application>> {
        valid(self.applications.get(&Key::new(NAMESPACE, APPLICATION)))
    }

    /// Its Deployment.
    pub(crate) fn deployment(&self) -> Option<Arc<Deployment>> {
        valid(self.deployments.get(&Key::new(NAMESPACE, DEPLOYMENT)))
    }

    /// Its Service.
    pub(crate) fn service(&self) -> Option<Arc<Service>> {
        valid(self.services.get(&Key::new(NAMESPACE, SERVICE)))
    }

    /// Its pods, by name.
    pub(crate) fn pods(&self) -> Vec<Arc<Pod>> {
        let mut keys = self.pods.keys();
        keys.sort_unstable();
        keys.iter().filter_map(|key| valid(self.pods.get(key))).collect()
    }

    /// Whether the sample is ready, and has been told since it last was not.
    pub(crate) fn is_ready(&self) -> bool {
        let (Some(application), Some(deployment)) = (self.application(), self.deployment()) else {
            return false;
        };
        let is_scaled = deployment.0.status.ready_replicas == application.spec.replicas;
        is_scaled && says_ready(&application) && self.times().ready.is_some()
    }

    /// Whether that is so of the latest spec, with that many pods and none besides.
    pub(crate) fn is_settled(&self, replicas: i32) -> bool {
        let Some(application) = self.application() else { return false };
        let status = &application.status;
        self.is_ready()
            && status.observed_generation == application.metadata().generation
            && status.failure.is_none()
            && status.updated_replicas == replicas
            && usize::try_from(replicas) == Ok(self.pods().len())
    }

    /// Why a pod of the sample does not run, as its status says.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.application().and_then(|application| application.status.failure.as_deref().cloned())
    }

    /// When what happened.
    pub(crate) fn times(&self) -> Times {
        *lock(&self.times)
    }
}

fn says_ready(application: &Application) -> bool {
    application.status.condition(ConditionType::Ready).is_some_and(|ready| ready.status == "True")
}

fn lock(times: &Mutex<Times>) -> MutexGuard<'_, Times> {
    times.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a cache of the sample's namespace up to date for as long as the runtime lives.
fn cache<T: Object>(
    runtime: &Runtime,
    client: &Client,
    events: &mpsc::Sender<Event>,
    noted: impl Fn(&Change<T>) + Send + Sync + 'static,
) -> Reader<T> {
    let noted = Arc::new(noted);
    let (writers, reader) = store::new::<T>(&[NAMESPACE.into()]);
    for writer in writers {
        let (events, noted) = (events.clone(), noted.clone());
        runtime.spawn(Reflector::new(client.clone(), writer).run(move |change| {
            noted(change);
            // The demo ends before its watches do.
            let _ = events.send(Event::Changed);
        }));
    }
    reader
}

fn valid<T>(entry: Option<Entry<T>>) -> Option<Arc<T>> {
    match entry {
        Some(Entry::Valid(object)) => Some(object),
        _ => None,
    }
}
