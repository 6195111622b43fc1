//! What users do, from 16 clients at a time or at a given rate; and the floor: the bare writes of an operator that need no
//! thought.

use std::time::Duration;

use bytes::Bytes;
use engine::transport::Service;
use futures_util::{StreamExt as _, stream};
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt as _;

use crate::world::NAMESPACE;

/// Requests at a time: enough to keep an API server on two cores busy.
const CLIENTS: usize = 16;

pub(crate) const APPLICATIONS: &str = "/apis/minetto.dev/v1alpha1/namespaces/bench/applications";
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/bench/deployments";
pub(crate) const SERVICES: &str = "/api/v1/namespaces/bench/services";

/// Does `each` for the numbers below `count`.
pub(crate) async fn all<F: Future<Output = ()>>(count: usize, each: impl Fn(usize) -> F) {
    stream::iter((0..count).map(each)).buffer_unordered(CLIENTS).collect::<Vec<()>>().await;
}

/// Does `each` for the numbers below `count`, `rate` of them a second, none waiting for another.
pub(crate) async fn at_rate<F: Future<Output = ()>>(count: usize, rate: u32, each: impl Fn(usize) -> F) {
    let start = Instant::now();
    let paced = (0..count).map(|number| {
        let (at, done) = (start + Duration::from_secs(1) * u32::try_from(number).expect("few") / rate, each(number));
        async move {
            sleep_until(at).await;
            done.await;
        }
    });
    stream::iter(paced).buffer_unordered(usize::MAX).collect::<Vec<()>>().await;
}

pub(crate) async fn create(service: &Service, name: &str) {
    let body = json!({
        "apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"image": "nginx:1.29", "replicas": 2, "port": 8080},
    });
    send(service, Method::POST, APPLICATIONS.to_owned(), Some(("application/json", body))).await;
}

pub(crate) async fn set_image(service: &Service, name: &str, image: &str) {
    let body = json!({"spec": {"image": image}});
    send(service, Method::PATCH, format!("{APPLICATIONS}/{name}"), Some(("application/merge-patch+json", body))).await;
}

pub(crate) async fn delete_deployment(service: &Service, name: &str) {
    send(service, Method::DELETE, format!("{DEPLOYMENTS}/{name}-deployment"), None).await;
}

/// The three writes that make an Application run, one after the other.
pub(crate) async fn bring_about(service: &Service, name: &str) {
    let owner = |kind: &str, name: String, spec: Value| {
        json!({
            "apiVersion": if kind == "Service" { "v1" } else { "apps/v1" }, "kind": kind,
            "metadata": {"name": name, "resourceVersion": "1", "ownerReferences": [{
                "apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "name": "any",
                "uid": "00000000-0000-0000-0000-000000000000", "controller": true,
            }]},
            "spec": spec,
        })
    };
    let deployment = json!({
        "replicas": 2, "selector": {"matchLabels": {"label": name}},
        "template": {"metadata": {"labels": {"app": name, "label": name}}, "spec": {
            "automountServiceAccountToken": false, "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": format!("{name}-container"), "image": "nginx:1.29",
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "securityContext": {"allowPrivilegeEscalation": false}}],
        }},
    });
    let ports = json!({
        "type": "NodePort", "externalTrafficPolicy": "Local", "selector": {"app": name},
        "ports": [{"name": "http", "port": 8080, "targetPort": 8080, "protocol": "TCP"}],
    });
    let status = json!({"status": {"observedGeneration": 1, "replicas": 0, "readyReplicas": 0, "updatedReplicas": 0,
        "selector": format!("label={name}")}});
    let apply = "application/apply-patch+yaml";
    let query = "fieldManager=floor&force=true";
    let body = owner("Deployment", format!("{name}-deployment"), deployment);
    send(service, Method::PATCH, format!("{DEPLOYMENTS}/{name}-deployment?{query}"), Some((apply, body))).await;
    let body = owner("Service", format!("{name}-service"), ports);
    send(service, Method::PATCH, format!("{SERVICES}/{name}-service?{query}"), Some((apply, body))).await;
    let path = format!("{APPLICATIONS}/{name}/status");
    send(service, Method::PATCH, path, Some(("application/merge-patch+json", status))).await;
}

/// Sends a request, which has to succeed.
pub(crate) async fn send(service: &Service, method: Method, path: String, body: Option<(&str, Value)>) {
    let request = http::Request::builder().method(method).uri(&path);
    let request = match body {
        None => request.body(Bytes::new()),
        Some((kind, body)) => request.header("content-type", kind).body(body.to_string().into()),
    };
    let response = service.clone().oneshot(request.expect("a request")).await.expect("an answer");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&body));
}
