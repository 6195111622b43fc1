//! Workers without a server: what becomes of reconcilers that misbehave, and what they are told.

use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tokio::time::sleep;
use tower::service_fn;

use super::*;
use crate::api::{self, Client, Status, StatusDetails, Thing};
use crate::object::{Metadata, PartialObjectMetadata, Resource};
use crate::shutdown;
use crate::transport::{Request, Response, Service};
use crate::trigger::{Reason, Trigger};

/// A server that has no object, and answers no watch.
fn empty() -> Informers {
    let service = service_fn(|request: Request| async move {
        if request.uri().query().unwrap_or_default().contains("resourceVersion=") {
            std::future::pending::<()>().await;
        }
        let body = if request.uri().query().unwrap_or_default().contains("watch=1") {
            r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7",
                "annotations":{"k8s.io/initial-events-end":"true"}}}}"#
        } else {
            r#"{"metadata":{"resourceVersion":"7"},"items":[]}"#
        };
        Ok(Response::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync()))
    });
    Informers::new(Client::new(Service::new(service), "test"))
}

fn controller() -> (Controller<Thing>, Queue<Key>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    let controller = Controller::new("test", &empty(), metrics.clone());
    let queue = controller.queue.clone();
    (controller, queue, metrics)
}

/// Panics before its future exists, or within it, or hangs, or fails, by the name of the key; else notes it.
#[derive(Clone, Default)]
struct Moody {
    seen: Arc<Mutex<Vec<(String, u32, String)>>>,
}

impl Moody {
    fn calls(&self, name: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|(seen, ..)| seen == name).count()
    }
}

