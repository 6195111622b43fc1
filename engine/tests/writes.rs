//! The verbs that write, on an API server: what each assumes, what it answers, and what it leaves behind.

mod support;

use std::collections::BTreeMap;

use engine::api::{
    Client, Deleted, Deletion, Error, FieldOwner, FieldValidation, Finalizer, Operation, PatchType, Precondition,
    Propagation, Subresource, pointer,
};
use engine::object::{Metadata, Object, Resource, Uid};
use engine::settle::{Settled, settle};
use engine::transport;
use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::{ServiceExt as _, service_fn};

use self::support::{ConfigMap, Reflected, Space, behind_proxy, client, config_map, shared, until};

/// As much of a Deployment as is looked at.
#[derive(Debug, Deserialize)]
struct Deployment {
    metadata: Metadata,
    spec: Value,
    status: Value,
}

impl Object for Deployment {
    const RESOURCE: Resource = Resource { group: "apps", version: "v1", kind: "Deployment", plural: "deployments" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "one", "image": "one"}, {"name": "two", "image": "two"}]},
            },
        },
    })
}

#[track_caller]
fn code(error: &Error) -> u16 {
    error.status().expect("an answer").code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_typed_object_is_created_once_and_replaced_only_from_the_state_that_was_seen() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "typed");
    let key = space.key("app");
    let typed = |value: &str, version: Option<&Metadata>| v1::ConfigMap {
        metadata: ObjectMeta {
            name: Some("app".into()),
            resource_version: version.map(|metadata| metadata.resource_version.to_string()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("value".to_owned(), value.to_owned())])),
        ..v1::ConfigMap::default()
    };
    let first: ConfigMap = space.client.create(Some(space.name), typed("1", None)).await.expect("the name is free");
    let taken = space.client.create::<ConfigMap>(Some(space.name), typed("2", None)).await.expect_err("it is not");
    assert!(taken.is_conflict(), "{taken}");

    let blind = space.client.replace::<ConfigMap>(&key, None, typed("2", None)).await.expect_err("nobody has looked");
    assert!(matches!(blind, Error::Request(_)), "{blind}");
    let seen = typed("2", Some(&first.metadata));
    let second: ConfigMap = space.client.replace(&key, None, &seen).await.expect("nobody has changed it");
    assert_eq!(second.value(), "2");
    let stale = space.client.replace::<ConfigMap>(&key, None, &seen).await.expect_err("it has changed since");
    assert!(stale.is_conflict(), "{stale}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_json_patch_is_carried_out_as_a_whole_or_not_at_all() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "json-patch");
    space.create("app", "1").await;
    let key = space.key("app");
    let (value, odd) = (pointer(&["data", "value"]), pointer(&["metadata", "annotations"]));
    let patch = |expected: &str| {
        [
            Operation::Add { path: odd.clone(), value: json!({"example.dev/a": "c"}) },
            Operation::Test { path: value.clone(), value: json!(expected) },
            Operation::Replace { path: value.clone(), value: json!("2") },
        ]
    };
    let unmet = space.client.patch::<ConfigMap>(&key, None, PatchType::Json, patch("0")).await.expect_err("it is 1");
    assert_eq!(code(&unmet), 422, "{unmet}");
    let patched: ConfigMap = space.client.patch(&key, None, PatchType::Json, patch("1")).await.expect("it is 1");
    assert_eq!((patched.value(), patched.metadata.annotations.len()), ("2", 1));
    let removal = [Operation::Remove { path: pointer(&["metadata", "annotations", "example.dev/a"]) }];
    let patched: ConfigMap = space.client.patch(&key, None, PatchType::Json, removal).await.expect("it is there");
    assert_eq!(patched.metadata.annotations.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_strategic_patch_merges_lists_by_their_keys() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "strategic");
    let key = space.key("app");
    space.client.create::<Deployment>(Some(space.name), deployment("app")).await.expect("the name is free");
    let body = json!({"spec": {"template": {"spec": {"containers": [{"name": "two", "image": "other"}]}}}});
    let patched: Deployment = space.client.patch(&key, None, PatchType::Strategic, body).await.expect("a built-in");
    let images: Vec<_> = patched.spec["template"]["spec"]["containers"].as_array().expect("a list").iter().collect();
    let images: Vec<_> = images.iter().map(|container| container["image"].as_str().unwrap_or_default()).collect();
    assert!(images.contains(&"one") && images.contains(&"other") && images.len() == 2, "{images:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn status_and_scale_are_written_past_the_rest_of_the_object() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "parts");
    let key = space.key("app");
    let client = &space.client;
    let created: Deployment = client.create(Some(space.name), deployment("app")).await.expect("the name is free");
    let status = json!({"metadata": {"resourceVersion": created.metadata.resource_version},
        "spec": {"replicas": 7}, "status": {"replicas": 2, "readyReplicas": 1}});
    let told: Deployment = client.merge(&key, Some(Subresource::Status), status).await.expect("its status");
    assert_eq!((&told.status["readyReplicas"], &told.spec["replicas"]), (&json!(1), &json!(2)), "the spec stays");
    assert_eq!(told.metadata.generation, created.metadata.generation);

    let scale = client.scale::<Deployment>(&key).await.expect("a scale");
    assert_eq!((scale.wished, scale.present, &*scale.selector), (2, 2, "app=app"));
    let scaled = client.set_scale::<Deployment>(&key, 5).await.expect("a scale");
    assert_eq!(scaled.wished, 5);
    let after: Deployment = client.get(&key).await.expect("an answer").expect("it is there");
    assert_eq!((&after.spec["replicas"], &after.status["readyReplicas"]), (&json!(5), &json!(1)));
    space.create("plain", "1").await;
    let none = client.scale::<ConfigMap>(&space.key("plain")).await.expect_err("a ConfigMap has none");
    assert!(none.is_not_found(), "{none}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_delete_meant_for_another_state_or_another_life_deletes_nothing() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "deletes");
    let (key, client) = (space.key("app"), &space.client);
    space.create("app", "1").await;
    let first: ConfigMap = client.get(&key).await.expect("an answer").expect("it is there");
    space.update("app", "2").await;
    let stale = client.delete::<ConfigMap>(&key, &Deletion::unchanged(&first.metadata)).await.expect_err("it is newer");
    assert!(stale.is_conflict(), "{stale}");
    let same_life = Deletion::same_life(first.metadata.uid.clone()).propagation(Propagation::Foreground);
    // The collector, which is not there, would have to see to what it owns: until then it is terminating.
    let deleted = client.delete::<ConfigMap>(&key, &same_life).await.expect("it is this life");
    assert!(matches!(deleted, Deleted::Terminating(_)), "{deleted:?}");
    let Deleted::Terminating(leaving) = deleted else { return };
    assert!(matches!(
        client.remove_finalizer(&leaving, "foregroundDeletion").await.expect("it is unchanged"),
        Finalizer::Written(_)
    ));

    space.create("app", "3").await;
    let foreign = client.delete::<ConfigMap>(&key, &same_life).await.expect_err("it is another");
    assert!(foreign.is_conflict(), "{foreign}");
    let second: ConfigMap = client.get(&key).await.expect("an answer").expect("it is there");
    for _ in 0..2 {
        let deleted = client.delete::<ConfigMap>(&key, &Deletion::unchanged(&second.metadata)).await;
        assert!(matches!(deleted.expect("it is gone, or has been"), Deleted::Gone));
    }
    assert_eq!(space.state().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_finalizer_holds_an_object_until_it_is_removed_and_none_is_added_to_what_is_leaving() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "finalizers");
    let (key, client) = (space.key("app"), &space.client);
    space.create("app", "1").await;
    let bare: ConfigMap = client.get(&key).await.expect("an answer").expect("it is there");
    let Finalizer::Written(held) = client.add_finalizer(&bare, "example.dev/held").await.expect("it is unchanged")
    else {
        panic!("it had none")
    };
    assert!(matches!(client.add_finalizer(&held, "example.dev/held").await, Ok(Finalizer::Unchanged)));
    let stale = client.add_finalizer(&bare, "example.dev/other").await.expect_err("it has changed since");
    assert!(stale.is_conflict(), "{stale}");

    let deleted = client.delete::<ConfigMap>(&key, &Deletion::unchanged(&held.metadata)).await;
    let deleted = deleted.expect("it is unchanged");
    let Deleted::Terminating(leaving) = deleted else { panic!("it has a finalizer") };
    assert!(matches!(client.add_finalizer(&leaving, "example.dev/other").await, Ok(Finalizer::Terminating)));
    assert!(matches!(client.remove_finalizer(&leaving, "example.dev/other").await, Ok(Finalizer::Unchanged)));
    assert!(matches!(client.remove_finalizer(&leaving, "example.dev/held").await, Ok(Finalizer::Written(_))));
    assert!(client.get::<ConfigMap>(&key).await.expect("an answer").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_field_that_was_written_otherwise_leaves_with_the_wish_once_it_is_taken_over() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "ownership");
    let key = space.key("app");
    let wish =
        |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"}, "data": data});
    // The former version creates, and somebody else adds.
    let created: ConfigMap =
        space.client.create(Some(space.name), wish(json!({"value": "1", "former": "1"}))).await.expect("it is created");
    let path = format!("/api/v1/namespaces/{}/configmaps/app", space.name);
    assert_eq!(cluster.admin().ask("PATCH", &path, &json!({"data": {"of-others": "1"}})).0, 200);
    let uid = &created.metadata.uid;
    let same_life = Precondition::SameLife { uid: uid.clone() };
    let apply = async || {
        let applied = space.client.apply::<ConfigMap>(&key, wish(json!({"value": "2"})), &same_life).await;
        applied.expect("it is applied").data.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(apply().await, ["former", "of-others", "value"], "nobody has applied what left the wish");

    let former = |owner: FieldOwner<'_>| owner.manager == "engine-test" && owner.operation == "Update";
    let other_life = space.client.take_over_fields::<ConfigMap>(&key, &Uid("another".into()), former).await;
    assert!(other_life.expect("an answer").is_none());
    let taken = space.client.take_over_fields::<ConfigMap>(&key, uid, former).await.expect("an answer");
    assert_eq!(taken.expect("there is something").data.len(), 3, "no value is changed");
    assert_eq!(apply().await, ["of-others", "value"]);
    assert!(space.client.take_over_fields::<ConfigMap>(&key, uid, former).await.expect("an answer").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dry_run_is_answered_as_a_write_and_leaves_nothing() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "dry");
    let dry = space.client.dry_run();
    let key = space.key("app");
    let would: ConfigMap = dry.apply(&key, config_map("app", "1"), &Precondition::Absent).await.expect("it would do");
    assert_eq!(would.value(), "1");
    dry.create::<ConfigMap>(Some(space.name), config_map("app", "1")).await.expect("it would do");
    assert_eq!(space.state().len(), 0);
    space.create("app", "1").await;
    let present: ConfigMap = dry.get(&key).await.expect("an answer").expect("it is there");
    dry.merge::<ConfigMap>(&key, None, json!({"data": {"value": "2"}})).await.expect("it would do");
    dry.delete::<ConfigMap>(&key, &Deletion::unchanged(&present.metadata)).await.expect("it would do");
    assert_eq!(space.state()["app"].2, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_field_that_the_server_does_not_know_is_refused_by_those_who_want_to_know() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "validation");
    let mut odd = config_map("app", "1");
    odd["dat"] = json!({"value": "2"});
    let create = async |validation| {
        let client = space.client.field_validation(validation);
        client.create::<ConfigMap>(Some(space.name), &odd).await
    };
    let refused = create(FieldValidation::Strict).await.expect_err("a typo");
    assert!(code(&refused) == 400 && refused.to_string().contains("dat"), "{refused}");
    let created = create(FieldValidation::Warn).await.expect("it is dropped");
    assert_eq!(created.value(), "1");
}

/// Where a request is lost.
#[derive(Clone, Copy, PartialEq)]
enum Lost {
    OnItsWay,
    OnItsWayBack,
}

/// A client whose writes are lost.
fn losing(space: &Space<'_>, lost: Lost) -> Client {
    let service = transport::connect(&space.config).expect("a usable configuration");
    let losing = service_fn(move |request: transport::Request| {
        let service = service.clone();
        async move {
            if request.method() == http::Method::GET {
                return service.oneshot(request).await;
            }
            if lost == Lost::OnItsWayBack {
                service.oneshot(request).await?;
            }
            Err(transport::Error::Lost("as it should".into()))
        }
    });
    client(&transport::Service::new(losing))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_whose_answer_is_lost_is_looked_for_before_it_is_repeated() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "lost");
    let reflected = Reflected::start(space.client.clone(), space.name);
    reflected.reader.synced().await;
    let key = space.key("app");
    for (lost, settled, value) in
        [(Lost::OnItsWay, None, None), (Lost::OnItsWayBack, Some(Settled::Outdated), Some("1".to_owned()))]
    {
        let client = losing(&space, lost);
        let applied = client.apply::<ConfigMap>(&key, config_map("app", "1"), &Precondition::Absent).await;
        let error = applied.expect_err("no answer");
        assert!(error.is_ambiguous(), "{error}");
        let met = settle(&client, &reflected.reader, &key, &Precondition::Absent, error).await;
        if let Err(unsettled) = &met {
            assert!(unsettled.is_no_outage(), "the server is there: {unsettled:?}");
        }
        assert_eq!(met.ok(), settled);
        assert_eq!(reflected.value(&key), value, "what was found, and no sooner");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_conflict_leaves_a_cache_that_knows_what_was_met_however_late_the_watch_is() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "met");
    space.create("app", "1").await;
    space.create("going", "1").await;
    let (proxy, reflected, _) = behind_proxy(&space).await;
    let condition =
        |name: &str| Precondition::unchanged(reflected.reader.get(&space.key(name)).expect("it is cached").metadata());
    let (stale, gone) = (condition("app"), condition("going"));
    proxy.hold();
    space.update("app", "theirs").await;
    space.delete("going").await;
    for (name, condition, settled, value) in
        [("app", stale, Settled::Outdated, "theirs"), ("going", gone, Settled::Ahead, "1")]
    {
        let key = space.key(name);
        let applied = space.client.apply::<ConfigMap>(&key, config_map(name, "ours"), &condition).await;
        let error = applied.expect_err("it is other than the cache has it");
        assert!(error.is_conflict(), "{error}");
        let met = settle(&space.client, &reflected.reader, &key, &condition, error).await;
        assert_eq!(met.ok(), Some(settled), "{name}");
        assert_eq!(reflected.value(&key).as_deref(), Some(value), "{name}");
    }
    proxy.release();
    until("the watch", || reflected.value(&space.key("going")).is_none()).await;
}
