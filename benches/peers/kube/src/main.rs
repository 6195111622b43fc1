//! The same work as this project's operator does for an Application, on kube-rs as its own documentation has it: a
//! `Controller` that owns the children, server-side apply of each, a status patch where the status differs, managed fields
//! stripped from the caches, bounded concurrency.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, future};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client, CustomResource, Resource as _, ResourceExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(CustomResource, Debug, Clone, Serialize, Deserialize)]
#[kube(group = "minetto.dev", version = "v1alpha1", kind = "Application", namespaced, schema = "disabled")]
#[kube(status = "ApplicationStatus")]
struct ApplicationSpec {
    image: String,
    replicas: i32,
    port: i32,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ApplicationStatus {
    conditions: Vec<Condition>,
    observed_generation: i64,
    replicas: i32,
    ready_replicas: i32,
    updated_replicas: i32,
    selector: String,
}

struct Context {
    client: Client,
    deployments: Store<Deployment>,
    services: Store<Service>,
}

const MANAGER: &str = "kube-peer";

async fn reconcile(app: Arc<Application>, context: Arc<Context>) -> Result<Action, kube::Error> {
    if app.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let (name, namespace) = (app.name_any(), app.namespace().unwrap_or_default());
    let owner = app.controller_owner_ref(&()).expect("it was read from the server");
    let params = PatchParams::apply(MANAGER).force();

    let deployment_name = format!("{name}-deployment");
    let body = deployment(&app, &name, &owner);
    let known = context.deployments.get(&ObjectRef::new(&deployment_name).within(&namespace));
    let found = match known.filter(|known| is_as_wished(&body["spec"], &serde_json::to_value(&known.spec).unwrap())) {
        Some(known) => known,
        None => {
            let api: Api<Deployment> = Api::namespaced(context.client.clone(), &namespace);
            Arc::new(api.patch(&deployment_name, &params, &Patch::Apply(&body)).await?)
        }
    };
    let service_name = format!("{name}-service");
    let body = service(&app, &name, &owner);
    let known = context.services.get(&ObjectRef::new(&service_name).within(&namespace));
    if known.is_none_or(|known| !is_as_wished(&body["spec"], &serde_json::to_value(&known.spec).unwrap())) {
        let api: Api<Service> = Api::namespaced(context.client.clone(), &namespace);
        api.patch(&service_name, &params, &Patch::Apply(&body)).await?;
    }

    let wish = status(&app, &name, &found);
    if app.status.as_ref() != Some(&wish) {
        let api: Api<Application> = Api::namespaced(context.client.clone(), &namespace);
        api.patch_status(&name, &PatchParams::default(), &Patch::Merge(json!({"status": wish}))).await?;
    }
    Ok(Action::await_change())
}

/// Whether everything that is wished is there; what is not wished is the server's.
fn is_as_wished(wish: &Value, there: &Value) -> bool {
    match (wish, there) {
        (Value::Object(wish), Value::Object(there)) => {
            wish.iter().all(|(field, wish)| there.get(field).is_some_and(|there| is_as_wished(wish, there)))
        }
        (Value::Array(wish), Value::Array(there)) => {
            wish.len() == there.len() && wish.iter().zip(there).all(|(wish, there)| is_as_wished(wish, there))
        }
        _ => wish == there,
    }
}

fn status(app: &Application, name: &str, deployment: &Deployment) -> ApplicationStatus {
    let generation = app.metadata.generation.unwrap_or_default();
    let counts = deployment.status.clone().unwrap_or_default();
    let former = app.status.clone().unwrap_or_default();
    let ready = counts.ready_replicas.unwrap_or_default() == app.spec.replicas;
    let condition = |kind: &str, holds: bool, reason: &str, message: &str| {
        let state = if holds { "True" } else { "False" };
        let since = former.conditions.iter().find(|former| former.type_ == kind && former.status == state);
        json!({
            "type": kind, "status": state, "reason": reason, "message": message, "observedGeneration": generation,
            "lastTransitionTime": since.map_or_else(
                || serde_json::to_value(now()).unwrap(),
                |since| serde_json::to_value(&since.last_transition_time).unwrap()
            ),
        })
    };
    let conditions = [
        condition("Ready", ready, "Pending", "Waiting for the cluster to take up the children"),
        condition("Progressing", true, "Pending", "Waiting for the cluster to take up the children"),
        condition("Degraded", false, "AsExpected", ""),
    ];
    ApplicationStatus {
        conditions: conditions.into_iter().map(|condition| serde_json::from_value(condition).unwrap()).collect(),
        observed_generation: generation,
        replicas: counts.replicas.unwrap_or_default(),
        ready_replicas: counts.ready_replicas.unwrap_or_default(),
        updated_replicas: counts.updated_replicas.unwrap_or_default(),
        selector: format!("label={name}"),
    }
}

fn now() -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Time {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let time = k8s_openapi::jiff::Timestamp::from_second(i64::try_from(seconds).expect("a time")).expect("a time");
    k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time)
}

