//! A small controller on an API server: it copies each `ConfigMap` into a second one, which it owns.

mod support;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::api::{Client, Entry, Error, Precondition, Scope};
use engine::controller::{Controller, Cx, Failure, Outcome, Readiness, Reconcile};
use engine::informer::Informers;
use engine::metrics::Metrics;
use engine::object::{Key, Metadata, Object, Resource};
use engine::shutdown;
use engine::store::Reader;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinHandle;

use self::support::{ConfigMap, PATIENCE, Space, shared, until};

/// As in the operator.
const WORKERS: usize = 16;

/// What the copies are called after.
const SUFFIX: &str = "-copy";

/// Copies objects, and misbehaves where its name says so.
#[derive(Clone)]
struct Copier {
    client: Client,
    reader: Reader<ConfigMap>,
    seen: Arc<Seen>,
}

/// What a copier was called for.
#[derive(Default)]
struct Seen {
    busy: Mutex<HashSet<Key>>,
    /// When it was called, by name.
    calls: Mutex<HashMap<String, Vec<Instant>>>,
    /// How often it was called for a key that it was busy with.
    overlaps: AtomicUsize,
    finished: AtomicUsize,
    conflicts: AtomicUsize,
    /// How often what it had just written was not what it read then.
    stale: AtomicUsize,
}

impl Seen {
    fn calls(&self, name: &str) -> Vec<Instant> {
        lock(&self.calls).get(name).cloned().unwrap_or_default()
    }

    fn all_calls(&self) -> usize {
        lock(&self.calls).values().map(Vec::len).sum()
    }
}