impl Reconcile<Thing> for Moody {
    fn reconcile(&self, cx: &Cx<Thing>) -> impl Future<Output = Result<Outcome, Failure>> + Send {
        assert!(&*cx.key().name != "panics early", "before the future");
        let (name, seen) = (cx.key().name.to_string(), self.seen.clone());
        let told = (name.clone(), cx.attempt(), cx.cause().to_string());
        assert!(matches!(cx.object(), Seen::Gone), "there is none");
        async move {
            seen.lock().unwrap().push(told);
            match name.as_str() {
                "panics late" => panic!("within the future"),
                "hangs" => std::future::pending().await,
                "fails" => Err(Failure::Retry("as it should".into())),
                "fails for good" => Err(Failure::Terminal("as it should".into())),
                "is behind" => Err(Failure::Conflict("as it should".into())),
                "is told to wait" => {
                    let details = StatusDetails { retry_after_seconds: 20, ..StatusDetails::default() };
                    let status = Status { code: 503, details, ..Status::default() };
                    Err(Failure::Unavailable(api::Error::Status(status).into()))
                }
                _ => Ok(Outcome::Done),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_panics_or_hangs_costs_no_worker() {
    let (controller, queue, _) = controller();
    let (trigger, shutdown) = shutdown::channel();
    let moody = Moody::default();
    let running = tokio::spawn(controller.workers(2).run(moody.clone(), shutdown));
    for bad in ["panics early", "panics late", "hangs"] {
        queue.add(Key::new("n", bad), Reason::Updated);
    }
    sleep(RECONCILE_DEADLINE * 10).await;
    queue.add(Key::new("n", "good"), Reason::Updated);
    sleep(RECONCILE_DEADLINE * 2).await;
    assert_eq!(moody.calls("good"), 1);
    trigger.give();
    running.await.expect("no panic").expect("no task has ended");
}

#[tokio::test(start_paused = true)]
async fn what_workers_hold_and_what_waits_is_shown_while_it_is_so() {
    let (controller, queue, _) = controller();
    let controller = controller.workers(150);
    let inspector = controller.inspector();
    let (_trigger, shutdown) = shutdown::channel();
    tokio::spawn(controller.run(Moody::default(), shutdown));
    for name in ["hangs", "fails"] {
        queue.add(Key::new("n", name), Reason::Updated);
    }
    sleep(Duration::from_secs(40)).await;
    let seen = inspector.inspect();
    let [held] = &seen["inFlight"].as_array().expect("a list")[..] else { panic!("{seen:#}") };
    assert_eq!((&held["namespace"], &held["name"], &held["cause"]), (&json!("n"), &json!("hangs"), &json!("updated")));
    assert!(held["attempt"] == 1 && held["age"].as_f64() > Some(39.0), "{held}");
    let [delayed] = &seen["delayed"].as_array().expect("a list")[..] else { panic!("{seen:#}") };
    assert!(delayed["name"] == "fails" && delayed["failures"].as_u64() > Some(5), "{delayed}");
    assert!(delayed["heldFor"].as_f64() <= delayed["dueIn"].as_f64(), "{delayed}");
    let [source] = &seen["sources"].as_array().expect("a list")[..] else { panic!("{seen:#}") };
    assert_eq!(
        (&source["synced"], &source["objects"], &source["lists"]),
        (&json!(true), &json!(0), &json!({"initial": 1}))
    );

    sleep(Duration::from_secs(40)).await;
    assert_eq!(inspector.inspect()["inFlight"][0]["attempt"], 2, "the first has reached its deadline");
    queue.add_all((0..150).map(|number| (Key::new(format!("{number}"), "hangs"), Reason::Updated.into())));
    sleep(Duration::from_secs(1)).await;
    let seen = inspector.inspect();
    let told = seen["inFlight"].as_array().map(Vec::len);
    assert_eq!((told, &seen["queue"]["inFlight"]), (Some(100), &json!(150)), "however many there are");
}

#[tokio::test(start_paused = true)]
async fn a_terminal_failure_is_not_tried_again_until_something_changes() {
    let (controller, queue, metrics) = controller();
    let (_trigger, shutdown) = shutdown::channel();
    let moody = Moody::default();
    tokio::spawn(controller.run(moody.clone(), shutdown));
    for name in ["fails for good", "fails"] {
        queue.add(Key::new("n", name), Reason::Updated);
    }
    sleep(Duration::from_hours(1)).await;
    assert_eq!(moody.calls("fails for good"), 1);
    assert!(moody.calls("fails") > 60, "once a minute at least");
    let text = metrics.render().expect("text");
    assert!(text.contains("controller_runtime_terminal_reconcile_errors_total{controller=\"test\"} 1\n"), "{text}");
    queue.add(Key::new("n", "fails for good"), Reason::Updated);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(moody.calls("fails for good"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_waited_out_and_neither_counts_as_a_failure_nor_grows_a_backoff() {
    let (controller, queue, metrics) = controller();
    let (_trigger, shutdown) = shutdown::channel();
    let moody = Moody::default();
    tokio::spawn(controller.run(moody.clone(), shutdown));
    queue.add(Key::new("n", "is behind"), Reason::Updated);
    sleep(Duration::from_mins(1)).await;
    let calls = moody.calls("is behind");
    assert!(calls >= 60, "once a second at least: {calls}");
    // The event that it waits for.
    queue.add(Key::new("n", "is behind"), Reason::Updated);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(moody.calls("is behind"), calls + 1, "at once");
    assert!(moody.seen.lock().unwrap().iter().all(|(_, attempt, _)| *attempt == 1), "no failure");
    let text = metrics.render().expect("text");
    assert!(text.contains("result=\"error\"} 0\n") && !text.contains("result=\"requeue\"} 0\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_reconciler_is_told_what_woke_it_and_how_often_it_has_failed() {
    let (controller, queue, _) = controller();
    let (_trigger, shutdown) = shutdown::channel();
    let moody = Moody::default();
    tokio::spawn(controller.run(moody.clone(), shutdown));
    queue.add(Key::new("n", "fails"), Reason::Deleted);
    sleep(Duration::from_mins(1)).await;
    let seen = moody.seen.lock().unwrap();
    assert_eq!(seen[..2], [("fails".into(), 1, "deleted".into()), ("fails".into(), 2, "retry".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_controller_whose_lists_never_come_names_them_at_its_deadline() {
    let service = service_fn(|_: Request| std::future::pending());
    let informers = Informers::new(Client::new(Service::new(service), "test"));
    let controller = Controller::<Thing>::new("test", &informers, Arc::default());
    let (_trigger, shutdown) = shutdown::channel();
    let error = controller.sync_deadline(Duration::from_mins(2)).run(Moody::default(), shutdown).await;
    let error = error.expect_err("no list").to_string();
    assert_eq!(error, "controller test is still waiting for a first list of things.test");
}

#[tokio::test(start_paused = true)]
async fn a_controller_is_not_ended_by_an_object_that_its_mapper_panics_on() {
    let metrics = Arc::new(Metrics::default());
    let informers = empty();
    let controller = Controller::<Thing>::new("test", &informers, metrics.clone())
        .watches::<Thing>(|_| panic!("an object that nobody thought of"));
    let (_trigger, shutdown) = shutdown::channel();
    let mut running = tokio::spawn(controller.run(Moody::default(), shutdown));
    sleep(Duration::from_secs(1)).await;
    crate::informer::tests::tell(&informers.of::<Thing>(), "odd");
    assert!(tokio::time::timeout(Duration::from_mins(1), &mut running).await.is_err(), "it runs on");
    let text = metrics.render().expect("text");
    assert!(text.contains("reconcile_panics_total{controller=\"test\"} 1\n"), "{text}");
}

/// A third kind.
#[derive(Debug, serde::Deserialize)]
struct Other {
    metadata: Metadata,
}

impl Object for Other {
    const RESOURCE: Resource = Resource { group: "test", version: "v1", kind: "Other", plural: "others" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_is_named_rightly_though_one_before_it_is_optional_and_one_is_missing_once() {
    type Rare = PartialObjectMetadata<Thing>;
    let (controller, queue, _) = controller();
    let all = |change: &Change<Other>| vec![(change.key(), Urgency::Normal)];
    let controller = controller
        .watches::<Rare>(|change| vec![(change.key(), Urgency::Normal)])
        .optional::<Rare>()
        .watches::<Other>(all)
        .watches::<Thing>(|_| Vec::new())
        .watches::<Other>(all);
    let inspector = controller.inspector();
    assert_eq!(controller.readiness().missing(), ["things.test", "others.test"]);
    let (_trigger, shutdown) = shutdown::channel();
    tokio::spawn(controller.run(Moody::default(), shutdown));
    queue.add(Key::new("n", "hangs"), Trigger::new(Reason::Updated).from_source(2));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(inspector.inspect()["inFlight"][0]["sources"], json!(["others.test"]));
}

#[tokio::test(start_paused = true)]
async fn an_optional_kind_is_neither_waited_for_nor_begun_until_somebody_begins_it() {
    type Rare = PartialObjectMetadata<Thing>;
    let informers = empty();
    let controller = Controller::<Thing>::new("test", &informers, Arc::default())
        .watches::<Rare>(|change| vec![(change.key(), Urgency::Normal)])
        .optional::<Rare>();
    let (queue, rare) = (controller.queue.clone(), controller.reader::<Rare>());
    let (_trigger, shutdown) = shutdown::channel();
    let moody = Moody::default();
    tokio::spawn(controller.run(moody.clone(), shutdown));
    queue.add(Key::new("n", "good"), Reason::Updated);
    sleep(Duration::from_mins(1)).await;
    assert_eq!((moody.calls("good"), rare.is_synced()), (1, false));
    informers.of::<Rare>().start();
    sleep(Duration::from_mins(1)).await;
    assert!(rare.is_synced());
}

#[tokio::test(start_paused = true)]
async fn what_the_server_asks_to_wait_with_is_asked_for_no_sooner_and_keeps_nobody_waiting() {
    let (controller, queue, _) = controller();
    let (_trigger, shutdown) = shutdown::channel();
    let moody = Moody::default();
    tokio::spawn(controller.workers(1).run(moody.clone(), shutdown));
    queue.add(Key::new("n", "is told to wait"), Reason::Updated);
    sleep(Duration::from_secs(2)).await;
    queue.add(Key::new("n", "good"), Reason::Updated);
    sleep(Duration::from_secs(17)).await;
    assert_eq!((moody.calls("is told to wait"), moody.calls("good")), (1, 1));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(moody.calls("is told to wait"), 2);
}
