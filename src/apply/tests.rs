//! Writes against a server that answers from a script: what is made of each answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use engine::api::Entry;
use engine::transport::{Request, Response, Service};
use engine::watch::Transaction;
use engine::{events, store};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::*;
use crate::application::Allowed;
use crate::observe::{Child, Kind, Services};
use crate::plan::{Write, plan, tests::application};

/// Answers in this order, and keeps what was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn service(&self) -> Service {
        let script = self.clone();
        Service::new(tower::service_fn(move |request: Request| {
            script.asked.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
            let (code, body) = script.answers.lock().unwrap().pop_front().unwrap_or((599, json!("off the script")));
            let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed_unsync();
            let response: Response = http::Response::builder().status(code).body(body).unwrap();
            std::future::ready(Ok(response))
        }))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

struct World {
    script: Script,
    writer: Writer,
    application: Application,
    /// Keeps the Service's cache writable.
    services: store::Writer<Child<Services>>,
}

/// A writer with synced, empty caches, whose server will give `answers`.
fn world(answers: &[(u16, Value)]) -> World {
    let script = Script::default();
    script.answers.lock().unwrap().extend(answers.iter().cloned());
    let (_, applications) = store::new(&[]);
    let (_, deployments) = store::new(&[]);
    let (_, budgets) = store::new(&[]);
    let (_, autoscalers) = store::new(&[]);
    let (_, ingresses) = store::new(&[]);
    let (_, routes) = store::new(&[]);
    let (_, route_definition) = store::new(&[]);
    let (_, config_maps) = store::new(&[]);
    let (_, pods) = store::new(&[]);
    let (_, revisions) = store::new(&[]);
    let (_, jobs) = store::new(&[]);
    let (mut writers, services) = store::new(&[]);
    let client = Client::new(script.service(), "application-operator");
    let (recorder, _) = events::channel(client.clone(), "c", "i".to_owned());
    let caches = Caches {
        applications,
        deployments,
        services,
        budgets,
        autoscalers,
        revisions,
        jobs,
        ingresses,
        routes,
        route_definition,
        config_maps,
        secrets: None,
        pods,
        namespaces: None,
    };
    let writer = Writer { client, caches, recorder };
    World { script, writer, application: application(&json!({})), services: writers.remove(0) }
}

impl World {
    /// What the caches ask to be written of the Service.
    fn planned(&self) -> Option<Write> {
        let observed = self.writer.caches.observe(&self.application.metadata.key(), &self.application.metadata.uid);
        plan(&self.application, &observed, &Allowed::default()).children.remove(&Kind::Service)
    }

    /// Plans from the caches, and carries out the Service's part of it.
    async fn apply_service(&self) -> Result<Applied, Error> {
        let Some(service) = self.planned() else { return Ok(Applied::Done) };
        self.writer.child(&self.application, &self.writer.caches.services, service).await
    }
}

/// The Service as the server would answer, at a version.
fn live(version: &str) -> Value {
    let mut body = world(&[]).planned().unwrap().body.unwrap();
    body["metadata"]["uid"] = json!("c-1");
    body["metadata"]["resourceVersion"] = json!(version);
    body
}

fn refusal(code: u16, reason: &str) -> (u16, Value) {
    (code, json!({"kind": "Status", "code": code, "reason": reason, "message": "no"}))
}

const PATCH: &str = "PATCH /api/v1/namespaces/shop/services/web-service";
const GET: &str = "GET /api/v1/namespaces/shop/services/web-service";

#[tokio::test]
async fn what_was_written_is_known_before_the_stream_brings_it() {
    let world = world(&[(201, live("7"))]);
    assert_eq!(world.apply_service().await.unwrap(), Applied::Done);
    assert_eq!(world.apply_service().await.unwrap(), Applied::Done);
    assert_eq!(world.script.asked(), [PATCH], "the second plan had nothing to do");
}

#[tokio::test]
async fn a_create_that_meets_an_object_looks_at_it_and_asks_for_a_new_plan() {
    let world = world(&[refusal(409, "Conflict"), (200, live("7"))]);
    assert_eq!(world.apply_service().await.unwrap(), Applied::Outdated);
    assert_eq!(world.apply_service().await.unwrap(), Applied::Done);
    assert_eq!(world.script.asked(), [PATCH, GET]);
}