/// Marks a key as busy for as long as it lives, through a panic too.
struct Busy<'s>(&'s Seen, Key);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        lock(&self.0.busy).remove(&self.1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reconcile<ConfigMap> for Copier {
    async fn reconcile(&self, cx: &Cx<ConfigMap>) -> Result<Outcome, Failure> {
        let key = cx.key();
        // A copy wakes its original, and is woken as any other.
        if key.name.ends_with(SUFFIX) {
            return Ok(Outcome::Done);
        }
        if !lock(&self.seen.busy).insert(key.clone()) {
            self.seen.overlaps.fetch_add(1, Ordering::SeqCst);
        }
        let _busy = Busy(&self.seen, key.clone());
        let calls = {
            let mut calls = lock(&self.seen.calls);
            let of_name = calls.entry(key.name.to_string()).or_default();
            of_name.push(Instant::now());
            of_name.len()
        };
        tokio::task::yield_now().await;
        assert!(!key.name.starts_with("panics") || calls > 6, "as it should");
        if key.name.starts_with("slow") {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        let copied = self.copy(key).await;
        if copied.as_ref().is_err_and(Error::is_conflict) {
            self.seen.conflicts.fetch_add(1, Ordering::SeqCst);
        }
        copied.map_err(|error| Failure::Retry(error.into()))?;
        self.seen.finished.fetch_add(1, Ordering::SeqCst);
        Ok(Outcome::Done)
    }
}

impl Copier {
    async fn copy(&self, key: &Key) -> Result<(), Error> {
        let Some(Entry::Valid(original)) = self.reader.get(key) else { return Ok(()) };
        let copy = key.sibling(format!("{}{SUFFIX}", key.name));
        let precondition = match self.reader.get(&copy) {
            Some(Entry::Valid(copy)) if copy.data == original.data => return Ok(()),
            Some(copy) => {
                let Metadata { uid, resource_version, .. } = copy.metadata().clone();
                Precondition::Unchanged { uid, version: resource_version }
            }
            None => Precondition::Absent,
        };
        let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": key.name, "uid": original.metadata.uid});
        let metadata = json!({"name": copy.name, "ownerReferences": [owner]});
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": original.data});
        let written = self.reader.remember(self.client.apply(&copy, body, &precondition).await?);
        let is_read =
            |read: Entry<ConfigMap>| read.metadata().resource_version.reaches(&written.metadata.resource_version);
        if !self.reader.get(&copy).is_some_and(is_read) {
            self.seen.stale.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// A controller that runs, and how to stop it.
struct Running {
    copier: Copier,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    trigger: shutdown::Trigger,
    task: JoinHandle<Result<(), engine::controller::Error>>,
}

impl Running {
    fn start(space: &Space<'_>) -> Self {
        Self::with(space, |controller| controller)
    }

    fn with(space: &Space<'_>, further: impl FnOnce(Controller<ConfigMap>) -> Controller<ConfigMap>) -> Self {
        let metrics = Arc::new(Metrics::default());
        let informers = Informers::new(space.client.clone()).within(Scope::namespaces([space.name]));
        let controller = Controller::new("copier", &informers, metrics.clone());
        let controller = further(controller.owns_any::<ConfigMap>().workers(WORKERS));
        let copier = Copier { client: space.client.clone(), reader: controller.reader(), seen: Arc::default() };
        let readiness = controller.readiness();
        let (trigger, shutdown) = shutdown::channel();
        let task = tokio::spawn(controller.run(copier.clone(), shutdown));
        Self { copier, readiness, metrics, trigger, task }
    }

    fn seen(&self) -> &Seen {
        &self.copier.seen
    }

    /// Returns true if there is a good copy of each of these.
    fn has_copied(&self, space: &Space<'_>, names: &[String]) -> bool {
        let value = |name: &str| match self.copier.reader.get(&space.key(name)) {
            Some(Entry::Valid(object)) => Some(object.value().to_owned()),
            _ => None,
        };
        names.iter().all(|name| value(name).is_some() && value(name) == value(&format!("{name}{SUFFIX}")))
    }

    /// Stops it, and says how long that took.
    async fn stop(self) -> Duration {
        let started = Instant::now();
        self.trigger.give();
        let ended = tokio::time::timeout(PATIENCE, self.task).await.expect("it ends");
        ended.expect("no panic").expect("it ends well");
        assert_eq!(self.copier.seen.overlaps.load(Ordering::SeqCst), 0, "never two at once for one key");
        started.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_objects_are_all_reconciled_and_none_by_two_workers_at_once() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "thousand");
    space.fill(1_000).await;
    let names: Vec<String> = (0..1_000).map(|number| format!("app-{number}")).collect();
    let started = Instant::now();
    let running = Running::start(&space);
    until("all copies", || running.has_copied(&space, &names)).await;
    eprintln!("1,000 objects copied in {:?}, in {} calls", started.elapsed(), running.seen().all_calls());
    let (conflicts, stale) = (&running.seen().conflicts, &running.seen().stale);
    let troubles = (conflicts.load(Ordering::SeqCst), stale.load(Ordering::SeqCst));
    assert_eq!(troubles, (0, 0), "what a reconciler has written it reads, however late the watch is");

    // Many changes of few objects, of originals and copies alike.
    for round in 2..40 {
        for name in ["app-0", "app-1", "app-2-copy"] {
            space.update(name, &round.to_string()).await;
        }
    }
    until("all copies", || running.has_copied(&space, &names)).await;

    let copy = space.key("app-3-copy");
    let uid = || running.copier.reader.get(&copy).map(|copy| copy.metadata().uid.clone());
    let former = uid();
    let deleted = Instant::now();
    space.delete(&copy.name).await;
    until("another copy", || uid() != former && running.has_copied(&space, &names)).await;
    eprintln!("a copy was back {:?} after its deletion", deleted.elapsed());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reconciler_that_panics_for_one_object_is_called_again_later_and_serves_the_others() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "panics");
    space.create("panics", "1").await;
    let running = Running::start(&space);
    until("the first panic", || !running.seen().calls("panics").is_empty()).await;
    space.fill(50).await;
    let names: Vec<String> = (0..50).map(|number| format!("app-{number}")).collect();
    until("all others", || running.has_copied(&space, &names)).await;
    until("success in the end", || running.has_copied(&space, &["panics".to_owned()])).await;

    let calls = running.seen().calls("panics");
    let pauses: Vec<Duration> = calls.windows(2).map(|pair| pair[1] - pair[0]).take(6).collect();
    eprintln!("pauses after each panic: {pauses:?}");
    for (pause, least) in pauses.iter().zip([5, 10, 20, 40, 80, 160]) {
        assert!(*pause >= Duration::from_millis(least), "{pauses:?}");
    }
    let text = running.metrics.render().expect("text");
    assert!(text.contains("controller_runtime_reconcile_panics_total{controller=\"copier\"} 6\n"), "{text}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shutdown_lets_workers_finish_what_they_hold_and_begins_nothing_new() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "drain");
    let names: Vec<String> = (0..2 * WORKERS).map(|number| format!("slow-{number}")).collect();
    for name in &names {
        space.create(name, "1").await;
    }
    let running = Running::start(&space);
    until("all workers to be busy", || lock(&running.seen().busy).len() == WORKERS).await;
    let copier = running.copier.clone();
    let took = running.stop().await;
    eprintln!("drained in {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!((copier.seen.all_calls(), copier.seen.finished.load(Ordering::SeqCst)), (WORKERS, WORKERS));
    let written = space.state().into_keys().filter(|name| name.ends_with(SUFFIX)).count();
    assert_eq!(written, WORKERS, "what was begun is written, and nothing else");
}

/// A resource that nobody knows yet.
#[derive(Debug, Deserialize)]
struct Widget {
    metadata: Metadata,
}

impl Object for Widget {
    const RESOURCE: Resource = Resource { group: "engine.test", version: "v1", kind: "Widget", plural: "widgets" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

const WIDGETS: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.engine.test}
spec:
  group: engine.test
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_worker_starts_before_every_source_is_there() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "missing");
    space.create("app", "1").await;
    let running = Running::with(&space, |controller| controller.watches_in::<Widget>(&Scope::all(), |_| Vec::new()));
    assert_eq!(running.readiness.missing(), ["configmaps", "widgets.engine.test"]);
    until("the first source", || running.readiness.missing() == ["widgets.engine.test"]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(running.seen().all_calls(), 0, "half of the world is unknown");

    cluster.apply(WIDGETS);
    let applied = Instant::now();
    until("a copy", || running.has_copied(&space, &["app".to_owned()])).await;
    eprintln!("started {:?} after the CRD was applied", applied.elapsed());
    assert!(applied.elapsed() < Duration::from_secs(15), "{:?}", applied.elapsed());
    assert_eq!(running.readiness.missing(), [""; 0]);
    running.stop().await;
}
