//! What one Application asks of the allocator, counted: a number that no other load on the machine changes, so that it can be
//! held. `--nocapture` shows the counts.
//!
//! One test, since the allocator counts for the whole process.

#[path = "../benches/fleet/mod.rs"]
mod fleet;

use std::sync::{Arc, Mutex};

use application_operator::application::{Allowed, Application};
use application_operator::apply::Writer;
use application_operator::observe::{
    Autoscalers, Budgets, Caches, Deployments, Job, Kind, Labelled, Revision, Services, pod, revision,
};
use application_operator::plan::plan;
use application_operator::reconcile::Reconciler;
use application_operator::status::{Attempt, status};
use application_operator::trigger::{failing, labelled as of_label, owner};
use bytes::Bytes;
use engine::api::Client;
use engine::controller::{Controller, Cx, Failure, Outcome, Reconcile};
use engine::events;
use engine::informer::Informers;
use engine::metrics::Metrics;
use engine::shutdown;
use engine::store;
use engine::transport::{Request, Service};
use http::Method;
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tower::service_fn;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// As many as tell a cost for each from one for all.
const APPLICATIONS: usize = 100;

/// Allocations of a plan that finds nothing to do: 330 were counted. Nearly all of them are the wish, which is rendered as JSON
/// each time to be held against what there is, and the live spec, read once more for that. A field more is a few more; a tenth
/// of all is something else.
const PLAN: u64 = 350;

/// Allocations of a whole reconcile that finds nothing to do: 467 were counted, the plan's, those of the status that is held
/// against the one that is told, and the keys under which the caches are asked.
const RECONCILE: u64 = 500;

/// Bytes that a converged Application takes in all caches together, itself, its Deployment, Service and revision, and one pod:
/// 6,648 were counted, with the room in maps, indexes and the queue that doubling leaves.
const BYTES: usize = 7_000;

/// Blocks that `work` asks for.
fn counted<R>(work: impl FnOnce() -> R) -> (u64, R) {
    let before = dhat::HeapStats::get().total_blocks;
    let result = work();
    (dhat::HeapStats::get().total_blocks - before, result)
}

/// Lists a fleet of so many Applications, watches without end, and takes no write.
fn server(applications: usize) -> Service {
    let list = |objects: Vec<serde_json::Value>| {
        let list = json!({"metadata": {"resourceVersion": "9000"}, "items": objects});
        Bytes::from(list.to_string())
    };
    let children = |kind| list((0..applications).filter_map(|number| fleet::child(number, kind)).collect());
    let lists = [
        ("/applications", list((0..applications).map(fleet::application).collect())),
        ("/deployments", children(Kind::Deployment)),
        ("/services", children(Kind::Service)),
        ("/poddisruptionbudgets", children(Kind::PodDisruptionBudget)),
        ("/horizontalpodautoscalers", children(Kind::HorizontalPodAutoscaler)),
        ("/controllerrevisions", list(Vec::new())),
        ("/jobs", list(Vec::new())),
        ("/pods", list((0..applications).map(fleet::pod).collect())),
    ];
    Service::new(service_fn(move |request: Request| {
        assert_eq!(request.method(), Method::GET, "nothing is to be written");
        let query = request.uri().query().unwrap_or_default().to_owned();
        let list = lists.iter().find(|(path, _)| request.uri().path().ends_with(path)).map(|(_, list)| list.clone());
        async move {
            let (code, body) = match list {
                _ if query.contains("sendInitialEvents") => (422, Bytes::from("{}")),
                _ if query.contains("watch=1") => std::future::pending().await,
                Some(list) => (200, list),
                None => (404, Bytes::from("{}")),
            };
            let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
            Ok(http::Response::builder().status(code).body(body).expect("a response"))
        }
    }))
}

/// Counts what the reconciler allocates; on one thread, and without a request, nothing else runs meanwhile.
struct Counted {
    reconciler: Reconciler,
    counts: Arc<Mutex<Vec<u64>>>,
}