#[tokio::test]
async fn a_conflict_that_the_cache_has_caught_up_with_is_no_failure() {
    let mut world = world(&[refusal(409, "Conflict"), (200, live("7"))]);
    let service = world.planned().unwrap();
    let entry = serde_json::from_str(&live("7").to_string()).unwrap();
    world.services.commit(Transaction::Upsert(Entry::Valid(Arc::new(entry))));
    let applied = world.writer.child(&world.application, &world.writer.caches.services, service).await;
    assert_eq!(applied.unwrap(), Applied::Outdated);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_settled_by_a_look_and_not_repeated() {
    let made = world(&[refusal(504, "Timeout"), (200, live("7"))]);
    assert_eq!(made.apply_service().await.unwrap(), Applied::Outdated);
    assert_eq!(made.apply_service().await.unwrap(), Applied::Done);
    assert_eq!(made.script.asked(), [PATCH, GET]);

    let not_made = world(&[refusal(504, "Timeout"), refusal(404, "NotFound")]).apply_service().await.unwrap_err();
    assert!(matches!(not_made, Error::Unmade { .. }) && !not_made.is_unavailable(), "the server answers: {not_made:?}");
    let nobody_knows = world(&[refusal(504, "Timeout"), refusal(504, "Timeout")]).apply_service().await.unwrap_err();
    assert!(nobody_knows.is_unavailable(), "{nobody_knows:?}");
}

#[tokio::test]
async fn a_refusal_is_told_from_an_outage_and_from_a_namespace_that_is_going() {
    let quota = world(&[refusal(403, "Forbidden")]).apply_service().await.unwrap_err();
    assert!(matches!(quota, Error::Rejected { .. }) && !quota.is_namespace_gone(), "{quota:?}");

    let terminating = json!({"code": 403, "details": {"causes": [{"reason": "NamespaceTerminating"}]}});
    assert!(world(&[(403, terminating)]).apply_service().await.unwrap_err().is_namespace_gone());
    let gone = [refusal(404, "NotFound"), refusal(404, "NotFound")];
    assert!(world(&gone).apply_service().await.unwrap_err().is_namespace_gone());

    assert!(world(&[refusal(503, "ServiceUnavailable")]).apply_service().await.unwrap_err().is_unavailable());
    let webhook = [refusal(500, "InternalError"), refusal(404, "NotFound")];
    assert!(!world(&webhook).apply_service().await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn a_write_that_is_changed_back_at_once_is_contested() {
    let mut changed = live("7");
    changed["spec"]["type"] = json!("ClusterIP");
    let contested = world(&[(201, changed)]).apply_service().await.unwrap_err();
    assert!(matches!(&contested, Error::Contested { path, .. } if path == "spec.type"), "{contested:?}");
}

#[tokio::test]
async fn foreign_ports_are_taken_over_under_the_version_that_was_read() {
    let mut crowded = live("7");
    let ports = crowded["spec"]["ports"].as_array_mut().unwrap();
    ports.push(json!({"port": 9999, "protocol": "TCP", "name": "extra"}));
    let mut owned = crowded.clone();
    owned["metadata"]["managedFields"] = json!([{"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {
        "f:spec": {"f:ports": {r#"k:{"port":9999,"protocol":"TCP"}"#: {}}}}}]);
    let world = world(&[(200, crowded.clone()), (200, owned), (200, crowded), (200, live("9"))]);
    assert_eq!(world.apply_service().await.unwrap(), Applied::Done);
    assert_eq!(world.script.asked(), [PATCH, GET, PATCH, PATCH]);
}

#[tokio::test]
async fn a_child_that_is_no_longer_wished_for_is_deleted_and_one_that_is_gone_already_is_no_failure() {
    for answer in [(200, json!({})), refusal(404, "NotFound")] {
        let mut world = world(&[answer]);
        let entry = serde_json::from_str(&live("7").to_string()).unwrap();
        world.services.commit(Transaction::Upsert(Entry::Valid(Arc::new(entry))));
        world.application.spec.port = None;
        assert_eq!(world.apply_service().await.unwrap(), Applied::Done);
        assert_eq!(world.script.asked(), ["DELETE /api/v1/namespaces/shop/services/web-service"]);
    }
}

#[tokio::test]
async fn what_the_go_operator_owned_is_taken_over_even_if_the_child_changes_too_fast_to_be_seen() {
    let mut former = live("7");
    former["metadata"]["annotations"] = json!({});
    former["metadata"]["ownerReferences"][0]["controller"] = json!(false);
    former["metadata"]["managedFields"] = json!([{"manager": "manager", "operation": "Update", "fieldsV1": {
        "f:metadata": {"f:ownerReferences": {r#"k:{"uid":"u-1"}"#: {}}}, "f:spec": {"f:type": {}}}}]);
    let web = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "resourceVersion": "5",
        "generation": 1}, "spec": {"image": "nginx:latest"}});
    let mut world = world(&[(200, web), (200, former.clone()), (200, former.clone()), (200, live("9"))]);
    let entry = serde_json::from_str(&former.to_string()).unwrap();
    world.services.commit(Transaction::Upsert(Entry::Valid(Arc::new(entry))));
    let observed = world.writer.caches.observe(&world.application.metadata.key(), &world.application.metadata.uid);
    let hurried = plan(&world.application, &observed, &Allowed::default()).regardless_of_state();
    let write =
        hurried.children.into_iter().find_map(|(kind, write)| (kind == Kind::Service).then_some(write)).unwrap();
    assert_eq!(write.cause, Cause::Adoption);
    let applied = world.writer.child(&world.application, &world.writer.caches.services, write).await;
    assert_eq!(applied.unwrap(), Applied::Done);
    let web = "GET /apis/minetto.dev/v1alpha1/namespaces/shop/applications/web";
    assert_eq!(world.script.asked(), [web, GET, PATCH, PATCH]);
}