fn deployment(app: &Application, name: &str, owner: &impl Serialize) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": format!("{name}-deployment"), "labels": {"app": name, "label": name},
            "annotations": {"imageregistry": "https://hub.docker.com/"}, "ownerReferences": [owner],
        },
        "spec": {
            "replicas": app.spec.replicas, "selector": {"matchLabels": {"label": name}},
            "template": {
                "metadata": {"labels": {"app": name, "label": name}},
                "spec": {
                    "automountServiceAccountToken": false,
                    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [{
                        "name": format!("{name}-container"), "image": app.spec.image,
                        "ports": [{"containerPort": app.spec.port, "protocol": "TCP"}],
                        "securityContext": {"allowPrivilegeEscalation": false},
                    }],
                },
            },
        },
    })
}

fn service(app: &Application, name: &str, owner: &impl Serialize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": format!("{name}-service"), "labels": {"app": name}, "ownerReferences": [owner]},
        "spec": {
            "type": "NodePort", "externalTrafficPolicy": "Local", "selector": {"app": name},
            "ports": [{"name": "http", "port": app.spec.port, "targetPort": app.spec.port, "protocol": "TCP"}],
        },
    })
}

fn again(_: Arc<Application>, _: &kube::Error, _: Arc<Context>) -> Action {
    Action::requeue(Duration::from_secs(1))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let workers = std::env::args().nth(1).map_or(Ok(10), |workers| workers.parse())?;
    let client = Client::try_default().await?;
    let applications: Api<Application> = Api::all(client.clone());
    let (app_store, app_writer) = reflector::store();
    let (deployments, deployment_writer) = reflector::store();
    let (services, service_writer) = reflector::store();
    let own = watcher(applications, watcher::Config::default())
        .modify(|app| app.managed_fields_mut().clear())
        .default_backoff()
        .reflect(app_writer)
        .touched_objects();
    let deployment_stream = watcher(Api::<Deployment>::all(client.clone()), watcher::Config::default())
        .modify(|object| object.managed_fields_mut().clear())
        .default_backoff()
        .reflect(deployment_writer)
        .touched_objects();
    let service_stream = watcher(Api::<Service>::all(client.clone()), watcher::Config::default())
        .modify(|object| object.managed_fields_mut().clear())
        .default_backoff()
        .reflect(service_writer)
        .touched_objects();
    Controller::for_stream(own, app_store)
        .owns_stream(deployment_stream)
        .owns_stream(service_stream)
        .with_config(Config::default().concurrency(workers))
        .shutdown_on_signal()
        .run(reconcile, again, Arc::new(Context { client, deployments, services }))
        .for_each(|result| {
            if let Err(error) = result {
                eprintln!("{error}");
            }
            future::ready(())
        })
        .await;
    Ok(())
}