impl Reconcile<Application> for Counted {
    async fn reconcile(&self, cx: &Cx<Application>) -> Result<Outcome, Failure> {
        let before = dhat::HeapStats::get().total_blocks;
        let outcome = self.reconciler.reconcile(cx).await;
        let count = dhat::HeapStats::get().total_blocks - before;
        self.counts.lock().expect("no panic").push(count);
        outcome
    }
}

#[test]
fn an_application_that_is_as_it_should_be_costs_few_allocations_and_no_write() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let (application, observed): (Application, _) = (fleet::decoded(&fleet::application(7)), fleet::observed(7));
    let (allowed, now) = (fleet::allowed(), serde_json::from_value(fleet::WRITTEN.into()).expect("a time"));
    let (planning, found) = counted(|| plan(&application, &observed, &allowed));
    assert!(found.is_empty(), "{found:?}");
    let (telling, told) = counted(|| status(&application, &observed, &allowed, &Attempt::Made, &now));
    assert_eq!(told, application.status);

    // What the process has for all of them is no Application's.
    let (alone, _) = converge(1, &allowed);
    let (all, counts) = converge(1 + APPLICATIONS, &allowed);
    let bytes = (all - alone) / APPLICATIONS;
    // The first ones pay for what is made once.
    let reconciling = counts[APPLICATIONS / 2..].iter().copied().max().unwrap_or_default();
    eprintln!("allocations: plan {planning}, status {telling}, reconcile {reconciling}; {bytes} bytes an Application");
    assert!(planning <= PLAN, "{planning} allocations of a plan");
    assert!(reconciling <= RECONCILE, "{reconciling} allocations of a reconcile");
    assert!(bytes <= BYTES, "{bytes} bytes an Application");
}

/// Runs the controller on a fleet until each Application has been looked at: the bytes that are held then, and the allocations
/// of each reconcile. Nothing is left of it afterwards.
fn converge(applications: usize, allowed: &Allowed) -> (usize, Vec<u64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(applications, allowed))
}

async fn run(applications: usize, allowed: &Allowed) -> (usize, Vec<u64>) {
    let service = server(applications);
    let before = dhat::HeapStats::get().curr_bytes;
    let client = Client::new(service, "test");
    let metrics = Arc::new(Metrics::default());
    let informers = Informers::new(client.clone());
    let controller = Controller::<Application>::new("application", &informers, metrics)
        .watches(owner::<Deployments>)
        .watches(owner::<Services>)
        .watches(owner::<Budgets>)
        .watches(owner::<Autoscalers>)
        .watches_in(&revision::scope([]), of_label::<Revision>)
        .watches_in(&revision::scope([]), of_label::<Job>)
        .watches_in(&pod::scope(std::iter::empty::<&str>()), failing)
        .elected_by(engine::lease::Leadership::always());
    let caches = Caches {
        applications: controller.reader(),
        deployments: controller.reader(),
        services: controller.reader(),
        budgets: controller.reader(),
        autoscalers: controller.reader(),
        revisions: controller.reader(),
        jobs: controller.reader(),
        ingresses: store::new(&[]).1,
        routes: store::new(&[]).1,
        route_definition: store::new(&[]).1,
        config_maps: store::new(&[]).1,
        secrets: None,
        pods: controller.reader(),
        namespaces: None,
    };
    caches.pods.index::<pod::OfApplication>();
    caches.revisions.index::<Labelled>();
    caches.jobs.index::<Labelled>();
    let (recorder, _sending) = events::channel(client.clone(), "test", "test".to_owned());
    let counts = Arc::<Mutex<Vec<u64>>>::default();
    let reconciler = Counted {
        reconciler: Reconciler::new(Writer { client, caches, recorder }, allowed.clone(), 0),
        counts: counts.clone(),
    };
    let (trigger, shutdown) = shutdown::channel();
    let running = tokio::spawn(controller.run(reconciler, shutdown));
    while counts.lock().expect("no panic").len() < applications {
        tokio::task::yield_now().await;
    }
    let bytes = dhat::HeapStats::get().curr_bytes - before;
    trigger.give();
    running.await.expect("no panic").expect("told to end");
    let counts = counts.lock().expect("no panic").clone();
    (bytes, counts)
}
